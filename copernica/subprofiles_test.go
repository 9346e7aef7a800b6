package copernica_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
)

// subrow is a subprofile of profile 5 in collection 12 as lists give it.
func subrow(id int, fields map[string]any) map[string]any {
	return map[string]any{
		"ID": fmt.Sprint(id), "fields": fields, "profile": "5", "collection": "12",
		"secret": "0123456789abcdef0123456789ab", "created": "2026-01-02 03:04:05", "modified": "2026-01-02 03:04:05", "removed": false,
	}
}

func subprofile(id int64, fields map[string]string) copernica.Subprofile {
	const at = "2026-01-02 03:04:05"
	return copernica.Subprofile{ID: id, Profile: 5, Collection: 12, Fields: fields, Created: at, Modified: at}
}

// What each call puts on the wire: only the upsert's body is flat (behaviour 39).
func TestSubprofileCalls(t *testing.T) {
	t.Parallel()
	w := newWire()
	c, key := openOrders(t, w, newClock().Now)
	w.on("GET /profile/5/subprofiles/12", func(request) (*http.Response, error) { return jsonReply(200, envelope(nil, 1000)), nil })
	w.on("GET /collection/12/subprofiles", func(request) (*http.Response, error) { return jsonReply(200, envelope(nil, 1000)), nil })
	w.log = nil
	for _, call := range []func() error{
		func() error {
			_, err := c.Upsert(t.Context(), 5, key, "shop-o1", map[string]string{"order_id": "shop-o1", "total": "9.9"})
			return err
		},
		func() error { return c.Update(t.Context(), 9, map[string]string{"STATUS": `"x"`, "total": "1"}) },
		func() error { return c.Update(t.Context(), 9, nil) },
		func() error { return c.Remove(t.Context(), 9) },
		func() error { _, err := c.Find(t.Context(), 5, key, "shop-o1"); return err },
		func() error { _, err := c.FindAnywhere(t.Context(), key, "shop-o1"); return err },
		func() error { _, err := c.Below(t.Context(), 5); return err },
	} {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		`PUT /profile/5/subprofiles/12?fields%5B%5D=order_id%3D%3Dshop-o1&create=1 {"order_id":"shop-o1","total":"9.9"}`,
		`PUT /subprofile/9 {"fields":{"STATUS":"\"x\"","total":"1"}}`,
		`DELETE /subprofile/9 `,
		`GET /profile/5/subprofiles/12?fields%5B%5D=order_id%3D%3Dshop-o1&orderby=id&order=asc&limit=1000 `,
		`GET /collection/12/subprofiles?fields%5B%5D=order_id%3D%3Dshop-o1&orderby=id&order=asc&limit=1000 `,
		`GET /profile/5/subprofiles/12?orderby=id&order=asc&limit=1000 `,
	}
	var got []string
	for _, r := range w.sent("") {
		if r.Path != "" && r.Path != "/" {
			got = append(got, r.String()+" "+r.Body)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestSubprofileUpsertAnswers(t *testing.T) {
	t.Parallel()
	const own = "https://api.copernica.com/profile/5/subprofiles/12?fields[]=order_id==shop-o1&create=1&access_token=secret"
	for name, tt := range map[string]struct {
		resp *http.Response
		want copernica.Upserted
	}{
		"201 with X-Created":      {withHeader(reply(201, "", ""), "X-Created", "4711"), copernica.Upserted{Created: true, ID: 4711}},
		"201 with X-location":     {withHeader(reply(201, "", ""), "X-location", "https://api.copernica.com/v4/subprofile/4711"), copernica.Upserted{Created: true, ID: 4711}},
		"201 with its own":        {withHeader(reply(201, "", ""), "Location", own), copernica.Upserted{Created: true}},
		"201 without an id":       {reply(201, "", ""), copernica.Upserted{Created: true}},
		"303 with its own":        {withHeader(reply(303, "", ""), "Location", own), copernica.Upserted{}},
		"303 with X-Created":      {withHeader(withHeader(reply(303, "", ""), "X-Created", "4711"), "Location", own), copernica.Upserted{Created: true, ID: 4711}},
		"303 naming the profile":  {withHeader(reply(303, "", ""), "Location", "https://api.copernica.com/profile/5"), copernica.Upserted{}},
		"204":                     {reply(204, "", ""), copernica.Upserted{}},
		"200 with a content type": {reply(200, "application/json", ""), copernica.Upserted{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			c, key := openOrders(t, w, newClock().Now)
			w.on("PUT /profile/5/subprofiles/12", func(request) (*http.Response, error) { return tt.resp, nil })
			got, err := c.Upsert(t.Context(), 5, key, "shop-o1", order("shop-o1"))
			if err != nil || got != tt.want {
				t.Errorf("%+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

// A refusal about one record and one about the collection come in the same words.
func TestSubprofileUpsertRefused(t *testing.T) {
	t.Parallel()
	gone := failure("No collection with given ID")
	for name, tt := range map[string]struct {
		status  int
		message string
		there   bool // the collection, when it is looked at
		class   fault.Class
		outcome copernica.OutcomeKind
		looks   int
		is      error
	}{
		"these values":               {400, "Subprofile could not be created", true, fault.Record, copernica.Refused, 1, nil},
		"the collection":             {400, "Subprofile could not be created", false, fault.Configuration, copernica.Refused, 1, nil},
		"the collection, plainly":    {400, "No collection with given ID", false, fault.Configuration, copernica.Refused, 0, nil},
		"no profile":                 {400, "No entity with supplied ID", true, fault.Record, copernica.Refused, 0, copernica.ErrNoProfile},
		"404 for the profile":        {404, "Gone for good", true, fault.Record, copernica.Refused, 1, copernica.ErrNoProfile},
		"404 for the collection":     {404, "Gone for good", false, fault.Configuration, copernica.Refused, 1, nil},
		"an unknown filter field":    {400, "Failed to get the field", true, fault.Configuration, copernica.Refused, 0, nil},
		"unfit data":                 {400, "Invalid data provided", true, fault.Record, copernica.Refused, 0, nil},
		"unknown words":              {400, "Trouble with shop-o1", true, fault.Retry, copernica.Unknown, 0, nil},
		"overload in the same words": {503, "Subprofile could not be created", false, fault.Retry, copernica.Unknown, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			c, key := openOrders(t, w, newClock().Now)
			w.on("PUT /profile/5/subprofiles/12", w.always(tt.status, failure(tt.message)))
			if !tt.there {
				w.on("GET /collection/12", w.always(400, gone))
			}
			_, err := c.Upsert(t.Context(), 5, key, "shop-o1", order("shop-o1"))
			if err == nil || fault.ClassOf(err) != tt.class || copernica.Outcome(err) != tt.outcome || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v, class %s, outcome %s", err, fault.ClassOf(err), copernica.Outcome(err))
			}
			if tt.class == fault.Configuration && errors.Is(err, copernica.ErrNoProfile) {
				t.Errorf("%v blames the profile", err)
			}
			if n := len(w.sent("GET /collection/12")); n != tt.looks {
				t.Errorf("%d looks at the collection, want %d", n, tt.looks)
			}
			if strings.Contains(err.Error(), "shop-o1") && tt.message != "Trouble with shop-o1" || strings.Contains(err.Error(), "complete") {
				t.Errorf("the error holds values: %v", err)
			}
		})
	}
}

func TestSubprofileErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		body   string
		is     error
		class  fault.Class
	}{
		"never was":       {400, failure("No subprofile with supplied ID"), copernica.ErrNoSubprofile, fault.Record},
		"never was, 404":  {404, failure("Unheard of"), copernica.ErrNoSubprofile, fault.Record},
		"no such address": {404, "<html>", nil, fault.Configuration},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			c, _ := openOrders(t, w, newClock().Now)
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				w.on(method+" /subprofile/9", w.always(tt.status, tt.body))
			}
			_, read := c.Subprofile(t.Context(), 9)
			for call, err := range map[string]error{"read": read, "update": c.Update(t.Context(), 9, order("shop-o1")), "remove": c.Remove(t.Context(), 9)} {
				if err == nil || errors.Is(err, copernica.ErrNoSubprofile) != (tt.is != nil) || fault.ClassOf(err) != tt.class || errors.Is(err, copernica.ErrNoProfile) {
					t.Errorf("%s: %v of class %s", call, err, fault.ClassOf(err))
				}
				if copernica.Outcome(err) != copernica.Refused {
					t.Errorf("%s: outcome %s", call, copernica.Outcome(err))
				}
			}
		})
	}
	w := newWire()
	c, _ := openOrders(t, w, newClock().Now)
	w.on("DELETE /subprofile/9", w.always(400, failure("This subprofile has already been removed")))
	if err := c.Remove(t.Context(), 9); err != nil {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := c.Subprofile(t.Context(), 0); !errors.Is(err, copernica.ErrNoSubprofile) {
		t.Errorf("subprofile 0: %v", err)
	}
}

func TestSubprofileRead(t *testing.T) {
	t.Parallel()
	live := subprofile(9, map[string]string{"order_id": "a", "total": "9.9"})
	dead := live
	dead.Removed = true
	for name, tt := range map[string]struct {
		change map[string]any
		want   copernica.Subprofile
		class  fault.Class
		says   string
	}{
		"live":               {nil, live, 0, ""},
		"numbers":            {map[string]any{"ID": 9, "profile": 5, "collection": 12}, live, 0, ""},
		"removed":            {map[string]any{"removed": "2026-02-03 04:05:06"}, dead, 0, ""},
		"another":            {map[string]any{"ID": "8"}, copernica.Subprofile{}, fault.Retry, "another subprofile"},
		"another collection": {map[string]any{"collection": "13"}, copernica.Subprofile{}, fault.Record, "another collection"},
		"no collection":      {map[string]any{"collection": nil}, copernica.Subprofile{}, fault.Record, "another collection"},
		"no profile":         {map[string]any{"profile": false}, copernica.Subprofile{}, fault.Retry, "without a profile"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			c, _ := openOrders(t, w, newClock().Now)
			object := subrow(9, map[string]any{"order_id": "a", "total": 9.9})
			maps.Copy(object, tt.change)
			w.on("GET /subprofile/9", func(request) (*http.Response, error) { return jsonReply(200, object), nil })
			got, err := c.Subprofile(t.Context(), 9)
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) || fault.ClassOf(err) != tt.class ||
					errors.Is(err, copernica.ErrNoSubprofile) != (tt.class == fault.Record) {
					t.Errorf("%v of class %s", err, fault.ClassOf(err))
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

func TestSubprofileFindComparesExactly(t *testing.T) {
	t.Parallel()
	w := newWire()
	c, key := openOrders(t, w, newClock().Now)
	removed := subrow(13, map[string]any{"order_id": "A"})
	removed["removed"] = "2026-01-02 03:04:05"
	rows := []map[string]any{
		subrow(10, map[string]any{"order_id": "a"}), subrow(11, map[string]any{"order_id": "A"}),
		subrow(12, map[string]any{"order_id": "A "}), removed, subrow(14, map[string]any{"order_id": "A", "total": 9.5}),
	}
	answer := func(request) (*http.Response, error) { return jsonReply(200, envelope(rows, 1000)), nil }
	w.on("GET /profile/5/subprofiles/12", answer)
	w.on("GET /collection/12/subprofiles", answer)
	want := []copernica.Subprofile{subprofile(11, map[string]string{"order_id": "A"}), subprofile(14, map[string]string{"order_id": "A", "total": "9.5"})}
	if got, err := c.Find(t.Context(), 5, key, "A"); err != nil || !cmp.Equal(want, got) {
		t.Errorf("find: %+v, %v", got, err)
	}
	if got, err := c.FindAnywhere(t.Context(), key, "A"); err != nil || !cmp.Equal(want, got) {
		t.Errorf("find anywhere: %+v, %v", got, err)
	}
	if got, err := c.Below(t.Context(), 5); err != nil || len(got) != 4 {
		t.Errorf("list: %+v, %v", got, err)
	}
}
