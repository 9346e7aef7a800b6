package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/sync/doctor"
	"github.com/magento-copernica/syncd/sync/schedule"
)

func TestServeEnvFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "env")
	text := strings.Join([]string{
		"# a comment", "; another", "", "SYNCD_SHOP=plain", "  SYNCD_LISTEN = 127.0.0.1:1 ", "SYNCD_LOG_LEVEL='single'",
		`SYNCD_LOG_FORMAT="double"`, `SYNCD_MAX_LAG='it"s'`, "export SYNCD_SETTLE=5s", "SYNCD_OVERLAP=", "OTHER=1", "SYNCD_SHOP=last",
		`SYNCD_SCHEDULE_ORDERS='CRON_TZ=UTC */5 * * * *'`,
	}, "\r\n")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := withFile([]string{"HOME=/h", "SYNCD_SHOP=environment", "SYNCD_DATABASE_URL=kept"}, path)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	want := []string{
		"HOME=/h", "SYNCD_DATABASE_URL=kept", "SYNCD_LISTEN=127.0.0.1:1", "SYNCD_LOG_FORMAT=double", "SYNCD_LOG_LEVEL=single",
		`SYNCD_MAX_LAG=it"s`, "SYNCD_OVERLAP=", "SYNCD_SCHEDULE_ORDERS=CRON_TZ=UTC */5 * * * *", "SYNCD_SETTLE=5s", "SYNCD_SHOP=last",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, bad := range []string{"SYNCD_SHOP='a", `SYNCD_SHOP="a\n"`, "SYNCD_SHOP='a'b'", "SYNCD_SHOP", `SYNCD_SHOP="`} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := withFile(nil, path); !is[*config.Error](err) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// Where another process answers, this one cannot: that is for an operator to mend.
func TestServeListenerTaken(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	s.must(err)
	defer taken.Close()
	s.environ["SYNCD_LISTEN"] = taken.Addr().String()
	s.ends(exitConfiguration, s.run("serve"), "SYNCD_LISTEN is "+taken.Addr().String(), "whose port is free, or off")
}

// Asked to stop before it came to anything, it ends well.
func TestServeEndsBeforeItBegins(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.environ["SYNCD_LISTEN"] = "off"
	s.environ["SYNCD_DATABASE_URL"] = "postgres://nobody@127.0.0.1:1/none?sslmode=disable"
	s.environ["SYNCD_ENCRYPTION_KEY"] = strings.Repeat("ab", 32)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.ends(exitDone, s.runIn(ctx, false, "serve"))
}

// What the pipeline says in every run stands in the log once an hour; the same words
// about something else are something else.
func TestSparingLog(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	log := newSparing(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), func() time.Time { return now })
	magento, copernica := log.With("peer", "magento"), log.With("peer", "copernica")
	for range 59 {
		magento.Warn("peer fails", "until", now)
		magento.Info("peer works again")
		copernica.Warn("peer fails", "until", now)
		log.Warn("deviates", "field", "Email", "error", now.String())
		log.Warn("deviates", "field", "Name")
		now = now.Add(time.Minute)
	}
	if n := strings.Count(out.String(), "\n"); n != 5 {
		t.Errorf("%d lines within an hour:\n%s", n, &out)
	}
	now = now.Add(time.Minute)
	magento.Warn("peer fails")
	if n := strings.Count(out.String(), "\n"); n != 6 {
		t.Errorf("%d lines after an hour", n)
	}
	log.Debug("detail")
	log.Debug("detail")
	if n := strings.Count(out.String(), "detail"); n != 2 {
		t.Errorf("%d details of 2: who asks for them gets all", n)
	}
}

func TestLongestPause(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for expression, want := range map[string]time.Duration{
		"CRON_TZ=UTC */5 * * * *":     5 * time.Minute,
		"@every 1s":                   time.Second,
		"CRON_TZ=UTC 30 2 * * *":      24 * time.Hour,
		"CRON_TZ=UTC */10 8-18 * * *": 13*time.Hour + 10*time.Minute,
		"CRON_TZ=UTC 0 8 * * mon-fri": 72 * time.Hour,
		"CRON_TZ=UTC 0,1,20 * * * *":  40 * time.Minute,
		"CRON_TZ=UTC 0 0 1 1 *":       365 * 24 * time.Hour,
	} {
		due, err := schedule.ParseTicks(expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := doctor.LongestPause(now, due.Next); got != want {
			t.Errorf("%s: %s, want %s", expression, got, want)
		}
	}
}

// TestServeMessagesAreTheDocumented keeps docs/serve.md in step with the program's words.
func TestServeMessagesAreTheDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "serve.md"))
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	for _, pattern := range []string{"serve*.go", filepath.Join("..", "..", "sync", "schedule", "*.go")} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sources.Write(text)
		}
	}
	_, log, _ := strings.Cut(string(page), "\n## The log\n")
	log, _, _ = strings.Cut(log, "\n## ")
	described := 0
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(log, -1) {
		described++
		if !strings.Contains(sources.String(), `"`+m[1]+`"`) {
			t.Errorf("docs/serve.md describes %q, which is not said", m[1])
		}
	}
	if described < 10 {
		t.Errorf("%d messages are described", described)
	}
}

// Whoever switches the customers off switches the way of opt-outs off with them, and is told
// so unless they said that as well.
func TestServeTellsWhatGoesWithTheCustomers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		environ []string
		told    bool
	}{
		{"as it comes", nil, false},
		{"customers off", []string{"SYNCD_SCHEDULE_CUSTOMERS=off"}, true},
		{"both off", []string{"SYNCD_SCHEDULE_CUSTOMERS=off", "SYNCD_CONSENT_PERIOD=off"}, false},
	} {
		cfg, err := config.Load(t.Context(), c.environ)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		(&service{log: slog.New(slog.NewTextHandler(&out, nil))}).warnOfConsent(cfg)
		if told := strings.Contains(out.String(), "SYNCD_SCHEDULE_CUSTOMERS is off"); told != c.told {
			t.Errorf("%s: told %v\n%s", c.name, told, &out)
		}
	}
}
