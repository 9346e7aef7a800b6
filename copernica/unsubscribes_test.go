package copernica_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/fault"
)

// unsubscribed reads a list since a time.
func unsubscribed(t *testing.T, d *copernica.Database, list copernica.UnsubscribeList, since time.Time) ([]copernica.Unsubscribe, error) {
	t.Helper()
	var all []copernica.Unsubscribe
	for page, err := range d.Unsubscribes(t.Context(), list, since) {
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
	}
	return all, nil
}

// mailers are the programs by the lists that they keep.
var mailers = map[copernica.UnsubscribeList]copernicatest.Mailer{
	copernica.PublisherList: copernicatest.Publisher, copernica.SuiteList: copernicatest.MarketingSuite,
}

// unsubscribes clicks in mailings of both programs, to a profile, to one that the click
// removes, and to a subprofile.
func (w *conformance) unsubscribes() {
	ctx := w.t.Context()
	removed, err := w.d.Upsert(ctx, w.key, "shop-c7", map[string]string{"customer_id": "shop-c7"})
	w.works("create", err)
	for _, list := range copernica.UnsubscribeLists() {
		by := mailers[list]
		since := time.Now()
		time.Sleep(4 * time.Hour)
		first := w.a.Profiles(copernicatest.DatabaseName)[1].ID
		below := w.a.Subprofiles(copernicatest.DatabaseName, "Orders")[0]
		var want []copernica.Unsubscribe
		click := func(profile int64, err error) {
			w.t.Helper()
			w.works("a click", err)
			want = append(want, copernica.Unsubscribe{Profile: profile, At: time.Now().UTC().Truncate(time.Second)})
			time.Sleep(time.Minute)
		}
		w.works("set the behaviour", w.a.SetUnsubscribe(copernicatest.DatabaseName, "nothing", nil))
		click(first, w.a.Click(first, by))
		click(below.Parent, w.a.ClickBelow(below.ID, by))
		w.works("set the behaviour", w.a.SetUnsubscribe(copernicatest.DatabaseName, "remove", nil))
		click(removed.ID, w.a.Click(removed.ID, by))
		step := stepPublisher
		if list == copernica.SuiteList {
			step = stepSuite
		}
		w.step(step, func() error {
			got, err := unsubscribed(w.t, w.d, list, since)
			if err == nil {
				w.same("who unsubscribed", want, got)
			} else if !errors.Is(err, copernica.ErrNoList) && !errors.Is(err, copernica.ErrNoDestinations) || fault.ClassOf(err) != fault.Configuration {
				w.t.Errorf("%v of class %s", err, fault.ClassOf(err))
			}
			return err
		})
		// Whatever became of it, the token is as good as before.
		_, err := w.c.Identity(ctx)
		w.works("identity", err)
	}
}

// Thousands of entries, also while more come in, each once and in order.
func TestUnsubscribesPages(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]copernicatest.Switches{
		"by id": {}, "newest first": {UnsubscribesNewestFirst: true}, "any period": {PeriodIgnored: true},
	} {
		for list, by := range mailers {
			t.Run(fmt.Sprint(name, " ", list), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					a := copernicatest.New(copernicatest.Config{Switches: s})
					d, _ := provisioned(t, a, time.Now)
					for i := range 1234 {
						id, err := a.AddProfile("Magento", map[string]string{"customer_id": fmt.Sprint("shop-c", i)})
						if err == nil {
							err = a.Click(id, by)
						}
						if err != nil {
							t.Fatal(err)
						}
						time.Sleep(10 * time.Second)
					}
					all, err := unsubscribed(t, d, list, time.Time{})
					if err != nil || len(all) != 1234 || !slices.IsSortedFunc(all, func(a, b copernica.Unsubscribe) int { return a.At.Compare(b.At) }) {
						t.Fatalf("%d of 1234, %v", len(all), err)
					}
					asked := a.Log().Total()
					some, err := unsubscribed(t, d, list, all[1100].At)
					if err != nil || !cmp.Equal(some, all[1100:]) {
						t.Errorf("%d of 134, %v", len(some), err)
					}
					if calls := a.Log().Total() - asked; calls > 3 {
						t.Errorf("%d calls for entries that were seen before", calls)
					}
				})
			})
		}
	}
}

