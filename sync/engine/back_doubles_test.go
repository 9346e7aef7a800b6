package engine_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
)

// says expects what both sides say of a customer, in the profile that is the ledger's.
func (w *world) says(what string, id, profile int64, want string) {
	w.t.Helper()
	if got := w.profiles()[profile].Fields[ours]; got != want || w.subscribed(id) != (want == in) {
		w.t.Errorf("%s: Copernica shows %q, the shop says %v, want %q", what, got, w.subscribed(id), want)
	}
}

// comesBack has a customer subscribe in the shop, who stays subscribed for as long as
// Copernica's lists repeat what was before.
func (w *world) comesBack(id, profile int64) {
	w.t.Helper()
	subscribe(w, id, magentotest.Subscribed)
	for range 6 { // within the overlap and beyond
		w.settle()
		w.run()
		w.writeBack()
		w.says("came back", id, profile, in)
		time.Sleep(40 * time.Minute)
	}
}

// returns takes opt-outs back and expects it to be so many, and once.
func (w *world) returns(what string, want int64) {
	w.t.Helper()
	w.settle()
	if n := w.writeBack().Counters.OptOutsReturned; n != want {
		w.t.Errorf("%s: %d opt-outs returned, want %d", what, n, want)
	}
	w.settle()
	w.run()
	writes := w.writes()
	if n := w.writeBack().Counters.OptOutsReturned; n != 0 || w.writes() != writes {
		w.t.Errorf("%s: %d returned again, %d writes", what, n, w.writes()-writes)
	}
}

// Who opts out in a profile that syncd did not choose is out: in the shop, and in the one
// that it did choose. The double itself is never written to, and what it showed then is no
// event again.
func TestPromise18_AnOptOutInADouble(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
		ids := w.subscribers(2)
		id, mine := ids[0], w.profile(ids[0]).ID
		double := w.byHand(id, in)
		w.returns("a double that is in", 0)
		w.says("a double that is in", id, mine, in)
		for round, word := range []string{elsewhere, "no", elsewhere} {
			name := fmt.Sprintf("round %d, %q", round, word)
			check(w, w.account.EditProfile(double, map[string]string{ours: word}))
			before := w.profiles()
			w.returns(name, 1)
			w.says(name, id, mine, out)
			w.comesBack(id, mine)
			w.untouched(before, double)
			check(w, w.account.EditProfile(double, map[string]string{"lastname": "Again by hand"})) // nothing that says anything of consent
			time.Sleep(time.Hour)
		}

		// In, and out with the same word as before.
		check(w, w.account.EditProfile(double, map[string]string{ours: in}))
		w.returns("in again", 0)
		w.says("in again", id, mine, in)
		check(w, w.account.EditProfile(double, map[string]string{ours: elsewhere}))
		w.returns("out again", 1)
		w.says("out again", id, mine, out)
		w.says("somebody else", ids[1], w.profile(ids[1]).ID, in)
	})
}

// A click on a mailing that went to a double, whatever it does to that one.
func TestPromise18_AClickOnADouble(t *testing.T) {
	for name, by := range programs {
		for _, behaviour := range []string{"nothing", "update", "remove"} {
			t.Run(name+" "+behaviour, func(t *testing.T) {
				inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
					w.behaves(behaviour)
					ids := w.subscribers(2)
					id, mine := ids[0], w.profile(ids[0]).ID
					double := w.byHand(id, in)
					w.inspect(false) // what is gone when it is looked for is known by this alone
					w.returns("nobody clicked", 0)
					check(w, w.account.Click(double, by))
					before := w.profiles()
					w.returns("clicked", 1)
					w.says("clicked", id, mine, out)
					w.comesBack(id, mine)
					if behaviour != "remove" {
						w.untouched(before, double)
						check(w, w.account.Click(double, by))
						w.returns("clicked again", 1)
						w.says("clicked again", id, mine, out)
					}
					w.says("somebody else", ids[1], w.profile(ids[1]).ID, in)
				})
			})
		}
	}
}

// The shop does not take an opt-out that was made in a double: the chosen profile says so,
// and the letter's replay settles it.
func TestPromise23_AnOptOutInADoubleThatTheShopRefuses(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
		id := w.subscribers(1)[0]
		mine, double := w.profile(id).ID, w.byHand(id, elsewhere)
		w.shop.Faults().Add(emulator.Fault{
			Method: http.MethodPut, PathContains: fmt.Sprintf("/customers/%d", id), Kind: emulator.Status, Status: 400,
			Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, Body: `{"message":"First Name is not valid!"}`,
		})
		before := w.profiles()
		w.writeBack()
		if n := len(w.letters()); n != 1 || w.profiles()[mine].Fields[ours] != out {
			w.t.Fatalf("%d letters, newsletter %q", n, w.profiles()[mine].Fields[ours])
		}
		w.shop.Faults().Clear()
		replayed, err := w.engine(nil).Deliver(w.t.Context(), "unsubscribes", []int64{id})
		if err != nil || len(w.letters()) != 0 {
			w.t.Errorf("%+v, %v, %+v", replayed.Counters, err, w.letters())
		}
		w.returns("replayed", 0)
		w.says("replayed", id, mine, out)
		w.comesBack(id, mine)
		w.untouched(before, double)
	})
}

