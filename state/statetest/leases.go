package statetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
)

func testTarget(t *testing.T, f *fixture) {
	ctx := t.Context()
	want := state.Pipeline{Name: shop, Target: shop + " database"}
	for range 2 {
		got, err := f.OpenPipeline(ctx, want)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "pipeline", want, got)
	}
	_, err := f.OpenPipeline(ctx, state.Pipeline{Name: shop, Target: "elsewhere", Adopting: true})
	e, ok := errors.AsType[*state.TargetError](err)
	if !ok {
		t.Fatalf("another target was accepted: %v", err)
	}
	same(t, "error", &state.TargetError{Pipeline: shop, Have: want.Target, Want: "elsewhere"}, e)
	same(t, "message", e.Error(), err.Error())
	got, err := f.OpenPipeline(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "pipeline after a refusal", want, got)
}

func testTargetComesLater(t *testing.T, f *fixture) {
	ctx := t.Context()
	const name = "later"
	for _, step := range []struct{ target, want string }{{"", ""}, {"a database", "a database"}, {"", "a database"}, {"a database", "a database"}} {
		got, err := f.OpenPipeline(ctx, state.Pipeline{Name: name, Target: step.target})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "target", step.want, got.Target)
	}
	if _, err := f.OpenPipeline(ctx, state.Pipeline{Name: name, Target: "another"}); err == nil {
		t.Error("a target that was set could be changed")
	}
	all, err := f.Pipelines(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(all, state.Pipeline{Name: name, Target: "a database"}) || !slices.IsSortedFunc(all, func(a, b state.Pipeline) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("pipelines %+v", all)
	}
}

func testAdopting(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := state.Pipeline{Name: shop, Target: shop + " database"}
	f.commit(t, f.acquire(t), state.Commit{Adopting: true})
	got, err := f.OpenPipeline(ctx, p)
	if err != nil || !got.Adopting {
		t.Errorf("adopting was not kept by a commit: %+v, %v", got, err)
	}
	o, err := f.OpenPipeline(ctx, state.Pipeline{Name: other, Target: other + " database"})
	if err != nil || o.Adopting {
		t.Errorf("the other pipeline is adopting as well: %+v, %v", o, err)
	}
	p = state.Pipeline{Name: other, Target: other + " database", Adopting: true}
	if got, err = f.OpenPipeline(ctx, p); err != nil || !got.Adopting {
		t.Errorf("adopting was not set at opening: %+v, %v", got, err)
	}
	p.Adopting = false
	if got, err = f.OpenPipeline(ctx, p); err != nil || !got.Adopting {
		t.Errorf("adopting was taken back: %+v, %v", got, err)
	}
}

func testPipelineNames(t *testing.T, f *fixture) {
	for _, name := range []string{"", "nul\x00", "bad\xff"} {
		if _, err := f.OpenPipeline(t.Context(), state.Pipeline{Name: name, Target: "x"}); err == nil {
			t.Errorf("the name %q was accepted", name)
		}
	}
	odd := "../we'ird \"name\" % é"
	if _, err := f.OpenPipeline(t.Context(), state.Pipeline{Name: odd, Target: "x"}); err != nil {
		t.Fatal(err)
	}
	l := f.acquireFor(t, odd, "me")
	if _, err := f.Acquire(t.Context(), odd, "you", ttl); err == nil {
		t.Error("two hold one pipeline")
	}
	if err := f.Release(t.Context(), l); err != nil {
		t.Error(err)
	}
}

func testLeaseNeedsPipeline(t *testing.T, f *fixture) {
	if _, err := f.Acquire(t.Context(), "never-opened", "me", ttl); !errors.Is(err, state.ErrNoPipeline) {
		t.Errorf("got %v", err)
	}
}

func testLeaseHeld(t *testing.T, f *fixture) {
	l := f.acquire(t)
	same(t, "lease", state.Lease{Pipeline: shop, Holder: "host-1:100", Fence: l.Fence, Expires: f.clock.ms().Add(ttl)}, l)
	if l.Fence < 1 {
		t.Errorf("fence %d", l.Fence)
	}
	for _, holder := range []string{"host-2:7", "host-1:100"} {
		_, err := f.Acquire(t.Context(), shop, holder, ttl)
		e, ok := errors.AsType[*state.HeldError](err)
		if !ok {
			t.Fatalf("%s got a lease that is held: %v", holder, err)
		}
		same(t, "error", &state.HeldError{Pipeline: shop, Holder: "host-1:100", Expires: l.Expires}, e)
		same(t, "message", e.Error(), err.Error())
	}
	// Being asked for changed nothing.
	f.commit(t, l, state.Commit{})
}

