package copernica_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

// values are the fields of a write by key.
func values(key string) map[string]string {
	return map[string]string{"customer_id": key, "email": "jan@example.org"}
}

// refused demands a GuardError and that no write was sent.
func refused(t *testing.T, w *wire, err error, class fault.Class, says string) {
	t.Helper()
	guard, ok := errors.AsType[*copernica.GuardError](err)
	if !ok {
		t.Fatalf("error %v, want a GuardError", err)
	}
	if fault.ClassOf(err) != class {
		t.Errorf("class %s, want %s: %v", fault.ClassOf(err), class, err)
	}
	if got := copernica.Outcome(err); got != copernica.NotSent {
		t.Errorf("outcome %s, want not_sent", got)
	}
	if !strings.Contains(guard.Error(), says) {
		t.Errorf("error %q does not say %q", guard, says)
	}
	for _, method := range []string{"PUT ", "POST /database", "DELETE "} {
		if calls := w.sent(method); len(calls) > 0 {
			t.Errorf("sent %v", calls)
		}
	}
}

func TestPromise12_SchemaChangesBetweenTwoWrites(t *testing.T) {
	t.Parallel()
	rename := func(to string) func([]map[string]any) []map[string]any {
		return func(f []map[string]any) []map[string]any {
			f[0] = map[string]any{"ID": "1", "name": to, "type": "text", "length": "64", "index": true}
			return f
		}
	}
	tests := map[string]struct {
		change func([]map[string]any) []map[string]any
		says   string
	}{
		"renamed":     {rename("customer_no"), "renamed or removed"},
		"other case":  {rename("Customer_ID"), `spelled "Customer_ID"`},
		"dropped":     {func(f []map[string]any) []map[string]any { return f[1:] }, "renamed or removed"},
		"all dropped": {func([]map[string]any) []map[string]any { return nil }, "renamed or removed"},
		"made anew": {func(f []map[string]any) []map[string]any {
			f[0] = map[string]any{"ID": "9", "name": "customer_id", "type": "text", "length": "64"}
			return f
		}, "created anew"},
		"retyped": {func(f []map[string]any) []map[string]any {
			f[0] = map[string]any{"ID": "1", "name": "customer_id", "type": "integer"}
			return f
		}, `"integer"`},
		"doubled": {func(f []map[string]any) []map[string]any {
			return append(f, map[string]any{"ID": "12", "name": "CUSTOMER_ID", "type": "text"})
		}, "two fields"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, now := newWire(), newClock()
			d, key := open(t, w, now.Now)
			if _, err := d.Upsert(t.Context(), key, "shop-c1", values("shop-c1")); err != nil {
				t.Fatal(err)
			}
			if n := len(w.sent("PUT ")); n != 1 {
				t.Fatalf("%d writes before the change, want 1", n)
			}
			w.schema(tt.change)
			now.Advance(61 * time.Second)
			w.mu.Lock()
			w.log = nil
			w.mu.Unlock()
			_, err := d.Upsert(t.Context(), key, "shop-c2", values("shop-c2"))
			refused(t, w, err, fault.Configuration, tt.says)
			_, err = d.Find(t.Context(), key, "shop-c2")
			refused(t, w, err, fault.Configuration, tt.says)
			_, _, err = d.KeysAbove(t.Context(), key, "shop-c", 0)
			refused(t, w, err, fault.Configuration, tt.says)
			if n := len(w.sent("GET /database/7/profiles")); n != 0 {
				t.Errorf("%d filtered reads sent, want none", n)
			}
		})
	}
}

