package main

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// What came of an opt-out's letter is not said of the customer, whom the shop has.
func TestWhatCameOfTheLetterOfAnOptOut(t *testing.T) {
	t.Parallel()
	const key = "shop-c21"
	open := state.DeadLetter{
		ID: 1, Stream: engine.Unsubscribes, Entity: state.Consent, Key: key, SourceID: 21, Cause: "opt_out_refused",
		Message: "profile 7 shows that its person is subscribed", Fix: "set the newsletter field by hand", Attempts: 1,
	}
	closed := open
	closed.Resolved, closed.Resolution = time.Now(), "delivered"
	for name, c := range map[string]struct {
		after state.DeadLetter
		row   state.RecordState
		tried bool
		want  string
		open  int64
	}{
		"refused again":            {open, state.Acknowledged, true, "refused again, opt_out_refused (profile 7 shows that its person is subscribed): set the newsletter field by hand", 1},
		"a write has no outcome":   {open, state.Unknown, true, "not settled: a write of the profile has no outcome yet; replay this letter again after the next run", 1},
		"it had no turn":           {open, state.Acknowledged, false, "not tried", 1},
		"the profile shows it now": {closed, state.Acknowledged, true, "settled: the shop agrees, or nobody is opted out any more", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text bytes.Buffer
			var sum replayed
			store := told{letter: c.after, row: state.Record{Key: key, State: c.row, CopernicaID: 7}}
			if err := sum.tell(t.Context(), &text, store, "shop", []state.DeadLetter{open}, c.tried); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("dead letter 1, shop-c21: "+c.want+"\n", text.String()); diff != "" || sum.open != c.open || sum.unknown != 0 {
				t.Errorf("%+v %s", sum, diff)
			}
		})
	}
}

// told is a state of one letter and of the profile that it is of.
type told struct {
	state.Store
	letter state.DeadLetter
	row    state.Record
}

func (s told) Letter(context.Context, string, int64) (state.DeadLetter, error) { return s.letter, nil }

func (s told) Records(_ context.Context, _ string, e state.Entity, keys []string) (map[string]state.Record, error) {
	if e != state.Profile || !slices.Contains(keys, s.row.Key) {
		return nil, nil
	}
	return map[string]state.Record{s.row.Key: s.row}, nil
}
