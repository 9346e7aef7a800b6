package engine_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/engine"
)

// A process planned a customer and was killed; another took the customer up and was killed
// with the write under way. Its successor need not wait for a lease, but for that write.
func TestPromise13_AWriteOfASecondDeadProcessIsWaitedFor(t *testing.T) {
	inSQLite(t, magentotest.Config{Customers: 1}, func(t *testing.T, w *world) {
		id := w.ids(1)[0]
		// dies lets a process live until its first write is about to go out, which then
		// arrives late, or not at all.
		dies := func(late time.Duration) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var dead atomic.Bool
			w.wire = func(base http.RoundTripper) http.RoundTripper {
				return wireTripper(func(r *http.Request) (*http.Response, error) {
					if r.URL.Query().Get("create") == "" && !dead.Load() {
						return base.RoundTrip(r)
					}
					if dead.CompareAndSwap(false, true) && late > 0 {
						d := doom{delay: late}
						_ = d.straggle(base, r)
					}
					stop()
					return nil, errDead
				})
			}
			_, _ = w.engine(func(cfg *engine.Config) { cfg.Store = mortal{w.store, &dead} }).Run(ctx, engine.Customers)
			if !dead.Load() {
				t.Fatal("the process wrote nothing")
			}
			w.wire = nil
			w.reopen(live)
		}
		dies(0)
		time.Sleep(10 * time.Minute)
		dies(15 * time.Second)
		w.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = "Newer" })
		w.run()
		w.settle()
		w.run()
		if p := w.profile(id); p.Fields["firstname"] != "Newer" {
			t.Errorf("the profile says %q: a write of a dead process went over it", p.Fields["firstname"])
		}
		w.inStep()
	})
}
