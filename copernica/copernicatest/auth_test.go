package copernicatest_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

const host = "https://authenticate.copernica.test/"

func TestAuthentication_TokenAndItsLife(t *testing.T) {
	t.Parallel()
	h := clock()
	a := copernicatest.New(copernicatest.Config{Now: h.Now})
	c := newCaller(t, a)
	parts := strings.Split(c.token, ".")
	if len(parts) != 3 {
		t.Fatalf("token %q is no JWT", c.token)
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Exp, Iat int64 }
	if err := json.Unmarshal(claims, &got); err != nil || got.Exp-got.Iat != 86400 || got.Iat != h.Now().Unix() {
		t.Errorf("claims %s: %v", claims, err)
	}

	first := c.token
	if r := c.form(host, "access_token=emulator"); r.body == first {
		t.Error("the same token twice")
	}
	h.Add(24*time.Hour - time.Second)
	c.want(200, "GET", "/identity", "")
	h.Add(time.Second)
	c.refused("Invalid access token", "GET", "/identity", "")
	if got := a.Calls(); got != 1 {
		t.Errorf("%d calls billed, want 1", got)
	}
}

func TestAuthentication_Refusals(t *testing.T) {
	t.Parallel()
	a, c := account(t, copernicatest.Switches{})
	for _, body := range []string{"access_token=wrong", "", "ACCESS_TOKEN=emulator"} {
		if r := c.form(host, body); r.status != 400 || !strings.Contains(r.body, "Invalid access token") {
			t.Errorf("%q: %d %s", body, r.status, r.body)
		}
	}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", host, strings.NewReader(`{"access_token":"emulator"}`))
	req.Header.Set("Content-Type", "application/json")
	if r := c.send(req); r.status != 400 {
		t.Errorf("JSON body: %d", r.status)
	}
	req, _ = http.NewRequestWithContext(t.Context(), "GET", host+"?access_token=emulator", nil)
	if r := c.send(req); r.status != 400 {
		t.Errorf("GET: %d", r.status)
	}

	good := c.token
	for _, token := range []string{"", "nonsense", copernicatest.AccessToken} {
		c.token = token
		c.refused("Invalid access token", "GET", "/nonsense", "")
	}
	c.token = good
	c.want(200, "GET", "/identity", "")
	a.RevokeTokens()
	c.refused("Invalid access token", "GET", "/identity", "")
	c.token = newCaller(t, a).token
	c.want(200, "GET", "/identity", "")

	a.Revoke()
	c.refused("Invalid access token", "GET", "/identity", "")
	if r := c.form(host, "access_token=emulator"); r.status != 400 {
		t.Errorf("revoked access token: %d", r.status)
	}
	a.Grant(copernicatest.AccessToken)
	newCaller(t, a).want(200, "GET", "/identity", "")
}

