package schedule_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/schedule"
)

// A stop waits for the run under way, whose tick stays due.
func TestAStopLeavesTheTickDue(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		w.streams("customers", "@daily")
		w.peers.last(func(schedule.Task) time.Duration { return time.Hour })
		_, stop := w.start()
		until("2000-01-01 00:10:00")
		stop()
		w.peers.last(nil)
		until("2000-01-01 00:20:00")
		_, stop = w.start()
		until("2000-01-01 01:00:00")
		stop()
		w.expect("customers 00:00:00", "customers 00:20:00")
	})
}

// The watchdog is fed while the loop turns and a run gets on, and not by a run that
// hangs; a slow one is no hanging one.
func TestLifeIsReportedByProgressOnly(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.streams("customers", "@daily")
		var signs, lastBeat, beats atomic.Int64
		w.cfg.Beat, w.cfg.Stall = 15*time.Second, 5*time.Minute
		w.cfg.Alive = func() { beats.Add(1); lastBeat.Store(time.Now().UnixNano()) }
		w.cfg.Signs = signs.Load
		quiet := func() time.Duration { return time.Since(time.Unix(0, lastBeat.Load())) }
		w.peers.last(func(schedule.Task) time.Duration { return 42 * time.Minute })
		begin := time.Now()
		_, stop := w.start()
		for range 5 { // a sign every 4 minutes
			time.Sleep(4 * time.Minute)
			signs.Add(1)
		}
		if n := beats.Load(); n < 75 {
			t.Errorf("%d beats in 20 minutes of a slow run", n)
		}
		time.Sleep(20 * time.Minute) // none at all
		last := time.Unix(0, lastBeat.Load()).Sub(begin)
		if last < 24*time.Minute || last > 26*time.Minute {
			t.Errorf("the last beat came after %s, the last sign after 20m", last)
		}
		signs.Add(1)
		time.Sleep(time.Minute)
		if quiet() > 20*time.Second {
			t.Error("no beat although the run goes on")
		}
		time.Sleep(time.Hour) // nothing to do
		if quiet() > 20*time.Second {
			t.Error("no beat although nothing is to be done")
		}
		stop()
		if w.lines("the run hangs") != 1 {
			t.Errorf("log:\n%s", w.log)
		}
	})
}

// A quiet day and a busy one: under a line a minute, and one an hour when nothing
// happens.
func TestTheLogIsQuietWhenAllIsWell(t *testing.T) {
	for name, c := range map[string]struct {
		written     int64
		least, most int
	}{"quiet": {0, 22, 24}, "busy": {3, 24, 24*60 - 1}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.streams("customers", "* * * * *", "orders", "* * * * *")
				w.peers.answers(func(task schedule.Task) (engine.Report, error) {
					report, err := done(task)
					report.Counters.Read, report.Counters.Updated = 10, c.written
					return report, err
				})
				_, stop := w.start()
				until("2000-01-02 00:00:00")
				stop()
				if n := w.lines("msg="); n < c.least || n > c.most {
					t.Errorf("%d lines a day:\n%.1500s", n, w.log)
				}
				if n := w.lines("level=INFO"); n != w.lines("msg=") {
					t.Errorf("%d of %d lines are no news but warnings", w.lines("msg=")-n, w.lines("msg="))
				}
			})
		})
	}
}

func TestLocalWorksOneTaskAtATimeAndExchangesItsRunner(t *testing.T) {
	inWorld(t, func(t *testing.T, _ *world) {
		var (
			mu    sync.Mutex
			order []string
		)
		runner := func(name string) runnerFunc {
			return func(ctx context.Context, stream string) (engine.Report, error) {
				time.Sleep(time.Minute)
				mu.Lock()
				defer mu.Unlock()
				order = append(order, name+" "+stream)
				return engine.Report{Stream: stream}, ctx.Err()
			}
		}
		local, err := schedule.NewLocal(runner("old"))
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 2)
		for _, stream := range []string{"a", "b"} {
			go func() {
				_, err := local.Dispatch(t.Context(), schedule.Task{Stream: stream})
				ended <- err
			}()
			time.Sleep(time.Second)
		}
		local.Use(runner("new")) // the second has not begun
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Fatal(err)
		}
		if _, err := local.Dispatch(t.Context(), schedule.Task{Stream: "c"}); err != nil {
			t.Fatal(err)
		}
		if want := []string{"old a", "new b", "new c"}; !slices.Equal(order, want) {
			t.Error(order)
		}
	})
}

type runnerFunc func(context.Context, string) (engine.Report, error)

func (f runnerFunc) Run(ctx context.Context, stream string) (engine.Report, error) {
	return f(ctx, stream)
}
