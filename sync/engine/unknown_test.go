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

// A run that takes up a write again which it lost itself, and brings it over, has left
// nothing without an outcome; one that loses it each time counts it once.
func TestAWriteThatIsSettledInItsRunIsNotLeft(t *testing.T) {
	for _, tc := range []struct {
		name  string
		after bool // the account did it, and its answer was lost
		times int
		left  int64
	}{
		{"once", false, 1, 0},
		{"its answer, once", true, 1, 0},
		{"again and again", false, 1000, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inWorld(t, 20, func(_ *testing.T, w *world) {
				key := w.mapping.CustomerKey(w.ids(1)[0])
				w.account.Faults().Add(emulator.Fault{
					Kind: emulator.Reset, Method: http.MethodPut, After: tc.after, Times: tc.times,
					Match: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Query().Get("fields[]"), "=="+key) },
				})
				report := w.run()
				if n := report.Counters.Unknown; report.Outcome != state.Done || n != tc.left {
					w.t.Errorf("%d writes are left, not %d: %+v", n, tc.left, report)
				}
			})
		})
	}
}

// A profile whose creation had no answer may arrive after its customer was deleted: the ledger
// knows of it until that can no longer happen, and it is erased like any other.
func TestPromise19_AProfileThatArrivesAfterTheDeletion(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20}, func(_ *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		y.runs()
		id := y.customer("late@example.test")
		key := y.mapping.CustomerKey(id)
		y.settle()
		y.account.Faults().Add(emulator.Fault{
			Kind: emulator.Reset, Method: http.MethodPut,
			Match: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Query().Get("fields[]"), "=="+key) },
		})
		y.run()
		y.account.Faults().Clear()
		y.shop.Delete(id)
		time.Sleep(time.Until(y.record(state.Profile, key).NextAttempt) - time.Second)
		y.run()
		_, err := y.account.AddProfile(database, map[string]string{"customer_id": key, "email": "late@example.test"})
		check(w, err)
		time.Sleep(3 * time.Hour)
		y.runs()
		y.sweeps(0)
		y.nobodyIs("late@example.test")
	})
}
