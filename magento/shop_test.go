package magento_test

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

var noon = utc("2026-11-21 12:00:00")

func shop(cfg magentotest.Config) *magentotest.Shop {
	cfg.Now = func() time.Time { return noon }
	if cfg.Seed == 0 {
		cfg.Seed = 1
	}
	return magentotest.New(cfg)
}

// inOrder returns the ids of the customers changed in [from, before) in the order of
// a walk.
func inOrder(customers []magentotest.Customer, from, before time.Time) []int64 {
	customers = slices.DeleteFunc(slices.Clone(customers), func(c magentotest.Customer) bool {
		return c.UpdatedAt.Before(from) || !c.UpdatedAt.Before(before)
	})
	slices.SortFunc(customers, func(a, b magentotest.Customer) int {
		return cmp.Or(a.UpdatedAt.Compare(b.UpdatedAt), cmp.Compare(a.ID, b.ID))
	})
	ids := make([]int64, len(customers))
	for i, c := range customers {
		ids[i] = c.ID
	}
	return ids
}

func ids(pages []*magento.Page[magento.Customer]) (all []int64) {
	all = []int64{}
	for _, page := range pages {
		for _, item := range page.Items {
			all = append(all, item.ID)
		}
	}
	return all
}

func TestPromise01_EveryCustomerOnce(t *testing.T) {
	t.Parallel()
	s := shop(magentotest.Config{Customers: 3000})
	customers := s.Data().Customers
	tie := map[time.Time]int{}
	most := 0
	for _, c := range customers {
		tie[c.UpdatedAt]++
		most = max(most, tie[c.UpdatedAt])
	}
	if most < 100 {
		t.Fatalf("the largest tie is %d: the data prove nothing", most)
	}
	middle := inOrder(customers, time.Time{}, horizon)[1500]
	at := customers[slices.IndexFunc(customers, func(c magentotest.Customer) bool { return c.ID == middle })].UpdatedAt
	for name, tc := range map[string]struct {
		size         int
		from, before time.Time
	}{
		"pages of 7":     {7, time.Time{}, noon},
		"pages of 50":    {50, time.Time{}, noon},
		"pages of 300":   {300, time.Time{}, noon},
		"from a time":    {31, at, noon},
		"to a horizon":   {31, time.Time{}, at},
		"an empty span":  {31, at, at},
		"a single time":  {31, at, at.Add(time.Second)},
		"all in one":     {5000, time.Time{}, noon},
		"pages of one":   {1, at.Add(-time.Minute), at},
		"no upper bound": {299, at, horizon},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, s.Transport(), func(cfg *magento.Config) { cfg.PageSize = tc.size })
			pages, err := walk(t.Context(), c, magento.Query{From: tc.from, Before: tc.before, Fields: []string{"email"}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(inOrder(customers, tc.from, tc.before), ids(pages)); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
			for i, page := range pages {
				if page.Last != (i == len(pages)-1) {
					t.Errorf("page %d of %d: last %v", i+1, len(pages), page.Last)
				}
			}
		})
	}
}

