package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// byEmail has people with one e-mail be one; byAccount not.
func (w *world) byEmail()   { w.identify(mapping.ByEmail) }
func (w *world) byAccount() { w.identify(mapping.ByAccount) }

func (w *world) identify(by mapping.Identity) {
	w.t.Helper()
	file, err := mapping.Default()
	if err != nil {
		w.t.Fatal(err)
	}
	file.Identity = by
	if w.mapping, err = file.Compile(mapping.Options{Shop: "shop", Zone: w.zone}); err != nil {
		w.t.Fatal(err)
	}
}

// sweepAll sweeps everything.
func (w *world) sweepAll() {
	w.t.Helper()
	for _, sweep := range engine.Sweeps() {
		w.sweep(sweep)
	}
}

// abroad is an account on the second website.
func abroad(c *magentotest.Customer) { c.WebsiteID, c.StoreID = 2, 4 }

func subscribed(c *magentotest.Customer) { c.NewsletterStatus = magentotest.Subscribed }

// Two accounts with one e-mail on two websites are two profiles, and one where the mapping
// says so: the first account's, with the orders of both and those made as a guest.
func TestPromise17_TwoWebsitesOneEmail(t *testing.T) {
	for name, one := range map[string]bool{"by account": false, "by e-mail": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(_ *testing.T, w *world) {
				if one {
					w.byEmail()
				}
				first := w.register("anna@example.test", subscribed)
				second := w.register("Anna@example.test", abroad)
				w.order(first, "kettle")
				w.order(second, "toaster")
				w.guestOrder("anna@example.test", "Anna")
				w.both()
				if other := w.profileOf(w.mapping.CustomerKey(second)); (other == nil) != one {
					w.t.Errorf("the second account's profile: %+v", other)
				}
				if p := w.profileOf(w.mapping.CustomerKey(first)); one && (p == nil || len(w.below(p.ID)) != 3 || p.Fields["newsletter"] != "not subscribed") {
					w.t.Errorf("the person's profile: %+v", p)
				}
				w.ordersInStep()
				if customers, orders := w.both(); customers.Counters.TargetCalls+orders.Counters.TargetCalls != 0 {
					w.t.Errorf("promise 8: %+v %+v", customers.Counters, orders.Counters)
				}
			})
		})
	}
}

// Who is one person is fixed by the first run.
func TestPromise17_AStateKeepsItsIdentity(t *testing.T) {
	inWorld(t, 3, func(_ *testing.T, w *world) {
		w.run()
		w.byEmail()
		if _, err := w.engine(nil).Run(w.t.Context(), engine.Customers); err == nil || !strings.Contains(err.Error(), "identity: account") {
			w.t.Errorf("by account, then by e-mail: %v", err)
		}
		w.newState()
		w.run()
		w.byAccount()
		if _, err := w.engine(nil).Run(w.t.Context(), engine.Customers); err == nil || !strings.Contains(err.Error(), "identity: email") {
			w.t.Errorf("by e-mail, then by account: %v", err)
		}
	})
}

// An account that takes the e-mail of another one joins it, with its orders; one that
// takes another e-mail is somebody else again, with theirs.
func TestPromise17_AccountsJoinAndPart(t *testing.T) {
	inWorld(t, 3, func(_ *testing.T, w *world) {
		w.byEmail()
		both := func() { // as a preview says
			w.t.Helper()
			w.settle()
			all := w.preview(engine.PreviewRequest{Streams: engine.Streams(), Rows: 20})
			w.agrees(all[0], w.run())
			w.agrees(all[1], w.runOrders())
		}
		first, second := w.register("anna@example.test", nil), w.register("other@example.test", abroad)
		w.order(first, "kettle")
		w.order(second, "toaster")
		w.order(second, "plate")
		both()
		w.ordersInStep()

		w.settle()
		w.shop.Edit(second, func(c *magentotest.Customer) { c.Email = "anna@example.test" })
		both()
		if rec := w.record(state.Profile, w.mapping.CustomerKey(second)); rec.State != state.Claimed || rec.CopernicaID != 0 {
			w.t.Errorf("the second account: %+v", rec)
		}
		w.ordersInStep()

		w.settle()
		w.shop.Edit(second, func(c *magentotest.Customer) { c.Email = "third@example.test" })
		both()
		w.ordersInStep()

		// The first account leaves: the second one is found when it comes by.
		w.settle()
		w.shop.Edit(second, func(c *magentotest.Customer) { c.Email = "anna@example.test" })
		both()
		w.settle()
		w.shop.Edit(first, func(c *magentotest.Customer) { c.Email = "fourth@example.test" })
		both()
		w.sweepAll()
		both()
		w.ordersInStep()
	})
}

