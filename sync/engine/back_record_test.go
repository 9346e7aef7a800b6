package engine_test

import (
	"testing"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// An opt-out of somebody of whom the shop has no record is settled and counted, and not among
// those that went to the shop: a guest's, and that of a customer who was deleted. It is so
// whether the profile shows it or a list tells it.
func TestPromise18_OptOutsOfPeopleWithoutARecordAreCounted(t *testing.T) {
	for way, optsOut := range map[string]func(*world, string){
		"in the profile": func(w *world, key string) {
			check(w, w.account.EditProfile(w.profileOf(key).ID, map[string]string{ours: "no, thank you"}))
		},
		"by a click": func(w *world, key string) { check(w, w.account.Click(w.profileOf(key).ID, copernicatest.Publisher)) },
	} {
		t.Run(way, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 10, Orders: 5}, func(_ *testing.T, w *world) {
				w.behaves("nothing")
				people := w.subscribers(3)
				w.guestOrder("guest@example.test", "A")
				w.settle()
				w.both()
				keys := []string{w.mapping.CustomerKey(people[0]), w.mapping.CustomerKey(people[1]), w.guestKey("guest@example.test")}
				w.shop.Delete(people[1])
				for _, key := range keys {
					optsOut(w, key)
				}
				w.settle()
				if n := w.writeBack().Counters; n.OptOutsReturned != 3 || n.OptOutsWithoutRecord != 2 || w.subscribed(people[0]) {
					w.t.Errorf("%d settled, %d of people without a record", n.OptOutsReturned, n.OptOutsWithoutRecord)
				}
				if n := w.writeBack().Counters; n.OptOutsReturned != 0 || n.OptOutsWithoutRecord != 0 {
					w.t.Errorf("counted again: %+v", n)
				}
			})
		})
	}
}
