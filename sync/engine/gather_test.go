package engine_test

import (
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/engine"
)

// guestClicks has a guest follow the link in a mailing that unsubscribes them.
func (w *world) guestClicks(email string) {
	w.t.Helper()
	check(w, w.account.Click(w.profileOf(w.guestKey(email)).ID, copernicatest.Publisher))
	w.settle()
	w.writeBack()
}

// registers has a guest register, subscribed; where they are to have two profiles before one
// of them is claimed, the account is confirmed later.
func (w *world) registers(email string, two bool) (id int64) {
	w.t.Helper()
	id = w.register(email, func(c *magentotest.Customer) {
		if c.NewsletterStatus = magentotest.Subscribed; two {
			c.Confirmation = "0123456789abcdef"
		}
	})
	w.both()
	w.confirm(id)
	return id
}

// confirm has a customer follow the link that proves their e-mail.
func (w *world) confirm(id int64) {
	w.t.Helper()
	w.settle()
	w.shop.Edit(id, func(c *magentotest.Customer) { c.Confirmation = "" })
	w.both()
}

// A click of a guest that left no trace in their profile, or left nothing of it, is their
// word as a customer as well: it counts once, and until they come back.
func TestPromise18_AGuestsClickGoesAlong(t *testing.T) {
	for name, c := range map[string]struct {
		behaviour string
		two       bool
	}{
		"one profile":          {"nothing", false},
		"two profiles":         {"nothing", true},
		"the profile went":     {"remove", false},
		"one of the two went":  {"remove", true},
		"the profile tells it": {"update", false},
		"one of the two tells": {"update", true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(t *testing.T, w *world) {
				const email = "anna@example.test"
				w.behaves(c.behaviour)
				w.guestOrder(email, "Anna")
				w.both()
				w.guestClicks(email)
				id := w.registers(email, c.two)
				if p := w.profile(id); p.Fields[ours] == in || p.Fields[ours] == "" {
					t.Fatalf("the customer may be mailed before anybody looked back: %q", p.Fields[ours])
				}
				if n := w.writeBack().Counters.OptOutsReturned; n != 1 {
					t.Errorf("%d opt-outs returned", n)
				}
				w.isOut(id)
				w.settle()
				w.both()
				if n := w.writeBack().Counters.OptOutsReturned; n != 0 {
					t.Errorf("the same opt-out counts again: %d", n)
				}
				w.isOut(id)
				if told, err := w.store.OptOuts(t.Context(), "shop", w.mapping.CustomerKey(id), 10); err != nil || len(told) != 1 {
					t.Errorf("what is kept of it: %+v, %v", told, err)
				}
				subscribe(w, id, magentotest.Subscribed)
				for range 5 { // within the overlap of the list and beyond
					w.both()
					w.writeBack()
					if !w.subscribed(id) || w.profile(id).Fields[ours] != in {
						t.Fatalf("who came back is out: the shop says %v, Copernica %q", w.subscribed(id), w.profile(id).Fields[ours])
					}
					time.Sleep(40 * time.Minute)
				}
			})
		})
	}
}

// Who came back in Copernica after a click is in: the later word counts.
func TestPromise18_AGuestWhoCameBackIsACustomerWhoIsIn(t *testing.T) {
	for name, two := range map[string]bool{"one profile": false, "two profiles": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(t *testing.T, w *world) {
				const email = "anna@example.test"
				w.behaves("nothing")
				w.guestOrder(email, "Anna")
				w.both()
				w.guestClicks(email)
				check(w, w.account.EditProfile(w.profileOf(w.guestKey(email)).ID, map[string]string{ours: in}))
				w.settle()
				w.writeBack()
				id := w.registers(email, two)
				w.writeBack()
				if !w.subscribed(id) || w.profile(id).Fields[ours] != in {
					t.Errorf("the shop says %v, Copernica %q", w.subscribed(id), w.profile(id).Fields[ours])
				}
			})
		})
	}
}

// A claim ends when the customer has a profile that is there: until then the guest's stays
// with all that it has, their opt-out and an order that the shop lost.
func TestPromise17_AClaimWaitsForALiveProfile(t *testing.T) {
	const email = "anna@example.test"
	for name, dies := range map[string]func(w *world, id, order int64){
		"removed after the orders had moved": func(w *world, id, _ int64) {
			byHand, err := w.account.AddSubprofile("Orders", w.profileOf(w.guestKey(email)).ID, map[string]string{"order_id": "by hand"})
			check(w, err)
			w.confirm(id) // the row by hand is in the way
			check(w, w.account.RemoveProfile(w.profile(id).ID))
			check(w, w.account.RemoveSubprofile(byHand))
			time.Sleep(25 * time.Hour)
			w.both()
		},
		"removed before an order was copied": func(w *world, id, order int64) {
			w.shop.DeleteOrder(order)
			check(w, w.account.RemoveProfile(w.profile(id).ID))
			w.confirm(id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(t *testing.T, w *world) {
				order := w.guestOrder(email, "Anna")
				id := w.register(email, func(c *magentotest.Customer) {
					c.NewsletterStatus, c.Confirmation = magentotest.Subscribed, "0123456789abcdef"
				})
				w.both()
				check(w, w.account.Unsubscribe(database, w.guestKey(email)))
				guest, dead := w.profileOf(w.guestKey(email)), w.profile(id).ID
				dies(w, id, order)
				if left := w.profileOf(w.guestKey(email)); left == nil || left.ID != guest.ID || left.Fields[ours] != copernicatest.Unsubscribed {
					t.Fatalf("the guest's profile: %+v", left)
				}

				_, err := w.engine(nil).Inspect(t.Context(), engine.Inspection{Repair: true})
				check(w, err)
				time.Sleep(25 * time.Hour)
				w.both()
				mine := w.profile(id)
				if mine.ID == dead || mine.Fields[ours] != copernicatest.Unsubscribed || w.below(mine.ID)[w.mapping.OrderKey(order)].ID == 0 {
					t.Errorf("the customer's profile: %+v with %v", mine, w.below(mine.ID))
				}
				if w.profileOf(w.guestKey(email)) != nil {
					t.Error("the claim was not finished")
				}
			})
		})
	}
}