// Whoever is not subscribed with one of their accounts is not subscribed; an opt-out in
// Copernica ends the subscriptions of all of them.
func TestPromise18_ConsentOfSeveralAccounts(t *testing.T) {
	inWorld(t, 3, func(_ *testing.T, w *world) {
		w.byEmail()
		first := w.register("anna@example.test", subscribed)
		second := w.register("anna@example.test", func(c *magentotest.Customer) { abroad(c); subscribed(c) })
		w.both()
		key := w.mapping.CustomerKey(first)
		if got := w.profileOf(key).Fields["newsletter"]; got != "subscribed" {
			w.t.Errorf("subscribed with both: %q", got)
		}
		w.settle()
		w.shop.SetNewsletter(second, magentotest.Unsubscribed)
		w.sweepAll()
		if got := w.profileOf(key).Fields["newsletter"]; got != "not subscribed" {
			w.t.Errorf("unsubscribed with one: %q", got)
		}
		w.settle()
		w.shop.SetNewsletter(second, magentotest.Subscribed)
		w.sweepAll()
		if got := w.profileOf(key).Fields["newsletter"]; got != "subscribed" {
			w.t.Errorf("subscribed with both again: %q", got)
		}

		w.settle()
		if err := w.account.Unsubscribe(database, key); err != nil {
			w.t.Fatal(err)
		}
		w.settle()
		if _, err := w.engine(nil).WriteBack(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		for _, c := range w.shop.Data().Customers {
			if (c.ID == first || c.ID == second) && c.NewsletterStatus == magentotest.Subscribed {
				w.t.Errorf("account %d is still subscribed", c.ID)
			}
		}
		w.unsubscribed[key] = true
		w.settle()
		w.sweepAll()
		w.ordersInStep()
	})
}

// Random people with few e-mails between them, on two websites: in the end each e-mail is
// one person.
func TestPromise17_HistoriesOfSharedEmails(t *testing.T) {
	for n := range histories(12) {
		seed := uint64(time.Now().UnixNano()) + uint64(n)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			inWorld(t, 2, func(_ *testing.T, w *world) {
				w.byEmail()
				w.pageSize = 1 + random.IntN(5)
				email := func() string { return fmt.Sprintf("p%d@example.test", random.IntN(5)) }
				var ids []int64
				taken := map[string]bool{} // a website has an e-mail once
				place := func(e string, website int64) bool {
					at := fmt.Sprint(e, website)
					if taken[at] {
						return false
					}
					taken[at] = true
					return true
				}
				for range 40 {
					switch e := email(); random.IntN(8) {
					case 0, 1:
						website := int64(1 + random.IntN(2))
						if place(e, website) {
							ids = append(ids, w.register(e, func(c *magentotest.Customer) {
								if website == 2 {
									abroad(c)
								}
								if random.IntN(4) == 0 {
									c.Confirmation = "0123456789abcdef"
								}
								c.NewsletterStatus = random.IntN(2)
							}))
						}
					case 2:
						w.guestOrder(e, "Guest")
					case 3:
						if len(ids) > 0 {
							w.order(ids[random.IntN(len(ids))], "kettle")
						}
					case 4:
						if len(ids) > 0 {
							w.shop.Edit(ids[random.IntN(len(ids))], func(c *magentotest.Customer) { c.Confirmation = "" })
						}
					default:
						w.both()
					}
				}
				w.both()
				w.sweepAll()
				w.both()
				w.ordersInStep()
			})
		})
	}
}
