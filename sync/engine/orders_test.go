package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

func TestOrdersArriveBelowTheirProfiles(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 120, Orders: 300}, func(_ *testing.T, w *world) {
		w.run()
		first := w.runOrders()
		if first.Outcome != state.Done || first.Counters.Read != 300 || first.Counters.Created < 600 {
			w.t.Errorf("first run: %+v", first)
		}
		w.ordersInStep()

		w.settle()
		again := w.runOrders()
		if again.Counters.TargetCalls != 0 || again.Outcome != state.Done {
			w.t.Errorf("promise 8: a second run made calls: %+v", again)
		}
		w.settle()
		if again := w.run(); again.Counters.TargetCalls != 0 {
			w.t.Errorf("promise 8: a second run over the customers made calls: %+v", again)
		}
	})
}

// line is one line of an order.
func line(name string) magentotest.Line {
	return magentotest.Line{SKU: name, Name: name, Price: "9.95", Ordered: "2", ProductID: 7}
}

// order places an order of a customer.
func (w *world) order(id int64, lines ...string) int64 {
	o := magentotest.Order{StoreID: 1, CustomerID: id}
	for _, name := range lines {
		o.Lines = append(o.Lines, line(name))
	}
	return w.shop.CreateOrder(o)
}

// guestOrder places one of a guest.
func (w *world) guestOrder(email, first string) int64 {
	return w.shop.CreateOrder(magentotest.Order{
		StoreID: 1, Guest: true, Email: email, FirstName: first, LastName: "Guest", Lines: []magentotest.Line{line("thing")},
	})
}

// below returns the order rows below a profile, by their key.
func (w *world) below(profile int64) map[string]copernicatest.Subprofile {
	found := map[string]copernicatest.Subprofile{}
	for _, s := range w.account.Subprofiles(database, "Orders") {
		if s.Parent == profile {
			found[s.Fields["order_id"]] = s
		}
	}
	return found
}

// A row waits in its profile's lane until the profile has an id, also when it is made
// in the same page: nothing is looked up, and nothing is left for later.
func TestPromise13_RowsFollowTheirProfileInItsLane(t *testing.T) {
	inWorld(t, 5, func(_ *testing.T, w *world) {
		w.run()
		for i := range 60 {
			w.guestOrder(fmt.Sprintf("guest%d@example.test", i), "Guest")
		}
		w.settle()
		report := w.runOrders()
		if n := report.Counters; n.Created != 60*3 || n.Unknown != 0 || n.Refused != 0 {
			w.t.Errorf("%+v", n)
		}
		for call, n := range w.account.Log().Counts() {
			census := strings.HasSuffix(call, "/collection/{id}/subprofiles") && n == 1
			if strings.HasPrefix(call, "GET ") && strings.Contains(call, "/subprofiles") && !census {
				w.t.Errorf("%d look-ups of rows that were never in doubt: %s", n, call)
			}
		}
		w.ordersInStep()
	})
}

// In the first pass an order whose customer has not come by yet ends the run before
// it, and nothing is brought out of turn; the next run goes on there.
func TestAnOrderWaitsForItsCustomerInTheFirstPass(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 100, Orders: 200}, func(_ *testing.T, w *world) {
		some := func(stream string) engine.Report {
			report, err := w.engine(func(cfg *engine.Config) { cfg.Budget.Records = 30 }).Run(w.t.Context(), stream)
			if err != nil {
				w.t.Fatal(err)
			}
			return report
		}
		some(engine.Customers)
		waited := w.runOrders()
		if !waited.Waiting || waited.Outcome != state.Paused || waited.Counters.Read >= 200 {
			w.t.Errorf("the orders did not wait: %+v", waited)
		}
		if again := w.runOrders(); !again.Waiting || again.Counters.Created != 0 || again.Counters.Read != 0 || again.Counters.Ownerless != 0 {
			w.t.Errorf("the orders went on without their customers: %+v", again)
		}
		if n := len(w.account.Profiles(database)); n > 100 {
			w.t.Errorf("%d profiles", n)
		}
		w.run()
		if rest := w.runOrders(); rest.Waiting || rest.Outcome != state.Done || waited.Counters.Read+rest.Counters.Read != 200 {
			w.t.Errorf("the rest: %+v after %+v", rest, waited)
		}
		w.ordersInStep()
	})
}

