package engine_test

import (
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// Runs older than 30 days are deleted once a day, but for the newest hundred of each
// stream and those that a row of the ledger names.
func TestOldRunsAreDeleted(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		w.settle()
		first := w.run().Run // which the ledger names
		sweeps := func(n int) {
			t.Helper()
			for range n {
				_, err := w.store.StartRun(t.Context(), state.Run{Pipeline: "shop", Stream: engine.CustomersSweep, Started: time.Now(), Ended: time.Now(), Outcome: state.Done})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		kept := func(want int) {
			t.Helper()
			runs, err := w.store.Runs(t.Context(), "shop", state.RunFilter{Limit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, r := range runs {
				if r.Stream == engine.CustomersSweep {
					n++
				}
			}
			if n != want {
				t.Errorf("%d sweeps are kept, want %d", n, want)
			}
		}
		sweeps(150)
		time.Sleep(29 * 24 * time.Hour)
		w.run()
		kept(150)
		time.Sleep(2 * 24 * time.Hour)
		w.run()
		kept(100)
		sweeps(20)
		time.Sleep(23 * time.Hour)
		w.run() // a day has not passed
		kept(120)
		time.Sleep(2 * time.Hour)
		w.run()
		kept(100)
		if _, err := w.store.Run(t.Context(), "shop", first); err != nil {
			t.Errorf("the run that the ledger names: %v", err)
		}
	})
}
