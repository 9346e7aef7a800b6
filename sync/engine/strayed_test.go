package engine_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// A row whose update had no answer is looked for; where its profile was removed meanwhile
// nothing is made below that one, which nobody sees.
func TestPromise15_ARowWithoutAnOutcomeIsNotMadeBelowARemovedProfile(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		customer := w.ids(1)[0]
		order := w.order(customer, "kettle", "toaster")
		w.both()
		w.settle()
		w.shop.EditOrder(order, func(o *magentotest.Order) { o.Status, o.Lines[0].Name = "processing", "a better kettle" })
		w.settle()
		w.account.Faults().Add(emulator.Fault{Kind: emulator.Status, Status: 502, PathContains: "/subprofile", Times: 1000})
		_, _ = w.engine(nil).Run(w.t.Context(), engine.Orders) // it is cut short
		w.account.Faults().Clear()
		if err := w.account.RemoveProfile(w.profileOf(w.mapping.CustomerKey(customer)).ID); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(3 * time.Hour)
			w.run()
			w.runOrders()
		}
		w.ordersInStep()
	})
}

// A row that stands below another profile than the ledger says is not where anybody looks
// for it: it is made anew below its own.
func TestPromise15_ARowBelowAnotherProfileIsFound(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		ids := w.ids(2)
		order := w.order(ids[0], "kettle")
		w.both()
		key, other := w.mapping.OrderKey(order), w.profileOf(w.mapping.CustomerKey(ids[1]))
		mine := w.below(w.profileOf(w.mapping.CustomerKey(ids[0])).ID)[key]
		strayed, err := w.account.AddSubprofile("Orders", other.ID, mine.Fields)
		check(w, err)
		check(w, w.account.RemoveSubprofile(mine.ID))
		lease, err := w.store.Acquire(t.Context(), "shop", "test", time.Minute)
		check(w, err)
		rec := w.record(state.Order, key)
		rec.CopernicaID = strayed
		_, err = w.store.Commit(t.Context(), lease, state.Commit{Records: []state.Record{rec}})
		check(w, err)
		check(w, w.store.Release(t.Context(), lease))

		var found []engine.Finding
		_, err = w.engine(nil).Inspect(t.Context(), engine.Inspection{Repair: true, Found: func(f engine.Finding) { found = append(found, f) }})
		check(w, err)
		if len(found) != 1 || found[0].Deviation != engine.Removed || found[0].Key != key {
			t.Errorf("%+v", found)
		}
		check(w, w.account.RemoveSubprofile(strayed))
		w.ordersInStep()
	})
}

// An order whose move has no outcome stands once, also when it is where it was again.
func TestPromise15_AMoveWithoutAnOutcomeThatIsTakenBack(t *testing.T) {
	for name, arrives := range map[string]bool{"it arrived": true, "it did not": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 10, func(t *testing.T, w *world) {
				order := w.guestOrder("anna@example.test", "Anna")
				w.both()
				guest, customer := w.guestKey("anna@example.test"), w.ids(1)[0]
				w.shop.EditOrder(order, func(o *magentotest.Order) { o.Guest, o.CustomerID = false, customer })
				w.settle()
				of := func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "order_id") }
				w.account.Faults().Add(emulator.Fault{Method: http.MethodPut, Match: of, Kind: emulator.Hang, After: arrives})
				w.account.Faults().Add(emulator.Fault{Method: http.MethodGet, Match: of, Kind: emulator.Status, Status: 502, Skip: 1})
				w.runOrders()
				w.account.Faults().Clear()
				if rec := w.record(state.Order, w.mapping.OrderKey(order)); rec.State != state.Unknown || rec.Parent != guest {
					t.Fatalf("the move has an outcome: %+v", rec)
				}
				w.shop.Delete(customer)
				time.Sleep(3 * time.Hour)
				w.both()
				if rows := w.below(w.profileOf(w.mapping.CustomerKey(customer)).ID); len(rows) != 0 {
					t.Errorf("below the customer: %v", rows)
				}
				if rows := w.below(w.profileOf(guest).ID); len(rows) != 1 {
					t.Errorf("below the guest: %v", rows)
				}
			})
		})
	}
}

