package copernicatest_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

type schemaPage struct {
	Start, Limit, Count, Total int
	Data                       []struct {
		ID, Name, Type, Value, Length string
		Index                         bool
		Fields                        *schemaPage
		Database                      string
	}
}

func TestSchema_EmptyAndBare(t *testing.T) {
	t.Parallel()
	c := newCaller(t, copernicatest.New(copernicatest.Config{Empty: true}))
	c.refused("No database with supplied ID", "GET", "/database/Magento", "")
	var list schemaPage
	c.decode(c.want(200, "GET", "/databases", ""), &list)
	if list.Total != 0 {
		t.Errorf("%d databases in an empty account", list.Total)
	}

	c = newCaller(t, copernicatest.New(copernicatest.Config{}))
	var db struct {
		ID, Name                       string
		Fields, Interests, Collections schemaPage
	}
	c.decode(c.want(200, "GET", "/database/MAGENTO", ""), &db)
	if db.ID != "101" || db.Name != "Magento" || db.Fields.Total != 0 || db.Collections.Total != 0 || db.Fields.Limit != 1000 {
		t.Errorf("%+v", db)
	}
}

func TestSchema_Provision(t *testing.T) {
	t.Parallel()
	a := copernicatest.New(copernicatest.Config{Empty: true, Now: clock().Now})
	c := newCaller(t, a)
	created := func(r reply) string {
		t.Helper()
		id := r.header.Get("X-Created")
		if id == "" {
			t.Fatalf("nothing created: %v", r)
		}
		return id
	}
	db := created(c.want(201, "POST", "/databases", `{"name":"Shop_1","description":"all"}`))
	for _, bad := range []string{`{"name":"SHOP_1"}`, `{"name":"a b"}`, `{}`, `"x"`} {
		c.refused("Invalid data provided", "POST", "/databases", bad)
	}
	field := created(c.want(201, "POST", "/database/"+db+"/fields", `{"name":"customer_id","type":"text","length":"64","index":true}`))
	created(c.want(201, "POST", "/database/shop_1/fields", `{"name":"email","type":"email","length":160}`))
	created(c.want(201, "POST", "/database/"+db+"/fields", `{"name":"plain"}`))
	created(c.want(201, "POST", "/database/"+db+"/fields", `{"name":"level","type":"select","value":"a\r\nb*"}`))
	created(c.want(201, "POST", "/database/"+db+"/fields", `{"name":"long","type":"big","index":1}`))
	for _, bad := range []string{
		`{"name":"Email"}`, `{"name":"mail","type":"email"}`, `{"name":"id"}`, `{"name":"CODE"}`, `{"name":"1a"}`, `{"name":"_a"}`,
		`{"name":"a=b"}`, `{"name":"x","type":"string"}`, `{"type":"text"}`,
	} {
		c.refused("Invalid data provided", "POST", "/database/"+db+"/fields", bad)
	}
	col := created(c.want(201, "POST", "/database/"+db+"/collections", `{"name":"Orders_Items"}`))
	c.refused("Invalid data provided", "POST", "/database/"+db+"/collections", `{"name":"Orders2"}`)
	c.refused("Invalid data provided", "POST", "/database/"+db+"/collections", `{"name":"orders_items"}`)
	created(c.want(201, "POST", "/collection/"+col+"/fields", `{"name":"item_id","length":64,"index":true}`))

	var got schemaPage
	c.decode(c.want(200, "GET", "/database/"+db+"/fields", ""), &got)
	type line struct {
		Name, Type, Value, Length string
		Index                     bool
	}
	var lines []line
	for _, f := range got.Data {
		lines = append(lines, line{f.Name, f.Type, f.Value, f.Length, f.Index})
	}
	want := []line{
		{"customer_id", "text", "", "64", true},
		{"email", "email", "", "160", false},
		{"plain", "text", "", "255", false},
		{"level", "select", "a\r\nb", "0", false},
		{"long", "big", "", "0", false},
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if got := c.profile(c.create(db, m{})).Fields["level"]; got != "b" {
		t.Errorf("the starred choice is the default, got %q", got)
	}
	c.decode(c.want(200, "GET", "/database/"+db+"/collections", ""), &got)
	if got.Total != 1 || got.Data[0].ID != col || got.Data[0].Database != db || got.Data[0].Fields.Total != 1 || got.Data[0].Fields.Limit != 100 {
		t.Errorf("%+v", got)
	}

	c.refused("Invalid data provided", "PUT", "/database/"+db+"/field/"+field, `{"length":10}`)
	c.want(204, "PUT", "/database/"+db+"/field/"+field, `{"name":"Customer","length":10}`)
	if got := c.profile(c.create(db, m{"customer": "0123456789abc"})).Fields["Customer"]; got != "0123456789" {
		t.Errorf("after the change: %q", got)
	}
	if r := c.want(204, "DELETE", "/database/"+db+"/field/plain", ""); r.header.Get("X-deleted") == "" {
		t.Error("no X-deleted")
	}
	c.want(204, "PUT", "/database/"+db, `{"name":"Renamed"}`)
	c.want(200, "GET", "/database/renamed", "")
	c.want(204, "PUT", "/collection/"+col, `{"name":"Items"}`)
	c.want(200, "GET", "/collection/items", "")
}

func TestSchema_EmbeddedListsAreFirstPages(t *testing.T) {
	t.Parallel()
	a := copernicatest.New(copernicatest.Config{})
	if _, err := a.CreateCollection("Magento", "Orders"); err != nil {
		t.Fatal(err)
	}
	c := newCaller(t, a)
	for i := range 130 {
		c.want(201, "POST", "/collection/Orders/fields", fmt.Sprintf(`{"name":"f%d"}`, i))
	}
	var col struct{ Fields schemaPage }
	c.decode(c.want(200, "GET", "/collection/Orders", ""), &col)
	if col.Fields.Count != 100 || col.Fields.Total != 130 {
		t.Errorf("%d of %d fields embedded", col.Fields.Count, col.Fields.Total)
	}
	var rest schemaPage
	c.decode(c.want(200, "GET", "/collection/Orders/fields?start=100", ""), &rest)
	if rest.Count != 30 {
		t.Errorf("%d fields on the second page", rest.Count)
	}
}

func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	a, c := account(t, copernicatest.Switches{})
	id := c.create("Shop", m{"customer_id": "k1", "newsletter": "subscribed"})
	if err := a.Unsubscribe("Shop", "K1"); err != nil {
		t.Fatal(err)
	}
	if got := c.profile(id).Fields["newsletter"]; got != copernicatest.Unsubscribed {
		t.Errorf("newsletter %q", got)
	}
	if err := a.Unsubscribe("Shop", "nobody"); err == nil {
		t.Error("no error for an unknown key")
	}
	c.want(204, "PUT", "/database/Shop/unsubscribe", `{"behavior":"update","fields":{"newsletter":"no"}}`)
	c.want(204, "PUT", "/profile/"+id+"/unsubscribe", "")
	if got := c.profile(id).Fields["newsletter"]; got != "no" {
		t.Errorf("newsletter %q", got)
	}
	if got := c.want(200, "GET", "/database/Shop/unsubscribe", "").body; got != `{"behavior":"update","fields":{"newsletter":"no"}}` {
		t.Error(got)
	}
	c.want(204, "PUT", "/database/Shop/unsubscribe", `{"behavior":"remove"}`)
	c.want(204, "PUT", "/profile/"+id+"/unsubscribe", "")
	if c.profile(id).Removed == false {
		t.Error("not removed")
	}
}

