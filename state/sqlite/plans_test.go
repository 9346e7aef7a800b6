package sqlite_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/state/sqlite"
)

// What is asked about people reads its own index, and no row that is not wanted.
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
	)
	db := raw(t, path)
	for name, ask := range map[string]struct {
		query string
		reads []string
		args  []any
	}{
		"a profile's orders": {sqlite.SelectByParent, []string{"records_by_parent (pipeline=? AND parent=? AND key>?)"}, []any{"shop", "shop-c1", "", 1}},
		"all claims":         {sqlite.SelectClaims, []string{"records_claimed (pipeline=? AND key>?)"}, []any{"shop", "", 1}},
		"open claims":        {sqlite.SelectOpenClaims, []string{"records_claimed_open (pipeline=? AND key>?)"}, []any{"shop", "", 1}},
		"tombstones":         {sqlite.SelectTombstones, []string{"PRIMARY KEY (pipeline=? AND person=?)"}, []any{"[]", "shop"}},
		"rows to move":       {sqlite.MoveBelow, []string{byKey, byParent, bySource}, []any{"shop", "shop-c1", "shop-c2"}},
		"rows to strip":      {sqlite.BareBelow, []string{byKey, byParent, bySource}, []any{"shop", "shop-c1"}},
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
		if regexp.MustCompile(`SCAN (r|o|i|t|records)\b|\(pipeline=\?\)`).MatchString(text) {
			t.Errorf("%s reads all rows:\n%s", name, text)
		}
	}
}
