package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/pgtest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/postgres"
)

const (
	// newest is the version of the newest migration.
	newest = 1
	// updateVariable makes TestMigrationFromEachVersion write the newest fixture anew.
	// A version that was released keeps its fixture, and its migration, as they are.
	updateVariable = "SYNCD_TEST_UPDATE"
)

// fixture is the path of the rows that a version left, as SQL; its tables come from
// the migrations up to it.
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
			address := empty(t)
			pgtest.Exec(t, address, string(statements))
			s := openShop(t, postgres.Config{URL: address})
			if diff := cmp.Diff(fixtureWant(), fixtureHave(t, s)); diff != "" {
				t.Errorf("what version %d left (-want +got):\n%s", version, diff)
			}
			if diff := cmp.Diff(columns(t, migrated(t)), columns(t, address)); diff != "" {
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
	Mark       time.Time
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
		Mark:  at(14),
		Fence: 2,
	}
}

// fixtureHave reads what a state holds. The last holder's lease is long over.
func fixtureHave(t *testing.T, s *postgres.Store) kept {
	t.Helper()
	want, ctx := fixtureWant(), t.Context()
	var (
		got  kept
		errs [9]error
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
	got.Mark, errs[7] = s.Mark(ctx, "census")
	l, err := s.Acquire(ctx, "shop", "next", time.Hour)
	got.Fence, errs[8] = l.Fence, err
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return got
}

// writeFixture makes a state with this program and writes it as SQL: the migrations,
// then the rows.
func writeFixture(t *testing.T) {
	t.Helper()
	want, ctx := fixtureWant(), t.Context()
	address := migrated(t)
	s := open(t, postgres.Config{URL: address, Now: func() time.Time { return at(0) }})
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
	if err := errors.Join(s.SetMark(ctx, "census", want.Mark), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fixture(newest), []byte(dump(t, address)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// dump writes a state as SQL. The tables are those of the migrations, which do not
// change once released; counters kept by triggers come with the rows.
func dump(t *testing.T, address string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("CREATE SCHEMA syncd;\n")
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		migration, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(migration)
	}
	b.WriteString("CREATE TABLE syncd.goose_db_version (id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, version_id bigint NOT NULL, " +
		"is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now());\n")
	for _, table := range []string{
		"goose_db_version", "sealed", "pipelines", "leases", "checkpoints", "records", "emails", "runs", "dead_letters", "marks",
	} {
		for _, line := range pgtest.Query(t, address, "SELECT to_jsonb(t)::text FROM syncd."+table+" AS t") {
			fmt.Fprintf(&b, "INSERT INTO syncd.%s OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_record(NULL::syncd.%s, %s);\n",
				table, table, "'"+strings.ReplaceAll(line[0], "'", "''")+"'")
		}
	}
	return b.String()
}

// columns is everything that a state's tables and views declare.
func columns(t *testing.T, address string) [][]string {
	t.Helper()
	return pgtest.Query(t, address, `
		SELECT table_name, column_name, data_type, is_nullable, coalesce(collation_name, '') FROM information_schema.columns
		WHERE table_schema = 'syncd' ORDER BY table_name, ordinal_position;
		SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'syncd' ORDER BY 1, 2;
		SELECT event_object_table, trigger_name, event_manipulation FROM information_schema.triggers WHERE trigger_schema = 'syncd' ORDER BY 1, 2, 3`)
}

// Many processes may find an empty database at once; one makes the tables and the key.
func TestManyOpenAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	address := empty(t)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		sums = make(map[state.Hash]int)
	)
	for range 6 {
		wg.Go(func() {
			s, err := postgres.Open(t.Context(), postgres.Config{URL: address, EncryptionKey: key, Connections: 2})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			mu.Lock()
			defer mu.Unlock()
			sums[s.Hasher().Sum("profile", "content")]++
		})
	}
	wg.Wait()
	if len(sums) != 1 {
		t.Errorf("%d hash keys", len(sums))
	}
}

func TestNewerStateIsRefused(t *testing.T) {
	t.Parallel()
	address := migrated(t)
	pgtest.Exec(t, address, "INSERT INTO syncd.goose_db_version (version_id, is_applied) VALUES (99, true)")
	_, err := postgres.Open(t.Context(), postgres.Config{URL: address, EncryptionKey: key})
	if err == nil || !strings.Contains(err.Error(), "use the newer syncd") {
		t.Errorf("got %v", err)
	}
}

// Promise 7: a state that finds no key, or another one, refuses to start.
func TestPromise07_KeyOfAnExistingState(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key, spoil, says string
	}{
		"none given":       {spoil: "SELECT", says: "openssl rand -base64 32"},
		"another":          {key: newKey(), spoil: "SELECT", says: "another key"},
		"hash key removed": {key: key, spoil: "DELETE FROM syncd.sealed", says: "restore the database"},
		"hash key damaged": {key: key, spoil: `UPDATE syncd.sealed SET value = value || '\x00'`, says: "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := migrated(t)
			openShop(t, postgres.Config{URL: address})
			pgtest.Exec(t, address, c.spoil)
			before := pgtest.Query(t, address, "SELECT name, value FROM syncd.sealed")
			_, err := postgres.Open(t.Context(), postgres.Config{URL: address, EncryptionKey: c.key})
			if !errors.Is(err, state.ErrKey) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), key) {
				t.Errorf("the error does not say %q: %v", c.says, err)
			}
			if diff := cmp.Diff(before, pgtest.Query(t, address, "SELECT name, value FROM syncd.sealed")); diff != "" {
				t.Errorf("the sealed values changed:\n%s", diff)
			}
		})
	}
}

// Looking at a database in which nothing was made makes nothing.
func TestExistingMakesNothing(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{"empty": empty(t), "with tables": migrated(t)} {
		_, err := postgres.Open(context.Background(), postgres.Config{URL: address, EncryptionKey: key, Existing: true})
		if !errors.Is(err, postgres.ErrNoState) {
			t.Errorf("%s: %v", name, err)
		}
		tables := pgtest.Query(t, address, "SELECT count(*) FROM pg_namespace WHERE nspname = 'syncd'")
		if name == "empty" && tables[0][0] != "0" {
			t.Error("a schema was made")
		}
	}
}

// The durability that Commit promises does not depend on the server's default.
func TestConnectionsAreDurable(t *testing.T) {
	t.Parallel()
	address := migrated(t)
	name := pgtest.Query(t, address, "SELECT current_database()")[0][0]
	pgtest.Exec(t, address, "ALTER DATABASE "+name+" SET synchronous_commit = off")
	s := openShop(t, postgres.Config{URL: address})
	for setting, want := range map[string]string{
		"synchronous_commit": "on", "statement_timeout": "1min", "lock_timeout": "20s", "idle_in_transaction_session_timeout": "15s",
	} {
		if got, err := s.Setting(t.Context(), setting); err != nil || got != want {
			t.Errorf("%s is %q, not %q; %v", setting, got, want, err)
		}
	}
}
