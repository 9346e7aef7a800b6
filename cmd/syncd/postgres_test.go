package main

import (
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/internal/pgtest"
	"github.com/magento-copernica/syncd/internal/seal"
)

// A pipeline whose state is in PostgreSQL: in step with the oracle, nothing missing,
// nothing twice, no call in a second run, and no personal data in any table.
func TestPostgresInStep(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	url := pgtest.URL(t, pgtest.Template{})
	s.environ["SYNCD_DATABASE_URL"], s.environ["SYNCD_ENCRYPTION_KEY"] = url, seal.NewKey()
	s.inStep()
	s.everybodyChanges()
	s.inStep()

	tables := pgtest.Query(t, url, "SELECT tablename FROM pg_tables WHERE schemaname = 'syncd'")
	if len(tables) < 10 {
		t.Fatalf("tables %v", tables)
	}
	rows := 0
	for _, table := range tables {
		for _, row := range pgtest.Query(t, url, "SELECT t::text FROM syncd."+table[0]+" AS t") {
			s.sweep(strings.Join(row, " "))
			rows++
		}
	}
	if rows < stageCustomers {
		t.Errorf("%d rows in all tables", rows)
	}
}
