package engine

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// Deviations between the shop and what Copernica acknowledged.
const (
	Unsent        Deviation = "unsent"        // the shop has it, and Copernica never got it
	Outdated      Deviation = "outdated"      // the shop says something else by now
	LineGone      Deviation = "line_gone"     // an order no longer has the line
	Missing       Deviation = "missing"       // the shop no longer has the record
	Undeliverable Deviation = "undeliverable" // the shop's record would become a dead letter
)

// Verification says what is compared.
type Verification struct {
	// Windows is at how many random places a side is looked at, a page each; 0: everything.
	Windows int
	Accept  int64 // as in [Sweep]
	// Rows is how many differing rows are read on both sides, so that their fields can be
	// told; of more only that they differ is told.
	Rows int
	// Found is called for each difference, from one goroutine at a time.
	Found func(Difference)
}

// Difference is a row that is not as it should be.
type Difference struct {
	Finding
	// Fields are those that differ, with both sides' values: personal data. None when they
	// were not compared, or when there is no row to compare.
	Fields []mapping.Side
}

// Verified is what was looked at on one side of a stream, or of a table.
type Verified struct {
	What string // the sweep, or the table in Copernica
	Read int64
	// OnTheirWay is how many rows differ only since the shop changed them after the last
	// run, or since their write has no outcome yet: the next run sees to them.
	OnTheirWay int64
	// Unfinished says that the stream's first pass is not over: there is nothing to hold
	// the shop against.
	Unfinished bool
}

// VerifyShop holds the shop against what Copernica acknowledged, as a sweep does, tells
// also of records whose dead letter was closed without a delivery, and writes nothing: not to Copernica, to the shop, or to the state. It takes no lease, so
// that a run may go on beside it.
func (e *Engine) VerifyShop(ctx context.Context, stream string, v Verification) (Verified, error) {
	sweep := CustomersSweep
	if stream == Orders {
		sweep = OrdersSweep
	}
	done := Verified{What: sweep}
	if err := knownStream(stream, e.cfg.Mapping); err != nil {
		return done, err
	}
	live, err := e.cfg.Store.Checkpoint(ctx, e.cfg.Pipeline, stream)
	if err != nil || live.Horizon.IsZero() {
		done.Unfinished = err == nil
		return done, err
	}
	entity := state.Profile
	if stream == Orders {
		entity = state.Order
	}
	starts, err := windows(v.Windows, func() (first, last int64, err error) {
		rows, err := e.cfg.Store.RecordsBetween(ctx, e.cfg.Pipeline, entity, 0, math.MaxInt64, 1)
		if err != nil || len(rows) == 0 {
			return 0, 0, err
		}
		last, err = e.highestSource(ctx, entity)
		return rows[0].SourceID, last, err
	})
	if err != nil {
		return done, err
	}
	script := newScript(e.cfg.Store, e.cfg.Now)
	x := &rehearsal{most: v.Rows}
	met := map[state.RecordRef]bool{} // what there is to say of them does not depend on a letter
	x.settled = func(it *intent) { met[state.RecordRef{Entity: it.entity, Key: it.row.Key}] = true }
	x.found = func(it *intent, row PreviewRow) {
		x.settled(it)
		switch {
		case !it.row.UpdatedAt.Before(live.Horizon), it.known && !settledRow(it.before) && it.before.State != state.Removed:
			done.OnTheirWay++
		case row.Action == PreviewUpdate && !row.Gone && row.compared && len(row.Fields) == 0: // Copernica has it
		default:
			if it.problem != nil { // also where its consent could be sent
				row.Action, row.Fields = PreviewRefuse, nil
			}
			v.Found(difference(row, it.before.CopernicaID))
		}
	}
	x.missing = func(rec state.Record) {
		met[state.RecordRef{Entity: rec.Entity, Key: rec.Key}] = true
		v.Found(Difference{Finding: Finding{
			Deviation: Missing, Entity: rec.Entity, Key: rec.Key, CopernicaID: rec.CopernicaID, SourceID: rec.SourceID,
		}})
	}
	s := Sweep{Accept: v.Accept}
	if v.Windows > 0 {
		s.Budget.Records = 1 // a page
	}
	reached := int64(0)
	for _, after := range starts {
		if after < reached {
			continue // the place before it came up to here
		}
		script.checkpoints[sweep] = state.Checkpoint{
			Pipeline: e.cfg.Pipeline, Stream: sweep,
			Target: e.cfg.Now().UTC().Truncate(time.Second), Position: state.Position{ID: after},
		}
		played := e.onStage(script)
		played.cfg.Budget = s.Budget
		report, err := played.hold(ctx, sweep, stream, func(r *run, ctx context.Context) error {
			r.rehearsal, r.sweep = x, &s
			return r.round(ctx)
		})
		done.Read += report.Counters.Read
		if err != nil {
			return done, err
		}
		if reached = script.checkpoints[sweep].Position.ID; reached <= after { // the round is over
			break
		}
	}
	closed, err := e.ResolvedLetters(ctx, stream)
	for _, f := range closed {
		if !met[state.RecordRef{Entity: f.Entity, Key: f.Key}] {
			v.Found(Difference{Finding: f})
		}
	}
	return done, err
}

