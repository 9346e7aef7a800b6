package copernica_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
)

func exampleContext() context.Context { return context.Background() }

func TestUpsertAnswers(t *testing.T) {
	t.Parallel()
	const own = "https://api.copernica.com/database/7/profiles?fields[]=customer_id==42&create=1&access_token=secret"
	for name, tt := range map[string]struct {
		resp *http.Response
		want copernica.Upserted
	}{
		"201 with X-Created":     {withHeader(reply(201, "", ""), "X-Created", "4711"), copernica.Upserted{Created: true, ID: 4711}},
		"303 with X-Created":     {withHeader(withHeader(reply(303, "", ""), "X-Created", " 4711 "), "Location", own), copernica.Upserted{Created: true, ID: 4711}},
		"200 with X-Created":     {withHeader(reply(200, "", ""), "x-created", "4711"), copernica.Upserted{Created: true, ID: 4711}},
		"201 with X-location":    {withHeader(reply(201, "", ""), "X-location", "https://api.copernica.com/v4/profile/4711"), copernica.Upserted{Created: true, ID: 4711}},
		"303 with Location":      {withHeader(reply(303, "", ""), "Location", "https://api.copernica.com/profile/4711/?access_token=secret"), copernica.Upserted{Created: true, ID: 4711}},
		"201 without an id":      {reply(201, "", ""), copernica.Upserted{Created: true}},
		"201 with a useless one": {withHeader(reply(201, "", ""), "X-Created", "profile"), copernica.Upserted{Created: true}},
		"204 of a hit":           {reply(204, "", ""), copernica.Upserted{}},
		"200 of a hit":           {reply(200, "application/json", ""), copernica.Upserted{}},
		"303 of a hit":           {withHeader(reply(303, "", ""), "Location", own), copernica.Upserted{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			d, key := open(t, w, newClock().Now)
			w.on("PUT /database/7/profiles", func(request) (*http.Response, error) { return tt.resp, nil })
			got, err := d.Upsert(t.Context(), key, "42", values("42"))
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestFindComparesExactly(t *testing.T) {
	t.Parallel()
	w := newWire()
	d, key := open(t, w, newClock().Now)
	removed := row(13, map[string]any{"customer_id": "Jan"})
	removed["removed"] = "2026-01-02 03:04:05"
	numeric := row(14, map[string]any{"customer_id": "Jan", "email": 12, "firstname": nil})
	numeric["ID"] = 14
	w.on("GET /database/7/profiles", func(request) (*http.Response, error) {
		return jsonReply(200, envelope([]map[string]any{
			row(10, map[string]any{"customer_id": "jan"}), row(11, map[string]any{"customer_id": "Jan"}),
			row(12, map[string]any{"customer_id": "Jan "}), removed, numeric, row(15, map[string]any{"customer_id": "Ján"}),
		}, 1000)), nil
	})
	got, err := d.Find(t.Context(), key, "Jan")
	if err != nil {
		t.Fatal(err)
	}
	const at = "2026-01-02 03:04:05"
	want := []copernica.Profile{
		{ID: 11, Database: 7, Fields: map[string]string{"customer_id": "Jan"}, Created: at, Modified: at},
		{ID: 14, Database: 7, Fields: map[string]string{"customer_id": "Jan", "email": "12", "firstname": ""}, Created: at, Modified: at},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Pages follow by id, since offsets skip and repeat rows while data change.
func TestFindPages(t *testing.T) {
	t.Parallel()
	for name, drop := range map[string][]string{"all counters": nil, "no total": {"total"}, "no total, no limit": {"total", "limit"}, "data alone": {"total", "limit", "count", "start"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			d, key := open(t, w, newClock().Now)
			w.on("GET /database/7/profiles", func(r request) (*http.Response, error) {
				_, filters, _ := decode(r.Query)
				last := 0
				for _, f := range filters {
					if f.Name == "id" && f.Operator == ">" {
						last, _ = strconv.Atoi(f.Value)
					}
				}
				var rows []map[string]any
				left := 0
				for id := 3; id <= 3*2500; id += 3 {
					if id > last {
						if left++; len(rows) < 1000 {
							rows = append(rows, row(id, map[string]any{"customer_id": "double"}))
						}
					}
				}
				p := envelope(rows, 1000)
				p["total"] = left
				for _, k := range drop {
					delete(p, k)
				}
				return jsonReply(200, p), nil
			})
			got, err := d.Find(t.Context(), key, "double")
			if err != nil || len(got) != 2500 {
				t.Fatalf("%d profiles, %v, want 2500", len(got), err)
			}
			if n := len(w.sent("GET /database/7/profiles")); n != 3 {
				t.Errorf("%d pages, want 3", n)
			}
		})
	}
}

func TestFindDoubtsAnswers(t *testing.T) {
	t.Parallel()
	page := func(from, n, total int, fields map[string]any) *http.Response {
		var rows []map[string]any
		for i := range n {
			rows = append(rows, row(from+i, fields))
		}
		p := envelope(rows, 1000)
		p["total"] = total
		return jsonReply(200, p)
	}
	for name, tt := range map[string]struct {
		answer func() *http.Response
		class  fault.Class
		says   string
	}{
		"the filter is ignored": {func() *http.Response { return page(1, 1000, 100000, map[string]any{"customer_id": "other"}) }, fault.Configuration, "ignores the filter"},
		"the key field is gone": {func() *http.Response { return page(1, 3, 3, map[string]any{"email": "a"}) }, fault.Configuration, "without the key field"},
		"no rows of many":       {func() *http.Response { return page(1, 0, 5, nil) }, fault.Retry, "no profiles of 5"},
		"out of order": {func() *http.Response {
			return jsonReply(200, envelope([]map[string]any{row(5, map[string]any{"customer_id": "x"}), row(4, map[string]any{"customer_id": "x"})}, 1000))
		}, fault.Retry, "out of order"},
		"the same page for ever": {func() *http.Response { return page(1, 1000, 5000, map[string]any{"customer_id": "x"}) }, fault.Retry, "out of order"},
		"count is wrong":         {func() *http.Response { return reply(200, "", `{"count":3,"data":[],"total":3}`) }, fault.Retry, "announces 3"},
		"no list":                {func() *http.Response { return reply(200, "", `{"ID":"5"}`) }, fault.Retry, "no list"},
		"a list alone":           {func() *http.Response { return reply(200, "", `[]`) }, 0, ""},
		"false":                  {func() *http.Response { return reply(200, "", `false`) }, fault.Retry, "another shape"},
		"cut short":              {func() *http.Response { return reply(200, "", `{"count":3,"data":[{"ID":"1"`) }, fault.Retry, "cut short"},
		"page":                   {func() *http.Response { return reply(200, "text/html", "<html>") }, fault.Retry, "HTML"},
		"empty":                  {func() *http.Response { return reply(200, "", "") }, fault.Retry, "empty"},
		"204":                    {func() *http.Response { return reply(204, "", "") }, fault.Retry, "empty"},
		"error under 200":        {func() *http.Response { return reply(200, "", failure("Invalid method")) }, fault.Configuration, "Invalid method"},
		"id is text":             {func() *http.Response { return reply(200, "", `{"count":1,"data":[{"ID":"x"}],"total":1}`) }, fault.Retry, "another shape"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			d, key := open(t, w, newClock().Now)
			w.on("GET /database/7/profiles", func(request) (*http.Response, error) { return tt.answer(), nil })
			got, err := d.Find(t.Context(), key, "x")
			if tt.class == 0 {
				if err != nil || len(got) != 0 {
					t.Errorf("%v, %v", got, err)
				}
				return
			}
			if err == nil || fault.ClassOf(err) != tt.class || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%d profiles, error %v of class %s", len(got), err, fault.ClassOf(err))
			}
		})
	}
}

func TestProfile(t *testing.T) {
	t.Parallel()
	object := func(change map[string]any) string {
		r := row(5, map[string]any{"customer_id": "a"})
		maps.Copy(r, change)
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const at = "2026-01-02 03:04:05"
	live := copernica.Profile{ID: 5, Database: 7, Fields: map[string]string{"customer_id": "a"}, Created: at, Modified: at}
	dead := live
	dead.Removed = true
	blank := live
	blank.Fields = map[string]string{}
	for name, tt := range map[string]struct {
		body string
		want copernica.Profile
		says string
	}{
		"live":             {object(nil), live, ""},
		"numbers":          {object(map[string]any{"ID": 5, "database": 7}), live, ""},
		"removed":          {object(map[string]any{"removed": "2026-02-03 04:05:06"}), dead, ""},
		"removed true":     {object(map[string]any{"removed": true}), dead, ""},
		"removed null":     {object(map[string]any{"removed": nil}), live, ""},
		"removed empty":    {object(map[string]any{"removed": ""}), live, ""},
		"removed zero":     {object(map[string]any{"removed": "0000-00-00 00:00:00"}), live, ""},
		"fields a list":    {object(map[string]any{"fields": []string{}}), blank, ""},
		"another profile":  {object(map[string]any{"ID": "6"}), copernica.Profile{}, "another profile"},
		"another database": {object(map[string]any{"database": "8"}), copernica.Profile{}, "another database"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			d, _ := open(t, w, newClock().Now)
			w.on("GET /profile/5", w.always(200, tt.body))
			got, err := d.Profile(t.Context(), 5)
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	w := newWire()
	w.on("GET /identity", w.always(200, `{"id":"34","name":"Shop","description":false,"company":"C"}`))
	got, err := newClient(t, w, nil).Identity(t.Context())
	if want := (copernica.Identity{ID: 34, Name: "Shop", Company: "C"}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	r := w.sent("GET /identity")[0]
	if got := fmt.Sprint(r.Header.Get("User-Agent"), r.Header.Get("Accept")); got != "syncd/test"+"application/json" {
		t.Errorf("headers %v", r.Header)
	}
}
