package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/magento-copernica/syncd/state"
)

const (
	// tries and firstPause bound how long a failure that may pass is ridden out: about 6 s.
	tries      = 8
	firstPause = 50 * time.Millisecond
	// patience is how long the answer of a COMMIT is waited for, and then how long the
	// server is asked what became of it. It outlasts a restart.
	patience = 30 * time.Second

	insertDone = `
		INSERT INTO syncd.commits (token, done) VALUES ($1, true)`

	// Waits for the transaction that wrote the token, if it is still open.
	insertVoid = `
		INSERT INTO syncd.commits (token, done) VALUES ($1, false) ON CONFLICT (token) DO NOTHING`

	selectDone = `
		SELECT done FROM syncd.commits WHERE token = $1`

	// Nobody asks for a token after that long. The server's own clock wrote the time.
	deleteOld = `
		DELETE FROM syncd.commits WHERE at < clock_timestamp() - interval '1 hour'`
)

// queryer is what connections and transactions have in common.
type queryer interface {
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// write runs do in one transaction, again while the server undoes it. An error means
// that nothing of it was kept, but for ErrUnknown.
func (s *Store) write(ctx context.Context, what string, do func(tx pgx.Tx) error) error {
	return s.repeat(ctx, what, func() (bool, error) { return s.transact(ctx, do) })
}

// read runs do on a connection, again while the server drops it.
func (s *Store) read(ctx context.Context, what string, do func(q queryer) error) error {
	return s.repeat(ctx, what, func() (bool, error) {
		conn, err := s.pool.Acquire(ctx)
		if err != nil {
			return unconnected(err), err
		}
		defer conn.Release()
		err = do(conn)
		return conn.Conn().IsClosed() || passing(err), err
	})
}

// all reads all rows of a query.
func all[T any](ctx context.Context, s *Store, what string, scan func(pgx.CollectableRow) (T, error), query string, args ...any) (rows []T, err error) {
	err = s.read(ctx, what, func(q queryer) (err error) {
		rows, err = collect(ctx, q, scan, query, args...)
		return err
	})
	return rows, err
}

// repeat runs step until it succeeds, or says that there is no use in another try.
func (s *Store) repeat(ctx context.Context, what string, step func() (again bool, err error)) error {
	pause := firstPause
	for n := 1; ; n++ {
		if s.closed.Load() {
			return fmt.Errorf("%s: %w", what, errClosed)
		}
		again, err := step()
		if err == nil {
			return nil
		}
		if is[*state.HeldError](err) || is[*state.TargetError](err) {
			return err // they say all there is
		}
		if code(err) == codeReadOnly {
			// A session keeps the default that it began with, also when the server takes
			// writes again, so the others are not trusted either.
			s.pool.Reset()
			again = n == 1
		}
		if !again || n == s.tries || ctx.Err() != nil {
			return explain(ctx, what, err)
		}
		s.log.DebugContext(ctx, "state call repeated", "call", what, "attempt", n, "error", err)
		wait(ctx, pause/2+mathrand.N(pause)) //nolint:gosec // a jitter needs no secret
		pause *= 2
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// unconnected reports whether a failure to get a connection may pass.
func unconnected(err error) bool {
	if is[*pgconn.PgError](err) {
		return passing(err)
	}
	return is[*pgconn.ConnectError](err) && !certificate(err)
}

// transact runs do in one transaction.
func (s *Store) transact(ctx context.Context, do func(tx pgx.Tx) error) (again bool, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return unconnected(err), err
	}
	defer conn.Release()
	failed := func(err error) (bool, error) {
		return !ours(err) && (conn.Conn().IsClosed() || passing(err)), err
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return failed(err)
	}
	// A caller that gives up now must not leave a transaction half ended.
	steady, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.patience)
	defer cancel()
	defer tx.Rollback(steady) //nolint:errcheck // after a commit there is nothing to roll back

	token := make([]byte, 16)
	rand.Read(token) // never fails: the runtime ends the process instead
	if _, err = tx.Exec(ctx, insertDone, token); err != nil {
		return failed(err)
	}
	if err = do(tx); err != nil {
		return failed(err)
	}
	if err = ctx.Err(); err != nil {
		return false, err
	}
	if err = tx.Commit(steady); err == nil {
		return false, nil
	}
	if undone(err) {
		return failed(err)
	}
	s.log.WarnContext(ctx, "the state's answer was lost, it is read again", "error", err)
	done, unread := s.settle(ctx, token)
	switch {
	case unread != nil:
		return false, fmt.Errorf("%w (%w; %w)", ErrUnknown, err, unread)
	case done:
		return false, nil
	}
	return true, err
}

// settle decides what became of a transaction whose COMMIT was not answered: it was
// kept, or it never will be.
func (s *Store) settle(ctx context.Context, token []byte) (done bool, err error) {
	// The caller's stop changes nothing about what the server did.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.patience)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, time.Second) {
		if done, err = ask(ctx, s.pool, token); err == nil {
			return done, nil
		}
		if wait(ctx, pause); ctx.Err() != nil {
			return false, err
		}
	}
}

func ask(ctx context.Context, pool *pgxpool.Pool, token []byte) (done bool, err error) {
	if _, err := pool.Exec(ctx, insertVoid, token); err != nil {
		return false, err
	}
	err = pool.QueryRow(ctx, selectDone, token).Scan(&done)
	return done, err
}

// collect reads all rows of a query.
func collect[T any](ctx context.Context, q queryer, scan func(pgx.CollectableRow) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, scan)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all, nil
}

// one reads one row; found is false when there is none.
func one[T any](ctx context.Context, q queryer, scan func(pgx.CollectableRow) (T, error), query string, args ...any) (v T, found bool, err error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return v, false, err
	}
	v, err = pgx.CollectOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return v, false, nil
	}
	return v, err == nil, err
}
