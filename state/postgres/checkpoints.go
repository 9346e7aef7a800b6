package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/magento-copernica/syncd/state"
)

const (
	insertPipeline = `
		INSERT INTO syncd.pipelines (name, target, adopting, opened_at) VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO NOTHING`

	insertLease = `
		INSERT INTO syncd.leases (pipeline, holder, fence) VALUES ($1, '', 0) ON CONFLICT (pipeline) DO NOTHING`

	selectPipeline = `
		SELECT name, target, adopting FROM syncd.pipelines WHERE name = $1`

	lockPipeline = selectPipeline + ` FOR NO KEY UPDATE`

	selectPipelines = `
		SELECT name, target, adopting FROM syncd.pipelines ORDER BY name`

	aimPipeline = `
		UPDATE syncd.pipelines SET target = $2 WHERE name = $1`

	// Nothing sets adopting back.
	adoptPipeline = `
		UPDATE syncd.pipelines SET adopting = true WHERE name = $1`

	checkpointColumns = `
		pipeline, stream, version, horizon, position_at, position_id, pass_from, target, saved_at`

	selectCheckpoint = `
		SELECT ` + checkpointColumns + ` FROM syncd.checkpoints WHERE pipeline = $1 AND stream = $2`

	insertCheckpoint = `
		INSERT INTO syncd.checkpoints (pipeline, stream, version, horizon, position_at, position_id, pass_from, target, saved_at)
		VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8) ON CONFLICT (pipeline, stream) DO NOTHING`

	updateCheckpoint = `
		UPDATE syncd.checkpoints SET version = version + 1,
			horizon = $3, position_at = $4, position_id = $5, pass_from = $6, target = $7, saved_at = $8
		WHERE pipeline = $1 AND stream = $2 AND version = $9`
)

// OpenPipeline fixes a pipeline's name, and its target once it has one.
func (s *Store) OpenPipeline(ctx context.Context, p state.Pipeline) (state.Pipeline, error) {
	what := fmt.Sprintf("open the pipeline %q", p.Name)
	if err := state.ValidKey(p.Name); err != nil {
		return state.Pipeline{}, fmt.Errorf("%s: its name: %w", what, err)
	}
	var have state.Pipeline
	err := s.write(ctx, what, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, insertPipeline, p.Name, text(p.Target), p.Adopting, stamp(s.now())); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, insertLease, p.Name); err != nil {
			return err
		}
		var err error
		if have, err = readPipeline(ctx, tx, lockPipeline, p.Name); err != nil {
			return err
		}
		switch want := text(p.Target); {
		case want == "" || want == have.Target:
		case have.Target == "":
			have.Target = want
			if _, err := tx.Exec(ctx, aimPipeline, p.Name, want); err != nil {
				return err
			}
		default:
			return &state.TargetError{Pipeline: p.Name, Have: have.Target, Want: want}
		}
		if p.Adopting && !have.Adopting {
			have.Adopting = true
			_, err = tx.Exec(ctx, adoptPipeline, p.Name)
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
	return all(ctx, s, "read the pipelines", scanPipeline, selectPipelines)
}

func scanPipeline(row pgx.CollectableRow) (state.Pipeline, error) {
	var p state.Pipeline
	err := row.Scan(&p.Name, &p.Target, &p.Adopting)
	return p, err
}

// readPipeline returns a pipeline, or ErrNoPipeline.
func readPipeline(ctx context.Context, q queryer, query, name string) (state.Pipeline, error) {
	if state.ValidKey(name) != nil { // no other name was ever stored
		return state.Pipeline{}, state.ErrNoPipeline
	}
	p, found, err := one(ctx, q, scanPipeline, query, name)
	if err == nil && !found {
		err = state.ErrNoPipeline
	}
	return p, err
}

// Checkpoint returns a stream's checkpoint; one never saved has version 0.
func (s *Store) Checkpoint(ctx context.Context, pipeline, stream string) (c state.Checkpoint, err error) {
	found := false
	err = s.read(ctx, fmt.Sprintf("read the checkpoint of %q", stream), func(q queryer) (err error) {
		c, found, err = one(ctx, q, scanCheckpoint, selectCheckpoint, pipeline, stream)
		return err
	})
	if err != nil {
		return state.Checkpoint{}, err
	}
	if !found {
		c = state.Checkpoint{Pipeline: pipeline, Stream: stream}
	}
	return c, nil
}

func scanCheckpoint(row pgx.CollectableRow) (state.Checkpoint, error) {
	var (
		c                                      state.Checkpoint
		horizon, position, from, target, saved pgtype.Timestamptz
	)
	err := row.Scan(&c.Pipeline, &c.Stream, &c.Version, &horizon, &position, &c.Position.ID, &from, &target, &saved)
	c.Horizon, c.From, c.Target, c.SavedAt = moment(horizon), moment(from), moment(target), moment(saved)
	c.Position.UpdatedAt = moment(position)
	return c, err
}

// saveCheckpoint moves a checkpoint from the version the caller read to the next,
// or returns ErrConflict.
func (s *Store) saveCheckpoint(ctx context.Context, tx pgx.Tx, pipeline string, c state.Checkpoint) (state.Checkpoint, error) {
	c.Pipeline = pipeline
	c.Horizon, c.From, c.Target, c.SavedAt = kept(c.Horizon), kept(c.From), kept(c.Target), kept(s.now())
	c.Position.UpdatedAt = kept(c.Position.UpdatedAt)
	args := []any{
		pipeline, c.Stream, stamp(c.Horizon), stamp(c.Position.UpdatedAt), c.Position.ID,
		stamp(c.From), stamp(c.Target), stamp(c.SavedAt),
	}
	var (
		tag pgconn.CommandTag
		err error
	)
	if c.Version == 0 {
		tag, err = tx.Exec(ctx, insertCheckpoint, args...)
	} else {
		tag, err = tx.Exec(ctx, updateCheckpoint, append(args, c.Version)...)
	}
	if err != nil {
		return state.Checkpoint{}, err
	}
	if tag.RowsAffected() != 1 {
		return state.Checkpoint{}, state.ErrConflict
	}
	c.Version++
	return c, nil
}
