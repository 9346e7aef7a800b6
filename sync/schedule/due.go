package schedule

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// trouble is a state that cannot be read, or in which no run can begin.
type trouble struct {
	times int       // in a row; 0: none
	begin bool      // a run could not begin, which reading does not disprove
	until time.Time // when it is tried again
}

// next returns the task that is due now, or none and how long to sleep.
func (s *Scheduler) next(ctx context.Context) (*Task, time.Duration) {
	now := s.cfg.Now()
	if wait := s.trouble.until.Sub(now); s.trouble.times > 0 && wait > 0 {
		return nil, min(wait, longestSleep)
	}
	if l, _, pause := s.pick(now); l == nil {
		return s.between(ctx, now, pause)
	}
	// What is due by what was read before may have been done by another process.
	if err := s.readMarks(ctx, now); err != nil {
		if ctx.Err() == nil {
			s.suffer(now, err, false)
		}
		return nil, min(max(s.trouble.until.Sub(now), 0), longestSleep)
	}
	l, tick, pause := s.pick(now)
	if l == nil {
		return s.between(ctx, now, pause)
	}
	if tick.IsZero() {
		tick = now
	}
	task := &Task{Pipeline: s.cfg.Pipeline, Stream: l.Name, Tick: tick, Start: now, Asked: !l.wanted.IsZero()}
	l.wanted = time.Time{}
	return task, longestSleep
}

// pick chooses among the lines that may start now: the one whose tick is oldest, so
// that a stream that is always busy starves no other, and of one tick the first in the
// list. A line waits for those before it whose tick has come and is no younger, also
// when they start a little later, so that customers go before orders.
func (s *Scheduler) pick(now time.Time) (chosen *line, tick time.Time, pause time.Duration) {
	pause = longestSleep
	for i, l := range s.lines {
		due, start := s.start(l, now)
		switch {
		case start.IsZero():
		case start.After(now):
			pause = min(pause, start.Sub(now))
		case (chosen == nil || due.Before(tick)) && !s.waits(i, due, now):
			chosen, tick = l, due
		}
	}
	return chosen, tick, pause
}

// waits reports whether a line lets one before it in the list go first.
func (s *Scheduler) waits(i int, tick, now time.Time) bool {
	return slices.ContainsFunc(s.lines[:i], func(before *line) bool {
		theirs, start := s.start(before, now)
		return !start.IsZero() && start.After(now) && !before.notBefore.After(now) && !theirs.After(tick)
	})
}

// start returns the first tick that was not answered, or when the run was asked for,
// and when a task for it may start: zero for never. A stream that was never run is due
// at once, before all others: its tick is the zero time.
func (s *Scheduler) start(l *line, now time.Time) (tick, start time.Time) {
	if !l.known || l.mark.IsZero() {
		return time.Time{}, later(now, l.notBefore)
	}
	if !l.computed {
		l.tick = l.Due.Next(l.mark)
		l.start, l.computed = l.tick, true
		if !l.tick.IsZero() {
			l.start = l.tick.Add(s.lateness(l, l.tick))
		}
	}
	if !l.wanted.IsZero() {
		tick = l.wanted
		if !l.tick.IsZero() && l.tick.Before(tick) {
			tick = l.tick
		}
		return tick, later(now, l.notBefore)
	}
	if l.tick.IsZero() {
		return l.tick, l.tick
	}
	return l.tick, later(l.start, l.notBefore)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// readMarks reads up to where each stream's ticks have been answered.
func (s *Scheduler) readMarks(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, storeLimit)
	defer cancel()
	for _, l := range s.lines {
		mark, err := s.cfg.Store.Mark(ctx, s.markName(l.Name))
		if err != nil {
			return err
		}
		if mark.After(now) && putBack(l, mark, now) {
			if err := s.cfg.Store.SetMark(ctx, s.markName(l.Name), now); err != nil {
				return err
			}
			mark = now
		}
		l.answered(mark)
	}
	if s.trouble.times > 0 && !s.trouble.begin {
		s.relieve()
	}
	return nil
}

