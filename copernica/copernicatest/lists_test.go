package copernicatest_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

func TestBehaviour31to37_Filters(t *testing.T) {
	t.Parallel()
	a, c := account(t, copernicatest.Switches{})
	mk := func(v map[string]string) string {
		id, err := a.AddProfile("Shop", v)
		if err != nil {
			t.Fatal(err)
		}
		return strconv.FormatInt(id, 10)
	}
	p1 := mk(map[string]string{"customer_id": "k1", "email": "Jan@X.nl", "firstname": " a", "level": "gold", "orders": "5", "spent": "9.9", "birthdate": "1980-01-15"})
	p2 := mk(map[string]string{"customer_id": "k2", "email": "john+tag@x.nl", "firstname": "a=b==c", "level": "silver", "orders": "10", "spent": "100", "birthdate": "1990-01-15"})
	p3 := mk(map[string]string{"customer_id": "K3", "email": "john tag@x.nl", "firstname": "É_%", "orders": "-1", "seen": "2020-01-02 03:04:05"})
	all := []string{p1, p2, p3}
	tests := []struct {
		name    string
		filters []string
		want    []string
	}{
		{"none", nil, all},
		{"equal", []string{"customer_id==k1"}, []string{p1}},
		{"value's case", []string{"customer_id==k3"}, []string{p3}},
		{"name's case", []string{"CUSTOMER_id==k1"}, []string{p1}},
		{"and", []string{"customer_id==k1", "email==jan@x.nl"}, []string{p1}},
		{"contradiction", []string{"customer_id==k1", "customer_id==k2"}, []string{}},
		{"unequal", []string{"customer_id!=k1"}, []string{p2, p3}},
		{"unequal otherwise", []string{"customer_id<>k1"}, []string{p2, p3}},
		{"empty value", []string{"level=="}, []string{}},
		{"default of a select", []string{"level== bronze"}, []string{p3}},
		{"select's case", []string{"level==Gold"}, []string{}},
		{"unknown name ignored", []string{"nothing==1", "customer_id==k1"}, []string{p1}},
		{"only unknown names", []string{"nothing==1"}, all},
		{"blank before the operator", []string{"customer_id ==k1"}, all},
		{"blank after it, text", []string{"firstname== a"}, []string{p1}},
		{"blank after it, number", []string{"orders== 5"}, []string{p1}},
		{"blank after it, date", []string{"birthdate== 1980-01-15"}, []string{p1}},
		{"blanks around", []string{"  customer_id==k1 "}, []string{p1}},
		{"plus kept when encoded", []string{"email==john+tag@x.nl"}, []string{p2}},
		{"first operator cuts", []string{"firstname==a=b==c"}, []string{p2}},
		{"lone equals sign is none", []string{"customer_id=k1"}, all},
		{"number, not text, order", []string{"orders>5"}, []string{p2}},
		{"number as cast", []string{"orders>=5abc"}, []string{p1, p2}},
		{"float", []string{"spent==9.90"}, []string{p1}},
		{"date", []string{"birthdate>1985-01-01"}, []string{p2}},
		{"like", []string{"customer_id=~k%"}, all},
		{"like, one", []string{"customer_id=~_2"}, []string{p2}},
		{"like, escaped", []string{`firstname=~%\_\%`}, []string{p3}},
		{"like, folded", []string{"firstname=~é%"}, []string{p3}},
		{"not like", []string{"email!~john%"}, []string{p1}},
		{"no accents folded", []string{"firstname==e_%"}, []string{}},
		{"id", []string{"id==" + p2}, []string{p2}},
		{"id above", []string{"id>" + p1}, []string{p2, p3}},
		{"id from", []string{"id>=" + p2}, []string{p2, p3}},
		{"id below", []string{"id<" + p2}, []string{p1}},
		{"id and key", []string{"customer_id=~k%", "id>" + p2}, []string{p3}},
		{"modified, date only", []string{"modified>=2026-01-15"}, all},
		{"modified, later", []string{"modified>=2026-01-16"}, []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := c.list("/database/Shop/profiles", "", tt.filters...)
			if diff := cmp.Diff(tt.want, got.ids()); diff != "" {
				t.Error(diff)
			}
			if *got.Total != len(tt.want) {
				t.Errorf("total %d", *got.Total)
			}
			var ids []string
			c.decode(c.want(200, "GET", "/database/Shop/profileids?"+filterQuery(tt.filters...), ""), &ids)
			if !slices.Equal(ids, tt.want) {
				t.Errorf("profileids %v, want %v", ids, tt.want)
			}
		})
	}
	t.Run("plus is a blank when not encoded", func(t *testing.T) {
		var got page
		c.decode(c.want(200, "GET", "/database/Shop/profiles?fields[0]=email==john+tag@x.nl", ""), &got)
		if diff := cmp.Diff([]string{p3}, got.ids()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBehaviour37_FieldNamedModified(t *testing.T) {
	t.Parallel()
	h := clock()
	a := copernicatest.New(copernicatest.Config{Now: h.Now})
	if err := a.AddFields("Magento", copernicatest.Field{Name: "Modified"}); err != nil {
		t.Fatal(err)
	}
	c := newCaller(t, a)
	first := c.create("Magento", m{"modified": "b"})
	h.Add(time.Hour)
	second := c.create("Magento", m{"modified": "a"})
	if got := c.list("/database/Magento/profiles", "", "modified==b").ids(); !slices.Equal(got, []string{first}) {
		t.Errorf("the field shadows the property in filters: %v", got)
	}
	if got := c.list("/database/Magento/profiles", "orderby=modified&order=desc").ids(); !slices.Equal(got, []string{second, first}) {
		t.Errorf("the property orders: %v", got)
	}
}

func TestSwitches_Collation(t *testing.T) {
	t.Parallel()
	_, c := account(t, copernicatest.Switches{AccentsEqual: true, TrailingBlanksEqual: true, KeepOuterBlanks: true})
	id := c.create("Shop", m{"customer_id": "Zoë "})
	for _, f := range []string{"customer_id==zoe", "customer_id==ZOË  "} {
		if got := c.list("/database/Shop/profiles", "", f).ids(); !slices.Equal(got, []string{id}) {
			t.Errorf("%q finds %v", f, got)
		}
	}
	if got := c.list("/database/Shop/profiles", "", " customer_id==nobody").Count; got != 1 {
		t.Errorf("a blank in front makes the name unknown: %d found", got)
	}
}

func TestBehaviour47to51_Paging(t *testing.T) {
	t.Parallel()
	a, c := account(t, copernicatest.Switches{NextID: true})
	ids := make([]string, 0, 1100)
	for i := range 1100 {
		id, err := a.AddProfile("Shop", map[string]string{"customer_id": fmt.Sprintf("k%04d", i), "orders": strconv.Itoa(1100 - i)})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, strconv.FormatInt(id, 10))
	}
	reversed := slices.Clone(ids)
	slices.Reverse(reversed)
	tests := []struct {
		params       string
		start, limit int
		want         []string
	}{
		{"", 0, 100, ids[:100]},
		{"limit=5", 0, 5, ids[:5]},
		{"limit=5&start=1098", 1098, 5, ids[1098:]},
		{"limit=5&start=2000", 2000, 5, []string{}},
		{"limit=9999", 0, 1000, ids[:1000]},
		{"limit=abc", 0, 0, []string{}},
		{"limit=-2", 0, -2, []string{}},
		{"start=-2", -2, 100, []string{}},
		{"LIMIT=5", 0, 100, ids[:100]},
		{"limit=3&order=desc", 0, 3, reversed[:3]},
		{"limit=3&orderby=orders", 0, 3, reversed[:3]},
		{"limit=3&orderby=customer_id&order=DESCENDING", 0, 3, reversed[:3]},
		{"limit=3&orderby=nothing", 0, 3, ids[:3]},
		{"limit=3&orderby=id", 0, 3, ids[:3]},
	}
	for _, tt := range tests {
		got := c.list("/database/Shop/profiles", tt.params)
		if got.Start != tt.start || got.Limit != tt.limit || got.Count != len(tt.want) || *got.Total != 1100 {
			t.Errorf("%q: start %d limit %d count %d total %d", tt.params, got.Start, got.Limit, got.Count, *got.Total)
		}
		if diff := cmp.Diff(tt.want, got.ids()); diff != "" {
			t.Errorf("%q: %s", tt.params, diff)
		}
	}
	if got := c.list("/database/Shop/profiles", "limit=2").NextID; got != ids[2] {
		t.Errorf("nextid %s, want %s", got, ids[2])
	}
	for v, present := range map[string]bool{"false": false, "no": false, "0": false, "": false, "%20true": false, "TRUE": true, "yes": true, "2": true} {
		if got := c.list("/database/Shop/profiles", "limit=2&total="+v); (got.Total != nil) != present || got.Count != 2 {
			t.Errorf("total=%s: %+v", v, got)
		}
	}
	random := c.list("/database/Shop/profiles", "limit=1000&orderby=random").ids()
	if slices.IsSorted(random) {
		t.Error("orderby=random is sorted")
	}
	var only struct{ Data []map[string]any }
	c.decode(c.want(200, "GET", "/database/Shop/profiles?limit=1&dataonly=1", ""), &only)
	for name := range only.Data[0] {
		if !slices.Contains([]string{"ID", "fields", "interests", "modified"}, name) {
			t.Errorf("dataonly shows %s", name)
		}
	}
}

func TestBehaviour38_SuperfluousPath(t *testing.T) {
	t.Parallel()
	_, c := account(t, copernicatest.Switches{})
	c.want(201, "POST", "/database/Shop/profiles/more", `{}`)
	var got page
	c.decode(c.want(200, "GET", "/database/Shop/profiles/more/yet/", ""), &got)
	if got.Count != 1 {
		t.Errorf("%d profiles", got.Count)
	}
}

func TestBehaviour52_AmsterdamTime(t *testing.T) {
	t.Parallel()
	h := clock()
	h.Add(180 * 24 * time.Hour)
	a := copernicatest.New(copernicatest.Config{Now: h.Now})
	fill(t, a)
	c := newCaller(t, a)
	if got := c.profile(c.create("Shop", m{})).Created; got != "2026-07-14 13:00:00" {
		t.Errorf("created %s", got)
	}
}

func TestBehaviour53_NewFieldInOldRows(t *testing.T) {
	t.Parallel()
	h := clock()
	a := copernicatest.New(copernicatest.Config{Now: h.Now})
	fill(t, a)
	c := newCaller(t, a)
	id := c.create("Shop", m{})
	h.Add(time.Hour)
	c.want(201, "POST", "/database/Shop/fields", `{"name":"points","type":"integer","value":"7"}`)
	c.want(201, "POST", "/database/Shop/fields", `{"name":"since","type":"date","value":"2020-01-01"}`)
	c.want(201, "POST", "/database/Shop/fields", `{"name":"word","value":"hello"}`)
	p := c.profile(id)
	if p.Fields["points"] != "0" || p.Fields["since"] != "0000-00-00" || p.Fields["word"] != "" || p.Modified != "2026-01-15 13:00:00" {
		t.Errorf("%v modified %s", p.Fields, p.Modified)
	}
	p = c.profile(c.create("Shop", m{}))
	if p.Fields["points"] != "7" || p.Fields["since"] != "2020-01-01" || p.Fields["word"] != "hello" {
		t.Errorf("a new row: %v", p.Fields)
	}
}
