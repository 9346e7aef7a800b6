package engine

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// Deviation is how Copernica differs from what it acknowledged.
type Deviation string

// The deviations.
const (
	Removed    Deviation = "removed"    // the row is gone
	Edited     Deviation = "edited"     // a field that the mapping fills has another value
	Duplicated Deviation = "duplicated" // another row has the key of one that the ledger knows
	Orphaned   Deviation = "orphaned"   // the row has a key of this shop that the ledger does not know
)

// Finding is one row that deviates. It holds no value of a field.
type Finding struct {
	Deviation   Deviation    `json:"deviation"`
	Entity      state.Entity `json:"entity"`
	Key         string       `json:"key"`
	CopernicaID int64        `json:"copernica_id"`
	SourceID    int64        `json:"source_id,omitempty"` // in the shop; 0 = not known
	Chosen      int64        `json:"chosen,omitempty"`    // of a double: the row with its key that is written to
	Repaired    bool         `json:"repaired"`            // it was sent again
}

// Inspection says how Copernica is looked at.
type Inspection struct {
	// Repair sends what is removed or edited again, from the shop as it is now. What
	// syncd did not make, doubles and orphans, is reported and never touched.
	Repair bool
	Found  func(Finding) // called for each, from one goroutine
	// Period is how long a round takes, spread evenly: a slice of it is made, and the next
	// one goes on. Zero is now: a whole round.
	Period time.Duration
	// Budget bounds a slice that is behind its time; it ends after a page.
	Budget Budget

	differs func(Difference) // in place of all that: nothing is repaired, and what differs is told
}

// InspectSweep is the sweep through Copernica. Each table has a checkpoint below it.
const InspectSweep = "copernica/sweep"

// Inspect lists the rows of this shop in Copernica and compares each with the ledger
// (promise 15). Consent is not compared: a value of Copernica's own may be right.
func (e *Engine) Inspect(ctx context.Context, in Inspection) (Report, error) {
	if in.Found == nil {
		in.Found = func(Finding) {}
	}
	return e.within(in.Budget).hold(ctx, InspectSweep, Customers, func(r *run, ctx context.Context) error {
		return r.inspect(ctx, in)
	})
}

// inspect goes on with a round, or begins one.
func (r *run) inspect(ctx context.Context, in Inspection) error {
	if err := r.cfg.SameShop(ctx); err != nil {
		return err
	}
	over, err := r.cfg.Store.Overview(ctx, r.cfg.Pipeline)
	if err != nil {
		return err
	}
	tables := r.inUse(over)
	if err := r.openTables(ctx, tables); err != nil {
		return err
	}
	cp, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, r.stream)
	if err != nil {
		return err
	}
	cp.Pipeline, cp.Stream = r.cfg.Pipeline, r.stream
	if cp.Target.IsZero() || in.Period == 0 {
		cp.Target = r.cfg.Now().UTC().Truncate(time.Second)
	}
	for _, t := range tables {
		for _, n := range over.Records[state.Entity(t)] {
			r.total.Add(n)
		}
	}
	for _, t := range tables {
		whole, err := r.inspectTable(ctx, t, &cp, in)
		if err != nil {
			return err
		}
		if !whole {
			r.row.Outcome = state.Paused
			return nil
		}
	}
	r.row.Outcome = state.Done
	return r.close(ctx, cp)
}

// inUse are the tables that the mapping fills and the ledger has rows of. Where orders
// never run there need be no collections.
func (r *run) inUse(over state.Overview) []mapping.Table {
	return slices.DeleteFunc(slices.Clone(r.cfg.Mapping.Tables()), func(t mapping.Table) bool {
		return t != mapping.Profiles && len(over.Records[state.Order]) == 0
	})
}

// openTables opens Copernica with some tables.
func (r *run) openTables(ctx context.Context, tables []mapping.Table) error {
	if len(tables) > 1 {
		return r.writer.openBelow(ctx)
	}
	return r.writer.open(ctx)
}

// shown is a row in Copernica beside what the mapping makes of it.
type shown struct {
	id      int64
	profile int64 // below which it stands; 0: it is one
	row     mapping.Row
}

// rowsOf lists a table's rows with ids above one.
func (r *run) rowsOf(ctx context.Context, t mapping.Table, after int64) iter.Seq2[[]shown, error] {
	standing := func(id, profile int64, fields map[string]string) shown {
		return shown{id, profile, r.cfg.Mapping.Standing(t, fields)}
	}
	if t == mapping.Profiles {
		return pageOf(r.writer.db.All(ctx, after), func(p copernica.Profile) shown { return standing(p.ID, 0, p.Fields) })
	}
	return pageOf(r.writer.below[state.Entity(t)].rows.All(ctx, after), func(s copernica.Subprofile) shown { return standing(s.ID, s.Profile, s.Fields) })
}

