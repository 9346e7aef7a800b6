package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestStatusGolden holds both forms of the status to files that a person has read.
func TestStatusGolden(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)
	counters := state.Counters{
		Read: 5000, Unchanged: 4900, Created: 60, Updated: 30, Refused: 7, Unknown: 3, OptOutsKept: 4,
		SourceCalls: 17, TargetCalls: 112,
	}
	for name, overview := range map[string]state.Overview{
		"never-run": {Pipeline: state.Pipeline{Name: "shop"}},
		"in-step": {
			Pipeline: state.Pipeline{Name: "shop", Target: "database 101 of account 1"},
			Checkpoints: []state.Checkpoint{
				{Stream: "customers", Horizon: now.Add(-3*time.Minute - 12*time.Second)},
				{Stream: "customers/emails", Horizon: now},
			},
			Records: map[state.Entity]map[state.RecordState]int64{state.Profile: {state.Acknowledged: 4990}},
			LastRuns: []state.Run{
				{ID: 12, Stream: "customers", Holder: "host, process 7", Fence: 3, Started: now.Add(-2 * time.Minute), Ended: now.Add(-time.Minute), Outcome: state.Done, Counters: counters},
			},
		},
		"running": {
			Pipeline: state.Pipeline{Name: "de", Target: "database 101 of account 1"},
			Lease:    &state.Lease{Holder: "host, process 7", Fence: 4, Expires: now.Add(150 * time.Second)},
			Checkpoints: []state.Checkpoint{{
				Stream: "customers", Horizon: now.Add(-50 * time.Hour), From: now.Add(-50*time.Hour - 5*time.Minute), Target: now.Add(-10 * time.Second),
				Position: state.Position{UpdatedAt: now.Add(-30 * time.Hour), ID: 4711},
			}},
			Records:     map[state.Entity]map[state.RecordState]int64{state.Profile: {state.Acknowledged: 4990, state.Unknown: 3, state.Refused: 7, state.Planned: 10}},
			OpenLetters: map[string]int64{"email_empty": 5, "refused": 2},
			LastRuns:    []state.Run{{ID: 13, Stream: "customers", Holder: "host, process 7", Fence: 4, Started: now.Add(-75 * time.Minute), Outcome: state.Running, Counters: counters}},
		},
		"both-streams": {
			Pipeline: state.Pipeline{Name: "shop", Target: "database 101 of account 1"},
			Checkpoints: []state.Checkpoint{
				{Stream: "customers", Horizon: now.Add(-30 * time.Second)},
				{Stream: "orders", Target: now.Add(-30 * time.Second), Position: state.Position{UpdatedAt: now.Add(-300 * time.Hour), ID: 4711}},
			},
			Records: map[state.Entity]map[state.RecordState]int64{
				state.Profile: {state.Acknowledged: 4990, state.Missing: 2}, state.Order: {state.Acknowledged: 12000, state.Refused: 1},
				state.Item: {state.Acknowledged: 30111, state.Removed: 3},
			},
			OpenLetters: map[string]int64{"profile_missing": 1},
			Erased:      map[string]int64{"remove": 3, "flag": 41},
			OptOuts:     map[string]int64{engine.OptOutInProfile: 5, "publisher": 1200},
			Taken:       state.Taken{Stones: 12},
			LastRuns: []state.Run{
				{ID: 12, Stream: "customers", Holder: "host, process 7", Fence: 3, Started: now.Add(-2 * time.Minute), Ended: now.Add(-time.Minute), Outcome: state.Done, Counters: counters},
				{ID: 13, Stream: "orders", Holder: "host, process 7", Fence: 4, Started: now.Add(-time.Minute), Ended: now, Outcome: state.Paused, Counters: state.Counters{
					Read: 12345, Created: 42111, Updated: 17, Removed: 3, Refused: 1, Ownerless: 12, Missing: 1, SourceCalls: 130, TargetCalls: 43000,
				}},
			},
		},
		"died": {
			Pipeline:    state.Pipeline{Name: "shop", Target: "database 101 of account 1"},
			Checkpoints: []state.Checkpoint{{Stream: "customers", Target: now.Add(-time.Hour)}},
			LastRuns:    []state.Run{{ID: 1, Stream: "customers", Fence: 1, Started: now.Add(-time.Hour), Outcome: state.Running}},
		},
		"failed": {
			Pipeline:    state.Pipeline{Name: "shop", Target: "database 101 of account 1"},
			Checkpoints: []state.Checkpoint{{Stream: "customers", Target: now.Add(-time.Hour)}},
			LastRuns: []state.Run{{
				ID: 2, Stream: "customers", Fence: 2, Started: now.Add(-time.Hour), Ended: now.Add(-time.Hour + 4*time.Second), Outcome: state.Failed,
				Problem: "magento: GET /rest/all/V1/customers/search: connection refused (dial) after 5 attempts",
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := newStatus(overview, "/var/lib/syncd/syncd.db", now)
			if name == "both-streams" {
				report.resyncs([]state.Resync{{ID: 4, Stream: "customers", Created: now.Add(-time.Hour)}, {ID: 5, Stream: "orders", Created: now}})
			}
			var text bytes.Buffer
			if err := report.print(&text); err != nil {
				t.Fatal(err)
			}
			golden(t, "status/"+name+".txt", text.Bytes())
			form, err := json.MarshalIndent(report, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "status/"+name+".json", append(form, '\n'))
		})
	}
}

// golden compares got with a file, or rewrites the file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second:                    "0s",
		0:                               "0s",
		59*time.Second + 999999999:      "59s",
		time.Minute:                     "1m 0s",
		61*time.Minute + 30*time.Second: "1h 1m",
		24 * time.Hour:                  "1d 0h",
		100*24*time.Hour + time.Hour:    "100d 1h",
	} {
		if got := duration(d); got != want {
			t.Errorf("%d ns: %q, want %q", d, got, want)
		}
	}
}

func TestTimesNearNow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		-2 * time.Second:       "2s ago",
		-time.Second:           "1s ago",
		-time.Millisecond:      "just now",
		0:                      "just now",
		999 * time.Millisecond: "just now", // of the second that now was cut to
	} {
		at := now.Add(d)
		if got := ago(&at, now); got != want {
			t.Errorf("ago %s: %q, want %q", d, got, want)
		}
		if got := since(&at, now); got != moment(at)+", "+want {
			t.Errorf("since %s: %q", d, got)
		}
	}
	at := now.Add(90 * time.Second)
	if got := since(&at, now); got != moment(at)+", in 1m 30s" {
		t.Errorf("ahead: %q", got)
	}
}
