package copernicatest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

func TestBehaviour01to05_StatusesAndHeaders(t *testing.T) {
	t.Parallel()
	upsert := "/database/Shop/profiles?create=1&fields[]=customer_id==k1"
	tests := []struct {
		name                          string
		switches                      copernicatest.Switches
		created, hit, single, deleted int
	}{
		{"version 4", copernicatest.Switches{}, 201, 204, 204, 204},
		{"version 2 as documented", copernicatest.Switches{PutStatus: 200}, 200, 200, 200, 204},
		{"version 2 as seen", copernicatest.Switches{PutStatus: 303}, 303, 303, 303, 204},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, c := account(t, tt.switches)
			b := body(m{"customer_id": "k1"})
			r := c.want(tt.created, "PUT", upsert, b)
			id := r.header.Get("X-Created")
			if id == "" || r.header.Get("X-location") != "http://api.copernica.test/v4/profile/"+id || r.body != "" {
				t.Errorf("creation: headers %v body %q", r.header, r.body)
			}
			if r := c.want(tt.hit, "PUT", upsert, b); r.header.Get("X-Created") != "" || r.body != "" {
				t.Errorf("hit: headers %v body %q", r.header, r.body)
			}
			r = c.want(tt.single, "PUT", "/profile/"+id+"/fields", `{"firstname":"x"}`)
			location := ""
			if tt.single == 303 {
				location = "http://api.copernica.test/profile/" + id
			}
			if got := r.header.Get("Location"); got != location {
				t.Errorf("Location %q, want %q", got, location)
			}
			if r := c.want(tt.deleted, "DELETE", "/profile/"+id, ""); r.header.Get("X-deleted") != "profile "+id {
				t.Errorf("deletion: headers %v", r.header)
			}
			c.refused("This profile has already been removed", "DELETE", "/profile/"+id, "")
		})
	}
}

func TestBehaviour05_SubprofileUpsert(t *testing.T) {
	t.Parallel()
	for _, without := range []bool{false, true} {
		_, c := account(t, copernicatest.Switches{SubprofileUpsertWithoutID: without})
		p := c.create("Shop", m{})
		r := c.want(201, "PUT", "/profile/"+p+"/subprofiles/orders?create=1&fields[]=order_id==o1", `{"order_id":"o1"}`)
		if got := r.header.Get("X-Created") == ""; got != without {
			t.Errorf("without=%v: X-Created %q", without, r.header.Get("X-Created"))
		}
		c.want(204, "PUT", "/profile/"+p+"/subprofiles/orders?create=1&fields[]=order_id==o1", `{"order_id":"o1"}`)
	}
}

func TestBehaviour06to09_Refusals(t *testing.T) {
	t.Parallel()
	_, c := account(t, copernicatest.Switches{})
	id := c.create("Shop", m{})
	tests := []struct{ message, method, path, body string }{
		{"No entity with supplied ID", "GET", "/profile/1", ""},
		{"No entity with supplied ID", "PUT", "/profile/" + id + "x", `{"fields":{}}`},
		{"No entity with supplied ID", "GET", "/profile/1/nonsense", ""},
		{"No subprofile with supplied ID", "GET", "/subprofile/1", ""},
		{"No database with supplied ID", "GET", "/database/999", ""},
		{"No database with supplied ID", "GET", "/database/nobody/profiles", ""},
		{"No collection with given ID", "GET", "/collection/1", ""},
		{"Subprofile could not be created", "POST", "/profile/" + id + "/subprofiles/nothing", `{}`},
		{"Invalid method", "GET", "/nonsense", ""},
		{"Invalid method", "GET", "/Databases", ""},
		{"Invalid method", "GET", "/profile/" + id + "/nonsense", ""},
		{"Invalid method", "PATCH", "/profile/" + id, ""},
		{"Invalid method", "PUT", "/profile/" + id + "/fields/more", `{}`},
		{"Invalid method", "DELETE", "/profile/" + id + "/more", ""},
		{"Invalid request, element 1 is missing in 'directory' path", "GET", "/profile", ""},
		{"Invalid request, element 1 is missing in 'directory' path", "GET", "/database/", ""},
		{"Invalid request, element 3 is missing in 'directory' path", "GET", "/profile/" + id + "/subprofiles", ""},
		{"URL parameter fields is required", "PUT", "/database/Shop/profiles?create=1", `{"fields":{}}`},
		{"URL parameter fields is required", "PUT", "/database/Shop/profiles?fields=a==b", `{"fields":{}}`},
		{"URL parameter fields is required", "PUT", "/database/Shop/profiles?FIELDS[]=customer_id==b", `{"fields":{}}`},
		{"Invalid data provided", "POST", "/database/Shop/profiles", `{"fields":"x"}`},
		{"Invalid data provided", "POST", "/database/Shop/profiles", `{"fields":{}`},
		{"Invalid data provided", "POST", "/database/Shop/profiles", "{\"fields\":{\"firstname\":\"\xff\"}}"},
		{"Invalid data provided", "PUT", "/database/Shop/profiles?fields[]=customer_id==b", `{"fields":1}`},
		{"No field id supplied for the field", "DELETE", "/database/Shop/field", ""},
		{"Failed to get the field", "DELETE", "/database/Shop/field/nothing", ""},
	}
	for _, tt := range tests {
		c.refused(tt.message, tt.method, tt.path, tt.body)
	}
}

