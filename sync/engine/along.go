package engine

import (
	"context"
	"maps"
	"slices"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// takeAlong brings below a customer's profile what stands below that of the guest who they
// were and the shop no longer has: it cannot be made anew, so it is copied as it stands. It
// reports whether nothing of these orders is left below the guest's. What was cut short is
// found done, or done again: a copy is written by its key.
func (r *run) takeAlong(ctx context.Context, guest, customer state.Record, orders []state.Record) (bool, error) {
	if len(orders) == 0 {
		return true, nil
	}
	lines, err := r.cfg.Store.RecordsBySource(ctx, r.cfg.Pipeline, state.Item, sourceIDs(orders))
	if err != nil {
		return false, err
	}
	lines = slices.DeleteFunc(lines, func(rec state.Record) bool { return rec.Parent != guest.Key })
	if slices.ContainsFunc(slices.Concat(orders, lines), unsettled) {
		return false, nil
	}
	// What is copied below a profile that was removed is seen by nobody, and lost where it was.
	if to, err := r.writer.profileNow(ctx, &customer); err != nil || to == nil {
		return false, err
	}
	var done []state.Record
	for table, rows := range map[mapping.Table][]state.Record{mapping.Orders: orders, mapping.Items: lines} {
		shown, err := r.rowsBelow(ctx, r.cfg.Mapping.Collection(table), guest.CopernicaID)
		if err != nil {
			return false, err
		}
		t := r.writer.below[state.Entity(table)]
		for _, rec := range rows {
			for _, row := range shown {
				if row.Fields[t.name] != rec.Key {
					continue
				}
				if copied, err := r.copyRow(ctx, t, customer.CopernicaID, row); err != nil || !copied {
					return false, err
				}
			}
			call, cancel := r.writer.deadline(ctx)
			found, err := t.rows.Find(call, customer.CopernicaID, t.key, rec.Key)
			cancel()
			if err != nil {
				return false, err
			}
			switch {
			case rec.CopernicaID == 0:
			case len(found) == 0:
				rec.State, rec.CopernicaID = state.Removed, 0
			default:
				rec.CopernicaID = found[0].ID
			}
			rec.Parent = customer.Key
			done = append(done, r.dated(rec))
		}
	}
	return true, r.keepRows(ctx, done...)
}

// copyRow writes a row below another profile as it stands, reads it back, and removes it
// where it was. It reports false when nobody answered for it.
func (r *run) copyRow(ctx context.Context, t collection, profile int64, row copernica.Subprofile) (bool, error) {
	key := row.Fields[t.name]
	call, cancel := r.writer.deadline(ctx)
	defer cancel()
	if _, err := t.rows.Upsert(call, profile, t.key, key, row.Fields); err != nil {
		if copernica.Outcome(err) == copernica.Unknown || refusal(err) {
			return false, nil
		}
		return false, err
	}
	found, err := t.rows.Find(call, profile, t.key, key)
	if err != nil || len(found) != 1 || !maps.Equal(found[0].Fields, row.Fields) {
		return false, err
	}
	r.row.Counters.Created++
	err = r.writer.take(ctx, t.rows, row.ID)
	return err == nil, err
}

// unsettled reports whether a write of a row has no outcome yet.
func unsettled(rec state.Record) bool {
	return rec.State == state.Planned || rec.State == state.Unknown
}

func sourceIDs(rows []state.Record) []int64 {
	ids := make([]int64, len(rows))
	for i, rec := range rows {
		ids[i] = rec.SourceID
	}
	return ids
}
