package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/pgtest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/postgres"
)

// Dashboards stand on these columns: one may join at the end of a view, none may go.
func TestViewsKeepTheirColumns(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"syncd_checkpoints":  "pipeline stream horizon lag_seconds pass_open pass_from pass_target position_at position_id version saved_at",
		"syncd_runs":         "id pipeline stream holder started ended outcome problem seconds read unchanged created updated removed missing refused unknown opt_outs_kept claimed erased ownerless magento_calls copernica_calls counters",
		"syncd_dead_letters": "id pipeline stream entity key source_id cause message fix run_id attempts first_seen last_seen resolved resolution",
		"syncd_records":      "pipeline entity state rows",
	}
	got := make(map[string]string)
	for _, row := range pgtest.Query(t, migrated(t), `
		SELECT table_name, string_agg(column_name, ' ' ORDER BY ordinal_position) FROM information_schema.columns
		WHERE table_schema = 'syncd' AND table_name LIKE 'syncd\_%' GROUP BY 1`) {
		got[row[0]] = row[1]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("views (-want +got):\n%s", diff)
	}
}

// The role of docs/postgres.md reads the views, and nothing else.
func TestViewsForAReader(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	pgtest.Exec(t, server.URL("postgres"), "CREATE DATABASE views")
	address := server.URL("views")
	now := time.Now().Truncate(time.Second)
	s := openShop(t, postgres.Config{URL: address})
	l := acquire(t, s)
	run := state.Run{Pipeline: "shop", Stream: "customers", Started: now.Add(-time.Minute), Ended: now, Outcome: state.Done, Counters: state.Counters{Read: 7, Created: 3}}
	if _, err := s.StartRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), l, state.Commit{
		Checkpoint: &state.Checkpoint{Stream: "customers", Horizon: now.Add(-time.Hour)},
		Records: []state.Record{
			row(1), row(2), {Entity: state.Order, Key: "shop-o1", State: state.Acknowledged}, {Entity: state.Item, Key: "shop-i1", State: state.Refused},
		},
		Letters: []state.DeadLetter{{Entity: state.Profile, Key: "shop-c3", Cause: "refused"}},
	}); err != nil {
		t.Fatal(err)
	}

	pgtest.Exec(t, address, `
		CREATE ROLE syncd_reader LOGIN PASSWORD 'hunter2';
		GRANT USAGE ON SCHEMA syncd TO syncd_reader;
		GRANT SELECT ON syncd.syncd_checkpoints, syncd.syncd_runs, syncd.syncd_dead_letters, syncd.syncd_records TO syncd_reader;
		ALTER ROLE syncd_reader SET search_path = syncd`)
	reader := server.TCP("syncd_reader", "hunter2", "views")
	for query, want := range map[string]string{
		"SELECT stream, round(lag_seconds / 60), pass_open FROM syncd_checkpoints":                                                    "customers 60 f",
		"SELECT stream, outcome, read, created, updated, seconds FROM syncd_runs":                                                     "customers done 7 3 0 60",
		"SELECT key, cause, attempts FROM syncd_dead_letters WHERE resolved IS NULL":                                                  "shop-c3 refused 1",
		"SELECT string_agg(concat(entity, ' ', state, ' ', rows), ', ') FROM (SELECT * FROM syncd_records ORDER BY entity DESC) AS r": "profile acknowledged 2, order acknowledged 1, item refused 1",
		"SELECT has_table_privilege('syncd.records', 'SELECT')":                                                                       "f",
		"SELECT has_table_privilege('syncd.sealed', 'SELECT')":                                                                        "f",
		"SELECT has_table_privilege('syncd.syncd_records', 'INSERT, UPDATE, DELETE')":                                                 "f",
		"SELECT has_schema_privilege('syncd', 'CREATE')":                                                                              "f",
	} {
		rows := pgtest.Query(t, reader, query)
		if len(rows) != 1 || strings.Join(rows[0], " ") != want {
			t.Errorf("%s: %v, want %q", query, rows, want)
		}
	}
}
