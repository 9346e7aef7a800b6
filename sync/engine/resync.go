package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// A resync sends records of the past again, by time or by id. It has a stream of its
// own, such as orders/resync-7, and with it a checkpoint and runs of its own; what a
// live stream has reached stays as it is (promise 22). It is worked in turns, each a run
// that holds the pipeline as any other does, so that the live streams have theirs in
// between. Pages, lanes and plan are those of the live stream, and so is what they
// promise: never newer by older, and consent as it is everywhere.

// resyncChunk is how many single records a resync commits at once.
const resyncChunk = 100

// Resynced is how a resync stands after a turn at it.
type Resynced struct {
	state.Resync
	Missing int64 // of the ids that had their turn: those that the shop does not have
}

// ResyncStream names the stream of a resync.
func ResyncStream(q state.Resync) string { return fmt.Sprintf("%s/resync-%d", q.Stream, q.ID) }

// Resyncs returns the resyncs that wait for their turn or are under way, the oldest first.
func (e *Engine) Resyncs(ctx context.Context) ([]state.Resync, error) {
	const many = 1000
	open, err := e.cfg.Store.Resyncs(ctx, e.cfg.Pipeline, state.ResyncFilter{Open: true, Limit: many})
	slices.Reverse(open)
	return open, err
}

// ResyncNext gives the oldest open resync that can go on a turn, bounded by b; false
// says that none had one. A resync of orders cannot go on before the first pass over the
// customers is finished.
func (e *Engine) ResyncNext(ctx context.Context, b Budget) (Report, bool, error) {
	open, err := e.Resyncs(ctx)
	if err != nil {
		return Report{}, false, err
	}
	for _, q := range open {
		if ready, err := e.ready(ctx, q); err != nil || !ready {
			if err != nil {
				return Report{}, false, err
			}
			continue
		}
		report, err := e.Resync(ctx, q.ID, b)
		if errors.Is(err, state.ErrResyncEnded) {
			continue // meanwhile, by an operator or another process
		}
		return report, true, err
	}
	return Report{}, false, nil
}

// ready reports whether a resync has what it stands on: an order stands below its
// customer's profile.
func (e *Engine) ready(ctx context.Context, q state.Resync) (bool, error) {
	if q.Stream != Orders {
		return true, nil
	}
	customers, err := e.cfg.Store.Checkpoint(ctx, e.cfg.Pipeline, Customers)
	return !customers.Horizon.IsZero(), err
}

// Resync gives a resync a turn, bounded by b: it goes on where the last one ended.
// Report.Resync tells how it stands then; [state.ErrResyncEnded] that it had ended before.
func (e *Engine) Resync(ctx context.Context, id int64, b Budget) (Report, error) {
	q, err := e.cfg.Store.Resync(ctx, e.cfg.Pipeline, id)
	switch {
	case err != nil:
		return Report{}, err
	case q.State != state.ResyncOpen:
		return Report{}, fmt.Errorf("resync %d: %w", id, state.ErrResyncEnded)
	}
	turn := &Engine{cfg: e.cfg}
	turn.cfg.Budget = b
	report, err := turn.resync(ctx, &Resynced{Resync: q}, nil)
	if now, e := e.cfg.Store.Resync(context.WithoutCancel(ctx), e.cfg.Pipeline, id); e == nil {
		report.Resync.Resync = now
	}
	return report, err
}

// kindOf says whose records a resync of a stream moves.
func kindOf(stream string, m *mapping.Mapping) (string, error) {
	if stream == ConsentSweep {
		return Customers, nil
	}
	return stream, knownStream(stream, m)
}

func (e *Engine) resync(ctx context.Context, q *Resynced, x *rehearsal) (Report, error) {
	kind, err := kindOf(q.Stream, e.cfg.Mapping)
	if err != nil {
		return Report{Resync: q}, err
	}
	report, err := e.hold(ctx, ResyncStream(q.Resync), kind, func(r *run, ctx context.Context) error {
		r.resync, r.force, r.rehearsal, r.turns = q, q.Force, x, map[int64]bool{}
		return r.resend(ctx)
	})
	report.Resync = q
	return report, err
}

