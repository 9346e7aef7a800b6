package engine_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// Whatever happens to the answers of writes below profiles, each row is there once.
func TestPromise10_RowsBelowProfilesAreLookedUpFirst(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault emulator.Fault
	}{
		{"500 before it was applied", emulator.Fault{Kind: emulator.Status, Status: 500}},
		{"500 after it was applied", emulator.Fault{Kind: emulator.Status, Status: 500, After: true}},
		{"reset after it was applied", emulator.Fault{Kind: emulator.Reset, After: true}},
		{"a page with status 200", emulator.Fault{Kind: emulator.HTML, Status: 200}},
		{"no answer, applied", emulator.Fault{Kind: emulator.Hang, After: true}},
		{"no answer, not applied", emulator.Fault{Kind: emulator.Hang}},
	} {
		for _, method := range []string{http.MethodPut, http.MethodDelete} {
			t.Run(method+" "+tc.name, func(t *testing.T) {
				inShop(t, magentotest.Config{Customers: 30, Orders: 40}, func(t *testing.T, w *world) {
					w.run()
					if method == http.MethodDelete {
						w.runOrders()
						for _, o := range w.shop.Data().Orders {
							w.shop.EditOrder(o.ID, func(o *magentotest.Order) { o.Lines = append(o.Lines[:0:0], line("anew")) })
						}
						w.settle()
					}
					f := tc.fault
					f.Method, f.PathContains, f.Skip, f.Times = method, "/subprofile", 5, 3
					spoilt := w.account.Faults().Add(f)
					w.runOrders()
					if spoilt.Hits() != 3 {
						t.Fatalf("the fault struck %d times", spoilt.Hits())
					}
					for range 3 {
						time.Sleep(time.Hour)
						w.runOrders()
					}
					w.ordersInStep()
					before := w.account.Log().Total()
					w.runOrders()
					if w.account.Log().Total() != before {
						t.Error("the outcome was not recorded: another run calls again")
					}
				})
			})
		}
	}
}

// What is written below a removed profile is seen by nobody (copernica-behaviours 43).
func TestPromise15_AProfileThatIsGoneIsMadeAnewBeforeItsOrders(t *testing.T) {
	inWorld(t, 10, func(_ *testing.T, w *world) {
		id := w.ids(1)[0]
		w.guestOrder("an@example.test", "An")
		w.order(id, "one")
		w.settle()
		w.run()
		w.runOrders()
		for _, p := range w.account.Profiles(database) {
			if p.Fields["customer_id"] == w.mapping.CustomerKey(id) || p.Fields["customer_id"] == w.mapping.GuestKey(1, "an@example.test") {
				if err := w.account.RemoveProfile(p.ID); err != nil {
					w.t.Fatal(err)
				}
			}
		}
		w.shop.EditOrder(1, func(o *magentotest.Order) { o.Status = "processing"; o.Lines = append(o.Lines, line("more")) })
		w.shop.EditOrder(2, func(o *magentotest.Order) { o.Status = "processing"; o.Lines = append(o.Lines, line("more")) })
		time.Sleep(2 * time.Minute)
		w.runOrders()
		w.ordersInStep()
	})
}

// A subprofile cannot move: an order that gets another owner is written below that
// profile, and the row that we made below the old one is removed.
func TestAnOrderThatGetsAnotherOwnerMoves(t *testing.T) {
	for _, spoilt := range []bool{false, true} {
		t.Run(map[bool]string{false: "at once", true: "though the removal has no answer"}[spoilt], func(t *testing.T) {
			inWorld(t, 10, func(t *testing.T, w *world) {
				id := w.ids(1)[0]
				order := w.guestOrder("an@example.test", "An")
				w.guestOrder("an@example.test", "An")
				w.settle()
				w.run()
				w.runOrders()
				w.shop.EditOrder(order, func(o *magentotest.Order) { o.Guest, o.CustomerID = false, id })
				if spoilt {
					w.account.Faults().Add(emulator.Fault{Kind: emulator.Hang, Method: http.MethodDelete, Times: 4})
				}
				w.settle()
				w.runOrders()
				w.account.Faults().Clear()
				time.Sleep(3 * time.Hour)
				w.runOrders()
				w.ordersInStep()
				if n := len(w.account.Subprofiles(database, "Orders")); n != 2 {
					t.Errorf("%d order rows", n)
				}
				before := w.account.Log().Total()
				w.settle()
				if w.runOrders(); w.account.Log().Total() != before {
					t.Error("a settled move costs calls")
				}
			})
		})
	}
}

