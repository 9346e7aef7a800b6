package main

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/schedule"
)

// slowly puts a time that passes in front of each call of a peer that is a list, which may
// be asked for in another way then.
func (s *sweeping) slowly(f *front, peer http.Handler, list func(*http.Request) bool, each time.Duration, ask func(*http.Request)) {
	var slow http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if list(r) {
			s.pass(each)
			ask(r)
		}
		peer.ServeHTTP(w, r)
	})
	f.mask.Store(&slow)
}

// kept expects that a sweep made its round within a period, by at least so many slices,
// and that it left the others three quarters of the time.
func (s *sweeping) kept(name string, period time.Duration, records int64, slices int) {
	s.t.Helper()
	if s.done[name] != 1 || s.read[name] < records {
		s.t.Errorf("%s: %d rounds, %d of %d records read", name, s.done[name], s.read[name], records)
	}
	if s.slices[name] < slices || s.most[name] > records/5 {
		s.t.Errorf("%s: %d slices, %d records at most at once", name, s.slices[name], s.most[name])
	}
	if most := period/4 + sliceTime; s.took[name] > most {
		s.t.Errorf("%s took %s of %s", name, s.took[name], period)
	}
}

// A shop so slow that one slice every five minutes would not be enough: a sweep that is
// behind goes on as soon as the others had their share of the time.
func TestPromise04_ASweepThatIsBehindGoesOnSooner(t *testing.T) {
	t.Parallel()
	s := sweepingOf(t, magentotest.Config{Customers: 20, Orders: 200}, "SYNCD_RECONCILE_PERIOD=1h")
	s.slowly(s.shopFront, s.shop.Handler(), func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/V1/orders") }, 25*time.Second, func(*http.Request) {})
	s.work(time.Hour + firstSlice + spreadSlices)
	s.kept(engine.OrdersSweep, time.Hour, 200, 20)
}

// Copernica gives a thousand rows a page, here five: a round of many pages keeps its period
// all the same.
func TestPromise15_ServeLooksThroughCopernicaInItsPeriod(t *testing.T) {
	t.Parallel()
	customers := max(200/testScale(), 60)
	s := sweepingOf(t, magentotest.Config{Customers: customers}, "SYNCD_RECONCILE_PERIOD=1h")
	s.slowly(s.accountFront, s.account.Handler(), func(r *http.Request) bool { return r.URL.Query().Get("orderby") == "id" }, 5*time.Second, func(r *http.Request) {
		q := r.URL.Query()
		q.Set("limit", "5")
		r.URL.RawQuery = q.Encode()
	})
	s.work(time.Hour + firstSlice + spreadSlices)
	s.kept(engine.InspectSweep, time.Hour, int64(customers), 10)
}

// Whatever a slice took, nine times as long belongs to others after one of the newsletter,
// and three times as long after any other. One that was quick has its gap besides.
func TestASweepLeavesTheOthersTheirTime(t *testing.T) {
	t.Parallel()
	every, err := config.NewSchedule("*/5 * * * *")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Config{
		Consent: config.Period(15 * time.Minute), Reconcile: config.Period(24 * time.Hour),
		Schedule: config.Schedules{Customers: every, Orders: every},
	}
	for _, tc := range []struct {
		name       string
		took, next time.Duration // the next slice, from the start of this one
	}{
		{engine.ConsentSweep, 100 * time.Millisecond, time.Minute},
		{engine.ConsentSweep, 10 * time.Second, 100 * time.Second},
		{engine.ConsentSweep, 25 * time.Second, 250 * time.Second},
		{engine.CustomersSweep, 100 * time.Millisecond, 5 * time.Minute},
		{engine.OrdersSweep, 10 * time.Second, 5 * time.Minute},
		{engine.OrdersSweep, 25 * time.Second, 100 * time.Second}, // it is behind
		{engine.InspectSweep, 2 * time.Minute, 8 * time.Minute},
	} {
		began := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)
		now := began
		s := newSweeps("seed", func() time.Time { return now }, slog.New(slog.DiscardHandler))
		s.use(cfg, nil)
		now = began.Add(tc.took)
		s.observe(schedule.Result{
			Task: schedule.Task{Stream: tc.name, Start: began, Between: true}, Kind: schedule.Ended, Report: engine.Report{Elapsed: tc.took},
		})
		if next := s.notBefore(tc.name).Sub(began); next != tc.next {
			t.Errorf("%s took %s: the next one after %s, want %s", tc.name, tc.took, next, tc.next)
		}
	}
}
