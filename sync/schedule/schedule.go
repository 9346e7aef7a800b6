// Package schedule decides when each stream of a pipeline is brought up to date, and
// has it done.
//
// Due-ness is data in the store: a mark says up to which moment the ticks of a stream
// have been answered, and the stream is due when a tick of its cron expression lies
// behind that. So a process that was down makes one run for all it missed, two
// processes on one state do not answer a tick twice, and a run that a crash cut short
// is taken up by the successor at once.
//
// What holds:
//
//   - one task at a time, since the pipeline has one writer (promise 13); ticks and
//     triggers that come meanwhile fall together into one task after it;
//   - the stream whose tick is oldest goes first, and of one tick the first in the list;
//   - work between the ticks goes only while no stream is due;
//   - a run that spent its budget goes on at the next tick (promise 21), and one that
//     failed is tried at later and later ticks, never between them;
//   - a task that could not begin, because another process writes or the state is out
//     of reach, stays due and is tried again within a minute;
//   - the loop reports life only while it turns and the task under way gets on.
//
// Correctness does not rest here: the fence and the checkpoint's compare-and-swap in
// package state hold whoever is started when.
package schedule

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/magento-copernica/syncd/sync/engine"
)

// Store is what a Scheduler needs of the state.
type Store interface {
	Mark(ctx context.Context, name string) (time.Time, error)
	SetMark(ctx context.Context, name string, at time.Time) error
}

// Stream is a stream of the pipeline and the ticks it is due at.
type Stream struct {
	Name string
	Due  cron.Schedule // of whole seconds
}

// Config of a Scheduler. Pipeline, Store and Dispatcher are required; the zero value
// of anything else is its default.
type Config struct {
	Pipeline   string
	Streams    []Stream // in the order in which they are worked when due together
	Store      Store
	Dispatcher Dispatcher

	// Seed tells this pipeline from others on the machine, so that they do not all
	// start at once: from it, the stream and the tick follows how long after its tick
	// a task starts. Default: the pipeline's name.
	Seed string
	// Spread is the share of the time between two ticks over which tasks are spread, 5
	// minutes at most; default 0.1, negative: none.
	Spread float64

	// Between is work for the time in which no stream is due; nil: there is none.
	Between Between

	// Signs returns a number that changes while a task gets on. One whose signs stand
	// still for Stall hangs. Nil: no task hangs.
	Signs func() int64
	// Stall must be longer than any healthy call or pause of a run. Default 5 min.
	Stall time.Duration
	// Alive is called every Beat while the loop turns and no task hangs. Zero: never.
	Alive func()
	Beat  time.Duration

	// Observe is told what came of each task, in the goroutine of Run.
	Observe func(Result)

	Now func() time.Time
	Log *slog.Logger
}

// Result is what came of a task.
type Result struct {
	Task   Task
	Report engine.Report
	Err    error
	Kind   Kind
}

// Kind says what a result means for the schedule.
type Kind string

// The kinds.
const (
	Ended      Kind = "ended"       // up to its horizon, or its budget was spent
	Failed     Kind = "failed"      // the stream backs off
	Held       Kind = "held"        // another process writes for the pipeline
	NotStarted Kind = "not_started" // the state is out of reach
	Stopped    Kind = "stopped"     // cut short because this process ends
)

const (
	// storeLimit bounds a look into the store, so that the loop goes on turning.
	storeLimit = 10 * time.Second
	// longestSleep is when the clock is looked at again: it may have been set, or the
	// machine have slept.
	longestSleep = time.Minute
	// longestBackoff bounds the ticks that a failing stream passes over.
	longestBackoff = 15 * time.Minute
	// shortPause and longPause bound the pauses of a task that could not begin, and
	// heldPause is that of one whose pipeline another process holds.
	shortPause, longPause = 5 * time.Second, time.Minute
	heldPause             = 10 * time.Second
	mostSpread            = 5 * time.Minute
)

// Scheduler runs the streams of one pipeline when they are due.
type Scheduler struct {
	cfg     Config
	journal *journal
	kicked  chan struct{}

	mu      sync.Mutex
	renewed []Stream        // not nil: takes the place of the streams
	wanted  map[string]bool // asked for by Trigger

	// Owned by the goroutine of Run.
	lines   []*line
	trouble trouble
	rest    time.Time // no work between the ticks before
	task    *Task     // under way
	signs   int64
	moved   time.Time // when the signs last changed
	hangs   bool
}

// line is a stream as the loop knows it.
type line struct {
	Stream
	mark      time.Time // ticks up to here have been answered; valid when known
	known     bool
	wanted    time.Time // since when a run was asked for, whatever the schedule says; zero: it was not
	failures  int       // in a row
	notBefore time.Time

	// The first tick after mark and when it is answered, once they were computed.
	tick, start time.Time
	computed    bool
}

// answered moves the mark of a line.
func (l *line) answered(mark time.Time) {
	l.computed = l.computed && l.mark.Equal(mark)
	l.mark, l.known = mark, true
}

