package main

import (
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
)

// TestRefusedPasswordAcrossProcesses runs a timer of five minutes with a wrong
// password for half a day: each seventh run, after 35 minutes, tries it. Six refusals
// with less than half an hour between them would lock the account.
func TestRefusedPasswordAcrossProcesses(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.environ["SYNCD_MAGENTO_ACCESS_TOKEN"] = ""
	s.environ["SYNCD_MAGENTO_USERNAME"], s.environ["SYNCD_MAGENTO_PASSWORD"] = magentotest.Username, "hunter2-password"
	signIns := func() int64 { return s.shop.Log().Counts()["POST /rest/all/V1/integration/admin/token"] }

	const every, runs = 5 * time.Minute, 12 * 12
	for i := range runs {
		before := signIns()
		out := s.run("run")
		tried := signIns() - before
		want, says := int64(0), "before 20"
		if i%7 == 0 {
			want, says = 1, "401"
		}
		if tried != want {
			t.Fatalf("run %d: %d sign-ins, want %d", i, tried, want)
		}
		s.ends(exitPeer, out, says, "SYNCD_MAGENTO_PASSWORD", "30 minutes")
		s.pass(every)
	}

	// A corrected password is tried at once, and the account is not locked.
	s.ends(exitPeer, s.run("run"), "SYNCD_MAGENTO_PASSWORD")
	s.environ["SYNCD_MAGENTO_PASSWORD"] = magentotest.Password
	s.inStep()

	// The wrong one is still known, from another shop's address it is another matter.
	s.environ["SYNCD_MAGENTO_PASSWORD"] = "hunter2-password"
	before := signIns()
	s.ends(exitPeer, s.run("run"), "tried at once")
	s.environ["SYNCD_MAGENTO_BASE_URL"] = s.shopFront.url + "/rest"
	s.ends(exitPeer, s.run("run"), "401")
	if n := signIns() - before; n != 1 {
		t.Errorf("%d sign-ins, want 1 at the second address", n)
	}
}
