// Package sqlite keeps the state in one SQLite file, or in memory for tests, the
// demo and dry runs. It passes the conformance suite in statetest.
//
// # Durability
//
// A file database runs in WAL mode with synchronous FULL: what [Store.Commit]
// returned without an error survives the loss of the process and of power. All
// writes of a process go through one connection and begin immediate, so a write
// never fails half way because a reader turned writer.
//
// # The key
//
// The hash key of promise 7 is made with the database and stands in it, sealed.
// What unseals it is Config.EncryptionKey or, without one, the file `<path>.key`,
// which is made together with a new database and never later: a database without
// the key it was made with is refused with [state.ErrKey]. A database is built
// under `<path>.new` and gets its name when its sealed key is on disk, after the
// key file is, so a crash in between leaves nothing that lost its key.
//
// # Who may write
//
// The lease is a row with a fence. Where the system has file locks its holder also
// locks `<path>.<pipeline>.lock`; the system drops that lock with the process, so
// whoever starts after a killed process on the same machine takes over at once. A
// process that lives but does not answer keeps the lock, and the row's expiry decides.
//
// Beside the database stand its -wal and -shm files, `<path>.key` and the lock
// files. A backup needs the database (taken with SQLite's own means or from a
// stopped process) and the key file.
package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/state"
)

const (
	// busyTimeout is how long a statement waits for another process's write. Writes
	// here take milliseconds; only a migration or a copy of the file takes longer.
	busyTimeout = 10 * time.Second
	// busySlice is how long SQLite waits at a time when a write begins. It does not
	// notice a caller that gave up meanwhile.
	busySlice = 100 * time.Millisecond
)

// readers is how many reads run beside each other and beside a write.
const readers = 4

// Config says where a state is kept. The zero value is a new state in memory.
type Config struct {
	// Path of the database file. It is created, with mode 0600 and in a directory
	// of mode 0700, when it does not exist. Empty: in memory, gone with Close.
	Path string
	// EncryptionKey unseals the hash key: 32 bytes as base64 or hexadecimal. Empty:
	// the key file beside the database, or a key in memory.
	EncryptionKey string
	// Now is the clock of leases and time stamps; nil: time.Now.
	Now func() time.Time
	// Log tells of what happens once, such as a new key file; nil: nothing is logged.
	Log *slog.Logger
}

// Store is a state.Store on SQLite.
type Store struct {
	path   string
	now    func() time.Time
	hasher state.Hasher
	box    *seal.Box // what secrets are sealed with

	// writer has one connection. reader is the same pool in memory, since there one
	// connection at a time may use the database.
	writer, reader *sql.DB
	// keeper holds a database in memory alive when a pool drops its connection.
	keeper *sql.Conn

	leases sync.Mutex // held while a lease is taken, renewed or given up; guards locks
	locks  map[string]heldLock
}

var _ state.Store = (*Store)(nil)

// Open opens a state, creating or migrating it as needed. Errors about keys wrap
// state.ErrKey and say what to do.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Path == "" {
		return openMemory(ctx, cfg)
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	}
	cfg.Path = path
	return openFile(ctx, cfg)
}

// Path returns the absolute path of the database file, empty in memory.
func (s *Store) Path() string { return s.path }

// Hasher returns the keyed hash made once with this database.
func (s *Store) Hasher() state.Hasher { return s.hasher }

// Close closes the state once the calls under way have ended. Leases that were not
// released stay in their rows; their file locks go, so a successor need not wait.
func (s *Store) Close() error {
	var errs []error
	if s.keeper != nil {
		if err := s.keeper.Close(); !errors.Is(err, sql.ErrConnDone) {
			errs = append(errs, err)
		}
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	if s.reader != nil && s.reader != s.writer {
		errs = append(errs, s.reader.Close())
	}
	s.leases.Lock()
	defer s.leases.Unlock()
	for pipeline, held := range s.locks {
		errs = append(errs, held.lock.unlock())
		delete(s.locks, pipeline)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close the state: %w", err)
	}
	return nil
}

// write runs do in one immediate transaction. An error means that nothing of it was kept.
func (s *Store) write(ctx context.Context, what string, do func(tx *sql.Tx) error) error {
	tx, err := s.begin(ctx)
	if err == nil {
		defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
		if err = do(tx); err == nil {
			err = tx.Commit()
		}
	}
	return explain(ctx, what, err)
}

// begin begins a write. In WAL mode this is where it waits for other processes.
func (s *Store) begin(ctx context.Context) (*sql.Tx, error) {
	for range busyTimeout / busySlice {
		tx, err := s.writer.BeginTx(ctx, nil)
		if !busy(err) { // a caller that gave up gets its context's error
			return tx, err
		}
	}
	return s.writer.BeginTx(ctx, nil)
}

// busy reports whether a statement found the database locked by another process.
func busy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == lib.SQLITE_BUSY
}

// explain wraps a database's error, names the stop of the caller as such, and adds
// what an operator can do.
func explain(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if held, ok := errors.AsType[*state.HeldError](err); ok {
		return held // it says all, the pipeline's name included
	}
	if other, ok := errors.AsType[*state.TargetError](err); ok {
		return other // likewise
	}
	if stop := ctx.Err(); stop != nil {
		return fmt.Errorf("%s: %w", what, stop)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
			return fmt.Errorf("%s: another process has been writing the state for %s: stop it or try again: %w", what, busyTimeout, err)
		case lib.SQLITE_FULL:
			return fmt.Errorf("%s: the disk is full: make room: %w", what, err)
		case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_PERM:
			return fmt.Errorf("%s: the state's file and directory must be writable for this user: %w", what, err)
		case lib.SQLITE_CORRUPT:
			return fmt.Errorf("%s: the state's file is damaged: restore it from a backup: %w", what, err)
		case lib.SQLITE_NOTADB:
			return fmt.Errorf("%s: the file is not an SQLite database, so no state: name another path in SYNCD_DATABASE_URL: %w", what, err)
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// openMemory makes a state that lives until Close, apart from all others.
func openMemory(ctx context.Context, cfg Config) (*Store, error) {
	box, err := memoryBox(cfg.EncryptionKey)
	if err != nil {
		return nil, err
	}
	s := &Store{now: cfg.Now}
	opened := false
	defer func() {
		if !opened {
			s.Close() //nolint:errcheck // the first error is the one that matters
		}
	}()
	// SQLite's memdb shares a database among the connections that give its name.
	dsn := dataSource("/"+rand.Text(), busyTimeout, url.Values{"vfs": {"memdb"}, "_txlock": {"immediate"}},
		"foreign_keys(1)", "journal_mode(MEMORY)", "synchronous(OFF)")
	s.writer = pool(dsn, 2)
	if s.keeper, err = s.writer.Conn(ctx); err != nil {
		return nil, explain(ctx, "open a state in memory", err)
	}
	s.reader = s.writer
	if err := create(ctx, s.writer, box); err != nil {
		return nil, err
	}
	s.box = box
	if s.hasher, err = loadHasher(ctx, s.reader, box); err != nil {
		return nil, err
	}
	opened = true
	return s, nil
}

// dataSource builds a DSN. The driver runs busy_timeout before the other pragmas.
func dataSource(path string, wait time.Duration, query url.Values, pragmas ...string) string {
	query["_pragma"] = append([]string{fmt.Sprintf("busy_timeout(%d)", wait.Milliseconds())}, pragmas...)
	return (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: query.Encode()}).String()
}
