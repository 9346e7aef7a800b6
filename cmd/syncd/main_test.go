package main

import (
	"context"
	"errors"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/pgtest"
	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
)

// TestMain puts syncd itself into the PATH of the scripts, and of tests that start
// it as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(stopping{m}, map[string]func(){"syncd": main, "syncd-mortal": mortal})
}

// stopping stops the throw-away PostgreSQL server when the tests are over.
type stopping struct{ m *testing.M }

func (s stopping) Run() int { return pgtest.Run(s.m) }

// TestScripts runs testdata/script. Besides the usual ones the scripts have these
// commands:
//
//	exits CODE COMMAND...    run a command that ends with that exit code
//	copernica [empty]        serve an account and set the environment that leads there
//	magento N [M]            serve a shop with N customers and M orders and set the environment that leads there
//	revoke                   make the account refuse its access token
//	rename-field OLD NEW     rename a field of the account's database
//	add-field NAME TYPE [N]  add a field of that type and length
//	add-collection NAME ...  add a collection with such a field
//	postgres                 make an empty PostgreSQL database and set the environment that leads there
//	state PATH               make a state that shop "shop" has run with, and hold its lease
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_STATE_HOME", "")
			env.Values[world{}] = new(world)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":          scriptExits,
			"copernica":      scriptCopernica,
			"magento":        scriptMagento,
			"revoke":         scriptRevoke,
			"rename-field":   scriptRenameField,
			"add-field":      scriptAddField,
			"add-collection": scriptAddCollection,
			"state":          scriptState,
			"postgres":       func(ts *testscript.TestScript, _ bool, _ []string) { scriptPostgres(t, ts) },
		},
	})
}

func scriptExits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// world is what a script has started.
type world struct{ account *copernicatest.Account }

func scriptWorld(ts *testscript.TestScript) *world { return ts.Value(world{}).(*world) }

func scriptAccount(ts *testscript.TestScript) *copernicatest.Account {
	account := scriptWorld(ts).account
	if account == nil {
		ts.Fatalf("the script has not started its account with `copernica`")
	}
	return account
}

func scriptCopernica(ts *testscript.TestScript, _ bool, args []string) {
	account := copernicatest.New(copernicatest.Config{Empty: len(args) == 1 && args[0] == "empty"})
	scriptWorld(ts).account = account
	server := httptest.NewServer(account.Handler())
	ts.Defer(server.Close)
	ts.Setenv("SYNCD_COPERNICA_API_URL", server.URL+"/v4")
	ts.Setenv("SYNCD_COPERNICA_AUTH_URL", server.URL)
	ts.Setenv("SYNCD_COPERNICA_ACCESS_TOKEN", copernicatest.AccessToken)
}

func scriptMagento(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 && len(args) != 2 {
		ts.Fatalf("usage: magento N [M]")
	}
	shop := magentotest.Config{Seed: 1}
	var err error
	shop.Customers, err = strconv.Atoi(args[0])
	ts.Check(err)
	if len(args) == 2 {
		shop.Orders, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	server := httptest.NewServer(magentotest.New(shop).Handler())
	ts.Defer(server.Close)
	ts.Setenv("SYNCD_MAGENTO_BASE_URL", server.URL)
	ts.Setenv("SYNCD_MAGENTO_ACCESS_TOKEN", magentotest.AccessToken)
}

func scriptRevoke(ts *testscript.TestScript, _ bool, _ []string) { scriptAccount(ts).Revoke() }

func scriptRenameField(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: rename-field OLD NEW")
	}
	ts.Check(scriptAccount(ts).RenameField(copernicatest.DatabaseName, args[0], args[1]))
}

func scriptAddField(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(scriptAccount(ts).AddFields(copernicatest.DatabaseName, scriptField(ts, args)))
}

func scriptAddCollection(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: add-collection NAME [FIELD TYPE [N]]")
	}
	var fields []copernicatest.Field
	if len(args) > 1 {
		fields = append(fields, scriptField(ts, args[1:]))
	}
	_, err := scriptAccount(ts).CreateCollection(copernicatest.DatabaseName, args[0], fields...)
	ts.Check(err)
}

func scriptField(ts *testscript.TestScript, args []string) copernicatest.Field {
	field := copernicatest.Field{Name: args[0], Type: args[1]}
	if len(args) == 3 {
		length, err := strconv.Atoi(args[2])
		ts.Check(err)
		field.Length = length
	}
	return field
}

func scriptPostgres(t *testing.T, ts *testscript.TestScript) {
	ts.Setenv("SYNCD_DATABASE_URL", pgtest.URL(t, pgtest.Template{}))
	ts.Setenv("SYNCD_ENCRYPTION_KEY", seal.NewKey())
}

func scriptState(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: state PATH")
	}
	ctx := context.Background()
	store, err := sqlite.Open(ctx, sqlite.Config{Path: ts.MkAbs(args[0])})
	ts.Check(err)
	ts.Defer(func() { ts.Check(store.Close()) })
	_, err = store.OpenPipeline(ctx, state.Pipeline{Name: "shop", Target: "database 101 of account 1"})
	ts.Check(err)
	lease, err := store.Acquire(ctx, "shop", "host, process 7", time.Hour)
	ts.Check(err)
	began := time.Now().Add(-time.Minute)
	run := state.Run{Pipeline: "shop", Stream: "customers", Holder: lease.Holder, Fence: lease.Fence, Started: began, Outcome: state.Running}
	run.ID, err = store.StartRun(ctx, run)
	ts.Check(err)
	checkpoint := state.Checkpoint{
		Pipeline: "shop", Stream: "customers",
		Horizon: began.Truncate(time.Second).Add(-time.Hour), Target: began.Truncate(time.Second),
	}
	_, err = store.Commit(ctx, lease, state.Commit{Checkpoint: &checkpoint, Run: &run, Letters: []state.DeadLetter{{
		Pipeline: "shop", Stream: "customers", Entity: state.Profile, Key: "shop-c1", SourceID: 1, Cause: "email_empty", RunID: run.ID,
	}}})
	ts.Check(err)
}
