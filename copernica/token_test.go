package copernica_test

import (
	"context"
	"encoding/base64"
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

// signed returns something that looks like a JWT with these claims.
func signed(claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + enc([]byte(claims)) + "." + enc([]byte("signature"))
}

func identify(t *testing.T, c *copernica.Client) error {
	t.Helper()
	_, err := c.Identity(t.Context())
	return err
}

// identityWire answers GET /identity for tokens that ok accepts.
func identityWire(ok func(token string) bool) *wire {
	w := newWire()
	w.on("GET /identity", func(r request) (*http.Response, error) {
		if !ok(r.Token) {
			return reply(400, "application/json", failure("Invalid access token")), nil
		}
		return reply(200, "application/json", `{"id":"34","name":"Shop","description":"d","company":"C"}`), nil
	})
	return w
}

func all(string) bool { return true }

func TestTokenForms(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ body, want string }{
		"bare":              {"abc.def.ghi", "abc.def.ghi"},
		"bare with newline": {"\r\nabc.def.ghi\n", "abc.def.ghi"},
		"quoted":            {`"abc.def.ghi"`, "abc.def.ghi"},
		"quoted once":       {`'abc.def.ghi'`, "abc.def.ghi"},
		"byte order mark":   {"\xef\xbb\xbfabc", "abc"},
		"access_token":      {`{"access_token":"abc"}`, "abc"},
		"token":             {`{"token":"abc","error":null}`, "abc"},
		"jwt":               {`{"jwt":"abc","expires":1}`, "abc"},
		"authorization":     {`{"authorization_token":"abc"}`, "abc"},
		"escaped":           {`{"token":"ab\/c"}`, "ab/c"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := identityWire(func(s string) bool { return s == tt.want })
			w.auth = func(int) *http.Response { return reply(200, "text/html; charset=UTF-8", tt.body) }
			if err := identify(t, newClient(t, w, newClock().Now)); err != nil {
				t.Fatal(err)
			}
			post := w.sent("POST /")
			if len(post) != 1 || post[0].Body != "access_token="+accessToken || post[0].Query != "" ||
				!strings.HasPrefix(post[0].Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
				t.Errorf("the exchange was %+v", post)
			}
		})
	}
}

func TestAuthenticationHostRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		body   string
		class  fault.Class
		says   string
	}{
		"400 JSON":         {400, failure("Invalid access token"), fault.Credentials, "API access-tokens"},
		"400 text":         {400, "no", fault.Credentials, "API access-tokens"},
		"400 empty":        {400, "", fault.Credentials, "API access-tokens"},
		"400 page":         {400, "<html>Bad request", fault.Retry, ""},
		"401":              {401, "", fault.Credentials, "API access-tokens"},
		"403 page":         {403, "<html>", fault.Credentials, "API access-tokens"},
		"200 with error":   {200, failure("no"), fault.Credentials, "API access-tokens"},
		"404":              {404, "<html>", fault.Configuration, "SYNCD_COPERNICA_AUTH_URL"},
		"302":              {302, "", fault.Configuration, "SYNCD_COPERNICA_AUTH_URL"},
		"200 page":         {200, "<html>log in", fault.Retry, "SYNCD_COPERNICA_AUTH_URL"},
		"200 empty":        {200, "", fault.Retry, ""},
		"200 no token":     {200, `{"expires":1}`, fault.Retry, ""},
		"200 empty token":  {200, `{"token":""}`, fault.Retry, ""},
		"200 sentence":     {200, "please try again later", fault.Retry, ""},
		"200 line in JSON": {200, `{"token":"a\nX-Evil: 1"}`, fault.Retry, ""},
		"200 cut short":    {200, `{"token":"ab`, fault.Retry, ""},
		"429":              {429, "", fault.Retry, ""},
		"503":              {503, "<html>Loadbalancer Error", fault.Retry, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := identityWire(all)
			w.auth = func(int) *http.Response { return reply(tt.status, "", tt.body) }
			err := identify(t, newClient(t, w, newClock().Now))
			if err == nil || fault.ClassOf(err) != tt.class || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v of class %s", err, fault.ClassOf(err))
			}
			if copernica.Outcome(err) != copernica.NotSent {
				t.Errorf("outcome %s", copernica.Outcome(err))
			}
			if n := len(w.sent("GET ")); n != 0 {
				t.Errorf("%d calls without a token", n)
			}
		})
	}
}

func TestTokenIsFetchedOnceForAll(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]time.Duration{"first": -1, "ended": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, now := identityWire(all), newClock()
				w.auth = func(n int) *http.Response {
					time.Sleep(time.Second)
					return reply(200, "", fmt.Sprintf("token-%d", n))
				}
				c := newClient(t, w, now.Now)
				want := 1
				if before > 0 {
					if err := identify(t, c); err != nil {
						t.Fatal(err)
					}
					now.Advance(before)
					want = 2
				}
				var wg sync.WaitGroup
				for range 50 {
					wg.Go(func() {
						if err := identify(t, c); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				if n := w.exchanges(); n != want {
					t.Errorf("%d exchanges, want %d", n, want)
				}
			})
		})
	}
}

