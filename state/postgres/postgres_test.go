package postgres_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/magento-copernica/syncd/internal/pgtest"
	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/postgres"
	"github.com/magento-copernica/syncd/state/statetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// key seals the hash keys of the tests' states.
const key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

func TestConformance(t *testing.T) {
	t.Parallel()
	var (
		mu   sync.Mutex
		urls = make(map[state.Store]string)
	)
	remember := func(s state.Store, url string) state.Store {
		mu.Lock()
		defer mu.Unlock()
		urls[s] = url
		return s
	}
	statetest.Suite{
		Open: func(t *testing.T, now func() time.Time) state.Store {
			t.Helper()
			url := lent(t)
			return remember(open(t, postgres.Config{URL: url, Now: now}), url)
		},
		Reopen: func(t *testing.T, s state.Store, now func() time.Time) state.Store {
			t.Helper()
			mu.Lock()
			url := urls[s]
			mu.Unlock()
			return remember(open(t, postgres.Config{URL: url, Now: now}), url)
		},
	}.Run(t)
}

// migrated is the address of a new database with the tables of a state.
func migrated(tb testing.TB) string {
	tb.Helper()
	return pgtest.URL(tb, pgtest.Template{Name: "state", Prepare: migrate})
}

// lent is migrated for tests that change nothing but rows: another may have had the
// database before, and its numbers of runs and letters go on.
func lent(tb testing.TB) string {
	tb.Helper()
	return pgtest.URL(tb, pgtest.Template{Name: "lent state", Prepare: migrate, Clean: `
		DELETE FROM syncd.sealed; DELETE FROM syncd.commits; DELETE FROM syncd.leases; DELETE FROM syncd.checkpoints;
		DELETE FROM syncd.records; DELETE FROM syncd.record_counts; DELETE FROM syncd.emails; DELETE FROM syncd.tombstones; DELETE FROM syncd.erasures; DELETE FROM syncd.opt_outs; DELETE FROM syncd.doubles;
		DELETE FROM syncd.resyncs; DELETE FROM syncd.runs; DELETE FROM syncd.dead_letters; DELETE FROM syncd.marks; DELETE FROM syncd.pipelines`})
}

func migrate(ctx context.Context, url string) error {
	_, _, err := postgres.Migrate(ctx, postgres.Config{URL: url})
	return err
}

// empty is the address of a new, empty database.
func empty(tb testing.TB) string {
	tb.Helper()
	return pgtest.URL(tb, pgtest.Template{})
}

// open opens a store that the caller closes, with the tests' key unless another is given.
func open(tb testing.TB, cfg postgres.Config) *postgres.Store {
	tb.Helper()
	if cfg.EncryptionKey == "" {
		cfg.EncryptionKey = key
	}
	s, err := postgres.Open(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func pipeline() state.Pipeline { return state.Pipeline{Name: "shop", Target: "database"} }

// openShop opens a store and its pipeline, and closes the store with the test.
func openShop(tb testing.TB, cfg postgres.Config) *postgres.Store {
	tb.Helper()
	s := open(tb, cfg)
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	if _, err := s.OpenPipeline(tb.Context(), pipeline()); err != nil {
		tb.Fatal(err)
	}
	return s
}

// newKey is a key that the tests' states were not sealed with.
func newKey() string { return seal.NewKey() }

// connect is another program's connection.
func connect(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// untilWaiting returns when somebody waits for a lock in a database.
func untilWaiting(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		waiting := pgtest.Query(t, address, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
		if waiting[0][0] != "0" {
			return
		}
	}
	t.Fatal("nobody waits for a lock")
}
