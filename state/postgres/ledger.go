package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/magento-copernica/syncd/state"
)

const (
	recordColumns = `
		r.entity, r.key, r.source_id, r.parent, r.number, r.copernica_id, r.hash, r.consent_source, r.consent_written, r.sent, r.refused,
		r.unsubscribed_at, r.out_seen_at, r.source_updated_at, r.state, r.attempts, r.planned_at, r.next_attempt, r.first_seen, r.acknowledged_at, r.run_id`

	// Look-ups of many rows go through their index for each, which OFFSET 0 sees to: a
	// server that has not counted the rows yet, as in the first minutes of a ledger or
	// after it was restored, believes it has few, and reads all of them instead.
	selectRecords = `
		SELECT r.*
		FROM unnest($3::text[]) AS k (key)
		CROSS JOIN LATERAL (
			SELECT ` + recordColumns + `
			FROM syncd.records AS r WHERE r.pipeline = $1 AND r.entity = $2 AND r.key = k.key
			OFFSET 0
		) AS r`

	selectByCopernicaID = `
		SELECT r.*
		FROM unnest($3::bigint[]) AS c (id)
		CROSS JOIN LATERAL (
			SELECT ` + recordColumns + `
			FROM syncd.records AS r WHERE r.pipeline = $1 AND r.entity = $2 AND r.copernica_id = c.id AND r.copernica_id <> 0
			OFFSET 0
		) AS r
		ORDER BY r.key`

	selectBySource = `
		SELECT r.*
		FROM unnest($3::bigint[]) AS s (id)
		CROSS JOIN LATERAL (
			SELECT ` + recordColumns + `
			FROM syncd.records AS r WHERE r.pipeline = $1 AND r.entity = $2 AND r.source_id = s.id
			OFFSET 0
		) AS r
		ORDER BY r.key`

	selectBetween = `
		SELECT ` + recordColumns + `
		FROM syncd.records AS r
		WHERE r.pipeline = $1 AND r.entity = $2 AND r.source_id > $3 AND r.source_id <= $4
		ORDER BY r.source_id, r.key
		LIMIT $5`

	selectInCopernica = `
		SELECT ` + recordColumns + `
		FROM syncd.records AS r
		WHERE r.pipeline = $1 AND r.entity = $2 AND r.copernica_id <> 0 AND r.copernica_id > $3 AND r.copernica_id <= $4
		ORDER BY r.copernica_id, r.key
		LIMIT $5`

	selectMissing = `
		SELECT ` + recordColumns + `
		FROM syncd.records AS r
		WHERE r.pipeline = $1 AND r.entity = $2 AND r.state = 'missing'
		ORDER BY r.key
		LIMIT $3`

	selectByNumber = `
		SELECT ` + recordColumns + `
		FROM syncd.records AS r
		WHERE r.pipeline = $1 AND r.number = $2 AND r.number <> ''
		ORDER BY r.key, r.entity`

	selectPending = `
		SELECT ` + recordColumns + `
		FROM syncd.records AS r
		WHERE r.pipeline = $1 AND r.state IN ('planned', 'unknown') AND (r.next_attempt IS NULL OR r.next_attempt <= $2)
		ORDER BY r.next_attempt NULLS FIRST, r.planned_at NULLS FIRST, r.entity, r.key
		LIMIT $3`

	selectHighest = `
		SELECT coalesce(max(copernica_id), 0) FROM syncd.records WHERE pipeline = $1 AND entity = $2 AND copernica_id <> 0`

	// No key with the prefix comes after the prefix and the last character that there is.
	countPrefixed = `
		SELECT state, count(*) FROM syncd.records
		WHERE pipeline = $1 AND entity = $2 AND key >= $3 AND key < $3 || chr(1114111) GROUP BY state`

	selectEmails = `
		SELECT e.*
		FROM unnest($2::bytea[]) AS h (hash)
		CROSS JOIN LATERAL (
			SELECT e.hash, e.key, e.website, e.claims
			FROM syncd.emails AS e WHERE e.pipeline = $1 AND e.hash = h.hash AND e.hash IS NOT NULL
			OFFSET 0
		) AS e
		ORDER BY e.key`

	// What was acknowledged is not named, so it stays.
	planRecords = `
		INSERT INTO syncd.records AS r (pipeline, entity, key, source_id, parent, number, copernica_id, state, attempts, planned_at, next_attempt,
			first_seen, run_id, sent)
		SELECT $1, u.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::bigint[],
			$10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::bigint[], $14::bytea[]) AS u
		ON CONFLICT (pipeline, entity, key) DO UPDATE SET
			state = excluded.state, attempts = excluded.attempts, sent = coalesce(excluded.sent, r.sent),
			planned_at = excluded.planned_at, next_attempt = excluded.next_attempt, run_id = excluded.run_id`
)

