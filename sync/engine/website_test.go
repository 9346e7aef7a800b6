package engine_test

import (
	"bytes"
	"testing"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// english is a store view of the first website beside its default one.
const english = 3

// closings are what may happen to a store view that people ordered in.
var closings = map[string]func(*magentotest.Shop){
	"deleted":                  func(s *magentotest.Shop) { s.DeleteView(english) },
	"moved to another website": func(s *magentotest.Shop) { s.MoveView(english, 2) },
}

// inClosings runs a test in a shop for each of them.
func inClosings(t *testing.T, test func(w *world, closes func())) {
	for name, closes := range closings {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 20, Orders: 10}, func(_ *testing.T, w *world) {
				test(w, func() { closes(w.shop) })
			})
		})
	}
}

// orderAbroad places a guest's order in the English store view.
func (w *world) orderAbroad(email string) int64 {
	return w.shop.CreateOrder(magentotest.Order{
		StoreID: english, Guest: true, Email: email, FirstName: "Anna", LastName: "Guest", Lines: []magentotest.Line{line("thing")},
	})
}

// comesBy has every order come by again, by a sweep and by a change.
func (w *world) comesBy(orders ...int64) {
	w.t.Helper()
	w.settle()
	w.sweep(engine.OrdersSweep)
	for _, id := range orders {
		w.shop.EditOrder(id, func(o *magentotest.Order) { o.Status = "complete" })
	}
	w.both()
	w.both()
}

// Who ordered in a store view that is gone from its website is the guest who they were: their
// opt-out stands, and their next order in another view joins the ones before.
func TestPromise17_AStoreViewThatGoesKeepsItsGuests(t *testing.T) {
	inClosings(t, func(w *world, closes func()) {
		const email = "anna@example.test"
		order := w.orderAbroad(email)
		w.both()
		guest := w.profileOf(w.guestKey(email))
		check(w, w.account.Unsubscribe(database, w.guestKey(email)))
		w.settle()
		w.writeBack()
		people := len(w.account.Profiles(database))

		closes()
		w.comesBy(order)
		w.guestOrder(email, "Anna")
		w.both()
		now := w.profileOf(w.guestKey(email))
		if now == nil || now.ID != guest.ID || now.Fields[ours] != copernicatest.Unsubscribed {
			w.t.Fatalf("the guest was %+v, is %+v", guest, now)
		}
		rows := w.below(now.ID)
		if len(rows) != 2 || rows[w.mapping.OrderKey(order)].Fields["status"] != "complete" {
			w.t.Errorf("their orders: %v", rows)
		}
		if n := len(w.account.Profiles(database)); n != people {
			w.t.Errorf("%d profiles were %d", n, people)
		}
	})
}

// An order of a guest who turned out to be a customer stays theirs, when its store view goes.
func TestPromise17_AStoreViewThatGoesKeepsItsClaims(t *testing.T) {
	inClosings(t, func(w *world, closes func()) {
		const email = "anna@example.test"
		order := w.orderAbroad(email)
		w.both()
		id := w.register(email, nil)
		w.both()
		later := w.orderAbroad(email) // as a guest again, though they have an account
		w.both()
		people := len(w.account.Profiles(database))

		closes()
		w.comesBy(order, later)
		mine := w.profile(id)
		if rows := w.below(mine.ID); len(rows) != 2 {
			w.t.Errorf("the customer's orders: %v", rows)
		}
		if n := len(w.account.Profiles(database)); n != people {
			w.t.Errorf("%d profiles were %d", n, people)
		}
		w.shop.Delete(id)
		w.sweep(engine.CustomersSweep)
		w.comesBy(order, later)
		if guest := w.profileOf(w.guestKey(email)); guest == nil || len(w.below(guest.ID)) != 2 {
			w.t.Errorf("without an account they are a guest again: %+v", guest)
		}
	})
}

// Who was erased does not come back with the orders of a store view that goes, not even to an
// older state, which has them as they were.
func TestPromise19_AStoreViewThatGoesBringsNobodyBack(t *testing.T) {
	for name, closes := range closings {
		t.Run(name, func(t *testing.T) {
			inSQLite(t, magentotest.Config{Customers: 20, Orders: 10}, func(_ *testing.T, w *world) {
				const email = "anna@erased.test"
				y := w.yard(engine.EraseRemove)
				id := y.customer(email)
				order := w.orderAbroad(email)
				y.runs()
				y.backUp()
				y.shop.Delete(id)
				y.sweeps(0)
				y.nobodyIs(email)
				closes(y.shop)
				for range 2 {
					y.settle()
					y.sweeps(0)
					y.stir(&crowd{orders: []int64{order}}, "complete")
					y.runs()
					y.sweeps(0)
					y.nobodyIs(email)
					if calm := y.runs().Plus(y.sweeps(0)); calm.Missing+calm.Erased != 0 {
						y.t.Errorf("no rest: %+v", calm)
					}
					y.restore()
				}
			})
		})
	}
}

// Nor do they come back to a state that never knew the order, and so not its website.
func TestPromise19_AnOrderOfNoWebsiteBringsNobodyBack(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20, Orders: 10}, func(t *testing.T, w *world) {
		persons, err := state.NewHasher(bytes.Repeat([]byte{7}, state.HasherKeySize))
		if err != nil {
			t.Fatal(err)
		}
		const email, another = "anna@erased.test", "bea@example.test"
		y := w.yard(engine.EraseRemove)
		y.persons = persons
		id := y.customer(email)
		w.orderAbroad(email)
		w.orderAbroad(another)
		y.runs()
		y.shop.Delete(id)
		y.sweeps(0)
		y.shop.DeleteView(english)
		y.newState()
		y.runs()
		y.nobodyIs(email)
		if y.profiles()[w.mapping.GuestKey(0, another)].ID == 0 {
			t.Error("whoever was not erased is a guest of no website")
		}
		y.settle()
		y.order(0, email)
		y.runs()
		if y.profiles()[guestKey(w, email)].ID == 0 {
			t.Error("who orders again after their erasure starts anew")
		}
	})
}