// After the first pass an order brings a customer that the stream has not seen.
func TestAnOrderBringsAMissingCustomer(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20, Orders: 10}, func(_ *testing.T, w *world) {
		w.run()
		w.runOrders()
		id := w.shop.Create(magentotest.Customer{
			WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "Just", LastName: "Now", Email: "now@example.test", NewsletterStatus: magentotest.Subscribed,
		})
		w.order(id, "first", "second")
		w.order(id, "third")
		w.settle()
		report := w.runOrders()
		if report.Counters.Created != 1+2+3 {
			w.t.Errorf("%+v", report.Counters)
		}
		if p := w.profile(id); len(w.below(p.ID)) != 2 || p.Fields[ours] != in {
			w.t.Errorf("the customer's profile: %+v", p)
		}
		if after := w.run(); after.Counters.TargetCalls != 0 {
			w.t.Errorf("promise 8: the customers' stream wrote again: %+v", after.Counters)
		}
		w.ordersInStep()
	})
}

func TestPromise19_AnOrderOfADeletedAccountMakesNoProfile(t *testing.T) {
	for _, tc := range []struct {
		name string
		gone func(w *world, customer, order int64)
	}{
		{"deleted before the order was read", func(w *world, customer, _ int64) { w.shop.Delete(customer) }},
		{"the shop names a customer whom it does not have", func(w *world, customer, order int64) {
			w.shop.Delete(customer)
			w.shop.EditOrderQuietly(order, func(o *magentotest.Order) { o.CustomerID = customer })
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inWorld(t, 10, func(_ *testing.T, w *world) {
				w.run()
				id := w.shop.Create(magentotest.Customer{WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "A", LastName: "B", Email: "gone@example.test"})
				order := w.order(id, "thing")
				tc.gone(w, id, order)
				w.settle()
				report := w.runOrders()
				if report.Counters.Ownerless != 1 || report.Counters.Created != 0 || report.Outcome != state.Done {
					w.t.Errorf("%+v", report)
				}
				if len(w.account.Profiles(database)) != 10 || len(w.account.Subprofiles(database, "Orders")) != 0 {
					w.t.Error("something was written for nobody")
				}
				if len(w.letters()) != 0 {
					w.t.Errorf("dead letters: %+v", w.letters())
				}
			})
		})
	}
}

// What was delivered before stays with the profile it had.
func TestPromise19_AnOrderStaysWithTheProfileItHad(t *testing.T) {
	inWorld(t, 10, func(_ *testing.T, w *world) {
		w.run()
		id := w.ids(1)[0]
		order := w.order(id, "thing")
		w.settle()
		w.runOrders()
		p := w.profile(id)
		w.shop.Delete(id)
		w.shop.EditOrder(order, func(o *magentotest.Order) { o.Status = "complete" })
		w.settle()
		report := w.runOrders()
		row := w.below(p.ID)[w.mapping.OrderKey(order)]
		if row.Fields["status"] != "complete" || report.Counters.Updated != 1 || report.Counters.Ownerless != 0 {
			w.t.Errorf("%+v: %+v", report.Counters, row)
		}
	})
}

// Guest orders of one e-mail make one profile, also from different pages at the same
// moment, and the newest order speaks (promise 17).
func TestPromise17_OneProfileForEachGuest(t *testing.T) {
	inWorld(t, 0, func(_ *testing.T, w *world) {
		w.pageSize = 10
		for i := range 120 {
			address := []string{"An@Example.test", "an@example.test", "bo@example.test"}[i%3]
			w.guestOrder(address, fmt.Sprintf("Order %d", i))
			if i%10 == 9 {
				time.Sleep(time.Second)
			}
		}
		w.settle()
		w.run()
		w.runOrders()
		if people := w.account.Profiles(database); len(people) != 2 {
			w.t.Errorf("%d profiles for two guests", len(people))
		}
		w.ordersInStep()

		// An older order that changes speaks again, since it is the latest to change; one
		// that is only seen late does not.
		w.shop.EditOrder(1, func(o *magentotest.Order) { o.FirstName = "Changed last" })
		w.settle()
		w.runOrders()
		w.shop.EditOrderLate(2, func(o *magentotest.Order) { o.FirstName = "Seen late" }, 30*time.Second)
		time.Sleep(5 * time.Second)
		w.shop.EditOrder(4, func(o *magentotest.Order) { o.FirstName = "Seen before" })
		time.Sleep(15 * time.Second)
		w.runOrders()
		w.settle()
		w.runOrders()
		w.ordersInStep()

		// An older order that is read again alone does not speak either.
		if _, err := w.engine(nil).Deliver(w.t.Context(), engine.Orders, []int64{7, 9}); err != nil {
			w.t.Error(err)
		}
		w.ordersInStep()
	})
}

