package statetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/state"
)

func testVersions(t *testing.T, f *fixture) {
	ctx := t.Context()
	cp, err := f.Checkpoint(ctx, shop, stream)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "checkpoint never saved", state.Checkpoint{Pipeline: shop, Stream: stream}, cp)

	l := f.acquire(t)
	for i := range int64(4) {
		cp.Position.ID = i
		f.clock.advance(time.Second)
		saved := f.commit(t, l, state.Commit{Checkpoint: &cp})
		if cp.Version != i {
			t.Errorf("the caller's checkpoint was changed to version %d", cp.Version)
		}
		want := state.Checkpoint{Pipeline: shop, Stream: stream, Version: i + 1, Position: state.Position{ID: i}, SavedAt: f.clock.ms()}
		same(t, "saved", want, saved)
		if cp, err = f.Checkpoint(ctx, shop, stream); err != nil {
			t.Fatal(err)
		}
		same(t, "read again", want, cp)
	}
	for _, version := range []int64{0, 3, 5, -1} {
		stale := state.Checkpoint{Stream: stream, Version: version}
		if _, err := f.Commit(ctx, l, state.Commit{Checkpoint: &stale}); !errors.Is(err, state.ErrConflict) {
			t.Errorf("version %d over 4: %v", version, err)
		}
	}
	never := state.Checkpoint{Stream: "orders", Version: 1}
	if _, err := f.Commit(ctx, l, state.Commit{Checkpoint: &never}); !errors.Is(err, state.ErrConflict) {
		t.Errorf("version 1 over none: %v", err)
	}
	nameless := state.Checkpoint{}
	if _, err := f.Commit(ctx, l, state.Commit{Checkpoint: &nameless}); err == nil {
		t.Error("a checkpoint without a stream")
	}
}