func TestPromise12_UnfitCallsSendNothing(t *testing.T) {
	t.Parallel()
	w := newWire()
	d, key := open(t, w, newClock().Now)
	other, otherKey := open(t, newWire(), newClock().Now)
	_ = other
	tests := map[string]struct {
		key    copernica.KeyField
		value  string
		fields map[string]string
		class  fault.Class
		says   string
	}{
		"zero key":        {copernica.KeyField{}, "shop-c1", values("shop-c1"), fault.Configuration, "no key field"},
		"foreign key":     {otherKey, "shop-c1", values("shop-c1"), fault.Configuration, "another database"},
		"empty value":     {key, "", values(""), fault.Configuration, "empty"},
		"not in body":     {key, "shop-c1", map[string]string{"email": "a@b.nl"}, fault.Configuration, "do not hold the key"},
		"other in body":   {key, "shop-c1", values("shop-c2"), fault.Configuration, "do not hold the key"},
		"case in body":    {key, "shop-c1", values("SHOP-c1"), fault.Configuration, "do not hold the key"},
		"key twice":       {key, "a", map[string]string{"customer_id": "a", "Customer_ID": "b"}, fault.Configuration, "twice"},
		"leading blank":   {key, " a", values(" a"), fault.Record, "blank"},
		"trailing blank":  {key, "a\u00a0", values("a\u00a0"), fault.Record, "blank"},
		"control":         {key, "a\x00b", values("a\x00b"), fault.Record, "control"},
		"not utf-8":       {key, "a\xff", values("a\xff"), fault.Record, "UTF-8"},
		"longer than 64":  {key, strings.Repeat("é", 65), values(strings.Repeat("é", 65)), fault.Record, "longer"},
		"unknown field":   {key, "a", map[string]string{"customer_id": "a", "nickname": "x"}, fault.Configuration, "no such field"},
		"not utf-8 field": {key, "a", map[string]string{"customer_id": "a", "email": "\xff"}, fault.Record, "UTF-8"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := d.Upsert(t.Context(), tt.key, tt.value, tt.fields)
			refused(t, w, err, tt.class, tt.says)
			if tt.value != "" && strings.Contains(err.Error(), strings.Repeat("é", 65)) {
				t.Errorf("the error repeats the value: %v", err)
			}
		})
	}
	t.Run("update of an unknown field", func(t *testing.T) {
		t.Parallel()
		refused(t, w, d.Update(t.Context(), 12, map[string]string{"nickname": "x"}), fault.Configuration, "no such field")
	})
	t.Run("update without an id", func(t *testing.T) {
		t.Parallel()
		refused(t, w, d.Update(t.Context(), 0, map[string]string{"email": "x"}), fault.Configuration, "no profile id")
	})
	t.Run("removal without an id", func(t *testing.T) {
		t.Parallel()
		refused(t, w, d.Remove(t.Context(), 0, false), fault.Configuration, "no profile id")
	})
}

func TestUpdateTakesNamesInAnyCase(t *testing.T) {
	t.Parallel()
	w := newWire()
	d, _ := open(t, w, newClock().Now)
	if err := d.Update(t.Context(), 5, map[string]string{"Firstname": "Jan"}); err != nil {
		t.Error(err)
	}
	if err := d.Update(t.Context(), 5, nil); err != nil {
		t.Error(err)
	}
	if n := len(w.sent("PUT /profile/5")); n != 1 {
		t.Errorf("%d calls, want 1: nothing to write is no call", n)
	}
}

func TestKeyField(t *testing.T) {
	t.Parallel()
	w := newWire()
	w.fields = append(w.fields,
		map[string]any{"ID": "20", "name": "with blank", "type": "text"},
		map[string]any{"ID": "21", "name": "a=b", "type": "text"},
		map[string]any{"ID": "22", "name": "modified", "type": "text"},
		map[string]any{"ID": "23", "name": "notes", "type": "big"},
		map[string]any{"ID": "24", "name": "untyped"},
		map[string]any{"name": "no_id", "type": "text"},
	)
	d, _ := open(t, w, newClock().Now)
	for name, want := range map[string]bool{
		"customer_id": true, "email": true, "firstname": true, "untyped": true,
		"Customer_id": false, "customer_id ": false, " customer_id": false, "": false, "missing": false,
		"with blank": false, "a=b": false, "modified": false, "id": false, "code": false, "notes": false, "birthdate": false, "no_id": false,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, err := d.KeyField(name)
			if (err == nil) != want {
				t.Fatalf("error %v, want success %v", err, want)
			}
			if want && k.Name() != name {
				t.Errorf("name %q", k.Name())
			}
			if !want {
				if fault.ClassOf(err) != fault.Configuration {
					t.Errorf("class %s", fault.ClassOf(err))
				}
				_, err = d.Upsert(t.Context(), k, "x", map[string]string{name: "x"})
				refused(t, w, err, fault.Configuration, "no key field")
			}
		})
	}
}

