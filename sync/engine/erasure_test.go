package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

func TestPromise19_EachPolicyDoesWhatItSays(t *testing.T) {
	for _, policy := range []engine.ErasurePolicy{engine.EraseFlag, engine.EraseRemove, engine.EraseBlank} {
		t.Run(string(policy), func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30, Orders: 20}, func(_ *testing.T, w *world) {
				y := w.yard(policy)
				deleted, anonymised, stays := y.customer("deleted@example.test"), y.customer("anonymised@example.test"), y.customer("stays@example.test")
				y.order(deleted, "")
				y.order(anonymised, "")
				gone := y.order(stays, "")
				y.order(stays, "")
				guest := y.order(0, "guest@example.test")
				last := y.order(0, "last@example.test")
				y.runs()
				before := y.profiles()
				byHand, err := y.account.AddProfile(database, map[string]string{"email": "deleted@example.test", "firstname": "By hand"})
				if err != nil {
					y.t.Fatal(err)
				}

				y.shop.Delete(deleted)
				y.anonymise(anonymised)
				y.shop.EditOrder(guest, func(o *magentotest.Order) { o.Email = "gone-0815@example.test" })
				y.shop.DeleteOrder(last)
				y.shop.DeleteOrder(gone)
				y.runs()
				sum := y.sweeps(0)

				keys := map[string]string{
					y.mapping.CustomerKey(deleted): engine.CauseDeleted, y.mapping.CustomerKey(anonymised): engine.CauseAnonymised,
					guestKey(w, "guest@example.test"): engine.CauseAnonymised, guestKey(w, "last@example.test"): engine.CauseDeleted,
				}
				people := y.profiles()
				receipts := y.receipts()
				for key, cause := range keys {
					rec, was, now := y.record(state.Profile, key), before[key], people[key]
					receipt := receipts[key]
					switch policy {
					case engine.EraseFlag:
						if diff := now.Fields["lastname"] != was.Fields["lastname"] || now.ID != was.ID; diff || now.Fields["email"] == "" {
							y.t.Errorf("%s was %v, is %v", key, was, now)
						}
						if _, _, isGuest := y.mapping.GuestOf(key); !isGuest && (rec.State != state.Gone || rec.CopernicaID != was.ID || receipt.Policy != "flag" || receipt.Cause != cause) {
							y.t.Errorf("%s: %+v, %+v", key, rec, receipt)
						}
						continue
					case engine.EraseRemove:
						if now.ID != 0 || len(y.rowsOf(was.ID)) != 0 {
							y.t.Errorf("%s is still there: %v", key, now)
						}
					case engine.EraseBlank: // without its key, only its id leads to it
						now = w.profiles()[was.ID]
						for name, value := range now.Fields {
							if value != "" && strings.Trim(value, "0-: ") != "" && name != ours {
								y.t.Errorf("%s still has %s %q", key, name, value)
							}
						}
						if now.ID != was.ID || now.Fields[ours] != out {
							y.t.Errorf("%s is %v", key, now)
						}
						for _, row := range y.rowsOf(was.ID) {
							if row.Fields["remoteIp"] != "" || row.Fields["billingAddressId"] != "" || row.Fields["sku"]+row.Fields["status"]+row.Fields["total"] == "" {
								y.t.Errorf("%s: %v", key, row.Fields)
							}
						}
					}
					if rec.State != state.Gone || rec.CopernicaID != 0 || !rec.Hash.IsZero() {
						y.t.Errorf("the ledger says of %s: %+v", key, rec)
					}
					if receipt.Cause != cause || receipt.Policy != string(policy) || receipt.CopernicaID != was.ID || receipt.Orders != 1 || receipt.Items != 1 || receipt.At.IsZero() || receipt.RunID == 0 {
						y.t.Errorf("receipt of %s: %+v", key, receipt)
					}
				}
				emails, err := y.store.EmailsOf(y.t.Context(), "shop", []string{y.mapping.CustomerKey(deleted), y.mapping.CustomerKey(anonymised), y.mapping.CustomerKey(stays)})
				if kept := map[bool]int{true: 3, false: 1}[policy == engine.EraseFlag]; err != nil || len(emails) != kept || emails[y.mapping.CustomerKey(stays)].Hash.IsZero() {
					y.t.Errorf("e-mails that the state knows: %v, %v", emails, err)
				}
				// Who stays keeps everything but the order that the shop no longer has.
				left := people[y.mapping.CustomerKey(stays)]
				want := map[engine.ErasurePolicy]int{engine.EraseFlag: 4, engine.EraseRemove: 2, engine.EraseBlank: 4}[policy]
				if rows := y.rowsOf(left.ID); left.Fields["email"] != "stays@example.test" || len(rows) != want {
					y.t.Errorf("%v with %d rows", left, len(rows))
				}
				if left := w.profiles()[byHand]; left.Fields["firstname"] != "By hand" {
					y.t.Errorf("the profile made by hand is %v", left)
				}
				if n := int64(len(keys)); policy != engine.EraseFlag && sum.Erased != n || policy == engine.EraseFlag && sum.Erased != 0 {
					y.t.Errorf("%d were erased", sum.Erased)
				}
				// Nothing is done twice, and a look at Copernica finds nothing to mend.
				calls := y.account.Log().Total()
				if again := y.runs().Plus(y.sweeps(0)); again.Erased != 0 || again.Missing != 0 || y.account.Log().Total() != calls {
					y.t.Errorf("again: %+v, %d calls", again, y.account.Log().Total()-calls)
				}
				report, err := y.engine(y.tune).Inspect(y.t.Context(), engine.Inspection{Repair: true, Found: func(f engine.Finding) { y.t.Errorf("found %+v", f) }})
				if err != nil || report.Counters.Created+report.Counters.Updated != 0 {
					y.t.Errorf("inspection: %+v, %v", report.Counters, err)
				}
			})
		})
	}
}

