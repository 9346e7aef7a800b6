package schedule_test

import (
	"errors"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/schedule"
)

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
		if w.lines("two daemons seem to serve one state") != 1 {
			t.Errorf("of a holder that stays:\n%s", w.log)
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
