package health_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/health"
)

var (
	noon     = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	fresh    = health.Stream{Name: "customers", Horizon: noon.Add(-10 * time.Minute), Lag: 10 * time.Minute, MaxLag: 30 * time.Minute}
	atLimit  = health.Stream{Name: "orders", Horizon: noon.Add(-30 * time.Minute), Lag: 30 * time.Minute, MaxLag: 30 * time.Minute}
	stale    = health.Stream{Name: "orders", Horizon: noon.Add(-31 * time.Minute), Lag: 31*time.Minute + 5*time.Second, MaxLag: 30 * time.Minute}
	neverRan = health.Stream{Name: "orders", MaxLag: 30 * time.Minute}
)

func newHandler(t *testing.T, source func(context.Context) health.Snapshot) *health.Handler {
	t.Helper()
	h, err := health.New(health.Config{Source: source, Fresh: -1, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// steady is a source of one snapshot.
func steady(s health.Snapshot) func(context.Context) health.Snapshot {
	return func(context.Context) health.Snapshot { return s }
}

func get(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
	return rec
}

func TestPromise24_ReadinessIsFreshness(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		now    health.Snapshot
		status int
		want   string
	}{
		{
			"no stream",
			health.Snapshot{},
			200,
			`{"ready":true,"at":"2026-11-22T12:00:00Z","problem":"","streams":[]}`,
		},
		{
			"fresh, one of them just so",
			health.Snapshot{Streams: []health.Stream{fresh, atLimit}},
			200,
			`{"ready":true,"at":"2026-11-22T12:00:00Z","problem":"","streams":[
				{"name":"customers","ready":true,"horizon":"2026-11-22T11:50:00Z","lag_seconds":600,"late_seconds":0,"max_lag_seconds":1800},
				{"name":"orders","ready":true,"horizon":"2026-11-22T11:30:00Z","lag_seconds":1800,"late_seconds":0,"max_lag_seconds":1800}]}`,
		},
		{
			"one is stale",
			health.Snapshot{Streams: []health.Stream{fresh, stale}},
			503,
			`{"ready":false,"at":"2026-11-22T12:00:00Z","problem":"a stream is staler than promised","streams":[
				{"name":"customers","ready":true,"horizon":"2026-11-22T11:50:00Z","lag_seconds":600,"late_seconds":0,"max_lag_seconds":1800},
				{"name":"orders","ready":false,"horizon":"2026-11-22T11:29:00Z","lag_seconds":1865,"late_seconds":65,"max_lag_seconds":1800}]}`,
		},
		{
			"the first pass goes on",
			health.Snapshot{Streams: []health.Stream{neverRan}},
			503,
			`{"ready":false,"at":"2026-11-22T12:00:00Z","problem":"a stream is staler than promised","streams":[
				{"name":"orders","ready":false,"horizon":null,"lag_seconds":null,"late_seconds":null,"max_lag_seconds":1800}]}`,
		},
		{
			"nothing is known",
			health.Snapshot{Problem: "the state cannot be read"},
			503,
			`{"ready":false,"at":"2026-11-22T12:00:00Z","problem":"the state cannot be read","streams":[]}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rec := get(t, newHandler(t, steady(c.now)), http.MethodGet, "/readyz")
			var got, want any
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); rec.Code != c.status || diff != "" {
				t.Errorf("status %d, want %d (-want +got):\n%s", rec.Code, c.status, diff)
			}
		})
	}
}

// The process lives, whatever it may know: a restart would mend no peer.
func TestLivenessAsksNobody(t *testing.T) {
	t.Parallel()
	h := newHandler(t, func(context.Context) health.Snapshot {
		t.Error("the state was asked")
		return health.Snapshot{}
	})
	if rec := get(t, h, http.MethodGet, "/healthz"); rec.Code != 200 || rec.Body.String() != "{\"alive\":true}\n" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestOnlyReading(t *testing.T) {
	t.Parallel()
	h := newHandler(t, steady(health.Snapshot{}))
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"} {
			if rec := get(t, h, method, path); rec.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, rec.Code)
			}
		}
		if rec := get(t, h, http.MethodHead, path); rec.Code != 200 {
			t.Errorf("HEAD %s: %d", path, rec.Code)
		}
	}
	for _, path := range []string{"/", "/debug/pprof/", "/healthz/", "/metrics/x"} {
		if rec := get(t, h, http.MethodGet, path); rec.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
}

// full is a snapshot with a sample of every metric.
var full = health.Snapshot{
	Streams: []health.Stream{fresh, neverRan},
	Letters: map[string]int64{"refused": 2, "email_empty": 1},
	Rows:    []health.Rows{{Entity: "profile", State: "acknowledged", Count: 60_000}},
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
		Read: 10, Created: 3, Updated: 2, Refused: 1, Unknown: 4, OptOutsKept: 5, Claimed: 7, Erased: 8, Ownerless: 6,
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

// However many ask, the state is asked by one at a time, and not again within a moment.
func TestManyWhoAskAreOneQuestion(t *testing.T) {
	t.Parallel()
	var asked, together, most atomic.Int64
	now := noon
	var mu sync.Mutex
	h, err := health.New(health.Config{
		Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
		Source: func(context.Context) health.Snapshot {
			asked.Add(1)
			most.Store(max(most.Load(), together.Add(1)))
			defer together.Add(-1)
			return full
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { get(t, h, http.MethodGet, "/readyz"); get(t, h, http.MethodGet, "/metrics") })
	}
	wg.Wait()
	if asked.Load() != 1 || most.Load() != 1 {
		t.Errorf("asked %d times, %d at once", asked.Load(), most.Load())
	}
	mu.Lock()
	now = now.Add(2 * time.Second)
	mu.Unlock()
	get(t, h, http.MethodGet, "/readyz")
	if asked.Load() != 2 {
		t.Errorf("asked %d times after a moment", asked.Load())
	}
}

// A state that does not answer makes a red answer, not a hanging one.
func TestAStateThatHangs(t *testing.T) {
	t.Parallel()
	h, err := health.New(health.Config{Limit: 20 * time.Millisecond, Source: func(ctx context.Context) health.Snapshot {
		<-ctx.Done()
		return health.Snapshot{Problem: "no answer"}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if rec := get(t, h, http.MethodGet, "/readyz"); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d", rec.Code)
	}
}

// Over a real connection: no banner names the program or its version, and whoever
// sends no headers is hung up on.
func TestServer(t *testing.T) {
	t.Parallel()
	server := newHandler(t, steady(full)).Server()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	response, err := http.Get("http://" + listener.Addr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || len(body) == 0 {
		t.Fatal(err)
	}
	var names []string
	for name := range response.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{"Cache-Control", "Content-Length", "Content-Type", "Date", "X-Content-Type-Options"}; !slices.Equal(names, want) {
		t.Errorf("headers %v, want %v", names, want)
	}
	if server.ReadHeaderTimeout <= 0 || server.ReadTimeout <= 0 || server.WriteTimeout <= 0 || server.IdleTimeout <= 0 || server.MaxHeaderBytes <= 0 {
		t.Errorf("a limit is missing: %+v", server)
	}
}

func TestAHandlerNeedsASource(t *testing.T) {
	t.Parallel()
	if _, err := health.New(health.Config{}); err == nil {
		t.Error("a handler of nothing")
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
