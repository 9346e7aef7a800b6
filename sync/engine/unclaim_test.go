package engine_test

import (
	"errors"
	"testing"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/engine"
)

// An operator may say that two are not one: the guest gets a profile with their orders,
// and is not claimed again.
func TestPromise17_AClaimIsUndone(t *testing.T) {
	for name, both := range map[string]bool{"one profile": false, "two profiles": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(_ *testing.T, w *world) {
				if both {
					w.register("anna@example.test", func(c *magentotest.Customer) { c.Confirmation = "0123456789abcdef" })
				}
				w.guestOrder("anna@example.test", "Anna")
				w.guestOrder("anna@example.test", "Anna")
				w.both()
				var id int64
				if both {
					for _, c := range w.shop.Data().Customers {
						if c.Email == "anna@example.test" {
							id = c.ID
						}
					}
					w.settle()
					w.shop.Edit(id, func(c *magentotest.Customer) { c.Confirmation = "" })
				} else {
					id = w.register("anna@example.test", nil)
				}
				w.order(id, "kettle")
				w.both()
				w.ordersInStep()

				guest := w.guestKey("anna@example.test")
				if _, err := w.engine(nil).Unclaim(w.t.Context(), guest); err != nil {
					w.t.Fatal(err)
				}
				w.claims[guest] = ""
				w.ordersInStep()
				w.settle()
				w.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = "Anne" })
				w.guestOrder("anna@example.test", "Anna")
				w.both()
				w.ordersInStep()
				if report, err := w.engine(nil).Unclaim(w.t.Context(), guest); err != nil || report.Counters.TargetCalls > 0 {
					w.t.Errorf("a claim undone twice: %+v, %v", report.Counters, err)
				}
				w.ordersInStep()
				if _, err := w.engine(nil).Unclaim(w.t.Context(), w.guestKey("nobody@example.test")); !errors.Is(err, engine.ErrNoClaim) {
					w.t.Errorf("no claim undone: %v", err)
				}
			})
		})
	}
}

// A guest whose account is deleted is a guest again: their order moves to their profile with
// all its lines, and stands there only.
func TestPromise17_AGuestAgain(t *testing.T) {
	for name, touch := range map[string]func(y *yard, order int64){
		"a line is added": func(y *yard, order int64) {
			y.shop.EditOrder(order, func(o *magentotest.Order) {
				o.Lines = append(o.Lines, magentotest.Line{SKU: "other", Name: "Other", Price: "5", Ordered: "1", ProductID: 8})
			})
			y.runs()
		},
		"a forced resync": func(y *yard, _ int64) {
			y.resync(y.addResync(engine.ResyncRequest{Stream: engine.Orders, Force: true}).ID, engine.Budget{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 20, Orders: 10}, func(_ *testing.T, w *world) {
				y := w.yard(engine.EraseFlag)
				const email = "family@example.test"
				id := w.register(email, nil)
				y.runs()
				order := y.order(0, email)
				y.runs()
				customer := y.profiles()[y.mapping.CustomerKey(id)]
				if len(y.rowsOf(customer.ID)) != 2 {
					y.t.Fatalf("the order is not the customer's: %v", y.rowsOf(customer.ID))
				}
				y.shop.Delete(id)
				w.sweep(engine.CustomersSweep)
				touch(y, order)
				if left := y.rowsOf(customer.ID); len(left) != 0 {
					y.t.Errorf("the customer still has %v", left)
				}
				lines := 0
				for _, o := range y.shop.Data().Orders {
					if o.ID == order {
						lines = len(o.Lines)
					}
				}
				if guest := y.profiles()[guestKey(w, email)]; len(y.rowsOf(guest.ID)) != 1+lines {
					y.t.Errorf("the guest %v has %v, of %d lines", guest, y.rowsOf(guest.ID), lines)
				}
			})
		})
	}
}

// Who was said not to be the customer is not erased with them, though they share an e-mail.
func TestPromise19_AnUndoneClaimKeepsTheGuest(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20, Orders: 10}, func(_ *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		const email = "family@example.test"
		order := y.order(0, email)
		y.runs()
		id := w.register(email, nil)
		y.runs()
		if _, err := y.engine(y.tune).Unclaim(y.t.Context(), guestKey(w, email)); err != nil {
			y.t.Fatal(err)
		}
		y.shop.Delete(id)
		y.sweeps(0)
		if _, ok := y.receipts()[y.mapping.CustomerKey(id)]; !ok {
			y.t.Error("the customer was not erased")
		}
		y.shop.EditOrder(order, func(o *magentotest.Order) { o.Status = "complete" })
		y.runs()
		y.sweeps(0)
		y.runs()
		p := y.profiles()[guestKey(w, email)]
		if rows := y.rowsOf(p.ID); p.ID == 0 || len(rows) != 2 || rows[0].Fields["status"] != "complete" {
			y.t.Errorf("the guest is %v with %v", p, rows)
		}
		if _, ok := y.receipts()[guestKey(w, email)]; ok {
			y.t.Error("the guest was erased")
		}
	})
}
