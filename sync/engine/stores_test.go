package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/magento-copernica/syncd/internal/pgtest"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/postgres"
	"github.com/magento-copernica/syncd/state/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(stopping{m}) }

// stopping stops the throw-away PostgreSQL server when the tests are over.
type stopping struct{ m *testing.M }

func (s stopping) Run() int { return pgtest.Run(s.m) }

// shelf keeps states under names, where those that are closed can be copied, as a backup
// is made of them and restored.
type shelf interface {
	// open opens a state; a name that there is none of is that of a new one.
	open(t testing.TB, name string) state.Store
	copy(t testing.TB, from, to string)
}

// sealed is what the states of a shelf are sealed with.
func sealed() string { return fmt.Sprintf("%064d", 7) }

// files are states on SQLite, in a folder.
type files string

func (f files) path(name string) string { return filepath.Join(string(f), name+".db") }

func (f files) open(t testing.TB, name string) state.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: f.path(name), EncryptionKey: sealed(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func (f files) copy(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(f.path(from))
	if err == nil {
		err = os.WriteFile(f.path(to), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// databases are the addresses of states on PostgreSQL.
type databases map[string]string

func migrated(t testing.TB) string {
	t.Helper()
	return pgtest.URL(t, pgtest.Template{Name: "state", Prepare: func(ctx context.Context, url string) error {
		_, _, err := postgres.Migrate(ctx, postgres.Config{URL: url})
		return err
	}})
}

func (d databases) open(t testing.TB, name string) state.Store {
	t.Helper()
	if d[name] == "" {
		d[name] = migrated(t)
	}
	store, err := postgres.Open(t.Context(), postgres.Config{URL: d[name], EncryptionKey: sealed(), Connections: 4, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func (d databases) copy(t testing.TB, from, to string) {
	t.Helper()
	d[to] = pgtest.Copy(t, d[from])
}

// inStores runs a test on both stores, each in a bubble with a world around the shop of
// cfg. Its state is on a shelf, and closed and opened as the test wants.
func inStores(t *testing.T, cfg magentotest.Config, test func(*testing.T, *world)) {
	t.Helper()
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) { inSQLite(t, cfg, test) })
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		// The server is started outside of the bubble, which it outlives.
		inStore(t, databases{live: migrated(t)}, cfg, test)
	})
}

// inSQLite is inStores for what only one of them need prove.
func inSQLite(t *testing.T, cfg magentotest.Config, test func(*testing.T, *world)) {
	t.Helper()
	t.Parallel()
	inStore(t, files(t.TempDir()), cfg, test)
}

func inStore(t *testing.T, states shelf, cfg magentotest.Config, test func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, cfg, "")
		w.states = states
		w.reopen(live)
		defer w.close()
		test(t, w)
	})
}

// live is the name of the state that a world begins with.
const live = "live"

// reopen goes on with the state of another name, or of the same after it was copied.
func (w *world) reopen(name string) {
	w.t.Helper()
	w.close()
	w.store = w.states.open(w.t, name)
}

// backUp copies the live state, which goes on.
func (w *world) backUp() {
	w.t.Helper()
	w.close()
	w.states.copy(w.t, live, "backup")
	w.store = w.states.open(w.t, live)
}

// restore goes on with a copy of the backup.
func (w *world) restore() {
	w.t.Helper()
	w.close()
	w.states.copy(w.t, "backup", "restored")
	w.store = w.states.open(w.t, "restored")
}
