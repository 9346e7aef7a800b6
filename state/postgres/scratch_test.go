package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/internal/pgtest"
	"github.com/magento-copernica/syncd/state/postgres"
)

// A scratch database is another one than that of the address, and goes with everything
// in it, also while somebody is connected.
func TestScratch(t *testing.T) {
	t.Parallel()
	named := pgtest.URL(t, pgtest.Template{})
	address, drop, err := postgres.Scratch(t.Context(), named)
	if err != nil {
		t.Fatal(err)
	}
	openShop(t, postgres.Config{URL: address})
	if n := pgtest.Query(t, address, "SELECT count(*) FROM syncd.pipelines"); n[0][0] != "1" {
		t.Errorf("the state in it: %v", n)
	}
	if n := pgtest.Query(t, named, "SELECT count(*) FROM pg_namespace WHERE nspname = 'syncd'"); n[0][0] != "0" {
		t.Error("the database of the address was written to")
	}
	name := address[strings.LastIndex(address, "/")+1:]
	name, _, _ = strings.Cut(name, "?")
	there := "SELECT count(*) FROM pg_database WHERE datname = '" + name + "'"
	if n := pgtest.Query(t, named, there); n[0][0] != "1" {
		t.Errorf("%q is no database", name)
	}
	if err := drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := pgtest.Query(t, named, there); n[0][0] != "0" {
		t.Errorf("%q is still there", name)
	}
}

// A role that may not make one is told what it lacks, and nothing of its password.
func TestScratchThatIsNotAllowed(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	pgtest.Exec(t, server.URL("postgres"), "CREATE ROLE modest LOGIN PASSWORD 'hunter2'")
	for url, words := range map[string]string{
		server.TCP("modest", "hunter2", "postgres"):    "may not create databases: allow it with `ALTER ROLE … CREATEDB`",
		"postgres://modest:hunter2@127.0.0.1:1/nobody": "cannot be reached",
		"postgres://modest:hunter2@127.0.0.1:x/nobody": "has not the form",
	} {
		_, _, err := postgres.Scratch(context.Background(), url)
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %q", err, words)
		}
	}
}
