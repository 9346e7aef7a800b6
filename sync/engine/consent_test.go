package engine_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/engine"
)

const (
	in   = "subscribed"
	out  = "not subscribed"
	ours = "newsletter"
)

// optOut subscribes customers in the shop, brings that over, and lets each of them
// unsubscribe in Copernica.
func optOut(w *world, ids []int64) {
	w.t.Helper()
	for _, id := range ids {
		subscribe(w, id, magentotest.Subscribed)
	}
	w.settle()
	w.run()
	for _, id := range ids {
		check(w, w.account.Unsubscribe(database, w.mapping.CustomerKey(id)))
		w.unsubscribed[w.mapping.CustomerKey(id)] = true
	}
}

func TestPromise18_TwentyUnsubscribesSurviveAnyEdit(t *testing.T) {
	inWorld(t, 200, func(t *testing.T, w *world) {
		optOut(w, w.ids(20))
		edits := []func(id int64){
			func(id int64) { w.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = "Edited" }) },
			func(id int64) { w.shop.Edit(id, func(c *magentotest.Customer) { c.Email = "new." + c.Email }) },
			func(id int64) { subscribe(w, id, magentotest.Unsubscribed) },
			func(id int64) { subscribe(w, id, magentotest.Subscribed) },
			func(id int64) { w.shop.Edit(id, func(c *magentotest.Customer) { c.GroupID = 2 }) },
		}
		for _, edit := range edits {
			for _, id := range w.ids(20) {
				edit(id)
			}
			w.settle()
			w.run()
			w.inStep()
			for _, id := range w.ids(20) {
				if got := w.profile(id).Fields[ours]; got != "unsubscribed_copernica" {
					t.Fatalf("customer %d: the opt-out became %q", id, got)
				}
			}
		}
	})
}

func TestPromise18_TheShopsOptOutArrives(t *testing.T) {
	inWorld(t, 60, func(t *testing.T, w *world) {
		id := w.ids(1)[0]
		subscribe(w, id, magentotest.Subscribed)
		w.settle()
		w.run()
		if got := w.profile(id).Fields[ours]; got != in {
			t.Fatalf("newsletter is %q", got)
		}
		subscribe(w, id, magentotest.Unsubscribed)
		w.settle()
		w.run()
		if got := w.profile(id).Fields[ours]; got != out {
			t.Errorf("newsletter is %q", got)
		}
		// Our own opt-out, still shown: the shop's later opt-in is the newer word.
		subscribe(w, id, magentotest.Subscribed)
		w.settle()
		w.run()
		if got := w.profile(id).Fields[ours]; got != in {
			t.Errorf("newsletter is %q after a new opt-in", got)
		}
		w.inStep()
	})
}

func TestPromise18_AnOptInOverAnotherOptOutIsKeptAndCounted(t *testing.T) {
	inWorld(t, 60, func(t *testing.T, w *world) {
		id := w.ids(1)[0]
		subscribe(w, id, magentotest.Unsubscribed)
		w.settle()
		w.run()
		check(w, w.account.Unsubscribe(database, w.mapping.CustomerKey(id)))
		subscribe(w, id, magentotest.Subscribed)
		w.settle()
		report := w.run()
		if got := w.profile(id).Fields[ours]; got != "unsubscribed_copernica" {
			t.Errorf("the opt-out became %q", got)
		}
		if report.Counters.OptOutsKept != 1 {
			t.Errorf("%d opt-outs counted as kept", report.Counters.OptOutsKept)
		}
		before := w.account.Log().Total()
		w.settle()
		w.run()
		if w.account.Log().Total() != before {
			t.Error("a settled consent is looked at in every run")
		}
	})
}

