package doctor_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/sync/doctor"
)

func good(context.Context) doctor.Finding { return doctor.Good("fine") }
func bad(context.Context) doctor.Finding  { return doctor.Wrong("mend it", "broken") }

// hangs waits for its context, and lingers longer than anybody waits for it.
func hangs(ctx context.Context) doctor.Finding {
	<-ctx.Done()
	time.Sleep(time.Hour)
	return doctor.Good("too late")
}

// texts are the results as "group/name status text fix".
func texts(r doctor.Report) []string {
	var out []string
	for _, one := range r.Results {
		text := one.Group + "/" + one.Name + " " + string(one.Status) + ": " + one.Text
		if one.Fix != "" {
			text += ": " + one.Fix
		}
		out = append(out, text)
	}
	return out
}

func TestChecksThatNeedAFailedOneAreSkipped(t *testing.T) {
	t.Parallel()
	report := doctor.Run(t.Context(), time.Second,
		doctor.Check{Group: "a", Name: "first", Try: bad},
		doctor.Check{Group: "a", Name: "second", After: []string{"first"}, Try: good},
		doctor.Check{Group: "a", Name: "third", After: []string{"second"}, Try: good},
		doctor.Check{Group: "a", Name: "apart", Try: good},
		doctor.Check{Group: "b", Name: "first", Try: good},
		doctor.Check{Group: "b", Name: "second", After: []string{"first"}, Try: good},
	)
	want := []string{
		"a/first failure: broken: mend it",
		"a/second skipped: not tried: first failed",
		"a/third skipped: not tried: first failed",
		"a/apart ok: fine",
		"b/first ok: fine",
		"b/second ok: fine",
	}
	if diff := cmp.Diff(want, texts(report)); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if report.OK() || report.Count(doctor.Skipped) != 2 {
		t.Errorf("%+v", report)
	}
}

func TestWarningsStopNothing(t *testing.T) {
	t.Parallel()
	report := doctor.Run(t.Context(), time.Second,
		doctor.Check{Group: "a", Name: "first", Try: func(context.Context) doctor.Finding { return doctor.Doubtful("look", "odd") }},
		doctor.Check{Group: "a", Name: "second", After: []string{"first"}, Try: good},
	)
	if diff := cmp.Diff([]string{"a/first warning: odd: look", "a/second ok: fine"}, texts(report)); diff != "" {
		t.Error(diff)
	}
	if !report.OK() {
		t.Error("a warning counts as a failure")
	}
}

// TestNothingIsWaitedForLongerThanItsTime holds the bound with checks that hang for
// good, whatever they were promised.
func TestNothingIsWaitedForLongerThanItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		report := doctor.Run(t.Context(), 10*time.Second,
			doctor.Check{Group: "slow", Name: "brief", Timeout: 3 * time.Second, Slow: "wake it", Try: hangs},
			doctor.Check{Group: "slow", Name: "long", Slow: "wake it", Try: hangs},
			doctor.Check{Group: "slow", Name: "late", Try: good},
			doctor.Check{Group: "other", Name: "hangs too", Try: hangs},
			doctor.Check{Group: "quick", Name: "fine", Try: good},
		)
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("it took %s", took)
		}
		want := []string{
			"slow/brief failure: no answer within 3s: wake it",
			"slow/long failure: no answer within 6.9s: wake it",
			"slow/late skipped: not tried: the checks before it took all of the 10s",
			"other/hangs too failure: no answer within 10s",
			"quick/fine ok: fine",
		}
		if diff := cmp.Diff(want, texts(report)); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
		time.Sleep(2 * time.Hour) // for those left behind
	})
}

// TestGroupsDoNotWaitForEachOther has four groups that take all their time.
func TestGroupsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wait := func(context.Context) doctor.Finding { time.Sleep(9 * time.Second); return doctor.Good("at last") }
		began := time.Now()
		report := doctor.Run(t.Context(), 10*time.Second,
			doctor.Check{Group: "a", Name: "x", Try: wait}, doctor.Check{Group: "b", Name: "x", Try: wait},
			doctor.Check{Group: "c", Name: "x", Try: wait}, doctor.Check{Group: "d", Name: "x", Try: wait},
		)
		if took := time.Since(began); took != 9*time.Second || !report.OK() || report.Results[3].Took != took {
			t.Errorf("%s, %+v", took, report)
		}
	})
}

func TestStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		report := doctor.Run(ctx, 10*time.Second,
			doctor.Check{Group: "a", Name: "first", Try: hangs},
			doctor.Check{Group: "a", Name: "second", Try: good},
		)
		if diff := cmp.Diff([]string{"a/first skipped: stopped", "a/second skipped: not tried: stopped"}, texts(report)); diff != "" {
			t.Error(diff)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestJSON(t *testing.T) {
	t.Parallel()
	report := doctor.Report{Results: []doctor.Result{
		{Group: "shop", Name: "clock", Finding: doctor.Wrong("set it", "wrong"), Took: 1500 * time.Microsecond},
		{Group: "shop", Name: "stores", Finding: doctor.Unneeded("not tried: stopped")},
	}}
	got, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"ok":false,"failures":1,"warnings":0,"skipped":1,"checks":[` +
		`{"group":"shop","name":"clock","status":"failure","text":"wrong","fix":"set it","took_ms":1},` +
		`{"group":"shop","name":"stores","status":"skipped","text":"not tried: stopped","took_ms":0}]}`
	if string(got) != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	empty, err := json.Marshal(doctor.Report{})
	if want := `{"ok":true,"failures":0,"warnings":0,"skipped":0,"checks":[]}`; err != nil || string(empty) != want {
		t.Errorf("%s, %v; want %s", empty, err, want)
	}
}
