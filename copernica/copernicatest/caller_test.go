package copernicatest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

// caller speaks to an account as a client would, with no client of ours.
type caller struct {
	t      testing.TB
	a      *copernicatest.Account
	client *http.Client
	token  string
}

type reply struct {
	status int
	header http.Header
	body   string
}

func newCaller(t testing.TB, a *copernicatest.Account) *caller {
	t.Helper()
	c := &caller{t: t, a: a, client: &http.Client{
		Transport:     a.Transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	r := c.form("https://authenticate.copernica.test/", "access_token="+copernicatest.AccessToken)
	if r.status != http.StatusOK {
		t.Fatalf("authentication host: %d %s", r.status, r.body)
	}
	c.token = r.body
	return c
}

// form posts a form to any host of the account.
func (c *caller) form(target, body string) reply {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.send(req)
}

// do makes an API call; path begins behind the version.
func (c *caller) do(method, path, body string) reply {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, "https://api.copernica.test/v4"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	return c.send(req)
}

func (c *caller) send(req *http.Request) reply {
	c.t.Helper()
	res, err := c.client.Do(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	return reply{res.StatusCode, res.Header, string(b)}
}

// want makes a call and demands a status.
func (c *caller) want(status int, method, path, body string) reply {
	c.t.Helper()
	r := c.do(method, path, body)
	if r.status != status {
		c.t.Fatalf("%s %s: status %d %s, want %d", method, path, r.status, r.body, status)
	}
	return r
}

// refused makes a call and demands a 400 with a message.
func (c *caller) refused(message, method, path, body string) {
	c.t.Helper()
	r := c.want(http.StatusBadRequest, method, path, body)
	var e struct{ Error struct{ Message string } }
	c.decode(r, &e)
	if e.Error.Message != message {
		c.t.Errorf("%s %s: message %q, want %q", method, path, e.Error.Message, message)
	}
}

func (c *caller) decode(r reply, into any) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(r.body), into); err != nil {
		c.t.Fatalf("body %q: %v", r.body, err)
	}
}

// profile is a profile as the API prints it.
type profile struct {
	ID        string
	Fields    fields
	Interests []string
	Database  string
	Secret    string
	Created   string
	Modified  string
	Removed   any
}

// fields reads [] as no fields.
type fields map[string]string

func (f *fields) UnmarshalJSON(b []byte) error {
	if string(b) == "[]" {
		*f = fields{}
		return nil
	}
	return json.Unmarshal(b, (*map[string]string)(f))
}

type page struct {
	Start, Limit, Count int
	Total               *int
	Data                []profile
	NextID              string
}

func (p page) ids() []string {
	ids := []string{}
	for _, d := range p.Data {
		ids = append(ids, d.ID)
	}
	return ids
}

func (c *caller) profile(id string) profile {
	c.t.Helper()
	var p profile
	c.decode(c.want(http.StatusOK, http.MethodGet, "/profile/"+id, ""), &p)
	return p
}

// list gets a list of profiles; each filter is encoded whole.
func (c *caller) list(path, params string, filters ...string) page {
	c.t.Helper()
	var p page
	c.decode(c.want(http.StatusOK, http.MethodGet, path+"?"+params+filterQuery(filters...), ""), &p)
	return p
}

func filterQuery(filters ...string) string {
	s := ""
	for _, f := range filters {
		s += "&fields%5B%5D=" + url.QueryEscape(f)
	}
	return s
}

// create posts a profile and returns its id.
func (c *caller) create(database string, values any) string {
	c.t.Helper()
	r := c.want(http.StatusCreated, http.MethodPost, "/database/"+database+"/profiles", body(values))
	id := r.header.Get("X-Created")
	if _, err := strconv.Atoi(id); err != nil {
		c.t.Fatalf("X-Created %q", id)
	}
	return id
}

// body wraps values as the API wants them.
func body(values any) string {
	b, err := json.Marshal(map[string]any{"fields": values})
	if err != nil {
		panic(err)
	}
	return string(b)
}

type m = map[string]any

// account returns one with a database Shop of some fields of each kind.
func account(t testing.TB, s copernicatest.Switches) (*copernicatest.Account, *caller) {
	t.Helper()
	a := copernicatest.New(copernicatest.Config{Switches: s, Now: clock().Now})
	fill(t, a)
	return a, newCaller(t, a)
}

func fill(t testing.TB, a *copernicatest.Account) {
	t.Helper()
	_, err := a.CreateDatabase("Shop",
		copernicatest.Field{Name: "customer_id", Length: 64, Index: true},
		copernicatest.Field{Name: "email", Type: "email", Length: 160},
		copernicatest.Field{Name: "firstname", Length: 20},
		copernicatest.Field{Name: "newsletter", Length: 50},
		copernicatest.Field{Name: "level", Type: "select", Default: "gold\r\nsilver \r\n bronze*\r\n1"},
		copernicatest.Field{Name: "orders", Type: "integer", Default: "-1"},
		copernicatest.Field{Name: "spent", Type: "float"},
		copernicatest.Field{Name: "birthdate", Type: "date"},
		copernicatest.Field{Name: "seen", Type: "datetime"},
		copernicatest.Field{Name: "maybe_date", Type: "empty_date"},
		copernicatest.Field{Name: "maybe_seen", Type: "empty_datetime"},
		copernicatest.Field{Name: "notes", Type: "big"},
	)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.CreateCollection("Shop", "Orders",
		copernicatest.Field{Name: "order_id", Length: 64, Index: true},
		copernicatest.Field{Name: "total"},
	); err != nil {
		t.Fatal(err)
	}
}
