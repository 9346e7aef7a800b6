package httpx_test

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/internal/httpx"
)

func TestStatsLatencyQuantilesAreWithinAFifth(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(seed, 2))
		var took []time.Duration
		peer := &crowd{latency: func() time.Duration {
			d := time.Duration(100+random.IntN(5_000_000)) * time.Microsecond
			took = append(took, d)
			return d
		}}
		peer.capacity.Store(1000)
		tr := chain(t, httpx.Config{Base: peer})
		for range 2000 {
			_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
		}
		slices.Sort(took)
		h := tr.Stats().Latency
		if h.Count != 2000 {
			t.Fatalf("%d latencies", h.Count)
		}
		for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
			want := took[max(int(q*2000+0.5), 1)-1]
			if got := h.Quantile(q); got < want || float64(got) > 1.25*float64(want) {
				t.Errorf("quantile %g is %s, want %s and at most a quarter more", q, got, want)
			}
		}
		var sum time.Duration
		for _, d := range took {
			sum += d
		}
		if h.Sum != sum || h.Mean() != sum/2000 {
			t.Errorf("sum %s, mean %s, want %s, %s", h.Sum, h.Mean(), sum, sum/2000)
		}
		var last time.Duration
		var n int64
		for bound, count := range h.Buckets {
			if bound < last || count < n {
				t.Errorf("bucket %s with %d after %s with %d", bound, count, last, n)
			}
			below, _ := slices.BinarySearch(took, bound+1)
			if bound < 100*time.Second && int64(below) != count {
				t.Errorf("%d at or below %s, want %d", count, bound, below)
			}
			last, n = bound, count
		}
		if n != 2000 {
			t.Errorf("the last bucket holds %d", n)
		}
	})
}

func TestStatsOfAnIdleChain(t *testing.T) {
	t.Parallel()
	s := chain(t, httpx.Config{Peer: "copernica", Base: &script{}, Concurrency: 9}).Stats()
	if s.Peer != "copernica" || s.Limit != 9 || s.Breaker != httpx.BreakerClosed || len(s.Failures) != 0 ||
		s.Latency.Quantile(0.5) != 0 || s.Latency.Mean() != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestExtremeLatenciesAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		times := []time.Duration{0, time.Nanosecond, 64 * time.Microsecond, 10 * time.Minute}
		peer := &crowd{latency: func() time.Duration { d := times[0]; times = times[1:]; return d }}
		peer.capacity.Store(1)
		tr := chain(t, httpx.Config{Base: peer, AttemptTimeout: time.Hour})
		for range 4 {
			_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
		}
		h := tr.Stats().Latency
		if h.Count != 4 || h.Quantile(0.75) != 64*time.Microsecond || h.Quantile(1) < 2*time.Minute {
			t.Errorf("count %d, quantiles %s and %s", h.Count, h.Quantile(0.75), h.Quantile(1))
		}
	})
}

func TestStatsOfSomeCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		peer := &script{steps: []step{answer(503, ""), answer(503, ""), answer(200, "")}}
		tr := chain(t, httpx.Config{Base: peer})
		var some atomic.Int64
		_, _, _ = fetch(tr, request(t, httpx.CountAttempts(t.Context(), &some), "GET", address, ""))
		_, _, _ = fetch(tr, request(t, t.Context(), "GET", address, ""))
		if calls := tr.Stats().Calls; some.Load() != 3 || calls != 4 {
			t.Errorf("%d of %d attempts, want 3 of 4", some.Load(), calls)
		}
	})
}
