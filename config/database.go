package config

import (
	"net"
	"net/url"
	"path/filepath"
	"strings"
)

// databaseName is the file in the state's folder.
const databaseName = "syncd.db"

// StateServer returns the address of the PostgreSQL server that holds the state; false
// means that it is kept in SQLite.
func (c Config) StateServer() (Secret, bool) {
	scheme, _, _ := strings.Cut(c.DatabaseURL.Reveal(), ":")
	return c.DatabaseURL, scheme == "postgres" || scheme == "postgresql"
}

// StatePlace says for people where the state is kept: a file, or a server and its
// database, without user and password.
func (c Config) StatePlace() string {
	server, ok := c.StateServer()
	if !ok {
		path, err := c.StatePath()
		if err == nil && path == "" {
			return "memory"
		}
		return path
	}
	u, err := url.Parse(server.Reveal())
	if err != nil {
		return "PostgreSQL"
	}
	host := u.Host
	if dir := u.Query().Get("host"); host == "" && dir != "" {
		host = dir
	}
	if name, _, err := net.SplitHostPort(host); err == nil && name == "" {
		host = "localhost" + host
	}
	if strings.HasPrefix(host, "/") {
		return "PostgreSQL at " + host + ", database " + strings.TrimPrefix(u.Path, "/")
	}
	return "postgres://" + host + u.Path
}

// checkState reports what keeps the state from being opened at all.
func (c Config) checkState(p *problems, key bool) {
	server, ok := c.StateServer()
	if !ok {
		if _, err := c.StatePath(); err != nil {
			*p = append(*p, err)
		}
		return
	}
	u, err := url.Parse(server.Reveal())
	switch {
	case err != nil:
		p.add("DATABASE_URL", "is not an address: write postgres://user:password@host:5432/database, with what is special in a password percent-encoded")
	case strings.Trim(u.Path, "/") == "" && !u.Query().Has("dbname") && !u.Query().Has("service"):
		p.add("DATABASE_URL", "names no database: write postgres://user:password@host:5432/database")
	}
	if key && c.EncryptionKey.IsZero() {
		p.add("ENCRYPTION_KEY", "is not set, and a state in PostgreSQL needs it: make one with `openssl rand -base64 32`, and keep it as long as the state")
	}
}

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
		return fail("names a PostgreSQL server, where a file is needed: write sqlite:///absolute/path, or leave it out")
	case !ok || scheme != "sqlite":
		return fail("is of no known form: write sqlite:///absolute/path, sqlite:relative/path, :memory: or postgres://user:password@host:5432/database")
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
