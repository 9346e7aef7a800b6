package magentotest_test

import (
	"net/http"
	"testing"

	"github.com/magento-copernica/syncd/magento/magentotest"
)

func TestStoreViewsComeAndGo(t *testing.T) {
	t.Parallel()
	s := shop(0)
	moved := s.CreateOrder(magentotest.Order{StoreID: 3, Lines: []magentotest.Line{{SKU: "a"}}})
	gone := s.CreateOrder(magentotest.Order{StoreID: 4, Lines: []magentotest.Line{{SKU: "a"}}})
	customer := s.Create(magentotest.Customer{WebsiteID: 2, StoreID: 4, Email: "a@example.test"})
	before := s.Data()
	s.MoveView(3, 2)
	s.DeleteView(4)

	var views []struct {
		ID      int64 `json:"id"`
		Website int64 `json:"website_id"`
	}
	ask(t, s, http.MethodGet, "/rest/V1/store/storeViews", "", &views)
	websites := map[int64]int64{}
	for _, v := range views {
		websites[v.ID] = v.Website
	}
	if len(websites) != 3 || websites[1] != 1 || websites[3] != 2 {
		t.Errorf("websites by store view: %v", websites)
	}
	after := s.Data()
	for i, o := range after.Orders {
		if was := before.Orders[i]; o.StoreName != was.StoreName || o.IncrementID != was.IncrementID || !o.UpdatedAt.Equal(was.UpdatedAt) {
			t.Errorf("order %d was %+v, is %+v", o.ID, was, o)
		}
		if want := map[int64]int64{moved: 3, gone: 0}[o.ID]; o.StoreID != want {
			t.Errorf("order %d is of store view %d", o.ID, o.StoreID)
		}
	}
	if c := after.Customers[0]; c.ID != customer || c.StoreID != 0 || c.WebsiteID != 2 {
		t.Errorf("the customer is %+v", c)
	}
	order := map[string]any{}
	ask(t, s, http.MethodGet, "/rest/V1/orders/2", "", &order)
	if _, there := order["store_id"]; there || order["store_name"] == "" {
		t.Errorf("an order whose store view is gone prints store_id %v, store_name %v", order["store_id"], order["store_name"])
	}
}