// A new state does not know the profile of a customer whose record cannot be delivered just
// then. Their opt-out goes back all the same, and is kept when the profile is adopted.
func TestPromise18_AnOptOutWhileARecordIsRefused(t *testing.T) {
	for name, optsOut := range map[string]func(*world, int64){
		"by field": func(w *world, id int64) { w.optsOut(id) },
		"by click": func(w *world, id int64) { w.click(id, copernicatest.Publisher) },
	} {
		for _, refused := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, the shop refuses it at first %v", name, refused), func(t *testing.T) {
				inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
					id := w.subscribers(1)[0]
					mine := w.profile(id).ID
					email := w.profiles()[mine].Fields["email"]
					w.newState()
					w.shop.Edit(id, func(c *magentotest.Customer) { c.Email = strings.Repeat("x", 170) + c.Email })
					w.settle()
					w.run()
					if rec := w.record(state.Profile, w.mapping.CustomerKey(id)); rec.State != state.Refused || rec.CopernicaID != 0 {
						w.t.Fatalf("%+v", rec)
					}
					w.returns("nobody opted out", 0)
					optsOut(w, id)
					if refused {
						w.shop.Faults().Add(emulator.Fault{
							Method: http.MethodPut, Kind: emulator.Status, Status: 400,
							Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, Body: `{"message":"First Name is not valid!"}`,
						})
						w.settle()
						w.writeBack()
						w.shop.Faults().Clear()
						_, err := w.engine(nil).Deliver(w.t.Context(), "unsubscribes", []int64{id})
						check(w, err)
						if letters := w.letters(); len(letters) != 1 || letters[0].Entity != state.Profile {
							w.t.Errorf("%+v", letters)
						}
					} else {
						w.returns("opted out", 1)
					}
					if w.subscribed(id) {
						w.t.Error("the shop says that they are in")
					}
					time.Sleep(5 * time.Hour)
					w.writeBack()
					w.shop.Edit(id, func(c *magentotest.Customer) { c.Email = email })
					w.settle()
					if kept := w.run().Counters.OptOutsKept; kept != 0 {
						w.t.Errorf("%d opt-outs kept that the shop has", kept)
					}
					w.isOut(id)
					w.returns("adopted", 0)
					w.comesBack(id, mine)
				})
			})
		}
	}
}

// A list that tells only after the double did undoes no opt-in that came in between.
func TestPromise18_AListThatTellsLateOfADouble(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
		w.behaves("update")
		id := w.subscribers(1)[0]
		mine, double := w.profile(id).ID, w.byHand(id, in)
		late := w.account.Faults().Add(emulator.Fault{PathContains: "/publisher/", Kind: emulator.HTML, Status: 503})
		check(w, w.account.Click(double, copernicatest.Publisher))
		w.settle()
		if report, err := w.engine(nil).WriteBack(w.t.Context()); err == nil || report.Counters.OptOutsReturned != 1 {
			w.t.Errorf("%+v, %v", report, err)
		}
		w.says("shown", id, mine, out)
		subscribe(w, id, magentotest.Subscribed)
		w.settle()
		w.run()
		late.Remove()
		w.returns("told", 0)
		w.says("told", id, mine, in)
	})
}

// A click counts also while the ledger does not know whose profile it was on: a new state
// has yet to come by the customer, or the profile was just made and nobody answered.
func TestPromise18_AClickBeforeTheLedgerKnowsTheProfile(t *testing.T) {
	t.Run("a new state", func(t *testing.T) {
		inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
			w.behaves("nothing")
			id := w.subscribers(1)[0]
			w.newState()
			w.click(id, copernicatest.Publisher)
			for range 5 {
				w.settle()
				w.writeBack()
				time.Sleep(time.Hour)
			}
			w.run()
			w.returns("known", 1)
			w.isOut(id)
		})
	})
	t.Run("no answer", func(t *testing.T) {
		inShop(t, magentotest.Config{Customers: 5}, func(_ *testing.T, w *world) {
			w.behaves("nothing")
			w.run()
			w.writeBack()
			id := w.shop.Create(magentotest.Customer{
				WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "Ada", LastName: "New", Email: "ada@example.test", NewsletterStatus: magentotest.Subscribed,
			})
			w.settle()
			w.unanswered(customers)
			if rec := w.record(state.Profile, w.mapping.CustomerKey(id)); rec.State != state.Unknown || rec.CopernicaID != 0 {
				w.t.Fatalf("%+v", rec)
			}
			w.click(id, copernicatest.MarketingSuite)
			w.settle()
			w.writeBack()
			time.Sleep(5 * time.Hour)
			w.run()
			w.writeBack()
			w.isOut(id)
		})
	})
}