// Whatever changes while paging, a customer that nobody touches comes exactly once,
// and no customer comes twice: what is changed moves past the horizon.
func TestPromise02_ChangesWhilePaging(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := shop(magentotest.Config{Customers: rapid.IntRange(1, 150).Draw(rt, "customers"), Seed: rapid.Uint64Range(1, 1<<32).Draw(rt, "seed")})
		untouched := inOrder(s.Data().Customers, time.Time{}, noon)
		size := rapid.IntRange(1, 40).Draw(rt, "page size")
		resume := rapid.Bool().Draw(rt, "resume after each page")
		s.OnRequest(func(*http.Request) {
			for range rapid.IntRange(0, 3).Draw(rt, "changes") {
				all := s.Data().Customers
				if len(all) == 0 {
					return
				}
				id := all[rapid.IntRange(0, len(all)-1).Draw(rt, "customer")].ID
				switch rapid.IntRange(0, 3).Draw(rt, "change") {
				case 0:
					s.Edit(id, func(c *magentotest.Customer) { c.FirstName = "Changed" })
				case 1:
					s.Delete(id)
				case 2:
					id = s.Create(magentotest.Customer{Email: "new@example.test", WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "New", LastName: "One"})
				case 3:
					s.EditQuietly(id, func(c *magentotest.Customer) { c.LastName = "Quietly" })
					continue
				}
				untouched = slices.DeleteFunc(untouched, func(other int64) bool { return other == id })
			}
		})
		c := client(t, s.Transport(), func(cfg *magento.Config) { cfg.PageSize = size })
		q, most := magento.Query{Before: noon}, math.MaxInt
		if resume {
			most = 1
		}
		var pages []*magento.Page[magento.Customer]
		for range 1000 {
			more, err := walkPages(context.Background(), c, q, most)
			if err != nil {
				rt.Fatal(err)
			}
			pages = append(pages, more...)
			last := pages[len(pages)-1]
			if last.Last {
				break
			}
			q.After = last.Next
		}
		seen := map[int64]int{}
		for _, id := range ids(pages) {
			seen[id]++
			if seen[id] > 1 {
				rt.Fatalf("customer %d came twice", id)
			}
		}
		for _, id := range untouched {
			if seen[id] != 1 {
				rt.Fatalf("customer %d came %d times", id, seen[id])
			}
		}
	})
}

