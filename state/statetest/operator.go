package statetest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// What operators do with dead letters: look at them and close them. Promise 23.

// letter reads one letter of shop.
func (f *fixture) letter(t *testing.T, id int64) state.DeadLetter {
	t.Helper()
	d, err := f.Letter(t.Context(), shop, id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// filtered are the keys of the letters that a filter lets through.
func (f *fixture) filtered(t *testing.T, pipeline string, filter state.LetterFilter) string {
	t.Helper()
	letters, err := f.Letters(t.Context(), pipeline, filter)
	if err != nil {
		t.Fatal(err)
	}
	keys := make([]string, len(letters))
	for i, d := range letters {
		keys[i] = d.Key
	}
	return strings.Join(keys, " ")
}

func testLetter(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	f.commit(t, l, state.Commit{Letters: []state.DeadLetter{refusal("shop-c1", "too_long")}})
	open := f.letters(t)[0]
	same(t, "open", open, f.letter(t, open.ID))

	f.clock.advance(time.Hour)
	f.commit(t, l, state.Commit{Records: []state.Record{acknowledged("shop-c1", 1)}})
	want := open
	want.Resolved, want.Resolution = f.clock.ms(), "delivered"
	same(t, "delivered", want, f.letter(t, open.ID))

	for _, ask := range []struct {
		pipeline string
		id       int64
	}{{shop, open.ID + 1}, {shop, 0}, {shop, -1}, {other, open.ID}, {"never-opened", open.ID}} {
		if d, err := f.Letter(ctx, ask.pipeline, ask.id); !errors.Is(err, state.ErrNoLetter) {
			t.Errorf("letter %d of %s: %+v, %v", ask.id, ask.pipeline, d, err)
		}
	}
}

func testLetterFilter(t *testing.T, f *fixture) {
	l := f.acquire(t)
	for _, d := range []state.DeadLetter{
		refusal("a", "refused"), refusal("b", "too_long"), refusal("c", "refused"), refusal("d", "it's 100%"),
		{Entity: "another", Key: "a", Cause: "refused"},
	} {
		f.commit(t, l, state.Commit{Letters: []state.DeadLetter{d}})
		f.clock.advance(time.Minute)
	}
	f.commit(t, l, state.Commit{Records: []state.Record{acknowledged("a", 1)}})
	f.commit(t, l, state.Commit{Letters: []state.DeadLetter{refusal("a", "again")}})
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Letters: []state.DeadLetter{refusal("theirs", "refused")}})

	for name, test := range map[string]struct {
		filter state.LetterFilter
		want   string
	}{
		"everything":         {state.LetterFilter{Limit: 10}, "a a d c b a"},
		"limit":              {state.LetterFilter{Limit: 2}, "a a"},
		"no limit":           {state.LetterFilter{}, ""},
		"below":              {state.LetterFilter{Limit: -1}, ""},
		"open":               {state.LetterFilter{Open: true, Limit: 10}, "a a d c b"},
		"resolved":           {state.LetterFilter{Resolved: true, Limit: 10}, "a"},
		"neither":            {state.LetterFilter{Open: true, Resolved: true, Limit: 10}, ""},
		"cause":              {state.LetterFilter{Cause: "refused", Limit: 10}, "a c a"},
		"odd cause":          {state.LetterFilter{Cause: "it's 100%", Limit: 10}, "d"},
		"open of a cause":    {state.LetterFilter{Cause: "refused", Open: true, Limit: 10}, "a c"},
		"key":                {state.LetterFilter{Keys: []string{"a"}, Limit: 10}, "a a a"},
		"key and entity":     {state.LetterFilter{Entity: state.Profile, Keys: []string{"a"}, Limit: 10}, "a a"},
		"entity":             {state.LetterFilter{Entity: "another", Limit: 10}, "a"},
		"keys":               {state.LetterFilter{Keys: []string{"d", "a", "x", "a"}, Open: true, Limit: 10}, "a a d"},
		"keys, limit":        {state.LetterFilter{Keys: []string{"d", "a", "b"}, Limit: 3}, "a a d"},
		"a key no store has": {state.LetterFilter{Keys: []string{"a\x00"}, Limit: 10}, ""},
		"nothing of it":      {state.LetterFilter{Keys: []string{"a"}, Cause: "too_long", Limit: 10}, ""},
	} {
		if got := f.filtered(t, shop, test.filter); got != test.want {
			t.Errorf("%s: %q, not %q", name, got, test.want)
		}
	}
	if got := f.filtered(t, other, state.LetterFilter{Limit: 10}); got != "theirs" {
		t.Errorf("the other pipeline has %q", got)
	}
	if got := f.filtered(t, "never-opened", state.LetterFilter{Limit: 10}); got != "" {
		t.Errorf("a pipeline that was never opened has %q", got)
	}
}

