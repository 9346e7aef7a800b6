package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// run is one execution of a stream by this process.
type run struct {
	cfg    *Config
	stream string // the name of its checkpoint and of its runs
	kind   string // whose records it moves: Customers or Orders
	sweep  *Sweep // not nil when it walks by id
	tenure *tenure
	began  time.Time
	row    state.Run // owned by the goroutine that commits

	lanes  *lanes
	writer *writer
	// starting ends when no further write may start; halt ends it. Those in flight
	// go on under writes, which outlives a stop by the grace.
	starting context.Context
	halt     context.CancelFunc
	writes   context.Context
	// records is what outcomes are recorded under. They are facts, which a stop does not
	// make untrue; a store that does not answer is waited for a second longer than calls.
	records context.Context

	hasher state.Hasher

	// Owned by the reader.
	lookups  *mapping.Lookups
	websites int
	lost     *losses      // of a sweep; nil before its first page
	total    atomic.Int64 // records expected in this pass
	waiting  atomic.Bool  // it ended at an order whose customer is yet to come

	unreached  int64    // rows planned and not sent; owned by the goroutine that commits
	letters    int64    // dead letters open when it began
	inflight   keys     // of pages not committed yet
	passedOver bool     // the way back left an opt-out that it could not settle yet
	parted     []string // keys of profiles below which orders of accounts stand that have their own now

	counted  map[state.Entity]bool // of which the census was taken
	adopting bool                  // it found rows that the ledger does not know

	quarantined bool // it reads quarantined records again

	resync    *Resynced      // what an operator asked for; nil for a live stream
	force     bool           // what Copernica acknowledged is sent again
	turns     map[int64]bool // whether a run was a turn at this resync; owned by the reader
	rehearsal *rehearsal     // not nil: nothing is sent

	signal *signal        // whose documents are looked at; nil: the stream's own records are
	heard  map[int64]bool // orders that this run has read and that documents may name; nil: none do; owned by the reader
}

// Run runs a stream up to its horizon, or until its budget is spent or ctx ends.
// The error says what stopped it; the report is complete either way.
func (e *Engine) Run(ctx context.Context, stream string) (Report, error) {
	return e.live(ctx, stream, func(r *run, ctx context.Context) error {
		if err := r.inStep(ctx); err != nil {
			return err
		}
		return r.quarantine(ctx)
	})
}

// Deliver brings single records of a stream over, read from the shop anew, also
// those that were refused as they stand. The stream's checkpoint stays where it is
// (promise 22), and records that the shop no longer has are passed over.
func (e *Engine) Deliver(ctx context.Context, stream string, ids []int64) (Report, error) {
	if stream == Unsubscribes {
		return e.hold(ctx, stream, Customers, func(r *run, ctx context.Context) error {
			r.row.Outcome = state.Done
			return r.returnAgain(ctx, ids)
		})
	}
	return e.live(ctx, stream, func(r *run, ctx context.Context) error {
		r.row.Outcome = state.Done
		r.total.Store(int64(len(ids)))
		for some := range slices.Chunk(ids, pendingAtOnce) {
			if _, err := r.deliver(ctx, some, &page{again: true}); err != nil {
				return err
			}
		}
		return nil
	})
}

// live does work on one of the streams.
func (e *Engine) live(ctx context.Context, stream string, work func(*run, context.Context) error) (Report, error) {
	if err := knownStream(stream, e.cfg.Mapping); err != nil {
		return Report{Stream: stream}, err
	}
	return e.hold(ctx, stream, stream, work)
}

