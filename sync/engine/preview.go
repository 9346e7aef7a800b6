package engine

import (
	"context"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// PreviewRequest says what is to be previewed: the next run of streams, or a resync.
type PreviewRequest struct {
	Streams []string      // in the order in which they would run, each after the one before it
	Resync  *state.Resync // instead of streams; it need not be stored
	Rows    int           // how many of the rows that would be written are compared field by field
	Records int           // records read of each stream at most; 0: as many as the run's budget
}

// Preview is what a run would do.
type Preview struct {
	Stream   string
	Counters state.Counters // as the run would count; its calls are those of the preview
	Total    int64          // records that the shop counts; more than were read when a budget ended it
	// Waiting says that the run would end before an order whose customer the first pass
	// over the customers has yet to bring.
	Waiting bool
	Missing int64 // ids of a resync that the shop does not have
	// Adopting says that Copernica has rows that the state does not know: what would be
	// created is looked up there first, and may be taken over instead.
	Adopting bool
	Forced   bool  // a resync sends content that equals what Copernica acknowledged
	Looks    int64 // rows that Copernica is asked about before it is known whether they are written
	// Calls and Time are what the run would take: the calls to Copernica, the time by the
	// pace at which both sides answered the preview.
	Calls int64
	Time  time.Duration
	Rows  []PreviewRow
}

// PreviewAction is what would become of a row.
type PreviewAction string

// The actions.
const (
	PreviewCreate PreviewAction = "create"
	PreviewUpdate PreviewAction = "update"
	PreviewRemove PreviewAction = "remove"
	PreviewRefuse PreviewAction = "refuse"
)

// PreviewRow is a row that would be written, or become a dead letter.
type PreviewRow struct {
	Entity   state.Entity
	Key      string
	SourceID int64
	Action   PreviewAction
	Cause    string         // of a refusal
	Gone     bool           // Copernica shows no such row, so that an update would be lost on it
	Fields   []mapping.Side // that would change, with both sides' values: personal data

	compared bool // with the row that stands in Copernica
}

// Preview says what the next run of some streams, or a resync, would do: it reads, maps,
// compares with the ledger and plans as they would, and sends nothing. It takes no lease,
// writes nothing to the state and moves no checkpoint. Copernica is asked what a run
// would ask it before its writes, and for the first rows what stands there now.
func (e *Engine) Preview(ctx context.Context, q PreviewRequest) ([]Preview, error) {
	script := newScript(e.cfg.Store, e.cfg.Now)
	if q.Resync != nil {
		p, err := e.rehearse(ctx, script, q, q.Resync.Stream)
		return []Preview{p}, err
	}
	var all []Preview
	for _, stream := range q.Streams {
		p, err := e.rehearse(ctx, script, q, stream)
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
	return all, nil
}

// rehearse plays one run on a script.
func (e *Engine) rehearse(ctx context.Context, s *script, q PreviewRequest, stream string) (Preview, error) {
	known := knownStream
	if q.Resync != nil {
		known = func(stream string, m *mapping.Mapping) error { _, err := kindOf(stream, m); return err }
	}
	if err := known(stream, e.cfg.Mapping); err != nil {
		return Preview{Stream: stream}, err
	}
	x := &rehearsal{most: q.Rows}
	var opening time.Duration // of Copernica's schema
	var openingCalls int64
	cfg := e.cfg
	cfg.Store, cfg.TestHook = s, func(Point) {}
	cfg.Budget = Budget{Records: q.Records}
	if q.Records == 0 && q.Resync == nil {
		cfg.Budget.Records = e.cfg.Budget.Records
	}
	cfg.Open = func(ctx context.Context) (Database, error) {
		_, calls := cfg.Calls()
		began := cfg.Now()
		db, err := e.cfg.Open(ctx)
		if err != nil {
			return nil, err
		}
		_, now := cfg.Calls()
		opening, openingCalls = cfg.Now().Sub(began), max(1, now-calls)
		return stage{db}, nil
	}
	played := &Engine{cfg: cfg}
	var report Report
	var err error
	if q.Resync != nil {
		report, err = played.resync(ctx, &Resynced{Resync: *q.Resync}, x)
	} else {
		report, err = played.hold(ctx, stream, stream, func(r *run, ctx context.Context) error {
			r.rehearsal = x
			return r.inStep(ctx)
		})
	}
	p := Preview{
		Stream: report.Stream, Counters: report.Counters, Waiting: report.Waiting, Total: max(x.total, report.Counters.Read),
		Adopting: s.adopting, Looks: x.looks, Rows: x.rows, Calls: report.Counters.TargetCalls - x.shown + x.calls,
	}
	if report.Resync != nil {
		p.Missing, p.Forced = report.Resync.Missing, report.Resync.Force
	}
	p.Time = report.Elapsed - x.took
	if openingCalls > 0 {
		p.Time = max(p.Time, time.Duration(p.Calls)*opening/time.Duration(openingCalls*int64(cfg.Writes)))
	}
	return p, err
}
