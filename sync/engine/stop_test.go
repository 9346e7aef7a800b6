package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// silent is a store that stops answering.
type silent struct {
	state.Store
	gone atomic.Bool
}

func (s *silent) wait(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func (s *silent) Commit(ctx context.Context, l state.Lease, c state.Commit) (state.Checkpoint, error) {
	if s.gone.Load() {
		return state.Checkpoint{}, s.wait(ctx)
	}
	return s.Store.Commit(ctx, l, c)
}

func (s *silent) SaveRun(ctx context.Context, r state.Run) error {
	if s.gone.Load() {
		return s.wait(ctx)
	}
	return s.Store.SaveRun(ctx, r)
}

func (s *silent) Release(ctx context.Context, l state.Lease) error {
	if s.gone.Load() {
		return s.wait(ctx)
	}
	return s.Store.Release(ctx, l)
}

// A process that was asked to stop ends within ten seconds, also when its store has
// stopped answering; what it could not record is looked up by the next one.
func TestAStopDoesNotWaitForAStoreThatIsGone(t *testing.T) {
	inWorld(t, 60, func(t *testing.T, w *world) {
		store := &silent{Store: w.store}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var stopped time.Time
		_, err := w.engine(func(cfg *engine.Config) {
			cfg.Store = store
			cfg.TestHook = func(p engine.Point) {
				if p == engine.PointAnswered && store.gone.CompareAndSwap(false, true) {
					stopped = time.Now()
					stop()
				}
			}
		}).Run(ctx, engine.Customers)
		if took := time.Since(stopped); err == nil || stopped.IsZero() || took > 10*time.Second {
			t.Errorf("ended %s after the stop with %v", took, err)
		}
		time.Sleep(time.Hour)
		w.run()
		w.inStep()
	})
}
