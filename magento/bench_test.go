package magento_test

import (
	"net/http"
	"testing"

	"github.com/magento-copernica/syncd/magento"
)

// BenchmarkCustomers is the CPU of one customer of a page, from the answer's
// bytes to a checked Item, with the request's own cost shared among them.
func BenchmarkCustomers(b *testing.B) {
	const rows = 299 // a full page would be asked on from
	body := string(narrowPage(rows))
	c := client(b, always(http.StatusOK, body))
	b.ReportAllocs()
	b.SetBytes(int64(len(body) / rows))
	for n := 0; n < b.N; n += rows {
		for page, err := range c.Customers(b.Context(), magento.Query{Before: horizon, Fields: []string{"email"}}) {
			if err != nil || len(page.Items) != rows {
				b.Fatal(err)
			}
		}
	}
}
