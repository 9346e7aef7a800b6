package magento_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/recording"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// orderFields are the paths of an Order that a mapping of orders would ask for.
func orderFields() []string {
	return []string{
		"increment_id", "store_id", "store_name", "quote_id", "status", "created_at", "customer_email", "customer_firstname", "customer_middlename",
		"customer_lastname", "customer_group_id", "customer_gender", "customer_dob", "order_currency_code", "grand_total", "shipping_amount",
		"total_qty_ordered", "weight", "coupon_code", "remote_ip", "shipping_description",
		"items.sku", "items.name", "items.product_id", "items.price", "items.row_total", "items.qty_ordered", "items.qty_canceled", "items.qty_refunded",
		"items.weight", "items.created_at", "items.product_option",
		"billing_address.entity_id", "billing_address.firstname", "billing_address.lastname", "payment.method",
		"extension_attributes.shipping_assignments.shipping.address.entity_id", "extension_attributes.payment_additional_info",
	}
}

// walkOrders is walkPages for orders.
func walkOrders(ctx context.Context, c *magento.Client, q magento.Query, n int) (pages []*magento.Page[magento.Order], err error) {
	if q.Before.IsZero() {
		q.Before = horizon
	}
	for page, err := range c.Orders(ctx, q) {
		if err != nil {
			return pages, err
		}
		if pages = append(pages, page); len(pages) == n {
			break
		}
	}
	return pages, nil
}

// ordersOutcome is what the client makes of a recorded page, and of each order in it.
func ordersOutcome(query string) func(*testing.T, recording.Exchange) string {
	return func(t *testing.T, e recording.Exchange) string {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		size, _ := strconv.Atoi(values.Get("searchCriteria[pageSize]"))
		text := ordersSingly(t, e)
		c := client(t, replay(e), credentials(e), func(cfg *magento.Config) { cfg.PageSize = max(0, size) })
		pages, err := walkOrders(t.Context(), c, magento.Query{}, 1)
		if err != nil {
			return failed("page", err) + text
		}
		return fmt.Sprintf("  page: %d of %d, last %v\n", len(pages[0].Items), pages[0].Total, pages[0].Last) + text
	}
}

// ordersSingly decodes each printed order by itself, where it says which one it is.
func ordersSingly(t *testing.T, e recording.Exchange) (text string) {
	t.Helper()
	var printed struct {
		Items []json.RawMessage `json:"items"`
	}
	if json.Unmarshal(e.Body, &printed) != nil {
		return ""
	}
	for _, raw := range printed.Items {
		var row struct {
			ID int64 `json:"entity_id"`
		}
		if err := json.Unmarshal(raw, &row); err != nil {
			t.Fatal(err)
		}
		got, err := client(t, always(http.StatusOK, string(raw))).Order(t.Context(), row.ID, nil)
		if err != nil && row.ID != 0 {
			t.Errorf("%s: %v", e.Name, err)
		}
		text += filledIn("order", got)
	}
	return text
}

func orderOutcome(id string) func(*testing.T, recording.Exchange) string {
	return func(t *testing.T, e recording.Exchange) string {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		got, err := client(t, replay(e), credentials(e)).Order(t.Context(), n, nil)
		if err != nil {
			return failed("order", err)
		}
		return filledIn("order", got)
	}
}

// filledIn prints what is not empty of a struct, a line for each struct in it.
func filledIn(name string, value any) string {
	v := reflect.ValueOf(value)
	line, below := "  "+name+":", ""
	for i := range v.NumField() {
		field, f := v.Type().Field(i).Name, v.Field(i)
		switch {
		case f.IsZero():
		case f.Kind() == reflect.Pointer:
			below += filledIn(name+"."+field, f.Elem().Interface())
		case f.Type() == reflect.TypeFor[time.Time]():
			line += fmt.Sprintf(" %s=%s", field, f.Interface().(time.Time).Format("2006-01-02T15:04:05"))
		case f.Kind() == reflect.Struct:
			below += filledIn(name+"."+field, f.Interface())
		case f.Kind() == reflect.Slice:
			for n := range f.Len() {
				below += filledIn(fmt.Sprintf("%s.%s[%d]", name, field, n), f.Index(n).Interface())
			}
		case f.Kind() == reflect.String:
			line += fmt.Sprintf(" %s=%q", field, f.String())
		default:
			line += fmt.Sprintf(" %s=%v", field, f.Interface())
		}
	}
	return line + "\n" + below
}

