package httpx_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

// opened returns a chain whose breaker just opened after three failures; the fake
// peer takes steps from then on.
func opened(t *testing.T, steps ...step) (*httpx.Transport, *script) {
	t.Helper()
	fail := failure(dialRefused())
	base := &script{steps: append([]step{fail, fail, fail}, steps...)}
	tr := chain(t, httpx.Config{Base: base, Retries: -1, BreakerFailures: 3, BreakerPause: 30 * time.Second, AttemptTimeout: 5 * time.Second})
	for i := range 3 {
		if s := tr.Stats(); s.Breaker != httpx.BreakerClosed {
			t.Fatalf("%s after %d failures", s.Breaker, i)
		}
		_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
	}
	if s := tr.Stats(); s.Breaker != httpx.BreakerOpen || !s.BreakerUntil.Equal(time.Now().Add(30*time.Second)) {
		t.Fatalf("%s until %s after three failures", s.Breaker, s.BreakerUntil)
	}
	return tr, base
}

func TestPromise21_OpenBreakerFailsAtOnceAndSaysUntilWhen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr, base := opened(t, answer(200, ""))
		until := time.Now().Add(30 * time.Second)
		body := &closeRecorder{Reader: strings.NewReader("x")}
		req := request(t, t.Context(), "POST", address, "x")
		req.Body = body
		_, _, err := fetch(tr, req)
		e := typed(t, err)
		if e.Kind != httpx.KindBreakerOpen || !e.Until.Equal(until) || !fault.NotSent(err) || fault.ClassOf(err) != fault.Retry {
			t.Errorf("got %v, until %s, unsent %t, class %s", err, e.Until, e.NotSent(), fault.ClassOf(err))
		}
		if want := until.UTC().Format(time.RFC3339); !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %s", err, want)
		}
		if base.attempts() != 3 || !body.closed {
			t.Errorf("%d attempts reached the peer, body closed %t", base.attempts(), body.closed)
		}
		if !time.Now().Equal(until.Add(-30 * time.Second)) {
			t.Error("the refusal took time")
		}
	})
}

func TestBreakerLifeCycle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		trial step
		want  httpx.BreakerState
	}{
		{"answer closes", answer(200, "ok"), httpx.BreakerClosed},
		{"refusal of the call closes", answer(404, "no"), httpx.BreakerClosed},
		{"429 closes", answer(429, ""), httpx.BreakerClosed},
		{"500 closes: the peer is there", answer(500, ""), httpx.BreakerClosed},
		{"503 reopens", answer(503, ""), httpx.BreakerOpen},
		{"504 reopens", answer(504, ""), httpx.BreakerOpen},
		{"time-out reopens", hang, httpx.BreakerOpen},
		{"refused connection reopens", failure(dialRefused()), httpx.BreakerOpen},
		{"hanging body reopens", trickle(200, "par"), httpx.BreakerOpen},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tr, base := opened(t, c.trial, answer(200, ""))
				time.Sleep(30*time.Second - 1)
				if _, _, err := fetch(tr, request(t, t.Context(), "GET", address, "")); typed(t, err).Kind != httpx.KindBreakerOpen {
					t.Errorf("before the end of the pause: %v", err)
				}
				time.Sleep(time.Nanosecond)
				_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
				s := tr.Stats()
				if base.attempts() != 4 || s.Breaker != c.want {
					t.Errorf("%d attempts, breaker %s, want 4 and %s", base.attempts(), s.Breaker, c.want)
				}
				if c.want == httpx.BreakerOpen && !s.BreakerUntil.Equal(time.Now().Add(30*time.Second)) {
					t.Errorf("open until %s, want a whole pause from now", s.BreakerUntil)
				}
				settled(t, tr, base)
			})
		})
	}
}

func TestHalfOpenBreakerLetsOneCallThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func(ok step) step {
			return func(r *http.Request) (*http.Response, error) { time.Sleep(time.Second); return ok(r) }
		}
		tr, base := opened(t, slow(answer(200, "")))
		time.Sleep(30 * time.Second)
		done := make(chan error, 1)
		go func() {
			_, _, err := fetch(tr, request(t, t.Context(), "GET", address, ""))
			done <- err
		}()
		synctest.Wait()
		if s := tr.Stats(); s.Breaker != httpx.BreakerHalfOpen {
			t.Errorf("breaker %s during the trial call", s.Breaker)
		}
		_, _, err := fetch(tr, request(t, t.Context(), "GET", address, ""))
		if e := typed(t, err); e.Kind != httpx.KindBreakerOpen || !strings.Contains(err.Error(), "trial call") || !e.NotSent() {
			t.Errorf("a second call got %v", err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if s := tr.Stats(); s.Breaker != httpx.BreakerClosed || base.attempts() != 4 {
			t.Errorf("breaker %s, %d attempts", s.Breaker, base.attempts())
		}
		settled(t, tr, base)
	})
}

func TestClosedBreakerCountsAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr, _ := opened(t, answer(200, ""), failure(dialRefused()))
		time.Sleep(30 * time.Second)
		for i, want := range []httpx.BreakerState{"closed", "closed", "closed", "open"} {
			_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
			if s := tr.Stats(); s.Breaker != want {
				t.Errorf("%s after %d failures, want %s", s.Breaker, i, want)
			}
		}
	})
}

func TestTrialCallWhoseCallerLeavesPassesTheTrialOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr, _ := opened(t, hang, answer(200, ""))
		time.Sleep(30 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := fetch(tr, request(t, ctx, "GET", address, "")); typed(t, err).Kind != httpx.KindCanceled {
			t.Errorf("got %v", err)
		}
		if status, _, err := fetch(tr, request(t, t.Context(), "GET", address, "")); status != 200 || err != nil {
			t.Errorf("the next call got %d, %v", status, err)
		}
	})
}

