package copernica_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

func TestAccountTokens(t *testing.T) {
	t.Parallel()
	for name, s := range switches {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := newClock()
			a := copernicatest.New(copernicatest.Config{Now: now.Now, Switches: s})
			c := accountClient(t, a, now.Now)
			for range 30 { // two days and a half
				if err := identify(t, c); err != nil {
					t.Fatal(err)
				}
				now.Advance(2 * time.Hour)
			}
			refused := 0
			for _, r := range a.Log().Recent() {
				if r.Status >= 400 {
					refused++
				}
			}
			if refused > 0 {
				t.Errorf("%d calls with a token past its end, renewal ahead avoids them", refused)
			}
			a.RevokeTokens()
			if err := identify(t, c); err != nil {
				t.Errorf("after all tokens were revoked: %v", err)
			}
			a.Revoke()
			now.Advance(24 * time.Hour)
			err := identify(t, c)
			if fault.ClassOf(err) != fault.Credentials || !strings.Contains(err.Error(), "API access-tokens") {
				t.Errorf("after the access token was revoked: %v of class %s", err, fault.ClassOf(err))
			}
			if !errors.Is(err, copernica.ErrTokenRevoked) && s.AuthHostFailure != http.StatusForbidden {
				t.Errorf("%v does not say that the token was revoked", err)
			}
			a.Grant(copernicatest.AccessToken)
			now.Advance(10 * time.Minute)
			if err := identify(t, c); err != nil {
				t.Errorf("ten minutes after it was granted again: %v", err)
			}
		})
	}
}

// doubtful are the ways in which a write can fail that tell nothing of what became of it.
func doubtful() map[string]emulator.Fault {
	return map[string]emulator.Fault{
		"500":          {Kind: emulator.Status, Status: 500},
		"503 page":     {Kind: emulator.HTML, Status: 503},
		"200 page":     {Kind: emulator.HTML, Status: 200},
		"reset":        {Kind: emulator.Reset},
		"hang":         {Kind: emulator.Hang},
		"odd 400":      {Kind: emulator.Status, Status: 400, Body: `{"error":{"message":"Internal trouble 5"}}`},
		"400 cut off":  {Kind: emulator.Status, Status: 400, Body: `{"error":{"mess`},
		"400 no words": {Kind: emulator.Status, Status: 400},
	}
}

// What went wrong after the write was applied looks the same as before: unknown,
// and the look-up tells (promise 10).
func TestPromise10_AccountUnknownOutcomes(t *testing.T) {
	t.Parallel()
	for name, f := range doubtful() {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(name, after), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					a := copernicatest.New(copernicatest.Config{})
					d, key := provisioned(t, a, nil)
					f := f
					f.Method, f.PathContains, f.After, f.Times = http.MethodPut, "/profiles", after, 1
					h := a.Faults().Add(f)
					ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
					defer stop()
					fields := map[string]string{"customer_id": "shop-c1", "email": "a@example.org"}
					_, err := d.Upsert(ctx, key, "shop-c1", fields)
					if h.Hits() != 1 || copernica.Outcome(err) != copernica.Unknown || fault.ClassOf(err) != fault.Retry {
						t.Errorf("%d hits, %v, outcome %s, class %s", h.Hits(), err, copernica.Outcome(err), fault.ClassOf(err))
					}
					found, err := d.Find(t.Context(), key, "shop-c1")
					if err != nil || (len(found) == 1) != after {
						t.Errorf("found %d, %v", len(found), err)
					}
				})
			})
		}
	}
}

func TestAccountRefusedRecord(t *testing.T) {
	t.Parallel()
	a := copernicatest.New(copernicatest.Config{Switches: copernicatest.Switches{RefusedDomains: []string{"126.com"}}})
	d, key := provisioned(t, a, nil)
	_, err := d.Upsert(t.Context(), key, "shop-c1", map[string]string{"customer_id": "shop-c1", "email": "jan@126.com"})
	if copernica.Outcome(err) != copernica.Refused || fault.ClassOf(err) != fault.Record || strings.Contains(err.Error(), "126.com") {
		t.Errorf("%v, outcome %s, class %s", err, copernica.Outcome(err), fault.ClassOf(err))
	}
}

