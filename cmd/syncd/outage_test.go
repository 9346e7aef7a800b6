package main

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/pgtest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/postgres"
)

// A server that fails in the ways that servers do, at the start of a run and in the
// middle of one: the run ends with a sentence that says what to do, nothing is written to
// Copernica whose intent the state does not know, and the next run brings both streams
// into step.
func TestPostgresTrouble(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for _, trouble := range []struct {
		name, words string
		arrange     func(t *testing.T) (address, admin string, begin, end func())
	}{
		{"down", "the PostgreSQL server cannot be reached: start it", func(t *testing.T) (string, string, func(), func()) {
			server := pgtest.Start(t)
			address := server.URL("postgres")
			return address, address, server.Kill, func() {
				if err := server.Start(); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"read-only", "the server takes no writes (a standby, or default_transaction_read_only)", func(t *testing.T) (string, string, func(), func()) {
			admin, name := ownDatabase(t)
			return pgtest.Shared(t).TCP(name, "hunter2", name), admin, func() {
					pgtest.Exec(t, admin, "ALTER DATABASE "+name+" SET default_transaction_read_only = on", endOthers)
				}, func() {
					pgtest.Exec(t, admin, "BEGIN READ WRITE; ALTER DATABASE "+name+" SET default_transaction_read_only = off; COMMIT")
				}
		}},
		{"out of connections", "the server has no connection left for syncd", func(t *testing.T) (string, string, func(), func()) {
			admin, name := ownDatabase(t)
			return pgtest.Shared(t).TCP(name, "hunter2", name), admin,
				func() { pgtest.Exec(t, admin, "ALTER ROLE "+name+" CONNECTION LIMIT 0", endOthers) },
				func() { pgtest.Exec(t, admin, "ALTER ROLE "+name+" CONNECTION LIMIT -1") }
		}},
	} {
		all.Go(func() {
			t.Run(trouble.name, func(t *testing.T) {
				address, admin, begin, end := trouble.arrange(t)
				w := newTown(t, address, small())
				ledger := w.watch(t, admin)
				fails := func(what string) {
					t.Helper()
					out, err := w.command(t, []string{"run"}, leaseFor+"=1m").CombinedOutput()
					if exitOf(err) != exitFailed || !strings.Contains(string(out), "\nsyncd: ") && !strings.HasPrefix(string(out), "syncd: ") ||
						!strings.Contains(string(out), trouble.words) || strings.Contains(string(out), "hunter2") {
						t.Errorf("%s: %v\n%s", what, err, out)
					}
				}
				begin()
				fails("at the start")
				if n := w.account.Calls(); n > 0 {
					t.Errorf("a run that could not begin made %d calls to Copernica", n)
				}
				end()

				w.front.begin(false)
				w.front.during(begin, 30)
				fails("in a run") // which tries again for less long than the trouble lasts
				end()
				w.later()
				ledger.settle([]string{"run"})
				for _, l := range legs() {
					l.happens(w)
					w.finish(t, l.args)
				}
				ledger.settle([]string{"run"})
				w.judge(t)
			})
		})
	}
	all.Wait()
}

// endOthers ends all connections to a database but the one that says so.
const endOthers = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

// ownDatabase makes a database with a role of the same name that owns it, and returns the
// superuser's address of it.
func ownDatabase(t *testing.T) (admin, name string) {
	t.Helper()
	server := pgtest.Shared(t)
	name = filepath.Base(strings.ToLower(strings.NewReplacer("/", "_", "-", "_").Replace(t.Name())))
	pgtest.Exec(t, server.URL("postgres"), "CREATE ROLE "+name+" LOGIN PASSWORD 'hunter2'", "CREATE DATABASE "+name+" OWNER "+name)
	return server.URL(name), name
}

// ledger looks at each write to the account whether the state knows the intent.
type ledger struct {
	t     *testing.T
	store *postgres.Store

	mu     sync.Mutex
	unread map[string]bool // written while the state could not be asked
	asked  int
}

// watch makes the state, and watches it from then on through an address of the superuser.
func (w *town) watch(t *testing.T, admin string) *ledger {
	t.Helper()
	if out, err := w.command(t, []string{"migrate"}).CombinedOutput(); err != nil {
		t.Fatalf("migrate: %v\n%s", err, out)
	}
	store, err := postgres.Open(t.Context(), postgres.Config{URL: admin, EncryptionKey: w.key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &ledger{t: t, store: store, unread: map[string]bool{}}
	w.front.seen = l.look
	return l
}

// look is called before the account has a write.
func (l *ledger) look(row string) {
	if strings.HasPrefix(row, "/") {
		return // named by its id alone
	}
	ctx, cancel := context.WithTimeout(l.t.Context(), 500*time.Millisecond)
	defer cancel()
	found, err := l.store.Records(ctx, "shop", entityOf(row), []string{row})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if err != nil {
		l.unread[row] = true
		return
	}
	if found[row].State != state.Planned {
		l.t.Errorf("promise 13: %s is written, and the ledger has it as %q", row, found[row].State)
	}
}

// settle asks for the rows that were written while the state was away. The way back writes
// to the shop alone.
func (l *ledger) settle(args []string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for row := range maps.Keys(l.unread) {
		found, err := l.store.Records(l.t.Context(), "shop", entityOf(row), []string{row})
		if rec := found[row]; err != nil || rec.State != state.Planned && rec.State != state.Unknown && rec.State != state.Acknowledged {
			l.t.Errorf("promise 13: %s was written, and the ledger has it as %q, %v", row, rec.State, err)
		}
	}
	l.t.Logf("%d writes looked at, %d of them later", l.asked, len(l.unread))
	if l.asked == 0 && strings.Join(args, " ") != "run unsubscribes" {
		l.t.Error("nothing was written")
	}
	l.asked = 0
	clear(l.unread)
}

// entityOf tells from a key what it is of: shop-o1, shop-i1, and profiles.
func entityOf(key string) state.Entity {
	switch _, of, _ := strings.Cut(key, "-"); of[:1] {
	case "o":
		return state.Order
	case "i":
		return state.Item
	default:
		return state.Profile
	}
}

// The server's first process is killed five times while both streams come over, and comes
// back after a moment: the account ends in step, and each write had its intent recorded.
func TestPostgresKilledFiveTimes(t *testing.T) {
	t.Parallel()
	_, random := seeded(t)
	server := pgtest.Start(t)
	address := server.URL("postgres")
	w := newTown(t, address, large())
	ledger := w.watch(t, address)
	pid := filepath.Join(pgtest.Query(t, address, "SHOW data_directory")[0][0], "postmaster.pid")
	var one sync.Mutex
	kills := 0
	kill := func() {
		one.Lock()
		defer one.Unlock()
		text, err := os.ReadFile(pid)
		if err != nil {
			t.Error(err)
			return
		}
		first, _, _ := strings.Cut(string(text), "\n")
		n, err := strconv.Atoi(first)
		if err != nil {
			t.Error(err)
			return
		}
		if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
			t.Error(err)
			return
		}
		kills++
		server.Kill() // notes that it ended
		// Its children end when they notice; until then no other server may start.
		for range 100 {
			if err = server.Start(); err == nil {
				return
			}
		}
		t.Error(err)
	}
	most := size{200 / testScale(), 500 / testScale()}
	for i, leg := range []struct{ kills, calls int }{{1, most.customers}, {3, most.orders}, {1, most.customers}, {0, 0}, {0, 0}, {0, 0}} {
		l := legs()[i]
		l.happens(w)
		for due := kills + leg.kills; kills < due; {
			before := kills
			var at []int
			for range due - kills {
				at = append(at, 10+random.IntN(max(leg.calls, 10)))
			}
			w.front.begin(false)
			w.front.during(kill, at...)
			out, err := w.command(t, l.args).CombinedOutput()
			t.Logf("killed %d times at calls %v of %v: %v", kills-before, at, l.args, err)
			if code := exitOf(err); err != nil && code != exitFailed || kills == before {
				t.Fatalf("exit code %d\n%s", code, out)
			}
			w.later()
		}
		w.finish(t, l.args)
		ledger.settle(l.args)
	}
	if kills != 5 {
		t.Errorf("the server was killed %d times", kills)
	}
	w.judge(t)
}

// The answers of COMMITs are lost, or the server never hears of them: what took effect is
// read again, within the same run, and nothing is written to Copernica before that is
// known.
func TestPromise09_AnswersOfCommitsAreLost(t *testing.T) {
	t.Parallel()
	address := inPostgres(t)
	proxy := pgtest.NewProxy(t, address)
	w := newTown(t, proxy.URL, small())
	ledger := w.watch(t, address)
	commits := 0
	proxy.AtCommits(func() pgtest.Cut { // each fourth, one way and the other in turn
		switch commits++; commits % 8 {
		case 4:
			return pgtest.After
		case 0:
			return pgtest.Before
		default:
			return pgtest.Through
		}
	})
	for _, l := range legs() {
		l.happens(w)
		w.front.begin(false)
		if out, err := w.command(t, l.args).CombinedOutput(); err != nil || !strings.Contains(string(out), "the state's answer was lost, it is read again") {
			t.Errorf("%v: %v\n%s", l.args, err, out)
		}
		ledger.settle(l.args)
	}
	proxy.AtCommits(func() pgtest.Cut { return pgtest.Through })
	if n := proxy.Cuts(); n < 8 {
		t.Errorf("%d COMMITs were cut", n)
	}
	w.judge(t)
}
