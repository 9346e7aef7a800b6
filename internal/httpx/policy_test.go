package httpx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
	"pgregory.net/rapid"
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

func TestPromise21_RetryAfterIsObeyedAndCapped(t *testing.T) {
	t.Parallel()
	value := func(v string) func(time.Time) []string {
		return func(time.Time) []string { return []string{"Retry-After", v} }
	}
	date := func(d time.Duration) func(time.Time) []string {
		return func(now time.Time) []string {
			return []string{"Retry-After", now.UTC().Add(d).Format(http.TimeFormat)}
		}
	}
	const spread = 500 * time.Millisecond // MinBackoff
	for _, c := range []struct {
		name     string
		headers  func(now time.Time) []string
		min, max time.Duration
	}{
		{"seconds", value("7"), 7 * time.Second, 7*time.Second + spread},
		{"blanks", value(" 7 "), 7 * time.Second, 7*time.Second + spread},
		{"capped", value("3600"), 2 * time.Minute, 2 * time.Minute},
		{"capped without overflow", value("18446744073709551615"), 2 * time.Minute, 2 * time.Minute},
		{"date", date(30 * time.Second), 30 * time.Second, 30*time.Second + spread},
		{"date capped", date(time.Hour), 2 * time.Minute, 2 * time.Minute},
		{"past date", date(-time.Minute), 0, spread},
		{"date on the peer's clock", func(now time.Time) []string {
			return append(date(time.Hour+9*time.Second)(now), "Date", now.UTC().Add(time.Hour).Format(http.TimeFormat))
		}, 9 * time.Second, 9*time.Second + spread},
		{"zero", value("0"), 0, spread},
		{"negative", value("-5"), 0, spread},
		{"words", value("soon"), 0, spread},
		{"none", func(time.Time) []string { return nil }, 0, spread},
	} {
		for _, status := range []int{429, 503} {
			t.Run(fmt.Sprintf("%s %d", c.name, status), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					base := &script{steps: []step{answer(status, "", c.headers(time.Now())...), answer(200, "")}}
					tr := chain(t, httpx.Config{Base: base})
					if status, _, err := fetch(tr, request(t, t.Context(), "GET", address, "")); status != 200 || err != nil {
						t.Errorf("got %d, %v", status, err)
					}
					if gap := base.gaps()[0]; gap < c.min || gap > c.max {
						t.Errorf("waited %s, want %s to %s", gap, c.min, c.max)
					}
				})
			})
		}
	}
}

func TestPromise21_BackOffHasFullJitterBelowADoublingCeiling(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		rand float64
		want []time.Duration
	}{
		{"low", 0, []time.Duration{0, 0, 0, 0, 0}},
		{"half", 0.5, []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 2500 * time.Millisecond, 2500 * time.Millisecond}},
		{"high", 1, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				base := &script{steps: []step{answer(503, "")}}
				tr := chain(t, httpx.Config{
					Base: base, Retries: 5, MinBackoff: time.Second, MaxBackoff: 5 * time.Second,
					Rand: func() float64 { return c.rand },
				})
				_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
				if d := cmp.Diff(c.want, base.gaps()); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

func TestWaitIsNotBegunWhenTheDeadlineIsNearer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &script{steps: []step{answer(429, "busy", "Retry-After", "60")}}
		tr := chain(t, httpx.Config{Base: base})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		began := time.Now()
		status, body, err := fetch(tr, request(t, ctx, "GET", address, ""))
		if status != 429 || body != "busy" || err != nil {
			t.Errorf("got %d %q %v, want the 429 at once", status, body, err)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("waited %s for a deadline that could not be met", d)
		}
	})
}

func TestCancelingEndsAWaitAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		first  step
		unsent bool
	}{
		{"after a refused connection", failure(dialRefused()), true},
		{"after 429", answer(429, "", "Retry-After", "100"), false}, // its word is looked at before it is believed
		{"after a reset", failure(reset()), false},
		{"after 503", answer(503, "", "Retry-After", "100"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				base := &script{steps: []step{c.first}}
				tr := chain(t, httpx.Config{Base: base, MinBackoff: 100 * time.Second, MaxBackoff: 100 * time.Second, Rand: func() float64 { return 0.9 }})
				ctx, cancel := context.WithCancel(httpx.WithPolicy(t.Context(), httpx.Idempotent))
				defer cancel()
				time.AfterFunc(3*time.Second, cancel)
				began := time.Now()
				_, _, err := fetch(tr, request(t, ctx, "PUT", address, "x"))
				if d := time.Since(began); d != 3*time.Second {
					t.Errorf("came back after %s, want 3s", d)
				}
				if e := typed(t, err); e.Kind != httpx.KindCanceled || e.NotSent() != c.unsent {
					t.Errorf("kind %s, unsent %t, want canceled, %t", e.Kind, e.NotSent(), c.unsent)
				}
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%v does not count as our own stop", err)
				}
				settled(t, tr, base)
			})
		})
	}
}

