package engine_test

import (
	"testing"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
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
