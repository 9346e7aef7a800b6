package copernica_test

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

// collectionOf is a collection of database 7 as the API prints it.
func collectionOf(id, name string, fields ...map[string]any) map[string]any {
	return map[string]any{"ID": id, "name": name, "database": "7", "fields": envelope(fields, 100)}
}

var orderFields = []map[string]any{
	{"ID": "31", "name": "order_id", "type": "text", "value": "", "length": "64", "index": true},
	{"ID": "32", "name": "quantity", "type": "integer", "value": "0", "length": "0", "index": false},
	{"ID": "33", "name": "total", "type": "float", "value": "0", "length": "0", "index": false},
	{"ID": "34", "name": "status", "type": "text", "value": "", "length": "250", "index": false},
}

// ordersOn gives database 7 the collections Orders, 12, and Orders_Items, 13.
func ordersOn(w *wire) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.collections = []map[string]any{
		collectionOf("12", "Orders", orderFields...),
		collectionOf("13", "Orders_Items", map[string]any{"ID": "41", "name": "item_id", "type": "text", "length": "64"}),
	}
}

// openOrders returns the collection Orders, behind any transport over a wire, and its
// key field.
func openOrders(t testing.TB, rt http.RoundTripper, now func() time.Time) (*copernica.Collection, copernica.KeyField) {
	t.Helper()
	switch rt := rt.(type) {
	case *wire:
		ordersOn(rt)
	case memory:
		ordersOn(rt.schema.(*wire))
	}
	d, _ := open(t, rt, now)
	return ordersOf(t, d)
}

