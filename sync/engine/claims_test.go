package engine_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// register has somebody make an account on the first website.
func (w *world) register(email string, change func(*magentotest.Customer)) int64 {
	c := magentotest.Customer{Email: email, FirstName: "Anna", LastName: "Jansen", WebsiteID: 1, StoreID: 1, GroupID: 1}
	if change != nil {
		change(&c)
	}
	return w.shop.Create(c)
}

// both runs both streams after the settle time.
func (w *world) both() (customers, orders engine.Report) {
	w.t.Helper()
	w.settle()
	return w.run(), w.runOrders()
}

// guestKey is the key of the first website's guest.
func (w *world) guestKey(email string) string { return w.mapping.GuestKey(1, email) }

// profile returns the one profile with a key, or nil.
func (w *world) profileOf(key string) *copernicatest.Profile {
	w.t.Helper()
	var found *copernicatest.Profile
	for _, p := range w.account.Profiles(database) {
		if p.Fields["customer_id"] == key {
			if found != nil {
				w.t.Errorf("two profiles have the key %s", key)
			}
			found = &p
		}
	}
	return found
}

// First case of the promise: only the guest has a profile. It becomes the customer's,
// with the rows below it, and not one row is written anew.
func TestPromise17_AGuestWhoRegistersKeepsTheirProfile(t *testing.T) {
	inWorld(t, 3, func(_ *testing.T, w *world) {
		w.guestOrder("anna@example.test", "Anna")
		w.guestOrder(" ANNA@Example.test", "Anna")
		w.both()
		guest := w.profileOf(w.guestKey("anna@example.test"))
		if guest == nil {
			w.t.Fatal("no guest")
		}
		before := w.below(guest.ID)

		id := w.register("Anna@example.test", nil)
		customers, orders := w.both()
		if n := customers.Counters; n.Claimed != 1 || n.Updated != 1 || n.Created != 0 {
			w.t.Errorf("customers: %+v", n)
		}
		if n := orders.Counters; n.Created+n.Updated+n.Removed != 0 {
			w.t.Errorf("orders: %+v", n)
		}
		mine := w.profileOf(w.mapping.CustomerKey(id))
		if mine == nil || mine.ID != guest.ID {
			w.t.Fatalf("the customer's profile is %+v, the guest's was %d", mine, guest.ID)
		}
		if after := w.below(mine.ID); len(after) != len(before) || len(after) != 2 {
			w.t.Errorf("%d orders, were %d", len(after), len(before))
		}
		w.ordersInStep()
		if customers, orders := w.both(); customers.Counters.TargetCalls+orders.Counters.TargetCalls != 0 {
			w.t.Errorf("promise 8: calls after a claim: %+v %+v", customers.Counters, orders.Counters)
		}

		w.guestOrder("anna@example.test", "Anna")
		w.both()
		if n := len(w.below(mine.ID)); n != 3 {
			w.t.Errorf("%d orders below the customer: the next one as a guest went elsewhere", n)
		}
		w.ordersInStep()
	})
}

// Second case: both have a profile. The guest's orders are made anew below the
// customer's, and the guest's profile goes.
func TestPromise17_TwoProfilesOfOnePersonBecomeOne(t *testing.T) {
	inWorld(t, 3, func(_ *testing.T, w *world) {
		id := w.register("anna@example.test", func(c *magentotest.Customer) { c.Confirmation = "0123456789abcdef" })
		w.order(id, "kettle")
		for range 3 {
			w.guestOrder("anna@example.test", "Anna")
		}
		w.both()
		key, guest := w.mapping.CustomerKey(id), w.guestKey("anna@example.test")
		if w.profileOf(key) == nil || w.profileOf(guest) == nil {
			w.t.Fatal("an account that is not confirmed claims nobody: there are two profiles until it is")
		}
		w.ordersInStep()

		w.settle()
		w.shop.Edit(id, func(c *magentotest.Customer) { c.Confirmation = "" })
		customers, orders := w.both()
		if customers.Counters.Claimed != 1 || customers.Counters.Removed+orders.Counters.Removed != 1 {
			w.t.Errorf("%+v %+v", customers.Counters, orders.Counters)
		}
		if w.profileOf(guest) != nil || len(w.below(w.profileOf(key).ID)) != 4 {
			w.t.Errorf("the guest's profile %v; %d orders below the customer", w.profileOf(guest), len(w.below(w.profileOf(key).ID)))
		}
		if rec := w.record(state.Profile, guest); rec.State != state.Claimed || rec.Parent != key || rec.CopernicaID != 0 {
			w.t.Errorf("the claim on record: %+v", rec)
		}
		w.ordersInStep()
		if customers, orders := w.both(); customers.Counters.TargetCalls+orders.Counters.TargetCalls != 0 {
			w.t.Errorf("promise 8: calls after a claim: %+v %+v", customers.Counters, orders.Counters)
		}
	})
}