// So it is when the process died after it was sent: its plan says where it went.
func TestPromise15_AMoveOfADeadProcessThatIsTakenBack(t *testing.T) {
	inSQLite(t, magentotest.Config{Customers: 10}, func(t *testing.T, w *world) {
		order := w.guestOrder("anna@example.test", "Anna")
		w.both()
		guest, customer := w.guestKey("anna@example.test"), w.ids(1)[0]
		w.shop.EditOrder(order, func(o *magentotest.Order) { o.Guest, o.CustomerID = false, customer })
		w.settle()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var dead atomic.Bool
		w.wire = func(base http.RoundTripper) http.RoundTripper {
			return wireTripper(func(r *http.Request) (*http.Response, error) {
				if dead.Load() {
					return nil, errDead
				}
				answer, err := base.RoundTrip(r)
				if err == nil && r.Method == http.MethodPut && strings.Contains(r.URL.RawQuery, "order_id") {
					dead.Store(true)
					stop()
					return nil, errors.Join(errDead, answer.Body.Close())
				}
				return answer, err
			})
		}
		_, _ = w.engine(func(cfg *engine.Config) { cfg.Store = mortal{w.store, &dead} }).Run(ctx, engine.Orders)
		w.wire = nil
		w.reopen(live)
		if rec := w.record(state.Order, w.mapping.OrderKey(order)); rec.State != state.Planned || rec.Parent != guest {
			t.Fatalf("the move has an outcome: %+v", rec)
		}
		w.shop.Delete(customer)
		time.Sleep(3 * time.Hour)
		w.both()
		if mine, theirs := w.below(w.profileOf(guest).ID), w.below(w.profileOf(w.mapping.CustomerKey(customer)).ID); len(mine) != 1 || len(theirs) != 0 {
			t.Errorf("below the guest: %v, below the customer: %v", mine, theirs)
		}
	})
}

// An order moved while the state was lost. The run that finds out that Copernica has rows that
// the state does not know looks in the whole collection also for the row of which it heard no
// answer, when it takes it up again: it stands once.
func TestPromise15_AMoveWhileTheStateWasLostWhoseAnswerIsLostToo(t *testing.T) {
	for name, creation := range map[string]int64{"the order's": 1, "the line's": 2} { // the profile's is the first
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{}, func(_ *testing.T, w *world) {
				order := w.guestOrder("anna@example.test", "Anna")
				w.both()
				w.newState()
				w.run() // nobody has an account, so that nothing is looked for in Copernica yet
				customer := w.register("ben@example.test", nil)
				w.shop.EditOrder(order, func(o *magentotest.Order) { o.Guest, o.CustomerID = false, customer })
				w.settle()
				w.wire = (&doom{kind: "late", left: creation, delay: 21 * time.Second}).wire
				report := w.runOrders()
				w.wire = nil
				if report.Counters.Unknown != 0 {
					w.t.Fatalf("the run did not take it up again: %+v", report.Counters)
				}
				mine := w.profileOf(w.mapping.CustomerKey(customer)).ID
				for _, collection := range []string{"Orders", "Orders_Items"} {
					if rows := w.account.Subprofiles(database, collection); len(rows) != 1 || rows[0].Parent != mine {
						w.t.Errorf("%s: %+v, and not one row below profile %d", collection, rows, mine)
					}
				}
			})
		})
	}
}

// A move after which nobody can tell whether the fields were still there is in doubt, and what
// it left is gone all the same: the row that is there is looked at, and stays.
func TestPromise15_AMoveThatIsDoubtedStandsOnce(t *testing.T) {
	inWorld(t, 10, func(_ *testing.T, w *world) {
		order := w.guestOrder("anna@example.test", "Anna")
		w.both()
		guest, customer := w.profileOf(w.guestKey("anna@example.test")).ID, w.ids(1)[0]
		w.shop.EditOrder(order, func(o *magentotest.Order) { o.Guest, o.CustomerID = false, customer })
		w.settle()
		_, err := w.engine(func(cfg *engine.Config) {
			cfg.TestHook = func(p engine.Point) {
				if p == engine.PointAnswered {
					time.Sleep(time.Minute) // the schema that was seen before the writes says nothing any more
					w.account.Faults().Add(emulator.Fault{Method: http.MethodGet, Kind: emulator.Status, Status: 502, Times: 1000})
				}
			}
		}).Run(w.t.Context(), engine.Orders)
		w.account.Faults().Clear()
		if rec := w.record(state.Order, w.mapping.OrderKey(order)); err == nil || rec.State != state.Unknown {
			w.t.Fatalf("the move is not in doubt: %+v, %v", rec, err)
		}
		time.Sleep(3 * time.Hour)
		w.both()
		if left, mine := w.below(guest), w.below(w.profileOf(w.mapping.CustomerKey(customer)).ID); len(left) != 0 || len(mine) != 1 {
			w.t.Errorf("below the guest: %v, below the customer: %v", left, mine)
		}
	})
}