// putBack reports whether a mark was made by a clock that has been put back since: it
// lies beyond the next tick.
func putBack(l *line, mark, now time.Time) bool {
	following := l.Due.Next(now)
	return !following.IsZero() && mark.After(following)
}

// settle draws the conclusions from what came of a task.
func (s *Scheduler) settle(ctx context.Context, r Result) {
	now := s.cfg.Now()
	r.Kind = kindOf(ctx, r)
	var l *line
	for _, known := range s.lines {
		if known.Name == r.Task.Stream {
			l = known
		}
	}
	if l == nil { // exchanged meanwhile
		l = &line{Stream: Stream{Name: r.Task.Stream}}
	}
	if s.trouble.times > 0 && (r.Report.Run != 0 || r.Kind == Held) {
		s.relieve()
	}
	if r.Task.Between {
		s.settleBetween(r, now)
		return
	}
	switch r.Kind {
	case Ended:
		l.failures, l.notBefore = 0, time.Time{}
	case Failed:
		l.failures++
		l.notBefore = s.backoff(l, r.Task.Start)
	case Held:
		held, _ := errors.AsType[*state.HeldError](r.Err)
		// Who holds it may be done long before its lease ends.
		l.notBefore = now.Add(min(heldPause, max(held.Expires.Sub(now), time.Second)))
		l.askAgain(r.Task)
	case NotStarted:
		l.askAgain(r.Task)
		s.suffer(now, r.Err, true)
	}
	s.journal.result(r, now, l.failures)
	if r.Kind == Ended || r.Kind == Failed {
		s.answer(ctx, l, r, now)
	}
	s.cfg.Observe(r)
}

// askAgain keeps a trigger whose task could not begin.
func (l *line) askAgain(t Task) {
	if t.Asked {
		l.wanted = t.Start
	}
}

func kindOf(ctx context.Context, r Result) Kind {
	_, held := errors.AsType[*state.HeldError](r.Err)
	switch {
	case r.Err == nil:
		return Ended
	case ctx.Err() != nil:
		return Stopped
	case held:
		return Held
	case r.Report.Run == 0:
		return NotStarted
	default:
		return Failed
	}
}

// answer notes that the ticks up to a task's start are answered. As long as the
// store does not know that, they stay due.
func (s *Scheduler) answer(ctx context.Context, l *line, r Result, now time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeLimit)
	defer cancel()
	if err := s.cfg.Store.SetMark(ctx, s.markName(l.Name), r.Task.Start); err != nil {
		s.suffer(now, err, true)
		return
	}
	l.answered(r.Task.Start)
}

// backoff returns when a stream that failed so often in a row may be tried again: at
// the first, the second, the fourth tick after its start, within longestBackoff.
func (s *Scheduler) backoff(l *line, start time.Time) time.Time {
	if l.Due == nil {
		return time.Time{}
	}
	tick := l.Due.Next(start)
	for range 1<<min(l.failures-1, 10) - 1 {
		following := l.Due.Next(tick)
		if following.IsZero() || following.Sub(start) > longestBackoff {
			break
		}
		tick = following
	}
	if tick.IsZero() {
		return tick
	}
	return tick.Add(s.lateness(l, tick))
}

// suffer notes that the state is out of reach; each time in a row the pause grows.
func (s *Scheduler) suffer(now time.Time, err error, begin bool) {
	pause := shortPause
	for range min(s.trouble.times, 10) {
		pause = min(2*pause, longPause)
	}
	if s.trouble.times == 0 {
		s.journal.outOfReach(err)
	}
	s.trouble = trouble{times: s.trouble.times + 1, begin: begin || s.trouble.begin, until: now.Add(pause)}
}

// relieve notes that the state is within reach again.
func (s *Scheduler) relieve() {
	s.journal.withinReach(s.trouble.times)
	s.trouble = trouble{}
}
