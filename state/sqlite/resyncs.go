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
	resyncColumns = `
		y.id, y.pipeline, y.stream, y.since, y.until, y.stores, y.ids, y.force, y.created, y.state, y.ended`

	insertResync = `
		INSERT INTO resyncs (pipeline, stream, since, until, stores, ids, force, created, state)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'open')`

	selectResync = `
		SELECT ` + resyncColumns + ` FROM resyncs AS y WHERE y.pipeline = ? AND y.id = ?`

	selectResyncs = `
		SELECT ` + resyncColumns + ` FROM resyncs AS y WHERE y.pipeline = ? ORDER BY y.id DESC LIMIT ? + 0`

	selectOpenResyncs = `
		SELECT ` + resyncColumns + ` FROM resyncs AS y WHERE y.pipeline = ? AND y.state = 'open' ORDER BY y.id DESC LIMIT ? + 0`

	endResync = `
		UPDATE resyncs SET state = ?, ended = ? WHERE id = ?`
)

// AddResync records a request to send records again and returns its id.
func (s *Store) AddResync(ctx context.Context, r state.Resync) (int64, error) {
	const what = "add a resync"
	if err := state.ValidResync(r); err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	stores, ids := list(r.Stores), list(r.IDs)
	if r.Created.IsZero() {
		r.Created = s.now()
	}
	var id int64
	err := s.write(ctx, what, func(tx *sql.Tx) error {
		if err := opened(ctx, tx, r.Pipeline); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, insertResync, r.Pipeline, r.Stream, stamp(r.Since), stamp(r.Until), stores, ids, r.Force, stamp(r.Created))
		if err != nil {
			return err
		}
		id, err = res.LastInsertId()
		return err
	})
	return id, err
}

// list is how ids stand in a column.
func list(ids []int64) string {
	if len(ids) == 0 {
		return "[]"
	}
	text, _ := json.Marshal(ids) //nolint:errchkjson // numbers always fit
	return string(text)
}

// Resync returns one request.
func (s *Store) Resync(ctx context.Context, pipeline string, id int64) (state.Resync, error) {
	r, err := scanResync(s.reader.QueryRowContext(ctx, selectResync, pipeline, id))
	if errors.Is(err, sql.ErrNoRows) {
		return state.Resync{}, fmt.Errorf("resync %d: %w", id, state.ErrNoResync)
	}
	return r, explain(ctx, fmt.Sprintf("read resync %d", id), err)
}

// Resyncs returns the requests that a filter lets through, the newest first.
func (s *Store) Resyncs(ctx context.Context, pipeline string, f state.ResyncFilter) ([]state.Resync, error) {
	query := selectResyncs
	if f.Open {
		query = selectOpenResyncs
	}
	all, err := collect(ctx, s.reader, scanResync, query, pipeline, max(f.Limit, 0))
	if err != nil {
		return nil, explain(ctx, fmt.Sprintf("read the resyncs of %q", pipeline), err)
	}
	return all, nil
}

// EndResync closes an open request.
func (s *Store) EndResync(ctx context.Context, pipeline string, id int64, as state.ResyncState) error {
	what := fmt.Sprintf("end resync %d", id)
	if err := state.ValidResyncEnd(as); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return s.write(ctx, what, func(tx *sql.Tx) error {
		r, err := scanResync(tx.QueryRowContext(ctx, selectResync, pipeline, id))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("resync %d: %w", id, state.ErrNoResync)
		case err != nil:
			return err
		case r.State != state.ResyncOpen:
			return fmt.Errorf("resync %d: %w", id, state.ErrResyncEnded)
		}
		_, err = tx.ExecContext(ctx, endResync, string(as), stamp(s.now()), id)
		return err
	})
}

func scanResync(row scanner) (state.Resync, error) {
	var (
		r                            state.Resync
		since, until, created, ended sql.NullInt64
		stores, ids                  []byte
	)
	err := row.Scan(&r.ID, &r.Pipeline, &r.Stream, &since, &until, &stores, &ids, &r.Force, &created, &r.State, &ended)
	if err != nil {
		return state.Resync{}, err
	}
	r.Since, r.Until, r.Created, r.Ended = moment(since), moment(until), moment(created), moment(ended)
	if err := errors.Join(json.Unmarshal(stores, &r.Stores), json.Unmarshal(ids, &r.IDs)); err != nil {
		return state.Resync{}, fmt.Errorf("lists of resync %d: %w", r.ID, err)
	}
	if len(r.Stores) == 0 {
		r.Stores = nil
	}
	if len(r.IDs) == 0 {
		r.IDs = nil
	}
	return r, nil
}