func TestBehaviour12_PostActsAsPut(t *testing.T) {
	t.Parallel()
	_, c := account(t, copernicatest.Switches{})
	id := c.create("Shop", m{})
	c.want(204, "POST", "/profile/"+id, body(m{"firstname": "x"}))
	if got := c.profile(id).Fields["firstname"]; got != "x" {
		t.Errorf("firstname %q", got)
	}
	if r := c.want(200, "POST", "/database/Shop", `{"name":"Other"}`); r.header.Get("X-Created") != "" {
		t.Error("X-Created after POST to a database")
	}
	c.want(200, "GET", "/database/Shop", "")
}

func TestBehaviour13_RefusedDomain(t *testing.T) {
	t.Parallel()
	_, c := account(t, copernicatest.Switches{RefusedDomains: []string{"126.com"}})
	c.refused("Failed to create profile", "PUT", "/database/Shop/profiles?create=1&fields[]=customer_id==k", body(m{"email": "a@126.COM"}))
	c.create("Shop", m{"email": "a@127.com"})
}

func TestBehaviour27to29_Names(t *testing.T) {
	t.Parallel()
	_, c := account(t, copernicatest.Switches{})
	id := c.create("sHOP", m{"FirstName": "x", "unknown": "y"})
	if got := c.profile(id).Fields["firstname"]; got != "x" {
		t.Errorf("firstname %q", got)
	}
	c.want(204, "PUT", "/profile/"+id, `{"fields":{"firstname":"a","firstNAME":""}}`)
	if got := c.profile(id).Fields["firstname"]; got != "" {
		t.Errorf("the last one wins: %q", got)
	}
	r := c.want(201, "POST", "/database/Shop/profiles", `{"FIELDS":{"firstname":"x"}}`)
	if got := c.profile(r.header.Get("X-Created")).Fields["firstname"]; got != "" {
		t.Errorf("FIELDS stored %q", got)
	}
	_, strict := account(t, copernicatest.Switches{UnknownFieldRefused: true})
	strict.refused("Failed to get the field", "PUT", "/database/Shop/profiles?create=1&fields[]=customer_id==k", body(m{"nothing": "x"}))
}

func TestBehaviour30_UnknownFilter(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{"fields[]=nothing==k1", "fields[]=", "fields[]=customer_id%20==k1", "fields[]=customer_id"} {
		_, c := account(t, copernicatest.Switches{})
		c.create("Shop", m{})
		c.refused("Failed to get the field", "PUT", "/database/Shop/profiles?create=1&"+filter, body(m{"firstname": "all"}))

		a, every := account(t, copernicatest.Switches{UnknownFilter: copernicatest.UnknownFilterIgnored})
		every.create("Shop", m{"customer_id": "k1"})
		every.create("Shop", m{"customer_id": "k2"})
		every.want(204, "PUT", "/database/Shop/profiles?create=1&"+filter, body(m{"firstname": "all"}))
		for _, p := range a.Profiles("Shop") {
			if p.Fields["firstname"] != "all" {
				t.Errorf("%s: profile %s left alone", filter, p.Fields["customer_id"])
			}
		}
	}
}