// Whatever a peer does, attempts and waits stay within the configuration, a call
// under Once is repeated only when the peer did not work on it, and an error says
// "not sent" only if that holds for all attempts.
func TestPropertyAttemptsAndWaitsStayWithinBounds(t *testing.T) {
	t.Parallel()
	type kind struct {
		name  string
		step  func(retryAfter string) step
		clean bool // the peer did not work on it
	}
	status := func(code int) func(string) step {
		return func(after string) step { return answer(code, "x", "Retry-After", after) }
	}
	fails := func(err error) func(string) step {
		return func(string) step { return failure(err) }
	}
	kinds := []kind{
		{"200", status(200), false},
		{"404", status(404), false},
		{"429", status(429), true},
		{"500", status(500), false},
		{"502", status(502), false},
		{"503", status(503), false},
		{"504", status(504), false},
		{"dial", fails(dialRefused()), true},
		{"reset", fails(reset()), false},
		{"hang", func(string) step { return hang }, false},
	}
	rapid.Check(t, func(rt *rapid.T) {
		seconds := rapid.SliceOfN(rapid.IntRange(-1, 400), 6, 6).Draw(rt, "retry_after")
		picks := rapid.SliceOfN(rapid.IntRange(0, len(kinds)-1), 6, 6).Draw(rt, "outcomes")
		cfg := httpx.Config{
			Retries:         rapid.IntRange(1, 5).Draw(rt, "retries"),
			MinBackoff:      time.Duration(rapid.IntRange(1, 5000).Draw(rt, "min_ms")) * time.Millisecond,
			MaxBackoff:      time.Duration(rapid.IntRange(5000, 60000).Draw(rt, "max_ms")) * time.Millisecond,
			MaxRetryAfter:   time.Duration(rapid.IntRange(1, 300).Draw(rt, "cap_s")) * time.Second,
			BreakerFailures: 100,
			AttemptTimeout:  time.Second,
		}
		policy := rapid.SampledFrom([]httpx.Policy{httpx.Idempotent, httpx.Once}).Draw(rt, "policy")
		base := &script{}
		for i, p := range picks {
			base.steps = append(base.steps, kinds[p].step(strconv.Itoa(seconds[i])))
		}
		cfg.Base = base
		var err error
		// rapid must not fail inside the bubble: it reads the test's deadline.
		synctest.Test(t, func(t *testing.T) {
			tr := chain(t, cfg)
			_, _, err = fetch(tr, request(t, httpx.WithPolicy(t.Context(), policy), "PUT", address, "x"))
			settled(t, tr, base)
		})

		n := base.attempts()
		if n < 1 || n > cfg.Retries+1 {
			rt.Fatalf("%d attempts with %d retries", n, cfg.Retries)
		}
		clean := true
		for i := range n {
			k := kinds[picks[i]]
			clean = clean && k.clean
			if i < n-1 && policy == httpx.Once && !k.clean {
				rt.Fatalf("repeated after %s under Once", k.name)
			}
		}
		if fault.NotSent(err) && !clean {
			rt.Fatalf("%v says not sent after %v", err, picks[:n])
		}
		for i, gap := range base.gaps() {
			if kinds[picks[i]].name == "hang" {
				gap -= cfg.AttemptTimeout
			}
			if gap < 0 || gap > max(cfg.MaxBackoff, cfg.MaxRetryAfter) {
				rt.Fatalf("waited %s before attempt %d", gap, i+2)
			}
			asked := time.Duration(seconds[i]) * time.Second
			if slices.Contains([]string{"429", "503"}, kinds[picks[i]].name) && gap < min(asked, cfg.MaxRetryAfter) {
				rt.Fatalf("waited %s where %s was asked for", gap, asked)
			}
		}
	})
}
