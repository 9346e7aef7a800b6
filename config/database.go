package config

import (
	"path/filepath"
	"strings"
)

// databaseName is the file in the state's folder.
const databaseName = "syncd.db"

// StatePath returns the file of the SQLite database that holds the state; empty
// means in memory. The error is an *[Error] and repeats no part of the URL, which
// can hold a password.
func (c Config) StatePath() (string, error) {
	fail := func(problem string) (string, error) {
		return "", &Error{Variable: Prefix + "DATABASE_URL", Problem: problem}
	}

	value := c.DatabaseURL.Reveal()
	if value == "" {
		if c.StateDirectory == "" {
			return fail("is not set, and neither STATE_DIRECTORY, XDG_STATE_HOME nor HOME says where the state belongs: write sqlite:///absolute/path")
		}
		return filepath.Join(c.StateDirectory, databaseName), nil
	}
	if value == ":memory:" {
		return "", nil
	}

	scheme, rest, ok := strings.Cut(value, ":")
	switch {
	case ok && (scheme == "postgres" || scheme == "postgresql"):
		return fail("names a PostgreSQL server, which arrives with a later version: write sqlite:///absolute/path, or leave it out")
	case !ok || scheme != "sqlite":
		return fail("is of no known form: write sqlite:///absolute/path, sqlite:relative/path or :memory:")
	case strings.ContainsAny(rest, "?#"):
		return fail("holds options after the path: leave out everything from ? or #")
	}

	if rest == ":memory:" {
		return "", nil
	}
	if after, found := strings.CutPrefix(rest, "//"); found {
		if !strings.HasPrefix(after, "/") {
			return fail("names a host: write three slashes before an absolute path, sqlite:///absolute/path, or none before a relative one, sqlite:relative/path")
		}
		rest = after
	}
	if rest == "" || strings.HasSuffix(rest, "/") {
		return fail("names no file: write sqlite:///absolute/path/syncd.db")
	}
	return filepath.FromSlash(rest), nil
}
