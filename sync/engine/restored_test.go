package engine_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// An order that got another owner while nobody remembered where it stood moves all the same:
// it stands once, with its lines. Rows with its key that are not below a profile of this shop
// are somebody else's.
func TestPromise17_AnOrderMovesAlsoWhenTheStateForgotIt(t *testing.T) {
	for name, c := range map[string]struct{ lost, orders bool }{
		"a lost state":                       {lost: true, orders: true},
		"an older state":                     {orders: true},
		"an older state that lacks one line": {},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 10, func(t *testing.T, w *world) {
				save, restore := w.inFile()
				known := w.guestOrder("an@example.test", "An")
				w.both()
				save()
				order := known
				if c.orders {
					order = w.guestOrder("an@example.test", "An")
				}
				w.shop.EditOrder(known, func(o *magentotest.Order) { o.Lines = append(o.Lines, line("another thing")) })
				w.both()
				theirs, err := w.account.AddProfile(database, map[string]string{"customer_id": "not ours"})
				check(w, err)
				copied, err := w.account.AddSubprofile("Orders", theirs, map[string]string{"order_id": w.mapping.OrderKey(order)})
				check(w, err)
				if restore(); c.lost {
					w.newState()
				}
				other := w.ids(1)[0]
				for _, id := range []int64{known, order} {
					w.shop.EditOrder(id, func(o *magentotest.Order) { o.Guest, o.CustomerID = false, other })
				}
				w.both()
				if rows := w.below(theirs); len(rows) != 1 || rows[w.mapping.OrderKey(order)].ID != copied {
					t.Errorf("what stands below a profile of somebody else: %v", rows)
				}
				check(w, w.account.RemoveProfile(theirs))
				guest := w.profileOf(w.guestKey("an@example.test"))
				for id, row := range w.rows() {
					if row.Parent == guest.ID {
						t.Errorf("below the guest: %d %v", id, row)
					}
				}
				check(w, w.account.RemoveProfile(guest.ID)) // the oracle knows no guest
				w.ordersInStep()
			})
		})
	}
}

// slowly has the creation of profiles with keys of a kind take a while.
func slowly(kind string, base http.RoundTripper) http.RoundTripper {
	return wireTripper(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/profiles") && strings.Contains(r.URL.RawQuery, kind) && r.Method == http.MethodPut {
			time.Sleep(10 * time.Second)
		}
		return base.RoundTrip(r)
	})
}

// While one page of orders makes a customer's profile, anew or for the first time, the next
// one has an order that they placed as a guest: that waits, and makes no guest.
func TestPromise17_AGuestIsKnownWhomThePageInFrontBrings(t *testing.T) {
	for name, removed := range map[string]bool{"whose profile somebody removed": true, "who is not known yet": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(t *testing.T, w *world) {
				id := int64(0)
				if removed {
					id = w.register("an@example.test", nil)
				}
				w.both()
				if removed {
					check(w, w.account.RemoveProfile(w.profile(id).ID))
				} else {
					id = w.register("an@example.test", nil)
				}
				w.order(id, "thing")
				time.Sleep(time.Second)
				w.guestOrder("an@example.test", "An")
				w.settle()
				w.pageSize = 1
				w.wire = func(base http.RoundTripper) http.RoundTripper { return slowly("shop-c", base) }
				w.runOrders()
				if guest := w.profileOf(w.guestKey("an@example.test")); guest != nil {
					t.Errorf("a guest's profile was made: %v", guest)
				}
				w.wire = nil
				w.run()
				w.ordersInStep()
			})
		})
	}
}

// An older state believes an opt-out settled that the shop has made anew since. What it was
// followed by in Copernica does not hide it, whether syncd finds out by itself that the state
// is a copy, or somebody says so.
func TestPromise18_ARestoredStateHidesNoOptOut(t *testing.T) {
	for name, found := range map[string]bool{"found out": true, "said": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 60, func(t *testing.T, w *world) {
				save, restore := w.inFile()
				ids := w.ids(5)
				again, came, alone, alike, other := ids[0], ids[1], ids[2], ids[3], ids[4]
				w.run()
				for _, id := range ids {
					subscribe(w, id, magentotest.Unsubscribed)
				}
				w.settle()
				w.run()
				for _, id := range []int64{alike, other} {
					subscribe(w, id, magentotest.Subscribed)
					w.settle()
					w.run()
					w.optsOut(id)
					w.writeBack()
				}
				save()

				for _, id := range []int64{again, came, alike} {
					subscribe(w, id, magentotest.Subscribed)
				}
				w.settle()
				w.run()
				subscribe(w, again, magentotest.Unsubscribed)
				w.optsOut(alike) // shows what it showed before
				check(w, w.account.EditProfile(w.profile(alone).ID, map[string]string{ours: in}))
				if found {
					w.register("somebody.new@example.test", nil)
					w.settle()
					w.run()
					subscribe(w, again, magentotest.Subscribed)
					w.settle()
					w.run()
					subscribe(w, again, magentotest.Unsubscribed)
				}
				restore()
				if found {
					w.settle()
					w.run()
				} else {
					w.addResync(engine.ResyncRequest{Stream: engine.ConsentSweep})
				}
				open, err := w.engine(nil).Resyncs(t.Context())
				if err != nil || len(open) != 1 || open[0].Stream != engine.ConsentSweep {
					t.Fatalf("open are %+v, %v", open, err)
				}
				calls := w.account.Log().Total()
				report := w.resync(open[0].ID, engine.Budget{})
				if report.Outcome != state.Done || report.Resync.State != state.ResyncDone || report.Stream != "customers/consent/resync-1" {
					t.Errorf("%+v of %+v", report, report.Resync)
				}
				// The schema, a page of profiles, and of each who differs a look and a write.
				if made := w.account.Log().Total() - calls; made > 20 {
					t.Errorf("%d calls", made)
				}
				w.settle()
				w.run()
				w.writeBack()
				for id, want := range map[int64]bool{again: false, alone: false, came: true, alike: found, other: false} {
					if shown := w.profile(id).Fields[ours] == in; shown != want || w.subscribed(id) != want {
						t.Errorf("customer %d: Copernica shows %q, the shop says %t; want %t", id, w.profile(id).Fields[ours], w.subscribed(id), want)
					}
				}
				if again, err := w.engine(nil).Resyncs(t.Context()); err != nil || len(again) != 0 {
					t.Errorf("open again: %+v, %v", again, err)
				}
			})
		})
	}
}

