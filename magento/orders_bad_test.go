package magento_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// TestOrder_Loose reads what PHP prints where a type is loose.
func TestOrder_Loose(t *testing.T) {
	t.Parallel()
	base := magento.Order{ID: 1}
	with := func(change func(*magento.Order)) magento.Order {
		o := base
		change(&o)
		return o
	}
	tests := []struct {
		name, body string
		want       magento.Order
	}{
		{"bare", ``, base},
		{"nulls", `,"customer_id":null,"grand_total":null,"items":null,"billing_address":null,"payment":null,"extension_attributes":null,"store_id":null`, base},
		{"empty arrays for objects", `,"billing_address":[],"payment":[ ],"extension_attributes":[]`, base},
		{"no lines", `,"items":[]`, with(func(o *magento.Order) { o.Lines, o.LinesKnown = []magento.Line{}, true })},
		{"texts for numbers", `,"customer_id":"7","customer_is_guest":"1","grand_total":"64.8500","weight":"2.0000"`, with(func(o *magento.Order) {
			o.CustomerID, o.Guest, o.GrandTotal, o.Weight = 7, true, "64.85", "2"
		})},
		{"floats", `,"grand_total":21.6138,"discount_amount":-6.99,"shipping_amount":0.0,"tax_amount":1.0e-5,"subtotal":504`, with(func(o *magento.Order) {
			o.GrandTotal, o.Discount, o.Shipping, o.Tax, o.Subtotal = "21.6138", "-6.99", "0", "0.00001", "504"
		})},
		{"assignments with gaps", `,"extension_attributes":{"shipping_assignments":{"0":{"shipping":{"address":{"entity_id":"5","street":"A 1"}}},"2":{}}}`, with(func(o *magento.Order) {
			o.ShippingAddress = &magento.OrderAddress{ID: 5, Street: "A 1"}
		})},
		{"no address in an assignment", `,"extension_attributes":{"shipping_assignments":[{"shipping":{"address":null}}]}`, base},
		{"no assignment", `,"extension_attributes":{"shipping_assignments":[]}`, base},
		{"street", `,"billing_address":{"street":["A 1","2-hoog"]}`, with(func(o *magento.Order) { o.BillingAddress.Street = "A 1\n2-hoog" })},
		{"a child before its parent", `,"items":[{"item_id":3,"parent_item_id":2,"sku":"S-RED","qty_ordered":1,"parent_item":{"item_id":2}},` +
			`{"item_id":2,"sku":"S","product_option":{"extension_attributes":{"configurable_item_options":[{"option_id":"93","option_value":10}]}}}]`, with(func(o *magento.Order) {
			o.LinesKnown = true
			o.Lines = []magento.Line{{
				ID: 2, SKU: "S-RED", Options: []magento.Option{{ID: "93", Value: "10"}},
				Children: []magento.Child{{ID: 3, SKU: "S-RED", Quantity: "1"}},
			}}
		})},
		{"a bundle", `,"items":{"1":{"item_id":2,"sku":"B","product_option":{"extension_attributes":{"bundle_options":[{"option_id":1,"option_qty":1,"option_selections":[4,5]}]}}},` +
			`"2":{"item_id":3,"parent_item_id":2,"sku":"X"},"3":{"item_id":4,"parent_item_id":"2","sku":"Y"}}`, with(func(o *magento.Order) {
			o.LinesKnown = true
			o.Lines = []magento.Line{{
				ID: 2, SKU: "B", Options: []magento.Option{{ID: "1", Value: "4,5"}},
				Children: []magento.Child{{ID: 3, SKU: "X"}, {ID: 4, SKU: "Y"}},
			}}
		})},
		{"a child without its parent", `,"items":[{"item_id":3,"parent_item_id":2,"sku":"X"}]`, with(func(o *magento.Order) {
			o.LinesKnown, o.Lines = true, []magento.Line{{ID: 3, SKU: "X"}}
		})},
		{"custom options", `,"items":[{"item_id":3,"product_option":{"extension_attributes":{"custom_options":[{"option_id":"1","option_value":"Jan"}]}}},{"item_id":4,"product_option":[]}]`, with(func(o *magento.Order) {
			o.LinesKnown, o.Lines = true, []magento.Line{{ID: 3, Options: []magento.Option{{ID: "1", Value: "Jan"}}}, {ID: 4}}
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := client(t, always(http.StatusOK, `{"entity_id":1`+tt.body+`}`)).Order(t.Context(), 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestOrders_OneBad shows that an order which cannot be read does not spoil its page.
func TestOrders_OneBad(t *testing.T) {
	t.Parallel()
	body := `{"items":[{"entity_id":1,"updated_at":"2026-01-01 00:00:00"},{"entity_id":2,"updated_at":"2026-01-01 00:00:01","grand_total":"much"},` +
		`{"entity_id":3,"updated_at":"2026-01-01 00:00:02","items":[{"item_id":[]}]},{"entity_id":4,"updated_at":"2026-01-01 00:00:03"}],"total_count":4}`
	pages, err := walkOrders(t.Context(), client(t, always(http.StatusOK, body)), magento.Query{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, item := range pages[0].Items {
		bad := i == 1 || i == 2
		e, ok := errors.AsType[*magento.RecordError](item.Err)
		if item.ID != int64(i+1) || ok != bad || bad && (e.Cause != magento.CauseMalformed || e.ID != item.ID) {
			t.Errorf("item %d: %+v", i, item)
		}
	}
}

// TestOrder_Refusals types what a shop says of an order that it does not have.
func TestOrder_Refusals(t *testing.T) {
	t.Parallel()
	shop := magentotest.New(magentotest.Config{Empty: true})
	c := client(t, shop.Transport())
	if _, err := c.Order(t.Context(), 7, nil); !errors.Is(err, magento.ErrNotFound) {
		t.Errorf("error %v", err)
	}
	_, err := client(t, always(http.StatusOK, `{"entity_id":8}`)).Order(t.Context(), 7, nil)
	wantClass(t, err, fault.Configuration)
	wantText(t, err, "asked for order 7 the shop sends 8")
	_, err = c.Order(t.Context(), 7, []string{"items[sku]"})
	wantClass(t, err, fault.Configuration)
	shop.Switch(func(s *magentotest.Switches) { s.Denied = []string{"Magento_Sales::actions_view"} })
	_, err = walkOrders(t.Context(), c, magento.Query{}, 1)
	wantClass(t, err, fault.Credentials)
	wantText(t, err, "Magento_Sales::actions_view")
}
