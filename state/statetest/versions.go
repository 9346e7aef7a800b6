package statetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/state"
)

// updateVariable makes Versions write the newest version's file anew. A version that was
// released keeps its file, and its migration, as they are.
const updateVariable = "SYNCD_TEST_UPDATE"

// Versions tests that a store opens what each of its versions left, and that everything
// in it is as it was. The file testdata/vN.sql holds what version N left, as SQL; places
// are what the store's functions understand by them, a path or an address.
type Versions struct {
	// Newest is the version of the newest migration.
	Newest int
	// Place returns a place in which Open makes a new state.
	Place func(t *testing.T) string
	// Restore runs statements in an empty place, and returns it.
	Restore func(t *testing.T, statements string) string
	// Open opens the state in a place, with one key for all; nil is the usual clock.
	Open func(t *testing.T, place string, now func() time.Time) state.Store
	// Dump returns the statements that Restore makes the state of a place from.
	Dump func(t *testing.T, place string) string
	// Schema returns everything that a place declares.
	Schema func(t *testing.T, place string) any
}

// Run runs the test in the folder of the store, where migrations and testdata are.
func (v Versions) Run(t *testing.T) {
	t.Helper()
	if files, err := filepath.Glob("migrations/*.sql"); err != nil || len(files) != v.Newest {
		t.Errorf("%d migrations, %v: set Newest, and make a file with %s=1", len(files), err, updateVariable)
	}
	if os.Getenv(updateVariable) != "" {
		v.write(t)
	}
	for version := 1; version <= v.Newest; version++ {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			t.Parallel()
			statements, err := os.ReadFile(v.file(version))
			if err != nil {
				t.Fatal(err)
			}
			place, fresh := v.Restore(t, string(statements)), v.Place(t)
			s := v.Open(t, place, nil)
			if diff := cmp.Diff(leftBehind(), found(t, s)); diff != "" {
				t.Errorf("what version %d left (-want +got):\n%s", version, diff)
			}
			if err := errors.Join(s.Close(), v.Open(t, fresh, nil).Close()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v.Schema(t, fresh), v.Schema(t, place)); diff != "" {
				t.Errorf("a new state and one of version %d differ (-new +migrated):\n%s", version, diff)
			}
		})
	}
}

func (v Versions) file(version int) string {
	return filepath.Join("testdata", fmt.Sprintf("v%d.sql", version))
}

// left is what the files hold, as callers of a store see it.
type left struct {
	Pipelines  []state.Pipeline
	Checkpoint state.Checkpoint
	Records    map[state.RecordRef]state.Record
	Counts     map[state.Entity]map[state.RecordState]int64
	Emails     map[state.Hash][]state.Email
	Tombstones map[state.Hash]time.Time
	Erasures   []state.Erasure
	Doubles    []state.Double
	Runs       []state.Run
	Letters    []state.DeadLetter
	Resyncs    []state.Resync
	Mark       time.Time
	Fence      int64
}

// at is a moment of the files.
func at(minute int) time.Time { return time.Date(2026, 11, 20, 8, minute, 0, 250_000_000, time.UTC) }

func leftBehind() left {
	one, two := state.Hash{0: 1, 15: 2}, state.Hash{0: 3, 15: 4}
	w := left{
		Pipelines: []state.Pipeline{{Name: other, Target: "another database", Adopting: true}, {Name: shop, Target: "database"}},
		Checkpoint: state.Checkpoint{
			Pipeline: shop, Stream: stream, Version: 1, Horizon: at(1), Position: state.Position{UpdatedAt: at(2), ID: 7},
			From: at(3), Target: at(4), SavedAt: at(0),
		},
		Records: make(map[state.RecordRef]state.Record),
		Counts: map[state.Entity]map[state.RecordState]int64{
			state.Profile: {state.Acknowledged: 1, state.Planned: 1, state.Removed: 1, state.Claimed: 1},
			state.Order:   {state.Acknowledged: 1},
			state.Item:    {state.Unknown: 1, state.Refused: 1},
		},
		Emails:     map[state.Hash][]state.Email{one: {{Hash: one, Key: "shop-c1", Website: 2, Claims: true}, {Hash: one, Key: "shop-g5", Website: 2}}},
		Tombstones: map[state.Hash]time.Time{two: at(19)},
		Erasures: []state.Erasure{{
			ID: 1, Pipeline: shop, Key: "shop-c3", Cause: "deleted", Policy: "remove", CopernicaID: 13, Orders: 2, Items: 5, At: at(20), RunID: 1,
		}},
		Doubles: []state.Double{{Entity: state.Profile, Key: "shop-c1", CopernicaID: 16, SeenAt: at(22), Consent: state.Hash{0: 1, 15: 2}}},
		Runs: []state.Run{{
			ID: 1, Pipeline: shop, Stream: stream, Holder: "host:1", Fence: 1, Started: at(8), Ended: at(9),
			Outcome: state.Failed, Problem: "it's over", Counters: state.Counters{Read: 1, Unchanged: 2, Ownerless: 3, TargetCalls: 9},
		}},
		Letters: []state.DeadLetter{{
			ID: 1, Pipeline: shop, Stream: stream, Entity: state.Profile, Key: "shop-c4", SourceID: 4, Cause: "too_long",
			Message: "%1 is too long", Fix: "shorten it", Content: two, RunID: 1, Attempts: 2, FirstSeen: at(10), LastSeen: at(11),
		}},
		Resyncs: []state.Resync{
			{ID: 2, Pipeline: shop, Stream: "orders", IDs: []int64{7, 9}, Created: at(18), State: state.ResyncOpen},
			{
				ID: 1, Pipeline: shop, Stream: stream, Since: at(15), Until: at(16), Stores: []int64{1, 3}, Force: true, Created: at(17),
				State: state.ResyncDone, Ended: at(0),
			},
		},
		Mark:  at(14),
		Fence: 2,
	}
	for _, r := range rowsLeft() {
		w.Records[state.RecordRef{Entity: r.Entity, Key: r.Key}] = r
	}
	return w
}

