package schedule

import (
	"context"
	"errors"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// Between names the work between the ticks that is due first, and since when; a time in
// the future says that it is not due yet, and no name that there is none. What is named
// is worked as a task of that name, once: what comes next is asked anew.
type Between func(ctx context.Context) (name string, due time.Time, err error)

// between returns the work that is due between the ticks, or how long to sleep. Streams
// go first: none is begun while the tick of one has come, unless that stream backs off.
func (s *Scheduler) between(ctx context.Context, now time.Time, pause time.Duration) (*Task, time.Duration) {
	if s.cfg.Between == nil {
		return nil, pause
	}
	for _, l := range s.lines {
		if tick, start := s.start(l, now); !start.IsZero() && !tick.After(now) && !l.notBefore.After(now) {
			return nil, pause
		}
	}
	if wait := s.rest.Sub(now); wait > 0 {
		return nil, min(pause, wait)
	}
	asking, cancel := context.WithTimeout(ctx, storeLimit)
	defer cancel()
	name, due, err := s.cfg.Between(asking)
	switch {
	case ctx.Err() != nil:
		return nil, pause
	case err != nil:
		s.suffer(now, err, false)
		return nil, min(max(s.trouble.until.Sub(now), 0), longestSleep)
	case s.trouble.times > 0 && !s.trouble.begin:
		s.relieve()
	}
	switch {
	case name == "":
		return nil, pause
	case due.After(now):
		return nil, min(pause, due.Sub(now))
	}
	return &Task{Pipeline: s.cfg.Pipeline, Stream: name, Tick: due, Start: now, Between: true}, longestSleep
}

// settleBetween draws the conclusions from what came of work between the ticks. When it
// is due again, and what is said of its failures, is decided by whoever named it.
func (s *Scheduler) settleBetween(r Result, now time.Time) {
	switch r.Kind {
	case Ended, Failed:
		s.journal.free(now)
	case Held:
		held, _ := errors.AsType[*state.HeldError](r.Err)
		s.rest = now.Add(min(heldPause, max(held.Expires.Sub(now), time.Second)))
		s.journal.waits(r.Err, now)
	case NotStarted:
		s.suffer(now, r.Err, true)
	case Stopped:
	}
	s.cfg.Observe(r)
}
