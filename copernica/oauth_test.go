package copernica_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/fault"
)

const returnPage = "http://127.0.0.1:54321/copernica"

func newOAuth(t testing.TB, cfg copernica.OAuthConfig) *copernica.OAuth {
	t.Helper()
	if cfg.ClientKey == "" {
		cfg.ClientKey, cfg.ClientSecret = copernicatest.ClientKey, copernicatest.ClientSecret
	}
	if cfg.RedirectURL == "" {
		cfg.RedirectURL = returnPage
	}
	o, err := copernica.NewOAuth(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestNewOAuth(t *testing.T) {
	t.Parallel()
	good := copernica.OAuthConfig{ClientKey: "key", ClientSecret: "hunter2hunter2", RedirectURL: returnPage}
	for name, tt := range map[string]struct {
		change func(*copernica.OAuthConfig)
		says   string
	}{
		"good":                {func(*copernica.OAuthConfig) {}, ""},
		"version 2":           {func(c *copernica.OAuthConfig) { c.Version = 2 }, ""},
		"Dutch page":          {func(c *copernica.OAuthConfig) { c.AuthorizeURL = "https://www.copernica.com/nl/authorize" }, ""},
		"no key":              {func(c *copernica.OAuthConfig) { c.ClientKey = "" }, "SYNCD_COPERNICA_CLIENT_KEY"},
		"no secret":           {func(c *copernica.OAuthConfig) { c.ClientSecret = "" }, "SYNCD_COPERNICA_CLIENT_SECRET"},
		"secret with newline": {func(c *copernica.OAuthConfig) { c.ClientSecret += "\n" }, "SYNCD_COPERNICA_CLIENT_SECRET"},
		"no return page":      {func(c *copernica.OAuthConfig) { c.RedirectURL = "" }, "the return page must be"},
		"no path":             {func(c *copernica.OAuthConfig) { c.RedirectURL = "http://127.0.0.1:1" }, "the return page must be"},
		"with a query":        {func(c *copernica.OAuthConfig) { c.RedirectURL += "?a=1" }, "the return page must be"},
		"other scheme":        {func(c *copernica.OAuthConfig) { c.RedirectURL = "javascript:alert(1)" }, "the return page must be"},
		"page with a query":   {func(c *copernica.OAuthConfig) { c.AuthorizeURL = "https://x/?token=hunter2hunter2" }, "authorize URL"},
		"API of another":      {func(c *copernica.OAuthConfig) { c.APIURL = "https://api.copernica.com/v2" }, "the version is 4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			tt.change(&cfg)
			_, err := copernica.NewOAuth(cfg)
			if tt.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "hunter2") || fault.ClassOf(err) != fault.Configuration {
				t.Errorf("%v of class %s", err, fault.ClassOf(err))
			}
		})
	}
}

func TestAuthorizeURL(t *testing.T) {
	t.Parallel()
	o := newOAuth(t, copernica.OAuthConfig{ClientKey: "k&y", ClientSecret: "hunter2hunter2", RedirectURL: "http://127.0.0.1:1/a b"})
	states := map[string]bool{}
	for range 1000 {
		attempt := o.Begin()
		u, err := url.Parse(attempt.URL())
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		states[q.Get("state")] = true
		if len(q.Get("state")) != 64 {
			t.Fatalf("state %q: want 256 bits", q.Get("state"))
		}
		q.Del("state")
		want := url.Values{"client_id": {"k&y"}, "redirect_uri": {"http://127.0.0.1:1/a b"}, "response_type": {"code"}}
		if diff := cmp.Diff(want, q); diff != "" || !strings.HasPrefix(attempt.URL(), "https://www.copernica.com/en/authorize?") {
			t.Fatalf("%s: %s", attempt.URL(), diff)
		}
	}
	if len(states) != 1000 {
		t.Errorf("%d states in 1000 attempts", len(states))
	}
}

