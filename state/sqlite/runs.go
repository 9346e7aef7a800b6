package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

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
		SELECT ` + runColumns + ` FROM runs AS r INDEXED BY runs_by_pipeline
		WHERE r.pipeline = ? AND r.id < ? ORDER BY r.id DESC LIMIT ? + 0`

	selectRunsOf = `
		SELECT ` + runColumns + ` FROM runs AS r INDEXED BY runs_by_stream
		WHERE r.pipeline = ? AND r.stream = ? AND r.id < ? ORDER BY r.id DESC LIMIT ? + 0`

	// The rows of the ledger are read through only once there is a run to delete.
	selectOldRuns = `
		SELECT r.id FROM (
			SELECT id, started, outcome, row_number() OVER (PARTITION BY stream ORDER BY id DESC) AS place FROM runs WHERE pipeline = ?1
		) AS r
		WHERE r.started < ?2 AND r.place > ?3 AND r.outcome <> 'running'
			AND r.id NOT IN (SELECT run_id FROM dead_letters WHERE pipeline = ?1)
			AND r.id NOT IN (SELECT run_id FROM erasures WHERE pipeline = ?1)
			AND r.id NOT IN (SELECT run_id FROM records WHERE pipeline = ?1)`

	deleteRun = `
		DELETE FROM runs WHERE pipeline = ? AND id = ?`
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

// Runs returns the runs that a filter lets through, the newest first.
func (s *Store) Runs(ctx context.Context, pipeline string, f state.RunFilter) ([]state.Run, error) {
	query, args := selectRuns, []any{pipeline}
	if f.Stream != "" {
		query, args = selectRunsOf, append(args, f.Stream)
	}
	runs, err := collect(ctx, s.reader, scanRun, query, append(args, cmp.Or(f.Before, math.MaxInt64), max(f.Limit, 0))...)
	if err != nil {
		return nil, explain(ctx, fmt.Sprintf("read the runs of %q", pipeline), err)
	}
	return runs, nil
}

// PruneRuns deletes old runs that nothing names. What names a run is written while it
// goes on, so that one found here is named by nothing later.
func (s *Store) PruneRuns(ctx context.Context, pipeline string, before time.Time, keep int) (int64, error) {
	const atOnce = 1000
	what := fmt.Sprintf("delete old runs of %q", pipeline)
	old, err := collect(ctx, s.reader, func(row scanner) (id int64, err error) {
		err = row.Scan(&id)
		return id, err
	}, selectOldRuns, pipeline, stamp(before), max(keep, 0))
	if err != nil {
		return 0, explain(ctx, what, err)
	}
	pruned := int64(0)
	for ids := range slices.Chunk(old, atOnce) {
		err := s.write(ctx, what, func(tx *sql.Tx) error {
			return each(ctx, tx, deleteRun, ids, func(id int64) []any { return []any{pipeline, id} })
		})
		if err != nil {
			return pruned, err
		}
		pruned += int64(len(ids))
	}
	return pruned, nil
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
