package statetest

import (
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// Old runs go, but for the newest of each stream, for those still running and for those
// that something names.
func testPruneRuns(t *testing.T, f *fixture) {
	ctx := t.Context()
	l := f.acquire(t)
	at := func(day int) time.Time { return time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC) }
	run := func(pipeline, stream string, day int, outcome state.RunOutcome) int64 {
		t.Helper()
		id, err := f.StartRun(ctx, state.Run{Pipeline: pipeline, Stream: stream, Started: at(day), Ended: at(day).Add(time.Hour), Outcome: outcome})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	prune := func(day, keep int, want ...int64) {
		t.Helper()
		runs, err := f.Runs(ctx, shop, state.RunFilter{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		n, err := f.PruneRuns(ctx, shop, at(day), keep)
		if err != nil || n != int64(len(runs)-len(want)) {
			t.Errorf("%d of %d runs deleted, %v; want %d", n, len(runs), err, len(runs)-len(want))
		}
		if runs, err = f.Runs(ctx, shop, state.RunFilter{Limit: 1000}); err != nil {
			t.Fatal(err)
		}
		left := make([]int64, len(runs))
		for i, r := range runs {
			left[len(runs)-1-i] = r.ID
		}
		same(t, "runs left", want, left)
	}
	var a []int64
	for day := 1; day <= 9; day++ {
		outcome := state.Done
		if day == 2 {
			outcome = state.Running
		}
		a = append(a, run(shop, stream, day, outcome))
	}
	rare := run(shop, "rare", 1, state.Abandoned) // the only one of its stream
	foreign := run(other, stream, 1, state.Done)

	row, receipt, letter := acknowledged("shop-c1", 1), state.Erasure{Key: "shop-c2", At: at(4), RunID: a[3]}, refusal("shop-c3", "refused")
	row.RunID, letter.RunID = a[2], a[4]
	f.commit(t, l, state.Commit{Records: []state.Record{row}, Letters: []state.DeadLetter{letter}, Erasures: []state.Erasure{receipt}})

	prune(1, 0, append(a[:9:9], rare)...) // none is older than the first
	prune(9, 2, a[1], a[2], a[3], a[4], a[7], a[8], rare)
	prune(9, 2, a[1], a[2], a[3], a[4], a[7], a[8], rare)
	prune(9, 0, a[1], a[2], a[3], a[4], a[8])

	// What named a run may name another by now.
	row.RunID = a[8]
	f.commit(t, l, state.Commit{Records: []state.Record{row}})
	prune(9, 0, a[1], a[3], a[4], a[8])
	if _, err := f.Run(ctx, other, foreign); err != nil {
		t.Errorf("the run of another pipeline: %v", err)
	}
	if n, err := f.PruneRuns(ctx, "never-opened", at(9), 0); n != 0 || err != nil {
		t.Errorf("of a pipeline that was never opened: %d, %v", n, err)
	}
	if id := run(shop, stream, 10, state.Done); id <= foreign {
		t.Errorf("run %d after %d: a number was given twice", id, foreign)
	}
}
