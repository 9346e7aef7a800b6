package magento_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
)

// FuzzOrder feeds the client arbitrary orders. Whatever comes, it returns a typed
// outcome; no line that is printed is lost, and an amount is the number that was
// printed.
func FuzzOrder(f *testing.F) {
	f.Add(`"grand_total":64.8500,"items":[{"item_id":1,"price":"1.0e-3"},{"item_id":2,"parent_item_id":1,"sku":"X"}]`)
	f.Add(`"items":{"0":{"item_id":"1"},"2":{}},"billing_address":[],"payment":{"method":null}`)
	f.Add(`"items":null,"extension_attributes":{"shipping_assignments":[{"shipping":{"address":{"street":["a",1,null]}}}]}`)
	f.Add(`"extension_attributes":{"payment_additional_info":[{"key":"method_title","value":["a"]}],"shipping_assignments":{"1":[]}}`)
	f.Add(`"items":[{"product_option":{"extension_attributes":{"bundle_options":{"3":{"option_id":1,"option_selections":[1,"2"]}}}}}]`)
	f.Add(`"customer_is_guest":2,"weight":-0,"total_due":1E400`)
	f.Fuzz(func(t *testing.T, members string) {
		body := `{"entity_id":1,` + members + `}`
		got, err := client(t, always(http.StatusOK, body)).Order(t.Context(), 1, nil)
		if err != nil {
			if _, ok := errors.AsType[*magento.Error](err); !ok {
				t.Fatalf("untyped error %v (%T)", err, err)
			}
			if class := fault.ClassOf(err); class != fault.Record && class != fault.Retry && class != fault.Configuration {
				t.Fatalf("class %s: %v", class, err)
			}
			return
		}
		var printed struct {
			Items []json.RawMessage `json:"items"`
			Grand json.Number       `json:"grand_total"`
		}
		if json.Unmarshal([]byte(body), &printed) != nil || strings.Count(strings.ToLower(body), "tems") != 1 {
			return // printed more loosely than this test reads
		}
		lines := len(got.Lines)
		for _, l := range got.Lines {
			lines += len(l.Children)
		}
		if lines != len(printed.Items) {
			t.Fatalf("%d lines, printed are %d", lines, len(printed.Items))
		}
		want, ok := new(big.Rat).SetString(printed.Grand.String())
		have, _ := new(big.Rat).SetString(string(got.GrandTotal))
		if ok && strings.Count(strings.ToLower(body), "grand") == 1 && (have == nil || have.Cmp(want) != 0) {
			t.Fatalf("grand_total %q, printed is %q", got.GrandTotal, printed.Grand)
		}
	})
}
