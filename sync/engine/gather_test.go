package engine_test

import (
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/engine"
)

// confirm has a customer follow the link that proves their e-mail.
func (w *world) confirm(id int64) {
	w.t.Helper()
	w.settle()
	w.shop.Edit(id, func(c *magentotest.Customer) { c.Confirmation = "" })
	w.both()
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
