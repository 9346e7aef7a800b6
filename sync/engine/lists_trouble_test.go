package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// An account that gives no list, in whatever words, works as it did before: what the
// profiles show goes back, and the log says once what is missing.
func TestPromise18_AnAccountWithoutTheLists(t *testing.T) {
	for name, s := range map[string]copernicatest.Switches{
		"forbidden, 400": {ListsForbidden: 400}, "forbidden, 401": {ListsForbidden: 401}, "forbidden, 403": {ListsForbidden: 403},
		"forbidden, 404": {ListsForbidden: 404}, "no Publisher": {NoPublisher: true},
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
				w.newAccount(s)
				id := w.subscribers(1)[0]
				var log bytes.Buffer
				e := w.engine(func(cfg *engine.Config) { cfg.Log = slog.New(slog.NewTextHandler(&log, nil)) })
				w.optsOut(id)
				for range 3 {
					w.settle()
					if report, err := e.WriteBack(w.t.Context()); err != nil || report.Outcome != state.Done {
						w.t.Fatalf("%+v, %v", report, err)
					}
				}
				w.isOut(id)
				missing := 2
				if s.NoPublisher {
					missing = 1
				}
				if n := strings.Count(log.String(), "does not give one of its two lists"); n != missing || strings.Count(log.String(), "\n") != missing {
					w.t.Errorf("told %d times, want %d: %s", n, missing, &log)
				}
				subscribe(w, w.ids(2)[1], magentotest.Subscribed)
				w.settle()
				if report := w.run(); report.Outcome != state.Done {
					w.t.Errorf("%+v", report)
				}
			})
		})
	}
}

// A list that fails for now keeps nothing else from being done, and is read in full later.
func TestPromise18_AListThatFailsForNow(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
		w.behaves("nothing")
		ids := w.subscribers(3)
		w.click(ids[0], copernicatest.Publisher)
		w.click(ids[1], copernicatest.MarketingSuite)
		check(w, w.account.EditProfile(w.profile(ids[2]).ID, map[string]string{ours: "no"}))
		failing := w.account.Faults().Add(emulator.Fault{PathContains: "/publisher/", Kind: emulator.HTML, Status: 503})
		time.Sleep(time.Hour)
		if report, err := w.engine(nil).WriteBack(w.t.Context()); err == nil || report.Counters.OptOutsReturned != 2 {
			w.t.Errorf("%+v, %v", report, err)
		}
		w.isOut(ids[1])
		w.isOut(ids[2])
		for range 5 { // beyond the overlap
			time.Sleep(time.Hour)
			_, _ = w.engine(nil).WriteBack(w.t.Context())
		}
		failing.Remove()
		w.writeBack()
		w.isOut(ids[0])
	})
}

// What the shop refuses shows in the profile, so that a replay finds it.
func TestPromise23_AClickThatTheShopRefuses(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
		w.behaves("nothing")
		ids := w.subscribers(2)
		w.click(ids[0], copernicatest.Publisher)
		w.click(ids[1], copernicatest.MarketingSuite)
		w.shop.Faults().Add(emulator.Fault{
			Method: http.MethodPut, PathContains: fmt.Sprintf("/customers/%d", ids[0]), Kind: emulator.Status, Status: 400,
			Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, Body: `{"message":"First Name is not valid!"}`,
		})
		w.settle()
		report := w.writeBack()
		letters := w.letters()
		if report.Counters.OptOutsReturned != 1 || len(letters) != 1 || letters[0].Cause != "unsubscribe_refused" || w.profile(ids[0]).Fields[ours] != out {
			w.t.Fatalf("%+v: %+v, newsletter %q", report.Counters, letters, w.profile(ids[0]).Fields[ours])
		}
		time.Sleep(3 * time.Hour)
		w.run()
		w.writeBack()
		if n := len(w.letters()); n != 1 || w.profile(ids[0]).Fields[ours] != out {
			w.t.Errorf("%d letters, newsletter %q", n, w.profile(ids[0]).Fields[ours])
		}
		w.shop.Faults().Clear()
		replayed, err := w.engine(nil).Deliver(w.t.Context(), engine.Unsubscribes, []int64{ids[0]})
		if err != nil || replayed.Counters.OptOutsReturned != 1 || len(w.letters()) != 0 {
			w.t.Errorf("replayed: %+v, %v, %+v", replayed.Counters, err, w.letters())
		}
		w.isOut(ids[0])
		w.isOut(ids[1])
	})
}

