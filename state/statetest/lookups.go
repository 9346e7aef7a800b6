package statetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
)

func testPending(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	now := f.clock.Now()
	at := func(key string, s state.RecordState, next time.Duration) state.Record {
		return state.Record{Entity: state.Profile, Key: key, State: s, PlannedAt: now, NextAttempt: now.Add(next)}
	}
	f.commit(t, l, state.Commit{Records: []state.Record{
		at("due now", state.Planned, 0), at("due a minute", state.Unknown, -time.Minute), at("due an hour", state.Planned, -time.Hour),
		at("in a second", state.Planned, time.Second), at("there", state.Acknowledged, -time.Hour),
		at("refused", state.Refused, -time.Hour), at("removed", state.Removed, -time.Hour),
		{Entity: state.Profile, Key: "no time set", State: state.Unknown},
	}})
	theirs := f.acquireFor(t, other, "me")
	f.commit(t, theirs, state.Commit{Records: []state.Record{at("theirs", state.Planned, -time.Hour)}})

	keys := func(now time.Time, limit int) []string {
		t.Helper()
		rows, err := f.Pending(ctx, shop, now, limit)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, r := range rows {
			got = append(got, r.Key)
		}
		return got
	}
	all := []string{"no time set", "due an hour", "due a minute", "due now"}
	same(t, "due", all, keys(now, 100))
	same(t, "the first two", all[:2], keys(now, 2))
	same(t, "none wanted", []string{}, keys(now, 0))
	same(t, "none wanted", []string{}, keys(now, -1))
	same(t, "a second later", append(all, "in a second"), keys(now.Add(time.Second), 100))
	same(t, "an hour ago and a bit", all[:1], keys(now.Add(-time.Hour-time.Millisecond), 100))

	rows, err := f.Pending(ctx, shop, now, 2)
	if err != nil {
		t.Fatal(err)
	}
	want := at("due an hour", state.Planned, -time.Hour)
	want.PlannedAt, want.NextAttempt = want.PlannedAt.Truncate(time.Millisecond), want.NextAttempt.Truncate(time.Millisecond)
	same(t, "a row in full", want, rows[1])
}

func testHighestID(t *testing.T, f *fixture) {
	highest := func(pipeline string, e state.Entity) int64 {
		t.Helper()
		id, err := f.HighestID(t.Context(), pipeline, e)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	if id := highest(shop, state.Profile); id != 0 {
		t.Errorf("an empty ledger knows id %d", id)
	}
	l := f.acquire(t)
	rows := []state.Record{
		{Entity: state.Profile, Key: "a", State: state.Acknowledged, CopernicaID: 17},
		{Entity: state.Profile, Key: "b", State: state.Removed, CopernicaID: 1 << 40},
		{Entity: state.Profile, Key: "c", State: state.Planned},
		{Entity: "another", Key: "d", State: state.Acknowledged, CopernicaID: 1 << 50},
	}
	f.commit(t, l, state.Commit{Records: rows})
	if id := highest(shop, state.Profile); id != 1<<40 {
		t.Errorf("got %d", id)
	}
	if id := highest(shop, "another"); id != 1<<50 {
		t.Errorf("got %d", id)
	}
	if id := highest(other, state.Profile); id != 0 {
		t.Errorf("got %d", id)
	}
}

// Rows are counted by how their keys begin, whatever other keys are near them.
func testCountRecords(t *testing.T, f *fixture) {
	l := f.acquire(t)
	row := func(e state.Entity, key string, as state.RecordState) state.Record {
		return state.Record{Entity: e, Key: key, State: as}
	}
	f.commit(t, l, state.Commit{Records: []state.Record{
		row(state.Profile, "shop-c1", state.Acknowledged), row(state.Profile, "shop-c2", state.Gone), row(state.Profile, "shop-c\u00ff", state.Acknowledged),
		row(state.Profile, "shop-", state.Acknowledged), row(state.Profile, "shop-b9", state.Acknowledged), row(state.Profile, "shop-d", state.Acknowledged),
		row(state.Profile, "Shop-c3", state.Acknowledged), row(state.Profile, "shop-w1-g1", state.Claimed), row(state.Order, "shop-c4", state.Acknowledged),
	}})
	for _, tc := range []struct {
		pipeline, prefix string
		want             map[state.RecordState]int64
	}{
		{shop, "shop-c", map[state.RecordState]int64{state.Acknowledged: 2, state.Gone: 1}},
		{shop, "shop-c1", map[state.RecordState]int64{state.Acknowledged: 1}},
		{shop, "", map[state.RecordState]int64{state.Acknowledged: 6, state.Gone: 1, state.Claimed: 1}},
		{shop, "shop-x", map[state.RecordState]int64{}},
		{other, "shop-c", map[state.RecordState]int64{}},
	} {
		got, err := f.CountRecords(t.Context(), tc.pipeline, state.Profile, tc.prefix)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("%q in %s", tc.prefix, tc.pipeline), tc.want, got)
	}
}

