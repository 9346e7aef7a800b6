package sqlite_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
)

const (
	// newest is the version of the newest migration.
	newest = 1
	// fixtureKey seals the hash key of the fixtures. It protects nothing else.
	fixtureKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	// updateVariable makes TestMigrationFromEachVersion write the newest fixture anew.
	// A version that was released keeps its fixture, and its migration, as they are.
	updateVariable = "SYNCD_TEST_UPDATE"
)

// fixture is the path of the state that a version left, as SQL.
func fixture(version int) string { return filepath.Join("testdata", fmt.Sprintf("v%d.sql", version)) }

// A state of every released version opens, and everything in it is as it was.
func TestMigrationFromEachVersion(t *testing.T) {
	t.Parallel()
	if os.Getenv(updateVariable) != "" {
		writeFixture(t)
	}
	for version := 1; version <= newest; version++ {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			t.Parallel()
			statements, err := os.ReadFile(fixture(version))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "state.db")
			execute(string(statements))(t, path)
			s := openShop(t, sqlite.Config{Path: path, EncryptionKey: fixtureKey})
			if diff := cmp.Diff(fixtureWant(), fixtureHave(t, s)); diff != "" {
				t.Errorf("what version %d left (-want +got):\n%s", version, diff)
			}
			if diff := cmp.Diff(schema(t, newState(t)), schema(t, path)); diff != "" {
				t.Errorf("a new state and one of version %d differ (-new +migrated):\n%s", version, diff)
			}
		})
	}
}

func TestNewestVersionHasAFixture(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(os.DirFS("migrations"), "*.sql")
	if err != nil || len(files) != newest {
		t.Errorf("%d migrations, %v: set newest, and make a fixture with %s=1", len(files), err, updateVariable)
	}
}

// kept is what the fixtures hold, as callers of the store see it.
type kept struct {
	Pipelines  []state.Pipeline
	Checkpoint state.Checkpoint
	Records    map[string]state.Record
	Counts     map[state.Entity]map[state.RecordState]int64
	Emails     map[state.Hash][]state.Email
	Runs       []state.Run
	Letters    []state.DeadLetter
	Fence      int64
}

// at is a moment of the fixtures.
func at(minute int) time.Time { return time.Date(2026, 11, 20, 8, minute, 0, 250_000_000, time.UTC) }

func fixtureWant() kept {
	one, two := state.Hash{0: 1, 15: 2}, state.Hash{0: 3, 15: 4}
	return kept{
		Pipelines: []state.Pipeline{{Name: "other", Target: "another database", Adopting: true}, pipeline()},
		Checkpoint: state.Checkpoint{
			Pipeline: "shop", Stream: "customers", Version: 1, Horizon: at(1), Position: state.Position{UpdatedAt: at(2), ID: 7},
			From: at(3), Target: at(4), SavedAt: at(0),
		},
		Records: map[string]state.Record{
			"shop-c1": {
				Entity: state.Profile, Key: "shop-c1", SourceID: 1, Parent: "shop-p1", Number: "000000001", CopernicaID: 11, Hash: one, ConsentSource: two,
				ConsentWritten: one, Refused: two, SourceUpdatedAt: at(5), State: state.Acknowledged, Attempts: 3,
				PlannedAt: at(6), NextAttempt: at(7), FirstSeen: at(12), AcknowledgedAt: at(13), RunID: 1,
			},
			"shop-c2": {Entity: state.Profile, Key: "shop-c2", State: state.Planned},
			"shop-c3": {Entity: state.Profile, Key: "shop-c3", State: state.Removed},
		},
		Counts: map[state.Entity]map[state.RecordState]int64{
			state.Profile: {state.Acknowledged: 1, state.Planned: 1, state.Removed: 1},
		},
		Emails: map[state.Hash][]state.Email{one: {{Hash: one, Key: "shop-c1", Website: 2}}},
		Runs: []state.Run{{
			ID: 1, Pipeline: "shop", Stream: "customers", Holder: "host:1", Fence: 1, Started: at(8), Ended: at(9),
			Outcome: state.Failed, Problem: "it's over", Counters: state.Counters{Read: 1, Unchanged: 2, TargetCalls: 9},
		}},
		Letters: []state.DeadLetter{{
			ID: 1, Pipeline: "shop", Stream: "customers", Entity: state.Profile, Key: "shop-c4", SourceID: 4, Cause: "too_long",
			Message: "%1 is too long", Fix: "shorten it", Content: two, RunID: 1, Attempts: 2, FirstSeen: at(10), LastSeen: at(11),
		}},
		Fence: 2,
	}
}