func pageOf[T any](pages iter.Seq2[[]T, error], show func(T) shown) iter.Seq2[[]shown, error] {
	return func(yield func([]shown, error) bool) {
		for page, err := range pages {
			rows := make([]shown, len(page))
			for i := range page {
				rows[i] = show(page[i])
			}
			if !yield(rows, err) || err != nil {
				return
			}
		}
	}
}

// inspectTable walks a table and the ledger side by side, in the order of Copernica's
// ids, from where the round is, until the slice is ahead of its time or its budget is
// spent. It reports whether it came to the end. The round's own checkpoint says when the
// next slice is due.
func (r *run) inspectTable(ctx context.Context, t mapping.Table, round *state.Checkpoint, in Inspection) (whole bool, err error) {
	entity := state.Entity(t)
	cp, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, r.stream+"/"+string(entity))
	switch {
	case err != nil:
		return false, err
	case in.Period > 0 && cp.Horizon.Equal(round.Target):
		return true, nil
	case in.Period == 0 || !cp.Target.Equal(round.Target):
		cp.Target, cp.Position = round.Target, state.Position{}
	}
	cp.Pipeline, cp.Stream = r.cfg.Pipeline, r.stream+"/"+string(entity)
	for rows, err := range r.rowsOf(ctx, t, cp.Position.ID) {
		if err != nil {
			return false, err
		}
		if len(rows) == 0 {
			continue
		}
		after := cp.Position.ID
		cp.Position.ID = rows[len(rows)-1].id
		if err := r.inspectPage(ctx, entity, after, cp.Position.ID, rows, in); err != nil {
			return false, err
		}
		if r.halting() {
			return false, context.Cause(ctx)
		}
		if in.Period == 0 {
			continue
		}
		round.Position.UpdatedAt = r.inspectedNext(round, len(rows), in.Period)
		if err := r.keep(ctx, &cp, round); err != nil {
			return false, err
		}
		if round.Position.UpdatedAt.After(r.cfg.Now()) || r.spent(int(r.row.Counters.Read)) {
			return false, nil
		}
	}
	if err := r.inspectPage(ctx, entity, cp.Position.ID, math.MaxInt64, nil, in); err != nil {
		return false, err
	}
	// Doubles that the round did not come by are gone.
	faded := state.Commit{Faded: map[state.Entity]time.Time{entity: round.Target}}
	if _, err := r.cfg.Store.Commit(ctx, r.tenure.current(), faded); err != nil {
		return false, err
	}
	cp.Horizon, cp.Target, cp.Position = round.Target, time.Time{}, state.Position{}
	return true, r.keep(ctx, &cp)
}

// inspectedNext says when a round goes on after a page of so many rows. The page itself was
// due at a time; one that is made late does not put off those after it. A round that finds
// more rows than the ledger knows, such as those of other shops, is over its period and
// goes on at once.
func (r *run) inspectedNext(round *state.Checkpoint, rows int, period time.Duration) time.Time {
	page := round.Position.UpdatedAt
	if page.IsZero() {
		page = round.Target
	}
	if !page.Before(round.Target.Add(period)) {
		return r.cfg.Now().UTC()
	}
	share := float64(rows) / float64(max(r.total.Load(), int64(rows)))
	return page.Add(time.Duration(share * float64(period)))
}

// inspectPage compares the rows that Copernica shows between two ids with those that
// the ledger knows there.
func (r *run) inspectPage(ctx context.Context, e state.Entity, after, upto int64, rows []shown, in Inspection) error {
	var known []state.Record
	for from := after; ; {
		some, err := r.cfg.Store.RecordsInCopernica(ctx, r.cfg.Pipeline, e, from, upto, rowsAtOnce)
		if err != nil {
			return err
		}
		known = append(known, some...)
		if len(some) < rowsAtOnce {
			break
		}
		from = some[len(some)-1].CopernicaID
	}
	r.row.Counters.Read += int64(len(rows))
	r.cfg.Progress(Progress{Stream: r.stream, Read: r.row.Counters.Read, Total: max(r.total.Load(), r.row.Counters.Read), Counts: r.row.Counters})
	var (
		deviating []Finding
		again     []state.Record // to be sent again
		strange   []shown
	)
	byID := make(map[int64]*shown, len(rows))
	for i := range rows {
		byID[rows[i].id] = &rows[i]
	}
	parents, err := r.parents(ctx, known)
	if err != nil {
		return err
	}
	for _, rec := range known {
		row := byID[rec.CopernicaID]
		delete(byID, rec.CopernicaID)
		if !settledRow(rec) || in.Repair && r.rehearsal == nil && rec.RunID == r.row.ID {
			continue // what this run sent again came after the list
		}
		found := Finding{Entity: e, Key: rec.Key, CopernicaID: rec.CopernicaID, SourceID: rec.SourceID, Repaired: in.Repair}
		switch {
		case row == nil, row.profile != 0 && usable(parents[rec.Parent]) != 0 && row.profile != usable(parents[rec.Parent]):
			// What stands below another profile than its own is not where anybody looks for it.
			found.Deviation = Removed
			rec.State, rec.CopernicaID = state.Removed, 0
		case row.row.Key != rec.Key || !rec.Hash.IsZero() && r.hasher.Sum(string(e), row.row.Content()...) != rec.Hash:
			found.Deviation = Edited
			rec.Hash = state.Hash{}
		default:
			continue
		}
		deviating = append(deviating, found)
		again = append(again, rec)
	}
	for i := range rows {
		if byID[rows[i].id] != nil && strings.HasPrefix(rows[i].row.Key, r.cfg.Mapping.ProfilePrefix()) {
			strange = append(strange, rows[i])
		}
	}
	if in.differs != nil {
		in.Found = func(f Finding) { in.differs(Difference{Finding: f}) }
	}
	if err := r.strange(ctx, e, strange, in); err != nil {
		return err
	}
	if in.differs != nil {
		return r.compared(ctx, deviating, again, in.differs)
	}
	for _, found := range deviating {
		in.Found(found)
	}
	if !in.Repair || len(again) == 0 {
		return nil
	}
	return r.mend(ctx, again)
}