// difference is what the shop has of a row that a sweep would write.
func difference(row PreviewRow, copernicaID int64) Difference {
	d := Difference{
		Finding: Finding{Deviation: Outdated, Entity: row.Entity, Key: row.Key, SourceID: row.SourceID, CopernicaID: max(copernicaID, 0)},
		Fields:  row.Fields,
	}
	switch row.Action {
	case PreviewCreate:
		d.Deviation, d.Fields = Unsent, nil
	case PreviewRemove:
		d.Deviation = LineGone
	case PreviewRefuse:
		d.Deviation = Undeliverable
	case PreviewUpdate:
	}
	return d
}

// VerifyCopernica holds what Copernica shows in the tables of a stream against what it
// acknowledged, as [Engine.Inspect] does, and writes nothing.
func (e *Engine) VerifyCopernica(ctx context.Context, stream string, v Verification) ([]Verified, error) {
	if err := knownStream(stream, e.cfg.Mapping); err != nil {
		return nil, err
	}
	var all []Verified
	for _, t := range e.cfg.Mapping.Tables() {
		if (t == mapping.Profiles) != (stream == Customers) {
			continue
		}
		done := Verified{What: InspectSweep + "/" + string(t)}
		starts, err := windows(v.Windows, func() (first, last int64, err error) {
			rows, err := e.cfg.Store.RecordsInCopernica(ctx, e.cfg.Pipeline, state.Entity(t), 0, math.MaxInt64, 1)
			if err != nil || len(rows) == 0 {
				return 0, 0, err
			}
			last, err = e.cfg.Store.HighestID(ctx, e.cfg.Pipeline, state.Entity(t))
			return rows[0].CopernicaID, last, err
		})
		if err != nil {
			return all, err
		}
		script := newScript(e.cfg.Store, e.cfg.Now)
		x := &rehearsal{most: v.Rows}
		reached := int64(0)
		for _, after := range starts {
			if after < reached {
				continue
			}
			report, err := e.onStage(script).hold(ctx, done.What, stream, func(r *run, ctx context.Context) (err error) {
				r.rehearsal = x
				reached, err = r.inspectFrom(ctx, t, after, v)
				return err
			})
			done.Read += report.Counters.Read
			if err != nil {
				return append(all, done), err
			}
		}
		all = append(all, done)
	}
	return all, nil
}

