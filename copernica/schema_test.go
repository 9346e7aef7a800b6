package copernica_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
)

func TestSchema(t *testing.T) {
	t.Parallel()
	w, now := newWire(), newClock()
	w.collections = []map[string]any{{"ID": "31", "name": "Orders", "database": "7", "fields": envelope([]map[string]any{
		{"ID": "311", "name": "order_id", "type": "text", "length": "50", "index": 1},
	}, 100)}}
	d, _ := open(t, w, now.Now)
	want := copernica.Schema{
		ReadAt: now.Now(),
		Fields: []copernica.Field{
			{ID: 1, Name: "customer_id", Type: "text", Length: 64, Index: true},
			{ID: 2, Name: "email", Type: "email", Length: 160},
			{ID: 3, Name: "firstname", Type: "text", Length: 250},
			{ID: 4, Name: "birthdate", Type: "date", Default: "0000-00-00"},
		},
		Collections: []copernica.CollectionSchema{{ID: 31, Name: "Orders", Fields: []copernica.Field{
			{ID: 311, Name: "order_id", Type: "text", Length: 50, Index: true},
		}}},
	}
	if diff := cmp.Diff(want, d.Schema()); diff != "" {
		t.Error(diff)
	}
	if d.ID() != 7 || d.Name() != "Magento" {
		t.Errorf("database %d %q", d.ID(), d.Name())
	}
	if n := len(w.sent("GET ")); n != 1 {
		t.Errorf("%d calls, want 1: what is embedded in full is not read again", n)
	}
	if _, ok := d.Schema().Field("Email"); ok {
		t.Error("Email is found, the name is email")
	}
	orders, ok := d.Schema().Collection("Orders")
	if _, has := orders.Field("order_id"); !ok || !has {
		t.Error("Orders.order_id is not found")
	}

	now.Advance(10 * time.Second)
	w.schema(func(f []map[string]any) []map[string]any { return f[:2] })
	s, err := d.Refresh(t.Context())
	if err != nil || len(s.Fields) != 2 || !s.ReadAt.Equal(now.Now()) {
		t.Errorf("after Refresh: %+v, %v", s, err)
	}
	if diff := cmp.Diff(s, d.Schema()); diff != "" {
		t.Error(diff)
	}
}

