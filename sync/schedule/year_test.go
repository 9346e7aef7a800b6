package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/schedule"
)

func amsterdam(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// grid returns the ticks of a schedule after a moment, up to another.
func grid(s schedule.Ticks, after, to time.Time) []time.Time {
	var out []time.Time
	for tick := s.Next(after); !tick.After(to); tick = s.Next(tick) {
		out = append(out, tick)
	}
	return out
}

// answered expects each tick to be the first of exactly one task.
func answered(t *testing.T, want []time.Time, tasks []schedule.Task) {
	t.Helper()
	count := map[time.Time]int{}
	for _, task := range tasks {
		count[task.Tick.UTC()]++
	}
	missed, doubled := 0, 0
	for _, tick := range want {
		switch n := count[tick.UTC()]; {
		case n == 0:
			missed++
			if missed < 5 {
				t.Errorf("%s was missed", tick)
			}
		case n > 1:
			doubled++
			if doubled < 5 {
				t.Errorf("%s was answered %d times", tick, n)
			}
		}
		delete(count, tick.UTC())
	}
	for tick, n := range count {
		t.Errorf("%s is no tick and was answered %d times", tick, n)
	}
	t.Logf("%d ticks, %d missed, %d doubled", len(want), missed, doubled)
}

// A year of minutes on one clock: customers every 5, orders every 15, in a zone whose
// clocks jump twice.
func TestAYearOfTicksIsAnsweredOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		customers := ticks(t, "CRON_TZ=Europe/Amsterdam */5 * * * *")
		orders := ticks(t, "CRON_TZ=Europe/Amsterdam */15 * * * *")
		nightly := ticks(t, "CRON_TZ=Europe/Amsterdam 30 2 * * *")
		w.cfg.Streams = []schedule.Stream{{Name: "customers", Due: customers}, {Name: "orders", Due: orders}, {Name: "nightly", Due: nightly}}
		w.cfg.Spread = 0.1
		begin := time.Now().Add(time.Hour)
		for _, stream := range w.cfg.Streams {
			w.store.marks["schedule:shop:"+stream.Name] = begin
		}
		random := rand.New(rand.NewPCG(1, 1))
		w.peers.last(func(schedule.Task) time.Duration { return time.Duration(random.IntN(60)) * time.Second })
		time.Sleep(time.Hour)
		_, stop := w.start()
		days := scaled(366, 100) // of 2000; the 100th is after the jump of 26 March
		if testing.Short() {
			days = 100
		}
		time.Sleep(time.Duration(days) * 24 * time.Hour)
		end := time.Now()
		time.Sleep(4*time.Minute + 59*time.Second) // the last tick has its run
		stop()
		answered(t, grid(customers, begin, end), w.peers.tasks("customers"))
		answered(t, grid(orders, begin, end), w.peers.tasks("orders"))
		answered(t, grid(nightly, begin, end), w.peers.tasks("nightly"))
		nights := map[string]int{}
		for _, task := range w.peers.tasks("nightly") {
			nights[task.Tick.In(amsterdam(t)).Format(time.DateOnly)]++
		}
		for night, n := range nights {
			if n != 1 {
				t.Errorf("%d runs in the night of %s", n, night)
			}
		}
		if len(nights) < days {
			t.Errorf("runs in %d nights of %d", len(nights), days)
		}
		if n := w.lines("level=ERROR") + w.lines("level=WARN"); n > 0 {
			t.Errorf("%d complaints:\n%.2000s", n, w.log)
		}
	})
}

// A day without a peer costs a bounded number of attempts, and is made up for within
// a quarter of an hour of its end.
func TestADayWithoutAPeerIsCaughtUp(t *testing.T) {
	for _, c := range []struct {
		name    string
		failure engine.Report
		err     error
	}{
		{"a run fails", engine.Report{Run: 1, Outcome: state.Failed}, errPeer},
		{"no run can begin", engine.Report{}, errors.New("the state is down")},
		{"the pipeline is held", engine.Report{}, &state.HeldError{Pipeline: "shop", Holder: "other", Expires: time.Date(2000, 1, 3, 0, 0, 0, 0, time.UTC)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				var down atomic.Bool
				w.peers.answers(func(task schedule.Task) (engine.Report, error) {
					if down.Load() {
						return c.failure, c.err
					}
					return done(task)
				})
				_, stop := w.start()
				until("2000-01-02 00:00:00")
				down.Store(true)
				before := len(w.peers.tasks(""))
				until("2000-01-03 00:00:00")
				attempts := len(w.peers.tasks("")) - before
				down.Store(false)
				until("2000-01-03 00:20:00")
				ended := map[string]int{}
				for _, stream := range []string{"customers", "orders"} {
					for _, task := range w.peers.finished(stream) {
						if task.Start.After(time.Date(2000, 1, 3, 0, 0, 0, 0, time.UTC)) {
							ended[stream]++
						}
					}
				}
				stop()
				if ended["customers"] < 1 || ended["orders"] < 1 {
					t.Errorf("runs that ended well in the 20 minutes after: %v", ended)
				}
				if attempts > 2*24*60*6+20 {
					t.Errorf("%d attempts in a day", attempts)
				}
				if n := w.lines("level=ERROR"); n > 2 {
					t.Errorf("%d errors:\n%.2000s", n, w.log)
				}
				if n := w.lines("msg="); n > 3*24+10 {
					t.Errorf("%d lines in two days", n)
				}
				t.Logf("%d attempts in a day, %d lines in two", attempts, w.lines("msg="))
			})
		})
	}
}