// A guest says nothing about mailing over REST, so nothing about it is sent, and what
// an opt-out in Copernica wrote stays.
func TestPromise18_AGuestsConsentIsNeverWritten(t *testing.T) {
	inWorld(t, 0, func(_ *testing.T, w *world) {
		w.guestOrder("an@example.test", "An")
		w.settle()
		w.run()
		w.runOrders()
		key := w.mapping.GuestKey(1, "an@example.test")
		if err := w.account.Unsubscribe(database, key); err != nil {
			w.t.Fatal(err)
		}
		w.unsubscribed[key] = true
		w.guestOrder("an@example.test", "Anna")
		w.settle()
		if report := w.runOrders(); report.Counters.Updated != 1 {
			w.t.Errorf("%+v", report.Counters)
		}
		w.ordersInStep()
	})
}

// A new e-mail of a customer moves updated_at of all their orders.
func TestPromise08_ANewEmailCostsNoOrderAWrite(t *testing.T) {
	inWorld(t, 10, func(_ *testing.T, w *world) {
		id := w.ids(1)[0]
		for range 20 {
			w.order(id, "one", "two")
		}
		w.settle()
		w.run()
		w.runOrders()
		w.shop.Edit(id, func(c *magentotest.Customer) { c.Email = "other@example.test" })
		w.settle()
		if report := w.run(); report.Counters.Updated != 1 {
			w.t.Errorf("the profile: %+v", report.Counters)
		}
		report := w.runOrders()
		if report.Counters.Read != 20 || report.Counters.TargetCalls != 0 {
			w.t.Errorf("%+v", report.Counters)
		}
		w.ordersInStep()
	})
}

func TestOnlyChangedRowsOfAnOrderAreWritten(t *testing.T) {
	inWorld(t, 10, func(_ *testing.T, w *world) {
		id := w.ids(1)[0]
		order := w.order(id, "one", "two", "three")
		w.settle()
		w.run()
		w.runOrders()
		for _, tc := range []struct {
			name             string
			change           func(*magentotest.Order)
			updated, removed int64
		}{
			{"the status", func(o *magentotest.Order) { o.Status = "processing" }, 1, 0},
			{"one line", func(o *magentotest.Order) { o.Lines[1].Name = "other" }, 1, 0},
			{"nothing that is mapped", func(o *magentotest.Order) { o.ProtectCode = "x" }, 0, 0},
			{"a line is gone", func(o *magentotest.Order) { o.Lines = slices.Delete(o.Lines, 0, 1) }, 0, 1},
			{"and another", func(o *magentotest.Order) { o.Lines = slices.Delete(o.Lines, 0, 1) }, 0, 1},
		} {
			w.shop.EditOrder(order, tc.change)
			w.settle()
			report := w.runOrders()
			if n := report.Counters; n.Updated != tc.updated || n.Removed != tc.removed || n.Created != 0 {
				w.t.Errorf("%s: %+v", tc.name, n)
			}
			w.ordersInStep()
		}
		w.shop.EditOrder(order, func(o *magentotest.Order) { o.Lines = append(o.Lines, line("anew")) })
		w.settle()
		if report := w.runOrders(); report.Counters.Created != 1 {
			w.t.Errorf("a line that is new: %+v", report.Counters)
		}
		w.ordersInStep()
	})
}

// Lines that the shop does not print are not gone.
func TestLinesThatAreNotPrintedStay(t *testing.T) {
	inWorld(t, 10, func(_ *testing.T, w *world) {
		order := w.order(w.ids(1)[0], "one", "two")
		w.settle()
		w.run()
		w.runOrders()
		w.shop.Switch(func(s *magentotest.Switches) { s.NullItems = func(id int64) bool { return id == order } })
		w.shop.EditOrder(order, func(o *magentotest.Order) { o.Status = "processing" })
		w.settle()
		if report := w.runOrders(); report.Counters.Removed != 0 || report.Counters.Updated != 1 {
			w.t.Errorf("%+v", report.Counters)
		}
		w.ordersInStep()
	})
}
