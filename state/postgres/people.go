package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/magento-copernica/syncd/state"
)

const (
	selectByParent = `
		SELECT ` + recordColumns + `
		FROM syncd.records AS r
		WHERE r.pipeline = $1 AND r.entity = 'order' AND r.parent = $2 AND r.key > $3
		ORDER BY r.key
		LIMIT $4`

	selectClaims = `
		SELECT ` + recordColumns + `
		FROM syncd.records AS r
		WHERE r.pipeline = $1 AND r.entity = 'profile' AND r.state = 'claimed' AND r.key > $2
		ORDER BY r.key
		LIMIT $3`

	selectOpenClaims = `
		SELECT ` + recordColumns + `
		FROM syncd.records AS r
		WHERE r.pipeline = $1 AND r.entity = 'profile' AND r.state = 'claimed' AND r.copernica_id <> 0 AND r.key > $2
		ORDER BY r.key
		LIMIT $3`

	selectClaimsOf = `
		SELECT r.*
		FROM unnest($2::text[]) AS p (key)
		CROSS JOIN LATERAL (
			SELECT ` + recordColumns + `
			FROM syncd.records AS r
			WHERE r.pipeline = $1 AND r.entity = 'profile' AND r.state = 'claimed' AND r.parent = p.key
			OFFSET 0
		) AS r
		ORDER BY r.key`

	selectUnclaimed = `
		SELECT ` + recordColumns + `
		FROM syncd.records AS r
		WHERE r.pipeline = $1 AND r.entity = 'profile' AND r.parent <> '' AND r.state NOT IN ('claimed', 'missing', 'gone') AND r.key > $2
		ORDER BY r.key
		LIMIT $3`

	// What stands below the profiles $2: their orders, and the lines of those that are theirs
	// too. Rows are named by their places, so that a server which has not counted them yet
	// goes there, and does not read them all: whoever writes rows holds the lease, so none
	// moves in between.
	below = `
		WHERE r.ctid = ANY (ARRAY(
			SELECT u.place
			FROM unnest($2::text[]) AS p (key)
			CROSS JOIN LATERAL (
				SELECT r.ctid, r.source_id FROM syncd.records AS r
				WHERE r.pipeline = $1 AND r.entity = 'order' AND r.parent = p.key
				OFFSET 0
			) AS o (place, source_id)
			CROSS JOIN LATERAL (
				SELECT o.place
				UNION ALL
				SELECT i.place FROM (
					SELECT r.ctid, r.parent FROM syncd.records AS r
					WHERE r.pipeline = $1 AND r.entity = 'item' AND r.source_id = o.source_id
					OFFSET 0
				) AS i (place, parent)
				WHERE i.parent = p.key
			) AS u (place)))`

	moveBelow = `
		UPDATE syncd.records AS r SET parent = $3` + below

	bareBelow = `
		UPDATE syncd.records AS r SET state = 'removed', copernica_id = 0, number = '',
			hash = NULL, consent_source = NULL, consent_written = NULL, sent = NULL, refused = NULL` + below
)

// RecordsByParent returns the ledger rows of a profile's orders whose key lies above
// after, by key.
func (s *Store) RecordsByParent(ctx context.Context, pipeline, parent, after string, limit int) ([]state.Record, error) {
	if state.ValidKey(parent) != nil { // no other key was ever stored
		return nil, ctx.Err()
	}
	return all(ctx, s, "read the ledger", scanRecord, selectByParent, pipeline, parent, after, max(limit, 0))
}

// Claims returns the rows of guests who are customers and whose key lies above after,
// by key.
func (s *Store) Claims(ctx context.Context, pipeline string, open bool, after string, limit int) ([]state.Record, error) {
	query := selectClaims
	if open {
		query = selectOpenClaims
	}
	return all(ctx, s, "read the ledger", scanRecord, query, pipeline, after, max(limit, 0))
}

// ClaimsOf returns the rows of guests who are one of some customers, by key.
func (s *Store) ClaimsOf(ctx context.Context, pipeline string, parents []string) ([]state.Record, error) {
	wanted := stored(parents)
	if len(wanted) == 0 {
		return nil, ctx.Err()
	}
	return all(ctx, s, "read the ledger", scanRecord, selectClaimsOf, pipeline, wanted)
}

// Unclaimed returns the rows of profiles whose claim was undone and whose key lies above
// after, by key.
func (s *Store) Unclaimed(ctx context.Context, pipeline, after string, limit int) ([]state.Record, error) {
	return all(ctx, s, "read the ledger", scanRecord, selectUnclaimed, pipeline, after, max(limit, 0))
}

// commitBelow moves and strips what stands below profiles.
func commitBelow(ctx context.Context, tx pgx.Tx, pipeline string, c state.Commit) error {
	if len(c.Moves) > 0 {
		// One by one, since rows may be moved again; sent together.
		var batch pgx.Batch
		for _, m := range c.Moves {
			batch.Queue(moveBelow, pipeline, []string{m.From}, m.To)
		}
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return err
		}
	}
	if len(c.Bare) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, bareBelow, pipeline, stored(c.Bare))
	return err
}