// What may come back, and what it means.
func TestReturns(t *testing.T) {
	t.Parallel()
	state := func(q url.Values) string { return q.Get("state") }
	for name, tt := range map[string]struct {
		back  func(q url.Values) url.Values
		after time.Duration
		is    error // nil: accepted
		says  string
		open  bool // the attempt still takes its own return
	}{
		"the code":           {back: func(q url.Values) url.Values { return url.Values{"state": {state(q)}, "code": {"c0de"}} }},
		"the code, late":     {back: func(q url.Values) url.Values { return url.Values{"state": {state(q)}, "code": {"c0de"}} }, after: 10*time.Minute - time.Second},
		"too late":           {back: func(q url.Values) url.Values { return url.Values{"state": {state(q)}, "code": {"c0de"}} }, after: 10 * time.Minute, is: copernica.ErrAttemptOver, says: "10 minutes"},
		"another state":      {back: func(url.Values) url.Values { return url.Values{"state": {strings.Repeat("0", 64)}, "code": {"c0de"}} }, is: copernica.ErrForeignReturn, says: "another one", open: true},
		"part of the state":  {back: func(q url.Values) url.Values { return url.Values{"state": {state(q)[:63]}, "code": {"c0de"}} }, is: copernica.ErrForeignReturn, open: true},
		"more than a state":  {back: func(q url.Values) url.Values { return url.Values{"state": {state(q) + "0"}, "code": {"c0de"}} }, is: copernica.ErrForeignReturn, open: true},
		"no state":           {back: func(url.Values) url.Values { return url.Values{"code": {"c0de"}} }, is: copernica.ErrForeignReturn, open: true},
		"two states":         {back: func(q url.Values) url.Values { return url.Values{"state": {state(q), "x"}, "code": {"c0de"}} }, is: copernica.ErrForeignReturn, open: true},
		"an error of others": {back: func(url.Values) url.Values { return url.Values{"error": {"access_denied"}} }, is: copernica.ErrForeignReturn, open: true},
		"no code":            {back: func(q url.Values) url.Values { return url.Values{"state": {state(q)}} }, is: copernica.ErrNoCode, says: "give access to an account"},
		"an empty code":      {back: func(q url.Values) url.Values { return url.Values{"state": {state(q)}, "code": {""}} }, is: copernica.ErrNoCode},
		"two codes":          {back: func(q url.Values) url.Values { return url.Values{"state": {state(q)}, "code": {"a", "b"}} }, is: copernica.ErrNoCode},
		"no code at all":     {back: func(q url.Values) url.Values { return url.Values{"state": {state(q)}, "code": {"a\r\nb: c"}} }, is: copernica.ErrNoCode},
		"refused": {back: func(q url.Values) url.Values {
			return url.Values{"state": {state(q)}, "error": {"access_denied"}, "error_description": {"jan@example.org said no 4711 times"}}
		}, is: copernica.ErrAccessDenied, says: "the user refused, or may not give access to this account (<email> said no # times)"},
		"refused with a code": {back: func(q url.Values) url.Values {
			return url.Values{"state": {state(q)}, "error": {""}, "code": {"c0de"}}
		}, is: copernica.ErrAccessDenied},
		"application disabled": {back: func(q url.Values) url.Values {
			return url.Values{"state": {state(q)}, "error": {"unauthorized_client"}}
		}, is: copernica.ErrAccessDenied, says: "SYNCD_COPERNICA_CLIENT_KEY"},
		"trouble there": {back: func(q url.Values) url.Values {
			return url.Values{"state": {state(q)}, "error": {"temporarily_unavailable"}}
		}, is: copernica.ErrAccessDenied, says: "in a while"},
		"a markup": {back: func(q url.Values) url.Values {
			return url.Values{"state": {state(q)}, "error": {"<script>\x1b[31m"}}
		}, is: copernica.ErrAccessDenied, says: "Copernica says <script>[#m"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := newClock()
			attempt := newOAuth(t, copernica.OAuthConfig{Now: now.Now}).Begin()
			if attempt.Ends() != now.Now().Add(10*time.Minute) {
				t.Errorf("ends %s", attempt.Ends())
			}
			u, err := url.Parse(attempt.URL())
			if err != nil {
				t.Fatal(err)
			}
			now.Advance(tt.after)
			code, err := attempt.Accept(tt.back(u.Query()))
			switch {
			case tt.is == nil && (err != nil || code != "c0de"):
				t.Errorf("%q, %v", code, err)
			case tt.is != nil && (!errors.Is(err, tt.is) || code != "" || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("%q, %v", code, err)
			case err != nil && (strings.Contains(err.Error(), state(u.Query())) || strings.Contains(err.Error(), "c0de") || fault.ClassOf(err) != fault.Credentials):
				t.Errorf("class %s: %v", fault.ClassOf(err), err)
			}
			own := url.Values{"state": {state(u.Query())}, "code": {"0wn"}}
			code, err = attempt.Accept(own)
			if tt.open && (err != nil || code != "0wn") || !tt.open && !errors.Is(err, copernica.ErrAttemptOver) {
				t.Errorf("its own return afterwards: %q, %v", code, err)
			}
		})
	}
}

