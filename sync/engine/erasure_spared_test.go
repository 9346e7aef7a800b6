package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// An account that was never confirmed says nothing of the guest with the same e-mail.
func TestPromise19_AnUnconfirmedAccountErasesNoGuest(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20, Orders: 10}, func(_ *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		const email = "victim@example.test"
		order := y.order(0, email)
		id := y.shop.Create(magentotest.Customer{WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "Not", LastName: "Them", Email: email, Confirmation: "never"})
		y.runs()
		y.shop.Delete(id)
		y.sweeps(0)
		y.shop.EditOrder(order, func(o *magentotest.Order) { o.Status = "complete" })
		y.runs()
		p := y.profiles()[guestKey(w, email)]
		if rows := y.rowsOf(p.ID); p.ID == 0 || len(rows) != 2 || rows[0].Fields["status"] != "complete" {
			y.t.Errorf("the guest is %v with %v", p, rows)
		}
		if _, ok := y.receipts()[y.mapping.CustomerKey(id)]; !ok {
			y.t.Error("the account was not erased")
		}
	})
}

// A record that is in the shop again when its time comes is delivered, not erased.
func TestPromise19_WhoIsBackInTheShopIsNotErased(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30, Orders: 10}, func(_ *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		id := y.customer("in.time@example.test")
		order := y.order(0, "order.in.time@example.test")
		y.runs()
		y.anonymise(id)
		y.shop.EditOrder(order, func(o *magentotest.Order) { o.Email = "x@anonymous.invalid" })
		y.runs()
		if y.record(state.Profile, y.mapping.CustomerKey(id)).State != state.Missing || y.record(state.Order, y.mapping.OrderKey(order)).State != state.Missing {
			y.t.Fatal("neither is on their way")
		}
		y.shop.Edit(id, func(c *magentotest.Customer) { c.Email, c.LastName = "in.time@example.test", "Again" })
		y.shop.EditOrder(order, func(o *magentotest.Order) { o.Email = "order.in.time@example.test"; o.Status = "again" })
		y.sweeps(0)
		p := y.profiles()[y.mapping.CustomerKey(id)]
		rows := y.rowsOf(y.profiles()[guestKey(w, "order.in.time@example.test")].ID)
		if p.Fields["lastname"] != "Again" || len(rows) != 2 || rows[0].Fields["status"] != "again" || len(y.receipts()) != 0 {
			y.t.Errorf("%v, %v, %v", p, rows, y.receipts())
		}
	})
}

// A pattern that takes too many for anonymised stops, as a shop does that loses them.
func TestPromise19_APatternThatIsTooWideStops(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 60}, func(_ *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		y.runs()
		before := len(y.profiles())
		for _, id := range y.ids(30) {
			y.anonymise(id)
		}
		y.runs()
		_, err := y.engine(y.tune).Sweep(y.t.Context(), engine.CustomersSweep, engine.Sweep{})
		if _, ok := errors.AsType[*engine.MissingError](err); !ok || len(y.profiles()) != before || len(y.graves.stones) != 0 {
			y.t.Errorf("%v, %d profiles", err, len(y.profiles()))
		}
		y.runs() // all else goes on
		if sum := y.sweeps(30); sum.Erased != 30 || len(y.profiles()) != before-30 {
			y.t.Errorf("%+v, %d profiles", sum, len(y.profiles()))
		}
	})
}

