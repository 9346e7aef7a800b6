package engine_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// customers brings the customers over.
func customers(ctx context.Context, e *engine.Engine) error {
	_, err := e.Run(ctx, engine.Customers)
	return err
}

// isIn expects that a customer is subscribed on both sides.
func (w *world) isIn(what string, id int64) {
	w.t.Helper()
	if got := w.profile(id).Fields[ours]; got != in || !w.subscribed(id) {
		w.t.Errorf("%s: Copernica shows %q, the shop says %v", what, got, w.subscribed(id))
	}
}

// Our own word for out, whose answer was lost, is nobody's opt-out: who subscribes in the
// shop after that is subscribed on both sides, wherever the process that wrote it died,
// and however often. Somebody else's word for it stays.
func TestPromise18_OurOwnWordWhoseAnswerWasLost(t *testing.T) {
	for _, after := range []bool{false, true} {
		for _, known := range []bool{false, true} {
			t.Run(fmt.Sprintf("known %v, killed after the call %v", known, after), func(t *testing.T) {
				inShop(t, magentotest.Config{Customers: 5}, func(_ *testing.T, w *world) {
					w.run()
					w.writeBack()
					kills := int64(0)
					for again := true; again; {
						id := w.shop.Create(magentotest.Customer{
							WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "Ada", LastName: "New", Email: fmt.Sprintf("ada%d@example.test", kills),
							NewsletterStatus: map[bool]int{true: magentotest.Subscribed, false: magentotest.Unsubscribed}[known],
						})
						w.settle()
						if known {
							w.run()
							subscribe(w, id, magentotest.Unsubscribed)
							w.settle()
						}
						again = w.killed(kills+1, after, customers)
						if again {
							w.killed(kills%3+1, after, customers) // and again
							kills++
						}
						if !again {
							continue
						}
						subscribe(w, id, magentotest.Subscribed)
						w.settle()
						if kept := w.run().Counters.OptOutsKept; kept != 0 {
							w.t.Errorf("killed at call %d: %d opt-outs kept", kills, kept)
						}
						if n := w.writeBack().Counters.OptOutsReturned; n != 0 {
							w.t.Errorf("killed at call %d: %d opt-outs returned", kills, n)
						}
						w.isIn(fmt.Sprint("killed at call ", kills), id)
					}
					if kills < 5 {
						w.t.Errorf("only %d kills", kills)
					}
				})
			})
		}
	}
}

// unanswered does work in which the account takes its next write and answers nothing any
// more; wherever that ends it.
func (w *world) unanswered(work func(context.Context, *engine.Engine) error) {
	w.t.Helper()
	var taken atomic.Bool
	w.account.Faults().Add(emulator.Fault{Kind: emulator.Reset, After: true, Times: 1, Match: func(r *http.Request) bool {
		return r.Method == http.MethodPut && taken.CompareAndSwap(false, true)
	}})
	w.account.Faults().Add(emulator.Fault{Kind: emulator.Reset, Match: func(*http.Request) bool { return taken.Load() }})
	_ = work(w.t.Context(), w.engine(nil)) // whatever becomes of it
	w.account.Faults().Clear()
	if !taken.Load() {
		w.t.Fatal("nothing was written")
	}
}

// straggling does work whose next write to the account arrives later than anybody waits
// for it, and the account answers nothing else meanwhile.
func (w *world) straggling(delay time.Duration, work func(context.Context, *engine.Engine) error) {
	w.t.Helper()
	var away atomic.Bool
	late := doom{delay: delay}
	w.wire = func(base http.RoundTripper) http.RoundTripper {
		return wireTripper(func(r *http.Request) (*http.Response, error) {
			switch {
			case away.Load():
				return nil, errReset
			case r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/profile"):
				away.Store(true)
				return nil, late.straggle(base, r)
			}
			return base.RoundTrip(r)
		})
	}
	_ = work(w.t.Context(), w.engine(nil)) // whatever becomes of it
	w.wire = nil
	if !away.Load() {
		w.t.Fatal("nothing was written")
	}
}