func testLeaseExpiry(t *testing.T, f *fixture) {
	first := f.acquire(t)
	f.clock.advance(first.Expires.Sub(f.clock.Now()) - time.Millisecond)
	if _, err := f.Acquire(t.Context(), shop, "next", ttl); err == nil {
		t.Fatal("the lease was taken before it expired")
	}
	f.clock.advance(time.Millisecond)
	second := f.acquireFor(t, shop, "next")
	if second.Fence <= first.Fence {
		t.Errorf("fence %d after %d", second.Fence, first.Fence)
	}
}

func testLeaseRanOut(t *testing.T, f *fixture) {
	l := f.acquire(t)
	f.clock.advance(ttl)
	refused(t, f, l)
	again := f.acquire(t)
	if again.Fence <= l.Fence {
		t.Errorf("fence %d after %d", again.Fence, l.Fence)
	}
	f.commit(t, again, state.Commit{})
}

func testOldHolder(t *testing.T, f *fixture) {
	old := f.acquire(t)
	f.clock.advance(ttl)
	l := f.acquireFor(t, shop, "next")
	f.commit(t, l, state.Commit{Records: []state.Record{acknowledged("shop-c1", 1)}})
	refused(t, f, old)

	// Neither the right holder with an old fence nor the right fence with another
	// holder is the lease.
	for _, forged := range []state.Lease{
		{Pipeline: shop, Holder: l.Holder, Fence: old.Fence, Expires: l.Expires},
		{Pipeline: shop, Holder: old.Holder, Fence: l.Fence, Expires: l.Expires},
		{Pipeline: shop, Holder: l.Holder, Fence: l.Fence + 1, Expires: l.Expires},
		{Pipeline: other, Holder: l.Holder, Fence: l.Fence, Expires: l.Expires},
		{},
	} {
		refused(t, f, forged)
	}
	got, ok := f.record(t, "shop-c1")
	if !ok {
		t.Fatal("the new holder's row is gone")
	}
	same(t, "row of the new holder", acknowledged("shop-c1", 1), got)
	f.commit(t, l, state.Commit{})
}

// refused checks that every write under a lease returns ErrFenced and leaves nothing.
func refused(t *testing.T, f *fixture, l state.Lease) {
	t.Helper()
	ctx := t.Context()
	cp, err := f.Checkpoint(ctx, shop, stream)
	if err != nil {
		t.Fatal(err)
	}
	row := state.Record{Entity: state.Profile, Key: "shop-c1", State: state.Planned, Attempts: 99}
	if err := f.Plan(ctx, l, []state.Record{row}); !errors.Is(err, state.ErrFenced) {
		t.Errorf("plan: %v", err)
	}
	if err := f.Plan(ctx, l, nil); !errors.Is(err, state.ErrFenced) {
		t.Errorf("empty plan: %v", err)
	}
	next := state.Checkpoint{Stream: stream, Version: cp.Version, Position: state.Position{ID: 99}}
	if _, err := f.Commit(ctx, l, state.Commit{Checkpoint: &next, Records: []state.Record{row}}); !errors.Is(err, state.ErrFenced) {
		t.Errorf("commit: %v", err)
	}
	if _, err := f.Commit(ctx, l, state.Commit{}); !errors.Is(err, state.ErrFenced) {
		t.Errorf("empty commit: %v", err)
	}
	if _, err := f.Renew(ctx, l, ttl); !errors.Is(err, state.ErrFenced) {
		t.Errorf("renew: %v", err)
	}
	after, err := f.Checkpoint(ctx, shop, stream)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "checkpoint after a refusal", cp, after)
	if r, ok := f.record(t, "shop-c1"); ok && r.Attempts == 99 {
		t.Error("a refused write left its row")
	}
}

func testRenew(t *testing.T, f *fixture) {
	l := f.acquire(t)
	for range 5 {
		f.clock.advance(ttl - time.Second)
		renewed, err := f.Renew(t.Context(), l, ttl)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "lease", state.Lease{Pipeline: shop, Holder: l.Holder, Fence: l.Fence, Expires: f.clock.ms().Add(ttl)}, renewed)
		if _, err := f.Acquire(t.Context(), shop, "next", ttl); err == nil {
			t.Fatal("a renewed lease was taken")
		}
	}
	// Expires is for the caller's eyes: what counts is the row.
	f.commit(t, l, state.Commit{})
}

