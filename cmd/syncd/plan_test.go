package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
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

// What a preview says fits its numbers: no time where nothing is called, one row in the
// singular, and the stream by its name.
func TestPreviewsInWords(t *testing.T) {
	t.Parallel()
	read := state.Counters{Read: 20}
	for _, c := range []struct {
		name    string
		preview engine.Preview
		want    string
	}{
		{
			"no call",
			engine.Preview{Stream: "customers", Counters: read, Total: 60, Time: time.Hour},
			"customers would be: 20 read, 0 created, 0 updated, 0 unchanged; no call to Copernica\n  of 60 records in all, for which that makes no call\n",
		},
		{
			"a short one",
			engine.Preview{Stream: "customers", Counters: read, Total: 20, Calls: 3, Time: time.Second},
			"customers would be: 20 read, 0 created, 0 updated, 0 unchanged; about 3 calls to Copernica, under a minute\n",
		},
		{
			"a long one",
			engine.Preview{Stream: "customers", Counters: read, Total: 60, Calls: 3, Time: 4 * time.Minute},
			"about 3 calls to Copernica, about 4 minutes\n  of 60 records in all, for which that makes about 9 calls and about 12 minutes\n",
		},
		{
			"consent",
			engine.Preview{Stream: "customers/consent/resync-0", Counters: read, Calls: 2},
			"customers/consent would be: 20 read",
		},
		{
			"one look",
			engine.Preview{Stream: "orders", Counters: read, Calls: 1, Looks: 1},
			"  1 row looked at in Copernica first, and written only where it differs\n",
		},
		{
			"two looks",
			engine.Preview{Stream: "orders", Counters: read, Calls: 2, Looks: 2},
			"  2 rows looked at in Copernica first, and written only where they differ\n",
		},
		{
			"forced",
			engine.Preview{Stream: "customers/resync-0", Counters: read, Calls: 1, Forced: true, Rows: []engine.PreviewRow{{Key: "shop-c1", Action: engine.PreviewUpdate}}},
			"the first row:\n  shop-c1  update  forced: as it stands\n",
		},
	} {
		var said strings.Builder
		if err := printPreviews(&said, []engine.Preview{c.preview}, false); err != nil || !strings.Contains(said.String(), c.want) {
			t.Errorf("%s: no %q in (%v)\n%s", c.name, c.want, err, said.String())
		}
	}
}
