package main

import (
	"context"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/schedule"
)

// sweeps are what the daemon does between the ticks of the streams: a slice at a time,
// and never while a stream is due.
type sweeps struct {
	now   func() time.Time
	log   *slog.Logger
	seed  string // tells this shop from others, so that they do not all begin at once
	began time.Time

	mu    sync.Mutex
	all   []*sweep
	pause map[string]*pace // by name; it outlives new settings
}

// sweep is one of them.
type sweep struct {
	name string
	due  func(ctx context.Context, e *engine.Engine) (time.Time, error)
	work func(ctx context.Context, e *engine.Engine) (engine.Report, error)
	gap  time.Duration // from the start of a slice to the next one, at least, unless it is behind its time
	rest int           // how often as long as a slice nothing is done after it, at least
}

// pace is when a sweep may go on, and what was said of it.
type pace struct {
	notBefore time.Time
	failures  int
	failed    time.Time      // when its failure was told last; zero: it works
	told      time.Time      // when what it did was told last
	sum       state.Counters // since then
	found     map[engine.Deviation]int64
}

const (
	// sliceTime bounds a slice, so that a stream that becomes due has its turn.
	sliceTime = 20 * time.Second
	// firstSlice and spreadSlices are when the first slices begin after a start.
	firstSlice, spreadSlices = time.Minute, 5 * time.Minute
	// mendPause is how long a sweep that only an operator can set going is left alone.
	mendPause = time.Hour
	// saySweep is how often a sweep tells what it did, and sayFailure what stops it.
	saySweep, sayFailure = time.Hour, 24 * time.Hour
	// consentRest keeps the consent sweep to a tenth of the time, sweepRest the others to
	// a quarter.
	consentRest, sweepRest = 9, 3
)

func newSweeps(seed string, now func() time.Time, log *slog.Logger) *sweeps {
	return &sweeps{now: now, log: log, seed: seed, began: now(), pause: map[string]*pace{}}
}

// use puts the sweeps in place that settings ask for. Those that wait are tried at once
// when an operator may have mended something.
func (s *sweeps) use(cfg config.Config, store state.Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil
	for _, name := range sweepsOf(cfg) {
		period, slice := time.Duration(cfg.Reconcile), engine.Budget{Time: sliceTime}
		one := &sweep{name: name, gap: 5 * time.Minute, rest: sweepRest}
		// What is due just after a slice has to wait for the next one: so much earlier than
		// its period is over a round is to be through.
		paced := period - one.gap
		one.due = func(ctx context.Context, e *engine.Engine) (time.Time, error) { return e.SweepDue(ctx, name, period) }
		switch name {
		case engine.ConsentSweep:
			one.gap, one.rest = time.Duration(cfg.Consent)/15, consentRest
			one.work = func(ctx context.Context, e *engine.Engine) (engine.Report, error) {
				period, err := consentPeriod(ctx, store, cfg)
				if err != nil {
					return engine.Report{Stream: name}, err
				}
				return e.Sweep(ctx, name, engine.Sweep{Period: period, Budget: slice})
			}
			one.due = func(ctx context.Context, e *engine.Engine) (time.Time, error) {
				period, err := consentPeriod(ctx, store, cfg)
				if err != nil {
					return time.Time{}, err
				}
				return e.SweepDue(ctx, name, period)
			}
		case engine.Unsubscribes:
			period = time.Duration(cfg.Consent)
			one.gap = period / 5
			one.work = func(ctx context.Context, e *engine.Engine) (engine.Report, error) { return e.WriteBack(ctx) }
		case engine.InspectSweep:
			one.work = func(ctx context.Context, e *engine.Engine) (engine.Report, error) {
				return e.Inspect(ctx, engine.Inspection{Period: paced, Budget: slice, Repair: cfg.Repair == config.RepairRows, Found: s.found(name)})
			}
		default:
			one.work = func(ctx context.Context, e *engine.Engine) (engine.Report, error) {
				return e.Sweep(ctx, name, engine.Sweep{Period: paced, Budget: slice})
			}
		}
		s.all = append(s.all, one)
		if p := s.pause[name]; p == nil {
			s.pause[name] = &pace{notBefore: s.began.Add(s.first(name)), told: s.began, found: map[engine.Deviation]int64{}}
		} else if p.failures > 0 {
			p.notBefore = time.Time{}
		}
	}
}

// sweepsOf lists the sweeps that settings ask for, those for consent first.
func sweepsOf(cfg config.Config) []string {
	var names []string
	customers, orders := !cfg.Schedule.Customers.Off(), !cfg.Schedule.Orders.Off()
	if !cfg.Consent.Off() && customers {
		names = append(names, engine.ConsentSweep)
		if cfg.WriteBack.On() {
			names = append(names, engine.Unsubscribes)
		}
	}
	if cfg.Reconcile.Off() {
		return names
	}
	if customers {
		names = append(names, engine.CustomersSweep)
	}
	if orders {
		names = append(names, engine.OrdersSweep)
	}
	return append(names, engine.InspectSweep)
}

