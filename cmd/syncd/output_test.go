package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// everyPageTakesLong makes our clock jump at each commit, so that each is due for a line.
func (s *stage) everyPageTakesLong() {
	s.tune = func(cfg *engine.Config) {
		cfg.TestHook = func(p engine.Point) {
			if p == engine.PointCommitted {
				s.ownAhead.Add(int64(lineEvery))
			}
		}
	}
}

// TestCallsShownAreBilled holds that the number of a run is what Copernica bills,
// however often the authentication host is asked.
func TestCallsShownAreBilled(t *testing.T) {
	t.Parallel()
	s := newOrderStage(t)
	refused := s.account.Faults().Add(emulator.Fault{
		Kind: emulator.Status, Status: http.StatusServiceUnavailable, Times: 2,
		Match: func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Path == "/" },
	})
	shown := regexp.MustCompile(`; (\d+) calls? to Copernica, `)
	for i, change := range []func(){func() {}, s.everybodyChanges, func() { s.pass(time.Second) }} {
		change()
		before := s.account.Calls()
		out := s.run("run")
		s.ends(exitDone, out)
		billed, sum := s.account.Calls()-before, 0
		for _, m := range shown.FindAllStringSubmatch(out.stdout, -1) {
			n, err := strconv.Atoi(m[1])
			s.must(err)
			sum += n
		}
		if sum != billed {
			t.Errorf("run %d: %d calls are billed, %d shown:\n%s", i+1, billed, sum, out.stdout)
		}
	}
	if refused.Hits() != 2 {
		t.Errorf("the authentication host failed %d times, want 2", refused.Hits())
	}
}

func TestNumbersInWords(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 calls", 1: "1 call", 2: "2 calls", 1000: "1,000 calls", 12345678: "12,345,678 calls"} {
		if got := counted(n, "call"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	got := summary(engine.Report{Stream: "customers", Outcome: state.Failed, Counters: state.Counters{Read: 2, Created: 1, Unknown: 1, OptOutsKept: 1, TargetCalls: 1, SourceCalls: 1}})
	if want := "customers: 2 read, 1 created, 0 updated, 0 unchanged, 1 without an outcome yet, 1 opt-out in Copernica kept; " +
		"1 call to Copernica, 1 to Magento; 0s; failed, the next run resumes here"; got != want {
		t.Errorf("summary %q, want %q", got, want)
	}
	got = summary(engine.Report{
		Stream: "orders", Outcome: state.Done, Horizon: time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC), Elapsed: 2345 * time.Millisecond,
		Counters: state.Counters{Read: 4000, Created: 15211, Removed: 3, Refused: 2, Ownerless: 12, TargetCalls: 15430, SourceCalls: 40},
	})
	if want := "orders: 4,000 read, 15,211 rows created, 0 updated, 0 unchanged, 3 rows removed, 2 refused, 12 of deleted accounts; " +
		"15,430 calls to Copernica, 40 to Magento; 2.35s; in step up to 2026-03-29T00:30:00Z"; got != want {
		t.Errorf("summary %q, want %q", got, want)
	}
	got = summary(engine.Report{Stream: "orders", Outcome: state.Paused, Waiting: true, Counters: state.Counters{Read: 1, Created: 1}})
	if want := "orders: 1 read, 1 row created, 0 updated, 0 unchanged; 0 calls to Copernica, 0 to Magento; 0s; " +
		"waits for customers: the first pass over the customers is not finished"; got != want {
		t.Errorf("summary %q, want %q", got, want)
	}
	for _, c := range []struct {
		settled, recordless int64
		want                string
	}{
		{3, 1, "2 opt-outs returned to the shop, 1 opt-out of people without a record in the shop; "},
		{2, 0, "2 opt-outs returned to the shop; "},
		{2, 2, "unsubscribes: 0 read, 2 opt-outs of people without a record in the shop; "},
	} {
		got = summary(engine.Report{Stream: engine.Unsubscribes, Counters: state.Counters{OptOutsReturned: c.settled, OptOutsWithoutRecord: c.recordless}})
		if !strings.Contains(got, c.want) {
			t.Errorf("of %d opt-outs, %d of people without a record: %q", c.settled, c.recordless, got)
		}
	}
}

func TestProgressLines(t *testing.T) {
	t.Parallel()
	s := newOrderStage(t)
	s.everyPageTakesLong()
	out := s.run("run")
	s.ends(exitDone, out)
	for _, want := range []string{
		"customers: 10 of 32 read, 10 created, 0 updated\n",
		"customers: 20 of 32 read, 20 created, 0 updated\n",
		"\norders: 20 of 60 read, ",
	} {
		if !strings.Contains(out.stderr, want) {
			t.Errorf("standard error lacks %q:\n%s", want, out.stderr)
		}
	}
	if strings.ContainsAny(out.stderr, "\r\x1b") {
		t.Errorf("a pipe got a terminal's bytes: %q", out.stderr)
	}
}

