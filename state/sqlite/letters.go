package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/magento-copernica/syncd/state"
)

const (
	anyOpenLetter = `
		SELECT EXISTS (SELECT 1 FROM dead_letters WHERE pipeline = ? AND resolved IS NULL)`

	resolveLetter = `
		UPDATE dead_letters SET resolved = ?, resolution = 'delivered'
		WHERE pipeline = ? AND entity = ? AND key = ? AND resolved IS NULL`

	openLetter = `
		INSERT INTO dead_letters (pipeline, stream, entity, key, source_id, cause, message, fix, content, run_id, attempts,
			first_seen, last_seen, resolution)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')
		ON CONFLICT (pipeline, entity, key) WHERE resolved IS NULL DO UPDATE SET
			attempts = attempts + 1, last_seen = excluded.last_seen, stream = excluded.stream, source_id = excluded.source_id,
			cause = excluded.cause, message = excluded.message, fix = excluded.fix, content = excluded.content, run_id = excluded.run_id`

	letterColumns = `
		d.id, d.pipeline, d.stream, d.entity, d.key, d.source_id, d.cause, d.message, d.fix, d.content, d.run_id, d.attempts,
		d.first_seen, d.last_seen, d.resolved, d.resolution`

	selectLetter = `
		SELECT ` + letterColumns + ` FROM dead_letters AS d WHERE d.pipeline = ? AND d.id = ?`

	selectGroups = `
		SELECT g.cause, g.letters, g.first_seen, g.last_seen, (
			SELECT d.fix FROM dead_letters AS d
			WHERE d.pipeline = ?1 AND d.cause = g.cause AND d.resolved IS NULL
			ORDER BY d.last_seen DESC, d.id DESC LIMIT 1
		)
		FROM (
			SELECT cause, count(*) AS letters, min(first_seen) AS first_seen, max(last_seen) AS last_seen
			FROM dead_letters WHERE pipeline = ?1 AND resolved IS NULL GROUP BY cause
		) AS g
		ORDER BY g.letters DESC, g.cause`

	// Refused rows that have letters, and none that is open.
	selectResolved = `
		SELECT ` + recordColumns + `
		FROM records AS r INDEXED BY records_refused
		WHERE r.pipeline = ?1 AND r.state = 'refused' AND (r.entity, r.key) > (?2, ?3)
			AND EXISTS (
				SELECT 1 FROM dead_letters AS d INDEXED BY dead_letters_by_key
				WHERE d.pipeline = ?1 AND d.key = r.key AND d.entity = r.entity)
			AND NOT EXISTS (
				SELECT 1 FROM dead_letters AS d INDEXED BY dead_letters_open
				WHERE d.pipeline = ?1 AND d.entity = r.entity AND d.key = r.key AND d.resolved IS NULL)
		ORDER BY r.entity, r.key
		LIMIT ?4 + 0`

	closeLetter = `
		UPDATE dead_letters SET resolved = ?, resolution = ? WHERE id = ?`
)

// commitLetters resolves the letters of records that arrived, then opens new ones.
func (s *Store) commitLetters(ctx context.Context, tx *sql.Tx, pipeline string, c state.Commit) error {
	now := s.now()
	var some bool
	if err := tx.QueryRowContext(ctx, anyOpenLetter, pipeline).Scan(&some); err != nil {
		return err
	}
	if some {
		var arrived []state.Record
		for _, r := range c.Records {
			if r.State == state.Acknowledged {
				arrived = append(arrived, r)
			}
		}
		err := each(ctx, tx, resolveLetter, arrived, func(r state.Record) []any {
			return []any{stamp(now), pipeline, string(r.Entity), r.Key}
		})
		if err != nil {
			return err
		}
	}
	return each(ctx, tx, openLetter, c.Letters, func(d state.DeadLetter) []any {
		if d.LastSeen.IsZero() {
			d.LastSeen = now
		}
		if d.FirstSeen.IsZero() {
			d.FirstSeen = d.LastSeen
		}
		return []any{
			pipeline, text(d.Stream), string(d.Entity), d.Key, d.SourceID, text(d.Cause), text(d.Message), text(d.Fix),
			digest(d.Content), d.RunID, max(d.Attempts, 1), stamp(d.FirstSeen), stamp(d.LastSeen),
		}
	})
}

