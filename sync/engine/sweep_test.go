package engine_test

import (
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// sweep makes a whole round and expects it to end well.
func (w *world) sweep(stream string) engine.Report {
	w.t.Helper()
	report, err := w.engine(nil).Sweep(w.t.Context(), stream, engine.Sweep{})
	if err != nil || report.Outcome != state.Done {
		w.t.Fatalf("sweep %s: %+v, %v", stream, report, err)
	}
	return report
}

func TestPromise04_ASweepFindsWhatNoTimeTells(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 120, Orders: 60}, func(_ *testing.T, w *world) {
		w.run()
		w.runOrders()
		ids := w.ids(6)
		w.toggleNewsletter(ids[0])
		w.toggleNewsletter(ids[1])
		w.shop.EditQuietly(ids[2], func(c *magentotest.Customer) { c.LastName = "Quiet" })
		w.shop.EditQuietly(ids[3], func(c *magentotest.Customer) { c.GroupID = 2 })
		w.shop.EditOrderQuietly(5, func(o *magentotest.Order) { o.Status = "quiet"; o.Lines = append(o.Lines, line("more")) })
		// What a shop's clock or an import dated before the horizon.
		w.shop.Create(magentotest.Customer{
			WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "Old", LastName: "Date", Email: "old@example.test",
			UpdatedAt: time.Now().AddDate(0, 0, -30),
		})
		w.settle()
		w.run()
		w.runOrders()
		people := w.sweep(engine.CustomersSweep)
		orders := w.sweep(engine.OrdersSweep)
		if people.Counters.Read != 121 || people.Counters.Created != 1 || people.Counters.Updated != 4 {
			w.t.Errorf("customers: %+v", people.Counters)
		}
		if orders.Counters.Read != 60 || orders.Counters.Created != 1 || orders.Counters.Updated != 1 {
			w.t.Errorf("orders: %+v", orders.Counters)
		}
		w.ordersInStep()

		for _, stream := range engine.Sweeps() {
			if again := w.sweep(stream); again.Counters.TargetCalls != 0 {
				w.t.Errorf("promise 8: %s with nothing to write: %+v", stream, again.Counters)
			}
		}
	})
}

// A group that is renamed changes none of its customers: each gets the new name with the
// sweep, and nobody else is written to.
func TestPromise04_ASweepFindsARenamedGroup(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 120, Orders: 30}, func(_ *testing.T, w *world) {
		const wholesale = 2
		w.run()
		w.runOrders()
		members := int64(0)
		for _, c := range w.shop.Data().Customers {
			if c.GroupID == wholesale {
				members++
			}
		}
		w.shop.RenameGroup(wholesale, "Trade")
		w.settle()
		if live := w.run(); live.Counters.Updated != 0 {
			w.t.Errorf("a run, although no time tells: %+v", live.Counters)
		}
		if n := w.sweep(engine.CustomersSweep).Counters; members == 0 || n.Updated != members || n.TargetCalls < members {
			w.t.Errorf("%d customers have the group: %+v", members, n)
		}
		w.sweep(engine.OrdersSweep)
		w.ordersInStep()
	})
}

// An attribute that the mapping carries and that an import wrote past the shop's own saving
// arrives with the sweep.
func TestPromise04_ASweepFindsAnAttributeThatWasWrittenQuietly(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 40}, func(_ *testing.T, w *world) {
		w.carryAttribute("loyalty", "loyalty_code")
		wear := func(id int64, value string) {
			w.shop.EditQuietly(id, func(c *magentotest.Customer) {
				c.Attributes = []magentotest.Attribute{{Code: "loyalty_code", Value: value}}
			})
		}
		ids := w.ids(3)
		wear(ids[0], "gold")
		wear(ids[1], "silver")
		w.run()
		wear(ids[1], "gold")
		wear(ids[2], "bronze")
		w.settle()
		if live := w.run(); live.Counters.Updated != 0 {
			w.t.Errorf("a run, although no time tells: %+v", live.Counters)
		}
		if n := w.sweep(engine.CustomersSweep).Counters; n.Updated != 2 {
			w.t.Errorf("two were changed: %+v", n)
		}
		for i, want := range []string{"gold", "gold", "bronze"} {
			if got := w.profile(ids[i]).Fields["loyalty"]; got != want {
				w.t.Errorf("customer %d shows %q, want %q", ids[i], got, want)
			}
		}
		w.inStep()
	})
}

// carryAttribute maps a customer's attribute to a field of the profile.
func (w *world) carryAttribute(field, code string) {
	w.t.Helper()
	file, err := mapping.Default()
	check(w, err)
	file.Profile.Fields = append(file.Profile.Fields, mapping.Field{Name: field, Type: mapping.Text, Length: 50, From: "attribute." + code})
	w.mapping, err = file.Compile(mapping.Options{Shop: "shop", Zone: w.zone})
	check(w, err)
	check(w, w.account.AddFields(database, copernicatest.Field{Name: field, Type: "text", Length: 50}))
}