// stuckProfiles are the ways in which Copernica does not let a profile say that its person is out.
func stuckProfiles() map[string]emulator.Fault {
	return map[string]emulator.Fault{
		"does not keep it": {Status: 204},
		"refuses it":       {Status: 400, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"error":{"message":"Invalid data provided"}}`},
	}
}

// stick has the account not write a customer's profile.
func (w *world) stick(id int64, fault emulator.Fault) *emulator.Handle {
	w.t.Helper()
	fault.Method, fault.PathContains, fault.Kind = http.MethodPut, fmt.Sprint("/profile/", w.profile(id).ID), emulator.Status
	return w.account.Faults().Add(fault)
}

// A profile that does not say that its person is out is told of, and neither the shop nor
// anybody else waits for it; nor does the list. Each look tries again.
func TestPromise18_AProfileThatStaysSubscribed(t *testing.T) {
	for name, fault := range stuckProfiles() {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30}, func(t *testing.T, w *world) {
				w.behaves("nothing")
				ids := w.subscribers(2)
				for _, id := range ids {
					w.click(id, copernicatest.Publisher)
				}
				stuck := w.stick(ids[0], fault)
				for range 4 { // beyond the overlap
					w.settle()
					w.writeBack()
					w.run()
					if w.subscribed(ids[0]) || w.profile(ids[0]).Fields[ours] != in {
						t.Fatalf("the shop says %v, Copernica %q", w.subscribed(ids[0]), w.profile(ids[0]).Fields[ours])
					}
					w.isOut(ids[1])
					letters := w.letters()
					if len(letters) != 1 || letters[0].Cause != "opt_out_refused" || !strings.Contains(letters[0].Fix, "in Copernica by hand") {
						t.Fatalf("%+v", letters)
					}
					if at := w.checkpointOf(engine.Unsubscribes + "/publisher").Horizon; time.Since(at) > time.Minute {
						t.Errorf("the list is read from %s ago", time.Since(at))
					}
					if _, err := w.engine(nil).Deliver(t.Context(), engine.Unsubscribes, ids[:1]); err != nil || len(w.letters()) != 1 {
						t.Errorf("replayed: %v, %+v", err, w.letters())
					}
					time.Sleep(time.Hour)
				}
				stuck.Remove()
				w.writeBack()
				w.isOut(ids[0])
				if n := len(w.letters()); n != 0 {
					t.Errorf("%d letters are open", n)
				}
				calls := w.account.Log().Total()
				w.writeBack()
				if n := w.account.Log().Total() - calls; n > 8 {
					t.Errorf("%d calls with nothing to do", n)
				}
			})
		})
	}
}

// Whoever subscribes in the shop again meanwhile is left alone.
func TestPromise18_ComingBackWhileAProfileStaysSubscribed(t *testing.T) {
	for name, fault := range stuckProfiles() {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30}, func(t *testing.T, w *world) {
				w.behaves("nothing")
				id := w.subscribers(1)[0]
				w.click(id, copernicatest.MarketingSuite)
				stuck := w.stick(id, fault)
				w.settle()
				w.writeBack()
				if w.subscribed(id) || len(w.letters()) != 1 {
					t.Fatalf("the shop says %v, %+v", w.subscribed(id), w.letters())
				}
				subscribe(w, id, magentotest.Subscribed)
				for range 2 {
					w.settle()
					w.run()
					w.writeBack()
					w.isIn("who came back", id)
					stuck.Remove()
				}
				if n := len(w.letters()); n != 0 {
					t.Errorf("%d letters are open", n)
				}
			})
		})
	}
}

// Nor does the shop wait where the profile cannot be written for now.
func TestPromise18_TheShopDoesNotWaitForAProfile(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30}, func(t *testing.T, w *world) {
		w.behaves("nothing")
		id := w.subscribers(1)[0]
		w.click(id, copernicatest.Publisher)
		stuck := w.stick(id, emulator.Fault{Status: 503})
		for range 3 {
			w.settle()
			if _, err := w.engine(nil).WriteBack(t.Context()); err == nil {
				t.Error("nothing is told")
			}
			if w.subscribed(id) {
				t.Error("the shop waits for Copernica")
			}
			time.Sleep(time.Hour)
		}
		stuck.Remove()
		w.writeBack()
		w.isOut(id)
	})
}

// Killed at any call, before the other side works it or after, the way back ends the same.
func TestPromise10_TheWayBackKilledAtAnyCallEndsTheSame(t *testing.T) {
	for _, after := range []bool{false, true} {
		for _, behaviour := range []string{"nothing", "update"} {
			t.Run(fmt.Sprintf("%s, after %v", behaviour, after), func(t *testing.T) {
				inShop(t, magentotest.Config{Customers: 20}, func(_ *testing.T, w *world) {
					w.behaves(behaviour)
					ids := w.subscribers(2)
					kills := int64(0)
					for again := true; again; {
						for _, id := range ids { // each time anew
							subscribe(w, id, magentotest.Subscribed)
						}
						w.settle()
						w.run()
						for _, id := range ids {
							if !w.subscribed(id) || w.profile(id).Fields[ours] != in {
								w.t.Fatalf("after %d kills customer %d did not come back", kills, id)
							}
						}
						w.click(ids[0], copernicatest.Publisher)
						w.click(ids[1], copernicatest.MarketingSuite)
						w.settle()
						again = w.killed(kills+1, after, func(ctx context.Context, e *engine.Engine) error { _, err := e.WriteBack(ctx); return err })
						if again {
							kills++
							if kills%2 == 0 {
								w.run() // the other streams go on meanwhile
							}
							w.writeBack()
						}
						w.isOut(ids[0])
						w.isOut(ids[1])
						writes := w.writes()
						w.settle()
						w.run()
						w.writeBack()
						if n := w.writes() - writes; n != 0 {
							w.t.Errorf("killed at call %d: %d writes too many", kills, n)
						}
					}
					if kills < 15 {
						w.t.Errorf("only %d kills", kills)
					}
				})
			})
		}
	}
}

// A token that may read the Marketing Suite's list and not whom it is about loses nobody: it
// is told once, everything else goes on, and whoever unsubscribed is out on both sides as
// soon as the right is given, however much later.
func TestPromise18_AnAccountWithoutDestinations(t *testing.T) {
	for _, status := range []int{400, 403, 404} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30}, func(t *testing.T, w *world) {
				w.newAccount(copernicatest.Switches{DestinationsForbidden: status})
				w.behaves("nothing")
				ids := w.subscribers(3)
				var log bytes.Buffer
				e := w.engine(func(cfg *engine.Config) { cfg.Log = slog.New(slog.NewTextHandler(&log, nil)) })
				w.click(ids[0], copernicatest.MarketingSuite)
				w.click(ids[1], copernicatest.Publisher)
				for range 4 { // beyond the overlap
					if report, err := e.WriteBack(t.Context()); err != nil || report.Outcome != state.Done {
						t.Fatalf("%+v, %v", report, err)
					}
					time.Sleep(time.Hour)
				}
				check(w, w.account.EditProfile(w.profile(ids[2]).ID, map[string]string{ours: elsewhere}))
				if _, err := e.WriteBack(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.isOut(ids[1])
				w.isOut(ids[2])
				if n := strings.Count(log.String(), "but not the destinations"); n != 1 || strings.Count(log.String(), "\n") != 1 {
					t.Errorf("told %d times: %s", n, &log)
				}
				w.account.Allow()
				w.writeBack()
				w.isOut(ids[0])
			})
		})
	}
}
