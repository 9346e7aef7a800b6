package copernica_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica"
)

const accessToken = "accesstoken0123456789abcdef01234"

// clock is a clock that only moves when it is told to.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.at.Add(int64(d)) }

var versionInPath = regexp.MustCompile(`^/v[1-4]`)

// wire is Copernica as far as a test needs it: an authentication host, database 7
// "Magento" with its schema, and answers that the test sets by method and path.
type wire struct {
	mu          sync.Mutex
	log         []request
	issued      int
	auth        func(n int) *http.Response // answers the n-th exchange, from 1
	fields      []map[string]any
	collections []map[string]any
	answers     map[string]func(request) (*http.Response, error)
	any         func(request) (*http.Response, error)
}

type request struct {
	Method, Path, Query, Body, Token string
	Header                           http.Header
	Full                             string
}

func (r request) String() string { return strings.TrimSuffix(r.Method+" "+r.Path+"?"+r.Query, "?") }

func newWire() *wire {
	return &wire{
		answers: map[string]func(request) (*http.Response, error){},
		fields: []map[string]any{
			{"ID": "1", "name": "customer_id", "type": "text", "value": "", "length": "64", "index": true},
			{"ID": "2", "name": "email", "type": "email", "value": "", "length": "160", "index": false},
			{"ID": "3", "name": "firstname", "type": "text", "value": "", "length": "250", "index": "0"},
			{"ID": "4", "name": "birthdate", "type": "date", "value": "0000-00-00", "length": "0", "index": false},
		},
	}
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	r := request{
		Method: req.Method, Path: versionInPath.ReplaceAllString(req.URL.Path, ""), Query: req.URL.RawQuery,
		Token: strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "), Header: req.Header, Full: req.URL.String(),
	}
	if req.Body != nil {
		b, _ := io.ReadAll(req.Body)
		r.Body = string(b)
	}
	w.mu.Lock()
	w.log = append(w.log, r)
	if req.URL.Host == "authenticate.copernica.com" {
		w.issued++
		n, auth := w.issued, w.auth
		w.mu.Unlock()
		if auth != nil {
			return auth(n), nil
		}
		return reply(200, "text/plain", fmt.Sprintf("token-%d", n)), nil
	}
	answer := w.answers[r.Method+" "+r.Path]
	if answer == nil {
		answer = w.any
	}
	w.mu.Unlock()
	if answer != nil {
		if resp, err := answer(r); resp != nil || err != nil {
			return resp, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch r.Method + " " + r.Path {
	case "GET /database/Magento", "GET /database/7":
		return jsonReply(200, map[string]any{
			"ID": "7", "name": "Magento", "fields": envelope(w.fields, 1000),
			"interests": envelope(nil, 1000), "collections": envelope(w.collections, 1000),
		}), nil
	case "GET /collection/12":
		if len(w.collections) > 0 {
			return jsonReply(200, w.collections[0]), nil
		}
	case "GET /database/7/fields":
		return jsonReply(200, envelope(w.fields, 1000)), nil
	}
	return reply(204, "", ""), nil
}

// on sets the answer to a call. A nil response means the default one.
func (w *wire) on(call string, f func(request) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[call] = f
}

func (w *wire) always(status int, body string) func(request) (*http.Response, error) {
	return func(request) (*http.Response, error) { return reply(status, "application/json", body), nil }
}

// sent returns the calls so far whose description begins with prefix.
func (w *wire) sent(prefix string) []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []request
	for _, r := range w.log {
		if strings.HasPrefix(r.String(), prefix) {
			out = append(out, r)
		}
	}
	return out
}

func (w *wire) exchanges() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.issued
}

func (w *wire) schema(change func(fields []map[string]any) []map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fields = change(w.fields)
}

func envelope(rows []map[string]any, limit int) map[string]any {
	if rows == nil {
		rows = []map[string]any{}
	}
	return map[string]any{"start": 0, "limit": limit, "count": len(rows), "data": rows, "total": len(rows)}
}

func reply(status int, contentType, body string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
	if contentType != "" {
		resp.Header.Set("Content-Type", contentType)
	}
	return resp
}

func withHeader(resp *http.Response, name, value string) *http.Response {
	resp.Header.Set(name, value)
	return resp
}

func jsonReply(status int, v any) *http.Response {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return reply(status, "application/json", string(b))
}

func failure(message string) string {
	b, err := json.Marshal(map[string]any{"error": map[string]any{"message": message}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func newClient(t testing.TB, rt http.RoundTripper, now func() time.Time) *copernica.Client {
	t.Helper()
	c, err := copernica.New(copernica.Config{AccessToken: accessToken, Transport: rt, Now: now, UserAgent: "syncd/test"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// open returns the database "Magento" and its key field.
func open(t testing.TB, rt http.RoundTripper, now func() time.Time) (*copernica.Database, copernica.KeyField) {
	t.Helper()
	d, err := newClient(t, rt, now).Database(t.Context(), "Magento")
	if err != nil {
		t.Fatal(err)
	}
	key, err := d.KeyField("customer_id")
	if err != nil {
		t.Fatal(err)
	}
	return d, key
}

// row is a profile as lists give it.
func row(id int, fields map[string]any) map[string]any {
	return map[string]any{
		"ID": fmt.Sprint(id), "fields": fields, "interests": []string{}, "database": "7",
		"secret": "0123456789abcdef0123456789ab", "created": "2026-01-02 03:04:05", "modified": "2026-01-02 03:04:05", "removed": false,
	}
}
