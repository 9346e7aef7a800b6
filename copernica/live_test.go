package copernica_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/fault"
)

func TestAccountLive(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	a := copernicatest.New(copernicatest.Config{})
	d, _ := provisioned(t, a, nil)
	if _, err := a.CreateDatabase("Other", copernicatest.Field{Name: "customer_id"}); err != nil {
		t.Fatal(err)
	}
	var all []int64
	alive := map[int64]bool{}
	for i := range 3500 {
		database := "Magento"
		if r.IntN(10) == 0 {
			database = "Other" // one number space over all databases
		}
		id, err := a.AddProfile(database, map[string]string{"customer_id": fmt.Sprint("shop-c", i)})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, id)
		alive[id] = database == "Magento"
		if r.IntN(5) == 0 {
			alive[id] = false
			if err := a.RemoveProfile(id); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, n := range []int{0, 1, 2, 10, 100, 1000, 3500} {
		ids := []int64{}
		for range n {
			ids = append(ids, all[r.IntN(len(all))])
		}
		if n == 3500 {
			ids = append(all, 5, 900_000, 901_000)
		}
		given := slices.Clone(ids)
		var want []int64
		for _, id := range ids {
			if alive[id] && !slices.Contains(want, id) {
				want = append(want, id)
			}
		}
		slices.Sort(want)
		before := a.Calls()
		got, err := d.Live(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d ids (-want +got):\n%s", n, diff)
		}
		if !slices.Equal(ids, given) {
			t.Error("the ids given were sorted in place")
		}
		if calls := a.Calls() - before; calls > min(n, 3500/1000+1)+3 {
			t.Errorf("%d calls for %d ids", calls, n)
		}
		profiles, err := d.Among(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, p := range profiles {
			if got = append(got, p.ID); p.Fields["customer_id"] != fmt.Sprint("shop-c", slices.Index(all, p.ID)) {
				t.Errorf("profile %d: %v", p.ID, p.Fields)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("profiles with %d ids (-want +got):\n%s", n, diff)
		}
	}
}

func TestLiveDoubtsAnswers(t *testing.T) {
	t.Parallel()
	gone := row(5, map[string]any{"customer_id": ""})
	gone["removed"] = "2026-01-03 03:04:05"
	small := func(r request) (*http.Response, error) {
		_, filters, _ := decode(r.Query)
		var from int
		_, _ = fmt.Sscan(filters[0].Value, &from)
		p := envelope([]map[string]any{row(from+1, nil)}, 1) // one at a time, whatever was asked for
		p["total"] = 9 - from
		return jsonReply(200, p), nil
	}
	counted := envelope(nil, 1000)
	counted["total"] = 3
	page := func(p any) func(request) (*http.Response, error) {
		return func(request) (*http.Response, error) { return jsonReply(200, p), nil }
	}
	for name, tt := range map[string]struct {
		answer func(request) (*http.Response, error)
		want   []int64
		says   string
	}{
		"removed, and shown":    {page(envelope([]map[string]any{gone, row(6, nil)}, 1000)), []int64{6}, ""},
		"small pages":           {small, []int64{5, 6, 9}, ""},
		"the filter is ignored": {page(envelope([]map[string]any{row(1, nil), row(2, nil)}, 1000)), nil, "not asked for"},
		"others above":          {page(envelope([]map[string]any{row(5, nil), row(10, nil)}, 1000)), nil, "not asked for"},
		"out of order":          {page(envelope([]map[string]any{row(6, nil), row(5, nil)}, 1000)), nil, "not asked for"},
		"counted and not shown": {page(counted), nil, "no profiles of 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			d, _ := open(t, w, newClock().Now)
			w.on("GET /database/7/profiles", tt.answer)
			got, err := d.Live(t.Context(), []int64{9, 6, 5, 6})
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) || fault.ClassOf(err) != fault.Retry {
					t.Errorf("%v, %v", got, err)
				}
				return
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%v, %v, want %v", got, err, tt.want)
			}
		})
	}
}
