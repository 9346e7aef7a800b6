package engine_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// inspect looks at Copernica and returns what deviates, by "deviation key".
func (w *world) inspect(repair bool) map[string]int {
	w.t.Helper()
	found := map[string]int{}
	report, err := w.engine(nil).Inspect(w.t.Context(), engine.Inspection{
		Repair: repair, Found: func(f engine.Finding) { found[fmt.Sprintf("%s %s", f.Deviation, f.Key)]++ },
	})
	if err != nil || report.Outcome != state.Done {
		w.t.Fatalf("inspect: %+v, %v", report, err)
	}
	return found
}

// Two hundred differences of every kind are all found, nothing else is, and a repair
// puts right what is ours to put right.
func TestPromise15_EveryDeviationIsFoundAndNothingElse(t *testing.T) {
	seed := firstSeed()
	t.Logf("SYNCD_TEST_SEED=%d repeats this", seed)
	inShop(t, magentotest.Config{Customers: 220, Orders: 300}, func(t *testing.T, w *world) {
		random := rand.New(rand.NewPCG(seed, 0))
		w.run()
		w.runOrders()
		if found := w.inspect(false); len(found) != 0 {
			t.Fatalf("in step, and yet: %v", found)
		}
		want := map[string]int{}
		removed := map[int64]bool{} // profiles
		profiles := w.account.Profiles(database)
		random.Shuffle(len(profiles), func(i, j int) { profiles[i], profiles[j] = profiles[j], profiles[i] })
		for i, p := range profiles[:80] {
			key := p.Fields["customer_id"]
			switch i % 4 {
			case 0:
				check(w, w.account.RemoveProfile(p.ID))
				removed[p.ID] = true
				want["removed "+key]++
			case 1:
				check(w, w.account.EditProfile(p.ID, map[string]string{"lastname": "By hand"}))
				want["edited "+key]++
			case 2:
				_, err := w.account.AddProfile(database, map[string]string{"customer_id": key})
				check(w, err)
				want["duplicated "+key]++
			default:
				stranger := fmt.Sprintf("shop-c%d", 900_000+i)
				_, err := w.account.AddProfile(database, map[string]string{"customer_id": stranger})
				check(w, err)
				want["orphaned "+stranger]++
			}
		}
		for name, key := range map[string]string{"Orders": "order_id", "Orders_Items": "item_id"} {
			rows := w.account.Subprofiles(database, name)
			random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
			changed := 0
			for _, s := range rows {
				if changed == 80 {
					break
				}
				changed++
				switch changed % 4 {
				case 0:
					check(w, w.account.RemoveSubprofile(s.ID))
					want["removed "+s.Fields[key]]++
				case 1:
					check(w, w.account.EditSubprofile(s.ID, map[string]string{"storeView": "By hand"}))
					want["edited "+s.Fields[key]]++
				case 2:
					stranger := fmt.Sprint(s.Fields[key], "00000")
					_, err := w.account.AddSubprofile(name, s.Parent, map[string]string{key: stranger})
					check(w, err)
					want["orphaned "+stranger]++
				default:
					_, err := w.account.AddSubprofile(name, s.Parent, map[string]string{key: s.Fields[key]})
					check(w, err)
					want["duplicated "+s.Fields[key]]++
				}
			}
		}
		// What stood below a removed profile went with it, doubles included.
		w.expectRemovedBelow(removed, want)
		before := w.writes()
		if diff := cmp.Diff(want, w.inspect(false)); diff != "" {
			t.Errorf("found (-want +got):\n%s", diff)
		}
		if w.writes() != before {
			t.Error("a look wrote to Copernica")
		}

		w.inspect(true)
		time.Sleep(time.Hour)
		w.run()
		w.runOrders()
		left := w.inspect(false)
		for finding := range left {
			var deviation, key string
			if _, err := fmt.Sscan(finding, &deviation, &key); err != nil || deviation != "duplicated" && deviation != "orphaned" {
				t.Errorf("left after a repair: %s", finding)
			}
		}
	})
}

// expectRemovedBelow turns what is expected of rows below removed profiles into their
// removal. It asks the ledger what stood there.
func (w *world) expectRemovedBelow(removed map[int64]bool, want map[string]int) {
	w.t.Helper()
	for _, e := range []state.Entity{state.Order, state.Item} {
		rows, err := w.store.RecordsInCopernica(w.t.Context(), "shop", e, 0, 1<<62, 10_000)
		check(w, err)
		for _, rec := range rows {
			if owner := w.record(state.Profile, rec.Parent); removed[owner.CopernicaID] {
				delete(want, "edited "+rec.Key)
				delete(want, "duplicated "+rec.Key)
				want["removed "+rec.Key] = 1
			}
		}
	}
}

