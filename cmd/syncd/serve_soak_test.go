//go:build soak

package main

import (
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// TestSoakServe is the daemon as a process, in which 300 runs, as many as half a day has
// at 5 minutes, come one a second while 1 % of all calls go wrong: it takes no more
// memory and goroutines at the end than at the beginning. A day on a simulated clock,
// with the lag looked at each minute, is TestSoakService in sync/schedule.
func TestSoakServe(t *testing.T) {
	s := newStage(t)
	d := s.serve("syncd", "SYNCD_SCHEDULE_CUSTOMERS=@every 1s", "SYNCD_SCHEDULE_ORDERS=@every 1s")
	d.readiness(http.StatusOK)
	for _, faults := range []*emulator.Faults{s.shop.Faults(), s.account.Faults()} {
		for i, f := range []emulator.Fault{{Kind: emulator.Reset, After: true}, {Status: 500}, {Status: 429}, {Kind: emulator.Truncate}} {
			f.Every, f.Skip = 400, 97*i
			faults.Add(f)
		}
	}
	random := rand.New(rand.NewPCG(1, 1))
	people := s.shop.Data().Customers
	// live lets the shop live until that many runs have ended well, and returns what the process takes.
	live := func(runs float64) (memory, goroutines float64) {
		d.pollFor(time.Hour, func() bool {
			id := people[random.IntN(len(people))].ID
			s.shop.Edit(id, func(c *magentotest.Customer) { c.LastName += "." })
			return d.metric(`syncd_runs_total{outcome="done",stream="customers"}`)+
				d.metric(`syncd_runs_total{stream="orders",outcome="done"}`) >= runs
		})
		return d.metric("process_resident_memory_bytes"), d.metric("go_goroutines")
	}
	memory, goroutines := live(60)
	memoryNow, goroutinesNow := live(300)
	s.shop.Faults().Clear()
	s.account.Faults().Clear()
	d.signal(syscall.SIGHUP) // what backs off is tried at once
	d.poll(func() bool { return d.metric(`syncd_stream_lag_seconds{stream="customers"}`) < 5 })
	t.Logf("after 60 runs %.0f MiB and %.0f goroutines, after 300 %.0f MiB and %.0f; %d log lines, %d of them errors",
		memory/(1<<20), goroutines, memoryNow/(1<<20), goroutinesNow, d.times("msg="), d.times("level=ERROR"))
	if memoryNow > memory*1.3+8<<20 || goroutinesNow > goroutines+10 {
		t.Error("the process grows")
	}
	d.stop()
	s.pass(2 * time.Minute) // the last change is behind the horizon, and what has no outcome is looked up
	s.inStep()
}

// metric reads a sample off /metrics; 0 when it is not there.
func (d *served) metric(sample string) float64 {
	d.t.Helper()
	_, text := d.ask("/metrics")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(strings.TrimSpace(sample)) + ` (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	value, err := strconv.ParseFloat(m[1], 64)
	d.must(err)
	return value
}