// Records returns the ledger rows of the given keys that exist, by key.
func (s *Store) Records(ctx context.Context, pipeline string, e state.Entity, keys []string) (map[string]state.Record, error) {
	found := make(map[string]state.Record, len(keys))
	wanted := stored(keys)
	if len(wanted) == 0 {
		return found, ctx.Err()
	}
	rows, err := all(ctx, s, "read the ledger", scanRecord, selectRecords, pipeline, string(e), wanted)
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
	if len(wanted) == 0 {
		return nil, ctx.Err()
	}
	return all(ctx, s, "read the ledger", scanRecord, query, pipeline, string(e), wanted)
}

// RecordsBetween returns the ledger rows of an entity whose SourceID lies above after
// and not above upto.
func (s *Store) RecordsBetween(
	ctx context.Context, pipeline string, e state.Entity, after, upto int64, limit int,
) ([]state.Record, error) {
	return all(ctx, s, "read the ledger", scanRecord, selectBetween, pipeline, string(e), after, upto, max(limit, 0))
}

// RecordsInCopernica returns the ledger rows of an entity whose Copernica id lies above
// after and not above upto.
func (s *Store) RecordsInCopernica(
	ctx context.Context, pipeline string, e state.Entity, after, upto int64, limit int,
) ([]state.Record, error) {
	return all(ctx, s, "read the ledger", scanRecord, selectInCopernica, pipeline, string(e), after, upto, max(limit, 0))
}

// MissingRecords returns rows whose record the shop no longer has, by key.
func (s *Store) MissingRecords(ctx context.Context, pipeline string, e state.Entity, limit int) ([]state.Record, error) {
	return all(ctx, s, "read the ledger", scanRecord, selectMissing, pipeline, string(e), max(limit, 0))
}

// RecordsByNumber returns the ledger rows that have an order number, in the order of
// their keys.
func (s *Store) RecordsByNumber(ctx context.Context, pipeline, number string) ([]state.Record, error) {
	if number == "" || state.ValidNumber(number) != nil { // no other number was ever stored
		return nil, ctx.Err()
	}
	return all(ctx, s, "read the ledger", scanRecord, selectByNumber, pipeline, number)
}

// Pending returns rows left planned or unknown whose time has come, those due
// longest first.
func (s *Store) Pending(ctx context.Context, pipeline string, now time.Time, limit int) ([]state.Record, error) {
	return all(ctx, s, "read what is pending", scanRecord, selectPending, pipeline, stamp(now), max(limit, 0))
}

// HighestID returns the largest Copernica id the ledger knows of an entity, or 0.
func (s *Store) HighestID(ctx context.Context, pipeline string, e state.Entity) (id int64, err error) {
	err = s.read(ctx, "read the highest id", func(q queryer) error {
		return q.QueryRow(ctx, selectHighest, pipeline, string(e)).Scan(&id)
	})
	return id, err
}

// CountRecords counts the ledger rows whose keys begin with a prefix, by state.
func (s *Store) CountRecords(ctx context.Context, pipeline string, e state.Entity, prefix string) (map[state.RecordState]int64, error) {
	type count struct {
		as state.RecordState
		n  int64
	}
	rows, err := all(ctx, s, "count ledger rows", func(row pgx.CollectableRow) (c count, err error) {
		err = row.Scan(&c.as, &c.n)
		return c, err
	}, countPrefixed, pipeline, string(e), prefix)
	if err != nil {
		return nil, err
	}
	counts := make(map[state.RecordState]int64, len(rows))
	for _, c := range rows {
		counts[c.as] = c.n
	}
	return counts, nil
}

