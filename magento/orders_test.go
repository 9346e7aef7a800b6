package magento_test

import (
	"context"
	"encoding/json"
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
