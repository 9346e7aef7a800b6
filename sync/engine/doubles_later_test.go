package engine_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// A double is made of a profile that the ledger knows. Ours stays ours; while the double
// shows an opt-out the shop's opt-in gives way, and the shop's opt-out always arrives.
func TestPromise17_ADoubleOfAKnownProfile(t *testing.T) {
	for _, tc := range []struct {
		double string
		status int
		want   string
		kept   int64
	}{
		{"", magentotest.Subscribed, in, 0},
		{in, magentotest.Subscribed, in, 0},
		{out, magentotest.Subscribed, out, 1},
		{elsewhere, magentotest.Subscribed, out, 1},
		{"", magentotest.Unsubscribed, out, 0},
		{in, magentotest.Unsubscribed, out, 0},
		{out, magentotest.Unsubscribed, out, 0},
		{elsewhere, magentotest.Unsubscribed, out, 0},
	} {
		t.Run(fmt.Sprintf("%q, status %d", tc.double, tc.status), func(t *testing.T) {
			inWorld(t, 20, func(t *testing.T, w *world) {
				id := w.ids(1)[0]
				status := magentotest.Unsubscribed
				if tc.status == status {
					status = magentotest.Subscribed
				}
				subscribe(w, id, status)
				w.settle()
				w.run()
				mine := w.profile(id).ID
				double := w.byHand(id, tc.double)
				before := w.profiles()
				subscribe(w, id, tc.status)
				w.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = "Edited" })
				w.settle()
				report := w.run()
				got := w.profiles()[mine].Fields
				if got[ours] != tc.want || got["firstname"] != "Edited" || report.Counters.OptOutsKept != tc.kept {
					t.Errorf("consent %q, first name %q, %d kept", got[ours], got["firstname"], report.Counters.OptOutsKept)
				}
				w.untouched(before, double)
				calls := w.account.Log().Total()
				w.settle()
				w.run()
				if w.account.Log().Total() != calls {
					t.Error("what was decided is looked at in every run")
				}

				// With the double gone, the shop's next opt-in is a plain one again.
				check(w, w.account.RemoveProfile(double))
				for _, status := range []int{magentotest.Unsubscribed, magentotest.Subscribed} {
					subscribe(w, id, status)
					w.settle()
					w.run()
				}
				w.inStep()
			})
		})
	}
}

// The profile that the ledger knows is removed, or gets another key, and doubles with its
// key stand: the rule chooses among them.
func TestPromise15_ADeadProfileIsFollowedByAChosenDouble(t *testing.T) {
	for name, lose := range map[string]func(*copernicatest.Account, int64) error{
		"removed": (*copernicatest.Account).RemoveProfile,
		"another key": func(a *copernicatest.Account, id int64) error {
			return a.EditProfile(id, map[string]string{"customer_id": ""})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 20, func(t *testing.T, w *world) {
				ids := w.ids(2)
				w.run()
				dead := w.profile(ids[0]).ID
				doubles := []int64{w.byHand(ids[0], in), w.byHand(ids[0], ""), w.byHand(ids[0], elsewhere), w.byHand(ids[0], elsewhere)}
				check(w, lose(w.account, dead))
				before := w.profiles()
				subscribe(w, ids[0], magentotest.Subscribed)
				w.settle()
				w.run() // consent is due, so that the profile is read
				if got := w.profiles()[doubles[2]].Fields; got[ours] != elsewhere || got["lastname"] == "By hand" {
					t.Errorf("the chosen one: %v", got)
				}
				w.untouched(before, doubles[0], doubles[1], doubles[3])
				if got := w.record(state.Profile, w.mapping.CustomerKey(ids[0])).CopernicaID; got != doubles[2] {
					t.Errorf("the ledger has %d, want %d", got, doubles[2])
				}
			})
		})
	}
}

// A create has no answer, and before it is looked up somebody makes a profile with its
// key. Whether or not the create arrived, one row is written and the other stays.
func TestPromise17_ADoubleMadeWhileAWriteIsInDoubt(t *testing.T) {
	for name, after := range map[string]bool{"arrived": true, "did not arrive": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 40, func(t *testing.T, w *world) {
				id := w.ids(1)[0]
				key := w.mapping.CustomerKey(id)
				subscribe(w, id, magentotest.Subscribed)
				w.settle()
				w.account.Faults().Add(emulator.Fault{Status: 500, After: after, Times: 1, Match: func(r *http.Request) bool {
					return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Query().Get("fields[]"), "=="+key)
				}})
				var made atomic.Bool
				var double int64
				var before map[int64]copernicatest.Profile
				_, err := w.engine(func(cfg *engine.Config) {
					cfg.TestHook = func(p engine.Point) {
						if p == engine.PointLooking && made.CompareAndSwap(false, true) {
							double = w.byHand(id, elsewhere)
							before = w.profiles()
							time.Sleep(2 * time.Second)
						}
					}
				}).Run(t.Context(), engine.Customers)
				check(w, err)
				if !made.Load() {
					t.Fatal("nothing was looked up")
				}
				others := []int64{}
				for id, p := range before {
					if p.Fields["customer_id"] == key && id != double {
						others = append(others, id)
					}
				}
				if (len(others) == 1) != after {
					t.Fatalf("others %v", others)
				}
				w.untouched(before, others...)
				if got := w.profiles()[double].Fields; got[ours] != elsewhere || got["lastname"] == "By hand" {
					t.Errorf("the chosen one: %v", got)
				}
				w.inStepBut(others...)
			})
		})
	}
}