func TestTokenIsRenewedAhead(t *testing.T) {
	t.Parallel()
	start := newClock().Now()
	at := func(d time.Duration) string { return fmt.Sprint(start.Add(d).Unix()) }
	for name, tt := range map[string]struct {
		token string
		life  time.Duration
	}{
		"no JWT":              {"opaque", 24 * time.Hour},
		"exp":                 {signed(`{"exp":` + at(8*time.Hour) + `}`), 8 * time.Hour},
		"iat and exp":         {signed(`{"iat":` + at(0) + `,"exp":` + at(4*time.Hour) + `}`), 4 * time.Hour},
		"given a second time": {signed(`{"iat":` + at(-2*time.Hour) + `,"exp":` + at(2*time.Hour) + `}`), 2 * time.Hour},
		"our clock ahead":     {signed(`{"iat":` + at(-50*time.Hour) + `,"exp":` + at(-26*time.Hour) + `}`), 24 * time.Hour},
		"our clock behind":    {signed(`{"iat":` + at(50*time.Hour) + `,"exp":` + at(54*time.Hour) + `}`), 4 * time.Hour},
		"far ahead, no iat":   {signed(`{"exp":` + at(-26*time.Hour) + `}`), 24 * time.Hour},
		"exp is a float":      {signed(`{"exp":` + at(4*time.Hour) + `.5}`), 4*time.Hour + time.Second/2},
		"exp is nonsense":     {signed(`{"exp":"soon"}`), 24 * time.Hour},
		"hardly a life":       {signed(`{"exp":` + at(time.Second) + `}`), time.Minute},
		"a year":              {signed(`{"exp":` + at(365*24*time.Hour) + `}`), 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, now := identityWire(all), newClock()
			w.auth = func(int) *http.Response { return reply(200, "", tt.token) }
			c := newClient(t, w, now.Now)
			for _, step := range []struct {
				advance time.Duration
				want    int
			}{{0, 1}, {tt.life*3/4 - 2*time.Second, 1}, {3 * time.Second, 2}} {
				now.Advance(step.advance)
				if err := identify(t, c); err != nil {
					t.Fatal(err)
				}
				if n := w.exchanges(); n != step.want {
					t.Fatalf("%d exchanges at %s, want %d", n, now.Now().Sub(start), step.want)
				}
			}
		})
	}
}

// While one caller renews ahead, the others go on with the token they have.
func TestTokenRenewalAheadStallsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, now := identityWire(all), newClock()
		c := newClient(t, w, now.Now)
		if err := identify(t, c); err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		w.auth = func(int) *http.Response { <-release; return reply(200, "", "token-2") }
		now.Advance(19 * time.Hour)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := identify(t, c); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if n := len(w.sent("GET /identity")); n != 50 {
			t.Errorf("%d calls done while one renews, want 1 + 49", n)
		}
		close(release)
		wg.Wait()
		if n := w.exchanges(); n != 2 {
			t.Errorf("%d exchanges, want 2", n)
		}
	})
}

func TestTokenRenewalAheadFails(t *testing.T) {
	t.Parallel()
	w, now := identityWire(all), newClock()
	c := newClient(t, w, now.Now)
	if err := identify(t, c); err != nil {
		t.Fatal(err)
	}
	w.auth = func(int) *http.Response { return reply(503, "", "<html>") }
	now.Advance(19 * time.Hour)
	for range 5 {
		if err := identify(t, c); err != nil {
			t.Fatalf("the token at hand is good for 5 hours: %v", err)
		}
	}
	if n := w.exchanges(); n != 2 {
		t.Errorf("%d exchanges, want 2: the failed one is not repeated at each call", n)
	}
	now.Advance(2 * time.Minute)
	if err := identify(t, c); err != nil || w.exchanges() != 3 {
		t.Errorf("error %v, %d exchanges, want none and 3", err, w.exchanges())
	}
	now.Advance(5 * time.Hour)
	if err := identify(t, c); fault.ClassOf(err) != fault.Retry || err == nil {
		t.Errorf("the token ended: error %v", err)
	}
}

// A caller that is stopped while it fetches for all does not fail the others.
func TestTokenFetcherStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := identityWire(all)
		w.auth = func(n int) *http.Response {
			time.Sleep(time.Second)
			if n == 1 {
				return reply(503, "", "")
			}
			return reply(200, "", "token")
		}
		c := newClient(t, w, newClock().Now)
		ctx, stop := context.WithTimeout(t.Context(), time.Second/2)
		defer stop()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.Identity(ctx); err == nil {
				t.Error("success of a stopped caller")
			}
		})
		synctest.Wait()
		waiting, leave := context.WithTimeout(t.Context(), time.Second/4)
		defer leave()
		wg.Go(func() {
			if _, err := c.Identity(waiting); !errors.Is(err, context.DeadlineExceeded) || copernica.Outcome(err) != copernica.NotSent {
				t.Errorf("a waiting caller whose time is over: %v", err)
			}
		})
		wg.Go(func() {
			if _, err := c.Identity(t.Context()); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	})
}
