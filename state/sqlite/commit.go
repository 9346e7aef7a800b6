package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/magento-copernica/syncd/state"
)

const (
	upsertRecord = `
		INSERT INTO records (pipeline, entity, key, source_id, parent, number, copernica_id, hash, consent_source, consent_written, sent, refused,
			unsubscribed_at, out_seen_at, source_updated_at, state, attempts, planned_at, next_attempt, first_seen, acknowledged_at, run_id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (pipeline, entity, key) DO UPDATE SET
			source_id = excluded.source_id, parent = excluded.parent, number = excluded.number, copernica_id = excluded.copernica_id, hash = excluded.hash,
			consent_source = excluded.consent_source, consent_written = excluded.consent_written, sent = excluded.sent,
			refused = excluded.refused, unsubscribed_at = excluded.unsubscribed_at, out_seen_at = excluded.out_seen_at,
			source_updated_at = excluded.source_updated_at, state = excluded.state, attempts = excluded.attempts,
			planned_at = excluded.planned_at, next_attempt = excluded.next_attempt,
			first_seen = excluded.first_seen, acknowledged_at = excluded.acknowledged_at, run_id = excluded.run_id`

	// A row that was ever acknowledged stays, whatever the caller believes of it.
	forgetRecord = `
		DELETE FROM records
		WHERE pipeline = ? AND entity = +? AND key = ? AND state IN ('planned', 'unknown') AND hash IS NULL`

	upsertEmail = `
		INSERT INTO emails (pipeline, key, hash, website, claims) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (pipeline, key) DO UPDATE SET hash = excluded.hash, website = excluded.website, claims = excluded.claims`
)

// each runs one statement for every row.
func each[T any](ctx context.Context, tx *sql.Tx, query string, rows []T, args func(T) []any) error {
	// The driver watches a context that can be cancelled with a goroutine for every
	// execution; looking between them is enough, since each takes microseconds.
	steady := context.WithoutCancel(ctx)
	for _, row := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := tx.ExecContext(steady, query, args(row)...); err != nil {
			return err
		}
	}
	return nil
}

// writeFenced runs do in a transaction in which l is the living lease.
func (s *Store) writeFenced(ctx context.Context, what string, l state.Lease, do func(tx *sql.Tx) error) error {
	err := s.write(ctx, what, func(tx *sql.Tx) error {
		if err := s.fenced(ctx, tx, l); err != nil {
			return err
		}
		return do(tx)
	})
	if errors.Is(err, state.ErrFenced) {
		s.leases.Lock()
		defer s.leases.Unlock()
		s.dropLock(l, err)
	}
	return err
}

// Commit records the outcomes of a page in one transaction (promise 9).
func (s *Store) Commit(ctx context.Context, l state.Lease, c state.Commit) (state.Checkpoint, error) {
	if err := state.ValidCommit(l, c); err != nil {
		return state.Checkpoint{}, fmt.Errorf("commit: %w", err)
	}
	var saved state.Checkpoint
	err := s.writeFenced(ctx, "commit", l, func(tx *sql.Tx) error {
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
			_, err = tx.ExecContext(ctx, adoptPipeline, l.Pipeline)
		}
		return err
	})
	if err != nil {
		return state.Checkpoint{}, err
	}
	return saved, nil
}

// commitRows writes ledger rows, e-mails, doubles, and what is left of who was erased.
func (s *Store) commitRows(ctx context.Context, tx *sql.Tx, pipeline string, c state.Commit) error {
	if err := commitBelow(ctx, tx, pipeline, c); err != nil {
		return err
	}
	err := each(ctx, tx, upsertRecord, c.Records, func(r state.Record) []any {
		return []any{
			pipeline, string(r.Entity), r.Key, r.SourceID, r.Parent, r.Number, r.CopernicaID,
			digest(r.Hash), digest(r.ConsentSource), digest(r.ConsentWritten), digest(r.Sent), digest(r.Refused),
			stamp(r.UnsubscribedAt), stamp(r.OutSeenAt), stamp(r.SourceUpdatedAt), string(r.State), r.Attempts, stamp(r.PlannedAt), stamp(r.NextAttempt),
			stamp(r.FirstSeen), stamp(r.AcknowledgedAt), r.RunID,
		}
	})
	if err != nil {
		return err
	}
	err = each(ctx, tx, forgetRecord, c.Forget, func(r state.RecordRef) []any {
		return []any{pipeline, string(r.Entity), r.Key}
	})
	if err != nil {
		return err
	}
	err = each(ctx, tx, upsertEmail, c.Emails, func(e state.Email) []any {
		return []any{pipeline, e.Key, digest(e.Hash), e.Website, e.Claims}
	})
	if err != nil {
		return err
	}
	if err := commitDoubles(ctx, tx, pipeline, c); err != nil {
		return err
	}
	return s.commitErasures(ctx, tx, pipeline, c)
}