// inspectFrom looks at a table from an id on: to its end, or at one page of it. It returns
// the id that it came up to.
func (r *run) inspectFrom(ctx context.Context, t mapping.Table, after int64, v Verification) (int64, error) {
	r.row.Outcome = state.Done
	if err := r.cfg.SameShop(ctx); err != nil {
		return 0, err
	}
	open := r.writer.openBelow
	if t == mapping.Profiles {
		open = r.writer.open
	}
	if err := open(ctx); err != nil {
		return 0, err
	}
	over, err := r.cfg.Store.Overview(ctx, r.cfg.Pipeline)
	if err != nil {
		return 0, err
	}
	for _, n := range over.Records[state.Entity(t)] {
		r.total.Add(n)
	}
	for rows, err := range r.rowsOf(ctx, t, after) {
		if err != nil {
			return 0, err
		}
		if len(rows) == 0 {
			continue
		}
		last := rows[len(rows)-1].id
		if err := r.inspectPage(ctx, state.Entity(t), after, last, rows, Inspection{differs: v.Found}); err != nil {
			return 0, err
		}
		if after = last; v.Windows > 0 {
			return after, nil
		}
	}
	return math.MaxInt64, r.inspectPage(ctx, state.Entity(t), after, math.MaxInt64, nil, Inspection{differs: v.Found})
}

// compared tells of deviations in Copernica what differs. It plays the repair: a row that
// the repair would not write was put right while it was looked at.
func (r *run) compared(ctx context.Context, found []Finding, rows []state.Record, differs func(Difference)) error {
	x := r.rehearsal
	shown, played := map[state.RecordRef]PreviewRow{}, map[state.RecordRef]bool{}
	x.found = func(it *intent, row PreviewRow) { shown[state.RecordRef{Entity: it.entity, Key: it.row.Key}] = row }
	x.played = func(it *intent) { played[state.RecordRef{Entity: it.entity, Key: it.row.Key}] = true }
	defer func() { x.found, x.played = nil, nil }()
	if err := r.mend(ctx, rows); err != nil {
		return err
	}
	for _, f := range found {
		ref := state.RecordRef{Entity: f.Entity, Key: f.Key}
		row, ok := shown[ref]
		switch {
		case played[ref] && !ok, ok && f.Deviation == Edited && row.compared && len(row.Fields) == 0 && !row.Gone:
			continue
		case f.Deviation == Removed:
			row.Fields = nil
		}
		differs(Difference{f, row.Fields})
	}
	return nil
}

// onStage is the engine with nothing that it could write to.
func (e *Engine) onStage(s *script) *Engine {
	cfg := e.cfg
	cfg.Store, cfg.TestHook, cfg.Budget = s, func(Point) {}, Budget{}
	cfg.Open = func(ctx context.Context) (Database, error) {
		db, err := e.cfg.Open(ctx)
		if err != nil {
			return nil, err
		}
		return stage{db}, nil
	}
	return &Engine{cfg: cfg}
}

// windows returns the ids behind which is looked: the beginning, or random places between
// the first id and the last one, which may both be high.
func windows(n int, bounds func() (first, last int64, err error)) ([]int64, error) {
	if n == 0 {
		return []int64{0}, nil
	}
	first, last, err := bounds()
	if err != nil {
		return nil, err
	}
	starts := make([]int64, n)
	for i := range starts {
		starts[i] = max(first-1, 0) + rand.Int64N(max(last-first+1, 1)) //nolint:gosec // a sample, no secret
	}
	slices.Sort(starts)
	return slices.Compact(starts), nil
}

// highestSource finds the highest id in the shop that the ledger knows.
func (e *Engine) highestSource(ctx context.Context, entity state.Entity) (int64, error) {
	above := func(id int64) (bool, error) {
		rows, err := e.cfg.Store.RecordsBetween(ctx, e.cfg.Pipeline, entity, id, math.MaxInt64, 1)
		return len(rows) > 0, err
	}
	low, high := int64(0), int64(1)
	for {
		more, err := above(high)
		if err != nil {
			return 0, err
		}
		if !more || high > math.MaxInt64/2 {
			break
		}
		low, high = high, 2*high
	}
	for high-low > 1 {
		middle := low + (high-low)/2
		more, err := above(middle)
		if err != nil {
			return 0, err
		}
		if more {
			low = middle
		} else {
			high = middle
		}
	}
	return high, nil
}