// rowsLeft are the rows of the ledger that the files hold.
func rowsLeft() []state.Record {
	one, two := state.Hash{0: 1, 15: 2}, state.Hash{0: 3, 15: 4}
	return []state.Record{
		{
			Entity: state.Profile, Key: "shop-c1", SourceID: 1, CopernicaID: 11, Hash: one, ConsentSource: two, ConsentWritten: one,
			Refused: two, UnsubscribedAt: at(21), OutSeenAt: at(23), SourceUpdatedAt: at(5), State: state.Acknowledged, Attempts: 3, PlannedAt: at(6), NextAttempt: at(7),
			FirstSeen: at(12), AcknowledgedAt: at(13), RunID: 1,
		},
		{Entity: state.Profile, Key: "shop-c2", Sent: one, State: state.Planned},
		{Entity: state.Profile, Key: "shop-c3", State: state.Removed},
		{Entity: state.Profile, Key: "shop-g5", Parent: "shop-c1", CopernicaID: 15, Hash: two, State: state.Claimed},
		{
			Entity: state.Order, Key: "shop-o7", SourceID: 7, Parent: "shop-c1", Number: "000000007", CopernicaID: 17, Hash: two,
			SourceUpdatedAt: at(5), State: state.Acknowledged, FirstSeen: at(12), AcknowledgedAt: at(13), RunID: 1,
		},
		{Entity: state.Item, Key: "shop-i71", SourceID: 7, Parent: "shop-c1", State: state.Unknown},
		{Entity: state.Item, Key: "shop-i72", SourceID: 7, Parent: "shop-c1", Refused: one, State: state.Refused},
	}
}

// found reads what a state holds. The last holder's lease is long over.
func found(t *testing.T, s state.Store) left {
	t.Helper()
	ctx := t.Context()
	var (
		got  = left{Records: make(map[state.RecordRef]state.Record)}
		errs []error
	)
	note := func(err error) { errs = append(errs, err) }
	var err error
	got.Pipelines, err = s.Pipelines(ctx)
	note(err)
	got.Checkpoint, err = s.Checkpoint(ctx, shop, stream)
	note(err)
	for e, keys := range map[state.Entity][]string{
		state.Profile: {"shop-c1", "shop-c2", "shop-c3", "shop-c4", "shop-g5"}, state.Order: {"shop-o7"}, state.Item: {"shop-i71", "shop-i72"},
	} {
		rows, err := s.Records(ctx, shop, e, keys)
		note(err)
		for _, r := range rows {
			got.Records[state.RecordRef{Entity: r.Entity, Key: r.Key}] = r
		}
	}
	o, err := s.Overview(ctx, shop)
	note(err)
	got.Counts = o.Records
	got.Emails, err = s.Emails(ctx, shop, []state.Hash{{0: 1, 15: 2}})
	note(err)
	got.Tombstones, err = s.Tombstones(ctx, shop, []state.Hash{{0: 1, 15: 2}, {0: 3, 15: 4}})
	note(err)
	got.Erasures, err = s.Erasures(ctx, shop, "", 10)
	note(err)
	got.Doubles, err = s.Doubles(ctx, shop, state.Profile, "shop-c1")
	note(err)
	got.Runs, err = s.Runs(ctx, shop, state.RunFilter{Limit: 10})
	note(err)
	got.Letters, err = s.Letters(ctx, shop, state.LetterFilter{Open: true, Limit: 10})
	note(err)
	got.Resyncs, err = s.Resyncs(ctx, shop, state.ResyncFilter{Limit: 10})
	note(err)
	got.Mark, err = s.Mark(ctx, "census")
	note(err)
	l, err := s.Acquire(ctx, shop, "next", time.Hour)
	note(err)
	got.Fence = l.Fence
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return got
}

// write makes a state with this program and writes it as SQL.
func (v Versions) write(t *testing.T) {
	t.Helper()
	want, ctx, place := leftBehind(), t.Context(), v.Place(t)
	s := v.Open(t, place, func() time.Time { return at(0) })
	for _, p := range want.Pipelines {
		if _, err := s.OpenPipeline(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	l, err := s.Acquire(ctx, shop, "host:1", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.StartRun(ctx, want.Runs[0]); err != nil {
		t.Fatal(err)
	}
	cp := want.Checkpoint
	cp.Version = 0
	c := state.Commit{Checkpoint: &cp, Records: rowsLeft(), Letters: want.Letters, Erasures: want.Erasures, Doubles: want.Doubles}
	for _, list := range want.Emails {
		c.Emails = append(c.Emails, list...)
	}
	for person, at := range want.Tombstones {
		c.Tombstones = append(c.Tombstones, state.Tombstone{Person: person, At: at})
	}
	if _, err := s.Commit(ctx, l, c); err != nil {
		t.Fatal(err)
	}
	for _, r := range slices.Backward(want.Resyncs) {
		if _, err := s.AddResync(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.EndResync(ctx, shop, 1, state.ResyncDone); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.SetMark(ctx, "census", want.Mark), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(v.file(v.Newest), []byte(v.Dump(t, place)), 0o600); err != nil {
		t.Fatal(err)
	}
}
