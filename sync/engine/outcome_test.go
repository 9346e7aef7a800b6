package engine_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// Whatever happens to the answer of a create, and whether or not it was applied,
// there is one profile in the end and the run knows it.
func TestPromise10_AnUnknownOutcomeIsLookedUpFirst(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault emulator.Fault
	}{
		{"500 before it was applied", emulator.Fault{Kind: emulator.Status, Status: 500}},
		{"500 after it was applied", emulator.Fault{Kind: emulator.Status, Status: 500, After: true}},
		{"503 page of the load balancer", emulator.Fault{Kind: emulator.HTML, Status: 503}},
		{"503 page after it was applied", emulator.Fault{Kind: emulator.HTML, Status: 503, After: true}},
		{"200 with a page", emulator.Fault{Kind: emulator.HTML, Status: 200}},
		{"reset before it was applied", emulator.Fault{Kind: emulator.Reset}},
		{"reset after it was applied", emulator.Fault{Kind: emulator.Reset, After: true}},
		{"no answer, not applied", emulator.Fault{Kind: emulator.Hang}},
		{"no answer, applied", emulator.Fault{Kind: emulator.Hang, After: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inWorld(t, 40, func(t *testing.T, w *world) {
				tc.fault.Method, tc.fault.PathContains = http.MethodPut, "/profiles"
				tc.fault.Skip, tc.fault.Times = 10, 3
				spoilt := w.account.Faults().Add(tc.fault)
				report := w.run()
				if spoilt.Hits() != 3 {
					t.Fatalf("the fault struck %d times", spoilt.Hits())
				}
				w.inStep()
				if report.Outcome != state.Done {
					t.Errorf("%+v", report)
				}
				lookedUp(t, w)
				before := w.account.Log().Total()
				w.run()
				if w.account.Log().Total() != before {
					t.Error("the outcome was not recorded: another run calls again")
				}
			})
		})
	}
}

// lookedUp checks on the request log that no write of a spoilt key was followed by
// another write of it without a look-up between them.
func lookedUp(t *testing.T, w *world) {
	t.Helper()
	open := map[string]bool{}
	for _, r := range w.account.Log().Recent() {
		at := strings.Index(r.Query, "shop-c")
		if at < 0 {
			continue
		}
		key, _, _ := strings.Cut(r.Query[at:], "&")
		switch {
		case r.Method == http.MethodGet:
			delete(open, key)
		case open[key]:
			t.Errorf("%s was written again without a look", key)
		case r.Fault != "":
			open[key] = true
		}
	}
}

func TestPromise10_AnUnknownUpdateIsLookedUp(t *testing.T) {
	for name, after := range map[string]bool{"applied": true, "not applied": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 40, func(t *testing.T, w *world) {
				w.run()
				id := w.ids(1)[0]
				w.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = "Changed" })
				w.settle()
				spoilt := w.account.Faults().Add(emulator.Fault{Method: http.MethodPut, PathContains: "/profile/", Status: 502, After: after, Times: 1})
				before := w.writes()
				w.run()
				w.inStep()
				want := 2
				if after {
					want = 1
				}
				if spoilt.Hits() != 1 || w.writes()-before != want {
					t.Errorf("%d writes, want %d", w.writes()-before, want)
				}
			})
		})
	}
}

func TestPromise09_OneHangingRecordDoesNotHoldAPage(t *testing.T) {
	inWorld(t, 120, func(t *testing.T, w *world) {
		id := w.ids(1)[0]
		key := w.mapping.CustomerKey(id)
		stuck := w.account.Faults().Add(emulator.Fault{Status: 500, Match: func(r *http.Request) bool {
			return strings.HasSuffix(r.URL.Query().Get("fields[]"), "=="+key)
		}})
		report := w.run()
		if report.Counters.Created != 119 || report.Counters.Unknown == 0 {
			t.Errorf("%+v", report.Counters)
		}
		if w.checkpoint().Horizon.IsZero() {
			t.Error("one record held the pass")
		}
		stuck.Remove()
		time.Sleep(2 * time.Hour) // its own back-off
		report = w.run()
		if report.Counters.Created != 1 {
			t.Errorf("the record was not taken up again: %+v", report.Counters)
		}
		w.inStep()
	})
}

func TestPromise20_WhatOnlyAnOperatorCanMendStopsTheStream(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(*world)
		mend  func(*world)
		class fault.Class
		words string
	}{
		{
			"the key field is renamed",
			func(w *world) { check(w, w.account.RenameField(database, "customer_id", "customer")) },
			func(w *world) { check(w, w.account.RenameField(database, "customer", "customer_id")) },
			fault.Configuration, "customer_id is missing",
		},
		{
			"a mapped field is dropped",
			func(w *world) { check(w, w.account.DropField(database, "gender")) },
			func(w *world) {
				check(w, w.account.AddFields(database, copernicatest.Field{Name: "gender", Type: "text", Length: 50}))
			},
			fault.Configuration, "gender is missing",
		},
		{
			"the access token is revoked",
			func(w *world) { w.account.Revoke() },
			func(w *world) { w.account.Grant(copernicatest.AccessToken) },
			fault.Credentials, "token",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inWorld(t, 80, func(t *testing.T, w *world) {
				tc.spoil(w)
				report, err := w.engine(nil).Run(t.Context(), engine.Customers)
				if fault.ClassOf(err) != tc.class || !strings.Contains(err.Error(), tc.words) {
					t.Fatalf("class %s: %v", fault.ClassOf(err), err)
				}
				if report.Outcome != state.Failed || w.checkpoint().Version != 0 || len(w.account.Profiles(database)) != 0 {
					t.Errorf("something moved: %+v", report)
				}
				tc.mend(w)
				w.run()
				w.inStep()
			})
		})
	}
}

