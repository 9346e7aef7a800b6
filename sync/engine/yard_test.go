package engine_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// graves is a tombstone file in memory.
type graves struct {
	mu     sync.Mutex
	stones map[state.Hash]time.Time
	broken error
}

func (g *graves) Bury(stones []state.Tombstone) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken != nil {
		return g.broken
	}
	for _, s := range stones {
		if g.stones == nil {
			g.stones = map[state.Hash]time.Time{}
		}
		if s.At.After(g.stones[s.Person]) {
			g.stones[s.Person] = s.At
		}
	}
	return nil
}

func (g *graves) Stones(context.Context) ([]state.Tombstone, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []state.Tombstone
	for person, at := range g.stones {
		all = append(all, state.Tombstone{Person: person, At: at})
	}
	return all, nil
}

// yard is a world whose operator wants people erased.
type yard struct {
	*world
	policy engine.ErasurePolicy
	graves *graves
	hook   func(engine.Point)
	// persons hashes as the tombstone file does; zero: as the state does.
	persons state.Hasher
}

func (w *world) yard(policy engine.ErasurePolicy) *yard {
	return &yard{world: w, policy: policy, graves: &graves{}}
}

func (y *yard) tune(cfg *engine.Config) {
	cfg.Erasure = engine.Erasure{Policy: y.policy, Anonymised: []string{"*@Anonymous.invalid", "gone-????@example.test"}}
	if y.graves != nil {
		cfg.Erasure.Graves = y.graves
	}
	cfg.TestHook, cfg.Persons = y.hook, y.persons
	if y.persons == (state.Hasher{}) {
		cfg.Persons = y.store.Hasher()
	}
}

// runs brings both streams up to date.
func (y *yard) runs() (sum state.Counters) {
	y.t.Helper()
	y.settle()
	for _, stream := range engine.Streams() {
		report, err := y.engine(y.tune).Run(y.t.Context(), stream)
		if err != nil {
			y.t.Fatalf("run %s: %v", stream, err)
		}
		sum = sum.Plus(report.Counters)
	}
	return sum
}

// sweeps makes whole rounds of the sweeps; so many may be missing.
func (y *yard) sweeps(accept int64) (sum state.Counters) {
	y.t.Helper()
	for _, stream := range []string{engine.ConsentSweep, engine.CustomersSweep, engine.OrdersSweep} {
		report, err := y.engine(y.tune).Sweep(y.t.Context(), stream, engine.Sweep{Accept: accept})
		if err != nil || report.Outcome != state.Done {
			y.t.Fatalf("sweep %s: %+v, %v", stream, report, err)
		}
		sum = sum.Plus(report.Counters)
	}
	return sum
}

func (y *yard) receipts() map[string]state.Erasure {
	y.t.Helper()
	all, err := y.store.Erasures(y.t.Context(), "shop", "", 10_000)
	if err != nil {
		y.t.Fatal(err)
	}
	found := map[string]state.Erasure{}
	for _, e := range all {
		found[e.Key] = e
	}
	return found
}

// profiles are the live profiles by key.
func (y *yard) profiles() map[string]copernicatest.Profile {
	found := map[string]copernicatest.Profile{}
	for _, p := range y.account.Profiles(database) {
		found[p.Fields["customer_id"]] = p
	}
	return found
}

// rowsOf are the orders and lines below a profile.
func (y *yard) rowsOf(profile int64) (rows []copernicatest.Subprofile) {
	for _, name := range []string{"Orders", "Orders_Items"} {
		for _, s := range y.account.Subprofiles(database, name) {
			if s.Parent == profile {
				rows = append(rows, s)
			}
		}
	}
	return rows
}

// order places an order of a customer, or of a guest with an e-mail.
func (y *yard) order(customer int64, email string) int64 {
	return y.shop.CreateOrder(magentotest.Order{
		StoreID: 1, CustomerID: customer, Guest: customer == 0, Email: email, FirstName: "Person", LastName: "Of " + email, RemoteIP: "192.0.2.77",
		Lines: []magentotest.Line{{SKU: "thing", Name: "Thing", Price: "9.95", Ordered: "2", ProductID: 7}},
	})
}

func (y *yard) anonymise(id int64) {
	y.shop.Edit(id, func(c *magentotest.Customer) {
		c.Email, c.FirstName, c.LastName = fmt.Sprintf("%d@anonymous.invalid", id), "Anonymous", "Customer"
	})
}

