package engine_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// A shop that shows little is taken for a broken one: no sweep flags or erases anybody
// for it, and once the shop is itself again all goes on.
func TestPromise19_ABrokenShopIsNoMassDeletion(t *testing.T) {
	// lists tells the calls that list records from those that read one.
	lists := func(r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/customers/search") || strings.HasSuffix(r.URL.Path, "/V1/orders")
	}
	for _, tc := range []struct {
		name   string
		breaks func(w *world)
	}{
		{"another shop answers at its address", func(w *world) {
			w.shop = magentotest.New(magentotest.Config{Customers: 3, Orders: 3, Seed: 9, Now: time.Now})
		}},
		{"a shop whose database is empty", func(w *world) {
			w.shop = magentotest.New(magentotest.Config{Seed: 3, Now: time.Now})
		}},
		{"the integration lost its permissions", func(w *world) {
			w.shop.Switch(func(s *magentotest.Switches) {
				s.Denied = []string{"Magento_Customer::customer", "Magento_Sales::sales", "Magento_Sales::actions_view"}
			})
		}},
		{"lists say null", func(w *world) {
			w.shop.Faults().Add(emulator.Fault{Match: lists, Kind: emulator.Status, Status: http.StatusOK, Body: `{"items":null,"search_criteria":null,"total_count":0}`})
		}},
		{"lists say null, and count", func(w *world) {
			w.shop.Faults().Add(emulator.Fault{Match: lists, Kind: emulator.Status, Status: http.StatusOK, Body: `{"items":null,"search_criteria":null,"total_count":60}`})
		}},
		{"a replica that lags far behind", func(w *world) {
			w.shop = magentotest.New(magentotest.Config{Customers: 20, Orders: 20, Seed: 3, Now: time.Now})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 60, Orders: 60}, func(t *testing.T, w *world) {
				w.run()
				w.runOrders()
				w.settle()
				sound, profiles, orders := w.shop, len(w.account.Profiles(database)), len(w.account.Subprofiles(database, "Orders"))
				tc.breaks(w)
				for _, sweep := range engine.Sweeps() {
					report, err := w.engine(func(cfg *engine.Config) { cfg.Erasure.Policy = engine.EraseRemove }).
						Sweep(t.Context(), sweep, engine.Sweep{Whole: true})
					if err == nil {
						t.Errorf("%s ended well: %+v", sweep, report)
					}
				}
				for _, e := range []state.Entity{state.Profile, state.Order} {
					if n := w.count(e, state.Missing) + w.count(e, state.Gone) + w.count(e, state.Removed); n != 0 {
						t.Errorf("%d of %s were taken for deleted", n, e)
					}
				}
				if n, m := len(w.account.Profiles(database)), len(w.account.Subprofiles(database, "Orders")); n != profiles || m != orders {
					t.Errorf("Copernica has %d profiles and %d orders, it had %d and %d", n, m, profiles, orders)
				}

				w.shop = sound
				w.shop.Faults().Clear()
				w.shop.Switch(func(s *magentotest.Switches) { s.Denied = nil })
				for _, sweep := range engine.Sweeps() {
					w.sweep(sweep)
				}
				w.ordersInStep()
			})
		})
	}
}
