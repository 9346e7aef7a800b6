package main

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/oracle"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
	"github.com/magento-copernica/syncd/sync/engine"
)

// stageCustomers make three pages and a little.
const stageCustomers = 32

// stageOrders are the orders of a stage that has any.
const stageOrders = 60

// stageToken is the account's access token, another word than the shop's.
const stageToken = "granted-to-the-stage"

// stage is a shop and an account on loopback addresses, each behind a front that
// a test can exchange, and a state on disk. Commands run on it through the real
// command line; nothing they print may show a secret or an e-mail address.
type stage struct {
	t       *testing.T
	shop    *magentotest.Shop
	account *copernicatest.Account

	shopFront, accountFront *front
	environ                 map[string]string
	shopAhead, ownAhead     atomic.Int64 // clocks, in nanoseconds before the real one
	tune                    func(*engine.Config)
}

// newStage returns a stage of customers whose database has its fields and collections.
func newStage(t *testing.T) *stage {
	t.Helper()
	return stageOf(t, magentotest.Config{Customers: stageCustomers})
}

// newOrderStage returns a stage whose customers, and guests beside them, have ordered.
func newOrderStage(t *testing.T) *stage {
	t.Helper()
	return stageOf(t, magentotest.Config{Customers: stageCustomers, Orders: stageOrders})
}

func stageOf(t *testing.T, shop magentotest.Config) *stage {
	t.Helper()
	s := &stage{t: t}
	clock := func() time.Time { return time.Now().Add(time.Duration(s.shopAhead.Load())) }
	shop.Seed, shop.Now = 5, clock
	s.shop = magentotest.New(shop)
	s.account = copernicatest.New(copernicatest.Config{Now: time.Now})
	s.account.Revoke()
	s.account.Grant(stageToken)
	s.shopFront, s.accountFront = serveFront(t, s.shop.Handler()), serveFront(t, s.account.Handler())
	s.environ = map[string]string{
		"PATH":                         os.Getenv("PATH"),
		"HOME":                         t.TempDir(),
		"SYNCD_DATABASE_URL":           "sqlite://" + filepath.Join(t.TempDir(), "state", "syncd.db"),
		"SYNCD_MAGENTO_BASE_URL":       s.shopFront.url,
		"SYNCD_MAGENTO_ACCESS_TOKEN":   magentotest.AccessToken,
		"SYNCD_MAGENTO_PAGE_SIZE":      "10",
		"SYNCD_COPERNICA_API_URL":      s.accountFront.url + "/v4",
		"SYNCD_COPERNICA_AUTH_URL":     s.accountFront.url,
		"SYNCD_COPERNICA_ACCESS_TOKEN": stageToken,
		"SYNCD_SETTLE":                 "0s",
	}
	s.ends(exitDone, s.run("provision"))
	t.Cleanup(func() {
		// Promise 7 holds for the state's files as well.
		files, _ := filepath.Glob(s.statePath() + "*")
		for _, name := range files {
			if content, err := os.ReadFile(name); err == nil && !strings.HasSuffix(name, ".key") {
				s.sweep(string(content))
			}
		}
	})
	return s
}

// outcome is what a command left behind.
type outcome struct {
	code           int
	stdout, stderr string
}

// run executes a command line.
func (s *stage) run(args ...string) outcome {
	s.t.Helper()
	return s.runIn(s.t.Context(), false, args...)
}

func (s *stage) runIn(ctx context.Context, terminal bool, args ...string) outcome {
	s.t.Helper()
	var stdout, stderr lockedBuffer
	a := &app{
		stdout: &stdout, stderr: &stderr, environ: s.env(), terminal: terminal,
		now: func() time.Time { return time.Now().Add(time.Duration(s.ownAhead.Load())) },
		tune: func(cfg *engine.Config) {
			cfg.LookPause = 5 * time.Millisecond
			if s.tune != nil {
				s.tune(cfg)
			}
		},
	}
	code := a.run(ctx, args)
	out := outcome{code, stdout.String(), stderr.String()}
	s.sweep(out.stdout + out.stderr)
	return out
}

