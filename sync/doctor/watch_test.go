package doctor_test

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/sync/doctor"
)

// dated answers with a Date header, and others.
type dated struct {
	date   time.Time
	header http.Header
}

func (d dated) RoundTrip(*http.Request) (*http.Response, error) {
	h := http.Header{}
	maps.Copy(h, d.header)
	if !d.date.IsZero() {
		h.Set("Date", d.date.UTC().Format(http.TimeFormat))
	}
	return &http.Response{StatusCode: http.StatusOK, Header: h, Body: http.NoBody}, nil
}

func TestClocks(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 6, 12, 0, 0, 700_000_000, time.UTC)
	for name, c := range map[string]struct {
		base  dated
		ahead time.Duration
		known bool
	}{
		"in the same second":     {dated{date: now}, 0, true},
		"just another second":    {dated{date: now.Add(time.Second)}, 800 * time.Millisecond, true},
		"ahead":                  {dated{date: now.Add(5 * time.Minute)}, 5*time.Minute - 200*time.Millisecond, true},
		"behind":                 {dated{date: now.Add(-5 * time.Minute)}, -5*time.Minute - 200*time.Millisecond, true},
		"no date":                {dated{}, 0, false},
		"a cache repeats a date": {dated{date: now.Add(-time.Hour), header: http.Header{"Age": {"3600"}}}, 0, false},
	} {
		w := doctor.NewWatch(c.base, func() time.Time { return now })
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://shop.example", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := w.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if ahead, known := w.Clock(); ahead != c.ahead || known != c.known {
			t.Errorf("%s: %s, %v; want %s, %v", name, ahead, known, c.ahead, c.known)
		}
	}
}

// TestSlowAnswersTellTheTimeNoWorse takes 20 s of waiting for no difference: the date may
// have been set at any time of it.
func TestSlowAnswersTellTheTimeNoWorse(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, time.March, 6, 12, 0, 0, 0, time.UTC)
	times := []time.Time{began, began.Add(20 * time.Second)}
	w := doctor.NewWatch(dated{date: began.Add(3 * time.Second)}, func() time.Time {
		at := times[0]
		times = times[1:]
		return at
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://shop.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if ahead, known := w.Clock(); ahead != 0 || !known {
		t.Errorf("%s, %v", ahead, known)
	}
}

// TestCertificateEnd warns before a certificate runs out, and names its end before.
func TestCertificateEnd(t *testing.T) {
	t.Parallel()
	for life, want := range map[time.Duration]doctor.Status{90 * 24 * time.Hour: doctor.OK, 5 * 24 * time.Hour: doctor.Warning} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 0, 0)
			w.toShop = encrypted{w.toShop, time.Now().Add(life)}
			for _, r := range w.check().Results {
				if r.Group == "shop" && r.Name == "address" && (r.Status != want || !strings.Contains(r.Text, "certificate")) {
					t.Errorf("a life of %s: %+v", life, r)
				}
			}
		})
	}
}

// encrypted is a peer behind a certificate.
type encrypted struct {
	base http.RoundTripper
	ends time.Time
}

func (e encrypted) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := e.base.RoundTrip(r)
	if err == nil {
		resp.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{NotAfter: e.ends}}}
	}
	return resp, err
}
