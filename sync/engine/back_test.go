package engine_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// writeBack takes opt-outs to the shop and expects it to end well.
func (w *world) writeBack() engine.Report {
	w.t.Helper()
	report, err := w.engine(nil).WriteBack(w.t.Context())
	if err != nil || report.Outcome != state.Done {
		w.t.Fatalf("write back: %+v, %v", report, err)
	}
	return report
}

// optsOut unsubscribes a customer in Copernica.
func (w *world) optsOut(id int64) {
	w.t.Helper()
	key := w.mapping.CustomerKey(id)
	if err := w.account.Unsubscribe(database, key); err != nil {
		w.t.Fatal(err)
	}
	w.unsubscribed[key] = true
}

// subscribed reports what the shop says of a customer.
func (w *world) subscribed(id int64) bool {
	w.t.Helper()
	for _, c := range w.shop.Data().Customers {
		if c.ID == id {
			return c.NewsletterStatus == magentotest.Subscribed
		}
	}
	w.t.Fatalf("there is no customer %d", id)
	return false
}

// A look for opt-outs that finds one it cannot settle yet begins there again the next time,
// however long that takes.
func TestPromise18_AnOptOutThatCannotBeSettledYetIsNotPassedOver(t *testing.T) {
	byHand := func(w *world, id int64) { // so that no list tells of it
		check(w, w.account.EditProfile(w.profile(id).ID, map[string]string{ours: "no more"}))
	}
	for _, tc := range []struct {
		name   string
		before func(w *world, id int64) // the look that comes too early
	}{
		{"the state was lost, and nobody was read yet", func(w *world, id int64) {
			byHand(w, id)
			w.newState()
		}},
		{"the state was lost, and they changed after the first pass", func(w *world, id int64) {
			byHand(w, id)
			w.newState()
			w.shop.Edit(id, func(*magentotest.Customer) {})
			w.run()
		}},
		{"a write of the profile has no outcome", func(w *world, id int64) {
			w.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = "New" })
			w.settle()
			w.account.Faults().Add(emulator.Fault{Method: http.MethodPut, Kind: emulator.Hang})
			_, _ = w.engine(nil).Run(w.t.Context(), engine.Customers)
			w.account.Faults().Clear()
			if w.count(state.Profile, state.Unknown) != 1 {
				w.t.Fatal("the write has an outcome")
			}
			byHand(w, id)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 20}, func(t *testing.T, w *world) {
				id := w.ids(1)[0]
				subscribe(w, id, magentotest.Subscribed)
				w.settle()
				w.run()
				w.writeBack()
				time.Sleep(6 * time.Hour)
				tc.before(w, id)
				time.Sleep(3 * time.Hour) // longer than looks overlap
				w.writeBack()
				if !w.subscribed(id) {
					t.Fatal("the early look settled it")
				}
				time.Sleep(6 * time.Hour)
				w.run()
				w.writeBack()
				if w.subscribed(id) {
					t.Error("the shop never heard of the opt-out")
				}
			})
		})
	}
}

// Whom the shop has as out while a lost state is made anew may be in when a stream brings
// them: what Copernica shows then wins, and the shop hears of it.
func TestPromise18_AnOptInBeforeALostStateKnowsThePerson(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20}, func(t *testing.T, w *world) {
		id := w.ids(1)[0]
		subscribe(w, id, magentotest.Unsubscribed)
		w.settle()
		w.run()
		w.newState()
		w.shop.Edit(id, func(*magentotest.Customer) {})
		w.run() // they come after it
		time.Sleep(6 * time.Hour)
		w.writeBack()
		subscribe(w, id, magentotest.Subscribed)
		time.Sleep(6 * time.Hour)
		w.run()
		w.writeBack()
		if shown := w.profile(id).Fields[ours] == in; w.subscribed(id) != shown {
			t.Errorf("the shop says %v, Copernica %v", w.subscribed(id), shown)
		}
	})
}

