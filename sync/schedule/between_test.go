package schedule_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/schedule"
)

// Work between the ticks fills the time in which no stream is due, and a stream waits
// for one task of it at most.
func TestWorkBetweenTheTicksLetsTheStreamsGoFirst(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.streams("customers", "*/5 * * * *", "orders", "*/5 * * * *")
		w.peers.last(func(task schedule.Task) time.Duration {
			if task.Between {
				return 20 * time.Second
			}
			return time.Minute
		})
		w.cfg.Between = func(context.Context) (string, time.Time, error) { return "sweep", time.Now(), nil } // always
		_, stop := w.start()
		until("2000-01-01 01:00:00")
		stop()
		var last schedule.Task
		for _, task := range w.peers.tasks("") {
			if late := task.Start.Sub(task.Tick); task.Stream == "customers" && !last.Start.IsZero() && late > 20*time.Second {
				t.Errorf("%v late after %s", late, last.Stream)
			}
			if task.Stream == "orders" && last.Stream != "customers" {
				t.Errorf("orders after %s", last.Stream)
			}
			last = task
		}
		if n := len(w.peers.tasks("sweep")); n < 90 || n > 120 { // three minutes of each five
			t.Errorf("%d tasks between the ticks", n)
		}
		for name := range w.store.marks {
			if name == "schedule:shop:sweep" {
				t.Error("work between the ticks left a mark")
			}
		}
	})
}

// It begins when it is due, not before, and somebody else's lease is waited for.
func TestWorkBetweenTheTicksIsWaitedFor(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.streams("customers", "0 0 * * *")
		next := time.Date(2000, time.January, 1, 0, 7, 30, 0, time.UTC)
		refused := 0
		w.cfg.Between = func(context.Context) (string, time.Time, error) { return "sweep", next, nil }
		w.cfg.Observe = func(r schedule.Result) {
			if r.Task.Between && r.Kind == schedule.Ended {
				next = next.Add(time.Hour)
			}
		}
		w.peers.answers(func(task schedule.Task) (engine.Report, error) {
			if !task.Between {
				return done(task)
			}
			if refused++; refused < 3 {
				return engine.Report{}, &state.HeldError{Pipeline: "shop", Holder: "another", Expires: time.Now().Add(time.Minute)}
			}
			return done(task)
		})
		_, stop := w.start()
		until("2000-01-01 01:30:00")
		stop()
		want := []string{"sweep 00:07:30", "sweep 00:07:41", "sweep 00:07:52", "sweep 01:07:30"}
		if diff := cmp.Diff(want, starts(w.peers.tasks("sweep"))); diff != "" {
			t.Error(diff)
		}
		if n := w.lines("another process writes"); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// A state that cannot be asked is waited for like any that is out of reach.
func TestWorkBetweenTheTicksNeedsTheState(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.streams("customers", "0 0 * * *")
		asked := 0
		w.cfg.Between = func(context.Context) (string, time.Time, error) {
			if asked++; asked < 5 {
				return "", time.Time{}, errors.New("gone")
			}
			return "", time.Time{}, nil
		}
		_, stop := w.start()
		until("2000-01-01 01:00:00")
		stop()
		if n := w.lines("state is out of reach"); n != 1 {
			t.Errorf("told %d times", n)
		}
		if n := w.lines("within reach again"); n != 1 {
			t.Errorf("its end told %d times:\n%s", n, w.log)
		}
	})
}
