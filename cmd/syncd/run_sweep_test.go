package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// Sweeps and the way back are run by name, and what they found is told by every command
// that is asked.
func TestSweepsByName(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	says := func(out outcome, words ...string) {
		t.Helper()
		s.ends(exitDone, out)
		for _, word := range words {
			if !strings.Contains(out.stdout, word) {
				t.Errorf("no %q in:\n%s", word, out.stdout)
			}
		}
	}
	says(s.run("run", "customers/sweep"), "customers/sweep: 0 read", "before the first pass is finished")
	opted, deleted := s.id(1), s.id(2)
	s.shop.SetNewsletter(opted, magentotest.Subscribed)
	says(s.run("run"))
	for _, p := range s.account.Profiles(copernicatest.DatabaseName) {
		if p.Fields["customer_id"] == key(opted) {
			s.must(s.account.EditProfile(p.ID, map[string]string{"newsletter": "no, thank you"}))
		}
	}
	s.shop.Delete(deleted)
	s.pass(time.Minute)
	says(s.run("run", "unsubscribes"), "unsubscribes: ", "1 opt-out returned to the shop; ")
	for _, c := range s.shop.Data().Customers {
		if c.ID == opted && c.NewsletterStatus == magentotest.Subscribed {
			t.Error("the shop still mails who opted out in Copernica")
		}
	}
	says(s.run("lookup", key(opted)), "opt-out       made in Copernica in a profile of theirs on ", ", and unsubscribed in the shop ")
	says(s.run("status"), "opt-outs      1 made in Copernica is settled: 1 in a profile of theirs")
	says(s.run("run", "customers/consent", "customers/sweep", "orders/sweep"),
		"customers/consent: ", "1 record gone from the shop; 0 calls to Copernica", "everything was looked at", "orders/sweep: 0 read")
	// What status names, run takes: also the look at Copernica.
	id := s.profileOf("shop-c" + number(s.id(6)))
	s.must(s.account.EditProfile(id, map[string]string{"firstname": "By hand"}))
	s.environ["SYNCD_REPAIR"] = "report"
	says(s.run("run", "copernica/sweep"), "copernica/sweep: ", "0 updated", "  found in Copernica: 1 edited")
	delete(s.environ, "SYNCD_REPAIR")
	says(s.run("run", "copernica/sweep"), "1 updated", "found in Copernica: 1 edited")
	says(s.run("run", "copernica/sweep"), "0 updated", "everything was looked at")
	says(s.run("status"), "sweeps        customers/consent: every 15m; last round began", "unsubscribes: every 15m", "copernica/sweep: every 24h; last round began", "`syncd run NAME` makes a whole round by hand", "1 gone")
	says(s.run("lookup", key(deleted)), "gone: the shop no longer has it")
	// What stopped one is told with its time, however long ago it was mended.
	s.environ["SYNCD_COPERNICA_DATABASE"] = "Magneto"
	s.ends(exitConfiguration, s.run("run", "copernica/sweep"), "set it back to Magento")
	s.environ["SYNCD_COPERNICA_DATABASE"] = copernicatest.DatabaseName
	says(s.run("status"), "  stopped ", ": SYNCD_COPERNICA_DATABASE is Magneto")
	s.environ["SYNCD_WRITE_BACK"] = "off"
	s.environ["SYNCD_RECONCILE_PERIOD"] = "off"
	if out := s.run("status"); strings.Contains(out.stdout, "unsubscribes") || strings.Contains(out.stdout, "copernica/sweep") {
		t.Errorf("what is off is told of:\n%s", out.stdout)
	}
}

// Where nobody runs a daemon, a sweep that the brake stops keeps neither the opt-outs from
// the shop nor the sweeps after it from their rounds; the command ends with what stopped it.
func TestPromise18_TheBrakeStopsItsSweepAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	opted := s.id(0)
	s.shop.SetNewsletter(opted, magentotest.Subscribed)
	s.ends(exitDone, s.run("run"))
	s.optsOut(opted)
	for n, deleted := 1, 0; deleted < 25; n++ {
		s.shop.Delete(s.id(n - deleted))
		deleted++
	}
	s.pass(time.Minute)
	out := s.run("run", "customers/consent", "unsubscribes", "customers/sweep", "orders/sweep")
	s.ends(exitConfiguration, out, "the shop no longer has 25 or more of its customers")
	out.says(t, "customers/consent: ", "; failed", "1 opt-out returned to the shop", "customers/sweep: ", "orders/sweep: 0 read")
	if s.mails(opted) {
		t.Error("the shop still mails who opted out in Copernica")
	}
	// A live stream that fails is the last one.
	s.environ["SYNCD_COPERNICA_DATABASE"] = "Magneto"
	s.shop.Edit(opted, func(c *magentotest.Customer) { c.LastName += " II" })
	s.pass(time.Minute)
	out = s.run("run", "customers", "orders/sweep")
	s.ends(exitConfiguration, out, "set it back to Magento")
	if strings.Contains(out.stdout, "orders/sweep") {
		t.Errorf("went on after the customers failed:\n%s", out.stdout)
	}
}

func TestWhatStopsOneSweepAndWhatStopsAll(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  error
		all  bool
	}{
		{"the brake", &engine.MissingError{}, false},
		{"a permission that is missing", &magento.Error{Status: 401, Class: fault.Credentials}, false},
		{"the shop fails over a page", &magento.Error{Status: 500, Class: fault.Retry}, false},
		{"no answer to one call", &httpx.Error{Kind: httpx.KindTimeout}, false},
		{"another process writes", &state.HeldError{}, true},
		{"another process took over", fmt.Errorf("commit: %w", state.ErrFenced), true},
		{"the shop is another one", &config.Error{}, true},
		{"the state is another shop's", &state.ShopError{}, true},
		{"the peer cannot be reached", &httpx.Error{Kind: httpx.KindDial}, true},
		{"the peer failed too often in a row", errors.Join(&httpx.Error{Kind: httpx.KindBreakerOpen}), true},
	} {
		if got := stopsAll(t.Context(), c.err); got != c.all {
			t.Errorf("%s: stops all is %v", c.name, got)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if !stopsAll(ended, &engine.MissingError{}) {
		t.Error("went on after it was to end")
	}
}

// With --wait a run begins when the other process is through, unless it is to end before;
// without it, it names the holder.
func TestARunWaitsForAnotherProcess(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.taken(func(n int64) bool { return n == 1 })
	s.ends(exitFailed, s.run("run", "customers"), "is held by another process")
	out := s.run("run", "customers", "--wait")
	s.ends(exitDone, out)
	out.says(t, "customers: 32 read, 32 created")
	if !strings.Contains(out.stderr, `another process writes for this shop: waiting for its end" holder="another process"`) {
		t.Errorf("does not say what it waits for:\n%s", out.stderr)
	}
	ctx, stop := context.WithCancel(t.Context())
	s.taken(func(int64) bool { stop(); return true })
	s.ends(exitFailed, s.runIn(ctx, false, "run", "customers", "--wait"), "stopped: the next run resumes where this one was")
}
