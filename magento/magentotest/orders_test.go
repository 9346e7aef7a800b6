package magentotest_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/recording"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// importOrders gives a shop the recorded orders under the ids that the recordings ask
// for, and moves others into the second that they share.
func importOrders(t *testing.T, s *magentotest.Shop, all []recording.Exchange) {
	t.Helper()
	second := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	for _, o := range s.Data().Orders {
		if o.ID > 3000 && o.ID < 3700 {
			s.EditOrderQuietly(o.ID, func(o *magentotest.Order) { o.UpdatedAt = second })
		}
	}
	for _, e := range recordedOrders(all) {
		if err := s.ImportOrders(e.Body); err != nil {
			t.Fatalf("%s: %v", e.Name, err)
		}
	}
	s.CreateOrder(magentotest.Order{ID: 11002, CustomerID: 1})
}

// recordedOrders are the recordings that hold one whole order.
func recordedOrders(all []recording.Exchange) []recording.Exchange {
	return slices.DeleteFunc(slices.Clone(all), func(e recording.Exchange) bool {
		return !strings.HasPrefix(e.Name, "order-get-") && e.Name != "order-after-customer-delete"
	})
}

// TestRecordedOrdersPrintAlike shows that an order which was read from a recording is
// printed exactly as it was recorded, key by key and in that order.
func TestRecordedOrdersPrintAlike(t *testing.T) {
	t.Parallel()
	played := 0
	for _, e := range recordedOrders(recordings(t)) {
		played++
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			s := shop(0)
			if err := s.ImportOrders(e.Body); err != nil {
				t.Fatal(err)
			}
			id := s.Data().Orders[0].ID
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop.test"+e.Target, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+magentotest.AccessToken)
			response, err := s.Transport().RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if got, want := string(read(t, response)), string(recording.PHPEscape(e.Body)); got != want {
				t.Errorf("order %d is printed otherwise (-recorded +printed):\n%s", id, cmp.Diff(lines(want), lines(got)))
			}
		})
	}
	if played < 12 {
		t.Errorf("%d recordings", played)
	}
}

func lines(body string) []string { return strings.Split(strings.ReplaceAll(body, ",", ",\n"), "\n") }

// order is what these tests read of a printed order.
type order struct {
	ID         int64  `json:"entity_id"`
	CustomerID *int64 `json:"customer_id"`
	Email      string `json:"customer_email"`
	UpdatedAt  string `json:"updated_at"`
}

type orderPage struct {
	Items []order `json:"items"`
	Total int     `json:"total_count"`
}

func shopWithOrders(customers, orders int) *magentotest.Shop {
	return magentotest.New(magentotest.Config{Seed: 1, Customers: customers, Orders: orders, Now: clock})
}

func ordersKeyset(at string, id int64, size int, fields string) string {
	return strings.Replace(strings.Replace(keyset(at, id, size), "customers/search", "orders", 1),
		"items%5Bid%2Cupdated_at%5D%2Ctotal_count", fields, 1)
}

// TestOrdersKeysetWalk shows that a walk meets every order once and in order.
func TestOrdersKeysetWalk(t *testing.T) {
	t.Parallel()
	s := shopWithOrders(200, 2000)
	want := s.Data().Orders
	slices.SortFunc(want, func(a, b magentotest.Order) int {
		if c := a.UpdatedAt.Compare(b.UpdatedAt); c != 0 {
			return c
		}
		return int(a.ID - b.ID)
	})
	var at string
	var id int64
	seen := 0
	for {
		var p orderPage
		ask(t, s, "GET", ordersKeyset(at, id, 97, "items[entity_id,updated_at],total_count"), "", &p)
		if p.Total != len(want)-seen {
			t.Fatalf("total_count %d after %d of %d", p.Total, seen, len(want))
		}
		if len(p.Items) == 0 {
			break
		}
		for _, o := range p.Items {
			if o.ID != want[seen].ID {
				t.Fatalf("row %d is order %d, want %d", seen, o.ID, want[seen].ID)
			}
			seen++
		}
		at, id = p.Items[len(p.Items)-1].UpdatedAt, p.Items[len(p.Items)-1].ID
	}
}

// TestNarrowedOrders shows that what is narrowed while it is printed is what is left
// of the whole.
func TestNarrowedOrders(t *testing.T) {
	t.Parallel()
	s := shopWithOrders(100, 300)
	const fields = "entity_id,customer_id,items[sku,parent_item[sku],qty_ordered,product_option],billing_address[city,street],nothing," +
		"extension_attributes[shipping_assignments[shipping[address[city],total[shipping_amount]]]],payment[method]"
	for _, o := range s.Data().Orders {
		var whole, narrow map[string]any
		ask(t, s, "GET", "/rest/V1/orders/"+id(o), "", &whole)
		ask(t, s, "GET", "/rest/V1/orders/"+id(o)+"?fields="+fields, "", &narrow)
		pickKeys(whole, "entity_id", "customer_id", "items", "billing_address", "extension_attributes", "payment")
		pickKeys(whole["billing_address"], "city", "street")
		pickKeys(whole["payment"], "method")
		for _, l := range whole["items"].([]any) {
			pickKeys(l, "sku", "parent_item", "qty_ordered", "product_option")
			pickKeys(l.(map[string]any)["parent_item"], "sku")
		}
		pickKeys(whole["extension_attributes"], "shipping_assignments")
		for _, a := range whole["extension_attributes"].(map[string]any)["shipping_assignments"].([]any) {
			pickKeys(a, "shipping")
			shipping := a.(map[string]any)["shipping"]
			pickKeys(shipping, "address", "total")
			pickKeys(shipping.(map[string]any)["address"], "city")
			pickKeys(shipping.(map[string]any)["total"], "shipping_amount")
		}
		if diff := cmp.Diff(whole, narrow); diff != "" {
			t.Fatalf("order %d (-picked +narrowed):\n%s", o.ID, diff)
		}
	}
}

