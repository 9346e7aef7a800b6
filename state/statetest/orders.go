package statetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// Orders and their lines: subprofiles, found by what they are read from and by number.

// order is an acknowledged order of the first customer.
func order(id int64, number string) state.Record {
	return state.Record{
		Entity: state.Order, Key: fmt.Sprintf("shop-o%d", id), SourceID: id, Parent: "shop-c1", Number: number,
		CopernicaID: 2000 + id, Hash: hashOf(2), State: state.Acknowledged,
	}
}

// item is a planned line of an order.
func item(id, order int64) state.Record {
	return state.Record{Entity: state.Item, Key: fmt.Sprintf("shop-i%d", id), SourceID: order, Parent: "shop-c1", State: state.Planned}
}

// bySource reads the rows of an entity that come from the given records of the shop.
func (f *fixture) bySource(t *testing.T, pipeline string, e state.Entity, ids ...int64) []state.Record {
	t.Helper()
	rows, err := f.RecordsBySource(t.Context(), pipeline, e, ids)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// byNumber reads the rows that have an order number.
func (f *fixture) byNumber(t *testing.T, pipeline, number string) []state.Record {
	t.Helper()
	rows, err := f.RecordsByNumber(t.Context(), pipeline, number)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// keysIn are the keys of rows, in their order.
func keysIn(rows []state.Record) string {
	keys := make([]string, len(rows))
	for i, r := range rows {
		keys[i] = r.Key
	}
	return strings.Join(keys, " ")
}

func testLinesOfOrders(t *testing.T, f *fixture) {
	const orders, lines = 300, 4
	l := f.acquire(t)
	var (
		c       state.Commit
		ids     []int64
		ofFirst []state.Record // the lines of the first 100
	)
	for id := range int64(orders) {
		ids = append(ids, id+1)
		c.Records = append(c.Records, order(id+1, fmt.Sprintf("%09d", id+1)))
		for n := range int64(lines) {
			r := item((id+1)*10+n, id+1)
			c.Records = append(c.Records, r)
			if id < 100 {
				ofFirst = append(ofFirst, r)
			}
		}
	}
	f.commit(t, l, c)
	slices.SortFunc(ofFirst, func(a, b state.Record) int { return strings.Compare(a.Key, b.Key) })
	same(t, "lines of 100 orders", ofFirst, f.bySource(t, shop, state.Item, ids[:100]...))
	same(t, "of orders that come in another order, and twice", ofFirst,
		f.bySource(t, shop, state.Item, slices.Concat(ids[50:100], ids[:100])...))
	if n := len(f.bySource(t, shop, state.Item, ids...)); n != orders*lines {
		t.Errorf("%d lines of %d orders", n, orders)
	}
	if n := len(f.bySource(t, shop, state.Order, ids...)); n != orders {
		t.Errorf("%d rows of %d orders", n, orders)
	}
}

func testBetween(t *testing.T, f *fixture) {
	l := f.acquire(t)
	f.commit(t, l, state.Commit{Records: []state.Record{
		acknowledged("shop-c7", 7), acknowledged("shop-w1-gaa", 7), acknowledged("shop-c3", 3), acknowledged("shop-c12", 12),
		acknowledged("shop-c5", 5), order(6, "6"), acknowledged("shop-c99", 1<<62),
	}})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Records: []state.Record{acknowledged("shop-c4", 4)}})
	for name, test := range map[string]struct {
		pipeline    string
		entity      state.Entity
		after, upto int64
		limit       int
		want        string
	}{
		"above the one, up to the other": {shop, state.Profile, 3, 7, 10, "shop-c5 shop-c7 shop-w1-gaa"},
		"all, in the order of their ids": {shop, state.Profile, 0, 1<<63 - 1, 10, "shop-c3 shop-c5 shop-c7 shop-w1-gaa shop-c12 shop-c99"},
		"at most so many":                {shop, state.Profile, 0, 100, 2, "shop-c3 shop-c5"},
		"none":                           {shop, state.Profile, 0, 100, 0, ""},
		"nothing between":                {shop, state.Profile, 7, 11, 10, ""},
		"another entity":                 {shop, state.Order, 0, 100, 10, "shop-o6"},
		"another pipeline":               {other, state.Profile, 0, 100, 10, "shop-c4"},
	} {
		rows, err := f.RecordsBetween(t.Context(), test.pipeline, test.entity, test.after, test.upto, test.limit)
		if got := keysIn(rows); err != nil || got != test.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, test.want)
		}
	}
}

