package statetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/magento-copernica/syncd/state"
)

func testHasher(t *testing.T, f *fixture) {
	h := f.Hasher()
	if h.Sum("profile", "a", "b") != f.Hasher().Sum("profile", "a", "b") {
		t.Error("two hashes of one content differ")
	}
	elsewhere := f.suite.fixture(t)
	if h.Sum("profile", "a", "b") == elsewhere.Hasher().Sum("profile", "a", "b") {
		t.Error("two databases hash alike")
	}
}

// calls are all methods that take a context.
func calls(f *fixture, l state.Lease) map[string]func(context.Context) error {
	row := state.Record{Entity: state.Profile, Key: "shop-c1", State: state.Planned, Attempts: 5}
	return map[string]func(context.Context) error{
		"OpenPipeline": func(ctx context.Context) error {
			_, err := f.OpenPipeline(ctx, state.Pipeline{Name: "new", Target: "x"})
			return err
		},
		"Pipelines":  func(ctx context.Context) error { _, err := f.Pipelines(ctx); return err },
		"Acquire":    func(ctx context.Context) error { _, err := f.Acquire(ctx, other, "me", ttl); return err },
		"Renew":      func(ctx context.Context) error { _, err := f.Renew(ctx, l, 2*ttl); return err },
		"Release":    func(ctx context.Context) error { return f.Release(ctx, l) },
		"Checkpoint": func(ctx context.Context) error { _, err := f.Checkpoint(ctx, shop, stream); return err },
		"Records": func(ctx context.Context) error {
			_, err := f.Records(ctx, shop, state.Profile, []string{"a"})
			return err
		},
		"Records of none": func(ctx context.Context) error { _, err := f.Records(ctx, shop, state.Profile, nil); return err },
		"Pending":         func(ctx context.Context) error { _, err := f.Pending(ctx, shop, f.clock.Now(), 1); return err },
		"HighestID":       func(ctx context.Context) error { _, err := f.HighestID(ctx, shop, state.Profile); return err },
		"CountRecords": func(ctx context.Context) error {
			_, err := f.CountRecords(ctx, shop, state.Profile, "a")
			return err
		},
		"Emails":         func(ctx context.Context) error { _, err := f.Emails(ctx, shop, []state.Hash{hashOf(1)}); return err },
		"Emails of none": func(ctx context.Context) error { _, err := f.Emails(ctx, shop, nil); return err },
		"Plan":           func(ctx context.Context) error { return f.Plan(ctx, l, []state.Record{row}) },
		"Commit": func(ctx context.Context) error {
			_, err := f.Commit(ctx, l, state.Commit{Checkpoint: &state.Checkpoint{Stream: stream}, Records: []state.Record{row}})
			return err
		},
		"StartRun": func(ctx context.Context) error { _, err := f.StartRun(ctx, state.Run{Pipeline: shop}); return err },
		"SaveRun": func(ctx context.Context) error {
			return f.SaveRun(ctx, state.Run{ID: 1, Pipeline: shop, Outcome: state.Done})
		},
		"Runs": func(ctx context.Context) error { _, err := f.Runs(ctx, shop, state.RunFilter{Limit: 1}); return err },
		"PruneRuns": func(ctx context.Context) error {
			_, err := f.PruneRuns(ctx, shop, f.clock.Now(), 1)
			return err
		},
		"Overview": func(ctx context.Context) error { _, err := f.Overview(ctx, shop); return err },
		"RecordsBySource": func(ctx context.Context) error {
			_, err := f.RecordsBySource(ctx, shop, state.Item, []int64{1})
			return err
		},
		"RecordsBySource of none": func(ctx context.Context) error {
			_, err := f.RecordsBySource(ctx, shop, state.Item, nil)
			return err
		},
		"RecordsByNumber":         func(ctx context.Context) error { _, err := f.RecordsByNumber(ctx, shop, "1"); return err },
		"RecordsByNumber of none": func(ctx context.Context) error { _, err := f.RecordsByNumber(ctx, shop, ""); return err },
		"AddResync": func(ctx context.Context) error {
			_, err := f.AddResync(ctx, state.Resync{Pipeline: shop, Stream: stream})
			return err
		},
		"Resync": func(ctx context.Context) error { _, err := f.Resync(ctx, shop, 1); return err },
		"Resyncs": func(ctx context.Context) error {
			_, err := f.Resyncs(ctx, shop, state.ResyncFilter{Limit: 1})
			return err
		},
		"RecordsByParent": func(ctx context.Context) error {
			_, err := f.RecordsByParent(ctx, shop, "a", "", 1)
			return err
		},
		"RecordsByParent of none": func(ctx context.Context) error {
			_, err := f.RecordsByParent(ctx, shop, "", "", 1)
			return err
		},
		"Claims":           func(ctx context.Context) error { _, err := f.Claims(ctx, shop, true, "", 1); return err },
		"ClaimsOf":         func(ctx context.Context) error { _, err := f.ClaimsOf(ctx, shop, []string{"a"}); return err },
		"ClaimsOf of none": func(ctx context.Context) error { _, err := f.ClaimsOf(ctx, shop, nil); return err },
		"ResolvedRecords": func(ctx context.Context) error {
			_, err := f.ResolvedRecords(ctx, shop, state.RecordRef{}, 1)
			return err
		},
		"RecordsByCopernicaID": func(ctx context.Context) error {
			_, err := f.RecordsByCopernicaID(ctx, shop, state.Profile, 1)
			return err
		},
		"RecordsByCopernicaID of none": func(ctx context.Context) error {
			_, err := f.RecordsByCopernicaID(ctx, shop, state.Profile)
			return err
		},
		"Letters of none": func(ctx context.Context) error {
			_, err := f.Letters(ctx, shop, state.LetterFilter{Keys: []string{""}, Limit: 1})
			return err
		},
		"Unclaimed": func(ctx context.Context) error { _, err := f.Unclaimed(ctx, shop, "", 1); return err },
		"OptOuts":   func(ctx context.Context) error { _, err := f.OptOuts(ctx, shop, "", 1); return err },
		"OptOuts nobody's": func(ctx context.Context) error {
			_, err := f.OptOuts(ctx, shop, "a\x00", 1)
			return err
		},
		"DoublesByID": func(ctx context.Context) error { _, err := f.DoublesByID(ctx, shop, state.Profile, 1); return err },
		"Commit of what stands below": func(ctx context.Context) error {
			_, err := f.Commit(ctx, l, state.Commit{Moves: []state.Move{{From: "a", To: "b"}}, Bare: []string{"b"}})
			return err
		},
		"Tombstones": func(ctx context.Context) error {
			_, err := f.Tombstones(ctx, shop, []state.Hash{hashOf(1)})
			return err
		},
		"Tombstones of none": func(ctx context.Context) error { _, err := f.Tombstones(ctx, shop, nil); return err },
		"TombstonesAfter": func(ctx context.Context) error {
			_, err := f.TombstonesAfter(ctx, shop, state.Hash{}, 1)
			return err
		},
		"EmailsOf":         func(ctx context.Context) error { _, err := f.EmailsOf(ctx, shop, []string{"a"}); return err },
		"EmailsOf of none": func(ctx context.Context) error { _, err := f.EmailsOf(ctx, shop, nil); return err },
		"AddTombstones": func(ctx context.Context) error {
			return f.AddTombstones(ctx, shop, []state.Tombstone{{Person: hashOf(1), At: at(1)}})
		},
		"Erasures":  func(ctx context.Context) error { _, err := f.Erasures(ctx, shop, "", 1); return err },
		"EndResync": func(ctx context.Context) error { return f.EndResync(ctx, shop, 1, state.ResyncDone) },
		"Letters": func(ctx context.Context) error {
			_, err := f.Letters(ctx, shop, state.LetterFilter{Open: true, Limit: 1})
			return err
		},
	}
}

