package statetest

import (
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// Doubles are noted by their ids, seen again, and forgotten once a whole look at their
// entity did not show them (promise 12).
func testDoubles(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	seen := func(e state.Entity, key string, id int64, minute int) state.Double {
		return state.Double{Entity: e, Key: key, CopernicaID: id, SeenAt: at(minute)}
	}
	full := fill[state.Double](t, 1)
	everyFieldSet(t, full)
	f.commit(t, l, state.Commit{Doubles: []state.Double{
		seen(state.Profile, "shop-c1", 9, 1), seen(state.Profile, "shop-c1", 7, 1), seen(state.Profile, "shop-c2", 8, 1),
		seen(state.Order, "shop-c1", 5, 1), seen(state.Profile, "shop-c1", 9, 2), full,
	}})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Doubles: []state.Double{seen(state.Profile, "shop-c1", 3, 1)}})
	expect := func(name, pipeline string, e state.Entity, key string, want ...state.Double) {
		t.Helper()
		got, err := f.Doubles(ctx, pipeline, e, key)
		if err != nil {
			t.Fatal(err)
		}
		same(t, name, want, got)
	}
	expect("by id, as last seen", shop, state.Profile, "shop-c1", seen(state.Profile, "shop-c1", 7, 1), seen(state.Profile, "shop-c1", 9, 2))
	expect("of another entity", shop, state.Order, "shop-c1", seen(state.Order, "shop-c1", 5, 1))
	expect("in full", shop, full.Entity, full.Key, full)
	expect("of none", shop, state.Profile, "shop-c3")
	expect("of no key", shop, state.Profile, "a\x00")
	expect("another pipeline", other, state.Profile, "shop-c1", seen(state.Profile, "shop-c1", 3, 1))
	expect("a pipeline never opened", "never-opened", state.Profile, "shop-c1")

	for id, want := range map[int64][]state.Double{9: {seen(state.Profile, "shop-c1", 9, 2)}, 5: nil, 3: nil} {
		got, err := f.DoublesByID(ctx, shop, state.Profile, id)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "by its id", want, got)
	}

	// What a look did not show is forgotten, before what the same commit notes.
	f.commit(t, l, state.Commit{
		Faded:   map[state.Entity]time.Time{state.Profile: at(2)},
		Doubles: []state.Double{seen(state.Profile, "shop-c2", 4, 0)},
	})
	expect("seen since", shop, state.Profile, "shop-c1", seen(state.Profile, "shop-c1", 9, 2))
	expect("forgotten and seen", shop, state.Profile, "shop-c2", seen(state.Profile, "shop-c2", 4, 0))
	expect("another entity stays", shop, state.Order, "shop-c1", seen(state.Order, "shop-c1", 5, 1))
	expect("another pipeline stays", other, state.Profile, "shop-c1", seen(state.Profile, "shop-c1", 3, 1))

	// What was settled of its consent stays until something else was.
	settled := seen(state.Profile, "shop-c2", 4, 3)
	settled.Consent = hashOf(1)
	f.commit(t, l, state.Commit{Doubles: []state.Double{settled}})
	settled.SeenAt = at(4)
	f.commit(t, l, state.Commit{Doubles: []state.Double{seen(state.Profile, "shop-c2", 4, 4)}})
	expect("seen, and settled before", shop, state.Profile, "shop-c2", settled)
	settled.Consent = hashOf(2)
	f.commit(t, l, state.Commit{Doubles: []state.Double{settled, seen(state.Profile, "shop-c2", 4, 4)}})
	expect("settled again", shop, state.Profile, "shop-c2", settled)

	_, err := f.Commit(ctx, l, state.Commit{Doubles: []state.Double{seen(state.Profile, "shop-c5", 1, 1), seen(state.Profile, "", 1, 1)}})
	if err == nil {
		t.Error("a double without a key was kept")
	}
	expect("nothing of what was refused", shop, state.Profile, "shop-c5")
}