func testInCopernica(t *testing.T, f *fixture) {
	l := f.acquire(t)
	unknown := acknowledged("shop-c8", 8)
	unknown.CopernicaID = 0
	f.commit(t, l, state.Commit{Records: []state.Record{
		acknowledged("shop-c7", 7), acknowledged("shop-c3", 3), acknowledged("shop-c12", 12), unknown, order(6, "6"),
	}})
	for name, test := range map[string]struct {
		entity      state.Entity
		after, upto int64
		limit       int
		want        string
	}{
		"in the order of their ids":   {state.Profile, 0, 1<<63 - 1, 10, "shop-c3 shop-c7 shop-c12"},
		"above the one, to the other": {state.Profile, 1003, 1007, 10, "shop-c7"},
		"at most so many":             {state.Profile, 0, 2000, 2, "shop-c3 shop-c7"},
		"without an id: never":        {state.Profile, -1, 1, 10, ""},
		"another entity":              {state.Order, 0, 1<<63 - 1, 10, "shop-o6"},
	} {
		rows, err := f.RecordsInCopernica(t.Context(), shop, test.entity, test.after, test.upto, test.limit)
		if got := keysIn(rows); err != nil || got != test.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, test.want)
		}
	}
}

func testMissing(t *testing.T, f *fixture) {
	l := f.acquire(t)
	missing := func(key string, id int64) state.Record {
		r := acknowledged(key, id)
		r.State = state.Missing
		return r
	}
	lost := order(4, "4")
	lost.State = state.Missing
	f.commit(t, l, state.Commit{Records: []state.Record{missing("shop-c3", 3), acknowledged("shop-c1", 1), missing("shop-c2", 2), lost}})
	for name, test := range map[string]struct {
		pipeline string
		entity   state.Entity
		limit    int
		want     string
	}{
		"by key":           {shop, state.Profile, 10, "shop-c2 shop-c3"},
		"at most so many":  {shop, state.Profile, 1, "shop-c2"},
		"another entity":   {shop, state.Order, 10, "shop-o4"},
		"another pipeline": {other, state.Profile, 10, ""},
	} {
		rows, err := f.MissingRecords(t.Context(), test.pipeline, test.entity, test.limit)
		if got := keysIn(rows); err != nil || got != test.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, test.want)
		}
	}
	back := acknowledged("shop-c2", 2)
	f.commit(t, l, state.Commit{Records: []state.Record{back}})
	if rows, err := f.MissingRecords(t.Context(), shop, state.Profile, 10); err != nil || keysIn(rows) != "shop-c3" {
		t.Errorf("one came back: %q, %v", keysIn(rows), err)
	}
}

