package schedule_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/schedule"
)

// expect compares the starts of all tasks.
func (w *world) expect(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, starts(w.peers.tasks(""))); diff != "" {
		w.t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAStreamThatNeverRanIsDueAtOnce(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		until("2000-01-01 00:07:00")
		_, stop := w.start()
		until("2000-01-01 00:16:00")
		stop()
		w.expect("customers 00:07:00", "orders 00:07:01", "customers 00:10:00", "customers 00:15:00", "orders 00:15:01")
	})
}

func TestPromise13_ATickDuringARunComesAfterItOnce(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		w.streams("customers", "*/5 * * * *")
		w.peers.last(func(schedule.Task) time.Duration {
			if len(w.peers.tasks("")) == 2 {
				return 17 * time.Minute
			}
			return time.Second
		})
		_, stop := w.start()
		until("2000-01-01 00:31:00")
		stop()
		w.expect("customers 00:00:00", "customers 00:05:00", "customers 00:22:00", "customers 00:25:00", "customers 00:30:00")
	})
}

func TestDowntimeCostsOneRun(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		_, stop := w.start()
		until("2000-01-01 00:07:00")
		stop()
		time.Sleep(72 * time.Hour)
		_, stop = w.start()
		until("2000-01-04 00:11:00")
		stop()
		w.expect("customers 00:00:00", "orders 00:00:01", "customers 00:05:00",
			"customers 00:07:00", "orders 00:07:01", "customers 00:10:00")
	})
}

// Orders that arrive before their customer would wait for it: whatever the jitter, the
// customers' run of a tick comes first.
func TestCustomersGoBeforeOrders(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.streams("customers", "*/5 * * * *", "orders", "*/5 * * * *")
		w.cfg.Spread = 0.1
		_, stop := w.start()
		until("2000-01-03 00:00:00")
		stop()
		all := w.peers.tasks("")
		if len(all) < 2*500 {
			t.Fatalf("%d tasks", len(all))
		}
		for i, task := range all {
			if want := []string{"customers", "orders"}[i%2]; task.Stream != want {
				t.Fatalf("task %d is of %s", i, task.Stream)
			}
		}
	})
}

// A stream whose runs last longer than its interval is due all the time, and yet the
// other has its turn.
func TestABusyStreamStarvesNoOther(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.streams("customers", "*/5 * * * *", "orders", "*/15 * * * *")
		w.peers.last(func(t schedule.Task) time.Duration {
			if t.Stream == "customers" {
				return 7 * time.Minute
			}
			return time.Second
		})
		s, stop := w.start()
		until("2000-01-01 06:01:00")
		s.Trigger("orders")
		until("2000-01-01 06:14:50")
		if last := w.peers.tasks("orders"); last[len(last)-1].Start.Before(at(t, "2000-01-01T06:01:00Z")) {
			t.Error("a trigger waits for its tick")
		}
		until("2000-01-01 12:00:00")
		stop()
		if n := len(w.peers.tasks("orders")); n < 47 {
			t.Errorf("%d runs of the orders in 12 hours of 48 ticks", n)
		}
		if n := len(w.peers.tasks("customers")); n < 100 {
			t.Errorf("%d runs of the customers", n)
		}
	})
}

// A failing stream does not keep the others waiting.
func TestAStreamThatFailsStandsInNobodysWay(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.streams("customers", "*/5 * * * *", "orders", "*/5 * * * *")
		w.peers.answers(func(t schedule.Task) (engine.Report, error) {
			if t.Stream == "customers" {
				return engine.Report{Run: 1, Outcome: state.Failed}, errPeer
			}
			return done(t)
		})
		_, stop := w.start()
		until("2000-01-01 02:01:00")
		stop()
		if n := len(w.peers.tasks("orders")); n != 25 {
			t.Errorf("%d runs of the orders", n)
		}
	})
}

func TestPromise21_AFailedStreamBacksOffAndNeverPassesItsSchedule(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.streams("customers", "*/5 * * * *")
		var down atomic.Bool
		down.Store(true)
		w.peers.answers(func(t schedule.Task) (engine.Report, error) {
			if down.Load() {
				return engine.Report{Run: 1, Outcome: state.Failed}, errPeer
			}
			return done(t)
		})
		_, stop := w.start()
		until("2000-01-01 01:00:30")
		down.Store(false)
		until("2000-01-01 01:26:00")
		stop()
		w.expect("customers 00:00:00", "customers 00:05:00", "customers 00:15:00", "customers 00:30:00", "customers 00:45:00",
			"customers 01:00:00", "customers 01:15:00", "customers 01:20:00", "customers 01:25:00")
		if w.lines("level=ERROR") != 1 || w.lines("works again") != 1 {
			t.Errorf("an outage is told once, and its end once:\n%s", w.log)
		}
	})
}