// customer registers somebody of website 1.
func (y *yard) customer(email string) int64 {
	return y.shop.Create(magentotest.Customer{WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "Some", LastName: "Body", Email: email, NewsletterStatus: magentotest.Subscribed})
}

func guestKey(w *world, email string) string { return w.mapping.GuestKey(1, email) }

// nobodyIs expects an e-mail nowhere in Copernica.
func (y *yard) nobodyIs(emails ...string) {
	y.t.Helper()
	dump := strings.ToLower(string(y.account.Dump()))
	for _, email := range emails {
		if strings.Contains(dump, strings.ToLower(email)) {
			y.t.Errorf("%s is in Copernica", email)
		}
	}
}

// crowd is people who are going to be erased, by how.
type crowd struct {
	deleted, anonymised, guests []int64 // customers; the guests' orders
	emails                      []string
	orders                      []int64 // all that they ever placed
}

// gather has n people of each kind order, some as guests of their own e-mail.
func (y *yard) gather(n int) *crowd {
	c := &crowd{}
	for i := range n {
		for _, kind := range []string{"deleted", "anonymised", "guest"} {
			email := fmt.Sprintf("%s+%d@erased.test", kind, i)
			c.emails = append(c.emails, email)
			if kind == "guest" {
				order := y.order(0, email)
				c.guests, c.orders = append(c.guests, order), append(c.orders, order)
				continue
			}
			id := y.customer(email)
			c.orders = append(c.orders, y.order(id, ""))
			if i%3 == 0 {
				c.orders = append(c.orders, y.order(0, email))
			}
			if kind == "deleted" {
				c.deleted = append(c.deleted, id)
			} else {
				c.anonymised = append(c.anonymised, id)
			}
		}
	}
	return c
}

// refuse changes every tenth of them while Copernica does not take it: they have open dead
// letters, of a customer or of an order.
func (y *yard) refuse(c *crowd) {
	y.t.Helper()
	refused := map[string]bool{} // the end of a path
	profiles := y.profiles()
	for i := 0; i < len(c.guests); i += 10 {
		for _, id := range []int64{c.deleted[i], c.anonymised[i]} {
			refused[fmt.Sprintf("profile/%d", profiles[y.mapping.CustomerKey(id)].ID)] = true
			y.shop.Edit(id, func(c *magentotest.Customer) { c.LastName = "Refused" })
		}
		for _, row := range y.account.Subprofiles(database, "Orders") {
			if row.Fields["order_id"] == y.mapping.OrderKey(c.guests[i]) {
				refused[fmt.Sprintf("subprofile/%d", row.ID)] = true
			}
		}
		y.shop.EditOrder(c.guests[i], func(o *magentotest.Order) { o.Status = "refused" })
	}
	refusing := y.account.Faults().Add(emulator.Fault{
		Status: 400, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"error":{"message":"Invalid data provided"}}`,
		Match: func(r *http.Request) bool {
			return r.Method == http.MethodPut && refused[strings.TrimPrefix(r.URL.Path, "/v4/")]
		},
	})
	y.runs()
	refusing.Remove()
	if n := len(y.letters()); n != len(refused) || n < len(c.guests)/10 {
		y.t.Fatalf("%d dead letters are open, want %d", n, len(refused))
	}
}

// noLetters expects every dead letter to be closed.
func (y *yard) noLetters() {
	y.t.Helper()
	if open := y.letters(); len(open) != 0 {
		y.t.Errorf("%d dead letters are open, such as %+v", len(open), open[0])
	}
}

// leave has them all go. Of the deleted ones the orders keep their e-mails, as in a shop.
func (y *yard) leave(c *crowd) {
	for _, id := range c.deleted {
		y.shop.Delete(id)
	}
	for _, id := range c.anonymised {
		y.anonymise(id)
	}
	for _, id := range c.guests {
		y.shop.EditOrder(id, func(o *magentotest.Order) { o.Email = fmt.Sprintf("guest-%d@anonymous.invalid", id) })
	}
}

// stir has every order of theirs come by again.
func (y *yard) stir(c *crowd, status string) {
	for _, id := range c.orders {
		y.shop.EditOrder(id, func(o *magentotest.Order) { o.Status = status })
	}
}