func TestBehaviour32to34_UpsertsAndDoubles(t *testing.T) {
	t.Parallel()
	a, c := account(t, copernicatest.Switches{UnknownFilter: copernicatest.UnknownFilterIgnored})
	first, second := c.create("Shop", m{"customer_id": "K"}), c.create("Shop", m{"customer_id": "K"})
	if first == second {
		t.Fatal("one id for two profiles")
	}
	c.want(204, "PUT", "/database/Shop/profiles?create=1&fields[]=customer_id==k", body(m{"firstname": "both"}))
	for _, p := range a.Profiles("Shop") {
		if p.Fields["firstname"] != "both" {
			t.Errorf("profile %d was not updated", p.ID)
		}
	}
	c.want(204, "PUT", "/database/Shop/profiles?fields[]=customer_id==none", body(m{"firstname": "x"}))
	r := c.want(201, "PUT", "/database/Shop/profiles?create=1&fields[]=customer_id==new", body(m{"firstname": "x"}))
	if got := c.profile(r.header.Get("X-Created")).Fields["customer_id"]; got != "" {
		t.Errorf("key %q: a creation takes the body alone", got)
	}
	c.refused("Failed to get the field", "PUT", "/profile/"+first+"/subprofiles/Orders?create=1&fields[]=nothing==1", `{}`)
	c.want(204, "PUT", "/database/Shop/profiles?create=1&async=1&fields[]=customer_id==later", body(m{"customer_id": "later"}))
	if n := c.list("/database/Shop/profiles", "", "customer_id==later").Count; n != 1 {
		t.Errorf("async made %d", n)
	}
}

