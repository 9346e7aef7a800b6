package statetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
)

func testThousandKeys(t *testing.T, f *fixture) {
	const many = 1000
	l := f.acquire(t)
	keys := keysOf(many)
	var c state.Commit
	for i, key := range keys {
		c.Records = append(c.Records, acknowledged(key, int64(i)))
	}
	f.commit(t, l, c)
	asked := append(keysOf(many), "shop-c99999", "shop-c0", "shop-c0")
	rows, err := f.Records(t.Context(), shop, state.Profile, asked)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != many {
		t.Fatalf("%d rows, not %d", len(rows), many)
	}
	for i, key := range keys {
		if want := acknowledged(key, int64(i)); rows[key] != want {
			same(t, key, want, rows[key])
		}
	}
}

// oddKeys are keys that a careless query or encoding would change.
func oddKeys() []string {
	return []string{
		"a'b", `a"b`, `a\b`, "a%b", "a_b", "a?b", "a$1b", "a;b", "a,b", "a b", " a", "a ", "A", "a", "é", "e\u0301", "日本",
		"\U0001F600", "\uFFFD", "<&>", "\u2028", "{}", "[]", "null", "1", "01", "1.0", "1e3", "-0", "\t", "\n", "a\x01b",
	}
}

func testOddKeys(t *testing.T, f *fixture) {
	l := f.acquire(t)
	keys := oddKeys()
	var c state.Commit
	for i, key := range keys {
		r := acknowledged(key, int64(i))
		r.Parent = key
		c.Records = append(c.Records, r)
		c.Emails = append(c.Emails, state.Email{Hash: hashOf(1), Key: key, Website: int64(i)})
		c.Letters = append(c.Letters, refusal(key, "refused"))
	}
	f.commit(t, l, c)
	rows, err := f.Records(t.Context(), shop, state.Profile, keys)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(keys) {
		t.Errorf("%d rows of %d keys", len(rows), len(keys))
	}
	for i, key := range keys {
		if r := rows[key]; r.Key != key || r.Parent != key || r.SourceID != int64(i) {
			t.Errorf("key %q became %+v", key, r)
		}
		if one, ok := f.record(t, key); !ok || one.SourceID != int64(i) {
			t.Errorf("key %q alone: %+v", key, one)
		}
	}
	emails, err := f.Emails(t.Context(), shop, []state.Hash{hashOf(1)})
	if err != nil || len(emails[hashOf(1)]) != len(keys) {
		t.Errorf("%d e-mails of %d keys, %v", len(emails[hashOf(1)]), len(keys), err)
	}
	for _, e := range emails[hashOf(1)] {
		if keys[e.Website] != e.Key {
			t.Errorf("e-mail of %q became that of %q", keys[e.Website], e.Key)
		}
	}
	if n := len(f.letters(t)); n != len(keys) {
		t.Errorf("%d letters of %d keys", n, len(keys))
	}
}

func testBadKeys(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	for _, key := range []string{"", "nul\x00", "bad\xffbytes", "cut\xc3"} {
		planned := state.Record{Entity: state.Profile, Key: key, State: state.Planned}
		if err := f.Plan(ctx, l, []state.Record{planned}); err == nil {
			t.Errorf("plan took the key %q", key)
		}
		if _, err := f.Commit(ctx, l, state.Commit{Records: []state.Record{acknowledged(key, 1)}}); err == nil {
			t.Errorf("commit took the key %q", key)
		}
		if key != "" {
			child := acknowledged("shop-o1", 1)
			child.Parent = key
			if _, err := f.Commit(ctx, l, state.Commit{Records: []state.Record{child}}); err == nil {
				t.Errorf("commit took the parent %q", key)
			}
		}
		// A look-up of what cannot be there finds nothing, and the rest.
		f.commit(t, l, state.Commit{Records: []state.Record{acknowledged("bad\uFFFDbytes", 1)}})
		rows, err := f.Records(ctx, shop, state.Profile, []string{key, "bad\uFFFDbytes"})
		if err != nil || len(rows) != 1 {
			t.Errorf("look-up of %q: %v, %v", key, rows, err)
		}
	}
}

