package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/magento-copernica/syncd/state"
)

const (
	anyOpenLetter = `
		SELECT EXISTS (SELECT 1 FROM syncd.dead_letters WHERE pipeline = $1 AND resolved IS NULL)`

	resolveLetters = `
		UPDATE syncd.dead_letters AS d SET resolved = $2, resolution = 'delivered'
		FROM unnest($3::text[], $4::text[]) AS u (entity, key)
		WHERE d.pipeline = $1 AND d.entity = u.entity AND d.key = u.key AND d.resolved IS NULL`

	openLetter = `
		INSERT INTO syncd.dead_letters AS d (pipeline, stream, entity, key, source_id, cause, message, fix, content, run_id, attempts,
			first_seen, last_seen, resolution)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, '')
		ON CONFLICT (pipeline, entity, key) WHERE resolved IS NULL DO UPDATE SET
			attempts = d.attempts + 1, last_seen = excluded.last_seen, stream = excluded.stream, source_id = excluded.source_id,
			cause = excluded.cause, message = excluded.message, fix = excluded.fix, content = excluded.content, run_id = excluded.run_id`

	letterColumns = `
		d.id, d.pipeline, d.stream, d.entity, d.key, d.source_id, d.cause, d.message, d.fix, d.content, d.run_id, d.attempts,
		d.first_seen, d.last_seen, d.resolved, d.resolution`

	// The letters of the records $2, in the place of all.
	lettersOf = `
		unnest($2::text[]) AS k (key)
		CROSS JOIN LATERAL (
			SELECT * FROM syncd.dead_letters AS l WHERE l.pipeline = $1 AND l.key = k.key OFFSET 0
		) AS d`

	selectLetter = `
		SELECT ` + letterColumns + ` FROM syncd.dead_letters AS d WHERE d.pipeline = $1 AND d.id = $2`

	// Refused rows that have letters, and none that is open.
	selectResolved = `
		SELECT ` + recordColumns + `
		FROM syncd.records AS r
		WHERE r.pipeline = $1 AND r.state = 'refused' AND (r.entity, r.key) > ($2, $3)
			AND EXISTS (SELECT FROM syncd.dead_letters AS d WHERE d.pipeline = $1 AND d.key = r.key AND d.entity = r.entity OFFSET 0)
			AND NOT EXISTS (
				SELECT FROM syncd.dead_letters AS d
				WHERE d.pipeline = $1 AND d.entity = r.entity AND d.key = r.key AND d.resolved IS NULL OFFSET 0)
		ORDER BY r.entity, r.key
		LIMIT $4`

	lockLetters = `
		SELECT ` + letterColumns + ` FROM syncd.dead_letters AS d WHERE d.pipeline = $1 AND d.id = ANY ($2::bigint[])
		ORDER BY d.id FOR UPDATE`

	closeLetters = `
		UPDATE syncd.dead_letters SET resolved = $2, resolution = $3 WHERE pipeline = $1 AND id = ANY ($4::bigint[])`

	selectGroups = `
		SELECT g.cause, g.letters, g.first_seen, g.last_seen, f.fix
		FROM (
			SELECT cause, count(*) AS letters, min(first_seen) AS first_seen, max(last_seen) AS last_seen
			FROM syncd.dead_letters WHERE pipeline = $1 AND resolved IS NULL GROUP BY cause
		) AS g
		CROSS JOIN LATERAL (
			SELECT d.fix FROM syncd.dead_letters AS d
			WHERE d.pipeline = $1 AND d.cause = g.cause AND d.resolved IS NULL
			ORDER BY d.last_seen DESC, d.id DESC LIMIT 1
		) AS f
		ORDER BY g.letters DESC, g.cause`
)

// commitLetters resolves the letters of records that arrived, then opens new ones.
func (s *Store) commitLetters(ctx context.Context, tx pgx.Tx, pipeline string, c state.Commit) error {
	now := s.now()
	var arrived []state.Record
	for _, r := range c.Records {
		if r.State == state.Acknowledged {
			arrived = append(arrived, r)
		}
	}
	// Asking first spares most commits to send their keys a second time. Whoever opens
	// letters holds the lease, so none comes in between.
	some := false
	if len(arrived) > 0 {
		if err := tx.QueryRow(ctx, anyOpenLetter, pipeline).Scan(&some); err != nil {
			return err
		}
	}
	if some {
		_, err := tx.Exec(ctx, resolveLetters, pipeline, stamp(now),
			column(arrived, func(r state.Record) string { return string(r.Entity) }),
			column(arrived, func(r state.Record) string { return r.Key }))
		if err != nil {
			return err
		}
	}
	if len(c.Letters) == 0 {
		return nil
	}
	// One by one, since two letters of one record count up; sent together.
	var batch pgx.Batch
	for _, d := range c.Letters {
		if d.LastSeen.IsZero() {
			d.LastSeen = now
		}
		if d.FirstSeen.IsZero() {
			d.FirstSeen = d.LastSeen
		}
		batch.Queue(openLetter, pipeline, text(d.Stream), text(string(d.Entity)), d.Key, d.SourceID, text(d.Cause), text(d.Message),
			text(d.Fix), digest(d.Content), d.RunID, max(d.Attempts, 1), stamp(d.FirstSeen), stamp(d.LastSeen))
	}
	return tx.SendBatch(ctx, &batch).Close()
}

