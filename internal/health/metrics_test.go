package health_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/health"
)

// full is a snapshot with a sample of every metric.
var full = health.Snapshot{
	Streams: []health.Stream{fresh, neverRan},
	Letters: map[string]int64{"refused": 2, "email_empty": 1},
	Rows:    []health.Rows{{Entity: "profile", State: "acknowledged", Count: 60_000}},
	OptOuts: map[string]int64{"profile": 4, "publisher": 0},
	Lease:   true,
	Peers: []health.Peer{
		{Name: "magento", Calls: 12, Retries: 1, Failures: map[string]int64{"timeout": 1}, InFlight: 2, Breaker: "closed"},
		{Name: "copernica", Calls: 7, Breaker: "half_open"},
	},
}

func metrics(t *testing.T, h http.Handler) string {
	t.Helper()
	rec := get(t, h, http.MethodGet, "/metrics")
	if rec.Code != 200 || rec.Header().Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8; escaping=underscores" {
		t.Fatalf("%d %v", rec.Code, rec.Header())
	}
	return rec.Body.String()
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	h := newHandler(t, steady(full))
	h.Work.Begin("customers", "done", "failed")
	h.Work.Ran(health.Ran{
		Stream: "customers", Outcome: "done", Took: 1500 * time.Millisecond,
		Read: 10, Created: 3, Updated: 2, Refused: 1, Unknown: 4, OptOutsKept: 5, OptOutsWithoutRecord: 9, Claimed: 7, Erased: 8, Ownerless: 6,
	})
	h.Work.Ran(health.Ran{Stream: "customers", Outcome: "done", Took: time.Second, Read: 1})
	got := metrics(t, h)
	for _, want := range []string{
		`syncd_runs_total{outcome="done",stream="customers"} 2`,
		`syncd_runs_total{outcome="failed",stream="customers"} 0`,
		`syncd_run_seconds_total{stream="customers"} 2.5`,
		`syncd_records_read_total{stream="customers"} 11`,
		`syncd_rows_written_total{action="created",stream="customers"} 3`,
		`syncd_rows_written_total{action="updated",stream="customers"} 2`,
		`syncd_records_refused_total{stream="customers"} 1`,
		`syncd_writes_unknown_total{stream="customers"} 4`,
		`syncd_opt_outs_kept_total{stream="customers"} 5`,
		`syncd_opt_outs_without_record_total{stream="customers"} 9`,
		`syncd_guests_claimed_total{stream="customers"} 7`,
		`syncd_people_erased_total{stream="customers"} 8`,
		`syncd_orders_ownerless_total{stream="customers"} 6`,
		`syncd_peer_calls_total{peer="magento"} 12`,
		`syncd_peer_retries_total{peer="magento"} 1`,
		`syncd_peer_failures_total{kind="timeout",peer="magento"} 1`,
		`syncd_peer_calls_in_flight{peer="magento"} 2`,
		`syncd_peer_breaker_state{peer="magento",state="closed"} 1`,
		`syncd_peer_breaker_state{peer="magento",state="open"} 0`,
		`syncd_peer_breaker_state{peer="copernica",state="half_open"} 1`,
		`syncd_state_up 1`,
		`syncd_stream_lag_seconds{stream="customers"} 600`,
		`syncd_stream_max_lag_seconds{stream="orders"} 1800`,
		`syncd_stream_horizon_timestamp_seconds{stream="customers"} 1.7953482e+09`,
		`syncd_stream_ready{stream="customers"} 1`,
		`syncd_stream_ready{stream="orders"} 0`,
		`syncd_dead_letters_open{cause="email_empty"} 1`,
		`syncd_ledger_rows{entity="profile",state="acknowledged"} 60000`,
		`syncd_opt_outs_returned{source="profile"} 4`,
		`syncd_opt_outs_returned{source="publisher"} 0`,
		`syncd_lease_held 1`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(got, `syncd_stream_lag_seconds{stream="orders"}`) {
		t.Error("a stream without a finished pass has a lag")
	}
	if again := metrics(t, h); volatile.ReplaceAllString(got, "") != volatile.ReplaceAllString(again, "") {
		t.Error("two answers are in different order")
	}
}

// volatile are the lines about the process, which change by themselves.
var volatile = regexp.MustCompile(`(?m)^(go|process)_\w+ .*\n`)

// The format as Prometheus' own documentation of the text format describes it: help,
// type, samples of that name, and no sample twice.
func TestMetricsAreWellFormed(t *testing.T) {
	t.Parallel()
	odd := full
	odd.Letters = map[string]int64{"a\"b\\c\nd\xff": 1}
	h := newHandler(t, steady(odd))
	h.Work.Begin("customers", "done")
	sample := regexp.MustCompile(`^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? ([0-9.e+]+)$`)
	seen, name, kind := map[string]bool{}, "", ""
	for line := range strings.Lines(metrics(t, h)) {
		line = strings.TrimSuffix(line, "\n")
		if help, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, _, _ = strings.Cut(help, " ")
			if seen[name] || !strings.HasSuffix(help, ".") {
				t.Errorf("help %q", help)
			}
			seen[name] = true
			continue
		}
		if typ, ok := strings.CutPrefix(line, "# TYPE "+name+" "); ok {
			if kind = typ; (kind == "counter") != strings.HasSuffix(name, "_total") {
				t.Errorf("%s is a %s", name, kind)
			}
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil || m[1] != name {
			t.Errorf("below %s: %q", name, line)
			continue
		}
		if seen[m[1]+m[2]] && m[2] != "" {
			t.Errorf("twice: %s", line)
		}
		seen[m[1]+m[2]] = true
	}
}

// What is not known is absent rather than 0, and what the process knows by itself stays.
func TestMetricsWithoutAState(t *testing.T) {
	t.Parallel()
	h := newHandler(t, steady(health.Snapshot{Problem: "down", Peers: full.Peers, Streams: full.Streams, Letters: full.Letters}))
	h.Work.Begin("customers", "done")
	got := metrics(t, h)
	for text, want := range map[string]bool{
		"syncd_state_up 0": true, "syncd_peer_calls_total": true, "syncd_runs_total": true,
		"syncd_stream_lag_seconds": false, "syncd_dead_letters_open": false, "syncd_lease_held": false,
	} {
		if strings.Contains(got, text) != want {
			t.Errorf("%s: %t", text, !want)
		}
	}
}

// TestMetricsAreDocumented keeps docs/serve.md in step with what is answered.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "serve.md"))
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]string{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 {
			continue
		}
		for name := range strings.SplitSeq(cells[1], ",") {
			described[strings.Trim(name, " `")] = strings.TrimSpace(cells[2])
		}
	}
	h := newHandler(t, steady(full))
	h.Work.Begin("customers", "done")
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\w+) (\w+)$`).FindAllStringSubmatch(metrics(t, h), -1) {
		if described[m[1]] != m[2] {
			t.Errorf("docs/serve.md says of %s, a %s: %q", m[1], m[2], described[m[1]])
		}
		delete(described, m[1])
	}
	for name := range described {
		if strings.HasPrefix(name, "syncd_") {
			t.Errorf("docs/serve.md describes %s, which there is not", name)
		}
	}
}