func testUpsert(t *testing.T, f *fixture) {
	l := f.acquire(t)
	full := fill[state.Record](t, 1)
	for _, s := range []state.RecordState{state.Planned, state.Unknown, state.Acknowledged, state.Refused, state.Removed} {
		full.State = s
		bare := state.Record{Entity: full.Entity, Key: full.Key, State: s}
		for _, want := range []state.Record{full, bare, full} {
			f.commit(t, l, state.Commit{Records: []state.Record{want}})
			got, _ := f.record(t, full.Key)
			same(t, string(s), want, got)
		}
	}
	// Of two rows of one key the later one stands.
	f.commit(t, l, state.Commit{Records: []state.Record{acknowledged("twice", 1), acknowledged("twice", 2)}})
	got, _ := f.record(t, "twice")
	same(t, "twice in one commit", acknowledged("twice", 2), got)
}

func testPlanKeeps(t *testing.T, f *fixture) {
	l := f.acquire(t)
	for _, s := range []state.RecordState{state.Acknowledged, state.Refused, state.Removed, state.Unknown} {
		before := fill[state.Record](t, 1)
		before.State = s
		f.commit(t, l, state.Commit{Records: []state.Record{before}})
		plan := fill[state.Record](t, 100)
		plan.Entity, plan.Key, plan.State = before.Entity, before.Key, state.Planned
		if err := f.Plan(t.Context(), l, []state.Record{plan}); err != nil {
			t.Fatal(err)
		}
		want := before
		want.State, want.Attempts, want.PlannedAt, want.NextAttempt = plan.State, plan.Attempts, plan.PlannedAt, plan.NextAttempt
		want.RunID = plan.RunID
		got, _ := f.record(t, before.Key)
		same(t, "planned over "+string(s), want, got)
	}
}

func testPlanInserts(t *testing.T, f *fixture) {
	l := f.acquire(t)
	plan := fill[state.Record](t, 1)
	plan.State = state.Planned
	if err := f.Plan(t.Context(), l, []state.Record{plan}); err != nil {
		t.Fatal(err)
	}
	want := state.Record{
		Entity: plan.Entity, Key: plan.Key, SourceID: plan.SourceID, Parent: plan.Parent, Number: plan.Number, CopernicaID: plan.CopernicaID,
		State: plan.State, Attempts: plan.Attempts, PlannedAt: plan.PlannedAt, NextAttempt: plan.NextAttempt,
		FirstSeen: plan.FirstSeen, RunID: plan.RunID,
	}
	got, _ := f.record(t, plan.Key)
	same(t, "new row", want, got)
}

func testPlanStates(t *testing.T, f *fixture) {
	l := f.acquire(t)
	for _, s := range []state.RecordState{"", "lost", state.Acknowledged, state.Refused, state.Removed} {
		rows := []state.Record{
			{Entity: state.Profile, Key: "shop-c1", State: state.Planned},
			{Entity: state.Profile, Key: "shop-c2", State: s},
		}
		if err := f.Plan(t.Context(), l, rows); err == nil {
			t.Errorf("a plan took the state %q", s)
		}
	}
	for _, key := range []string{"shop-c1", "shop-c2"} {
		if _, ok := f.record(t, key); ok {
			t.Errorf("a refused plan left %s", key)
		}
	}
}

func testForget(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	row := func(key string, s state.RecordState, h state.Hash) state.Record {
		return state.Record{Entity: state.Profile, Key: key, State: s, Hash: h}
	}
	f.commit(t, l, state.Commit{Records: []state.Record{
		row("planned", state.Planned, state.Hash{}), row("unknown", state.Unknown, state.Hash{}),
		row("planned again", state.Planned, hashOf(1)), row("unknown again", state.Unknown, hashOf(1)),
		row("there", state.Acknowledged, hashOf(1)), row("refused", state.Refused, state.Hash{}),
		row("removed", state.Removed, state.Hash{}), row("not named", state.Planned, state.Hash{}),
	}})
	var c state.Commit
	keys := []string{"planned", "unknown", "planned again", "unknown again", "there", "refused", "removed", "never there"}
	for _, key := range keys {
		c.Forget = append(c.Forget, state.RecordRef{Entity: state.Profile, Key: key})
	}
	c.Forget = append(c.Forget, state.RecordRef{Entity: "another", Key: "not named"})
	f.commit(t, l, c)
	rows, err := f.Records(ctx, shop, state.Profile, append(keys, "not named"))
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]bool)
	for key := range rows {
		got[key] = true
	}
	same(t, "rows left", map[string]bool{
		"planned again": true, "unknown again": true, "there": true, "refused": true, "removed": true, "not named": true,
	}, got)
}

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

