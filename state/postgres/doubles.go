package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/magento-copernica/syncd/state"
)

const (
	selectDoubles = `
		SELECT d.entity, d.key, d.copernica_id, d.seen_at, d.consent FROM syncd.doubles AS d
		WHERE d.pipeline = $1 AND d.entity = $2 AND d.key = $3 ORDER BY d.copernica_id`

	selectDoublesByID = `
		SELECT d.entity, d.key, d.copernica_id, d.seen_at, d.consent FROM syncd.doubles AS d
		WHERE d.pipeline = $1 AND d.entity = $2 AND d.copernica_id = $3 ORDER BY d.key`

	upsertDoubles = `
		INSERT INTO syncd.doubles AS d (pipeline, entity, key, copernica_id, seen_at, consent)
		SELECT $1, u.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::bytea[]) AS u
		ON CONFLICT (pipeline, entity, key, copernica_id) DO UPDATE SET
			seen_at = excluded.seen_at, consent = coalesce(excluded.consent, d.consent)`

	deleteDoubles = `
		DELETE FROM syncd.doubles WHERE pipeline = $1 AND entity = $2 AND seen_at < $3`
)

// Doubles returns the doubles of a ledger row that were seen, by id.
func (s *Store) Doubles(ctx context.Context, pipeline string, e state.Entity, key string) (all []state.Double, err error) {
	if state.ValidKey(key) != nil { // no other key was ever stored
		return nil, ctx.Err()
	}
	return s.doubles(ctx, selectDoubles, pipeline, text(string(e)), key)
}

// DoublesByID returns the doubles with a Copernica id that were seen, by key.
func (s *Store) DoublesByID(ctx context.Context, pipeline string, e state.Entity, id int64) ([]state.Double, error) {
	return s.doubles(ctx, selectDoublesByID, pipeline, text(string(e)), id)
}

func (s *Store) doubles(ctx context.Context, query string, args ...any) (all []state.Double, err error) {
	err = s.read(ctx, "read the doubles", func(q queryer) (err error) {
		all, err = collect(ctx, q, func(row pgx.CollectableRow) (state.Double, error) {
			var (
				d     state.Double
				kind  string
				seen  pgtype.Timestamptz
				shown []byte
			)
			err := row.Scan(&kind, &d.Key, &d.CopernicaID, &seen, &shown)
			d.Entity, d.SeenAt, d.Consent = state.Entity(kind), moment(seen), hash(shown)
			return d, err
		}, query, args...)
		return err
	})
	return all, err
}

// commitDoubles forgets doubles that have gone, and notes those that were seen.
func commitDoubles(ctx context.Context, tx pgx.Tx, pipeline string, c state.Commit) error {
	for e, before := range c.Faded {
		if _, err := tx.Exec(ctx, deleteDoubles, pipeline, text(string(e)), before); err != nil {
			return err
		}
	}
	type name struct {
		entity state.Entity
		key    string
		id     int64
	}
	nameOf := func(d state.Double) name { return name{d.Entity, d.Key, d.CopernicaID} }
	settled := make(map[name]state.Hash)
	all := slices.Clone(c.Doubles)
	for i := range all { // as if they came one after the other
		all[i].Consent = cmp.Or(all[i].Consent, settled[nameOf(all[i])])
		settled[nameOf(all[i])] = all[i].Consent
	}
	rows := last(all, nameOf)
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, upsertDoubles, pipeline,
		column(rows, func(d state.Double) string { return string(d.Entity) }),
		column(rows, func(d state.Double) string { return d.Key }),
		column(rows, func(d state.Double) int64 { return d.CopernicaID }),
		times(rows, func(d state.Double) time.Time { return d.SeenAt }),
		digests(rows, func(d state.Double) state.Hash { return d.Consent }))
	return err
}
