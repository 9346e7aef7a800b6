package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

var programs = map[string]copernicatest.Mailer{"publisher": copernicatest.Publisher, "suite": copernicatest.MarketingSuite}

// subscribers subscribes some customers in the shop and brings that over.
func (w *world) subscribers(n int) []int64 {
	w.t.Helper()
	ids := w.ids(n)
	for _, id := range ids {
		subscribe(w, id, magentotest.Subscribed)
	}
	w.settle()
	w.run()
	w.writeBack()
	return ids
}

// isOut expects that nobody mails a customer, on either side.
func (w *world) isOut(id int64) {
	w.t.Helper()
	if w.subscribed(id) {
		w.t.Errorf("customer %d is subscribed in the shop", id)
	}
	if p := w.profileOf(w.mapping.CustomerKey(id)); p != nil && (p.Fields[ours] == in || p.Fields[ours] == "") {
		w.t.Errorf("customer %d shows %q in Copernica", id, p.Fields[ours])
	}
}

// Whatever an unsubscribe does to a profile, it reaches both sides, once; and who comes
// back in the shop after that is left alone however often the list is read.
func TestPromise18_AClickReachesBothSidesWhateverItDoesToTheProfile(t *testing.T) {
	for name, by := range programs {
		for _, behaviour := range []string{"nothing", "update", "remove"} {
			t.Run(name+" "+behaviour, func(t *testing.T) {
				inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
					w.behaves(behaviour)
					ids := w.subscribers(3)
					w.click(ids[0], by)
					w.settle()
					if n := w.writeBack().Counters.OptOutsReturned; n != 1 || !w.subscribed(ids[1]) || w.profile(ids[1]).Fields[ours] != in {
						w.t.Errorf("%d opt-outs returned", n)
					}
					w.isOut(ids[0])
					source := map[string]string{"publisher": "publisher", "suite": "ms"}[name]
					if told, err := w.store.OptOuts(w.t.Context(), "shop", w.mapping.CustomerKey(ids[0]), 10); err != nil || len(told) != 1 || told[0].Source != source || told[0].At.IsZero() {
						w.t.Errorf("what is kept of it: %+v, %v", told, err)
					}
					w.settle()
					w.run()
					w.isOut(ids[0])
					writes := w.writes()
					if n := w.writeBack().Counters.OptOutsReturned; n != 0 || w.writes() != writes {
						w.t.Errorf("an entry that is settled counts again: %d, %d writes", n, w.writes()-writes)
					}
					if behaviour == "remove" {
						return // nothing of them is left to come back to
					}
					subscribe(w, ids[0], magentotest.Subscribed)
					for range 5 { // within the overlap and beyond
						w.settle()
						w.run()
						w.writeBack()
						if !w.subscribed(ids[0]) || w.profile(ids[0]).Fields[ours] != in {
							w.t.Fatalf("who came back is out: the shop says %v, Copernica %q", w.subscribed(ids[0]), w.profile(ids[0]).Fields[ours])
						}
						time.Sleep(40 * time.Minute)
					}
					w.click(ids[0], by)
					w.settle()
					w.writeBack()
					w.isOut(ids[0])
				})
			})
		}
	}
}

// counting is a store that counts how often it is asked whose profiles are.
type counting struct {
	state.Store
	asked atomic.Int64
}

func (c *counting) RecordsByCopernicaID(ctx context.Context, pipeline string, e state.Entity, ids ...int64) ([]state.Record, error) {
	c.asked.Add(1)
	return c.Store.RecordsByCopernicaID(ctx, pipeline, e, ids...)
}

// A page of a list asks the ledger once, however many it names.
func TestAPageOfAListIsLookedUpAtOnce(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 60}, func(_ *testing.T, w *world) {
		w.behaves("nothing")
		ids := w.subscribers(20)
		for _, id := range ids {
			w.click(id, copernicatest.Publisher)
		}
		w.settle()
		store := &counting{Store: w.store}
		w.store = store
		n := w.writeBack().Counters.OptOutsReturned
		if asked := store.asked.Load(); n != 20 || asked != 1 {
			w.t.Errorf("%d opt-outs returned, the ledger was asked %d times", n, asked)
		}
		for _, id := range ids {
			w.isOut(id)
		}
	})
}

