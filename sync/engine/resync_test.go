package engine_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// addResync records a request.
func (w *world) addResync(q engine.ResyncRequest) state.Resync {
	w.t.Helper()
	e := w.engine(nil)
	r, err := e.NewResync(w.t.Context(), q)
	if err == nil {
		r, err = e.AddResync(w.t.Context(), r)
	}
	if err != nil {
		w.t.Fatalf("add a resync: %v", err)
	}
	return r
}

// resync gives a resync one turn and expects it to end well.
func (w *world) resync(id int64, b engine.Budget) engine.Report {
	w.t.Helper()
	report, err := w.engine(nil).Resync(w.t.Context(), id, b)
	if err != nil {
		w.t.Fatalf("resync %d: %v", id, err)
	}
	return report
}

// spoil changes a field of every profile in Copernica by hand.
func (w *world) spoil() {
	w.t.Helper()
	for _, p := range w.account.Profiles(database) {
		if err := w.account.EditProfile(p.ID, map[string]string{"lastname": "By hand"}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestPromise22_AResyncHasACursorOfItsOwn(t *testing.T) {
	inWorld(t, 120, func(t *testing.T, w *world) {
		w.run()
		w.settle()
		before := w.checkpoint()
		calls := w.account.Log().Total()

		quiet := w.addResync(engine.ResyncRequest{Stream: engine.Customers})
		report := w.resync(quiet.ID, engine.Budget{})
		if report.Outcome != state.Done || report.Counters.Read != 120 || w.account.Log().Total() != calls {
			t.Errorf("promise 8: equal hashes made calls: %+v", report)
		}
		if report.Stream != "customers/resync-1" || report.Resync.State != state.ResyncDone {
			t.Errorf("report %+v of %+v", report, report.Resync)
		}
		if diff := cmp.Diff(before, w.checkpoint()); diff != "" {
			t.Errorf("the live checkpoint moved:\n%s", diff)
		}
		if _, err := w.engine(nil).Resync(t.Context(), quiet.ID, engine.Budget{}); !errors.Is(err, state.ErrResyncEnded) {
			t.Errorf("worked again: %v", err)
		}
	})
}

// Forced, every row is rewritten exactly once, in however many turns and wherever one is
// cut short. Without force nobody notices what was changed by hand.
func TestPromise22_ForceRewritesEveryRowOnce(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 120, Orders: 150}, func(t *testing.T, w *world) {
		w.run()
		w.runOrders()
		w.settle()
		w.spoil()
		live := []state.Checkpoint{w.checkpointOf(engine.Customers), w.checkpointOf(engine.Orders)}
		rows := map[string]int{
			engine.Customers: 0,
			engine.Orders:    len(w.account.Subprofiles(database, "Orders")) + len(w.account.Subprofiles(database, "Orders_Items")),
		}
		for _, p := range w.account.Profiles(database) {
			if _, ok := w.mapping.CustomerID(p.Fields["customer_id"]); ok {
				rows[engine.Customers]++
			} else {
				rows[engine.Orders]++ // a guest is made of orders
			}
		}
		for _, stream := range engine.Streams() {
			r := w.addResync(engine.ResyncRequest{Stream: stream, Force: true})
			writes, turns := w.writes(), 0
			for done := false; !done; turns++ {
				points := []engine.Point{engine.PointPlanned, engine.PointSent, engine.PointAnswered, engine.PointCommitted, "none"}
				ctx, stop := context.WithCancel(t.Context())
				report, err := w.engine(func(cfg *engine.Config) {
					cfg.TestHook = func(p engine.Point) {
						if p == points[turns%len(points)] {
							stop()
						}
					}
				}).Resync(ctx, r.ID, engine.Budget{Records: 50})
				if stop(); err != nil && !errors.Is(err, context.Canceled) {
					t.Fatalf("turn %d: %v", turns, err)
				}
				done = report.Resync.State == state.ResyncDone
			}
			if made := w.writes() - writes; made != rows[stream] || turns < 5 {
				t.Errorf("%s: %d writes for %d rows in %d turns", stream, made, rows[stream], turns)
			}
			again := w.addResync(engine.ResyncRequest{Stream: stream, Force: true})
			writes = w.writes()
			for w.resync(again.ID, engine.Budget{Records: 50}).Outcome != state.Done {
			}
			if made := w.writes() - writes; made != rows[stream] {
				t.Errorf("%s: %d writes for %d rows the second time", stream, made, rows[stream])
			}
		}
		w.ordersInStep()
		if diff := cmp.Diff(live, []state.Checkpoint{w.checkpointOf(engine.Customers), w.checkpointOf(engine.Orders)}); diff != "" {
			t.Errorf("the live checkpoints moved:\n%s", diff)
		}
	})
}

// Promise 22: what a resync reads of an older state, late or from a replica that lags,
// does not go over what a live run brought, and consent is nobody's to force.
func TestPromise22_NeverNewerByOlder(t *testing.T) {
	inWorld(t, 60, func(t *testing.T, w *world) {
		replica := magentotest.New(magentotest.Config{Customers: 60, Seed: 3, Now: time.Now})
		w.run()
		w.settle()
		id := w.ids(1)[0]
		key := w.mapping.CustomerKey(id)
		if err := w.account.Unsubscribe(database, key); err != nil {
			t.Fatal(err)
		}
		w.unsubscribed[key] = true
		shown := w.profile(id).Fields[ours]

		r := w.addResync(engine.ResyncRequest{Stream: engine.Customers, Force: true})
		w.shop.EditLate(id, func(c *magentotest.Customer) { c.LastName = "Late" }, 20*time.Second)
		if report := w.resync(r.ID, engine.Budget{Records: 50}); report.Outcome != state.Paused {
			t.Fatalf("%+v", report)
		}
		w.settle()
		w.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = "New" })
		w.settle()
		w.run()
		for w.resync(r.ID, engine.Budget{Records: 50}).Outcome != state.Done {
			w.settle()
		}
		if p := w.profile(id); p.Fields["firstname"] != "New" || p.Fields["lastname"] != "Late" || p.Fields[ours] != shown {
			t.Errorf("the profile says %v", p.Fields)
		}
		w.inStep()

		newest := w.shop
		w.shop = replica
		r = w.addResync(engine.ResyncRequest{Stream: engine.Customers, Force: true})
		writes := w.writes()
		w.resync(r.ID, engine.Budget{})
		if made := w.writes() - writes; made != 59 {
			t.Errorf("%d writes, want one for each customer that nobody changed", made)
		}
		w.shop = newest
		w.inStep()
	})
}

