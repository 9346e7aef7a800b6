package engine

import (
	"context"

	"github.com/magento-copernica/syncd/state"
)

// Resolved is a row that was refused, and whose dead letter an operator closed: nothing
// delivers it, and nothing else tells of it.
const Resolved Deviation = "resolved"

// ResolvedLetters returns the rows of a stream that were refused, and whose dead letters
// an operator closed, in the order of entity and key. A row that was delivered since, or
// has an open letter again, is none of them. Only the state is read.
func (e *Engine) ResolvedLetters(ctx context.Context, stream string) ([]Finding, error) {
	if err := knownStream(stream, e.cfg.Mapping); err != nil {
		return nil, err
	}
	r := &run{cfg: &e.cfg}
	var found []Finding
	for after := (state.RecordRef{}); ; {
		rows, err := e.cfg.Store.ResolvedRecords(ctx, e.cfg.Pipeline, after, rowsAtOnce)
		if err != nil {
			return nil, err
		}
		for _, rec := range rows {
			after = state.RecordRef{Entity: rec.Entity, Key: rec.Key}
			if r.cameBy(rec.Entity, rec.Key) == stream {
				found = append(found, Finding{
					Deviation: Resolved, Entity: rec.Entity, Key: rec.Key, SourceID: rec.SourceID, CopernicaID: rec.CopernicaID,
				})
			}
		}
		if len(rows) < rowsAtOnce {
			return found, nil
		}
	}
}
