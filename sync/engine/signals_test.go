package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// lists are the lists of documents, as the shop's log names their calls.
var lists = []string{"GET /rest/all/V1/invoices", "GET /rest/all/V1/shipments", "GET /rest/all/V1/creditmemos"}

// asks returns how often the shop was asked for orders, one by one or in pages, and for
// each list of documents, since it was asked last.
func (w *world) asks() (orders, single int64, documents [3]int64) {
	counts := w.shop.Log().Counts()
	for i, call := range lists {
		documents[i] = counts[call]
	}
	orders = counts["GET /rest/all/V1/orders"]
	for call, n := range counts {
		if strings.HasPrefix(call, "GET /rest/all/V1/orders/") {
			single += n
		}
	}
	w.shop.Log().Reset()
	return orders, single, documents
}

// quantities are what becomes of a line, as fields of its row.
var quantities = map[string]string{"invoiced": "qty_invoiced", "shipped": "qty_shipped", "refunded": "qty_refunded"}

// maps has the world's mapping bring what becomes of a line, or nothing that a document
// can change.
func (w *world) maps(quantitiesToo bool) {
	w.t.Helper()
	file, err := mapping.Default()
	if err != nil {
		w.t.Fatal(err)
	}
	drop := func(from []mapping.Field, path string) []mapping.Field {
		var kept []mapping.Field
		for _, f := range from {
			if f.From != path {
				kept = append(kept, f)
			}
		}
		return kept
	}
	if quantitiesToo {
		for name, from := range quantities {
			file.Items.Fields = append(file.Items.Fields, mapping.Field{Name: name, Type: "float", From: from})
			if err := w.account.AddCollectionFields(database, "Orders_Items", copernicatest.Field{Name: name, Type: "float"}); err != nil {
				w.t.Fatal(err)
			}
		}
	} else {
		file.Orders.Fields, file.Items.Fields = drop(file.Orders.Fields, "status"), drop(file.Items.Fields, "status")
	}
	if w.mapping, err = file.Compile(mapping.Options{Shop: "shop", Zone: w.zone}); err != nil {
		w.t.Fatal(err)
	}
}

// idle lets the overlap of the next run begin after whatever happened before.
func (w *world) idle() {
	time.Sleep(10 * time.Minute)
	w.runOrders()
	time.Sleep(10 * time.Minute)
}

// row is the row of a line.
func (w *world) row(id int64) map[string]string {
	w.t.Helper()
	for _, s := range w.account.Subprofiles(database, "Orders_Items") {
		if s.Fields["item_id"] == w.mapping.ItemKey(id) {
			return s.Fields
		}
	}
	w.t.Fatalf("line %d has no row", id)
	return nil
}

// orderOf returns an order of the shop.
func (w *world) orderOf(id int64) magentotest.Order {
	w.t.Helper()
	for _, o := range w.shop.Data().Orders {
		if o.ID == id {
			return o
		}
	}
	w.t.Fatalf("no order %d", id)
	return magentotest.Order{}
}