func TestInside_RenameAndDrop(t *testing.T) {
	t.Parallel()
	a, c := account(t, copernicatest.Switches{})
	id, err := a.AddProfile("Shop", map[string]string{"customer_id": "k1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.EditProfile(id, map[string]string{"firstname": "x"}); err != nil {
		t.Fatal(err)
	}
	if err := a.RenameField("Shop", "customer_id", "klant"); err != nil {
		t.Fatal(err)
	}
	c.refused("Failed to get the field", "PUT", "/database/Shop/profiles?fields[]=customer_id==k1", body(m{}))
	if n := c.list("/database/Shop/profiles", "", "klant==k1").Count; n != 1 {
		t.Errorf("%d found under the new name", n)
	}
	if err := a.DropField("Shop", "KLANT"); err != nil {
		t.Fatal(err)
	}
	if _, ok := a.Profiles("Shop")[0].Fields["klant"]; ok {
		t.Error("the dropped field is still there")
	}
	if err := a.RemoveProfile(id); err != nil {
		t.Fatal(err)
	}
	if err := a.EditProfile(id, nil); err == nil || a.RemoveProfile(id) == nil || a.DropField("Shop", "klant") == nil {
		t.Error("no error for what is gone")
	}
	if _, err := a.AddProfile("Shop", map[string]string{"nothing": "x"}); err == nil {
		t.Error("no error for an unknown field")
	}
}