// A person who is erased with the claim of a guest takes that guest along.
func TestPromise19_WhoWasAGuestGoesWhole(t *testing.T) {
	for _, policy := range []engine.ErasurePolicy{engine.EraseRemove, engine.EraseBlank} {
		t.Run(string(policy), func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 20, Orders: 10}, func(_ *testing.T, w *world) {
				y := w.yard(policy)
				const email = "was.guest@example.test"
				y.order(0, email)
				y.runs()
				guest := y.profiles()[guestKey(w, email)]
				id := y.customer(email)
				y.order(id, "")
				late := y.order(0, email)
				y.runs()
				y.runs()
				if rec := y.record(state.Profile, guestKey(w, email)); rec.State != state.Claimed || rec.Parent != y.mapping.CustomerKey(id) {
					y.t.Fatalf("not claimed: %+v", rec)
				}
				y.shop.Delete(id)
				y.sweeps(0)
				if rec := y.record(state.Profile, guestKey(w, email)); rec.State != state.Gone || rec.Parent != "" || rec.CopernicaID != 0 {
					y.t.Errorf("the guest: %+v", rec)
				}
				if e := y.receipts()[y.mapping.CustomerKey(id)]; e.Orders != 3 || e.Items != 3 {
					y.t.Errorf("%+v", e)
				}
				// Their guest orders come by, and make nobody.
				y.shop.EditOrder(late, func(o *magentotest.Order) { o.Status = "complete" })
				if sum := y.runs(); sum.Ownerless == 0 || sum.Created+sum.Updated != 0 {
					y.t.Errorf("%+v", sum)
				}
				y.nobodyIs(email)
				if p := y.profiles()[guestKey(w, email)]; p.ID == guest.ID && policy == engine.EraseRemove {
					y.t.Error("the guest has a profile")
				}
				// Whoever registers with the e-mail later is somebody new, whose guest orders of
				// before stay away.
				again := y.customer(email)
				y.shop.EditOrder(late, func(o *magentotest.Order) { o.Status = "closed" })
				y.runs()
				y.sweeps(0)
				p := y.profiles()[y.mapping.CustomerKey(again)]
				if p.Fields["email"] != email || p.Fields[ours] != in || len(y.rowsOf(p.ID)) != 0 {
					y.t.Errorf("the new customer: %v", p)
				}
			})
		})
	}
}

// A policy that says more than the one before does so for those who were only flagged.
func TestPromise19_WhoWasFlaggedIsErasedOnceThePolicySaysSo(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 40, Orders: 10}, func(_ *testing.T, w *world) {
		y := w.yard(engine.EraseFlag)
		deleted, anonymised := y.customer("one@example.test"), y.customer("two@example.test")
		y.runs()
		y.shop.Delete(deleted)
		y.anonymise(anonymised)
		y.runs()
		y.sweeps(0)
		y.policy = engine.EraseRemove
		if sum := y.sweeps(0); sum.Erased != 2 {
			y.t.Errorf("%+v", sum)
		}
		y.nobodyIs("one@example.test", "two@example.test")
	})
}