func TestPromise18_AnOptOutInCopernicaReachesTheShop(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 60}, func(_ *testing.T, w *world) {
		ids := w.ids(4)
		for _, id := range ids {
			subscribe(w, id, magentotest.Subscribed)
		}
		w.settle()
		w.run()
		if first := w.writeBack(); first.Counters.OptOutsReturned != 0 {
			w.t.Errorf("nobody opted out: %+v", first.Counters)
		}
		w.optsOut(ids[0])
		w.optsOut(ids[1])
		w.settle()
		report := w.writeBack()
		if report.Counters.OptOutsReturned != 2 || w.subscribed(ids[0]) || w.subscribed(ids[1]) || !w.subscribed(ids[2]) {
			w.t.Errorf("%+v", report.Counters)
		}
		told, err := w.store.OptOuts(w.t.Context(), "shop", w.mapping.CustomerKey(ids[0]), 10)
		if err != nil || len(told) != 1 || told[0].Source != engine.OptOutInProfile || told[0].At.IsZero() || told[0].SettledAt.Before(told[0].At) {
			w.t.Errorf("what is kept of it: %+v, %v", told, err)
		}
		// The echo: the shop's own updated_at moved, and there is nothing to say.
		w.settle()
		if echo := w.run(); echo.Counters.Read < 2 || echo.Counters.TargetCalls != 0 {
			w.t.Errorf("the echo: %+v", echo.Counters)
		}
		if again := w.writeBack(); again.Counters.OptOutsReturned != 0 {
			w.t.Errorf("returned again: %+v", again.Counters)
		}
		w.inStep()

		// Who subscribes in the shop after that meant it.
		subscribe(w, ids[0], magentotest.Subscribed)
		w.settle()
		w.run()
		delete(w.unsubscribed, w.mapping.CustomerKey(ids[0]))
		w.inStep()
	})
}

// Who opts out, is opted in by somebody's hand in Copernica and opts out again shows the value
// that was settled the first time: a look between has it that it was another one since.
func TestPromise18_TheSameOptOutAfterAnOptInByHand(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20}, func(_ *testing.T, w *world) {
		id := w.ids(1)[0]
		subscribe(w, id, magentotest.Subscribed)
		w.settle()
		w.run()
		w.optsOut(id)
		w.settle()
		w.writeBack()
		check(w, w.account.EditProfile(w.profile(id).ID, map[string]string{ours: in}))
		w.settle()
		w.writeBack()
		if w.subscribed(id) {
			w.t.Error("an opt-in in Copernica went to the shop")
		}
		w.optsOut(id)
		w.settle()
		subscribe(w, id, magentotest.Subscribed) // before anybody looked: the opt-out wins
		w.settle()
		w.run()
		if report := w.writeBack(); report.Counters.OptOutsReturned != 1 || w.subscribed(id) {
			w.t.Errorf("subscribed %v, %+v", w.subscribed(id), report.Counters)
		}
		w.settle()
		w.run()
		w.inStep()
	})
}

func TestPromise18_WritesBackAreMadeOnceWhateverBecomesOfTheAnswer(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault emulator.Fault
	}{
		{"500 before it was applied", emulator.Fault{Kind: emulator.Status, Status: 500}},
		{"500 after it was applied", emulator.Fault{Kind: emulator.Status, Status: 500, After: true}},
		{"reset after it was applied", emulator.Fault{Kind: emulator.Reset, After: true}},
		{"maintenance", emulator.Fault{Kind: emulator.HTML, Status: 503}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
				id := w.ids(1)[0]
				subscribe(w, id, magentotest.Subscribed)
				w.settle()
				w.run()
				w.optsOut(id)
				f := tc.fault
				f.Method, f.Times = http.MethodPut, 5
				w.shop.Faults().Add(f)
				_, err := w.engine(nil).WriteBack(w.t.Context())
				w.shop.Faults().Clear()
				time.Sleep(time.Hour)
				report := w.writeBack()
				if err == nil && report.Counters.OptOutsReturned != 0 || w.subscribed(id) {
					w.t.Errorf("%v, then %+v", err, report.Counters)
				}
				w.settle()
				w.run()
				w.inStep()
			})
		})
	}
}

// A shop that does not take an opt-out has a dead letter for it, which a replay closes.
func TestPromise23_AnOptOutThatTheShopRefuses(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
		ids := w.ids(2)
		for _, id := range ids {
			subscribe(w, id, magentotest.Subscribed)
		}
		w.settle()
		w.run()
		w.optsOut(ids[0])
		w.optsOut(ids[1])
		w.shop.Faults().Add(emulator.Fault{
			Method: http.MethodPut, PathContains: fmt.Sprintf("/customers/%d", ids[0]), Kind: emulator.Status, Status: 400,
			Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, Body: `{"message":"First Name is not valid!"}`,
		})
		report := w.writeBack()
		letters := w.letters()
		if report.Counters.OptOutsReturned != 1 || len(letters) != 1 || letters[0].Cause != "unsubscribe_refused" || letters[0].Stream != engine.Unsubscribes {
			w.t.Fatalf("%+v: %+v", report.Counters, letters)
		}
		w.shop.Faults().Clear()
		replayed, err := w.engine(nil).Deliver(w.t.Context(), engine.Unsubscribes, []int64{ids[0]})
		if err != nil || replayed.Counters.OptOutsReturned != 1 || len(w.letters()) != 0 || w.subscribed(ids[0]) {
			w.t.Errorf("replayed: %+v, %v, %+v", replayed.Counters, err, w.letters())
		}
	})
}
