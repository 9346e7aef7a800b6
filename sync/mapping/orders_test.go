package mapping_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/sync/mapping"
)

const thisView = "Main Website > Main Website Store > Default Store View"

// jansOrder has everything that an order may tell.
func jansOrder() magento.Order {
	return magento.Order{
		ID: 456, IncrementID: "000000012", StoreID: 1, StoreName: "Main Website\nMain Website Store\nAs it was called then",
		QuoteID: 33, State: "processing", Status: "picking",
		CreatedAt: time.Date(2026, 7, 1, 22, 30, 0, 0, time.UTC), UpdatedAt: time.Date(2026, 11, 21, 23, 0, 0, 0, time.UTC),
		CustomerID: 1, CustomerGroupID: 1, Email: "jan+shop@example.test",
		FirstName: "Jan", MiddleName: "van der", LastName: "Vries", Prefix: "Dhr.", Suffix: "Jr.",
		Gender: "1", BirthDate: "1980-01-15 00:00:00", TaxVAT: "NL001",
		Currency: "USD", Subtotal: "100.5", Discount: "-6.99", Shipping: "5", Tax: "21.105", GrandTotal: "119.615",
		Paid: "19.6", Due: "100.015", Refunded: "1.2", Canceled: "0.4", BaseCurrency: "EUR", BaseGrandTotal: "110.4",
		Quantity: "3", Weight: "1.25", CouponCode: "WELCOME", RemoteIP: "192.0.2.1", ShippingDescription: "Flat Rate - Fixed",
		Virtual:        true,
		Payment:        magento.Payment{Method: "checkmo", Title: "Check / Money order"},
		BillingAddress: magento.OrderAddress{ID: 912, FirstName: "Johan", LastName: "de Vries"}, ShippingAddress: &magento.OrderAddress{ID: 911},
		Lines:      []magento.Line{shirt()},
		LinesKnown: true,
	}
}

// shirt is a configurable product, with its child folded into it.
func shirt() magento.Line {
	return magento.Line{
		ID: 789, ProductID: 77, Type: "configurable", SKU: "SHIRT-M", Name: "Shirt", Virtual: true,
		Quantity: "2", Invoiced: "1.5", Shipped: "1", Refunded: "0.5", Canceled: "0.25",
		Price: "34.5", PriceInclTax: "41.745", RowTotal: "69", RowTotalInclTax: "83.49", Discount: "3.5", Tax: "14.49", Weight: "0.5",
		CreatedAt: time.Date(2026, 1, 1, 23, 0, 0, 0, time.UTC),
		Options:   []magento.Option{{ID: "93", Value: "10"}, {ID: "12", Value: "4,5"}},
		Children:  []magento.Child{{ID: 790, ProductID: 78, SKU: "SHIRT-M", Quantity: "2"}},
	}
}

// guestOrder is jansOrder placed without an account.
func guestOrder() magento.Order {
	o := jansOrder()
	o.Guest, o.CustomerID, o.CustomerGroupID = true, 0, 0
	return o
}

