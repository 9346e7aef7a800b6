package engine_test

import (
	"cmp"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/internal/oracle"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/mapping"
)

const database = copernicatest.DatabaseName

// world is a shop, an account and a state, all in this process and on one fake
// clock, with the real clients and the real HTTP chain between them.
type world struct {
	t            testing.TB
	shop         *magentotest.Shop
	account      *copernicatest.Account
	store        state.Store
	mapping      *mapping.Mapping
	zone         *time.Location
	unsubscribed map[string]bool
	owners       map[int64]string  // of orders delivered before their customer was deleted
	claims       map[string]string // of guests whose customers took another e-mail
	pageSize     int
	ahead        time.Duration                             // how far Copernica's clock is, of an account made from then on
	api          int                                       // version of Copernica's; 0: 4
	path         string                                    // of the state; empty: in memory
	states       shelf                                     // in the place of a path; nil: none
	jitter       func() float64                            // of back-offs; nil: random
	wire         func(http.RoundTripper) http.RoundTripper // around each peer; nil: nothing
	skew         time.Duration                             // how far this machine's clock is ahead
}

// inWorld runs a test in a bubble with a world of n customers.
func inWorld(t *testing.T, n int, test func(*testing.T, *world)) {
	t.Helper()
	inShop(t, magentotest.Config{Customers: n}, test)
}

// inShop runs a test in a bubble with a world around the shop of cfg.
func inShop(t *testing.T, cfg magentotest.Config, test func(*testing.T, *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, cfg, "")
		defer w.close()
		test(t, w)
	})
}

// newWorld makes a world around the shop of cfg, with its state at path, or in memory.
func newWorld(t testing.TB, cfg magentotest.Config, path string) *world {
	t.Helper()
	cfg.Seed, cfg.Now = cmp.Or(cfg.Seed, 3), time.Now
	w := &world{
		t:            t,
		shop:         magentotest.New(cfg),
		unsubscribed: map[string]bool{},
		owners:       map[int64]string{},
		claims:       map[string]string{},
		pageSize:     50,
		path:         path,
	}
	var err error
	if w.zone, err = time.LoadLocation("Europe/Amsterdam"); err != nil {
		t.Fatal(err)
	}
	if w.mapping, err = compiled(); err != nil {
		t.Fatal(err)
	}
	w.newAccount(copernicatest.Switches{})
	w.newState()
	return w
}

// compiled is the mapping of every world, which nothing changes.
var compiled = sync.OnceValues(func() (*mapping.Mapping, error) {
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		return nil, err
	}
	file, err := mapping.Default()
	if err != nil {
		return nil, err
	}
	return file.Compile(mapping.Options{Shop: "shop", Zone: zone})
})

func (w *world) close() {
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
}

