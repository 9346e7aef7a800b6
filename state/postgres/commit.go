package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/magento-copernica/syncd/state"
)

const (
	upsertRecords = `
		INSERT INTO syncd.records (pipeline, entity, key, source_id, parent, number, copernica_id, hash, consent_source, consent_written, refused,
			unsubscribed_at, source_updated_at, state, attempts, planned_at, next_attempt, first_seen, acknowledged_at, run_id, sent, out_seen_at)
		SELECT $1, u.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::bytea[], $9::bytea[],
			$10::bytea[], $11::bytea[], $12::timestamptz[], $13::timestamptz[], $14::text[], $15::bigint[], $16::timestamptz[],
			$17::timestamptz[], $18::timestamptz[], $19::timestamptz[], $20::bigint[], $21::bytea[], $22::timestamptz[]) AS u
		ON CONFLICT (pipeline, entity, key) DO UPDATE SET
			source_id = excluded.source_id, parent = excluded.parent, number = excluded.number, copernica_id = excluded.copernica_id, hash = excluded.hash,
			consent_source = excluded.consent_source, consent_written = excluded.consent_written, sent = excluded.sent,
			refused = excluded.refused, unsubscribed_at = excluded.unsubscribed_at, out_seen_at = excluded.out_seen_at,
			source_updated_at = excluded.source_updated_at, state = excluded.state, attempts = excluded.attempts,
			planned_at = excluded.planned_at, next_attempt = excluded.next_attempt,
			first_seen = excluded.first_seen, acknowledged_at = excluded.acknowledged_at, run_id = excluded.run_id`

	// A row that was ever acknowledged stays, whatever the caller believes of it.
	forgetRecords = `
		DELETE FROM syncd.records AS r USING unnest($2::text[], $3::text[]) AS u (entity, key)
		WHERE r.pipeline = $1 AND r.entity = u.entity AND r.key = u.key AND r.state IN ('planned', 'unknown') AND r.hash IS NULL`

	upsertEmails = `
		INSERT INTO syncd.emails (pipeline, key, hash, website, claims)
		SELECT $1, u.* FROM unnest($2::text[], $3::bytea[], $4::bigint[], $5::boolean[]) AS u
		ON CONFLICT (pipeline, key) DO UPDATE SET hash = excluded.hash, website = excluded.website, claims = excluded.claims`
)

// Commit records the outcomes of a page in one transaction (promise 9).
func (s *Store) Commit(ctx context.Context, l state.Lease, c state.Commit) (state.Checkpoint, error) {
	if err := state.ValidCommit(l, c); err != nil {
		return state.Checkpoint{}, fmt.Errorf("commit: %w", err)
	}
	var saved state.Checkpoint
	err := s.writeFenced(ctx, "commit", l, func(tx pgx.Tx) error {
		var err error
		if c.Checkpoint != nil {
			if saved, err = s.saveCheckpoint(ctx, tx, l.Pipeline, *c.Checkpoint); err != nil {
				return err
			}
		}
		if err := s.commitRows(ctx, tx, l.Pipeline, c); err != nil {
			return err
		}
		if err := s.commitLetters(ctx, tx, l.Pipeline, c); err != nil {
			return err
		}
		if c.Run != nil {
			run := *c.Run
			run.Pipeline = l.Pipeline
			if err := saveRun(ctx, tx, run); err != nil {
				return err
			}
		}
		if c.Adopting {
			_, err = tx.Exec(ctx, adoptPipeline, l.Pipeline)
		}
		return err
	})
	if err != nil {
		return state.Checkpoint{}, err
	}
	return saved, nil
}

// commitRows writes ledger rows, e-mails, doubles, and what is left of who was erased.
func (s *Store) commitRows(ctx context.Context, tx pgx.Tx, pipeline string, c state.Commit) error {
	if err := commitBelow(ctx, tx, pipeline, c); err != nil {
		return err
	}
	if rows := last(c.Records, func(r state.Record) state.RecordRef { return state.RecordRef{Entity: r.Entity, Key: r.Key} }); len(rows) > 0 {
		_, err := tx.Exec(ctx, upsertRecords, pipeline,
			column(rows, func(r state.Record) string { return string(r.Entity) }),
			column(rows, func(r state.Record) string { return r.Key }),
			column(rows, func(r state.Record) int64 { return r.SourceID }),
			column(rows, func(r state.Record) string { return r.Parent }),
			column(rows, func(r state.Record) string { return r.Number }),
			column(rows, func(r state.Record) int64 { return r.CopernicaID }),
			digests(rows, func(r state.Record) state.Hash { return r.Hash }),
			digests(rows, func(r state.Record) state.Hash { return r.ConsentSource }),
			digests(rows, func(r state.Record) state.Hash { return r.ConsentWritten }),
			digests(rows, func(r state.Record) state.Hash { return r.Refused }),
			times(rows, func(r state.Record) time.Time { return r.UnsubscribedAt }),
			times(rows, func(r state.Record) time.Time { return r.SourceUpdatedAt }),
			column(rows, func(r state.Record) string { return string(r.State) }),
			column(rows, func(r state.Record) int64 { return int64(r.Attempts) }),
			times(rows, func(r state.Record) time.Time { return r.PlannedAt }),
			times(rows, func(r state.Record) time.Time { return r.NextAttempt }),
			times(rows, func(r state.Record) time.Time { return r.FirstSeen }),
			times(rows, func(r state.Record) time.Time { return r.AcknowledgedAt }),
			column(rows, func(r state.Record) int64 { return r.RunID }),
			digests(rows, func(r state.Record) state.Hash { return r.Sent }),
			times(rows, func(r state.Record) time.Time { return r.OutSeenAt }),
		)
		if err != nil {
			return err
		}
	}
	if len(c.Forget) > 0 {
		_, err := tx.Exec(ctx, forgetRecords, pipeline,
			column(c.Forget, func(r state.RecordRef) string { return text(string(r.Entity)) }),
			column(c.Forget, func(r state.RecordRef) string { return r.Key }))
		if err != nil {
			return err
		}
	}
	if emails := last(c.Emails, func(e state.Email) string { return e.Key }); len(emails) > 0 {
		_, err := tx.Exec(ctx, upsertEmails, pipeline,
			column(emails, func(e state.Email) string { return e.Key }),
			digests(emails, func(e state.Email) state.Hash { return e.Hash }),
			column(emails, func(e state.Email) int64 { return e.Website }),
			column(emails, func(e state.Email) bool { return e.Claims }))
		if err != nil {
			return err
		}
	}
	if err := commitDoubles(ctx, tx, pipeline, c); err != nil {
		return err
	}
	return s.commitErasures(ctx, tx, pipeline, c)
}

// last keeps of rows with one key the last: a statement cannot write a row twice.
func last[R any, K comparable](rows []R, key func(R) K) []R {
	place := make(map[K]int, len(rows))
	for i, r := range rows {
		place[key(r)] = i
	}
	if len(place) == len(rows) {
		return rows
	}
	keep := make([]R, 0, len(place))
	for i, r := range rows {
		if place[key(r)] == i {
			keep = append(keep, r)
		}
	}
	return keep
}

// stored keeps the keys that can have been stored, once each and in order, so that
// look-ups read an index forwards.
func stored(keys []string) []string {
	out := make([]string, 0, len(keys))
	for _, key := range keys {
		if state.ValidKey(key) == nil {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
