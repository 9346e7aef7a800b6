package sqlite_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
	"github.com/magento-copernica/syncd/state/statetest"
)

// fixtureKey seals the hash key of the files in testdata. It protects nothing else.
const fixtureKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// A state of every released version opens, and everything in it is as it was.
func TestMigrationFromEachVersion(t *testing.T) {
	t.Parallel()
	place := func(t *testing.T) string { t.Helper(); return filepath.Join(t.TempDir(), "state.db") }
	statetest.Versions{
		Newest: 1,
		Place:  place,
		Restore: func(t *testing.T, statements string) string {
			t.Helper()
			path := place(t)
			execute(statements)(t, path)
			return path
		},
		Open: func(t *testing.T, path string, now func() time.Time) state.Store {
			t.Helper()
			return open(t, sqlite.Config{Path: path, EncryptionKey: fixtureKey, Now: now})
		},
		Dump:   dump,
		Schema: func(t *testing.T, path string) any { t.Helper(); return schema(t, path) },
	}.Run(t)
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

func rowsAsText(t *testing.T, db *sql.DB, query string, args ...any) [][]any {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), query, args...)
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
