package statetest

import (
	"errors"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// addResync adds a request and returns it as it is to be read.
func (f *fixture) addResync(t *testing.T, r state.Resync) state.Resync {
	t.Helper()
	id, err := f.AddResync(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if r.Created.IsZero() {
		r.Created = f.clock.ms()
	}
	r.ID, r.State, r.Ended = id, state.ResyncOpen, time.Time{}
	return r
}

func testResyncs(t *testing.T, f *fixture) {
	ctx := t.Context()
	whole := fill[state.Resync](t, 900)
	whole.Pipeline = shop
	first := f.addResync(t, whole)
	bare := f.addResync(t, state.Resync{Pipeline: shop, Stream: stream})
	theirs := f.addResync(t, state.Resync{Pipeline: other, Stream: stream, IDs: []int64{3, 1, 2}})
	everyFieldSet(t, whole)
	if first.ID >= bare.ID {
		t.Errorf("ids do not grow: %d, then %d", first.ID, bare.ID)
	}
	for _, want := range []state.Resync{first, bare, theirs} {
		got, err := f.Resync(ctx, want.Pipeline, want.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "resync", want, got)
	}

	f.clock.advance(time.Hour)
	if err := f.EndResync(ctx, shop, first.ID, state.ResyncDone); err != nil {
		t.Fatal(err)
	}
	first.State, first.Ended = state.ResyncDone, f.clock.ms()
	for name, test := range map[string]struct {
		filter state.ResyncFilter
		want   []state.Resync
	}{
		"all":      {state.ResyncFilter{Limit: 10}, []state.Resync{bare, first}},
		"newest":   {state.ResyncFilter{Limit: 1}, []state.Resync{bare}},
		"open":     {state.ResyncFilter{Open: true, Limit: 10}, []state.Resync{bare}},
		"no limit": {state.ResyncFilter{}, nil},
	} {
		got, err := f.Resyncs(ctx, shop, test.filter)
		if err != nil {
			t.Fatal(err)
		}
		same(t, name, test.want, got)
	}
	if got, err := f.Resyncs(ctx, "never-opened", state.ResyncFilter{Limit: 10}); err != nil || got != nil {
		t.Errorf("of a pipeline that was never opened: %v, %v", got, err)
	}
}

func testResyncErrors(t *testing.T, f *fixture) {
	ctx := t.Context()
	one := f.addResync(t, state.Resync{Pipeline: shop, Stream: stream})
	if err := f.EndResync(ctx, shop, one.ID, state.ResyncCancelled); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		pipeline string
		id       int64
		as       state.ResyncState
		want     error
	}{
		"cancelled, then done":    {shop, one.ID, state.ResyncDone, state.ErrResyncEnded},
		"cancelled twice":         {shop, one.ID, state.ResyncCancelled, state.ErrResyncEnded},
		"unknown":                 {shop, one.ID + 1, state.ResyncDone, state.ErrNoResync},
		"of another pipeline":     {other, one.ID, state.ResyncDone, state.ErrNoResync},
		"of no pipeline":          {"never-opened", one.ID, state.ResyncDone, state.ErrNoResync},
		"opened again is not one": {shop, one.ID, state.ResyncOpen, nil},
	} {
		err := f.EndResync(ctx, test.pipeline, test.id, test.as)
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v, not %v", name, err, test.want)
		}
	}
	for _, id := range []int64{0, -1, one.ID + 1} {
		if r, err := f.Resync(ctx, shop, id); !errors.Is(err, state.ErrNoResync) {
			t.Errorf("resync %d: %+v, %v", id, r, err)
		}
	}
	for name, r := range map[string]state.Resync{
		"pipeline": {Pipeline: "never-opened", Stream: stream}, "stream": {Pipeline: shop}, "text": {Pipeline: shop, Stream: "a\x00b"},
	} {
		if id, err := f.AddResync(ctx, r); err == nil {
			t.Errorf("%s: resync %d was added", name, id)
		}
	}
	if _, err := f.AddResync(ctx, state.Resync{Pipeline: "never-opened", Stream: stream}); !errors.Is(err, state.ErrNoPipeline) {
		t.Errorf("a pipeline that was never opened: %v", err)
	}
	got, err := f.Resync(ctx, shop, one.ID)
	if err != nil || got.State != state.ResyncCancelled {
		t.Errorf("after all of that: %+v, %v", got, err)
	}
}
