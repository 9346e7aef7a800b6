package pgtest_test

import (
	"context"
	"os"
	"testing"

	"github.com/magento-copernica/syncd/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func template() pgtest.Template {
	return pgtest.Template{Name: "one", Clean: "DELETE FROM t", Prepare: func(ctx context.Context, url string) error {
		return pgtest.Execute(ctx, url, "CREATE TABLE t (n int)")
	}}
}

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for range 2 {
				url := pgtest.URL(t, template())
				pgtest.Exec(t, url, "INSERT INTO t VALUES (1)")
				if rows := pgtest.Query(t, url, "SELECT * FROM t"); len(rows) != 1 {
					t.Errorf("%d rows", len(rows))
				}
			}
		})
	}
}

// A copy is what the database was, and both go on by themselves.
func TestCopy(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t, pgtest.Template{})
	pgtest.Exec(t, url, "CREATE TABLE t AS SELECT 1 AS n")
	copied := pgtest.Copy(t, url)
	pgtest.Exec(t, url, "INSERT INTO t VALUES (2)")
	pgtest.Exec(t, copied, "INSERT INTO t VALUES (3), (4)")
	for address, want := range map[string]int{url: 2, copied: 3} {
		if rows := pgtest.Query(t, address, "SELECT n FROM t"); len(rows) != want {
			t.Errorf("rows %v", rows)
		}
	}
}

// A server that is killed comes back at the same address with what was committed.
func TestKillAndStart(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	url := s.URL("postgres")
	pgtest.Exec(t, url, "CREATE TABLE t AS SELECT 1 AS n")
	s.Kill()
	if err := pgtest.Execute(t.Context(), url, "SELECT 1"); err == nil {
		t.Error("a killed server answers")
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if rows := pgtest.Query(t, url, "SELECT n FROM t"); len(rows) != 1 || rows[0][0] != "1" {
		t.Errorf("rows %v", rows)
	}
}