func testCancelled(t *testing.T, f *fixture) {
	l := f.acquire(t)
	if _, err := f.StartRun(t.Context(), state.Run{Pipeline: shop, Stream: stream}); err != nil {
		t.Fatal(err)
	}
	keys := []string{"shop-c1"}
	before := f.snapshot(t, keys, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range calls(f, l) {
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	same(t, "after cancelled calls", before, f.snapshot(t, keys, nil))
	f.commit(t, l, state.Commit{})
	f.acquireFor(t, other, "them")
}

// A call that is cancelled while it runs either did all or nothing, and the store
// works on.
func testCancelledMidway(t *testing.T, f *fixture) {
	l := f.acquire(t)
	keys := keysOf(300)
	for round := range int64(20) {
		c := state.Commit{Checkpoint: &state.Checkpoint{Stream: stream}}
		cp, err := f.Checkpoint(t.Context(), shop, stream)
		if err != nil {
			t.Fatal(err)
		}
		c.Checkpoint.Version, c.Checkpoint.Position.ID = cp.Version, round
		for _, key := range keys {
			c.Records = append(c.Records, acknowledged(key, round))
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for range round * 2 { // a little later each round
				if _, err := f.Checkpoint(t.Context(), shop, stream); err != nil {
					t.Error(err)
				}
			}
			cancel()
		})
		_, err = f.Commit(ctx, l, c)
		wg.Wait()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("round %d: %v", round, err)
		}
		committed := err == nil
		after, err := f.Checkpoint(t.Context(), shop, stream)
		if err != nil {
			t.Fatal(err)
		}
		if moved := after.Version == cp.Version+1; moved != committed {
			t.Fatalf("round %d: committed %v, but the checkpoint moved %v", round, committed, moved)
		}
		rows, err := f.Records(t.Context(), shop, state.Profile, keys)
		if err != nil {
			t.Fatal(err)
		}
		for key, r := range rows {
			if (r.SourceID == round) != committed {
				t.Fatalf("round %d: committed %v, but %s is of round %d", round, committed, key, r.SourceID)
			}
		}
	}
}

