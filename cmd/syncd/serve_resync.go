package main

import (
	"context"
	"errors"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

const (
	// serveSlice is how long a resync works before a stream that is due has its turn.
	serveSlice = 20 * time.Second
	// resyncLook is the pause between two looks for open resyncs, and resyncRetry the one
	// after a slice that failed.
	resyncLook, resyncRetry = 5 * time.Second, time.Minute
)

// resyncs works what operators asked to be sent again, until ctx ends: in slices, each
// between the runs of the streams, which go first.
func (s *service) resyncs(ctx context.Context) {
	pause := time.NewTimer(resyncLook)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		worked, err := s.resyncSlice(ctx)
		switch {
		case err != nil && ctx.Err() == nil && !is[*state.HeldError](err):
			s.sparing.Warn("a resync failed and is tried again", "error", err)
			pause.Reset(resyncRetry)
		case worked && err == nil:
			pause.Reset(0) // whoever waits for the turn has it first
		default:
			pause.Reset(resyncLook)
		}
	}
}

// resyncSlice gives the resync that is next a slice; false says that none is open.
func (s *service) resyncSlice(ctx context.Context) (bool, error) {
	s.mu.Lock()
	p, budget := s.pipeline, s.cfg.RunBudget
	s.mu.Unlock()
	// Most looks find nothing, and disturb nobody.
	if open, err := p.engine.Resyncs(ctx); err != nil || len(open) == 0 {
		return false, err
	}
	done, err := s.takeTurn(ctx, p)
	if err != nil {
		return false, err
	}
	defer done()
	slice := engine.Budget{Records: budget.Records, Time: serveSlice}
	if budget.Time > 0 {
		slice.Time = min(slice.Time, budget.Time)
	}
	report, worked, err := p.engine.ResyncNext(ctx, slice)
	if err == nil && worked && report.Resync.State != state.ResyncOpen {
		n := report.Counters
		s.log.Info("a resync has ended", "id", report.Resync.ID, "stream", report.Resync.Stream, "state", string(report.Resync.State),
			"created", n.Created, "updated", n.Updated, "refused", n.Refused)
	}
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return worked, err
}

// takeTurn waits until nothing else of this process runs, and says that p does. The
// function that it returns ends the turn.
func (s *service) takeTurn(ctx context.Context, p *pipeline) (done func(), err error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	s.work(p)
	return func() {
		s.work(nil)
		<-s.turn
	}, nil
}
