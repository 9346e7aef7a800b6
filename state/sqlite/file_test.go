package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
)

// made is the path of a state with a key file, closed, and the hash of some content in it.
func made(t *testing.T, cfg sqlite.Config) (path string, sum state.Hash) {
	t.Helper()
	cfg.Path = filepath.Join(t.TempDir(), "state.db")
	s := open(t, cfg)
	sum = s.Hasher().Sum("profile", "content")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return cfg.Path, sum
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "var", "syncd")
	s := openShop(t, sqlite.Config{Path: filepath.Join(dir, "state.db")})
	if _, err := s.Acquire(t.Context(), "shop", "me", time.Hour); err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	err := filepath.WalkDir(filepath.Dir(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[d.IsDir()]; info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o, not %04o", path, info.Mode().Perm(), want)
		}
		names[d.Name()] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"state.db", "state.db-wal", "state.db.key", "state.db.lock", "state.db.shop.lock"} {
		if !names[name] {
			t.Errorf("%s is missing among %v", name, names)
		}
	}
	if names["state.db.new"] || names["state.db.key.new"] {
		t.Errorf("unfinished files are left among %v", names)
	}
}

func TestADirectoryOfOthersKeepsItsMode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	openShop(t, sqlite.Config{Path: filepath.Join(dir, "state.db")})
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the directory has mode %v, %v", info.Mode(), err)
	}
}

// Promise 7: a state that finds no key, or another one, refuses to start, and
// nothing is made in its place.
func TestPromise07_KeyOfAnExistingState(t *testing.T) {
	t.Parallel()
	key := seal.NewKey()
	for name, test := range map[string]struct {
		made, opened sqlite.Config
		spoil        func(t *testing.T, path string)
		says         string
	}{
		"key file gone":            {spoil: remove(".key"), says: "run again with the same SYNCD_SHOP"},
		"key file of another":      {spoil: write(".key", seal.NewKey()+"\n", 0o600), says: "another key"},
		"key file empty":           {spoil: write(".key", "", 0o600), says: "restore it from a backup"},
		"key file damaged":         {spoil: write(".key", "?", 0o600), says: "restore it from a backup"},
		"key file for the group":   {spoil: mode(".key", 0o640), says: "chmod 600"},
		"key file for everybody":   {spoil: mode(".key", 0o604), says: "chmod 600"},
		"key file is a directory":  {spoil: directory(".key"), says: "is not a file"},
		"variable instead of file": {opened: sqlite.Config{EncryptionKey: key}, says: "SYNCD_ENCRYPTION_KEY"},
		"variable gone":            {made: sqlite.Config{EncryptionKey: key}, says: "SYNCD_ENCRYPTION_KEY"},
		"another variable":         {made: sqlite.Config{EncryptionKey: key}, opened: sqlite.Config{EncryptionKey: seal.NewKey()}, says: "SYNCD_ENCRYPTION_KEY"},
		"hash key removed":         {spoil: execute("DELETE FROM sealed"), says: "restore the database"},
		"hash key damaged":         {spoil: execute("UPDATE sealed SET value = CAST(substr(value, 1, length(value) - 1) || iif(substr(value, -1) = x'00', x'01', x'00') AS BLOB)"), says: "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, _ := made(t, test.made)
			if test.spoil != nil {
				test.spoil(t, path)
			}
			before := listing(t, path)
			test.opened.Path = path
			s, err := sqlite.Open(t.Context(), test.opened)
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			if !errors.Is(err, state.ErrKey) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("the error does not say %q: %v", test.says, err)
			}
			if strings.Contains(err.Error(), "openssl") {
				t.Errorf("the error advises a new key: %v", err)
			}
			if strings.Contains(err.Error(), key) {
				t.Errorf("the error shows a key: %v", err)
			}
			if after := listing(t, path); before != after {
				t.Errorf("files before: %s, after: %s", before, after)
			}
		})
	}
}

