package engine

import (
	"context"
	"time"
)

const (
	// pruneRuns is how long runs are kept, and pruneKeep how many of each stream however
	// old they are. One that a ledger row, a dead letter or a receipt names stays with it.
	pruneRuns, pruneKeep = 30 * 24 * time.Hour, 100
	// pruneEvery is how often old runs are looked for: that reads the ledger through.
	pruneEvery = 24 * time.Hour
)

// prune deletes old runs once a day: sweeps make one a minute. Nothing hangs on it.
func (r *run) prune(ctx context.Context) {
	if r.rehearsal != nil {
		return
	}
	mark, now := "runs pruned: "+r.cfg.Pipeline, r.cfg.Now()
	last, err := r.cfg.Store.Mark(ctx, mark)
	if err == nil && now.Sub(last).Abs() < pruneEvery {
		return
	}
	var pruned int64
	if err == nil {
		pruned, err = r.cfg.Store.PruneRuns(ctx, r.cfg.Pipeline, now.Add(-pruneRuns), pruneKeep)
	}
	if err == nil {
		err = r.cfg.Store.SetMark(ctx, mark, now)
	}
	if err != nil {
		r.cfg.Log.Warn("old runs could not be deleted, which is tried again", "error", err)
		return
	}
	if pruned > 0 {
		r.cfg.Log.Debug("old runs were deleted", "runs", pruned)
	}
}