func testLostUpdate(t *testing.T, f *fixture) {
	l := f.acquire(t)
	cp := f.commit(t, l, state.Commit{Checkpoint: &state.Checkpoint{Stream: stream}})
	one, two := cp, cp
	one.Position.ID, two.Position.ID = 1, 2
	f.commit(t, l, state.Commit{Checkpoint: &one})
	if _, err := f.Commit(t.Context(), l, state.Commit{Checkpoint: &two}); !errors.Is(err, state.ErrConflict) {
		t.Errorf("the second committer: %v", err)
	}
	got, err := f.Checkpoint(t.Context(), shop, stream)
	if err != nil || got.Position.ID != 1 || got.Version != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func testOneWins(t *testing.T, f *fixture) {
	const many = 64
	l := f.acquire(t)
	for round := range int64(3) {
		var (
			wg     sync.WaitGroup
			winner atomic.Int64
			wins   atomic.Int64
		)
		for i := range int64(many) {
			wg.Go(func() {
				cp := state.Checkpoint{Stream: stream, Version: round, Position: state.Position{ID: i}}
				_, err := f.Commit(t.Context(), l, state.Commit{
					Checkpoint: &cp,
					Records:    []state.Record{acknowledged("shop-c1", i)},
				})
				switch {
				case err == nil:
					winner.Store(i)
					wins.Add(1)
				case !errors.Is(err, state.ErrConflict):
					t.Errorf("committer %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("round %d: %d of %d committers won", round, wins.Load(), many)
		}
		cp, err := f.Checkpoint(t.Context(), shop, stream)
		if err != nil || cp.Position.ID != winner.Load() {
			t.Errorf("round %d: the winner is %d, the checkpoint %+v, %v", round, winner.Load(), cp, err)
		}
		if r, _ := f.record(t, "shop-c1"); r.SourceID != winner.Load() {
			t.Errorf("round %d: the winner is %d, the row that of %d", round, winner.Load(), r.SourceID)
		}
	}
}

// Each of many writers reads, adds one, and tries again after a conflict.
func testNoneLost(t *testing.T, f *fixture) {
	const many, steps = 8, 10
	l := f.acquire(t)
	var wg sync.WaitGroup
	for range many {
		wg.Go(func() {
			for range steps {
				for {
					cp, err := f.Checkpoint(t.Context(), shop, stream)
					if err != nil {
						t.Error(err)
						return
					}
					cp.Position.ID++
					_, err = f.Commit(t.Context(), l, state.Commit{Checkpoint: &cp})
					if err == nil {
						break
					}
					if !errors.Is(err, state.ErrConflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	cp, err := f.Checkpoint(t.Context(), shop, stream)
	if err != nil || cp.Position.ID != many*steps || cp.Version != many*steps {
		t.Errorf("got %+v, %v", cp, err)
	}
}

func testStreamsApart(t *testing.T, f *fixture) {
	mine, theirs := f.acquire(t), f.acquireFor(t, other, "me")
	for i := range 3 {
		f.commit(t, mine, state.Commit{Checkpoint: &state.Checkpoint{Stream: stream, Version: int64(i)}})
	}
	f.commit(t, mine, state.Commit{Checkpoint: &state.Checkpoint{Stream: "orders"}})
	f.commit(t, theirs, state.Commit{Checkpoint: &state.Checkpoint{Stream: stream}})
	got := make(map[string]int64)
	for _, p := range []string{shop, other} {
		for _, s := range []string{stream, "orders"} {
			cp, err := f.Checkpoint(t.Context(), p, s)
			if err != nil {
				t.Fatal(err)
			}
			got[p+" "+s] = cp.Version
		}
	}
	same(t, "versions", map[string]int64{"shop customers": 3, "shop orders": 1, "other customers": 1, "other orders": 0}, got)
}

// snapshot is everything a commit may touch.
type snapshot struct {
	Checkpoint state.Checkpoint
	Records    map[string]state.Record
	Emails     map[state.Hash][]state.Email
	Letters    []state.DeadLetter
	Runs       []state.Run
	Overview   state.Overview
}

func (f *fixture) snapshot(t *testing.T, keys []string, hashes []state.Hash) snapshot {
	t.Helper()
	var (
		s    snapshot
		errs [6]error
		ctx  = t.Context()
	)
	s.Checkpoint, errs[0] = f.Checkpoint(ctx, shop, stream)
	s.Records, errs[1] = f.Records(ctx, shop, state.Profile, keys)
	s.Emails, errs[2] = f.Emails(ctx, shop, hashes)
	s.Letters, errs[3] = f.Letters(ctx, shop, state.LetterFilter{Open: true, Limit: 100})
	s.Runs, errs[4] = f.Runs(ctx, shop, state.RunFilter{Limit: 100})
	s.Overview, errs[5] = f.Overview(ctx, shop)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return s
}

func testAtomic(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	run, err := f.StartRun(ctx, state.Run{Pipeline: shop, Stream: stream, Fence: l.Fence})
	if err != nil {
		t.Fatal(err)
	}
	planned := state.Record{Entity: state.Profile, Key: "shop-c2", State: state.Planned}
	if err := f.Plan(ctx, l, []state.Record{planned}); err != nil {
		t.Fatal(err)
	}
	cp := f.commit(t, l, state.Commit{
		Checkpoint: &state.Checkpoint{Stream: stream},
		Records:    []state.Record{acknowledged("shop-c1", 1)},
		Emails:     []state.Email{{Hash: hashOf(1), Key: "shop-c1", Website: 1}},
		Letters:    []state.DeadLetter{refusal("shop-c3", "refused")},
	})

	// whole is a commit that touches everything; each case spoils one part of it.
	whole := func() state.Commit {
		next := cp
		next.Position.ID = 77
		return state.Commit{
			Checkpoint: &next,
			Records:    []state.Record{acknowledged("shop-c1", 5), acknowledged("shop-c3", 3)},
			Forget:     []state.RecordRef{{Entity: state.Profile, Key: "shop-c2"}},
			Emails:     []state.Email{{Hash: hashOf(2), Key: "shop-c1", Website: 2}},
			Letters:    []state.DeadLetter{refusal("shop-c4", "refused")},
			Run:        &state.Run{ID: run, Pipeline: shop, Stream: stream, Outcome: state.Done},
			Adopting:   true,
		}
	}
	keys, hashes := []string{"shop-c1", "shop-c2", "shop-c3", "shop-c4"}, []state.Hash{hashOf(1), hashOf(2)}
	before := f.snapshot(t, keys, hashes)
	for name, spoil := range map[string]func(*state.Commit){
		"a checkpoint that moved":  func(c *state.Commit) { c.Checkpoint.Version++ },
		"a run that is not there":  func(c *state.Commit) { c.Run.ID += 1000 },
		"a row in no known state":  func(c *state.Commit) { c.Records[1].State = "lost" },
		"a row without a key":      func(c *state.Commit) { c.Records[1].Key = "" },
		"a row without an entity":  func(c *state.Commit) { c.Records[1].Entity = "" },
		"a letter without a key":   func(c *state.Commit) { c.Letters[0].Key = "" },
		"an e-mail without a key":  func(c *state.Commit) { c.Emails[0].Key = "" },
		"a run in no known state":  func(c *state.Commit) { c.Run.Outcome = "lost" },
		"a checkpoint of nowhere":  func(c *state.Commit) { c.Checkpoint.Stream = "" },
		"another pipeline's run":   func(c *state.Commit) { c.Run.Pipeline = other },
		"another one's letter":     func(c *state.Commit) { c.Letters[0].Pipeline = other },
		"another one's checkpoint": func(c *state.Commit) { c.Checkpoint.Pipeline = other },
	} {
		c := whole()
		spoil(&c)
		if got, err := f.Commit(ctx, l, c); err == nil {
			t.Fatalf("%s was accepted", name)
		} else if got != (state.Checkpoint{}) {
			t.Errorf("%s: a checkpoint came with the error: %+v", name, got)
		}
		same(t, "left behind by "+name, before, f.snapshot(t, keys, hashes))
	}
	f.commit(t, l, whole())
	if diff := cmp.Diff(before, f.snapshot(t, keys, hashes)); diff == "" {
		t.Error("the whole commit left nothing behind, so this test shows nothing")
	}
}

func testForeignCommit(t *testing.T, f *fixture) {
	mine, theirs := f.acquire(t), f.acquireFor(t, other, "me")
	row := []state.Record{acknowledged("shop-c1", 1)}
	f.commit(t, theirs, state.Commit{Records: row})
	if _, ok := f.record(t, "shop-c1"); ok {
		t.Error("a commit under the other pipeline's lease wrote here")
	}
	f.commit(t, mine, state.Commit{Records: row})
	if _, ok := f.record(t, "shop-c1"); !ok {
		t.Error("the row is missing")
	}
}

func testEmptyCommit(t *testing.T, f *fixture) {
	if cp := f.commit(t, f.acquire(t), state.Commit{}); cp != (state.Checkpoint{}) {
		t.Errorf("an empty commit returned %+v", cp)
	}
}

// keysOf are n keys.
func keysOf(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("shop-c%d", i)
	}
	return keys
}
