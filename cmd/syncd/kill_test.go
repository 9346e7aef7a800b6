package main

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/demo"
	"github.com/magento-copernica/syncd/sync/engine"
)

// place is one world with one state on disk.
type place struct {
	world   *demo.World
	environ []string
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

// seeded is where random choices begin: anew each time, or where SYNCD_TEST_SEED says.
func seeded(t *testing.T) (uint64, *rand.Rand) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("SYNCD_TEST_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("SYNCD_TEST_SEED=%d repeats the choices", seed)
	return seed, rand.New(rand.NewPCG(seed, 0))
}

// undisturbed plays a history without a kill. It returns what the account holds then,
// and for each leg the points that the process came by, and its calls.
func undisturbed(t *testing.T) (dump []byte, traces [][]engine.Point, calls []int) {
	t.Helper()
	w := newTown(t, inFile(t), large())
	for _, l := range legs() {
		l.happens(w)
		path := filepath.Join(t.TempDir(), "trace")
		calls = append(calls, w.finish(t, l.args, traceInto+"="+path))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var trace []engine.Point
		for line := range strings.Lines(string(text)) {
			trace = append(trace, engine.Point(strings.TrimSpace(line)))
		}
		traces = append(traces, trace)
		t.Logf("%s: %d points, %d calls", l.args, len(trace), calls[len(calls)-1])
	}
	w.judge(t)
	return w.account.Dump(), traces, calls
}

// TestPromise10_KilledAnywhereTheAccountEndsTheSame kills processes at every named point
// and at ten random calls, on both stores, several in one history: in the end the account
// is what it is without a kill, no row is there twice, and what was written again is at
// most what was in flight.
func TestPromise10_KilledAnywhereTheAccountEndsTheSame(t *testing.T) {
	t.Parallel()
	_, random := seeded(t)
	dump, traces, calls := undisturbed(t)
	const atOnce = 5 // histories: they wait as much as they work
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for _, store := range stores() {
		points := engine.Points()
		random.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
		var histories [][][]string
		for some := range slices.Chunk(points, 8) {
			histories = append(histories, killsAt(random, traces, some))
		}
		for range 2 {
			histories = append(histories, killsAtCalls(random, calls, 5))
		}
		if testing.Short() || testScale() > 1 { // the race detector's children are slow, and their points the same
			histories = histories[:1]
		}
		for _, kills := range histories {
			slots <- struct{}{}
			all.Go(func() {
				defer func() { <-slots }()
				t.Run(store.name+" "+fmt.Sprint(kills), func(t *testing.T) {
					w := newTown(t, store.database(t), large())
					for i, l := range legs() {
						l.happens(w)
						for _, at := range kills[i] {
							w.kill(t, l.args, at)
						}
						w.finish(t, l.args)
					}
					w.judge(t)
					same(t, dump, w.account.Dump())
				})
			})
		}
	}
	all.Wait()
}

// A store is where a state may be.
type store struct {
	name     string
	database func(*testing.T) string // a new one
}

func stores() []store { return []store{{"SQLite", inFile}, {"PostgreSQL", inPostgres}} }

// killsAt chooses for each point the leg and the visit at which a child dies, such as
// sent:17, so that each is met although those before it left less to do.
func killsAt(random *rand.Rand, traces [][]engine.Point, points []engine.Point) [][]string {
	chosen := make([][]engine.Point, len(traces))
	for _, p := range points {
		var met []int
		for i, trace := range traces {
			if slices.Contains(trace, p) {
				met = append(met, i)
			}
		}
		if len(met) == 0 {
			chosen[0] = append(chosen[0], p) // the child says that it never comes there
			continue
		}
		i := met[random.IntN(len(met))]
		chosen[i] = append(chosen[i], p)
	}
	kills := make([][]string, len(traces))
	for i, trace := range traces {
		// What follows are documents; and a sweep and the way back close no pass.
		pages := before(before(trace, engine.PointPassClosed), engine.PointLastPage)
		place := func(p engine.Point) int {
			if at := lastOf(pages, p); at >= 0 {
				return at
			}
			return len(pages) + lastOf(trace, p) // it comes after them alone
		}
		slices.SortFunc(chosen[i], func(p, q engine.Point) int {
			return cmp.Or(slices.Index(atLast(), p)-slices.Index(atLast(), q), place(p)-place(q))
		})
		for n, p := range chosen[i] {
			var visits []int // those that are left
			for at, q := range pages {
				if p == q {
					visits = append(visits, at)
				}
			}
			visit := 0
			if len(visits) > 0 && !slices.Contains(atLast(), p) {
				visit = random.IntN(max(1, len(visits)/(len(chosen[i])-n+1)))
				pages = pages[visits[visit]:]
			}
			kills[i] = append(kills[i], fmt.Sprintf("%s:%d", p, visit+1))
		}
	}
	return kills
}

// lostFirst are the points that a child comes by because its first creation is lost.
func lostFirst() []engine.Point {
	return []engine.Point{engine.PointLooking, engine.PointLooked, engine.PointResumed}
}

// atLast are the points that a child dies at after all others of its leg, in this order:
// those that need a creation, which is lost, those at the end of a pass, which come
// again in the next, that of the documents behind it, and those of people who are erased at
// the end of a round.
func atLast() []engine.Point {
	return append(lostFirst(), engine.PointLastPage, engine.PointClosing, engine.PointPassClosed, engine.PointTold,
		engine.PointErasing, engine.PointEntombed, engine.PointErased)
}

// before is a trace up to where it comes by a point last; whole where it never does.
func before(trace []engine.Point, p engine.Point) []engine.Point {
	if at := lastOf(trace, p); at >= 0 {
		return trace[:at]
	}
	return trace
}

// lastOf is where a trace comes by a point last, or -1.
func lastOf(trace []engine.Point, p engine.Point) int {
	for n, q := range slices.Backward(trace) {
		if p == q {
			return n
		}
	}
	return -1
}

// killsAtCalls chooses n moments: calls to the account at which a child is killed from
// outside, such as call:17.
func killsAtCalls(random *rand.Rand, calls []int, n int) [][]string {
	legs := make([]int, len(calls))
	for range n {
		legs[random.IntN(len(calls))]++
	}
	kills := make([][]string, len(calls))
	for i, n := range legs {
		for range n {
			kills[i] = append(kills[i], fmt.Sprintf("call:%d", 1+random.IntN(max(1, calls[i]/(n+1)))))
		}
	}
	return kills
}

// kill runs a child that dies at a point, or at a call to the account.
func (w *town) kill(t *testing.T, args []string, at string) {
	t.Helper()
	text, outside := strings.CutPrefix(at, "call:")
	if !outside {
		w.dies(t, args, at)
		return
	}
	call, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	cmd := w.command(t, args)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	started := make(chan struct{})
	w.front.begin(true)
	w.front.during(func() {
		<-started
		_ = cmd.Process.Kill()
	}, call)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	if err := cmd.Wait(); !killed(err) {
		t.Fatalf("the child ended by itself before call %d: %v\n%s", call, err, &out)
	}
	w.later()
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
