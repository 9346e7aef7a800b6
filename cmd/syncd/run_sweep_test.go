package main

import (
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
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