func id(o magentotest.Order) string { b, _ := json.Marshal(o.ID); return string(b) }

func pickKeys(v any, names ...string) {
	if m, ok := v.(map[string]any); ok {
		maps.DeleteFunc(m, func(name string, _ any) bool { return !slices.Contains(names, name) })
	}
}

// TestGeneratedOrders shows what the generated orders have in them.
func TestGeneratedOrders(t *testing.T) {
	t.Parallel()
	a, b := shopWithOrders(500, 3000).Data(), shopWithOrders(500, 3000).Data()
	if !reflect.DeepEqual(a.Orders, b.Orders) {
		t.Error("the same seed gives other orders")
	}
	if !reflect.DeepEqual(shop(500).Data().Customers, a.Customers) {
		t.Error("orders change the customers")
	}
	have := map[string]int{}
	count := func(what string, is bool) {
		if is {
			have[what]++
		}
	}
	ofCustomer, ofGuest, spelling, seconds := map[int64]int{}, map[string]int{}, map[string]map[string]bool{}, map[time.Time]int{}
	customers := map[int64]magentotest.Customer{}
	for _, c := range a.Customers {
		customers[c.ID] = c
	}
	for _, o := range a.Orders {
		c, known := customers[o.CustomerID]
		if known && c.Email != o.Email || !known && o.CustomerID != 0 {
			t.Errorf("order %d of customer %d has e-mail %q", o.ID, o.CustomerID, o.Email)
		}
		count("registered", known)
		count("ownerless", !o.Guest && !known)
		count("guest", o.Guest)
		count("guest without names", o.Guest && o.LastName == "")
		count("+", o.Guest && strings.Contains(o.Email, "+"))
		count("virtual", o.Virtual)
		count("coupon", o.CouponCode != "")
		count("partly invoiced", o.Invoiced != nil && o.Due != "0")
		count("four decimals", slices.ContainsFunc(o.Lines, func(l magentotest.Line) bool { return len(l.OriginalPrice)-strings.Index(l.OriginalPrice, ".") == 5 }))
		count("refunded", o.Refunded != nil)
		count(o.Currency, true)
		count(o.Status, true)
		ofCustomer[o.CustomerID]++
		seconds[o.UpdatedAt]++
		if o.Guest {
			key := strings.ToLower(o.Email) + map[bool]string{true: "2", false: "1"}[o.StoreID == 4]
			ofGuest[key]++
			if spelling[key] == nil {
				spelling[key] = map[string]bool{}
			}
			spelling[key][o.Email] = true
		}
		children := 0
		for _, l := range o.Lines {
			if l.ParentID != 0 {
				children++
			}
		}
		count("configurable", children > 0)
		if (o.Shipping == nil) != o.Virtual || o.UpdatedAt.Before(o.CreatedAt) || o.UpdatedAt.After(clock()) {
			t.Errorf("order %d: %+v", o.ID, o)
		}
	}
	for _, what := range []string{
		"registered", "ownerless", "guest", "guest without names", "+", "virtual", "coupon", "partly invoiced", "four decimals", "refunded",
		"EUR", "USD", "GBP", "pending", "processing", "complete", "closed", "canceled", "holded", "configurable",
	} {
		if have[what] < 10 {
			t.Errorf("%d orders: %s", have[what], what)
		}
	}
	if n := slices.Max(slices.Collect(maps.Values(ofGuest))); n < 3 {
		t.Errorf("no guest with three orders: %d", n)
	}
	if !slices.ContainsFunc(slices.Collect(maps.Values(spelling)), func(m map[string]bool) bool { return len(m) > 1 }) {
		t.Error("no guest with an e-mail in two spellings")
	}
	if n := slices.Max(slices.Collect(maps.Values(seconds))); n < 200 {
		t.Errorf("at most %d orders in one second", n)
	}
}

