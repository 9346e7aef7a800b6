package engine_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// told counts the lines of a log that hold a text.
func told(log *bytes.Buffer, text string) int { return strings.Count(log.String(), text) }

// A list that the shop does not give is left out, told once and asked for again some hours
// later; the orders, and what the other lists tell, go on.
func TestAListThatTheShopDoesNotGive(t *testing.T) {
	const right = "Magento_Sales::shipment"
	failing := func(w *world) {
		fault := magentotest.InternalError()
		fault.PathContains = "/V1/shipments"
		w.shop.Faults().Add(fault)
	}
	for _, tc := range []struct {
		name        string
		takes, give func(w *world)
		caughtUp    bool // with what was shipped meanwhile
	}{
		{
			"a right is missing",
			func(w *world) { w.shop.Switch(func(s *magentotest.Switches) { s.Denied = []string{right} }) },
			func(w *world) { w.shop.Switch(func(s *magentotest.Switches) { s.Denied = nil }) },
			false,
		},
		{"the shop fails over it", failing, func(w *world) { w.shop.Faults().Clear() }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inWorld(t, 10, func(_ *testing.T, w *world) {
				w.maps(true)
				id := w.order(w.ids(1)[0], "one", "two")
				w.shop.Invoice(id, nil)
				w.settle()
				w.run()
				w.runOrders()
				first, second := w.orderOf(id).Lines[0].ID, w.orderOf(id).Lines[1].ID
				tc.takes(w)
				var log bytes.Buffer
				run := func() engine.Report {
					time.Sleep(10 * time.Minute)
					w.asks()
					report, err := w.engine(func(cfg *engine.Config) { cfg.Log = slog.New(slog.NewTextHandler(&log, nil)) }).Run(w.t.Context(), engine.Orders)
					if err != nil || report.Outcome != state.Done {
						w.t.Fatalf("%+v, %v", report, err)
					}
					return report
				}
				w.shop.Ship(id, map[int64]string{first: "1"})
				w.shop.DocumentQuietly(magentotest.CreditMemos, id, map[int64]string{second: "1"})
				if report := run(); report.Counters.Updated != 2 { // one for what the order's lines say now
					w.t.Errorf("%+v", report.Counters)
				}
				w.shop.Ship(id, map[int64]string{second: "1"})
				for range 20 {
					run()
					if _, _, documents := w.asks(); documents != [3]int64{1, 0, 1} {
						w.t.Errorf("asked for %v", documents)
					}
				}
				if n := told(&log, "does not give a list"); n != 1 || !strings.Contains(log.String(), "list=shipments") {
					w.t.Errorf("told %d times:\n%s", n, &log)
				}
				time.Sleep(5 * time.Hour)
				run()
				if _, _, documents := w.asks(); documents[1] == 0 || told(&log, "does not give a list") != 1 {
					w.t.Errorf("not asked again, or told again: %v\n%s", documents, &log)
				}

				time.Sleep(7 * time.Hour)
				tc.give(w)
				run()
				if told(&log, "gives a list again") != 1 {
					w.t.Errorf("not told that it is given again:\n%s", &log)
				}
				if got := w.row(second)["shipped"] == "1"; got != tc.caughtUp {
					w.t.Errorf("what was shipped meanwhile has arrived: %v", got)
				}
				w.shop.Ship(id, map[int64]string{first: "1"})
				run()
				if got := w.row(first)["shipped"]; got != "2" {
					w.t.Errorf("shipped is %q", got)
				}
				w.sweep(engine.OrdersSweep)
				w.ordersInStep()
			})
		})
	}
}

// A token that ends between two calls reads like a right that is missing, and is not
// taken for one: the run fails as it does anywhere else.
func TestATokenThatEndsIsNoMissingRight(t *testing.T) {
	inWorld(t, 10, func(_ *testing.T, w *world) {
		w.order(w.ids(1)[0], "one")
		w.settle()
		w.run()
		w.runOrders()
		w.settle()
		w.shop.OnRequest(func(r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/invoices") {
				w.shop.Switch(func(s *magentotest.Switches) { s.BearerOff = true })
			}
		})
		_, err := w.engine(nil).Run(w.t.Context(), engine.Orders)
		if fault.ClassOf(err) != fault.Credentials {
			w.t.Errorf("%v", err)
		}
		w.shop.OnRequest(nil)
		w.shop.Switch(func(s *magentotest.Switches) { s.BearerOff = false })
		w.settle()
		w.asks()
		w.runOrders()
		if _, _, documents := w.asks(); documents != [3]int64{1, 1, 1} {
			w.t.Errorf("asked for %v", documents)
		}
	})
}

// Before the customers' first pass is over, an order that is named could belong to one who
// is yet to come: nothing is looked at, and nothing is lost.
func TestDocumentsWaitForTheCustomers(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20}, func(_ *testing.T, w *world) {
		w.maps(true)
		id := w.guestOrder("an@example.test", "An")
		w.shop.Invoice(id, nil)
		w.settle()
		w.runOrders()
		line := w.orderOf(id).Lines[0].ID
		w.shop.Ship(id, map[int64]string{line: "1"})
		for range 3 {
			time.Sleep(10 * time.Minute)
			w.asks()
			w.runOrders()
			if _, _, documents := w.asks(); documents != [3]int64{} {
				w.t.Errorf("asked for %v", documents)
			}
		}
		w.run()
		w.runOrders()
		if got := w.row(line)["shipped"]; got != "1" {
			w.t.Errorf("shipped is %q", got)
		}
		w.ordersInStep()
	})
}

// A document that cannot be read, and an order that cannot be shown, hold up neither the
// others nor the look.
func TestPromise05_OneBadDocumentHoldsUpNoOther(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30, Orders: 100}, func(_ *testing.T, w *world) {
		w.run()
		w.runOrders()
		time.Sleep(10 * time.Minute)
		var named, made []int64
		for _, o := range w.shop.Data().Orders {
			if w.invoiced(o) && len(named) < 20 {
				named, made = append(named, o.ID), append(made, w.shop.DocumentQuietly(magentotest.CreditMemos, o.ID, nil))
			}
		}
		w.shop.Switch(func(s *magentotest.Switches) {
			s.Poison.Document = func(_ magentotest.DocumentKind, id int64) bool { return id == made[3] }
			s.Poison.Order = func(id int64) bool { return id == named[7] }
		})
		w.settle()
		report := w.runOrders()
		if report.Counters.Read != 19 || report.Counters.Refused != 1 || report.Outcome != state.Done || len(w.letters()) != 1 {
			w.t.Errorf("%+v, %d letters", report, len(w.letters()))
		}
		w.shop.Switch(func(s *magentotest.Switches) { s.Poison = magentotest.Poison{} })
		time.Sleep(2 * time.Hour)
		w.runOrders()
		w.sweep(engine.OrdersSweep)
		w.ordersInStep()
	})
}