// fixtureHave reads what a state holds. The last holder's lease is long over.
func fixtureHave(t *testing.T, s *sqlite.Store) kept {
	t.Helper()
	want, ctx := fixtureWant(), t.Context()
	var (
		got  kept
		errs [8]error
	)
	got.Pipelines, errs[0] = s.Pipelines(ctx)
	got.Checkpoint, errs[1] = s.Checkpoint(ctx, "shop", "customers")
	got.Records, errs[2] = s.Records(ctx, "shop", state.Profile, []string{"shop-c1", "shop-c2", "shop-c3", "shop-c4"})
	o, err := s.Overview(ctx, "shop")
	got.Counts, errs[3] = o.Records, err
	var hashes []state.Hash
	for h := range want.Emails {
		hashes = append(hashes, h)
	}
	got.Emails, errs[4] = s.Emails(ctx, "shop", hashes)
	got.Runs, errs[5] = s.Runs(ctx, "shop", 10)
	got.Letters, errs[6] = s.Letters(ctx, "shop", state.LetterFilter{Open: true, Limit: 10})
	l, err := s.Acquire(ctx, "shop", "next", time.Hour)
	got.Fence, errs[7] = l.Fence, err
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// writeFixture makes a state with this program and writes it as SQL.
func writeFixture(t *testing.T) {
	t.Helper()
	want, ctx := fixtureWant(), t.Context()
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, sqlite.Config{Path: path, EncryptionKey: fixtureKey, Now: func() time.Time { return at(0) }})
	for _, p := range want.Pipelines {
		if _, err := s.OpenPipeline(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	l, err := s.Acquire(ctx, "shop", "host:1", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.StartRun(ctx, want.Runs[0]); err != nil {
		t.Fatal(err)
	}
	cp := want.Checkpoint
	cp.Version = 0
	c := state.Commit{Checkpoint: &cp, Letters: want.Letters}
	for _, r := range want.Records {
		c.Records = append(c.Records, r)
	}
	for _, list := range want.Emails {
		c.Emails = append(c.Emails, list...)
	}
	if _, err := s.Commit(ctx, l, c); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fixture(newest), []byte(dump(t, path)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// dump writes a database as SQL: tables, their rows, then what hangs on them.
func dump(t *testing.T, path string) string {
	t.Helper()
	var b, after strings.Builder
	objects := rowsAsText(t, raw(t, path), `
		SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type <> 'table', rowid`)
	for _, o := range objects {
		kind, name, definition := o[0].(string), o[1].(string), o[2].(string)
		if kind != "table" {
			fmt.Fprintf(&after, "%s;\n", definition)
			continue
		}
		fmt.Fprintf(&b, "%s;\n", definition)
		for _, row := range rowsAsText(t, raw(t, path), "SELECT * FROM "+name) {
			values := make([]string, len(row))
			for i, v := range row {
				values[i] = literal(v)
			}
			fmt.Fprintf(&b, "INSERT INTO %s VALUES (%s);\n", name, strings.Join(values, ", "))
		}
	}
	return b.String() + after.String()
}

func literal(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case []byte:
		return "x'" + hex.EncodeToString(v) + "'"
	case string:
		return "'" + strings.ReplaceAll(v, "'", "''") + "'"
	case time.Time: // the column of goose
		return "'" + v.UTC().Format(time.DateTime) + "'"
	default:
		return fmt.Sprint(v)
	}
}

// schema is everything a database declares, by name.
func schema(t *testing.T, path string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, row := range rowsAsText(t, raw(t, path), "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL") {
		all[row[0].(string)] = row[1].(string)
	}
	return all
}

func newState(t *testing.T) string {
	t.Helper()
	path, _ := made(t, sqlite.Config{})
	return path
}

func rowsAsText(t *testing.T, db *sql.DB, query string) [][]any {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]any
	for rows.Next() {
		row := make([]any, len(columns))
		targets := make([]any, len(columns))
		for i := range row {
			targets[i] = &row[i]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