// A customer who orders without logging in is the customer, and gets no second profile.
func TestPromise17_ACustomerWhoOrdersAsAGuest(t *testing.T) {
	inWorld(t, 3, func(_ *testing.T, w *world) {
		id := w.register("anna@example.test", nil)
		w.both()
		w.guestOrder("anna@example.test", "Anna")
		w.guestOrder("anna@example.test", "Anna")
		_, orders := w.both()
		if n := orders.Counters; n.Claimed != 1 || n.Created != 4 {
			w.t.Errorf("%+v", n)
		}
		w.ordersInStep()

		// The claim stays when the customer takes another e-mail.
		w.settle()
		w.shop.Edit(id, func(c *magentotest.Customer) { c.Email = "anna.jansen@example.test" })
		w.guestOrder("anna@example.test", "Anna")
		w.both()
		w.claims[w.guestKey("anna@example.test")] = w.mapping.CustomerKey(id)
		w.ordersInStep()
	})
}

// Who may not claim: an account that is not confirmed, one of another website, one with
// another mailbox that the shop's database takes for the same.
func TestPromise17_WhoClaimsNobody(t *testing.T) {
	for name, change := range map[string]func(*magentotest.Customer){
		"not confirmed":   func(c *magentotest.Customer) { c.Confirmation = "0123456789abcdef" },
		"another website": func(c *magentotest.Customer) { c.WebsiteID, c.StoreID = 2, 4 },
		"accents":         func(c *magentotest.Customer) { c.Email = "ännä@example.test" },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(_ *testing.T, w *world) {
				w.guestOrder("anna@example.test", "Anna")
				w.register("anna@example.test", change)
				w.both()
				w.guestOrder("anna@example.test", "Anna")
				w.both()
				if guest := w.profileOf(w.guestKey("anna@example.test")); guest == nil || len(w.below(guest.ID)) != 2 {
					w.t.Errorf("the guest: %+v", guest)
				}
				w.ordersInStep()
			})
		})
	}
}

// Whoever opted out as a guest is not mailed as a customer, in either case, and the shop
// hears of it.
func TestPromise17_AGuestsOptOutGoesAlong(t *testing.T) {
	for name, both := range map[string]bool{"one profile": false, "two profiles": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(_ *testing.T, w *world) {
				w.guestOrder("anna@example.test", "Anna")
				w.both()
				guest := w.guestKey("anna@example.test")
				if err := w.account.Unsubscribe(database, guest); err != nil {
					w.t.Fatal(err)
				}
				w.settle()
				if _, err := w.engine(nil).WriteBack(w.t.Context()); err != nil { // a guest has no record in the shop
					w.t.Fatal(err)
				}
				id := w.register("anna@example.test", func(c *magentotest.Customer) {
					c.NewsletterStatus = 1
					if both {
						c.Confirmation = "0123456789abcdef"
					}
				})
				w.both()
				w.settle()
				w.shop.Edit(id, func(c *magentotest.Customer) { c.Confirmation = "" })
				w.both()
				key := w.mapping.CustomerKey(id)
				if p := w.profileOf(key); p == nil || p.Fields["newsletter"] != copernicatest.Unsubscribed {
					w.t.Fatalf("the customer's profile: %+v", p)
				}
				if _, err := w.engine(nil).WriteBack(w.t.Context()); err != nil {
					w.t.Fatal(err)
				}
				w.settle()
				w.both()
				w.unsubscribed[key] = true
				w.ordersInStep()
				for _, c := range w.shop.Data().Customers {
					if c.ID == id && c.NewsletterStatus == 1 {
						w.t.Error("the shop still has them subscribed")
					}
				}
			})
		})
	}
}