// Of many returns at once one is accepted.
func TestReturnCountsOnce(t *testing.T) {
	t.Parallel()
	attempt := newOAuth(t, copernica.OAuthConfig{}).Begin()
	u, err := url.Parse(attempt.URL())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	accepted := 0
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := attempt.Accept(url.Values{"state": {u.Query().Get("state")}, "code": {"c0de"}}); err == nil {
				mu.Lock()
				accepted++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if accepted != 1 {
		t.Errorf("%d returns were accepted", accepted)
	}
}

// The exchange: what it sends, and what each answer means.
func TestExchange(t *testing.T) {
	t.Parallel()
	const secret, code, granted = "hunter2+/=hunter2", "c0dec0dec0dec0dec0de", "ed430a95c58fd7d2830c9dc453396cf5"
	echo := "client_secret=" + url.QueryEscape(secret) + " " + secret + " code=" + code
	for name, tt := range map[string]struct {
		answer func() (*http.Response, error)
		class  fault.Class // 0: granted
		is     error
		says   string
	}{
		"granted":            {answer: answers(200, `{"access_token":"`+granted+`"}`)},
		"granted, with more": {answer: answers(200, "\xef\xbb\xbf"+`{"access_token":"`+granted+`","error":null}`)},
		"refused":            {answers(400, failure("Invalid data provided")), fault.Credentials, copernica.ErrAccessDenied, "SYNCD_COPERNICA_CLIENT_SECRET"},
		"refused under 200":  {answers(200, failure(echo)), fault.Credentials, copernica.ErrAccessDenied, "SYNCD_COPERNICA_CLIENT_SECRET"},
		"refused with 401":   {answers(401, failure(echo)), fault.Credentials, copernica.ErrAccessDenied, "a code is good once"},
		"no token":           {answers(200, `{"token":"x"}`), fault.Credentials, copernica.ErrAccessDenied, "run `syncd connect copernica` again"},
		"an empty token":     {answers(200, `{"access_token":""}`), fault.Credentials, copernica.ErrAccessDenied, ""},
		"a line for a token": {answers(200, `{"access_token":"a\nb"}`), fault.Credentials, copernica.ErrAccessDenied, ""},
		"no such path":       {answers(400, failure("Invalid method")), fault.Configuration, nil, "SYNCD_COPERNICA_API_URL"},
		"a page":             {answers(200, "<html>"+echo), fault.Configuration, nil, "SYNCD_COPERNICA_API_URL"},
		"a redirect":         {answers(302, echo), fault.Configuration, nil, "SYNCD_COPERNICA_API_URL"},
		"down":               {answers(503, "<html>"+echo), fault.Retry, nil, "in a while"},
		"too many":           {answers(429, ""), fault.Retry, nil, "in a while"},
		"broken":             {func() (*http.Response, error) { return nil, errors.New("lost: " + echo) }, fault.Retry, nil, "lost: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			var sent []*http.Request
			o := newOAuth(t, copernica.OAuthConfig{
				Version: 3, ClientKey: "k", ClientSecret: secret,
				Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
				Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
					sent = append(sent, req)
					return tt.answer()
				}),
			})
			token, err := o.Exchange(t.Context(), code)
			if (err == nil) != (tt.class == 0) || err == nil && token != granted || err != nil && (token != "" || fault.ClassOf(err) != tt.class || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("%q, class %s, %v", token, fault.ClassOf(err), err)
			}
			want := url.Values{"client_id": {"k"}, "client_secret": {secret}, "redirect_uri": {returnPage}, "code": {code}}
			if len(sent) != 1 || sent[0].Method != http.MethodGet || sent[0].URL.Host != "api.copernica.com" || sent[0].URL.Path != "/v3/token" ||
				sent[0].Header.Get("Authorization") != "" || !cmp.Equal(want, sent[0].URL.Query()) {
				t.Errorf("sent %v", sent)
			}
			text := log.String() + fmt.Sprintf("%v %+v %q", err, err, err)
			for _, s := range []string{secret, url.QueryEscape(secret), "hunter2", code, granted} {
				if strings.Contains(text, s) {
					t.Errorf("%q is shown in %s", s, text)
				}
			}
		})
	}
}

func answers(status int, body string) func() (*http.Response, error) {
	return func() (*http.Response, error) { return reply(status, "application/json", body), nil }
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