func TestBehaviour39to40_Bodies(t *testing.T) {
	t.Parallel()
	a, c := account(t, copernicatest.Switches{})
	p := c.create("Shop", m{"firstname": "x"})
	c.want(204, "PUT", "/profile/"+p, `{"fields":"x"}`)
	c.want(204, "PUT", "/profile/"+p, `{"firstname":"flat"}`)
	if got := c.profile(p).Fields["firstname"]; got != "x" {
		t.Errorf("firstname %q", got)
	}
	c.want(201, "POST", "/profile/"+p+"/subprofiles/Orders", `{"fields":{"order_id":"o1"}}`)
	r := c.want(201, "POST", "/profile/"+p+"/subprofiles/Orders", `{"order_id":"o2"}`)
	s := r.header.Get("X-Created")
	c.want(204, "PUT", "/subprofile/"+s, `{"fields":{"total":"1"}}`)
	c.want(204, "PUT", "/subprofile/"+s, `{"total":"2"}`)
	got := []map[string]string{}
	for _, s := range a.Subprofiles("Shop", "Orders") {
		got = append(got, s.Fields)
	}
	want := []map[string]string{{"order_id": "", "total": ""}, {"order_id": "o2", "total": "1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	c.want(204, "PUT", "/subprofile/"+s+"/fields", `{"total":"3"}`)
	c.want(204, "PUT", "/collection/Orders/subprofiles?fields[]=order_id==o2", `{"fields":{"order_id":"o3"}}`)
	if got := a.Subprofiles("Shop", "Orders")[1].Fields; got["total"] != "3" || got["order_id"] != "o3" {
		t.Errorf("%v", got)
	}

	req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://x/v4/database/Shop/profiles",
		strings.NewReader("fields[customer_id]=a%2Bb+c&fields%5Bfirstname%5D=J"))
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	f := c.send(req)
	if got := c.profile(f.header.Get("X-Created")).Fields; got["customer_id"] != "a+b c" || got["firstname"] != "J" {
		t.Errorf("form: %v", got)
	}
}

func TestBehaviour41to46_Removal(t *testing.T) {
	t.Parallel()
	h := clock()
	a := copernicatest.New(copernicatest.Config{Now: h.Now})
	fill(t, a)
	c := newCaller(t, a)
	id := c.create("Shop", m{"customer_id": "k1", "firstname": "x"})
	sub := c.want(201, "POST", "/profile/"+id+"/subprofiles/Orders", `{"order_id":"o1"}`).header.Get("X-Created")

	h.Add(time.Minute)
	c.want(204, "PUT", "/profile/"+id, body(m{"firstname": "x", "orders": "-1abc", "unknown": 1}))
	if p := c.profile(id); p.Modified != "2026-01-15 12:00:00" {
		t.Errorf("modified %s moved without a change", p.Modified)
	}
	c.want(204, "PUT", "/profile/"+id, body(m{"firstname": "y"}))
	if p := c.profile(id); p.Modified != "2026-01-15 12:01:00" {
		t.Errorf("modified %s", p.Modified)
	}

	h.Add(time.Minute)
	c.want(204, "DELETE", "/profile/"+id, "")
	for range 2 {
		h.Add(time.Minute)
		c.want(204, "PUT", "/profile/"+id, body(m{"firstname": "z"}))
	}
	p := c.profile(id)
	if p.Removed != "2026-01-15 12:02:00" || p.Modified != "2026-01-15 12:04:00" {
		t.Errorf("removed %v modified %s", p.Removed, p.Modified)
	}
	for name, v := range p.Fields {
		if v != "" {
			t.Errorf("%s is %q on a removed profile", name, v)
		}
	}
	c.refused("This subprofile has already been removed", "DELETE", "/subprofile/"+sub, "")
	c.want(201, "POST", "/profile/"+id+"/subprofiles/Orders", `{"order_id":"o2"}`)
	if n := c.list("/database/Shop/profiles", ""); n.Count != 0 || *n.Total != 0 {
		t.Errorf("a removed profile is listed: %v", n)
	}
	again := c.want(201, "PUT", "/database/Shop/profiles?create=1&fields[]=customer_id==k1", body(m{"customer_id": "k1"})).header.Get("X-Created")
	if again <= id {
		t.Errorf("id %s after %s", again, id)
	}
	other := c.create("Magento", m{})
	if other <= again {
		t.Errorf("id %s in another database after %s", other, again)
	}
	c.want(204, "DELETE", "/database/Shop/profiles", `{"profiles":[`+again+`,"999"]}`)
	if got := len(a.Profiles("Shop")); got != 0 {
		t.Errorf("%d profiles left", got)
	}
}

// What was removed completely is as if it had never been; its id is not given again.
func TestRemovedCompletely(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		version int
		s       copernicatest.Switches
		body    string
		gone    bool
	}{
		"as documented":      {4, copernicatest.Switches{}, `{"completely":"Yes"}`, true},
		"in version 2":       {2, copernicatest.Switches{}, `{"completely":"yes"}`, true},
		"a flag":             {3, copernicatest.Switches{}, `{"completely":true}`, true},
		"no":                 {4, copernicatest.Switches{}, `{"completely":"No"}`, false},
		"no body":            {4, copernicatest.Switches{}, "", false},
		"not in version 1":   {1, copernicatest.Switches{}, `{"completely":"Yes"}`, false},
		"ignored on the way": {4, copernicatest.Switches{CompletelyIgnored: true}, `{"completely":"Yes"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, c := account(t, tt.s)
			kept := c.create("Shop", m{"customer_id": "k0"})
			id := c.create("Shop", m{"customer_id": "k1"})
			for _, parent := range []string{kept, id} {
				c.want(201, "POST", "/profile/"+parent+"/subprofiles/Orders", `{"order_id":"o1"}`)
			}
			sub := fmt.Sprint(a.Subprofiles("Shop", "Orders")[1].ID)
			if r := c.say(tt.version, "DELETE", "/profile/"+id, tt.body); r.status >= 300 || r.header.Get("X-deleted") != "profile "+id {
				t.Fatalf("%d %s", r.status, r.body)
			}
			if tt.gone {
				c.refused("No entity with supplied ID", "GET", "/profile/"+id, "")
				c.refused("No entity with supplied ID", "DELETE", "/profile/"+id, tt.body)
				c.refused("No subprofile with supplied ID", "GET", "/subprofile/"+sub, "")
			} else {
				c.refused("This profile has already been removed", "DELETE", "/profile/"+id, tt.body)
				if p := c.profile(id); p.Removed == false {
					t.Errorf("%+v", p)
				}
			}
			if got := c.list("/database/Shop/profiles", ""); len(got.Data) != 1 || got.Data[0].ID != kept {
				t.Errorf("listed %v", got.ids())
			}
			if got := a.Subprofiles("Shop", "Orders"); len(got) != 1 || fmt.Sprint(got[0].Parent) != kept {
				t.Errorf("below: %v", got)
			}
			if again := c.create("Shop", m{"customer_id": "k1"}); again <= id {
				t.Errorf("id %s after %s", again, id)
			}
		})
	}
}
