package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/schedule"
)

// sweeping is a stage in step whose sweeps are worked as the daemon does, on a clock that
// jumps from one slice to the next.
type sweeping struct {
	*stage
	cfg    config.Config
	store  state.Store
	engine *engine.Engine
	sweeps *sweeps
	log    *bytes.Buffer
	read   map[string]int64
	most   map[string]int64 // by one slice
	done   map[string]int
	slices map[string]int
	took   map[string]time.Duration
}

func sweepingOf(t *testing.T, shop magentotest.Config, settings ...string) *sweeping {
	t.Helper()
	s := &sweeping{stage: stageOf(t, shop), log: new(bytes.Buffer)}
	s.read, s.most, s.done, s.slices, s.took = map[string]int64{}, map[string]int64{}, map[string]int{}, map[string]int{}, map[string]time.Duration{}
	s.ends(exitDone, s.run("run"))
	a := &app{
		stdout: s.log, stderr: s.log, environ: append(s.env(), settings...),
		now:    func() time.Time { return time.Now().Add(time.Duration(s.ownAhead.Load())) },
		screen: &screen{out: s.log},
	}
	cfg, _, err := a.configure(t.Context(), serveNeeds)
	s.must(err)
	log := slog.New(slog.NewTextHandler(s.log, nil))
	s.cfg = cfg
	s.store, err = a.openState(t.Context(), cfg, slog.New(slog.DiscardHandler))
	s.must(err)
	p, err := a.openPipeline(t.Context(), cfg, slog.New(slog.DiscardHandler), s.store, func(engine.Progress) {})
	s.must(err)
	t.Cleanup(func() {
		s.must(p.close())
		s.must(s.store.Close())
	})
	s.engine, s.sweeps = p.engine, newSweeps("seed", a.now, log)
	s.sweeps.use(cfg, s.store)
	return s
}

// work plays a time.
func (s *sweeping) work(lasting time.Duration) {
	s.t.Helper()
	for until := s.sweeps.now().Add(lasting); ; {
		name, due, err := s.sweeps.between(s.t.Context(), s.engine)
		s.must(err)
		if name == "" || due.After(until) {
			s.pass(until.Sub(s.sweeps.now()))
			return
		}
		if wait := due.Sub(s.sweeps.now()); wait > 0 {
			s.pass(wait)
			continue // it may be another's turn by then
		}
		r := schedule.Result{Task: schedule.Task{Stream: name, Start: s.sweeps.now(), Between: true}, Kind: schedule.Ended}
		if r.Report, r.Err = s.sweeps.named(name).work(s.t.Context(), s.engine); r.Err != nil {
			r.Kind = schedule.Failed
		}
		s.read[name] += r.Report.Counters.Read
		s.most[name] = max(s.most[name], r.Report.Counters.Read)
		s.slices[name]++
		s.took[name] += r.Report.Elapsed
		if r.Report.Outcome == state.Done {
			s.done[name]++
		}
		s.sweeps.observe(r)
	}
}

func (s *sweeping) lines(words string) int {
	n := 0
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, words) {
			n++
		}
	}
	return n
}

// Over some hours each sweep makes the rounds that its period asks for, what was quietly
// changed on either side is put right, and next to nothing is said.
func TestServeSweepsEverythingInItsPeriod(t *testing.T) {
	t.Parallel()
	s := sweepingOf(t, magentotest.Config{Customers: 50, Orders: 20}, "SYNCD_RECONCILE_PERIOD=6h", "SYNCD_MAGENTO_PAGE_SIZE=20")
	began := s.sweeps.now()
	if _, due, err := s.sweeps.between(t.Context(), s.engine); err != nil || due.Sub(began) < 50*time.Second {
		t.Errorf("the first slice %s after the start, %v", due.Sub(began), err)
	}
	quiet, opted, edited := s.id(1), s.id(2), s.id(3)
	s.shop.SetNewsletter(opted, magentotest.Subscribed)
	s.work(30 * time.Minute)
	s.shop.EditQuietly(quiet, func(c *magentotest.Customer) { c.LastName = "Quiet" })
	for _, p := range s.account.Profiles(copernicatest.DatabaseName) {
		switch p.Fields["customer_id"] {
		case key(opted):
			s.must(s.account.EditProfile(p.ID, map[string]string{"newsletter": "not subscribed"}))
		case key(edited):
			s.must(s.account.EditProfile(p.ID, map[string]string{"firstname": "By hand"}))
		}
	}
	s.work(30 * time.Minute)
	for _, c := range s.shop.Data().Customers {
		if c.ID == opted && c.NewsletterStatus == magentotest.Subscribed {
			t.Error("an opt-out in Copernica did not reach the shop")
		}
	}
	s.work(7 * time.Hour)
	s.compare()
	if n := s.done[engine.ConsentSweep]; n < 28 || n > 33 {
		t.Errorf("%d rounds of the newsletter in 8 hours", n)
	}
	if n := s.done[engine.CustomersSweep]; n < 1 || n > 2 || s.read[engine.CustomersSweep] > 3*50 {
		t.Errorf("%d rounds of the customers, %d read", n, s.read[engine.CustomersSweep])
	}
	for _, name := range []string{engine.OrdersSweep, engine.InspectSweep, engine.Unsubscribes} {
		if s.done[name] < 1 {
			t.Errorf("%s was never finished: %v", name, s.done)
		}
	}
	if n := s.lines("level="); n > 6 || s.lines("level=ERROR") > 0 || s.lines("opt-outs made in Copernica went back to the shop\" opt_outs=1\n") != 1 || s.lines("edited_in_copernica=1") != 1 {
		t.Errorf("the log:\n%s", s.log)
	}
}