func testRelease(t *testing.T, f *fixture) {
	ctx := t.Context()
	first := f.acquire(t)
	if err := f.Release(ctx, first); err != nil {
		t.Fatal(err)
	}
	refused(t, f, first)
	second := f.acquire(t) // the same holder's next lease
	if second.Fence <= first.Fence {
		t.Errorf("fence %d after %d", second.Fence, first.Fence)
	}
	// Releasing again, late, takes nothing from the successor.
	if err := f.Release(ctx, first); err != nil {
		t.Error(err)
	}
	f.commit(t, second, state.Commit{})
	if err := f.Release(ctx, second); err != nil {
		t.Error(err)
	}
	if err := f.Release(ctx, second); err != nil {
		t.Error(err)
	}
	if err := f.Release(ctx, state.Lease{Pipeline: "never-opened", Holder: "me", Fence: 1}); err != nil {
		t.Error(err)
	}
}

func testFenceGrows(t *testing.T, f *fixture) {
	last := int64(0)
	for i := range 20 {
		l := f.acquireFor(t, shop, fmt.Sprint("holder-", i%3))
		if l.Fence <= last {
			t.Fatalf("fence %d after %d", l.Fence, last)
		}
		last = l.Fence
		if i%2 == 0 {
			if err := f.Release(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		} else {
			f.clock.advance(ttl)
		}
	}
}

func testLeasesApart(t *testing.T, f *fixture) {
	one, two := f.acquire(t), f.acquireFor(t, other, "host-1:100")
	f.commit(t, one, state.Commit{})
	f.commit(t, two, state.Commit{})
	if err := f.Release(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	f.commit(t, two, state.Commit{})
}

func testAcquireAtOnce(t *testing.T, f *fixture) {
	const many = 64
	var (
		wg   sync.WaitGroup
		wins atomic.Int64
	)
	for i := range many {
		wg.Go(func() {
			_, err := f.Acquire(t.Context(), shop, fmt.Sprint("holder-", i), ttl)
			if err == nil {
				wins.Add(1)
			} else if _, ok := errors.AsType[*state.HeldError](err); !ok {
				t.Errorf("holder %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("%d of %d hold the lease", wins.Load(), many)
	}
}

func testLeaseArguments(t *testing.T, f *fixture) {
	ctx := t.Context()
	if _, err := f.Acquire(ctx, shop, "", ttl); err == nil {
		t.Error("a lease without a holder")
	}
	for _, d := range []time.Duration{0, -time.Second} {
		if _, err := f.Acquire(ctx, shop, "me", d); err == nil {
			t.Errorf("a lease for %s", d)
		}
	}
	l := f.acquire(t)
	if _, err := f.Renew(ctx, l, 0); err == nil {
		t.Error("renewed for no time")
	}
	f.commit(t, l, state.Commit{})
}

func testAbandoned(t *testing.T, f *fixture) {
	ctx := t.Context()
	old := f.acquire(t)
	start := func(pipeline string, l state.Lease, outcome state.RunOutcome) int64 {
		t.Helper()
		id, err := f.StartRun(ctx, state.Run{Pipeline: pipeline, Stream: stream, Holder: l.Holder, Fence: l.Fence, Outcome: outcome})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	dead, done := start(shop, old, state.Running), start(shop, old, state.Done)
	elsewhere := start(other, f.acquireFor(t, other, "me"), state.Running)
	f.clock.advance(ttl)
	l := f.acquireFor(t, shop, "next")
	mine := start(shop, l, state.Running)

	outcomes := make(map[int64]state.RunOutcome)
	for _, p := range []string{shop, other} {
		runs, err := f.Runs(ctx, p, state.RunFilter{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			outcomes[r.ID] = r.Outcome
			if r.Outcome == state.Abandoned && !r.Ended.Equal(f.clock.ms()) {
				t.Errorf("the abandoned run ended %s", r.Ended)
			}
		}
	}
	same(t, "outcomes", map[int64]state.RunOutcome{
		dead: state.Abandoned, done: state.Done, mine: state.Running, elsewhere: state.Running,
	}, outcomes)
}
