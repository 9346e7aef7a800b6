package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
	"github.com/magento-copernica/syncd/state/statetest"
)

func TestConformanceInMemory(t *testing.T) {
	t.Parallel()
	statetest.Run(t, func(t *testing.T, now func() time.Time) state.Store {
		t.Helper()
		return open(t, sqlite.Config{Now: now})
	})
}

func TestConformanceInAFile(t *testing.T) {
	t.Parallel()
	statetest.Suite{
		Open: func(t *testing.T, now func() time.Time) state.Store {
			t.Helper()
			return open(t, sqlite.Config{Path: filepath.Join(t.TempDir(), "state.db"), Now: now})
		},
		Reopen: func(t *testing.T, s state.Store, now func() time.Time) state.Store {
			t.Helper()
			return open(t, sqlite.Config{Path: s.(*sqlite.Store).Path(), Now: now})
		},
		TakesOverDead: true,
	}.Run(t)
}

// open opens a store that the caller closes.
func open(t testing.TB, cfg sqlite.Config) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pipeline() state.Pipeline { return state.Pipeline{Name: "shop", Target: "database"} }

// openShop opens a store and its pipeline, and closes the store with the test.
func openShop(t *testing.T, cfg sqlite.Config) *sqlite.Store {
	t.Helper()
	s := open(t, cfg)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.OpenPipeline(t.Context(), pipeline()); err != nil {
		t.Fatal(err)
	}
	return s
}
