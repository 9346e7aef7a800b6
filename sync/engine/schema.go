package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// open opens the database at the run's first need of it and refuses one in which
// the mapping would lose values (promise 12).
func (w *writer) open(ctx context.Context) error {
	if w.db != nil {
		return nil
	}
	db, err := w.cfg.Open(ctx)
	if err != nil {
		return err
	}
	schema := db.Schema()
	if err := w.cfg.Mapping.Refuse(schema); err != nil {
		return err
	}
	w.warn(w.cfg.Mapping.Check(schema))
	key, err := db.KeyField(w.cfg.Mapping.KeyField())
	if err != nil {
		return err
	}
	target := fmt.Sprintf("Copernica database %d", db.ID())
	pipeline, err := w.cfg.Store.OpenPipeline(ctx, state.Pipeline{Name: w.cfg.Pipeline, Target: target})
	if err != nil {
		return err
	}
	w.db, w.key, w.adopting = db, key, pipeline.Adopting
	w.seen.Store(schema.ReadAt.UnixNano())
	return nil
}

// belowProfiles are the tables of rows that stand below profiles.
func belowProfiles() []mapping.Table { return []mapping.Table{mapping.Orders, mapping.Items} }

// openBelow opens the collections at the run's first need of them.
func (w *writer) openBelow(ctx context.Context) error {
	if err := w.open(ctx); err != nil || w.below != nil {
		return err
	}
	schema := w.db.Schema()
	if err := w.cfg.Mapping.Refuse(schema, belowProfiles()...); err != nil {
		return err
	}
	w.warn(w.cfg.Mapping.CheckOf(schema, belowProfiles()...))
	below := map[state.Entity]collection{}
	for _, t := range belowProfiles() {
		rows, err := w.db.Collection(w.cfg.Mapping.Collection(t))
		if err != nil {
			return err
		}
		name := w.cfg.Mapping.KeyFieldOf(t)
		key, err := rows.KeyField(name)
		if err != nil {
			return err
		}
		below[state.Entity(t)] = collection{rows, key, name}
	}
	w.below = below
	w.cfg.TestHook(PointOpenedBelow)
	return nil
}

// warn says what in the schema deviates without doing harm.
func (w *writer) warn(findings []mapping.Finding) {
	for _, f := range findings {
		if f.State != mapping.Present {
			w.cfg.Log.Warn("the Copernica database deviates from the mapping", "field", f.Need.Name, "finding", f.String())
		}
	}
}

// confirmWithin is how old the schema may be when a page that wrote is committed.
// Copernica drops the value of a field that is gone without a word, so a page
// counts only after a look at the schema that is younger than its writes, or so
// little older that a page of few writes costs no call of its own.
const confirmWithin = 2 * time.Second

// confirm looks whether the schema still fits after a page's writes.
func (w *writer) confirm(ctx context.Context, tables ...mapping.Table) error {
	schema := w.db.Schema()
	read := schema.ReadAt
	if len(tables) > 1 { // the collections come with a reading of the whole schema only
		read = time.Unix(0, w.seen.Load())
	}
	if w.cfg.Now().Sub(read) > confirmWithin {
		var err error
		if schema, err = w.db.Refresh(ctx); err != nil {
			return err
		}
		w.seen.Store(schema.ReadAt.UnixNano())
		w.cfg.TestHook(PointConfirmed)
	}
	return w.cfg.Mapping.Refuse(schema, tables...)
}
