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
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// startLimit is how long a cluster may take to start, recovery included.
const startLimit = time.Minute

// killLimit is how long one may take to end at once.
const killLimit = 5 * time.Second

// Server is a throw-away cluster. Its superuser is postgres: it is trusted through the
// socket that URL leads to, and needs a password through the port that TCP names.
type Server struct {
	dir, bin, data string
	port           int
	process        *os.Process   // nil while it does not run
	ended          chan struct{} // closed when process has ended
	watcher        *exec.Cmd
	input          io.Closer // ends the server when it is closed
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

// watch ends the server when standard input ends, so that it never outlives who started
// it, whatever becomes of that process.
const watch = `read -r _; kill -QUIT "$1"; sleep 1; kill -KILL "$1" 2>/dev/null; rm -rf "$2"`

func (s *Server) run() error {
	var said bytes.Buffer
	server, err := s.command("postgres", "-D", s.data, "-p", strconv.Itoa(s.port))
	if err != nil {
		return err
	}
	server.Stdout, server.Stderr = &said, &said
	if err := server.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func() {
		server.Wait() //nolint:errcheck // how a killed server ends says nothing
		close(s.ended)
	}()
	s.process = server.Process
	if err := s.guard(); err != nil {
		s.Kill()
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		if s.wait(ctx) {
			s.Kill()
			return fmt.Errorf("the server did not start: %w\n%s", err, bytes.TrimSpace(said.Bytes()))
		}
	}
}

// guard starts the process that watches over the server.
func (s *Server) guard() error {
	watcher, err := s.command("sh")
	if err != nil {
		return err
	}
	watcher.Path, watcher.Args = "/bin/sh", []string{"sh", "-c", watch, "sh", strconv.Itoa(s.process.Pid), s.dir}
	if s.input, err = watcher.StdinPipe(); err != nil {
		return err
	}
	s.watcher = watcher
	return watcher.Start()
}

// wait waits a little, and reports whether waiting has become useless.
func (s *Server) wait(ctx context.Context) (over bool) {
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-s.ended:
		return true
	case <-ctx.Done():
		return true
	}
}

// Kill stops the cluster at once, as a crash does: what is under way is lost, and the
// next start has to recover. Stopping one that does not run does nothing.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	if s.watcher != nil && s.watcher.Process != nil {
		s.watcher.Process.Kill() //nolint:errcheck // it may be gone
		s.watcher.Wait()         //nolint:errcheck // it was killed
	}
	s.process.Signal(syscall.SIGQUIT) //nolint:errcheck // it may be gone
	select {
	case <-s.ended:
	case <-time.After(killLimit): // it does not listen yet
		s.process.Kill() //nolint:errcheck // it may be gone
		<-s.ended
	}
	s.process, s.watcher = nil, nil
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
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
