package engine_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// listsDown takes both lists of who unsubscribed away for a time.
func (w *world) listsDown() (back func()) {
	fault := w.account.Faults().Add(emulator.Fault{PathContains: "/unsubscribes", Kind: emulator.HTML, Status: 503})
	return fault.Remove
}

// saysOut and saysIn are what somebody does on the storefront, seen by a sweep at once.
func (w *world) saysOut(id int64) { w.storefront(id, magentotest.Unsubscribed) }
func (w *world) saysIn(id int64)  { w.storefront(id, magentotest.Subscribed) }

func (w *world) storefront(id int64, status int) {
	w.t.Helper()
	w.shop.SetNewsletter(id, status)
	w.sweep(engine.ConsentSweep)
}

// isMailed expects that somebody is subscribed on both sides, or on neither.
func (w *world) isMailed(id int64, mailed bool) {
	w.t.Helper()
	if !mailed {
		w.isOut(id)
	} else if got := w.profile(id).Fields[ours]; !w.subscribed(id) || got != in {
		w.t.Errorf("customer %d: the shop says %v, Copernica %q", id, w.subscribed(id), got)
	}
}

// Who unsubscribed from a mailing, was then seen out in the shop and then in, came back
// after the click, however late its list tells of it. That is noted, told, and never an
// event again; the next click is.
func TestPromise18_AnOptInThatIsLaterThanAClick(t *testing.T) {
	for name, by := range programs {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
				w.behaves("nothing")
				ids := w.subscribers(2)
				back := w.listsDown()
				clicked := time.Now().UTC().Truncate(time.Second)
				for _, id := range ids {
					w.click(id, by)
				}
				time.Sleep(45 * time.Minute)
				w.saysOut(ids[0])
				time.Sleep(30 * time.Minute)
				w.saysIn(ids[0])
				time.Sleep(45 * time.Minute)
				back()

				var log bytes.Buffer
				e := w.engine(func(cfg *engine.Config) { cfg.Log = slog.New(slog.NewTextHandler(&log, nil)) })
				report, err := e.WriteBack(w.t.Context())
				if err != nil || report.Counters.OptOutsReturned != 1 {
					w.t.Errorf("%d opt-outs returned, %v", report.Counters.OptOutsReturned, err)
				}
				w.isMailed(ids[0], true)
				w.isOut(ids[1])
				if at := w.record(state.Profile, w.mapping.CustomerKey(ids[0])).UnsubscribedAt; !at.Equal(clicked) {
					w.t.Errorf("the click of %v is settled up to %v", clicked, at)
				}
				writes := w.writes()
				if _, err := e.WriteBack(w.t.Context()); err != nil || w.writes() != writes {
					w.t.Errorf("looked at again: %d writes, %v", w.writes()-writes, err)
				}
				if strings.Count(log.String(), "have subscribed in the shop since") != 1 || !strings.Contains(log.String(), "people=1") {
					w.t.Errorf("what is told: %q", &log)
				}
				w.click(ids[0], by)
				w.settle()
				w.writeBack()
				w.isOut(ids[0])
			})
		})
	}
}

