package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/magento-copernica/syncd/state"
)

const (
	selectLease = `
		SELECT holder, fence, expires, os_lock FROM leases WHERE pipeline = ?`

	takeLease = `
		INSERT INTO leases (pipeline, holder, fence, expires, os_lock) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (pipeline) DO UPDATE SET
			holder = excluded.holder, fence = excluded.fence, expires = excluded.expires, os_lock = excluded.os_lock`

	releaseLease = `
		UPDATE leases SET holder = '', expires = 0, os_lock = NULL WHERE pipeline = ? AND holder = ? AND fence = ?`

	abandonRuns = `
		UPDATE runs SET outcome = 'abandoned', ended = ? WHERE pipeline = ? AND outcome = 'running' AND fence < ?`
)

// leaseRow is a lease as it stands; the zero value is one never taken.
type leaseRow struct {
	holder  string
	fence   int64
	expires time.Time
	osLock  string
}

// alive reports whether somebody holds the lease.
func (r leaseRow) alive(now time.Time) bool { return r.holder != "" && now.Before(r.expires) }

func readLease(ctx context.Context, tx *sql.Tx, pipeline string) (leaseRow, error) {
	var (
		r       leaseRow
		expires int64
		osLock  sql.NullString
	)
	err := tx.QueryRowContext(ctx, selectLease, pipeline).Scan(&r.holder, &r.fence, &expires, &osLock)
	if errors.Is(err, sql.ErrNoRows) {
		return leaseRow{}, nil
	}
	r.expires, r.osLock = time.UnixMilli(expires).UTC(), osLock.String
	return r, err
}

// Acquire takes the pipeline's writer lease and raises its fence (promise 13). A
// *state.HeldError comes as it is: it names the pipeline itself.
func (s *Store) Acquire(ctx context.Context, pipeline, holder string, ttl time.Duration) (state.Lease, error) {
	what := fmt.Sprintf("take the writer lease of %q", pipeline)
	if holder == "" || ttl <= 0 {
		return state.Lease{}, fmt.Errorf("%s: a holder and a time to live are needed", what)
	}
	s.leases.Lock()
	defer s.leases.Unlock()

	// A lock left from a lease of ours that ran out serves the next one. Only a lock
	// taken now proves that the process which had it is gone.
	lock := s.locks[pipeline].lock
	taken := false
	if lock == nil {
		var err error
		if lock, err = s.lockPipeline(pipeline); err != nil {
			return state.Lease{}, fmt.Errorf("%s: %w", what, err)
		}
		taken = lock != nil
	}

	lease := state.Lease{Pipeline: pipeline, Holder: holder}
	err := s.write(ctx, what, func(tx *sql.Tx) error {
		if err := opened(ctx, tx, pipeline); err != nil {
			return err
		}
		now := s.now()
		row, err := readLease(ctx, tx, pipeline)
		if err != nil {
			return err
		}
		dead := taken && lock.id != "" && row.osLock == lock.id
		if row.alive(now) && !dead {
			return &state.HeldError{Pipeline: pipeline, Holder: row.holder, Expires: row.expires}
		}
		lease.Fence = row.fence + 1
		lease.Expires = kept(now.Add(ttl))
		if _, err := tx.ExecContext(ctx, takeLease, pipeline, holder, lease.Fence, stamp(lease.Expires), lock.column()); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, abandonRuns, stamp(now), pipeline, lease.Fence)
		return err
	})
	if err != nil {
		if taken {
			lock.unlock() //nolint:errcheck // closing the file drops the lock in any case
		}
		if held, ok := errors.AsType[*state.HeldError](err); ok {
			err = held
		}
		return state.Lease{}, err
	}
	if lock != nil {
		s.locks[pipeline] = heldLock{fence: lease.Fence, lock: lock}
	}
	return lease, nil
}

// Renew extends a lease that is still held.
func (s *Store) Renew(ctx context.Context, l state.Lease, ttl time.Duration) (state.Lease, error) {
	what := fmt.Sprintf("renew the writer lease of %q", l.Pipeline)
	if ttl <= 0 {
		return state.Lease{}, fmt.Errorf("%s: a time to live is needed", what)
	}
	s.leases.Lock()
	defer s.leases.Unlock()

	// Whoever took over from a process that was only stopped has no lock until that
	// process ends.
	lock := s.locks[l.Pipeline].lock
	taken := false
	if lock == nil {
		var err error
		if lock, err = s.lockPipeline(l.Pipeline); err != nil {
			return state.Lease{}, fmt.Errorf("%s: %w", what, err)
		}
		taken = lock != nil
	}
	err := s.write(ctx, what, func(tx *sql.Tx) error {
		if err := s.fenced(ctx, tx, l); err != nil {
			return err
		}
		l.Expires = kept(s.now().Add(ttl))
		_, err := tx.ExecContext(ctx, takeLease, l.Pipeline, l.Holder, l.Fence, stamp(l.Expires), lock.column())
		return err
	})
	switch {
	case err == nil && taken:
		s.locks[l.Pipeline] = heldLock{fence: l.Fence, lock: lock}
	case err != nil && taken:
		lock.unlock() //nolint:errcheck // closing the file drops the lock in any case
	}
	if err != nil {
		s.dropLock(l, err)
		return state.Lease{}, err
	}
	return l, nil
}

// Release gives a lease up.
func (s *Store) Release(ctx context.Context, l state.Lease) error {
	s.leases.Lock()
	defer s.leases.Unlock()
	err := s.write(ctx, fmt.Sprintf("release the writer lease of %q", l.Pipeline), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, releaseLease, l.Pipeline, l.Holder, l.Fence)
		return err
	})
	if err != nil {
		return err
	}
	s.dropLock(l, state.ErrFenced)
	return nil
}

// fenced returns ErrFenced unless l is the living lease. Read in the transaction
// that then writes, its answer holds until that transaction ends.
func (s *Store) fenced(ctx context.Context, tx *sql.Tx, l state.Lease) error {
	row, err := readLease(ctx, tx, l.Pipeline)
	if err != nil {
		return err
	}
	if row.fence != l.Fence || row.holder != l.Holder || !row.alive(s.now()) {
		return state.ErrFenced
	}
	return nil
}

// dropLock gives the file lock of a lease back once err says that the lease is
// gone. The caller holds s.leases.
func (s *Store) dropLock(l state.Lease, err error) {
	if held, ok := s.locks[l.Pipeline]; ok && held.fence == l.Fence && errors.Is(err, state.ErrFenced) {
		held.lock.unlock() //nolint:errcheck // closing the file drops the lock in any case
		delete(s.locks, l.Pipeline)
	}
}

// lockPipeline locks the file of a pipeline's lease. Nil without an error means
// that somebody else has it, or that this state is in memory.
func (s *Store) lockPipeline(pipeline string) (*fileLock, error) {
	if s.path == "" {
		return nil, nil
	}
	lock, err := openLock(s.path+"."+url.PathEscape(pipeline)+lockSuffix, s.path)
	if errors.Is(err, errLocked) {
		return nil, nil
	}
	return lock, err
}

// column is how a held lock stands in the lease's row: NULL for none.
func (l *fileLock) column() any {
	if l == nil || l.id == "" {
		return nil
	}
	return l.id
}