func TestPromise21_ASpentBudgetGoesOnAtTheNextTick(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		w.streams("customers", "*/5 * * * *")
		w.peers.answers(func(schedule.Task) (engine.Report, error) {
			return engine.Report{Run: 1, Outcome: state.Paused}, nil
		})
		_, stop := w.start()
		until("2000-01-01 00:11:00")
		stop()
		w.expect("customers 00:00:00", "customers 00:05:00", "customers 00:10:00")
	})
}

func TestTriggersFallTogether(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		w.streams("customers", "0 * * * *", "orders", "0 * * * *")
		w.peers.last(func(schedule.Task) time.Duration { return 10 * time.Second })
		s, stop := w.start()
		until("2000-01-01 00:01:00")
		s.Trigger()
		until("2000-01-01 00:01:05")
		for range 5 { // the run of the customers is under way
			s.Trigger("customers")
		}
		until("2000-01-01 01:00:30")
		stop()
		w.expect("customers 00:00:00", "orders 00:00:10", "customers 00:01:00", "orders 00:01:10", "customers 00:01:20",
			"customers 01:00:00", "orders 01:00:10")
	})
}

// A trigger is not refused because a stream backs off.
func TestATriggerEndsABackOff(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		w.streams("customers", "@daily")
		w.peers.answers(func(schedule.Task) (engine.Report, error) { return engine.Report{Run: 1}, errPeer })
		s, stop := w.start()
		until("2000-01-01 06:00:00")
		s.Trigger("customers")
		until("2000-01-01 07:00:00")
		stop()
		w.expect("customers 00:00:00", "customers 06:00:00")
	})
}

func TestSchedulesCanBeExchanged(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.streams("customers", "*/5 * * * *", "orders", "*/5 * * * *")
		s, stop := w.start()
		until("2000-01-01 00:06:00")
		s.Use([]schedule.Stream{{Name: "customers", Due: ticks(t, "CRON_TZ=UTC */20 * * * *")}})
		until("2000-01-01 00:41:00")
		stop()
		w.expect("customers 00:00:00", "orders 00:00:01", "customers 00:05:00", "orders 00:05:01", "customers 00:20:00", "customers 00:40:00")
	})
}

// Another writer of the same pipeline is waited for, and told once.

// A clock that was a year ahead when a tick was answered does not silence a stream.
func TestAClockThatWasPutBack(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		w.streams("customers", "*/5 * * * *")
		w.store.marks["schedule:shop:customers"] = time.Now().AddDate(1, 0, 0)
		until("2000-01-01 00:02:00")
		_, stop := w.start()
		until("2000-01-01 00:06:00")
		stop()
		w.expect("customers 00:05:00")
	})
}

// Fifty shops on one machine with one schedule start apart, each within the spread,
// and each time at the same distance for the same tick.
func TestShopsOnOneMachineStartApart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		begin := time.Now()
		starts := map[string]int{}
		for round := range 2 {
			for shop := range 50 {
				one := *w
				one.store = &memory{marks: map[string]time.Time{"schedule:shop:customers": begin}}
				one.peers = &peers{}
				one.streams("customers", "0 * * * *")
				one.cfg.Spread, one.cfg.Seed = 0.1, fmt.Sprint("shop of address ", shop)
				clock := time.Since(begin)
				one.cfg.Now = func() time.Time { return time.Now().Add(-clock) }
				_, stop := one.start()
				time.Sleep(70 * time.Minute)
				stop()
				tasks := one.peers.tasks("")
				if len(tasks) != 1 {
					t.Fatalf("shop %d, round %d: %d tasks", shop, round, len(tasks))
				}
				late := tasks[0].Start.Sub(begin) - time.Hour
				if late < 0 || late >= 5*time.Minute {
					t.Errorf("shop %d starts %s after the tick", shop, late)
				}
				starts[fmt.Sprint(shop, late)]++
			}
		}
		if len(starts) != 50 {
			t.Errorf("%d starts of 50 shops in 2 rounds: they are not repeatable", len(starts))
		}
		seconds := map[string]bool{}
		for start := range starts {
			seconds[strings.SplitN(start, " ", 2)[1]] = true
		}
		if len(seconds) < 45 {
			t.Errorf("50 shops start at %d moments", len(seconds))
		}
	})
}

func TestASchedulerNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := schedule.New(schedule.Config{}); err == nil {
		t.Error("a scheduler of nothing")
	}
	if _, err := schedule.NewLocal(nil); err == nil {
		t.Error("a dispatcher without a runner")
	}
}