func TestShopValues(t *testing.T) {
	t.Parallel()
	s := shop(magentotest.Config{Customers: 500})
	c := client(t, s.Transport())
	pages, err := walk(t.Context(), c, magento.Query{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[int64]magento.Customer{}
	for _, w := range s.Data().Customers {
		one := magento.Customer{
			ID: w.ID, WebsiteID: w.WebsiteID, StoreID: w.StoreID, GroupID: w.GroupID, Email: w.Email,
			FirstName: w.FirstName, MiddleName: w.MiddleName, LastName: w.LastName, Prefix: w.Prefix, Suffix: w.Suffix,
			BirthDate: w.DOB, TaxVAT: w.TaxVAT, CreatedIn: w.CreatedIn, Confirmation: w.Confirmation,
			CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt, Subscribed: w.NewsletterStatus == magentotest.Subscribed,
		}
		if w.Gender != 0 {
			one.Gender = string(rune('0' + w.Gender))
		}
		for _, a := range w.Attributes {
			if one.Attributes == nil {
				one.Attributes = map[string]string{}
			}
			one.Attributes[a.Code] = a.Value
		}
		want[w.ID] = one
	}
	for _, page := range pages {
		for _, item := range page.Items {
			// A list looks the subscription up by e-mail alone; a single read is exact.
			expected := want[item.ID]
			single, err := c.Customer(t.Context(), item.ID, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(expected, single); diff != "" {
				t.Fatalf("customer %d, single (-want +got):\n%s", item.ID, diff)
			}
			expected.Subscribed = item.Value.Subscribed
			if diff := gocmp.Diff(expected, item.Value); diff != "" || item.Err != nil {
				t.Fatalf("customer %d in a page: %v (-want +got):\n%s", item.ID, item.Err, diff)
			}
		}
	}
	narrow, err := c.Customer(t.Context(), 1, []string{"extension_attributes.is_subscribed"})
	if err != nil || narrow.Email != "" || narrow.UpdatedAt != want[1].UpdatedAt || narrow.Subscribed != want[1].Subscribed {
		t.Errorf("narrowed: %+v, %v", narrow, err)
	}
	s.Delete(1)
	if _, err := c.Customer(t.Context(), 1, nil); fault.ClassOf(err) != fault.Record {
		t.Errorf("deleted: %v", err)
	}
}

func TestShopReads(t *testing.T) {
	t.Parallel()
	s := shop(magentotest.Config{Customers: 300})
	c := client(t, s.Transport())
	data := s.Data()
	var want []magento.CustomerEmail
	for _, one := range data.Customers {
		want = append(want, magento.CustomerEmail{ID: one.ID, WebsiteID: one.WebsiteID, Email: one.Email, Confirmed: one.Confirmation == ""})
	}
	for _, from := range []int{0, 1, 123, 299, 300} {
		after, got := int64(0), []magento.CustomerEmail{}
		if from > 0 {
			after = want[from-1].ID
		}
		for page, err := range c.Emails(t.Context(), magento.EmailQuery{After: after}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				got = append(got, item.Value)
			}
		}
		if diff := gocmp.Diff(want[from:], got); diff != "" {
			t.Errorf("e-mails after %d (-want +got):\n%s", after, diff)
		}
	}
	stores, err := c.Stores(t.Context())
	if err != nil || len(stores.Websites) != len(data.Websites) || len(stores.Groups) != len(data.Groups) || len(stores.Views) != len(data.Views) {
		t.Errorf("stores %+v, %v", stores, err)
	}
	if website, group, view, ok := stores.Names(4); !ok || website != "UK Website" || group != "UK Store" || view != "UK Store View" {
		t.Errorf("names %q %q %q", website, group, view)
	}
	groups, err := c.Groups(t.Context())
	if err != nil || len(groups) != len(data.CustomerGroups) || groups[5] != "Ünïcode – groep" {
		t.Errorf("groups %v, %v", groups, err)
	}
	before := s.Sessions()
	if clock, err := c.Clock(t.Context()); err != nil || !clock.Equal(noon) || clock.Location() != time.UTC {
		t.Errorf("clock %v, %v", clock, err)
	}
	if s.Sessions() != before {
		t.Error("reading the clock leaves a session behind")
	}
}

func TestShopLimitsPages(t *testing.T) {
	t.Parallel()
	s := shop(magentotest.Config{Customers: 300, Switches: magentotest.Switches{InputLimit: true, MaxPageSize: 40}})
	pages, err := walk(t.Context(), client(t, s.Transport()), magento.Query{})
	if err != nil || len(ids(pages)) != 300 || pages[0].Size != 40 {
		t.Errorf("%d pages, %v", len(pages), err)
	}
	if groups, err := client(t, s.Transport()).Groups(t.Context()); err != nil || len(groups) != 6 {
		t.Errorf("groups %v, %v", groups, err)
	}
}

// After a failure the walk is taken up behind its last page and leaves nothing out. An
// error of the shop itself it gets over by its own.
func TestShopFailsWhilePaging(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]emulator.Fault{
		"500":       {Status: 500},
		"503 HTML":  {Kind: emulator.HTML, Status: 503},
		"200 HTML":  {Kind: emulator.HTML},
		"reset":     {Kind: emulator.Reset},
		"truncated": {Kind: emulator.Truncate},
		"429":       {Status: 429},
		"empty":     {Status: 200, Header: http.Header{"Content-Type": {"application/json"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shop(magentotest.Config{Customers: 300})
			f.Every, f.Times = 3, 4
			s.Faults().Add(f)
			c := client(t, s.Transport(), func(cfg *magento.Config) { cfg.PageSize = 40 })
			var all []int64
			failures := 0
			q := magento.Query{Before: noon}
			for done := false; !done; {
				pages, err := walk(t.Context(), c, q)
				all = append(all, ids(pages)...)
				if len(pages) > 0 {
					q.After = pages[len(pages)-1].Next
				}
				if done = err == nil; !done {
					wantClass(t, err, fault.Retry)
					_ = typed(t, err)
					failures++
				}
			}
			if diff := gocmp.Diff(inOrder(s.Data().Customers, time.Time{}, noon), all); diff != "" || (failures < 3) != (f.Status == http.StatusInternalServerError) {
				t.Errorf("%d failures, ids (-want +got):\n%s", failures, diff)
			}
		})
	}
}
