package copernicatest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

// say makes a call of a version with the token where that version wants it.
func (c *caller) say(version int, method, path, body string) reply {
	c.t.Helper()
	if version < 4 {
		path += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + "access_token=" + copernicatest.AccessToken
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, fmt.Sprintf("https://api.copernica.test/v%d%s", version, path), strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if version == 4 {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	req.Header.Set("Content-Type", "application/json")
	return c.send(req)
}

// told is what an answer says beside its body.
type told struct {
	Status                                int
	Created, XLocation, Location, Deleted string
}

func (r reply) told() told {
	return told{r.status, r.header.Get("X-Created"), r.header.Get("X-Location"), r.header.Get("Location"), r.header.Get("X-Deleted")}
}

// The same life of a profile and a subprofile in the words of each version. P and S are
// the ids, HOST the address, AUTH the token in the query.
func TestVersions(t *testing.T) {
	t.Parallel()
	const (
		many    = "/database/Shop/profiles?fields[]=customer_id==k&create=1"
		manySub = "/profile/P/subprofiles/Orders?fields[]=order_id==o&create=1"
	)
	calls := []struct{ method, path, body string }{
		{"PUT", many, `{"fields":{"customer_id":"k"}}`},
		{"PUT", many, `{"fields":{"customer_id":"k","firstname":"Jan"}}`},
		{"PUT", "/profile/P", `{"fields":{"email":"a@b.nl"}}`},
		{"PUT", "/profile/P/fields", `{"email":"c@d.nl"}`},
		{"PUT", manySub, `{"order_id":"o"}`},
		{"PUT", manySub, `{"order_id":"o","total":"1"}`},
		{"PUT", "/subprofile/S", `{"fields":{"total":"2"}}`},
		{"PUT", "/subprofile/S/fields", `{"total":"3"}`},
		{"DELETE", "/subprofile/S", ""},
		{"DELETE", "/profile/P", ""},
		{"DELETE", "/profile/P", ""},
	}
	seeOther := func(path string) told { return told{Status: 303, Location: "HOST" + path} }
	withAuth := func(path string) told {
		return seeOther(path + map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + "AUTH")
	}
	madeProfile := withAuth(many)
	madeProfile.Created, madeProfile.XLocation = "P", "HOST/v2/profile/P"
	version2 := []told{
		madeProfile, withAuth(many), withAuth("/profile/P"), withAuth("/profile/P"),
		withAuth(manySub), withAuth(manySub), withAuth("/subprofile/S"), withAuth("/subprofile/S"),
		{Status: 200, Deleted: "subprofile S"},
		{Status: 200, Deleted: "profile P"},
		{Status: 400},
	}
	repaired := version2[4]
	repaired.Created, repaired.XLocation = "S", "HOST/v2/subprofile/S"
	named := func(kind string) told { return told{Status: 303, Location: "HOST/v2/" + kind} }
	namedMade := named("profile/P")
	namedMade.Created, namedMade.XLocation = "P", "HOST/v2/profile/P"
	documented := func(kind string) told { return told{Status: 200, XLocation: "HOST/v2/" + kind} }
	documentedMade := documented("profile/P")
	documentedMade.Created = "P"
	since3 := func(version string) []told {
		return []told{
			{Status: 201, Created: "P", XLocation: "HOST/" + version + "/profile/P"},
			{Status: 204},
			{Status: 204},
			{Status: 204},
			{Status: 201, Created: "S", XLocation: "HOST/" + version + "/subprofile/S"},
			{Status: 204},
			{Status: 204},
			{Status: 204},
			{Status: 204, Deleted: "subprofile S"},
			{Status: 204, Deleted: "profile P"},
			{Status: 400},
		}
	}
	for name, tt := range map[string]struct {
		version int
		s       copernicatest.Switches
		want    []told
	}{
		"2": {2, copernicatest.Switches{}, version2},
		"2, subprofiles repaired": {
			2,
			copernicatest.Switches{SubprofileUpsertRepaired: true},
			append(append(append([]told{}, version2[:4]...), repaired), version2[5:]...),
		},
		"2, a row in Location": {2, copernicatest.Switches{LocationNamesRow: true}, []told{
			namedMade, named("profile/P"), named("profile/P"), named("profile/P"),
			named("subprofile/S"), named("subprofile/S"), named("subprofile/S"), named("subprofile/S"),
			{Status: 200, Deleted: "subprofile S"},
			{Status: 200, Deleted: "profile P"},
			{Status: 400},
		}},
		"2, as documented": {2, copernicatest.Switches{LocationNamesRow: true, PutStatus: 200, DeleteMissingSucceeds: true}, []told{
			documentedMade, documented("profile/P"), documented("profile/P"), documented("profile/P"),
			documented("subprofile/S"), documented("subprofile/S"), documented("subprofile/S"), documented("subprofile/S"),
			{Status: 200, Deleted: "subprofile S"},
			{Status: 200, Deleted: "profile P"},
			{Status: 204},
		}},
		"3":                  {3, copernicatest.Switches{}, since3("v3")},
		"4":                  {4, copernicatest.Switches{}, since3("v4")},
		"4 with 2's choices": {4, copernicatest.Switches{LocationNamesRow: true, SubprofileUpsertRepaired: true, Version1Upserts: true}, since3("v4")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, c := account(t, tt.s)
			profile, sub := "", ""
			var got []told
			for _, call := range calls {
				r := c.say(tt.version, call.method, strings.NewReplacer("/P", "/"+profile, "/Shop", "/Shop", "/S", "/"+sub).Replace(call.path), call.body)
				if list := a.Profiles("Shop"); profile == "" && len(list) == 1 {
					profile = fmt.Sprint(list[0].ID)
				}
				if list := a.Subprofiles("Shop", "Orders"); sub == "" && len(list) == 1 {
					sub = fmt.Sprint(list[0].ID)
				}
				words := strings.NewReplacer("http://api.copernica.test", "HOST", "access_token="+copernicatest.AccessToken, "AUTH", profile, "P")
				is := r.told()
				for _, s := range []*string{&is.Created, &is.XLocation, &is.Location, &is.Deleted} {
					*s = words.Replace(*s)
					if sub != "" {
						*s = strings.ReplaceAll(*s, sub, "S")
					}
				}
				got = append(got, is)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Version 1 takes profiles flat, and knows no upsert of subprofiles.
func TestVersion1(t *testing.T) {
	t.Parallel()
	a, c := account(t, copernicatest.Switches{})
	const many = "/database/Shop/profiles?fields[]=customer_id==k&create=1"
	id := c.say(1, "PUT", many, `{"customer_id":"k","firstname":"Jan"}`).header.Get("X-Created")
	if got := a.Profiles("Shop")[0].Fields; got["firstname"] != "Jan" || fmt.Sprint(a.Profiles("Shop")[0].ID) != id {
		t.Errorf("%s: %v", id, got)
	}
	c.say(1, "PUT", many, `{"fields":{"firstname":"Piet"}}`)
	c.say(1, "PUT", "/profile/"+id, `{"fields":{"email":"a@b.nl"}}`)
	if got := a.Profiles("Shop")[0].Fields; got["firstname"] != "Jan" || got["email"] != "a@b.nl" {
		t.Errorf("%v", got)
	}
	sub := c.say(1, "POST", "/profile/"+id+"/subprofiles/Orders", `{"order_id":"o"}`).header.Get("X-Created")
	if r := c.say(1, "PUT", "/subprofile/"+sub+"/fields", `{"total":"1"}`); r.status != 303 || a.Subprofiles("Shop", "Orders")[0].Fields["total"] != "1" {
		t.Errorf("%d %v", r.status, a.Subprofiles("Shop", "Orders"))
	}
	unknown := []struct{ method, path, body string }{
		{"PUT", "/profile/" + id + "/subprofiles/Orders?fields[]=order_id==o&create=1", `{"order_id":"o","total":"2"}`},
		{"PUT", "/subprofile/" + sub, `{"fields":{"total":"3"}}`},
		{"DELETE", "/subprofile/" + sub, ""},
		{"GET", "/consumption?begin=2026-01-01&end=2026-02-01", ""},
	}
	for _, call := range unknown {
		if r := c.say(1, call.method, call.path, call.body); r.status != 400 || !strings.Contains(r.body, "Invalid method") {
			t.Errorf("%s %s: %d %s", call.method, call.path, r.status, r.body)
		}
	}
	for _, call := range []struct{ method, path, body string }{
		{"DELETE", "/database/Shop/profiles", `{"profiles":[` + id + `]}`},
		{"PUT", "/collection/501/subprofiles?fields[]=order_id==o", `{"total":"4"}`},
	} {
		for version, status := range map[int]int{1: 400, 2: 400} {
			if r := c.say(version, call.method, call.path, call.body); r.status != status || !strings.Contains(r.body, "Invalid method") {
				t.Errorf("v%d %s %s: %d %s", version, call.method, call.path, r.status, r.body)
			}
		}
	}

	_, c = account(t, copernicatest.Switches{Version1CreateRedirects: true})
	if r := c.say(1, "POST", "/database/Shop/profiles", `{"customer_id":"k"}`); r.status != 302 || r.header.Get("X-Created") != "" ||
		!strings.HasPrefix(r.header.Get("Location"), "http://api.copernica.test/v1/profile/100001?access_token=") {
		t.Errorf("%d %v", r.status, r.header)
	}
	c.want(201, "POST", "/database/Shop/profiles", `{"fields":{"customer_id":"k"}}`)

	a, c = account(t, copernicatest.Switches{Version1Upserts: true})
	id = c.say(1, "POST", "/database/Shop/profiles", `{"customer_id":"k"}`).header.Get("X-Created")
	if r := c.say(1, "PUT", "/profile/"+id+"/subprofiles/Orders?fields[]=order_id==o&create=1", `{"order_id":"o"}`); r.status != 303 || r.header.Get("X-Created") != "" {
		t.Errorf("%d %v", r.status, r.header)
	}
	sub = fmt.Sprint(a.Subprofiles("Shop", "Orders")[0].ID)
	if r := c.say(1, "DELETE", "/subprofile/"+sub, ""); r.status != 200 || len(a.Subprofiles("Shop", "Orders")) != 0 {
		t.Errorf("%d %v", r.status, a.Subprofiles("Shop", "Orders"))
	}
}

// Each version takes the token in its own place and nowhere else.
func TestVersionsAndTokens(t *testing.T) {
	t.Parallel()
	ask := func(c *caller, version int, query, header string) int {
		c.t.Helper()
		req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, fmt.Sprintf("https://api.copernica.test/v%d/identity?%s", version, query), nil)
		if err != nil {
			c.t.Fatal(err)
		}
		if header != "" {
			req.Header.Set("Authorization", header)
		}
		return c.send(req).status
	}
	a, c := account(t, copernicatest.Switches{})
	_, only4 := account(t, copernicatest.Switches{OnlyVersion4: true})
	own := "access_token=" + copernicatest.AccessToken
	for version := 1; version <= 4; version++ {
		old := map[bool]int{true: 200, false: 400}
		for name, got := range map[string][2]int{
			"the access token in the query":        {ask(c, version, own, ""), old[version < 4]},
			"the authorization token as Bearer":    {ask(c, version, "", "Bearer "+c.token), old[version == 4]},
			"the authorization token in the query": {ask(c, version, "access_token="+c.token, ""), 400},
			"a wrong token":                        {ask(c, version, "access_token=x", "Bearer x"), 400},
			"none":                                 {ask(c, version, "", ""), 400},
			"one for version 4 alone":              {ask(only4, version, own, "Bearer "+only4.token), old[version == 4]},
		} {
			if got[0] != got[1] {
				t.Errorf("version %d, %s: %d, want %d", version, name, got[0], got[1])
			}
		}
	}
	a.Revoke()
	if got := ask(c, 2, own, ""); got != 400 {
		t.Errorf("a revoked token: %d", got)
	}
	for _, path := range []string{"/v0/identity", "/v5/identity", "/v10/identity", "/v1", "/identity"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.copernica.test"+path+"?"+own, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r := c.send(req); r.status != 400 || !strings.Contains(r.body, "Invalid method") {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

func TestSwitches_ErrorStatus(t *testing.T) {
	t.Parallel()
	_, c := account(t, copernicatest.Switches{ErrorStatus: 200})
	for version := 1; version <= 4; version++ {
		if r := c.say(version, "GET", "/profile/1", ""); r.status != 200 || !strings.Contains(r.body, `{"error":{"message":"No entity`) {
			t.Errorf("version %d: %d %s", version, r.status, r.body)
		}
	}
	if r := c.form(host, "access_token=wrong"); r.status != 200 || !strings.Contains(r.body, "Invalid access token") {
		t.Errorf("authentication host: %d %s", r.status, r.body)
	}
}

func TestSwitches_Consent(t *testing.T) {
	t.Parallel()
	state := strings.Repeat("s", 32)
	for consent, want := range map[copernicatest.Consent]func(url.Values) bool{
		copernicatest.ConsentGiven: func(q url.Values) bool { return q.Get("state") == state && len(q.Get("code")) == 32 && len(q) == 2 },
		copernicatest.ConsentRefused: func(q url.Values) bool {
			return q.Get("state") == state && q.Get("error") == "access_denied" && !q.Has("code")
		},
		copernicatest.ConsentSilent: func(q url.Values) bool { return q.Get("state") == state && len(q) == 1 },
		copernicatest.ConsentForged: func(q url.Values) bool { return q.Get("state") != state && q.Get("code") != "" },
	} {
		_, c := account(t, copernicatest.Switches{Consent: consent})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://www.copernica.test/en/authorize?"+url.Values{
			"client_id": {copernicatest.ClientKey}, "redirect_uri": {"http://127.0.0.1:1/x"}, "state": {state}, "response_type": {"code"},
		}.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		back, err := url.Parse(c.send(req).header.Get("Location"))
		if err != nil || !want(back.Query()) {
			t.Errorf("consent %d: %v, %v", consent, back, err)
		}
	}
}