// A profile that somebody edits or removes is as it was after a repair, with its orders,
// and consent that somebody set there stays.
func TestPromise15_ARepairPutsRight(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 40, Orders: 60}, func(_ *testing.T, w *world) {
		w.run()
		w.runOrders()
		ids := w.ids(3)
		w.optsOut(ids[0])
		check(w, w.account.EditProfile(w.profile(ids[0]).ID, map[string]string{"lastname": "By hand"}))
		check(w, w.account.EditProfile(w.profile(ids[1]).ID, map[string]string{"customer_id": "something else"}))
		check(w, w.account.RemoveProfile(w.profile(ids[2]).ID))
		w.inspect(true)
		w.ordersInStep()
		if found := w.inspect(false); len(found) != 0 {
			w.t.Errorf("after the repair: %v", found)
		}
	})
}

// A round in slices finds what a whole one does, each deviation once, and lasts its
// period.
func TestPromise15_ARoundIsSpreadOverItsPeriod(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 40, Orders: 60}, func(_ *testing.T, w *world) {
		w.run()
		w.runOrders()
		ids := w.ids(2)
		check(w, w.account.EditProfile(w.profile(ids[0]).ID, map[string]string{"lastname": "By hand"}))
		check(w, w.account.RemoveProfile(w.profile(ids[1]).ID))
		want := w.inspect(false)

		const period = 24 * time.Hour
		found, rounds, began := map[string]int{}, 0, time.Now()
		for rounds == 0 {
			due, err := w.engine(nil).SweepDue(w.t.Context(), engine.InspectSweep, period)
			check(w, err)
			time.Sleep(max(time.Until(due), time.Minute))
			report, err := w.engine(nil).Inspect(w.t.Context(), engine.Inspection{
				Period: period, Found: func(f engine.Finding) { found[fmt.Sprintf("%s %s", f.Deviation, f.Key)]++ },
			})
			check(w, err)
			if report.Outcome == state.Done {
				rounds++
			}
		}
		if diff := cmp.Diff(want, found); diff != "" {
			w.t.Errorf("in slices (-whole +slices):\n%s", diff)
		}
		if took := time.Since(began); took < period/2 || took > 3*period {
			w.t.Errorf("a round took %s", took)
		}
	})
}

// thin is a database that lists its profiles a few at a time.
type thin struct {
	engine.Database
	rows int
}

func (d thin) All(ctx context.Context, after int64) iter.Seq2[[]copernica.Profile, error] {
	return func(yield func([]copernica.Profile, error) bool) {
		for page, err := range d.Database.All(ctx, after) {
			if err != nil {
				yield(nil, err)
				return
			}
			for some := range slices.Chunk(page, d.rows) {
				if !yield(some, nil) {
					return
				}
			}
		}
	}
}

// A round of many pages lasts its period, however seldom slices come: each makes as many
// pages as are due by then. After a pause the budget of a slice bounds it.
func TestPromise15_ARoundOfManyPagesKeepsItsPeriod(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 300}, func(_ *testing.T, w *world) {
		w.run()
		few := func(cfg *engine.Config) {
			open := cfg.Open
			cfg.Open = func(ctx context.Context) (engine.Database, error) {
				db, err := open(ctx)
				return thin{db, 5}, err
			}
		}
		const period = time.Hour
		slice := func() engine.Report {
			w.t.Helper()
			report, err := w.engine(few).Inspect(w.t.Context(), engine.Inspection{Period: period, Budget: engine.Budget{Records: 100}})
			check(w, err)
			return report
		}
		began, read, most := time.Now(), int64(0), int64(0)
		for done := false; !done; time.Sleep(5 * time.Minute) {
			report := slice()
			read, most = read+report.Counters.Read, max(most, report.Counters.Read)
			done = report.Outcome == state.Done
		}
		if took := time.Since(began); read != 300 || most > 35 || took < period*9/10 || took > period*12/10 {
			w.t.Errorf("%d rows in %s, %d at most at once", read, took, most)
		}
		time.Sleep(period)
		slice() // begins the next round
		time.Sleep(3 * period)
		if report := slice(); report.Counters.Read != 100 {
			w.t.Errorf("after a pause %d at once", report.Counters.Read)
		}
	})
}

// A profile whose key somebody overwrote is still ours by its id: what comes next for it is
// written there, and no second one is made.
func TestPromise15_AnOverwrittenKeyMakesNoSecondProfile(t *testing.T) {
	for name, key := range map[string]string{"another word": "by hand", "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 5, Orders: 10}, func(_ *testing.T, w *world) {
				w.both()
				id := w.shop.Data().Customers[0].ID
				before := w.profileOf(w.mapping.CustomerKey(id))
				if err := w.account.EditProfile(before.ID, map[string]string{"customer_id": key}); err != nil {
					w.t.Fatal(err)
				}
				w.settle()
				w.toggleNewsletter(id)
				w.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = "Somebody" })
				w.both()
				if after := w.profileOf(w.mapping.CustomerKey(id)); after == nil || after.ID != before.ID {
					w.t.Errorf("before %+v, after %+v", before, after)
				}
				w.ordersInStep()
			})
		})
	}
}