func TestAResyncOfATimeAndOfStoreViews(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 200, Orders: 100}, func(t *testing.T, w *world) {
		w.run()
		w.runOrders()
		w.settle()
		people, orders := w.shop.Data().Customers, w.shop.Data().Orders
		slices.SortFunc(people, func(a, b magentotest.Customer) int { return a.UpdatedAt.Compare(b.UpdatedAt) })
		since, until := people[50].UpdatedAt, people[150].UpdatedAt
		want := 0
		for _, c := range people {
			if !c.UpdatedAt.Before(since) && c.UpdatedAt.Before(until) && (c.StoreID == 1 || c.StoreID == 3) {
				want++
			}
		}
		codes := []string{}
		for _, v := range w.shop.Data().Views {
			if v.ID == 1 || v.ID == 3 {
				codes = append(codes, v.Code)
			}
		}
		r := w.addResync(engine.ResyncRequest{Stream: engine.Customers, Since: since, Until: until, Stores: codes, Force: true})
		if report := w.resync(r.ID, engine.Budget{}); report.Counters.Read != int64(want) || report.Counters.Updated != int64(want) || want == 0 {
			t.Errorf("%d customers are between; report %+v", want, report)
		}
		want = 0
		for _, o := range orders {
			if o.StoreID == 3 {
				want++
			}
		}
		r = w.addResync(engine.ResyncRequest{Stream: engine.Orders, Stores: codes[1:]})
		if report := w.resync(r.ID, engine.Budget{}); report.Counters.Read != int64(want) || want == 0 {
			t.Errorf("%d orders of the view; report %+v", want, report)
		}
		// What is to come is the live stream's.
		for name, q := range map[string]engine.ResyncRequest{
			"nothing between":  {Stream: engine.Customers, Since: since.Add(-48 * 365 * 24 * time.Hour), Until: since.Add(-47 * 365 * 24 * time.Hour)},
			"since the future": {Stream: engine.Customers, Since: time.Now().Add(time.Hour)},
		} {
			r := w.addResync(q)
			if report := w.resync(r.ID, engine.Budget{}); report.Outcome != state.Done || report.Counters.Read != 0 {
				t.Errorf("%s: %+v", name, report)
			}
		}
		w.ordersInStep()
	})
}