// The shop's opt-in lies between the look that saw the person out and the one that saw them
// in. A click that is not provably before that wins, and so does one of somebody whom
// nobody saw out.
func TestPromise18_ClicksAroundAnOptIn(t *testing.T) {
	wait := func(minutes int) { time.Sleep(time.Duration(minutes) * time.Minute) }
	click := func(w *world, id int64) { w.click(id, copernicatest.Publisher) }
	for name, tc := range map[string]struct {
		ahead time.Duration // Copernica's clock
		plays func(w *world, id int64)
		stays bool // else the opt-out wins, which is counted and shown
	}{
		"before both":     {0, func(w *world, id int64) { click(w, id); wait(6); w.saysOut(id); wait(30); w.saysIn(id) }, true},
		"between the two": {0, func(w *world, id int64) { w.saysOut(id); wait(30); click(w, id); wait(30); w.saysIn(id) }, false},
		"after both":      {0, func(w *world, id int64) { w.saysOut(id); wait(30); w.saysIn(id); wait(30); click(w, id) }, false},
		"nobody saw them out": {0, func(w *world, id int64) {
			click(w, id)
			wait(30)
			w.shop.SetNewsletter(id, magentotest.Unsubscribed)
			wait(30)
			w.saysIn(id)
		}, false},
		"closer than clocks may be apart": {0, func(w *world, id int64) { click(w, id); wait(4); w.saysOut(id); wait(30); w.saysIn(id) }, false},
		"between the two, by a clock that is late": {-4 * time.Minute, func(w *world, id int64) {
			w.saysOut(id)
			wait(3)
			click(w, id)
			wait(30)
			w.saysIn(id)
		}, false},
		"the second of two": {0, func(w *world, id int64) {
			click(w, id)
			wait(30)
			w.saysOut(id)
			wait(30)
			w.click(id, copernicatest.MarketingSuite)
			wait(30)
			w.saysIn(id)
		}, false},
		// A list looks subscriptions up by e-mail alone, over all websites.
		"only a list of the shop said out": {0, func(w *world, id int64) {
			click(w, id)
			wait(30)
			subscribe(w, id, magentotest.Unsubscribed)
			w.settle()
			w.run()
			wait(30)
			w.saysIn(id)
		}, false},
		// Which the shop is asked about itself.
		"before both, and only a list of the shop said in": {0, func(w *world, id int64) {
			click(w, id)
			wait(30)
			w.saysOut(id)
			wait(30)
			subscribe(w, id, magentotest.Subscribed)
			w.settle()
			w.run()
		}, true},
		"before both, and they are out again": {0, func(w *world, id int64) {
			click(w, id)
			wait(30)
			w.saysOut(id)
			wait(30)
			w.saysIn(id)
			wait(30)
			w.shop.SetNewsletter(id, magentotest.Unsubscribed)
		}, false},
		"they were out, and were seen so again by nobody": {0, func(w *world, id int64) {
			w.saysOut(id)
			wait(30)
			click(w, id)
			wait(30)
			w.sweep(engine.ConsentSweep)
			wait(30)
			w.saysIn(id)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
				w.ahead = tc.ahead
				w.newAccount(copernicatest.Switches{})
				w.behaves("nothing")
				id := w.subscribers(1)[0]
				back := w.listsDown()
				tc.plays(w, id)
				wait(30)
				back()
				returned := w.writeBack().Counters.OptOutsReturned
				w.isMailed(id, tc.stays)
				told, err := w.store.OptOuts(w.t.Context(), "shop", w.mapping.CustomerKey(id), 10)
				if err != nil || returned > 0 == tc.stays || int64(len(told)) != returned {
					w.t.Errorf("%d opt-outs returned, told are %+v, %v", returned, told, err)
				}
			})
		})
	}
}

// Who is back in the shop unseen is out as far as the ledger knows: the opt-out wins.
func TestPromise18_AClickOfSomebodyWhoIsBackUnseen(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
		w.behaves("nothing")
		id := w.subscribers(1)[0]
		back := w.listsDown()
		w.click(id, copernicatest.Publisher)
		time.Sleep(30 * time.Minute)
		w.saysOut(id)
		time.Sleep(30 * time.Minute)
		w.shop.SetNewsletter(id, magentotest.Subscribed)
		back()
		w.writeBack()
		w.isMailed(id, false)
	})
}

// Whom syncd itself unsubscribed in the shop was out then: a click that is told later and was
// earlier does not take back the opt-in that followed.
func TestPromise18_AnEarlierClickThanTheOneThatWentBack(t *testing.T) {
	for name, out := range map[string]func(*world, int64){
		"by a click": func(w *world, id int64) { w.click(id, copernicatest.MarketingSuite) },
		"in the profile": func(w *world, id int64) {
			check(w, w.account.EditProfile(w.profile(id).ID, map[string]string{ours: "no"}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
				w.behaves("nothing")
				id := w.subscribers(1)[0]
				publisher := w.account.Faults().Add(emulator.Fault{PathContains: "/publisher/", Kind: emulator.HTML, Status: 503})
				out(w, id)
				time.Sleep(10 * time.Minute)
				w.click(id, copernicatest.Publisher)
				time.Sleep(10 * time.Minute)
				if _, err := w.engine(nil).WriteBack(w.t.Context()); err == nil {
					w.t.Error("a list that is down is not told")
				}
				w.isOut(id)
				time.Sleep(30 * time.Minute)
				w.saysIn(id)
				publisher.Remove()
				w.writeBack()
				w.isMailed(id, true)
			})
		})
	}
}

