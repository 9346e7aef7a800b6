package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
	"github.com/magento-copernica/syncd/sync/engine"
)

// A round that takes longer than its period says so: the one under way by how much, and the
// last one how long it took.
func TestStatusTellsOfRoundsThatAreLate(t *testing.T) {
	t.Parallel()
	const period = 24 * time.Hour
	now := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		began, finished, ended time.Duration // ago; zero: never
		late                   int64
		words                  string
	}{
		"in time":                 {began: 3 * time.Hour, words: "copernica/sweep: every 24h; round began 3h 0m ago, due now"},
		"by a slice":              {began: 25 * time.Hour, words: "copernica/sweep: every 24h; round began 1d 1h ago, due now"},
		"by hours":                {began: 30 * time.Hour, late: 6 * 3600, words: "copernica/sweep: every 24h; round began 1d 6h ago, 6h 0m late, due now"},
		"the last one, by hours":  {began: time.Hour, finished: 31 * time.Hour, ended: time.Hour, words: "copernica/sweep: every 24h; round began 1h 0m ago, the last one took 1d 6h, due now"},
		"the last one, in time":   {finished: 30 * time.Hour, ended: 6 * time.Hour, words: "copernica/sweep: every 24h; last round began 1d 6h ago, due now"},
		"never, and not known of": {words: "copernica/sweep: every 24h; not begun yet, due now"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ago := func(d time.Duration) (at time.Time) {
				if d > 0 {
					at = now.Add(-d)
				}
				return at
			}
			report := newStatus(state.Overview{}, "", now)
			report.sweep(state.Overview{Checkpoints: []state.Checkpoint{{Stream: engine.InspectSweep, Horizon: ago(tc.finished), Target: ago(tc.began)}}},
				config.Config{Reconcile: config.Period(period)}, rounds{ended: map[string]time.Time{engine.InspectSweep: ago(tc.ended)}})
			one := report.Sweeps[len(report.Sweeps)-1]
			if got := one.words(now); got != tc.words || one.LateSeconds != tc.late {
				t.Errorf("%q, %d s late, want %q and %d", got, one.LateSeconds, tc.words, tc.late)
			}
			if took := tc.finished - tc.ended; (one.TookSeconds != nil) != (took > 0) || took > 0 && *one.TookSeconds != int64(took/time.Second) {
				t.Errorf("the last round took %v, not %s", one.TookSeconds, took)
			}
		})
	}
}

// A shop whose newsletter takes more than a tenth of the time is told how often it is gone
// through in truth, beside what was asked for.
func TestStatusShowsTheTruePeriodOfTheNewsletter(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.ends(exitDone, s.run("run"))
	shows := func(period int64, words string) {
		t.Helper()
		text, form := s.run("status"), s.run("status", "--json")
		s.ends(exitDone, text)
		s.ends(exitDone, form)
		if !strings.Contains(text.stdout, words) {
			t.Errorf("no %q in:\n%s", words, text.stdout)
		}
		var report status
		s.must(json.Unmarshal([]byte(form.stdout), &report))
		if one := report.Sweeps[0]; one.Name != engine.ConsentSweep || one.PeriodSeconds != period || one.AskedSeconds != 15*60 {
			t.Errorf("%+v", one)
		}
	}
	shows(15*60, "customers/consent: every 15m; ")
	s.sweptIn(240 * time.Second)
	shows(40*60, "customers/consent: every 40m, asked for 15m: it gets a tenth of the time; ")
	s.sweptIn(90 * time.Second)
	shows(15*60, "customers/consent: every 15m; ")
}

// sweptIn has the state know of a round of the newsletter that cost so much, in slices.
func (s *stage) sweptIn(cost time.Duration) {
	s.t.Helper()
	store, err := sqlite.Open(s.t.Context(), sqlite.Config{Path: s.statePath()})
	s.must(err)
	began := time.Now().Add(-time.Hour)
	const slices = 10
	for i := range slices {
		run := state.Run{Pipeline: "shop", Stream: engine.ConsentSweep, Started: began, Ended: began.Add(cost / slices), Outcome: state.Paused, Counters: state.Counters{Read: 300}}
		if i == slices-1 {
			run.Outcome = state.Done
		}
		run.ID, err = store.StartRun(s.t.Context(), run)
		s.must(err)
		s.must(store.SaveRun(s.t.Context(), run))
	}
	s.must(store.Close())
}
