package magentotest

import (
	"fmt"
	"net/http"
	"slices"
)

// orderSchema answers any unknown field with a hidden exception (recordings
// orders-filter-bad-field, orders-sort-bad-field).
func orderSchema() schema[*orderRow] {
	hidden := func(field string) *failure {
		n := uint64(len(field))
		for _, r := range field {
			n = n*31 + uint64(r)
		}
		return fail(http.StatusInternalServerError,
			fmt.Sprintf("Internal Error. Details are available in Magento log file. Report ID: webapi-%013x", n&0xfffffffffffff))
	}
	return schema[*orderRow]{column: orderColumn, filter: hidden, sort: hidden}
}

// orderColumn returns the column behind a field name.
func orderColumn(field string) (column[*orderRow], bool) {
	type row = *orderRow
	money := func(get func(row) string) column[row] {
		return column[row]{kind: amount, int: func(r row) (int64, bool) { v := get(r); return int64(parseDecimal(v)), v != "" }}
	}
	switch field {
	case "entity_id":
		return intColumn(number, func(r row) int64 { return r.ID }), true
	case "store_id":
		return intColumn(number, func(r row) int64 { return r.StoreID }), true
	case "customer_id":
		return optional(func(r row) int64 { return r.CustomerID }), true
	case "customer_group_id":
		return intColumn(number, func(r row) int64 { return r.CustomerGroupID }), true
	case "customer_is_guest":
		return intColumn(number, func(r row) int64 { return int64(b2i(r.Guest)) }), true
	case "is_virtual":
		return intColumn(number, func(r row) int64 { return int64(b2i(r.Virtual)) }), true
	case "quote_id":
		return intColumn(number, func(r row) int64 { return r.QuoteID }), true
	case "updated_at":
		return intColumn(moment, func(r row) int64 { return r.updated }), true
	case "created_at":
		return intColumn(moment, func(r row) int64 { return r.CreatedAt.Unix() }), true
	case "increment_id":
		return textColumn(func(r row) string { return r.IncrementID }), true
	case "status":
		return textColumn(func(r row) string { return r.Status }), true
	case "state":
		return textColumn(func(r row) string { return r.State }), true
	case "customer_email":
		return textColumn(func(r row) string { return r.Email }), true
	case "customer_firstname":
		return textColumn(func(r row) string { return r.FirstName }), true
	case "customer_lastname":
		return textColumn(func(r row) string { return r.LastName }), true
	case "coupon_code":
		return textColumn(func(r row) string { return r.CouponCode }), true
	case "order_currency_code":
		return textColumn(func(r row) string { return r.Currency }), true
	case "grand_total":
		return money(func(r row) string { return r.Totals.Grand }), true
	case "base_grand_total":
		return money(func(r row) string { return r.BaseTotals.Grand }), true
	default:
		return column[row]{}, false
	}
}

// searchOrders lists orders. The store code of the path does not matter.
func (c *call) searchOrders() (any, *failure) {
	c.session = true
	settings := c.settings()
	criteria, bad := parseCriteria(c.query, settings)
	if bad != nil {
		return nil, bad
	}
	s := c.shop
	s.mu.Lock()
	page, total, bad := s.store.orders.search(criteria, orderSchema())
	s.mu.Unlock()
	if bad != nil {
		return nil, bad
	}
	if settings.OrderRows > 0 && len(page) > settings.OrderRows {
		return nil, &failure{fatal: true, session: true}
	}
	if bad := poisoned(c, settings.Poison, settings.Poison.Order, true, page...); bad != nil {
		return nil, bad
	}
	if settings.BrokenOrder != nil {
		page = slices.DeleteFunc(page, func(r *orderRow) bool { return settings.BrokenOrder(r.ID) })
	}
	want, narrow := c.fields()
	below, shown := want["items"]
	items := make(list, len(page))
	if shown || !narrow {
		for i, r := range page {
			items[i] = settings.printed(&r.Order, below)
		}
	}
	return object{{"items", items}, {"search_criteria", criteria.echo()}, {"total_count", int64(total)}}, nil
}

func (c *call) getOrder() (any, *failure) {
	c.session = true
	settings := c.settings()
	s := c.shop
	s.mu.Lock()
	r, ok := s.store.orders.find(c.id)
	s.mu.Unlock()
	if !ok {
		return nil, fail(http.StatusNotFound, "The entity that was requested doesn't exist. Verify the entity and try again.")
	}
	if bad := poisoned(c, settings.Poison, settings.Poison.Order, false, r); bad != nil {
		return nil, bad
	}
	want, _ := c.fields()
	return settings.printed(&r.Order, want), nil
}

// printed prints an order as the settings have it.
func (s Switches) printed(o *Order, want selection) object {
	tree := o.tree(want)
	if s.NullItems == nil || !s.NullItems(o.ID) {
		return tree
	}
	for i, m := range tree {
		if m.name == "items" {
			tree[i].value = nil
		}
	}
	return tree
}

// fields returns the fields parameter of a call, and whether there is one that can be
// read.
func (c *call) fields() (selection, bool) {
	n := c.query.get("fields")
	if n == nil || n.text == "" {
		return nil, false
	}
	return parseFields(n.text)
}
