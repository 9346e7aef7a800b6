package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/magento-copernica/syncd/internal/pgtest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/postgres"
)

// Whatever is asked of a ledger reads its own index, and no row that is not wanted: before
// the server ever counted the rows, as in the first minutes or after a restore, and after.
func TestLookUpsReadTheirIndex(t *testing.T) {
	t.Parallel()
	address := migrated(t)
	s := openShop(t, postgres.Config{URL: address})
	l := acquire(t, s)
	for n := range 4 {
		if _, err := s.Commit(t.Context(), l, state.Commit{Records: rowsOf(s, n, 5000, 0, state.Acknowledged)}); err != nil {
			t.Fatal(err)
		}
	}
	var more state.Commit
	for id := range int64(2000) {
		more.Records = append(more.Records,
			state.Record{Entity: state.Item, Key: fmt.Sprint("shop-i", id), SourceID: id / 2, Parent: fmt.Sprint("shop-c", id/4), State: state.Acknowledged},
			state.Record{Entity: state.Profile, Key: fmt.Sprint("shop-c", id), SourceID: id, CopernicaID: id, State: state.Acknowledged})
		if id%10 == 0 {
			more.Records = append(more.Records, state.Record{Entity: state.Profile, Key: fmt.Sprint("shop-g", id), CopernicaID: id % 100, State: state.Claimed})
		}
	}
	if _, err := s.Commit(t.Context(), l, more); err != nil {
		t.Fatal(err)
	}
	keys := make([]string, 300)
	for i := range keys {
		keys[i] = fmt.Sprint("shop-o", 60*(i+1))
	}
	ids := func(n int) []int64 {
		list := make([]int64, n)
		for i := range list {
			list[i] = int64(60 * (i + 1))
		}
		return list
	}
	conn := connect(t, address)
	for _, when := range []string{"SELECT", "VACUUM syncd.records", "ANALYZE syncd.records"} {
		pgtest.Exec(t, address, when)
		for name, ask := range map[string]struct {
			query, index string
			args         []any
		}{
			"300 keys":           {postgres.SelectRecords, "records_pkey", []any{"shop", "order", keys}},
			"a Copernica id":     {postgres.SelectByCopernicaID, "records_by_copernica_id", []any{"shop", "order", 1017}},
			"rows to forget":     {postgres.ForgetRecords, "records_pending", []any{"shop", slices.Repeat([]string{"order"}, 300), keys}},
			"100 orders' lines":  {postgres.SelectBySource, "records_by_source", []any{"shop", "order", ids(100)}},
			"300 orders' lines":  {postgres.SelectBySource, "records_by_source", []any{"shop", "order", ids(300)}},
			"a number":           {postgres.SelectByNumber, "records_by_number", []any{"shop", "000000017"}},
			"a profile's orders": {postgres.SelectByParent, "records_by_parent", []any{"shop", "shop-c17", "", 100}},
			"all claims":         {postgres.SelectClaims, "records_claimed", []any{"shop", "", 1000}},
			"claims after one":   {postgres.SelectClaims, "records_claimed", []any{"shop", "shop-g50", 10}},
			"open claims":        {postgres.SelectOpenClaims, "records_claimed_open", []any{"shop", "", 100}},
			"orders to move":     {postgres.MoveBelow, "records_by_parent", []any{"shop", []string{"shop-c17"}, "shop-c17"}},
			"lines to move":      {postgres.MoveBelow, "records_by_source", []any{"shop", []string{"shop-c17"}, "shop-c17"}},
			"orders to strip":    {postgres.BareBelow, "records_by_parent", []any{"shop", []string{"shop-c17", "shop-c18"}}},
			"lines to strip":     {postgres.BareBelow, "records_by_source", []any{"shop", []string{"shop-c17", "shop-c18"}}},
		} {
			rows, err := conn.Query(t.Context(), "EXPLAIN (ANALYZE, TIMING off) "+ask.query, ask.args...)
			if err != nil {
				t.Fatal(err)
			}
			plan := text(t, rows)
			if !strings.Contains(plan, ask.index) || strings.Contains(plan, "Rows Removed") || strings.Contains(plan, "Seq Scan") {
				t.Errorf("%s after %s does not read %s:\n%s", name, when, ask.index, plan)
			}
		}
	}
}

// text is a plan as the server prints it.
func text(t *testing.T, rows pgx.Rows) string {
	t.Helper()
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
