package magentotest

import (
	"net/http"
	"slices"
	"strings"
)

// route is one of the shop's REST routes. A path that ends in /: takes a number there.
type route struct {
	method, path string
	resource     string // ACL resource; "" needs no caller
	work         func(*call) (any, *failure)
}

// routes are tried in order, as customers/search also looks like customers/:id.
func routes() []route {
	const (
		read, stores = "Magento_Customer::customer", "Magento_Backend::store"
		orders       = "Magento_Sales::actions_view"

		invoices, shipments, memos = "Magento_Sales::sales_invoice", "Magento_Sales::shipment", "Magento_Sales::sales_creditmemo"
	)
	return []route{
		{http.MethodPost, "V1/integration/admin/token", "", (*call).adminToken},
		{http.MethodPost, "V1/tfa/provider/google/authenticate", "", (*call).googleToken},
		{http.MethodGet, "V1/customers/search", read, (*call).searchCustomers},
		{http.MethodGet, "V1/customers/:", read, (*call).getCustomer},
		{http.MethodPut, "V1/customers/:", "Magento_Customer::manage", (*call).putCustomer},
		{http.MethodDelete, "V1/customers/:", "Magento_Customer::delete", (*call).deleteCustomer},
		{http.MethodGet, "V1/customerGroups/search", "Magento_Customer::group", (*call).searchGroups},
		{http.MethodGet, "V1/orders", orders, (*call).searchOrders},
		{http.MethodGet, "V1/orders/:", orders, (*call).getOrder},
		{http.MethodGet, "V1/invoices", invoices, searchDocuments(Invoices)},
		{http.MethodGet, "V1/invoices/:", invoices, getDocument(Invoices)},
		{http.MethodGet, "V1/shipments", shipments, searchDocuments(Shipments)},
		{http.MethodGet, "V1/shipment/:", shipments, getDocument(Shipments)},
		{http.MethodGet, "V1/creditmemos", memos, searchDocuments(CreditMemos)},
		{http.MethodGet, "V1/creditmemo/:", memos, getDocument(CreditMemos)},
		{http.MethodGet, "V1/store/websites", stores, (*call).listWebsites},
		{http.MethodGet, "V1/store/storeGroups", stores, (*call).listGroups},
		{http.MethodGet, "V1/store/storeViews", stores, (*call).listViews},
		{http.MethodGet, "V1/store/storeConfigs", stores, (*call).listConfigs},
	}
}

// findRoute returns the route of a path and the text where it takes a number.
func findRoute(method, path string) (found route, param string, ok bool) {
	all := routes()
	i := slices.IndexFunc(all, func(r route) bool {
		if r.method != method {
			return false
		}
		prefix, numbered := strings.CutSuffix(r.path, ":")
		if !numbered {
			return r.path == path
		}
		rest, below := strings.CutPrefix(path, prefix)
		if !below || rest == "" || strings.Contains(rest, "/") {
			return false
		}
		param = rest
		return true
	})
	if i < 0 {
		return route{}, "", false
	}
	return all[i], param, true
}
