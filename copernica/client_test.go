package copernica_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
)

func TestNew(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cfg  copernica.Config
		api  string // where GET /identity goes
		says string
	}{
		"defaults":            {copernica.Config{}, "https://api.copernica.com/v4/identity", ""},
		"host alone":          {copernica.Config{APIURL: "api.copernica.com"}, "https://api.copernica.com/v4/identity", ""},
		"address alone":       {copernica.Config{APIURL: "https://rest.copernica.com/"}, "https://rest.copernica.com/v4/identity", ""},
		"trailing slash":      {copernica.Config{APIURL: "https://api.copernica.com/v4/"}, "https://api.copernica.com/v4/identity", ""},
		"emulator":            {copernica.Config{APIURL: "http://127.0.0.1:8080"}, "http://127.0.0.1:8080/v4/identity", ""},
		"below a path":        {copernica.Config{APIURL: "https://proxy.example/copernica/v4"}, "https://proxy.example/copernica/v4/identity", ""},
		"version 1":           {copernica.Config{Version: 1}, "https://api.copernica.com/v1/identity", ""},
		"version 3, host":     {copernica.Config{Version: 3, APIURL: "https://rest.copernica.com"}, "https://rest.copernica.com/v3/identity", ""},
		"version 2, path":     {copernica.Config{Version: 2, APIURL: "https://api.copernica.com/v2/"}, "https://api.copernica.com/v2/identity", ""},
		"version 2 or 4":      {copernica.Config{APIURL: "https://api.copernica.com/v2/"}, "", "SYNCD_COPERNICA_API_VERSION=2, or end the URL in /v4"},
		"version 4 or 1":      {copernica.Config{Version: 1, APIURL: "https://api.copernica.com/v4"}, "", "the API URL ends in /v4 and the version is 1"},
		"version 5":           {copernica.Config{Version: 5}, "", "must be 1, 2, 3 or 4"},
		"version below":       {copernica.Config{Version: -1}, "", "must be 1, 2, 3 or 4"},
		"token in the query":  {copernica.Config{APIURL: "https://api.copernica.com/v4?access_token=" + accessToken}, "", "tokens have their own setting"},
		"token as user":       {copernica.Config{APIURL: "https://x:" + accessToken + "@api.copernica.com/v4"}, "", "tokens have their own setting"},
		"token in a bad URL":  {copernica.Config{APIURL: "https://api.copernica.com:" + accessToken + "/v4"}, "", "not an address"},
		"other scheme":        {copernica.Config{APIURL: "ftp://api.copernica.com/v4"}, "", "https://"},
		"bad authentication":  {copernica.Config{AuthURL: "https://authenticate.copernica.com/?access_token=" + accessToken}, "", "authentication URL"},
		"no token":            {copernica.Config{AccessToken: "none"}, "", "API access-tokens"},
		"token with newline":  {copernica.Config{AccessToken: accessToken + "\n"}, "", "copy it again"},
		"schema too old":      {copernica.Config{SchemaMaxAge: 61 * time.Second}, "", "schema age"},
		"schema age negative": {copernica.Config{SchemaMaxAge: -1}, "", "schema age"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := identityWire(all)
			w.answers["GET /copernica/v4/identity"] = w.answers["GET /identity"]
			tt.cfg.Transport = w
			switch tt.cfg.AccessToken {
			case "":
				tt.cfg.AccessToken = accessToken
			case "none":
				tt.cfg.AccessToken = ""
			}
			c, err := copernica.New(tt.cfg)
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), accessToken) {
					t.Errorf("error %v, want one that says %q and no token", err, tt.says)
				}
				if fault.ClassOf(err) != fault.Configuration {
					t.Errorf("class %s", fault.ClassOf(err))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := identify(t, c); err != nil {
				t.Error(err)
			}
			if got := strings.TrimSuffix(w.sent("GET ")[0].Full, "?access_token="+accessToken); got != tt.api {
				t.Errorf("asked %s, want %s", got, tt.api)
			}
		})
	}
}

func TestUnencryptedAddressIsLogged(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{"http://copernica.example": true, "http://127.0.0.1:1": false, "http://localhost:1": false, "http://[::1]:1": false, "https://copernica.example": false} {
		var log bytes.Buffer
		if _, err := copernica.New(copernica.Config{APIURL: address, AccessToken: accessToken, Log: slog.New(slog.NewTextHandler(&log, nil))}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), "unencrypted"); got != want {
			t.Errorf("%s: logged %q", address, log.String())
		}
	}
}

