package statetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// stones reads the tombstones of the persons 1 to 9.
func (f *fixture) stones(t *testing.T, pipeline string) map[state.Hash]time.Time {
	t.Helper()
	var persons []state.Hash
	for n := range byte(9) {
		persons = append(persons, hashOf(n+1))
	}
	found, err := f.Tombstones(t.Context(), pipeline, persons)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func testTombstones(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	add := func(stones ...state.Tombstone) {
		t.Helper()
		if err := f.AddTombstones(ctx, shop, stones); err != nil {
			t.Fatal(err)
		}
	}
	commit := func(stones ...state.Tombstone) { t.Helper(); f.commit(t, l, state.Commit{Tombstones: stones}) }
	for name, way := range map[string]func(...state.Tombstone){"added": add, "committed": commit} {
		first := byte(1)
		if name == "committed" {
			first = 5
		}
		one, two, three := hashOf(first), hashOf(first+1), hashOf(first+2)
		way(state.Tombstone{Person: one, At: at(10)}, state.Tombstone{Person: two, At: at(10)})
		way(state.Tombstone{Person: one, At: at(9)}, state.Tombstone{Person: two, At: at(11)})
		way(state.Tombstone{Person: three, At: at(3)}, state.Tombstone{Person: three, At: at(5)}, state.Tombstone{Person: three, At: at(4)})
		way()
		got, err := f.Tombstones(ctx, shop, []state.Hash{three, one, two, one, {}, hashOf(99)})
		if err != nil {
			t.Fatal(err)
		}
		same(t, name, map[state.Hash]time.Time{one: at(10), two: at(11), three: at(5)}, got)
	}
	// Both ways lead to the same stones.
	commit(state.Tombstone{Person: hashOf(1), At: at(30)})
	add(state.Tombstone{Person: hashOf(1), At: at(29)}, state.Tombstone{Person: hashOf(5), At: at(31)})
	if got := f.stones(t, shop); got[hashOf(1)] != at(30) || got[hashOf(5)] != at(31) || len(got) != 6 {
		t.Errorf("both ways: %v", got)
	}
	odd := at(40).Add(999_999 * time.Nanosecond).In(time.FixedZone("", 3600))
	add(state.Tombstone{Person: hashOf(9), At: odd})
	if got := f.stones(t, shop)[hashOf(9)]; got != at(40) {
		t.Errorf("%v became %v", odd, got)
	}

	for _, pipeline := range []string{other, "never-opened"} {
		if got := f.stones(t, pipeline); len(got) != 0 {
			t.Errorf("of %s: %v", pipeline, got)
		}
	}
	if got, err := f.Tombstones(ctx, shop, nil); err != nil || got == nil || len(got) != 0 {
		t.Errorf("of nobody: %v, %v", got, err)
	}
	many := make([]state.Tombstone, 1000)
	persons := make([]state.Hash, len(many))
	for i := range many {
		persons[i] = f.Hasher().Sum("person", fmt.Sprint(i))
		many[i] = state.Tombstone{Person: persons[i], At: at(1)}
	}
	add(many...)
	if got, err := f.Tombstones(ctx, shop, persons); err != nil || len(got) != len(many) {
		t.Errorf("%d of %d, %v", len(got), len(many), err)
	}
}

func testTombstoneErrors(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	good := state.Tombstone{Person: hashOf(1), At: at(1)}
	for _, stones := range [][]state.Tombstone{nil, {good}} {
		if err := f.AddTombstones(ctx, "never-opened", stones); !errors.Is(err, state.ErrNoPipeline) {
			t.Errorf("a pipeline that was never opened: %v", err)
		}
	}
	for name, bad := range map[string]state.Tombstone{"of nobody": {At: at(1)}, "without a time": {Person: hashOf(2)}} {
		if err := f.AddTombstones(ctx, shop, []state.Tombstone{good, bad}); err == nil {
			t.Errorf("a tombstone %s was added", name)
		}
		if _, err := f.Commit(ctx, l, state.Commit{Tombstones: []state.Tombstone{good, bad}}); err == nil {
			t.Errorf("a tombstone %s was committed", name)
		}
	}
	same(t, "left behind", map[state.Hash]time.Time{}, f.stones(t, shop))
}

func testErasures(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	full := fill[state.Erasure](t, 1)
	full.Pipeline = shop
	everyFieldSet(t, full)
	bare := state.Erasure{Key: "shop-c2"}
	odd := state.Erasure{Key: "shop-c3", Cause: "a\x00b\xff", Policy: "it's", At: at(1)}
	f.commit(t, l, state.Commit{Erasures: []state.Erasure{full, bare}})
	f.commit(t, l, state.Commit{Erasures: []state.Erasure{odd}})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Erasures: []state.Erasure{{Key: "shop-c9", At: at(2)}}})
	of := ""
	read := func(pipeline string, limit int) []state.Erasure {
		t.Helper()
		all, err := f.Erasures(ctx, pipeline, of, limit)
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if i > 0 && all[i].ID >= all[i-1].ID {
				t.Errorf("receipt %d comes after %d", all[i].ID, all[i-1].ID)
			}
		}
		for i := range all {
			all[i].ID = 0
		}
		return all
	}
	full.ID = 0
	bare.Pipeline, bare.At = shop, f.clock.ms()
	odd.Pipeline, odd.Cause = shop, "a\uFFFDb\uFFFD"
	same(t, "the newest first", []state.Erasure{odd, bare, full}, read(shop, 10))
	same(t, "at most so many", []state.Erasure{odd, bare}, read(shop, 2))
	same(t, "none wanted", nil, read(shop, 0))
	same(t, "less than none wanted", nil, read(shop, -1))
	same(t, "another pipeline", []state.Erasure{{Pipeline: other, Key: "shop-c9", At: at(2)}}, read(other, 10))
	same(t, "a pipeline never opened", nil, read("never-opened", 10))
	for key, want := range map[string][]state.Erasure{full.Key: {full}, "shop-c2": {bare}, "shop-c9": nil, "a\x00": nil} {
		of = key
		same(t, "of "+key, want, read(shop, 10))
	}
	o, err := f.Overview(ctx, shop)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "counted by policy", map[string]int64{full.Policy: 1, "": 1, "it's": 1}, o.Erased)
}

