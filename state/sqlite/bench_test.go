package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
)

// page is the number of rows of a commit.
const page = 300

// ledger is a file database with pages of acknowledged rows in it.
func ledger(b *testing.B, pages int) (*sqlite.Store, state.Lease) {
	b.Helper()
	s := open(b, sqlite.Config{Path: filepath.Join(b.TempDir(), "state.db")})
	b.Cleanup(func() { s.Close() })
	if _, err := s.OpenPipeline(b.Context(), state.Pipeline{Name: "shop", Target: "database"}); err != nil {
		b.Fatal(err)
	}
	l, err := s.Acquire(b.Context(), "shop", "bench", time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	for n := range pages {
		if _, err := s.Commit(b.Context(), l, state.Commit{Records: rowsOf(s, n, 0, state.Acknowledged)}); err != nil {
			b.Fatal(err)
		}
	}
	return s, l
}

// rowsOf are the rows of the nth page with content of a version. They are orders, which
// stand in every index.
func rowsOf(s *sqlite.Store, n, version int, st state.RecordState) []state.Record {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rows := make([]state.Record, page)
	for i := range rows {
		id := int64(n*page + i + 1)
		rows[i] = state.Record{
			Entity: state.Order, Key: fmt.Sprintf("shop-o%d", id), SourceID: id, Parent: fmt.Sprintf("shop-c%d", id/2),
			Number: fmt.Sprintf("%09d", id), CopernicaID: 1000 + id,
			Hash: s.Hasher().Sum("profile", fmt.Sprint(id, version)), ConsentSource: s.Hasher().Sum("consent", fmt.Sprint(id)),
			ConsentWritten: s.Hasher().Sum("consent", "value"), SourceUpdatedAt: now, State: st,
		}
		if st == state.Planned {
			rows[i].PlannedAt, rows[i].NextAttempt = now, now
		}
	}
	return rows
}

const benchPages = 100

func report(b *testing.B) {
	b.Helper()
	b.ReportMetric(float64(b.N*page)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkCommit(b *testing.B) {
	b.Run("new rows", func(b *testing.B) {
		s, l := ledger(b, 1)
		for n := 1; b.Loop(); n++ {
			if _, err := s.Commit(b.Context(), l, state.Commit{Records: rowsOf(s, n, 0, state.Acknowledged)}); err != nil {
				b.Fatal(err)
			}
		}
		report(b)
	})
	b.Run("changed rows", func(b *testing.B) {
		s, l := ledger(b, benchPages)
		for n := 1; b.Loop(); n++ {
			if _, err := s.Commit(b.Context(), l, state.Commit{Records: rowsOf(s, n%benchPages, n, state.Acknowledged)}); err != nil {
				b.Fatal(err)
			}
		}
		report(b)
	})
	// A page in which nothing changed still moves its checkpoint.
	b.Run("checkpoint only", func(b *testing.B) {
		s, l := ledger(b, 1)
		var cp state.Checkpoint
		for n := int64(0); b.Loop(); n++ {
			var err error
			if cp, err = s.Commit(b.Context(), l, state.Commit{Checkpoint: &state.Checkpoint{Stream: "customers", Version: n}}); err != nil {
				b.Fatal(err)
			}
		}
		_ = cp
	})
}

func BenchmarkPlan(b *testing.B) {
	s, l := ledger(b, benchPages)
	for n := 0; b.Loop(); n++ {
		if err := s.Plan(b.Context(), l, rowsOf(s, n%benchPages, n, state.Planned)); err != nil {
			b.Fatal(err)
		}
	}
	report(b)
}

// What a page costs in which every customer changed.
func BenchmarkCycle(b *testing.B) {
	s, l := ledger(b, benchPages)
	for n := 0; b.Loop(); n++ {
		if err := s.Plan(b.Context(), l, rowsOf(s, n%benchPages, n, state.Planned)); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Commit(b.Context(), l, state.Commit{Records: rowsOf(s, n%benchPages, n, state.Acknowledged)}); err != nil {
			b.Fatal(err)
		}
	}
	report(b)
}

func BenchmarkRecords(b *testing.B) {
	s, _ := ledger(b, benchPages)
	keys := make([]string, page)
	for n := 0; b.Loop(); n++ {
		for i := range keys {
			keys[i] = fmt.Sprintf("shop-o%d", (n%benchPages)*page+i+1)
		}
		rows, err := s.Records(b.Context(), "shop", state.Order, keys)
		if err != nil || len(rows) != page {
			b.Fatal(len(rows), err)
		}
	}
	report(b)
}

// The lines of a page of orders.
func BenchmarkRecordsBySource(b *testing.B) {
	s, _ := ledger(b, benchPages)
	ids := make([]int64, page)
	for n := 0; b.Loop(); n++ {
		for i := range ids {
			ids[i] = int64((n%benchPages)*page + i + 1)
		}
		rows, err := s.RecordsBySource(b.Context(), "shop", state.Order, ids)
		if err != nil || len(rows) != page {
			b.Fatal(len(rows), err)
		}
	}
	report(b)
}

func BenchmarkOverview(b *testing.B) {
	s, _ := ledger(b, benchPages)
	for b.Loop() {
		if _, err := s.Overview(b.Context(), "shop"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		if err := open(b, sqlite.Config{}).Close(); err != nil {
			b.Fatal(err)
		}
	}
}