// The dead letters of who is erased are closed, and replaying them brings nobody.
func TestPromise19_DeadLettersOfTheErasedAreClosed(t *testing.T) {
	inStores(t, magentotest.Config{Customers: 30, Orders: 10}, func(t *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		id, other := y.customer(" "), y.customer("")
		order := y.order(id, "")
		y.runs()
		if n := len(y.letters()); n != 3 {
			t.Fatalf("%d letters", n)
		}
		y.shop.Delete(id)
		y.sweeps(0)
		left := y.letters()
		if len(left) != 1 || left[0].Key != y.mapping.CustomerKey(other) {
			t.Errorf("%+v", left)
		}
		closed, err := y.store.Letters(t.Context(), "shop", state.LetterFilter{Resolved: true, Limit: 10})
		if err != nil || len(closed) != 2 || closed[0].Resolution != "erased" || closed[1].Resolution != "erased" {
			t.Errorf("%+v, %v", closed, err)
		}
		if _, err := y.engine(y.tune).Deliver(t.Context(), engine.Orders, []int64{order}); err != nil || len(y.letters()) != 1 {
			t.Errorf("%+v, %v", y.letters(), err)
		}
	})
}

// Whatever ends an erasure, the next round finishes it, and a tombstone stands before
// anything is taken away.
func TestPromise19_AnErasureThatIsCutShortIsFinished(t *testing.T) {
	for _, policy := range []engine.ErasurePolicy{engine.EraseRemove, engine.EraseBlank} {
		for _, point := range []engine.Point{engine.PointErasing, engine.PointEntombed, engine.PointErased} {
			t.Run(fmt.Sprint(policy, " ", point), func(t *testing.T) {
				inShop(t, magentotest.Config{Customers: 40, Orders: 40}, func(_ *testing.T, w *world) {
					y := w.yard(policy)
					var ids []int64
					for i := range 5 {
						ids = append(ids, y.customer(fmt.Sprintf("cut+%d@example.test", i)))
						y.order(ids[i], "")
					}
					y.runs()
					for _, id := range ids {
						y.shop.Delete(id)
					}
					ctx, stop := context.WithCancel(y.t.Context())
					var once sync.Once
					store := y.store
					y.hook = func(p engine.Point) {
						if p != point {
							return
						}
						once.Do(func() {
							stop()
							y.graves.mu.Lock()
							if point != engine.PointEntombed { // there Copernica alone fails
								y.graves.broken = errors.New("killed")
							}
							y.graves.mu.Unlock()
							y.account.Faults().Add(emulator.Fault{Kind: emulator.Reset, Times: 1000})
						})
					}
					killed := func(cfg *engine.Config) {
						y.tune(cfg)
						cfg.Store = deaf{store, y.graves}
						cfg.LeaseTTL = 2 * time.Minute
					}
					_, err := y.engine(killed).Sweep(ctx, engine.CustomersSweep, engine.Sweep{})
					if err == nil {
						y.t.Fatal("nothing was cut short")
					}
					for key := range y.profiles() {
						id, ok := y.mapping.CustomerID(key)
						if ok && slices.Contains(ids, id) && y.record(state.Profile, key).State != state.Missing {
							y.t.Errorf("%s is %s", key, y.record(state.Profile, key).State)
						}
					}
					y.hook, y.graves.broken = nil, nil
					y.account.Faults().Clear()
					time.Sleep(time.Hour)
					y.sweeps(0)
					for i, id := range ids {
						y.nobodyIs(fmt.Sprintf("cut+%d@example.test", i))
						if n, err := y.store.Erasures(y.t.Context(), "shop", y.mapping.CustomerKey(id), 10); err != nil || len(n) != 1 {
							y.t.Errorf("%d receipts, %v", len(n), err)
						}
					}
				})
			})
		}
	}
}

// deaf is a store that commits nothing once the grave digger is dead.
type deaf struct {
	state.Store
	graves *graves
}

func (m deaf) Commit(ctx context.Context, l state.Lease, c state.Commit) (state.Checkpoint, error) {
	m.graves.mu.Lock()
	err := m.graves.broken
	m.graves.mu.Unlock()
	if err != nil {
		return state.Checkpoint{}, err
	}
	return m.Store.Commit(ctx, l, c)
}
