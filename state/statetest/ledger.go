package statetest

import (
	"testing"

	"github.com/magento-copernica/syncd/state"
)

func testUpsert(t *testing.T, f *fixture) {
	l := f.acquire(t)
	full := fill[state.Record](t, 1)
	for _, s := range []state.RecordState{state.Planned, state.Unknown, state.Acknowledged, state.Refused, state.Removed, state.Missing, state.Gone, state.Claimed} {
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
	for _, s := range []state.RecordState{state.Acknowledged, state.Refused, state.Removed, state.Missing, state.Gone, state.Claimed, state.Unknown} {
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
		want.RunID, want.Sent = plan.RunID, plan.Sent
		got, _ := f.record(t, before.Key)
		same(t, "planned over "+string(s), want, got)

		plan.Sent = state.Hash{}
		if err := f.Plan(t.Context(), l, []state.Record{plan}); err != nil {
			t.Fatal(err)
		}
		got, _ = f.record(t, before.Key)
		same(t, "planned without consent over "+string(s), want, got)
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
		FirstSeen: plan.FirstSeen, RunID: plan.RunID, Sent: plan.Sent,
	}
	got, _ := f.record(t, plan.Key)
	same(t, "new row", want, got)
}

func testPlanStates(t *testing.T, f *fixture) {
	l := f.acquire(t)
	for _, s := range []state.RecordState{"", "lost", state.Acknowledged, state.Refused, state.Removed, state.Missing, state.Gone, state.Claimed} {
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
	if runs, err := f.Runs(ctx, "never-opened", state.RunFilter{Limit: 10}); err != nil || len(runs) != 0 {
		t.Errorf("runs of nothing: %v, %v", runs, err)
	}
	if letters, err := f.Letters(ctx, "never-opened", state.LetterFilter{Open: true, Limit: 10}); err != nil || len(letters) != 0 {
		t.Errorf("letters of nothing: %v, %v", letters, err)
	}
	if rows, err := f.Records(ctx, "never-opened", state.Profile, []string{"a"}); err != nil || len(rows) != 0 {
		t.Errorf("records of nothing: %v, %v", rows, err)
	}
}
