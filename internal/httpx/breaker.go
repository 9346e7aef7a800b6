package httpx

import (
	"sync"
	"time"
)

// BreakerState is the state of a peer's circuit breaker.
type BreakerState string

const (
	// BreakerClosed lets every call through.
	BreakerClosed BreakerState = "closed"
	// BreakerOpen refuses every call until the pause is over.
	BreakerOpen BreakerState = "open"
	// BreakerHalfOpen lets one call at a time through: it closes or reopens the
	// breaker.
	BreakerHalfOpen BreakerState = "half_open"
)

// verdict is what the end of an attempt tells the breaker.
type verdict uint8

const (
	verdictNone verdict = iota // says nothing: the caller went away, or it may lie in the request
	verdictGood                // the peer works
	verdictBad                 // the peer does not
)

// breaker refuses calls to a peer that failed too often in a row.
type breaker struct {
	threshold int
	pause     time.Duration
	now       func() time.Time

	mu       sync.Mutex
	state    BreakerState // "" means closed
	failures int          // in a row, while closed
	until    time.Time    // end of the pause, while open
	trying   bool         // a trial call is under way, while half open
	// term counts the changes of state. What was begun in an earlier term has no
	// say in this one: a time-out of a call older than the pause does not reopen
	// the breaker.
	term uint64
}

// permit entitles to one attempt.
type permit struct {
	term  uint64
	trial bool
}

// refused returns until when the breaker refuses calls. An attempt still needs
// acquire: this only spares waiting for a slot in vain.
func (b *breaker) refused() (until time.Time, refused bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until, b.state == BreakerOpen && b.now().Before(b.until)
}

// acquire returns a permit, or false and the time from which a call is let through.
// That time is past when a trial call is under way.
func (b *breaker) acquire() (permit, time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state {
	case BreakerOpen:
		if b.now().Before(b.until) {
			return permit{}, b.until, false
		}
		b.change(BreakerHalfOpen)
	case BreakerHalfOpen:
		if b.trying {
			return permit{}, b.until, false
		}
	default:
		return permit{term: b.term}, time.Time{}, true
	}
	b.trying = true
	return permit{term: b.term, trial: true}, time.Time{}, true
}

// done takes the verdict of an attempt and reports the state it led to, if that is
// another than before.
func (b *breaker) done(p permit, v verdict) (state BreakerState, until time.Time, changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.term != b.term {
		return "", time.Time{}, false
	}
	switch {
	case p.trial && v == verdictNone:
		b.trying = false // the next call tries
		return "", time.Time{}, false
	case p.trial && v == verdictGood:
		b.change(BreakerClosed)
		return BreakerClosed, time.Time{}, true
	case v == verdictGood:
		b.failures = 0
		return "", time.Time{}, false
	case v == verdictNone:
		return "", time.Time{}, false
	}
	if b.failures++; !p.trial && b.failures < b.threshold {
		return "", time.Time{}, false
	}
	b.change(BreakerOpen)
	b.until = b.now().Add(b.pause)
	return BreakerOpen, b.until, true
}

// change enters a state; b.mu is held.
func (b *breaker) change(s BreakerState) {
	b.state, b.failures, b.trying = s, 0, false
	b.term++
}

func (b *breaker) snapshot() (BreakerState, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state {
	case BreakerOpen:
		return b.state, b.until
	case BreakerHalfOpen:
		return b.state, time.Time{}
	default:
		return BreakerClosed, time.Time{}
	}
}