// All tombstones are gone through in order, in pieces of any size.
func testAllTombstones(t *testing.T, f *fixture) {
	f.acquire(t)
	f.acquireFor(t, other, "me")
	var want []state.Tombstone
	for n := range byte(9) {
		want = append(want, state.Tombstone{Person: hashOf(n + 1), At: at(int(n))})
	}
	for pipeline, stones := range map[string][]state.Tombstone{shop: want, other: {{Person: hashOf(77), At: at(7)}}} {
		if err := f.AddTombstones(t.Context(), pipeline, stones); err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range []int{1, 2, 4, 9, 100} {
		var got []state.Tombstone
		var after state.Hash
		for {
			some, err := f.TombstonesAfter(t.Context(), shop, after, size)
			if err != nil || len(some) > size {
				t.Fatalf("%d of at most %d, %v", len(some), size, err)
			}
			if len(some) == 0 {
				break
			}
			got, after = append(got, some...), some[len(some)-1].Person
		}
		same(t, fmt.Sprint("in pieces of ", size), want, got)
	}
	for _, limit := range []int{0, -1} {
		if got, err := f.TombstonesAfter(t.Context(), shop, state.Hash{}, limit); err != nil || len(got) != 0 {
			t.Errorf("at most %d: %v, %v", limit, got, err)
		}
	}
}

// What was taken up from outside is told apart until a commit tells of the person.
func testTaken(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	taken := func(pipeline string) state.Taken {
		t.Helper()
		o, err := f.Overview(ctx, pipeline)
		if err != nil {
			t.Fatal(err)
		}
		return o.Taken
	}
	take := func(stones ...state.Tombstone) {
		t.Helper()
		if err := f.AddTombstones(ctx, shop, stones); err != nil {
			t.Fatal(err)
		}
	}
	stone := func(n byte, minute int) state.Tombstone { return state.Tombstone{Person: hashOf(n), At: at(minute)} }
	f.commit(t, l, state.Commit{Tombstones: []state.Tombstone{stone(1, 5)}})
	same(t, "of a commit", state.Taken{}, taken(shop))
	first := f.clock.ms()
	take(stone(1, 4), stone(2, 7), stone(3, 2))
	same(t, "taken up", state.Taken{Stones: 2, First: first, Oldest: at(2), Latest: at(7)}, taken(shop))
	f.clock.advance(time.Minute)
	take(stone(2, 7), stone(3, 1), stone(1, 9))
	same(t, "taken up again", state.Taken{Stones: 3, First: first, Oldest: at(2), Latest: at(9)}, taken(shop))
	f.commit(t, l, state.Commit{Tombstones: []state.Tombstone{stone(2, 7), stone(3, 1)}})
	same(t, "told of since", state.Taken{Stones: 1, First: first.Add(time.Minute), Oldest: at(9), Latest: at(9)}, taken(shop))
	for _, pipeline := range []string{other, "never-opened"} {
		same(t, "of "+pipeline, state.Taken{}, taken(pipeline))
	}
}

func testOptOuts(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	full := fill[state.OptOut](t, 1)
	everyFieldSet(t, full)
	bare := state.OptOut{Key: "shop-c3"}
	odd := state.OptOut{Key: "shop-c3", Source: "a\x00b\xff", SettledAt: at(1)}
	f.commit(t, l, state.Commit{OptOuts: []state.OptOut{full, bare}})
	f.commit(t, l, state.Commit{OptOuts: []state.OptOut{odd}})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{OptOuts: []state.OptOut{{Key: "shop-c9", SettledAt: at(2)}}})
	expect := func(name, pipeline, key string, limit int, want ...state.OptOut) {
		t.Helper()
		got, err := f.OptOuts(ctx, pipeline, key, limit)
		if err != nil {
			t.Fatal(err)
		}
		same(t, name, want, got)
	}
	bare.SettledAt, odd.Source = f.clock.ms(), "a\uFFFDb\uFFFD"
	expect("every field", shop, full.Key, 10, full)
	expect("the newest first", shop, "shop-c3", 10, odd, bare)
	expect("at most so many", shop, "shop-c3", 1, odd)
	expect("none wanted", shop, "shop-c3", 0)
	expect("less than none wanted", shop, "shop-c3", -1)
	expect("of somebody else", shop, "shop-c9", 10)
	expect("of no key", shop, "", 10)
	expect("of what is no key", shop, "a\x00", 10)
	expect("another pipeline", other, "shop-c9", 10, state.OptOut{Key: "shop-c9", SettledAt: at(2)})
	expect("a pipeline never opened", "never-opened", "shop-c3", 10)
	o, err := f.Overview(ctx, shop)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "counted by source", map[string]int64{full.Source: 1, "": 1, odd.Source: 1}, o.OptOuts)
	if _, err := f.Commit(ctx, l, state.Commit{OptOuts: []state.OptOut{{Key: "shop-c5"}, {}}}); err == nil {
		t.Error("an opt-out of nobody was kept")
	}
	expect("nothing of what was refused", shop, "shop-c5", 10)
}

