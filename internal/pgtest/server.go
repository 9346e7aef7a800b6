package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// startLimit is how long a cluster may take to start, recovery included.
const startLimit = time.Minute

// Server is a throw-away cluster. Its superuser is postgres: it is trusted through the
// socket that URL leads to, and needs a password through the port that TCP names.
type Server struct {
	dir, bin, data string
	port           int
	process        *exec.Cmd
	input          io.Closer
}

// Start starts a cluster that a test may stop, kill and start again. It goes with the
// test. Most tests need URL only.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s, err := launch()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// binaries finds the folder of the server binaries.
func binaries() (string, error) {
	candidates := []string{}
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			candidates = append(candidates, filepath.Dir(path))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
	} {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		slices.Reverse(found)
		candidates = append(candidates, found...)
	}
	for _, dir := range candidates {
		_, server := os.Stat(filepath.Join(dir, "postgres"))
		_, initdb := os.Stat(filepath.Join(dir, "initdb"))
		if server == nil && initdb == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("these tests need PostgreSQL's server binaries: install them (Debian, Ubuntu: apt-get install postgresql), or name a server in %s", urlVariable)
}

// launch makes a cluster and starts it.
func launch() (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	// A socket's path has about a hundred characters at most.
	dir, err := os.MkdirTemp("", "pgtest-")
	if err == nil && len(dir) > 70 {
		err = errors.Join(os.Remove(dir), err)
		if err == nil {
			dir, err = os.MkdirTemp("/tmp", "pgtest-")
		}
	}
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, data: filepath.Join(dir, "data")}
	if err := s.create(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// create makes the cluster's files. Nothing is forced to disk: no test looks at what a
// power failure leaves.
func (s *Server) create() error {
	if err := handOver(s.dir); err != nil {
		return err
	}
	initdb, err := s.command("initdb", "--pgdata", s.data, "--username", "postgres", "--auth-local", "trust", "--auth-host", "scram-sha-256",
		"--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	if err != nil {
		return err
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, bytes.TrimSpace(out))
	}
	f, err := os.OpenFile(filepath.Join(s.data, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(`
fsync = off
full_page_writes = off
max_connections = 200
shared_buffers = 64MB
wal_level = minimal
max_wal_senders = 0
jit = off
unix_socket_directories = '` + s.dir + `'
listen_addresses = '127.0.0.1'
`)
	return errors.Join(err, f.Close())
}

// command prepares one of the server's programs, which refuse to run as root.
func (s *Server) command(name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	return cmd, unprivileged(cmd)
}

// Start starts the cluster; it returns when connections are taken.
func (s *Server) Start() error {
	if s.process != nil {
		return errors.New("the server runs already")
	}
	if s.port != 0 { // addresses that were given out stay good
		return s.run()
	}
	var err error
	for range 5 { // another process may take the port first
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.run(); err == nil {
			return nil
		}
	}
	return err
}

// supervise runs the server until standard input ends, so that it never outlives who
// started it, whatever becomes of that process.
const supervise = `"$@" </dev/null & read -r _; kill -QUIT $! 2>/dev/null; wait $!`

func (s *Server) run() error {
	var said bytes.Buffer
	cmd, err := s.command("postgres")
	if err != nil {
		return err
	}
	cmd.Path = "/bin/sh"
	cmd.Args = []string{"sh", "-c", supervise, "sh", filepath.Join(s.bin, "postgres"), "-D", s.data, "-p", strconv.Itoa(s.port)}
	cmd.Stdout, cmd.Stderr = &said, &said
	if s.input, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.process = cmd
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		if wait(ctx); ctx.Err() != nil || s.gone() {
			s.Kill()
			return fmt.Errorf("the server did not start: %w\n%s", err, bytes.TrimSpace(said.Bytes()))
		}
	}
}

// gone reports whether the server gave up while it started.
func (s *Server) gone() bool {
	_, err := os.Stat(filepath.Join(s.data, "postmaster.pid"))
	return errors.Is(err, os.ErrNotExist)
}

// wait waits a little.
func wait(ctx context.Context) {
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Kill stops the cluster at once, as a crash does: what is under way is lost, and the
// next start has to recover. Stopping one that does not run does nothing.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	s.input.Close()  //nolint:errcheck // a pipe
	s.process.Wait() //nolint:errcheck // how a killed server ends says nothing
	s.process = nil
}

// Stop stops the cluster and removes its files.
func (s *Server) Stop() error {
	s.Kill()
	return os.RemoveAll(s.dir)
}

// URL returns the address of a database of the cluster, for its superuser.
func (s *Server) URL(database string) string {
	query := url.Values{"host": {s.dir}, "port": {strconv.Itoa(s.port)}}
	return (&url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + database, RawQuery: query.Encode()}).String()
}

// Socket returns the path of the socket the cluster listens at.
func (s *Server) Socket() string { return filepath.Join(s.dir, ".s.PGSQL."+strconv.Itoa(s.port)) }

// TCP returns the address of a database through a port, for a role with a password.
func (s *Server) TCP(role, password, database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(role, password), Path: "/" + database,
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
	}).String()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
