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

// inStepBut asks the oracle about all profiles but some, and about all fields but consent.
func (w *world) inStepBut(but ...int64) {
	w.t.Helper()
	want := oracle.Expect(w.shop.Data(), oracle.Options{Shop: "shop", Zone: w.zone})
	consent := map[string]string{}
	for _, row := range want {
		consent[row.Key] = row.Fields[ours]
	}
	var have []copernicatest.Profile
	for _, p := range w.account.Profiles(database) {
		if !slices.Contains(but, p.ID) {
			p.Fields[ours] = consent[p.Fields["customer_id"]]
			have = append(have, p)
		}
	}
	w.same("profiles", oracle.Compare(want, have))
}

// optedOut is the word of promise 18: whatever is neither subscribed nor nothing.
func optedOut(consent string) bool { return consent != "" && consent != in }

// Before the first run somebody made two profiles for each customer, in every pairing of
// what they say of consent. One of the two is brought to what the shop says, and the
// other stays as it is; no opt-out is undone.
func TestPromise17_TwoProfilesWithOneKeyBeforeTheFirstRun(t *testing.T) {
	values := []string{"", in, out, elsewhere}
	inWorld(t, 60, func(t *testing.T, w *world) {
		ids := w.ids(2 * len(values) * len(values))
		type pair struct {
			customer, older, newer int64
			subscribed             bool
		}
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
		before := w.profiles()
		var log strings.Builder
		report, err := w.engine(func(cfg *engine.Config) { cfg.Log = slog.New(slog.NewTextHandler(&log, nil)) }).Run(t.Context(), engine.Customers)
		check(w, err)
		after := w.profiles()
		var others []int64
		kept := int64(0)
		for _, p := range pairs {
			name := fmt.Sprintf("%q and %q, subscribed %t", before[p.older].Fields[ours], before[p.newer].Fields[ours], p.subscribed)
			chosen, other := p.older, p.newer
			if !optedOut(before[p.older].Fields[ours]) && optedOut(before[p.newer].Fields[ours]) {
				chosen, other = p.newer, p.older
			}
			others = append(others, other)
			want := before[chosen].Fields[ours]
			switch {
			case !p.subscribed && !optedOut(want):
				want = out
			case p.subscribed && optedOut(want):
				kept++
			case p.subscribed && want == "": // nobody ever said anything in Copernica
				want = after[chosen].Fields[ours]
			}
			if got := after[chosen].Fields[ours]; got != want {
				t.Errorf("%s: consent is %q, want %q", name, got, want)
			}
			rec, err := w.store.Records(t.Context(), "shop", state.Profile, []string{w.mapping.CustomerKey(p.customer)})
			check(w, err)
			if got := rec[w.mapping.CustomerKey(p.customer)].CopernicaID; got != chosen {
				t.Errorf("%s: the ledger has %d, want %d", name, got, chosen)
			}
		}
		w.untouched(before, others...)
		w.inStepBut(others...)
		if c := report.Counters; c.OptOutsKept < kept || c.Refused != 0 || len(w.letters()) != 0 {
			t.Errorf("%d opt-outs kept, want %d: %+v", c.OptOutsKept, kept, report)
		}
		if lines := strings.Count(log.String(), "have the same key"); lines != 1 || !strings.Contains(log.String(), fmt.Sprintf("keys=%d", len(pairs))) {
			t.Errorf("%d lines of the doubles:\n%s", lines, log.String())
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
		time.Sleep(time.Hour)
	})
}