// An order whose customer Copernica refuses has one dead letter, and comes along when
// that is mended and the letter replayed.
func TestPromise23_AnOrderSharesTheFateOfItsCustomer(t *testing.T) {
	inWorld(t, 10, func(_ *testing.T, w *world) {
		id := w.shop.Create(magentotest.Customer{WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "No", LastName: "Mail", Email: ""})
		order := w.order(id, "one", "two")
		w.settle()
		w.run()
		report := w.runOrders()
		letters := w.letters()
		if report.Outcome != state.Done || report.Counters.Refused != 1 || len(letters) != 2 {
			w.t.Fatalf("%+v: %+v", report, letters)
		}
		if l := letters[0]; l.Cause != "profile_missing" || l.Entity != state.Order || l.SourceID != order || l.Stream != engine.Orders {
			w.t.Errorf("%+v", l)
		}
		w.settle()
		if again := w.runOrders(); again.Counters.TargetCalls != 0 || again.Counters.Refused != 0 {
			w.t.Errorf("refused again: %+v", again.Counters)
		}
		w.shop.Edit(id, func(c *magentotest.Customer) { c.Email = "mail@example.test" })
		w.settle()
		w.run()
		report, err := w.engine(nil).Deliver(w.t.Context(), engine.Orders, []int64{order})
		if err != nil || report.Counters.Created != 3 || len(w.letters()) != 0 {
			w.t.Errorf("the replay: %+v, %v, %+v", report.Counters, err, w.letters())
		}
		w.ordersInStep()
	})
}

// Orders need collections; customers do not.
func TestPromise12_MissingCollectionsStopTheOrdersOnly(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 10, Orders: 10}, func(_ *testing.T, w *world) {
		other := copernicatest.New(copernicatest.Config{Now: time.Now})
		for _, need := range w.mapping.Needs() {
			if err := other.AddFields(database, copernicatest.Field{Name: need.Name, Type: string(need.Type), Length: need.Length, Index: need.Index}); err != nil {
				w.t.Fatal(err)
			}
		}
		w.account = other
		w.run()
		report, err := w.engine(nil).Run(w.t.Context(), engine.Orders)
		if fault.ClassOf(err) != fault.Configuration || report.Counters.Created != 0 || report.Outcome != state.Failed {
			w.t.Errorf("%+v, %v", report, err)
		}
		if cp := w.checkpointOf(engine.Orders); cp.Version != 0 {
			w.t.Error("the checkpoint moved")
		}
	})
}

// Copernica drops the values of a field that is gone without a word, so a page that
// wrote counts only when the collections fit after it as well.
func TestPromise12_AFieldThatGoesWhileOrdersAreWritten(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30, Orders: 60}, func(_ *testing.T, w *world) {
		w.run()
		dropped := false
		_, err := w.engine(func(cfg *engine.Config) {
			cfg.Writes = 1
			cfg.TestHook = func(p engine.Point) {
				if p == engine.PointSentOrder && !dropped {
					dropped = true
					time.Sleep(5 * time.Second)
					if err := w.account.DropCollectionField(database, "Orders", "status"); err != nil {
						w.t.Error(err)
					}
				}
			}
		}).Run(w.t.Context(), engine.Orders)
		if fault.ClassOf(err) != fault.Configuration {
			w.t.Fatalf("the run ended with %v", err)
		}
		field := copernicatest.Field{Name: "status", Type: "text", Length: 50}
		if err := w.account.AddCollectionFields(database, "Orders", field); err != nil {
			w.t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		w.runOrders()
		w.ordersInStep()
	})
}

