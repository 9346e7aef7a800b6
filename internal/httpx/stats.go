package httpx

import (
	"context"
	"math/bits"
	"sync/atomic"
	"time"
)

// Stats is a snapshot of a [Transport]'s work since it was made.
type Stats struct {
	// Peer is the name from the configuration.
	Peer string
	// Calls counts the attempts on the wire, first and further ones alike.
	Calls int64
	// Retries counts the further attempts among them.
	Retries int64
	// Failures counts failed attempts, calls refused by the breaker and bodies
	// beyond the limit, by kind. Kinds without a failure are absent.
	Failures map[Kind]int64
	// InFlight and Waiting count the attempts on the wire now and the calls that
	// wait for a slot.
	InFlight, Waiting int
	// Limit is the present limit of attempts in flight: the lowest of the peer's
	// hosts.
	Limit int
	// Breaker is the state of the breaker, BreakerUntil the end of its pause (zero
	// unless open).
	Breaker      BreakerState
	BreakerUntil time.Time
	// Latency holds the times of the attempts that were answered, from the slot to
	// the end of the body.
	Latency Histogram
}

type attemptsKey struct{}

// CountAttempts returns a context whose calls add their attempts to n, each when it
// is counted in [Stats.Calls]: some calls to a peer are of another kind than the rest.
func CountAttempts(ctx context.Context, n *atomic.Int64) context.Context {
	return context.WithValue(ctx, attemptsKey{}, n)
}

// counters are the running numbers behind [Stats].
type counters struct {
	calls, retries atomic.Int64
	failures       [kindCount]atomic.Int64
	sum            atomic.Int64
	latency        [bucketCount]atomic.Int64
}

// fail counts a failure.
func (c *counters) fail(k Kind) { c.failures[k].Add(1) }

// observe counts the time of an answered attempt.
func (c *counters) observe(d time.Duration) {
	c.sum.Add(int64(d))
	c.latency[bucketOf(d)].Add(1)
}

// Stats returns a snapshot. It locks nothing for longer than reading a few
// numbers; numbers that change meanwhile may be apart by a call or two.
func (t *Transport) Stats() Stats {
	s := Stats{
		Peer:     t.cfg.Peer,
		Calls:    t.stats.calls.Load(),
		Retries:  t.stats.retries.Load(),
		Failures: make(map[Kind]int64),
		Limit:    t.cfg.Concurrency,
	}
	for k := range kindCount {
		if n := t.stats.failures[k].Load(); n > 0 {
			s.Failures[k] = n
		}
	}
	s.Breaker, s.BreakerUntil = t.breaker.snapshot()
	s.Latency.Sum = time.Duration(t.stats.sum.Load())
	for i := range t.stats.latency {
		n := t.stats.latency[i].Load()
		s.Latency.buckets[i] = n
		s.Latency.Count += n
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, l := range t.hosts {
		inFlight, waiting, limit := l.snapshot()
		s.InFlight += inFlight
		s.Waiting += waiting
		s.Limit = min(s.Limit, limit)
	}
	return s
}

// The buckets of a histogram: four to each doubling from 64 µs to 134 s, one below
// and one above.
const (
	bucketLow   = 6  // 2^6 µs
	bucketHigh  = 27 // 2^27 µs
	bucketCount = (bucketHigh-bucketLow)*4 + 2
)

// Histogram counts durations in fixed buckets, four to each doubling: a quantile
// is off by at most a fifth. It is a plain value and takes no lock.
type Histogram struct {
	// Count and Sum are the number and the total of the durations.
	Count int64
	Sum   time.Duration

	buckets [bucketCount]int64
}

// Mean returns the average, 0 when nothing was counted.
func (h *Histogram) Mean() time.Duration {
	if h.Count == 0 {
		return 0
	}
	return h.Sum / time.Duration(h.Count)
}

// Quantile returns the upper bound of the bucket in which the q-th part (0 to 1)
// of the durations is reached, 0 when nothing was counted. Durations beyond the
// last bucket count as its bound.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.Count == 0 {
		return 0
	}
	rank := max(int64(q*float64(h.Count)+0.5), 1)
	var seen int64
	for i, n := range h.buckets {
		if seen += n; seen >= rank {
			return bucketBound(i)
		}
	}
	return bucketBound(bucketCount - 1)
}

// Buckets yields the upper bound of each bucket and how many durations lie at or
// below it, in the cumulative form Prometheus wants. The last bound stands for all.
func (h *Histogram) Buckets(yield func(bound time.Duration, count int64) bool) {
	var seen int64
	for i, n := range h.buckets {
		seen += n
		if !yield(bucketBound(i), seen) {
			return
		}
	}
}

// bucketOf returns the index of the bucket that d falls into: the first whose
// bound is not below it.
func bucketOf(d time.Duration) int {
	us := uint64(max(d-1, 0) / time.Microsecond)
	if us < 1<<bucketLow {
		return 0
	}
	octave := bits.Len64(us) - 1
	if octave >= bucketHigh {
		return bucketCount - 1
	}
	return 1 + (octave-bucketLow)*4 + int(us>>(octave-2)&3)
}

func bucketBound(i int) time.Duration {
	if i == 0 {
		return (1 << bucketLow) * time.Microsecond
	}
	i = min(i, bucketCount-2) - 1
	return time.Duration(uint64(4+i%4+1)<<(bucketLow+i/4-2)) * time.Microsecond
}