func TestPromise18_AnOptOutGoesOverAValueSetByHand(t *testing.T) {
	inWorld(t, 60, func(t *testing.T, w *world) {
		id := w.ids(1)[0]
		subscribe(w, id, magentotest.Unsubscribed)
		w.settle()
		w.run()
		check(w, w.account.EditProfile(w.profile(id).ID, map[string]string{ours: in}))
		subscribe(w, id, magentotest.Subscribed)
		w.settle()
		w.run()
		subscribe(w, id, magentotest.Unsubscribed)
		w.settle()
		w.run()
		if got := w.profile(id).Fields[ours]; got != out {
			t.Errorf("newsletter is %q", got)
		}
	})
}

// A state that was lost, or restored from an older copy, knows nothing of profiles
// that are there: no first write may carry consent over their opt-outs.
func TestPromise18_AnEmptyStateUndoesNoOptOut(t *testing.T) {
	inWorld(t, 200, func(t *testing.T, w *world) {
		optOut(w, w.ids(30))
		w.newState()
		w.pageSize = 20 // so that newly made profiles and unknown ones mix
		for i := range 15 {
			w.shop.Create(magentotest.Customer{
				WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "New", LastName: "Customer",
				Email: "fresh" + time.Duration(i).String() + "@example.test",
			})
		}
		w.settle()
		report := w.run()
		if report.Counters.Created != 15 {
			t.Errorf("%d created, 15 were new", report.Counters.Created)
		}
		w.inStep()
		writes := w.writes()
		w.newState()
		w.run()
		w.inStep()
		if n := w.writes() - writes; n != 0 {
			t.Errorf("adopting what is already right took %d writes", n)
		}
	})
}

// The census asks for a thousand keys. More profiles than that whose keys are ours
// but for their case must not hide the ones that are.
func TestPromise18_AnIncompleteCensusUndoesNoOptOut(t *testing.T) {
	inWorld(t, 60, func(t *testing.T, w *world) {
		for i := range 1001 {
			_, err := w.account.AddProfile(database, map[string]string{"customer_id": "SHOP-c" + strconv.Itoa(1_000_000+i)})
			check(w, err)
		}
		optOut(w, w.ids(10))
		w.newState()
		w.run()
		for _, id := range w.ids(10) {
			if got := w.profile(id).Fields[ours]; got != "unsubscribed_copernica" {
				t.Errorf("customer %d: the opt-out became %q", id, got)
			}
		}
	})
}

func TestPromise18_TwoWebsitesOneEmailAreReadSingly(t *testing.T) {
	const customers = 800
	inWorld(t, customers, func(t *testing.T, w *world) {
		shared := map[string]int{}
		for _, c := range w.shop.Data().Customers {
			shared[strings.ToLower(c.Email)]++
		}
		pairs := 0
		for _, n := range shared {
			if n > 1 {
				pairs++
			}
		}
		if pairs < 20 {
			t.Fatalf("the shop shares only %d e-mails", pairs)
		}
		// At no moment may somebody be subscribed who is not: every write is judged.
		status := map[string]int{}
		for _, c := range w.shop.Data().Customers {
			status[w.mapping.CustomerKey(c.ID)] = c.NewsletterStatus
		}
		w.run()
		w.inStep()
		for _, p := range w.account.Profiles(database) {
			if p.Fields[ours] == in && status[p.Fields["customer_id"]] != magentotest.Subscribed {
				t.Errorf("%s is subscribed in Copernica and not in the shop", p.Fields["customer_id"])
			}
		}
		if n := w.writes(); n != customers {
			t.Errorf("%d writes for %d customers: consent was corrected afterwards", n, customers)
		}
	})
}