// A lost state finds the orders again as they are: one look a row, and no write but of
// guests whose older order comes by first.
func TestALostStateAdoptsOrders(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 40, Orders: 80}, func(_ *testing.T, w *world) {
		w.run()
		w.runOrders()
		before := w.writes()
		w.newState()
		w.settle()
		w.run()
		began := time.Now()
		report := w.runOrders()
		took, writes := time.Since(began), w.writes()-before
		if report.Counters.Created != 0 || writes > 10 || took > time.Second {
			w.t.Errorf("%d writes in %s: %+v", writes, took, report.Counters)
		}
		w.ordersInStep()
	})
}

// Nobody answered when an order's rows were written, and by the next run the order is
// somebody else's: what did arrive below the first profile is moved as well.
func TestPromise10_ARowWithoutAnOutcomeMovesWithItsOrder(t *testing.T) {
	for _, tc := range []struct {
		name            string
		claimed, killed bool // killed: what is known of the guest's profile is forgotten as well
	}{
		{name: "to a customer"},
		{name: "to a customer, after a kill", killed: true},
		{name: "with a guest who registers", claimed: true},
		{name: "with a guest who registers, after a kill", claimed: true, killed: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inWorld(t, 10, func(t *testing.T, w *world) {
				customer := w.register("an@example.test", func(c *magentotest.Customer) { c.Confirmation = "0123456789abcdef" })
				order := w.guestOrder("an@example.test", "An")
				w.settle()
				w.run()
				if tc.killed {
					w.diesAt(engine.PointSentItem)
				} else {
					w.losesAnswers()
				}
				if w.count(state.Order, state.Acknowledged) != 0 {
					t.Fatal("the order's write has an outcome")
				}
				w.shop.Edit(customer, func(c *magentotest.Customer) {
					if tc.claimed {
						c.Confirmation = ""
					}
				})
				if other := w.ids(1)[0]; !tc.claimed {
					w.shop.EditOrder(order, func(o *magentotest.Order) { o.Guest, o.CustomerID = false, other })
				}
				for range 3 {
					time.Sleep(3 * time.Hour)
					w.run()
					w.runOrders()
				}
				if n, m := len(w.account.Subprofiles(database, "Orders")), len(w.account.Subprofiles(database, "Orders_Items")); n != 1 || m != 1 {
					t.Errorf("%d orders and %d lines", n, m)
				}
				if !tc.claimed { // its only order is another's; the oracle knows no guest
					if err := w.account.RemoveProfile(w.profileOf(w.guestKey("an@example.test")).ID); err != nil {
						t.Fatal(err)
					}
				}
				w.ordersInStep()
			})
		})
	}
}

// losesAnswers brings orders over while Copernica's answers about their rows are lost.
func (w *world) losesAnswers() {
	w.t.Helper()
	lost := w.account.Faults().Add(emulator.Fault{
		Kind: emulator.Status, Status: 502, After: true, Method: http.MethodPut, PathContains: "/subprofiles/", Times: 2,
	})
	w.account.Faults().Add(emulator.Fault{Kind: emulator.Status, Status: 502, Method: http.MethodGet, PathContains: "/subprofiles/", Times: 100})
	_, _ = w.engine(nil).Run(w.t.Context(), engine.Orders) // it is cut short
	w.account.Faults().Clear()
	if lost.Hits() == 0 {
		w.t.Fatalf("%d answers were lost", lost.Hits())
	}
}

// diesAt brings orders over in a process that is killed at a point.
func (w *world) diesAt(point engine.Point) {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	defer stop()
	var dead atomic.Bool
	_, _ = w.engine(func(cfg *engine.Config) {
		cfg.Store = mortal{w.store, &dead}
		cfg.TestHook = func(p engine.Point) {
			if p == point {
				dead.Store(true)
				stop()
			}
		}
	}).Run(ctx, engine.Orders)
	if !dead.Load() {
		w.t.Fatalf("the run never came to %s", point)
	}
}
