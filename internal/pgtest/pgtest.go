// Package pgtest gives tests a PostgreSQL database of their own, and a [Proxy] that breaks
// the way to it.
//
// The first test of a binary that asks for one starts a throw-away cluster from the
// server binaries installed on the machine; [Run], called from TestMain, stops it and
// removes its files. Should the binary die before that, the cluster sees its input
// close, and ends with it. Each test then works in a database made from a template.
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
//
// SYNCD_TEST_DATABASE_URL names another server to make the databases on; its role must
// be allowed to create databases. Tests that stop a server start one in any case.
//
// A machine without server binaries fails these tests: what they prove is not proved
// by leaving them out.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// urlVariable names a server to use instead of a throw-away cluster.
const urlVariable = "SYNCD_TEST_DATABASE_URL"

// shared is the cluster of this test binary and the templates in it.
type shared struct {
	mu        sync.Mutex
	server    *Server
	failure   error // why it could not be started: said to every test, tried once
	admin     string
	templates map[string]*template
}

type template struct {
	once sync.Once
	name string
	err  error
	free []string        // addresses of copies that were cleaned
	all  map[string]bool // names of all copies that are cleaned
}

// closeOthers ends what a test left open.
const closeOthers = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

//nolint:gochecknoglobals // a test binary has one cluster, and testing gives no other place for it
var binary = &shared{templates: make(map[string]*template)}

// M is what Run needs of a *testing.M; *M itself is one, for wrappers of TestMain.
type M interface{ Run() int }

// Run runs the tests, then stops what was started for them.
func Run(m M) int {
	code := m.Run()
	if err := binary.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	return code
}

// Template is how databases are made that tests copy.
type Template struct {
	// Name tells the templates of a binary apart; empty is an empty database.
	Name string
	// Prepare fills the template, once a binary.
	Prepare func(ctx context.Context, url string) error
	// Clean, when not empty, are statements that make a database as new, so that the
	// next test can have it: making one costs hundreds of files. It is for tests that
	// change nothing but rows.
	Clean string
}

// URL returns the address of a new database, which goes with the test.
func URL(tb testing.TB, t Template) string {
	tb.Helper()
	admin, err := binary.start()
	if err != nil {
		tb.Fatal(err)
	}
	if used, ok := binary.used(t); ok {
		binary.reuse(tb, t, used)
		return used
	}
	from, err := binary.template(tb.Context(), t)
	if err != nil {
		tb.Fatal(err)
	}
	name := create(tb, admin, from)
	if t.Clean != "" {
		binary.reuse(tb, t, withDatabase(admin, name))
		return withDatabase(admin, name)
	}
	drop(tb, admin, name)
	return withDatabase(admin, name)
}

// Copy returns the address of a copy of a database that nobody works in, as a backup and
// its restoration make one. It goes with the test.
func Copy(tb testing.TB, url string) string {
	tb.Helper()
	admin, err := binary.start()
	if err != nil {
		tb.Fatal(err)
	}
	name := create(tb, admin, path.Base(databaseOf(url)))
	drop(tb, admin, name)
	return withDatabase(admin, name)
}

// create makes a database from another one and returns its name.
func create(tb testing.TB, admin, from string) string {
	tb.Helper()
	name := "test_" + strings.ToLower(rand.Text()[:12])
	if err := Execute(tb.Context(), admin, "CREATE DATABASE "+name+" TEMPLATE "+from); err != nil {
		tb.Fatal(err)
	}
	return name
}

// drop has a database go with the test.
func drop(tb testing.TB, admin, name string) {
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := Execute(ctx, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			tb.Errorf("drop the test's database: %v", err)
		}
	})
}

// Shared returns the cluster of this test binary, for tests that need roles and
// addresses of their own in it. Where SYNCD_TEST_DATABASE_URL names another server, it
// starts one for the test.
func Shared(tb testing.TB) *Server {
	tb.Helper()
	if os.Getenv(urlVariable) != "" {
		return Start(tb)
	}
	if _, err := binary.start(); err != nil {
		tb.Fatal(err)
	}
	return binary.server
}