// Of who was erased no e-mail is kept, and no opt-out.
func testNameless(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	f.commit(t, l, state.Commit{
		Records: []state.Record{acknowledged("shop-c1", 1)},
		Emails:  []state.Email{{Key: "shop-c1", Hash: hashOf(1)}, {Key: "shop-c2", Hash: hashOf(1)}},
		OptOuts: []state.OptOut{{Key: "shop-c1"}, {Key: "shop-c2"}},
	})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Emails: []state.Email{{Key: "shop-c1", Hash: hashOf(1)}}})
	f.commit(t, l, state.Commit{Nameless: []string{"shop-c1", "shop-c7"}})
	for pipeline, want := range map[string]string{shop: "shop-c2", other: "shop-c1"} {
		found, err := f.Emails(ctx, pipeline, []state.Hash{hashOf(1)})
		if err != nil || len(found[hashOf(1)]) != 1 || found[hashOf(1)][0].Key != want {
			t.Errorf("e-mails of %s: %v, %v", pipeline, found, err)
		}
	}
	for key, want := range map[string]int{"shop-c1": 0, "shop-c2": 1} {
		left, err := f.OptOuts(ctx, shop, key, 10)
		if err != nil || len(left) != want {
			t.Errorf("opt-outs of %s: %+v, %v", key, left, err)
		}
	}
	if _, ok := f.record(t, "shop-c1"); !ok {
		t.Error("the row went along")
	}
	if _, err := f.Commit(ctx, l, state.Commit{Nameless: []string{""}}); err == nil {
		t.Error("nobody was accepted")
	}
}