func ordersOf(t testing.TB, d *copernica.Database) (*copernica.Collection, copernica.KeyField) {
	t.Helper()
	c, err := d.Collection("Orders")
	if err != nil {
		t.Fatal(err)
	}
	key, err := c.KeyField("order_id")
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

// order are the fields of a write by key.
func order(key string) map[string]string {
	return map[string]string{"order_id": key, "quantity": "2", "total": "9.9", "status": "complete"}
}

func TestCollectionByName(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		collections []map[string]any
		says        string
	}{
		"there":        {[]map[string]any{collectionOf("11", "Addresses"), collectionOf("12", "Orders")}, ""},
		"none":         {nil, "create it with syncd provision"},
		"another":      {[]map[string]any{collectionOf("12", "Orders_Items")}, "create it with syncd provision"},
		"other case":   {[]map[string]any{collectionOf("12", "orders")}, `spelled "orders"`},
		"with a blank": {[]map[string]any{collectionOf("12", "Orders ")}, "renamed or removed"},
		"twice":        {[]map[string]any{collectionOf("12", "Orders"), collectionOf("13", "Orders")}, "two collections"},
		"in two cases": {[]map[string]any{collectionOf("12", "Orders"), collectionOf("13", "ORDERS")}, "two collections"},
		"without id":   {[]map[string]any{collectionOf("", "Orders")}, "no id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire()
			w.collections = tt.collections
			d, _ := open(t, w, newClock().Now)
			c, err := d.Collection("Orders")
			if tt.says != "" {
				refused(t, w, err, fault.Configuration, tt.says)
				if !strings.Contains(err.Error(), `database "Magento", collection "Orders": `) {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil || c.ID() != 12 || c.Name() != "Orders" {
				t.Errorf("%d %q, %v", c.ID(), c.Name(), err)
			}
			if _, err := c.KeyField("order_id"); fault.ClassOf(err) != fault.Configuration {
				t.Errorf("a collection without fields has a key: %v", err)
			}
		})
	}
}

func TestPromise12_CollectionChangesBetweenTwoWrites(t *testing.T) {
	t.Parallel()
	key := func(change map[string]any) map[string]any {
		f := maps.Clone(orderFields[0])
		maps.Copy(f, change)
		return collectionOf("12", "Orders", append([]map[string]any{f}, orderFields[1:]...)...)
	}
	for name, tt := range map[string]struct {
		now  map[string]any
		says string
	}{
		"renamed":             {key(map[string]any{"name": "order_no"}), "renamed or removed"},
		"other case":          {key(map[string]any{"name": "Order_ID"}), `spelled "Order_ID"`},
		"dropped":             {collectionOf("12", "Orders", orderFields[1:]...), "renamed or removed"},
		"all dropped":         {collectionOf("12", "Orders"), "renamed or removed"},
		"made anew":           {key(map[string]any{"ID": "99"}), "created anew"},
		"retyped":             {key(map[string]any{"type": "float"}), `"float"`},
		"doubled":             {collectionOf("12", "Orders", append(slices.Clone(orderFields), map[string]any{"ID": "98", "name": "ORDER_ID"})...), "two fields"},
		"collection renamed":  {collectionOf("12", "Orders_old", orderFields...), `renamed to "Orders_old"`},
		"collection in upper": {collectionOf("12", "ORDERS", orderFields...), `renamed to "ORDERS"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, now := newWire(), newClock()
			c, k := openOrders(t, w, now.Now)
			if _, err := c.Upsert(t.Context(), 5, k, "shop-o1", order("shop-o1")); err != nil {
				t.Fatal(err)
			}
			w.mu.Lock()
			w.collections[0] = tt.now
			w.log = nil
			w.mu.Unlock()
			now.Advance(61 * time.Second)
			_, err := c.Upsert(t.Context(), 5, k, "shop-o2", order("shop-o2"))
			refused(t, w, err, fault.Configuration, tt.says)
			_, err = c.Find(t.Context(), 5, k, "shop-o2")
			refused(t, w, err, fault.Configuration, tt.says)
			_, err = c.FindAnywhere(t.Context(), k, "shop-o2")
			refused(t, w, err, fault.Configuration, tt.says)
			if !strings.Contains(err.Error(), `collection "Orders"`) {
				t.Errorf("error %v", err)
			}
			for _, path := range []string{"GET /profile/", "GET /collection/12/subprofiles"} {
				if calls := w.sent(path); len(calls) > 0 {
					t.Errorf("sent %v", calls)
				}
			}
		})
	}
}

func TestPromise12_CollectionThatCannotBeReadStopsWrites(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		body   string
		class  fault.Class
	}{
		"gone":             {400, failure("No collection with given ID"), fault.Configuration},
		"not found":        {404, failure("Nothing here"), fault.Configuration},
		"unavailable":      {503, "<html>Loadbalancer Error", fault.Retry},
		"cut short":        {200, `{"ID":"12","name":"Ord`, fault.Retry},
		"another":          {200, `{"ID":"13","name":"Orders","fields":{"data":[],"total":0}}`, fault.Retry},
		"another database": {200, `{"ID":"12","name":"Orders","database":"8","fields":{"data":[],"total":0}}`, fault.Retry},
		"a list":           {200, `[]`, fault.Retry},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, now := newWire(), newClock()
			c, key := openOrders(t, w, now.Now)
			w.on("GET /collection/12", w.always(tt.status, tt.body))
			now.Advance(61 * time.Second)
			_, err := c.Upsert(t.Context(), 5, key, "shop-o1", order("shop-o1"))
			if err == nil || fault.ClassOf(err) != tt.class || copernica.Outcome(err) != copernica.NotSent {
				t.Errorf("%v, class %s, outcome %s", err, fault.ClassOf(err), copernica.Outcome(err))
			}
			if err := c.Update(t.Context(), 9, order("shop-o1")); copernica.Outcome(err) != copernica.NotSent {
				t.Errorf("update: %v", err)
			}
			if n := len(w.sent("PUT ")); n != 0 {
				t.Errorf("%d writes sent", n)
			}
		})
	}
}

// Each collection is read by itself, once in a while, whatever the others are at.
func TestPromise12_CollectionFieldsAreReadOnceAMinute(t *testing.T) {
	t.Parallel()
	w, now := newWire(), newClock()
	c, key := openOrders(t, w, now.Now)
	for _, step := range []struct {
		wait     time.Duration
		readings int
	}{{0, 0}, {40 * time.Second, 0}, {21 * time.Second, 1}, {time.Second, 1}, {10 * time.Minute, 2}} {
		now.Advance(step.wait)
		for range 20 {
			if _, err := c.Upsert(t.Context(), 5, key, "shop-o1", order("shop-o1")); err != nil {
				t.Fatal(err)
			}
			if err := c.Update(t.Context(), 9, order("shop-o1")); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(w.sent("GET /collection/12")); n != step.readings {
			t.Errorf("%d readings, want %d", n, step.readings)
		}
	}
	if calls := w.sent("GET /database/7/fields"); len(calls) > 0 {
		t.Errorf("the fields of profiles were read: %v", calls)
	}
}

// The collections of a schema are as old as its last whole reading, however often the
// fields of profiles were read since.
func TestPromise12_CollectionOfAnOldSchemaIsReadFirst(t *testing.T) {
	t.Parallel()
	w, now := newWire(), newClock()
	ordersOn(w)
	d, profileKey := open(t, w, now.Now)
	now.Advance(2 * time.Minute)
	if _, err := d.Upsert(t.Context(), profileKey, "shop-c1", values("shop-c1")); err != nil {
		t.Fatal(err)
	}
	c, key := ordersOf(t, d)
	w.mu.Lock()
	w.collections[0] = collectionOf("12", "Orders", orderFields[1:]...)
	w.log = nil
	w.mu.Unlock()
	_, err := c.Upsert(t.Context(), 5, key, "shop-o1", order("shop-o1"))
	refused(t, w, err, fault.Configuration, "renamed or removed")
	if s, err := d.Refresh(t.Context()); err != nil || len(s.Collections[0].Fields) != 3 {
		t.Errorf("%+v, %v", s, err)
	}
	if c, err = d.Collection("Orders"); err != nil {
		t.Fatal(err)
	}
	if _, err = c.KeyField("order_id"); err == nil {
		t.Error("a refreshed schema still has the key")
	}
}

func TestPromise12_SubprofileWriteThatWaitedTooLongIsNotRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		ordersOn(w)
		chain, err := httpx.New(httpx.Config{Peer: "copernica", Base: w})
		if err != nil {
			t.Fatal(err)
		}
		c, key := openOrders(t, chain, nil)
		w.on("PUT /profile/5/subprofiles/12", func(request) (*http.Response, error) {
			return withHeader(reply(429, "", ""), "Retry-After", "90"), nil
		})
		_, err = c.Upsert(t.Context(), 5, key, "shop-o1", order("shop-o1"))
		if copernica.Outcome(err) != copernica.NotSent || fault.ClassOf(err) != fault.Retry || !strings.Contains(err.Error(), "grew too old") {
			t.Errorf("%v, outcome %s, class %s", err, copernica.Outcome(err), fault.ClassOf(err))
		}
		if n := len(w.sent("PUT ")); n != 1 {
			t.Errorf("%d writes", n)
		}
	})
}