// clocked is a transport that adds the clock of whoever answers, as web servers do.
type clocked struct{ base http.RoundTripper }

func (c clocked) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.base.RoundTrip(req)
	if err == nil {
		resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	return resp, err
}

// Through the night that has the hour from 2 to 3 twice, whenever the list is read: each
// entry has its own moment, or that and the other one that it may be, and counts once.
func TestUnsubscribesInTheAutumnNight(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for n := range 40 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, uint64(n)))
				time.Sleep(time.Until(time.Date(2026, 10, 24, 22, 0, 0, 0, time.UTC)))
				a := copernicatest.New(copernicatest.Config{})
				ahead := time.Duration(rng.IntN(600)-300) * time.Second // of the client's clock
				c, err := copernica.New(copernica.Config{
					AccessToken: copernicatest.AccessToken, Transport: clocked{a.Transport()}, Now: func() time.Time { return time.Now().Add(ahead) },
				})
				if err != nil {
					t.Fatal(err)
				}
				d, _ := provision(t, c)
				one, err := a.AddProfile("Magento", map[string]string{"customer_id": "shop-c1"})
				if err != nil {
					t.Fatal(err)
				}
				var made []time.Time
				// settled is what a reader has settled, the way that the engine does.
				var settled time.Time
				news := 0
				for range 60 {
					time.Sleep(time.Duration(1+rng.IntN(600)) * time.Second)
					if rng.IntN(3) == 0 {
						if err := a.Click(one, copernicatest.Publisher); err != nil {
							t.Fatal(err)
						}
						made = append(made, time.Now().UTC().Truncate(time.Second))
						news++
						continue
					}
					got, err := unsubscribed(t, d, copernica.PublisherList, time.Date(2026, 10, 24, 22, 0, 0, 0, time.UTC))
					if err != nil || len(got) != min(1, len(made)) {
						t.Fatalf("%d entries of one profile, %v", len(got), err)
					}
					if len(made) == 0 {
						continue
					}
					u, last := got[0], made[len(made)-1]
					if !u.At.Equal(last) && !u.Earlier.Equal(last) {
						t.Errorf("at %s: the entry of %s is read as %s, or %s", time.Now().UTC(), last, u.At, u.Earlier)
					}
					if u.Later(settled) != (news > 0) {
						t.Errorf("at %s: the entry of %s counts: %t, %d are new", time.Now().UTC(), last, u.Later(settled), news)
					}
					if u.Later(settled) {
						settled = u.At
					}
					news = 0
				}
			})
		})
	}
}

