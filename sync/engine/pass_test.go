package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

func TestPromise01_EveryCustomerArrivesOnce(t *testing.T) {
	inWorld(t, 400, func(t *testing.T, w *world) {
		// More rows of one second than three pages hold.
		for i := range 170 {
			w.shop.Create(magentotest.Customer{
				WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "Tied", LastName: "Row", Email: fmt.Sprintf("tie%d@example.test", i),
			})
		}
		w.settle()
		report := w.run()
		if report.Outcome != state.Done || report.Counters.Created != 570 {
			t.Errorf("report %+v", report)
		}
		w.inStep()
	})
}

func TestPromise08_NothingToWriteCostsNoCall(t *testing.T) {
	inWorld(t, 120, func(t *testing.T, w *world) {
		w.run()
		before := w.account.Log().Total()
		report := w.run()
		if calls := w.account.Log().Total() - before; calls != 0 || report.Counters.TargetCalls != 0 {
			t.Errorf("a second run made %d calls (%d counted)", calls, report.Counters.TargetCalls)
		}
		w.settle()
		w.run()
		if calls := w.account.Log().Total() - before; calls != 0 {
			t.Errorf("a later run made %d calls", calls)
		}
	})
}

func TestPromise02_TheHorizonIsClosed(t *testing.T) {
	inWorld(t, 60, func(t *testing.T, w *world) {
		ids := w.ids(2)
		w.run()
		first := w.checkpoint().Horizon
		if want := time.Now().Add(-10 * time.Second).Truncate(time.Second).UTC(); !first.Equal(want) {
			t.Errorf("horizon %s, want the shop's clock minus the settle time, %s", first, want)
		}

		// A change that is younger than the settle time is left to the next pass.
		w.shop.Edit(ids[0], func(c *magentotest.Customer) { c.FirstName = "Later" })
		time.Sleep(2 * time.Second)
		w.run()
		if got := w.profile(ids[0]).Fields["firstname"]; got == "Later" {
			t.Error("a change within the settle time was read")
		}
		// An updated_at in the future cannot push the horizon.
		w.shop.EditQuietly(ids[1], func(c *magentotest.Customer) {
			c.UpdatedAt = time.Now().UTC().Add(90 * 24 * time.Hour).Truncate(time.Second)
		})
		w.settle()
		w.run()
		if got := w.profile(ids[0]).Fields["firstname"]; got != "Later" {
			t.Error("the change did not arrive when it had settled")
		}
		if h := w.checkpoint().Horizon; h.After(time.Now()) {
			t.Errorf("horizon %s lies in the future", h)
		}
		// Without any change it moves on all the same.
		before := w.checkpoint().Horizon
		w.settle()
		w.run()
		if got := w.checkpoint().Horizon.Sub(before); got != time.Minute {
			t.Errorf("an idle pass moved the horizon by %s", got)
		}
	})
}

func TestPromise03_AChangeThatWasCommittedLateIsFound(t *testing.T) {
	inWorld(t, 60, func(t *testing.T, w *world) {
		w.run()
		id := w.ids(1)[0]
		w.settle()
		w.shop.EditLate(id, func(c *magentotest.Customer) { c.FirstName = "Late" }, 40*time.Second)
		time.Sleep(20 * time.Second)
		w.run() // its horizon is past the statement, the commit is not there yet
		if got := w.profile(id).Fields["firstname"]; got == "Late" {
			t.Fatal("the test is no good: the change was visible at once")
		}
		w.settle()
		w.run()
		if got := w.profile(id).Fields["firstname"]; got != "Late" {
			t.Error("a change committed 40 s late never arrived")
		}
		w.inStep()
	})
}

func TestPromise03_ABurstLargerThanTheBudgetFinishes(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		const rows, budget = 500, 50
		for i := range rows {
			w.shop.Create(magentotest.Customer{
				WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "Burst", LastName: "Row",
				Email: "burst" + string(rune('a'+i%26)) + "." + time.Duration(i).String() + "@example.test",
			})
		}
		w.settle()
		runs := 0
		for w.checkpoint().Horizon.IsZero() {
			if runs++; runs > 20 {
				t.Fatal("no end")
			}
			report, err := w.engine(func(cfg *engine.Config) { cfg.Budget.Records = budget }).Run(t.Context(), engine.Customers)
			if err != nil {
				t.Fatal(err)
			}
			if report.Counters.Read > budget {
				t.Errorf("a run read %d records at a budget of %d", report.Counters.Read, budget)
			}
		}
		if runs > 11 {
			t.Errorf("%d rows of one second at %d a run took %d runs", rows, budget, runs)
		}
		w.inStep()
	})
}

