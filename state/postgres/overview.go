package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/magento-copernica/syncd/state"
)

const (
	selectCheckpoints = `
		SELECT ` + checkpointColumns + ` FROM syncd.checkpoints WHERE pipeline = $1 ORDER BY stream`

	countRecords = `
		SELECT entity, state, rows FROM syncd.record_counts WHERE pipeline = $1 AND rows > 0`

	countLetters = `
		SELECT cause, count(*) FROM syncd.dead_letters WHERE pipeline = $1 AND resolved IS NULL GROUP BY cause`

	// Steps from stream to stream through the index, so that it stays cheap after
	// a year of runs.
	selectLastRuns = `
		WITH RECURSIVE streams (stream) AS (
			SELECT min(stream) FROM syncd.runs WHERE pipeline = $1
			UNION ALL
			SELECT (SELECT min(n.stream) FROM syncd.runs AS n WHERE n.pipeline = $1 AND n.stream > streams.stream)
			FROM streams WHERE streams.stream IS NOT NULL
		)
		SELECT ` + runColumns + `
		FROM streams CROSS JOIN LATERAL (
			SELECT * FROM syncd.runs AS n WHERE n.pipeline = $1 AND n.stream = streams.stream ORDER BY n.id DESC LIMIT 1
		) AS r
		ORDER BY r.stream`
)

// Overview returns the state of a pipeline for people, all of one moment.
func (s *Store) Overview(ctx context.Context, pipeline string) (o state.Overview, err error) {
	what := fmt.Sprintf("read the overview of %q", pipeline)
	err = s.repeat(ctx, what, func() (bool, error) {
		o = state.Overview{
			Pipeline:    state.Pipeline{Name: pipeline},
			Records:     make(map[state.Entity]map[state.RecordState]int64),
			OpenLetters: make(map[string]int64),
			Erased:      make(map[string]int64),
			OptOuts:     make(map[string]int64),
		}
		conn, err := s.pool.Acquire(ctx)
		if err != nil {
			return unconnected(err), err
		}
		defer conn.Release()
		// One snapshot for all of its queries.
		once := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
		err = pgx.BeginTxFunc(ctx, conn, once, func(tx pgx.Tx) error { return s.overview(ctx, tx, pipeline, &o) })
		return conn.Conn().IsClosed() || passing(err), err
	})
	if err != nil {
		return state.Overview{}, err
	}
	return o, nil
}

func (s *Store) overview(ctx context.Context, tx pgx.Tx, pipeline string, o *state.Overview) error {
	p, err := readPipeline(ctx, tx, selectPipeline, pipeline)
	if errors.Is(err, state.ErrNoPipeline) {
		return nil
	}
	if err != nil {
		return err
	}
	o.Pipeline = p
	lease, _, err := readLease(ctx, tx, selectLease, pipeline)
	if err != nil {
		return err
	}
	if lease.alive(s.now()) {
		o.Lease = &state.Lease{Pipeline: pipeline, Holder: lease.holder, Fence: lease.fence, Expires: lease.expires}
	}
	if o.Checkpoints, err = collect(ctx, tx, scanCheckpoint, selectCheckpoints, pipeline); err != nil {
		return err
	}
	if o.LastRuns, err = collect(ctx, tx, scanRun, selectLastRuns, pipeline); err != nil {
		return err
	}

	var (
		entity state.Entity
		where  state.RecordState
		cause  string
		n      int64
	)
	rows, err := tx.Query(ctx, countRecords, pipeline)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, []any{&entity, &where, &n}, func() error {
		if o.Records[entity] == nil {
			o.Records[entity] = make(map[state.RecordState]int64)
		}
		o.Records[entity][where] = n
		return nil
	})
	if err != nil {
		return err
	}
	if rows, err = tx.Query(ctx, countLetters, pipeline); err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, []any{&cause, &n}, func() error {
		o.OpenLetters[cause] = n
		return nil
	})
	if err != nil {
		return err
	}
	for query, sum := range map[string]map[string]int64{countErasures: o.Erased, countOptOuts: o.OptOuts} {
		if rows, err = tx.Query(ctx, query, pipeline); err != nil {
			return err
		}
		_, err = pgx.ForEachRow(rows, []any{&cause, &n}, func() error {
			sum[cause] = n
			return nil
		})
		if err != nil {
			return err
		}
	}
	var first, oldest, latest pgtype.Timestamptz
	err = tx.QueryRow(ctx, countTaken, pipeline).Scan(&o.Taken.Stones, &first, &oldest, &latest)
	o.Taken.First, o.Taken.Oldest, o.Taken.Latest = moment(first), moment(oldest), moment(latest)
	return err
}
