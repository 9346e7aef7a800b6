package copernica_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/fault"
)

// listed is a page of n profiles from id first on, with keys of prefix and id.
func listed(first, n int, prefix string) map[string]any {
	rows := make([]map[string]any, n)
	for i := range rows {
		rows[i] = row(first+i, map[string]any{"customer_id": fmt.Sprint(prefix, first+i)})
	}
	return envelope(rows, 1000)
}

func TestKeysAbove(t *testing.T) {
	t.Parallel()
	with := func(page map[string]any, name string, v any) map[string]any {
		page[name] = v
		return page
	}
	gone := row(4714, map[string]any{"customer_id": "shop-c4714"})
	gone["removed"] = "2026-01-03 03:04:05"
	others := envelope([]map[string]any{
		row(4710, map[string]any{"customer_id": "shop-c4710"}),
		row(4711, map[string]any{"customer_id": "shop-c4711"}),
		row(4712, map[string]any{"customer_id": "Shop-c4712"}),
		row(4713, map[string]any{"customer_id": "shop-C4713"}),
		gone,
		row(4715, map[string]any{"customer_id": ""}),
		row(4716, map[string]any{"customer_id": "shop-g4716"}),
		row(4717, map[string]any{"customer_id": "shop-c4717"}),
	}, 1000)
	tests := map[string]struct {
		page     any
		want     int // keys, the last ones of the page
		complete bool
	}{
		"none":                         {envelope(nil, 1000), 0, true},
		"none, a bare list":            {[]string{}, 0, true},
		"two":                          {listed(4712, 2, "shop-c"), 2, true},
		"total as a text":              {with(listed(4712, 2, "shop-c"), "total", "2"), 2, true},
		"999":                          {listed(4712, 999, "shop-c"), 999, true},
		"a full page that is all":      {listed(4712, 1000, "shop-c"), 1000, true},
		"a full page of more":          {with(listed(4712, 1000, "shop-c"), "total", 1001), 1000, false},
		"a full page without a total":  {with(listed(4712, 1000, "shop-c"), "total", nil), 1000, false},
		"a short page without a total": {with(listed(4712, 2, "shop-c"), "total", nil), 2, true},
		"a page of fewer than asked":   {with(with(listed(4712, 100, "shop-c"), "limit", 100), "total", 250), 100, false},
		"the same without a total":     {with(with(listed(4712, 100, "shop-c"), "limit", 100), "total", nil), 100, false},
		"others among them":            {others, 1, true},
		"only of another case":         {listed(4712, 1000, "SHOP-C"), 0, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			d, key := open(t, w, newClock().Now)
			w.on("GET /database/7/profiles", func(request) (*http.Response, error) { return jsonReply(200, tt.page), nil })
			got, complete, err := d.KeysAbove(t.Context(), key, "shop-c", 4711)
			if err != nil || complete != tt.complete || len(got) != tt.want {
				t.Fatalf("%d keys, complete %t, %v; want %d, %t", len(got), complete, err, tt.want, tt.complete)
			}
			for i, k := range got {
				want := fmt.Sprint("shop-c", 4712+i)
				if tt.want == 1 {
					want = "shop-c4717"
				}
				if k != want {
					t.Fatalf("key %d is %q, want %q", i, k, want)
				}
			}
			sent := w.sent("GET /database/7/profiles")
			if len(sent) != 1 {
				t.Fatalf("%d calls", len(sent))
			}
			rest, filters, err := decode(sent[0].Query)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]expression{{"customer_id", "=~", "shop-c%"}, {"id", ">", "4711"}}, filters); diff != "" {
				t.Errorf("filters (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[string]string{"orderby": "id", "order": "asc", "limit": "1000"}, rest); diff != "" {
				t.Errorf("parameters (-want +got):\n%s", diff)
			}
		})
	}
}

func TestKeysAboveDoubtsAnswers(t *testing.T) {
	t.Parallel()
	counted := envelope(nil, 1000)
	counted["total"] = 12
	announced := listed(4712, 2, "shop-c")
	announced["count"] = 3
	for name, tt := range map[string]struct {
		page  any
		class fault.Class
	}{
		"counted and not shown": {counted, fault.Retry},
		"another count":         {announced, fault.Retry},
		"no list":               {map[string]any{"total": 0}, fault.Retry},
		"the key field is gone": {envelope([]map[string]any{row(4712, map[string]any{"email": "a@example.org"})}, 1000), fault.Configuration},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			d, key := open(t, w, newClock().Now)
			w.on("GET /database/7/profiles", func(request) (*http.Response, error) { return jsonReply(200, tt.page), nil })
			if got, complete, err := d.KeysAbove(t.Context(), key, "shop-c", 0); err == nil || fault.ClassOf(err) != tt.class || complete || got != nil {
				t.Errorf("%q, complete %t, %v of class %s; want class %s", got, complete, err, fault.ClassOf(err), tt.class)
			}
		})
	}
}