// Whenever the process is killed and however often: when it has been up for a while,
// every tick has been answered by a run that ended well, and without a kill in between
// no tick is answered twice.
func TestRestartsAtRandomMomentsLoseNoTick(t *testing.T) {
	seed := randomSeed(t)
	for i := range scaled(30, 3) {
		t.Run(fmt.Sprint(seed+uint64(i)), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				random := rand.New(rand.NewPCG(seed+uint64(i), 2))
				expressions := []string{"*/5 * * * *", "*/7 * * * *", "13 * * * *", "30 2 * * *", "@every 11m", "* * * * *"}
				one, two := expressions[random.IntN(len(expressions))], expressions[random.IntN(len(expressions))]
				w.cfg.Streams = []schedule.Stream{
					{Name: "customers", Due: ticks(t, one)}, {Name: "orders", Due: ticks(t, two)},
				}
				w.cfg.Spread = []float64{-1, 0.1}[random.IntN(2)]
				begin := time.Now()
				w.store.marks["schedule:shop:customers"], w.store.marks["schedule:shop:orders"] = begin, begin
				type life struct {
					from, to time.Time
					ended    map[string][]schedule.Task
				}
				var lives []life
				for range 20 {
					// A killed process leaves a store that learns nothing more, and a run that ends in nothing.
					alive := *w
					durations := rand.New(rand.NewPCG(random.Uint64(), 0))
					alive.peers = &peers{lasts: func(schedule.Task) time.Duration {
						return time.Duration(durations.IntN(40)) * time.Second
					}}
					from := time.Now()
					_, stop := alive.start()
					time.Sleep(time.Duration(random.IntN(7200)) * time.Second)
					synctest.Wait()
					w.store = alive.store.copy()
					alive.store.fail(errors.New("killed"))
					lives = append(lives, life{from, time.Now(), map[string][]schedule.Task{
						"customers": alive.peers.finished("customers"), "orders": alive.peers.finished("orders"),
					}})
					stop()
					time.Sleep(time.Duration(random.IntN(3600)) * time.Second)
				}
				_, stop := w.start()
				from := time.Now()
				time.Sleep(25 * time.Hour)
				stop()
				lives = append(lives, life{from, time.Now(), map[string][]schedule.Task{
					"customers": w.peers.finished("customers"), "orders": w.peers.finished("orders"),
				}})

				for _, stream := range w.cfg.Streams {
					var ended []schedule.Task
					for _, l := range lives {
						seen := map[time.Time]bool{}
						for _, task := range l.ended[stream.Name] {
							if seen[task.Tick] {
								t.Errorf("%s: %s was answered twice by one process", stream.Name, task.Tick)
							}
							seen[task.Tick] = true
							ended = append(ended, task)
						}
					}
					for _, tick := range grid(stream.Due.(schedule.Ticks), begin, time.Now().Add(-10*time.Minute)) {
						if !covered(tick, ended) {
							t.Errorf("%s (%s): nothing answered %s", stream.Name, stream.Due, tick)
						}
					}
				}
			})
		})
	}
}

// covered reports whether a run that ended well answered a tick.
func covered(tick time.Time, ended []schedule.Task) bool {
	for _, task := range ended {
		if !tick.Before(task.Tick) && !tick.After(task.Start) {
			return true
		}
	}
	return false
}

// A scheduler that is told to stop returns, whatever it waits for.
func TestStopsAtAnyMoment(t *testing.T) {
	seed := randomSeed(t)
	inWorld(t, func(t *testing.T, w *world) {
		random := rand.New(rand.NewPCG(seed, 3))
		for range 100 {
			s, stop := w.start()
			if random.IntN(2) == 0 {
				s.Trigger()
			}
			time.Sleep(time.Duration(random.Int64N(int64(10 * time.Minute))))
			began := time.Now()
			stop()
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
		}
	})
}

var _ schedule.Runner = (*engine.Engine)(nil)

var _ schedule.Runner = runnerFunc(func(context.Context, string) (engine.Report, error) { return engine.Report{}, nil })