// A process that ends without releasing anything leaves what it committed.
func testTorn(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	run, err := f.StartRun(ctx, state.Run{Pipeline: shop, Stream: stream, Fence: l.Fence})
	if err != nil {
		t.Fatal(err)
	}
	cp := f.commit(t, l, state.Commit{
		Checkpoint: &state.Checkpoint{Stream: stream, Position: state.Position{ID: 7}},
		Records:    []state.Record{acknowledged("shop-c1", 1)},
	})
	planned := state.Record{Entity: state.Profile, Key: "shop-c2", State: state.Planned}
	if err := f.Plan(ctx, l, []state.Record{planned}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	f = f.reopen(t)
	got, err := f.Checkpoint(ctx, shop, stream)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "checkpoint", cp, got)
	if _, ok := f.record(t, "shop-c1"); !ok {
		t.Error("an acknowledged row is gone")
	}
	if _, ok := f.record(t, "shop-c2"); !ok {
		t.Error("a planned row is gone")
	}
	next, err := f.Acquire(ctx, shop, "successor", ttl)
	if !f.suite.TakesOverDead {
		if _, ok := errors.AsType[*state.HeldError](err); !ok {
			t.Fatalf("the lease did not outlive its process: %v", err)
		}
		f.clock.advance(ttl)
		next, err = f.Acquire(ctx, shop, "successor", ttl)
	}
	if err != nil {
		t.Fatal(err)
	}
	if next.Fence <= l.Fence {
		t.Errorf("fence %d after %d", next.Fence, l.Fence)
	}
	runs, err := f.Runs(ctx, shop, state.RunFilter{Limit: 1})
	if err != nil || len(runs) != 1 || runs[0].ID != run || runs[0].Outcome != state.Abandoned {
		t.Errorf("the run of the dead process: %+v, %v", runs, err)
	}
	refused(t, f, l)
	f.commit(t, next, state.Commit{})
}

func testTwoProcesses(t *testing.T, f *fixture) {
	ctx := t.Context()
	second := f.reopen(t)
	l := f.acquire(t)
	_, err := second.Acquire(ctx, shop, "second", ttl)
	if e, ok := errors.AsType[*state.HeldError](err); !ok || e.Holder != l.Holder {
		t.Fatalf("the second process: %v", err)
	}
	// What one commits the other sees at once.
	for i := range int64(5) {
		cp := f.commit(t, l, state.Commit{
			Checkpoint: &state.Checkpoint{Stream: stream, Version: i},
			Records:    []state.Record{acknowledged("shop-c1", i)},
		})
		seen, err := second.Checkpoint(ctx, shop, stream)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "seen by the second process", cp, seen)
		if r, _ := second.record(t, "shop-c1"); r.SourceID != i {
			t.Errorf("the second process sees row %d, not %d", r.SourceID, i)
		}
	}
	// A holder that hangs past its lease is overtaken, and refused when it wakes.
	f.clock.advance(ttl)
	next := second.acquireFor(t, shop, "second")
	refused(t, f, l)
	second.commit(t, next, state.Commit{})
	// The overtaken process may come back, but not before the lease is over.
	if _, err := f.Acquire(ctx, shop, "first", ttl); err == nil {
		t.Fatal("the overtaken process took the lease back")
	}
	if next, err = second.Renew(ctx, next, ttl); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Acquire(ctx, shop, "first", ttl); err == nil {
		t.Fatal("the overtaken process took the renewed lease")
	}
	if err := second.Release(ctx, next); err != nil {
		t.Fatal(err)
	}
	f.commit(t, f.acquireFor(t, shop, "first"), state.Commit{})
}

func testLostUpdateBetween(t *testing.T, f *fixture) {
	const many = 32
	stores := []*fixture{f, f.reopen(t)}
	l := f.acquire(t)
	var (
		wg   sync.WaitGroup
		wins atomic.Int64
	)
	for i := range int64(2 * many) {
		wg.Go(func() {
			cp := state.Checkpoint{Stream: stream, Position: state.Position{ID: i}}
			// The lease is a plain value: what it allows, the database decides.
			_, err := stores[i%2].Commit(t.Context(), l, state.Commit{Checkpoint: &cp})
			switch {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, state.ErrConflict):
				t.Errorf("committer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("%d committers won", wins.Load())
	}
}

func testFenceSurvives(t *testing.T, f *fixture) {
	last := int64(0)
	for i := range 4 {
		l := f.acquireFor(t, shop, fmt.Sprint("process-", i))
		if l.Fence <= last {
			t.Fatalf("fence %d after %d", l.Fence, last)
		}
		last = l.Fence
		if err := f.Release(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		f = f.reopen(t)
	}
}

func testHasherSurvives(t *testing.T, f *fixture) {
	want := f.Hasher().Sum("profile", "content")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = f.reopen(t)
	if f.Hasher().Sum("profile", "content") != want {
		t.Error("a reopened database hashes otherwise: everything would be written again")
	}
}
