package httpx

import (
	"container/list"
	"context"
	"sync"
)

// signal is what the end of an attempt tells the limiter.
type signal uint8

const (
	signalNone     signal = iota // says nothing about the load
	signalFine                   // answered
	signalOverload               // 429, 503, 504 or a time-out
)

// limiter bounds the attempts in flight to one host. The limit starts at its
// ceiling, is halved when the host shows overload, and grows by one for each
// limit's worth of answers while it is used to the full (additive increase,
// multiplicative decrease). Latency plays no part: a healthy host is never held
// back, however its answers differ.
//
// Waiters are served in the order they came.
type limiter struct {
	ceiling float64

	mu       sync.Mutex
	limit    float64 // 1 to ceiling; its whole part counts
	inFlight int
	waiters  list.List // of chan struct{}, closed when the slot is the waiter's
	// epoch counts the halvings. Attempts begun before the last one do not halve
	// what it set: fifty of them timing out together halve once.
	epoch uint64
	// answered is set by the first answer: from then on the host is known to exist.
	answered bool
}

func newLimiter(ceiling int) *limiter {
	return &limiter{ceiling: float64(ceiling), limit: float64(ceiling)}
}

// acquire waits for a slot and returns the epoch to give back with it.
func (l *limiter) acquire(ctx context.Context) (epoch uint64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	if l.inFlight < int(l.limit) { // then nobody waits: see grant
		l.inFlight++
		epoch = l.epoch
		l.mu.Unlock()
		return epoch, nil
	}
	ready := make(chan struct{})
	place := l.waiters.PushBack(ready)
	l.mu.Unlock()

	select {
	case <-ready:
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.epoch, nil
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		select {
		case <-ready: // granted at the same moment: pass it on
			l.inFlight--
			l.grant()
		default:
			l.waiters.Remove(place)
		}
		return 0, ctx.Err()
	}
}

// release gives a slot back and reports whether it changed the limit's whole part.
func (l *limiter) release(epoch uint64, s signal) (limit int, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := int(l.limit)
	switch {
	case s == signalFine:
		l.answered = true
		if l.inFlight >= before {
			l.limit = min(l.limit+1/l.limit, l.ceiling)
		}
	case s == signalOverload && epoch == l.epoch:
		l.limit = max(l.limit/2, 1)
		l.epoch++
	}
	l.inFlight--
	l.grant()
	return int(l.limit), int(l.limit) != before
}

// grant hands free slots to the longest waiting; l.mu is held. It runs whenever a
// slot may have become free, so that nobody waits while one is.
func (l *limiter) grant() {
	for l.inFlight < int(l.limit) {
		first := l.waiters.Front()
		if first == nil {
			return
		}
		l.waiters.Remove(first)
		l.inFlight++
		close(first.Value.(chan struct{}))
	}
}

// known reports whether the host ever answered.
func (l *limiter) known() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered
}

func (l *limiter) snapshot() (inFlight, waiting, limit int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inFlight, l.waiters.Len(), int(l.limit)
}
