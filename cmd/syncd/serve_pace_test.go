package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/engine"
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
	s := sweepingOf(t, magentotest.Config{Customers: 200}, "SYNCD_RECONCILE_PERIOD=1h")
	s.slowly(s.accountFront, s.account.Handler(), func(r *http.Request) bool { return r.URL.Query().Get("orderby") == "id" }, 5*time.Second, func(r *http.Request) {
		q := r.URL.Query()
		q.Set("limit", "5")
		r.URL.RawQuery = q.Encode()
	})
	s.work(time.Hour + firstSlice + spreadSlices)
	s.kept(engine.InspectSweep, time.Hour, 200, 10)
}
