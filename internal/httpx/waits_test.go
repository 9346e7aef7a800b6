package httpx_test

import (
	"context"
	"errors"
	"fmt"
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
