//go:build soak

package engine_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
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

// TestSoakModel plays many more of the model's histories, in a process for each core: what
// threads of one process share, the allocator of SQLite above all, takes as long as the rest.
func TestSoakModel(t *testing.T) {
	const all = 200_000
	if share, err := strconv.Atoi(os.Getenv(shareVariable)); err == nil {
		playModel(t, share)
		return
	}
	t.Parallel()
	cores := runtime.NumCPU()
	for range cores {
		t.Run("process", func(t *testing.T) {
			t.Parallel()
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSoakModel$", "-test.v", "-test.timeout=0", "-test.parallel=2")
			c.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=400", fmt.Sprintf("%s=%d", shareVariable, (all+cores-1)/cores))
			c.Stdout, c.Stderr = os.Stdout, os.Stderr
			if err := c.Run(); err != nil {
				t.Error(err)
			}
		})
	}
}

// shareVariable is how many histories a process of the soak plays.
const shareVariable = "SYNCD_TEST_SHARE"

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