func TestPromise04_DocumentsTellOfOrdersWhoseOwnTimeStays(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30, Orders: 120}, func(_ *testing.T, w *world) {
		w.maps(true)
		id := w.order(w.ids(1)[0], "one", "two")
		w.shop.Invoice(id, nil)
		w.settle()
		w.run()
		w.runOrders()
		if _, _, documents := w.asks(); documents != [3]int64{} {
			w.t.Errorf("the first pass, which had everything, asked for documents: %v", documents)
		}
		w.idle()
		line := w.orderOf(id).Lines[0].ID
		part := map[int64]string{line: "1"}
		for _, tc := range []struct {
			name  string
			makes func()
			field string
			want  string
		}{
			{"a part is shipped", func() { w.shop.Ship(id, part) }, "shipped", "1"},
			{"another part", func() { w.shop.Ship(id, part) }, "shipped", "2"},
			{"an invoice by a module", func() { w.shop.DocumentQuietly(magentotest.Invoices, id, part) }, "invoiced", "3"},
			{"a refund by a module", func() { w.shop.DocumentQuietly(magentotest.CreditMemos, id, map[int64]string{line: "2"}) }, "refunded", "2"},
		} {
			at := w.orderOf(id).UpdatedAt
			tc.makes()
			if moved := w.orderOf(id).UpdatedAt; !moved.Equal(at) {
				w.t.Fatalf("%s moved the order, so that it proves nothing", tc.name)
			}
			time.Sleep(10 * time.Minute)
			w.asks()
			report := w.runOrders()
			if report.Counters.Updated != 1 || report.Counters.Read != 1 || report.Outcome != state.Done {
				w.t.Errorf("%s: %+v", tc.name, report)
			}
			if got := w.row(line)[tc.field]; got != tc.want {
				w.t.Errorf("%s: %s is %q, want %s", tc.name, tc.field, got, tc.want)
			}
			if orders, single, documents := w.asks(); orders != 2 || single != 0 || documents != [3]int64{1, 1, 1} {
				w.t.Errorf("%s: the pass and one page of one order, not %d pages and %d orders, %v lists", tc.name, orders, single, documents)
			}
			w.ordersInStep()
		}
		time.Sleep(10 * time.Minute)
		if report := w.runOrders(); report.Counters.Read != 0 || report.Counters.TargetCalls != 0 {
			w.t.Errorf("promise 8: a run with nothing to write: %+v", report.Counters)
		}
	})
}

// A run that finds nothing asks each list once; one of a mapping that no document can
// change asks none; and what the pass itself has read is not read again.
func TestPromise04_WhatDocumentsCostTheShop(t *testing.T) {
	for _, tc := range []struct {
		name      string
		mapped    bool
		documents [3]int64
	}{
		{"what becomes of a line is mapped", true, [3]int64{1, 1, 1}},
		{"nothing of it is", false, [3]int64{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30, Orders: 200}, func(_ *testing.T, w *world) {
				w.maps(tc.mapped)
				id := w.order(w.ids(1)[0], "one", "two")
				w.settle()
				w.run()
				w.runOrders()
				w.idle()
				w.asks()
				report := w.runOrders()
				orders, single, documents := w.asks()
				if orders != 1 || single != 0 || documents != tc.documents {
					w.t.Errorf("%d pages of orders, %d orders, %v lists, want %v", orders, single, documents, tc.documents)
				}
				if want := 2 + documents[0] + documents[1] + documents[2]; report.Counters.SourceCalls != want || report.Counters.Read != 0 {
					w.t.Errorf("%d calls with the clock, want %d: %+v", report.Counters.SourceCalls, want, report.Counters)
				}

				// These move the order, as nearly all do.
				w.shop.Invoice(id, nil)
				w.shop.Ship(id, nil)
				w.settle()
				report = w.runOrders()
				orders, single, _ = w.asks()
				if orders != 1 || single != 0 || report.Counters.Read != 1 {
					w.t.Errorf("an order that the pass read: %d pages, %d orders, %+v", orders, single, report.Counters)
				}
			})
		})
	}
}

// Each order once in a run, however many documents name it, in pages.
func TestPromise04_OrdersThatDocumentsNameAreReadInPages(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30, Orders: 400}, func(_ *testing.T, w *world) {
		w.pageSize = 100
		w.run()
		w.runOrders()
		time.Sleep(10 * time.Minute)
		named := 0
		for _, o := range w.shop.Data().Orders {
			if w.invoiced(o) && named < 150 {
				w.shop.DocumentQuietly(magentotest.CreditMemos, o.ID, nil)
				w.shop.DocumentQuietly(magentotest.Shipments, o.ID, nil)
				w.shop.DocumentQuietly(magentotest.Shipments, o.ID, nil)
				named++
			}
		}
		if named != 150 {
			w.t.Fatalf("only %d orders were invoiced", named)
		}
		w.settle()
		w.asks()
		report := w.runOrders()
		orders, single, documents := w.asks()
		if report.Counters.Read != 150 || report.Counters.Updated == 0 || single != 0 {
			w.t.Errorf("%+v, %d single orders", report.Counters, single)
		}
		// 150 shipments or memos are two pages, and the orders of each as many.
		if orders > 1+4 || documents != [3]int64{1, 4, 2} {
			w.t.Errorf("%d pages of orders, %v of documents", orders, documents)
		}
		w.ordersInStep()
	})
}