// Of a guest's opt-out the log does not say that it went to the shop.
func TestServeTellsOfAGuestsOptOut(t *testing.T) {
	t.Parallel()
	s := sweepingOf(t, magentotest.Config{Customers: 20, Orders: 20})
	s.work(30 * time.Minute)
	profiles := s.account.Profiles(copernicatest.DatabaseName)
	guest := slices.IndexFunc(profiles, func(p copernicatest.Profile) bool { return guestly(p.Fields["customer_id"]) })
	s.must(s.account.EditProfile(profiles[guest].ID, map[string]string{"newsletter": "not subscribed"}))
	s.work(30 * time.Minute)
	if s.lines("went back to the shop") != 0 || s.lines("are of people without a record in the shop\" opt_outs=1\n") != 1 {
		t.Errorf("the log:\n%s", s.log)
	}
}

// A sweep that only an operator can set going says so once a day, and the others go on.
func TestServeSweepsStopAlone(t *testing.T) {
	t.Parallel()
	s := sweepingOf(t, magentotest.Config{Customers: 60}, "SYNCD_RECONCILE_PERIOD=1h", "SYNCD_MAGENTO_PAGE_SIZE=100")
	opted := s.id(0)
	s.shop.SetNewsletter(opted, magentotest.Subscribed)
	s.work(40 * time.Minute)
	people := s.shop.Data().Customers
	for _, c := range people {
		if c.ID != opted && len(s.shop.Data().Customers) > 30 {
			s.shop.Delete(c.ID)
		}
	}
	refused := s.shop.Faults().Add(emulator.Fault{
		Status: http.StatusUnauthorized, Header: http.Header{"Content-Type": {"application/json"}},
		Body:  `{"message":"The consumer isn't authorized to access %resources.","parameters":{"resources":"Magento_Customer::manage"}}`,
		Match: func(r *http.Request) bool { return r.Method == http.MethodPut },
	})
	for _, p := range s.account.Profiles(copernicatest.DatabaseName) {
		if p.Fields["customer_id"] == key(opted) {
			s.must(s.account.EditProfile(p.ID, map[string]string{"newsletter": "not subscribed"}))
		}
	}
	s.work(25 * time.Hour)
	for words, most := range map[string]int{
		"sweep=customers/sweep class=configuration": 2, "sweep=customers/consent class=configuration": 2,
		"sweep=unsubscribes": 2, "Magento_Customer::manage": 2, "--accept-deletions": 4,
	} {
		if n := s.lines(words); n < 1 || n > most {
			t.Errorf("%q stands in %d lines:\n%s", words, n, s.log)
		}
	}
	rounds := s.done[engine.InspectSweep]
	if rounds < 20 {
		t.Errorf("%d rounds of Copernica", rounds)
	}
	refused.Remove()
	s.work(3 * time.Hour)
	if n := s.lines(`msg="sweep works again" sweep=unsubscribes`); n != 1 {
		t.Errorf("its end is told %d times", n)
	}
}

func TestConsentGetsATenthOfTheTime(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), sqlite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() // in memory
	cfg := config.Config{Shop: "shop", Consent: config.Period(15 * time.Minute)}
	if _, err := store.OpenPipeline(t.Context(), state.Pipeline{Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-5 * time.Hour)
	ran := func(stream string, took time.Duration, outcome state.RunOutcome) {
		t.Helper()
		row := state.Run{Pipeline: "shop", Stream: stream, Started: at, Ended: at.Add(took), Outcome: outcome, Counters: state.Counters{Read: 300}}
		if row.ID, err = store.StartRun(t.Context(), row); err == nil {
			err = store.SaveRun(t.Context(), row)
		}
		if err != nil {
			t.Fatal(err)
		}
		at = at.Add(took + time.Minute)
	}
	expect := func(want time.Duration) {
		t.Helper()
		if got, err := consentPeriod(t.Context(), store, cfg); err != nil || got != want {
			t.Errorf("%s, want %s (%v)", got, want, err)
		}
	}
	expect(15 * time.Minute)
	for range 3 {
		ran(engine.ConsentSweep, 10*time.Second, state.Paused)
		ran(engine.Customers, time.Minute, state.Done)
	}
	expect(15 * time.Minute) // no round is finished
	ran(engine.ConsentSweep, 10*time.Second, state.Done)
	expect(15 * time.Minute)
	for range 11 {
		ran(engine.ConsentSweep, 20*time.Second, state.Paused)
		ran(engine.Orders, time.Minute, state.Done)
	}
	ran(engine.ConsentSweep, 20*time.Second, state.Done)
	ran(engine.ConsentSweep, 10*time.Second, state.Paused) // of the next round
	expect(40 * time.Minute)
	for range 119 { // more than are read at once
		ran(engine.ConsentSweep, 20*time.Second, state.Paused)
	}
	ran(engine.ConsentSweep, 20*time.Second, state.Done)
	expect(10 * (10*time.Second + 120*20*time.Second))
}

// key is that of a customer.
func key(id int64) string { return fmt.Sprint("shop-c", id) }
