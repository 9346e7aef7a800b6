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
	Repaired    bool         `json:"repaired"`            // it was sent again
}

// Inspection says how Copernica is looked at.
type Inspection struct {
	// Repair sends what is removed or edited again, from the shop as it is now. What
	// syncd did not make, doubles and orphans, is reported and never touched.
	Repair bool
	Found  func(Finding) // called for each, from one goroutine
}

// inspectStream is the name of the runs that look at Copernica.
const inspectStream = "copernica/sweep"

// Inspect lists all rows of this shop in Copernica and compares each with the ledger
// (promise 15). Consent is not compared: a value of Copernica's own may be right.
func (e *Engine) Inspect(ctx context.Context, in Inspection) (Report, error) {
	if in.Found == nil {
		in.Found = func(Finding) {}
	}
	return e.hold(ctx, inspectStream, Customers, func(r *run, ctx context.Context) error {
		return r.inspect(ctx, in)
	})
}

func (r *run) inspect(ctx context.Context, in Inspection) error {
	if err := r.cfg.SameShop(ctx); err != nil {
		return err
	}
	open, tables := r.writer.open, r.cfg.Mapping.Tables()
	if len(tables) > 1 {
		open = r.writer.openBelow
	}
	if err := open(ctx); err != nil {
		return err
	}
	for _, t := range tables {
		if err := r.inspectTable(ctx, t, in); err != nil {
			return err
		}
	}
	r.row.Outcome = state.Done
	return nil
}

// shown is a row in Copernica beside what the mapping makes of it.
type shown struct {
	id  int64
	row mapping.Row
}

// rowsOf lists a table's rows.
func (r *run) rowsOf(ctx context.Context, t mapping.Table) iter.Seq2[[]shown, error] {
	standing := func(id int64, fields map[string]string) shown {
		return shown{id, r.cfg.Mapping.Standing(t, fields)}
	}
	if t == mapping.Profiles {
		return pageOf(r.writer.db.Changed(ctx, time.Time{}), func(p copernica.Profile) shown { return standing(p.ID, p.Fields) })
	}
	return pageOf(r.writer.below[state.Entity(t)].rows.All(ctx), func(s copernica.Subprofile) shown { return standing(s.ID, s.Fields) })
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
// ids.
func (r *run) inspectTable(ctx context.Context, t mapping.Table, in Inspection) error {
	entity, after := state.Entity(t), int64(0)
	for rows, err := range r.rowsOf(ctx, t) {
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			continue
		}
		last := rows[len(rows)-1].id
		if err := r.inspectPage(ctx, entity, after, last, rows, in); err != nil {
			return err
		}
		after = last
		if r.halting() {
			return context.Cause(ctx)
		}
	}
	return r.inspectPage(ctx, entity, after, math.MaxInt64, nil, in)
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
	var (
		again   []state.Record // to be sent again
		strange []shown
	)
	byID := make(map[int64]*shown, len(rows))
	for i := range rows {
		byID[rows[i].id] = &rows[i]
	}
	for _, rec := range known {
		row := byID[rec.CopernicaID]
		delete(byID, rec.CopernicaID)
		if !settledRow(rec) {
			continue
		}
		found := Finding{Entity: e, Key: rec.Key, CopernicaID: rec.CopernicaID, SourceID: rec.SourceID, Repaired: in.Repair}
		switch {
		case row == nil:
			found.Deviation = Removed
			rec.State, rec.CopernicaID = state.Removed, 0
		case row.row.Key != rec.Key || !rec.Hash.IsZero() && r.hasher.Sum(string(e), row.row.Content()...) != rec.Hash:
			found.Deviation = Edited
			rec.Hash = state.Hash{}
		default:
			continue
		}
		in.Found(found)
		again = append(again, rec)
	}
	for i := range rows {
		if byID[rows[i].id] != nil && strings.HasPrefix(rows[i].row.Key, r.cfg.Mapping.ProfilePrefix()) {
			strange = append(strange, rows[i])
		}
	}
	if err := r.strange(ctx, e, strange, in); err != nil {
		return err
	}
	if !in.Repair || len(again) == 0 {
		return nil
	}
	return r.mend(ctx, again)
}

// strange reports rows with keys of this shop that the ledger does not know at their
// place: doubles of rows that it knows elsewhere, and rows of nobody.
func (r *run) strange(ctx context.Context, e state.Entity, rows []shown, in Inspection) error {
	keys := make([]string, len(rows))
	for i, row := range rows {
		keys[i] = row.row.Key
	}
	known, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, e, keys)
	if err != nil {
		return err
	}
	for _, row := range rows {
		rec, ok := known[row.row.Key]
		found := Finding{Deviation: Orphaned, Entity: e, Key: row.row.Key, CopernicaID: row.id}
		if ok {
			found.Deviation, found.SourceID = Duplicated, rec.SourceID
			if rec.CopernicaID == 0 {
				continue // its write is under way, or will find this row by its key
			}
		}
		in.Found(found)
	}
	return nil
}

// mend makes the ledger say what Copernica shows, and sends the records behind the rows
// again, from the shop as it is now.
func (r *run) mend(ctx context.Context, rows []state.Record) error {
	if _, err := r.cfg.Store.Commit(ctx, r.tenure.current(), state.Commit{Records: rows}); err != nil {
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
