package mapping_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/oracle"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// The oracle is written from the same table and shares no code with the mapping. It is
// asked about a shop that the client reads with the paths of the mapping and no more.
func TestTheWitnessSaysTheSameOfAWholeShop(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	shop := magentotest.New(magentotest.Config{Seed: 17, Customers: 150, Orders: 600, Now: func() time.Time { return now }})
	unusual(shop)
	client, err := magento.New(magento.Config{BaseURL: "https://shop.example", AccessToken: magentotest.AccessToken, Transport: shop.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	stores, err := client.Stores(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	groups, err := client.Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	data := shop.Data()
	want := oracle.ExpectOrders(data, oracle.Options{})
	owners := map[string]bool{}
	for _, r := range oracle.Expect(data, oracle.Options{}) {
		owners[r.Key] = true
	}
	for _, r := range want.Guests {
		owners[r.Key] = true
	}

	m, names := compiled(t), mapping.NewLookups(stores, groups)
	orders, items, guests := map[string]oracle.SubRow{}, map[string]oracle.SubRow{}, map[string]*mapping.Row{}
	for page, err := range client.Orders(t.Context(), magento.Query{Before: now.Add(time.Hour), Fields: m.OrderPaths()}) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Items {
			o := page.Items[i].Value
			p, err := m.Order(&o, names)
			if err != nil || !owners[p.Owner.Key] {
				continue
			}
			orders[p.Order.Key] = oracle.SubRow{Key: p.Order.Key, Parent: p.Owner.Key, Fields: p.Order.Body(true, true)}
			for i := range p.Items {
				items[p.Items[i].Key] = oracle.SubRow{Key: p.Items[i].Key, Parent: p.Owner.Key, Fields: p.Items[i].Body(true, true)}
			}
			g := p.Owner.Guest
			if g == nil {
				continue
			}
			if old := guests[g.Key]; old == nil || g.UpdatedAt.After(old.UpdatedAt) || g.UpdatedAt.Equal(old.UpdatedAt) && g.SourceID > old.SourceID {
				guests[g.Key] = g
			}
		}
	}
	if len(want.Guests) < 20 || len(want.Orders) < 500 || len(want.Items) < 800 || len(want.Orders) == len(data.Orders) {
		t.Fatalf("the shop is too plain: %d guests, %d of %d orders, %d items", len(want.Guests), len(want.Orders), len(data.Orders), len(want.Items))
	}
	if diff := cmp.Diff(byKey(want.Orders), orders); diff != "" {
		t.Errorf("orders (-witness +mapping):\n%s", diff)
	}
	if diff := cmp.Diff(byKey(want.Items), items); diff != "" {
		t.Errorf("items (-witness +mapping):\n%s", diff)
	}
	wantGuests, gotGuests := map[string]map[string]string{}, map[string]map[string]string{}
	for _, r := range want.Guests {
		wantGuests[r.Key] = maps.Clone(r.Fields)
		delete(wantGuests[r.Key], m.Consent().Name) // never sent
	}
	for key, g := range guests {
		gotGuests[key] = g.Body(true, true)
	}
	if diff := cmp.Diff(wantGuests, gotGuests); diff != "" {
		t.Errorf("guests (-witness +mapping):\n%s", diff)
	}
}

func byKey(rows []oracle.SubRow) map[string]oracle.SubRow {
	out := map[string]oracle.SubRow{}
	for _, r := range rows {
		out[r.Key] = r
	}
	return out
}

// unusual adds the orders that a shop seldom has.
func unusual(shop *magentotest.Shop) {
	long := strings.Repeat("é", 400)
	for _, o := range []magentotest.Order{
		{Guest: true, Email: " "},
		{Guest: true, Email: strings.Repeat("x", 161)},
		{Guest: true, Email: "Someone@Example.TEST ", FirstName: "First", Gender: 2, DOB: "1980-01-15 00:00:00", CustomerGroupID: 5},
		{Guest: true, Email: " someone@example.test", StoreID: 3, MiddleName: "van", Billing: magentotest.OrderAddress{FirstName: "Bill", LastName: "Ing"}},
		{Guest: true, Email: "someone@example.test", StoreID: 4, LastName: long},
		{Guest: true, Email: "someone@example.test", StoreID: 99, StoreName: "Weg\nWinkel\nOud", CustomerGroupID: 77},
		{Email: "deleted@example.test"},
		{CustomerID: 1, StoreID: 99, StoreName: long + "\n" + long, Status: long, CouponCode: long, RemoteIP: long, IncrementID: long},
		{CustomerID: 1, Totals: magentotest.Totals{Grand: "-12.3400", Shipping: "0.1000"}, Weight: "99999999.9999", PaymentMethod: "free", Lines: []magentotest.Line{
			{ID: 900001, SKU: "S", Name: long, Ordered: "2", Refunded: "1.5", Canceled: "0.5", Price: "21.6138", Options: []magentotest.Option{{ID: "93", Value: 10}, {ID: "94", Value: 4}}},
			{ID: 900002, ParentID: 900001, SKU: "S-RED"},
			{ID: 900003, SKU: long, Ordered: "1", Canceled: "1", Price: "-0.0001"},
			{ID: 900004, SKU: "B", Ordered: "0.2500", Refunded: "0.2499"},
			{ID: 900005, ParentID: 900004, SKU: "B-1"},
			{ID: 900006, ParentID: 900004, SKU: "B-2"},
		}},
	} {
		shop.CreateOrder(o)
	}
}