func TestPromise12_KeysAboveRefusesPrefixes(t *testing.T) {
	t.Parallel()
	w := newWire()
	d, key := open(t, w, newClock().Now)
	for _, prefix := range []string{"", "shop_c", "%", "shop-c%", `a\`} {
		_, above, err := d.KeysAbove(t.Context(), key, prefix, 0)
		_, beside, also := d.KeysBeside(t.Context(), key, prefix)
		_, refused := errors.AsType[*copernica.GuardError](err)
		_, refusedToo := errors.AsType[*copernica.GuardError](also)
		if !refused || !refusedToo || above || beside {
			t.Errorf("prefix %q: complete %t and %t, %v, %v", prefix, above, beside, err, also)
		}
	}
	if n := len(w.sent("GET /database/7/profiles")); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// The emulated account finds keys in any case, as Copernica does.
func TestAccountKeysAbove(t *testing.T) {
	t.Parallel()
	now := newClock()
	a := copernicatest.New(copernicatest.Config{Now: now.Now})
	d, key := provisioned(t, a, now.Now)
	add := func(value string) int64 {
		t.Helper()
		id, err := a.AddProfile("Magento", map[string]string{"customer_id": value})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	keys := func(prefix string, above int64, complete bool) []string {
		t.Helper()
		got, all, err := d.KeysAbove(t.Context(), key, prefix, above)
		if err != nil || all != complete {
			t.Fatalf("complete %t, %v; want %t", all, err, complete)
		}
		return got
	}
	add("shop-c1")
	mark := add("shop-c2")
	for _, other := range []string{"SHOP-C3", "shop-C4", "shop-g5", "xshop-c6", "other-c7", ""} {
		add(other)
	}
	removed := add("shop-c8")
	add("shop-c9")
	if err := a.RemoveProfile(removed); err != nil {
		t.Fatal(err)
	}
	for above, want := range map[int64][]string{-1: {"shop-c1", "shop-c2", "shop-c9"}, 0: {"shop-c1", "shop-c2", "shop-c9"}, mark: {"shop-c9"}, removed + 1: nil} {
		if diff := cmp.Diff(want, keys("shop-c", above, true)); diff != "" {
			t.Errorf("above %d (-want +got):\n%s", above, diff)
		}
	}
	var many []string
	for i := range 1001 {
		many = append(many, fmt.Sprint("many-c", i))
		add(many[i])
	}
	if got := keys("many-c", 0, false); !slices.Equal(got, many[:1000]) {
		t.Errorf("%d keys of %d", len(got), len(many))
	}
}

// Keys of others are found in an account that holds anything, and also where it ignores
// the conditions.
func TestAccountKeysBeside(t *testing.T) {
	t.Parallel()
	now := newClock()
	a := copernicatest.New(copernicatest.Config{Now: now.Now})
	d, key := provisioned(t, a, now.Now)
	add := func(value string) {
		t.Helper()
		if _, err := a.AddProfile("Magento", map[string]string{"customer_id": value}); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(complete bool, want ...string) {
		t.Helper()
		got, all, err := d.KeysBeside(t.Context(), key, "shop-")
		if err != nil || all != complete || !slices.Equal(got, want) {
			t.Fatalf("%d keys %.20q, complete %t, %v; want %d, %t", len(got), got, all, err, len(want), complete)
		}
	}
	expect(true)
	for _, value := range []string{"shop-c1", "SHOP-c2", "", "4711", "main-c1", "shop2-c3", "shop-c4", "a-b"} {
		add(value)
	}
	expect(true, "main-c1", "shop2-c3", "a-b")
	many := []string{"main-c1", "shop2-c3", "a-b"}
	for i := range 1001 {
		many = append(many, fmt.Sprint("many-c", i))
		add(many[len(many)-1])
	}
	expect(false, many[:1000]...)

	w := newWire()
	d, key = open(t, w, newClock().Now)
	w.on("GET /database/7/profiles", func(request) (*http.Response, error) {
		return jsonReply(200, envelope([]map[string]any{
			row(1, map[string]any{"customer_id": "shop-c1"}), row(2, map[string]any{"customer_id": "main-c1"}), row(3, map[string]any{"customer_id": ""}),
		}, 1000)), nil
	})
	expect(true, "main-c1")
	_, filters, err := decode(w.sent("GET /database/7/profiles")[0].Query)
	if diff := cmp.Diff([]expression{{"customer_id", "=~", "%-%"}, {"customer_id", "!~", "shop-%"}}, filters); err != nil || diff != "" {
		t.Errorf("%v, filters (-want +got):\n%s", err, diff)
	}
}