// New returns a Scheduler.
func New(cfg Config) (*Scheduler, error) {
	if cfg.Pipeline == "" || cfg.Store == nil || cfg.Dispatcher == nil {
		return nil, errors.New("schedule: pipeline, store and dispatcher are required")
	}
	if cfg.Seed == "" {
		cfg.Seed = cfg.Pipeline
	}
	if cfg.Spread == 0 {
		cfg.Spread = 0.1
	}
	if cfg.Stall == 0 {
		cfg.Stall = 5 * time.Minute
	}
	if cfg.Signs == nil {
		var n int64
		cfg.Signs = func() int64 { n++; return n }
	}
	if cfg.Alive == nil {
		cfg.Alive = func() {}
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Result) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Scheduler{
		cfg: cfg, journal: newJournal(cfg.Log, cfg.Now()),
		kicked: make(chan struct{}, 1), wanted: map[string]bool{},
	}
	s.use(cfg.Streams)
	return s, nil
}

// Trigger has streams run as soon as may be, whatever their schedules say; without
// names, all of them. Triggers that come before the run has started are one.
func (s *Scheduler) Trigger(streams ...string) {
	s.mu.Lock()
	if len(streams) == 0 {
		streams = []string{""}
	}
	for _, name := range streams {
		s.wanted[name] = true
	}
	s.mu.Unlock()
	s.kick()
}

// Use exchanges the streams and their schedules. A stream that backs off is tried
// at once: somebody has mended something.
func (s *Scheduler) Use(streams []Stream) {
	s.mu.Lock()
	s.renewed = append([]Stream{}, streams...)
	s.mu.Unlock()
	s.kick()
}

func (s *Scheduler) kick() {
	select {
	case s.kicked <- struct{}{}:
	default: // it will look in any case
	}
}

// Run works the streams until ctx ends, and then waits for the task under way, which
// is told to stop.
func (s *Scheduler) Run(ctx context.Context) {
	var (
		stop  = ctx.Done()
		done  = make(chan Result, 1)
		sleep = time.NewTimer(0)
		beat  <-chan time.Time
	)
	defer sleep.Stop()
	if s.cfg.Beat > 0 {
		ticker := time.NewTicker(s.cfg.Beat)
		defer ticker.Stop()
		beat = ticker.C
		s.cfg.Alive()
	}
	for {
		if s.task == nil {
			if ctx.Err() != nil {
				return
			}
			task, pause := s.next(ctx)
			if task != nil {
				s.begin(*task)
				go func() {
					report, err := s.cfg.Dispatcher.Dispatch(ctx, *task)
					done <- Result{Task: *task, Report: report, Err: err}
				}()
			}
			sleep.Reset(pause)
		}
		select {
		case <-stop:
			stop = nil
		case r := <-done:
			s.task = nil
			s.settle(ctx, r)
		case <-s.kicked:
			s.receive()
		case <-sleep.C:
			if s.task != nil {
				sleep.Reset(longestSleep)
			}
		case <-beat:
			s.beat()
		}
		s.journal.hourly(ctx, s.cfg.Now())
	}
}

// receive takes over what Trigger and Use left.
func (s *Scheduler) receive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.renewed != nil {
		s.use(s.renewed)
		s.renewed = nil
	}
	for _, l := range s.lines {
		if s.wanted[""] || s.wanted[l.Name] {
			l.wanted, l.notBefore = s.cfg.Now(), time.Time{}
		}
	}
	clear(s.wanted)
}

// use puts streams in place of those there were.
func (s *Scheduler) use(streams []Stream) {
	var lines []*line
	for _, stream := range streams {
		l := &line{Stream: stream}
		if i := slices.IndexFunc(s.lines, func(l *line) bool { return l.Name == stream.Name }); i >= 0 {
			l = s.lines[i]
			l.Stream, l.notBefore, l.computed = stream, time.Time{}, false
			if l.failures > 0 {
				l.wanted = s.cfg.Now()
			}
		}
		lines = append(lines, l)
	}
	s.lines = lines
	s.journal.follow(lines)
}

func (s *Scheduler) begin(t Task) {
	s.task = &t
	s.signs, s.moved, s.hangs = s.cfg.Signs(), s.cfg.Now(), false
}

// beat reports life, unless the task under way hangs.
func (s *Scheduler) beat() {
	now := s.cfg.Now()
	if s.task != nil {
		if n := s.cfg.Signs(); n != s.signs {
			s.signs, s.moved, s.hangs = n, now, false
		}
		if now.Sub(s.moved) >= s.cfg.Stall {
			if !s.hangs {
				s.hangs = true
				s.journal.hangs(s.task.Stream, s.cfg.Stall)
			}
			return
		}
	}
	s.cfg.Alive()
}

// lateness is how long after its tick a stream starts.
func (s *Scheduler) lateness(l *line, tick time.Time) time.Duration {
	if s.cfg.Spread < 0 {
		return 0
	}
	following := l.Due.Next(tick)
	if following.IsZero() {
		return 0
	}
	spread := min(time.Duration(s.cfg.Spread*float64(following.Sub(tick))), mostSpread)
	if spread <= 0 {
		return 0
	}
	text := append([]byte(s.cfg.Seed+"\x00"+l.Name+"\x00"), 0, 0, 0, 0, 0, 0, 0, 0)
	binary.BigEndian.PutUint64(text[len(text)-8:], uint64(tick.Unix()))
	sum := sha256.Sum256(text)
	return time.Duration(binary.BigEndian.Uint64(sum[:8]) % uint64(spread))
}

// markName is the name of a stream's mark in the store.
func (s *Scheduler) markName(stream string) string {
	return "schedule:" + s.cfg.Pipeline + ":" + stream
}