// newAccount replaces the account by one with nothing but the fields of the mapping.
func (w *world) newAccount(s copernicatest.Switches) {
	w.t.Helper()
	w.account = copernicatest.New(copernicatest.Config{Now: func() time.Time { return time.Now().Add(w.ahead) }, Switches: s})
	for _, table := range w.mapping.Tables() {
		var fields []copernicatest.Field
		for _, need := range w.mapping.NeedsOf(table) {
			fields = append(fields, copernicatest.Field{Name: need.Name, Type: string(need.Type), Length: need.Length, Index: need.Index})
		}
		var err error
		if table == mapping.Profiles {
			err = w.account.AddFields(database, fields...)
		} else {
			_, err = w.account.CreateCollection(database, w.mapping.Collection(table), fields...)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// newState replaces the state by an empty one.
func (w *world) newState() {
	w.t.Helper()
	if w.store != nil {
		if err := w.store.Close(); err != nil {
			w.t.Fatal(err)
		}
	}
	if w.path != "" {
		w.emptyState()
	}
	w.openState()
}

// emptyState removes the files of a state that is closed.
func (w *world) emptyState() {
	w.t.Helper()
	files, err := filepath.Glob(w.path + "*")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			w.t.Fatal(err)
		}
	}
}

// now is what this machine's clock says.
func (w *world) now() time.Time { return time.Now().Add(w.skew) }

func (w *world) openState() {
	w.t.Helper()
	store, err := sqlite.Open(w.t.Context(), sqlite.Config{Path: w.path, Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = store
}

// engine puts an engine together, as a new process would.
func (w *world) engine(change func(*engine.Config)) *engine.Engine {
	w.t.Helper()
	chain := func(peer string, base http.RoundTripper) *httpx.Transport {
		if w.wire != nil {
			base = w.wire(base)
		}
		tr, err := httpx.New(httpx.Config{Peer: peer, Base: base, Concurrency: 10, Retries: 2, MaxBackoff: time.Second, Now: w.now, Rand: w.jitter})
		if err != nil {
			w.t.Fatal(err)
		}
		return tr
	}
	toShop, toAccount := chain("magento", w.shop.Transport()), chain("copernica", w.account.Transport())
	shop, err := magento.New(magento.Config{
		BaseURL: "http://shop.test", AccessToken: magentotest.AccessToken, Transport: toShop, PageSize: w.pageSize, Now: w.now,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	account, err := copernica.New(copernica.Config{
		APIURL: "http://127.0.0.1", Version: w.api, AuthURL: "http://127.0.0.1", AccessToken: copernicatest.AccessToken, Transport: toAccount, Now: w.now,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := engine.Config{
		Pipeline: "shop", Shop: shop, Store: w.store, Mapping: w.mapping, Holder: "test", Now: w.now,
		Open: func(ctx context.Context) (engine.Database, error) { return account.Database(ctx, database) },
		Calls: func() (int64, int64) {
			return toShop.Stats().Calls, toAccount.Stats().Calls
		},
	}
	if change != nil {
		change(&cfg)
	}
	e, err := engine.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// run makes one run and expects it to end well.
func (w *world) run() engine.Report {
	w.t.Helper()
	report, err := w.engine(nil).Run(w.t.Context(), engine.Customers)
	if err != nil {
		w.t.Fatalf("run: %v", err)
	}
	return report
}

// runOrders brings the orders over and expects it to end well.
func (w *world) runOrders() engine.Report {
	w.t.Helper()
	report, err := w.engine(nil).Run(w.t.Context(), engine.Orders)
	if err != nil {
		w.t.Fatalf("run orders: %v", err)
	}
	return report
}

// settle lets the shop's clock pass the settle time.
func (w *world) settle() { time.Sleep(time.Minute) }

// inStep asks the oracle.
func (w *world) inStep() {
	w.t.Helper()
	want := oracle.Expect(w.shop.Data(), oracle.Options{Shop: "shop", Zone: w.zone, Unsubscribed: w.unsubscribed})
	if diff := oracle.Compare(want, w.account.Profiles(database)); !diff.None() {
		w.t.Errorf("%s\n%s", diff, strings.Join(diff.Examples, "\n"))
	}
}

// ordersInStep asks the oracle about profiles, guests, orders and lines.
func (w *world) ordersInStep() {
	w.t.Helper()
	opts := oracle.Options{Shop: "shop", Zone: w.zone, Unsubscribed: w.unsubscribed, Owners: w.owners, Claims: w.claims, OneByEmail: w.mapping.OneByEmail()}
	people, orders := oracle.Expect(w.shop.Data(), opts), oracle.ExpectOrders(w.shop.Data(), opts)
	profiles := w.account.Profiles(database)
	w.same("profiles", oracle.Compare(append(people, orders.Guests...), profiles))
	w.ordersSame(orders, profiles)
}

func (w *world) ordersSame(want oracle.Orders, profiles []copernicatest.Profile) {
	w.t.Helper()
	w.same("orders", oracle.CompareRows(want.Orders, oracle.KeyOrders, w.account.Subprofiles(database, "Orders"), profiles))
	w.same("items", oracle.CompareRows(want.Items, oracle.KeyItems, w.account.Subprofiles(database, "Orders_Items"), profiles))
}

func (w *world) same(what string, diff oracle.Difference) {
	w.t.Helper()
	if !diff.None() {
		w.t.Errorf("%s: %s", what, diff.Report(true))
	}
}

// profile returns the one profile with a customer's key.
func (w *world) profile(id int64) copernicatest.Profile {
	w.t.Helper()
	var found []copernicatest.Profile
	for _, p := range w.account.Profiles(database) {
		if p.Fields["customer_id"] == w.mapping.CustomerKey(id) {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("customer %d has %d profiles", id, len(found))
	}
	return found[0]
}

func (w *world) checkpoint() state.Checkpoint { return w.checkpointOf(engine.Customers) }

func (w *world) letters() []state.DeadLetter {
	w.t.Helper()
	list, err := w.store.Letters(w.t.Context(), "shop", state.LetterFilter{Open: true, Limit: 10_000})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// ids returns the ids of the shop's first n customers on the first website whose
// e-mail no other website knows.
func (w *world) ids(n int) []int64 {
	w.t.Helper()
	people := w.shop.Data().Customers
	count := map[string]int{}
	for _, c := range people {
		count[strings.ToLower(c.Email)]++
	}
	var out []int64
	for _, c := range people {
		if len(out) < n && count[strings.ToLower(c.Email)] == 1 {
			out = append(out, c.ID)
		}
	}
	if len(out) < n {
		w.t.Fatalf("the shop has only %d such customers", len(out))
	}
	return out
}

func subscribe(w *world, id int64, status int) {
	w.shop.SetNewsletter(id, status)
	w.shop.Edit(id, func(*magentotest.Customer) {})
}

// writes counts the writes that reached the account.
func (w *world) writes() int {
	n := 0
	for call, count := range w.account.Log().Counts() {
		if strings.HasPrefix(call, "PUT ") || strings.HasPrefix(call, "POST /v4") || strings.HasPrefix(call, "DELETE ") {
			n += int(count)
		}
	}
	return n
}

func (w *world) checkpointOf(stream string) state.Checkpoint {
	w.t.Helper()
	cp, err := w.store.Checkpoint(w.t.Context(), "shop", stream)
	if err != nil {
		w.t.Fatal(err)
	}
	return cp
}