func TestPromise12_SchemaThatCannotBeReadStopsWrites(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer func(request) (*http.Response, error)
		class  fault.Class
	}{
		"unavailable": {func(request) (*http.Response, error) { return reply(503, "text/html", "<html>Loadbalancer Error"), nil }, fault.Retry},
		"gone": {func(request) (*http.Response, error) {
			return reply(400, "application/json", failure("No database with supplied ID")), nil
		}, fault.Configuration},
		"reset": {func(request) (*http.Response, error) { return nil, errors.New("connection reset by peer") }, fault.Retry},
		"cut short": {func(request) (*http.Response, error) {
			return reply(200, "application/json", `{"start":0,"limit":1000,"count":4,"data":[{"ID":"1","na`), nil
		}, fault.Retry},
		"too few": {func(request) (*http.Response, error) {
			return reply(200, "application/json", `{"start":0,"limit":1000,"count":0,"data":[],"total":4}`), nil
		}, fault.Retry},
		"count wrong": {func(request) (*http.Response, error) {
			return reply(200, "application/json", `{"start":0,"limit":1000,"count":4,"data":[]}`), nil
		}, fault.Retry},
		"no list": {func(request) (*http.Response, error) { return reply(200, "application/json", `{}`), nil }, fault.Retry},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, now := newWire(), newClock()
			d, key := open(t, w, now.Now)
			w.on("GET /database/7/fields", tt.answer)
			now.Advance(time.Minute + time.Nanosecond)
			_, err := d.Upsert(t.Context(), key, "shop-c1", values("shop-c1"))
			if err == nil || fault.ClassOf(err) != tt.class || copernica.Outcome(err) != copernica.NotSent {
				t.Errorf("error %v, class %s, outcome %s", err, fault.ClassOf(err), copernica.Outcome(err))
			}
			if err := d.Update(t.Context(), 3, map[string]string{"email": "x@y.nl"}); copernica.Outcome(err) != copernica.NotSent {
				t.Errorf("update: %v", err)
			}
			if n := len(w.sent("PUT ")); n != 0 {
				t.Errorf("%d writes sent", n)
			}
		})
	}
}

// The schema is read ahead by one writer while the others go on, and beyond its
// age once for all of them.
func TestPromise12_ManyWritersReadTheSchemaOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		age   time.Duration
		stall int // writers that wait for the reading
	}{
		"fresh":          {40 * time.Second, 0},
		"soon too old":   {50 * time.Second, 1},
		"too old":        {61 * time.Second, 50},
		"clock set back": {-time.Hour, 50},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, now := newWire(), newClock()
				d, key := open(t, w, now.Now)
				release := make(chan struct{})
				w.on("GET /database/7/fields", func(request) (*http.Response, error) { <-release; return nil, nil })
				now.Advance(tt.age)
				var wg sync.WaitGroup
				for range 50 {
					wg.Go(func() {
						if _, err := d.Upsert(t.Context(), key, "shop-c1", values("shop-c1")); err != nil {
							t.Error(err)
						}
					})
				}
				synctest.Wait()
				if n := len(w.sent("PUT ")); n != 50-tt.stall {
					t.Errorf("%d writers went on, want %d", n, 50-tt.stall)
				}
				close(release)
				wg.Wait()
				if n := len(w.sent("PUT ")); n != 50 {
					t.Errorf("%d writes, want 50", n)
				}
				if n := len(w.sent("GET /database/7/fields")); n != min(tt.stall, 1) {
					t.Errorf("%d readings, want %d", n, min(tt.stall, 1))
				}
			})
		})
	}
}

