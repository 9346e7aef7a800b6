package engine_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/state"
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
