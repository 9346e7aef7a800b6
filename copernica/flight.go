package copernica

import (
	"context"
	"sync"
)

// flight lets one caller do work that many are in need of. The worker uses its own
// context: when that ends, the next one in line takes over, so that nobody fails
// because someone else was stopped.
type flight struct {
	mu  sync.Mutex
	now *flown
}

type flown struct {
	done    chan struct{}
	err     error
	stopped bool // the worker's context ended: its error is not the others'
}

// do returns nil once needed reports false, doing work or waiting for the caller
// who does. needed runs under the lock of f.
func (f *flight) do(ctx context.Context, needed func() bool, work func(context.Context) error) error {
	for {
		f.mu.Lock()
		if !needed() {
			f.mu.Unlock()
			return nil
		}
		under := f.now
		if under == nil {
			return f.lead(ctx, work)
		}
		f.mu.Unlock()
		select {
		case <-under.done:
			if !under.stopped {
				return under.err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// try does work if it is needed and nobody is at it; it never waits for another
// caller.
func (f *flight) try(ctx context.Context, needed func() bool, work func(context.Context) error) error {
	f.mu.Lock()
	if f.now != nil || !needed() {
		f.mu.Unlock()
		return nil
	}
	return f.lead(ctx, work)
}

// lead is called with the lock held and releases it.
func (f *flight) lead(ctx context.Context, work func(context.Context) error) error {
	mine := &flown{done: make(chan struct{}), stopped: true}
	f.now = mine
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.now = nil
		f.mu.Unlock()
		close(mine.done)
	}()
	err := work(ctx)
	mine.err, mine.stopped = err, err != nil && ctx.Err() != nil
	return err
}
