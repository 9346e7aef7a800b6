package sqlite

import (
	"context"
	"database/sql"

	"github.com/magento-copernica/syncd/state"
)

const (
	selectByParent = `
		SELECT ` + recordColumns + `
		FROM records AS r INDEXED BY records_by_parent
		WHERE r.pipeline = ? AND r.entity = 'order' AND r.parent = ? AND r.key > ?
		ORDER BY r.key
		LIMIT ? + 0`

	selectClaims = `
		SELECT ` + recordColumns + `
		FROM records AS r INDEXED BY records_claimed
		WHERE r.pipeline = ? AND r.entity = 'profile' AND r.state = 'claimed' AND r.key > ?
		ORDER BY r.key
		LIMIT ? + 0`

	selectOpenClaims = `
		SELECT ` + recordColumns + `
		FROM records AS r INDEXED BY records_claimed_open
		WHERE r.pipeline = ? AND r.entity = 'profile' AND r.state = 'claimed' AND r.copernica_id <> 0 AND r.key > ?
		ORDER BY r.key
		LIMIT ? + 0`

	selectClaimsOf = `
		SELECT ` + recordColumns + `
		FROM json_each(?) AS p
		CROSS JOIN records AS r INDEXED BY records_claimed_by
			ON r.pipeline = ? AND r.entity = 'profile' AND r.state = 'claimed' AND r.parent = p.value
		ORDER BY r.key`

	selectUnclaimed = `
		SELECT ` + recordColumns + `
		FROM records AS r INDEXED BY records_unclaimed
		WHERE r.pipeline = ? AND r.entity = 'profile' AND r.parent <> '' AND r.state NOT IN ('claimed', 'missing', 'gone') AND r.key > ?
		ORDER BY r.key
		LIMIT ? + 0`

	// What stands below the profile ?2: its orders, and their lines that are its own too.
	// SQLite looks rows up by a list of names only where that is one SELECT, and reads the
	// whole ledger elsewhere.
	below = `
		WHERE (pipeline, entity, key) IN (SELECT pipeline, entity, key FROM (
			SELECT o.pipeline, o.entity, o.key FROM records AS o INDEXED BY records_by_parent
			WHERE o.pipeline = ?1 AND o.entity = 'order' AND o.parent = ?2
			UNION ALL
			SELECT i.pipeline, i.entity, i.key FROM records AS o INDEXED BY records_by_parent
			CROSS JOIN records AS i INDEXED BY records_by_source
				ON i.pipeline = ?1 AND i.entity = 'item' AND i.source_id = o.source_id AND i.parent = ?2
			WHERE o.pipeline = ?1 AND o.entity = 'order' AND o.parent = ?2))`

	moveBelow = `
		UPDATE records SET parent = ?3` + below

	bareBelow = `
		UPDATE records SET state = 'removed', copernica_id = 0, number = '',
			hash = NULL, consent_source = NULL, consent_written = NULL, sent = NULL, refused = NULL` + below
)

// RecordsByParent returns the ledger rows of a profile's orders whose key lies above
// after, by key.
func (s *Store) RecordsByParent(ctx context.Context, pipeline, parent, after string, limit int) ([]state.Record, error) {
	if state.ValidKey(parent) != nil { // no other key was ever stored
		return nil, ctx.Err()
	}
	rows, err := collect(ctx, s.reader, scanRecord, selectByParent, pipeline, parent, after, max(limit, 0))
	if err != nil {
		return nil, explain(ctx, "read the ledger", err)
	}
	return rows, nil
}

// Claims returns the rows of guests who are customers and whose key lies above after,
// by key.
func (s *Store) Claims(ctx context.Context, pipeline string, open bool, after string, limit int) ([]state.Record, error) {
	query := selectClaims
	if open {
		query = selectOpenClaims
	}
	rows, err := collect(ctx, s.reader, scanRecord, query, pipeline, after, max(limit, 0))
	if err != nil {
		return nil, explain(ctx, "read the ledger", err)
	}
	return rows, nil
}

// ClaimsOf returns the rows of guests who are one of some customers, by key.
func (s *Store) ClaimsOf(ctx context.Context, pipeline string, parents []string) ([]state.Record, error) {
	return named(ctx, s, "read the ledger", scanRecord, selectClaimsOf, stored(parents), pipeline)
}

// Unclaimed returns the rows of profiles whose claim was undone and whose key lies above
// after, by key.
func (s *Store) Unclaimed(ctx context.Context, pipeline, after string, limit int) ([]state.Record, error) {
	rows, err := collect(ctx, s.reader, scanRecord, selectUnclaimed, pipeline, after, max(limit, 0))
	if err != nil {
		return nil, explain(ctx, "read the ledger", err)
	}
	return rows, nil
}

// commitBelow moves and strips what stands below profiles.
func commitBelow(ctx context.Context, tx *sql.Tx, pipeline string, c state.Commit) error {
	err := each(ctx, tx, moveBelow, c.Moves, func(m state.Move) []any { return []any{pipeline, m.From, m.To} })
	if err != nil {
		return err
	}
	return each(ctx, tx, bareBelow, c.Bare, func(key string) []any { return []any{pipeline, key} })
}
