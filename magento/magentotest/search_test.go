package magentotest_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/magento/magentotest"
)

// keyset returns the request for a page after (at, id), or from the start without at.
func keyset(at string, id int64, size int) string {
	q := url.Values{}
	filter := func(g, f int, field, condition, value string) {
		p := fmt.Sprintf("searchCriteria[filter_groups][%d][filters][%d]", g, f)
		q.Set(p+"[field]", field)
		q.Set(p+"[condition_type]", condition)
		q.Set(p+"[value]", value)
	}
	if at != "" {
		filter(0, 0, "updated_at", "gteq", at)
		filter(1, 0, "updated_at", "gt", at)
		filter(1, 1, "entity_id", "gt", fmt.Sprint(id))
	}
	filter(2, 0, "updated_at", "lt", "2026-08-01 00:00:00")
	for i, field := range []string{"updated_at", "entity_id"} {
		q.Set(fmt.Sprintf("searchCriteria[sortOrders][%d][field]", i), field)
		q.Set(fmt.Sprintf("searchCriteria[sortOrders][%d][direction]", i), "ASC")
	}
	q.Set("searchCriteria[pageSize]", fmt.Sprint(size))
	q.Set("fields", "items[id,updated_at],total_count")
	return "/rest/all/V1/customers/search?" + q.Encode()
}

// TestKeysetWalk shows that a walk meets every customer once and in order, whatever
// the page size and however many share a second.
func TestKeysetWalk(t *testing.T) {
	t.Parallel()
	s := shop(2000)
	want := s.Data().Customers
	slices.SortFunc(want, func(a, b magentotest.Customer) int {
		if c := a.UpdatedAt.Compare(b.UpdatedAt); c != 0 {
			return c
		}
		return int(a.ID - b.ID)
	})
	for _, size := range []int{1, 7, 50, 299, 300} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			var at string
			var id int64
			seen := 0
			for {
				var p page
				ask(t, s, "GET", keyset(at, id, size), "", &p)
				if p.Total != len(want)-seen {
					t.Fatalf("total_count %d after %d of %d", p.Total, seen, len(want))
				}
				if len(p.Items) == 0 {
					break
				}
				for _, c := range p.Items {
					if c.ID != want[seen].ID {
						t.Fatalf("row %d is customer %d, want %d", seen, c.ID, want[seen].ID)
					}
					seen++
				}
				at, id = p.Items[len(p.Items)-1].UpdatedAt, p.Items[len(p.Items)-1].ID
				if size == 1 && seen == 400 {
					return // one by one shows the same at any length
				}
			}
			if seen != len(want) {
				t.Errorf("met %d of %d", seen, len(want))
			}
		})
	}
}

// TestSearchAgainstScan compares searches whose ranges come from an index with the
// same conditions worked out row by row.
func TestSearchAgainstScan(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	s := shop(300)
	all := s.Data().Customers
	conditions := map[string]func(int) bool{
		"eq": func(c int) bool { return c == 0 }, "neq": func(c int) bool { return c != 0 },
		"gt": func(c int) bool { return c > 0 }, "gteq": func(c int) bool { return c >= 0 }, "from": func(c int) bool { return c >= 0 },
		"lt": func(c int) bool { return c < 0 }, "lteq": func(c int) bool { return c <= 0 }, "to": func(c int) bool { return c <= 0 },
		"bogus": func(c int) bool { return c == 0 },
	}
	names := []string{"eq", "neq", "gt", "gteq", "from", "lt", "lteq", "to", "bogus"}
	for range 400 {
		q := url.Values{"searchCriteria[pageSize]": {"0"}, "fields": {"items[id],total_count"}}
		match := func(magentotest.Customer) bool { return true }
		for g := range rnd.IntN(4) {
			group := func(magentotest.Customer) bool { return false }
			for f := range 1 + rnd.IntN(2) {
				of, condition := all[rnd.IntN(len(all))], names[rnd.IntN(len(names))]
				field, value := "entity_id", fmt.Sprint(of.ID)
				compare := func(c magentotest.Customer) int { return int(c.ID - of.ID) }
				if rnd.IntN(2) == 0 {
					field, value = "updated_at", of.UpdatedAt.Format(time.DateTime)
					compare = func(c magentotest.Customer) int { return c.UpdatedAt.Compare(of.UpdatedAt) }
				}
				p := fmt.Sprintf("searchCriteria[filterGroups][%d][filters][%d]", g, f)
				q.Set(p+"[field]", field)
				q.Set(p+"[conditionType]", condition)
				q.Set(p+"[value]", value)
				before := group
				group = func(c magentotest.Customer) bool { return before(c) || conditions[condition](compare(c)) }
			}
			before := match
			match = func(c magentotest.Customer) bool { return before(c) && group(c) }
		}
		if rnd.IntN(2) == 0 {
			q.Set("searchCriteria[sortOrders][0][field]", "updated_at")
			q.Set("searchCriteria[sortOrders][0][direction]", "ASC")
			q.Set("searchCriteria[sortOrders][1][field]", "entity_id")
			q.Set("searchCriteria[sortOrders][1][direction]", "ASC")
		}
		var want, got []int64
		for _, c := range all {
			if match(c) {
				want = append(want, c.ID)
			}
		}
		var p page
		ask(t, s, "GET", "/rest/V1/customers/search?"+q.Encode(), "", &p)
		for _, c := range p.Items {
			got = append(got, c.ID)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" || p.Total != len(want) {
			t.Fatalf("seed %d: %s: total %d (-want +got):\n%s", seed, q.Encode(), p.Total, diff)
		}
	}
}

func BenchmarkGenerate100k(b *testing.B) {
	for b.Loop() {
		shop(100_000)
	}
}

func BenchmarkKeysetPage(b *testing.B) {
	s := shop(100_000)
	all := s.Data().Customers
	client := &http.Client{Transport: s.Transport()}
	i := 0
	for b.Loop() {
		i = (i + 7919) % len(all)
		request, err := http.NewRequestWithContext(b.Context(), "GET", "http://shop.test"+keyset(all[i].UpdatedAt.Format(time.DateTime), all[i].ID, 300), nil)
		if err != nil {
			b.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+magentotest.AccessToken)
		response, err := client.Do(request)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}
