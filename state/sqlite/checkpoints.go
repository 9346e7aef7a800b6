package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/magento-copernica/syncd/state"
)

const (
	insertPipeline = `
		INSERT INTO pipelines (name, target, adopting, opened_at) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`

	selectPipeline = `
		SELECT name, target, adopting FROM pipelines WHERE name = ?`

	selectPipelines = `
		SELECT name, target, adopting FROM pipelines ORDER BY name`

	aimPipeline = `
		UPDATE pipelines SET target = ? WHERE name = ?`

	// Nothing sets adopting back.
	adoptPipeline = `
		UPDATE pipelines SET adopting = 1 WHERE name = ?`

	selectCheckpoint = `
		SELECT pipeline, stream, version, horizon, position_at, position_id, pass_from, target, saved_at
		FROM checkpoints WHERE pipeline = ? AND stream = ?`

	insertCheckpoint = `
		INSERT INTO checkpoints (pipeline, stream, version, horizon, position_at, position_id, pass_from, target, saved_at)
		VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?) ON CONFLICT (pipeline, stream) DO NOTHING`

	updateCheckpoint = `
		UPDATE checkpoints SET version = version + 1,
			horizon = ?, position_at = ?, position_id = ?, pass_from = ?, target = ?, saved_at = ?
		WHERE pipeline = ? AND stream = ? AND version = ?`
)

// queryer is what *sql.DB and *sql.Tx have in common.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// scanner is what *sql.Row and *sql.Rows have in common.
type scanner interface{ Scan(dest ...any) error }

// collect reads all rows of a query.
func collect[T any](ctx context.Context, q queryer, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has said all
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// named reads the rows that a list of keys, hashes or ids leads to: the first parameter of
// the query, as JSON. An empty list leads to none.
func named[T, N any](ctx context.Context, s *Store, what string, scan func(scanner) (T, error), query string, list []N, args ...any) ([]T, error) {
	if len(list) == 0 {
		return nil, ctx.Err()
	}
	var rows []T
	names, err := json.Marshal(list)
	if err == nil {
		rows, err = collect(ctx, s.reader, scan, query, append([]any{string(names)}, args...)...)
	}
	return rows, explain(ctx, what, err)
}

// OpenPipeline fixes a pipeline's name, and its target once it has one.
func (s *Store) OpenPipeline(ctx context.Context, p state.Pipeline) (state.Pipeline, error) {
	what := fmt.Sprintf("open the pipeline %q", p.Name)
	if err := state.ValidKey(p.Name); err != nil {
		return state.Pipeline{}, fmt.Errorf("%s: its name: %w", what, err)
	}
	var have state.Pipeline
	err := s.write(ctx, what, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, insertPipeline, p.Name, text(p.Target), p.Adopting, stamp(s.now())); err != nil {
			return err
		}
		var err error
		if have, err = readPipeline(ctx, tx, p.Name); err != nil {
			return err
		}
		switch want := text(p.Target); {
		case want == "" || want == have.Target:
		case have.Target == "":
			have.Target = want
			if _, err := tx.ExecContext(ctx, aimPipeline, want, p.Name); err != nil {
				return err
			}
		default:
			return &state.TargetError{Pipeline: p.Name, Have: have.Target, Want: want}
		}
		if p.Adopting && !have.Adopting {
			have.Adopting = true
			_, err = tx.ExecContext(ctx, adoptPipeline, p.Name)
		}
		return err
	})
	if err != nil {
		return state.Pipeline{}, err
	}
	return have, nil
}

// Pipelines returns every pipeline that was opened, by name.
func (s *Store) Pipelines(ctx context.Context) ([]state.Pipeline, error) {
	all, err := collect(ctx, s.reader, scanPipeline, selectPipelines)
	if err != nil {
		return nil, explain(ctx, "read the pipelines", err)
	}
	return all, nil
}

func scanPipeline(row scanner) (state.Pipeline, error) {
	var p state.Pipeline
	err := row.Scan(&p.Name, &p.Target, &p.Adopting)
	return p, err
}

// readPipeline returns a pipeline, or ErrNoPipeline.
func readPipeline(ctx context.Context, q queryer, name string) (state.Pipeline, error) {
	p, err := scanPipeline(q.QueryRowContext(ctx, selectPipeline, name))
	if errors.Is(err, sql.ErrNoRows) {
		return state.Pipeline{}, state.ErrNoPipeline
	}
	return p, err
}

// opened returns ErrNoPipeline unless a pipeline was opened.
func opened(ctx context.Context, q queryer, name string) error {
	_, err := readPipeline(ctx, q, name)
	return err
}

// Checkpoint returns a stream's checkpoint; one never saved has version 0.
func (s *Store) Checkpoint(ctx context.Context, pipeline, stream string) (state.Checkpoint, error) {
	c, err := scanCheckpoint(s.reader.QueryRowContext(ctx, selectCheckpoint, pipeline, stream))
	if errors.Is(err, sql.ErrNoRows) {
		return state.Checkpoint{Pipeline: pipeline, Stream: stream}, nil
	}
	if err != nil {
		return state.Checkpoint{}, explain(ctx, fmt.Sprintf("read the checkpoint of %q", stream), err)
	}
	return c, nil
}

func scanCheckpoint(row scanner) (state.Checkpoint, error) {
	var (
		c                                      state.Checkpoint
		horizon, position, from, target, saved sql.NullInt64
	)
	err := row.Scan(&c.Pipeline, &c.Stream, &c.Version, &horizon, &position, &c.Position.ID, &from, &target, &saved)
	c.Horizon, c.From, c.Target, c.SavedAt = moment(horizon), moment(from), moment(target), moment(saved)
	c.Position.UpdatedAt = moment(position)
	return c, err
}

// saveCheckpoint moves a checkpoint from the version the caller read to the next,
// or returns ErrConflict.
func (s *Store) saveCheckpoint(ctx context.Context, tx *sql.Tx, pipeline string, c state.Checkpoint) (state.Checkpoint, error) {
	c.Pipeline = pipeline
	c.Horizon, c.From, c.Target, c.SavedAt = kept(c.Horizon), kept(c.From), kept(c.Target), kept(s.now())
	c.Position.UpdatedAt = kept(c.Position.UpdatedAt)
	var (
		res sql.Result
		err error
	)
	if c.Version == 0 {
		res, err = tx.ExecContext(ctx, insertCheckpoint, pipeline, c.Stream, stamp(c.Horizon), stamp(c.Position.UpdatedAt),
			c.Position.ID, stamp(c.From), stamp(c.Target), stamp(c.SavedAt))
	} else {
		res, err = tx.ExecContext(ctx, updateCheckpoint, stamp(c.Horizon), stamp(c.Position.UpdatedAt),
			c.Position.ID, stamp(c.From), stamp(c.Target), stamp(c.SavedAt), pipeline, c.Stream, c.Version)
	}
	if err != nil {
		return state.Checkpoint{}, err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return state.Checkpoint{}, errors.Join(state.ErrConflict, err)
	}
	c.Version++
	return c, nil
}