func TestTheRightKeyOpens(t *testing.T) {
	t.Parallel()
	key := seal.NewKey()
	for name, cfg := range map[string]sqlite.Config{"key file": {}, "variable": {EncryptionKey: key}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, sum := made(t, cfg)
			if _, err := os.Stat(path + ".key"); (err == nil) != (cfg.EncryptionKey == "") {
				t.Errorf("key file: %v", err)
			}
			cfg.Path = path
			for range 2 {
				if got := openShop(t, cfg).Hasher().Sum("profile", "content"); got != sum {
					t.Error("the hash key changed")
				}
			}
		})
	}
	// A key file may be given as the variable as well, in the form it has.
	path, sum := made(t, sqlite.Config{})
	text, err := os.ReadFile(path + ".key")
	if err != nil {
		t.Fatal(err)
	}
	if got := openShop(t, sqlite.Config{Path: path, EncryptionKey: string(text)}).Hasher().Sum("profile", "content"); got != sum {
		t.Error("the hash key changed")
	}
}

func TestAnUnusableKeyIsRefusedAnywhere(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", filepath.Join(t.TempDir(), "state.db")} {
		if s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, EncryptionKey: "short"}); err == nil {
			s.Close()
			t.Errorf("path %q: opened", path)
		}
		if path != "" {
			if _, err := os.Stat(path); err == nil {
				t.Error("a database was made")
			}
		}
	}
}

// A process may die between any two steps of a creation. What it leaves is opened,
// or cleanly made anew with the key that is there.
func TestCrashWhileCreating(t *testing.T) {
	t.Parallel()
	key := seal.NewKey()
	for name, leave := range map[string][]func(t *testing.T, path string){
		"nothing but the lock":                {write(".lock", "", 0o600)},
		"half a key file":                     {write(".key.new", key[:10], 0o600)},
		"a key file":                          {write(".key", key+"\n", 0o600)},
		"a key file and an empty database":    {write(".key", key+"\n", 0o600), write("", "", 0o600)},
		"an empty database being built":       {write(".key", key+"\n", 0o600), write(".new", "", 0o600)},
		"a database being built":              {write(".key", key+"\n", 0o600), write(".new", "half a page", 0o600), write(".new-journal", "half", 0o600)},
		"a database built but not in place":   {rename("", ".new")},
		"one from another key, not in place":  {rename("", ".new"), write(".key", key+"\n", 0o600)},
		"leftovers of builds beside a state":  {write(".new", "x", 0o600), write(".key.new", "x", 0o600)},
		"a database in place, leases unknown": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "state.db")
			if strings.Contains(name, "place") || strings.Contains(name, "beside") {
				path, _ = made(t, sqlite.Config{})
			}
			for _, step := range leave {
				step(t, path)
			}
			want, _ := os.ReadFile(path + ".key")
			sum := openShop(t, sqlite.Config{Path: path}).Hasher().Sum("profile", "content")
			if got, err := os.ReadFile(path + ".key"); err != nil || len(want) > 0 && !bytes.Equal(got, want) {
				t.Errorf("the key file that was there was replaced: %v", err)
			}
			if again := openShop(t, sqlite.Config{Path: path}).Hasher().Sum("profile", "content"); again != sum {
				t.Error("the hash key changed")
			}
		})
	}
}

func TestWhatIsNotAStateIsRefused(t *testing.T) {
	t.Parallel()
	foreign := func(t *testing.T, path string) {
		t.Helper()
		remove("")(t, path)
		execute("CREATE TABLE customers (id INTEGER)")(t, path)
	}
	for name, test := range map[string]struct {
		spoil func(t *testing.T, path string)
		says  string
	}{
		"a text file":            {write("", strings.Repeat("not a database ", 100), 0o600), "not an SQLite database"},
		"a short text file":      {write("", "?", 0o600), "not made by syncd"},
		"another program's file": {foreign, "not made by syncd"},
		"a text file without a key": {func(t *testing.T, path string) {
			t.Helper()
			remove(".key")(t, path)
			write("", strings.Repeat("not a database ", 100), 0o600)(t, path)
		}, "not an SQLite database"},
		"another program's file without a key": {func(t *testing.T, path string) { t.Helper(); remove(".key")(t, path); foreign(t, path) }, "not made by syncd"},
		"a directory":                          {directory(""), "is not a file"},
		"a log without its file":               {func(t *testing.T, path string) { t.Helper(); remove("")(t, path); write("-wal", "x", 0o600)(t, path) }, "-wal"},
		"a journal without its own": {func(t *testing.T, path string) {
			t.Helper()
			remove("")(t, path)
			write("-journal", "x", 0o600)(t, path)
		}, "-journal"},
		"a newer syncd's state": {execute("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)"), "newer syncd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, _ := made(t, sqlite.Config{})
			test.spoil(t, path)
			before := listing(t, path)
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("the error does not say %q: %v", test.says, err)
			}
			if after := listing(t, path); name != "a newer syncd's state" && before != after {
				t.Errorf("files before: %s, after: %s", before, after)
			}
		})
	}
}

