package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/magento-copernica/syncd/state"
)

const (
	selectTombstones = `
		SELECT t.*
		FROM unnest($2::bytea[]) AS p (person)
		CROSS JOIN LATERAL (
			SELECT t.person, t.at FROM syncd.tombstones AS t WHERE t.pipeline = $1 AND t.person = p.person
			OFFSET 0
		) AS t`

	upsertTombstones = `
		INSERT INTO syncd.tombstones AS t (pipeline, person, at)
		SELECT $1, u.person, max(u.at) FROM unnest($2::bytea[], $3::timestamptz[]) AS u (person, at) GROUP BY u.person
		ON CONFLICT (pipeline, person) DO UPDATE SET at = greatest(t.at, excluded.at), taken_at = NULL`

	takeTombstones = `
		INSERT INTO syncd.tombstones AS t (pipeline, person, at, taken_at)
		SELECT $1, u.person, max(u.at), $4 FROM unnest($2::bytea[], $3::timestamptz[]) AS u (person, at) GROUP BY u.person
		ON CONFLICT (pipeline, person) DO UPDATE SET at = excluded.at, taken_at = excluded.taken_at WHERE excluded.at > t.at`

	countTaken = `
		SELECT count(*), min(taken_at), min(at), max(at) FROM syncd.tombstones WHERE pipeline = $1 AND taken_at IS NOT NULL`

	// Ids grow in the order in which the receipts were given.
	insertErasures = `
		INSERT INTO syncd.erasures (pipeline, key, cause, policy, copernica_id, orders, items, at, run_id)
		SELECT $1, u.key, u.cause, u.policy, u.copernica_id, u.orders, u.items, u.at, u.run_id
		FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::timestamptz[], $9::bigint[])
			WITH ORDINALITY AS u (key, cause, policy, copernica_id, orders, items, at, run_id, n)
		ORDER BY u.n`

	erasureColumns = `
		e.id, e.pipeline, e.key, e.cause, e.policy, e.copernica_id, e.orders, e.items, e.at, e.run_id`

	selectErasures = `
		SELECT ` + erasureColumns + ` FROM syncd.erasures AS e WHERE e.pipeline = $1 ORDER BY e.id DESC LIMIT $2`

	selectErasuresOf = `
		SELECT e.*
		FROM (
			SELECT ` + erasureColumns + ` FROM syncd.erasures AS e WHERE e.pipeline = $1 AND e.key = $3
			OFFSET 0
		) AS e
		ORDER BY e.id DESC LIMIT $2`

	// Ids grow in the order in which they were given.
	insertOptOuts = `
		INSERT INTO syncd.opt_outs (pipeline, key, source, at, settled_at)
		SELECT $1, u.key, u.source, u.at, u.settled_at
		FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[]) WITH ORDINALITY AS u (key, source, at, settled_at, n)
		ORDER BY u.n`

	selectOptOuts = `
		SELECT o.key, o.source, o.at, o.settled_at
		FROM (
			SELECT o.* FROM syncd.opt_outs AS o WHERE o.pipeline = $1 AND o.key = $2
			OFFSET 0
		) AS o
		ORDER BY o.id DESC LIMIT $3`

	countOptOuts = `
		SELECT source, count(*) FROM syncd.opt_outs WHERE pipeline = $1 GROUP BY source`

	deleteEmails  = `DELETE FROM syncd.emails WHERE pipeline = $1 AND key = ANY ($2::text[])`
	deleteOptOuts = `DELETE FROM syncd.opt_outs WHERE pipeline = $1 AND key = ANY ($2::text[])`

	countErasures = `
		SELECT policy, count(*) FROM syncd.erasures WHERE pipeline = $1 GROUP BY policy`

	selectTombstonesAfter = `
		SELECT t.person, t.at FROM syncd.tombstones AS t WHERE t.pipeline = $1 AND t.person > $2 ORDER BY t.person LIMIT $3`

	selectEmailsOf = `
		SELECT e.*
		FROM unnest($2::text[]) AS k (key)
		CROSS JOIN LATERAL (
			SELECT e.hash, e.key, e.website, e.claims FROM syncd.emails AS e WHERE e.pipeline = $1 AND e.key = k.key
			OFFSET 0
		) AS e`
)

// commitErasures writes tombstones, receipts and opt-outs, and takes away what is not kept
// of who was erased.
func (s *Store) commitErasures(ctx context.Context, tx pgx.Tx, pipeline string, c state.Commit) error {
	if len(c.Tombstones) > 0 {
		if _, err := tx.Exec(ctx, upsertTombstones, pipeline, persons(c.Tombstones), ends(c.Tombstones)); err != nil {
			return err
		}
	}
	now := s.now()
	if len(c.OptOuts) > 0 {
		_, err := tx.Exec(ctx, insertOptOuts, pipeline,
			column(c.OptOuts, func(o state.OptOut) string { return o.Key }),
			column(c.OptOuts, func(o state.OptOut) string { return text(o.Source) }),
			times(c.OptOuts, func(o state.OptOut) time.Time { return o.At }),
			times(c.OptOuts, func(o state.OptOut) time.Time {
				if o.SettledAt.IsZero() {
					return now
				}
				return o.SettledAt
			}))
		if err != nil {
			return err
		}
	}
	if len(c.Nameless) > 0 {
		for _, query := range []string{deleteEmails, deleteOptOuts} {
			if _, err := tx.Exec(ctx, query, pipeline, stored(c.Nameless)); err != nil {
				return err
			}
		}
	}
	if len(c.Erasures) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, insertErasures, pipeline,
		column(c.Erasures, func(e state.Erasure) string { return e.Key }),
		column(c.Erasures, func(e state.Erasure) string { return text(e.Cause) }),
		column(c.Erasures, func(e state.Erasure) string { return text(e.Policy) }),
		column(c.Erasures, func(e state.Erasure) int64 { return e.CopernicaID }),
		column(c.Erasures, func(e state.Erasure) int64 { return e.Orders }),
		column(c.Erasures, func(e state.Erasure) int64 { return e.Items }),
		times(c.Erasures, func(e state.Erasure) time.Time {
			if e.At.IsZero() {
				return now
			}
			return e.At
		}),
		column(c.Erasures, func(e state.Erasure) int64 { return e.RunID }))
	return err
}