func place(t *testing.T, o magento.Order) mapping.Placed {
	t.Helper()
	p, err := compiled(t).Order(&o, lookups())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAnOrderBecomesARowAndOneForEachLine(t *testing.T) {
	t.Parallel()
	o := jansOrder()
	p := place(t, o)
	want := map[string]string{
		"order_id": "shop-o456", "quote_id": "shop-q33", "incrementId": "000000012", "quantity": "3", "shipping": "5", "total": "119.615",
		"weight": "1.25", "currency": "USD", "status": "picking", "storeView": thisView, "remoteIp": "192.0.2.1",
		"shippingDescription": "Flat Rate - Fixed", "paymentDescription": "Check / Money order",
		"shippingAddressId": "shop-oa911", "billingAddressId": "shop-oa912", "couponCode": "WELCOME",
		"createdAt": "2026-07-02 00:30:00", // Amsterdam, summer time
	}
	if diff := cmp.Diff(want, p.Order.Body(true, true)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	want = map[string]string{
		"item_id": "shop-i789", "order_id": "shop-o456", "productId": "77", "incrementId": "000000012", "name": "Shirt", "sku": "SHIRT-M",
		"weight": "0.5", "quantity": "2", "price": "34.5", "totalPrice": "69", "status": "ordered", "storeView": thisView,
		"options": "93: 10\n12: 4,5", "createdAt": "2026-01-02 00:00:00",
	}
	if len(p.Items) != 1 || !p.ItemsKnown {
		t.Fatalf("%d items, known %v", len(p.Items), p.ItemsKnown)
	}
	if diff := cmp.Diff(want, p.Items[0].Body(true, true)); diff != "" {
		t.Errorf("item (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(mapping.Owner{Key: "shop-c1", Customer: 1}, p.Owner, cmp.AllowUnexported(mapping.Row{})); diff != "" {
		t.Errorf("owner (-want +got):\n%s", diff)
	}
	for _, r := range []mapping.Row{p.Order, p.Items[0]} {
		if r.SourceID != 456 || !r.UpdatedAt.Equal(o.UpdatedAt) || r.Website != 1 || r.Shared || r.Email != "" {
			t.Errorf("row %s: %+v", r.Key, r)
		}
	}
	if p.Order.Table() != mapping.Orders || p.Items[0].Table() != mapping.Items || p.Order.Number != "000000012" || p.Items[0].Number != "" {
		t.Errorf("tables %s and %s, numbers %q and %q", p.Order.Table(), p.Items[0].Table(), p.Order.Number, p.Items[0].Number)
	}
}

func TestOrdersOfAllKinds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*magento.Order)
		table  mapping.Table
		want   map[string]string
	}{
		{"virtual: nothing is sent", func(o *magento.Order) { o.ShippingAddress = nil }, mapping.Orders, map[string]string{"shippingAddressId": ""}},
		{"an address that the shop prints without an id", func(o *magento.Order) {
			o.ShippingAddress, o.BillingAddress = &magento.OrderAddress{}, magento.OrderAddress{}
		}, mapping.Orders, map[string]string{"shippingAddressId": "", "billingAddressId": ""}},
		{"without a cart", func(o *magento.Order) { o.QuoteID = 0 }, mapping.Orders, map[string]string{"quote_id": ""}},
		{"payment without a title", func(o *magento.Order) { o.Payment.Title = "" }, mapping.Orders, map[string]string{"paymentDescription": "checkmo"}},
		{
			"nothing but an id", func(o *magento.Order) { *o = magento.Order{ID: 456} }, mapping.Orders,
			map[string]string{
				"order_id": "shop-o456", "quote_id": "", "incrementId": "", "quantity": "0", "shipping": "0", "total": "0", "weight": "0", "currency": "",
				"status": "", "storeView": "", "remoteIp": "", "shippingDescription": "", "paymentDescription": "", "shippingAddressId": "",
				"billingAddressId": "", "couponCode": "", "createdAt": "0000-00-00 00:00:00",
			},
		},
		{
			"a store view that is gone", func(o *magento.Order) { o.StoreID, o.StoreName = 0, "Main Website\nShoes\nDutch" }, mapping.Orders,
			map[string]string{"storeView": "Main Website > Shoes > Dutch"},
		},
		{
			"a store view without a name today", func(o *magento.Order) { o.StoreID, o.StoreName = 77, "A\nB\nC" }, mapping.Items,
			map[string]string{"storeView": "A > B > C"},
		},
		{
			"amounts below and at zero", func(o *magento.Order) { o.GrandTotal, o.Shipping, o.Weight, o.Quantity = "-6.99", "0", "-0", "0.0000" }, mapping.Orders,
			map[string]string{"total": "-6.99", "shipping": "0", "weight": "0", "quantity": "0"},
		},
		{
			"amounts keep their digits and lose their zeros", func(o *magento.Order) {
				o.GrandTotal, o.Shipping, o.Weight, o.Quantity = "9007199254740993.0001", "0.10", "007.50", "12345678901234567890.1234"
			}, mapping.Orders,
			map[string]string{"total": "9007199254740993.0001", "shipping": "0.1", "weight": "7.5", "quantity": "12345678901234567890.1234"},
		},
		{
			"an amount that is none", func(o *magento.Order) { o.GrandTotal, o.Shipping = "12,5", "-" }, mapping.Orders,
			map[string]string{"total": "0", "shipping": "0"},
		},
		{
			"texts are cut to characters", func(o *magento.Order) {
				o.IncrementID, o.Currency, o.RemoteIP = strings.Repeat("é", 60), strings.Repeat("E", 11), strings.Repeat("1", 51)
				o.CouponCode = strings.Repeat("日", 300)
			}, mapping.Orders,
			map[string]string{
				"incrementId": strings.Repeat("é", 50), "currency": strings.Repeat("E", 10), "remoteIp": strings.Repeat("1", 50),
				"couponCode": strings.Repeat("日", 250),
			},
		},
		{"texts that fill their field stay whole", func(o *magento.Order) { o.Status = strings.Repeat("é", 50) }, mapping.Orders, map[string]string{"status": strings.Repeat("é", 50)}},
		{"bytes that are no text", func(o *magento.Order) { o.Status = "a\xffb" }, mapping.Orders, map[string]string{"status": "a\uFFFDb"}},
		{
			"a bundle keeps its own number", func(o *magento.Order) {
				o.Lines[0] = magento.Line{ID: 5, Type: "bundle", SKU: "SET", Children: []magento.Child{{ID: 6, SKU: "A"}, {ID: 7, SKU: "B"}}}
			}, mapping.Items,
			map[string]string{"item_id": "shop-i5", "sku": "SET", "options": "", "price": "0"},
		},
		{
			"a child whose parent is missing is a line", func(o *magento.Order) { o.Lines = []magento.Line{{ID: 790, Type: "simple", SKU: "SHIRT-M"}} }, mapping.Items,
			map[string]string{"item_id": "shop-i790", "sku": "SHIRT-M", "order_id": "shop-o456"},
		},
		{"options of any length", func(o *magento.Order) {
			o.Lines[0].Options = []magento.Option{{ID: "1", Value: strings.Repeat("x", 5000)}}
		}, mapping.Items, map[string]string{"options": "1: " + strings.Repeat("x", 5000)}},
		{"a product that is gone", func(o *magento.Order) { o.Lines[0].ProductID = 0 }, mapping.Items, map[string]string{"productId": "0"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := jansOrder()
			tc.change(&o)
			p := place(t, o)
			row := &p.Order
			if tc.table == mapping.Items {
				row = &p.Items[0]
			}
			body := row.Body(true, false)
			for field, want := range tc.want {
				if diff := cmp.Diff(want, body[field]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", field, diff)
				}
			}
			if !row.Same(body) {
				t.Error("a row read back as it was sent counts as changed")
			}
		})
	}
}

