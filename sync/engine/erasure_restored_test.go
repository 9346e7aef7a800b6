package engine_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// Five hundred people who were erased stay erased, whatever is done to bring them back, and
// whoever had an open dead letter has none any more.
func TestPromise19_FiveHundredPeopleStayErased(t *testing.T) {
	for policy, tc := range map[engine.ErasurePolicy]struct {
		each int
		run  func(*testing.T, magentotest.Config, func(*testing.T, *world))
	}{
		engine.EraseRemove: {170, inStores}, engine.EraseBlank: {80, inSQLite},
	} {
		each := histories(tc.each) // fewer under the race detector, like those
		t.Run(string(policy), func(t *testing.T) {
			tc.run(t, magentotest.Config{Customers: 60, Orders: 60}, func(t *testing.T, w *world) {
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
				y.refuse(c)
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
				y.noLetters()

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

// A guest who was erased and orders again gets a profile of their own, also when what stood
// there is only emptied: what is left below that one is nobody's. An older state has it under
// its id, and does not write to it either.
func TestPromise19_AGuestWhoOrdersAgainStartsAnew(t *testing.T) {
	for _, policy := range []engine.ErasurePolicy{engine.EraseRemove, engine.EraseBlank} {
		for _, older := range []bool{false, true} {
			t.Run(fmt.Sprint(policy, older), func(t *testing.T) {
				inStores(t, magentotest.Config{Customers: 30, Orders: 20}, func(t *testing.T, w *world) {
					const email = "comes.back@example.test"
					y := w.yard(policy)
					first := y.order(0, email)
					y.runs()
					was := y.profiles()[guestKey(w, email)]
					y.backUp()
					y.shop.DeleteOrder(first)
					y.sweeps(0)
					y.nobodyIs(email)
					if older {
						y.restore()
					}
					y.settle()
					y.order(0, email)
					y.runs()
					y.sweeps(0)
					y.order(0, email)
					y.runs()
					p := y.profiles()[guestKey(w, email)]
					if rows := y.rowsOf(p.ID); p.ID == was.ID || p.Fields["email"] != email || len(rows) != 4 {
						t.Errorf("%v with %v, was %d", p, rows, was.ID)
					}
					left := w.profiles()[was.ID]
					if rows := y.rowsOf(was.ID); left.Fields["customer_id"] != "" || left.Fields["email"] != "" || len(rows) != map[engine.ErasurePolicy]int{engine.EraseBlank: 2}[policy] {
						t.Errorf("%v with %v is left", left, rows)
					}
				})
			})
		}
	}
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

// What is dated after the erasure makes a new profile, which begins with it.
func TestPromise19_WhoOrdersAgainStartsAnew(t *testing.T) {
	for _, policy := range []engine.ErasurePolicy{engine.EraseRemove, engine.EraseBlank} {
		t.Run(string(policy), func(t *testing.T) {
			inStores(t, magentotest.Config{Customers: 20, Orders: 10}, func(_ *testing.T, w *world) {
				y := w.yard(policy)
				const email = "comes.back@example.test"
				id := y.customer(email)
				y.order(id, "")
				y.runs()
				y.shop.Delete(id)
				y.sweeps(0)
				y.nobodyIs(email)
				y.settle()
				old := y.order(0, email)
				y.shop.EditOrder(old, func(o *magentotest.Order) { o.CreatedAt = time.Now().AddDate(0, 0, -9) })
				y.runs()
				y.nobodyIs(email)
				y.order(0, email)
				y.runs()
				y.shop.EditOrder(old, func(o *magentotest.Order) { o.LastName = "Of the past" })
				y.runs()
				y.sweeps(0)
				p := y.profiles()[guestKey(w, email)]
				if p.Fields["email"] != email || p.Fields["lastname"] != "Of "+email || len(y.rowsOf(p.ID)) != 2 {
					y.t.Errorf("%v with %d rows", p, len(y.rowsOf(p.ID)))
				}
				// And they can be erased again.
				for _, o := range y.shop.Data().Orders {
					if o.Email == email {
						y.shop.DeleteOrder(o.ID)
					}
				}
				y.sweeps(0)
				y.nobodyIs(email)
			})
		})
	}
}

// Somebody whom a backup of the shop brings back stays erased, until they do something.
func TestPromise19_ARestoredShopBringsNobodyBack(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30, Orders: 10}, func(_ *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		id := y.customer("restored@example.test")
		order := y.order(id, "")
		y.runs()
		data := y.shop.Data()
		y.shop.Delete(id)
		y.sweeps(0)
		was := data.Customers[slices.IndexFunc(data.Customers, func(c magentotest.Customer) bool { return c.ID == id })]
		y.shop.Create(was)
		y.shop.EditOrder(order, func(o *magentotest.Order) { o.CustomerID = id })
		y.runs()
		if sum := y.sweeps(0); sum.Created != 0 {
			y.t.Errorf("%+v", sum)
		}
		y.nobodyIs("restored@example.test")
		y.shop.Edit(id, func(c *magentotest.Customer) { c.LastName = "Back" })
		y.runs()
		if p := y.profiles()[y.mapping.CustomerKey(id)]; p.Fields["lastname"] != "Back" || len(y.rowsOf(p.ID)) != 0 {
			y.t.Errorf("%v", p)
		}
	})
}
