package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/magento-copernica/syncd/state"
)

const (
	recordColumns = `
		r.entity, r.key, r.source_id, r.parent, r.number, r.copernica_id, r.hash, r.consent_source, r.consent_written, r.sent, r.refused,
		r.unsubscribed_at, r.out_seen_at, r.source_updated_at, r.state, r.attempts, r.planned_at, r.next_attempt, r.first_seen, r.acknowledged_at, r.run_id`

	// CROSS JOIN keeps SQLite from reading the ledger first.
	selectRecords = `
		SELECT ` + recordColumns + `
		FROM json_each(?) AS k CROSS JOIN records AS r ON r.pipeline = ? AND r.entity = +? AND r.key = k.value`

	selectByCopernicaID = `
		SELECT ` + recordColumns + `
		FROM json_each(?) AS c
		CROSS JOIN records AS r INDEXED BY records_by_copernica_id
			ON r.pipeline = ? AND r.entity = +? AND r.copernica_id = c.value AND r.copernica_id <> 0
		ORDER BY r.key`

	// Without being told SQLite may take the order of the keys for the better index.
	selectBySource = `
		SELECT ` + recordColumns + `
		FROM json_each(?) AS s
		CROSS JOIN records AS r INDEXED BY records_by_source ON r.pipeline = ? AND r.entity = +? AND r.source_id = s.value
		ORDER BY r.key`

	selectBetween = `
		SELECT ` + recordColumns + `
		FROM records AS r INDEXED BY records_by_source
		WHERE r.pipeline = ? AND r.entity = +? AND r.source_id > ? AND r.source_id <= ?
		ORDER BY r.source_id, r.key
		LIMIT ? + 0`

	selectInCopernica = `
		SELECT ` + recordColumns + `
		FROM records AS r INDEXED BY records_by_copernica_id
		WHERE r.pipeline = ? AND r.entity = +? AND r.copernica_id <> 0 AND r.copernica_id > ? AND r.copernica_id <= ?
		ORDER BY r.copernica_id, r.key
		LIMIT ? + 0`

	selectMissing = `
		SELECT ` + recordColumns + `
		FROM records AS r INDEXED BY records_missing
		WHERE r.pipeline = ? AND r.entity = +? AND r.state = 'missing'
		ORDER BY r.key
		LIMIT ? + 0`

	selectByNumber = `
		SELECT ` + recordColumns + `
		FROM records AS r INDEXED BY records_by_number
		WHERE r.pipeline = ? AND r.number = ? AND r.number <> ''
		ORDER BY r.key, r.entity`

	// Without being told SQLite reads the whole ledger.
	selectPending = `
		SELECT ` + recordColumns + `
		FROM records AS r INDEXED BY records_pending
		WHERE r.pipeline = ? AND r.state IN ('planned', 'unknown') AND (r.next_attempt IS NULL OR r.next_attempt <= ?)
		ORDER BY r.next_attempt, r.planned_at, r.entity, r.key
		LIMIT ? + 0`

	selectHighest = `
		SELECT coalesce(max(copernica_id), 0) FROM records WHERE pipeline = ? AND entity = +? AND copernica_id <> 0`

	// No key with the prefix comes after the prefix and the last character that there is.
	countPrefixed = `
		SELECT state, count(*) FROM records
		WHERE pipeline = ?1 AND entity = +?2 AND key >= ?3 AND key < ?3 || char(1114111) GROUP BY state`

	// Without being told SQLite takes the order of the keys for the better index, and
	// reads every e-mail of the pipeline for each hash.
	selectEmails = `
		SELECT e.hash, e.key, e.website, e.claims
		FROM json_each(?) AS h
		CROSS JOIN emails AS e INDEXED BY emails_by_hash
			ON e.pipeline = ? AND e.hash = unhex(h.value) AND e.hash IS NOT NULL
		ORDER BY e.key`

	// What was acknowledged is not named, so it stays.
	planRecord = `
		INSERT INTO records (pipeline, entity, key, source_id, parent, number, copernica_id, state, attempts, planned_at, next_attempt,
			first_seen, run_id, sent)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (pipeline, entity, key) DO UPDATE SET
			state = excluded.state, attempts = excluded.attempts, sent = coalesce(excluded.sent, sent),
			planned_at = excluded.planned_at, next_attempt = excluded.next_attempt, run_id = excluded.run_id`
)