// The newsletter alone is cheap: a page for a thousand customers, and one read for each
// whose state changed.
func TestPromise04_AConsentSweepReadsOnlyWhoChanged(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 150}, func(_ *testing.T, w *world) {
		w.run()
		ids := w.ids(3)
		for _, id := range ids {
			w.toggleNewsletter(id)
		}
		report := w.sweep(engine.ConsentSweep)
		if int(report.Counters.Updated) != len(ids) {
			w.t.Errorf("%d changed: %+v", len(ids), report.Counters)
		}
		w.inStep()
	})
}

// A round is spread evenly over its period: no slice reads more than its share and a
// page, and a period holds exactly one round.
func TestPromise04_ARoundIsSpreadOverItsPeriod(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 480}, func(_ *testing.T, w *world) {
		w.pageSize = 10
		w.run()
		const period = 24 * time.Hour
		var read, most int64
		slices := 0
		for range 48 * 60 {
			time.Sleep(time.Minute)
			due, err := w.engine(nil).SweepDue(w.t.Context(), engine.CustomersSweep, period)
			if err != nil {
				w.t.Fatal(err)
			}
			if due.After(time.Now()) {
				continue
			}
			report, err := w.engine(nil).Sweep(w.t.Context(), engine.CustomersSweep, engine.Sweep{Period: period})
			if err != nil {
				w.t.Fatal(err)
			}
			slices++
			read, most = read+report.Counters.Read, max(most, report.Counters.Read)
		}
		if read < 2*480 || read > 3*480 || most > 20 || slices < 90 {
			w.t.Errorf("%d records in two days, %d at most at once, %d slices", read, most, slices)
		}
	})
}

// Slices that come seldom make up for it: the round still lasts its period, and after a
// pause the budget of a slice bounds it.
func TestPromise04_ASliceThatComesLateReadsMore(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 480}, func(_ *testing.T, w *world) {
		w.pageSize = 10
		w.run()
		const period = 24 * time.Hour
		slice := engine.Sweep{Period: period, Budget: engine.Budget{Records: 200}}
		var read, most int64
		for range 16 {
			time.Sleep(3 * time.Hour)
			report, err := w.engine(nil).Sweep(w.t.Context(), engine.CustomersSweep, slice)
			if err != nil {
				w.t.Fatal(err)
			}
			read, most = read+report.Counters.Read, max(most, report.Counters.Read)
		}
		if read < 2*480-120 || read > 2*480 || most > 80 {
			w.t.Errorf("%d records in two days, %d at most at once", read, most)
		}
		time.Sleep(3 * period)
		report, err := w.engine(nil).Sweep(w.t.Context(), engine.CustomersSweep, slice)
		if err != nil || report.Counters.Read > 200 {
			w.t.Errorf("after a pause %d at once, %v", report.Counters.Read, err)
		}
	})
}

// A sweep that is cut short goes on where it was, and begins nothing before the first
// pass is finished.
func TestASweepIsResumed(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 100}, func(_ *testing.T, w *world) {
		if early := w.sweep(engine.CustomersSweep); early.Counters.Read != 0 {
			w.t.Errorf("before the first pass: %+v", early.Counters)
		}
		w.run()
		var read int64
		for range 10 {
			report, err := w.engine(func(cfg *engine.Config) { cfg.Budget.Records = 30 }).Sweep(w.t.Context(), engine.CustomersSweep, engine.Sweep{})
			if err != nil {
				w.t.Fatal(err)
			}
			if read += report.Counters.Read; report.Outcome == state.Done {
				break
			}
		}
		if read != 100 {
			w.t.Errorf("%d records in one round", read)
		}
	})
}

// toggleNewsletter subscribes or unsubscribes a customer on the storefront.
func (w *world) toggleNewsletter(id int64) {
	w.t.Helper()
	for _, c := range w.shop.Data().Customers {
		if c.ID == id && c.NewsletterStatus == magentotest.Subscribed {
			w.shop.SetNewsletter(id, 3)
			return
		}
	}
	w.shop.SetNewsletter(id, magentotest.Subscribed)
}

func (w *world) record(e state.Entity, key string) state.Record {
	w.t.Helper()
	rows, err := w.store.Records(w.t.Context(), "shop", e, []string{key})
	if err != nil {
		w.t.Fatal(err)
	}
	return rows[key]
}

func (w *world) count(e state.Entity, s state.RecordState) int64 {
	w.t.Helper()
	over, err := w.store.Overview(w.t.Context(), "shop")
	if err != nil {
		w.t.Fatal(err)
	}
	return over.Records[e][s]
}
