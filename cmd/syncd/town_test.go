package main

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/oracle"
	"github.com/magento-copernica/syncd/internal/pgtest"
	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// testScale is what suites divide their numbers by under the race detector.
func testScale() int {
	if n, err := strconv.Atoi(os.Getenv("SYNCD_TEST_SCALE")); err == nil && n > 0 {
		return n
	}
	return 1
}

func amsterdam(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// size is what a town begins with.
type size struct{ customers, orders int }

func small() size { return size{40, 80} }

func large() size { return size{max(300/testScale(), 40), max(800/testScale(), 80)} }

// townInFlight is how many writes a process may have under way.
const townInFlight = 10

// town is a shop and an account in this process, in which the same things happen each
// time, and a state that processes of syncd work on one after the other.
type town struct {
	shop    *magentotest.Shop
	account *copernicatest.Account
	front   *gate
	environ []string
	key     string // of the state
	mapping *mapping.Mapping

	unsubscribed map[string]bool // keys of who opted out in Copernica

	shopAhead atomic.Int64  // by how much the shop's clock is past townBegan
	ahead     time.Duration // by how much those of the processes are before the real one
}

// townBegan is the time in the shop at first. Its clock goes on from process to process
// only, so that what happens there has the same times in every town.
func townBegan() time.Time { return time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC) }

// inFile and inPostgres are the states that a town may have.
func inFile(t *testing.T) string {
	return "sqlite://" + filepath.Join(t.TempDir(), "state", "syncd.db")
}

func inPostgres(t *testing.T) string { return pgtest.URL(t, pgtest.Template{}) }

