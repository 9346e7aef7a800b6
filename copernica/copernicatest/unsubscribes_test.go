package copernicatest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

// entries are a list of unsubscribes as it is printed, its entries without their ids.
type entries struct {
	Total int
	Data  []map[string]any
}

func (c *caller) entries(version int, path string) entries {
	c.t.Helper()
	r := c.say(version, http.MethodGet, path, "")
	if r.status != http.StatusOK {
		c.t.Fatalf("%s: %d %s", path, r.status, r.body)
	}
	var list entries
	if err := json.Unmarshal([]byte(r.body), &list); err != nil {
		c.t.Fatalf("%s: %v", r.body, err)
	}
	return list
}

// Each list tells of its program's mailings, in the words of its version, whatever an
// unsubscribe does to the profile.
func TestListsOfUnsubscribes(t *testing.T) {
	t.Parallel()
	for version, words := range map[int]string{2: "destination ID mailing profile source subprofile timestamp", 3: "destination ID mailing source timestamp", 4: "destination ID mailing source timestamp"} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			h := clock()
			a := copernicatest.New(copernicatest.Config{Now: h.Now})
			fill(t, a)
			c := newCaller(t, a)
			id := must(t)(a.AddProfile("Shop", map[string]string{"customer_id": "k1"}))
			sub := must(t)(a.AddSubprofile("Orders", id, map[string]string{"order_id": "o1"}))
			for _, behaviour := range []string{"update", "nothing", "remove"} {
				check(t, a.SetUnsubscribe("Shop", behaviour, map[string]string{"newsletter": "no"}))
				h.Add(time.Minute)
				check(t, a.Click(id, copernicatest.Publisher))
				if behaviour == "remove" {
					break
				}
				if got := a.Profiles("Shop")[0].Fields["newsletter"]; got != "no" {
					t.Errorf("%s: newsletter is %q", behaviour, got)
				}
			}
			if n := len(a.Profiles("Shop")); n != 0 {
				t.Errorf("%d profiles left", n)
			}
			h.Add(time.Minute)
			check(t, a.ClickBelow(sub, copernicatest.MarketingSuite))

			got := c.entries(version, "/publisher/unsubscribes?limit=2&start=1")
			if len(got.Data) != 2 || got.Total != 3 || got.Data[0]["success"] != false || got.Data[1]["success"] != true {
				t.Errorf("%+v", got)
			}
			first := c.entries(version, "/publisher/unsubscribes").Data[0]
			delete(first, "ID")
			delete(first, "destination")
			if diff := cmp.Diff(map[string]any{
				"timestamp": "2026-01-15 12:01:00", "source": "link", "success": true, "emailing": "42341", "profile": fmt.Sprint(id), "subprofile": nil,
			}, first); diff != "" {
				t.Error(diff)
			}

			suite := c.entries(version, "/ms/unsubscribes")
			if suite.Total != 1 || len(suite.Data) != 1 {
				t.Fatalf("%+v", suite)
			}
			for word := range suite.Data[0] {
				if !strings.Contains(" "+words+" ", " "+word+" ") {
					t.Errorf("%s is not in the words of version %d", word, version)
				}
			}
			if n := len(strings.Fields(words)); n != len(suite.Data[0]) {
				t.Errorf("%d of %d words", len(suite.Data[0]), n)
			}
			var to map[string]any
			c.decode(c.say(version, http.MethodGet, fmt.Sprint("/ms/destination/", suite.Data[0]["destination"]), ""), &to)
			if to["profile"] != fmt.Sprint(id) || to["subprofile"] != fmt.Sprint(sub) || to["mailing"] != suite.Data[0]["mailing"] {
				t.Errorf("%v", to)
			}
			if r := c.say(version, http.MethodGet, "/ms/destination/1", ""); r.status != http.StatusBadRequest {
				t.Errorf("%d %s", r.status, r.body)
			}
			for _, path := range []string{"/publisher/unsubscribes", "/ms/unsubscribes", "/ms/destination/1"} {
				if r := c.say(1, http.MethodGet, path, ""); r.status != http.StatusBadRequest || !strings.Contains(r.body, "Invalid method") {
					t.Errorf("version 1, %s: %d %s", path, r.status, r.body)
				}
			}
		})
	}
}

