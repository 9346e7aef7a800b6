package sqlite

import (
	"context"
	"database/sql"
	"fmt"

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

	selectLetters = `
		SELECT id, pipeline, stream, entity, key, source_id, cause, message, fix, content, run_id, attempts,
			first_seen, last_seen, resolved, resolution
		FROM dead_letters WHERE pipeline = ? AND resolved IS NULL
		ORDER BY last_seen DESC, id DESC LIMIT ?`
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

// DeadLetters returns the open dead letters, the last seen first.
func (s *Store) DeadLetters(ctx context.Context, pipeline string, limit int) ([]state.DeadLetter, error) {
	letters, err := collect(ctx, s.reader, scanLetter, selectLetters, pipeline, max(limit, 0))
	if err != nil {
		return nil, explain(ctx, fmt.Sprintf("read the dead letters of %q", pipeline), err)
	}
	return letters, nil
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
