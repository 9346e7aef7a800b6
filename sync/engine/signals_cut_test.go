package engine_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

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
