package sqlite_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/state/sqlite"
)

// What a run asks reads its own index, and no row that is not wanted. Only what it counts
// it reads through, and there the index says it all.
func TestLookUpsReadTheirIndex(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	if err := open(t, sqlite.Config{Path: path, EncryptionKey: fixtureKey}).Close(); err != nil {
		t.Fatal(err)
	}
	const (
		byKey    = "PRIMARY KEY (pipeline=? AND entity=? AND key=?)"
		byParent = "records_by_parent (pipeline=? AND parent=?)"
		bySource = "records_by_source (pipeline=? AND entity=? AND source_id=?)"
		byCause  = "COVERING INDEX dead_letters_by_cause (pipeline=?)"
	)
	db := raw(t, path)
	for name, ask := range map[string]struct {
		query string
		args  []any
		reads []string
		whole bool // it reads through what it reads first
	}{
		"rows":                 {query: sqlite.SelectRecords, args: []any{"[]", "shop", "order"}, reads: []string{byKey}},
		"rows of Copernica":    {query: sqlite.SelectByCopernicaID, args: []any{"[]", "shop", "order"}, reads: []string{"records_by_copernica_id (pipeline=? AND entity=? AND copernica_id=?)"}},
		"rows of the shop":     {query: sqlite.SelectBySource, args: []any{"[]", "shop", "order"}, reads: []string{bySource}},
		"rows between":         {query: sqlite.SelectBetween, args: []any{"shop", "order", 1, 2, 1}, reads: []string{"records_by_source (pipeline=? AND entity=? AND source_id>? AND source_id<?)"}},
		"rows in Copernica":    {query: sqlite.SelectInCopernica, args: []any{"shop", "order", 1, 2, 1}, reads: []string{"records_by_copernica_id (pipeline=? AND entity=? AND copernica_id>? AND copernica_id<?)"}},
		"the highest id":       {query: sqlite.SelectHighest, args: []any{"shop", "order"}, reads: []string{"records_by_copernica_id (pipeline=? AND entity=?)"}},
		"missing rows":         {query: sqlite.SelectMissing, args: []any{"shop", "order", 1}, reads: []string{"records_missing (pipeline=? AND entity=?)"}},
		"rows to come":         {query: sqlite.SelectPending, args: []any{"shop", 1, 1}, reads: []string{"records_pending (pipeline=?)"}, whole: true},
		"e-mails":              {query: sqlite.SelectEmails, args: []any{"[]", "shop"}, reads: []string{"emails_by_hash (pipeline=? AND hash=?)"}},
		"e-mails of customers": {query: sqlite.SelectEmailsOf, args: []any{"[]", "shop"}, reads: []string{"PRIMARY KEY (pipeline=? AND key=?)"}},
		"a profile's orders":   {query: sqlite.SelectByParent, args: []any{"shop", "shop-c1", "", 1}, reads: []string{"records_by_parent (pipeline=? AND parent=? AND key>?)"}},
		"all claims":           {query: sqlite.SelectClaims, args: []any{"shop", "", 1}, reads: []string{"records_claimed (pipeline=? AND key>?)"}},
		"open claims":          {query: sqlite.SelectOpenClaims, args: []any{"shop", "", 1}, reads: []string{"records_claimed_open (pipeline=? AND key>?)"}},
		"claims of customers":  {query: sqlite.SelectClaimsOf, args: []any{"[]", "shop"}, reads: []string{"records_claimed_by (pipeline=? AND parent=?)"}},
		"claims undone":        {query: sqlite.SelectUnclaimed, args: []any{"shop", "", 1}, reads: []string{"records_unclaimed (pipeline=? AND key>?)"}},
		"opt-outs of one":      {query: sqlite.SelectOptOuts, args: []any{"shop", "a", 1}, reads: []string{"opt_outs_by_key (pipeline=? AND key=?)"}},
		"rows to move":         {query: sqlite.MoveBelow, args: []any{"shop", "shop-c1", "shop-c2"}, reads: []string{byKey, byParent, bySource}},
		"rows to strip":        {query: sqlite.BareBelow, args: []any{"shop", "shop-c1"}, reads: []string{byKey, byParent, bySource}},
		"tombstones":           {query: sqlite.SelectTombstones, args: []any{"[]", "shop"}, reads: []string{"PRIMARY KEY (pipeline=? AND person=?)"}},
		"receipts of one":      {query: sqlite.SelectErasuresOf, args: []any{"shop", "a", 1}, reads: []string{"erasures_by_key (pipeline=? AND key=?)"}},
		"runs":                 {query: sqlite.SelectRuns, args: []any{"shop", 1, 1}, reads: []string{"runs_by_pipeline (pipeline=? AND id<?)"}},
		"runs of a stream":     {query: sqlite.SelectRunsOf, args: []any{"shop", "orders", 1, 1}, reads: []string{"runs_by_stream (pipeline=? AND stream=? AND id<?)"}},
		"refusals for good": {query: sqlite.SelectResolved, args: []any{"shop", "", "", 1}, reads: []string{
			"records_refused (pipeline=? AND (entity,key)>(?,?))", "dead_letters_by_key (pipeline=? AND key=?)", "dead_letters_open (pipeline=? AND entity=? AND key=?)",
		}},
		"counted rows":     {query: sqlite.CountRecords, args: []any{"shop"}, reads: []string{"SEARCH record_counts"}, whole: true},
		"counted letters":  {query: sqlite.CountLetters, args: []any{"shop"}, reads: []string{byCause}, whole: true},
		"letters by cause": {query: sqlite.SelectGroups, args: []any{"shop"}, reads: []string{byCause, "dead_letters_by_cause (pipeline=? AND cause=?)"}, whole: true},
		"counted opt-outs": {query: sqlite.CountOptOuts, args: []any{"shop"}, reads: []string{"COVERING INDEX opt_outs_by_source (pipeline=?)"}, whole: true},
		"counted stones":   {query: sqlite.CountTaken, args: []any{"shop"}, reads: []string{"COVERING INDEX tombstones_taken (pipeline=?"}, whole: true},
		"doubles":          {query: sqlite.SelectDoubles, args: []any{"shop", "profile", "a"}, reads: []string{"PRIMARY KEY (pipeline=? AND entity=? AND key=?)"}},
		"doubles by id":    {query: sqlite.SelectDoublesByID, args: []any{"shop", "profile", 1}, reads: []string{"doubles_by_id (pipeline=? AND entity=? AND copernica_id=?)"}},
		"counted receipts": {query: sqlite.CountErasures, args: []any{"shop"}, reads: []string{"COVERING INDEX erasures_by_policy (pipeline=?)"}, whole: true},
	} {
		var text string
		for _, step := range rowsAsText(t, db, "EXPLAIN QUERY PLAN "+ask.query, ask.args...) {
			text += step[3].(string) + "\n"
		}
		for _, index := range ask.reads {
			if !strings.Contains(text, index) {
				t.Errorf("%s does not read %s:\n%s", name, index, text)
			}
		}
		if all := regexp.MustCompile(`SCAN (r|o|i|t|d|e|records)\b|\(pipeline=\?\)`).FindAllString(text, -1); len(all) > 1 || len(all) > 0 && !ask.whole {
			t.Errorf("%s reads all rows:\n%s", name, text)
		}
	}
}
