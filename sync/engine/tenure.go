package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// tenure is one holding of the pipeline's writer lease. It renews the lease in
// the background and, when that fails, cancels its context, so that no call
// outlasts the right to make it (promise 13).
type tenure struct {
	store state.Store
	ttl   time.Duration
	stop  context.CancelFunc
	done  chan struct{}

	mu    sync.Mutex
	lease state.Lease
}

// take acquires the lease. The returned context ends when it is lost.
func take(ctx context.Context, cfg *Config) (context.Context, *tenure, error) {
	lease, err := cfg.Store.Acquire(ctx, cfg.Pipeline, cfg.Holder, cfg.LeaseTTL)
	if err != nil {
		return nil, nil, err
	}
	held, lose := context.WithCancelCause(ctx)
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	t := &tenure{store: cfg.Store, ttl: cfg.LeaseTTL, stop: stop, done: make(chan struct{}), lease: lease}
	go t.renew(renewing, lose)
	return held, t, nil
}

func (t *tenure) renew(ctx context.Context, lose context.CancelCauseFunc) {
	defer close(t.done)
	tick := time.NewTicker(t.ttl / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// A store that does not answer is asked again at the next tick; calls
		// meanwhile end before the lease as it was last granted.
		lease, err := t.store.Renew(ctx, t.current(), t.ttl)
		switch {
		case err == nil:
			t.mu.Lock()
			t.lease = lease
			t.mu.Unlock()
		case ctx.Err() == nil && isFenced(err):
			lose(fmt.Errorf("keep the pipeline: %w", err))
			return
		}
	}
}

func (t *tenure) current() state.Lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lease
}

// end stops the renewal and gives the lease up.
func (t *tenure) end(ctx context.Context) error {
	t.stop()
	<-t.done
	return t.store.Release(ctx, t.current())
}
