package copernica_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

// spoken is a transport that writes down requests without their tokens.
type spoken struct {
	base http.RoundTripper
	mu   sync.Mutex
	said []string
}

func (s *spoken) RoundTrip(req *http.Request) (*http.Response, error) {
	query := strings.TrimSuffix(strings.TrimSuffix(req.URL.RawQuery, "access_token="+copernicatest.AccessToken), "&")
	line := req.Method + " " + req.URL.Path
	if query != "" {
		line += "?" + query
	}
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		if len(body) > 0 && req.URL.Path != "/" {
			line += " " + string(body)
		}
	}
	s.mu.Lock()
	s.said = append(s.said, line)
	s.mu.Unlock()
	return s.base.RoundTrip(req)
}

// What goes over the wire for one write of each kind, by version. The paths are behind
// the version, P and S stand for ids.
func TestVersionsOnTheWire(t *testing.T) {
	t.Parallel()
	const (
		upsert    = `PUT /database/D/profiles?fields%5B%5D=customer_id%3D%3Dk&create=1 `
		subUpsert = `PUT /profile/P/subprofiles/C?fields%5B%5D=order_id%3D%3Do&create=1 {"order_id":"o"}`
		look      = `GET /profile/P/subprofiles/C?fields%5B%5D=order_id%3D%3Do&orderby=id&order=asc&limit=1000`
	)
	since2 := []string{
		upsert + `{"fields":{"customer_id":"k"}}`, `PUT /profile/P {"fields":{"email":"x"}}`,
		subUpsert, subUpsert, `PUT /subprofile/S {"fields":{"status":"x"}}`, `DELETE /subprofile/S`,
		`GET /profile/P`, `DELETE /profile/P`, `GET /profile/Q`, `DELETE /profile/Q {"completely":"Yes"}`,
	}
	for version, want := range map[int][]string{
		1: {
			upsert + `{"customer_id":"k"}`, `PUT /profile/P {"fields":{"email":"x"}}`,
			look, `POST /profile/P/subprofiles/C {"order_id":"o"}`, look, `PUT /subprofile/S/fields {"order_id":"o"}`,
			`PUT /subprofile/S/fields {"status":"x"}`, `DELETE /subprofile/S`,
			`GET /profile/P`, `DELETE /profile/P`,
		},
		2: since2, 3: since2, 4: since2,
	} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			a := copernicatest.New(copernicatest.Config{Switches: copernicatest.Switches{Version1Upserts: true, SubprofileUpsertRepaired: true}})
			wire := &spoken{base: a.Transport()}
			c, err := copernica.New(copernica.Config{Version: version, AccessToken: copernicatest.AccessToken, Transport: wire})
			if err != nil {
				t.Fatal(err)
			}
			d, key := provision(t, c)
			if err := errors.Join(d.CreateCollection(t.Context(), "Orders"),
				d.CreateCollectionField(t.Context(), "Orders", copernica.FieldSpec{Name: "order_id"}),
				d.CreateCollectionField(t.Context(), "Orders", copernica.FieldSpec{Name: "status"})); err != nil {
				t.Fatal(err)
			}
			orders, sub := ordersOf(t, d)
			wire.said = nil
			p, e1 := d.Upsert(t.Context(), key, "k", map[string]string{"customer_id": "k"})
			e2 := d.Update(t.Context(), p.ID, map[string]string{"email": "x"})
			s, e3 := orders.Upsert(t.Context(), p.ID, sub, "o", map[string]string{"order_id": "o"})
			_, e4 := orders.Upsert(t.Context(), p.ID, sub, "o", map[string]string{"order_id": "o"})
			e5 := orders.Update(t.Context(), s.ID, map[string]string{"status": "x"})
			e6, e7 := orders.Remove(t.Context(), s.ID), d.Remove(t.Context(), p.ID, false)
			q, e8 := a.AddProfile("Magento", nil)
			e9 := d.Remove(t.Context(), q, true)
			if version == 1 && copernica.Outcome(e9) == copernica.NotSent {
				e9 = nil // it has no such call
			}
			if err := errors.Join(e1, e2, e3, e4, e5, e6, e7, e8, e9); err != nil {
				t.Fatal(err)
			}
			ids := strings.NewReplacer(
				fmt.Sprintf("/v%d", version), "", fmt.Sprint("/", d.ID(), "/"), "/D/",
				fmt.Sprint("/", p.ID), "/P", fmt.Sprint("/", q), "/Q", fmt.Sprint("/", s.ID), "/S", fmt.Sprint("/", orders.ID()), "/C",
			)
			var got []string
			for _, line := range wire.said {
				got = append(got, ids.Replace(line))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			if c.Version() != version || (c.TokenExchanges() > 0) && version < 4 {
				t.Errorf("version %d with %d exchanges", c.Version(), c.TokenExchanges())
			}
		})
	}
}