func testEmails(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	f.commit(t, l, state.Commit{Emails: []state.Email{
		{Hash: hashOf(1), Key: "shop-c2", Website: 2},
		{Hash: hashOf(1), Key: "shop-c1", Website: 1},
		{Hash: hashOf(2), Key: "shop-c3", Website: 1},
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
		hashOf(1): {{Hash: hashOf(1), Key: "shop-c1", Website: 1}, {Hash: hashOf(1), Key: "shop-c2", Website: 2}},
		hashOf(2): {{Hash: hashOf(2), Key: "shop-c3", Website: 1}},
	}, got)

	// A customer whose e-mail changed has the new one only.
	f.commit(t, l, state.Commit{Emails: []state.Email{{Hash: hashOf(2), Key: "shop-c1", Website: 7}}})
	if got, err = f.Emails(ctx, shop, ask); err != nil {
		t.Fatal(err)
	}
	same(t, "e-mails after a change", map[state.Hash][]state.Email{
		hashOf(1): {{Hash: hashOf(1), Key: "shop-c2", Website: 2}},
		hashOf(2): {{Hash: hashOf(2), Key: "shop-c1", Website: 7}, {Hash: hashOf(2), Key: "shop-c3", Website: 1}},
	}, got)

	many := make([]state.Hash, 0, 1000)
	for i := range 1000 {
		many = append(many, f.Hasher().Sum("email", fmt.Sprint(i)))
	}
	if got, err = f.Emails(ctx, shop, append(many, hashOf(3))); err != nil || len(got) != 1 {
		t.Errorf("of a thousand hashes: %v, %v", got, err)
	}
}

func testLedgerApart(t *testing.T, f *fixture) {
	ctx := t.Context()
	mine, theirs := f.acquire(t), f.acquireFor(t, other, "me")
	row := func(e state.Entity, id int64) state.Record {
		r := acknowledged("same key", id)
		r.Entity = e
		return r
	}
	f.commit(t, mine, state.Commit{Records: []state.Record{row(state.Profile, 1), row("another", 2)}})
	f.commit(t, theirs, state.Commit{Records: []state.Record{row(state.Profile, 3)}})
	got := make(map[string]int64)
	for _, p := range []string{shop, other} {
		for _, e := range []state.Entity{state.Profile, "another"} {
			rows, err := f.Records(ctx, p, e, []string{"same key"})
			if err != nil {
				t.Fatal(err)
			}
			got[p+" "+string(e)] = rows["same key"].SourceID
		}
	}
	same(t, "rows", map[string]int64{"shop profile": 1, "shop another": 2, "other profile": 3, "other another": 0}, got)
}

func testEmptyInputs(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	if err := f.Plan(ctx, l, nil); err != nil {
		t.Error(err)
	}
	if rows, err := f.Records(ctx, shop, state.Profile, nil); err != nil || rows == nil || len(rows) != 0 {
		t.Errorf("no keys: %v, %v", rows, err)
	}
	if found, err := f.Emails(ctx, shop, nil); err != nil || found == nil || len(found) != 0 {
		t.Errorf("no hashes: %v, %v", found, err)
	}
	if rows, err := f.Pending(ctx, "never-opened", f.clock.Now(), 10); err != nil || len(rows) != 0 {
		t.Errorf("pending of nothing: %v, %v", rows, err)
	}
	if runs, err := f.Runs(ctx, "never-opened", 10); err != nil || len(runs) != 0 {
		t.Errorf("runs of nothing: %v, %v", runs, err)
	}
	if letters, err := f.Letters(ctx, "never-opened", state.LetterFilter{Open: true, Limit: 10}); err != nil || len(letters) != 0 {
		t.Errorf("letters of nothing: %v, %v", letters, err)
	}
	if rows, err := f.Records(ctx, "never-opened", state.Profile, []string{"a"}); err != nil || len(rows) != 0 {
		t.Errorf("records of nothing: %v, %v", rows, err)
	}
}