func persons(stones []state.Tombstone) [][]byte {
	return digests(stones, func(t state.Tombstone) state.Hash { return t.Person })
}

func ends(stones []state.Tombstone) pgtype.FlatArray[pgtype.Timestamptz] {
	return times(stones, func(t state.Tombstone) time.Time { return t.At })
}

// AddTombstones takes up tombstones that were kept outside the state.
func (s *Store) AddTombstones(ctx context.Context, pipeline string, stones []state.Tombstone) error {
	const what = "add tombstones"
	if err := state.ValidTombstones(stones); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return s.write(ctx, what, func(tx pgx.Tx) error {
		if _, err := readPipeline(ctx, tx, selectPipeline, pipeline); err != nil {
			return err
		}
		if len(stones) == 0 {
			return nil
		}
		_, err := tx.Exec(ctx, takeTombstones, pipeline, persons(stones), ends(stones), s.now())
		return err
	})
}

// Tombstones returns when the given persons were erased, for those who were.
func (s *Store) Tombstones(ctx context.Context, pipeline string, persons []state.Hash) (map[state.Hash]time.Time, error) {
	found := make(map[state.Hash]time.Time)
	wanted := asked(persons)
	if len(wanted) == 0 {
		return found, ctx.Err()
	}
	stones, err := all(ctx, s, "look up tombstones", scanTombstone, selectTombstones, pipeline, wanted)
	if err != nil {
		return nil, err
	}
	for _, t := range stones {
		found[t.Person] = t.At
	}
	return found, nil
}

func scanTombstone(row pgx.CollectableRow) (state.Tombstone, error) {
	var (
		person []byte
		at     pgtype.Timestamptz
	)
	err := row.Scan(&person, &at)
	return state.Tombstone{Person: hash(person), At: moment(at)}, err
}

// TombstonesAfter returns tombstones in the order of their persons.
func (s *Store) TombstonesAfter(ctx context.Context, pipeline string, after state.Hash, limit int) ([]state.Tombstone, error) {
	return all(ctx, s, "read the tombstones", scanTombstone, selectTombstonesAfter, pipeline, after[:], max(limit, 0))
}

// EmailsOf returns what is known of the e-mails of the given keys.
func (s *Store) EmailsOf(ctx context.Context, pipeline string, keys []string) (map[string]state.Email, error) {
	found := make(map[string]state.Email)
	wanted := stored(keys)
	if len(wanted) == 0 {
		return found, ctx.Err()
	}
	rows, err := all(ctx, s, "look up e-mails", scanEmail, selectEmailsOf, pipeline, wanted)
	for _, e := range rows {
		found[e.Key] = e
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

// asked is how hashes are asked for, once each and in order; the zero hash never occurs.
func asked(list []state.Hash) [][]byte {
	out := make([][]byte, 0, len(list))
	for _, h := range list {
		if !h.IsZero() {
			out = append(out, digest(h))
		}
	}
	slices.SortFunc(out, bytes.Compare)
	return slices.CompactFunc(out, bytes.Equal)
}

// Erasures returns the newest receipts first.
func (s *Store) Erasures(ctx context.Context, pipeline, key string, limit int) (all []state.Erasure, err error) {
	query, args := selectErasures, []any{pipeline, max(limit, 0)}
	if key != "" {
		if state.ValidKey(key) != nil { // no other key was ever stored
			return nil, ctx.Err()
		}
		query, args = selectErasuresOf, append(args, key)
	}
	err = s.read(ctx, fmt.Sprintf("read the erasures of %q", pipeline), func(q queryer) (err error) {
		all, err = collect(ctx, q, func(row pgx.CollectableRow) (state.Erasure, error) {
			var (
				e  state.Erasure
				at pgtype.Timestamptz
			)
			err := row.Scan(&e.ID, &e.Pipeline, &e.Key, &e.Cause, &e.Policy, &e.CopernicaID, &e.Orders, &e.Items, &at, &e.RunID)
			e.At = moment(at)
			return e, err
		}, query, args...)
		return err
	})
	return all, err
}

// OptOuts returns the settled opt-outs of a profile, the newest first.
func (s *Store) OptOuts(ctx context.Context, pipeline, key string, limit int) (all []state.OptOut, err error) {
	if state.ValidKey(key) != nil { // no other key was ever stored
		return nil, ctx.Err()
	}
	err = s.read(ctx, fmt.Sprintf("read the opt-outs of %q", pipeline), func(q queryer) (err error) {
		all, err = collect(ctx, q, func(row pgx.CollectableRow) (state.OptOut, error) {
			var (
				o           state.OptOut
				at, settled pgtype.Timestamptz
			)
			err := row.Scan(&o.Key, &o.Source, &at, &settled)
			o.At, o.SettledAt = moment(at), moment(settled)
			return o, err
		}, selectOptOuts, pipeline, key, max(limit, 0))
		return err
	})
	return all, err
}
