package copernica_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
)

func TestRefusedTokenIsRenewedOnceForAll(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]func() *http.Response{
		"400": func() *http.Response { return reply(400, "application/json", failure("Invalid access token")) },
		"200": func() *http.Response { return reply(200, "application/json", failure("Invalid access token.")) },
		"401": func() *http.Response { return reply(401, "", "") },
		"403": func() *http.Response { return reply(403, "application/json", failure("whatever")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWire()
				d, key := open(t, w, newClock().Now)
				w.on("PUT /database/7/profiles", func(r request) (*http.Response, error) {
					time.Sleep(time.Millisecond)
					if r.Token == "token-1" {
						return refusal(), nil
					}
					return nil, nil
				})
				w.auth = func(n int) *http.Response {
					time.Sleep(time.Second)
					return reply(200, "", fmt.Sprintf("token-%d", n))
				}
				var wg sync.WaitGroup
				for i := range 50 {
					wg.Go(func() {
						k := fmt.Sprintf("shop-c%d", i)
						if _, err := d.Upsert(t.Context(), key, k, values(k)); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				if n := w.exchanges(); n != 2 {
					t.Errorf("%d exchanges, want 2", n)
				}
				if n := len(w.sent("PUT ")); n != 100 {
					t.Errorf("%d writes, want 50 refused and 50 repeated", n)
				}
			})
		})
	}
}

func TestRevokedAccessToken(t *testing.T) {
	t.Parallel()
	t.Run("the authentication host refuses", func(t *testing.T) {
		t.Parallel()
		revoked := false
		w := identityWire(func(string) bool { return !revoked })
		c := newClient(t, w, newClock().Now)
		if err := identify(t, c); err != nil {
			t.Fatal(err)
		}
		revoked = true
		w.auth = func(int) *http.Response { return reply(400, "", failure("Invalid access token")) }
		err := identify(t, c)
		if fault.ClassOf(err) != fault.Credentials || !strings.Contains(err.Error(), "Configuration > Account > API access-tokens") {
			t.Errorf("error %v of class %s", err, fault.ClassOf(err))
		}
	})
	t.Run("each new token is refused as well", func(t *testing.T) {
		t.Parallel()
		refuse := true
		now := newClock()
		w := identityWire(func(string) bool { return !refuse })
		c := newClient(t, w, now.Now)
		for i := range 10 {
			err := identify(t, c)
			if fault.ClassOf(err) != fault.Credentials || !strings.Contains(err.Error(), "Configuration > Account > API access-tokens") {
				t.Fatalf("error %v of class %s", err, fault.ClassOf(err))
			}
			status, outcome := 400, copernica.Refused
			if i > 0 {
				status, outcome = 0, copernica.NotSent
			}
			if e, ok := errors.AsType[*copernica.Error](err); !ok || e.Status != status || copernica.Outcome(err) != outcome {
				t.Errorf("error %+v, outcome %s", e, copernica.Outcome(err))
			}
			if errors.Is(err, copernica.ErrTokenRevoked) {
				t.Errorf("%v: the authentication host knows this token", err)
			}
		}
		if n, calls := w.exchanges(), len(w.sent("GET ")); n != 2 || calls != 2 {
			t.Errorf("%d exchanges and %d calls for 10 attempts, want 2 of each", n, calls)
		}
		now.Advance(10 * time.Minute)
		refuse = false
		if err := identify(t, c); err != nil {
			t.Errorf("after the operator mended it: %v", err)
		}
	})
	t.Run("a token that worked is renewed each time", func(t *testing.T) {
		t.Parallel()
		bad := map[string]bool{}
		w := identityWire(func(s string) bool { return !bad[s] })
		c := newClient(t, w, newClock().Now)
		for i := range 4 {
			if err := identify(t, c); err != nil {
				t.Fatal(err)
			}
			bad[fmt.Sprintf("token-%d", i+1)] = true
		}
		if n := w.exchanges(); n != 4 {
			t.Errorf("%d exchanges, want 4", n)
		}
	})
}
