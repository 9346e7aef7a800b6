package statetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// Guests who turn out to be customers, and people who were erased (promises 17 and 19).

// claimed is a guest who is the first customer.
func claimed(key string, id int64) state.Record {
	return state.Record{Entity: state.Profile, Key: key, Parent: "shop-c1", CopernicaID: id, State: state.Claimed}
}

// under is a row that stands below a profile.
func under(parent string, r state.Record) state.Record {
	r.Parent = parent
	return r
}

// byParent reads the orders of a profile of shop.
func (f *fixture) byParent(t *testing.T, parent string) string {
	t.Helper()
	rows, err := f.RecordsByParent(t.Context(), shop, parent, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	return keysIn(rows)
}

// counts is how many rows of shop stand where.
func (f *fixture) counts(t *testing.T) map[state.Entity]map[state.RecordState]int64 {
	t.Helper()
	o, err := f.Overview(t.Context(), shop)
	if err != nil {
		t.Fatal(err)
	}
	return o.Records
}

func testByParent(t *testing.T, f *fixture) {
	l := f.acquire(t)
	full := fill[state.Record](t, 1)
	full.Entity, full.Key, full.Parent = state.Order, "shop-o5", "shop-c9"
	f.commit(t, l, state.Commit{Records: []state.Record{
		order(2, "2"), order(10, "10"), order(1, "1"), under("shop-c2", order(3, "3")), under("", order(4, "4")), item(11, 1), full,
		under("shop-c1", acknowledged("shop-g1", 1)),
	}})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Records: []state.Record{order(7, "7")}})
	for name, test := range map[string]struct {
		pipeline, parent, after string
		limit                   int
		want                    string
	}{
		"by key":                  {shop, "shop-c1", "", 10, "shop-o1 shop-o10 shop-o2"},
		"at most so many":         {shop, "shop-c1", "", 2, "shop-o1 shop-o10"},
		"after one":               {shop, "shop-c1", "shop-o10", 10, "shop-o2"},
		"after what is not there": {shop, "shop-c1", "shop-o11", 10, "shop-o2"},
		"after the last":          {shop, "shop-c1", "shop-o2", 10, ""},
		"none wanted":             {shop, "shop-c1", "", 0, ""},
		"less than none wanted":   {shop, "shop-c1", "", -1, ""},
		"of another profile":      {shop, "shop-c2", "", 10, "shop-o3"},
		"of a profile without":    {shop, "shop-c3", "", 10, ""},
		"of no profile":           {shop, "", "", 10, ""},
		"of no key":               {shop, "shop\x00", "", 10, ""},
		"another pipeline":        {other, "shop-c1", "", 10, "shop-o7"},
		"a pipeline never opened": {"never-opened", "shop-c1", "", 10, ""},
	} {
		rows, err := f.RecordsByParent(t.Context(), test.pipeline, test.parent, test.after, test.limit)
		if got := keysIn(rows); err != nil || got != test.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, test.want)
		}
	}
	rows, err := f.RecordsByParent(t.Context(), shop, "shop-c9", "", 10)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "a row in full", []state.Record{full}, rows)
}

func testClaims(t *testing.T, f *fixture) {
	l := f.acquire(t)
	stray := claimed("shop-o1", 5)
	stray.Entity = state.Order
	f.commit(t, l, state.Commit{Records: []state.Record{
		claimed("shop-g3", 0), claimed("shop-g1", 7), claimed("shop-g2", 8), claimed("shop-g10", 0), acknowledged("shop-g4", 4), stray,
	}})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Records: []state.Record{claimed("shop-g9", 9)}})
	ask := func(name, pipeline string, open bool, after string, limit int, want string) {
		t.Helper()
		rows, err := f.Claims(t.Context(), pipeline, open, after, limit)
		if got := keysIn(rows); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	ask("by key", shop, false, "", 10, "shop-g1 shop-g10 shop-g2 shop-g3")
	ask("open ones", shop, true, "", 10, "shop-g1 shop-g2")
	ask("at most so many", shop, false, "", 2, "shop-g1 shop-g10")
	ask("at most so many open ones", shop, true, "", 1, "shop-g1")
	ask("after one", shop, false, "shop-g10", 10, "shop-g2 shop-g3")
	ask("open ones after one", shop, true, "shop-g1", 10, "shop-g2")
	ask("none wanted", shop, false, "", 0, "")
	ask("less than none wanted", shop, true, "", -1, "")
	ask("another pipeline", other, true, "", 10, "shop-g9")
	ask("a pipeline never opened", "never-opened", false, "", 10, "")

	// Once its rows have moved, a claim is no longer open; one that is undone is none.
	undone := acknowledged("shop-g2", 8)
	undone.Parent = "shop-c1"
	f.commit(t, l, state.Commit{Records: []state.Record{claimed("shop-g1", 0), undone}})
	ask("settled and undone", shop, false, "", 10, "shop-g1 shop-g10 shop-g3")
	ask("settled and undone: open", shop, true, "", 10, "")
	rows, err := f.Claims(t.Context(), shop, false, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "a row in full", []state.Record{claimed("shop-g1", 0)}, rows)
	same(t, "counts", map[state.RecordState]int64{state.Claimed: 3, state.Acknowledged: 2}, f.counts(t)[state.Profile])
}

