package statetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/magento-copernica/syncd/state"
)

// Guests who turn out to be customers (promise 17).

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

func testClaimsOf(t *testing.T, f *fixture) {
	l := f.acquire(t)
	of := func(parent, key string) state.Record { return under(parent, claimed(key, 0)) }
	full := fill[state.Record](t, 1)
	full.Entity, full.State, full.Key, full.Parent = state.Profile, state.Claimed, "shop-g9", "shop-c9"
	stray := of("shop-c1", "shop-o1")
	stray.Entity = state.Order
	f.commit(t, l, state.Commit{Records: []state.Record{
		of("shop-c1", "shop-g2"), of("shop-c1", "shop-g10"), of("shop-c2", "shop-g1"), of("shop-c3", "shop-g3"), full, stray,
		under("shop-c1", acknowledged("shop-g4", 4)), // undone
	}})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Records: []state.Record{of("shop-c1", "shop-g7")}})
	ask := func(name, pipeline, want string, parents ...string) {
		t.Helper()
		rows, err := f.ClaimsOf(t.Context(), pipeline, parents)
		if got := keysIn(rows); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	ask("of one", shop, "shop-g10 shop-g2", "shop-c1")
	ask("of some, by key", shop, "shop-g1 shop-g10 shop-g2", "shop-c2", "shop-c1", "shop-c2", "shop-c8")
	ask("of who claimed nobody", shop, "", "shop-c8")
	ask("of nobody", shop, "")
	ask("of no key", shop, "shop-g3", "", "shop\x00", "shop-c3")
	ask("another pipeline", other, "shop-g7", "shop-c1")
	ask("a pipeline never opened", "never-opened", "", "shop-c1")
	rows, err := f.ClaimsOf(t.Context(), shop, []string{"shop-c9"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "a row in full", []state.Record{full}, rows)

	f.commit(t, l, state.Commit{Records: []state.Record{of("shop-c2", "shop-g2"), under("", acknowledged("shop-g10", 10))}})
	ask("given to another, and undone", shop, "", "shop-c1")
	ask("that of the other", shop, "shop-g1 shop-g2", "shop-c2")
}

// Whose claim was undone is told apart from who is a customer.
func testUnclaimed(t *testing.T, f *fixture) {
	missing := under("shop-c1", acknowledged("shop-c5", 5))
	missing.State = state.Missing
	whose := under("shop-c2", acknowledged("shop-g4", 4))
	f.commit(t, f.acquire(t), state.Commit{Records: []state.Record{
		claimed("shop-g3", 0), under("shop-c1", acknowledged("shop-g2", 2)), missing, whose, acknowledged("shop-c1", 1), order(1, "1"),
	}})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Records: []state.Record{claimed("shop-g9", 9), under("shop-c1", acknowledged("shop-g8", 8))}})
	for name, test := range map[string]struct {
		pipeline, after string
		limit           int
		want            string
	}{
		"by key":                  {shop, "", 10, "shop-g2 shop-g4"},
		"at most so many":         {shop, "", 1, "shop-g2"},
		"after one":               {shop, "shop-g2", 10, "shop-g4"},
		"none wanted":             {shop, "", 0, ""},
		"less than none wanted":   {shop, "", -1, ""},
		"another pipeline":        {other, "", 10, "shop-g8"},
		"a pipeline never opened": {"never-opened", "", 10, ""},
	} {
		rows, err := f.Unclaimed(t.Context(), test.pipeline, test.after, test.limit)
		if got := keysIn(rows); err != nil || got != test.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, test.want)
		}
	}
	rows, err := f.Unclaimed(t.Context(), shop, "shop-g2", 1)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "a row in full", []state.Record{whose}, rows)
}

// families are the rows of two guests, one of whom ordered twice, and of what must not
// change with them.
func families() []state.Record {
	full := func(r state.Record) state.Record {
		r.Hash, r.ConsentSource, r.ConsentWritten, r.Refused, r.Sent = hashOf(1), hashOf(2), hashOf(3), hashOf(4), hashOf(5)
		r.Attempts, r.RunID = 3, 4
		r.UnsubscribedAt, r.OutSeenAt, r.SourceUpdatedAt, r.PlannedAt, r.NextAttempt = at(1), at(7), at(2), at(3), at(4)
		r.FirstSeen, r.AcknowledgedAt = at(5), at(6)
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
		r.Hash, r.ConsentSource, r.ConsentWritten, r.Refused, r.Sent = state.Hash{}, state.Hash{}, state.Hash{}, state.Hash{}, state.Hash{}
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
