package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/postgres"
)

// rowsOf are the rows of the nth page of a size, with content of a version. They are
// orders, which stand in every index.
func rowsOf(s *postgres.Store, n, size, version int, st state.RecordState) []state.Record {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rows := make([]state.Record, size)
	for i := range rows {
		id := int64(n*size + i + 1)
		rows[i] = state.Record{
			Entity: state.Order, Key: fmt.Sprintf("shop-o%d", id), SourceID: id, Parent: fmt.Sprintf("shop-c%d", id/2),
			Number: fmt.Sprintf("%09d", id), CopernicaID: 1000 + id,
			Hash: s.Hasher().Sum("profile", fmt.Sprint(id, version)), ConsentSource: s.Hasher().Sum("consent", fmt.Sprint(id)),
			ConsentWritten: s.Hasher().Sum("consent", "value"), SourceUpdatedAt: now, State: st, FirstSeen: now, AcknowledgedAt: now, RunID: 1,
		}
		if st == state.Planned {
			rows[i].PlannedAt, rows[i].NextAttempt = now, now
		}
	}
	return rows
}

// sizes are rows of a commit: a page, and what a bulk lane writes at once.
var sizes = []int{300, 3000}

func report(b *testing.B, size int) {
	b.Helper()
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkCommit(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint("new rows/", size), func(b *testing.B) {
			s := openShop(b, postgres.Config{URL: migrated(b)})
			l := acquire(b, s)
			for n := 0; b.Loop(); n++ {
				if _, err := s.Commit(b.Context(), l, state.Commit{Records: rowsOf(s, n, size, 0, state.Acknowledged)}); err != nil {
					b.Fatal(err)
				}
			}
			report(b, size)
		})
		b.Run(fmt.Sprint("changed rows/", size), func(b *testing.B) {
			s := openShop(b, postgres.Config{URL: migrated(b)})
			l := acquire(b, s)
			for n := 0; b.Loop(); n++ {
				if _, err := s.Commit(b.Context(), l, state.Commit{Records: rowsOf(s, n%10, size, n, state.Acknowledged)}); err != nil {
					b.Fatal(err)
				}
			}
			report(b, size)
		})
	}
}

// BenchmarkCopyAndMerge is what Commit is measured against: COPY into a temporary table,
// then one INSERT … ON CONFLICT from it, into the same ledger, without fence or token.
func BenchmarkCopyAndMerge(b *testing.B) {
	for _, size := range sizes {
		for _, kind := range []string{"new rows", "changed rows"} {
			b.Run(fmt.Sprint(kind, "/", size), func(b *testing.B) {
				address := migrated(b)
				s := openShop(b, postgres.Config{URL: address})
				conn, err := pgx.Connect(b.Context(), address)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { conn.Close(b.Context()) })
				if _, err := conn.Exec(b.Context(), "CREATE TEMPORARY TABLE staged (LIKE syncd.records)"); err != nil {
					b.Fatal(err)
				}
				for n := 0; b.Loop(); n++ {
					rows := rowsOf(s, n, size, 0, state.Acknowledged)
					if kind == "changed rows" {
						rows = rowsOf(s, n%10, size, n, state.Acknowledged)
					}
					if err := copyAndMerge(b, conn, rows); err != nil {
						b.Fatal(err)
					}
				}
				report(b, size)
			})
		}
	}
}

func copyAndMerge(b *testing.B, conn *pgx.Conn, rows []state.Record) error {
	b.Helper()
	columns := []string{
		"pipeline", "entity", "key", "source_id", "parent", "number", "copernica_id", "hash", "consent_source", "consent_written", "refused",
		"source_updated_at", "state", "attempts", "planned_at", "next_attempt", "first_seen", "acknowledged_at", "run_id",
	}
	return pgx.BeginFunc(b.Context(), conn, func(tx pgx.Tx) error {
		_, err := tx.CopyFrom(b.Context(), pgx.Identifier{"staged"}, columns, pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
			r := rows[i]
			return []any{
				"shop", string(r.Entity), r.Key, r.SourceID, r.Parent, r.Number, r.CopernicaID, r.Hash[:], r.ConsentSource[:], r.ConsentWritten[:], nil,
				r.SourceUpdatedAt, string(r.State), r.Attempts, nil, nil, r.FirstSeen, r.AcknowledgedAt, r.RunID,
			}, nil
		}))
		if err != nil {
			return err
		}
		_, err = tx.Exec(b.Context(), `
			INSERT INTO syncd.records SELECT * FROM staged
			ON CONFLICT (pipeline, entity, key) DO UPDATE SET
				source_id = excluded.source_id, parent = excluded.parent, number = excluded.number, copernica_id = excluded.copernica_id, hash = excluded.hash,
				consent_source = excluded.consent_source, consent_written = excluded.consent_written, refused = excluded.refused,
				source_updated_at = excluded.source_updated_at, state = excluded.state, attempts = excluded.attempts,
				planned_at = excluded.planned_at, next_attempt = excluded.next_attempt, first_seen = excluded.first_seen,
				acknowledged_at = excluded.acknowledged_at, run_id = excluded.run_id`)
		if err != nil {
			return err
		}
		_, err = tx.Exec(b.Context(), "TRUNCATE staged")
		return err
	})
}

func BenchmarkRecords(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := openShop(b, postgres.Config{URL: migrated(b)})
			l := acquire(b, s)
			keys := make([]string, size)
			for n := range 10 {
				if _, err := s.Commit(b.Context(), l, state.Commit{Records: rowsOf(s, n, size, 0, state.Acknowledged)}); err != nil {
					b.Fatal(err)
				}
			}
			for n := 0; b.Loop(); n++ {
				for i := range keys {
					keys[i] = fmt.Sprintf("shop-o%d", n%10*size+i+1)
				}
				if rows, err := s.Records(b.Context(), "shop", state.Order, keys); err != nil || len(rows) != size {
					b.Fatal(len(rows), err)
				}
			}
			report(b, size)
		})
	}
}

// The lines of a page of orders.
func BenchmarkRecordsBySource(b *testing.B) {
	const size = 300
	s := openShop(b, postgres.Config{URL: migrated(b)})
	l := acquire(b, s)
	for n := range 100 {
		if _, err := s.Commit(b.Context(), l, state.Commit{Records: rowsOf(s, n, size, 0, state.Acknowledged)}); err != nil {
			b.Fatal(err)
		}
	}
	ids := make([]int64, size)
	for n := 0; b.Loop(); n++ {
		for i := range ids {
			ids[i] = int64(n%100*size + i + 1)
		}
		if rows, err := s.RecordsBySource(b.Context(), "shop", state.Order, ids); err != nil || len(rows) != size {
			b.Fatal(len(rows), err)
		}
	}
	report(b, size)
}