// A profile that got another key by hand is not the one that we made.
func TestPromise19_OnlyWhatWeMadeIsErased(t *testing.T) {
	for _, policy := range []engine.ErasurePolicy{engine.EraseRemove, engine.EraseBlank} {
		t.Run(string(policy), func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30, Orders: 10}, func(_ *testing.T, w *world) {
				y := w.yard(policy)
				taken, kept, removed := y.customer("taken@example.test"), y.customer("kept@example.test"), y.customer("removed@example.test")
				nameless := y.customer("nameless@example.test")
				y.order(kept, "")
				y.runs()
				people := y.profiles()
				if err := y.account.EditProfile(people[y.mapping.CustomerKey(taken)].ID, map[string]string{"customer_id": "the marketer's"}); err != nil {
					y.t.Fatal(err)
				}
				if _, err := y.account.AddSubprofile("Orders", people[y.mapping.CustomerKey(kept)].ID, map[string]string{"order_id": "by hand", "remoteIp": "192.0.2.1"}); err != nil {
					y.t.Fatal(err)
				}
				if err := y.account.RemoveProfile(people[y.mapping.CustomerKey(removed)].ID); err != nil {
					y.t.Fatal(err)
				}
				wiped := people[y.mapping.CustomerKey(nameless)].ID
				if err := y.account.EditProfile(wiped, map[string]string{"customer_id": ""}); err != nil {
					y.t.Fatal(err)
				}
				for _, id := range []int64{taken, kept, removed, nameless} {
					y.shop.Delete(id)
				}
				if sum := y.sweeps(0); sum.Erased != 4 {
					y.t.Errorf("%+v", sum)
				}
				if p := y.profiles()["the marketer's"]; p.Fields["email"] != "taken@example.test" {
					y.t.Errorf("%v", p)
				}
				if e := y.receipts()[y.mapping.CustomerKey(taken)]; e.CopernicaID != 0 {
					y.t.Errorf("the receipt of a profile that was left: %+v", e)
				}
				y.nobodyIs("nameless@example.test", "removed@example.test", "kept@example.test")
				rows := y.rowsOf(people[y.mapping.CustomerKey(kept)].ID)
				hand := slices.ContainsFunc(rows, func(s copernicatest.Subprofile) bool { return s.Fields["remoteIp"] == "192.0.2.1" })
				if hand != (policy == engine.EraseBlank) { // what stands below a profile goes with it
					y.t.Errorf("%v", rows)
				}
			})
		})
	}
}

// A preview and a verification hold erasures back.
func TestPromise19_ADryRunErasesNobody(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30, Orders: 10}, func(t *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		deleted, anonymised := y.customer("deleted@example.test"), y.customer("anonymised@example.test")
		y.order(anonymised, "")
		y.runs()
		y.shop.Delete(deleted)
		y.anonymise(anonymised)
		y.settle()
		before := string(y.account.Dump())
		previews, err := y.engine(y.tune).Preview(t.Context(), engine.PreviewRequest{Streams: engine.Streams()})
		if err != nil || previews[0].Counters.Missing != 1 || previews[0].Counters.Created+previews[0].Counters.Updated != 0 {
			t.Errorf("%+v, %v", previews, err)
		}
		var missing []string
		if _, err := y.engine(y.tune).VerifyShop(t.Context(), engine.Customers, engine.Verification{Found: func(d engine.Difference) {
			missing = append(missing, fmt.Sprint(d.Key, " ", d.Deviation))
		}}); err != nil {
			t.Error(err)
		}
		if want := []string{y.mapping.CustomerKey(deleted) + " missing", y.mapping.CustomerKey(anonymised) + " missing"}; !slices.Equal(slices.Sorted(slices.Values(missing)), want) {
			t.Errorf("%v", missing)
		}
		if string(y.account.Dump()) != before || len(y.graves.stones) != 0 || len(y.receipts()) != 0 || y.count(state.Profile, state.Missing) != 0 {
			t.Error("something was done")
		}
	})
}

// Where one e-mail is one person, an account that is gone erases nobody who has another
// one: that one takes over.
func TestPromise19_WhoHasAnotherAccountLivesOn(t *testing.T) {
	for name, leaves := range map[string][]int{"the first": {0}, "the second": {1}, "both": {0, 1}, "one after the other": {0, -1, 1}} {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 20, Orders: 10}, func(t *testing.T, w *world) {
				w.byEmail()
				y := w.yard(engine.EraseRemove)
				const email = "anna@example.test"
				ids := []int64{y.customer(email), y.shop.Create(magentotest.Customer{WebsiteID: 2, StoreID: 4, GroupID: 1, FirstName: "Anna", LastName: "Two", Email: email})}
				y.order(ids[0], "")
				y.order(ids[1], "")
				y.order(0, email)
				y.runs()
				y.runs()
				for _, i := range leaves {
					if i < 0 {
						y.sweeps(0)
						y.runs()
						continue
					}
					y.shop.Delete(ids[i])
				}
				y.sweeps(0)
				y.runs()
				y.sweeps(0)
				if len(leaves) > 1 {
					y.nobodyIs(email)
					return
				}
				left := 1 - leaves[0]
				p := y.profiles()[y.mapping.CustomerKey(ids[left])]
				orders := map[int]int{0: 2, 1: 3}[leaves[0]] // the account that is gone may have left its order with the one that stays
				if n := len(y.rowsOf(p.ID)); p.Fields["email"] != email || n != 2*orders {
					t.Errorf("%v with %d rows", p, n)
				}
				if strings.Count(string(y.account.Dump()), email) != 1 {
					t.Errorf("the e-mail stands there %d times", strings.Count(string(y.account.Dump()), email))
				}
			})
		})
	}
}