// Records returns the ledger rows of the given keys that exist, by key.
func (s *Store) Records(ctx context.Context, pipeline string, e state.Entity, keys []string) (map[string]state.Record, error) {
	found := make(map[string]state.Record, len(keys))
	wanted := stored(keys)
	rows, err := named(ctx, s, "read the ledger", scanRecord, selectRecords, wanted, pipeline, string(e))
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		found[r.Key] = r
	}
	return found, nil
}

// RecordsByCopernicaID returns the ledger rows that have one of some Copernica ids, by
// key.
func (s *Store) RecordsByCopernicaID(ctx context.Context, pipeline string, e state.Entity, ids ...int64) ([]state.Record, error) {
	return s.byIDs(ctx, selectByCopernicaID, pipeline, e, ids)
}

// RecordsBySource returns the ledger rows of an entity that come from the given records
// of the shop, in the order of their keys.
func (s *Store) RecordsBySource(ctx context.Context, pipeline string, e state.Entity, sourceIDs []int64) ([]state.Record, error) {
	return s.byIDs(ctx, selectBySource, pipeline, e, sourceIDs)
}

// byIDs reads the ledger rows of an entity that a list of ids leads to.
func (s *Store) byIDs(ctx context.Context, query, pipeline string, e state.Entity, ids []int64) ([]state.Record, error) {
	wanted := slices.Compact(slices.Sorted(slices.Values(ids)))
	return named(ctx, s, "read the ledger", scanRecord, query, wanted, pipeline, string(e))
}

// RecordsBetween returns the ledger rows of an entity whose SourceID lies above after
// and not above upto.
func (s *Store) RecordsBetween(ctx context.Context, pipeline string, e state.Entity, after, upto int64, limit int) ([]state.Record, error) {
	rows, err := collect(ctx, s.reader, scanRecord, selectBetween, pipeline, string(e), after, upto, max(limit, 0))
	if err != nil {
		return nil, explain(ctx, "read the ledger", err)
	}
	return rows, nil
}

// RecordsInCopernica returns the ledger rows of an entity whose Copernica id lies above
// after and not above upto.
func (s *Store) RecordsInCopernica(ctx context.Context, pipeline string, e state.Entity, after, upto int64, limit int) ([]state.Record, error) {
	rows, err := collect(ctx, s.reader, scanRecord, selectInCopernica, pipeline, string(e), after, upto, max(limit, 0))
	if err != nil {
		return nil, explain(ctx, "read the ledger", err)
	}
	return rows, nil
}

// MissingRecords returns rows whose record the shop no longer has, by key.
func (s *Store) MissingRecords(ctx context.Context, pipeline string, e state.Entity, limit int) ([]state.Record, error) {
	rows, err := collect(ctx, s.reader, scanRecord, selectMissing, pipeline, string(e), max(limit, 0))
	if err != nil {
		return nil, explain(ctx, "read the ledger", err)
	}
	return rows, nil
}

// RecordsByNumber returns the ledger rows that have an order number, in the order of
// their keys.
func (s *Store) RecordsByNumber(ctx context.Context, pipeline, number string) ([]state.Record, error) {
	if number == "" || state.ValidNumber(number) != nil { // no other number was ever stored
		return nil, ctx.Err()
	}
	rows, err := collect(ctx, s.reader, scanRecord, selectByNumber, pipeline, number)
	if err != nil {
		return nil, explain(ctx, "read the ledger", err)
	}
	return rows, nil
}

// Pending returns rows left planned or unknown whose time has come, those due
// longest first.
func (s *Store) Pending(ctx context.Context, pipeline string, now time.Time, limit int) ([]state.Record, error) {
	rows, err := collect(ctx, s.reader, scanRecord, selectPending, pipeline, now.UnixMilli(), max(limit, 0))
	if err != nil {
		return nil, explain(ctx, "read what is pending", err)
	}
	return rows, nil
}