// Lists that make no sense are no lists, and entries that name nobody are no secret.
func TestUnsubscribesDoubtsAnswers(t *testing.T) {
	t.Parallel()
	const one = `{"ID":"1","timestamp":"2026-01-02 03:04:05","profile":"5","subprofile":null}`
	at := time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC)
	for name, tt := range map[string]struct {
		status int
		body   string
		class  fault.Class // 0: no error
		noList bool
		want   []copernica.Unsubscribe
	}{
		"one":                     {200, `{"start":0,"count":1,"data":[` + one + `],"total":1}`, 0, false, []copernica.Unsubscribe{{Profile: 5, At: at}}},
		"one, without counters":   {200, `{"data":[` + one + `]}`, 0, false, []copernica.Unsubscribe{{Profile: 5, At: at}}},
		"numbers and an object":   {200, `{"data":{"7":{"ID":1,"timestamp":"2026-01-02 03:04:05","profile":5}},"total":"1"}`, 0, false, []copernica.Unsubscribe{{Profile: 5, At: at}}},
		"no time":                 {200, `{"data":[{"ID":"1","timestamp":"0000-00-00 00:00:00","profile":"5"}],"total":1}`, 0, false, []copernica.Unsubscribe{{Profile: 5}}},
		"nobody":                  {200, `{"data":[{"ID":"1","timestamp":"2026-01-02 03:04:05","destination":null}],"total":1}`, 0, false, []copernica.Unsubscribe{{At: at}}},
		"an e-mail":               {200, `{"data":[{"ID":"1","timestamp":"2026-01-02 03:04:05","destination":"jan@example.org"}],"total":1}`, 0, false, []copernica.Unsubscribe{{At: at}}},
		"a path":                  {200, `{"data":[{"ID":"1","timestamp":"2026-01-02 03:04:05","destination":"../profile/5"}],"total":1}`, 0, false, []copernica.Unsubscribe{{At: at}}},
		"empty":                   {200, `{"start":0,"count":0,"data":[],"total":0}`, 0, false, nil},
		"without an id":           {200, `{"data":[{"timestamp":"2026-01-02 03:04:05","profile":"5"}],"total":1}`, fault.Retry, false, nil},
		"the same for ever":       {200, `{"data":[` + one + `],"total":5000}`, fault.Retry, false, nil},
		"none of many":            {200, `{"data":[],"total":5}`, fault.Retry, false, nil},
		"cut short":               {200, `{"data":[`, fault.Retry, false, nil},
		"a page":                  {200, `<html>`, fault.Retry, false, nil},
		"invalid method":          {400, failure("Invalid method"), fault.Configuration, true, nil},
		"no right, in words":      {400, failure("You may not"), fault.Configuration, true, nil},
		"no right, under 200":     {200, failure("You may not"), fault.Configuration, true, nil},
		"no right, 401":           {401, failure("You may not"), fault.Configuration, true, nil},
		"no right, 403":           {403, ``, fault.Configuration, true, nil},
		"not found":               {404, ``, fault.Configuration, true, nil},
		"payment required":        {402, failure("No licence"), fault.Configuration, true, nil},
		"the token is refused":    {400, failure("Invalid access token"), fault.Credentials, false, nil},
		"the token, 403":          {403, failure("Invalid access token"), fault.Credentials, false, nil},
		"overload":                {503, `<html>`, fault.Retry, false, nil},
		"overload, in words":      {500, failure("You may not"), fault.Retry, false, nil},
		"too many":                {429, failure("Slow down"), fault.Retry, false, nil},
		"nothing under 400":       {400, ``, fault.Retry, false, nil},
		"a page of somebody else": {400, `<html>`, fault.Retry, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			d, _ := open(t, w, newClock().Now)
			w.on("GET /publisher/unsubscribes", w.always(tt.status, tt.body))
			got, err := unsubscribed(t, d, copernica.PublisherList, at.Add(-time.Hour))
			if (err != nil) != (tt.class != 0) || err != nil && fault.ClassOf(err) != tt.class || errors.Is(err, copernica.ErrNoList) != tt.noList {
				t.Errorf("%v of class %s", err, fault.ClassOf(err))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if tt.noList {
				if _, err := newClient(t, w, newClock().Now).Database(t.Context(), "Magento"); err != nil {
					t.Errorf("something else is refused now: %v", err)
				}
				if n := w.exchanges(); n != 2 { // one for each client
					t.Errorf("%d exchanges: the token is doubted", n)
				}
			}
			for _, r := range w.sent("GET ") {
				if strings.Contains(r.Full, "jan") || strings.Contains(r.Full, "%40") {
					t.Errorf("sent %s", r.Full)
				}
			}
		})
	}
}

