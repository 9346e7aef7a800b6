package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/internal/health"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/schedule"
)

// outcomes are the words for what comes of a run in the metrics.
var outcomes = []string{
	string(state.Done), string(state.Paused), string(schedule.Failed),
	string(schedule.Held), string(schedule.NotStarted), string(schedule.Stopped),
}

// clockedShop notes how the shop's clock stands to ours whenever a run reads it.
type clockedShop struct {
	engine.Shop
	now func() time.Time
	saw func(offset time.Duration)
}

// Clock implements engine.Shop.
func (c *clockedShop) Clock(ctx context.Context) (time.Time, error) {
	at, err := c.Shop.Clock(ctx)
	if err == nil {
		c.saw(at.Sub(c.now()))
	}
	return at, err
}

// watchedRunner runs streams with one pipeline and says while it does.
type watchedRunner struct {
	service  *service
	pipeline *pipeline
}

// Run implements schedule.Runner.
func (w *watchedRunner) Run(ctx context.Context, stream string) (engine.Report, error) {
	done, err := w.service.takeTurn(ctx, w.pipeline)
	if err != nil {
		return engine.Report{Stream: stream}, err
	}
	defer done()
	if slices.Contains(engine.Streams(), stream) {
		return w.pipeline.engine.Run(ctx, stream)
	}
	one := w.service.sweeps.named(stream)
	if one == nil { // switched off since it was due
		return engine.Report{Stream: stream, Outcome: state.Done}, nil
	}
	return one.work(ctx, w.pipeline.engine)
}

// between names the sweep that is due first.
func (s *service) between(ctx context.Context) (string, time.Time, error) {
	s.mu.Lock()
	p := s.pipeline
	s.mu.Unlock()
	return s.sweeps.between(ctx, p.engine)
}

func (s *service) work(p *pipeline) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working = p
}

func (s *service) sawClock(offset time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset = offset
}

// atWork returns the pipeline of the run under way, or that of the next.
func (s *service) atWork() *pipeline {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.working, s.pipeline)
}

func (s *service) progress(at engine.Progress) { s.read.Store(at.Read) }

// signs changes while a run gets on: with each attempt at a call, and each page.
func (s *service) signs() int64 {
	p := s.atWork()
	return p.shop.Stats().Calls + p.account.Stats().Calls + s.read.Load()
}

// observe counts what came of a task and tells the service manager.
func (s *service) observe(r schedule.Result) {
	outcome, n := string(r.Kind), r.Report.Counters
	if r.Kind == schedule.Ended {
		outcome = string(r.Report.Outcome)
	}
	s.health.Work.Ran(health.Ran{
		Stream: r.Task.Stream, Outcome: outcome, Took: r.Report.Elapsed,
		Read: n.Read, Created: n.Created, Updated: n.Updated, Refused: n.Refused,
		Unknown: n.Unknown, OptOutsKept: n.OptOutsKept, OptOutsWithoutRecord: n.OptOutsWithoutRecord, Claimed: n.Claimed, Erased: n.Erased, Ownerless: n.Ownerless,
	})
	if r.Task.Between {
		s.sweeps.observe(r)
		return
	}
	switch r.Kind {
	case schedule.Ended:
		s.words[r.Task.Stream] = "in step until " + r.Report.Horizon.UTC().Format(time.DateTime) + " UTC"
		if r.Report.Horizon.IsZero() {
			s.words[r.Task.Stream] = "in the first pass"
		}
	case schedule.Failed:
		s.words[r.Task.Stream] = "failing"
	case schedule.Held:
		s.words[r.Task.Stream] = "waiting for another process"
	case schedule.NotStarted:
		s.words[r.Task.Stream] = "waiting for the state"
	case schedule.Stopped:
		return
	}
	var parts []string
	for _, stream := range slices.Sorted(maps.Keys(s.words)) {
		parts = append(parts, stream+" "+s.words[stream])
	}
	s.manager.says(strings.Join(parts, ", "))
}

// snapshot is how things stand for whoever asks over HTTP.
func (s *service) snapshot(ctx context.Context) health.Snapshot {
	s.mu.Lock()
	cfg, streams, offset, opened := s.cfg, s.streams, s.offset, s.opened
	s.mu.Unlock()
	if !opened {
		return health.Snapshot{Problem: "the state is not open yet: the log says why"}
	}
	p := s.atWork()
	now := health.Snapshot{Peers: []health.Peer{peer(p.shop.Stats()), peer(p.account.Stats())}}
	overview, err := s.store.Overview(ctx, cfg.Shop)
	if err != nil {
		s.sparing.Warn("the state cannot be read for who asks how things stand", "error", err)
		now.Problem = "the state cannot be read: the log says why"
		return now
	}
	clock := s.app.now().Add(offset)
	for _, stream := range streams {
		one := health.Stream{Name: stream.Name, MaxLag: cfg.MaxLag}
		for _, cp := range overview.Checkpoints {
			if cp.Stream == stream.Name && !cp.Horizon.IsZero() {
				one.Horizon, one.Lag = cp.Horizon, max(clock.Sub(cp.Horizon), 0)
			}
		}
		now.Streams = append(now.Streams, one)
	}
	now.Letters = overview.OpenLetters
	now.OptOuts = map[string]int64{}
	for source := range sourceWords { // also when there are none
		now.OptOuts[source] = overview.OptOuts[source]
	}
	now.Lease = overview.Lease != nil && overview.Lease.Holder == holder()
	for entity, states := range overview.Records {
		for _, in := range []state.RecordState{state.Missing, state.Gone} { // also when there are none
			states[in] += 0
		}
		for in, n := range states {
			now.Rows = append(now.Rows, health.Rows{Entity: string(entity), State: string(in), Count: n})
		}
	}
	return now
}

func peer(s httpx.Stats) health.Peer {
	failures := make(map[string]int64, len(s.Failures))
	for kind, n := range s.Failures {
		failures[fmt.Sprint(kind)] = n
	}
	return health.Peer{
		Name: s.Peer, Calls: s.Calls, Retries: s.Retries, Failures: failures,
		InFlight: s.InFlight, Breaker: string(s.Breaker),
	}
}
