package engine_test

import (
	"maps"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// An order that the shop no longer has cannot be made anew below the customer who its guest
// turned out to be: it goes there as it stands, and the claim comes to its end.
func TestPromise17_AnOrderThatTheShopLostGoesAlong(t *testing.T) {
	for name, c := range map[string]struct {
		policy engine.ErasurePolicy
		swept  bool // and the deletion is known
	}{
		"deleted just now": {policy: engine.EraseFlag},
		"flagged":          {engine.EraseFlag, true},
		"removed":          {engine.EraseRemove, true},
		"blanked":          {engine.EraseBlank, true},
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 20, Orders: 10}, func(t *testing.T, w *world) {
				y := w.yard(c.policy)
				const email = "an@example.test"
				lost := y.order(0, email)
				y.order(0, email)
				id := w.register(email, func(c *magentotest.Customer) { c.Confirmation = "not yet" })
				y.order(id, "")
				y.runs()
				key := y.mapping.OrderKey(lost)
				y.shop.DeleteOrder(lost)
				if c.swept {
					y.sweeps(0)
				}
				guest := y.profiles()[guestKey(w, email)]
				was, rows := w.below(guest.ID)[key], len(y.rowsOf(guest.ID))
				y.shop.Edit(id, func(c *magentotest.Customer) { c.Confirmation = "" })
				for range 3 {
					y.runs()
					time.Sleep(25 * time.Hour)
				}
				if open, err := y.store.Claims(t.Context(), "shop", true, "", 10); err != nil || len(open) != 0 {
					t.Errorf("open claims: %+v, %v", open, err)
				}
				if left, there := y.profiles()[guestKey(w, email)]; there {
					t.Errorf("the guest's profile is left: %v", left)
				}
				p := w.profile(id)
				if now := w.below(p.ID)[key]; !maps.Equal(now.Fields, was.Fields) {
					t.Errorf("the order was\n%v, is\n%v", was, now)
				}
				if got := len(y.rowsOf(p.ID)); got != rows+2 {
					t.Errorf("%d rows below the customer, %d stood below the guest", got, rows)
				}
				rec := y.record(state.Order, key)
				if now := w.below(p.ID)[key]; rec.Parent != y.mapping.CustomerKey(id) || rec.CopernicaID != 0 && rec.CopernicaID != now.ID {
					t.Errorf("the ledger says %+v", rec)
				}
				if report, err := y.engine(y.tune).Inspect(t.Context(), engine.Inspection{Repair: true, Found: func(f engine.Finding) { t.Errorf("found %+v", f) }}); err != nil {
					t.Errorf("%+v, %v", report, err)
				}
			})
		})
	}
}
