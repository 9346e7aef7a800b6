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
	runColumns = `
		r.id, r.pipeline, r.stream, r.holder, r.fence, r.started, r.ended, r.outcome, r.problem, r.counters`

	insertRun = `
		INSERT INTO runs (pipeline, stream, holder, fence, started, ended, outcome, problem, counters)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

	updateRun = `
		UPDATE runs SET stream = ?, holder = ?, fence = ?, started = ?, ended = ?, outcome = ?, problem = ?, counters = ?
		WHERE id = ? AND pipeline = ?`

	selectRun = `
		SELECT ` + runColumns + ` FROM runs AS r WHERE r.pipeline = ? AND r.id = ?`

	selectRuns = `
		SELECT ` + runColumns + ` FROM runs AS r WHERE r.pipeline = ? ORDER BY r.id DESC LIMIT ?`
)

// StartRun inserts a run and returns its id.
func (s *Store) StartRun(ctx context.Context, r state.Run) (int64, error) {
	counters, err := json.Marshal(r.Counters)
	if err != nil {
		return 0, fmt.Errorf("start a run: %w", err)
	}
	if r.Outcome == "" {
		r.Outcome = state.Running
	}
	if r.Started.IsZero() {
		r.Started = s.now()
	}
	var id int64
	err = s.write(ctx, "start a run", func(tx *sql.Tx) error {
		if err := opened(ctx, tx, r.Pipeline); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, insertRun, r.Pipeline, r.Stream, text(r.Holder), r.Fence,
			stamp(r.Started), stamp(r.Ended), string(r.Outcome), text(r.Problem), string(counters))
		if err != nil {
			return err
		}
		id, err = res.LastInsertId()
		return err
	})
	return id, err
}

// SaveRun updates a run by its id.
func (s *Store) SaveRun(ctx context.Context, r state.Run) error {
	return s.write(ctx, "save a run", func(tx *sql.Tx) error { return saveRun(ctx, tx, r) })
}

func saveRun(ctx context.Context, tx *sql.Tx, r state.Run) error {
	counters, err := json.Marshal(r.Counters)
	if err != nil {
		return err
	}
	res, err := tx.ExecContext(ctx, updateRun, r.Stream, text(r.Holder), r.Fence, stamp(r.Started), stamp(r.Ended),
		string(r.Outcome), text(r.Problem), string(counters), r.ID, r.Pipeline)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		err = fmt.Errorf("pipeline %q has no run %d", r.Pipeline, r.ID)
	}
	return err
}

// Run returns one run.
func (s *Store) Run(ctx context.Context, pipeline string, id int64) (state.Run, error) {
	r, err := scanRun(s.reader.QueryRowContext(ctx, selectRun, pipeline, id))
	if errors.Is(err, sql.ErrNoRows) {
		return state.Run{}, fmt.Errorf("run %d: %w", id, state.ErrNoRun)
	}
	return r, explain(ctx, fmt.Sprintf("read run %d", id), err)
}

// Runs returns the newest runs of a pipeline first.
func (s *Store) Runs(ctx context.Context, pipeline string, limit int) ([]state.Run, error) {
	runs, err := collect(ctx, s.reader, scanRun, selectRuns, pipeline, max(limit, 0))
	if err != nil {
		return nil, explain(ctx, fmt.Sprintf("read the runs of %q", pipeline), err)
	}
	return runs, nil
}

func scanRun(row scanner) (state.Run, error) {
	var (
		r              state.Run
		started, ended sql.NullInt64
		counters       []byte
	)
	if err := row.Scan(&r.ID, &r.Pipeline, &r.Stream, &r.Holder, &r.Fence, &started, &ended, &r.Outcome, &r.Problem, &counters); err != nil {
		return state.Run{}, err
	}
	r.Started, r.Ended = moment(started), moment(ended)
	if err := json.Unmarshal(counters, &r.Counters); err != nil {
		return state.Run{}, fmt.Errorf("counters of run %d: %w", r.ID, err)
	}
	return r, nil
}