// families are the rows of two guests, one of whom ordered twice, and of what must not
// change with them.
func families() []state.Record {
	full := func(r state.Record) state.Record {
		r.Hash, r.ConsentSource, r.ConsentWritten, r.Refused = hashOf(1), hashOf(2), hashOf(3), hashOf(4)
		r.Attempts, r.RunID = 3, 4
		r.UnsubscribedAt, r.SourceUpdatedAt, r.PlannedAt, r.NextAttempt, r.FirstSeen, r.AcknowledgedAt = at(1), at(2), at(3), at(4), at(5), at(6)
		return r
	}
	sent := item(12, 1)
	sent.CopernicaID, sent.State = 3012, state.Acknowledged
	return []state.Record{
		acknowledged("shop-g1", 1), acknowledged("shop-g2", 2), under("shop-g1", acknowledged("shop-g3", 3)),
		full(under("shop-g1", order(1, "1"))), full(under("shop-g1", item(11, 1))), full(under("shop-g1", sent)),
		full(under("shop-g1", order(2, "2"))), full(under("shop-g1", item(21, 2))),
		full(under("shop-g2", order(3, "3"))), full(under("shop-g2", item(31, 3))),
		under("shop-c8", item(13, 1)), // a line that went to somebody else before its order
		under("shop-g1", item(41, 4)), // a line whose order is not here
		under("shop-c8", order(5, "5")), under("shop-g1", item(51, 5)),
	}
}

// ledgerOf reads the rows of families in a pipeline.
func (f *fixture) ledgerOf(t *testing.T, pipeline string) map[state.RecordRef]state.Record {
	t.Helper()
	all := make(map[state.RecordRef]state.Record)
	for _, r := range families() {
		rows, err := f.Records(t.Context(), pipeline, r.Entity, []string{r.Key})
		if err != nil {
			t.Fatal(err)
		}
		all[state.RecordRef{Entity: r.Entity, Key: r.Key}] = rows[r.Key]
	}
	return all
}

func testBelow(t *testing.T, f *fixture) {
	l, theirs := f.acquire(t), f.acquireFor(t, other, "me")
	ref := func(r state.Record) state.RecordRef { return state.RecordRef{Entity: r.Entity, Key: r.Key} }
	first := []string{"shop-o1", "shop-i11", "shop-i12", "shop-o2", "shop-i21"} // what stands below shop-g1
	second := []string{"shop-o3", "shop-i31"}
	moved := func(to string) func(*state.Record) { return func(r *state.Record) { r.Parent = to } }
	stripped := func(r *state.Record) {
		r.State, r.CopernicaID, r.Number = state.Removed, 0, ""
		r.Hash, r.ConsentSource, r.ConsentWritten, r.Refused = state.Hash{}, state.Hash{}, state.Hash{}, state.Hash{}
	}
	anew := under("shop-c4", order(1, "again"))
	for name, test := range map[string]struct {
		commit state.Commit
		change func(r *state.Record, is func(...[]string) bool)
	}{
		"moved": {state.Commit{Moves: []state.Move{{From: "shop-g1", To: "shop-c1"}}}, func(r *state.Record, is func(...[]string) bool) {
			if is(first) {
				moved("shop-c1")(r)
			}
		}},
		"two of them moved to one": {state.Commit{Moves: []state.Move{{From: "shop-g1", To: "shop-c1"}, {From: "shop-g2", To: "shop-c1"}}}, func(r *state.Record, is func(...[]string) bool) {
			if is(first, second) {
				moved("shop-c1")(r)
			}
		}},
		"moved, and moved again": {state.Commit{Moves: []state.Move{{From: "shop-g1", To: "shop-g2"}, {From: "shop-g2", To: "shop-c1"}}}, func(r *state.Record, is func(...[]string) bool) {
			if is(first, second) {
				moved("shop-c1")(r)
			}
		}},
		"moved to where it is": {state.Commit{Moves: []state.Move{{From: "shop-g1", To: "shop-g1"}}}, func(*state.Record, func(...[]string) bool) {}},
		"nobody's rows":        {state.Commit{Moves: []state.Move{{From: "shop-g9", To: "shop-c1"}}, Bare: []string{"shop-g9"}}, func(*state.Record, func(...[]string) bool) {}},
		"bare": {state.Commit{Bare: []string{"shop-g1"}}, func(r *state.Record, is func(...[]string) bool) {
			if is(first) {
				stripped(r)
			}
		}},
		"two bare, one twice": {state.Commit{Bare: []string{"shop-g2", "shop-g1", "shop-g2"}}, func(r *state.Record, is func(...[]string) bool) {
			if is(first, second) {
				stripped(r)
			}
		}},
		"moved, then bare": {state.Commit{Moves: []state.Move{{From: "shop-g1", To: "shop-g2"}}, Bare: []string{"shop-g2", "shop-g1"}}, func(r *state.Record, is func(...[]string) bool) {
			if is(first) {
				moved("shop-g2")(r)
			}
			if is(first, second) {
				stripped(r)
			}
		}},
		"a row of the commit comes last": {state.Commit{Records: []state.Record{anew}, Moves: []state.Move{{From: "shop-g1", To: "shop-c1"}, {From: "shop-c4", To: "shop-c5"}}, Bare: []string{"shop-c1", "shop-c4"}}, func(r *state.Record, is func(...[]string) bool) {
			if is(first) {
				moved("shop-c1")(r)
				stripped(r)
			}
			if is([]string{"shop-o1"}) {
				*r = anew
			}
		}},
	} {
		f.commit(t, l, state.Commit{Records: families()})
		f.commit(t, theirs, state.Commit{Records: families()})
		f.commit(t, l, test.commit)
		want, before := make(map[state.RecordRef]state.Record), make(map[state.RecordRef]state.Record)
		counts := make(map[state.Entity]map[state.RecordState]int64)
		for _, r := range families() {
			before[ref(r)] = r
			test.change(&r, func(lists ...[]string) bool { return slices.Contains(slices.Concat(lists...), r.Key) })
			want[ref(r)] = r
			if counts[r.Entity] == nil {
				counts[r.Entity] = make(map[state.RecordState]int64)
			}
			counts[r.Entity][r.State]++
		}
		same(t, name, want, f.ledgerOf(t, shop))
		same(t, name+": counts", counts, f.counts(t))
		same(t, name+": another pipeline", before, f.ledgerOf(t, other))
	}
}

