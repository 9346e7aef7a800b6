package magento_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// Two poisoned records anywhere in a page of 300 cost at most 40 requests more than a
// healthy page, what the transport repeats included; and they do not open its breaker.
func TestPromise05_TwoPoisonedRecordsInAPage(t *testing.T) {
	t.Parallel()
	const retries, most = 4, 40
	for kind, size := range map[string]int{"customers": 300, "orders": 100} {
		for where, start := range map[string]int{"the first page": 0, "in the middle": 2 * size, "the last page": 3 * size} {
			for _, mode := range []magentotest.Poison{{}, {Exception: true, ListOnly: true}, {Field: map[string]string{"customers": "email", "orders": "increment_id"}[kind]}} {
				t.Run(fmt.Sprintf("%s, %s, %q, lists only: %t", kind, where, mode.Field, mode.ListOnly), func(t *testing.T) {
					t.Parallel()
					s := shop(magentotest.Config{Customers: 4 * size, Orders: 4 * size})
					all := customerPlaces(s)
					if kind == "orders" {
						all = orderPlaces(s)
					}
					page, worst := all[start:start+size], int64(0)
					for _, pair := range [][2]int{
						{0, 1},
						{0, size - 1},
						{size - 2, size - 1},
						{size / 8, size/8 + 1},
						{1, size / 2},
						{size / 4, size - 3},
						{size/2 - 1, size / 2},
						{size/2 + 1, size/2 + 5},
					} {
						bad := oneOf(page[pair[0]].ID, page[pair[1]].ID)
						mode.Customer, mode.Order = bad, bad
						s.Switch(func(w *magentotest.Switches) { w.Poison = mode })
						calls := &counted{RoundTripper: s.Transport()}
						tr, err := httpx.New(httpx.Config{Peer: "magento", Base: calls, Retries: retries, Rand: func() float64 { return 0 }})
						if err != nil {
							t.Fatal(err)
						}
						q := magento.Query{Before: noon, Fields: []string{"created_at", mode.Field}[:min(2, 1+len(mode.Field))]}
						if start > 0 {
							q.After = all[start-1]
						}
						var ids []int64
						if c := client(t, tr); kind == "orders" {
							ids, err = met(first(1, c.Orders(t.Context(), q)))
						} else {
							ids, err = met(first(1, c.Customers(t.Context(), q)))
						}
						if err != nil {
							t.Fatal(err)
						}
						if mode.ListOnly {
							bad = oneOf() // single reads bring both
						}
						good, found := sorted(ids)
						wanted := idsOf(page, func(id int64) bool { return !bad(id) })
						slices.Sort(wanted)
						if diff := gocmp.Diff(idsOf(page, bad), good) + gocmp.Diff(wanted, found); diff != "" {
							t.Errorf("poison at %v (-want +got):\n%s", pair, diff)
						}
						worst = max(worst, calls.n.Load()-1)
						if b := tr.Stats().Breaker; b != httpx.BreakerClosed {
							t.Errorf("poison at %v: the breaker is %s", pair, b)
						}
					}
					if t.Logf("%s: at most %d requests more", t.Name(), worst); worst > most {
						t.Errorf("%d requests more than a healthy page, want at most %d", worst, most)
					}
				})
			}
		}
	}
}