// newTown founds a town whose state is in a database.
func newTown(t *testing.T, database string, begins size) *town {
	t.Helper()
	w := &town{key: seal.NewKey(), unsubscribed: map[string]bool{}}
	w.shop = magentotest.New(magentotest.Config{
		Seed: 7, Customers: begins.customers, Orders: begins.orders, Start: townBegan().Add(-24 * time.Hour),
		Now: func() time.Time { return townBegan().Add(time.Duration(w.shopAhead.Load())) },
	})
	// Every answer takes a moment, so that a kill meets calls in flight.
	w.account = copernicatest.New(copernicatest.Config{Latency: 2 * time.Millisecond})
	file, err := mapping.Default()
	if err != nil {
		t.Fatal(err)
	}
	if w.mapping, err = file.Compile(mapping.Options{Shop: "shop", Zone: amsterdam(t)}); err != nil {
		t.Fatal(err)
	}
	for _, table := range w.mapping.Tables() {
		var fields []copernicatest.Field
		for _, need := range w.mapping.NeedsOf(table) {
			fields = append(fields, copernicatest.Field{Name: need.Name, Type: string(need.Type), Length: need.Length, Index: need.Index})
		}
		if table == mapping.Profiles {
			err = w.account.AddFields(copernicatest.DatabaseName, fields...)
		} else {
			_, err = w.account.CreateCollection(copernicatest.DatabaseName, w.mapping.Collection(table), fields...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.front = &gate{account: w.account.Handler(), last: map[string]writing{}, again: map[int]int{}}
	shop, account := httptest.NewServer(w.shop.Handler()), httptest.NewServer(w.front)
	t.Cleanup(shop.Close)
	t.Cleanup(account.Close)
	w.environ = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + t.TempDir(),
		"SYNCD_DATABASE_URL=" + database,
		"SYNCD_ENCRYPTION_KEY=" + w.key,
		"SYNCD_MAGENTO_BASE_URL=" + shop.URL,
		"SYNCD_MAGENTO_ACCESS_TOKEN=" + magentotest.AccessToken,
		"SYNCD_MAGENTO_PAGE_SIZE=" + strconv.Itoa(max(begins.customers/15, 10)),
		"SYNCD_COPERNICA_API_URL=" + account.URL + "/v4",
		"SYNCD_COPERNICA_AUTH_URL=" + account.URL,
		"SYNCD_COPERNICA_ACCESS_TOKEN=" + copernicatest.AccessToken,
		"SYNCD_COPERNICA_CONCURRENCY=" + strconv.Itoa(townInFlight),
		"SYNCD_SETTLE=0s",
		"SYNCD_ERASURE=remove",
		"SYNCD_TOMBSTONE_FILE=" + filepath.Join(t.TempDir(), "tombstones"),
		"SYNCD_LOG_LEVEL=warn",
	}
	return w
}

// leg is a part of a town's history: what happens in the shop, and the command that
// brings it over.
type leg struct {
	happens func(*town)
	args    []string
}

// legs are the history of every town. They bring a process to every named point.
func legs() []leg {
	return []leg{
		{func(*town) {}, []string{"run", "customers"}},
		{func(*town) {}, []string{"run", "orders"}},
		// The orders come first, so that they have to bring customers.
		{(*town).peopleOrder, []string{"run", "orders"}},
		{(*town).peopleMove, []string{"run"}},
		{(*town).peopleOptOut, []string{"run", "unsubscribes"}},
		{(*town).peopleLeave, []string{"run", "customers/sweep"}},
	}
}

// peopleOrder lets people register and order, guests order, and orders change.
func (w *town) peopleOrder() {
	w.shopAhead.Store(int64(time.Hour))
	data := w.shop.Data()
	thing := func(name string) magentotest.Line {
		return magentotest.Line{SKU: name, Name: name, Price: "9.95", Ordered: "2", ProductID: 7}
	}
	few := len(data.Orders) / 20
	lined := 0
	for i := range data.Orders {
		if lined < few && len(data.Orders[i].Lines) > 1 && alone(&data.Orders[i]) {
			lined++
			w.shop.EditOrder(data.Orders[i].ID, func(o *magentotest.Order) { o.Lines = slices.Delete(o.Lines, 0, 1) })
		} else if i%20 == 0 {
			w.shop.EditOrder(data.Orders[i].ID, func(o *magentotest.Order) { o.Status, o.Lines[0].Name = "processing", o.Lines[0].Name+" (II)" })
		} else if i%20 < 5 && data.Orders[i].Invoiced != nil { // only the credit memo tells
			w.shop.DocumentQuietly(magentotest.CreditMemos, data.Orders[i].ID, nil)
		}
	}
	for i := range few {
		id := w.shop.Create(magentotest.Customer{
			WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "Just", LastName: "Now",
			Email: fmt.Sprintf("now+%d@example.test", i), NewsletterStatus: magentotest.Subscribed,
		})
		for _, name := range []string{"one", "two"} {
			w.shop.CreateOrder(magentotest.Order{StoreID: 1, CustomerID: id, Lines: []magentotest.Line{thing(name), thing(name + " more")}})
		}
		w.shop.CreateOrder(magentotest.Order{
			StoreID: 1, Guest: true, Email: fmt.Sprintf("guest+%d@example.test", i/2), FirstName: "Some", LastName: "Guest",
			Lines: []magentotest.Line{thing("three")},
		})
	}
	for i := range max(few/4, 1) { // has ordered as a guest too, and has yet to confirm the account
		id := w.shop.Create(magentotest.Customer{
			WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "Some", LastName: "Guest",
			Email: fmt.Sprintf("guest+%d@example.test", i), Confirmation: "0123456789abcdef",
		})
		w.shop.CreateOrder(magentotest.Order{StoreID: 1, CustomerID: id, Lines: []magentotest.Line{thing("five")}})
	}
	w.shopAhead.Add(int64(time.Minute))
}

// alone reports whether an order's first line belongs to no other.
func alone(o *magentotest.Order) bool {
	return o.Lines[0].ParentID == 0 && !slices.ContainsFunc(o.Lines, func(l magentotest.Line) bool { return l.ParentID == o.Lines[0].ID })
}

// peopleMove changes customers, some of whom order. Guests register, or confirm their
// account.
func (w *town) peopleMove() {
	w.shopAhead.Store(int64(2 * time.Hour))
	for i, c := range w.shop.Data().Customers {
		if i%3 == 0 {
			w.shop.Edit(c.ID, func(c *magentotest.Customer) { c.LastName += " II" })
		}
		if i%12 == 0 {
			w.shop.CreateOrder(magentotest.Order{
				StoreID: 1, CustomerID: c.ID, Lines: []magentotest.Line{{SKU: "four", Name: "four", Price: "1.10", Ordered: "1", ProductID: 7}},
			})
		}
		if c.Confirmation == "0123456789abcdef" {
			w.shop.Edit(c.ID, func(c *magentotest.Customer) { c.Confirmation = "" })
		}
	}
	for i := range 2 {
		w.shop.Create(magentotest.Customer{
			WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "Some", LastName: "Guest", Email: fmt.Sprintf("Guest+%d@example.test", 18+i),
		})
	}
	w.shopAhead.Add(int64(time.Minute))
}

// peopleOptOut unsubscribes customers in Copernica.
func (w *town) peopleOptOut() {
	w.shopAhead.Store(int64(2*time.Hour + 30*time.Minute))
	for i, c := range w.shop.Data().Customers {
		key := w.mapping.CustomerKey(c.ID)
		if i%9 == 4 && c.NewsletterStatus == magentotest.Subscribed && w.account.Unsubscribe(copernicatest.DatabaseName, key) == nil {
			w.unsubscribed[key] = true
		}
	}
	w.shopAhead.Add(int64(time.Minute))
}

// peopleLeave deletes customers, some of whom have ordered. Others change without a time
// that tells.
func (w *town) peopleLeave() {
	w.shopAhead.Store(int64(3 * time.Hour))
	data := w.shop.Data()
	for i, c := range data.Customers {
		wasGuest := slices.ContainsFunc(data.Orders, func(o magentotest.Order) bool { return o.Guest && strings.EqualFold(o.Email, c.Email) })
		if i%40 == 7 && !wasGuest || strings.HasPrefix(c.Email, "now+0@") {
			w.shop.Delete(c.ID)
		} else if i%10 == 3 {
			w.shop.EditQuietly(c.ID, func(c *magentotest.Customer) { c.LastName += " III" })
		}
	}
	w.shopAhead.Add(int64(time.Minute))
}

// command is a child process of syncd; env goes before what the town gives it.
func (w *town) command(t *testing.T, args []string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "syncd-mortal", args...)
	cmd.Env = slices.Concat(w.environ, env, []string{ahead + "=" + w.ahead.String()})
	return cmd
}

// later lets what a dead process left behind expire.
func (w *town) later() {
	w.ahead += 20*time.Second + readingTook
	w.shopAhead.Add(int64(time.Second))
}

// dies runs a child that is to be killed, and fails unless it was.
func (w *town) dies(t *testing.T, args []string, at string) {
	t.Helper()
	// What was lost twice in a row waits longer than a process lives.
	point, _, _ := strings.Cut(at, ":")
	w.front.begin(slices.Contains(lostFirst(), engine.Point(point)))
	out, err := w.command(t, args, killAt+"="+at).CombinedOutput()
	if !killed(err) {
		t.Fatalf("the child never came to %s: %v\n%s", at, err, out)
	}
	w.later()
}

// finish runs a leg until a run ends well, as systemd would restart it, and returns how
// many calls the first of these made, which may meet a write that is lost.
func (w *town) finish(t *testing.T, args []string, env ...string) (calls int) {
	t.Helper()
	var out []byte
	var err error
	for n := range 4 {
		w.front.begin(n == 0)
		out, err = w.command(t, args, env...).CombinedOutput()
		if n == 0 {
			calls = w.front.met()
		}
		if err == nil {
			return calls
		}
		w.later()
		// On a busy machine a call can outlast the short time-outs; the next run goes on.
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitFailed {
			break
		}
		env = nil
	}
	t.Fatalf("%s does not end well: %v\n%s", strings.Join(args, " "), err, out)
	return 0
}

// judge asks the oracle, and holds that one run more makes no call (promise 8).
func (w *town) judge(t *testing.T) {
	t.Helper()
	data, opts := w.shop.Data(), oracle.Options{Shop: "shop", Zone: amsterdam(t), Unsubscribed: w.unsubscribed}
	people, orders := oracle.Expect(data, opts), oracle.ExpectOrders(data, opts)
	profiles := w.account.Profiles(copernicatest.DatabaseName)
	rows := func(name string) []copernicatest.Subprofile {
		return w.account.Subprofiles(copernicatest.DatabaseName, name)
	}
	for what, diff := range map[string]oracle.Difference{
		"profiles": oracle.Compare(append(people, orders.Guests...), profiles),
		"orders":   oracle.CompareRows(orders.Orders, oracle.KeyOrders, rows(w.mapping.Collection(mapping.Orders)), profiles),
		"items":    oracle.CompareRows(orders.Items, oracle.KeyItems, rows(w.mapping.Collection(mapping.Items)), profiles),
	} {
		if !diff.None() {
			t.Errorf("%s: %s", what, diff.Report(true))
		}
	}
	w.front.begin(false)
	before := w.account.Calls()
	if out, err := w.command(t, []string{"run"}).CombinedOutput(); err != nil {
		t.Fatalf("one run more: %v\n%s", err, out)
	}
	if calls := w.account.Calls() - before; calls != 0 {
		t.Errorf("promise 8: a run with nothing to write made %d calls", calls)
	}

	for process, n := range w.front.resent() {
		if n > townInFlight {
			t.Errorf("promise 10: process %d wrote %d rows that Copernica had already; %d may have been in flight", process, n, townInFlight)
		}
	}
}

// killed reports whether a process was ended by SIGKILL.
func killed(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}