func testEmailsOf(t *testing.T, f *fixture) {
	ctx := t.Context()
	one, two := state.Email{Key: "shop-c1", Hash: hashOf(1), Website: 2, Claims: true}, state.Email{Key: "shop-c2", Website: 1}
	f.commit(t, f.acquire(t), state.Commit{Emails: []state.Email{one, two}})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Emails: []state.Email{{Key: "shop-c3", Hash: hashOf(1)}}})
	got, err := f.EmailsOf(ctx, shop, []string{"shop-c2", "shop-c1", "shop-c1", "shop-c3", "", "a\x00"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "by key", map[string]state.Email{"shop-c1": one, "shop-c2": two}, got)
	for name, keys := range map[string][]string{"none": nil, "no key": {"", "\xff"}} {
		if got, err := f.EmailsOf(ctx, shop, keys); err != nil || got == nil || len(got) != 0 {
			t.Errorf("of %s: %v, %v", name, got, err)
		}
	}
}

// people is what erasures change.
type people struct {
	Rows     map[state.RecordRef]state.Record
	Counts   map[state.Entity]map[state.RecordState]int64
	Stones   map[state.Hash]time.Time
	Erasures []state.Erasure
}

func (f *fixture) people(t *testing.T) people {
	t.Helper()
	receipts, err := f.Erasures(t.Context(), shop, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	return people{f.ledgerOf(t, shop), f.counts(t), f.stones(t, shop), receipts}
}

// An erasure is one commit: all of it is kept, or none.
func testErasureAtomic(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	f.commit(t, l, state.Commit{Records: families()})
	whole := func() state.Commit {
		return state.Commit{
			Checkpoint: &state.Checkpoint{Stream: stream},
			Moves:      []state.Move{{From: "shop-g2", To: "shop-c1"}},
			Bare:       []string{"shop-g1"},
			Tombstones: []state.Tombstone{{Person: hashOf(1), At: at(1)}},
			Erasures:   []state.Erasure{{Key: "shop-g1", At: at(1)}},
		}
	}
	before := f.people(t)
	for name, spoil := range map[string]func(*state.Commit){
		"a checkpoint that moved":        func(c *state.Commit) { c.Checkpoint.Version++ },
		"a run that is not there":        func(c *state.Commit) { c.Run = &state.Run{ID: 1000, Outcome: state.Done} },
		"a move from nowhere":            func(c *state.Commit) { c.Moves[0].From = "" },
		"a move to nowhere":              func(c *state.Commit) { c.Moves[0].To = "" },
		"a move to what is no key":       func(c *state.Commit) { c.Moves[0].To = "a\x00" },
		"rows below nobody":              func(c *state.Commit) { c.Bare[0] = "" },
		"rows below what is no key":      func(c *state.Commit) { c.Bare[0] = "\xff" },
		"a tombstone of nobody":          func(c *state.Commit) { c.Tombstones[0].Person = state.Hash{} },
		"a receipt without a key":        func(c *state.Commit) { c.Erasures[0].Key = "" },
		"another pipeline's receipt":     func(c *state.Commit) { c.Erasures[0].Pipeline = other },
		"a row that comes last is wrong": func(c *state.Commit) { c.Records = []state.Record{{Entity: state.Profile, Key: "a", State: "lost"}} },
	} {
		c := whole()
		spoil(&c)
		if _, err := f.Commit(ctx, l, c); err == nil {
			t.Fatalf("%s was accepted", name)
		}
		same(t, "left behind by "+name, before, f.people(t))
	}
	if err := f.Release(ctx, l); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Commit(ctx, l, whole()); !errors.Is(err, state.ErrFenced) {
		t.Errorf("without the lease: %v", err)
	}
	same(t, "left behind without the lease", before, f.people(t))

	f.commit(t, f.acquire(t), whole())
	after := f.people(t)
	same(t, "stones", map[state.Hash]time.Time{hashOf(1): at(1)}, after.Stones)
	same(t, "where the other's orders are", "shop-o3", f.byParent(t, "shop-c1"))
	if len(after.Erasures) != 1 || after.Counts[state.Order][state.Removed] != 2 {
		t.Errorf("the whole commit left %+v", after)
	}
}