// resend takes a resync from its checkpoint to its end, or until the budget is spent or
// somebody cancels it.
func (r *run) resend(ctx context.Context) error {
	r.row.Outcome = state.Paused
	q := &r.resync.Resync
	if ready, err := (&Engine{cfg: *r.cfg}).ready(ctx, *q); err != nil || !ready {
		r.waiting.Store(err == nil)
		return err
	}
	cp, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, r.stream)
	if err != nil {
		return err
	}
	cp.Pipeline, cp.Stream = r.cfg.Pipeline, r.stream
	// One whose process died between its last commit and this is closed already.
	if reached := !cp.Horizon.IsZero(); !reached {
		if cp, err = r.bounds(ctx, cp); err != nil {
			return err
		}
		r.cfg.TestHook(PointHorizon)
		switch {
		case q.Stream == ConsentSweep:
			reached, err = r.compareConsent(ctx, cp)
		case len(q.IDs) > 0:
			reached, err = r.singly(ctx, cp)
		case !cp.From.Before(cp.Target):
			reached, err = true, r.close(ctx, cp) // nothing lies between
		default:
			reached, err = r.walk(ctx, cp)
		}
		if err != nil {
			return err
		}
		if err := r.pending(ctx); err != nil {
			return err
		}
		if !reached {
			return nil
		}
	}
	r.cfg.TestHook(PointPassClosed)
	r.row.Outcome = state.Done
	err = r.cfg.Store.EndResync(ctx, r.cfg.Pipeline, q.ID, state.ResyncDone)
	if errors.Is(err, state.ErrResyncEnded) {
		return nil // cancelled when all was sent
	}
	return err
}

// bounds fixes what a resync covers when it is first worked. It never reaches past what
// the shop's clock has settled: what changes while it runs is the live stream's.
func (r *run) bounds(ctx context.Context, cp state.Checkpoint) (state.Checkpoint, error) {
	now, err := r.cfg.Shop.Clock(ctx)
	if err != nil {
		return cp, err
	}
	if err := r.cfg.SameShop(ctx); err != nil {
		return cp, err
	}
	if cp.Target.IsZero() {
		q := &r.resync.Resync
		cp.From, cp.Target = q.Since, now.Add(-r.cfg.Settle).Truncate(time.Second)
		if !q.Until.IsZero() && q.Until.Before(cp.Target) {
			cp.Target = q.Until
		}
	}
	return cp, nil
}

// singly sends the records that a resync names. Its place is the last id that had its turn.
func (r *run) singly(ctx context.Context, cp state.Checkpoint) (reached bool, err error) {
	ids := r.resync.IDs
	next, _ := slices.BinarySearch(ids, cp.Position.ID+1)
	r.total.Store(int64(len(ids) - next))
	read := 0
	for chunk := range slices.Chunk(ids[next:], resyncChunk) {
		switch err := r.wanted(ctx); {
		case errors.Is(err, errSpent):
			return false, nil
		case err != nil:
			return false, err
		case r.halting(), r.spent(read):
			return false, nil
		}
		gone, err := r.deliver(ctx, chunk, &page{
			again: true, force: r.force, moves: true, position: state.Position{ID: chunk[len(chunk)-1]}, place: &cp,
		})
		if errors.Is(err, errSpent) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		r.resync.Missing += int64(len(gone))
		read += len(chunk)
	}
	r.cfg.TestHook(PointLastPage)
	return true, r.close(ctx, cp)
}

// wanted ends a run, as a spent budget does, when somebody cancelled its resync.
func (r *run) wanted(ctx context.Context) error {
	if r.resync == nil || r.rehearsal != nil {
		return nil
	}
	q, err := r.cfg.Store.Resync(ctx, r.cfg.Pipeline, r.resync.ID)
	if err == nil && q.State != state.ResyncOpen {
		return errSpent
	}
	return err
}

// resent marks rows that a turn at this forced resync has sent. One that is cut short keeps the
// outcomes of pages whose place it does not keep, so that they are read a second time.
func (r *run) resent(ctx context.Context, intents []*intent) error {
	if !r.force {
		return nil
	}
	for _, it := range intents {
		id := it.before.RunID
		if !it.known || it.before.State != state.Acknowledged || id == 0 {
			continue
		}
		ours, known := r.turns[id]
		if !known {
			run, err := r.cfg.Store.Run(ctx, r.cfg.Pipeline, id)
			if err != nil && !errors.Is(err, state.ErrNoRun) {
				return err
			}
			ours = err == nil && run.Stream == r.stream
			r.turns[id] = ours
		}
		it.resent = ours
	}
	return nil
}