// HighestID returns the largest Copernica id the ledger knows of an entity, or 0.
func (s *Store) HighestID(ctx context.Context, pipeline string, e state.Entity) (int64, error) {
	var id int64
	if err := s.reader.QueryRowContext(ctx, selectHighest, pipeline, string(e)).Scan(&id); err != nil {
		return 0, explain(ctx, "read the highest id", err)
	}
	return id, nil
}

// CountRecords counts the ledger rows whose keys begin with a prefix, by state.
func (s *Store) CountRecords(ctx context.Context, pipeline string, e state.Entity, prefix string) (map[state.RecordState]int64, error) {
	counts := make(map[state.RecordState]int64)
	_, err := collect(ctx, s.reader, func(row scanner) (state.RecordState, error) {
		var (
			as state.RecordState
			n  int64
		)
		err := row.Scan(&as, &n)
		counts[as] = n
		return as, err
	}, countPrefixed, pipeline, string(e), prefix)
	if err != nil {
		return nil, explain(ctx, "count ledger rows", err)
	}
	return counts, nil
}

// Emails returns, for each hash that occurs, the source keys that have it.
func (s *Store) Emails(ctx context.Context, pipeline string, hashes []state.Hash) (map[state.Hash][]state.Email, error) {
	found := make(map[state.Hash][]state.Email, len(hashes))
	wanted := asked(hashes)
	rows, err := named(ctx, s, "look up e-mails", scanEmail, selectEmails, wanted, pipeline)
	if err != nil {
		return nil, err
	}
	for _, e := range rows {
		found[e.Hash] = append(found[e.Hash], e)
	}
	return found, nil
}

// Plan records the intent to write, before the calls (promise 13).
func (s *Store) Plan(ctx context.Context, l state.Lease, rows []state.Record) error {
	if err := state.ValidPlan(rows); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return s.writeFenced(ctx, "plan", l, func(tx *sql.Tx) error {
		return each(ctx, tx, planRecord, rows, func(r state.Record) []any {
			return []any{
				l.Pipeline, string(r.Entity), r.Key, r.SourceID, r.Parent, r.Number, r.CopernicaID,
				string(r.State), r.Attempts, stamp(r.PlannedAt), stamp(r.NextAttempt), stamp(r.FirstSeen), r.RunID, digest(r.Sent),
			}
		})
	})
}

func scanEmail(row scanner) (state.Email, error) {
	var (
		e   state.Email
		sum []byte
	)
	err := row.Scan(&sum, &e.Key, &e.Website, &e.Claims)
	e.Hash = hash(sum)
	return e, err
}

func scanRecord(row scanner) (state.Record, error) {
	var (
		r                                       state.Record
		content, source, written, sent, refused []byte
		unsubscribed, outSeen, sourceUpdated    sql.NullInt64
		planned, nextAttempt                    sql.NullInt64
		firstSeen, acknowledged                 sql.NullInt64
	)
	err := row.Scan(&r.Entity, &r.Key, &r.SourceID, &r.Parent, &r.Number, &r.CopernicaID, &content, &source, &written, &sent, &refused,
		&unsubscribed, &outSeen, &sourceUpdated, &r.State, &r.Attempts, &planned, &nextAttempt, &firstSeen, &acknowledged, &r.RunID)
	r.Hash, r.ConsentSource, r.ConsentWritten, r.Sent, r.Refused = hash(content), hash(source), hash(written), hash(sent), hash(refused)
	r.UnsubscribedAt, r.OutSeenAt, r.SourceUpdatedAt = moment(unsubscribed), moment(outSeen), moment(sourceUpdated)
	r.PlannedAt, r.NextAttempt = moment(planned), moment(nextAttempt)
	r.FirstSeen, r.AcknowledgedAt = moment(firstSeen), moment(acknowledged)
	return r, err
}
