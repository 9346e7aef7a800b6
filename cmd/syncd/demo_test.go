package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
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
	if bytes.HasPrefix(p, []byte("  customer ")) {
		a.ahead.Add(int64(liveEvery))
		if a.rounds--; a.rounds == 0 {
			a.leave()
		}
	}
	return a.Buffer.Write(p)
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
		})
	}
}
