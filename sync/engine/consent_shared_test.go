package engine_test

import (
	"context"
	"slices"
	"testing"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/engine"
)

// singleReads counts the single reads of customers that reached the shop.
func (w *world) singleReads() int64 {
	return w.shop.Log().Counts()["GET /rest/all/V1/customers/{id}"]
}

// A list of customers gives two of them with one e-mail the answer of one. The sweep of
// the newsletter sees what each of them did all the same.
func TestPromise18_AConsentSweepReadsSharedEmailsSingly(t *testing.T) {
	for _, tc := range []struct {
		name        string
		byEmail     bool
		changes     int    // who opts out
		first, then string // what the profiles say of them after it
	}{
		{"two profiles, the second one opts out", false, 1, in, out},
		{"two profiles, the first one opts out", false, 0, out, in},
		{"one profile, the second one opts out", true, 1, out, ""},
		{"one profile, the first one opts out", true, 0, out, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inWorld(t, 3, func(_ *testing.T, w *world) {
				if tc.byEmail {
					w.byEmail()
				}
				ids := []int64{w.register("anna@example.test", subscribed), w.register("Anna@example.test", func(c *magentotest.Customer) { abroad(c); subscribed(c) })}
				alone := w.register("otto@example.test", subscribed)
				w.both()
				before := w.singleReads()
				if quiet := w.sweep(engine.ConsentSweep); quiet.Counters.TargetCalls != 0 || w.singleReads()-before != 2 {
					w.t.Errorf("nothing changed, %d single reads: %+v", w.singleReads()-before, quiet.Counters)
				}
				w.shop.SetNewsletter(ids[tc.changes], magentotest.Unsubscribed)
				if report := w.sweep(engine.ConsentSweep); report.Counters.Updated != 1 {
					w.t.Errorf("one of them opted out: %+v", report.Counters)
				}
				for id, want := range map[int64]string{ids[0]: tc.first, ids[1]: tc.then, alone: in} {
					switch p := w.profileOf(w.mapping.CustomerKey(id)); {
					case (p == nil) != (want == ""):
						w.t.Errorf("the profile of customer %d: %+v", id, p)
					case p != nil && p.Fields[ours] != want:
						w.t.Errorf("customer %d is %q, want %q", id, p.Fields[ours], want)
					}
				}
				w.ordersInStep()
			})
		})
	}
}

// lonely is a shop with one website.
type lonely struct{ engine.Shop }

func (l lonely) Stores(ctx context.Context) (magento.Stores, error) {
	stores, err := l.Shop.Stores(ctx)
	stores.Websites = slices.DeleteFunc(stores.Websites, func(w magento.Website) bool { return w.ID > 1 })
	return stores, err
}

// In a shop with one website a list tells the truth of everybody, and a sweep of the
// newsletter costs its pages alone.
func TestAConsentSweepOfOneWebsiteReadsNobodySingly(t *testing.T) {
	inWorld(t, 60, func(_ *testing.T, w *world) {
		alone := func(cfg *engine.Config) { cfg.Shop = lonely{cfg.Shop} }
		if _, err := w.engine(alone).Run(w.t.Context(), engine.Customers); err != nil {
			w.t.Fatal(err)
		}
		before := w.singleReads()
		report, err := w.engine(alone).Sweep(w.t.Context(), engine.ConsentSweep, engine.Sweep{})
		if err != nil || report.Counters.Read != 60 {
			w.t.Fatalf("%+v, %v", report, err)
		}
		if n := w.singleReads() - before; n != 0 || report.Counters.SourceCalls > 3 {
			w.t.Errorf("%d single reads, %d calls", n, report.Counters.SourceCalls)
		}
	})
}
