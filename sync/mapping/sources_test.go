package mapping_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// sections writes a mapping whose sections have their keys and the given fields.
func sections(profile, orders, items string) string {
	return "version: 1\n" +
		"profile:\n  key: customer_id\n" +
		"  consent: {name: newsletter, type: text, length: 50, in: yes please, out: no thanks}\n" +
		"  fields:\n    - {name: customer_id, type: text, length: 64, index: true, from: key}\n" + profile +
		"orders:\n  collection: Orders\n  key: order_id\n" +
		"  fields:\n    - {name: order_id, type: text, length: 64, index: true, from: key}\n" + orders +
		"items:\n  collection: Orders_Items\n  key: item_id\n" +
		"  fields:\n    - {name: item_id, type: text, length: 64, index: true, from: key}\n" + items
}

func mappingOf(t *testing.T, yaml string) *mapping.Mapping {
	t.Helper()
	file, err := mapping.Parse([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	m, err := file.Compile(mapping.Options{Shop: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sourceCase is what a source says of jan, of his order, or of its line.
type sourceCase struct {
	kind mapping.Type
	want string
	none string   // of a record that tells nothing
	ask  []string // paths of a mapping that names it, beyond what every mapping asks for
}

func text(want string, ask ...string) sourceCase {
	return sourceCase{mapping.Text, want, "", ask}
}

func float(want string, ask ...string) sourceCase {
	return sourceCase{mapping.Float, want, "0", ask}
}

func integer(want string, ask ...string) sourceCase {
	return sourceCase{mapping.Integer, want, "0", ask}
}

func datetime(want string, ask ...string) sourceCase {
	return sourceCase{mapping.DateTime, want, "0000-00-00 00:00:00", ask}
}

var orderCases = map[string]sourceCase{
	"entity_id":            integer("456"),
	"increment_id":         text("000000012"),
	"cart":                 text("shop-q33", "quote_id"),
	"quote_id":             integer("33", "quote_id"),
	"state":                text("processing", "state"),
	"status":               text("picking", "status"),
	"store_view":           text(thisView),
	"created_at":           datetime("2026-07-01 22:30:00", "created_at"),
	"is_virtual":           integer("1", "is_virtual"),
	"total_qty_ordered":    float("3", "total_qty_ordered"),
	"weight":               float("1.25", "weight"),
	"order_currency_code":  text("USD", "order_currency_code"),
	"subtotal":             float("100.5", "subtotal"),
	"discount_amount":      float("-6.99", "discount_amount"),
	"shipping_amount":      float("5", "shipping_amount"),
	"tax_amount":           float("21.105", "tax_amount"),
	"grand_total":          float("119.615", "grand_total"),
	"total_paid":           float("19.6", "total_paid"),
	"total_due":            float("100.015", "total_due"),
	"total_refunded":       float("1.2", "total_refunded"),
	"total_canceled":       float("0.4", "total_canceled"),
	"base_currency_code":   text("EUR", "base_currency_code"),
	"base_grand_total":     float("110.4", "base_grand_total"),
	"coupon_code":          text("WELCOME", "coupon_code"),
	"remote_ip":            text("192.0.2.1", "remote_ip"),
	"shipping_description": text("Flat Rate - Fixed", "shipping_description"),
	"payment_method":       text("checkmo", "payment.method"),
	"payment":              text("Check / Money order", "extension_attributes.payment_additional_info", "payment.method"),
	"shipping_address":     text("shop-oa911", "extension_attributes.shipping_assignments.shipping.address.entity_id"),
	"billing_address":      text("shop-oa912", "billing_address.entity_id"),
}

var itemCases = map[string]sourceCase{
	"order":               {mapping.Text, "shop-o456", "shop-o0", nil},
	"increment_id":        text("000000012"),
	"order_currency_code": text("USD", "order_currency_code"),
	"store_view":          text(thisView),
	"item_id":             integer("789"),
	"product_id":          integer("77", "items.product_id"),
	"product_type":        text("configurable", "items.product_type"),
	"name":                text("Shirt", "items.name"),
	"sku":                 text("SHIRT-M", "items.sku"),
	"is_virtual":          integer("1", "items.is_virtual"),
	"weight":              float("0.5", "items.weight"),
	"qty_ordered":         float("2", "items.qty_ordered"),
	"qty_invoiced":        float("1.5", "items.qty_invoiced"),
	"qty_shipped":         float("1", "items.qty_shipped"),
	"qty_refunded":        float("0.5", "items.qty_refunded"),
	"qty_canceled":        float("0.25", "items.qty_canceled"),
	"price":               float("34.5", "items.price"),
	"price_incl_tax":      float("41.745", "items.price_incl_tax"),
	"row_total":           float("69", "items.row_total"),
	"row_total_incl_tax":  float("83.49", "items.row_total_incl_tax"),
	"discount_amount":     float("3.5", "items.discount_amount"),
	"tax_amount":          float("14.49", "items.tax_amount"),
	"created_at":          datetime("2026-01-01 23:00:00", "items.created_at"),
	"options":             text("93: 10\n12: 4,5", "items.product_option"),
	"status":              {mapping.Text, "ordered", "ordered", []string{"items.qty_canceled", "items.qty_ordered", "items.qty_refunded"}},
}

// guestCases are the sources of profiles as a guest's order tells them.
var guestCases = map[string]sourceCase{
	"email":       {mapping.Text, "jan+shop@example.test", "a@example.test", nil}, // an order of no e-mail has no guest
	"prefix":      text("Dhr.", "customer_prefix"),
	"firstname":   text("Jan", "billing_address.firstname", "billing_address.lastname", "customer_firstname", "customer_lastname"),
	"middlename":  text("van der", "customer_middlename"),
	"lastname":    text("Vries", "billing_address.firstname", "billing_address.lastname", "customer_firstname", "customer_lastname"),
	"suffix":      text("Jr.", "customer_suffix"),
	"gender":      text("1", "customer_gender"),
	"dob":         {mapping.Date, "1980-01-15", "0000-00-00", []string{"customer_dob"}},
	"taxvat":      text("NL001", "customer_taxvat"),
	"created_in":  text(""),
	"created_at":  datetime("0000-00-00 00:00:00"),
	"group":       {mapping.Text, "NOT LOGGED IN", "NOT LOGGED IN", []string{"customer_group_id"}},
	"store_view":  text(thisView),
	"attribute.x": text(""),
}

var customerCases = map[string]sourceCase{
	"email":       text("jan+shop@example.test"),
	"prefix":      text("Dhr.", "prefix"),
	"firstname":   text("Jan", "firstname"),
	"middlename":  text("van der", "middlename"),
	"lastname":    text("Vries", "lastname"),
	"suffix":      text("Jr.", "suffix"),
	"gender":      text("1", "gender"),
	"dob":         {mapping.Date, "1980-01-15", "0000-00-00", []string{"dob"}},
	"taxvat":      text("NL001", "taxvat"),
	"created_in":  text("Default Store View", "created_in"),
	"created_at":  datetime("2026-07-01 22:30:00", "created_at"),
	"group":       {mapping.Text, "General", "NOT LOGGED IN", nil},
	"store_view":  text(thisView),
	"attribute.x": text("blue", "custom_attributes"),
}

func TestEverySource(t *testing.T) {
	t.Parallel()
	order, empty := jansOrder(), magento.Order{Lines: []magento.Line{{}}}
	guest, emptyGuest := guestOrder(), magento.Order{Guest: true, Email: "a@example.test"}
	c := jan()
	c.Prefix, c.Suffix, c.TaxVAT, c.CreatedIn, c.Attributes = "Dhr.", "Jr.", "NL001", "Default Store View", map[string]string{"x": "blue"}
	emptyCustomer := magento.Customer{StoreID: 8}

	rows := func(t *testing.T, m *mapping.Mapping, o *magento.Order) mapping.Placed {
		p, err := m.Order(o, lookups())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, of := range []struct {
		what  string
		at    int // the section, of three
		cases map[string]sourceCase
		full  func(*testing.T, *mapping.Mapping) *mapping.Row
		empty func(*testing.T, *mapping.Mapping) *mapping.Row
		paths func(*mapping.Mapping) []string
	}{
		{
			"an order", 1, orderCases,
			func(t *testing.T, m *mapping.Mapping) *mapping.Row { p := rows(t, m, &order); return &p.Order },
			func(t *testing.T, m *mapping.Mapping) *mapping.Row { p := rows(t, m, &empty); return &p.Order },
			(*mapping.Mapping).OrderPaths,
		},
		{
			"a line", 2, itemCases,
			func(t *testing.T, m *mapping.Mapping) *mapping.Row { return &rows(t, m, &order).Items[0] },
			func(t *testing.T, m *mapping.Mapping) *mapping.Row { return &rows(t, m, &empty).Items[0] },
			(*mapping.Mapping).OrderPaths,
		},
		{
			"a guest", 0, guestCases,
			func(t *testing.T, m *mapping.Mapping) *mapping.Row { return rows(t, m, &guest).Owner.Guest },
			func(t *testing.T, m *mapping.Mapping) *mapping.Row { return rows(t, m, &emptyGuest).Owner.Guest },
			(*mapping.Mapping).OrderPaths,
		},
		{
			"a customer", 0, customerCases,
			func(_ *testing.T, m *mapping.Mapping) *mapping.Row { r, _ := m.Customer(&c, lookups()); return &r },
			func(_ *testing.T, m *mapping.Mapping) *mapping.Row {
				r, _ := m.Customer(&emptyCustomer, lookups())
				return &r
			},
			(*mapping.Mapping).Paths,
		},
	} {
		t.Run(of.what, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(knownSources(t, of.at), slices.Sorted(maps.Keys(of.cases))); diff != "" {
				t.Errorf("sources under test (-known +tested):\n%s", diff)
			}
			always := of.paths(mappingOf(t, sections("", "", "")))
			for from, tc := range of.cases {
				var part [3]string
				part[of.at] = fmt.Sprintf("    - {name: value, type: %s, length: 250, from: %s}\n", tc.kind, from)
				m := mappingOf(t, sections(part[0], part[1], part[2]))
				if got := of.full(t, m).Body(true, false)["value"]; got != tc.want {
					t.Errorf("%s is %q, want %q", from, got, tc.want)
				}
				if got := of.empty(t, m).Body(true, false)["value"]; got != tc.none {
					t.Errorf("%s of nothing is %q, want %q", from, got, tc.none)
				}
				want := slices.Concat(always, tc.ask)
				slices.Sort(want)
				if diff := cmp.Diff(slices.Compact(want), of.paths(m)); diff != "" {
					t.Errorf("%s asks for (-want +got):\n%s", from, diff)
				}
			}
		})
	}
}

// knownSources are the sources that Parse names, without key and with an attribute.
func knownSources(t *testing.T, at int) []string {
	t.Helper()
	var part [3]string
	part[at] = "    - {name: a, type: text, length: 5, from: nowhere}\n"
	_, err := mapping.Parse([]byte(sections(part[0], part[1], part[2])))
	if err == nil {
		t.Fatal("an unknown source was taken")
	}
	_, list, ok := strings.Cut(err.Error(), "known are ")
	if !ok {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`[a-zA-Z_.]+`).FindAllString(list, -1)
	names = slices.DeleteFunc(names, func(n string) bool { return n == "key" || n == "and" })
	for i, n := range names {
		names[i] = strings.Replace(n, "attribute.CODE", "attribute.x", 1)
	}
	slices.Sort(names)
	return names
}

func TestFormsOfNumbers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind         mapping.Type
		amount, want string
	}{
		{mapping.Float, "0.10", "0.1"},
		{mapping.Float, "-0", "0"},
		{mapping.Float, "-0.000", "0"},
		{mapping.Float, "", "0"},
		{mapping.Float, "504", "504"},
		{mapping.Float, "500", "500"},
		{mapping.Float, "00", "0"},
		{mapping.Float, "-6.99", "-6.99"},
		{mapping.Float, "-06.990", "-6.99"},
		{mapping.Float, "0.30000000000000004", "0.30000000000000004"},
		{mapping.Float, "99999999999999999999.9999", "99999999999999999999.9999"},
		{mapping.Float, "1e3", "1000"},
		{mapping.Float, "1.5E-2", "0.015"},
		{mapping.Float, "five", "0"},
		{mapping.Float, "NaN", "0"},
		{mapping.Float, "1.2.3", "0"},
		{mapping.Text, "0.10", "0.1"},
		{mapping.Text, "", ""},
		{mapping.Big, "12345678901234567890.5", "12345678901234567890.5"},
	} {
		m := mappingOf(t, sections("", fmt.Sprintf("    - {name: total, type: %s, length: 50, from: grand_total}\n", tc.kind), ""))
		o := jansOrder()
		o.GrandTotal = magento.Decimal(tc.amount)
		p, err := m.Order(&o, lookups())
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Order.Body(true, false)["total"]; got != tc.want {
			t.Errorf("%q in a field of type %s is %q, want %q", tc.amount, tc.kind, got, tc.want)
		}
	}
	// A number that is a text in the shop.
	for value, want := range map[string]string{"0.10": "0.1", ".5": "0.5", "+5": "5", "12345678901234567890.5": "12345678901234567890.5", "Inf": "0", "": "0"} {
		m := mappingOf(t, sections("    - {name: score, type: float, from: attribute.score}\n", "", ""))
		c := jan()
		c.Attributes = map[string]string{"score": value}
		r, err := m.Customer(&c, lookups())
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Body(true, false)["score"]; got != want {
			t.Errorf("attribute %q is %q, want %q", value, got, want)
		}
	}
}

func TestWordsForWhatTheShopStores(t *testing.T) {
	t.Parallel()
	m := mappingOf(t, sections("",
		"    - {name: kind, type: text, length: 9, from: is_virtual, values: {\"0\": goods, \"1\": service}}\n"+
			"    - {name: paid, type: text, length: 9, from: total_due, values: {\"0\": \"yes\"}}\n",
		"    - {name: kind, type: text, length: 9, from: status, values: {ordered: open}}\n"))
	o := jansOrder()
	p, err := m.Order(&o, lookups())
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Order.Body(true, false); got["kind"] != "service" || got["paid"] != "" {
		t.Errorf("order %v", got)
	}
	if got := p.Items[0].Body(true, false)["kind"]; got != "open" {
		t.Errorf("item %q", got)
	}
	o.Virtual, o.Due = false, "0.00"
	if p, _ = m.Order(&o, lookups()); p.Order.Body(true, false)["kind"] != "goods" || p.Order.Body(true, false)["paid"] != "yes" {
		t.Errorf("order %v", p.Order.Body(true, false))
	}
}

func TestWhatIsRequiredOfAGuest(t *testing.T) {
	t.Parallel()
	m := mappingOf(t, sections(
		"    - {name: colour, type: text, length: 9, from: attribute.colour, required: true, values: {red: rood}}\n"+
			"    - {name: lastname, type: text, length: 9, from: lastname, required: true}\n", "", ""))
	o := guestOrder()
	if p, err := m.Order(&o, lookups()); err != nil || p.Owner.Key == "" {
		t.Errorf("what an order never tells was asked of it: %v", err)
	}
	o.FirstName, o.LastName, o.BillingAddress.LastName = "", "", " "
	_, err := m.Order(&o, lookups())
	var e *mapping.RecordError
	if !asRecord(err, &e) || e.Cause != "lastname_empty" || e.Field != "lastname" {
		t.Errorf("got %v", err)
	}
	o.FirstName, o.Email = "Jan", ""
	p, err := m.Order(&o, lookups())
	if !asRecord(err, &e) || e.Cause != "email_empty" || e.Field != "email" || p.Owner.Key != "" || p.Owner.Guest == nil {
		t.Errorf("a mapping without e-mail: got %v and %+v", err, p.Owner)
	}
}

func TestOfSeveralMistakesTheFirstIsTold(t *testing.T) {
	t.Parallel()
	m := mappingOf(t, sections(
		"    - {name: first, type: text, length: 9, from: firstname, required: true}\n"+
			"    - {name: last, type: text, length: 2, from: lastname, required: true}\n", "", ""))
	c := jan()
	c.FirstName = ""
	row, err := m.Customer(&c, lookups())
	var e *mapping.RecordError
	if !asRecord(err, &e) || e.Cause != "firstname_empty" || e.Field != "first" || e.Table != mapping.Profiles || !strings.HasPrefix(e.Error(), "customer 1: firstname empty: ") {
		t.Errorf("got %v", err)
	}
	if row.Body(true, false)["last"] != "Vr" {
		t.Errorf("what is refused is not complete: %v", row.Body(true, false))
	}
}