// Wherever poisoned records lie and however long the pages are, each good record comes
// once and in its order, and each poisoned one once, as an item that says so. Nine
// poisoned ones are no broken shop, as long as it shows its first record or its last one.
func TestPromise05_EveryRecordAroundPoison(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		isOrders, n := rapid.Bool().Draw(rt, "orders"), rapid.IntRange(12, 48).Draw(rt, "records")
		cfg := magentotest.Config{Customers: n, Seed: rapid.Uint64Range(1, 1<<32).Draw(rt, "seed")}
		if isOrders {
			cfg.Customers, cfg.Orders = n/4, n
		}
		s := shop(cfg)
		places := customerPlaces(s)
		if isOrders {
			places = orderPlaces(s)
		}
		var poison []int64
		for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(places)-1), 0, 9, rapid.ID).Draw(rt, "poisoned places") {
			poison = append(poison, places[i].ID)
		}
		if ids := idsOf(places, oneOf()); slices.Contains(poison, slices.Min(ids)) {
			poison = slices.DeleteFunc(poison, func(id int64) bool { return id == slices.Max(ids) })
		}
		bad := oneOf(poison...)
		mode := magentotest.Poison{
			Customer: bad, Order: bad, ListOnly: rapid.Bool().Draw(rt, "lists only"), Exception: rapid.Bool().Draw(rt, "exception"),
			Field: rapid.SampledFrom([]string{"", "created_at"}).Draw(rt, "field"),
		}
		s.Switch(func(w *magentotest.Switches) {
			w.Poison = mode
			w.RepeatLastPage = rapid.Bool().Draw(rt, "repeats the last page")
			w.OrderRows = rapid.SampledFrom([]int{0, 0, 7}).Draw(rt, "order rows")
		})
		c := client(t, s.Transport(), func(cfg *magento.Config) { cfg.PageSize = rapid.IntRange(1, 40).Draw(rt, "page size") })
		q := magento.Query{Before: noon, Fields: rapid.SampledFrom([][]string{nil, {"created_at"}}).Draw(rt, "fields")}
		if rapid.Bool().Draw(rt, "from a time") {
			q.From = places[rapid.IntRange(0, len(places)-1).Draw(rt, "from")].UpdatedAt
			places = slices.DeleteFunc(places, func(at magento.Cursor) bool { return at.UpdatedAt.Before(q.From) })
		}
		var ids []int64
		var err error
		if isOrders {
			ids, err = met(c.Orders(context.Background(), q))
		} else {
			ids, err = met(c.Customers(context.Background(), q))
		}
		if err != nil {
			rt.Fatal(err)
		}
		if mode.ListOnly {
			bad = oneOf()
		}
		good, found := sorted(ids)
		wanted := idsOf(places, func(id int64) bool { return !bad(id) })
		slices.Sort(wanted)
		if diff := gocmp.Diff(idsOf(places, bad), good) + gocmp.Diff(wanted, found); diff != "" {
			rt.Fatalf("records (-want +got):\n%s", diff)
		}
	})
}

// A page ends before a row that the shop shows: where those are poisoned that lie behind
// it, behind its half and behind its quarter, it ends elsewhere.
func TestPromise05_PoisonWhereAPageWouldEnd(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		size   int
		places []int // poisoned ones
	}{
		"three":           {11, []int{11, 5, 2}},
		"and one below":   {11, []int{11, 10, 9, 5, 2}},
		"all of them":     {5, []int{0, 1, 2, 3, 4, 5, 6}},
		"a row at a time": {1, []int{0, 1, 2, 3}},
		"the last":        {8, []int{39, 38, 37, 36}},
		"none behind it":  {4, []int{39, 38, 37, 36, 35, 34}},
	} {
		for _, repeats := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, repeats the last row: %t", name, repeats), func(t *testing.T) {
				t.Parallel()
				s := shop(magentotest.Config{Customers: 40})
				places := customerPlaces(s)
				bad := oneOf(idsOf(places, func(id int64) bool {
					i := slices.IndexFunc(places, func(at magento.Cursor) bool { return at.ID == id })
					return !slices.Contains(tc.places, i)
				})...)
				s.Switch(func(w *magentotest.Switches) { w.Poison.Customer, w.RepeatLastPage = bad, repeats })
				c := client(t, s.Transport(), func(cfg *magento.Config) { cfg.PageSize = tc.size })
				ids, err := met(c.Customers(t.Context(), magento.Query{Before: noon}))
				if err != nil {
					t.Fatal(err)
				}
				good, found := sorted(ids)
				if diff := gocmp.Diff(idsOf(places, bad), good); diff != "" || len(found) != len(tc.places) {
					t.Errorf("poison %v, records (-want +got):\n%s", found, diff)
				}
			})
		}
	}
}