// A writer that is stopped while it reads for all does not fail the others.
func TestSchemaReaderStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, now := newWire(), newClock()
		d, key := open(t, w, now.Now)
		first := true
		w.on("GET /database/7/fields", func(request) (*http.Response, error) {
			if first {
				first = false
				time.Sleep(time.Second)
				return nil, context.Canceled
			}
			return nil, nil
		})
		now.Advance(2 * time.Minute)
		stopped, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := d.Upsert(stopped, key, "shop-c1", values("shop-c1"))
			if !errors.Is(err, context.Canceled) || copernica.Outcome(err) != copernica.NotSent {
				t.Errorf("the stopped writer: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if _, err := d.Upsert(t.Context(), key, "shop-c2", values("shop-c2")); err != nil {
				t.Errorf("the other writer: %v", err)
			}
		})
		synctest.Wait()
		stop()
		wg.Wait()
	})
}

// A failed reading ahead harms nobody while the schema at hand is young enough.
func TestSchemaReadAheadFails(t *testing.T) {
	t.Parallel()
	w, now := newWire(), newClock()
	d, key := open(t, w, now.Now)
	w.on("GET /database/7/fields", w.always(503, "<html>"))
	now.Advance(50 * time.Second)
	for range 5 {
		if _, err := d.Upsert(t.Context(), key, "shop-c1", values("shop-c1")); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.sent("GET /database/7/fields")); n != 1 {
		t.Errorf("%d readings ahead, want 1", n)
	}
	now.Advance(11 * time.Second)
	if _, err := d.Upsert(t.Context(), key, "shop-c1", values("shop-c1")); copernica.Outcome(err) != copernica.NotSent {
		t.Errorf("error %v", err)
	}
}

// The age of the schema counts at each attempt of a filtered write, not when the
// write began.
func TestPromise12_WriteThatWaitedTooLongIsNotRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		chain, err := httpx.New(httpx.Config{Peer: "copernica", Base: w})
		if err != nil {
			t.Fatal(err)
		}
		d, key := open(t, chain, nil)
		w.on("PUT /database/7/profiles", func(request) (*http.Response, error) {
			return withHeader(reply(429, "", ""), "Retry-After", "90"), nil
		})
		_, err = d.Upsert(t.Context(), key, "shop-c1", values("shop-c1"))
		if copernica.Outcome(err) != copernica.NotSent || fault.ClassOf(err) != fault.Retry || !strings.Contains(err.Error(), "grew too old") {
			t.Errorf("%v, outcome %s, class %s", err, copernica.Outcome(err), fault.ClassOf(err))
		}
		if n := len(w.sent("PUT ")); n != 1 {
			t.Errorf("%d writes", n)
		}
	})
}

func TestPromise12_WriteThatWaitedForATokenIsNotSent(t *testing.T) {
	t.Parallel()
	w, now := newWire(), newClock()
	d, key := open(t, w, now.Now)
	w.auth = func(int) *http.Response {
		now.Advance(2 * time.Minute)
		return reply(200, "", "token-2")
	}
	w.on("PUT /database/7/profiles", func(request) (*http.Response, error) {
		return reply(401, "", ""), nil
	})
	_, err := d.Upsert(t.Context(), key, "shop-c1", values("shop-c1"))
	if copernica.Outcome(err) != copernica.NotSent || fault.ClassOf(err) != fault.Retry || !strings.Contains(err.Error(), "grew too old") {
		t.Errorf("%v, outcome %s, class %s", err, copernica.Outcome(err), fault.ClassOf(err))
	}
	if n := len(w.sent("PUT ")); n != 1 {
		t.Errorf("%d writes", n)
	}
}