// TestOrderChanges shows what moves an order's updated_at.
func TestOrderChanges(t *testing.T) {
	t.Parallel()
	now := clock()
	s := magentotest.New(magentotest.Config{Now: func() time.Time { return now }, Empty: true})
	first := s.Create(magentotest.Customer{Email: "a@example.test", FirstName: "A", LastName: "B", StoreID: 1})
	ids := []int64{
		s.CreateOrder(magentotest.Order{CustomerID: first}),
		s.CreateOrder(magentotest.Order{CustomerID: first}),
		s.CreateOrder(magentotest.Order{Guest: true, Email: "a@example.test", Lines: []magentotest.Line{{SKU: "X", Price: "10.50", Ordered: "3"}}}),
	}
	now = now.Add(time.Hour)
	get := func(id int64) magentotest.Order {
		all := s.Data().Orders
		return all[slices.IndexFunc(all, func(o magentotest.Order) bool { return o.ID == id })]
	}
	moved := func(what string, id int64, want bool) {
		t.Helper()
		if o := get(id); o.UpdatedAt.Equal(now) != want {
			t.Errorf("%s: order %d is of %s", what, id, o.UpdatedAt)
		}
	}
	if o := get(ids[2]); o.Totals.Grand != "31.5" || o.IncrementID != "000000003" || o.Email != "a@example.test" {
		t.Errorf("%+v", o)
	}
	s.Edit(first, func(c *magentotest.Customer) { c.LastName = "C" })
	moved("a customer's name", ids[0], false)
	s.EditQuietly(first, func(c *magentotest.Customer) { c.Email = "q@example.test" })
	moved("an e-mail by SQL", ids[0], false)
	s.Edit(first, func(c *magentotest.Customer) { c.Email = "New@example.test" })
	for i, id := range ids {
		moved("an e-mail", id, i < 2)
		if got := get(id).Email; got != map[bool]string{true: "New@example.test", false: "a@example.test"}[i < 2] {
			t.Errorf("order %d has e-mail %q", id, got)
		}
	}
	now = now.Add(time.Hour)
	s.Delete(first)
	moved("a deleted customer", ids[0], false)
	if o := get(ids[0]); o.CustomerID != 0 || o.Guest || o.Email != "New@example.test" {
		t.Errorf("after the customer: %+v", o)
	}
	var printed map[string]any
	ask(t, s, "GET", "/rest/V1/orders/"+id(get(ids[0])), "", &printed)
	if _, ok := printed["customer_id"]; ok || printed["customer_is_guest"] != float64(0) {
		t.Errorf("ownerless: %v", printed)
	}
	s.EditOrderQuietly(ids[1], func(o *magentotest.Order) { o.Status = "odd" })
	moved("quietly", ids[1], false)
	s.EditOrder(ids[1], func(o *magentotest.Order) { o.Status = "holded" })
	moved("a hold", ids[1], true)
	stated := now
	s.EditOrderLate(ids[2], func(o *magentotest.Order) { o.Status = "late" }, 6*time.Second)
	now = now.Add(5 * time.Second)
	if o := get(ids[2]); o.Status == "late" {
		t.Error("visible before its commit")
	}
	now = now.Add(time.Second)
	if o := get(ids[2]); o.Status != "late" || !o.UpdatedAt.Equal(stated) {
		t.Errorf("after the commit: %s of %s", o.Status, o.UpdatedAt)
	}
}

// TestOrderSwitches: memory that ends, and orders whose lines are null.
func TestOrderSwitches(t *testing.T) {
	t.Parallel()
	s := shopWithOrders(50, 200)
	s.Switch(func(sw *magentotest.Switches) {
		sw.OrderRows = 100
		sw.NullItems = func(id int64) bool { return id == 1 }
	})
	for size, want := range map[string]int{"100": 200, "101": 500, "0": 500} {
		if got := ask(t, s, "GET", "/rest/V1/orders?searchCriteria[pageSize]="+size+"&fields=total_count", "", nil); got != want {
			t.Errorf("page size %s: status %d", size, got)
		}
	}
	var one, page map[string]json.RawMessage
	ask(t, s, "GET", "/rest/V1/orders/1?fields=entity_id,items[sku]", "", &one)
	if string(one["items"]) != "null" {
		t.Errorf("items %s", one["items"])
	}
	ask(t, s, "GET", "/rest/V1/orders?searchCriteria[pageSize]=1&fields=items[entity_id,items[sku]]", "", &page)
	if !bytes.Contains(page["items"], []byte(`"items":null`)) {
		t.Errorf("items %s", page["items"])
	}
}

func BenchmarkGenerate100kOrders(b *testing.B) {
	for b.Loop() {
		shopWithOrders(20_000, 100_000)
	}
}

func BenchmarkOrdersPage(b *testing.B) {
	s := shopWithOrders(20_000, 100_000)
	all := s.Data().Orders
	for name, fields := range map[string]string{"whole": "", "narrow": "items[entity_id,updated_at,grand_total,items[sku,name,price],billing_address[city]],total_count"} {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				i = (i + 7919) % len(all)
				request, err := http.NewRequestWithContext(b.Context(), "GET", "http://shop.test"+ordersKeyset(all[i].UpdatedAt.Format(time.DateTime), all[i].ID, 100, fields), nil)
				if err != nil {
					b.Fatal(err)
				}
				request.Header.Set("Authorization", "Bearer "+magentotest.AccessToken)
				response, err := s.Transport().RoundTrip(request)
				if err != nil {
					b.Fatal(err)
				}
				response.Body.Close()
			}
		})
	}
}
