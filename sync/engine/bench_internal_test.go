package engine

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// canned answers every list with one page, as fields= brings it.
type canned struct{ body []byte }

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(c.body)), ContentLength: int64(len(c.body)),
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Date": {"Sun, 22 Nov 2026 12:00:00 GMT"}},
	}, nil
}

// BenchmarkCustomer measures what a customer costs between the socket and the lanes:
// decode, map, hash and plan, on the bodies that the mapping's fields= brings.
func BenchmarkCustomer(b *testing.B) {
	const rows = 300
	var page bytes.Buffer
	page.WriteString(`{"items":[`)
	for i := range rows {
		if i > 0 {
			page.WriteByte(',')
		}
		fmt.Fprintf(&page, `{"id":%d,"group_id":1,"created_at":"2026-06-15 10:00:00","updated_at":"2026-11-21 10:%02d:%02d","dob":"1980-02-15",`+
			`"email":"klant%05d+promo@example.test","firstname":"Zo\u00eb","lastname":"Garc\u00eda M\u00e1rquez","middlename":"van der","gender":2,`+
			`"store_id":1,"website_id":1,"extension_attributes":{"is_subscribed":true}}`, i+1, i/60, i%60, i)
	}
	fmt.Fprintf(&page, `],"total_count":%d}`, rows)

	file, err := mapping.Default()
	if err != nil {
		b.Fatal(err)
	}
	compiled, err := file.Compile(mapping.Options{Shop: "shop", Zone: time.UTC})
	if err != nil {
		b.Fatal(err)
	}
	shop, err := magento.New(magento.Config{BaseURL: "http://127.0.0.1", AccessToken: "x", Transport: canned{page.Bytes()}, PageSize: rows})
	if err != nil {
		b.Fatal(err)
	}
	hasher, err := state.NewHasher(make([]byte, state.HasherKeySize))
	if err != nil {
		b.Fatal(err)
	}
	r := &run{
		cfg: &Config{Mapping: compiled}, hasher: hasher,
		lookups: mapping.NewLookups(magento.Stores{}, map[int64]string{1: "General"}),
	}
	q := magento.Query{Before: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), Fields: compiled.Paths()}

	b.ReportAllocs()
	b.SetBytes(int64(page.Len() / rows))
	for done := 0; done < b.N; {
		for got, err := range shop.Customers(b.Context(), q) {
			if err != nil {
				b.Fatal(err)
			}
			for i := range got.Items {
				if done++; done > b.N {
					break
				}
				it := r.customer(&got.Items[i])
				it.plan(facts{})
				if it.action != create {
					b.Fatal("not planned")
				}
			}
			break // one page a walk
		}
	}
}
