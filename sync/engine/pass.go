package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// pass takes the stream from its checkpoint to the horizon (promise 2).
func (r *run) pass(ctx context.Context) error {
	cp, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, r.stream)
	if err != nil {
		return err
	}
	cp.Pipeline, cp.Stream = r.cfg.Pipeline, r.stream
	now, err := r.cfg.Shop.Clock(ctx)
	if err != nil {
		return err
	}
	if err := r.cfg.SameShop(ctx); err != nil {
		return err
	}
	if cp.Target.IsZero() {
		horizon := now.Add(-r.cfg.Settle).Truncate(time.Second)
		if !horizon.After(cp.Horizon) {
			// Nothing can be newer. A shop whose clock went back is caught up with
			// when it passes the last horizon again; a horizon never goes back.
			r.row.Outcome = state.Done
			if err := r.pending(ctx); err != nil {
				return err
			}
			return r.gatherClaims(ctx)
		}
		cp.From, cp.Target, cp.Position = time.Time{}, horizon, state.Position{}
		if !cp.Horizon.IsZero() {
			cp.From = cp.Horizon.Add(-r.cfg.Overlap)
		}
	}
	r.cfg.TestHook(PointHorizon)

	reached, err := r.walk(ctx, cp)
	if err != nil {
		return err
	}
	r.row.Outcome = state.Paused
	if reached {
		r.row.Outcome = state.Done
	}
	if err := r.pending(ctx); err != nil {
		return err
	}
	if err := r.gatherClaims(ctx); err != nil {
		return err
	}
	r.cfg.TestHook(PointPassClosed)
	return nil
}

// walk reads, writes and commits pages until the horizon is reached or the
// budget is spent.
func (r *run) walk(ctx context.Context, cp state.Checkpoint) (reached bool, err error) {
	var (
		from   = cp // the committer moves cp on
		work   = make(chan *page, pagesInWork)
		tokens = make(chan struct{}, pagesInWork)
	)
	group, reading := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		defer close(work)
		reached, err = r.read(reading, from, work, tokens)
		return err
	})
	group.Go(func() error {
		var failed error
		for p := range work {
			failed = r.settle(ctx, p, &cp, failed)
			r.inflight.free(p.keys)
			<-tokens
		}
		return failed
	})
	if err := group.Wait(); err != nil {
		return false, err
	}
	if !reached {
		return false, nil
	}
	r.cfg.TestHook(PointLastPage)
	return true, r.close(ctx, cp)
}

// close ends a pass: the horizon is reached, also when nothing was found.
func (r *run) close(ctx context.Context, cp state.Checkpoint) error {
	r.cfg.TestHook(PointClosing)
	cp.Horizon = cp.Target
	cp.From, cp.Target, cp.Position = time.Time{}, time.Time{}, state.Position{}
	_, err := r.cfg.Store.Commit(ctx, r.tenure.current(), state.Commit{Checkpoint: &cp})
	return err
}

// keep saves checkpoints, each as it is then.
func (r *run) keep(ctx context.Context, all ...*state.Checkpoint) error {
	for _, cp := range all {
		saved, err := r.cfg.Store.Commit(ctx, r.tenure.current(), state.Commit{Checkpoint: cp})
		if err != nil {
			return err
		}
		*cp = saved
	}
	return nil
}

// rereads is how often in a row the reader asks for a page again after the client
// gave up on it: the client has made its pages smaller by then.
const rereads = 2

