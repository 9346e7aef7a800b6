package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/pgtest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/postgres"
)

func acquire(tb testing.TB, s *postgres.Store) state.Lease {
	tb.Helper()
	l, err := s.Acquire(tb.Context(), "shop", "me", time.Hour)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func row(i int64) state.Record {
	return state.Record{Entity: state.Profile, Key: fmt.Sprint("shop-c", i), SourceID: i, State: state.Acknowledged, Hash: state.Hash{1}}
}

// Promise 9: a COMMIT whose answer is lost took effect once, or not at all and is done
// again; every kind of write, also those that are not the same when done twice.
func TestPromise09_AnswerOfACommitIsLost(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]pgtest.Cut{"before the server heard of it": pgtest.Before, "after the server did it": pgtest.After} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, address := t.Context(), lent(t)
			p := pgtest.NewProxy(t, address)
			s := openShop(t, postgres.Config{URL: p.URL})
			step := func(what string, do func() error) {
				t.Helper()
				before := p.Cuts()
				p.CutNext(when)
				if err := do(); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if p.Cuts() != before+1 {
					t.Fatalf("%s: its COMMIT was not spoilt", what)
				}
			}
			var (
				l   state.Lease
				run int64
				cp  state.Checkpoint
			)
			step("acquire", func() (err error) { l, err = s.Acquire(ctx, "shop", "me", time.Hour); return err })
			step("start a run", func() (err error) {
				run, err = s.StartRun(ctx, state.Run{Pipeline: "shop", Stream: "customers", Fence: l.Fence})
				return err
			})
			step("plan", func() error {
				return s.Plan(ctx, l, []state.Record{{Entity: state.Profile, Key: "shop-c1", State: state.Planned}})
			})
			for range 3 {
				step("commit", func() (err error) {
					cp, err = s.Commit(ctx, l, state.Commit{
						Checkpoint: &state.Checkpoint{Stream: "customers", Version: cp.Version},
						Records:    []state.Record{row(1), row(2)},
						Letters:    []state.DeadLetter{{Entity: state.Profile, Key: "shop-c3", Cause: "refused"}},
					})
					return err
				})
			}
			step("renew", func() (err error) { l, err = s.Renew(ctx, l, time.Hour); return err })
			if cp.Version != 3 || l.Fence != 1 {
				t.Errorf("version %d, fence %d", cp.Version, l.Fence)
			}
			letters, err := s.Letters(ctx, "shop", state.LetterFilter{Open: true, Limit: 10})
			if err != nil || len(letters) != 1 || letters[0].Attempts != 3 {
				t.Errorf("letters counted twice: %+v, %v", letters, err)
			}
			runs, err := s.Runs(ctx, "shop", state.RunFilter{Limit: 10})
			if err != nil || len(runs) != 1 || runs[0].ID != run {
				t.Errorf("runs %+v, %v", runs, err)
			}
			step("release", func() error { return s.Release(ctx, l) })
		})
	}
}

