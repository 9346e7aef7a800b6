package statetest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/magento-copernica/syncd/state"
)

func testLetters(t *testing.T, f *fixture) {
	l := f.acquire(t)
	f.commit(t, l, state.Commit{
		Records: []state.Record{{Entity: state.Profile, Key: "shop-c1", State: state.Refused, Refused: hashOf(1)}},
		Letters: []state.DeadLetter{refusal("shop-c1", "too_long"), refusal("shop-c2", "email_empty")},
	})
	opened := f.clock.ms()
	letters := f.letters(t)
	if len(letters) != 2 {
		t.Fatalf("%d letters", len(letters))
	}
	first := letters[1]
	if first.Key != "shop-c1" {
		first = letters[0]
	}
	want := refusal("shop-c1", "too_long")
	want.ID, want.Pipeline, want.Attempts, want.FirstSeen, want.LastSeen = first.ID, shop, 1, opened, opened
	same(t, "opened, with defaults", want, first)

	// Seen again: one letter, counted up, with what is known now.
	f.clock.advance(time.Hour)
	again := state.DeadLetter{
		Stream: "resync", Entity: state.Profile, Key: "shop-c1", SourceID: 8, Cause: "refused", Message: "no", Fix: "do",
		Content: hashOf(2), RunID: 9, Attempts: 40, FirstSeen: f.clock.Now(), LastSeen: f.clock.Now().Add(time.Minute),
	}
	f.commit(t, l, state.Commit{Letters: []state.DeadLetter{again}})
	want = again
	want.ID, want.Pipeline, want.Attempts, want.FirstSeen = first.ID, shop, 2, opened
	want.LastSeen = again.LastSeen.Truncate(time.Millisecond)
	letters = f.letters(t)
	if len(letters) != 2 {
		t.Fatalf("%d letters after one was seen again", len(letters))
	}
	same(t, "counted up", want, letters[0])

	// A commit that says nothing of the record, or not that it arrived, resolves nothing.
	for _, s := range []state.RecordState{state.Planned, state.Unknown, state.Refused, state.Removed, state.Missing, state.Gone} {
		f.commit(t, l, state.Commit{Records: []state.Record{{Entity: state.Profile, Key: "shop-c1", State: s}}})
	}
	sibling := acknowledged("shop-c1", 1)
	sibling.Entity = "another"
	f.commit(t, l, state.Commit{Records: []state.Record{sibling, acknowledged("shop-c3", 3)}})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Records: []state.Record{acknowledged("shop-c1", 1)}})
	if n := len(f.letters(t)); n != 2 {
		t.Fatalf("%d letters are open, not 2", n)
	}

	f.commit(t, l, state.Commit{Records: []state.Record{acknowledged("shop-c1", 1)}})
	letters = f.letters(t)
	if len(letters) != 1 || letters[0].Key != "shop-c2" {
		t.Fatalf("after delivery: %+v", letters)
	}

	// A letter after a resolved one is a new letter.
	f.commit(t, l, state.Commit{Letters: []state.DeadLetter{refusal("shop-c1", "too_long")}})
	letters = f.letters(t)
	if len(letters) != 2 || letters[0].ID <= first.ID || letters[0].Attempts != 1 || !letters[0].FirstSeen.Equal(f.clock.ms()) {
		t.Errorf("after delivery and another refusal: %+v", letters)
	}
}

func testLetterAfterArrival(t *testing.T, f *fixture) {
	l := f.acquire(t)
	f.commit(t, l, state.Commit{Letters: []state.DeadLetter{refusal("shop-c1", "old")}})
	f.commit(t, l, state.Commit{
		Records: []state.Record{acknowledged("shop-c1", 1)},
		Letters: []state.DeadLetter{refusal("shop-c1", "new"), refusal("shop-c1", "newer")},
	})
	letters := f.letters(t)
	if len(letters) != 1 || letters[0].Cause != "newer" || letters[0].Attempts != 2 {
		t.Errorf("got %+v", letters)
	}
}