// env is the environment in the form of os.Environ.
func (s *stage) env() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s.environ)) {
		out = append(out, name+"="+s.environ[name])
	}
	return out
}

// jwt finds tokens that carry claims, as Magento's do: three letters alone stand among the
// hashes of a state by chance.
var jwt = regexp.MustCompile(`eyJ[0-9A-Za-z_-]{12,}`)

// sweep finds secrets and addresses of people in what a command printed.
func (s *stage) sweep(printed string) {
	s.t.Helper()
	forbidden := map[string]string{
		magentotest.AccessToken: "an access token", magentotest.Password: "the password",
		stageToken: "an access token", "hunter2": "a wrong secret",
	}
	if token := jwt.FindString(printed); token != "" {
		forbidden[token] = "a JWT"
	}
	for _, f := range []*front{s.shopFront, s.accountFront} {
		f.mu.Lock()
		for token := range f.secrets {
			forbidden[token] = "a token that was sent"
		}
		f.mu.Unlock()
	}
	for _, name := range []string{"SYNCD_ENCRYPTION_KEY", "SYNCD_MAGENTO_ACCESS_TOKEN", "SYNCD_MAGENTO_PASSWORD", "SYNCD_COPERNICA_ACCESS_TOKEN"} {
		if value := s.environ[name]; value != "" {
			forbidden[value] = "the value of " + name
		}
	}
	shop := s.shop.Data()
	for _, c := range shop.Customers {
		if c.Email != "" {
			forbidden[c.Email] = "a customer's e-mail"
		}
	}
	for _, o := range shop.Orders {
		if o.Email != "" {
			forbidden[o.Email] = "the e-mail of an order"
		}
	}
	for secret, what := range forbidden {
		if strings.Contains(printed, secret) {
			s.t.Errorf("what was printed or stored shows %s:\n%.2000s", what, printed)
		}
	}
}

// ends expects an exit code, and of a failure exactly one message that has words.
func (s *stage) ends(code int, out outcome, words ...string) {
	s.t.Helper()
	var messages []string
	for line := range strings.Lines(out.stderr) {
		if m, ok := strings.CutPrefix(line, "syncd: "); ok {
			messages = append(messages, m)
		}
	}
	if out.code != code {
		s.t.Fatalf("exit code %d, want %d\n%s%s", out.code, code, out.stdout, out.stderr)
	}
	if want := min(code, 1); len(messages) != want {
		s.t.Fatalf("%d messages, want %d:\n%s", len(messages), want, out.stderr)
	}
	if code == exitDone {
		return
	}
	s.t.Logf("exit code %d: %s", code, messages[0])
	for _, word := range words {
		if !strings.Contains(messages[0], word) {
			s.t.Errorf("message %q lacks %q", messages[0], word)
		}
	}
}

// pass lets the shop's clock pass the last change, and ours the retry times.
func (s *stage) pass(d time.Duration) {
	s.shopAhead.Add(int64(d))
	s.ownAhead.Add(int64(d))
}

// everybodyChanges edits each customer and puts the changes behind the horizon.
func (s *stage) everybodyChanges() {
	s.pass(time.Hour)
	for _, c := range s.shop.Data().Customers {
		s.shop.Edit(c.ID, func(c *magentotest.Customer) { c.LastName += " II" })
	}
	s.pass(time.Minute)
}

// statePath is the file of the state.
func (s *stage) statePath() string {
	return strings.TrimPrefix(s.environ["SYNCD_DATABASE_URL"], "sqlite://")
}

// checkpoint reads how far the state says the customers have come.
func (s *stage) checkpoint() state.Checkpoint {
	s.t.Helper()
	return s.checkpointOf(engine.Customers)
}

