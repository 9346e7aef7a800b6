package copernica_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

// visit asks a handler for a page.
func visit(t *testing.T, h http.Handler, method, address string) *http.Response {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, address, nil)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Result()
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The whole way through the return page: what it takes, what it shows, what comes of it.
func TestReturnPage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		s      copernicatest.Switches
		status int
		shows  string
		is     error // of Wait; nil: a token
	}{
		"given":           {copernicatest.Switches{}, 200, "You can close this window", nil},
		"refused":         {copernicatest.Switches{Consent: copernicatest.ConsentRefused}, 200, "was given no access", copernica.ErrAccessDenied},
		"silent":          {copernicatest.Switches{Consent: copernicatest.ConsentSilent}, 200, "was given no access", copernica.ErrNoCode},
		"state not liked": {copernicatest.Switches{StateLength: 65}, 200, "was given no access", copernica.ErrNoCode},
		"forged":          {copernicatest.Switches{Consent: copernicatest.ConsentForged}, 400, "does not accept this return", copernica.ErrAttemptOver},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := copernicatest.New(copernicatest.Config{Switches: tt.s})
				var log bytes.Buffer
				attempt := newOAuth(t, copernica.OAuthConfig{
					Transport: a.Transport(), Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
				}).Begin()
				page := attempt.Page()
				back, err := consent(t.Context(), a, attempt.URL())
				if err != nil {
					t.Fatal(err)
				}

				// Nothing but the page itself answers, and none of it ends the attempt.
				for _, other := range []struct {
					method, address string
					status          int
				}{
					{"GET", "http://127.0.0.1:54321/", 404},
					{"GET", "http://127.0.0.1:54321/favicon.ico", 404},
					{"GET", "http://127.0.0.1:54321/copernica/?" + back.RawQuery, 404},
					{"GET", "http://127.0.0.1:54321/Copernica?" + back.RawQuery, 404},
					{"GET", "http://127.0.0.1:54321/%63opernica?" + back.RawQuery, 404},
					{"GET", "http://evil.example:54321/copernica?" + back.RawQuery, 404},
					{"GET", "http://127.0.0.1/copernica?" + back.RawQuery, 404},
					{"POST", back.String(), 405},
					{"HEAD", back.String(), 405},
					{"OPTIONS", back.String(), 405},
					{"GET", returnPage, 400},
					{"GET", returnPage + "?state=x&code=y", 400},
				} {
					resp := visit(t, page, other.method, other.address)
					if resp.StatusCode != other.status {
						t.Errorf("%s %s: %d, want %d", other.method, other.address, resp.StatusCode, other.status)
					}
					safe(t, resp, other.address)
				}

				resp := visit(t, page, http.MethodGet, back.String())
				if text := safe(t, resp, back.RawQuery); resp.StatusCode != tt.status || !strings.Contains(text, tt.shows) {
					t.Errorf("%d %s", resp.StatusCode, text)
				}
				// Loading it again changes nothing.
				if again := visit(t, page, http.MethodGet, back.String()); again.StatusCode != http.StatusBadRequest {
					t.Errorf("again: %d", again.StatusCode)
				}

				token, err := attempt.Wait(t.Context())
				if !errors.Is(err, tt.is) || (token != "") != (tt.is == nil) {
					t.Fatalf("%q, %v", token, err)
				}
				if token != "" {
					c, err := copernica.New(copernica.Config{AccessToken: token, Connected: true, Transport: a.Transport()})
					if err != nil {
						t.Fatal(err)
					}
					if err := identify(t, c); err != nil {
						t.Error(err)
					}
				}
				for _, secret := range []string{back.Query().Get("state"), back.Query().Get("code"), token, copernicatest.ClientSecret} {
					if secret != "" && strings.Contains(log.String()+fmt.Sprint(err), secret) {
						t.Errorf("%q is shown: %s %v", secret, &log, err)
					}
				}
			})
		})
	}
}

// safe checks what every answer of the return page has and has not, and returns its text.
func safe(t *testing.T, resp *http.Response, query string) string {
	t.Helper()
	text := body(t, resp)
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"Content-Type": "text/html; charset=utf-8", "Cross-Origin-Opener-Policy": "same-origin",
		"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for part := range strings.FieldsFuncSeq(query, func(r rune) bool { return strings.ContainsRune("?&=", r) }) {
		if len(part) > 8 && strings.Contains(text, part) {
			t.Errorf("the page repeats %q: %s", part, text)
		}
	}
	return text
}

// An exchange that fails is told in both places, and the browser that leaves does not
// stop one that works.
func TestReturnPageExchanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOAuth(t, copernica.OAuthConfig{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			select {
			case <-req.Context().Done():
				return nil, req.Context().Err()
			case <-time.After(time.Second):
			}
			if req.URL.Query().Get("code") == "g00d" {
				return reply(200, "", `{"access_token":"granted"}`), nil
			}
			return reply(400, "application/json", failure("Invalid data provided")), nil
		})})
		attempt := o.Begin()
		u, _ := url.Parse(attempt.URL())
		resp := visit(t, attempt.Page(), http.MethodGet, returnPage+"?state="+u.Query().Get("state")+"&code=b4d")
		if _, err := attempt.Wait(t.Context()); resp.StatusCode != http.StatusBadGateway || !errors.Is(err, copernica.ErrAccessDenied) {
			t.Errorf("%d, %v", resp.StatusCode, err)
		}

		attempt = o.Begin()
		u, _ = url.Parse(attempt.URL())
		ctx, leave := context.WithCancel(t.Context())
		go attempt.Page().ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, returnPage+"?state="+u.Query().Get("state")+"&code=g00d", nil))
		synctest.Wait()
		leave()
		if token, err := attempt.Wait(t.Context()); err != nil || token != "granted" {
			t.Errorf("%q, %v", token, err)
		}
	})
}

// Waiting ends with the user's return, the caller's context or the ten minutes.
func TestWaitForTheReturn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOAuth(t, copernica.OAuthConfig{})
		began := time.Now()
		_, err := o.Begin().Wait(t.Context())
		if !errors.Is(err, copernica.ErrAttemptOver) || time.Since(began) != 10*time.Minute || !strings.Contains(err.Error(), "nobody came back within 10 minutes") {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := o.Begin().Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