func TestAResyncOfRecordsByIDAndEmail(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 250, Orders: 60}, func(t *testing.T, w *world) {
		w.run()
		w.guestOrder("Some.Guest@example.test", "Some")
		last := w.guestOrder("some.guest@example.test", "Some")
		w.settle()
		w.runOrders()
		w.settle()

		var ids []int64
		for _, c := range w.shop.Data().Customers[:220] {
			ids = append(ids, c.ID)
		}
		r := w.addResync(engine.ResyncRequest{Stream: engine.Customers, IDs: append(ids, ids[0], 999_999), Force: true})
		writes, missing := w.writes(), int64(0)
		first := w.resync(r.ID, engine.Budget{Records: 100})
		if first.Outcome != state.Paused || first.Counters.Read != 100 {
			t.Errorf("first turn %+v", first)
		}
		rest := w.resync(r.ID, engine.Budget{})
		missing = rest.Resync.Missing
		if rest.Outcome != state.Done || missing != 1 || w.writes()-writes != 220 {
			t.Errorf("second turn %+v, %d missing, %d writes", rest, missing, w.writes()-writes)
		}

		w.shop.OnRequest(func(r *http.Request) {
			if u := strings.ToLower(r.URL.String()); strings.Contains(u, "example.test") || strings.Contains(u, "%40") {
				t.Errorf("promise 17: an e-mail stands in %s", u)
			}
		})
		someone := w.shop.Data().Customers[7]
		r = w.addResync(engine.ResyncRequest{Stream: engine.Customers, Emails: []string{" " + strings.ToUpper(someone.Email)}})
		if !slices.Contains(r.IDs, someone.ID) {
			t.Errorf("the e-mail of %d leads to %v", someone.ID, r.IDs)
		}
		w.order(someone.ID, "thing")
		r = w.addResync(engine.ResyncRequest{Stream: engine.Orders, Emails: []string{"some.guest@example.test", someone.Email}})
		var want []int64
		for _, o := range w.shop.Data().Orders {
			if strings.EqualFold(o.Email, "some.guest@example.test") || o.CustomerID == someone.ID {
				want = append(want, o.ID)
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, r.IDs); diff != "" || !slices.Contains(r.IDs, last) {
			t.Errorf("orders (-want +got):\n%s", diff)
		}
	})
}

// A request that cannot be meant is refused with what to write instead, before anything
// is stored.
func TestResyncRequestsThatAreRefused(t *testing.T) {
	inWorld(t, 20, func(t *testing.T, w *world) {
		now := time.Now()
		for name, test := range map[string]struct {
			q    engine.ResyncRequest
			says string
		}{
			"until before since": {engine.ResyncRequest{Stream: engine.Customers, Since: now, Until: now.Add(-time.Hour)}, "write the earlier time as since"},
			"until is since":     {engine.ResyncRequest{Stream: engine.Customers, Since: now, Until: now}, "nothing lies between"},
			"unknown store view": {engine.ResyncRequest{Stream: engine.Customers, Stores: []string{"default", "xx"}}, `no store view with the code "xx": its codes are default`},
			"id zero":            {engine.ResyncRequest{Stream: engine.Customers, IDs: []int64{5, 0}}, "above 0"},
			"ids and a time":     {engine.ResyncRequest{Stream: engine.Customers, IDs: []int64{5}, Since: now}, "leave out"},
			"unknown e-mail":     {engine.ResyncRequest{Stream: engine.Customers, Emails: []string{"nobody@example.test"}}, "no customer of the shop has this e-mail"},
			"of two e-mails": {
				engine.ResyncRequest{Stream: engine.Orders, Emails: []string{"nobody@example.test", w.shop.Data().Customers[0].Email}},
				"no customer or guest of the shop has e-mail 1 of those",
			},
			"unknown stream": {engine.ResyncRequest{Stream: "carts"}, `unknown stream "carts"`},
		} {
			_, err := w.engine(nil).NewResync(t.Context(), test.q)
			if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "@") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if all, err := w.store.Resyncs(t.Context(), "shop", state.ResyncFilter{Limit: 10}); err != nil || len(all) > 0 {
			t.Errorf("stored: %v, %v", all, err)
		}
	})
}