// Of one guest's orders the newest speaks, in whatever order they come by: a sweep goes by
// their ids, and what is sent again comes as it was asked for.
func TestPromise17_TheNewestOrderSpeaksInAnyOrder(t *testing.T) {
	for name, again := range map[string]func(*world){
		"a sweep": func(w *world) { w.sweep(engine.OrdersSweep) },
		"a repair": func(w *world) {
			_, err := w.engine(nil).Inspect(w.t.Context(), engine.Inspection{Repair: true})
			check(w, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(t *testing.T, w *world) {
				var orders []int64
				for range 6 {
					orders = append(orders, w.guestOrder("an@example.test", "An"))
				}
				w.both()
				for i, id := range []int{2, 4, 0} { // the last to change is the first by its id
					w.settle()
					w.shop.EditOrder(orders[id], func(o *magentotest.Order) { o.FirstName = []string{"Ann", "Anna", "Annabel"}[i] })
				}
				w.both()
				check(w, w.account.RemoveProfile(w.profileOf(w.guestKey("an@example.test")).ID))
				lease, err := w.store.Acquire(t.Context(), "shop", "test", time.Minute)
				check(w, err)
				rec := w.record(state.Profile, w.guestKey("an@example.test"))
				rec.SourceUpdatedAt, rec.State, rec.CopernicaID = time.Time{}, state.Removed, 0
				if name == "a repair" {
					rec = w.record(state.Profile, w.guestKey("an@example.test"))
				}
				_, err = w.store.Commit(t.Context(), lease, state.Commit{Records: []state.Record{rec}, Bare: []string{rec.Key}})
				check(w, err)
				check(w, w.store.Release(t.Context(), lease))
				w.settle()
				again(w)
				w.sweep(engine.OrdersSweep)
				w.ordersInStep()
				if p := w.profileOf(w.guestKey("an@example.test")); p == nil || p.Fields["firstname"] != "Annabel" {
					t.Errorf("the guest: %+v", p)
				}
			})
		})
	}
}

// A sweep meets a record that the shop fails over, and that it tells no time of: it has a
// dead letter all the same, also when Copernica has it from before.
func TestPromise05_ASweepMeetsAPoisonedRecordThatIsKnown(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20, Orders: 30}, func(t *testing.T, w *world) {
		w.both()
		order, customer := w.shop.Data().Orders[7].ID, w.ids(9)[8]
		w.poison([]int64{customer}, []int64{order})
		w.settle()
		w.sweep(engine.CustomersSweep)
		w.sweep(engine.OrdersSweep)
		letters := w.poisonLetters()
		if letters[w.mapping.OrderKey(order)] != 1 || letters[w.mapping.CustomerKey(customer)] != 1 || len(letters) != 2 {
			t.Errorf("dead letters: %v", letters)
		}
	})
}

// A double of somebody who was erased is a person's data that nobody knows of: it is told.
func TestPromise19_ADoubleOfTheErasedIsTold(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20, Orders: 10}, func(t *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		id := w.register("anna@example.test", nil)
		y.runs()
		key := w.mapping.CustomerKey(id)
		double, err := w.account.AddProfile(database, w.profileOf(key).Fields)
		check(w, err)
		y.shop.Delete(id)
		y.sweeps(0)
		var found []engine.Finding
		_, err = y.engine(y.tune).Inspect(t.Context(), engine.Inspection{Repair: true, Found: func(f engine.Finding) { found = append(found, f) }})
		check(w, err)
		if len(found) != 1 || found[0].Deviation != engine.Orphaned || found[0].CopernicaID != double || found[0].Key != key {
			t.Errorf("found %+v", found)
		}
	})
}
