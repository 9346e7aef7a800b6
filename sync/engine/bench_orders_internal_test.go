package engine

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// taped keeps the last answer to a list of orders.
type taped struct {
	http.RoundTripper
	orders []byte
}

func (t *taped) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.RoundTripper.RoundTrip(r)
	if err != nil || r.URL.Path != "/rest/all/V1/orders" {
		return res, err
	}
	if t.orders, err = io.ReadAll(res.Body); err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(t.orders))
	return res, nil
}

// BenchmarkOrder is the engine's own CPU for one order of a first run: decoded,
// mapped with its lines and its guest, hashed and planned, out of pages of 100 that
// `fields=` narrowed to what the mapping asks for. Bytes are those of one order.
func BenchmarkOrder(b *testing.B) {
	const rows = 100
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	file, err := mapping.Default()
	if err != nil {
		b.Fatal(err)
	}
	compiled, err := file.Compile(mapping.Options{Shop: "shop", Zone: time.UTC})
	if err != nil {
		b.Fatal(err)
	}
	emulated := magentotest.New(magentotest.Config{Seed: 1, Customers: 100, Orders: rows, Now: func() time.Time { return now }})
	tape := &taped{RoundTripper: emulated.Transport()}
	open := func(transport http.RoundTripper) *magento.Client {
		shop, err := magento.New(magento.Config{BaseURL: "http://127.0.0.1", AccessToken: magentotest.AccessToken, Transport: transport})
		if err != nil {
			b.Fatal(err)
		}
		return shop
	}
	q := magento.Query{Before: now, Fields: compiled.OrderPaths()}
	first := open(tape)
	stores, err := first.Stores(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	groups, err := first.Groups(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, err := range first.Orders(b.Context(), q) {
		if err != nil {
			b.Fatal(err)
		}
		break
	}
	hasher, err := state.NewHasher(make([]byte, state.HasherKeySize))
	if err != nil {
		b.Fatal(err)
	}
	r := &run{cfg: &Config{Mapping: compiled}, hasher: hasher, lookups: mapping.NewLookups(stores, groups)}
	shop := open(canned{tape.orders})

	b.ReportAllocs()
	b.SetBytes(int64(len(tape.orders) / rows))
	for done := 0; done < b.N; {
		for got, err := range shop.Orders(b.Context(), q) {
			if err != nil || len(got.Items) != rows {
				b.Fatal(len(got.Items), err)
			}
			for i := range got.Items {
				if done++; done > b.N {
					break
				}
				o := r.placed(&got.Items[i])
				if o.plan(facts{}); o.order.action != create && o.order.problem == nil {
					b.Fatal("not planned")
				}
				if o.guest != nil {
					o.guest.plan(facts{})
				}
			}
			break // one page a walk
		}
	}
}
