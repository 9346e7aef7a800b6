package copernica_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// memory answers writes at once, without a socket.
type memory struct{ schema http.RoundTripper }

func (m memory) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPut {
		return m.schema.RoundTrip(req)
	}
	_, _ = io.Copy(io.Discard, req.Body)
	return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody}, nil
}

func benchFields(key string) map[string]string {
	return map[string]string{"customer_id": key, "email": "jan.jansen@example.org", "firstname": "Jan \"de\" Tweede", "birthdate": "1980-01-02"}
}

func BenchmarkUpdate(b *testing.B) {
	d, _ := open(b, memory{newWire()}, time.Now)
	fields := benchFields("shop-c4711")
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Update(b.Context(), 4711, fields); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdateParallel(b *testing.B) {
	d, _ := open(b, memory{newWire()}, time.Now)
	fields := benchFields("shop-c4711")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := d.Update(b.Context(), 4711, fields); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkUpsert(b *testing.B) {
	d, key := open(b, memory{newWire()}, time.Now)
	fields := benchFields("shop-c4711")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Upsert(b.Context(), key, "shop-c4711", fields); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSubprofileUpdate(b *testing.B) {
	c, _ := openOrders(b, memory{newWire()}, time.Now)
	fields := order("shop-o4711")
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Update(b.Context(), 4711, fields); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSubprofileUpsert(b *testing.B) {
	c, key := openOrders(b, memory{newWire()}, time.Now)
	fields := order("shop-o4711")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Upsert(b.Context(), 4711, key, "shop-o4711", fields); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBare is the floor: the same request by net/http alone.
func BenchmarkBare(b *testing.B) {
	c := &http.Client{Transport: memory{newWire()}}
	const body = `{"fields":{"birthdate":"1980-01-02","customer_id":"shop-c4711","email":"jan.jansen@example.org","firstname":"Jan \"de\" Tweede"}}`
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPut, "https://api.copernica.com/v4/profile/4711", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer token")
		req.Header.Set("Content-Type", "application/json")
		resp, err := c.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
	}
}

// A write costs little beside the call itself: net/http alone makes 17 allocations,
// resty as many again.
func TestUpdateAllocations(t *testing.T) {
	d, key := open(t, memory{newWire()}, time.Now)
	fields := benchFields("shop-c4711")
	orders, orderKey := openOrders(t, memory{newWire()}, time.Now)
	values := order("shop-o4711")
	for name, write := range map[string]func() error{
		"subprofile update": func() error { return orders.Update(t.Context(), 4711, values) },
		"subprofile upsert": func() error { _, err := orders.Upsert(t.Context(), 4711, orderKey, "shop-o4711", values); return err },
		"update":            func() error { return d.Update(t.Context(), 4711, fields) },
		"upsert":            func() error { _, err := d.Upsert(t.Context(), key, "shop-c4711", fields); return err },
	} {
		if n := testing.AllocsPerRun(200, func() {
			if err := write(); err != nil {
				t.Fatal(err)
			}
		}); n > 45 {
			t.Errorf("%s: %.0f allocations, want at most 45", name, n)
		}
	}
}
