package httpx_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/magento-copernica/syncd/internal/httpx"
)

func TestPromise10_PolicyDecidesWhatIsRepeated(t *testing.T) {
	t.Parallel()
	outcomes := []struct {
		name             string
		step             step
		idempotent, once bool
	}{
		{"dial refused", failure(dialRefused()), true, true},
		{"reset", failure(reset()), true, false},
		{"time-out", hang, true, false},
		{"unknown error", failure(errors.New("something else")), true, false},
		{"429", answer(429, ""), true, true},
		{"500", answer(500, ""), true, false},
		{"502", answer(502, ""), true, false},
		{"503", answer(503, ""), true, false},
		{"504", answer(504, ""), true, false},
		{"501", answer(501, ""), false, false},
		{"200", answer(200, ""), false, false},
		{"303", answer(303, ""), false, false},
		{"400", answer(400, ""), false, false},
		{"401", answer(401, ""), false, false},
		{"404", answer(404, ""), false, false},
	}
	callers := []struct {
		method string
		policy httpx.Policy // 0: the method's own
		want   httpx.Policy
	}{
		{"GET", 0, httpx.Idempotent},
		{"HEAD", 0, httpx.Idempotent},
		{"PUT", 0, httpx.Once},
		{"POST", 0, httpx.Once},
		{"DELETE", 0, httpx.Once},
		{"GET", httpx.Once, httpx.Once},
		{"PUT", httpx.Idempotent, httpx.Idempotent},
	}
	for _, c := range callers {
		for _, o := range outcomes {
			t.Run(fmt.Sprintf("%s %d %s", c.method, c.policy, o.name), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					base := &script{steps: []step{o.step}}
					tr := chain(t, httpx.Config{Base: base, Retries: 2})
					ctx := t.Context()
					if c.policy != 0 {
						ctx = httpx.WithPolicy(ctx, c.policy)
					}
					_, _, _ = fetch(tr, request(t, ctx, c.method, address, ""))
					want := 1
					if c.want == httpx.Idempotent && o.idempotent || c.want == httpx.Once && o.once {
						want = 3
					}
					if got := base.attempts(); got != want {
						t.Errorf("%d attempts, want %d", got, want)
					}
					settled(t, tr, base)
				})
			})
		}
	}
}

func TestLastAnswerComesBackWithItsBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &script{steps: []step{answer(503, "first"), answer(500, "second"), answer(503, "last")}}
		tr := chain(t, httpx.Config{Base: base, Retries: 2})
		status, body, err := fetch(tr, request(t, t.Context(), "GET", address, ""))
		if status != 503 || body != "last" || err != nil {
			t.Errorf("got %d %q %v, want the last 503", status, body, err)
		}
		settled(t, tr, base)
	})
}

func TestRetryThenSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &script{steps: []step{failure(reset()), answer(502, "<html>"), answer(200, "ok")}}
		tr := chain(t, httpx.Config{Base: base})
		status, body, err := fetch(tr, request(t, t.Context(), "GET", address, ""))
		if status != 200 || body != "ok" || err != nil {
			t.Errorf("got %d %q %v", status, body, err)
		}
		s := tr.Stats()
		if s.Calls != 3 || s.Retries != 2 {
			t.Errorf("%d calls, %d retries, want 3 and 2", s.Calls, s.Retries)
		}
		want := map[httpx.Kind]int64{httpx.KindBroken: 1, httpx.KindUnavailable: 1}
		if d := cmp.Diff(want, s.Failures); d != "" {
			t.Error(d)
		}
		settled(t, tr, base)
	})
}

func TestNegativeRetriesMeanNone(t *testing.T) {
	t.Parallel()
	base := &script{steps: []step{answer(503, "")}}
	tr := chain(t, httpx.Config{Base: base, Retries: -1})
	_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
	if base.attempts() != 1 {
		t.Errorf("%d attempts, want 1", base.attempts())
	}
}

func TestHeaderIsRefreshedForEachFurtherAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		seen := func(next step) step {
			return func(r *http.Request) (*http.Response, error) {
				sent = append(sent, r.Header.Get("Authorization")+r.URL.RawQuery)
				return next(r)
			}
		}
		s := &script{steps: []step{seen(answer(503, "")), seen(failure(reset())), seen(answer(200, ""))}}
		n := 0
		req := request(t, httpx.WithRefresh(t.Context(), func(r *http.Request) {
			n++
			r.Header.Set("Authorization", strconv.Itoa(n))
		}), "GET", "https://peer.test/?q", "")
		req.Header.Set("Authorization", "first")
		resp, err := chain(t, httpx.Config{Base: s}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if diff := cmp.Diff([]string{"firstq", "1q", "2q"}, sent); diff != "" {
			t.Errorf("headers of the attempts (-want +got):\n%s", diff)
		}
		if got := req.Header.Get("Authorization"); got != "first" {
			t.Errorf("the caller's request now says %q", got)
		}
	})
}

func TestBodyIsSentAgainThroughGetBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(*http.Request)
		want []string
	}{
		{"with GetBody", func(*http.Request) {}, []string{"payload", "payload", "payload"}},
		{"without GetBody", func(r *http.Request) { r.GetBody = nil }, []string{"payload"}},
		{"no body", func(r *http.Request) { r.Body, r.GetBody = http.NoBody, nil }, []string{"", "", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				base := &script{steps: []step{answer(429, "")}}
				tr := chain(t, httpx.Config{Base: base, Retries: 2})
				req := request(t, t.Context(), "PUT", address, "payload")
				c.edit(req)
				if status, _, err := fetch(tr, req); status != 429 || err != nil {
					t.Errorf("got %d, %v", status, err)
				}
				if d := cmp.Diff(c.want, base.bodies); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

func TestBodyThatCannotBeSentAgain(t *testing.T) {
	t.Parallel()
	broken := errors.New("the file is gone")
	for name, getBody := range map[string]func() (io.ReadCloser, error){
		"error":   func() (io.ReadCloser, error) { return nil, broken },
		"nothing": func() (io.ReadCloser, error) { return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				base := &script{steps: []step{failure(reset())}}
				tr := chain(t, httpx.Config{Base: base})
				req := request(t, httpx.WithPolicy(t.Context(), httpx.Idempotent), "PUT", address, "x")
				req.GetBody = getBody
				_, _, err := fetch(tr, req)
				// The first attempt may have arrived: that stays visible.
				if e := typed(t, err); e.Kind != httpx.KindRequest || e.NotSent() {
					t.Errorf("got %v, unsent %t", err, e.NotSent())
				}
				settled(t, tr, base)
			})
		})
	}
}