// A resync of consent goes on where it was cut short, ends when it is cancelled, and a preview
// of it writes nothing.
func TestAResyncOfConsentIsCutShort(t *testing.T) {
	inWorld(t, 1200, func(t *testing.T, w *world) {
		w.pageSize = 300
		w.run()
		id := w.ids(1)[0]
		subscribe(w, id, magentotest.Unsubscribed)
		w.settle()
		w.run()
		check(w, w.account.EditProfile(w.profile(id).ID, map[string]string{ours: in}))
		q, err := w.engine(nil).NewResync(t.Context(), engine.ResyncRequest{Stream: engine.ConsentSweep})
		check(w, err)
		writes := w.writes()
		previews, err := w.engine(nil).Preview(t.Context(), engine.PreviewRequest{Resync: &q, Rows: 5})
		if err != nil || len(previews) != 1 || previews[0].Counters.Updated != 1 || len(previews[0].Rows) != 1 || w.writes() != writes {
			t.Errorf("preview: %+v, %v", previews, err)
		}
		r := w.addResync(engine.ResyncRequest{Stream: engine.ConsentSweep})
		if report := w.resync(r.ID, engine.Budget{Records: 500}); report.Outcome != state.Paused || report.Counters.Read != 1000 {
			t.Errorf("first turn: %+v", report)
		}
		check(w, w.store.EndResync(t.Context(), "shop", r.ID, state.ResyncCancelled))
		if report, worked, err := w.engine(nil).ResyncNext(t.Context(), engine.Budget{}); worked || err != nil {
			t.Errorf("cancelled: %+v, %v", report, err)
		}
		r = w.addResync(engine.ResyncRequest{Stream: engine.ConsentSweep})
		ctx, stop := context.WithCancel(t.Context())
		_, _ = w.engine(func(cfg *engine.Config) { cfg.TestHook = func(engine.Point) { stop() } }).Resync(ctx, r.ID, engine.Budget{})
		for w.resync(r.ID, engine.Budget{Records: 1}).Outcome != state.Done {
		}
		if shown := w.profile(id).Fields[ours]; shown != out {
			t.Errorf("Copernica shows %q", shown)
		}
		for _, bad := range []engine.ResyncRequest{{Force: true}, {IDs: []int64{1}}, {Stores: []string{"default"}}} {
			bad.Stream = engine.ConsentSweep
			if _, err := w.engine(nil).NewResync(t.Context(), bad); err == nil {
				t.Errorf("%+v was taken", bad)
			}
		}
	})
}

// A claim was undone after the copy was made that is restored: the copy makes it again, with
// one row for each order, and one profile.
func TestPromise17_ARestoredStateMakesAnUndoneClaimAgain(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		save, restore := w.inFile()
		w.guestOrder("anna@example.test", "Anna")
		w.guestOrder("anna@example.test", "Anna")
		w.both()
		w.register("anna@example.test", nil)
		w.both()
		save()
		guest := w.guestKey("anna@example.test")
		if _, err := w.engine(nil).Unclaim(t.Context(), guest); err != nil {
			t.Fatal(err)
		}
		restore()
		r := w.addResync(engine.ResyncRequest{Stream: engine.ConsentSweep})
		w.resync(r.ID, engine.Budget{})
		w.settle()
		w.both()
		if _, err := w.engine(nil).Inspect(t.Context(), engine.Inspection{Repair: true}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			time.Sleep(26 * time.Hour)
			w.both()
		}
		w.ordersInStep()
	})
}

// A guest becomes a customer while the state is lost: nobody knows of their claim, and their
// profile goes all the same.
func TestPromise17_ALostStateFinishesAClaimThatItNeverKnew(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		w.guestOrder("anna@example.test", "Anna")
		w.guestOrder("anna@example.test", "Anna")
		w.both()
		w.newState()
		w.register("anna@example.test", nil)
		w.both()
		if _, err := w.engine(nil).Inspect(t.Context(), engine.Inspection{Repair: true}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			time.Sleep(26 * time.Hour)
			w.both()
		}
		w.ordersInStep()
	})
}