func testBySource(t *testing.T, f *fixture) {
	l := f.acquire(t)
	customer := acknowledged("shop-c7", 7)
	f.commit(t, l, state.Commit{Records: []state.Record{
		customer, order(7, "7"), item(72, 7), item(71, 7), item(9, 7), item(80, 8), item(1, 1<<62), item(2, -1), item(3, 0),
	}})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Records: []state.Record{item(73, 7)}})
	for name, test := range map[string]struct {
		pipeline string
		entity   state.Entity
		ids      []int64
		want     string
	}{
		"lines in the order of their keys": {shop, state.Item, []int64{7}, "shop-i71 shop-i72 shop-i9"},
		"of two orders":                    {shop, state.Item, []int64{8, 7}, "shop-i71 shop-i72 shop-i80 shop-i9"},
		"the order itself":                 {shop, state.Order, []int64{7, 8}, "shop-o7"},
		"a customer":                       {shop, state.Profile, []int64{7}, "shop-c7"},
		"large, negative and none":         {shop, state.Item, []int64{1 << 62, -1, 0}, "shop-i1 shop-i2 shop-i3"},
		"unknown":                          {shop, state.Item, []int64{6}, ""},
		"no ids":                           {shop, state.Item, nil, ""},
		"another pipeline":                 {other, state.Item, []int64{7}, "shop-i73"},
		"a pipeline never opened":          {"never-opened", state.Item, []int64{7}, ""},
	} {
		if got := keysIn(f.bySource(t, test.pipeline, test.entity, test.ids...)); got != test.want {
			t.Errorf("%s: %q, not %q", name, got, test.want)
		}
	}
	// A row that comes from something else now is found there only.
	f.commit(t, l, state.Commit{Records: []state.Record{item(71, 8)}})
	same(t, "after a line moved", "shop-i72 shop-i9", keysIn(f.bySource(t, shop, state.Item, 7)))
	same(t, "where it moved to", "shop-i71 shop-i80", keysIn(f.bySource(t, shop, state.Item, 8)))
}

func testByNumber(t *testing.T, f *fixture) {
	l := f.acquire(t)
	// Two stores of the shop number their orders alike.
	one, two, plain, bare := order(2, "000000012"), order(1, "000000012"), order(3, "12"), order(4, "")
	f.commit(t, l, state.Commit{Records: []state.Record{one, two, plain, bare, item(5, 2)}})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Records: []state.Record{order(9, "000000012")}})

	same(t, "of two stores", []state.Record{two, one}, f.byNumber(t, shop, "000000012"))
	same(t, "without zeros", []state.Record{plain}, f.byNumber(t, shop, "12"))
	for name, number := range map[string]string{
		"fewer zeros": "00000012", "a part": "0000000", "none": "", "a space more": "12 ", "a pattern": "%", "NUL": "12\x00", "not text": "\xff",
	} {
		if rows := f.byNumber(t, shop, number); len(rows) != 0 {
			t.Errorf("%s: %+v", name, rows)
		}
	}
	same(t, "another pipeline", "shop-o9", keysIn(f.byNumber(t, other, "000000012")))
	same(t, "a pipeline never opened", "", keysIn(f.byNumber(t, "never-opened", "12")))

	one.Number = "12"
	f.commit(t, l, state.Commit{Records: []state.Record{one}})
	same(t, "after a number changed", "shop-o2 shop-o3", keysIn(f.byNumber(t, shop, "12")))
}

func testNumbers(t *testing.T, f *fixture) {
	l := f.acquire(t)
	for name, number := range map[string]string{
		"zeros only": "000000000", "letters": "AB-2026/001", "255 bytes": strings.Repeat("9", 255), "many bytes a letter": strings.Repeat("日", 85),
	} {
		want := order(1, number)
		f.commit(t, l, state.Commit{Records: []state.Record{want}})
		same(t, name, []state.Record{want}, f.byNumber(t, shop, number))
	}
	before := f.bySource(t, shop, state.Order, 1)
	for name, number := range map[string]string{
		"256 bytes": strings.Repeat("9", 256), "NUL": "1\x00", "not text": "1\xff", "cut": "1\xc3",
	} {
		spoilt := order(1, number)
		if _, err := f.Commit(t.Context(), l, state.Commit{Records: []state.Record{spoilt}}); err == nil {
			t.Errorf("commit took a number with %s", name)
		}
		spoilt.State = state.Planned
		if err := f.Plan(t.Context(), l, []state.Record{spoilt}); err == nil {
			t.Errorf("plan took a number with %s", name)
		}
	}
	same(t, "after what was refused", before, f.bySource(t, shop, state.Order, 1))
}

