package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
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
