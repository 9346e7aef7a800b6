package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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
func TestPromise13_AHolderIsWaitedFor(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.streams("customers", "@daily")
		w.peers.lease = &lease{holder: "another machine (process 7)"}
		_, stop := w.start()
		until("2000-01-01 00:30:00")
		if n := len(w.peers.tasks("")); n != 0 {
			t.Errorf("%d tasks beside the holder", n)
		}
		w.peers.lease.mu.Lock()
		w.peers.lease.holder = ""
		w.peers.lease.mu.Unlock()
		until("2000-01-01 00:31:00")
		stop()
		w.expect("customers 00:30:10")
		if w.lines("another process writes") != 1 || w.lines("writes for the pipeline again") != 1 || w.lines("level=ERROR") != 0 {
			t.Errorf("log:\n%s", w.log)
		}
	})
}

// Two daemons on one state: each tick is answered once, by whichever comes first, and
// when one dies the other answers all.
func TestTwoSchedulersOnOneStateAnswerEachTickOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.streams("customers", "*/5 * * * *", "orders", "*/15 * * * *")
		w.cfg.Spread = 0.1
		w.peers.lease, w.peers.holder = new(lease), "one"
		w.peers.last(func(schedule.Task) time.Duration { return 3 * time.Second })
		_, stop := w.start()
		other := *w
		other.peers = &peers{holder: "other", lease: w.peers.lease, lasts: w.peers.lasts}
		_, stopOther := other.start()
		until("2000-01-01 12:00:00")
		stop()
		until("2000-01-02 00:00:00")
		stopOther()
		answered := map[string]int{}
		for _, task := range append(w.peers.tasks(""), other.peers.tasks("")...) {
			answered[task.Stream+task.Start.Truncate(5*time.Minute).String()]++
		}
		for tick, n := range answered {
			if n > 1 {
				t.Errorf("%s was answered %d times", tick, n)
			}
		}
		if want := 288 + 96; len(answered) != want {
			t.Errorf("%d ticks were answered, %d came", len(answered), want)
		}
	})
}

// The state out of reach is told once, waited for with growing pauses, and nothing that
// was due is forgotten.
func TestAStateOutOfReachIsWaitedFor(t *testing.T) {
	down := errors.New("connection refused")
	for name, c := range map[string]struct {
		fail func(w *world)
		mend func(w *world)
	}{
		"marks": {
			func(w *world) { w.store.fail(down) },
			func(w *world) { w.store.fail(nil) },
		},
		"runs": {
			func(w *world) {
				w.peers.answers(func(schedule.Task) (engine.Report, error) { return engine.Report{}, down })
			},
			func(w *world) { w.peers.answers(nil) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.streams("customers", "0 * * * *")
				c.fail(w)
				_, stop := w.start()
				until("2000-01-01 03:30:00")
				if n := len(w.peers.finished("customers")); n != 0 {
					t.Fatalf("%d runs without a state", n)
				}
				if n := max(w.store.calls(), len(w.peers.tasks(""))); n > 4*60+10 {
					t.Errorf("the state was tried %d times in 210 minutes", n)
				}
				c.mend(w)
				until("2000-01-01 03:32:00")
				stop()
				if got := w.peers.finished("customers"); len(got) != 1 {
					t.Errorf("runs after that: %v", starts(got))
				}
				if w.lines("out of reach") != 1 || w.lines("within reach again") != 1 {
					t.Errorf("log:\n%s", w.log)
				}
			})
		})
	}
}

// A run whose end the state did not learn of is made again: a tick counts as answered
// when the store says so.
func TestATickIsAnsweredWhenTheStoreKnows(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		w.streams("customers", "@daily")
		w.peers.answers(func(task schedule.Task) (engine.Report, error) {
			w.store.fail(errors.New("gone"))
			return done(task)
		})
		_, stop := w.start()
		until("2000-01-01 00:00:10")
		w.peers.answers(nil)
		w.store.fail(nil)
		until("2000-01-01 12:00:00")
		stop()
		w.expect("customers 00:00:00", "customers 00:00:16")
	})
}

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

func TestASchedulerNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := schedule.New(schedule.Config{}); err == nil {
		t.Error("a scheduler of nothing")
	}
	if _, err := schedule.NewLocal(nil); err == nil {
		t.Error("a dispatcher without a runner")
	}
}
