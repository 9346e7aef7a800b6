package httpx_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/magento-copernica/syncd/internal/httpx"
)

// crowd is a peer that answers capacity calls at a time and refuses the others.
type crowd struct {
	capacity  atomic.Int64
	refusal   step // what a call beyond the capacity gets
	latency   func() time.Duration
	inFlight  atomic.Int64
	peak      atomic.Int64
	answered  atomic.Int64
	overloads atomic.Int64
}

func (c *crowd) RoundTrip(req *http.Request) (*http.Response, error) {
	n := c.inFlight.Add(1)
	defer c.inFlight.Add(-1)
	for p := c.peak.Load(); n > p && !c.peak.CompareAndSwap(p, n); p = c.peak.Load() {
	}
	if n > c.capacity.Load() {
		c.overloads.Add(1)
		return c.refusal(req)
	}
	time.Sleep(c.latency())
	c.answered.Add(1)
	return &http.Response{StatusCode: 200, Header: make(http.Header), ContentLength: -1, Body: io.NopCloser(strings.NewReader("ok"))}, nil
}

// callers keeps n callers busy for d.
func callers(t *testing.T, tr http.RoundTripper, n int, d time.Duration) {
	t.Helper()
	end := time.Now().Add(d)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for time.Now().Before(end) {
				_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
			}
		})
	}
	wg.Wait()
}

func TestHealthyPeerIsNotThrottled(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	mixed := func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(1+random.IntN(500)) * time.Millisecond
	}
	for name, latency := range map[string]func() time.Duration{
		"steady": func() time.Duration { return 20 * time.Millisecond },
		"mixed":  mixed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				peer := &crowd{latency: latency}
				peer.capacity.Store(1000)
				tr := chain(t, httpx.Config{Base: peer, Concurrency: 50})
				began := time.Now()
				callers(t, tr, 50, 10*time.Second)
				s := tr.Stats()
				if s.Limit != 50 || peer.peak.Load() != 50 {
					t.Errorf("limit %d, at most %d in flight, want 50", s.Limit, peer.peak.Load())
				}
				if name == "steady" {
					if got, want := peer.answered.Load(), int64(50*time.Since(began)/(20*time.Millisecond)); got != want {
						t.Errorf("%d answers, want %d", got, want)
					}
				}
			})
		})
	}
}

func TestConcurrencyIsACeiling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		peer := &crowd{latency: func() time.Duration { return 20 * time.Millisecond }}
		peer.capacity.Store(1000)
		tr := chain(t, httpx.Config{Base: peer, Concurrency: 7})
		callers(t, tr, 50, 10*time.Second)
		if p := peer.peak.Load(); p != 7 {
			t.Errorf("%d in flight", p)
		}
	})
}

func TestPromise06_LimitFollowsAnOverloadedPeerDownAndUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refusal step
		// At least so many answers for each refusal. A time-out is told ten answers
		// late, and the limit has grown meanwhile.
		answers int64
	}{
		"503":      {answer(503, ""), 20},
		"429":      {answer(429, ""), 20},
		"time-out": {hang, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				peer := &crowd{refusal: c.refusal, latency: func() time.Duration { return 20 * time.Millisecond }}
				peer.capacity.Store(10)
				tr := chain(t, httpx.Config{
					Base: peer, Concurrency: 40, AttemptTimeout: 200 * time.Millisecond,
					MinBackoff: 20 * time.Millisecond, MaxBackoff: time.Second, BreakerFailures: 1000,
				})
				callers(t, tr, 40, 5*time.Second)
				peer.answered.Store(0)
				peer.overloads.Store(0)
				peer.peak.Store(0)
				callers(t, tr, 40, 20*time.Second)
				if l := tr.Stats().Limit; l > 12 {
					t.Errorf("limit %d with a capacity of 10", l)
				}
				if p := peer.peak.Load(); p > 20 {
					t.Errorf("%d in flight at once with a capacity of 10", p)
				}
				good, bad := peer.answered.Load(), peer.overloads.Load()
				if bad*c.answers > good {
					t.Errorf("%d refused beside %d answered: the limit does not hold", bad, good)
				}
				// Three quarters of the capacity is what halving and growing by one yields.
				if possible := int64(20 * time.Second / (20 * time.Millisecond) * 10); name != "time-out" && good < possible*6/10 {
					t.Errorf("%d answered of %d possible", good, possible)
				}
				peer.capacity.Store(1000)
				callers(t, tr, 40, 5*time.Second)
				if l := tr.Stats().Limit; l != 40 {
					t.Errorf("limit %d after the peer recovered, want 40", l)
				}
			})
		})
	}
}

func TestOneBurstOfRefusalsHalvesOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &script{steps: []step{hang}}
		tr := chain(t, httpx.Config{Base: base, Concurrency: 40, Retries: -1, BreakerFailures: 1000})
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() { _, _, _ = fetch(tr, request(t, t.Context(), "GET", address, "")) })
		}
		wg.Wait()
		if l := tr.Stats().Limit; l != 20 {
			t.Errorf("limit %d after one round of time-outs, want 20", l)
		}
		for range 10 {
			_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
		}
		if l := tr.Stats().Limit; l != 1 {
			t.Errorf("limit %d after many, want 1", l)
		}
	})
}

func TestWhatSaysNothingAboutLoadLeavesTheLimitAlone(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]step{
		"500": answer(500, ""), "502": answer(502, ""), "404": answer(404, ""),
		"refused": failure(dialRefused()), "reset": failure(reset()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := chain(t, httpx.Config{Base: &script{steps: []step{s}}, Retries: -1, BreakerFailures: 100})
			for range 20 {
				_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
			}
			if l := tr.Stats().Limit; l != 4 {
				t.Errorf("limit %d, want 4", l)
			}
		})
	}
}

func TestHostsHaveLimitsOfTheirOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &script{steps: []step{hang}}
		tr := chain(t, httpx.Config{Base: base, Concurrency: 1, Retries: -1})
		go func() { _, _, _ = fetch(tr, request(t, t.Context(), "GET", "http://api.example/", "")) }()
		synctest.Wait()
		go func() { _, _, _ = fetch(tr, request(t, t.Context(), "GET", "http://auth.example/", "")) }()
		synctest.Wait()
		if s := tr.Stats(); s.InFlight != 2 || s.Waiting != 0 {
			t.Errorf("%d in flight, %d waiting: one host holds the other up", s.InFlight, s.Waiting)
		}
		time.Sleep(2 * time.Minute)
	})
}

func TestWaitingForASlotEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &script{steps: []step{hang}}
		tr := chain(t, httpx.Config{Base: base, Concurrency: 1, Retries: -1})
		first := make(chan struct{})
		go func() {
			defer close(first)
			_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		body := &closeRecorder{Reader: strings.NewReader("x")}
		req := request(t, ctx, "POST", address, "x")
		req.Body = body
		began := time.Now()
		_, _, err := fetch(tr, req)
		if e := typed(t, err); e.Kind != httpx.KindCanceled || !e.NotSent() || e.Attempts != 0 {
			t.Errorf("got %v, unsent %t", err, e.NotSent())
		}
		if d := time.Since(began); d != 3*time.Second || !body.closed {
			t.Errorf("came back after %s, body closed %t", d, body.closed)
		}
		<-first
		settled(t, tr, base)
	})
}

func TestSlotsAreGivenInTheOrderOfAsking(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var order []string
		base := &script{steps: []step{func(req *http.Request) (*http.Response, error) {
			order = append(order, req.URL.Path)
			time.Sleep(time.Second)
			return answer(200, "")(req)
		}}}
		tr := chain(t, httpx.Config{Base: base, Concurrency: 1})
		var wg sync.WaitGroup
		for _, p := range []string{"/a", "/b", "/c", "/d"} {
			wg.Go(func() { _, _, _ = fetch(tr, request(t, t.Context(), "GET", "http://shop.example"+p, "")) })
			synctest.Wait()
		}
		wg.Wait()
		if d := cmp.Diff([]string{"/a", "/b", "/c", "/d"}, order); d != "" {
			t.Error(d)
		}
	})
}

// A caller that leaves in the moment it gets its slot must not take it along.
func TestSlotGrantedToALeavingCallerIsPassedOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &script{steps: []step{answer(200, "x")}}
		tr := chain(t, httpx.Config{Base: base, Concurrency: 1})
		for range 100 {
			first, err := tr.RoundTrip(request(t, t.Context(), "GET", address, ""))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			left := make(chan struct{})
			go func() {
				defer close(left)
				_, _, _ = fetch(tr, request(t, ctx, "GET", address, ""))
			}()
			synctest.Wait()
			cancel()
			_ = first.Body.Close() // grants, mostly before the caller notices
			<-left
		}
		settled(t, tr, base)
	})
}

func TestSlotsAreNotLostToLeavingCallers(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(seed, 1))
		peer := &crowd{latency: func() time.Duration { return 10 * time.Millisecond }}
		peer.capacity.Store(1000)
		tr := chain(t, httpx.Config{Base: peer, Concurrency: 3})
		var wg sync.WaitGroup
		for range 2000 {
			// Whole multiples of the latency make slots and deadlines fall together.
			patience := time.Duration(random.IntN(100)) * 10 * time.Millisecond
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				_, _, _ = fetch(tr, request(t, ctx, "GET", address, ""))
			})
		}
		wg.Wait()
		if s := tr.Stats(); s.InFlight != 0 || s.Waiting != 0 {
			t.Fatalf("%d in flight, %d waiting", s.InFlight, s.Waiting)
		}
		if p := peer.peak.Load(); p != 3 {
			t.Errorf("at most %d in flight, want 3", p)
		}
	})
}
