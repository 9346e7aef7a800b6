//go:build soak

package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/engine"
)

// TestSoakHistories plays many more of the random histories.
func TestSoakHistories(t *testing.T) { playHistories(t, 5_000, magentotest.Config{Customers: 60}) }

// TestSoakOrders plays many more of those with orders.
func TestSoakOrders(t *testing.T) {
	playHistories(t, 5_000, magentotest.Config{Customers: 40, Orders: 60})
}

// TestSoakModel plays many more of the model's histories.
func TestSoakModel(t *testing.T) { playModel(t, 200_000) }

// TestSoakOptOuts plays many more, and longer ones, of those in which people opt out on both
// sides.
func TestSoakOptOuts(t *testing.T) { playOptOuts(t, 1_500, 40) }

// TestSoakBurst is promise 3 at its full size: 50,000 rows in one second at 5,000 a run.
func TestSoakBurst(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		const rows, budget = 50_000, 5_000
		w.pageSize = 300
		for i := range rows {
			w.shop.Create(magentotest.Customer{
				WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "Burst", LastName: "Row", Email: fmt.Sprintf("burst%d@example.test", i),
			})
		}
		time.Sleep(time.Minute)
		runs := 0
		for w.checkpoint().Horizon.IsZero() {
			runs++
			report, err := w.engine(func(cfg *engine.Config) { cfg.Budget.Records = budget }).Run(t.Context(), engine.Customers)
			if err != nil || runs > 20 {
				t.Fatalf("run %d: %+v, %v", runs, report, err)
			}
		}
		t.Logf("%d rows of one second at %d a run: %d runs", rows, budget, runs)
		if runs > 11 {
			t.Errorf("%d runs, 11 are promised", runs)
		}
		w.inStep()
	})
}