func TestPromise12_UnfitSubprofileCallsSendNothing(t *testing.T) {
	t.Parallel()
	w := newWire()
	ordersOn(w)
	d, profileKey := open(t, w, newClock().Now)
	c, key := ordersOf(t, d)
	_, foreign := openOrders(t, newWire(), newClock().Now)
	items, err := d.Collection("Orders_Items")
	if err != nil {
		t.Fatal(err)
	}
	itemKey, err := items.KeyField("item_id")
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("é", 65)
	for name, tt := range map[string]struct {
		profile int64
		key     copernica.KeyField
		value   string
		fields  map[string]string
		class   fault.Class
		says    string
	}{
		"no profile":         {0, key, "o", order("o"), fault.Configuration, "no profile id"},
		"negative profile":   {-5, key, "o", order("o"), fault.Configuration, "no profile id"},
		"zero key":           {5, copernica.KeyField{}, "o", order("o"), fault.Configuration, "no key field"},
		"key of profiles":    {5, profileKey, "o", order("o"), fault.Configuration, "another database or collection"},
		"another collection": {5, itemKey, "o", order("o"), fault.Configuration, "another database or collection"},
		"another client":     {5, foreign, "o", order("o"), fault.Configuration, "another database or collection"},
		"empty value":        {5, key, "", order(""), fault.Configuration, "empty"},
		"not in body":        {5, key, "o", map[string]string{"status": "x"}, fault.Configuration, "do not hold the key"},
		"other in body":      {5, key, "o", order("p"), fault.Configuration, "do not hold the key"},
		"key twice":          {5, key, "o", map[string]string{"order_id": "o", "ORDER_ID": "p"}, fault.Configuration, "twice"},
		"trailing blank":     {5, key, "o ", order("o "), fault.Record, "blank"},
		"control":            {5, key, "o\x00", order("o\x00"), fault.Record, "control"},
		"not utf-8":          {5, key, "o\xff", order("o\xff"), fault.Record, "UTF-8"},
		"longer than 64":     {5, key, long, order(long), fault.Record, "longer"},
		"unknown field":      {5, key, "o", map[string]string{"order_id": "o", "email": "x"}, fault.Configuration, "no such field"},
		"wrapped":            {5, key, "o", map[string]string{"order_id": "o", "fields": "x"}, fault.Configuration, "no such field"},
		"not utf-8 field":    {5, key, "o", map[string]string{"order_id": "o", "status": "\xff"}, fault.Record, "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.Upsert(t.Context(), tt.profile, tt.key, tt.value, tt.fields)
			refused(t, w, err, tt.class, tt.says)
			guard, _ := errors.AsType[*copernica.GuardError](err)
			if guard == nil || guard.Database != "Magento" || guard.Collection != "Orders" || strings.Contains(err.Error(), long) {
				t.Errorf("error %v", err)
			}
		})
	}
	for name, call := range map[string]func() error{
		"the collection's key on the database": func() error { _, err := d.Upsert(t.Context(), key, "o", values("o")); return err },
		"the same in a look-up":                func() error { _, err := d.Find(t.Context(), key, "o"); return err },
		"update of an unknown field":           func() error { return c.Update(t.Context(), 9, map[string]string{"email": "x"}) },
		"update without an id":                 func() error { return c.Update(t.Context(), 0, order("o")) },
		"removal without an id":                func() error { return c.Remove(t.Context(), 0) },
		"look-up without a profile":            func() error { _, err := c.Find(t.Context(), 0, key, "o"); return err },
		"look-up of nothing":                   func() error { _, err := c.Find(t.Context(), 5, key, ""); return err },
		"look-up of nothing anywhere":          func() error { _, err := c.FindAnywhere(t.Context(), key, ""); return err },
		"list without a profile":               func() error { _, err := c.Below(t.Context(), 0); return err },
		"live without an id":                   func() error { _, err := d.Live(t.Context(), []int64{5, 0}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := call()
			if _, ok := errors.AsType[*copernica.GuardError](err); !ok || fault.ClassOf(err) != fault.Configuration {
				t.Errorf("error %v", err)
			}
			for _, path := range []string{"PUT ", "DELETE ", "GET /profile/", "GET /collection/", "GET /database/7/profiles"} {
				if calls := w.sent(path); len(calls) > 0 {
					t.Errorf("sent %v", calls)
				}
			}
		})
	}
}
