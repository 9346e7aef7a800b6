package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/magento-copernica/syncd/state"
)

const (
	resyncColumns = `
		y.id, y.pipeline, y.stream, y.since, y.until, y.stores, y.ids, y.force, y.created, y.state, y.ended`

	insertResync = `
		INSERT INTO syncd.resyncs (pipeline, stream, since, until, stores, ids, force, created, state)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'open') RETURNING id`

	selectResync = `
		SELECT ` + resyncColumns + ` FROM syncd.resyncs AS y WHERE y.pipeline = $1 AND y.id = $2`

	lockResync = selectResync + ` FOR UPDATE`

	selectResyncs = `
		SELECT ` + resyncColumns + ` FROM syncd.resyncs AS y WHERE y.pipeline = $1 AND (y.state = 'open' OR NOT $2) ORDER BY y.id DESC LIMIT $3`

	endResync = `
		UPDATE syncd.resyncs SET state = $2, ended = $3 WHERE id = $1`
)

// AddResync records a request to send records again and returns its id.
func (s *Store) AddResync(ctx context.Context, r state.Resync) (int64, error) {
	const what = "add a resync"
	if err := state.ValidResync(r); err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	if r.Created.IsZero() {
		r.Created = s.now()
	}
	var id int64
	err := s.write(ctx, what, func(tx pgx.Tx) error {
		if _, err := readPipeline(ctx, tx, selectPipeline, r.Pipeline); err != nil {
			return err
		}
		return tx.QueryRow(ctx, insertResync, r.Pipeline, r.Stream, stamp(r.Since), stamp(r.Until),
			append([]int64{}, r.Stores...), append([]int64{}, r.IDs...), r.Force, stamp(r.Created)).Scan(&id)
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

// Resync returns one request.
func (s *Store) Resync(ctx context.Context, pipeline string, id int64) (r state.Resync, err error) {
	found := false
	err = s.read(ctx, fmt.Sprintf("read resync %d", id), func(q queryer) (err error) {
		r, found, err = one(ctx, q, scanResync, selectResync, pipeline, id)
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("resync %d: %w", id, state.ErrNoResync)
	}
	return r, err
}

// Resyncs returns the requests that a filter lets through, the newest first.
func (s *Store) Resyncs(ctx context.Context, pipeline string, f state.ResyncFilter) ([]state.Resync, error) {
	return all(ctx, s, fmt.Sprintf("read the resyncs of %q", pipeline), scanResync, selectResyncs, pipeline, f.Open, max(f.Limit, 0))
}

// EndResync closes an open request.
func (s *Store) EndResync(ctx context.Context, pipeline string, id int64, as state.ResyncState) error {
	what := fmt.Sprintf("end resync %d", id)
	if err := state.ValidResyncEnd(as); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return s.write(ctx, what, func(tx pgx.Tx) error {
		r, found, err := one(ctx, tx, scanResync, lockResync, pipeline, id)
		switch {
		case err != nil:
			return err
		case !found:
			return fmt.Errorf("resync %d: %w", id, state.ErrNoResync)
		case r.State != state.ResyncOpen:
			return fmt.Errorf("resync %d: %w", id, state.ErrResyncEnded)
		}
		_, err = tx.Exec(ctx, endResync, id, string(as), stamp(s.now()))
		return err
	})
}

func scanResync(row pgx.CollectableRow) (state.Resync, error) {
	var (
		r                            state.Resync
		since, until, created, ended pgtype.Timestamptz
	)
	err := row.Scan(&r.ID, &r.Pipeline, &r.Stream, &since, &until, &r.Stores, &r.IDs, &r.Force, &created, &r.State, &ended)
	r.Since, r.Until, r.Created, r.Ended = moment(since), moment(until), moment(created), moment(ended)
	if len(r.Stores) == 0 {
		r.Stores = nil
	}
	if len(r.IDs) == 0 {
		r.IDs = nil
	}
	return r, err
}