func TestAccountFindsManyDoubles(t *testing.T) {
	t.Parallel()
	for _, s := range []copernicatest.Switches{{}, {NextID: true}} {
		a := copernicatest.New(copernicatest.Config{Switches: s})
		d, key := provisioned(t, a, nil)
		for i := range 2300 {
			k := "double"
			if i%2 == 1 {
				k = "DOUBLE"
			}
			if _, err := a.AddProfile("Magento", map[string]string{"customer_id": k}); err != nil {
				t.Fatal(err)
			}
		}
		found, err := d.Find(t.Context(), key, "double")
		if err != nil || len(found) != 1150 {
			t.Errorf("%d found, %v", len(found), err)
		}
	}
}

// The whole way: our chain, a socket, the account.
func TestAccountOverASocket(t *testing.T) {
	t.Parallel()
	a := copernicatest.New(copernicatest.Config{Switches: copernicatest.Switches{PutStatus: 303}})
	server := httptest.NewServer(a.Handler())
	defer server.Close()
	chain, err := httpx.New(httpx.Config{Peer: "copernica", MinBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond, Concurrency: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer chain.CloseIdleConnections()
	c, err := copernica.New(copernica.Config{APIURL: server.URL, AuthURL: server.URL, AccessToken: copernicatest.AccessToken, Transport: chain})
	if err != nil {
		t.Fatal(err)
	}
	d, key := provision(t, c)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			k := fmt.Sprintf("shop-c%d", i)
			up, err := d.Upsert(t.Context(), key, k, map[string]string{"customer_id": k, "email": "x+" + k + "@example.org"})
			if err != nil || !up.Created || up.ID == 0 {
				t.Errorf("%+v, %v", up, err)
				return
			}
			if err := d.Update(t.Context(), up.ID, map[string]string{"firstname": k}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(a.Profiles("Magento")); n != 100 {
		t.Errorf("%d profiles, want 100", n)
	}

	// Reads are repeated, writes are not.
	reads := a.Faults().Add(emulator.Fault{Method: http.MethodGet, Kind: emulator.Status, Status: 503, Times: 2})
	if _, err := d.Find(t.Context(), key, "shop-c1"); err != nil || reads.Hits() != 2 {
		t.Errorf("a read after %d failures: %v", reads.Hits(), err)
	}
	writes := a.Faults().Add(emulator.Fault{Method: http.MethodPut, Kind: emulator.Status, Status: 503, After: true})
	_, err = d.Upsert(t.Context(), key, "shop-c1", map[string]string{"customer_id": "shop-c1"})
	if writes.Hits() != 1 || copernica.Outcome(err) != copernica.Unknown {
		t.Errorf("a failed write was sent %d times: %v, outcome %s", writes.Hits(), err, copernica.Outcome(err))
	}
	a.Faults().Clear()
	busy := a.Faults().Add(emulator.Fault{Method: http.MethodPut, Kind: emulator.Status, Status: 429, Times: 1})
	if _, err := d.Upsert(t.Context(), key, "shop-c1", map[string]string{"customer_id": "shop-c1"}); err != nil || busy.Hits() != 1 {
		t.Errorf("a write after 429: %v", err)
	}

	server.Close()
	chain.CloseIdleConnections()
	err = d.Update(t.Context(), 5, map[string]string{"firstname": "x"})
	if copernica.Outcome(err) != copernica.NotSent || fault.ClassOf(err) != fault.Retry || strings.Contains(err.Error(), "http://") ||
		!strings.HasPrefix(err.Error(), "copernica: PUT /profile/{id}: ") || strings.Count(err.Error(), "copernica") != 1 {
		t.Errorf("nobody listens: %v, outcome %s, class %s", err, copernica.Outcome(err), fault.ClassOf(err))
	}
}
