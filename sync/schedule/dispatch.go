package schedule

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/magento-copernica/syncd/sync/engine"
)

// Task is a stream that is due.
type Task struct {
	Pipeline, Stream string
	Tick             time.Time // the first tick it answers; Start when it answers none
	Start            time.Time // ticks up to here are answered when it has ended
	Asked            bool      // by Trigger
	Between          bool      // work between the ticks, which has no schedule here
}

// Dispatcher decides where a task is worked: in this process, or, with a queue
// behind it, on another machine. Whichever it is, one writer at a time is the store's
// affair.
type Dispatcher interface {
	// Dispatch has a task worked and returns what came of it. It is called for one
	// task at a time; when ctx ends it returns soon, with the task ended.
	Dispatch(ctx context.Context, t Task) (engine.Report, error)
}

// Runner runs a stream; *engine.Engine is one.
type Runner interface {
	Run(ctx context.Context, stream string) (engine.Report, error)
}

// Local works tasks in this process, one at a time.
type Local struct {
	turn   chan struct{} // taken while a task is worked
	runner atomic.Pointer[Runner]
}

var _ Dispatcher = (*Local)(nil)

// NewLocal returns a dispatcher that has a runner work the tasks.
func NewLocal(r Runner) (*Local, error) {
	if r == nil {
		return nil, errors.New("schedule: a runner is required")
	}
	d := &Local{turn: make(chan struct{}, 1)}
	d.Use(r)
	return d, nil
}

// Use exchanges the runner for the tasks that begin from now on. One under way goes
// on with the runner it has.
func (d *Local) Use(r Runner) { d.runner.Store(&r) }

// Dispatch implements Dispatcher.
func (d *Local) Dispatch(ctx context.Context, t Task) (engine.Report, error) {
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return engine.Report{Stream: t.Stream}, context.Cause(ctx)
	}
	defer func() { <-d.turn }()
	return (*d.runner.Load()).Run(ctx, t.Stream)
}