// read fetches and plans pages, sends their writes into the lanes and hands the
// pages on in order. It reports whether it came to the end.
func (r *run) read(ctx context.Context, cp state.Checkpoint, work chan<- *page, tokens chan<- struct{}) (bool, error) {
	q := magento.Query{
		From: cp.From, Before: cp.Target,
		After: magento.Cursor{UpdatedAt: cp.Position.UpdatedAt, ID: cp.Position.ID},
	}
	if r.resync != nil {
		q.Stores = r.resync.Stores
	}
	read, failures := int(r.row.Counters.Read), 0
	for {
		more := false
		for got, err := range r.batches(ctx, q) {
			if err != nil {
				failures++
				if more = failures <= rereads && passing(ctx, err); more {
					break
				}
				return false, err
			}
			failures = 0
			switch err := r.admit(ctx, got, work, tokens); {
			case errors.Is(err, errSpent):
				return false, nil
			case errors.Is(err, errWaits):
				r.waiting.Store(true)
				return false, nil
			case err != nil:
				return false, err
			}
			q.After = got.next
			read += got.read
			switch {
			case got.last:
				return true, nil
			case r.halting(), r.spent(read), r.resting(got.next.UpdatedAt):
				return false, nil // who halted knows why
			}
		}
		if !more {
			return false, errors.New("the shop's listing ended without a last page")
		}
	}
}

// passing reports whether a page may come when it is asked for again.
func passing(ctx context.Context, err error) bool {
	return ctx.Err() == nil && fault.ClassOf(err) == fault.Retry && !fault.NotSent(err) && !hopeless(err)
}

// errSpent ends a run whose budget is used up before its first page is planned.
var errSpent = errors.New("the run's budget is spent")

// spent reports whether the run has used up its budget (promise 21).
func (r *run) spent(read int) bool {
	b := r.cfg.Budget
	return b.Records > 0 && read >= b.Records || b.Time > 0 && r.cfg.Now().Sub(r.began) >= b.Time
}

// admit prepares one page, starts its writes and queues it for its commit.
func (r *run) admit(ctx context.Context, got *batch, work chan<- *page, tokens chan<- struct{}) error {
	r.cfg.TestHook(PointPageRead)
	if err := r.wanted(ctx); err != nil {
		return err
	}
	r.total.CompareAndSwap(0, int64(got.total))
	select {
	case tokens <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p := &page{position: state.Position{UpdatedAt: got.next.UpdatedAt, ID: got.next.ID}, moves: true, read: got.read, again: r.force, force: r.force}
	if err := got.prepare(ctx, p); err != nil {
		r.inflight.free(p.keys)
		return err
	}
	p.moves = p.read > 0 || !p.waits
	r.dispatch(p)
	work <- p
	if p.waits {
		return errWaits
	}
	return nil
}

// settle waits for a page's outcomes and commits them: with the checkpoint while
// all is well, without it once anything failed, so that nothing is forgotten and
// nothing is skipped.
func (r *run) settle(ctx context.Context, p *page, cp *state.Checkpoint, failed error) error {
	p.outstanding.Wait()
	r.cfg.TestHook(PointAnswered)
	if failed == nil {
		failed = p.err()
	}
	if tables := p.wrote(); tables != nil {
		if err := r.writer.confirm(r.writes, tables...); err != nil { //nolint:contextcheck // calls to Copernica outlive a stop by the grace
			// A schema that does not fit explains what failed before it.
			if _, misfit := errors.AsType[*mapping.SchemaError](err); failed == nil || misfit {
				failed = err
			}
			for _, it := range p.intents {
				it.doubt(r.cfg.Now(), r.cfg.WriteTimeout)
			}
		}
	}
	if failed != nil {
		r.halt()
	}
	commit := p.commit(r)
	if failed == nil && p.moves {
		next := *cp
		next.Position = p.position
		commit.Checkpoint = &next
	}
	r.cfg.TestHook(PointCommitting)
	saving, cancel := r.recording(ctx)
	defer cancel()
	saved, err := r.cfg.Store.Commit(saving, r.tenure.current(), commit)
	if err != nil {
		r.halt()
		return errors.Join(failed, fmt.Errorf("commit a page: %w", err))
	}
	if commit.Checkpoint != nil {
		*cp = saved
		r.cfg.TestHook(PointCommitted)
	}
	r.cfg.Progress(Progress{
		Stream: r.stream, Read: r.row.Counters.Read, Total: max(r.total.Load(), r.row.Counters.Read), Counts: r.row.Counters,
	})
	return failed
}
