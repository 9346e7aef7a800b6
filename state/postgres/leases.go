package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/magento-copernica/syncd/state"
)

const (
	selectLease = `
		SELECT holder, fence, expires FROM syncd.leases WHERE pipeline = $1`

	lockLease = selectLease + ` FOR UPDATE`

	takeLease = `
		UPDATE syncd.leases SET holder = $2, fence = $3, expires = $4 WHERE pipeline = $1`

	releaseLease = `
		UPDATE syncd.leases SET holder = '', expires = NULL WHERE pipeline = $1 AND holder = $2 AND fence = $3`

	abandonRuns = `
		UPDATE syncd.runs SET outcome = 'abandoned', ended = $2 WHERE pipeline = $1 AND outcome = 'running' AND fence < $3`
)

// leaseRow is a lease as it stands.
type leaseRow struct {
	holder  string
	fence   int64
	expires time.Time
}

// alive reports whether somebody holds the lease.
func (r leaseRow) alive(now time.Time) bool { return r.holder != "" && now.Before(r.expires) }

// readLease reads a lease, and with lockLease locks it until the transaction ends. A
// pipeline without one was never opened.
func readLease(ctx context.Context, q queryer, query, pipeline string) (row leaseRow, found bool, err error) {
	if state.ValidKey(pipeline) != nil { // no other name was ever stored
		return leaseRow{}, false, nil
	}
	return one(ctx, q, func(row pgx.CollectableRow) (leaseRow, error) {
		var (
			r       leaseRow
			expires pgtype.Timestamptz
		)
		err := row.Scan(&r.holder, &r.fence, &expires)
		r.expires = moment(expires)
		return r, err
	}, query, pipeline)
}

// Acquire takes the pipeline's writer lease and raises its fence (promise 13).
func (s *Store) Acquire(ctx context.Context, pipeline, holder string, ttl time.Duration) (state.Lease, error) {
	what := fmt.Sprintf("take the writer lease of %q", pipeline)
	if holder = text(holder); holder == "" || ttl <= 0 {
		return state.Lease{}, fmt.Errorf("%s: a holder and a time to live are needed", what)
	}
	lease := state.Lease{Pipeline: pipeline, Holder: holder}
	err := s.write(ctx, what, func(tx pgx.Tx) error {
		row, found, err := readLease(ctx, tx, lockLease, pipeline)
		if err != nil {
			return err
		}
		if !found {
			return state.ErrNoPipeline
		}
		now := s.now()
		if row.alive(now) {
			return &state.HeldError{Pipeline: pipeline, Holder: row.holder, Expires: row.expires}
		}
		lease.Fence, lease.Expires = row.fence+1, kept(now.Add(ttl))
		if _, err := tx.Exec(ctx, takeLease, pipeline, holder, lease.Fence, stamp(lease.Expires)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, abandonRuns, pipeline, stamp(now), lease.Fence); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, deleteOld)
		return err
	})
	if err != nil {
		return state.Lease{}, err
	}
	return lease, nil
}

// Renew extends a lease that is still held.
func (s *Store) Renew(ctx context.Context, l state.Lease, ttl time.Duration) (state.Lease, error) {
	what := fmt.Sprintf("renew the writer lease of %q", l.Pipeline)
	if ttl <= 0 {
		return state.Lease{}, fmt.Errorf("%s: a time to live is needed", what)
	}
	err := s.writeFenced(ctx, what, l, func(tx pgx.Tx) error {
		l.Expires = kept(s.now().Add(ttl))
		if _, err := tx.Exec(ctx, takeLease, l.Pipeline, l.Holder, l.Fence, stamp(l.Expires)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, deleteOld)
		return err
	})
	if err != nil {
		return state.Lease{}, err
	}
	return l, nil
}

// Release gives a lease up.
func (s *Store) Release(ctx context.Context, l state.Lease) error {
	if state.ValidKey(l.Pipeline) != nil {
		return ctx.Err()
	}
	return s.write(ctx, fmt.Sprintf("release the writer lease of %q", l.Pipeline), func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, releaseLease, l.Pipeline, text(l.Holder), l.Fence)
		return err
	})
}

// writeFenced runs do in a transaction in which l is the living lease: its row is
// locked first, so that nobody takes it over before the transaction ends.
func (s *Store) writeFenced(ctx context.Context, what string, l state.Lease, do func(tx pgx.Tx) error) error {
	return s.write(ctx, what, func(tx pgx.Tx) error {
		row, found, err := readLease(ctx, tx, lockLease, l.Pipeline)
		if err != nil {
			return err
		}
		// The clock is read when the wait for the row is over.
		if !found || row.fence != l.Fence || row.holder != l.Holder || !row.alive(s.now()) {
			return state.ErrFenced
		}
		return do(tx)
	})
}