func testLetterOrder(t *testing.T, f *fixture) {
	l := f.acquire(t)
	for _, key := range []string{"a", "b", "c"} {
		f.commit(t, l, state.Commit{Letters: []state.DeadLetter{refusal(key, "refused")}})
		f.clock.advance(time.Minute)
	}
	f.commit(t, l, state.Commit{Letters: []state.DeadLetter{refusal("a", "refused")}})
	keys := func(limit int) string {
		t.Helper()
		letters, err := f.Letters(t.Context(), shop, state.LetterFilter{Open: true, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, d := range letters {
			b.WriteString(d.Key)
		}
		return b.String()
	}
	same(t, "all", "acb", keys(10))
	same(t, "two", "ac", keys(2))
	same(t, "none", "", keys(0))
	same(t, "none", "", keys(-1))
}

// Words of peers are kept as well as a database can: they never fail a page.
func testLetterWords(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	bad := "a\x00b\xffc"
	d := refusal("shop-c1", bad)
	d.Message, d.Fix, d.Stream = bad, bad, bad
	run, err := f.StartRun(ctx, state.Run{Pipeline: shop, Stream: stream, Problem: bad, Holder: bad})
	if err != nil {
		t.Fatal(err)
	}
	f.commit(t, l, state.Commit{Letters: []state.DeadLetter{d}, Run: &state.Run{ID: run, Stream: stream, Outcome: state.Failed, Problem: bad}})
	got := f.letters(t)[0]
	runs, err := f.Runs(ctx, shop, state.RunFilter{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{got.Cause, got.Message, got.Fix, got.Stream, runs[0].Problem} {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) || !strings.HasPrefix(s, "a") || !strings.HasSuffix(s, "c") {
			t.Errorf("words became %q", s)
		}
	}
}

func testRuns(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	var ids []int64
	for i := range 5 {
		id, err := f.StartRun(ctx, state.Run{Pipeline: shop, Stream: stream, Holder: l.Holder, Fence: l.Fence})
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && id <= ids[i-1] {
			t.Errorf("run %d after %d", id, ids[i-1])
		}
		ids = append(ids, id)
	}
	runs, err := f.Runs(ctx, shop, state.RunFilter{Limit: 2})
	if err != nil || len(runs) != 2 {
		t.Fatalf("%v, %v", runs, err)
	}
	want := state.Run{
		ID: ids[4], Pipeline: shop, Stream: stream, Holder: l.Holder, Fence: l.Fence, Started: f.clock.ms(), Outcome: state.Running,
	}
	same(t, "newest, with defaults", want, runs[0])
	if runs[1].ID != ids[3] {
		t.Errorf("after %d comes %d", runs[0].ID, runs[1].ID)
	}
	apart, err := f.StartRun(ctx, state.Run{Pipeline: shop, Stream: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]struct {
		filter state.RunFilter
		want   []int64
	}{
		"all":                           {state.RunFilter{Limit: 3}, []int64{apart, ids[4], ids[3]}},
		"before one":                    {state.RunFilter{Before: ids[3], Limit: 2}, []int64{ids[2], ids[1]}},
		"of a stream":                   {state.RunFilter{Stream: stream, Limit: 2}, []int64{ids[4], ids[3]}},
		"of a stream before one":        {state.RunFilter{Stream: stream, Before: ids[1], Limit: 9}, []int64{ids[0]}},
		"before the first":              {state.RunFilter{Before: ids[0], Limit: 9}, nil},
		"of a stream before another's":  {state.RunFilter{Stream: "orders", Before: apart, Limit: 9}, nil},
		"of a stream that never worked": {state.RunFilter{Stream: "sweeps", Limit: 9}, nil},
	} {
		runs, err := f.Runs(ctx, shop, ask.filter)
		var got []int64
		for _, r := range runs {
			got = append(got, r.ID)
		}
		if err != nil || !slices.Equal(got, ask.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, ask.want)
		}
	}
	want.Outcome, want.Ended, want.Problem, want.Counters.Read = state.Paused, f.clock.ms().Add(time.Second), "budget", 12
	if err := f.SaveRun(ctx, want); err != nil {
		t.Fatal(err)
	}
	if runs, err = f.Runs(ctx, shop, state.RunFilter{Stream: stream, Limit: 1}); err != nil {
		t.Fatal(err)
	}
	same(t, "saved", want, runs[0])
	one, err := f.Run(ctx, shop, want.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "by its id", want, one)
	for _, limit := range []int{0, -1} {
		if runs, err = f.Runs(ctx, shop, state.RunFilter{Limit: limit}); err != nil || len(runs) != 0 {
			t.Errorf("limit %d: %v, %v", limit, runs, err)
		}
	}
	if runs, err = f.Runs(ctx, other, state.RunFilter{Limit: 10}); err != nil || len(runs) != 0 {
		t.Errorf("runs of the other pipeline: %v, %v", runs, err)
	}
}

func testUnknownRun(t *testing.T, f *fixture) {
	ctx := t.Context()
	if _, err := f.StartRun(ctx, state.Run{Pipeline: "never-opened", Stream: stream}); !errors.Is(err, state.ErrNoPipeline) {
		t.Errorf("start: %v", err)
	}
	id, err := f.StartRun(ctx, state.Run{Pipeline: shop, Stream: stream})
	if err != nil {
		t.Fatal(err)
	}
	for pipeline, id := range map[string]int64{shop: id + 1, other: id, "never-opened": id} {
		if r, err := f.Run(ctx, pipeline, id); !errors.Is(err, state.ErrNoRun) {
			t.Errorf("run %d of %s: %+v, %v", id, pipeline, r, err)
		}
	}
	for _, r := range []state.Run{
		{ID: id + 1, Pipeline: shop, Stream: stream, Outcome: state.Done},
		{ID: id, Pipeline: other, Stream: stream, Outcome: state.Done},
		{ID: id, Pipeline: shop, Stream: stream, Outcome: "lost"},
	} {
		if err := f.SaveRun(ctx, r); err == nil {
			t.Errorf("saved %+v", r)
		}
	}
}

func testOverview(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	var last []state.Run
	for _, s := range []string{"orders", stream, stream} {
		id, err := f.StartRun(ctx, state.Run{Pipeline: shop, Stream: s, Holder: l.Holder, Fence: l.Fence})
		if err != nil {
			t.Fatal(err)
		}
		last = append(last, state.Run{
			ID: id, Pipeline: shop, Stream: s, Holder: l.Holder, Fence: l.Fence, Started: f.clock.ms(), Outcome: state.Running,
		})
	}
	orders := f.commit(t, l, state.Commit{Checkpoint: &state.Checkpoint{Stream: "orders"}})
	unknown := acknowledged("shop-c3", 3)
	unknown.State = state.Unknown
	child := acknowledged("shop-o1", 1)
	child.Entity = "order"
	customers := f.commit(t, l, state.Commit{
		Checkpoint: &state.Checkpoint{Stream: stream, Target: f.clock.Now()},
		Records:    []state.Record{acknowledged("shop-c1", 1), acknowledged("shop-c2", 2), unknown, child},
		Letters: []state.DeadLetter{
			refusal("shop-c4", "too_long"), refusal("shop-c5", "too_long"), refusal("shop-c6", "refused"), refusal("shop-c7", "refused"),
		},
	})
	f.commit(t, l, state.Commit{Records: []state.Record{acknowledged("shop-c7", 7)}})
	if err := f.AddTombstones(ctx, shop, []state.Tombstone{{Person: hashOf(1), At: at(1)}}); err != nil {
		t.Fatal(err)
	}
	theirs := f.acquireFor(t, other, "them")
	f.commit(t, theirs, state.Commit{Records: []state.Record{acknowledged("shop-c1", 1)}, Letters: []state.DeadLetter{refusal("x", "y")}})

	want := state.Overview{
		Pipeline:    state.Pipeline{Name: shop, Target: shop + " database"},
		Lease:       &l,
		Checkpoints: []state.Checkpoint{customers, orders},
		Records: map[state.Entity]map[state.RecordState]int64{
			state.Profile: {state.Acknowledged: 3, state.Unknown: 1}, "order": {state.Acknowledged: 1},
		},
		OpenLetters: map[string]int64{"too_long": 2, "refused": 1},
		Erased:      map[string]int64{},
		OptOuts:     map[string]int64{},
		Taken:       state.Taken{Stones: 1, First: f.clock.ms(), Oldest: at(1), Latest: at(1)},
		LastRuns:    []state.Run{last[2], last[0]},
	}
	got, err := f.Overview(ctx, shop)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "overview", want, got)
	everyFieldSet(t, got)

	f.clock.advance(ttl)
	if got, err = f.Overview(ctx, shop); err != nil || got.Lease != nil {
		t.Errorf("a lease that ran out is shown: %+v, %v", got.Lease, err)
	}
	again := f.acquire(t)
	if err := f.Release(ctx, again); err != nil {
		t.Fatal(err)
	}
	if got, err = f.Overview(ctx, shop); err != nil || got.Lease != nil {
		t.Errorf("a released lease is shown: %+v, %v", got.Lease, err)
	}
}

func testOverviewEmpty(t *testing.T, f *fixture) {
	for _, name := range []string{shop, "never-opened"} {
		want := state.Overview{
			Pipeline:    state.Pipeline{Name: name},
			Records:     map[state.Entity]map[state.RecordState]int64{},
			OpenLetters: map[string]int64{},
			Erased:      map[string]int64{},
			OptOuts:     map[string]int64{},
		}
		if name == shop {
			want.Pipeline.Target = shop + " database"
		}
		got, err := f.Overview(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		same(t, name, want, got)
	}
}