func testByCopernicaID(t *testing.T, f *fixture) {
	l := f.acquire(t)
	row := func(e state.Entity, key string, id int64) state.Record {
		return state.Record{Entity: e, Key: key, State: state.Acknowledged, CopernicaID: id, Hash: hashOf(1), RunID: 3}
	}
	f.commit(t, l, state.Commit{Records: []state.Record{
		row(state.Profile, "b", 7), row(state.Profile, "a", 7), row(state.Profile, "c", 1<<40), row(state.Profile, "not known", 0), row("another", "d", 7),
	}})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Records: []state.Record{row(state.Profile, "theirs", 7)}})
	for _, ask := range []struct {
		pipeline string
		entity   state.Entity
		id       int64
		want     []state.Record
	}{
		{shop, state.Profile, 7, []state.Record{row(state.Profile, "a", 7), row(state.Profile, "b", 7)}},
		{shop, state.Profile, 1 << 40, []state.Record{row(state.Profile, "c", 1<<40)}},
		{shop, "another", 7, []state.Record{row("another", "d", 7)}},
		{other, state.Profile, 7, []state.Record{row(state.Profile, "theirs", 7)}},
		{shop, state.Profile, 8, nil},
		{shop, state.Profile, 0, nil}, // means not known: it names no row
		{"never-opened", state.Profile, 7, nil},
	} {
		got, err := f.RecordsByCopernicaID(t.Context(), ask.pipeline, ask.entity, ask.id)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 0 || len(ask.want) != 0 {
			same(t, fmt.Sprintf("%s %s %d", ask.pipeline, ask.entity, ask.id), ask.want, got)
		}
	}
}

func testByCopernicaIDs(t *testing.T, f *fixture) {
	f.commit(t, f.acquire(t), state.Commit{Records: []state.Record{acknowledged("c", 9), acknowledged("b", 7), acknowledged("a", 8), acknowledged("d", 7), acknowledged("e", 0)}})
	for want, ids := range map[string][]int64{"a b d": {1007, 1008, 1007, 1006, 0}, "c": {1009}, "": nil} {
		rows, err := f.RecordsByCopernicaID(t.Context(), shop, state.Profile, ids...)
		if got := keysIn(rows); err != nil || got != want {
			t.Errorf("%v: %q, %v, want %q", ids, got, err, want)
		}
	}
}

func testEmails(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	f.commit(t, l, state.Commit{Emails: []state.Email{
		{Hash: hashOf(1), Key: "shop-c2", Website: 2, Claims: true},
		{Hash: hashOf(1), Key: "shop-c1", Website: 1},
		{Hash: hashOf(2), Key: "shop-c3", Website: 1, Claims: true},
		{Hash: hashOf(3), Key: "shop-c4", Website: 1},
		{Key: "shop-c5", Website: 1},
	}})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Emails: []state.Email{{Hash: hashOf(1), Key: "shop-c9", Website: 9}}})
	ask := []state.Hash{hashOf(1), hashOf(2), hashOf(9), {}, hashOf(1)}
	got, err := f.Emails(ctx, shop, ask)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "e-mails", map[state.Hash][]state.Email{
		hashOf(1): {{Hash: hashOf(1), Key: "shop-c1", Website: 1}, {Hash: hashOf(1), Key: "shop-c2", Website: 2, Claims: true}},
		hashOf(2): {{Hash: hashOf(2), Key: "shop-c3", Website: 1, Claims: true}},
	}, got)

	// A customer whose e-mail changed has the new one only, and claims with it if it is
	// confirmed.
	f.commit(t, l, state.Commit{Emails: []state.Email{
		{Hash: hashOf(2), Key: "shop-c1", Website: 7, Claims: true}, {Hash: hashOf(2), Key: "shop-c3", Website: 1},
	}})
	if got, err = f.Emails(ctx, shop, ask); err != nil {
		t.Fatal(err)
	}
	same(t, "e-mails after a change", map[state.Hash][]state.Email{
		hashOf(1): {{Hash: hashOf(1), Key: "shop-c2", Website: 2, Claims: true}},
		hashOf(2): {{Hash: hashOf(2), Key: "shop-c1", Website: 7, Claims: true}, {Hash: hashOf(2), Key: "shop-c3", Website: 1}},
	}, got)

	many := make([]state.Hash, 0, 1000)
	for i := range 1000 {
		many = append(many, f.Hasher().Sum("email", fmt.Sprint(i)))
	}
	if got, err = f.Emails(ctx, shop, append(many, hashOf(3))); err != nil || len(got) != 1 {
		t.Errorf("of a thousand hashes: %v, %v", got, err)
	}
}