// Letters returns the dead letters that a filter lets through, the last seen first.
func (s *Store) Letters(ctx context.Context, pipeline string, f state.LetterFilter) (letters []state.DeadLetter, err error) {
	var where strings.Builder
	from, args := "syncd.dead_letters AS d", []any{pipeline}
	if len(f.Keys) > 0 {
		wanted := stored(f.Keys)
		if len(wanted) == 0 {
			return nil, ctx.Err()
		}
		from, args = lettersOf, append(args, wanted)
	}
	only := func(column, value string) {
		if value != "" {
			args = append(args, text(value))
			fmt.Fprintf(&where, " AND d.%s = $%d", column, len(args))
		}
	}
	only("entity", string(f.Entity))
	only("cause", f.Cause)
	if f.Open {
		where.WriteString(" AND d.resolved IS NULL")
	}
	if f.Resolved {
		where.WriteString(" AND d.resolved IS NOT NULL")
	}
	args = append(args, max(f.Limit, 0))
	query := fmt.Sprintf("SELECT %s FROM %s WHERE d.pipeline = $1%s ORDER BY d.last_seen DESC, d.id DESC LIMIT $%d",
		letterColumns, from, &where, len(args))
	return all(ctx, s, fmt.Sprintf("read the dead letters of %q", pipeline), scanLetter, query, args...)
}

// ResolvedRecords returns refused rows whose dead letter was closed, after one.
func (s *Store) ResolvedRecords(ctx context.Context, pipeline string, after state.RecordRef, limit int) ([]state.Record, error) {
	return all(ctx, s, "read the ledger", scanRecord, selectResolved, pipeline, string(after.Entity), after.Key, max(limit, 0))
}

// LetterGroups returns the open dead letters by cause, the largest group first.
func (s *Store) LetterGroups(ctx context.Context, pipeline string) (groups []state.LetterGroup, err error) {
	err = s.read(ctx, fmt.Sprintf("count the dead letters of %q", pipeline), func(q queryer) (err error) {
		groups, err = collect(ctx, q, func(row pgx.CollectableRow) (state.LetterGroup, error) {
			var (
				g           state.LetterGroup
				first, last pgtype.Timestamptz
			)
			err := row.Scan(&g.Cause, &g.Count, &first, &last, &g.Fix)
			g.FirstSeen, g.LastSeen = moment(first), moment(last)
			return g, err
		}, selectGroups, pipeline)
		return err
	})
	return groups, err
}

// Letter returns one dead letter, open or resolved.
func (s *Store) Letter(ctx context.Context, pipeline string, id int64) (d state.DeadLetter, err error) {
	found := false
	err = s.read(ctx, fmt.Sprintf("read dead letter %d", id), func(q queryer) (err error) {
		d, found, err = one(ctx, q, scanLetter, selectLetter, pipeline, id)
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("dead letter %d: %w", id, state.ErrNoLetter)
	}
	return d, err
}

// ResolveLetters closes open letters with an operator's reason, all of them or none.
func (s *Store) ResolveLetters(ctx context.Context, pipeline string, ids []int64, reason string) error {
	if reason = strings.TrimSpace(text(reason)); reason == "" {
		return errors.New("resolve dead letters: a reason is required")
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	return s.write(ctx, "resolve dead letters", func(tx pgx.Tx) error {
		letters, err := collect(ctx, tx, scanLetter, lockLetters, pipeline, ids)
		if err != nil {
			return err
		}
		for i, id := range ids {
			if i >= len(letters) || letters[i].ID != id {
				return fmt.Errorf("dead letter %d: %w", id, state.ErrNoLetter)
			}
			if !letters[i].Resolved.IsZero() {
				return fmt.Errorf("dead letter %d: %w", id, state.ErrResolved)
			}
		}
		_, err = tx.Exec(ctx, closeLetters, pipeline, stamp(s.now()), reason, ids)
		return err
	})
}

func scanLetter(row pgx.CollectableRow) (state.DeadLetter, error) {
	var (
		d                     state.DeadLetter
		content               []byte
		first, last, resolved pgtype.Timestamptz
	)
	err := row.Scan(&d.ID, &d.Pipeline, &d.Stream, &d.Entity, &d.Key, &d.SourceID, &d.Cause, &d.Message, &d.Fix, &content,
		&d.RunID, &d.Attempts, &first, &last, &resolved, &d.Resolution)
	d.Content, d.FirstSeen, d.LastSeen, d.Resolved = hash(content), moment(first), moment(last), moment(resolved)
	return d, err
}