// hold does work as the pipeline's one writer and records it as a run of stream, which
// moves records of a kind.
func (e *Engine) hold(ctx context.Context, stream, kind string, work func(*run, context.Context) error) (Report, error) {
	cfg := &e.cfg
	began := cfg.Now()
	if err := fixShop(ctx, cfg); err != nil {
		return Report{Stream: stream}, err
	}
	held, tenure, err := take(ctx, cfg)
	if err != nil {
		return Report{Stream: stream}, err
	}
	cfg.TestHook(PointLeased)

	r := &run{cfg: cfg, stream: stream, kind: kind, tenure: tenure, began: began, lanes: newLanes(cfg.Writes), hasher: cfg.Store.Hasher(), counted: map[state.Entity]bool{}}
	r.starting, r.halt = context.WithCancel(held)
	writes, endWrites := context.WithCancel(context.WithoutCancel(held))
	r.writes = writes
	records, endRecords := context.WithCancel(context.WithoutCancel(ctx))
	defer endRecords()
	r.records = records
	defer context.AfterFunc(ctx, func() { time.AfterFunc(cfg.Grace+time.Second, endRecords) })()
	r.writer = newWriter(cfg, tenure)
	r.writer.starting = r.starting
	r.inflight.init()
	stopping := context.AfterFunc(held, func() { time.AfterFunc(cfg.Grace, endWrites) })

	runErr := r.start(held)
	if runErr == nil {
		runErr = mergeTombstones(held, cfg)
	}
	if runErr == nil {
		runErr = work(r, held)
	}
	if cause := context.Cause(held); cause != nil && isFenced(cause) {
		if isFenced(runErr) || errors.Is(runErr, context.Canceled) {
			runErr = nil // its consequence
		}
		runErr = errors.Join(cause, runErr)
	}
	r.halt()
	r.lanes.wait()
	stopping()
	endWrites()
	if r.rehearsal == nil {
		r.writer.doubles.tell(cfg.Log)
	}

	closing, cancel := r.recording(ctx)
	defer cancel()
	report, err := r.finish(closing, runErr)
	return report, errors.Join(runErr, err, tenure.end(closing))
}

// recording is a context to record outcomes with.
func (r *run) recording(ctx context.Context) (context.Context, context.CancelFunc) {
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	ended := context.AfterFunc(r.records, cancel)
	return saving, func() { ended(); cancel() }
}

// fixShop opens the pipeline, and refuses a state that was made for another shop:
// under another code each profile would be made a second time (promise 17).
func fixShop(ctx context.Context, cfg *Config) error {
	pipelines, err := cfg.Store.Pipelines(ctx)
	if err != nil {
		return err
	}
	for _, p := range pipelines {
		if p.Name == cfg.Pipeline {
			return sameIdentity(ctx, cfg)
		}
	}
	if len(pipelines) > 0 {
		return &state.ShopError{Have: pipelines[0].Name, Want: cfg.Pipeline}
	}
	var at time.Time
	if cfg.Mapping.OneByEmail() {
		at = cfg.Now()
	}
	err = errors.Join(cfg.Store.SetMark(ctx, identityMark(cfg), at), cfg.Store.SetMark(ctx, openedMark(cfg.Pipeline), cfg.Now()))
	if err != nil {
		return err
	}
	_, err = cfg.Store.OpenPipeline(ctx, state.Pipeline{Name: cfg.Pipeline})
	return err
}

// sameIdentity refuses a state whose people were told apart in another way: their profiles
// would be left, and others made beside them.
func sameIdentity(ctx context.Context, cfg *Config) error {
	at, err := cfg.Store.Mark(ctx, identityMark(cfg))
	if err != nil || at.IsZero() != cfg.Mapping.OneByEmail() {
		return err
	}
	have, want := mapping.ByEmail, mapping.ByAccount
	if at.IsZero() {
		have, want = want, have
	}
	return &IdentityError{Have: have, Want: want}
}

// identityMark is set for pipelines whose people are one by their e-mails.
func identityMark(cfg *Config) string { return "identity email " + cfg.Pipeline }

// IdentityError says that the mapping tells people apart in another way than the state
// was begun with.
type IdentityError struct{ Have, Want mapping.Identity }

