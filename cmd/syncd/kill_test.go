package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/demo"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/sync/engine"
)

// killAt names the variable that tells a child where to kill itself: a point and
// at its how-manieth visit, such as sent:17.
const killAt = "SYNCD_TEST_KILL_AT"

// mortal is syncd as a child process that kills itself at a point. Its time-outs
// are short, so that a test need not wait out those of a real shop.
func mortal() {
	point, visit, _ := strings.Cut(os.Getenv(killAt), ":")
	at, err := strconv.ParseInt(visit, 10, 64)
	if point != "" && err != nil {
		fmt.Fprintln(os.Stderr, killAt, err)
		os.Exit(exitConfiguration)
	}
	var visits atomic.Int64
	a := &app{stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(), now: time.Now}
	a.tune = func(cfg *engine.Config) {
		cfg.WriteTimeout, cfg.LeaseTTL, cfg.LookPause = time.Second, 10*time.Second, 5*time.Millisecond
		cfg.TestHook = func(p engine.Point) {
			if string(p) == point && visits.Add(1) == at {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // until the signal arrives
			}
		}
	}
	code := a.run(context.Background(), os.Args[1:])
	if os.Getenv(peakMemory) != "" {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		for line := range strings.Lines(string(status)) {
			if strings.HasPrefix(line, "VmHWM") {
				fmt.Fprint(os.Stdout, line)
			}
		}
	}
	os.Exit(code)
}

// peakMemory names the variable that has a child print its peak memory at the end.
const peakMemory = "SYNCD_TEST_PEAK_MEMORY"

// killCustomers is how many customers a killed run moves.
func killCustomers() int { return max(500/testScale(), 60) }

// testScale is what SQLite suites divide their numbers by under the race detector.
func testScale() int {
	if n, err := strconv.Atoi(os.Getenv("SYNCD_TEST_SCALE")); err == nil && n > 0 {
		return n
	}
	return 1
}

// place is one world with one state on disk.
type place struct {
	world   *demo.World
	environ []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	// Every answer takes a moment, so that a kill meets calls in flight.
	world, err := demo.Start(t.Context(), demo.Config{
		Customers: killCustomers(), Seed: 7, Now: time.Now, Latency: 2 * time.Millisecond,
		Start: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := world.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &place{world: world, environ: append(world.Environ(),
		"PATH="+os.Getenv("PATH"),
		"SYNCD_DATABASE_URL=sqlite://"+filepath.Join(t.TempDir(), "state", "syncd.db"),
		"SYNCD_MAGENTO_PAGE_SIZE="+strconv.Itoa(max(50/testScale(), 10)),
		"SYNCD_SETTLE=0s",
	)}
	if out, err := p.command(t, "", "provision").CombinedOutput(); err != nil {
		t.Fatalf("provision: %v\n%s", err, out)
	}
	return p
}

// command is a child process that kills itself at a point, or not at all.
func (p *place) command(t *testing.T, point string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "syncd-mortal", args...)
	cmd.Env = p.environ
	if point != "" {
		cmd.Env = append(cmd.Env, killAt+"="+point)
	}
	return cmd
}

// finish runs until a run ends by itself, as systemd would restart it, and returns
// what the account holds then.
func (p *place) finish(t *testing.T) []byte {
	t.Helper()
	var out []byte
	var err error
	for range 3 {
		if out, err = p.command(t, "", "run").CombinedOutput(); err == nil {
			break
		}
		// On a busy machine a call can outlast the short time-outs; the next run goes on.
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitFailed {
			break
		}
	}
	if err != nil {
		t.Fatalf("the run after the kill: %v\n%s", err, out)
	}
	if diff := p.world.Compare("shop", amsterdam(t)); !diff.None() {
		t.Errorf("after the kill: %s\n%s\n%s", diff, strings.Join(diff.Examples, "\n"), out)
	}
	before := p.world.Account.Calls()
	if out, err := p.command(t, "", "run").CombinedOutput(); err != nil {
		t.Fatalf("one run more: %v\n%s", err, out)
	}
	if calls := p.world.Account.Calls() - before; calls != 0 {
		t.Errorf("promise 8: a run with nothing to write made %d calls", calls)
	}
	return p.world.Account.Dump()
}

func amsterdam(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// killed reports whether a process was ended by SIGKILL.
func killed(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// visits is the visit of a point at which the child dies: in the middle of the
// work for the points that a run meets often.
func visits(p engine.Point) int {
	switch p {
	case engine.PointSending, engine.PointSent:
		return killCustomers() / 2
	case engine.PointPageRead, engine.PointPlanning, engine.PointPlanned, engine.PointAnswered, engine.PointCommitted, engine.PointOpened:
		return 3
	default:
		return 1
	}
}

func TestPromise10_KilledAnywhereTheAccountEndsTheSame(t *testing.T) {
	t.Parallel()
	undisturbed := newPlace(t).finish(t)

	for _, point := range engine.Points() {
		t.Run(string(point), func(t *testing.T) {
			p := newPlace(t)
			at := fmt.Sprintf("%s:%d", point, visits(point))
			out, err := p.command(t, at, "run").CombinedOutput()
			if !killed(err) {
				t.Fatalf("the child never came to %s: %v\n%s", at, err, out)
			}
			same(t, undisturbed, p.finish(t))
		})
	}

	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("SYNCD_TEST_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("random kills: SYNCD_TEST_SEED=%d repeats them", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 10 {
		call := 1 + random.IntN(killCustomers())
		t.Run(fmt.Sprintf("random %d, at call %d", i, call), func(t *testing.T) {
			p := newPlace(t)
			p.killAtCall(t, call)
			same(t, undisturbed, p.finish(t))
		})
	}
}

// killAtCall runs a child and kills it from outside while the account works on the
// given call.
func (p *place) killAtCall(t *testing.T, call int) {
	t.Helper()
	cmd := p.command(t, "", "run")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	started := make(chan struct{})
	var calls atomic.Int64
	hook := p.world.Account.Faults().Add(emulator.Fault{Match: func(r *http.Request) bool {
		if r.Method == http.MethodPut && calls.Add(1) == int64(call) {
			<-started
			_ = cmd.Process.Kill()
		}
		return false
	}})
	defer hook.Remove()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	if err := cmd.Wait(); !killed(err) {
		t.Fatalf("the child ended by itself before call %d: %v\n%s", call, err, &out)
	}
}

// same compares two dumps byte for byte.
func same(t *testing.T, want, got []byte) {
	t.Helper()
	if bytes.Equal(want, got) {
		return
	}
	a, b := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("the account differs from an undisturbed run in line %d:\nundisturbed: %s\nkilled:      %s", i+1, a[i], b[i])
		}
	}
	t.Fatalf("the account differs from an undisturbed run: %d lines, not %d", len(b), len(a))
}