// A token in the query goes to Copernica and nowhere else: not into the logs of our own
// chain at their finest, not into an error of any layer, not into an address that
// Copernica sends back, and no redirect carries it on.
func TestTokenInTheQueryIsSeenByCopernicaAlone(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef+%41/=0123456789"
	for _, version := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			a := copernicatest.New(copernicatest.Config{})
			a.Grant(token)
			var mu sync.Mutex
			var arrived []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				arrived = append(arrived, r.URL.Query().Get("access_token"))
				mu.Unlock()
				a.Handler().ServeHTTP(w, r)
			}))
			defer server.Close()
			var log bytes.Buffer
			logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			chain, err := httpx.New(httpx.Config{Peer: "copernica", MinBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond, BreakerFailures: 3, Log: logger})
			if err != nil {
				t.Fatal(err)
			}
			defer chain.CloseIdleConnections()
			c, err := copernica.New(copernica.Config{Version: version, APIURL: server.URL, AccessToken: token, Transport: chain, Log: logger})
			if err != nil {
				t.Fatal(err)
			}
			d, key := provision(t, c)
			fields := map[string]string{"customer_id": "k"}
			var errs []error
			for _, f := range []emulator.Fault{
				{Name: "none"},
				{Kind: emulator.Status, Status: 503},
				{Kind: emulator.Status, Status: 429, Header: http.Header{"Retry-After": {"0"}}},
				{Kind: emulator.Status, Status: 302, Header: http.Header{"Location": {server.URL + "/v3/x?access_token=" + token}}},
				{Kind: emulator.Truncate},
				{Kind: emulator.Reset},
				{Kind: emulator.Status, Status: 400, Body: `{"error":{"message":"no such ` + token + ` here"}}`},
			} {
				a.Faults().Clear()
				if f.Name != "none" {
					a.Faults().Add(f)
				}
				_, e1 := d.Upsert(t.Context(), key, "k", fields)
				_, e2 := d.Find(t.Context(), key, "k")
				_, e3 := c.Databases(t.Context())
				errs = append(errs, e1, e2, e3)
			}
			server.Close()
			chain.CloseIdleConnections()
			_, err = c.Identity(t.Context())
			errs = append(errs, err)
			if n := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil }); len(n) < 15 {
				t.Errorf("only %d calls failed: %v", len(n), n)
			}
			text := log.String()
			for _, err := range errs {
				for ; err != nil; err = errors.Unwrap(err) {
					text += fmt.Sprintf("%v %+v %#v\n", err, err, err)
				}
			}
			for _, secret := range []string{token, "access_token=0", token[:16]} {
				if i := strings.Index(text, secret); i >= 0 {
					t.Errorf("the token is shown: …%s…", text[max(0, i-200):i+40])
				}
			}
			if !strings.Contains(text, "peer fails") {
				t.Error("the log has nothing of the chain")
			}
			mu.Lock()
			defer mu.Unlock()
			for _, got := range arrived {
				if got != token {
					t.Errorf("%q arrived", got)
				}
			}
		})
	}
}

func TestConsumption(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		now    time.Time
		status int
		body   string
		query  string
		want   int64
		class  fault.Class
	}{
		"a month":           {time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), 200, `{"emails":2,"apicalls":1234}`, "begin=2026-11-01&end=2026-12-01", 1234, 0},
		"texts":             {time.Date(2026, 12, 31, 12, 0, 0, 0, time.UTC), 200, `{"emails":"2","apicalls":"1234"}`, "begin=2026-12-01&end=2027-01-01", 1234, 0},
		"Amsterdam's month": {time.Date(2026, 10, 31, 23, 30, 0, 0, time.UTC), 200, `{"apicalls":1}`, "begin=2026-11-01&end=2026-12-01", 1, 0},
		"summer time":       {time.Date(2026, 6, 30, 22, 30, 0, 0, time.UTC), 200, `{"apicalls":1}`, "begin=2026-07-01&end=2026-08-01", 1, 0},
		"no number":         {time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), 200, `{"emails":2}`, "begin=2026-11-01&end=2026-12-01", 0, fault.Retry},
		"refused":           {time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), 400, failure("Invalid method"), "begin=2026-11-01&end=2026-12-01", 0, fault.Configuration},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			w.on("GET /consumption", w.always(tt.status, tt.body))
			used, err := newClient(t, w, func() time.Time { return tt.now }).Consumption(t.Context())
			if used.Calls != tt.want || (err != nil) != (tt.class != 0) || err != nil && fault.ClassOf(err) != tt.class {
				t.Errorf("%+v, %v", used, err)
			}
			if sent := w.sent("GET /consumption"); len(sent) != 1 || sent[0].Query != tt.query {
				t.Errorf("asked %v", sent)
			}
		})
	}
}

// Names for an operator who misspelled one, however many there are.
func TestDatabases(t *testing.T) {
	t.Parallel()
	a := copernicatest.New(copernicatest.Config{})
	want := []copernica.DatabaseInfo{{ID: 101, Name: copernicatest.DatabaseName}}
	for i := range 1100 {
		name := fmt.Sprintf("Shop_%d", i)
		id, err := a.CreateDatabase(name)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, copernica.DatabaseInfo{ID: id, Name: name})
	}
	got, err := accountClient(t, a, nil).Databases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := a.Calls(); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}

	empty := copernicatest.New(copernicatest.Config{Empty: true})
	if got, err := accountClient(t, empty, nil).Databases(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("an account without any: %v, %v", got, err)
	}
}
