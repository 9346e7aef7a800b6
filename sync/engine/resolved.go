package engine

import (
	"cmp"
	"context"
	"math"
	"slices"

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
	closed, err := e.cfg.Store.Letters(ctx, e.cfg.Pipeline, state.LetterFilter{Resolved: true, Limit: math.MaxInt32})
	if err != nil || len(closed) == 0 {
		return nil, err
	}
	open, err := e.cfg.Store.Letters(ctx, e.cfg.Pipeline, state.LetterFilter{Open: true, Limit: math.MaxInt32})
	if err != nil {
		return nil, err
	}
	waiting := map[state.RecordRef]bool{}
	for _, d := range open {
		waiting[state.RecordRef{Entity: d.Entity, Key: d.Key}] = true
	}
	keys := map[state.Entity][]string{}
	for _, d := range closed {
		if came := (&run{cfg: &e.cfg}).cameBy(d.Entity, d.Key); came == stream && !waiting[state.RecordRef{Entity: d.Entity, Key: d.Key}] {
			keys[d.Entity] = append(keys[d.Entity], d.Key)
		}
	}
	var found []Finding
	for entity, list := range keys {
		slices.Sort(list)
		for some := range slices.Chunk(slices.Compact(list), rowsAtOnce) {
			rows, err := e.cfg.Store.Records(ctx, e.cfg.Pipeline, entity, some)
			if err != nil {
				return nil, err
			}
			for key, rec := range rows {
				if rec.State == state.Refused {
					found = append(found, Finding{Deviation: Resolved, Entity: entity, Key: key, SourceID: rec.SourceID, CopernicaID: rec.CopernicaID})
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Entity, b.Entity), cmp.Compare(a.Key, b.Key))
	})
	return found, nil
}