// TestOrders_WholeShop shows that a walk brings every order of a shop, each once and as
// it is, whole and narrowed, at any page size.
func TestOrders_WholeShop(t *testing.T) {
	t.Parallel()
	now := func() time.Time { return time.Date(2026, 7, 20, 12, 0, 0, 0, time.UTC) }
	shop := magentotest.New(magentotest.Config{Seed: 3, Customers: 200, Orders: 1200, Now: now})
	all := shop.Data().Orders
	slices.SortFunc(all, func(a, b magentotest.Order) int {
		if c := a.UpdatedAt.Compare(b.UpdatedAt); c != 0 {
			return c
		}
		return int(a.ID - b.ID)
	})
	for name, q := range map[string]magento.Query{"whole": {}, "narrow": {Fields: orderFields()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pages, err := walkOrders(t.Context(), client(t, shop.Transport()), q, math.MaxInt)
			if err != nil {
				t.Fatal(err)
			}
			seen := 0
			for _, page := range pages {
				if page.Size > 100 {
					t.Errorf("a page of %d", page.Size)
				}
				for _, item := range page.Items {
					if item.Err != nil {
						t.Fatal(item.Err)
					}
					sameOrder(t, all[seen], item.Value)
					seen++
				}
			}
			if seen != len(all) {
				t.Errorf("%d orders, want %d", seen, len(all))
			}
		})
	}
	o := all[7]
	got, err := client(t, shop.Transport()).Order(t.Context(), o.ID, orderFields())
	if err != nil {
		t.Fatal(err)
	}
	sameOrder(t, o, got)
}

// sameOrder compares an order with what the shop holds, in the fields of orderFields.
func sameOrder(t *testing.T, want magentotest.Order, got magento.Order) {
	t.Helper()
	type line struct {
		ID                                     int64
		SKU, Name, Price, Total, Quantity, Lot string
		Options, Children                      int
	}
	decimal := func(s string) string {
		if s == "" {
			return "0"
		}
		return s
	}
	var wantLines, gotLines []line
	for _, l := range want.Lines {
		if l.ParentID != 0 {
			wantLines[len(wantLines)-1].Children++
			continue
		}
		wantLines = append(wantLines, line{
			ID: l.ID, SKU: l.SKU, Name: l.Name, Price: decimal(l.Price), Total: decimal(l.RowTotal), Quantity: l.Ordered,
			Lot: decimal(l.Canceled) + decimal(l.Refunded), Options: len(l.Options),
		})
	}
	for _, l := range got.Lines {
		gotLines = append(gotLines, line{
			ID: l.ID, SKU: l.SKU, Name: l.Name, Price: string(l.Price), Total: string(l.RowTotal), Quantity: string(l.Quantity),
			Lot: string(l.Canceled + l.Refunded), Options: len(l.Options), Children: len(l.Children),
		})
	}
	shipping := int64(0)
	if want.Shipping != nil {
		shipping = want.Shipping.ID
	}
	gotShipping := int64(0)
	if got.ShippingAddress != nil {
		gotShipping = got.ShippingAddress.ID
	}
	for _, pair := range [][2]any{
		{want.ID, got.ID},
		{want.UpdatedAt, got.UpdatedAt},
		{want.CreatedAt, got.CreatedAt},
		{want.CustomerID, got.CustomerID},
		{want.Guest, got.Guest},
		{!want.Guest && want.CustomerID == 0, got.Ownerless()},
		{want.Email, got.Email},
		{want.FirstName + want.MiddleName + want.LastName + want.DOB, got.FirstName + got.MiddleName + got.LastName + got.BirthDate},
		{want.StoreName, got.StoreName},
		{want.IncrementID, got.IncrementID},
		{want.Currency, got.Currency},
		{want.Totals.Grand, string(got.GrandTotal)},
		{want.Totals.Shipping, string(got.Shipping)},
		{want.Quantity, string(got.Quantity)},
		{want.CouponCode, got.CouponCode},
		{want.PaymentTitle, got.Payment.Title},
		{want.Billing.ID, got.BillingAddress.ID},
		{shipping, gotShipping},
		{wantLines, gotLines},
		{true, got.LinesKnown},
	} {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Fatalf("order %d (-want +got):\n%s", want.ID, diff)
		}
	}
}

