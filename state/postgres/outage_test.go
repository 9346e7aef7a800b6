package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/magento-copernica/syncd/internal/pgtest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/postgres"
)

// runCalls are the calls of a run, each on its own.
func runCalls(s *postgres.Store, l state.Lease) map[string]func(context.Context) error {
	planned := []state.Record{{Entity: state.Order, Key: "shop-o1", State: state.Planned}}
	return map[string]func(context.Context) error{
		"renew":      func(ctx context.Context) error { _, err := s.Renew(ctx, l, time.Hour); return err },
		"checkpoint": func(ctx context.Context) error { _, err := s.Checkpoint(ctx, "shop", "orders"); return err },
		"records": func(ctx context.Context) error {
			_, err := s.Records(ctx, "shop", state.Profile, []string{"shop-c1"})
			return err
		},
		"by source": func(ctx context.Context) error {
			_, err := s.RecordsBySource(ctx, "shop", state.Item, []int64{1})
			return err
		},
		"by number": func(ctx context.Context) error { _, err := s.RecordsByNumber(ctx, "shop", "1"); return err },
		"pending":   func(ctx context.Context) error { _, err := s.Pending(ctx, "shop", time.Now(), 1); return err },
		"overview":  func(ctx context.Context) error { _, err := s.Overview(ctx, "shop"); return err },
		"plan":      func(ctx context.Context) error { return s.Plan(ctx, l, planned) },
		"commit": func(ctx context.Context) error {
			_, err := s.Commit(ctx, l, state.Commit{Records: []state.Record{row(1)}})
			return err
		},
		"save a run": func(ctx context.Context) error {
			_, err := s.StartRun(ctx, state.Run{Pipeline: "shop", Stream: "orders"})
			return err
		},
	}
}

// says fails the test unless err is one that an operator mends outside of syncd's
// settings, says how, and shows no password.
func says(t *testing.T, what string, err error, words string) {
	t.Helper()
	e, ok := errors.AsType[*postgres.Error](err)
	if !ok || e.Setup || !strings.Contains(err.Error(), words) {
		t.Errorf("%s: %v, which does not say %q", what, err, words)
	}
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%s shows a password: %v", what, err)
	}
}

// A server that is down, or has no connection left, is named with the way out, by every
// call of a run; nothing of those calls was kept, and the store goes on by itself.
func TestServerThatGoesAndComesBack(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	pgtest.Exec(t, server.URL("postgres"), "CREATE DATABASE state", "CREATE ROLE app LOGIN PASSWORD 'hunter2'", "ALTER DATABASE state OWNER TO app",
		"ALTER SYSTEM SET max_connections = 8", "ALTER SYSTEM SET superuser_reserved_connections = 0", "ALTER SYSTEM SET max_wal_senders = 0")
	address := server.TCP("app", "hunter2", "state")
	down := func() { server.Kill() }
	up := func() {
		t.Helper()
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	}
	down()
	_, err := postgres.Open(t.Context(), postgres.Config{URL: address, EncryptionKey: key})
	says(t, "a start without a server", err, "cannot be reached: start it")
	up()
	s := openShop(t, postgres.Config{URL: address, Connections: 2})
	s.Hurry(3, time.Second)
	l := acquire(t, s)

	var filled []*pgx.Conn
	for _, trouble := range []struct {
		name, words string
		begin, end  func()
	}{
		{"the server is down", "cannot be reached: start it", down, up},
		{"too many clients", "no connection left for syncd: close some, raise max_connections", func() {
			// The crash takes the store's connections away, and others come first.
			down()
			up()
			for range 8 {
				conn, err := pgx.Connect(t.Context(), address)
				if err != nil {
					t.Fatal(err)
				}
				filled = append(filled, conn)
			}
		}, func() {
			for _, conn := range filled {
				conn.Close(context.Background())
			}
		}},
	} {
		trouble.begin()
		var wg sync.WaitGroup
		for name, call := range runCalls(s, l) {
			wg.Go(func() { says(t, trouble.name+": "+name, call(t.Context()), trouble.words) })
		}
		wg.Wait()
		trouble.end()
		s.Hurry(8, 30*time.Second) // a server needs a moment to count those that left
		o, err := s.Overview(t.Context(), "shop")
		if err != nil || len(o.Records) != 0 || len(o.LastRuns) != 0 {
			t.Errorf("%s: calls that failed left %+v, %v", trouble.name, o, err)
		}
		s.Hurry(3, time.Second)
	}
	for name, call := range runCalls(s, l) {
		if err := call(t.Context()); err != nil {
			t.Errorf("%s, when all is well again: %v", name, err)
		}
	}
}

