package engine_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

func TestPromise19_DeletedCustomersAreFlagged(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 60, Orders: 30}, func(_ *testing.T, w *world) {
		w.run()
		w.runOrders()
		ids := w.ids(3)
		for _, id := range ids {
			w.shop.Delete(id)
		}
		report := w.sweep(engine.CustomersSweep)
		if report.Counters.Missing != 3 || report.Counters.TargetCalls != 0 {
			w.t.Errorf("%+v", report.Counters)
		}
		for _, id := range ids {
			if rec := w.record(state.Profile, w.mapping.CustomerKey(id)); rec.State != state.Gone {
				w.t.Errorf("customer %d is %s", id, rec.State)
			}
			w.profile(id) // flagged is not erased
		}
		if again := w.sweep(engine.CustomersSweep); again.Counters.Missing != 0 {
			w.t.Errorf("found again: %+v", again.Counters)
		}
	})
}

// A shop that shows far fewer records than it did is a broken shop until an operator
// says otherwise.
func TestPromise19_MassDeletionWaitsForAnOperator(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 120}, func(_ *testing.T, w *world) {
		w.run()
		for _, id := range w.ids(30) {
			w.shop.Delete(id)
		}
		_, err := w.engine(nil).Sweep(w.t.Context(), engine.CustomersSweep, engine.Sweep{})
		missing, ok := errors.AsType[*engine.MissingError](err)
		if !ok || fault.ClassOf(err) != fault.Configuration || !strings.Contains(err.Error(), "--accept-deletions") {
			w.t.Fatalf("the sweep ended with %v", err)
		}
		if n := w.count(state.Profile, state.Gone); n != 0 {
			w.t.Errorf("%d customers were given up: %v", n, missing)
		}
		report, err := w.engine(nil).Sweep(w.t.Context(), engine.CustomersSweep, engine.Sweep{Accept: 30})
		if n := w.count(state.Profile, state.Gone); err != nil || n != 30 || report.Outcome != state.Done {
			w.t.Errorf("accepted: %d gone, %+v, %v", n, report, err)
		}
	})
}

// What pages under way found missing counts as well, whatever the size of a page.
func TestPromise19_MassDeletionIsSeenAcrossPages(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 120}, func(_ *testing.T, w *world) {
		w.pageSize = 10
		w.run()
		for i, id := range w.ids(60) {
			if i%2 == 0 {
				w.shop.Delete(id)
			}
		}
		for _, stream := range []string{engine.ConsentSweep, engine.CustomersSweep} {
			_, err := w.engine(nil).Sweep(w.t.Context(), stream, engine.Sweep{})
			if _, ok := errors.AsType[*engine.MissingError](err); !ok {
				w.t.Errorf("%s ended with %v", stream, err)
			}
			if n := w.count(state.Profile, state.Missing); n > 20 {
				w.t.Errorf("%s took %d customers for deleted", stream, n)
			}
		}
	})
}

// Guests are no customers whom the shop could have lost: however many the ledger knows,
// the brake of a sweep through the customers is held by these alone.
func TestPromise19_GuestsDoNotLoosenTheBrake(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 60}, func(_ *testing.T, w *world) {
		w.run()
		w.knowGuests(8000) // 0.5 % of which are 40
		for _, id := range w.ids(25) {
			w.shop.Delete(id)
		}
		for _, stream := range []string{engine.ConsentSweep, engine.CustomersSweep} {
			_, err := w.engine(nil).Sweep(w.t.Context(), stream, engine.Sweep{})
			if missing, ok := errors.AsType[*engine.MissingError](err); !ok || missing.Limit != 20 {
				w.t.Errorf("%s ended with %v", stream, err)
			}
		}
		if n := w.count(state.Profile, state.Missing) + w.count(state.Profile, state.Gone); n != 0 {
			w.t.Errorf("%d customers were given up", n)
		}
	})
}

// knowGuests has the ledger know so many guests.
func (w *world) knowGuests(n int) {
	w.t.Helper()
	lease, err := w.store.Acquire(w.t.Context(), "shop", "guests", time.Minute)
	check(w, err)
	rows := make([]state.Record, n)
	for i := range rows {
		as := state.Acknowledged
		if i%4 == 0 {
			as = state.Claimed
		}
		rows[i] = state.Record{Entity: state.Profile, Key: w.guestKey(fmt.Sprintf("guest%d@example.test", i)), SourceID: int64(i + 1), CopernicaID: int64(1_000_000 + i), State: as}
	}
	_, err = w.store.Commit(w.t.Context(), lease, state.Commit{Records: rows})
	check(w, err)
	check(w, w.store.Release(w.t.Context(), lease))
}

// leaky is a shop whose lists leave records out.
type leaky struct {
	engine.Shop
	hides func(id int64) bool
}

func (l leaky) CustomersByID(ctx context.Context, q magento.IDQuery) iter.Seq2[*magento.Page[magento.Customer], error] {
	return func(yield func(*magento.Page[magento.Customer], error) bool) {
		for page, err := range l.Shop.CustomersByID(ctx, q) {
			if page != nil {
				page.Items = slices.DeleteFunc(page.Items, func(i magento.Item[magento.Customer]) bool { return l.hides(i.ID) })
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

func TestPromise19_AListThatLeavesRecordsOutIsNotBelieved(t *testing.T) {
	for _, tc := range []struct {
		name  string
		every int64
		fails bool
	}{
		{"a few: the shop says that it has them", 20, false},
		{"many: the list is wrong", 2, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 120}, func(_ *testing.T, w *world) {
				w.run()
				_, err := w.engine(func(cfg *engine.Config) {
					cfg.Shop = leaky{cfg.Shop, func(id int64) bool { return id%tc.every == 0 }}
				}).Sweep(w.t.Context(), engine.CustomersSweep, engine.Sweep{})
				if (err != nil) != tc.fails {
					w.t.Errorf("%v", err)
				}
				if n := w.count(state.Profile, state.Missing) + w.count(state.Profile, state.Gone); n != 0 {
					w.t.Errorf("%d customers were taken for deleted", n)
				}
			})
		})
	}
}