// A 303 repeats the request with the token in it. It is a success, never requested
// and never shown, well-formed or not.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, location := range []string{
		"/v4/profile/5?access_token=" + accessToken,
		"http://%s/profile/5?access_token=" + accessToken,
		"/profile/5?access_token=" + accessToken + "%%zz",
		"http://[" + accessToken + "/profile/",
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			t.Run(fmt.Sprint(status, location), func(t *testing.T) {
				t.Parallel()
				var mu sync.Mutex
				var seen []string
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					mu.Lock()
					seen = append(seen, r.Method+" "+r.URL.String())
					mu.Unlock()
					switch r.Method {
					case http.MethodPost:
						fmt.Fprint(w, "token")
					case http.MethodPut:
						loc := location
						if strings.Contains(loc, "%s") {
							loc = fmt.Sprintf(loc, r.Host)
						}
						w.Header().Set("Location", loc)
						w.WriteHeader(status)
					default:
						fmt.Fprint(w, `{"ID":"7","name":"Magento","fields":{"data":[{"ID":"1","name":"email","type":"email"}],"total":1},"collections":{"data":[],"total":0}}`)
					}
				}))
				defer server.Close()
				var log bytes.Buffer
				c, err := copernica.New(copernica.Config{
					APIURL: server.URL, AuthURL: server.URL, AccessToken: accessToken,
					Transport: server.Client().Transport, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
				})
				if err != nil {
					t.Fatal(err)
				}
				d, err := c.Database(t.Context(), "Magento")
				if err != nil {
					t.Fatal(err)
				}
				err = d.Update(t.Context(), 5, map[string]string{"email": "jan@example.org"})
				if ok := status == 303 && strings.Contains(location, "/profile/5"); ok != (err == nil) {
					t.Errorf("error %v", err)
				}
				if text := fmt.Sprintf("%v %+v %s", err, err, &log); strings.Contains(text, accessToken) {
					t.Errorf("the token is shown: %s", text)
				}
				mu.Lock()
				defer mu.Unlock()
				if want := []string{"POST /", "GET /v4/database/Magento", "PUT /v4/profile/5"}; fmt.Sprint(seen) != fmt.Sprint(want) {
					t.Errorf("the server saw %v, want %v", seen, want)
				}
			})
		}
	}
}