// Who cancels a resync ends it within a page, also while another process works it.
func TestAResyncIsCancelledWhileItRuns(t *testing.T) {
	inWorld(t, 400, func(t *testing.T, w *world) {
		w.run()
		w.settle()
		for name, q := range map[string]engine.ResyncRequest{
			"by time": {Stream: engine.Customers, Force: true},
			"by ids":  {Stream: engine.Customers, Force: true, IDs: w.ids(350)},
		} {
			r := w.addResync(q)
			cancel := func(p engine.Point) {
				if p == engine.PointCommitted {
					if err := w.store.EndResync(t.Context(), "shop", r.ID, state.ResyncCancelled); err != nil && !errors.Is(err, state.ErrResyncEnded) {
						t.Error(err)
					}
				}
			}
			report, err := w.engine(func(cfg *engine.Config) { cfg.TestHook = cancel }).Resync(t.Context(), r.ID, engine.Budget{})
			if err != nil || report.Outcome != state.Paused || report.Resync.State != state.ResyncCancelled || report.Counters.Read >= 350 {
				t.Errorf("%s: %+v of %+v, %v", name, report, report.Resync, err)
			}
			if _, worked, err := w.engine(nil).ResyncNext(t.Context(), engine.Budget{}); worked || err != nil {
				t.Errorf("%s: a cancelled resync was taken up: %v", name, err)
			}
		}
		w.inStep()
	})
}

// A profile that somebody removed in Copernica comes back with everything below it.
func TestAForcedResyncBringsBackWhatWasRemoved(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30, Orders: 60}, func(t *testing.T, w *world) {
		w.run()
		w.runOrders()
		w.settle()
		order := w.shop.Data().Orders[slices.IndexFunc(w.shop.Data().Orders, func(o magentotest.Order) bool { return o.CustomerID != 0 })]
		if err := w.account.RemoveProfile(w.profile(order.CustomerID).ID); err != nil {
			t.Fatal(err)
		}
		r := w.addResync(engine.ResyncRequest{Stream: engine.Customers, IDs: []int64{order.CustomerID}, Force: true})
		w.resync(r.ID, engine.Budget{})
		r = w.addResync(engine.ResyncRequest{Stream: engine.Orders, Emails: []string{order.Email}, Force: true})
		w.resync(r.ID, engine.Budget{})
		w.ordersInStep()
	})
}

// Orders stand below customers, so that their resync waits until those have come; one
// that can go on does not wait behind it.
func TestAResyncOfOrdersWaitsForTheCustomers(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 40, Orders: 40}, func(t *testing.T, w *world) {
		orders := w.addResync(engine.ResyncRequest{Stream: engine.Orders})
		report := w.resync(orders.ID, engine.Budget{})
		if report.Outcome != state.Paused || !report.Waiting || report.Counters.Read != 0 {
			t.Errorf("%+v", report)
		}
		people := w.addResync(engine.ResyncRequest{Stream: engine.Customers})
		report, worked, err := w.engine(nil).ResyncNext(t.Context(), engine.Budget{})
		if err != nil || !worked || report.Resync.ID != people.ID {
			t.Errorf("%+v, %v, %v", report, worked, err)
		}
		if _, worked, err := w.engine(nil).ResyncNext(t.Context(), engine.Budget{}); worked || err != nil {
			t.Errorf("the orders had a turn: %v", err)
		}
		w.run()
		report, worked, err = w.engine(nil).ResyncNext(t.Context(), engine.Budget{})
		if err != nil || !worked || report.Resync.ID != orders.ID || report.Outcome != state.Done {
			t.Errorf("%+v, %v, %v", report, worked, err)
		}
		w.runOrders()
		w.ordersInStep()
	})
}