// A plan names what is read and under whom, and what it inserts is found by that at
// once; of a row that exists, whoever committed it last says so.
func testPlanOfOrders(t *testing.T, f *fixture) {
	l := f.acquire(t)
	planned := func(r state.Record) state.Record {
		r.State, r.Hash, r.PlannedAt = state.Planned, state.Hash{}, f.clock.ms()
		return r
	}
	plan := func(rows ...state.Record) {
		t.Helper()
		if err := f.Plan(t.Context(), l, rows); err != nil {
			t.Fatal(err)
		}
	}
	want := planned(order(1, "000000001"))
	line := planned(item(11, 1))
	plan(want, line)
	same(t, "inserted", []state.Record{want}, f.byNumber(t, shop, "000000001"))
	same(t, "inserted with its line", []state.Record{line}, f.bySource(t, shop, state.Item, 1))

	again := want
	again.Parent, again.Number, again.SourceID, again.Attempts = "shop-c2", "000000002", 2, 3
	plan(again)
	want.Attempts = 3
	same(t, "planned over", []state.Record{want}, f.bySource(t, shop, state.Order, 1, 2))

	// Twice in one plan it is the first that inserts.
	first, second := planned(order(5, "5")), planned(order(5, "6"))
	second.Parent, second.SourceID = "shop-c3", 6
	plan(first, second)
	same(t, "twice in one plan", []state.Record{first}, f.bySource(t, shop, state.Order, 5, 6))

	f.commit(t, l, state.Commit{Records: []state.Record{again}})
	same(t, "committed", []state.Record{again}, f.byNumber(t, shop, "000000002"))
	same(t, "committed: the former number", "", keysIn(f.byNumber(t, shop, "000000001")))
}

func testForgetLines(t *testing.T, f *fixture) {
	l := f.acquire(t)
	sent := item(13, 1)
	sent.Hash = hashOf(3)
	f.commit(t, l, state.Commit{Records: []state.Record{order(1, "1"), item(11, 1), item(12, 1), sent}})
	refs := []state.RecordRef{
		{Entity: state.Item, Key: "shop-i11"},
		{Entity: state.Item, Key: "shop-i13"},  // was acknowledged once
		{Entity: state.Order, Key: "shop-i12"}, // names a row of another entity
		{Entity: state.Order, Key: "shop-o1"},  // is acknowledged
	}
	f.commit(t, l, state.Commit{Forget: refs})
	same(t, "lines left", "shop-i12 shop-i13", keysIn(f.bySource(t, shop, state.Item, 1)))
	same(t, "orders left", "shop-o1", keysIn(f.byNumber(t, shop, "1")))
}

// What is open is asked for whatever it is about, and counted by what it is about.
func testEntities(t *testing.T, f *fixture) {
	l := f.acquire(t)
	due := func(r state.Record, ago time.Duration) state.Record {
		r.State, r.NextAttempt = state.Unknown, f.clock.ms().Add(-ago)
		return r
	}
	profile := state.Record{Entity: state.Profile, Key: "shop-c1", CopernicaID: 5, State: state.Acknowledged}
	f.commit(t, l, state.Commit{Records: []state.Record{
		profile, order(1, "1"), order(2, "2"), item(11, 1),
		due(order(3, "3"), time.Minute), due(item(31, 3), time.Hour), due(acknowledged("shop-c9", 9), time.Second),
	}})
	rows, err := f.Pending(t.Context(), shop, f.clock.Now(), 10)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "pending", "shop-i11 shop-i31 shop-o3 shop-c9", keysIn(rows))

	highest := make(map[state.Entity]int64)
	for _, e := range []state.Entity{state.Profile, state.Order, state.Item} {
		if highest[e], err = f.HighestID(t.Context(), shop, e); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "highest ids", map[state.Entity]int64{state.Profile: 1009, state.Order: 2003, state.Item: 0}, highest)

	o, err := f.Overview(t.Context(), shop)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "counts", map[state.Entity]map[state.RecordState]int64{
		state.Profile: {state.Acknowledged: 1, state.Unknown: 1},
		state.Order:   {state.Acknowledged: 2, state.Unknown: 1},
		state.Item:    {state.Planned: 1, state.Unknown: 1},
	}, o.Records)
}
