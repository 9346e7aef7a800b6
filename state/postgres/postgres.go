// Package postgres keeps the state in a PostgreSQL database, in the schema syncd. It
// passes the conformance suite in statetest; PostgreSQL 13 or later is needed.
//
// # Transactions
//
// Every write is one transaction at READ COMMITTED that first locks the row of the
// pipeline's lease, so the writers of a pipeline go one after the other and what the
// fence, the lease's expiry (on this process's clock, never the server's) and the
// checkpoint's version say holds until the transaction ends. A commit costs the same
// few statements whatever the number of its rows: they travel as arrays.
//
// What Commit returned without an error is as durable as the server makes a commit;
// a connection whose default is synchronous_commit = off is switched to on.
//
// # When the server fails
//
// A transaction that the server undid (a deadlock, a lost connection, a restart) is
// repeated, for some seconds. When the answer to COMMIT is lost, nobody knows whether
// it took effect; so every transaction leaves a token, and the store reads it again:
// writing the same token a second time waits for the first transaction to end, and
// either finds it committed or makes it void for good. An error after that means that
// nothing was kept. Only when the server stays away for longer than patience does
// [ErrUnknown] say that this could not be learned; whoever goes on from there reads
// the checkpoint and the ledger again, as every new run does.
//
// # Who may write
//
// The lease is a row with a fence and an expiry, and nothing else. The server drops a
// session's locks also when a connection is lost and when it restarts itself, so a lock
// that is free does not prove that its holder is dead: the lease of a process that was
// killed is taken over when it has expired, not before.
//
// # Poolers
//
// The settings of a connection are made for its session: a pooler in between must run
// in session mode.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/state"
)

// Config says where a state is kept.
type Config struct {
	// URL of the database: postgres://user:password@host:5432/database, with the
	// parameters that libpq knows. What it leaves out comes from the PG… variables and
	// the password file, as with psql. Towards another machine, sslmode is verify-full
	// unless it is given.
	URL string
	// EncryptionKey unseals the hash key: 32 bytes as base64 or hexadecimal. Required,
	// since a database has no place for a key file beside it.
	EncryptionKey string
	// Existing refuses a database in which no state was made yet, with ErrNoState,
	// instead of making one.
	Existing bool
	// Connections is the most that are open at once; 0: pool_max_conns of the URL, or 8.
	Connections int
	// Now is the clock of leases and time stamps; nil: time.Now.
	Now func() time.Time
	// Log tells of what happens once, such as a migration; nil: nothing is logged.
	Log *slog.Logger
}

var (
	// ErrNoState says that no state was made in a database yet.
	ErrNoState = errors.New("there is no state in this database yet")
	// ErrUnknown says that a transaction was sent and nobody could learn what came of it.
	ErrUnknown = errors.New("the server did not say whether this was kept: the next run reads it again")

	errClosed = errors.New("the state is closed")
)

// Store is a state.Store on PostgreSQL.
type Store struct {
	pool   *pgxpool.Pool
	now    func() time.Time
	log    *slog.Logger
	hasher state.Hasher
	box    *seal.Box // what secrets are sealed with
	closed atomic.Bool

	tries    int
	patience time.Duration
}

var _ state.Store = (*Store)(nil)

// Open opens a state, creating or migrating it as needed. Errors about keys wrap
// state.ErrKey and say what to do; those that only other settings can mend are an
// *[Error] with Setup.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if cfg.EncryptionKey == "" {
		return nil, fmt.Errorf("%w: a state in PostgreSQL needs SYNCD_ENCRYPTION_KEY: make one with `openssl rand -base64 32`, and keep it", state.ErrKey)
	}
	box, err := seal.New(cfg.EncryptionKey)
	if err != nil {
		return nil, err
	}
	settings, err := settings(cfg)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, explain(ctx, "open the state", err)
	}
	s := &Store{pool: pool, now: cfg.Now, log: cfg.Log, tries: tries, patience: patience}
	if err := s.open(ctx, cfg, box); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, cfg Config, box *seal.Box) error {
	v, err := readVersion(ctx, s.pool)
	if err != nil {
		return explain(ctx, "open the state", err)
	}
	if cfg.Existing && v.have == 0 {
		return fmt.Errorf("open the state: %w", ErrNoState)
	}
	if err := v.bring(ctx, cfg, s.pool.Config().ConnConfig); err != nil {
		return err
	}
	s.box = box
	s.hasher, err = s.loadHasher(ctx, box, !cfg.Existing)
	return err
}

// Migrate brings the tables of a database to this program's version, making them in an
// empty one, and returns the version before and after. It needs no encryption key.
func Migrate(ctx context.Context, cfg Config) (from, to int64, err error) {
	cfg = cfg.withDefaults()
	settings, err := settings(cfg)
	if err != nil {
		return 0, 0, err
	}
	settings.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return 0, 0, explain(ctx, "migrate the state", err)
	}
	defer pool.Close()
	v, err := readVersion(ctx, pool)
	if err != nil {
		return 0, 0, explain(ctx, "migrate the state", err)
	}
	if err := v.bring(ctx, cfg, settings.ConnConfig); err != nil {
		return 0, 0, err
	}
	return v.have, v.want, nil
}

func (cfg Config) withDefaults() Config {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// Hasher returns the keyed hash made once with this database.
func (s *Store) Hasher() state.Hasher { return s.hasher }

// Close closes the state once the calls under way have ended. Leases that were not
// released stay in their rows until they expire.
func (s *Store) Close() error {
	s.closed.Store(true)
	s.pool.Close()
	return nil
}
