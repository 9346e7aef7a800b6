package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/state"
)

// Files beside a database, by what follows its path.
const (
	keySuffix  = ".key"
	newSuffix  = ".new"
	lockSuffix = ".lock"
)

// hashKeyRow is the name the hash key is stored under and bound to.
const hashKeyRow = "hash_key"

//go:embed migrations/*.sql
var migrations embed.FS

// openFile opens or creates the database at cfg.Path, which is absolute. It holds a
// file lock meanwhile, so that two processes do not create or migrate one database at once.
func openFile(ctx context.Context, cfg Config) (_ *Store, err error) {
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	}
	opening, err := waitLock(ctx, cfg.Path+lockSuffix, cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	}
	defer opening.unlock() //nolint:errcheck // closing the file drops the lock in any case

	found, err := exists(cfg.Path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: cfg.Path, now: cfg.Now, locks: make(map[string]heldLock)}
	defer func() {
		if err != nil {
			s.Close() //nolint:errcheck // the first error is the one that matters
		}
	}()
	// The reader comes first: it changes nothing in a file that turns out not to be ours,
	// and no key is asked for it.
	s.reader = pool(dataSource(cfg.Path, busyTimeout, url.Values{}, "query_only(1)", "cache_size(-512)"), readers)
	if found {
		if err := ours(ctx, s.reader); err != nil {
			return nil, fmt.Errorf("open the state %s: %w", cfg.Path, err)
		}
	}
	box, err := fileBox(ctx, cfg, !found)
	if err != nil {
		return nil, err
	}
	if !found {
		if err := createFile(ctx, cfg.Path, box); err != nil {
			return nil, err
		}
		cfg.Log.InfoContext(ctx, "new state created", "path", cfg.Path)
	}

	s.box = box
	if s.hasher, err = loadHasher(ctx, s.reader, box); err != nil {
		return nil, fmt.Errorf("open the state %s: %w", cfg.Path, err)
	}
	if err := migrateFile(ctx, cfg); err != nil {
		return nil, fmt.Errorf("open the state %s: %w", cfg.Path, err)
	}
	s.writer = writerPool(cfg.Path, busySlice)
	return s, nil
}

// writerPool opens the pool through which a process writes. The caches are small, so
// that a large state takes no more memory than a small one: the file is in the
// machine's own cache anyway.
func writerPool(path string, wait time.Duration) *sql.DB {
	return pool(dataSource(path, wait, url.Values{"_txlock": {"immediate"}},
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "cache_size(-1024)"), 1)
}

// migrateFile brings the tables of a file to this program's version.
func migrateFile(ctx context.Context, cfg Config) error {
	db := writerPool(cfg.Path, busyTimeout)
	from, to, err := migrate(ctx, db)
	if err == nil && from != to {
		cfg.Log.InfoContext(ctx, "state migrated", "path", cfg.Path, "from", from, "to", to)
	}
	return errors.Join(err, db.Close())
}

// exists reports whether a database stands at path. An empty file is none. What is
// left of a database that went missing is never mixed with a new one.
func exists(path string) (bool, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return false, fmt.Errorf("the state's path %s is not a file", path)
	case err == nil && info.Size() > 0:
		return true, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("open the state: %w", err)
	}
	for _, suffix := range []string{"-wal", "-journal"} {
		if rest, err := os.Stat(path + suffix); err == nil && rest.Size() > 0 {
			return false, fmt.Errorf("%s is missing, but its %s is there: restore the database, or move that file away to start with a new state",
				path, filepath.Base(path+suffix))
		}
	}
	return false, nil
}

// createFile builds a database under another name and renames it when it is
// complete and on disk. What an earlier attempt left behind is removed.
func createFile(ctx context.Context, path string, box *seal.Box) error {
	building := path + newSuffix
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		if err := os.Remove(building + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("create the state: %w", err)
		}
	}
	f, err := os.OpenFile(building, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create the state: %w", err)
	}
	give(f, path)
	if err := f.Close(); err != nil {
		return fmt.Errorf("create the state: %w", err)
	}
	db := pool(dataSource(building, busyTimeout, url.Values{"_txlock": {"immediate"}}, "synchronous(FULL)"), 1)
	if err := errors.Join(create(ctx, db, box), db.Close()); err != nil {
		return err
	}
	if err := os.Rename(building, path); err != nil {
		return fmt.Errorf("create the state: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// create makes the tables of a new database and its hash key.
func create(ctx context.Context, db *sql.DB, box *seal.Box) error {
	if _, _, err := migrate(ctx, db); err != nil {
		return err
	}
	key := make([]byte, state.HasherKeySize)
	rand.Read(key) // never fails: the runtime ends the process instead
	defer clear(key)
	sealed, err := box.Seal(key, hashKeyRow)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "INSERT INTO sealed (name, value) VALUES (?, ?)", hashKeyRow, sealed)
	return explain(ctx, "store the hash key", err)
}

// ours returns an error for a file that is no state.
func ours(ctx context.Context, db *sql.DB) error {
	var tables int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name = 'sealed'").Scan(&tables); err != nil {
		return explain(ctx, "look for its tables", err)
	}
	if tables == 0 {
		return errors.New("this SQLite database was not made by syncd: name another path in SYNCD_DATABASE_URL")
	}
	return nil
}

// loadHasher opens the hash key that was sealed when the database was made.
func loadHasher(ctx context.Context, db *sql.DB, box *seal.Box) (state.Hasher, error) {
	var sealed []byte
	err := db.QueryRowContext(ctx, "SELECT value FROM sealed WHERE name = ?", hashKeyRow).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return state.Hasher{}, fmt.Errorf("%w: its hash key is missing, restore the database from a backup; %s", state.ErrKey, lost)
	}
	if err != nil {
		return state.Hasher{}, explain(ctx, "read the hash key", err)
	}
	key, err := box.Open(sealed, hashKeyRow)
	if err != nil {
		return state.Hasher{}, fmt.Errorf("%w: %w; give back the SYNCD_ENCRYPTION_KEY or the %s file that was in use when it was made; %s",
			state.ErrKey, err, keySuffix, lost)
	}
	defer clear(key)
	h, err := state.NewHasher(key)
	if err != nil {
		return state.Hasher{}, fmt.Errorf("%w: %w", state.ErrKey, err)
	}
	return h, nil
}

// migrate brings the tables to this program's version and returns both versions.
func migrate(ctx context.Context, db *sql.DB) (from, to int64, err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return 0, 0, fmt.Errorf("read the migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files,
		goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return 0, 0, fmt.Errorf("read the migrations: %w", err)
	}
	if from, to, err = p.GetVersions(ctx); err != nil {
		return 0, 0, explain(ctx, "read the state's version", err)
	}
	if from > to {
		return 0, 0, fmt.Errorf("the state has version %d, this syncd knows %d: use the newer syncd that it was last used with", from, to)
	}
	if from < to {
		if _, err := p.Up(ctx); err != nil {
			return 0, 0, explain(ctx, "migrate the state", err)
		}
	}
	return from, to, nil
}