// A customer whose content is refused, or cannot be mapped, opts out: that arrives.
func TestPromise18_ARefusedRecordDoesNotHoldUpItsOptOut(t *testing.T) {
	for name, spoil := range map[string]func(w *world, id int64){
		"cannot be mapped": func(w *world, id int64) {
			w.shop.Edit(id, func(c *magentotest.Customer) { c.Email = "" })
		},
		"refused by Copernica": func(w *world, id int64) {
			w.account.Faults().Add(emulator.Fault{
				Status: 400, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"error":{"message":"Invalid data provided"}}`,
				Match: func(r *http.Request) bool {
					return r.Method == http.MethodPut && r.ContentLength > 100 // content, not consent alone
				},
			})
			w.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = "Refused" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 40, func(t *testing.T, w *world) {
				id := w.ids(1)[0]
				subscribe(w, id, magentotest.Subscribed)
				w.settle()
				w.run()
				was := w.profile(id).Fields["firstname"]
				spoil(w, id)
				subscribe(w, id, magentotest.Unsubscribed)
				w.settle()
				report := w.run()
				if got := w.profile(id).Fields; got[ours] != out || got["firstname"] != was {
					t.Errorf("newsletter is %q, first name %q", got[ours], got["firstname"])
				}
				if report.Counters.Refused != 1 || len(w.letters()) != 1 {
					t.Errorf("%+v, %+v", report.Counters, w.letters())
				}
				before := w.account.Log().Total()
				w.run()
				if w.account.Log().Total() != before {
					t.Error("a settled refusal is tried in every run")
				}
			})
		})
	}
}

// Consent alone makes no profile.
func TestPromise18_ConsentOfARemovedProfileIsNotWritten(t *testing.T) {
	inWorld(t, 20, func(t *testing.T, w *world) {
		id := w.ids(1)[0]
		subscribe(w, id, magentotest.Subscribed)
		w.settle()
		w.run()
		check(w, w.account.RemoveProfile(w.profile(id).ID))
		w.shop.Edit(id, func(c *magentotest.Customer) { c.Email = "" })
		subscribe(w, id, magentotest.Unsubscribed)
		w.settle()
		writes := w.writes()
		if report := w.run(); report.Counters.Refused != 1 || w.writes() != writes {
			t.Errorf("%+v, %d writes", report.Counters, w.writes()-writes)
		}
	})
}

// A profile that was removed is made anew when its consent changes; what follows is
// judged by what was written then.
func TestPromise18_TheOptOutAfterARemovedProfileCameBack(t *testing.T) {
	inWorld(t, 20, func(t *testing.T, w *world) {
		id := w.ids(1)[0]
		for _, step := range []struct {
			status int
			want   string
		}{{magentotest.Unsubscribed, out}, {magentotest.Subscribed, in}, {magentotest.Unsubscribed, out}, {magentotest.Subscribed, in}} {
			subscribe(w, id, step.status)
			w.settle()
			w.run()
			if got := w.profile(id).Fields[ours]; got != step.want {
				t.Fatalf("newsletter is %q, want %q", got, step.want)
			}
			if step.want == out {
				check(w, w.account.RemoveProfile(w.profile(id).ID))
			}
		}
		subscribe(w, id, magentotest.Unsubscribed)
		w.settle()
		w.run()
		if got := w.profile(id).Fields[ours]; got != out {
			t.Errorf("the opt-out after it was lost: %q", got)
		}
	})
}

// A peer in front of Copernica throttles after the write went through: the profile is
// known all the same, and an opt-out made in it before the next run stays.
func TestPromise18_AWriteThatWasThrottledTooLate(t *testing.T) {
	inWorld(t, 60, func(t *testing.T, w *world) {
		id := w.ids(1)[0]
		subscribe(w, id, magentotest.Subscribed)
		w.settle()
		key := w.mapping.CustomerKey(id)
		late := w.account.Faults().Add(emulator.Fault{Status: http.StatusTooManyRequests, After: true, Match: func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Query().Get("fields[]"), "=="+key)
		}})
		if _, err := w.engine(nil).Run(t.Context(), engine.Customers); err == nil {
			t.Fatal("no error")
		}
		late.Remove()
		check(w, w.account.Unsubscribe(database, key))
		w.unsubscribed[key] = true
		w.settle()
		w.run()
		w.inStep()
	})
}