// Emails returns, for each hash that occurs, the source keys that have it.
func (s *Store) Emails(ctx context.Context, pipeline string, hashes []state.Hash) (map[state.Hash][]state.Email, error) {
	found := make(map[state.Hash][]state.Email, len(hashes))
	wanted := asked(hashes)
	if len(wanted) == 0 {
		return found, ctx.Err()
	}
	rows, err := all(ctx, s, "look up e-mails", scanEmail, selectEmails, pipeline, wanted)
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
	rows = merged(rows)
	return s.writeFenced(ctx, "plan", l, func(tx pgx.Tx) error {
		if len(rows) == 0 {
			return nil
		}
		_, err := tx.Exec(ctx, planRecords, l.Pipeline,
			column(rows, func(r state.Record) string { return string(r.Entity) }),
			column(rows, func(r state.Record) string { return r.Key }),
			column(rows, func(r state.Record) int64 { return r.SourceID }),
			column(rows, func(r state.Record) string { return r.Parent }),
			column(rows, func(r state.Record) string { return r.Number }),
			column(rows, func(r state.Record) int64 { return r.CopernicaID }),
			column(rows, func(r state.Record) string { return string(r.State) }),
			column(rows, func(r state.Record) int64 { return int64(r.Attempts) }),
			times(rows, func(r state.Record) time.Time { return r.PlannedAt }),
			times(rows, func(r state.Record) time.Time { return r.NextAttempt }),
			times(rows, func(r state.Record) time.Time { return r.FirstSeen }),
			column(rows, func(r state.Record) int64 { return r.RunID }),
			digests(rows, func(r state.Record) state.Hash { return r.Sent }),
		)
		return err
	})
}

// merged turns plans for one row into one, as if they came one after the other: the
// first would insert the row, the last says what is planned.
func merged(rows []state.Record) []state.Record {
	place := make(map[state.RecordRef]int, len(rows))
	out := make([]state.Record, 0, len(rows))
	for _, r := range rows {
		ref := state.RecordRef{Entity: r.Entity, Key: r.Key}
		i, twice := place[ref]
		if !twice {
			place[ref] = len(out)
			out = append(out, r)
			continue
		}
		first := &out[i]
		first.State, first.Attempts, first.PlannedAt, first.NextAttempt, first.RunID = r.State, r.Attempts, r.PlannedAt, r.NextAttempt, r.RunID
		first.Sent = cmp.Or(r.Sent, first.Sent)
	}
	return out
}

func scanEmail(row pgx.CollectableRow) (state.Email, error) {
	var (
		e   state.Email
		sum []byte
	)
	err := row.Scan(&sum, &e.Key, &e.Website, &e.Claims)
	e.Hash = hash(sum)
	return e, err
}

func scanRecord(row pgx.CollectableRow) (state.Record, error) {
	var (
		r                                       state.Record
		entity, st                              string
		content, source, written, sent, refused []byte
		unsubscribed, outSeen, sourceUpdated    pgtype.Timestamptz
		planned, nextAttempt                    pgtype.Timestamptz
		firstSeen, acknowledged                 pgtype.Timestamptz
	)
	err := row.Scan(&entity, &r.Key, &r.SourceID, &r.Parent, &r.Number, &r.CopernicaID, &content, &source, &written, &sent, &refused,
		&unsubscribed, &outSeen, &sourceUpdated, &st, &r.Attempts, &planned, &nextAttempt, &firstSeen, &acknowledged, &r.RunID)
	r.Entity, r.State = state.Entity(entity), state.RecordState(st)
	r.Hash, r.ConsentSource, r.ConsentWritten, r.Sent, r.Refused = hash(content), hash(source), hash(written), hash(sent), hash(refused)
	r.UnsubscribedAt, r.OutSeenAt, r.SourceUpdatedAt = moment(unsubscribed), moment(outSeen), moment(sourceUpdated)
	r.PlannedAt, r.NextAttempt = moment(planned), moment(nextAttempt)
	r.FirstSeen, r.AcknowledgedAt = moment(firstSeen), moment(acknowledged)
	return r, err
}