// A line leaves its order while nobody knows whether its row was made, and two rows have
// its key: none of them is removed on a guess.
func TestPromise12_NoRowIsRemovedOnAGuess(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		w.run()
		id := w.ids(1)[0]
		profile := w.profile(id).ID
		order := w.order(id, "one", "two")
		lines := w.shop.Data().Orders[0].Lines
		key := fmt.Sprintf("shop-i%d", lines[1].ID)
		w.settle()
		stuck := w.account.Faults().Add(emulator.Fault{Status: 500, Match: func(r *http.Request) bool {
			return strings.HasSuffix(r.URL.Query().Get("fields[]"), "=="+key)
		}})
		if report := w.runOrders(); report.Counters.Unknown != 1 {
			t.Fatalf("%+v", report.Counters)
		}
		stuck.Remove()
		var doubles []int64
		for range 2 {
			row, err := w.account.AddSubprofile("Orders_Items", profile, map[string]string{"item_id": key})
			check(w, err)
			doubles = append(doubles, row)
		}
		before := w.rows()
		w.shop.EditOrder(order, func(o *magentotest.Order) { o.Lines = o.Lines[:1] })
		time.Sleep(2 * time.Hour)
		w.runOrders()
		letters := w.letters()
		if len(letters) != 1 || letters[0].Cause != "duplicate_key" || !strings.Contains(letters[0].Message, fmt.Sprint(doubles)) {
			t.Fatalf("%+v", letters)
		}
		for _, row := range doubles {
			if diff := cmp.Diff(before[row], w.rows()[row]); diff != "" {
				t.Errorf("row %d was touched:\n%s", row, diff)
			}
		}
		for _, row := range doubles {
			check(w, w.account.RemoveSubprofile(row))
		}
		w.ordersInStep()
	})
}

// The look through Copernica names a double and the row that is written to in its place.
func TestPromise15_ADoubleIsNamedWithTheChosenOne(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		w.run()
		id := w.ids(1)[0]
		mine := w.profile(id).ID
		double := w.byHand(id, "")
		var found []engine.Finding
		_, err := w.engine(nil).Inspect(t.Context(), engine.Inspection{Repair: true, Found: func(f engine.Finding) { found = append(found, f) }})
		check(w, err)
		want := []engine.Finding{{
			Deviation: engine.Duplicated, Entity: state.Profile, Key: w.mapping.CustomerKey(id), CopernicaID: double, SourceID: id, Chosen: mine,
		}}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// The state remembers the doubles that a run or a look came by, for syncd lookup, and a
// whole look forgets those that are gone.
func TestPromise12_DoublesAreRemembered(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20, Orders: 20}, func(t *testing.T, w *world) {
		ids := w.ids(2)
		first, second := w.byHand(ids[0], ""), w.byHand(ids[0], "")
		w.run()
		w.runOrders()
		order := w.shop.Data().Orders[0]
		key := w.mapping.OrderKey(order.ID)
		later := w.byHand(ids[1], "")
		parent := w.rows()[w.record(state.Order, key).CopernicaID].Parent
		row, err := w.account.AddSubprofile("Orders", parent, map[string]string{"order_id": key})
		check(w, err)
		expect := func(what string, e state.Entity, key string, want ...int64) {
			t.Helper()
			doubles, err := w.store.Doubles(t.Context(), "shop", e, key)
			check(w, err)
			var got []int64
			for _, d := range doubles {
				got = append(got, d.CopernicaID)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		known, other := w.mapping.CustomerKey(ids[0]), w.mapping.CustomerKey(ids[1])
		if got := w.record(state.Profile, known).CopernicaID; got != first {
			t.Fatalf("%d was chosen", got)
		}
		expect("found by the run", state.Profile, known, second)
		expect("nobody looked", state.Profile, other)
		time.Sleep(time.Minute)
		w.inspect(false)
		expect("still there", state.Profile, known, second)
		expect("found by a look", state.Profile, other, later)
		expect("found by a look", state.Order, key, row)
		check(w, w.account.RemoveProfile(second))
		check(w, w.account.RemoveSubprofile(row))
		time.Sleep(time.Minute)
		w.inspect(true)
		expect("gone", state.Profile, known)
		expect("gone", state.Order, key)
		expect("still there", state.Profile, other, later)
	})
}