// nobodys reports whether a profile is of somebody whom Copernica should not have: who was
// erased, but for the profile that the erasure emptied and left, or who has another profile.
func (r *run) nobodys(ctx context.Context, rec state.Record, id int64) (bool, error) {
	switch {
	case rec.Entity != state.Profile || rec.State != state.Gone && rec.State != state.Claimed:
		return false, nil
	case rec.State == state.Claimed:
		return true, nil
	}
	receipts, err := r.cfg.Store.Erasures(ctx, r.cfg.Pipeline, rec.Key, 1)
	return err == nil && !slices.ContainsFunc(receipts, func(e state.Erasure) bool { return e.CopernicaID == id }), err
}

// parents returns the ledger rows of the profiles that rows stand below.
func (r *run) parents(ctx context.Context, rows []state.Record) (map[string]state.Record, error) {
	var keys []string
	for _, rec := range rows {
		if rec.Parent != "" && rec.Entity != state.Profile {
			keys = append(keys, rec.Parent)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, keys)
}

// strange reports rows with keys of this shop that the ledger does not know at their
// place: doubles of rows that it knows elsewhere, and rows of nobody. A claim that an older
// copy of the state has for finished is opened again by a repair.
func (r *run) strange(ctx context.Context, e state.Entity, rows []shown, in Inspection) error {
	keys := make([]string, len(rows))
	for i, row := range rows {
		keys[i] = row.row.Key
	}
	known, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, e, keys)
	if err != nil {
		return err
	}
	var doubles []state.Double
	var open []state.Record
	for _, row := range rows {
		rec, ok := known[row.row.Key]
		found := Finding{Deviation: Orphaned, Entity: e, Key: row.row.Key, CopernicaID: row.id}
		if ok {
			found.Deviation, found.SourceID, found.Chosen = Duplicated, rec.SourceID, rec.CopernicaID
			if rec.CopernicaID == 0 {
				nobodys, err := r.nobodys(ctx, rec, row.id)
				if err != nil {
					return err
				}
				if !nobodys {
					continue // its write is under way, or will find this row by its key
				}
				found.Deviation = Orphaned
				if rec.State == state.Claimed && r.writer.adopting && in.Repair {
					// An older copy does not know that the claim was undone since, or made
					// later: it is open again, and the next run finishes it.
					rec.CopernicaID, found.Repaired = row.id, true
					open = append(open, rec)
				}
			}
			doubles = append(doubles, state.Double{Entity: e, Key: row.row.Key, CopernicaID: row.id, SeenAt: r.cfg.Now()})
		}
		in.Found(found)
	}
	if len(doubles) == 0 {
		return nil
	}
	_, err = r.cfg.Store.Commit(ctx, r.tenure.current(), state.Commit{Doubles: doubles, Records: open})
	return err
}

// mend makes the ledger say what Copernica shows, and sends the records behind the rows
// again, from the shop as it is now.
func (r *run) mend(ctx context.Context, rows []state.Record) error {
	if script, ok := r.cfg.Store.(*script); ok {
		script.alter(rows)
		defer script.alter(nil)
	} else if _, err := r.cfg.Store.Commit(ctx, r.tenure.current(), state.Commit{Records: rows}); err != nil {
		return err
	}
	people, orders := r.sources(rows)
	for some := range slices.Chunk(people, pendingAtOnce) {
		if _, err := r.singleCustomers(ctx, some, &page{}); err != nil {
			return fmt.Errorf("send customers again: %w", err)
		}
	}
	for some := range slices.Chunk(orders, pendingAtOnce) {
		if _, err := r.singleOrders(ctx, some, &page{}); err != nil {
			return fmt.Errorf("send orders again: %w", err)
		}
	}
	return nil
}