func testResolvedRecords(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	refused := func(e state.Entity, key string) state.Record {
		return state.Record{Entity: e, Key: key, SourceID: 7, State: state.Refused, Refused: hashOf(1)}
	}
	var c state.Commit
	for _, key := range []string{"b", "a", "open", "arrives", "again", "kept"} {
		c.Records = append(c.Records, refused(state.Profile, key))
		c.Letters = append(c.Letters, refusal(key, "refused"))
	}
	c.Records = append(c.Records, refused(state.Order, "o"), refused(state.Order, "a"), refused(state.Profile, "no letter"))
	c.Letters = append(c.Letters, state.DeadLetter{Entity: state.Order, Key: "o", Cause: "refused"})
	f.commit(t, l, c)
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Records: []state.Record{refused(state.Profile, "theirs")}})
	letters, err := f.Letters(ctx, shop, state.LetterFilter{Keys: []string{"a", "b", "o", "arrives", "again"}, Open: true, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range letters {
		if err := f.ResolveLetters(ctx, shop, []int64{d.ID}, "never mind"); err != nil {
			t.Fatal(err)
		}
	}
	f.commit(t, l, state.Commit{
		Records: []state.Record{acknowledged("arrives", 1), refused(state.Profile, "again")}, Letters: []state.DeadLetter{refusal("again", "refused")},
	})
	ask := func(name, pipeline string, after state.RecordRef, limit int, want string) {
		t.Helper()
		rows, err := f.ResolvedRecords(ctx, pipeline, after, limit)
		if got := keysIn(rows); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	first := state.RecordRef{}
	ask("by entity and key", shop, first, 10, "o a b")
	ask("at most so many", shop, first, 2, "o a")
	ask("after an order", shop, state.RecordRef{Entity: state.Order, Key: "o"}, 10, "a b")
	ask("after a profile", shop, state.RecordRef{Entity: state.Profile, Key: "a"}, 10, "b")
	ask("after the last", shop, state.RecordRef{Entity: state.Profile, Key: "b"}, 10, "")
	ask("none wanted", shop, first, 0, "")
	ask("less than none wanted", shop, first, -1, "")
	ask("another pipeline", other, first, 10, "")
	ask("a pipeline never opened", "never-opened", first, 10, "")
	rows, err := f.ResolvedRecords(ctx, shop, first, 1)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "a row in full", []state.Record{refused(state.Order, "o")}, rows)
}

func testLetterGroups(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	began := f.clock.ms()
	step := func(key, cause, fix string) {
		d := refusal(key, cause)
		d.Fix = fix
		f.commit(t, l, state.Commit{Letters: []state.DeadLetter{d}})
		f.clock.advance(time.Minute)
	}
	step("a", "refused", "old words") // 0
	step("b", "too_long", "shorten")  // 1
	step("c", "refused", "words")     // 2
	step("d", "email_empty", "fill")  // 3
	step("e", "delivered", "none")    // 4
	f.commit(t, l, state.Commit{Records: []state.Record{acknowledged("e", 5)}})
	step("b", "too_long", "shorten it") // 5: counted up
	f.commit(t, f.acquireFor(t, other, "me"), state.Commit{Letters: []state.DeadLetter{refusal("theirs", "refused")}})

	got, err := f.LetterGroups(ctx, shop)
	if err != nil {
		t.Fatal(err)
	}
	minute := func(n int) time.Time { return began.Add(time.Duration(n) * time.Minute) }
	same(t, "groups", []state.LetterGroup{
		{Cause: "refused", Count: 2, FirstSeen: minute(0), LastSeen: minute(2), Fix: "words"},
		{Cause: "email_empty", Count: 1, FirstSeen: minute(3), LastSeen: minute(3), Fix: "fill"},
		{Cause: "too_long", Count: 1, FirstSeen: minute(1), LastSeen: minute(5), Fix: "shorten it"},
	}, got)
	if got, err = f.LetterGroups(ctx, "never-opened"); err != nil || len(got) != 0 {
		t.Errorf("groups of nothing: %+v, %v", got, err)
	}
}

func testResolve(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	refusedRow := state.Record{Entity: state.Profile, Key: "shop-c1", State: state.Refused, Refused: hashOf(1)}
	f.commit(t, l, state.Commit{Records: []state.Record{refusedRow}, Letters: []state.DeadLetter{refusal("shop-c1", "too_long"), refusal("shop-c2", "refused")}})
	before := f.letters(t)
	if len(before) != 2 {
		t.Fatalf("%d letters", len(before))
	}
	first, second := before[1], before[0]
	if first.Key != "shop-c1" {
		first, second = second, first
	}
	f.clock.advance(time.Hour)

	// It takes no lease: somebody else holds the pipeline meanwhile.
	if err := f.ResolveLetters(ctx, shop, []int64{first.ID, first.ID}, " a test account's \x00\xff "); err != nil {
		t.Fatal(err)
	}
	want := first
	want.Resolved, want.Resolution = f.clock.ms(), "a test account's \uFFFD\uFFFD"
	same(t, "closed", want, f.letter(t, first.ID))
	same(t, "the other one", second, f.letter(t, second.ID))
	same(t, "open", "shop-c2", f.filtered(t, shop, state.LetterFilter{Open: true, Limit: 10}))
	if o, err := f.Overview(ctx, shop); err != nil || o.OpenLetters["too_long"] != 0 || o.OpenLetters["refused"] != 1 {
		t.Errorf("overview %v, %v", o.OpenLetters, err)
	}
	row, _ := f.record(t, "shop-c1")
	same(t, "the ledger's row", refusedRow, row)

	// What is closed stays as it is, also when the record arrives.
	f.clock.advance(time.Hour)
	f.commit(t, l, state.Commit{Records: []state.Record{acknowledged("shop-c1", 1)}})
	same(t, "closed, then delivered", want, f.letter(t, first.ID))
	// Refused again, it gets a new letter.
	f.commit(t, l, state.Commit{Letters: []state.DeadLetter{refusal("shop-c1", "refused")}})
	same(t, "closed, then refused", want, f.letter(t, first.ID))
	same(t, "open", "shop-c1 shop-c2", f.filtered(t, shop, state.LetterFilter{Open: true, Limit: 10}))

	if err := f.ResolveLetters(ctx, shop, nil, "nothing to close"); err != nil {
		t.Error(err)
	}
}

func testResolveAtomic(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	f.commit(t, l, state.Commit{Letters: []state.DeadLetter{refusal("a", "refused"), refusal("b", "refused"), refusal("c", "refused")}})
	theirs := f.acquireFor(t, other, "me")
	f.commit(t, theirs, state.Commit{Letters: []state.DeadLetter{refusal("theirs", "refused")}})
	foreign, err := f.Letters(ctx, other, state.LetterFilter{Limit: 1})
	if err != nil || len(foreign) != 1 {
		t.Fatal(foreign, err)
	}
	ids := make(map[string]int64)
	for _, d := range f.letters(t) {
		ids[d.Key] = d.ID
	}
	if err := f.ResolveLetters(ctx, shop, []int64{ids["c"]}, "done with"); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		ids    []int64
		reason string
		want   error // nil: any
	}{
		"one is unknown":            {[]int64{ids["a"], 1 << 40}, "why", state.ErrNoLetter},
		"one is another pipeline's": {[]int64{ids["a"], foreign[0].ID}, "why", state.ErrNoLetter},
		"one is closed":             {[]int64{ids["a"], ids["b"], ids["c"]}, "why", state.ErrResolved},
		"no reason":                 {[]int64{ids["a"]}, "", nil},
		"a blank reason":            {[]int64{ids["a"]}, " \n\t", nil},
	} {
		err := f.ResolveLetters(ctx, shop, test.ids, test.reason)
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		same(t, name, "b a", f.filtered(t, shop, state.LetterFilter{Open: true, Limit: 10}))
	}
}
