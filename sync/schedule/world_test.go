package schedule_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/schedule"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a store of marks that can be out of reach.
type memory struct {
	mu    sync.Mutex
	marks map[string]time.Time
	err   error // of every call
	reads int
}

func (m *memory) Mark(_ context.Context, name string) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	return m.marks[name], m.err
}

func (m *memory) SetMark(_ context.Context, name string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.marks[name] = at
	}
	return m.err
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *memory) calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

func (m *memory) copy() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memory{marks: maps.Clone(m.marks)}
}

// lease is the pipeline's one writer.
type lease struct {
	mu     sync.Mutex
	holder string
}

// peers stands for the engine and what lies behind it: each task lasts a while, and
// ends as the test says.
type peers struct {
	holder string
	lease  *lease

	mu     sync.Mutex
	lasts  func(schedule.Task) time.Duration          // nil: a second
	answer func(schedule.Task) (engine.Report, error) // nil: done
	began  []schedule.Task
	ended  []schedule.Task
	active int
}

var errPeer = errors.New("the peer is down")

func done(t schedule.Task) (engine.Report, error) {
	return engine.Report{Stream: t.Stream, Run: 1, Outcome: state.Done, Horizon: t.Start}, nil
}

func (p *peers) Dispatch(ctx context.Context, t schedule.Task) (engine.Report, error) {
	if p.lease != nil {
		p.lease.mu.Lock()
		held := p.lease.holder
		if held == "" {
			p.lease.holder = p.holder
		}
		p.lease.mu.Unlock()
		if held != "" {
			return engine.Report{Stream: t.Stream}, &state.HeldError{Pipeline: t.Pipeline, Holder: held, Expires: time.Now().Add(3 * time.Minute)}
		}
		defer func() {
			p.lease.mu.Lock()
			p.lease.holder = ""
			p.lease.mu.Unlock()
		}()
	}
	p.mu.Lock()
	p.began = append(p.began, t)
	p.active++
	overlap := p.active > 1
	lasting := p.lasts
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.active--
		p.mu.Unlock()
	}()
	if overlap {
		panic("two tasks at once")
	}
	lasts := time.Second
	if lasting != nil {
		lasts = lasting(t)
	}
	select {
	case <-time.After(lasts):
	case <-ctx.Done():
		return engine.Report{Stream: t.Stream, Run: 1, Outcome: state.Paused}, context.Canceled
	}
	p.mu.Lock()
	answer := p.answer
	p.mu.Unlock()
	if answer == nil {
		answer = done
	}
	report, err := answer(t)
	if err == nil {
		p.mu.Lock()
		p.ended = append(p.ended, t)
		p.mu.Unlock()
	}
	return report, err
}

// last sets how long tasks last from now on.
func (p *peers) last(lasts func(schedule.Task) time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lasts = lasts
}

// answers sets how tasks end from now on; nil: well.
func (p *peers) answers(answer func(schedule.Task) (engine.Report, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// tasks returns what was begun so far, of one stream or of all.
func (p *peers) tasks(stream string) []schedule.Task {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []schedule.Task
	for _, t := range p.began {
		if stream == "" || t.Stream == stream {
			out = append(out, t)
		}
	}
	return out
}

// finished returns what ended well.
func (p *peers) finished(stream string) []schedule.Task {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []schedule.Task
	for _, t := range p.ended {
		if t.Stream == stream {
			out = append(out, t)
		}
	}
	return out
}

// world is a scheduler with all it needs, on the bubble's clock, which begins at
// midnight UTC of the first of January 2000.
type world struct {
	t     *testing.T
	store *memory
	peers *peers
	cfg   schedule.Config
	log   *lockedBuffer
}

// lockedBuffer is a buffer that a test may read while the scheduler writes.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// scaled divides a number by SYNCD_TEST_SCALE, which `make race` sets.
func scaled(n, least int) int {
	if by, err := strconv.Atoi(os.Getenv("SYNCD_TEST_SCALE")); err == nil && by > 0 {
		return max(n/by, least)
	}
	return n
}

// inWorld runs a test in a bubble.
func inWorld(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, store: &memory{marks: map[string]time.Time{}}, peers: &peers{}, log: new(lockedBuffer)}
		w.cfg = schedule.Config{
			Pipeline: "shop", Spread: -1, Now: time.Now,
			Log: slog.New(slog.NewTextHandler(w.log, nil)),
		}
		w.streams("customers", "*/5 * * * *", "orders", "*/15 * * * *")
		test(t, w)
	})
}

// streams sets names and expressions.
func (w *world) streams(pairs ...string) {
	w.t.Helper()
	w.cfg.Streams = nil
	for i := 0; i < len(pairs); i += 2 {
		w.cfg.Streams = append(w.cfg.Streams, schedule.Stream{Name: pairs[i], Due: ticks(w.t, "CRON_TZ=UTC "+strings.TrimPrefix(pairs[i+1], "CRON_TZ=UTC "))})
	}
}

// start runs a scheduler on the world's store until stop is called.
func (w *world) start() (s *schedule.Scheduler, stop func()) {
	w.t.Helper()
	cfg := w.cfg
	cfg.Store = w.store
	if cfg.Dispatcher == nil {
		cfg.Dispatcher = w.peers
	}
	s, err := schedule.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	return s, func() {
		cancel()
		<-ended
	}
}

// lines counts the log's lines that hold a text.
func (w *world) lines(text string) int {
	n := 0
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// until sleeps up to a time of day of the bubble's first days.
func until(text string) {
	at, err := time.Parse(time.DateTime, text)
	if err != nil {
		panic(err)
	}
	time.Sleep(time.Until(at))
	synctest.Wait()
}

// starts prints when tasks started.
func starts(tasks []schedule.Task) []string {
	var out []string
	for _, t := range tasks {
		out = append(out, t.Stream+" "+t.Start.UTC().Format(time.TimeOnly))
	}
	return out
}
