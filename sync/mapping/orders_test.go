package mapping_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/fault"
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

func TestAGuestsOrderMakesTheirProfile(t *testing.T) {
	t.Parallel()
	o := guestOrder()
	p := place(t, o)
	const key = "shop-w1-g63fc07f31db1239639340c57538ac572"
	g := p.Owner.Guest
	if p.Owner.Key != key || p.Owner.Customer != 0 || g == nil {
		t.Fatalf("owner %+v", p.Owner)
	}
	want := map[string]string{
		"customer_id": key, "email": "jan+shop@example.test", "firstname": "Jan", "middlename": "van der", "lastname": "Vries",
		"gender": "Male", "group": "NOT LOGGED IN", "birthdate": "1980-01-15", "registrationDate": "0000-00-00 00:00:00", "storeView": thisView,
	}
	if diff := cmp.Diff(want, g.Body(true, true)); diff != "" {
		t.Errorf("profile (-want +got):\n%s", diff)
	}
	if g.Table() != mapping.Profiles || !g.Shared || g.Key != key || g.SourceID != 456 || !g.UpdatedAt.Equal(o.UpdatedAt) || g.Website != 1 || g.Email != o.Email {
		t.Errorf("row %+v", g)
	}
}

func TestOnlyACustomersProfileHasConsent(t *testing.T) {
	t.Parallel()
	c := jan()
	customer, err := compiled(t).Customer(&c, lookups())
	if err != nil {
		t.Fatal(err)
	}
	p := place(t, guestOrder())
	for _, r := range []*mapping.Row{&customer, p.Owner.Guest, &p.Order, &p.Items[0]} {
		want := r == &customer
		if r.HasConsent() != want || (len(r.Body(false, true)) == 1) != want || (r.ConsentValue() != "") != want {
			t.Errorf("%s: consent %v %v %q", r.Key, r.HasConsent(), r.Body(false, true), r.ConsentValue())
		}
		for _, s := range r.Sides(nil) {
			if s.Consent && !want {
				t.Errorf("%s: side %+v", r.Key, s)
			}
		}
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

func TestPromise17_OwnersOfOrders(t *testing.T) {
	t.Parallel()
	const guest = "shop-w1-g63fc07f31db1239639340c57538ac572"
	for _, tc := range []struct {
		name     string
		change   func(*magento.Order)
		key      string
		customer int64
		guest    bool
		cause    string
	}{
		{"a customer's", func(o *magento.Order) { o.Guest, o.CustomerID = false, 12 }, "shop-c12", 12, false, ""},
		{"of an account that was deleted", func(o *magento.Order) { o.Guest = false }, "", 0, false, ""},
		{"of a deleted account without an e-mail", func(o *magento.Order) { o.Guest, o.Email = false, "" }, "", 0, false, ""},
		{"a guest's", func(*magento.Order) {}, guest, 0, true, ""},
		{"a guest's, though it names a customer", func(o *magento.Order) { o.CustomerID = 12 }, guest, 0, true, ""},
		{"in capitals and with blanks it is the same guest", func(o *magento.Order) { o.Email = " Jan+Shop@EXAMPLE.test\t" }, guest, 0, true, ""},
		{"on another website it is another", func(o *magento.Order) { o.StoreID = 4 }, "shop-w2" + guest[len("shop-w1"):], 0, true, ""},
		{"on a store view that is gone", func(o *magento.Order) { o.StoreID = 0 }, "shop-w0" + guest[len("shop-w1"):], 0, true, ""},
		{"without an e-mail", func(o *magento.Order) { o.Email = "" }, "", 0, true, "email_empty"},
		{"with a blank e-mail", func(o *magento.Order) { o.Email = " \t" }, "", 0, true, "email_empty"},
		{"an e-mail of 160 characters", func(o *magento.Order) { o.Email = strings.Repeat("é", 160) }, compiled(t).GuestKey(1, strings.Repeat("é", 160)), 0, true, ""},
		{"an e-mail of 161", func(o *magento.Order) { o.Email = strings.Repeat("é", 161) }, compiled(t).GuestKey(1, strings.Repeat("é", 161)), 0, true, "email_too_long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := guestOrder()
			tc.change(&o)
			p, err := compiled(t).Order(&o, lookups())
			if p.Owner.Key != tc.key || p.Owner.Customer != tc.customer || (p.Owner.Guest != nil) != tc.guest {
				t.Errorf("owner %+v", p.Owner)
			}
			if g := p.Owner.Guest; g != nil && (g.Key != tc.key || g.Email != o.Email || g.Body(true, false)["email"] != shortened(o.Email)) {
				t.Errorf("guest %+v", g)
			}
			if p.Order.Key != "shop-o456" || len(p.Items) != 1 || p.Items[0].Key != "shop-i789" {
				t.Errorf("rows %s and %+v", p.Order.Key, p.Items)
			}
			if tc.cause == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *mapping.RecordError
			if !asRecord(err, &e) || e.Cause != tc.cause || e.ID != 456 || e.Table != mapping.Orders || e.Field != "email" || fault.ClassOf(err) != fault.Record {
				t.Fatalf("got %#v", err)
			}
			if !strings.HasPrefix(e.Error(), "order 456: ") || !strings.Contains(e.Fix, "Magento's admin") || strings.Contains(e.Error(), "é") {
				t.Errorf("words: %s", e)
			}
		})
	}
}

func shortened(s string) string {
	if r := []rune(s); len(r) > 160 {
		return string(r[:160])
	}
	return s
}

func TestNamesOfAGuest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ first, middle, last, want string }{
		"the order's":                     {"Jan", "van der", "Vries", "Jan|van der|Vries"},
		"first name alone":                {"Jan", "", "", "Jan||"},
		"last name alone":                 {"", "", "Vries", "||Vries"},
		"none: who is billed":             {"", "", "", "Johan||de Vries"},
		"none but between: who is billed": {"", "van", "", "Johan|van|de Vries"},
	} {
		o := guestOrder()
		o.FirstName, o.MiddleName, o.LastName = tc.first, tc.middle, tc.last
		p := place(t, o)
		b := p.Owner.Guest.Body(true, false)
		if got := b["firstname"] + "|" + b["middlename"] + "|" + b["lastname"]; got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestPromise17_Keys(t *testing.T) {
	t.Parallel()
	m := compiled(t)
	if m.OrderKey(456) != "shop-o456" || m.ItemKey(789) != "shop-i789" || m.CustomerKey(123) != "shop-c123" || m.ProfilePrefix() != "shop-" {
		t.Errorf("%s %s %s %s", m.OrderKey(456), m.ItemKey(789), m.CustomerKey(123), m.ProfilePrefix())
	}
	// printf 'gast@example.test' | sha256sum
	if got := m.GuestKey(2, "Gast@example.test "); got != "shop-w2-g6ac2b5c37e3ac97744da272d49949f02" {
		t.Error(got)
	}
	for key, want := range map[string]int64{
		"shop-c1": 1, "shop-c9223372036854775807": 9223372036854775807,
		"": 0, "shop-c": 0, "shop-c0": 0, "shop-c01": 0, "shop-c-1": 0, "shop-c+1": 0, "shop-c1 ": 0, "shop-c1a": 0, "shop-c9223372036854775808": 0,
		"shop-o1": 0, "shop2-c1": 0, "Shop-c1": 0, m.GuestKey(1, "a@example.test"): 0,
	} {
		if got, ok := m.CustomerID(key); got != want && ok || ok != (want != 0) {
			t.Errorf("%q is customer %d, %v", key, got, ok)
		}
	}
	file, err := mapping.Default()
	if err != nil {
		t.Fatal(err)
	}
	long, err := file.Compile(mapping.Options{Shop: "abcdefghijkl"})
	if err != nil {
		t.Fatal(err)
	}
	const most = 1<<63 - 1
	for _, key := range []string{long.CustomerKey(most), long.OrderKey(most), long.ItemKey(most)} {
		if len(key) > mapping.KeyLength {
			t.Errorf("%s has %d characters", key, len(key))
		}
	}
	if key := long.GuestKey(65535, "a@example.test"); len(key) != mapping.GuestKeyLength {
		t.Errorf("%s has %d characters", key, len(key))
	}
}

func TestLookupsOfOrders(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*magento.Order)
		knows  bool
	}{
		{"a guest's", func(*magento.Order) {}, true},
		{"of a store view that is gone", func(o *magento.Order) { o.StoreID = 0 }, true},
		{"of a store view made since", func(o *magento.Order) { o.StoreID = 9 }, false},
		{"of a guest in a group made since", func(o *magento.Order) { o.CustomerGroupID = 9 }, false},
		{"of a customer in one: the order does not say it", func(o *magento.Order) { o.Guest, o.CustomerID, o.CustomerGroupID = false, 1, 9 }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o, names := guestOrder(), lookups()
			tc.change(&o)
			if got := names.KnowsOrder(&o); got != tc.knows {
				t.Fatalf("known: %v", got)
			}
			names.AcceptOrder(&o)
			if !names.KnowsOrder(&o) {
				t.Error("what was accepted is asked for again")
			}
			if other := guestOrder(); !names.KnowsOrder(&other) {
				t.Error("what was known is not")
			}
			o.StoreID = 10
			if names.KnowsOrder(&o) {
				t.Error("one id that was accepted stands for others")
			}
		})
	}
}

func TestLookupsAcceptWhatStaysUnknown(t *testing.T) {
	t.Parallel()
	c, names := jan(), lookups()
	c.GroupID, c.StoreID = 8, 9
	names.Accept(&c)
	if !names.Knows(&c) {
		t.Error("what was accepted is asked for again")
	}
	row, err := compiled(t).Customer(&c, names)
	if err != nil {
		t.Fatal(err)
	}
	if b := row.Body(true, false); b["group"] != "" || b["storeView"] != "" {
		t.Errorf("names of what is gone: %q, %q", b["group"], b["storeView"])
	}
	for _, change := range []func(*magento.Customer){
		func(c *magento.Customer) { c.GroupID = 9 }, // accepted as a store view
		func(c *magento.Customer) { c.StoreID = 8 }, // accepted as a group
	} {
		other := c
		if change(&other); names.Knows(&other) {
			t.Errorf("group %d, store view %d", other.GroupID, other.StoreID)
		}
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
