package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/pgtest"
	"github.com/magento-copernica/syncd/internal/seal"
)

// audience is the standard output of a live demo. After each event it lets the
// clock run on, so that the next run sees what happened, and it leaves after some.
type audience struct {
	bytes.Buffer
	ahead  atomic.Int64
	rounds int
	leave  context.CancelFunc
}

func (a *audience) now() time.Time { return time.Now().Add(time.Duration(a.ahead.Load())) }

func (a *audience) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("  ")) && !bytes.HasPrefix(p, []byte("   ")) {
		a.ahead.Add(int64(liveEvery))
		if a.rounds--; a.rounds == 0 {
			a.leave()
		}
	}
	return a.Buffer.Write(p)
}

// TestDemoOnPostgres holds that a demo whose state lies on a server touches no database
// that is there, also one with a real state and another key, and leaves none behind.
func TestDemoOnPostgres(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	url := pgtest.URL(t, pgtest.Template{})
	s.environ["SYNCD_DATABASE_URL"], s.environ["SYNCD_ENCRYPTION_KEY"] = url, seal.NewKey()
	s.ends(exitDone, s.run("run"))
	const everything = "SELECT r::text FROM syncd.runs AS r UNION ALL SELECT r::text FROM syncd.pipelines AS r UNION ALL SELECT count(*)::text FROM syncd.records"
	before := pgtest.Query(t, url, everything)
	for range 2 {
		out := s.run("demo", "--exit", "--customers", "30")
		s.ends(exitDone, out)
		out.says(t, "\n0 missing, 0 duplicate, 0 different; ")
		name := regexp.MustCompile(`state: in .*(syncd_scratch_\w+), made for this demo and dropped at its end\n`).FindStringSubmatch(out.stdout)
		if name == nil {
			t.Fatalf("it does not say where the state lies:\n%s", out.stdout)
		}
		if left := pgtest.Query(t, url, "SELECT datname FROM pg_database WHERE datname = '"+name[1]+"'"); len(left) != 0 {
			t.Errorf("%v is left behind", left)
		}
	}
	if diff := cmp.Diff(before, pgtest.Query(t, url, everything)); diff != "" {
		t.Errorf("the real state changed (-before +after):\n%s", diff)
	}
	s.environ["SYNCD_DATABASE_URL"] = "postgres://me:hunter2@127.0.0.1:1/syncd"
	s.ends(exitFailed, s.run("demo", "--exit", "--customers", "3"), "PostgreSQL server cannot be reached")
}

// TestDemoLive holds that whatever happens in the demo's world reaches the account,
// up to the event that Ctrl-C comes with.
func TestDemoLive(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			const rounds = 30
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			out := &audience{rounds: rounds, leave: leave}
			a, _, stderr := newApp("HOME=" + t.TempDir())
			a.stdout, a.now, a.liveEvery = out, out.now, time.Millisecond
			code := a.run(ctx, []string{"demo", "--customers", "30", "--seed", strconv.FormatUint(seed, 10)})
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if last := lines[len(lines)-1]; code != exitDone || !strings.HasPrefix(last, "0 missing, 0 duplicate, 0 different") {
				t.Errorf("exit code %d\n%s\n%s", code, out, stderr)
			}
			if n := strings.Count(out.String(), "    syncd: "); n != rounds {
				t.Errorf("%d runs after %d events", n, rounds)
			}
			registered := strings.Count(out.String(), " registers\n")
			if created := strings.Count(out.String(), "syncd: 1 created"); registered == 0 || created != registered {
				t.Errorf("%d customers registered, %d runs created one\n%s", registered, created, out)
			}
			guests := strings.Count(out.String(), " registers, and is customer ")
			if found := strings.Count(out.String(), ", 1 guest found to be a customer, "); guests == 0 || found != guests {
				t.Errorf("%d guests registered, %d runs found one\n%s", guests, found, out)
			}
		})
	}
}
