package engine_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/oracle"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// elsewhere is the value that Copernica writes to somebody who unsubscribes there.
const elsewhere = copernicatest.Unsubscribed

func TestPromise12_TheRuleThatChoosesOneOfSeveral(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		rows []engine.Double
		ours int64
		want int64
	}{
		{"nothing", nil, 5, 0},
		{"one", []engine.Double{{ID: 9}}, 0, 9},
		{"the oldest", []engine.Double{{ID: 9}, {ID: 7}, {ID: 8}}, 0, 7},
		{"the one that opted out", []engine.Double{{ID: 7}, {ID: 8}, {ID: 9, OptedOut: true}}, 0, 9},
		{"the oldest that opted out", []engine.Double{{ID: 9, OptedOut: true}, {ID: 7}, {ID: 8, OptedOut: true}}, 0, 8},
		{"the ledger's", []engine.Double{{ID: 7}, {ID: 8, OptedOut: true}, {ID: 9}}, 9, 9},
		{"the ledger's is gone", []engine.Double{{ID: 8}, {ID: 7}}, 5, 7},
	} {
		if got := engine.Choose(tc.rows, tc.ours); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

// profiles returns the live profiles by id.
func (w *world) profiles() map[int64]copernicatest.Profile {
	all := map[int64]copernicatest.Profile{}
	for _, p := range w.account.Profiles(database) {
		all[p.ID] = p
	}
	return all
}

// byHand makes a profile with a customer's key.
func (w *world) byHand(customer int64, consent string) int64 {
	w.t.Helper()
	id, err := w.account.AddProfile(database, map[string]string{
		"customer_id": w.mapping.CustomerKey(customer), "lastname": "By hand", ours: consent,
	})
	check(w, err)
	return id
}

// untouched expects rows to stand as they stood, to the second of their last change.
func (w *world) untouched(before map[int64]copernicatest.Profile, ids ...int64) {
	w.t.Helper()
	now := w.profiles()
	for _, id := range ids {
		if diff := cmp.Diff(before[id], now[id]); diff != "" {
			w.t.Errorf("profile %d was touched (-before +now):\n%s", id, diff)
		}
	}
}

// inStepBut asks the oracle about the customers' profiles but some, and about all fields but consent.
func (w *world) inStepBut(but ...int64) {
	w.t.Helper()
	want := oracle.Expect(w.shop.Data(), oracle.Options{Shop: "shop", Zone: w.zone})
	consent := map[string]string{}
	for _, row := range want {
		consent[row.Key] = row.Fields[ours]
	}
	var have []copernicatest.Profile
	for _, p := range w.account.Profiles(database) {
		if _, customer := w.mapping.CustomerID(p.Fields["customer_id"]); customer && !slices.Contains(but, p.ID) {
			p.Fields[ours] = consent[p.Fields["customer_id"]]
			have = append(have, p)
		}
	}
	w.same("profiles", oracle.Compare(want, have))
}

// optedOut is the word of promise 18: whatever is neither subscribed nor nothing.
func optedOut(consent string) bool { return consent != "" && consent != in }

// pair is a customer whose key two profiles have.
type pair struct {
	customer, older, newer int64
	subscribed             bool // in the shop
}

// choice is the rule for a key that the ledger does not know.
func (p *pair) choice(before map[int64]copernicatest.Profile) (chosen, other int64) {
	if !optedOut(before[p.older].Fields[ours]) && optedOut(before[p.newer].Fields[ours]) {
		return p.newer, p.older
	}
	return p.older, p.newer
}

// pairs makes two profiles for each of as many customers as there are pairings of what
// they say of consent, and of what the shop says.
func (w *world) pairs() []pair {
	w.t.Helper()
	values := []string{"", in, out, elsewhere}
	ids := w.ids(2 * len(values) * len(values))
	var pairs []pair
	for _, older := range values {
		for _, newer := range values {
			for _, status := range []int{magentotest.Subscribed, magentotest.Unsubscribed} {
				id := ids[len(pairs)]
				subscribe(w, id, status)
				pairs = append(pairs, pair{id, w.byHand(id, older), w.byHand(id, newer), status == magentotest.Subscribed})
			}
		}
	}
	w.settle()
	return pairs
}

// settled expects the chosen ones to be the ledger's, consent to have lost nothing, and
// the others to be as they were. It returns those, and how many opt-ins gave way.
func (w *world) settled(pairs []pair, before map[int64]copernicatest.Profile) (others []int64, kept int64) {
	w.t.Helper()
	after := w.profiles()
	for _, p := range pairs {
		name := fmt.Sprintf("%q and %q, subscribed %t", before[p.older].Fields[ours], before[p.newer].Fields[ours], p.subscribed)
		chosen, other := p.choice(before)
		others = append(others, other)
		want := before[chosen].Fields[ours]
		switch {
		case !p.subscribed && !optedOut(want):
			want = out
		case p.subscribed && want != in: // who knows why Copernica says nothing of them
			kept++
		}
		if got := after[chosen].Fields[ours]; got != want {
			w.t.Errorf("%s: consent is %q, want %q", name, got, want)
		}
		if got := w.record(state.Profile, w.mapping.CustomerKey(p.customer)).CopernicaID; got != chosen {
			w.t.Errorf("%s: the ledger has %d, want %d", name, got, chosen)
		}
	}
	w.untouched(before, others...)
	w.inStepBut(others...)
	return others, kept
}

// Before the first run somebody made two profiles for each customer, in every pairing of
// what they say of consent. One of the two is brought to what the shop says, and the
// other stays as it is; no opt-out is undone.
func TestPromise17_TwoProfilesWithOneKeyBeforeTheFirstRun(t *testing.T) {
	for api := 1; api <= 4; api++ {
		t.Run(fmt.Sprintf("version %d", api), func(t *testing.T) {
			inWorld(t, 60, func(t *testing.T, w *world) {
				w.api = api
				pairs := w.pairs()
				before := w.profiles()
				previews := w.preview(engine.PreviewRequest{Streams: []string{engine.Customers}, Rows: 1000})
				var log strings.Builder
				report, err := w.engine(func(cfg *engine.Config) {
					cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
				}).Run(t.Context(), engine.Customers)
				check(w, err)
				others, kept := w.settled(pairs, before)
				if c := report.Counters; c.OptOutsKept != kept || c.Refused != 0 || len(w.letters()) != 0 {
					t.Errorf("%d opt-outs kept, want %d: %+v", c.OptOutsKept, kept, report)
				}
				w.agrees(previews[0], report)
				if strings.Count(log.String(), "have the same key") != 1 || !strings.Contains(log.String(), fmt.Sprintf("keys=%d", len(pairs))) ||
					strings.Count(log.String(), ", not ") != 10 {
					t.Errorf("told of the doubles:\n%s", log.String())
				}

				// The choice stands: nothing is looked at again, and later changes find their row.
				calls := w.account.Log().Total()
				w.settle()
				w.run()
				if w.account.Log().Total() != calls {
					t.Error("a run with nothing to write called Copernica")
				}
				for _, p := range pairs {
					w.shop.Edit(p.customer, func(c *magentotest.Customer) { c.FirstName = "Edited" })
				}
				w.settle()
				w.run()
				w.untouched(before, others...)
				w.inStepBut(others...)
			})
		})
	}
}

// A state is lost over a database in which hand-made doubles stand: the rule finds the
// same row that was ours, unless the double shows an opt-out; and so it is with orders
// and lines, of which the older stays ours.
func TestPromise12_AnEmptyStateOverDoubles(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 60, Orders: 80}, func(t *testing.T, w *world) {
		w.run()
		w.runOrders()
		var pairs []pair
		values := []string{"", in, out, elsewhere}
		for i, id := range w.ids(16) {
			check(w, w.account.EditProfile(w.profile(id).ID, map[string]string{ours: values[i%4]}))
			p := pair{customer: id, older: w.profile(id).ID, subscribed: i%3 == 0}
			status := magentotest.Unsubscribed
			if p.subscribed {
				status = magentotest.Subscribed
			}
			subscribe(w, id, status)
			p.newer = w.byHand(id, values[i/4])
			pairs = append(pairs, p)
		}
		chosen := map[int64]bool{}
		before := w.profiles()
		for _, p := range pairs {
			if _, other := p.choice(before); other == p.older {
				chosen[p.newer] = true
			}
		}
		doubles := map[int64]bool{}
		for name, key := range map[string]string{"Orders": "order_id", "Orders_Items": "item_id"} {
			for i, s := range w.account.Subprofiles(database, name) {
				if i%3 == 0 {
					id, err := w.account.AddSubprofile(name, s.Parent, map[string]string{key: s.Fields[key], "storeView": "By hand"})
					check(w, err)
					doubles[id] = true
				}
			}
		}
		rows := w.rows()
		time.Sleep(time.Hour)
		w.newState()
		w.run()
		w.runOrders()
		others, _ := w.settled(pairs, before)
		after := w.rows()
		for id, row := range rows {
			if doubles[id] || slices.Contains(others, row.Parent) {
				if diff := cmp.Diff(row, after[id]); diff != "" {
					t.Errorf("row %d was touched (-before +after):\n%s", id, diff)
				}
			}
		}
		for id, row := range after {
			if _, stood := rows[id]; !stood && !chosen[row.Parent] {
				t.Errorf("row %d was made below profile %d, which has its orders", id, row.Parent)
			}
		}
		if len(w.letters()) != 0 {
			t.Errorf("%+v", w.letters())
		}

		// An order that changes is written to the row that was chosen, and to no other.
		for _, o := range w.shop.Data().Orders {
			w.shop.EditOrder(o.ID, func(o *magentotest.Order) { o.Status = "holded" })
		}
		time.Sleep(time.Hour)
		w.runOrders()
		now := w.rows()
		for id, row := range rows {
			if diff := cmp.Diff(row, now[id]); diff != "" && (doubles[id] || slices.Contains(others, row.Parent)) {
				t.Errorf("row %d was touched (-before +now):\n%s", id, diff)
			}
		}
	})
}

// rows returns the live rows below profiles by id.
func (w *world) rows() map[int64]copernicatest.Subprofile {
	all := map[int64]copernicatest.Subprofile{}
	for _, name := range []string{"Orders", "Orders_Items"} {
		for _, s := range w.account.Subprofiles(database, name) {
			all[s.ID] = s
		}
	}
	return all
}