// A shop that fails over everything is broken, not poisoned: nothing is passed over.
func TestPromise05_ABrokenShopIsNotSkippedThrough(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		bad   func(place int) bool
		mode  magentotest.Poison
		most  int64 // requests of a walk
		start int   // where the walk must stop at the latest
	}{
		"everything":                    {func(int) bool { return true }, magentotest.Poison{}, 10, 0},
		"everything but places":         {func(int) bool { return true }, magentotest.Poison{Field: "email"}, 60, 0},
		"all but the last":              {func(i int) bool { return i < 199 }, magentotest.Poison{}, 200, 0},
		"ten in a row":                  {func(i int) bool { return i >= 20 && i < 30 }, magentotest.Poison{}, 200, 20},
		"a page full, the rest is fine": {func(i int) bool { return i < 50 }, magentotest.Poison{}, 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shop(magentotest.Config{Customers: 200})
			places := customerPlaces(s)
			bad := map[int64]bool{}
			for i, at := range places {
				bad[at.ID] = tc.bad(i)
			}
			tc.mode.Customer = func(id int64) bool { return bad[id] }
			s.Switch(func(w *magentotest.Switches) { w.Poison = tc.mode })
			calls := &counted{RoundTripper: s.Transport()}
			c := client(t, calls, func(cfg *magento.Config) { cfg.PageSize = 10 })
			q := magento.Query{Before: noon, Fields: []string{"email"}}
			for range 3 {
				calls.n.Store(0)
				pages, err := walk(t.Context(), c, q)
				wantClass(t, err, fault.Retry)
				if e := typed(t, err); e.Status != http.StatusInternalServerError || e.Message == "" && e.Filled == "" {
					t.Errorf("%v", err)
				}
				if len(pages) > 0 {
					q.After = pages[len(pages)-1].Next
				}
				if n := calls.n.Load(); n > tc.most {
					t.Errorf("%d requests, want at most %d", n, tc.most)
				}
			}
			if i := slices.Index(places, q.After); i >= tc.start {
				t.Errorf("the walk came to place %d", i)
			}
		})
	}
}

// What stands before a shop, or below it, says nothing about a record: there is no hunt.
func TestPromise05_OtherFailuresStartNoHunt(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]emulator.Fault{
		"maintenance": magentotest.Maintenance(), "no database": magentotest.DatabaseDown(),
		"502": magentotest.BadGateway(), "504": magentotest.GatewayTimeout(), "429": magentotest.TooManyRequests(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shop(magentotest.Config{Customers: 100})
			s.Faults().Add(f)
			calls := &counted{RoundTripper: s.Transport()}
			_, err := walk(t.Context(), client(t, calls), magento.Query{})
			wantClass(t, err, fault.Retry)
			if n := calls.n.Load(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// The walk over e-mails gets by a poisoned customer too, and brings one that only lists
// fail over.
func TestPromise05_EmailsAroundPoison(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]magentotest.Poison{"whole": {}, "its e-mail": {Field: "email"}, "in lists": {ListOnly: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shop(magentotest.Config{Customers: 1300})
			var want []int64
			for _, one := range s.Data().Customers {
				want = append(want, one.ID)
			}
			bad := oneOf(want[0], want[700], want[701], want[1299])
			mode.Customer = bad
			s.Switch(func(w *magentotest.Switches) { w.Poison = mode })
			var good, found []int64
			for page, err := range client(t, s.Transport()).Emails(t.Context(), magento.EmailQuery{}) {
				if err != nil {
					t.Fatal(err)
				}
				for _, item := range page.Items {
					switch {
					case item.Err != nil:
						found = append(found, item.ID)
					case item.Value.Email == "" || item.Value.WebsiteID == 0:
						t.Errorf("%+v", item)
					default:
						good = append(good, item.ID)
					}
				}
			}
			if mode.ListOnly {
				bad = oneOf()
			}
			if diff := gocmp.Diff(slices.DeleteFunc(slices.Clone(want), bad), good); diff != "" || !mode.ListOnly && len(found) != 4 {
				t.Errorf("poison %v, ids (-want +got):\n%s", found, diff)
			}
		})
	}
}

// A single record is poisoned when the shop fails over it and shows another one.
func TestPromise05_ASinglePoisonedRecord(t *testing.T) {
	t.Parallel()
	s := shop(magentotest.Config{Customers: 3, Orders: 3})
	c := client(t, s.Transport())
	customer, order := s.Data().Customers[2].ID, s.Data().Orders[0].ID
	read := func() map[string]error {
		_, one := c.Customer(t.Context(), customer, []string{"email"})
		_, other := c.Order(t.Context(), order, nil)
		return map[string]error{"customer": one, "order": other}
	}
	for name, err := range read() {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.Switch(func(w *magentotest.Switches) {
		w.Poison = magentotest.Poison{Customer: oneOf(customer), Order: oneOf(order), Exception: true}
	})
	for name, err := range read() {
		wantClass(t, err, fault.Record)
		wantText(t, err, "var/log", "Report ID: webapi-6b022b7a9139b")
		if e, ok := errors.AsType[*magento.RecordError](err); !ok || e.Cause != magento.CausePoison || e.ID != customer && e.ID != order {
			t.Errorf("%s: %v", name, err)
		}
	}
	all := func(int64) bool { return true }
	s.Switch(func(w *magentotest.Switches) { w.Poison.Customer, w.Poison.Order = all, all })
	for _, err := range read() {
		wantClass(t, err, fault.Retry)
	}
}