// Periods, in local time and without a zone.
func TestPeriodsOfUnsubscribes(t *testing.T) {
	t.Parallel()
	h := clock()
	a := copernicatest.New(copernicatest.Config{Now: h.Now})
	fill(t, a)
	c := newCaller(t, a)
	id := must(t)(a.AddProfile("Shop", nil))
	for range 5 {
		check(t, a.Click(id, copernicatest.Publisher), a.Click(id, copernicatest.MarketingSuite))
		h.Add(time.Minute)
	}
	at := func(minute int) string { return fmt.Sprintf("2026-01-15 12:%02d:00", minute) }
	fields := func(expressions ...string) string {
		q := url.Values{"fields[]": expressions}
		return "/publisher/unsubscribes?" + q.Encode()
	}
	suite := func(q url.Values) string { return "/ms/unsubscribes?" + q.Encode() }
	for path, want := range map[string]int{
		fields():                                                    5,
		fields("timestamp>" + at(1)):                                3,
		fields("timestamp>=" + at(1)):                               4,
		fields("timestamp<" + at(1)):                                1,
		fields("timestamp>"+at(0), "timestamp<="+at(2)):             2,
		fields("timestamp>2026-01-16"):                              0,
		fields("nothing>" + at(1)):                                  5,
		suite(nil):                                                  5,
		suite(url.Values{"begintime": {at(1)}}):                     3,
		suite(url.Values{"begintime": {at(0)}, "endtime": {at(2)}}): 1,
		suite(url.Values{"fields[]": {"timestamp>" + at(1)}}):       5,
	} {
		if got := c.entries(4, path); got.Total != want || len(got.Data) != want {
			t.Errorf("%s: %d, want %d", path, got.Total, want)
		}
	}
	if got := c.entries(2, suite(url.Values{"fields[]": {"timestamp>" + at(1)}})); got.Total != 3 {
		t.Errorf("version 2: %d", got.Total)
	}
}

// What nobody has documented.
func TestUnsubscribesUnderSwitches(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		s    copernicatest.Switches
		path string
		want string // of the answer
	}{
		"forbidden":                     {copernicatest.Switches{ListsForbidden: 403}, "/ms/unsubscribes", "403 no access"},
		"forbidden, the other one":      {copernicatest.Switches{ListsForbidden: 400}, "/publisher/unsubscribes", "400 no access"},
		"no Publisher":                  {copernicatest.Switches{NoPublisher: true}, "/publisher/unsubscribes", "400 Invalid method"},
		"no Publisher, the other one":   {copernicatest.Switches{NoPublisher: true}, "/ms/unsubscribes", `200 "total":1`},
		"profiles named":                {copernicatest.Switches{SuiteNamesProfiles: true}, "/ms/unsubscribes", `200 "profile":"100001"`},
		"any period":                    {copernicatest.Switches{PeriodIgnored: true}, "/ms/unsubscribes?begintime=2030-01-01", `200 "total":1`},
		"newest first":                  {copernicatest.Switches{UnsubscribesNewestFirst: true}, "/publisher/unsubscribes?limit=1", `200 "ID":"70000003"`},
		"by id":                         {copernicatest.Switches{}, "/publisher/unsubscribes?limit=1", `200 "ID":"70000002"`},
		"through the API, on no list":   {copernicatest.Switches{}, "/publisher/unsubscribes", `200 "total":2`},
		"through the API, on that list": {copernicatest.Switches{UnsubscribedByAPIListed: true}, "/publisher/unsubscribes", `200 "emailing":null,"destination":null`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, c := account(t, tt.s)
			id := must(t)(a.AddProfile("Shop", nil))
			check(t, a.Click(id, copernicatest.MarketingSuite), a.Click(id, copernicatest.Publisher), a.Click(id, copernicatest.Publisher))
			c.want(204, http.MethodPut, fmt.Sprintf("/profile/%d/unsubscribe", id), "")
			if got := a.Profiles("Shop")[0].Fields["newsletter"]; got != copernicatest.Unsubscribed {
				t.Errorf("newsletter is %q", got)
			}
			r := c.do(http.MethodGet, tt.path, "")
			status, text, _ := strings.Cut(tt.want, " ")
			if fmt.Sprint(r.status) != status || !strings.Contains(r.body, text) {
				t.Errorf("%d %s, want %s", r.status, r.body, tt.want)
			}
		})
	}
}

func must(t *testing.T) func(int64, error) int64 {
	return func(id int64, err error) int64 {
		t.Helper()
		check(t, err)
		return id
	}
}

func check(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