// invoiced reports whether a refund of what is left of an order changes its lines.
func (w *world) invoiced(o magentotest.Order) bool {
	for _, l := range o.Lines {
		if l.Invoiced == l.Ordered && (l.Refunded == "" || l.Refunded == "0") {
			return true
		}
	}
	return false
}

// A look that its budget cuts short goes on at its exact place, up to the same horizon.
func TestPromise02_ALookIsResumedAtItsPlace(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30, Orders: 300}, func(_ *testing.T, w *world) {
		w.pageSize = 10
		w.run()
		w.runOrders()
		time.Sleep(10 * time.Minute)
		named := map[int64]bool{}
		for _, o := range w.shop.Data().Orders {
			if w.invoiced(o) && len(named) < 80 {
				w.shop.DocumentQuietly(magentotest.CreditMemos, o.ID, nil) // all in one second
				named[o.ID] = true
			}
		}
		w.settle()
		var read int64
		runs := 0
		for ; ; runs++ {
			before := w.checkpointOf("orders/creditmemos")
			report, err := w.engine(func(cfg *engine.Config) { cfg.Budget.Records, cfg.Overlap = 25, -1 }).Run(w.t.Context(), engine.Orders)
			if err != nil || report.Counters.Read > 34 || runs > 20 {
				w.t.Fatalf("run %d: %+v, %v", runs, report, err)
			}
			read += report.Counters.Read
			cp := w.checkpointOf("orders/creditmemos")
			if report.Outcome == state.Done {
				break
			}
			if cp.Target.IsZero() && before.Target.IsZero() && report.Counters.Read > 0 {
				w.t.Errorf("a look that was cut short keeps no place: %+v", cp)
			}
			if !before.Target.IsZero() && !cp.Target.IsZero() && !cp.Target.Equal(before.Target) {
				w.t.Errorf("its horizon moved from %s to %s", before.Target, cp.Target)
			}
			time.Sleep(time.Minute)
		}
		if read != int64(len(named)) || runs < 2 {
			w.t.Errorf("%d orders were read for %d in %d runs", read, len(named), runs)
		}
		w.ordersInStep()
	})
}

// A list that fills every run's budget keeps no other one back: the one that is furthest
// behind has its turn first.
func TestABusyListKeepsNoOtherBack(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20, Orders: 60}, func(_ *testing.T, w *world) {
		w.maps(true)
		w.pageSize = 10
		id := w.order(w.ids(1)[0], "one", "two")
		w.shop.Invoice(id, nil)
		w.settle()
		w.run()
		w.runOrders()
		w.idle()
		line := w.orderOf(id).Lines[0].ID
		w.shop.Ship(id, map[int64]string{line: "1"})
		for range 3 {
			for _, o := range w.shop.Data().Orders[:9] { // less than a page, which is the last one then
				w.shop.DocumentQuietly(magentotest.Invoices, o.ID, map[int64]string{o.Lines[0].ID: "1"})
			}
			w.settle()
			if _, err := w.engine(func(cfg *engine.Config) { cfg.Budget.Records, cfg.Overlap = 9, -1 }).Run(w.t.Context(), engine.Orders); err != nil {
				w.t.Fatal(err)
			}
		}
		if got := w.row(line)["shipped"]; got != "1" {
			w.t.Errorf("shipped is %q after three runs", got)
		}
	})
}

