package engine_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// errDead is what a process hears that no longer lives.
var errDead = errors.New("this process was killed")

// doom is how the next run ends before its time: killed where nothing of it gets out
// any more, asked to stop, or with one call that arrives when nobody waits for it.
type doom struct {
	mu    sync.Mutex
	kind  string // kill, stop, before, after, late; "": none
	point engine.Point
	left  int64 // visits, or calls
	delay time.Duration
	stop  context.CancelFunc
	dead  atomic.Bool
	hit   bool
}

func (d *doom) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kind, d.hit = "", false
	d.dead.Store(false)
}

// due counts down, and reports when it strikes.
func (d *doom) due(kinds ...string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, kind := range kinds {
		if d.kind == kind && !d.hit {
			if d.left--; d.left < 0 {
				d.hit = true
				return true
			}
		}
	}
	return false
}

func (d *doom) kill() {
	d.dead.Store(true)
	d.stop()
}

// visit is the engine's hook.
func (d *doom) visit(p engine.Point) {
	if p != d.point {
		return
	}
	if d.due("kill") {
		d.kill()
	}
	if d.due("stop") {
		d.stop()
	}
}

type wireTripper func(*http.Request) (*http.Response, error)

func (f wireTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// wire stands between the engine and a peer.
func (d *doom) wire(base http.RoundTripper) http.RoundTripper {
	return wireTripper(func(r *http.Request) (*http.Response, error) {
		switch {
		case d.dead.Load():
			return nil, errDead
		case d.due("before"):
			d.kill()
			return nil, errDead
		case r.URL.Query().Get("create") != "" && d.due("late"):
			return nil, d.straggle(base, r)
		}
		answer, err := base.RoundTrip(r)
		if err == nil && d.due("after") {
			_, err = io.Copy(io.Discard, answer.Body)
			d.kill()
			return nil, errors.Join(errDead, err, answer.Body.Close())
		}
		return answer, err
	})
}

// straggle has a call arrive when its caller has given it up.
func (d *doom) straggle(base http.RoundTripper, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	waits, end := context.WithTimeout(context.WithoutCancel(r.Context()), time.Hour) // a peer may hang
	late := r.Clone(waits)
	late.Body = io.NopCloser(bytes.NewReader(body))
	go func() {
		defer end()
		time.Sleep(d.delay)
		if answer, err := base.RoundTrip(late); err == nil {
			_ = answer.Body.Close()
		}
	}()
	return errReset
}

// mortal is the store of a process that may die: then nothing that it wants is kept.
type mortal struct {
	state.Store
	dead *atomic.Bool
}

func (s mortal) err() error {
	if s.dead.Load() {
		return errDead
	}
	return nil
}

func (s mortal) OpenPipeline(ctx context.Context, p state.Pipeline) (state.Pipeline, error) {
	if err := s.err(); err != nil {
		return p, err
	}
	return s.Store.OpenPipeline(ctx, p)
}

func (s mortal) Renew(ctx context.Context, l state.Lease, ttl time.Duration) (state.Lease, error) {
	if err := s.err(); err != nil {
		return l, err
	}
	return s.Store.Renew(ctx, l, ttl)
}

func (s mortal) Release(ctx context.Context, l state.Lease) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.Release(ctx, l)
}

func (s mortal) Plan(ctx context.Context, l state.Lease, rows []state.Record) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.Plan(ctx, l, rows)
}

func (s mortal) Commit(ctx context.Context, l state.Lease, c state.Commit) (state.Checkpoint, error) {
	if err := s.err(); err != nil {
		return state.Checkpoint{}, err
	}
	return s.Store.Commit(ctx, l, c)
}

func (s mortal) StartRun(ctx context.Context, r state.Run) (int64, error) {
	if err := s.err(); err != nil {
		return 0, err
	}
	return s.Store.StartRun(ctx, r)
}

func (s mortal) SaveRun(ctx context.Context, r state.Run) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.SaveRun(ctx, r)
}

func (s mortal) ResolveLetters(ctx context.Context, pipeline string, ids []int64, reason string) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.ResolveLetters(ctx, pipeline, ids, reason)
}

func (s mortal) EndResync(ctx context.Context, pipeline string, id int64, as state.ResyncState) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.EndResync(ctx, pipeline, id, as)
}

// job is one thing that the engine is asked for.
type job func(context.Context, *engine.Engine) (engine.Report, error)

// take does a job as a process of its own, under the doom and the trouble that were
// prepared for it. Whoever comes after a killed process waits until its lease is over.
func (m *model) take(do job) (engine.Report, error) {
	m.t.Helper()
	ctx, stop := context.WithCancel(m.ctx())
	defer stop()
	m.doom.stop = stop
	e := m.engine(func(cfg *engine.Config) {
		cfg.Store = mortal{m.store, &m.doom.dead}
		cfg.TestHook = m.doom.visit
		cfg.Writes, cfg.Reads = m.drawn.lanes, 1
		cfg.Persons = m.persons()
		if m.drawn.erase {
			cfg.Erasure = engine.Erasure{Policy: engine.EraseRemove, Anonymised: []string{"anonymous-*@example.invalid"}, Graves: m.graves}
		}
	})
	report, err := do(ctx, e)
	if held, ok := errors.AsType[*state.HeldError](err); ok {
		time.Sleep(time.Until(held.Expires) + time.Second)
		report, err = do(ctx, e)
	}
	m.doom.mu.Lock()
	struck := m.doom.hit
	m.doom.mu.Unlock()
	m.doom.clear()
	m.shop.Faults().Clear()
	m.account.Faults().Clear()
	if err != nil && !struck && !m.trouble {
		m.wrongly("a run without trouble failed", "%+v, %v", report, err)
	}
	m.trouble = false
	return report, err
}