// Letters returns the dead letters that a filter lets through, the last seen first.
func (s *Store) Letters(ctx context.Context, pipeline string, f state.LetterFilter) ([]state.DeadLetter, error) {
	var where strings.Builder
	from, args := "dead_letters AS d", []any{pipeline}
	only := func(condition string, values ...any) {
		where.WriteString(" AND " + condition)
		args = append(args, values...)
	}
	if f.Entity != "" {
		only("d.entity = ?", string(f.Entity))
	}
	if len(f.Keys) > 0 {
		wanted := stored(f.Keys)
		if len(wanted) == 0 {
			return nil, ctx.Err()
		}
		list, err := json.Marshal(wanted)
		if err != nil {
			return nil, fmt.Errorf("read the dead letters of %q: %w", pipeline, err)
		}
		from += " INDEXED BY dead_letters_by_key"
		only("d.key IN (SELECT value FROM json_each(?))", string(list))
	}
	if f.Cause != "" {
		only("d.cause = ?", text(f.Cause))
	}
	if f.Open {
		only("d.resolved IS NULL")
	}
	if f.Resolved {
		only("d.resolved IS NOT NULL")
	}
	letters, err := collect(ctx, s.reader, scanLetter,
		"SELECT "+letterColumns+" FROM "+from+" WHERE d.pipeline = ?"+where.String()+" ORDER BY d.last_seen DESC, d.id DESC LIMIT ? + 0",
		append(args, max(f.Limit, 0))...)
	if err != nil {
		return nil, explain(ctx, fmt.Sprintf("read the dead letters of %q", pipeline), err)
	}
	return letters, nil
}

// ResolvedRecords returns refused rows whose dead letter was closed, after one.
func (s *Store) ResolvedRecords(ctx context.Context, pipeline string, after state.RecordRef, limit int) ([]state.Record, error) {
	rows, err := collect(ctx, s.reader, scanRecord, selectResolved, pipeline, string(after.Entity), after.Key, max(limit, 0))
	if err != nil {
		return nil, explain(ctx, "read the ledger", err)
	}
	return rows, nil
}

// LetterGroups returns the open dead letters by cause, the largest group first.
func (s *Store) LetterGroups(ctx context.Context, pipeline string) ([]state.LetterGroup, error) {
	groups, err := collect(ctx, s.reader, func(row scanner) (state.LetterGroup, error) {
		var (
			g           state.LetterGroup
			first, last sql.NullInt64
		)
		err := row.Scan(&g.Cause, &g.Count, &first, &last, &g.Fix)
		g.FirstSeen, g.LastSeen = moment(first), moment(last)
		return g, err
	}, selectGroups, pipeline)
	if err != nil {
		return nil, explain(ctx, fmt.Sprintf("count the dead letters of %q", pipeline), err)
	}
	return groups, nil
}

// Letter returns one dead letter, open or resolved.
func (s *Store) Letter(ctx context.Context, pipeline string, id int64) (state.DeadLetter, error) {
	d, err := scanLetter(s.reader.QueryRowContext(ctx, selectLetter, pipeline, id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return state.DeadLetter{}, fmt.Errorf("dead letter %d: %w", id, state.ErrNoLetter)
	case err != nil:
		return state.DeadLetter{}, explain(ctx, fmt.Sprintf("read dead letter %d", id), err)
	}
	return d, nil
}

// ResolveLetters closes open letters with an operator's reason, all of them or none.
func (s *Store) ResolveLetters(ctx context.Context, pipeline string, ids []int64, reason string) error {
	if reason = strings.TrimSpace(text(reason)); reason == "" {
		return errors.New("resolve dead letters: a reason is required")
	}
	return s.write(ctx, "resolve dead letters", func(tx *sql.Tx) error {
		now := stamp(s.now())
		for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
			d, err := scanLetter(tx.QueryRowContext(ctx, selectLetter, pipeline, id))
			switch {
			case errors.Is(err, sql.ErrNoRows):
				return fmt.Errorf("dead letter %d: %w", id, state.ErrNoLetter)
			case err != nil:
				return err
			case !d.Resolved.IsZero():
				return fmt.Errorf("dead letter %d: %w", id, state.ErrResolved)
			}
			if _, err := tx.ExecContext(ctx, closeLetter, now, reason, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func scanLetter(row scanner) (state.DeadLetter, error) {
	var (
		d                     state.DeadLetter
		content               []byte
		first, last, resolved sql.NullInt64
	)
	err := row.Scan(&d.ID, &d.Pipeline, &d.Stream, &d.Entity, &d.Key, &d.SourceID, &d.Cause, &d.Message, &d.Fix, &content,
		&d.RunID, &d.Attempts, &first, &last, &resolved, &d.Resolution)
	d.Content, d.FirstSeen, d.LastSeen, d.Resolved = hash(content), moment(first), moment(last), moment(resolved)
	return d, err
}