// Exec runs statements in a database, as another program would.
func Exec(tb testing.TB, url string, statements ...string) {
	tb.Helper()
	if err := Execute(tb.Context(), url, statements...); err != nil {
		tb.Fatal(err)
	}
}

// Query returns the rows of a query as text, NULL as "NULL".
func Query(tb testing.TB, url, query string) [][]string {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(tb.Context())) //nolint:errcheck // it was only read
	// The simple protocol gives every value as text.
	rows, err := conn.PgConn().Exec(tb.Context(), query).ReadAll()
	if err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	var out [][]string
	for _, result := range rows {
		for _, row := range result.Rows {
			values := make([]string, len(row))
			for i, v := range row {
				if values[i] = string(v); v == nil {
					values[i] = "NULL"
				}
			}
			out = append(out, values)
		}
	}
	return out
}

// start returns the address that databases are made through.
func (s *shared) start() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.admin == "" && s.failure == nil {
		if s.admin = os.Getenv(urlVariable); s.admin == "" {
			if s.server, s.failure = launch(); s.failure == nil {
				s.admin = s.server.URL("postgres")
			}
		}
	}
	return s.admin, s.failure
}

// template returns the name of a database to copy.
func (s *shared) template(ctx context.Context, t Template) (string, error) {
	if t.Name == "" {
		return "template0", nil
	}
	s.mu.Lock()
	made := s.templates[t.Name]
	if made == nil {
		made = &template{name: "template_" + strings.ToLower(rand.Text()[:12]), all: make(map[string]bool)}
		s.templates[t.Name] = made
	}
	s.mu.Unlock()
	made.once.Do(func() {
		// The test that is first must not take the others along when it is stopped.
		ctx := context.WithoutCancel(ctx)
		made.err = Execute(ctx, s.admin, "CREATE DATABASE "+made.name+" TEMPLATE template0")
		if made.err == nil {
			made.err = t.Prepare(ctx, withDatabase(s.admin, made.name))
		}
	})
	return made.name, made.err
}

// used returns a database that another test has finished with.
func (s *shared) used(t Template) (address string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := s.templates[t.Name]
	if t.Clean == "" || made == nil || len(made.free) == 0 {
		return "", false
	}
	address = made.free[len(made.free)-1]
	made.free = made.free[:len(made.free)-1]
	return address, true
}

// reuse gives a database to the tests that follow, once this one has ended.
func (s *shared) reuse(tb testing.TB, t Template, address string) {
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err := Execute(ctx, address, closeOthers, t.Clean)
		s.mu.Lock()
		defer s.mu.Unlock()
		made := s.templates[t.Name]
		if made.all[path.Base(databaseOf(address))] = true; err != nil {
			tb.Errorf("clean the test's database: %v", err)
			return
		}
		made.free = append(made.free, address)
	})
}

// stop drops the templates of another server, or stops the cluster.
func (s *shared) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return s.server.Stop()
	}
	var errs []error
	if s.admin != "" && s.failure == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		for _, t := range s.templates {
			t.all[t.name] = true
			for name := range t.all {
				errs = append(errs, Execute(ctx, s.admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"))
			}
		}
	}
	return errors.Join(errs...)
}

// Execute runs statements in a database, for what is no test.
func Execute(ctx context.Context, url string, statements ...string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // its statements have said all
	for _, statement := range statements {
		// The simple protocol takes several statements at once.
		if _, err := conn.PgConn().Exec(ctx, statement).ReadAll(); err != nil {
			return fmt.Errorf("%.200s: %w", statement, err)
		}
	}
	return nil
}

// databaseOf is the path of an address: its database.
func databaseOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Path
}

// withDatabase leads an address to another database of its server.
func withDatabase(address, name string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address // the connection says what is wrong
	}
	u.Path = "/" + name
	return u.String()
}
