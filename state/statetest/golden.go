package statetest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// fill returns a T whose fields all have values of their own, none of them zero. A
// field of a kind it does not know fails the test, so that whoever adds one teaches
// fill and the stores about it.
func fill[T any](t *testing.T, from int) T {
	t.Helper()
	var v T
	n := from
	fillValue(t, reflect.ValueOf(&v).Elem(), reflect.TypeFor[T]().Name(), &n)
	return v
}

func fillValue(t *testing.T, v reflect.Value, name string, n *int) {
	t.Helper()
	*n++
	switch v.Interface().(type) {
	case time.Time: // whole milliseconds, as stores keep them
		v.Set(reflect.ValueOf(time.Date(2026, 1, 1, *n%24, *n%60, *n%60, *n*int(time.Millisecond), time.UTC)))
		return
	case state.Hash:
		v.Set(reflect.ValueOf(hashOf(byte(*n))))
		return
	case state.Entity:
		v.Set(reflect.ValueOf(state.Profile))
		return
	case state.RecordState:
		v.Set(reflect.ValueOf(state.Acknowledged))
		return
	case state.ResyncState:
		v.Set(reflect.ValueOf(state.ResyncCancelled))
		return
	case []int64:
		v.Set(reflect.ValueOf([]int64{int64(*n), 1<<40 + int64(*n), -int64(*n)}))
		return
	case state.RunOutcome:
		v.Set(reflect.ValueOf(state.Paused))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fillValue(t, v.Field(i), v.Type().Field(i).Name, n)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("%s %d", name, *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n) + 1<<30)
	case reflect.Bool:
		v.SetBool(true)
	default:
		t.Fatalf("field %s has type %s: teach statetest to fill it, and every store to keep it", name, v.Type())
	}
}

// everyFieldSet fails the test for a field of v that is zero.
func everyFieldSet(t *testing.T, v any) {
	t.Helper()
	for i, rv := 0, reflect.ValueOf(v); i < rv.NumField(); i++ {
		if rv.Field(i).IsZero() {
			t.Errorf("%s.%s is not set", rv.Type().Name(), rv.Type().Field(i).Name)
		}
	}
}

func testGolden(t *testing.T, f *fixture) {
	golden(t, f, fill[state.Pipeline](t, 100), fill[state.Checkpoint](t, 200), fill[state.Record](t, 300), fill[state.Email](t, 400),
		[3]state.Run{fill[state.Run](t, 500), fill[state.Run](t, 600), fill[state.Run](t, 700)}, fill[state.DeadLetter](t, 800))
}

func testGoldenZero(t *testing.T, f *fixture) {
	run := state.Run{Outcome: state.Done, Started: f.clock.ms()} // Started has a default
	golden(t, f, state.Pipeline{Name: "bare"}, state.Checkpoint{Stream: "bare"},
		state.Record{Entity: state.Profile, Key: "bare", State: state.Refused}, state.Email{Key: "bare", Hash: hashOf(1)},
		[3]state.Run{run, run, run},
		state.DeadLetter{Entity: state.Profile, Key: "bare", Attempts: 1, FirstSeen: f.clock.ms(), LastSeen: f.clock.ms()})
}