// However Copernica or the network fail, and whatever they repeat of what was sent
// to them, no error, log line or URL shows a token, an e-mail or a value.
func TestNoSecretsAnywhere(t *testing.T) {
	t.Parallel()
	const (
		authorization = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzaG9wIn0.c2lnbmF0dXJl"
		email         = "jan.jansen+tag@example.org"
		first         = "Wilhelmina"
	)
	secrets := []string{accessToken, authorization, accessToken[:20], "c2lnbmF0dXJl", email, "jan.jansen", first}
	echo := "refused: " + accessToken + " Bearer " + authorization + " access_token=" + accessToken + " " + email + " x" + accessToken + "y"
	bodies := []string{"", echo, "<html>" + echo, failure(echo), `{"error":"` + echo + `"}`, `{"data":"` + echo, `{"error":{"message":"Invalid access token"}}`, `{"a":"` + echo + `"}`}
	var answers []func() (*http.Response, error)
	for _, status := range []int{200, 201, 204, 301, 302, 303, 307, 400, 401, 403, 404, 405, 413, 429, 500, 502, 503} {
		for _, body := range bodies {
			answers = append(answers, func() (*http.Response, error) {
				resp := reply(status, "application/json", body)
				resp.Header.Set("Location", "https://h/"+accessToken+"?access_token="+authorization)
				resp.Header.Set("X-Created", accessToken)
				resp.Status = echo
				return resp, nil
			})
		}
	}
	answers = append(answers,
		func() (*http.Response, error) {
			return nil, &url.Error{Op: "Get", URL: "https://api.copernica.com/v3/identity?access_token=" + accessToken, Err: errors.New(echo)}
		},
		func() (*http.Response, error) { return nil, errors.New("malformed HTTP response " + echo) },
		func() (*http.Response, error) { return nil, fmt.Errorf("wrapped: %w", errors.New(accessToken)) },
	)
	for i, answer := range answers {
		for _, where := range []string{"authentication", "api", "api 3", "api 1"} {
			t.Run(fmt.Sprint(where, " ", i), func(t *testing.T) {
				t.Parallel()
				version, secrets := map[string]int{"api 3": 3, "api 1": 1}[where], secrets
				if version > 0 {
					secrets = slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return strings.Contains(authorization, s) })
				}
				var log bytes.Buffer
				now := newClock()
				w := newWire()
				failing := false
				w.auth = func(int) *http.Response {
					if where == "authentication" && failing {
						resp, _ := answer()
						if resp == nil {
							resp = reply(500, "", echo)
						}
						return resp
					}
					return reply(200, "", authorization)
				}
				c, err := copernica.New(copernica.Config{
					Version: version, AccessToken: accessToken, Transport: w, Now: now.Now,
					Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
				})
				if err != nil {
					t.Fatal(err)
				}
				d, err := c.Database(t.Context(), "Magento")
				if err != nil {
					t.Fatal(err)
				}
				key, err := d.KeyField("customer_id")
				if err != nil {
					t.Fatal(err)
				}
				if where != "authentication" {
					w.any = func(request) (*http.Response, error) { return answer() }
				}
				failing = true
				for _, later := range []time.Duration{0, 50 * time.Second, 19 * time.Hour, 24 * time.Hour} {
					now.Advance(later)
					fields := map[string]string{"customer_id": "shop-c1", "email": email, "firstname": first}
					_, e1 := c.Identity(t.Context())
					_, e2 := c.Database(t.Context(), "Magento")
					_, e3 := d.Refresh(t.Context())
					_, e4 := d.Upsert(t.Context(), key, "shop-c1", fields)
					e5 := d.Update(t.Context(), 5, fields)
					_, e6 := d.Find(t.Context(), key, "shop-c1")
					_, e7 := d.Profile(t.Context(), 5)
					_, _, e8 := d.KeysAbove(t.Context(), key, "shop-c", 1)
					e9 := d.Remove(t.Context(), 5, false)
					e10 := d.CreateField(t.Context(), copernica.FieldSpec{Name: "new_field"})
					e11 := d.CreateCollection(t.Context(), "Orders")
					_, e12 := c.CreateDatabase(t.Context(), "Other", "")
					_, e13 := c.Databases(t.Context())
					_, e14 := c.Consumption(t.Context())
					for n, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8, e9, e10, e11, e12, e13, e14} {
						for _, secret := range secrets {
							if text := fmt.Sprintf("%v|%+v|%q", err, err, err); err != nil && strings.Contains(err.Error(), secret) {
								t.Errorf("call %d after %s shows %q: %s", n+1, later, secret, text)
							}
						}
						if e, ok := errors.AsType[*copernica.Error](err); ok && strings.ContainsAny(e.Message, "@\n") {
							t.Errorf("call %d: message %q", n+1, e.Message)
						}
					}
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				for _, secret := range secrets {
					if strings.Contains(log.String(), secret) {
						t.Errorf("the log shows %q: %s", secret, &log)
					}
					for _, r := range w.log {
						full := r.Full
						if version > 0 {
							full = strings.Replace(full, "access_token="+accessToken, "", 1)
						}
						if strings.Contains(full, secret) {
							t.Errorf("the URL shows %q: %s", secret, r.Full)
						}
					}
				}
			})
		}
	}
}

// The clock is Copernica's, by its last answer; an answer that tells none, or a refusal, which
// may come from somebody in between, leaves it as it was.
func TestTheClockIsCopernicas(t *testing.T) {
	t.Parallel()
	w := newWire()
	d, _ := open(t, w, newClock().Now)
	if at := d.Clock(); !at.IsZero() {
		t.Errorf("%s before anything was told", at)
	}
	told := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		status int
		date   string
		want   time.Time
	}{
		{200, told.Format(http.TimeFormat), told},
		{200, "", told},
		{200, "soon", told},
		{503, told.Add(time.Hour).Format(http.TimeFormat), told},
		{200, told.Add(-time.Hour).Format(http.TimeFormat), told.Add(-time.Hour)}, // it was set
	} {
		w.on("GET /profile/5", func(request) (*http.Response, error) {
			resp := jsonReply(tt.status, row(5, map[string]any{}))
			resp.Header.Set("Date", tt.date)
			return resp, nil
		})
		_, _ = d.Profile(t.Context(), 5)
		if at := d.Clock(); !at.Equal(tt.want) {
			t.Errorf("after a %d of %q it is %s", tt.status, tt.date, at)
		}
	}
}
