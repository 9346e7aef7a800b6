package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/magento-copernica/syncd/state"
)

const (
	selectTombstones = `
		SELECT t.person, t.at
		FROM json_each(?) AS h CROSS JOIN tombstones AS t ON t.pipeline = ? AND t.person = unhex(h.value)`

	upsertTombstone = `
		INSERT INTO tombstones (pipeline, person, at, taken_at) VALUES (?, ?, ?, NULL)
		ON CONFLICT (pipeline, person) DO UPDATE SET at = max(at, excluded.at), taken_at = NULL`

	takeTombstone = `
		INSERT INTO tombstones (pipeline, person, at, taken_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (pipeline, person) DO UPDATE SET at = excluded.at, taken_at = excluded.taken_at WHERE excluded.at > at`

	countTaken = `
		SELECT count(*), min(taken_at), min(at), max(at) FROM tombstones INDEXED BY tombstones_taken
		WHERE pipeline = ? AND taken_at IS NOT NULL`

	insertErasure = `
		INSERT INTO erasures (pipeline, key, cause, policy, copernica_id, orders, items, at, run_id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

	erasureColumns = `
		e.id, e.pipeline, e.key, e.cause, e.policy, e.copernica_id, e.orders, e.items, e.at, e.run_id`

	selectErasures = `
		SELECT ` + erasureColumns + `
		FROM erasures AS e INDEXED BY erasures_by_pipeline WHERE e.pipeline = ? ORDER BY e.id DESC LIMIT ? + 0`

	selectErasuresOf = `
		SELECT ` + erasureColumns + `
		FROM erasures AS e INDEXED BY erasures_by_key WHERE e.pipeline = ? AND e.key = ? ORDER BY e.id DESC LIMIT ? + 0`

	insertOptOut = `
		INSERT INTO opt_outs (pipeline, key, source, at, settled_at) VALUES (?, ?, ?, ?, ?)`

	selectOptOuts = `
		SELECT o.key, o.source, o.at, o.settled_at
		FROM opt_outs AS o INDEXED BY opt_outs_by_key WHERE o.pipeline = ? AND o.key = ? ORDER BY o.id DESC LIMIT ? + 0`

	countOptOuts = `
		SELECT source, count(*) FROM opt_outs WHERE pipeline = ? GROUP BY source`

	deleteEmail   = `DELETE FROM emails WHERE pipeline = ? AND key = ?`
	deleteOptOuts = `DELETE FROM opt_outs WHERE pipeline = ? AND key = ?`

	countErasures = `
		SELECT policy, count(*) FROM erasures WHERE pipeline = ? GROUP BY policy`

	selectTombstonesAfter = `
		SELECT t.person, t.at FROM tombstones AS t WHERE t.pipeline = ? AND t.person > ? ORDER BY t.person LIMIT ? + 0`

	selectEmailsOf = `
		SELECT e.hash, e.key, e.website, e.claims
		FROM json_each(?) AS k CROSS JOIN emails AS e ON e.pipeline = ? AND e.key = k.value`
)

// commitErasures writes tombstones, receipts and opt-outs, and takes away what is not kept
// of who was erased.
func (s *Store) commitErasures(ctx context.Context, tx *sql.Tx, pipeline string, c state.Commit) error {
	err := each(ctx, tx, upsertTombstone, c.Tombstones, func(t state.Tombstone) []any {
		return []any{pipeline, digest(t.Person), stamp(t.At)}
	})
	if err != nil {
		return err
	}
	now := s.now()
	err = each(ctx, tx, insertOptOut, c.OptOuts, func(o state.OptOut) []any {
		if o.SettledAt.IsZero() {
			o.SettledAt = now
		}
		return []any{pipeline, o.Key, text(o.Source), stamp(o.At), stamp(o.SettledAt)}
	})
	if err != nil {
		return err
	}
	for _, query := range []string{deleteEmail, deleteOptOuts} {
		if err := each(ctx, tx, query, c.Nameless, func(key string) []any { return []any{pipeline, key} }); err != nil {
			return err
		}
	}
	return each(ctx, tx, insertErasure, c.Erasures, func(e state.Erasure) []any {
		if e.At.IsZero() {
			e.At = now
		}
		return []any{pipeline, e.Key, text(e.Cause), text(e.Policy), e.CopernicaID, e.Orders, e.Items, stamp(e.At), e.RunID}
	})
}

// AddTombstones takes up tombstones that were kept outside the state.
func (s *Store) AddTombstones(ctx context.Context, pipeline string, stones []state.Tombstone) error {
	const what = "add tombstones"
	if err := state.ValidTombstones(stones); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return s.write(ctx, what, func(tx *sql.Tx) error {
		if err := opened(ctx, tx, pipeline); err != nil {
			return err
		}
		now := s.now()
		return each(ctx, tx, takeTombstone, stones, func(t state.Tombstone) []any {
			return []any{pipeline, digest(t.Person), stamp(t.At), stamp(now)}
		})
	})
}

// Tombstones returns when the given persons were erased, for those who were.
func (s *Store) Tombstones(ctx context.Context, pipeline string, persons []state.Hash) (map[state.Hash]time.Time, error) {
	found := make(map[state.Hash]time.Time)
	wanted := asked(persons)
	stones, err := named(ctx, s, "look up tombstones", scanTombstone, selectTombstones, wanted, pipeline)
	if err != nil {
		return nil, err
	}
	for _, t := range stones {
		found[t.Person] = t.At
	}
	return found, nil
}

func scanTombstone(row scanner) (state.Tombstone, error) {
	var (
		person []byte
		at     sql.NullInt64
	)
	err := row.Scan(&person, &at)
	return state.Tombstone{Person: hash(person), At: moment(at)}, err
}

// TombstonesAfter returns tombstones in the order of their persons.
func (s *Store) TombstonesAfter(ctx context.Context, pipeline string, after state.Hash, limit int) ([]state.Tombstone, error) {
	stones, err := collect(ctx, s.reader, scanTombstone, selectTombstonesAfter, pipeline, after[:], max(limit, 0))
	if err != nil {
		return nil, explain(ctx, "read the tombstones", err)
	}
	return stones, nil
}

// EmailsOf returns what is known of the e-mails of the given keys.
func (s *Store) EmailsOf(ctx context.Context, pipeline string, keys []string) (map[string]state.Email, error) {
	found := make(map[string]state.Email)
	wanted := stored(keys)
	rows, err := named(ctx, s, "look up e-mails", scanEmail, selectEmailsOf, wanted, pipeline)
	if err != nil {
		return nil, err
	}
	for _, e := range rows {
		found[e.Key] = e
	}
	return found, nil
}

// asked is how hashes are asked for, once each and in order; the zero hash never occurs.
func asked(list []state.Hash) []string {
	out := make([]string, 0, len(list))
	for _, h := range list {
		if !h.IsZero() {
			out = append(out, hex.EncodeToString(h[:]))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Erasures returns the newest receipts first.
func (s *Store) Erasures(ctx context.Context, pipeline, key string, limit int) ([]state.Erasure, error) {
	query, args := selectErasures, []any{pipeline}
	if key != "" {
		if state.ValidKey(key) != nil { // no other key was ever stored
			return nil, ctx.Err()
		}
		query, args = selectErasuresOf, append(args, key)
	}
	all, err := collect(ctx, s.reader, func(row scanner) (state.Erasure, error) {
		var (
			e  state.Erasure
			at sql.NullInt64
		)
		err := row.Scan(&e.ID, &e.Pipeline, &e.Key, &e.Cause, &e.Policy, &e.CopernicaID, &e.Orders, &e.Items, &at, &e.RunID)
		e.At = moment(at)
		return e, err
	}, query, append(args, max(limit, 0))...)
	if err != nil {
		return nil, explain(ctx, fmt.Sprintf("read the erasures of %q", pipeline), err)
	}
	return all, nil
}

// OptOuts returns the settled opt-outs of a profile, the newest first.
func (s *Store) OptOuts(ctx context.Context, pipeline, key string, limit int) ([]state.OptOut, error) {
	if state.ValidKey(key) != nil { // no other key was ever stored
		return nil, ctx.Err()
	}
	all, err := collect(ctx, s.reader, func(row scanner) (state.OptOut, error) {
		var (
			o           state.OptOut
			at, settled sql.NullInt64
		)
		err := row.Scan(&o.Key, &o.Source, &at, &settled)
		o.At, o.SettledAt = moment(at), moment(settled)
		return o, err
	}, selectOptOuts, pipeline, key, max(limit, 0))
	if err != nil {
		return nil, explain(ctx, fmt.Sprintf("read the opt-outs of %q", pipeline), err)
	}
	return all, nil
}
