package sqlite

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"github.com/magento-copernica/syncd/state"
)

const (
	selectDoubles = `
		SELECT d.entity, d.key, d.copernica_id, d.seen_at, d.consent FROM doubles AS d
		WHERE d.pipeline = ? AND d.entity = ? AND d.key = ? ORDER BY d.copernica_id`

	selectDoublesByID = `
		SELECT d.entity, d.key, d.copernica_id, d.seen_at, d.consent FROM doubles AS d INDEXED BY doubles_by_id
		WHERE d.pipeline = ? AND d.entity = ? AND d.copernica_id = ? ORDER BY d.key`

	upsertDouble = `
		INSERT INTO doubles (pipeline, entity, key, copernica_id, seen_at, consent) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (pipeline, entity, key, copernica_id) DO UPDATE SET
			seen_at = excluded.seen_at, consent = coalesce(excluded.consent, consent)`

	deleteDoubles = `
		DELETE FROM doubles WHERE pipeline = ? AND entity = ? AND seen_at < ?`
)

// Doubles returns the doubles of a ledger row that were seen, by id.
func (s *Store) Doubles(ctx context.Context, pipeline string, e state.Entity, key string) ([]state.Double, error) {
	if state.ValidKey(key) != nil { // no other key was ever stored
		return nil, ctx.Err()
	}
	return s.doubles(ctx, selectDoubles, pipeline, string(e), key)
}

// DoublesByID returns the doubles with a Copernica id that were seen, by key.
func (s *Store) DoublesByID(ctx context.Context, pipeline string, e state.Entity, id int64) ([]state.Double, error) {
	return s.doubles(ctx, selectDoublesByID, pipeline, string(e), id)
}

func (s *Store) doubles(ctx context.Context, query string, args ...any) ([]state.Double, error) {
	all, err := collect(ctx, s.reader, func(row scanner) (state.Double, error) {
		var (
			d     state.Double
			kind  string
			seen  sql.NullInt64
			shown []byte
		)
		err := row.Scan(&kind, &d.Key, &d.CopernicaID, &seen, &shown)
		d.Entity, d.SeenAt, d.Consent = state.Entity(kind), moment(seen), hash(shown)
		return d, err
	}, query, args...)
	if err != nil {
		return nil, explain(ctx, "read the doubles", err)
	}
	return all, nil
}

// commitDoubles forgets doubles that have gone, and notes those that were seen.
func commitDoubles(ctx context.Context, tx *sql.Tx, pipeline string, c state.Commit) error {
	err := each(ctx, tx, deleteDoubles, slices.Collect(maps.Keys(c.Faded)), func(e state.Entity) []any {
		return []any{pipeline, string(e), stamp(c.Faded[e])}
	})
	if err != nil {
		return err
	}
	return each(ctx, tx, upsertDouble, c.Doubles, func(d state.Double) []any {
		return []any{pipeline, string(d.Entity), d.Key, d.CopernicaID, stamp(d.SeenAt), digest(d.Consent)}
	})
}