// A click that finds somebody out already is noted: an opt-in made later is later.
func TestPromise18_AClickOfSomebodyWhoIsOut(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
		w.behaves("nothing")
		id := w.subscribers(1)[0]
		w.shop.SetNewsletter(id, magentotest.Unsubscribed)
		w.sweep(engine.ConsentSweep)
		w.click(id, copernicatest.Publisher)
		w.settle()
		if n := w.writeBack().Counters.OptOutsReturned; n != 0 {
			w.t.Errorf("%d opt-outs returned of somebody who was out", n)
		}
		subscribe(w, id, magentotest.Subscribed)
		w.settle()
		w.run()
		w.writeBack()
		if !w.subscribed(id) || w.profile(id).Fields[ours] != in {
			w.t.Errorf("who came back is out: the shop says %v, Copernica %q", w.subscribed(id), w.profile(id).Fields[ours])
		}
		// Out as far as the ledger knows, and back in the shop unseen: nobody knows the order.
		w.shop.SetNewsletter(id, magentotest.Unsubscribed)
		w.sweep(engine.ConsentSweep)
		w.shop.SetNewsletter(id, magentotest.Subscribed)
		time.Sleep(time.Second)
		w.click(id, copernicatest.Publisher)
		w.settle()
		w.writeBack()
		w.settle()
		w.run()
		w.isOut(id)
	})
}

// Guests have no record in the shop. Their profile stops saying that they are in, where a
// program in Copernica or a user made it say so.
func TestPromise18_AClickOfAGuest(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 10, Orders: 5}, func(_ *testing.T, w *world) {
		w.behaves("nothing")
		keys := map[string]string{"in@example.test": in, "empty@example.test": "", "other@example.test": "yes please"}
		for email := range keys {
			w.guestOrder(email, "A")
		}
		w.settle()
		w.both()
		for email, shown := range keys {
			p := w.profileOf(w.guestKey(email))
			check(w, w.account.EditProfile(p.ID, map[string]string{ours: shown}))
		}
		w.writeBack()
		for email := range keys {
			check(w, w.account.Click(w.profileOf(w.guestKey(email)).ID, copernicatest.MarketingSuite))
		}
		w.settle()
		calls := w.shop.Log().Total()
		// One is known to be out, and of none has the shop a record.
		if n := w.writeBack().Counters; n.OptOutsReturned != 2 || n.OptOutsWithoutRecord != 2 {
			w.t.Errorf("%d opt-outs counted, %d of people without a record", n.OptOutsReturned, n.OptOutsWithoutRecord)
		}
		keys["in@example.test"] = out
		for email, want := range keys {
			if got := w.profileOf(w.guestKey(email)).Fields[ours]; got != want {
				w.t.Errorf("%s shows %q, want %q", email, got, want)
			}
		}
		if n := w.shop.Log().Total() - calls; n > 3 { // that it is the same shop
			w.t.Errorf("%d calls to the shop for guests", n)
		}
	})
}

// A list that tells only after the profile did undoes no opt-in that came in between.
func TestPromise18_AListThatTellsLate(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
		w.behaves("update")
		id := w.subscribers(1)[0]
		late := w.account.Faults().Add(emulator.Fault{PathContains: "/publisher/", Kind: emulator.HTML, Status: 503})
		w.click(id, copernicatest.Publisher)
		w.settle()
		if report, err := w.engine(nil).WriteBack(w.t.Context()); err == nil || report.Counters.OptOutsReturned != 1 {
			w.t.Errorf("%+v, %v", report, err)
		}
		w.isOut(id)
		subscribe(w, id, magentotest.Subscribed)
		w.settle()
		w.run()
		late.Remove()
		w.writeBack()
		w.settle()
		w.run()
		if !w.subscribed(id) || w.profile(id).Fields[ours] != in {
			w.t.Errorf("who came back is out: the shop says %v, Copernica %q", w.subscribed(id), w.profile(id).Fields[ours])
		}
	})
}

// The lists are read from a day before the pipeline was opened, and not years back; that
// is kept for an account that gives them later.
func TestTheFirstLookAtTheLists(t *testing.T) {
	for name, s := range map[string]copernicatest.Switches{"at once": {}, "months later": {ListsForbidden: 403}} {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
				w.newAccount(s)
				w.behaves("nothing")
				ids := w.ids(3)
				for _, id := range ids {
					subscribe(w, id, magentotest.Subscribed)
				}
				w.settle()
				w.run()
				w.click(ids[0], copernicatest.Publisher)
				time.Sleep(48 * time.Hour)
				w.click(ids[1], copernicatest.Publisher)
				time.Sleep(20 * time.Hour)
				w.newState() // the lists were never read
				w.run()
				time.Sleep(10 * 24 * time.Hour)
				w.click(ids[2], copernicatest.MarketingSuite)
				time.Sleep(20 * 24 * time.Hour)
				w.writeBack()
				if s.ListsForbidden != 0 {
					if !w.subscribed(ids[1]) {
						w.t.Error("out without a list")
					}
					w.account.Allow()
					w.writeBack()
				}
				w.isOut(ids[1])
				w.isOut(ids[2])
				if !w.subscribed(ids[0]) {
					w.t.Error("somebody is out who unsubscribed days before the state was made")
				}
			})
		})
	}
}