// A run may be stopped anywhere, also between the end of the orders' pass and the first
// look: what a document tells arrives with the next one, and no row is written twice.
func TestPromise09_ALookSurvivesAStopAnywhere(t *testing.T) {
	points := []engine.Point{
		engine.PointHeeded, engine.PointHorizon, engine.PointLastPage, engine.PointClosing, engine.PointPassClosed, engine.PointTold,
		engine.PointPlanned, engine.PointSentItem, engine.PointCommitted,
	}
	var mu sync.Mutex
	met := map[engine.Point]bool{}
	t.Run("at", func(t *testing.T) {
		for _, point := range points {
			t.Run(string(point), func(t *testing.T) {
				inWorld(t, 10, func(_ *testing.T, w *world) {
					w.maps(true)
					id := w.order(w.ids(1)[0], "one", "two")
					w.shop.Invoice(id, nil)
					time.Sleep(10 * time.Minute)
					w.run()
					w.runOrders()
					time.Sleep(10 * time.Minute)
					line := w.orderOf(id).Lines[0].ID
					w.shop.Ship(id, map[int64]string{line: "1"})
					w.settle()
					writes := w.writes()
					ctx, stop := context.WithCancel(w.t.Context())
					_, err := w.engine(func(cfg *engine.Config) {
						cfg.TestHook = func(p engine.Point) {
							if p == point {
								stop()
							}
						}
					}).Run(ctx, engine.Orders)
					stopped := ctx.Err() != nil
					stop()
					if stopped {
						mu.Lock()
						met[point] = true
						mu.Unlock()
					} else if err != nil {
						w.t.Error(err)
					}
					time.Sleep(20 * time.Minute) // beyond the overlap
					w.runOrders()
					if got := w.row(line)["shipped"]; got != "1" || w.writes()-writes != 1 {
						w.t.Errorf("shipped is %q, in %d writes", got, w.writes()-writes)
					}
					w.ordersInStep()
				})
			})
		}
	})
	for _, point := range points {
		if !met[point] {
			t.Errorf("no run came by %s", point)
		}
	}
}

// A shipment whose transaction commits late is found by the overlap (promise 3).
func TestPromise03_ALateShipmentIsFound(t *testing.T) {
	inWorld(t, 10, func(_ *testing.T, w *world) {
		w.maps(true)
		id := w.order(w.ids(1)[0], "one", "two")
		w.shop.Invoice(id, nil)
		w.settle()
		w.run()
		w.runOrders()
		time.Sleep(10 * time.Minute)
		line := w.orderOf(id).Lines[0].ID
		w.shop.ShipLate(id, map[int64]string{line: "1"}, 2*time.Minute)
		for range 4 {
			w.settle()
			w.runOrders()
		}
		if got := w.row(line)["shipped"]; got != "1" {
			w.t.Errorf("shipped is %q", got)
		}
		w.ordersInStep()
	})
}

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

// What `syncd plan` says is what the next run does, documents and all.
func TestAPreviewHeedsDocuments(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30, Orders: 60}, func(_ *testing.T, w *world) {
		w.maps(true)
		id := w.order(w.ids(1)[0], "one", "two")
		w.shop.Invoice(id, nil)
		w.settle()
		w.run()
		w.runOrders()
		w.settle()
		w.shop.Ship(id, nil)
		w.shop.DocumentQuietly(magentotest.CreditMemos, id, nil)
		time.Sleep(10 * time.Minute)
		before := fmt.Sprint(w.remains())
		previews, err := w.engine(func(cfg *engine.Config) { cfg.Store = forbidden{w.store, w.t} }).
			Preview(w.t.Context(), engine.PreviewRequest{Streams: []string{engine.Orders}, Rows: 10})
		if err != nil {
			w.t.Fatal(err)
		}
		if after := fmt.Sprint(w.remains()); after != before {
			w.t.Errorf("the preview left something behind:\n%s\n%s", before, after)
		}
		report := w.runOrders()
		w.agrees(previews[0], report)
		if report.Counters.Updated == 0 {
			w.t.Errorf("nothing to preview: %+v", report.Counters)
		}
	})
}