// TestOrders_HeavyPages shows that pages shrink below what the shop's memory holds, and
// take the shop's own maximum.
func TestOrders_HeavyPages(t *testing.T) {
	t.Parallel()
	shop := magentotest.New(magentotest.Config{Seed: 3, Customers: 10, Orders: 150})
	shop.Switch(func(s *magentotest.Switches) { s.OrderRows = 30 })
	c := client(t, shop.Transport())
	pages, err := walkOrders(t.Context(), c, magento.Query{}, math.MaxInt)
	if err != nil || len(pages) != 4 || len(pages[0].Items) != 100 || pages[1].Size != 25 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}

	shop.Switch(func(s *magentotest.Switches) { s.InputLimit, s.MaxPageSize, s.OrderRows = true, 20, 0 })
	pages, err = walkOrders(t.Context(), client(t, shop.Transport()), magento.Query{}, math.MaxInt)
	if err != nil || len(pages) != 8 || pages[0].Size != 20 {
		t.Errorf("%d pages, %v", len(pages), err)
	}
}

// TestOrders_SlowPages shows that a page beyond the target halves the next one.
func TestOrders_SlowPages(t *testing.T) {
	t.Parallel()
	shop := magentotest.New(magentotest.Config{Seed: 3, Customers: 10, Orders: 250})
	at := time.Date(2026, 7, 20, 12, 0, 0, 0, time.UTC)
	c := client(t, shop.Transport(), func(cfg *magento.Config) {
		cfg.Now = func() time.Time { at = at.Add(6 * time.Second); return at }
	})
	pages, err := walkOrders(t.Context(), c, magento.Query{}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if pages[0].Size != 100 || pages[1].Size != 50 || pages[2].Size != 25 {
		t.Errorf("sizes %d, %d, %d", pages[0].Size, pages[1].Size, pages[2].Size)
	}
}

func TestOrders_Request(t *testing.T) {
	t.Parallel()
	var asked url.Values
	c := client(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		asked = r.URL.Query()
		if r.URL.Path != "/rest/all/V1/orders" {
			t.Errorf("path %s", r.URL.Path)
		}
		return answer(r, http.StatusOK, `{"items":null,"total_count":0}`), nil
	}))
	tests := []struct {
		name   string
		fields []string
		want   string
	}{
		{"all", nil, ""},
		{"top", []string{"grand_total"}, "items[customer_id,customer_is_guest,entity_id,grand_total,updated_at],total_count"},
		{
			"lines",
			[]string{"items.sku", "extension_attributes.shipping_assignments.shipping.address.city"},
			"items[customer_id,customer_is_guest,entity_id,extension_attributes[shipping_assignments[shipping[address[city]]]]," +
				"items[item_id,parent_item_id,product_type,sku],updated_at],total_count",
		},
		{"whole lines", []string{"items.sku", "items"}, "items[customer_id,customer_is_guest,entity_id,items,updated_at],total_count"},
	}
	for _, tt := range tests {
		if _, err := walkOrders(t.Context(), c, magento.Query{Fields: tt.fields}, 1); err != nil {
			t.Fatal(err)
		}
		if got := asked.Get("fields"); got != tt.want {
			t.Errorf("%s: fields %s, want %s", tt.name, got, tt.want)
		}
	}
	if got := asked.Get("searchCriteria[pageSize]"); got != "100" {
		t.Errorf("pageSize %s", got)
	}
}

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

// BenchmarkOrders is the CPU of one order of a page, from the answer's bytes to a
// checked Item, narrowed as a mapping asks for it and whole.
func BenchmarkOrders(b *testing.B) {
	shop := magentotest.New(magentotest.Config{Seed: 1, Customers: 100, Orders: 99})
	for name, fields := range map[string][]string{"narrow": orderFields(), "whole": nil} {
		var body string
		c := client(b, roundTrip(func(r *http.Request) (*http.Response, error) {
			if body == "" {
				resp, err := shop.Transport().RoundTrip(r)
				if err != nil {
					return nil, err
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				if err != nil {
					return nil, err
				}
				body = string(text)
			}
			return answer(r, http.StatusOK, body), nil
		}))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; n < b.N; n += 99 {
				for page, err := range c.Orders(b.Context(), magento.Query{Before: horizon, Fields: fields}) {
					if err != nil || len(page.Items) != 99 {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(len(body))/99, "bytes/order")
		})
	}
}
