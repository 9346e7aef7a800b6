package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

// A new state over a database that an earlier one filled creates nothing twice, and its
// plan does not say so: what stands below profiles that it does not know yet is looked up
// only by the run.
func TestPlanOfANewStateOverAnOldDatabase(t *testing.T) {
	t.Parallel()
	s := newOrderStage(t)
	const taken = "each is looked up first, and what is there is taken over"
	if out := s.run("plan"); strings.Contains(out.stdout, taken) {
		t.Errorf("of an empty database:\n%s", out.stdout)
	}
	s.ends(exitDone, s.run("run"))
	s.run("plan", "customers").says(t, " to Copernica")
	s.environ["SYNCD_DATABASE_URL"] = "sqlite://" + filepath.Join(t.TempDir(), "new.db")
	s.run("plan").says(t, "  up to ", taken)
	rows := func() int { return len(s.account.Subprofiles(copernicatest.DatabaseName, "Orders")) }
	before := rows()
	s.ends(exitDone, s.run("run"))
	if n := rows(); n != before {
		t.Errorf("%d orders, and %d before", n, before)
	}
}