// A destination is asked for its profile once; what is not there names nobody.
func TestUnsubscribesOfDestinations(t *testing.T) {
	t.Parallel()
	w := newWire()
	d, _ := open(t, w, newClock().Now)
	entry := func(id int, destination string) map[string]any {
		return map[string]any{"ID": id, "timestamp": "2026-01-02 03:04:05", "mailing": "4", "destination": destination, "source": "click"}
	}
	w.on("GET /ms/unsubscribes", func(request) (*http.Response, error) {
		return jsonReply(200, envelope([]map[string]any{entry(1, "11"), entry(2, "b4icbaqj"), entry(3, "13"), entry(4, "14"), entry(5, "11")}, 1000)), nil
	})
	w.on("GET /ms/destination/11", w.always(200, `{"ID":"11","profile":"5","subprofile":null}`))
	w.on("GET /ms/destination/b4icbaqj", w.always(200, `{"ID":"12","profile":null,"subprofile":"9"}`))
	w.on("GET /subprofile/9", w.always(200, `{"ID":"9","profile":"6","collection":"12","fields":[]}`))
	w.on("GET /ms/destination/13", w.always(400, failure("No destination with supplied ID")))
	w.on("GET /ms/destination/14", w.always(200, `{"ID":"14","profile":null,"subprofile":"10"}`))
	w.on("GET /subprofile/10", w.always(400, failure("No subprofile with supplied ID")))
	for range 2 {
		got, err := unsubscribed(t, d, copernica.SuiteList, time.Time{})
		var profiles []int64
		for _, u := range got {
			profiles = append(profiles, u.Profile)
		}
		if err != nil || !slices.Equal(profiles, []int64{6, 0, 0, 5}) {
			t.Errorf("%v, %v", profiles, err)
		}
	}
	if n := len(w.sent("GET /ms/destination/11")); n != 1 {
		t.Errorf("asked %d times", n)
	}
	w.on("GET /ms/destination/13", w.always(400, failure("No entity with supplied ID.")))
	if got, err := unsubscribed(t, d, copernica.SuiteList, time.Time{}); err != nil || len(got) != 4 {
		t.Errorf("%v, %v: also these words say that it is not there", got, err)
	}
	w.on("GET /ms/destination/13", w.always(503, "<html>"))
	if _, err := unsubscribed(t, d, copernica.SuiteList, time.Time{}); fault.ClassOf(err) != fault.Retry {
		t.Errorf("an entry that cannot be read for now: %v", err)
	}
}

// A destination that may not be read is not nobody's: whoever may be told is told, and an
// error says that there are others. Where the right is missing for all, few calls find out.
func TestPromise18_DestinationsThatMayNotBeRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		body   string
	}{
		"forbidden":          {403, ""},
		"forbidden in words": {403, failure("You have no access to this part of the application")},
		"unauthorized":       {401, failure("You have no access")},
		"invalid method":     {400, failure("Invalid method")},
		"in other words":     {400, failure("You may not")},
		"not found":          {404, failure("You may not")},
		"under 200":          {200, failure("You may not")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			d, _ := open(t, w, newClock().Now)
			var entries []map[string]any
			for i := range 20 {
				entries = append(entries, map[string]any{"ID": i + 1, "timestamp": "2026-01-02 03:04:05", "destination": fmt.Sprint(100 + i)})
				w.on(fmt.Sprint("GET /ms/destination/", 100+i), w.always(tt.status, tt.body))
			}
			entries = append(entries, map[string]any{"ID": 21, "timestamp": "2026-01-02 03:04:05", "profile": "9"})
			w.on("GET /ms/unsubscribes", func(request) (*http.Response, error) { return jsonReply(200, envelope(entries, 1000)), nil })
			w.on("GET /ms/destination/101", w.always(200, `{"ID":"101","profile":"5"}`))
			var told []int64
			var kept error
			for page, err := range d.Unsubscribes(t.Context(), copernica.SuiteList, time.Time{}) {
				for _, u := range page {
					told = append(told, u.Profile)
				}
				kept = err
			}
			if !errors.Is(kept, copernica.ErrNoDestinations) || fault.ClassOf(kept) != fault.Configuration || !slices.Equal(told, []int64{5, 9}) {
				t.Errorf("told of %v, then %v of class %s", told, kept, fault.ClassOf(kept))
			}
			if n := len(w.sent("GET /ms/destination/")); n != 5 {
				t.Errorf("%d destinations were asked for", n)
			}
			if _, err := d.Refresh(t.Context()); err != nil {
				t.Errorf("something else is refused now: %v", err)
			}
		})
	}
}