func check(w *world, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// The key field disappears while a run is writing: the schema is never older than
// a minute at a filtered write, and nothing but the intended rows is touched.
func TestPromise12_TheKeyFieldIsRenamedBetweenTwoWrites(t *testing.T) {
	inWorld(t, 200, func(t *testing.T, w *world) {
		renamed := false
		var before []copernicatest.Profile
		_, err := w.engine(func(cfg *engine.Config) {
			cfg.TestHook = func(p engine.Point) {
				if p == engine.PointCommitted && !renamed {
					renamed = true
					time.Sleep(61 * time.Second)
					before = w.account.Profiles(database)
					check(w, w.account.RenameField(database, "customer_id", "old_id"))
				}
			}
		}).Run(t.Context(), engine.Customers)
		if fault.ClassOf(err) != fault.Configuration || !strings.Contains(err.Error(), "customer_id") {
			t.Fatalf("got %v", err)
		}
		check(w, w.account.RenameField(database, "old_id", "customer_id"))
		after := map[int64]copernicatest.Profile{}
		for _, p := range w.account.Profiles(database) {
			after[p.ID] = p
		}
		for _, p := range before {
			if p.Modified != after[p.ID].Modified {
				t.Fatalf("profile %d was touched after the key field was gone", p.ID)
			}
		}
		w.run()
		w.inStep()
	})
}

func TestAPeerThatIsDownEndsTheRunWithNothingLost(t *testing.T) {
	inWorld(t, 120, func(t *testing.T, w *world) {
		down := w.account.Faults().Add(emulator.Fault{Kind: emulator.Status, Status: 429, Skip: 60})
		_, err := w.engine(nil).Run(t.Context(), engine.Customers)
		if err == nil || copernica.Outcome(err) != copernica.NotSent {
			t.Fatalf("got %v", err)
		}
		down.Remove()
		w.settle()
		w.run()
		w.inStep()
	})
}

func TestTheShopFailsInMidWalk(t *testing.T) {
	inWorld(t, 200, func(t *testing.T, w *world) {
		w.shop.Faults().Add(emulator.Fault{Kind: emulator.HTML, Status: 503, PathContains: "customers/search", Skip: 2, Times: 10})
		report, err := w.engine(nil).Run(t.Context(), engine.Customers)
		if err == nil || fault.ClassOf(err) != fault.Retry || report.Outcome != state.Failed {
			t.Fatalf("%+v, %v", report, err)
		}
		if report.Counters.Created == 0 || w.checkpoint().Position.IsZero() {
			t.Error("the pages before the failure were not committed")
		}
		w.shop.Faults().Clear()
		w.settle()
		w.run()
		w.inStep()
	})
}

func TestUnknownStreamsAreRefused(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		if _, err := w.engine(nil).Run(t.Context(), "wishes"); err == nil || !strings.Contains(err.Error(), "wishes") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnotherDatabaseIsRefused(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		w.run()
		if _, err := w.store.OpenPipeline(t.Context(), state.Pipeline{Name: "shop", Target: "Copernica database 9999"}); err == nil {
			t.Error("the target can be changed")
		}
		_, err := w.store.OpenPipeline(t.Context(), state.Pipeline{Name: "shop"})
		if target, ok := errors.AsType[*state.TargetError](err); ok || err != nil {
			t.Errorf("%v %v", target, err)
		}
	})
}

// A mapped field disappears in the middle of a run, right after the schema was read:
// Copernica drops its value and says yes. No such yes counts.
func TestPromise12_AFieldThatDisappearsLosesNothing(t *testing.T) {
	inWorld(t, 120, func(t *testing.T, w *world) {
		var gone atomic.Bool
		_, err := w.engine(func(cfg *engine.Config) {
			cfg.TestHook = func(p engine.Point) {
				if p == engine.PointSending && gone.CompareAndSwap(false, true) {
					time.Sleep(3 * time.Second)
					check(w, w.account.RenameField(database, "gender", "sex"))
				}
			}
		}).Run(t.Context(), engine.Customers)
		if fault.ClassOf(err) != fault.Configuration || !strings.Contains(err.Error(), "gender") {
			t.Fatalf("got %v", err)
		}
		if !w.checkpoint().Position.IsZero() {
			t.Error("the checkpoint moved past values that were dropped")
		}
		check(w, w.account.RenameField(database, "sex", "gender"))
		w.settle()
		w.run()
		w.inStep()
	})
}

func TestPromise07_ARunsProblemHoldsNoValue(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		w.shop.Faults().Add(emulator.Fault{
			Status: 400, PathContains: "customers/search", Header: http.Header{"Content-Type": {"application/json"}},
			Body: `{"message":"No such entity with %fieldName = %fieldValue","parameters":{"fieldName":"email","fieldValue":"jan de vries"}}`,
		})
		if _, err := w.engine(nil).Run(t.Context(), engine.Customers); err == nil {
			t.Fatal("no error")
		}
		runs, err := w.store.Runs(t.Context(), "shop", state.RunFilter{Limit: 1})
		check(w, err)
		if p := runs[0].Problem; !strings.Contains(p, "%fieldValue") || strings.Contains(p, "jan") {
			t.Errorf("problem %q", p)
		}
	})
}