// golden writes one row of each kind and reads it back. What the store sets itself
// is named here, one field at a time.
func golden(t *testing.T, f *fixture, p state.Pipeline, cp state.Checkpoint, r state.Record, e state.Email, runs [3]state.Run, d state.DeadLetter) {
	t.Helper()
	ctx := t.Context()
	got, err := f.OpenPipeline(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "pipeline", p, got)
	l := f.acquireFor(t, p.Name, "me")

	for i, r := range runs {
		r.Pipeline = p.Name
		id, err := f.StartRun(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		r.ID = id
		runs[i] = r
	}
	started, err := f.Runs(ctx, p.Name, state.RunFilter{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "runs as started", []state.Run{runs[2], runs[1], runs[0]}, started)
	// Each of two ways to save turns a run into another one.
	id := [3]int64{runs[0].ID, runs[1].ID, runs[2].ID}
	runs[0], runs[1], runs[2] = runs[1], runs[2], runs[0]
	for i := range runs {
		runs[i].ID = id[i]
	}
	if err := f.SaveRun(ctx, runs[0]); err != nil {
		t.Fatal(err)
	}

	cp.Pipeline, cp.Version, d.Pipeline = p.Name, 0, p.Name
	saved := f.commit(t, l, state.Commit{
		Checkpoint: &cp, Records: []state.Record{r}, Emails: []state.Email{e}, Letters: []state.DeadLetter{d}, Run: &runs[1],
	})
	if err := f.SaveRun(ctx, runs[2]); err != nil {
		t.Fatal(err)
	}
	cp.Version, cp.SavedAt = 1, f.clock.ms()
	same(t, "checkpoint as saved", cp, saved)
	read, err := f.Checkpoint(ctx, p.Name, cp.Stream)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "checkpoint as read", cp, read)
	// The update takes another way than the insert.
	next := cp
	next.Horizon, next.From, next.Target = next.From, next.Target, next.Horizon
	next.Position.ID++
	saved = f.commit(t, l, state.Commit{Checkpoint: &next})
	next.Version = 2
	same(t, "checkpoint as saved again", next, saved)

	rows, err := f.Records(ctx, p.Name, r.Entity, []string{r.Key})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "record", r, rows[r.Key])
	emails, err := f.Emails(ctx, p.Name, []state.Hash{e.Hash})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "e-mails", []state.Email{e}, emails[e.Hash])
	saves, err := f.Runs(ctx, p.Name, state.RunFilter{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "runs as saved", []state.Run{runs[2], runs[1], runs[0]}, saves)

	letters, err := f.Letters(ctx, p.Name, state.LetterFilter{Open: true, Limit: 10})
	if err != nil || len(letters) != 1 {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	// An open letter has an id of its own and no resolution yet.
	d.ID, d.Resolved, d.Resolution = letters[0].ID, time.Time{}, ""
	same(t, "letter", d, letters[0])
}

func testTimes(t *testing.T, f *fixture) {
	ctx := t.Context()
	zone := time.FixedZone("UTC+2", 2*60*60)
	l := f.acquire(t)
	for _, at := range []time.Time{
		time.Date(2026, 10, 25, 2, 59, 59, 999_999_999, zone),
		time.Date(1969, 12, 31, 23, 59, 59, 1_000_000, time.UTC),
		time.Unix(0, 0),
		time.Date(2262, 4, 12, 0, 0, 0, 0, time.UTC), // past what nanoseconds in 64 bits hold
	} {
		want := at.Truncate(time.Millisecond).UTC()
		r := acknowledged("shop-c1", 1)
		r.UnsubscribedAt, r.OutSeenAt, r.SourceUpdatedAt, r.PlannedAt, r.NextAttempt, r.FirstSeen, r.AcknowledgedAt = at, at, at, at, at, at, at
		cp, err := f.Checkpoint(ctx, shop, stream)
		if err != nil {
			t.Fatal(err)
		}
		cp.Horizon, cp.From, cp.Target, cp.Position.UpdatedAt = at, at, at, at
		saved := f.commit(t, l, state.Commit{Checkpoint: &cp, Records: []state.Record{r}})
		if cp, err = f.Checkpoint(ctx, shop, stream); err != nil {
			t.Fatal(err)
		}
		got, _ := f.record(t, "shop-c1")
		// Struct equality of time.Time also compares the zone.
		for name, have := range map[string]time.Time{
			"saved horizon": saved.Horizon, "saved from": saved.From, "saved target": saved.Target, "saved position": saved.Position.UpdatedAt,
			"horizon": cp.Horizon, "from": cp.From, "target": cp.Target, "position": cp.Position.UpdatedAt,
			"unsubscribed": got.UnsubscribedAt, "out seen": got.OutSeenAt, "source": got.SourceUpdatedAt, "planned": got.PlannedAt, "next": got.NextAttempt,
			"first seen": got.FirstSeen, "acknowledged": got.AcknowledgedAt,
		} {
			if have != want {
				t.Errorf("%s of %v is %v, not %v", name, at, have, want)
			}
		}
		if saved.SavedAt.Location() != time.UTC || cp.SavedAt != saved.SavedAt {
			t.Errorf("saved at %v and %v", saved.SavedAt, cp.SavedAt)
		}
	}
	if l.Expires != l.Expires.UTC() || !l.Expires.Equal(l.Expires.Truncate(time.Millisecond)) {
		t.Errorf("the lease expires at %v", l.Expires)
	}
}
