package engine_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

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

// Five hundred people who were erased stay erased, whatever is done to bring them back.
func TestPromise19_FiveHundredPeopleStayErased(t *testing.T) {
	for policy, each := range map[engine.ErasurePolicy]int{engine.EraseRemove: 170, engine.EraseBlank: 25} {
		t.Run(string(policy), func(t *testing.T) {
			inStores(t, magentotest.Config{Customers: 60, Orders: 60}, func(t *testing.T, w *world) {
				persons, err := state.NewHasher(bytes.Repeat([]byte{7}, state.HasherKeySize))
				if err != nil {
					t.Fatal(err)
				}
				y := w.yard(policy)
				y.persons, y.pageSize = persons, 200
				c := y.gather(each)
				y.runs()
				y.runs() // claims are gathered
				here := len(y.profiles())
				y.backUp()

				all := int64(3*each + 10)
				y.leave(c)
				y.runs()
				sum := y.sweeps(all).Plus(y.sweeps(all))
				if sum.Erased != int64(3*each) || len(y.receipts()) != 3*each {
					t.Errorf("%d were erased, with %d receipts: %+v", sum.Erased, len(y.receipts()), sum)
				}
				if n := len(y.profiles()); policy == engine.EraseRemove && n != here-3*each {
					t.Errorf("%d profiles were %d", n, here)
				}
				y.nobodyIs(c.emails...)

				gone := func(when string) {
					t.Helper()
					y.nobodyIs(c.emails...)
					if t.Failed() {
						t.Fatalf("after %s", when)
					}
				}
				y.stir(c, "stirred")
				y.runs()
				gone("every order came by")
				everything := y.addResync(engine.ResyncRequest{Stream: engine.Orders, Force: true})
				if _, err := y.engine(y.tune).Resync(t.Context(), everything.ID, engine.Budget{}); err != nil {
					t.Fatal(err)
				}
				everything = y.addResync(engine.ResyncRequest{Stream: engine.Customers, Force: true})
				if _, err := y.engine(y.tune).Resync(t.Context(), everything.ID, engine.Budget{}); err != nil {
					t.Fatal(err)
				}
				gone("a resync")
				for stream, ids := range map[string][]int64{engine.Customers: append(c.deleted, c.anonymised...), engine.Orders: c.orders} {
					if _, err := y.engine(y.tune).Deliver(t.Context(), stream, ids); err != nil {
						t.Fatal(err)
					}
				}
				gone("replays")
				if _, err := y.engine(y.tune).Inspect(t.Context(), engine.Inspection{Repair: true}); err != nil {
					t.Fatal(err)
				}
				gone("a repair")

				// An older state, which knows them all as they were.
				y.restore()
				y.stir(c, "stirred again")
				y.runs()
				gone("a restored state ran")
				if _, err := y.engine(y.tune).Inspect(t.Context(), engine.Inspection{Repair: true}); err != nil {
					t.Fatal(err)
				}
				gone("a restored state was repaired")
				y.sweeps(10 * all)
				y.sweeps(10 * all)
				gone("a restored state swept")
				if calm := y.sweeps(0); calm.Missing+calm.Erased != 0 {
					t.Errorf("a restored state does not come to rest: %+v", calm)
				}

				// No state at all: a backfill, with nothing but the tombstones.
				y.reopen("new")
				y.runs()
				y.stir(c, "stirred once more")
				y.runs()
				y.sweeps(all)
				gone("a backfill into a new state")

				// One of them orders again.
				back := c.emails[0]
				y.settle()
				y.order(0, back)
				y.runs()
				p := y.profiles()[guestKey(w, back)]
				if p.Fields["email"] != back || len(y.rowsOf(p.ID)) != 2 && policy == engine.EraseRemove {
					t.Errorf("%v with %d rows", p, len(y.rowsOf(p.ID)))
				}
				y.nobodyIs(c.emails[1:]...)
			})
		})
	}
}

// Without a tombstone file a restored state finds everybody gone once more. A new one
// knows nobody who is gone: the orders that somebody placed as a guest, and that keep the
// e-mail in the shop, make a guest of them again.
func TestPromise19_WhatIsLostWithoutATombstoneFile(t *testing.T) {
	inStores(t, magentotest.Config{Customers: 30, Orders: 20}, func(t *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		y.graves = nil
		c := y.gather(3)
		y.runs()
		y.runs()
		y.backUp()
		y.leave(c)
		y.runs()
		y.sweeps(0)
		y.nobodyIs(c.emails...)
		y.restore()
		y.stir(c, "stirred")
		y.runs()
		y.sweeps(0)
		y.sweeps(0)
		y.nobodyIs(c.emails...)

		y.reopen("new")
		y.runs()
		people := y.profiles()
		for i, email := range c.emails {
			_, there := people[guestKey(w, email)]
			if orderedAsGuest := i < 2; there != orderedAsGuest {
				t.Errorf("%s: %v", email, there)
			}
		}
	})
}

// A restored state finds people gone once more, and knows when they were erased: what they
// did since is theirs.
func TestPromise19_ARestoredStateLeavesWhoCameBack(t *testing.T) {
	inStores(t, magentotest.Config{Customers: 30, Orders: 20}, func(t *testing.T, w *world) {
		const email = "came.back@example.test"
		y := w.yard(engine.EraseRemove)
		id := y.customer(email)
		y.order(id, "")
		y.runs()
		y.backUp()
		y.shop.Delete(id)
		y.sweeps(0)
		y.nobodyIs(email)
		y.settle()
		anew := y.order(0, email)
		y.runs()
		y.restore()
		y.sweeps(0)
		y.runs()
		y.sweeps(0)
		y.shop.EditOrder(anew, func(o *magentotest.Order) { o.Status = "complete" })
		y.runs()
		p := y.profiles()[guestKey(w, email)]
		if rows := y.rowsOf(p.ID); p.Fields["email"] != email || len(rows) != 2 || rows[0].Fields["status"] != "complete" {
			t.Errorf("%v with %v", p, rows)
		}
	})
}

// A tombstone file that was lost is made whole again, and one that knows more than the
// state is taken up.
func TestPromise19_StateAndFileAreMerged(t *testing.T) {
	inStores(t, magentotest.Config{Customers: 40}, func(t *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		y.runs()
		for _, id := range y.ids(5) {
			y.shop.Delete(id)
		}
		y.sweeps(0)
		whole := y.graves.stones
		if len(whole) < 5 {
			t.Fatalf("%d tombstones", len(whole))
		}
		other := state.Tombstone{Person: state.Hash{9}, At: time.Now().Truncate(time.Millisecond)}
		y.graves = &graves{}
		if err := y.graves.Bury([]state.Tombstone{other}); err != nil {
			t.Fatal(err)
		}
		y.runs()
		if len(y.graves.stones) != len(whole)+1 {
			t.Errorf("the file has %d of %d", len(y.graves.stones), len(whole)+1)
		}
		known, err := y.store.Tombstones(t.Context(), "shop", []state.Hash{other.Person})
		if err != nil || !known[other.Person].Equal(other.At) {
			t.Errorf("the state has %v, %v", known, err)
		}
	})
}