// TestJSONLogs holds that with SYNCD_LOG_FORMAT=json each line of standard error
// is a JSON object, whatever the command has to say there.
func TestJSONLogs(t *testing.T) {
	t.Parallel()
	for _, terminal := range []bool{true, false} {
		t.Run(fmt.Sprintf("terminal: %t", terminal), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.environ["SYNCD_LOG_FORMAT"], s.environ["SYNCD_LOG_LEVEL"] = "JSON", "debug"
			s.everyPageTakesLong()
			out := s.runIn(t.Context(), terminal, "run")
			lines := jsonLines(t, out.stderr)
			n := 0
			for _, line := range lines {
				if line["msg"] == "progress" && line["stream"] == engine.Customers && line["total"] == float64(stageCustomers) {
					n++
				}
			}
			if out.code != exitDone || n < 3 {
				t.Errorf("exit code %d, %d lines of progress:\n%s", out.code, n, out.stderr)
			}

			for _, c := range []struct {
				args  []string
				spoil func(*stage)
				code  int
				says  string
			}{
				{[]string{"run", "carts"}, func(*stage) {}, exitConfiguration, "carts"},
				{[]string{"run"}, set("MAGENTO_ACCESS_TOKEN", "hunter2"), exitPeer, "SYNCD_MAGENTO_ACCESS_TOKEN"},
				{[]string{"run"}, set("OVERLAP", "soon"), exitConfiguration, "SYNCD_OVERLAP"},
			} {
				s.pass(time.Minute)
				c.spoil(s)
				out := s.runIn(t.Context(), terminal, c.args...)
				lines := jsonLines(t, out.stderr)
				last := lines[len(lines)-1]
				if text, _ := last["error"].(string); out.code != c.code || last["level"] != "ERROR" || last["exit_code"] != float64(c.code) || !strings.Contains(text, c.says) {
					t.Errorf("exit code %d, last line %v", out.code, last)
				}
			}
		})
	}
}

func jsonLines(t *testing.T, text string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(text) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("line %q is no JSON object: %v", line, err)
		}
		out = append(out, object)
	}
	if len(out) == 0 {
		t.Fatal("no lines at all")
	}
	return out
}

// TestBudgetFromTheCommandLine holds promise 21: a spent budget ends a run cleanly,
// and enough runs finish the pass.
func TestBudgetFromTheCommandLine(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.environ["SYNCD_RUN_BUDGET"] = "10"
	for i := range 4 {
		out := s.run("run")
		s.ends(exitDone, out)
		paused := strings.Contains(out.stdout, "10 read, 10 created") && strings.Contains(out.stdout, "not finished, the next run resumes here")
		if paused != (i < 3) {
			t.Fatalf("run %d: %s", i+1, out.stdout)
		}
	}
	s.compare()
	delete(s.environ, "SYNCD_RUN_BUDGET")
	s.pass(time.Second)
	s.inStep()
}

// spoilt is a database that forgets the first profile and changes a name of the second.
type spoilt struct {
	engine.Database
	writes *int
}

func (d spoilt) Upsert(ctx context.Context, key copernica.KeyField, value string, fields map[string]string) (copernica.Upserted, error) {
	*d.writes++
	switch *d.writes {
	case 1:
		return copernica.Upserted{Created: true, ID: 1}, nil
	case 2:
		fields = maps.Clone(fields)
		fields["lastname"] += "!"
	}
	return d.Database.Upsert(ctx, key, value, fields)
}

// TestDemoFindsAPlantedDifference holds that the demo prints the true numbers.
func TestDemoFindsAPlantedDifference(t *testing.T) {
	t.Parallel()
	a, stdout, stderr := newApp("HOME=" + t.TempDir())
	a.tune = func(cfg *engine.Config) {
		cfg.Writes = 1 // so that writes need no lock
		open, writes := cfg.Open, new(int)
		cfg.Open = func(ctx context.Context) (engine.Database, error) {
			db, err := open(ctx)
			return spoilt{db, writes}, err
		}
	}
	code := a.run(t.Context(), []string{"demo", "--exit", "--customers", "20", "--orders", "0"})
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if last := lines[len(lines)-1]; code != exitFailed || !strings.HasPrefix(last, "1 missing, 0 duplicate, 1 different") {
		t.Errorf("exit code %d, last line %q\n%s", code, last, stderr)
	}
	if !strings.Contains(stdout.String(), "lastname") || !strings.Contains(stderr.String(), "syncd: ") {
		t.Errorf("nothing says what differs:\n%s%s", stdout, stderr)
	}
}
