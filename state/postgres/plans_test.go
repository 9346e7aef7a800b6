package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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
	hashes := func(n int) [][]byte {
		list := make([][]byte, n)
		for i := range list {
			list[i] = fmt.Appendf(nil, "%016d", 6*i)
		}
		return list
	}
	conn := connect(t, address)
	pgtest.Exec(t, address, rest)
	for _, when := range []string{"SELECT", "VACUUM", "ANALYZE"} {
		pgtest.Exec(t, address, when)
		for name, ask := range map[string]struct {
			query, index string
			args         []any
		}{
			"300 keys":           {postgres.SelectRecords, "records_pkey", []any{"shop", "order", keys}},
			"300 Copernica ids":  {postgres.SelectByCopernicaID, "records_by_copernica_id", []any{"shop", "order", ids(300)}},
			"ids of Copernica":   {postgres.SelectInCopernica, "records_by_copernica_id", []any{"shop", "order", 100, 900, 100}},
			"the highest id":     {postgres.SelectHighest, "records_by_copernica_id", []any{"shop", "order"}},
			"missing rows":       {postgres.SelectMissing, "records_missing", []any{"shop", "order", 100}},
			"rows to come":       {postgres.SelectPending, "records_pending", []any{"shop", time.Now(), 100}},
			"refusals for good":  {postgres.SelectResolved, "records_refused", []any{"shop", "", "", 100}},
			"300 e-mails":        {postgres.SelectEmails, "emails_by_hash", []any{"shop", hashes(300)}},
			"of 300 customers":   {postgres.SelectEmailsOf, "emails_pkey", []any{"shop", keys}},
			"300 tombstones":     {postgres.SelectTombstones, "tombstones_pkey", []any{"shop", hashes(300)}},
			"receipts of one":    {postgres.SelectErasuresOf, "erasures_by_key", []any{"shop", 1, "shop-c17"}},
			"opt-outs of one":    {postgres.SelectOptOuts, "opt_outs_by_key", []any{"shop", "shop-c17", 1}},
			"claims undone":      {postgres.SelectUnclaimed, "records_unclaimed", []any{"shop", "", 100}},
			"claims of 300":      {postgres.SelectClaimsOf, "records_claimed_by", []any{"shop", keys}},
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

// rest is what there is beside the ledger.
const rest = `
	INSERT INTO syncd.runs (pipeline, stream, holder, fence, outcome, problem, counters)
		SELECT 'shop', CASE WHEN i % 5 = 0 THEN 'orders' ELSE 'customers' END, '', 1, 'done', '', '{}' FROM generate_series(1, 2000) AS i;
	INSERT INTO syncd.dead_letters (pipeline, stream, entity, key, source_id, cause, message, fix, run_id, attempts, resolved, resolution)
		SELECT 'shop', '', 'order', 'shop-o' || i, i, 'cause ' || i % 3, '', '', 1, 1, CASE WHEN i % 2 = 0 THEN now() END, '' FROM generate_series(1, 2000) AS i;
	INSERT INTO syncd.erasures (pipeline, key, cause, policy, copernica_id, orders, items, at, run_id)
		SELECT 'shop', 'shop-c' || i, '', 'remove', i, 1, 1, now(), 1 FROM generate_series(1, 2000) AS i;
	INSERT INTO syncd.opt_outs (pipeline, key, source, settled_at)
		SELECT 'shop', 'shop-c' || i, 'profile', now() FROM generate_series(1, 2000) AS i;
	INSERT INTO syncd.emails (pipeline, key, hash, website, claims)
		SELECT 'shop', 'shop-o' || i, convert_to(lpad(i::text, 16, '0'), 'UTF8'), 1, true FROM generate_series(1, 2000) AS i;
	INSERT INTO syncd.tombstones (pipeline, person, at) SELECT pipeline, hash, now() FROM syncd.emails`

// text is a plan as the server prints it.
func text(t *testing.T, rows pgx.Rows) string {
	t.Helper()
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