// Rows that syncd did not make keep the guest's profile, and an order that cannot be
// moved does as well: the claim waits, and is finished when they are gone.
func TestPromise17_WhatOthersMadeKeepsTheGuestsProfile(t *testing.T) {
	inWorld(t, 3, func(_ *testing.T, w *world) {
		id := w.register("anna@example.test", func(c *magentotest.Customer) { c.Confirmation = "0123456789abcdef" })
		w.guestOrder("anna@example.test", "Anna")
		w.both()
		guest := w.profileOf(w.guestKey("anna@example.test"))
		row, err := w.account.AddSubprofile("Orders", guest.ID, map[string]string{"order_id": "by hand"})
		if err != nil {
			w.t.Fatal(err)
		}
		w.settle()
		w.shop.Edit(id, func(c *magentotest.Customer) { c.Confirmation = "" })
		w.both()
		if w.profileOf(w.guestKey("anna@example.test")) == nil {
			w.t.Fatal("a profile was removed with a row that somebody else made")
		}
		if n := len(w.below(w.profileOf(w.mapping.CustomerKey(id)).ID)); n != 1 {
			w.t.Errorf("%d orders below the customer", n)
		}
		if err := w.account.RemoveSubprofile(row); err != nil {
			w.t.Fatal(err)
		}
		for range 90 {
			w.settle()
		}
		w.both()
		if w.profileOf(w.guestKey("anna@example.test")) != nil {
			w.t.Error("the claim was not finished")
		}
		w.ordersInStep()
	})
}

// Fifty guests of a shop register between two runs, with some hundred orders.
func TestPromise17_ManyGuestsRegister(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 60, Orders: 300}, func(_ *testing.T, w *world) {
		w.both()
		seen := map[string]bool{}
		for _, o := range w.shop.Data().Orders {
			if email := strings.TrimSpace(o.Email); o.Guest && o.StoreID == 1 && email != "" && len(email) < 150 && !seen[strings.ToLower(email)] {
				seen[strings.ToLower(email)] = true
				n := len(seen)
				w.register(email, func(c *magentotest.Customer) { c.FirstName, c.NewsletterStatus = fmt.Sprint("Guest ", n), n%2 })
			}
		}
		w.both()
		w.ordersInStep()
		if customers, orders := w.both(); customers.Counters.TargetCalls+orders.Counters.TargetCalls != 0 {
			w.t.Errorf("promise 8: %+v %+v", customers.Counters, orders.Counters)
		}
	})
}

// While nobody knows whether a guest has a profile, it is nobody's; once that is known it is
// the customer's whom the same run brought.
func TestPromise17_AGuestInDoubtIsClaimedAtLast(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		w.both()
		w.guestOrder("anna@example.test", "Anna")
		time.Sleep(2 * time.Hour) // the stream does not come by it again
		w.account.Faults().Add(emulator.Fault{Method: http.MethodPut, Kind: emulator.Reset})
		w.runOrders()
		w.account.Faults().Clear()
		if rec := w.record(state.Profile, w.guestKey("anna@example.test")); rec.State != state.Unknown {
			t.Fatalf("the guest's profile is no longer in doubt: %+v", rec)
		}
		id := w.register("anna@example.test", nil)
		time.Sleep(3 * time.Hour)
		w.both()
		if mine := w.profileOf(w.mapping.CustomerKey(id)); mine == nil || len(w.below(mine.ID)) != 1 || w.profileOf(w.guestKey("anna@example.test")) != nil {
			t.Errorf("the customer has %+v, the guest %+v", mine, w.profileOf(w.guestKey("anna@example.test")))
		}
		w.ordersInStep()
	})
}