func (e *IdentityError) Error() string {
	return fmt.Sprintf("the state was begun with `identity: %s`, and it is to be %s now: set SYNCD_IDENTITY back, "+
		"or remove this shop's profiles in Copernica and begin with a new state (SYNCD_DATABASE_URL)", e.Have, e.Want)
}

// FaultClass makes it a matter for the operator.
func (e *IdentityError) FaultClass() fault.Class { return fault.Configuration }

// start opens the run's row.
func (r *run) start(ctx context.Context) error {
	lease := r.tenure.current()
	r.row = state.Run{
		Pipeline: r.cfg.Pipeline, Stream: r.stream, Holder: lease.Holder, Fence: lease.Fence,
		Started: r.began, Outcome: state.Running,
	}
	id, err := r.cfg.Store.StartRun(ctx, r.row)
	if r.row.ID = id; err != nil {
		return err
	}
	open, err := r.openLetters(ctx)
	r.letters = sum(open)
	return err
}

// finish closes the run's row and reports.
func (r *run) finish(ctx context.Context, runErr error) (Report, error) {
	r.row.Ended = r.cfg.Now()
	r.count()
	switch {
	case runErr == nil: // pass has set Done or Paused
	case errors.Is(runErr, context.Canceled):
		r.row.Outcome = state.Paused
	default:
		r.row.Outcome, r.row.Problem = state.Failed, problem(runErr)
	}
	report := Report{
		Stream: r.stream, Run: r.row.ID, Outcome: r.row.Outcome, Counters: r.row.Counters,
		Elapsed: r.row.Ended.Sub(r.began), Waiting: r.waiting.Load(),
	}
	if report.Outcome != state.Done {
		report.Unreached = r.unreached
	}
	if r.row.ID == 0 {
		return report, nil
	}
	if err := r.cfg.Store.SaveRun(ctx, r.row); err != nil {
		return report, err
	}
	cp, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, r.stream)
	if err != nil {
		return report, err
	}
	report.Horizon = cp.Horizon
	open, err := r.openLetters(ctx)
	if err != nil {
		return report, err
	}
	report.Letters = sum(open)
	r.alarm(open)
	r.prune(ctx)
	return report, nil
}

// problem is what the run's row says of an error: short, and without values of a
// record (promise 7).
func problem(err error) string {
	const most = 600
	text := err.Error()
	// What the shop said is stored as its template, what we say ourselves as it is.
	if e, ok := errors.AsType[*magento.Error](err); ok && e.Message != "" {
		text = fmt.Sprintf("magento %s: status %d: %s", e.Route, e.Status, e.Message)
		if e.Hint != "" {
			text += ": " + e.Hint
		}
	}
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

func isFenced(err error) bool { return errors.Is(err, state.ErrFenced) }

func (r *run) halting() bool { return r.starting.Err() != nil }

// count takes the calls made so far into the run's counters.
func (r *run) count() {
	shop, account := r.cfg.Calls()
	r.row.Counters.SourceCalls = shop - r.writer.shopCalls
	r.row.Counters.TargetCalls = account - r.writer.accountCalls
}

// keys counts the ledger keys of pages under way and lets the reader wait until
// a key is free: a plan must see what earlier pages made of it.
type keys struct {
	mu    sync.Mutex
	freed *sync.Cond
	held  map[string]int
}

func (k *keys) init() {
	k.freed, k.held = sync.NewCond(&k.mu), map[string]int{}
}

// hold waits until none of the keys is held, then holds them all.
func (k *keys) hold(list []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.any(list) {
		k.freed.Wait()
	}
	for _, key := range list {
		k.held[key]++
	}
}

func (k *keys) any(list []string) bool {
	for _, key := range list {
		if k.held[key] > 0 {
			return true
		}
	}
	return false
}

func (k *keys) free(list []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range list {
		if k.held[key]--; k.held[key] <= 0 {
			delete(k.held, key)
		}
	}
	k.freed.Broadcast()
}