// A refusal is a refusal also when the connection breaks around it.
func TestConflictIsNotHiddenByALostAnswer(t *testing.T) {
	t.Parallel()
	p := pgtest.NewProxy(t, lent(t))
	s := openShop(t, postgres.Config{URL: p.URL})
	l := acquire(t, s)
	p.CutNext(pgtest.After)
	if _, err := s.Commit(t.Context(), l, state.Commit{Checkpoint: &state.Checkpoint{Stream: "customers"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), l, state.Commit{Checkpoint: &state.Checkpoint{Stream: "customers"}}); !errors.Is(err, state.ErrConflict) {
		t.Errorf("got %v", err)
	}
}

// The server is killed again and again while pages are committed: what Commit returned
// stays, what it refused left nothing, and the store works on by itself.
func TestServerKilledWhileCommitting(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	pgtest.Exec(t, server.URL("postgres"), "CREATE DATABASE state")
	s := openShop(t, postgres.Config{URL: server.URL("state")})
	l := acquire(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var (
		wg   sync.WaitGroup
		last state.Checkpoint
	)
	saves := make(chan struct{}, 1)
	wg.Go(func() {
		for ctx.Err() == nil {
			next := last
			next.Stream, next.Position.ID = "customers", last.Version+1
			saved, err := s.Commit(ctx, l, state.Commit{Checkpoint: &next, Records: []state.Record{row(1), {
				Entity: state.Profile, Key: "position", SourceID: last.Version + 1, State: state.Removed,
			}}})
			switch {
			case err == nil:
				last = saved
				select {
				case saves <- struct{}{}:
				default:
				}
			case errors.Is(err, state.ErrConflict), errors.Is(err, state.ErrFenced), errors.Is(err, postgres.ErrUnknown):
				t.Errorf("after version %d: %v", last.Version, err)
				return
			case ctx.Err() == nil:
				says(t, "a commit", err, "")
			}
		}
	})
	works := func() { // it commits again, and goes on for a while
		select {
		case <-saves:
			wait(t, 150*time.Millisecond)
		case <-time.After(time.Minute):
			t.Error("nothing was committed for a minute")
		}
	}
	for range 5 {
		works()
		server.Kill()
		select {
		case <-saves: // of before
		default:
		}
		if err := server.Start(); err != nil {
			t.Error(err)
			break
		}
	}
	works()
	cancel()
	wg.Wait()
	cp, err := s.Checkpoint(t.Context(), "shop", "customers")
	if err != nil || cp.Version != last.Version || cp.Position.ID != last.Version || last.Version < 5 {
		t.Errorf("the checkpoint is %+v, %v; version %d was the last one saved", cp, err, last.Version)
	}
	rows, err := s.Records(t.Context(), "shop", state.Profile, []string{"position"})
	if err != nil || rows["position"].SourceID != last.Version {
		t.Errorf("the row of version %d is %+v, %v", last.Version, rows, err)
	}
}

// wait lets a test's goroutines work for a while: there is no event to wait for.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// What a process leaves open that is stopped in the middle of a write is ended by the
// server, and its successor goes on; here the server is told to be quick about it.
func TestStoppedInTheMiddleOfAWrite(t *testing.T) {
	t.Parallel()
	address := lent(t)
	s := openShop(t, postgres.Config{URL: address})
	l := acquire(t, s)
	conn := connect(t, address)
	for _, statement := range []string{
		"SET idle_in_transaction_session_timeout = '300ms'", "BEGIN", "SELECT * FROM syncd.leases FOR UPDATE",
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if _, err := s.Commit(t.Context(), l, state.Commit{Records: []state.Record{row(1)}}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("the commit took %s and did not wait: this test shows nothing", took)
	}
}

// The lease's time is this process's: a server whose clock is wrong changes nothing, and
// a commit that waited past the expiry is refused.
func TestExpiryWhileWaitingForTheRow(t *testing.T) {
	t.Parallel()
	address := lent(t)
	var (
		mu  sync.Mutex
		now = time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	)
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	s := openShop(t, postgres.Config{URL: address, Now: clock})
	l, err := s.Acquire(t.Context(), "shop", "me", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	conn := connect(t, address)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT * FROM syncd.leases FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.Commit(t.Context(), l, state.Commit{Records: []state.Record{row(1)}})
		done <- err
	}()
	untilWaiting(t, address)
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, state.ErrFenced) {
		t.Errorf("a commit that waited past its lease: %v", err)
	}
}

// Deadlocks and serialization failures are the server's way of saying "again".
func TestDeadlockIsRepeated(t *testing.T) {
	t.Parallel()
	address := lent(t)
	s := openShop(t, postgres.Config{URL: address})
	l := acquire(t, s)
	if _, err := s.Commit(t.Context(), l, state.Commit{Records: []state.Record{row(1)}}); err != nil {
		t.Fatal(err)
	}
	// The other transaction holds the row and will ask for the lease; its patience for
	// deadlocks is longer, so that the store's is the one that the server gives up.
	conn := connect(t, address)
	for _, statement := range []string{"SET deadlock_timeout = '60s'", "BEGIN", "UPDATE syncd.records SET attempts = 7"} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.Commit(t.Context(), l, state.Commit{Records: []state.Record{row(1)}})
		done <- err
	}()
	untilWaiting(t, address)
	if _, err := conn.Exec(t.Context(), "SELECT * FROM syncd.leases FOR UPDATE"); err != nil {
		t.Fatalf("the other transaction lost: %v", err)
	}
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the commit was not repeated: %v", err)
	}
	rows, err := s.Records(t.Context(), "shop", state.Profile, []string{"shop-c1"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]state.Record{"shop-c1": row(1)}, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Failures that an operator mends say how, and none shows a password.
func TestFailuresSayWhatToDo(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	pgtest.Exec(t, server.URL("postgres"), "CREATE DATABASE faults", "CREATE ROLE app LOGIN PASSWORD 'hunter2'", "CREATE ROLE poor LOGIN PASSWORD 'hunter2'",
		"GRANT CREATE ON DATABASE faults TO app", "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", "CREATE DATABASE taken")
	pgtest.Exec(t, server.URL("taken"), "CREATE SCHEMA syncd; CREATE TABLE syncd.mine (id int)")
	app := server.TCP("app", "hunter2", "faults")
	openShop(t, postgres.Config{URL: app})
	for _, c := range []struct {
		name, url string
		setup     bool
		says      string
	}{
		{"nobody listens", "postgres://app:hunter2@127.0.0.1:1/faults", false, "cannot be reached: start it"},
		{"wrong password", server.TCP("app", "hunter2x", "faults"), true, "refuses this user or password: correct SYNCD_DATABASE_URL"},
		{"no such user", server.TCP("nobody", "hunter2", "faults"), true, "refuses this user or password"},
		{"no such database", server.TCP("app", "hunter2", "none"), true, "CREATE DATABASE"},
		{"not allowed", server.TCP("poor", "hunter2", "faults"), true, "may not do this"},
		{"no TLS", app + "?sslmode=verify-full", true, "sslmode=disable"},
		{"another encoding", server.URL("latin"), false, "ENCODING 'UTF8'"},
		{"another program's schema", server.URL("taken"), false, "was not made by syncd"},
		{"no address", "postgres://app:hunter2%@127.0.0.1/state", true, "percent-encoded"},
		{"no port", "postgres://app:hunter2@127.0.0.1:http/state", true, "the address of the PostgreSQL server"},
		{"no mode", app + "?sslmode=hunter2", true, "sslmode"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := postgres.Open(t.Context(), postgres.Config{URL: c.url, EncryptionKey: key})
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			e, ok := errors.AsType[*postgres.Error](err)
			if !strings.Contains(err.Error(), c.says) || c.setup != (ok && e.Setup) {
				t.Errorf("setup %v, want %v with %q: %v", ok && e.Setup, c.setup, c.says, err)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error shows a password, or has several lines: %v", err)
			}
		})
	}
}