func TestStatusOfALine(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		ordered, canceled, refunded magento.Decimal
		want                        string
	}{
		{"2", "", "", "ordered"},
		{"2", "0", "0", "ordered"},
		{"2", "1", "0.9999", "ordered"},
		{"2", "2", "0", "canceled"},
		{"2", "3", "", "canceled"},
		{"2", "", "2", "refunded"},
		{"2", "1", "1", "refunded"},
		{"2", "1.9999", "0.0001", "refunded"},
		{"0", "1", "", "ordered"},
		{"", "", "1", "ordered"},
		{"-1", "1", "1", "ordered"},
		{"0.3", "0.1", "0.2", "refunded"},
	} {
		o := jansOrder()
		o.Lines[0].Quantity, o.Lines[0].Canceled, o.Lines[0].Refunded = tc.ordered, tc.canceled, tc.refunded
		p := place(t, o)
		if got := p.Items[0].Body(true, false)["status"]; got != tc.want {
			t.Errorf("of %q: %q canceled and %q refunded are %s, want %s", tc.ordered, tc.canceled, tc.refunded, got, tc.want)
		}
	}
}

func TestLinesThatTheShopDidNotPrint(t *testing.T) {
	t.Parallel()
	o := jansOrder()
	o.Lines, o.LinesKnown = nil, false
	if p := place(t, o); p.ItemsKnown || len(p.Items) != 0 || p.Order.Key == "" {
		t.Errorf("unknown lines: %+v", p)
	}
	o.Lines, o.LinesKnown = []magento.Line{}, true
	if p := place(t, o); !p.ItemsKnown || len(p.Items) != 0 {
		t.Errorf("no lines: %+v", p)
	}
}

func TestOrderPathsAskForWhatTheMappingNeeds(t *testing.T) {
	t.Parallel()
	want := []string{
		"billing_address.entity_id", "billing_address.firstname", "billing_address.lastname", "coupon_code", "created_at",
		"customer_dob", "customer_email", "customer_firstname", "customer_gender", "customer_group_id", "customer_lastname", "customer_middlename",
		"extension_attributes.payment_additional_info", "extension_attributes.shipping_assignments.shipping.address.entity_id",
		"grand_total", "increment_id",
		"items.created_at", "items.item_id", "items.name", "items.price", "items.product_id", "items.product_option", "items.qty_canceled",
		"items.qty_ordered", "items.qty_refunded", "items.row_total", "items.sku", "items.weight",
		"order_currency_code", "payment.method", "quote_id", "remote_ip", "shipping_amount", "shipping_description", "status", "store_id", "store_name",
		"total_qty_ordered", "weight",
	}
	if diff := cmp.Diff(want, compiled(t).OrderPaths()); diff != "" {
		t.Error(diff)
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	m := compiled(t)
	var got []string
	for _, table := range m.Tables() {
		got = append(got, fmt.Sprintf("%s %q %s", table, m.Collection(table), m.KeyFieldOf(table)))
	}
	if diff := cmp.Diff([]string{`profile "" customer_id`, `order "Orders" order_id`, `item "Orders_Items" item_id`}, got); diff != "" {
		t.Error(diff)
	}
	if m.GoneLines() != mapping.GoneRemove {
		t.Errorf("a line that is gone: %s", m.GoneLines())
	}
}

// BenchmarkOrder maps an order of three lines and lists its content, as the engine
// does to hash it.
func BenchmarkOrder(b *testing.B) {
	m, names := compiled(b), lookups()
	for name, o := range map[string]magento.Order{"customer": jansOrder(), "guest": guestOrder()} {
		o.Lines = []magento.Line{shirt(), shirt(), shirt()}
		for i := range o.Lines {
			o.Lines[i].Refunded, o.Lines[i].Canceled = "0", "0"
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p, err := m.Order(&o, names)
				if err != nil {
					b.Fatal(err)
				}
				p.Order.Content()
				for i := range p.Items {
					p.Items[i].Content()
				}
				if p.Owner.Guest != nil {
					p.Owner.Guest.Content()
				}
			}
		})
	}
}
