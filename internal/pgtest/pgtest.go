// Package pgtest gives tests a PostgreSQL database of their own.
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
}

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
}

// URL returns the address of a new database, which goes with the test.
func URL(tb testing.TB, t Template) string {
	tb.Helper()
	admin, err := binary.start()
	if err != nil {
		tb.Fatal(err)
	}
	from, err := binary.template(tb.Context(), t)
	if err != nil {
		tb.Fatal(err)
	}
	name := "test_" + strings.ToLower(rand.Text()[:12])
	if err := execute(tb.Context(), admin, "CREATE DATABASE "+name+" TEMPLATE "+from); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := execute(ctx, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			tb.Errorf("drop the test's database: %v", err)
		}
	})
	return withDatabase(admin, name)
}

// Exec runs statements in a database, as another program would.
func Exec(tb testing.TB, url string, statements ...string) {
	tb.Helper()
	if err := execute(tb.Context(), url, statements...); err != nil {
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
	defer conn.Close(context.WithoutCancel(tb.Context()))
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
		made = &template{name: "template_" + strings.ToLower(rand.Text()[:12])}
		s.templates[t.Name] = made
	}
	s.mu.Unlock()
	made.once.Do(func() {
		// The test that is first must not take the others along when it is stopped.
		ctx := context.WithoutCancel(ctx)
		made.err = execute(ctx, s.admin, "CREATE DATABASE "+made.name+" TEMPLATE template0")
		if made.err == nil {
			made.err = t.Prepare(ctx, withDatabase(s.admin, made.name))
		}
	})
	return made.name, made.err
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
			errs = append(errs, execute(ctx, s.admin, "DROP DATABASE IF EXISTS "+t.name+" WITH (FORCE)"))
		}
	}
	return errors.Join(errs...)
}

func execute(ctx context.Context, url string, statements ...string) error {
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

// withDatabase leads an address to another database of its server.
func withDatabase(address, name string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address // the connection says what is wrong
	}
	u.Path = "/" + name
	return u.String()
}