// Rows that moved are found where they are now, and nowhere else.
func testMovedAreFound(t *testing.T, f *fixture) {
	l := f.acquire(t)
	f.commit(t, l, state.Commit{Records: families()})
	f.commit(t, l, state.Commit{Moves: []state.Move{{From: "shop-g1", To: "shop-c1"}}})
	same(t, "where they were", "", f.byParent(t, "shop-g1"))
	same(t, "where they are", "shop-o1 shop-o2", f.byParent(t, "shop-c1"))
	same(t, "by number", "shop-o1", keysIn(f.byNumber(t, shop, "1")))
	f.commit(t, l, state.Commit{Bare: []string{"shop-c1"}})
	same(t, "removed ones", "shop-o1 shop-o2", f.byParent(t, "shop-c1"))
	same(t, "removed ones by number", "", keysIn(f.byNumber(t, shop, "1")))
	if rows, err := f.RecordsByCopernicaID(t.Context(), shop, state.Order, 2001); err != nil || len(rows) != 0 {
		t.Errorf("removed ones by their Copernica id: %+v, %v", rows, err)
	}
	same(t, "removed ones of the shop", "shop-o1", keysIn(f.bySource(t, shop, state.Order, 1)))
}

// A good customer of the shop is one commit.
func testMoveOfMany(t *testing.T, f *fixture) {
	const orders = 300
	l := f.acquire(t)
	var c state.Commit
	for id := range int64(orders) {
		c.Records = append(c.Records, under("shop-g1", order(id+1, fmt.Sprint(id))), under("shop-g1", item(id+1, id+1)))
	}
	f.commit(t, l, c)
	f.commit(t, l, state.Commit{Moves: []state.Move{{From: "shop-g1", To: "shop-c1"}}, Records: []state.Record{claimed("shop-g1", 0)}})
	rows, err := f.RecordsByParent(t.Context(), shop, "shop-c1", "", orders+1)
	if err != nil || len(rows) != orders {
		t.Errorf("%d orders, %v", len(rows), err)
	}
	for _, r := range f.bySource(t, shop, state.Item, 1, orders/2, orders) {
		if r.Parent != "shop-c1" {
			t.Errorf("%s stands below %s", r.Key, r.Parent)
		}
	}
	f.commit(t, l, state.Commit{Bare: []string{"shop-c1"}})
	same(t, "counts", map[state.Entity]map[state.RecordState]int64{
		state.Profile: {state.Claimed: 1}, state.Order: {state.Removed: orders}, state.Item: {state.Removed: orders},
	}, f.counts(t))
}

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