func TestPromise21_ATimeBudgetEndsARunCleanly(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		w.shop.OnRequest(func(*http.Request) { time.Sleep(time.Second) })
		report, err := w.engine(func(cfg *engine.Config) { cfg.Budget.Time = 5 * time.Second }).Run(t.Context(), engine.Customers)
		if err != nil || report.Outcome != state.Paused || report.Counters.Read == 0 || report.Counters.Read == 300 {
			t.Fatalf("%+v, %v", report, err)
		}
		if cp := w.checkpoint(); cp.Position.IsZero() || cp.Target.IsZero() || !cp.Horizon.IsZero() {
			t.Errorf("checkpoint %+v holds no position", cp)
		}
		if report := w.run(); report.Counters.Created == 0 || report.Counters.Unchanged != 0 {
			t.Errorf("the next run did not resume at the exact position: %+v", report.Counters)
		}
		w.inStep()
	})
}

func TestPromise09_AStopLeavesACleanState(t *testing.T) {
	inWorld(t, 300, func(t *testing.T, w *world) {
		ctx, stop := context.WithCancel(t.Context())
		report, err := w.engine(func(cfg *engine.Config) {
			sent := 0
			cfg.Writes = 1
			cfg.TestHook = func(p engine.Point) {
				if p == engine.PointSent {
					if sent++; sent == 77 {
						stop()
					}
				}
			}
		}).Run(ctx, engine.Customers)
		if !errors.Is(err, context.Canceled) || report.Outcome != state.Paused {
			t.Fatalf("%+v, %v", report, err)
		}
		rows, err := w.store.Pending(t.Context(), "shop", time.Now().Add(time.Hour), 1000)
		if err != nil || len(rows) != 0 {
			t.Errorf("%d rows were left planned or unknown, %v", len(rows), err)
		}
		writes := w.writes()
		w.run()
		w.inStep()
		if again := w.writes() - writes; again != 300-77 {
			t.Errorf("the next run made %d writes, %d were left to do", again, 300-77)
		}
	})
}

func TestPromise13_OneWriter(t *testing.T) {
	inWorld(t, 100, func(t *testing.T, w *world) {
		entered, leave := make(chan struct{}), make(chan struct{})
		done := make(chan error, 1)
		first := w.engine(func(cfg *engine.Config) {
			cfg.Holder = "first"
			cfg.TestHook = func(p engine.Point) {
				if p == engine.PointLeased {
					close(entered)
					<-leave
				}
			}
		})
		go func() {
			_, err := first.Run(t.Context(), engine.Customers)
			done <- err
		}()
		<-entered
		_, err := w.engine(nil).Run(t.Context(), engine.Customers)
		held, ok := errors.AsType[*state.HeldError](err)
		if !ok || held.Holder != "first" {
			t.Errorf("a second run beside the first: %v", err)
		}
		if n := w.account.Log().Total(); n != 0 {
			t.Errorf("it made %d calls", n)
		}
		close(leave)
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.inStep()
	})
}

func TestPromise13_WhoLostTheLeaseWritesNoMore(t *testing.T) {
	inWorld(t, 200, func(t *testing.T, w *world) {
		var stolen bool
		_, err := w.engine(func(cfg *engine.Config) {
			cfg.TestHook = func(p engine.Point) {
				if p != engine.PointCommitted || stolen {
					return
				}
				stolen = true
				time.Sleep(4 * time.Minute) // longer than the lease: renewals are held off below
				if _, err := w.store.Acquire(t.Context(), "shop", "thief", time.Hour); err != nil {
					t.Errorf("the lease of a stopped process cannot be taken over: %v", err)
				}
			}
			cfg.Store = noRenewal{w.store}
		}).Run(t.Context(), engine.Customers)
		if !errors.Is(err, state.ErrFenced) {
			t.Fatalf("got %v", err)
		}
		writes := w.writes()
		time.Sleep(5 * time.Minute)
		if again := w.writes() - writes; again != 0 {
			t.Errorf("%d writes after the lease was lost", again)
		}
	})
}

// noRenewal is a store whose lease cannot be renewed, as if the process were stopped.
type noRenewal struct{ state.Store }

func (noRenewal) Renew(context.Context, state.Lease, time.Duration) (state.Lease, error) {
	return state.Lease{}, errors.New("the process is stopped")
}

func TestPromise07_ARowTellsWhenAndByWhichRunItArrived(t *testing.T) {
	inWorld(t, 20, func(t *testing.T, w *world) {
		id := w.ids(1)[0]
		first := w.run()
		w.settle()
		w.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = "Again" })
		w.settle()
		second := w.run()
		for key, want := range map[string]int64{w.mapping.CustomerKey(id): second.Run, w.mapping.CustomerKey(w.ids(2)[1]): first.Run} {
			rows, err := w.store.Records(t.Context(), "shop", state.Profile, []string{key})
			check(w, err)
			if row := rows[key]; row.RunID != want || row.FirstSeen.IsZero() || row.AcknowledgedAt.Before(row.FirstSeen) {
				t.Errorf("%s: %+v", key, row)
			}
		}
	})
}