func TestSwitches_Authentication(t *testing.T) {
	t.Parallel()
	a, c := account(t, copernicatest.Switches{
		AuthFailure: 401, AuthHostFailure: 403, TokenByGET: true, AccessTokenAsBearer: true, TokensOutliveRevocation: true,
	})
	if r := c.form(host, "access_token=wrong"); r.status != 403 {
		t.Errorf("authentication host: %d", r.status)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", host+"?access_token=emulator", nil)
	if r := c.send(req); r.status != 200 {
		t.Errorf("GET: %d", r.status)
	}
	issued := c.token
	c.token = "nonsense"
	c.want(401, "GET", "/identity", "")
	c.token = copernicatest.AccessToken
	c.want(200, "GET", "/identity", "")
	a.Revoke()
	c.want(401, "GET", "/identity", "")
	c.token = issued
	c.want(200, "GET", "/identity", "")

	wrapped := copernicatest.New(copernicatest.Config{Switches: copernicatest.Switches{TokenKey: "authorization_token", TokenLifetime: time.Hour}})
	c = &caller{t: t, a: wrapped, client: &http.Client{Transport: wrapped.Transport()}}
	var answer map[string]string
	c.decode(c.form(host, "access_token=emulator"), &answer)
	c.token = answer["authorization_token"]
	c.want(200, "GET", "/identity", "")

	quoted := copernicatest.New(copernicatest.Config{Switches: copernicatest.Switches{TokenQuoted: true}})
	c = &caller{t: t, a: quoted, client: &http.Client{Transport: quoted.Transport()}}
	c.decode(c.form(host, "access_token=emulator"), &c.token)
	c.want(200, "GET", "/identity", "")
}

func TestConsent(t *testing.T) {
	t.Parallel()
	h := clock()
	a := copernicatest.New(copernicatest.Config{Now: h.Now})
	c := newCaller(t, a)
	const back = "https://shop.test/back?a=1"
	consent := func(state string) url.Values {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "https://www.copernica.test/en/authorize?"+url.Values{
			"client_id": {copernicatest.ClientKey}, "redirect_uri": {back}, "state": {state}, "response_type": {"code"},
		}.Encode(), nil)
		r := c.send(req)
		target, err := url.Parse(r.header.Get("Location"))
		if err != nil || r.status != 302 || target.Host != "shop.test" || target.Query().Get("a") != "1" {
			t.Fatalf("%d %s", r.status, r.header.Get("Location"))
		}
		return target.Query()
	}
	exchange := func(code, redirect string) reply {
		t.Helper()
		c.token = ""
		return c.do("GET", "/token?"+url.Values{
			"client_id": {copernicatest.ClientKey}, "client_secret": {copernicatest.ClientSecret}, "redirect_uri": {redirect}, "code": {code},
		}.Encode(), "")
	}

	if q := consent(strings.Repeat("s", 31)); q.Has("code") {
		t.Error("a code for a state of 31 characters")
	}
	state := strings.Repeat("s", 32)
	q := consent(state)
	if q.Get("state") != state || q.Get("code") == "" {
		t.Fatalf("redirect with %v", q)
	}
	if r := exchange(q.Get("code"), back+"x"); r.status != 400 {
		t.Errorf("another redirect_uri: %d", r.status)
	}
	code := consent(state).Get("code")
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	c.decode(exchange(code, back), &granted)
	if len(granted.AccessToken) != 32 {
		t.Errorf("access token %q", granted.AccessToken)
	}
	if r := exchange(code, back); r.status != 400 {
		t.Errorf("a code used twice: %d", r.status)
	}
	if r := c.form(host, "access_token="+granted.AccessToken); r.status != 200 {
		t.Errorf("the granted token: %d", r.status)
	}
	late := consent(state).Get("code")
	h.Add(5 * time.Minute)
	if r := exchange(late, back); r.status != 400 {
		t.Errorf("a code of five minutes: %d", r.status)
	}
	for _, entry := range a.Log().Recent() {
		if strings.Contains(entry.Query, code) || strings.Contains(entry.Query, copernicatest.ClientSecret) {
			t.Errorf("a secret in the log: %s", entry.Query)
		}
	}
}

func TestIdentityAndConsumption(t *testing.T) {
	t.Parallel()
	_, c := account(t, copernicatest.Switches{})
	var id map[string]string
	c.decode(c.want(200, "GET", "/identity", ""), &id)
	if id["id"] != "34" || id["company"] == "" {
		t.Errorf("identity %v", id)
	}
	c.refused("Invalid data provided", "GET", "/consumption?begin=2026-01-01", "")
	var used map[string]int
	c.decode(c.want(200, "GET", "/consumption?begin=2026-01-15&end=2026-01-15", ""), &used)
	if used["apicalls"] != 3 {
		t.Errorf("apicalls %d, want 3", used["apicalls"])
	}
	c.decode(c.want(200, "GET", "/consumption?begin=2026-01-16&end=2026-01-17", ""), &used)
	if used["apicalls"] != 0 {
		t.Errorf("apicalls %d of another day", used["apicalls"])
	}
}
