package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/magento-copernica/syncd/state"
)

const (
	selectCheckpoints = `
		SELECT pipeline, stream, version, horizon, position_at, position_id, pass_from, target, saved_at
		FROM checkpoints WHERE pipeline = ? ORDER BY stream`

	countRecords = `
		SELECT entity, state, rows FROM record_counts WHERE pipeline = ? AND rows > 0`

	countLetters = `
		SELECT cause, count(*) FROM dead_letters WHERE pipeline = ? AND resolved IS NULL GROUP BY cause`

	// Steps from stream to stream through the index, so that it stays cheap after
	// a year of runs.
	selectLastRuns = `
		WITH RECURSIVE streams (stream) AS (
			SELECT min(stream) FROM runs WHERE pipeline = ?1
			UNION ALL
			SELECT (SELECT min(r.stream) FROM runs AS r WHERE r.pipeline = ?1 AND r.stream > streams.stream)
			FROM streams WHERE streams.stream IS NOT NULL
		)
		SELECT ` + runColumns + `
		FROM streams CROSS JOIN runs AS r
			ON r.id = (SELECT max(n.id) FROM runs AS n WHERE n.pipeline = ?1 AND n.stream = streams.stream)
		ORDER BY r.stream`
)

// Overview returns the state of a pipeline for people, all of one moment.
func (s *Store) Overview(ctx context.Context, pipeline string) (state.Overview, error) {
	o := state.Overview{
		Pipeline:    state.Pipeline{Name: pipeline},
		Records:     make(map[state.Entity]map[state.RecordState]int64),
		OpenLetters: make(map[string]int64),
		Erased:      make(map[string]int64),
		OptOuts:     make(map[string]int64),
	}
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err == nil {
		defer tx.Rollback() //nolint:errcheck // it only reads
		err = s.overview(ctx, tx, pipeline, &o)
	}
	if err != nil {
		return state.Overview{}, explain(ctx, fmt.Sprintf("read the overview of %q", pipeline), err)
	}
	return o, nil
}

func (s *Store) overview(ctx context.Context, tx *sql.Tx, pipeline string, o *state.Overview) error {
	p, err := readPipeline(ctx, tx, pipeline)
	if errors.Is(err, state.ErrNoPipeline) {
		return nil
	}
	if err != nil {
		return err
	}
	o.Pipeline = p
	lease, err := readLease(ctx, tx, pipeline)
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

	type count struct {
		entity state.Entity
		state  state.RecordState
		cause  string
		n      int64
	}
	records, err := collect(ctx, tx, func(row scanner) (count, error) {
		var c count
		err := row.Scan(&c.entity, &c.state, &c.n)
		return c, err
	}, countRecords, pipeline)
	if err != nil {
		return err
	}
	for _, c := range records {
		if o.Records[c.entity] == nil {
			o.Records[c.entity] = make(map[state.RecordState]int64)
		}
		o.Records[c.entity][c.state] = c.n
	}
	letters, err := collect(ctx, tx, func(row scanner) (count, error) {
		var c count
		err := row.Scan(&c.cause, &c.n)
		return c, err
	}, countLetters, pipeline)
	if err != nil {
		return err
	}
	for _, c := range letters {
		o.OpenLetters[c.cause] = c.n
	}
	for query, sum := range map[string]map[string]int64{countErasures: o.Erased, countOptOuts: o.OptOuts} {
		counts, err := collect(ctx, tx, func(row scanner) (count, error) {
			var c count
			err := row.Scan(&c.cause, &c.n)
			return c, err
		}, query, pipeline)
		if err != nil {
			return err
		}
		for _, c := range counts {
			sum[c.cause] = c.n
		}
	}
	var first, oldest, latest sql.NullInt64
	err = tx.QueryRowContext(ctx, countTaken, pipeline).Scan(&o.Taken.Stones, &first, &oldest, &latest)
	o.Taken.First, o.Taken.Oldest, o.Taken.Latest = moment(first), moment(oldest), moment(latest)
	return err
}