func (s *stage) checkpointOf(stream string) state.Checkpoint {
	s.t.Helper()
	if _, err := os.Stat(s.statePath()); os.IsNotExist(err) {
		return state.Checkpoint{}
	}
	store, err := sqlite.Open(s.t.Context(), sqlite.Config{Path: s.statePath(), EncryptionKey: s.environ["SYNCD_ENCRYPTION_KEY"]})
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close() // it was only read
	cp, err := store.Checkpoint(s.t.Context(), "shop", stream)
	if err != nil {
		s.t.Fatal(err)
	}
	cp.SavedAt, cp.Pipeline, cp.Stream = time.Time{}, "", ""
	return cp
}

// inStep runs, asks the oracle, and runs once more for nothing (promise 8).
func (s *stage) inStep() {
	s.t.Helper()
	s.ends(exitDone, s.run("run"))
	s.compare()
	before := s.account.Calls()
	s.pass(time.Second)
	s.ends(exitDone, s.run("run"))
	if calls := s.account.Calls() - before; calls != 0 {
		s.t.Errorf("promise 8: a run with nothing to write made %d calls", calls)
	}
}

func (s *stage) compare() {
	s.t.Helper()
	const database = copernicatest.DatabaseName
	shop, opts := s.shop.Data(), oracle.Options{Shop: "shop"}
	orders, profiles := oracle.ExpectOrders(shop, opts), s.account.Profiles(database)
	for what, diff := range map[string]oracle.Difference{
		"profiles": oracle.Compare(append(oracle.Expect(shop, opts), orders.Guests...), profiles),
		"orders":   oracle.CompareRows(orders.Orders, oracle.KeyOrders, s.account.Subprofiles(database, "Orders"), profiles),
		"lines":    oracle.CompareRows(orders.Items, oracle.KeyItems, s.account.Subprofiles(database, "Orders_Items"), profiles),
	} {
		if !diff.None() {
			s.t.Errorf("%s: %s\n%s", what, diff, strings.Join(diff.Examples, "\n"))
		}
	}
}

// unmoved expects the checkpoint as it was; of a pass cut short only the horizon
// of the last one counts, its pages may be done.
func (s *stage) unmoved(before state.Checkpoint, midway bool) {
	s.t.Helper()
	after := s.checkpoint()
	if midway {
		if after.Position == before.Position || after.Target.IsZero() {
			s.t.Errorf("no page was committed before the failure: %+v", after)
		}
		after.Position, after.Target, after.From, after.Version = before.Position, before.Target, before.From, before.Version
	}
	if diff := cmp.Diff(before, after); diff != "" {
		s.t.Errorf("the checkpoint moved (-before +after):\n%s", diff)
	}
}

// id is the n-th customer in the order of their changes whose e-mail is theirs alone.
func (s *stage) id(n int) int64 {
	s.t.Helper()
	people := s.shop.Data().Customers
	count := map[string]int{}
	for _, c := range people {
		count[strings.ToLower(c.Email)]++
	}
	people = slices.DeleteFunc(people, func(c magentotest.Customer) bool { return count[strings.ToLower(c.Email)] > 1 })
	slices.SortFunc(people, func(a, b magentotest.Customer) int {
		if c := a.UpdatedAt.Compare(b.UpdatedAt); c != 0 {
			return c
		}
		return int(a.ID - b.ID)
	})
	return people[n].ID
}

// letters reads the causes of the open dead letters off `syncd status --json`.
func (s *stage) letters() map[string]int64 {
	s.t.Helper()
	out := s.run("status", "--json")
	s.ends(exitDone, out)
	var status struct {
		DeadLetters struct {
			ByCause map[string]int64 `json:"by_cause"`
		} `json:"dead_letters"`
	}
	if err := json.Unmarshal([]byte(out.stdout), &status); err != nil {
		s.t.Fatal(err)
	}
	return status.DeadLetters.ByCause
}
