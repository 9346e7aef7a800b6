package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/magento-copernica/syncd/sync/engine"
)

// The variables by which a test tells a child process what to do.
const (
	// killAt is where it kills itself: a point and at its how-manieth visit, such as sent:17.
	killAt = "SYNCD_TEST_KILL_AT"
	// ahead is by how much its clock is before the real one: what a dead process left
	// behind has expired without anybody waiting for it.
	ahead = "SYNCD_TEST_AHEAD"
	// leaseFor is how long its lease lasts, and makes its clock go evenly; 10 s.
	leaseFor = "SYNCD_TEST_LEASE"
	// traceInto is a file into which it writes the points that it came by, one a line.
	traceInto = "SYNCD_TEST_TRACE"
	// peakMemory has it print its peak memory at the end.
	peakMemory = "SYNCD_TEST_PEAK_MEMORY"
)

// readingTook is by how much a child's clock goes on when it has read Copernica's
// schema first: a page then has to look at it again before it counts.
const readingTook = 3 * time.Second

// mortal is syncd as a child process that kills itself at a point. Its time-outs
// are short, so that a test need not wait out those of a real shop.
func mortal() {
	c, err := newChild()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitConfiguration)
	}
	a := &app{stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(), now: c.now}
	a.tune = func(cfg *engine.Config) {
		cfg.WriteTimeout, cfg.LeaseTTL, cfg.LookPause = time.Second, c.lease, 5*time.Millisecond
		cfg.TestHook = c.visit
	}
	code := a.run(context.Background(), os.Args[1:])
	if err := c.end(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, exitFailed)
	}
	os.Exit(code)
}

// child is what a child process was told, and what it came by.
type child struct {
	point  engine.Point // to die at; empty: nowhere
	at     int64        // its how-manieth visit
	visits atomic.Int64
	ahead  atomic.Int64 // nanoseconds
	read   sync.Once
	lease  time.Duration

	mu    sync.Mutex
	trace []string
}

func newChild() (*child, error) {
	c := &child{lease: 10 * time.Second}
	for name, into := range map[string]func(string) error{
		killAt: func(text string) (err error) {
			point, visit, _ := strings.Cut(text, ":")
			c.point = engine.Point(point)
			c.at, err = strconv.ParseInt(visit, 10, 64)
			return err
		},
		ahead: func(text string) error {
			d, err := time.ParseDuration(text)
			c.ahead.Store(int64(d))
			return err
		},
		leaseFor: func(text string) (err error) {
			c.lease, err = time.ParseDuration(text)
			return err
		},
	} {
		if text := os.Getenv(name); text != "" {
			if err := into(text); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return c, nil
}

func (c *child) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// visit is the engine's test hook.
func (c *child) visit(p engine.Point) {
	if os.Getenv(traceInto) != "" {
		c.mu.Lock()
		c.trace = append(c.trace, string(p))
		c.mu.Unlock()
	}
	if p == c.point && c.visits.Add(1) == c.at {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal arrives
	}
	if p == engine.PointOpened && os.Getenv(leaseFor) == "" {
		c.read.Do(func() { c.ahead.Add(int64(readingTook)) })
	}
}

// end leaves what the test asked for.
func (c *child) end() error {
	if path := os.Getenv(traceInto); path != "" {
		c.mu.Lock()
		lines := slices.Clone(c.trace)
		c.mu.Unlock()
		return os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600)
	}
	if os.Getenv(peakMemory) == "" {
		return nil
	}
	status, err := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmHWM") {
			fmt.Fprint(os.Stdout, line)
		}
	}
	return err
}
