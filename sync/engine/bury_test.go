package engine_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// buries makes a whole round of the orders' sweep, which an operator gave a number. It
// returns how many erasures were begun; a round that begins twenty is stopped.
func (y *yard) buries() (begun int64) {
	y.t.Helper()
	ctx, cancel := context.WithCancel(y.t.Context())
	defer cancel()
	var erasures atomic.Int64
	y.hook = func(p engine.Point) {
		if p == engine.PointErasing && erasures.Add(1) == 20 {
			cancel()
		}
	}
	report, err := y.engine(y.tune).Sweep(ctx, engine.OrdersSweep, engine.Sweep{Accept: 100})
	if err != nil || report.Outcome != state.Done {
		y.t.Errorf("sweep: %+v, %v", report, err)
	}
	return erasures.Load()
}

// A guest who may still arrive is erased in a later round. However many orders of theirs are
// gone, this one does not try again and again.
func TestPromise19_AGuestInDoubtIsErasedInALaterRound(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20, Orders: 10}, func(t *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		y.runs()
		const email = "an@example.test"
		orders := []int64{y.order(0, email), y.order(0, email), y.order(0, email)}
		y.account.Faults().Add(emulator.Fault{Method: http.MethodPut, Kind: emulator.Reset})
		y.runs()
		y.account.Faults().Clear()
		if rec := y.record(state.Profile, guestKey(w, email)); rec.State != state.Unknown || !rec.NextAttempt.After(time.Now()) {
			t.Fatalf("the guest's profile is not in doubt: %+v", rec)
		}
		for _, id := range orders {
			y.shop.DeleteOrder(id)
		}
		before := y.account.Log().Total()
		if n := y.buries(); n != 1 || y.count(state.Order, state.Missing) != 3 {
			t.Errorf("%d erasures were begun, %d orders are missing", n, y.count(state.Order, state.Missing))
		}
		if calls := y.account.Log().Total() - before; calls != 3 { // the database with its schema, and one look for the guest
			t.Errorf("%d calls for nothing", calls)
		}
		time.Sleep(2 * time.Hour)
		if n := y.buries(); n != 1 || y.count(state.Order, state.Missing) != 0 {
			t.Errorf("at last %d erasures were begun, %d orders are missing", n, y.count(state.Order, state.Missing))
		}
		if _, told := y.receipts()[guestKey(w, email)]; !told {
			t.Error("the guest was not erased")
		}
	})
}

// An order that cannot be delivered as it stands does not keep its guest from being erased.
func TestPromise19_AGuestGoesWhoseOrderCannotBeDelivered(t *testing.T) {
	const email = "an@example.test"
	for name, c := range map[string]struct{ address, cause string }{
		"anonymised":    {strings.Repeat("x", 200) + "@anonymous.invalid", engine.CauseAnonymised},
		"erased before": {email + strings.Repeat(" ", 200), engine.CauseTombstone},
	} {
		t.Run(name, func(t *testing.T) {
			inSQLite(t, magentotest.Config{Customers: 20, Orders: 10}, func(t *testing.T, w *world) {
				y := w.yard(engine.EraseRemove)
				order := y.order(0, email)
				y.runs()
				y.backUp()
				if c.cause == engine.CauseTombstone {
					id := y.customer(email)
					y.runs()
					y.shop.Delete(id)
					y.sweeps(0)
					y.restore()
				}
				y.settle()
				y.shop.EditOrder(order, func(o *magentotest.Order) { o.Email = c.address })
				y.runs()
				if n := y.buries(); n != 1 || y.count(state.Order, state.Missing) != 0 {
					t.Errorf("%d erasures were begun, %d orders are missing", n, y.count(state.Order, state.Missing))
				}
				if e := y.receipts()[guestKey(w, email)]; e.Cause != c.cause {
					t.Errorf("receipt %+v", e)
				}
				y.nobodyIs(email)
				if calm := y.runs().Plus(y.sweeps(0)); calm.Missing+calm.Erased != 0 {
					t.Errorf("no rest: %+v", calm)
				}
			})
		})
	}
}