func TestOddPaths(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b.db", "a?b#c%20d.db", "é'\".db", "state", "file:x", "+;&=.db"} {
		path := filepath.Join(t.TempDir(), name)
		openShop(t, sqlite.Config{Path: path})
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestStatesInMemoryAreApart(t *testing.T) {
	t.Parallel()
	one, two := openShop(t, sqlite.Config{}), openShop(t, sqlite.Config{})
	l, err := one.Acquire(t.Context(), "shop", "me", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.Commit(t.Context(), l, state.Commit{Checkpoint: &state.Checkpoint{Stream: "customers"}}); err != nil {
		t.Fatal(err)
	}
	if cp, err := two.Checkpoint(t.Context(), "shop", "customers"); err != nil || cp.Version != 0 {
		t.Errorf("the other state has %+v, %v", cp, err)
	}
	if one.Hasher() == two.Hasher() {
		t.Error("two states have one hash key")
	}
	if one.Path() != "" {
		t.Errorf("a state in memory has the path %q", one.Path())
	}
}

// Dashboards read while a page is written; a write waits for another process's, but
// not longer than its caller does.
func TestReadersDoNotWaitForAWriter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := openShop(t, sqlite.Config{Path: path})
	l, err := s.Acquire(t.Context(), "shop", "me", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "UPDATE pipelines SET target = 'half done'"); err != nil {
		t.Fatal(err)
	}
	o, err := s.Overview(t.Context(), "shop")
	if err != nil || o.Pipeline.Target != "database" {
		t.Errorf("a reader beside a writer: %+v, %v", o.Pipeline, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := s.Commit(ctx, l, state.Commit{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a write beside a writer: %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the write waited %s for another process, its caller 50 ms", took)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), l, state.Commit{}); err != nil {
		t.Errorf("a write after it: %v", err)
	}
}

// What Commit promises rests on these: 2 is FULL.
func TestDurabilityOfConnections(t *testing.T) {
	t.Parallel()
	path, _ := made(t, sqlite.Config{})
	s := openShop(t, sqlite.Config{Path: path})
	if _, err := s.Acquire(t.Context(), "shop", "me", time.Hour); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "100"} {
		if got, err := s.Pragma(t.Context(), name); err != nil || got != want {
			t.Errorf("%s is %q, not %q; %v", name, got, want, err)
		}
	}
}

func TestLogsSayWhatHappensOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	cfg := sqlite.Config{Path: filepath.Join(t.TempDir(), "state.db"), Log: slog.New(slog.NewTextHandler(&out, nil))}
	openShop(t, cfg)
	if n := strings.Count(out.String(), "\n"); n != 2 || !strings.Contains(out.String(), "key file made") {
		t.Errorf("a new state said:\n%s", out.String())
	}
	key, err := os.ReadFile(cfg.Path + ".key")
	if err != nil || strings.Contains(out.String(), strings.TrimSpace(string(key))) {
		t.Errorf("the log shows the key, %v", err)
	}
	out.Reset()
	openShop(t, cfg)
	if out.Len() > 0 {
		t.Errorf("an existing state said:\n%s", out.String())
	}
}

func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// listing is the names in a state's directory.
func listing(t *testing.T, path string) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}
