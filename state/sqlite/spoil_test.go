package sqlite_test

import (
	"io/fs"
	"os"
	"testing"
)

// The steps below spoil a state; the suffix names the file beside the database.

func remove(suffix string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		if err := os.Remove(path + suffix); err != nil {
			t.Fatal(err)
		}
	}
}

func write(suffix, text string, mode fs.FileMode) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		if err := os.WriteFile(path+suffix, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
}

func rename(from, to string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		if err := os.Rename(path+from, path+to); err != nil {
			t.Fatal(err)
		}
	}
}

func mode(suffix string, m fs.FileMode) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		if err := os.Chmod(path+suffix, m); err != nil {
			t.Fatal(err)
		}
	}
}

func directory(suffix string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		remove(suffix)(t, path)
		if err := os.Mkdir(path+suffix, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func execute(query string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		db := raw(t, path)
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// raw opens the file behind a store, as another program would.
