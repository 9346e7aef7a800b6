package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/state"
)

const (
	schema       = "syncd"
	versionTable = schema + ".goose_db_version"
	// hashKeyRow is the name the hash key is stored under and bound to.
	hashKeyRow = "hash_key"
	// oldestServer is PostgreSQL 13, the oldest release with drop-in features used here.
	oldestServer = 130000
	// migrationLimit is how long a statement of a migration may take.
	migrationLimit = 30 * time.Minute
	// lockPeriod and lockPeriods bound the wait for another process's migration: 5 minutes.
	lockPeriod, lockPeriods = 1, 300
)

const (
	selectServer = `
		SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
			to_regclass('syncd.goose_db_version') IS NOT NULL,
			(SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 'syncd')`

	selectVersion = `
		SELECT coalesce(max(version_id), 0) FROM syncd.goose_db_version WHERE is_applied`

	selectSchema = `
		SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'syncd')`

	selectSealed = `
		SELECT value FROM syncd.sealed WHERE name = $1`

	// Of two processes that make the key of a new state the first one's stands.
	insertSealed = `
		INSERT INTO syncd.sealed (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`

	anyPipeline = `
		SELECT EXISTS (SELECT 1 FROM syncd.pipelines)`
)

//go:embed migrations/*.sql
var migrations embed.FS

// version is that of the tables in a database and that of this program; have is 0 in
// a database without them.
type version struct{ have, want int64 }

// readVersion looks at a database and refuses what cannot become a state.
func readVersion(ctx context.Context, q queryer) (version, error) {
	var (
		server    int
		encoding  string
		versioned bool
		objects   int64
	)
	if err := q.QueryRow(ctx, selectServer).Scan(&server, &encoding, &versioned, &objects); err != nil {
		return version{}, err
	}
	switch {
	case server < oldestServer:
		return version{}, fmt.Errorf("the server is PostgreSQL %d, and 13 or later is needed", server/10000)
	case encoding != "UTF8":
		return version{}, fmt.Errorf("the database has the encoding %s: create one with ENCODING 'UTF8'", encoding)
	case !versioned && objects > 0:
		return version{}, errors.New("the schema syncd of this database was not made by syncd: use another database")
	}
	var v version
	if versioned {
		if err := q.QueryRow(ctx, selectVersion).Scan(&v.have); err != nil {
			return version{}, err
		}
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return version{}, fmt.Errorf("read the migrations: %w", err)
	}
	for _, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return version{}, fmt.Errorf("read the migrations: %w", err)
		}
		v.want = max(v.want, n)
	}
	if v.have > v.want {
		return version{}, fmt.Errorf("the state has version %d, this syncd knows %d: use the newer syncd that it was last used with", v.have, v.want)
	}
	return v, nil
}

// bring makes or migrates the tables, if they need it. Another process that does the
// same is waited for.
func (v version) bring(ctx context.Context, cfg Config, settings *pgx.ConnConfig) error {
	if v.have == v.want {
		return nil
	}
	if err := migrate(ctx, settings); err != nil {
		return explain(ctx, "migrate the state", err)
	}
	if v.have == 0 {
		cfg.Log.InfoContext(ctx, "new state created", "place", place(settings))
	} else {
		cfg.Log.InfoContext(ctx, "state migrated", "place", place(settings), "from", v.have, "to", v.want)
	}
	return nil
}

// migrate runs the migrations that a database lacks, under a lock of this database.
func migrate(ctx context.Context, settings *pgx.ConnConfig) (err error) {
	settings = settings.Copy()
	settings.RuntimeParams["statement_timeout"] = milliseconds(migrationLimit)
	db := stdlib.OpenDB(*settings)
	defer func() { err = errors.Join(err, db.Close()) }()

	if err := makeSchema(ctx, db); err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockPeriod, lockPeriods))
	if err != nil {
		return fmt.Errorf("set up the lock: %w", err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithTableName(versionTable),
		goose.WithSessionLocker(locker), goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	_, err = p.Up(ctx)
	return err
}

// makeSchema makes the schema unless it is there: a role that may not make one can
// still use one that was made for it.
func makeSchema(ctx context.Context, db *sql.DB) error {
	var there bool
	if err := db.QueryRowContext(ctx, selectSchema).Scan(&there); err != nil || there {
		return err
	}
	_, err := db.ExecContext(ctx, "CREATE SCHEMA "+schema)
	if err == nil {
		return nil
	}
	// Another process may have made it meanwhile.
	if again := db.QueryRowContext(ctx, selectSchema).Scan(&there); again == nil && there {
		return nil
	}
	return err
}

// loadHasher opens the hash key, which it makes in a state that has none and in which
// nothing was hashed yet.
func (s *Store) loadHasher(ctx context.Context, box *seal.Box, fresh bool) (state.Hasher, error) {
	sealed, found, err := s.sealed(ctx)
	if err == nil && !found && fresh {
		if err = s.makeKey(ctx, box); err == nil {
			sealed, found, err = s.sealed(ctx)
		}
	}
	switch {
	case errors.Is(err, state.ErrKey):
		return state.Hasher{}, err
	case err != nil:
		return state.Hasher{}, explain(ctx, "read the hash key", err)
	case !found:
		return state.Hasher{}, fmt.Errorf("open the state: %w", ErrNoState)
	}
	key, err := box.Open(sealed, hashKeyRow)
	if err != nil {
		return state.Hasher{}, fmt.Errorf("%w: %w; give back the SYNCD_ENCRYPTION_KEY that was in use when it was made", state.ErrKey, err)
	}
	defer clear(key)
	h, err := state.NewHasher(key)
	if err != nil {
		return state.Hasher{}, fmt.Errorf("%w: %w", state.ErrKey, err)
	}
	return h, nil
}

func (s *Store) sealed(ctx context.Context) (value []byte, found bool, err error) {
	value, found, err = one(ctx, s.pool, pgx.RowTo[[]byte], selectSealed, hashKeyRow)
	if err != nil || found {
		return value, found, err
	}
	// A pipeline is only ever opened by a store that has a key.
	var used bool
	if err := s.pool.QueryRow(ctx, anyPipeline).Scan(&used); err != nil {
		return nil, false, err
	}
	if used {
		return nil, false, fmt.Errorf("%w: its hash key is missing, restore the database from a backup", state.ErrKey)
	}
	return nil, false, nil
}

func (s *Store) makeKey(ctx context.Context, box *seal.Box) error {
	key := make([]byte, state.HasherKeySize)
	rand.Read(key) // never fails: the runtime ends the process instead
	defer clear(key)
	value, err := box.Seal(key, hashKeyRow)
	if err != nil {
		return err
	}
	_, err = s.pool.Exec(ctx, insertSealed, hashKeyRow, value)
	return err
}