func TestLateFailureOfAnOlderCallDoesNotReopenTheBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fail := failure(dialRefused())
		slow := func(ok step) step {
			return func(r *http.Request) (*http.Response, error) { time.Sleep(2 * time.Second); return ok(r) }
		}
		base := &script{steps: []step{hang, fail, slow(answer(200, ""))}}
		tr := chain(t, httpx.Config{Base: base, Retries: -1, BreakerFailures: 1, BreakerPause: 9 * time.Second, AttemptTimeout: 10 * time.Second})
		old := make(chan error, 1)
		go func() {
			_, _, err := fetch(tr, request(t, t.Context(), "GET", address, ""))
			old <- err
		}()
		synctest.Wait()
		_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
		time.Sleep(9 * time.Second)
		// The trial call lasts from 9 s to 11 s; the old call times out at 10 s.
		trial := make(chan error, 1)
		go func() {
			_, _, err := fetch(tr, request(t, t.Context(), "GET", address, ""))
			trial <- err
		}()
		if e := typed(t, <-old); e.Kind != httpx.KindTimeout {
			t.Errorf("the old call got %v", e)
		}
		if s := tr.Stats(); s.Breaker != httpx.BreakerHalfOpen {
			t.Errorf("breaker %s after the old call's failure", s.Breaker)
		}
		if err := <-trial; err != nil {
			t.Errorf("the trial call got %v", err)
		}
		if s := tr.Stats(); s.Breaker != httpx.BreakerClosed {
			t.Errorf("breaker %s", s.Breaker)
		}
	})
}

func TestSuccessBetweenFailuresKeepsTheBreakerClosed(t *testing.T) {
	t.Parallel()
	fail, ok := failure(dialRefused()), answer(200, "")
	base := &script{steps: []step{fail, fail, ok, fail, fail, ok, fail, fail, ok}}
	tr := chain(t, httpx.Config{Base: base, Retries: -1, BreakerFailures: 3})
	for range 9 {
		_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
	}
	if s := tr.Stats(); s.Breaker != httpx.BreakerClosed || base.attempts() != 9 {
		t.Errorf("breaker %s after %d attempts", s.Breaker, base.attempts())
	}
}

// A page with a poisoned record is asked for in nine sizes, 300 to 1; each call is
// tried five times. That is about the record, not the peer.
func TestPromise05_HuntForAPoisonedRecordDoesNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	for name, poison := range map[string]step{"500": answer(500, "memory exhausted"), "504": answer(504, ""), "time-out": hang} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				base := &script{steps: []step{poison}}
				tr := chain(t, httpx.Config{Base: base})
				for range 9 {
					_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
				}
				if s := tr.Stats(); s.Breaker != httpx.BreakerClosed || base.attempts() != 45 {
					t.Errorf("breaker %s after %d attempts", s.Breaker, base.attempts())
				}
				_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
				if s := tr.Stats(); s.Breaker != httpx.BreakerOpen {
					t.Errorf("breaker %s after ten failed calls", s.Breaker)
				}
			})
		})
	}
}

// A call that opens the breaker itself, or finds it open after a wait, returns what
// it learnt: "breaker open" would claim that nothing was sent.
func TestPromise10_BreakerDoesNotHideAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &script{steps: []step{failure(reset()), failure(dialRefused())}}
		tr := chain(t, httpx.Config{Base: base, BreakerFailures: 2, Retries: 9})
		ctx := httpx.WithPolicy(t.Context(), httpx.Idempotent)
		_, _, err := fetch(tr, request(t, ctx, "PUT", address, "x"))
		if d := time.Since(base.last()); d != 0 {
			t.Errorf("waited %s for an attempt that would be refused", d)
		}
		if e := typed(t, err); e.Kind != httpx.KindDial || e.NotSent() || e.Attempts != 2 {
			t.Errorf("got %v, unsent %t", err, e.NotSent())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		base := &script{steps: []step{answer(503, "maintenance", "Retry-After", "20"), failure(dialRefused())}}
		tr := chain(t, httpx.Config{Base: base, BreakerFailures: 2})
		other := make(chan struct{})
		go func() {
			defer close(other)
			time.Sleep(time.Second)
			_, _, _ = fetch(tr, request(t, t.Context(), "POST", address, ""))
		}()
		status, body, err := fetch(tr, request(t, t.Context(), "GET", address, ""))
		if status != 503 || body != "maintenance" || err != nil {
			t.Errorf("got %d %q %v, want the 503 with its body", status, body, err)
		}
		<-other
	})
}

func TestCallWaitsForTheBreakerWhenItsPauseEndsSooner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &script{steps: []step{answer(503, "", "Retry-After", "60"), answer(200, "ok")}}
		tr := chain(t, httpx.Config{Base: base, BreakerFailures: 1, BreakerPause: 30 * time.Second})
		if status, _, err := fetch(tr, request(t, t.Context(), "GET", address, "")); status != 200 || err != nil {
			t.Errorf("got %d, %v", status, err)
		}
	})
}

func TestBreakerChangesAreLoggedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		log := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		}))
		fail := failure(dialRefused())
		base := &script{steps: []step{fail, fail, answer(200, "")}}
		tr := chain(t, httpx.Config{Base: base, Retries: -1, BreakerFailures: 2, Log: log})
		for range 5 {
			_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
		}
		time.Sleep(30 * time.Second)
		for range 2 {
			_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
		}
		want := `level=WARN msg="peer fails, calls are held back" peer=magento until=2000-01-01T00:00:30.000Z
level=INFO msg="peer works again, calls go out" peer=magento
`
		if d := cmp.Diff(want, text.String()); d != "" {
			t.Error(d)
		}
	})
}