// A connection that breaks under a call is told as what it is, also when there is no
// other try.
func TestConnectionBreaks(t *testing.T) {
	t.Parallel()
	p := pgtest.NewProxy(t, lent(t))
	s := openShop(t, postgres.Config{URL: p.URL, Connections: 1})
	l := acquire(t, s)
	s.Hurry(1, time.Second)
	for name, call := range runCalls(s, l) {
		p.Leave()
		says(t, name, call(t.Context()), "cannot be reached")
		p.Refuse(false)
		if err := call(t.Context()); err != nil {
			t.Errorf("%s again: %v", name, err)
		}
	}
}

// Promise 9: a server that goes away at COMMIT and stays away leaves one thing unknown;
// the store says so, and reads what holds when the server is back.
func TestPromise09_ServerStaysAwayAtCommit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		when pgtest.Cut
		kept int64
	}{"before the server heard of it": {pgtest.Before, 0}, "after the server did it": {pgtest.After, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pgtest.NewProxy(t, lent(t))
			s := openShop(t, postgres.Config{URL: p.URL, Connections: 1})
			l := acquire(t, s)
			s.Hurry(3, 300*time.Millisecond)
			p.CutNext(test.when)
			p.Refuse(true)
			page := state.Commit{Checkpoint: &state.Checkpoint{Stream: "orders"}, Records: []state.Record{row(1)}}
			_, err := s.Commit(t.Context(), l, page)
			if !errors.Is(err, postgres.ErrUnknown) || !strings.Contains(err.Error(), "the next run reads it again") {
				t.Errorf("a commit: %v", err)
			}
			p.Refuse(false)
			cp, err := s.Checkpoint(t.Context(), "shop", "orders")
			if err != nil || cp.Version != test.kept {
				t.Fatalf("the checkpoint is %+v, %v; version %d was kept", cp, err, test.kept)
			}
			page.Checkpoint = &cp
			if cp, err = s.Commit(t.Context(), l, page); err != nil || cp.Version != test.kept+1 {
				t.Errorf("going on: %+v, %v", cp, err)
			}
		})
	}
}

// A server that takes no writes is named as such; it is read all the same, and written
// as soon as it takes writes, also over connections that began before.
func TestReadOnlyServer(t *testing.T) {
	t.Parallel()
	address := migrated(t)
	s := openShop(t, postgres.Config{URL: address})
	l := acquire(t, s)
	name := pgtest.Query(t, address, "SELECT current_database()")[0][0]
	writes := func(setting string) {
		t.Helper()
		pgtest.Exec(t, address, "BEGIN READ WRITE; ALTER DATABASE "+name+" SET default_transaction_read_only = "+setting+"; COMMIT")
	}
	page := state.Commit{Records: []state.Record{row(1)}}
	writes("on")
	pgtest.Exec(t, address, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "+
		"WHERE datname = current_database() AND pid <> pg_backend_pid()")
	for range 2 {
		_, err := s.Commit(t.Context(), l, page)
		says(t, "a commit", err, "takes no writes (a standby, or default_transaction_read_only)")
		says(t, "a plan", s.Plan(t.Context(), l, []state.Record{{Entity: state.Order, Key: "shop-o1", State: state.Planned}}), "target_session_attrs=read-write")
		if o, err := s.Overview(t.Context(), "shop"); err != nil || o.Pipeline.Target != "database" || len(o.Records) != 0 {
			t.Errorf("the overview: %+v, %v", o, err)
		}
	}
	writes("off")
	if _, err := s.Commit(t.Context(), l, page); err != nil {
		t.Errorf("when it takes writes again: %v", err)
	}
}

// A server without a free connection is asked again for some seconds.
func TestOutOfConnections(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	pgtest.Exec(t, server.URL("postgres"), "CREATE DATABASE narrow", "CREATE ROLE narrow LOGIN PASSWORD 'hunter2'", "ALTER DATABASE narrow OWNER TO narrow")
	address := server.TCP("narrow", "hunter2", "narrow")
	if _, _, err := postgres.Migrate(t.Context(), postgres.Config{URL: address}); err != nil {
		t.Fatal(err)
	}
	// The limit comes when the store has its connection: a server needs a moment to
	// take back those that opening it used.
	s := openShop(t, postgres.Config{URL: address, Connections: 1})
	pgtest.Exec(t, server.URL("postgres"), "ALTER ROLE narrow CONNECTION LIMIT 1")
	_, err := postgres.Open(t.Context(), postgres.Config{URL: address, EncryptionKey: key})
	if err == nil || !strings.Contains(err.Error(), "no connection left for syncd") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a second store: %v", err)
	}
	// The store in use waits for its own connections, and for the server's.
	l := acquire(t, s)
	var wg sync.WaitGroup
	for i := range int64(16) {
		wg.Go(func() {
			if _, err := s.Commit(t.Context(), l, state.Commit{Records: []state.Record{row(i)}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	pgtest.Exec(t, server.URL("postgres"), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'narrow'")
	if _, err := s.Commit(t.Context(), l, state.Commit{Records: []state.Record{row(1)}}); err != nil {
		t.Errorf("after its connection was taken away: %v", err)
	}
}