func (m *model) arm(e event) {
	points := engine.Points()
	m.doom.clear()
	m.doom.mu.Lock()
	defer m.doom.mu.Unlock()
	m.doom.kind = []string{"kill", "kill", "stop", "before", "after", "late"}[e.how%6]
	m.doom.point = points[e.when%len(points)]
	m.doom.left = int64(e.who % 4)
	if m.doom.kind == "before" || m.doom.kind == "after" {
		m.doom.left = int64(e.when)
	}
	m.doom.delay = time.Duration(e.when) * time.Second / 2
}

// disturb makes a peer fail for some of its next calls.
func (m *model) disturb(e event) {
	m.trouble = true
	f := emulator.Fault{
		Kind:  []emulator.Kind{emulator.Status, emulator.HTML, emulator.Reset, emulator.Truncate, emulator.Hang}[e.how%5],
		After: e.who%2 == 0, Skip: e.when % 15, Times: 1 + e.when%8,
		Status: []int{500, 502, 503, 429}[e.who%4],
	}
	switch e.how % 3 {
	case 0:
		m.shop.Faults().Add(f)
		return
	case 1:
		f.Method = http.MethodPut
	}
	m.account.Faults().Add(f)
}

func (m *model) runStream(e event) {
	stream := engine.Streams()[e.how%2]
	_, _ = m.take(func(ctx context.Context, x *engine.Engine) (engine.Report, error) { return x.Run(ctx, stream) })
}

func (m *model) sweepOnce(e event) {
	sweep := engine.Sweeps()[e.how%3]
	s := engine.Sweep{Whole: e.who%2 == 0}
	if e.when%4 == 0 {
		s.Period = 24 * time.Hour
	}
	if e.when%5 == 0 {
		s.Budget.Records = 1 + e.who
	}
	_, _ = m.take(func(ctx context.Context, x *engine.Engine) (engine.Report, error) { return x.Sweep(ctx, sweep, s) })
}

func (m *model) back(event) {
	report, err := m.take(func(ctx context.Context, x *engine.Engine) (engine.Report, error) { return x.WriteBack(ctx) })
	m.lookedBack(err == nil && report.Outcome == state.Done)
}

func (m *model) inspectOnce(e event) {
	i := engine.Inspection{Repair: e.how%2 == 0}
	if e.when%3 == 0 {
		i.Period = 24 * time.Hour
	}
	_, _ = m.take(func(ctx context.Context, x *engine.Engine) (engine.Report, error) { return x.Inspect(ctx, i) })
}

// ask requests a resync.
func (m *model) ask(e event) {
	if pipelines, err := m.store.Pipelines(m.ctx()); err != nil || len(pipelines) == 0 {
		return
	}
	q := engine.ResyncRequest{Stream: engine.Streams()[e.how%2], Force: e.who%2 == 0}
	switch e.how % 3 {
	case 0:
		for i := range int64(1 + e.when%9) {
			q.IDs = append(q.IDs, 1+i)
		}
	case 1:
		q.Since = time.Now().Add(-time.Duration(e.when) * time.Hour)
	}
	m.addResync(q)
}

func (m *model) turn(e event) (worked bool) {
	_, _ = m.take(func(ctx context.Context, x *engine.Engine) (report engine.Report, err error) {
		report, worked, err = x.ResyncNext(ctx, engine.Budget{Records: e.when})
		return report, err
	})
	return worked
}

// replay has an operator try every dead letter again.
func (m *model) replay() {
	ids := map[string][]int64{}
	for _, letter := range m.letters() {
		ids[letter.Stream] = append(ids[letter.Stream], letter.SourceID)
	}
	for _, stream := range sorted(ids) {
		_, _ = m.take(func(ctx context.Context, x *engine.Engine) (engine.Report, error) {
			return x.Deliver(ctx, stream, ids[stream])
		})
	}
}

// everythingOnce is a quiet while, in which all is settled.
func (m *model) everythingOnce(event) {
	m.quietly()
	time.Sleep(3 * time.Hour)
	done := true
	for range 2 {
		for _, do := range []job{
			func(ctx context.Context, x *engine.Engine) (engine.Report, error) {
				return x.Run(ctx, engine.Customers)
			},
			func(ctx context.Context, x *engine.Engine) (engine.Report, error) { return x.Run(ctx, engine.Orders) },
			func(ctx context.Context, x *engine.Engine) (engine.Report, error) { return x.WriteBack(ctx) },
			func(ctx context.Context, x *engine.Engine) (engine.Report, error) {
				return x.Sweep(ctx, engine.ConsentSweep, engine.Sweep{Whole: true})
			},
		} {
			report, err := m.take(do)
			done = done && err == nil && report.Outcome == state.Done
			if report.Stream == engine.Unsubscribes {
				m.lookedBack(done)
			}
			m.watch()
		}
		time.Sleep(time.Minute)
	}
	if done {
		m.settled()
	}
}