// PHP makes other things of numbers, flags and lists than the documentation shows.
func TestSchemaInOddShapes(t *testing.T) {
	t.Parallel()
	want := []copernica.Field{{ID: 1, Name: "a", Type: "text", Default: "1", Length: 64, Index: true}, {ID: 2, Name: "12", Type: "text", Default: "1.5"}}
	for name, fields := range map[string]string{
		"as text":      `{"start":"0","limit":"1000","count":"2","total":"2","data":[{"ID":"1","name":"a","type":"text","value":"1","length":"64","index":"1"},{"ID":"2","name":"12","type":"","value":"1.5","length":"","index":""}]}`,
		"as numbers":   `{"start":0,"limit":1000,"count":2,"total":2,"data":[{"ID":1,"name":"a","type":"text","value":true,"length":64,"index":1},{"ID":2,"name":12,"type":null,"value":1.5,"length":false,"index":0}]}`,
		"with gaps":    `{"count":2,"total":2,"data":{"0":{"ID":1,"name":"a","value":1,"length":" 64 ","index":"yes"},"3":{"ID":"2","name":"12","value":"1.5","length":null,"index":"no","more":{"x":[]}}}}`,
		"empty arrays": `{"count":2,"total":2,"data":[{"ID":"1","name":"a","type":[],"value":"1","length":"64","index":true},{"ID":"2","name":"12","type":{},"value":"1.5","index":null}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, collections := range []string{`{"data":[],"total":0}`, `{"data":{},"total":"0"}`} {
				w := newWire()
				w.on("GET /database/7", w.always(200, "\xef\xbb\xbf\r\n"+`{"ID":7,"name":"Magento","fields":`+fields+`,"interests":[],"collections":`+collections+`,"intentions":{"email":null}}`))
				d, err := newClient(t, w, nil).Database(t.Context(), "7")
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, d.Schema().Fields); diff != "" {
					t.Error(diff)
				}
				if n := len(w.sent("GET ")); n != 1 {
					t.Errorf("%d calls, want 1", n)
				}
			}
		})
	}
}

// listing serves rows as Copernica's lists do: by offset, at most limit of them.
func listing(rows []map[string]any, most int, drop ...string) func(request) (*http.Response, error) {
	return func(r request) (*http.Response, error) {
		q, err := url.ParseQuery(r.Query)
		if err != nil {
			return nil, err
		}
		start, _ := strconv.Atoi(q.Get("start"))
		limit, _ := strconv.Atoi(q.Get("limit"))
		limit = min(limit, most)
		from := min(start, len(rows))
		p := envelope(rows[from:min(from+limit, len(rows))], limit)
		p["start"], p["total"] = start, len(rows)
		for _, k := range drop {
			delete(p, k)
		}
		return jsonReply(200, p), nil
	}
}

func manyFields(n int) []map[string]any {
	rows := make([]map[string]any, n)
	for i := range rows {
		rows[i] = map[string]any{"ID": fmt.Sprint(i + 1), "name": fmt.Sprintf("field_%d", i), "type": "text"}
	}
	return rows
}

// Embedded lists stop at 1000 fields and at 100 of a collection; lists stop at any
// limit the server likes.
func TestLongSchemasAreReadInFull(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		most int
		drop []string
	}{
		"pages of 1000":         {1000, nil},
		"pages of 7":            {7, nil},
		"no total":              {1000, []string{"total"}},
		"no total, pages of 7":  {7, []string{"total"}},
		"no total and no limit": {1000, []string{"total", "limit"}},
		"no counters":           {1000, []string{"total", "limit", "count", "start"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			fields, inner := manyFields(1234), manyFields(150)
			embedded := func(rows []map[string]any, limit int) map[string]any {
				p := envelope(rows[:limit], limit)
				p["total"] = len(rows)
				for _, k := range tt.drop {
					delete(p, k)
				}
				return p
			}
			collections := []map[string]any{
				{"ID": "31", "name": "Orders", "fields": embedded(inner, 100)},
				{"ID": "32", "name": "Empty", "fields": []any{}},
			}
			w.on("GET /database/Magento", func(request) (*http.Response, error) {
				return jsonReply(200, map[string]any{
					"ID": 7, "name": "magento", "fields": embedded(fields, 1000),
					"collections": embedded(collections, 1),
				}), nil
			})
			w.on("GET /database/7/fields", listing(fields, tt.most, tt.drop...))
			w.on("GET /database/7/collections", listing(collections, tt.most, tt.drop...))
			w.on("GET /collection/31/fields", listing(inner, tt.most, tt.drop...))
			w.on("GET /collection/32/fields", listing(nil, tt.most, tt.drop...))
			d, err := newClient(t, w, nil).Database(t.Context(), "Magento")
			if err != nil {
				t.Fatal(err)
			}
			s := d.Schema()
			if len(s.Fields) != 1234 || len(s.Collections) != 2 || len(s.Collections[0].Fields) != 150 || len(s.Collections[1].Fields) != 0 {
				t.Errorf("%d fields, %d collections: %v", len(s.Fields), len(s.Collections), s.Collections)
			}
			if s.Fields[1233].Name != "field_1233" {
				t.Errorf("last field %+v", s.Fields[1233])
			}
		})
	}
}

func TestListsThatNeverEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		total any
		fails bool
	}{"total too large": {2000, true}, "no total": {nil, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			d, _ := open(t, w, newClock().Now)
			w.any = func(r request) (*http.Response, error) {
				p := envelope(manyFields(1000), 1000) // the same page at any offset
				p["total"] = tt.total
				if r.Path == "/database/7" {
					return jsonReply(200, map[string]any{"ID": "7", "name": "Magento", "fields": p, "collections": envelope(nil, 100)}), nil
				}
				return jsonReply(200, p), nil
			}
			s, err := d.Refresh(t.Context())
			if (err != nil) != tt.fails {
				t.Errorf("error %v, %d fields", err, len(s.Fields))
			}
		})
	}
}

func TestDatabaseByName(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ask, path, answer, says string
	}{
		"id":              {"7", "/database/7", "", ""},
		"other case":      {"magento", "/database/magento", `{"ID":"7","name":"Magento","fields":{"data":[],"total":0},"collections":{"data":[],"total":0}}`, ""},
		"blank and slash": {"My shop/2?x=1", "/database/My shop/2?x=1", `{"ID":"7","name":"My shop/2?x=1","fields":{"data":[],"total":0},"collections":{"data":[],"total":0}}`, ""},
		"another id":      {"8", "/database/8", `{"ID":"7","name":"Magento","fields":{},"collections":{}}`, "another database"},
		"another name":    {"Magneto", "/database/Magneto", `{"ID":"7","name":"Magento","fields":{},"collections":{}}`, "another database"},
		"no id":           {"Magento", "/database/Magento", `{}`, "another database"},
		"empty":           {"", "", "", "SYNCD_COPERNICA_DATABASE"},
		"dots":            {"..", "", "", "SYNCD_COPERNICA_DATABASE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			if tt.answer != "" {
				w.on("GET "+tt.path, w.always(200, tt.answer))
			}
			d, err := newClient(t, w, nil).Database(t.Context(), tt.ask)
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) || fault.ClassOf(err) != fault.Configuration {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil || d.ID() != 7 {
				t.Errorf("%+v, %v", d, err)
			}
			if got := w.sent("GET "); len(got) != 1 || got[0].Path != tt.path || got[0].Query != "" {
				t.Errorf("sent %v", got)
			}
		})
	}
}

// creating makes the wire create what it is asked to, as bend leaves it.
func creating(t *testing.T, w *wire, bend func(map[string]any) []map[string]any) {
	add := func(r request) map[string]any {
		var body map[string]any
		if err := json.Unmarshal([]byte(r.Body), &body); err != nil {
			t.Errorf("body %q: %v", r.Body, err)
		}
		body["ID"] = "99"
		return body
	}
	w.on("POST /database/7/fields", func(r request) (*http.Response, error) {
		body := add(r)
		w.schema(func(f []map[string]any) []map[string]any { return append(f, bend(body)...) })
		return reply(201, "", ""), nil
	})
	w.on("POST /database/7/collections", func(r request) (*http.Response, error) {
		body := add(r)
		body["fields"] = envelope(nil, 100)
		w.schema(func(f []map[string]any) []map[string]any {
			w.collections = append(w.collections, bend(body)...)
			return f
		})
		return withHeader(reply(201, "", ""), "X-Created", "99"), nil
	})
	w.on("POST /collection/99/fields", func(r request) (*http.Response, error) {
		body := add(r)
		w.schema(func(f []map[string]any) []map[string]any {
			w.collections[0]["fields"] = envelope(bend(body), 100)
			return f
		})
		return withHeader(reply(201, "", ""), "X-Created", "99"), nil
	})
}

func asAsked(m map[string]any) []map[string]any { return []map[string]any{m} }

func TestProvision(t *testing.T) {
	t.Parallel()
	w := newWire()
	d, _ := open(t, w, newClock().Now)
	creating(t, w, asAsked)
	if err := d.CreateField(t.Context(), copernica.FieldSpec{Name: "storeView", Length: 250, Index: true}); err != nil {
		t.Fatal(err)
	}
	if got, want := w.sent("POST /database/7/fields")[0].Body, `{"name":"storeView","type":"text","value":"","length":250,"index":true}`; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	f, ok := d.Schema().Field("storeView")
	if want := (copernica.Field{ID: 99, Name: "storeView", Type: "text", Length: 250, Index: true}); !ok || f != want {
		t.Errorf("field %+v", f)
	}
	if _, err := d.KeyField("storeView"); err != nil {
		t.Error(err)
	}
	if err := d.CreateCollection(t.Context(), "Orders"); err != nil {
		t.Fatal(err)
	}
	if err := d.CreateCollectionField(t.Context(), "Orders", copernica.FieldSpec{Name: "createdAt", Type: "datetime", Default: "0000-00-00 00:00:00"}); err != nil {
		t.Fatal(err)
	}
	orders, _ := d.Schema().Collection("Orders")
	if f, ok := orders.Field("createdAt"); !ok || f.Type != "datetime" {
		t.Errorf("collection %+v", orders)
	}
	if _, ok := d.Schema().Field("storeView"); !ok {
		t.Error("the fields are gone after the collection")
	}

	for name, err := range map[string]error{
		"a field that is there":      d.CreateField(t.Context(), copernica.FieldSpec{Name: "STOREVIEW"}),
		"a collection that is there": d.CreateCollection(t.Context(), "orders"),
		"a field of it":              d.CreateCollectionField(t.Context(), "Orders", copernica.FieldSpec{Name: "createdat"}),
		"no collection":              d.CreateCollectionField(t.Context(), "Carts", copernica.FieldSpec{Name: "a"}),
		"digit in a collection":      d.CreateCollection(t.Context(), "Orders2"),
		"field id":                   d.CreateField(t.Context(), copernica.FieldSpec{Name: "ID"}),
		"field with blank":           d.CreateField(t.Context(), copernica.FieldSpec{Name: "a b"}),
		"field begins with digit":    d.CreateField(t.Context(), copernica.FieldSpec{Name: "1a"}),
		"field without name":         d.CreateField(t.Context(), copernica.FieldSpec{}),
	} {
		if _, ok := errors.AsType[*copernica.GuardError](err); !ok || fault.ClassOf(err) != fault.Configuration {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(w.sent("POST /database")) + len(w.sent("POST /collection")); n != 3 {
		t.Errorf("%d creations sent, want 3", n)
	}
}

func TestProvisionDoubtsSuccess(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		bend func(map[string]any) []map[string]any
		says string
	}{
		"nothing done":   {func(map[string]any) []map[string]any { return nil }, "not there"},
		"another type":   {func(m map[string]any) []map[string]any { m["type"] = "integer"; return asAsked(m) }, "type integer instead of text"},
		"shorter":        {func(m map[string]any) []map[string]any { m["length"] = "50"; return asAsked(m) }, "length 50 instead of 64"},
		"longer is good": {func(m map[string]any) []map[string]any { m["length"] = "255"; return asAsked(m) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			d, _ := open(t, w, newClock().Now)
			creating(t, w, tt.bend)
			err := d.CreateField(t.Context(), copernica.FieldSpec{Name: "other_key", Type: "text", Length: 64})
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("no collection made", func(t *testing.T) {
		t.Parallel()
		w := newWire()
		d, _ := open(t, w, newClock().Now)
		creating(t, w, func(map[string]any) []map[string]any { return nil })
		if err := d.CreateCollection(t.Context(), "Orders"); err == nil || !strings.Contains(err.Error(), "not there") {
			t.Errorf("error %v", err)
		}
	})
}

func TestCreateDatabase(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{"with X-Created": "7", "without": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			w.on("POST /databases", func(r request) (*http.Response, error) {
				if r.Body != `{"name":"Magento","description":"d"}` {
					t.Errorf("body %s", r.Body)
				}
				resp := reply(201, "", "")
				if id != "" {
					resp.Header.Set("X-Created", id)
				}
				return resp, nil
			})
			d, err := newClient(t, w, nil).CreateDatabase(t.Context(), "Magento", "d")
			if err != nil || d.ID() != 7 {
				t.Errorf("%+v, %v", d, err)
			}
		})
	}
	if _, err := newClient(t, newWire(), nil).CreateDatabase(t.Context(), "my shop", ""); fault.ClassOf(err) != fault.Configuration {
		t.Errorf("error %v", err)
	}
}