// Without the sighting nobody knows that an opt-in is later; an older copy of the state that
// has it is as good as the state.
func TestPromise18_AnOptInThatTheStateForgot(t *testing.T) {
	for name, tc := range map[string]struct {
		seen  bool // out, by the copy
		lost  bool
		stays bool
	}{
		"a state that was lost":                      {lost: true},
		"an older state, of before they were out":    {},
		"an older state, of when they were seen out": {seen: true, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30}, func(_ *testing.T, w *world) {
				w.behaves("nothing")
				save, restore := w.inFile()
				id := w.subscribers(1)[0]
				back := w.listsDown()
				w.click(id, copernicatest.Publisher)
				time.Sleep(30 * time.Minute)
				save()
				w.saysOut(id)
				if tc.seen {
					save()
				}
				time.Sleep(30 * time.Minute)
				w.saysIn(id)
				time.Sleep(30 * time.Minute)
				if restore(); tc.lost {
					w.newState()
				}
				w.settle()
				w.run()
				w.sweep(engine.ConsentSweep)
				back()
				w.writeBack()
				w.isMailed(id, tc.stays)
			})
		})
	}
}

// A guest who clicked and is a customer by now is judged by what the shop said of the
// customer.
func TestPromise18_AClickOfAGuestWhoBecameACustomer(t *testing.T) {
	for name, seen := range map[string]bool{"seen out since": true, "never seen out": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(_ *testing.T, w *world) {
				w.behaves("nothing")
				w.guestOrder("anna@example.test", "Anna")
				w.both()
				w.writeBack()
				back := w.listsDown()
				check(w, w.account.Click(w.profileOf(w.guestKey("anna@example.test")).ID, copernicatest.Publisher))
				time.Sleep(30 * time.Minute)
				id := w.register("anna@example.test", subscribed)
				w.both()
				time.Sleep(30 * time.Minute)
				if seen {
					w.saysOut(id)
					time.Sleep(30 * time.Minute)
					w.saysIn(id)
				}
				back()
				w.writeBack()
				w.isMailed(id, seen)
			})
		})
	}
}

// Of a person with several accounts the one with the profile must have been seen out itself:
// another one can leave them, and with it what it said.
func TestPromise18_AClickOfAPersonWithSeveralAccounts(t *testing.T) {
	for name, own := range map[string]bool{"out by the account with the profile": true, "out by the other one": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(_ *testing.T, w *world) {
				w.byEmail()
				w.behaves("nothing")
				first := w.register("anna@example.test", subscribed)
				second := w.register("anna@example.test", func(c *magentotest.Customer) { abroad(c); subscribed(c) })
				w.both()
				w.writeBack()
				back := w.listsDown()
				w.click(first, copernicatest.Publisher)
				time.Sleep(30 * time.Minute)
				one := second
				if own {
					one = first
				}
				w.shop.SetNewsletter(one, magentotest.Unsubscribed)
				w.sweepAll()
				if got := w.profile(first).Fields[ours]; got != "not subscribed" {
					w.t.Errorf("unsubscribed with one: %q", got)
				}
				time.Sleep(30 * time.Minute)
				w.shop.SetNewsletter(one, magentotest.Subscribed)
				w.sweepAll()
				w.isMailed(first, true)
				back()
				w.writeBack()
				w.isMailed(first, own)
				if w.subscribed(second) != own {
					w.t.Errorf("the other account is subscribed: %v", !own)
				}
			})
		})
	}
}
