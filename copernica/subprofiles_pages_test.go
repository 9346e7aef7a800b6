package copernica_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/internal/fault"
)

// rowsBelow answers a list of subprofiles of profile 5 as an account that has those ids
// would. ignoring drops every condition, as [U] in copernica-rest.md 6.6 allows.
func rowsBelow(ids []int, ignoring bool, most int, drop []string) func(request) (*http.Response, error) {
	return func(r request) (*http.Response, error) {
		others, filters, _ := decode(r.Query)
		start, _ := strconv.Atoi(others["start"])
		var rows []map[string]any
		total := 0
		for _, id := range ids {
			fields := map[string]any{"order_id": "other"}
			if id%3 == 0 {
				fields["order_id"] = "double"
			}
			in := true
			for _, f := range filters {
				after, _ := strconv.Atoi(f.Value)
				in = in && (ignoring || f.Name == "id" && id > after || f.Name == "order_id" && f.Value == fields["order_id"])
			}
			if !in {
				continue
			}
			if total++; total > start && len(rows) < most {
				rows = append(rows, subrow(id, fields))
			}
		}
		p := envelope(rows, most)
		p["total"], p["start"] = total, start
		for _, k := range drop {
			delete(p, k)
		}
		return jsonReply(200, p), nil
	}
}

// Pages follow by id; where Copernica ignores conditions below a profile, by offsets
// that notice a row gone.
func TestSubprofilePages(t *testing.T) {
	t.Parallel()
	ids := make([]int, 2500)
	for i := range ids {
		ids[i] = 7*i + 1
	}
	for _, count := range []int{0, 1, 999, 1000, 1001, 1999, 2000, 2500} {
		for _, ignoring := range []bool{false, true} {
			for name, drop := range map[string][]string{"all counters": nil, "no total": {"total"}, "data alone": {"total", "limit", "count", "start"}} {
				for _, most := range []int{1000, 250} {
					if most == 250 && name == "data alone" {
						continue // a smaller page that nothing tells from the last one
					}
					t.Run(fmt.Sprint(count, ignoring, name, most), func(t *testing.T) {
						t.Parallel()
						w := newWire()
						c, key := openOrders(t, w, newClock().Now)
						w.on("GET /profile/5/subprofiles/12", rowsBelow(ids[:count], ignoring, most, drop))
						got, err := c.Below(t.Context(), 5)
						if err != nil || len(got) != count {
							t.Fatalf("listed %d of %d, %v", len(got), count, err)
						}
						for i, s := range got {
							if s.ID != int64(ids[i]) {
								t.Fatalf("row %d is %d, want %d", i, s.ID, ids[i])
							}
						}
						want := 0
						for _, id := range ids[:count] {
							if id%3 == 0 {
								want++
							}
						}
						found, err := c.Find(t.Context(), 5, key, "double")
						if err != nil || len(found) != want {
							t.Errorf("found %d of %d, %v", len(found), want, err)
						}
						if calls := len(w.sent("GET /profile/5")); calls > 2*(count/most+3) {
							t.Errorf("%d calls", calls)
						}
					})
				}
			}
		}
	}
}

// A row removed while offsets page moves others out of sight, which must show.
func TestSubprofilesMoveWhileListed(t *testing.T) {
	t.Parallel()
	ids := make([]int, 2500)
	for i := range ids {
		ids[i] = i + 1
	}
	for name, tt := range map[string]struct {
		after  int // pages, then the change
		change func() []int
		want   int // rows, -1: an error that says retry
	}{
		"a row of the first page goes":  {2, func() []int { return slices.Delete(slices.Clone(ids), 10, 11) }, -1},
		"the last row of the page goes": {2, func() []int { return slices.Delete(slices.Clone(ids), 999, 1000) }, -1},
		"all go":                        {2, func() []int { return nil }, -1},
		"a row ahead goes":              {2, func() []int { return slices.Delete(slices.Clone(ids), 2000, 2001) }, 2499},
		"a row comes":                   {2, func() []int { return append(slices.Clone(ids), 9000) }, 2501},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			c, _ := openOrders(t, w, newClock().Now)
			n := 0
			w.on("GET /profile/5/subprofiles/12", func(r request) (*http.Response, error) {
				have := ids
				if n++; n > tt.after {
					have = tt.change()
				}
				return rowsBelow(have, true, 1000, nil)(r)
			})
			got, err := c.Below(t.Context(), 5)
			if tt.want < 0 {
				if err == nil || fault.ClassOf(err) != fault.Retry {
					t.Errorf("%d rows, %v", len(got), err)
				}
				return
			}
			if err != nil || len(got) != tt.want {
				t.Errorf("%d rows, %v, want %d", len(got), err, tt.want)
			}
		})
	}
}

func TestSubprofileListsAreDoubted(t *testing.T) {
	t.Parallel()
	with := func(change map[string]any) map[string]any {
		r := subrow(9, map[string]any{"order_id": "x"})
		maps.Copy(r, change)
		return envelope([]map[string]any{r}, 1000)
	}
	many := make([]map[string]any, 1000)
	for i := range many {
		many[i] = subrow(i+1, map[string]any{"order_id": "other"})
	}
	ignored := envelope(many, 1000)
	ignored["total"] = 50_000
	counted := envelope(nil, 1000)
	counted["total"] = 5
	for name, tt := range map[string]struct {
		page     any
		class    fault.Class
		says     string
		anywhere bool // only the list of the whole collection minds
	}{
		"another profile":       {with(map[string]any{"profile": "6"}), fault.Retry, "another profile", false},
		"no profile":            {with(map[string]any{"profile": nil}), fault.Retry, "without a profile", true},
		"another collection":    {with(map[string]any{"collection": "13"}), fault.Retry, "another collection", true},
		"without the key field": {with(map[string]any{"fields": map[string]any{"status": "a"}}), fault.Configuration, "subprofiles without the key field", true},
		"counted and not shown": {counted, fault.Retry, "no subprofiles of 5", true},
		"the filter is ignored": {ignored, fault.Configuration, "ignores the filter", true},
		"no list":               {map[string]any{"ID": "9"}, fault.Retry, "no list", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			c, key := openOrders(t, w, newClock().Now)
			answer := func(request) (*http.Response, error) { return jsonReply(200, tt.page), nil }
			w.on("GET /profile/5/subprofiles/12", answer)
			w.on("GET /collection/12/subprofiles", answer)
			got, err := c.FindAnywhere(t.Context(), key, "x")
			if tt.anywhere && (err == nil || fault.ClassOf(err) != tt.class || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("anywhere: %v, %v of class %s", got, err, fault.ClassOf(err))
			}
			if !tt.anywhere && (err != nil || len(got) != 1 || got[0].Profile != 6) {
				t.Errorf("anywhere: %v, %v", got, err)
			}
			if name == "the filter is ignored" {
				return // below a profile it may be
			}
			got, err = c.Find(t.Context(), 5, key, "x")
			if err == nil || fault.ClassOf(err) != tt.class {
				t.Errorf("%v, %v of class %s", got, err, fault.ClassOf(err))
			}
		})
	}
}