// first is how long after a start the first slice of a sweep may begin.
func (s *sweeps) first(name string) time.Duration {
	sum := fnv.New64a()
	sum.Write([]byte(s.seed + "\x00" + name))
	return firstSlice + time.Duration(sum.Sum64()%uint64(spreadSlices))
}

// between returns the sweep that is due first, and when.
func (s *sweeps) between(ctx context.Context, e *engine.Engine) (name string, due time.Time, err error) {
	s.mu.Lock()
	all := s.all
	s.mu.Unlock()
	now := s.now()
	for _, one := range all {
		pause := s.notBefore(one.name)
		if !due.IsZero() && pause.After(due) {
			continue // whatever the state says
		}
		at := pause
		if !pause.After(now) {
			says, err := one.due(ctx, e)
			if err != nil {
				return "", time.Time{}, err
			}
			if says.After(at) {
				at = says
			}
		}
		if name == "" || at.Before(due) {
			name, due = one.name, at
		}
	}
	return name, due, nil
}

func (s *sweeps) notBefore(name string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pause[name].notBefore
}

// named returns a sweep; nil when there is none of this name, as after new settings.
func (s *sweeps) named(name string) *sweep {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		if one.name == name {
			return one
		}
	}
	return nil
}

// found counts what a look at Copernica finds.
func (s *sweeps) found(name string) func(engine.Finding) {
	return func(f engine.Finding) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pause[name].found[f.Deviation]++
	}
}

// observe draws the conclusions from what came of a slice: when the next one may begin,
// and what is told.
func (s *sweeps) observe(r schedule.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pause[r.Task.Stream]
	if p == nil {
		return
	}
	now := s.now()
	recordless := r.Report.Counters.OptOutsWithoutRecord            // guests above all
	if n := r.Report.Counters.OptOutsReturned - recordless; n > 0 { // also of a round that failed later
		s.log.Info("opt-outs made in Copernica went back to the shop", "opt_outs", n)
	}
	if recordless > 0 {
		s.log.Info("opt-outs made in Copernica are of people without a record in the shop", "opt_outs", recordless)
	}
	gap, rest := time.Minute, 0
	for _, one := range s.all {
		if one.name == r.Task.Stream {
			gap, rest = one.gap, one.rest
		}
	}
	switch r.Kind {
	case schedule.Ended:
		p.notBefore = now.Add(time.Duration(rest) * r.Report.Elapsed)
		// One that used its time up is behind, and has only to leave the others theirs.
		if next := r.Task.Start.Add(gap); r.Report.Elapsed < sliceTime && next.After(p.notBefore) {
			p.notBefore = next
		}
		if !p.failed.IsZero() {
			s.log.Info("sweep works again", "sweep", r.Task.Stream)
		}
		p.failures, p.failed = 0, time.Time{}
		s.tell(p, r, now)
	case schedule.Failed:
		p.failures++
		p.notBefore = now.Add(min(gap<<min(p.failures-1, 6), mendPause))
		class := fault.ClassOf(r.Err)
		if class == fault.Configuration || class == fault.Credentials {
			p.notBefore = now.Add(mendPause)
		}
		if p.failed.IsZero() || now.Sub(p.failed) >= sayFailure {
			p.failed = now
			s.log.Error("sweep stopped, it is tried again and everything else goes on", "sweep", r.Task.Stream,
				"class", class.String(), "error", r.Err)
		}
	case schedule.Held, schedule.NotStarted, schedule.Stopped: // the scheduler waits, and tells it
	}
}

// tell says what slices did, once an hour at most.
func (s *sweeps) tell(p *pace, r schedule.Result, now time.Time) {
	n := &r.Report.Counters
	p.sum.Created += n.Created
	p.sum.Updated += n.Updated
	p.sum.Removed += n.Removed
	p.sum.Missing += n.Missing
	p.sum.Erased += n.Erased
	p.sum.Refused += n.Refused
	if p.sum == (state.Counters{}) && len(p.found) == 0 || now.Sub(p.told) < saySweep {
		return
	}
	attrs := []any{"sweep", r.Task.Stream}
	for _, one := range []struct {
		name  string
		count int64
	}{
		{"created", p.sum.Created},
		{"updated", p.sum.Updated},
		{"lines_removed", p.sum.Removed},
		{"missing", p.sum.Missing},
		{"erased", p.sum.Erased},
		{"refused", p.sum.Refused},
		{"removed_in_copernica", p.found[engine.Removed]},
		{"edited_in_copernica", p.found[engine.Edited]},
		{"duplicated", p.found[engine.Duplicated]},
		{"orphaned", p.found[engine.Orphaned]},
	} {
		if one.count > 0 {
			attrs = append(attrs, one.name, one.count)
		}
	}
	s.log.Info("sweep found what differs", attrs...)
	p.sum, p.told = state.Counters{}, now
	clear(p.found)
}