// refusing does work whose writes the account refuses.
func (w *world) refusing(work func(context.Context, *engine.Engine) error) {
	w.t.Helper()
	w.account.Faults().Add(emulator.Fault{
		Method: http.MethodPut, Status: 400, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"error":{"message":"Invalid data provided"}}`,
	})
	check(w, work(w.t.Context(), w.engine(nil)))
	w.account.Faults().Clear()
}

// The same where the process lives on: nothing is answered, the row is refused before it
// is settled, or the write arrives when it was given up. What somebody else wrote in
// Copernica meanwhile wins all the same.
func TestPromise18_AnOptInAfterAWriteInDoubt(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		for name, doubt := range map[string]func(*world, int64){
			"no answer": func(w *world, _ int64) { w.unanswered(customers) },
			"refused since": func(w *world, id int64) {
				w.unanswered(customers)
				subscribe(w, id, magentotest.Subscribed)
				time.Sleep(time.Hour)
				w.refusing(customers)
				if n := len(w.letters()); n != 1 {
					w.t.Fatalf("%d letters", n)
				}
			},
			"arrives late": func(w *world, _ int64) { w.straggling(50*time.Second, customers) },
		} {
			t.Run(fmt.Sprintf("%s, foreign %v", name, foreign), func(t *testing.T) {
				inShop(t, magentotest.Config{Customers: 5}, func(_ *testing.T, w *world) {
					id := w.subscribers(1)[0]
					subscribe(w, id, magentotest.Unsubscribed)
					w.settle()
					doubt(w, id)
					if foreign {
						time.Sleep(2 * time.Minute)
						check(w, w.account.EditProfile(w.profile(id).ID, map[string]string{ours: copernicatest.Unsubscribed}))
					}
					subscribe(w, id, magentotest.Subscribed)
					time.Sleep(15 * time.Second)
					w.run()
					time.Sleep(2 * time.Hour)
					w.run()
					w.writeBack()
					if foreign {
						w.isOut(id)
						return
					}
					w.isIn(name, id)
				})
			})
		}
	}
}

// inDoubt brings the customers over while the account answers the next write to a profile
// with 502 and does nothing of it. What happens then, happens before anybody looks.
func (w *world) inDoubt(meanwhile func()) engine.Report {
	w.t.Helper()
	var sent, done atomic.Bool
	w.account.Faults().Add(emulator.Fault{Method: http.MethodPut, PathContains: "/profile/", Status: 502, Times: 1, Match: func(*http.Request) bool {
		sent.Store(true)
		return true
	}})
	report, err := w.engine(func(cfg *engine.Config) {
		cfg.TestHook = func(p engine.Point) {
			if p == engine.PointLooking && sent.Load() && done.CompareAndSwap(false, true) {
				meanwhile()
			}
		}
	}).Run(w.t.Context(), engine.Customers)
	check(w, err)
	if !done.Load() {
		w.t.Fatal("nothing was looked up")
	}
	return report
}

// Whoever opts out in Copernica while an opt-in of the shop has no answer is out: the
// opt-in is not sent again on what the profile showed before.
func TestPromise18_AnOptOutWhileAnOptInHasNoAnswer(t *testing.T) {
	for name, optOut := range map[string]func(*world, int64){
		"in the profile": func(w *world, id int64) {
			check(w, w.account.EditProfile(w.profile(id).ID, map[string]string{ours: elsewhere}))
		},
		"in a double": func(w *world, id int64) { w.byHand(id, elsewhere) },
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 5}, func(t *testing.T, w *world) {
				w.run()
				w.writeBack()
				id := w.ids(1)[0]
				profile := w.profile(id).ID
				subscribe(w, id, magentotest.Subscribed)
				w.settle()
				if kept := w.inDoubt(func() { optOut(w, id) }).Counters.OptOutsKept; kept != 1 {
					t.Errorf("%d opt-outs kept", kept)
				}
				time.Sleep(time.Hour)
				w.run()
				w.writeBack()
				w.settle()
				w.run()
				if w.subscribed(id) || w.profiles()[profile].Fields[ours] == in {
					t.Errorf("the shop says %v, Copernica %q", w.subscribed(id), w.profiles()[profile].Fields[ours])
				}
			})
		})
	}
}

// Where nobody did anything meanwhile the write is made once more, after one look.
func TestPromise10_AWriteWithoutAnAnswerIsMadeOnceMore(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 5}, func(t *testing.T, w *world) {
		w.run()
		w.writeBack()
		id := w.ids(1)[0]
		subscribe(w, id, magentotest.Subscribed)
		w.settle()
		calls := w.account.Log().Total()
		report := w.inDoubt(func() {})
		if report.Counters.Updated != 1 || report.Counters.Unknown != 0 || report.Counters.OptOutsKept != 0 {
			t.Errorf("%+v", report.Counters)
		}
		// The schema before and after, a look before each of the two writes.
		if n := w.account.Log().Total() - calls; n > 7 {
			t.Errorf("%d calls", n)
		}
		w.isIn("after the second write", id)
	})
}

// The next try goes to the row that the look finds, and not to the one that is gone.
func TestPromise10_AWriteWithoutAnAnswerGoesToTheRowThatIsThereNow(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 5}, func(t *testing.T, w *world) {
		w.run()
		id := w.ids(1)[0]
		old := w.profile(id)
		w.shop.Edit(id, func(c *magentotest.Customer) { c.LastName = "Changed" })
		w.settle()
		var moved int64
		w.inDoubt(func() {
			check(w, w.account.RemoveProfile(old.ID))
			var err error
			moved, err = w.account.AddProfile(database, old.Fields)
			check(w, err)
		})
		if p := w.profile(id); p.ID != moved || p.Fields["lastname"] != "Changed" {
			t.Errorf("profile %d, not %d, says %q", p.ID, moved, p.Fields["lastname"])
		}
		if got := w.record(state.Profile, w.mapping.CustomerKey(id)).CopernicaID; got != moved {
			t.Errorf("the ledger has %d, not %d", got, moved)
		}
		w.inStep()
	})
}
