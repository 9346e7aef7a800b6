package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/magento-copernica/syncd/state"
)

const (
	runColumns = `
		r.id, r.pipeline, r.stream, r.holder, r.fence, r.started, r.ended, r.outcome, r.problem, r.counters`

	insertRun = `
		INSERT INTO syncd.runs (pipeline, stream, holder, fence, started, ended, outcome, problem, counters)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id`

	updateRun = `
		UPDATE syncd.runs SET stream = $3, holder = $4, fence = $5, started = $6, ended = $7, outcome = $8, problem = $9, counters = $10
		WHERE pipeline = $1 AND id = $2`

	selectRun = `
		SELECT ` + runColumns + ` FROM syncd.runs AS r WHERE r.pipeline = $1 AND r.id = $2`

	selectRuns = `
		SELECT ` + runColumns + ` FROM syncd.runs AS r WHERE r.pipeline = $1 AND r.id < $2 ORDER BY r.id DESC LIMIT $3`

	selectRunsOf = `
		SELECT ` + runColumns + ` FROM syncd.runs AS r
		WHERE r.pipeline = $1 AND r.id < $2 AND r.stream = $4 ORDER BY r.id DESC LIMIT $3`

	selectOldRuns = `
		SELECT r.id FROM (
			SELECT id, started, outcome, row_number() OVER (PARTITION BY stream ORDER BY id DESC) AS place
			FROM syncd.runs WHERE pipeline = $1
		) AS r
		WHERE r.started < $2 AND r.place > $3 AND r.outcome <> 'running'
			AND NOT EXISTS (SELECT FROM syncd.dead_letters AS d WHERE d.pipeline = $1 AND d.run_id = r.id)
			AND NOT EXISTS (SELECT FROM syncd.erasures AS e WHERE e.pipeline = $1 AND e.run_id = r.id)
			AND NOT EXISTS (SELECT FROM syncd.records AS c WHERE c.pipeline = $1 AND c.run_id = r.id)`

	deleteRuns = `
		DELETE FROM syncd.runs WHERE pipeline = $1 AND id = ANY ($2)`
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
	err = s.write(ctx, "start a run", func(tx pgx.Tx) error {
		if _, err := readPipeline(ctx, tx, selectPipeline, r.Pipeline); err != nil {
			return err
		}
		return tx.QueryRow(ctx, insertRun, r.Pipeline, text(r.Stream), text(r.Holder), r.Fence,
			stamp(r.Started), stamp(r.Ended), string(r.Outcome), text(r.Problem), counters).Scan(&id)
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

// SaveRun updates a run by its id.
func (s *Store) SaveRun(ctx context.Context, r state.Run) error {
	return s.write(ctx, "save a run", func(tx pgx.Tx) error { return saveRun(ctx, tx, r) })
}

func saveRun(ctx context.Context, tx pgx.Tx, r state.Run) error {
	counters, err := json.Marshal(r.Counters)
	if err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, updateRun, text(r.Pipeline), r.ID, text(r.Stream), text(r.Holder), r.Fence, stamp(r.Started), stamp(r.Ended),
		string(r.Outcome), text(r.Problem), counters)
	if err == nil && tag.RowsAffected() == 0 {
		err = fmt.Errorf("pipeline %q has no run %d", r.Pipeline, r.ID)
	}
	return err
}

// Run returns one run.
func (s *Store) Run(ctx context.Context, pipeline string, id int64) (r state.Run, err error) {
	found := false
	err = s.read(ctx, fmt.Sprintf("read run %d", id), func(q queryer) (err error) {
		r, found, err = one(ctx, q, scanRun, selectRun, pipeline, id)
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("run %d: %w", id, state.ErrNoRun)
	}
	return r, err
}

// Runs returns the runs that a filter lets through, the newest first.
func (s *Store) Runs(ctx context.Context, pipeline string, f state.RunFilter) (runs []state.Run, err error) {
	query, args := selectRuns, []any{pipeline, cmp.Or(f.Before, math.MaxInt64), max(f.Limit, 0)}
	if f.Stream != "" {
		query, args = selectRunsOf, append(args, f.Stream)
	}
	return all(ctx, s, fmt.Sprintf("read the runs of %q", pipeline), scanRun, query, args...)
}

// PruneRuns deletes old runs that nothing names. What names a run is written while it
// goes on, so that one found here is named by nothing later.
func (s *Store) PruneRuns(ctx context.Context, pipeline string, before time.Time, keep int) (int64, error) {
	const atOnce = 10_000
	what := fmt.Sprintf("delete old runs of %q", pipeline)
	old, err := all(ctx, s, what, pgx.RowTo[int64], selectOldRuns, pipeline, stamp(before), max(keep, 0))
	if err != nil {
		return 0, err
	}
	pruned := int64(0)
	for ids := range slices.Chunk(old, atOnce) {
		err := s.write(ctx, what, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, deleteRuns, pipeline, ids)
			return err
		})
		if err != nil {
			return pruned, err
		}
		pruned += int64(len(ids))
	}
	return pruned, nil
}

func scanRun(row pgx.CollectableRow) (state.Run, error) {
	var (
		r              state.Run
		started, ended pgtype.Timestamptz
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
