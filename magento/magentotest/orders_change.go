package magentotest

import (
	"cmp"
	"slices"
	"time"
)

// CreateOrder adds an order and returns its id. A missing id, number, time, store,
// status, currency or sum is filled in as an order placed now in the first store would
// have it: sums are those of the lines. A customer's order takes e-mail, name and
// group from the customer where they are empty.
func (s *Shop) CreateOrder(o Order) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := &s.store.orders
	o = o.clone()
	o.ID = cmp.Or(o.ID, all.lastID+1)
	o.StoreID = cmp.Or(o.StoreID, 1)
	if c, ok := s.store.find(o.CustomerID); ok && !o.Guest {
		o.Email, o.FirstName, o.LastName = cmp.Or(o.Email, c.Email), cmp.Or(o.FirstName, c.FirstName), cmp.Or(o.LastName, c.LastName)
		o.CustomerGroupID = cmp.Or(o.CustomerGroupID, c.GroupID)
	}
	if o.IncrementID == "" {
		o.IncrementID = orderNumber(o.StoreID, all.numbers[o.StoreID]+1)
	}
	if o.UpdatedAt.IsZero() {
		o.UpdatedAt = s.now()
	}
	if o.CreatedAt.IsZero() {
		o.CreatedAt = o.UpdatedAt
	}
	o.CreatedAt, o.UpdatedAt = wholeSeconds(o.CreatedAt), wholeSeconds(o.UpdatedAt)
	o.QuoteID = cmp.Or(o.QuoteID, o.ID)
	o.StoreName = cmp.Or(o.StoreName, storeName(o.StoreID))
	o.State, o.Status = cmp.Or(o.State, "new"), cmp.Or(o.Status, "pending")
	o.RemoteIP = cmp.Or(o.RemoteIP, "127.0.0.1")
	o.PaymentMethod, o.PaymentTitle = cmp.Or(o.PaymentMethod, "checkmo"), cmp.Or(o.PaymentTitle, "Check / Money order")
	a := &o.Billing
	a.Email, a.FirstName, a.LastName = cmp.Or(a.Email, o.Email), cmp.Or(a.FirstName, o.FirstName), cmp.Or(a.LastName, o.LastName)
	all.complete(&o)
	currency(&o)
	sum(&o)
	all.put(o)
	return o.ID
}

// currency fills in what the store charges in.
func currency(o *Order) {
	v := view(o.StoreID)
	base, rate, global := "EUR", "1", "1"
	switch {
	case v.WebsiteID == 2:
		base, global = "GBP", "1.1667"
	case v.Currency == "USD":
		rate = "1.0834"
	}
	o.Currency, o.BaseCurrency = cmp.Or(o.Currency, v.Currency), cmp.Or(o.BaseCurrency, base)
	o.GlobalCurrency = cmp.Or(o.GlobalCurrency, "EUR")
	o.ToOrderRate, o.ToGlobalRate = cmp.Or(o.ToOrderRate, rate), cmp.Or(o.ToGlobalRate, global)
}

// sum fills in empty sums from the lines.
func sum(o *Order) {
	var subtotal, base, quantity, weight decimal
	for i := range o.Lines {
		l := &o.Lines[i]
		l.Ordered = cmp.Or(l.Ordered, "1")
		n := parseDecimal(l.Ordered)
		l.BasePrice = cmp.Or(l.BasePrice, l.Price)
		l.RowTotal = cmp.Or(l.RowTotal, parseDecimal(l.Price).times(n).String())
		l.BaseRowTotal = cmp.Or(l.BaseRowTotal, parseDecimal(l.BasePrice).times(n).String())
		l.RowWeight = cmp.Or(l.RowWeight, parseDecimal(l.Weight).times(n).String())
		if l.ParentID == 0 {
			subtotal, base = subtotal+parseDecimal(l.RowTotal), base+parseDecimal(l.BaseRowTotal)
			quantity, weight = quantity+n, weight+parseDecimal(l.RowWeight)
		}
	}
	for _, t := range []struct {
		totals   *Totals
		due      *string
		subtotal decimal
	}{{&o.Totals, &o.Due, subtotal}, {&o.BaseTotals, &o.BaseDue, base}} {
		t.totals.Subtotal = cmp.Or(t.totals.Subtotal, t.subtotal.String())
		t.totals.SubtotalInclTax = cmp.Or(t.totals.SubtotalInclTax, t.totals.Subtotal)
		t.totals.ShippingInclTax = cmp.Or(t.totals.ShippingInclTax, t.totals.Shipping)
		grand := parseDecimal(t.totals.Subtotal) + parseDecimal(t.totals.Shipping) + parseDecimal(t.totals.Discount) + parseDecimal(t.totals.Tax)
		t.totals.Grand = cmp.Or(t.totals.Grand, grand.String())
		*t.due = cmp.Or(*t.due, t.totals.Grand)
	}
	o.Quantity, o.Weight = cmp.Or(o.Quantity, quantity.String()), cmp.Or(o.Weight, weight.String())
}

// EditOrder changes an order as saving it does: updated_at becomes now. An unknown id
// is a mistake of the test and panics, here and below.
func (s *Shop) EditOrder(id int64, change func(*Order)) { s.editOrder(id, change, s.now()) }

// EditOrderQuietly changes an order without moving updated_at, as a comment, a partial
// shipment or another address does. The change may set UpdatedAt itself.
func (s *Shop) EditOrderQuietly(id int64, change func(*Order)) {
	s.editOrder(id, change, time.Time{})
}

func (s *Shop) editOrder(id int64, change func(*Order), at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.settle(s.cfg.Now())
	s.store.orders.apply(s.mustOrder(id), change, at)
}

// EditOrderLate changes an order in a transaction that commits later: updated_at is
// now, and callers see the old order until visibleAfter has passed.
func (s *Shop) EditOrderLate(id int64, change func(*Order), visibleAfter time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustOrder(id)
	statement := s.now()
	s.commitAfter(visibleAfter, func() { s.store.orders.apply(s.mustOrder(id), change, statement) })
}

// DeleteOrder removes an order, as modules that clean up do: Magento itself never does.
func (s *Shop) DeleteOrder(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.mustOrder(id)
	s.store.orders.remove(r)
	ids := s.store.orders.ofCustomer[r.CustomerID]
	s.store.orders.ofCustomer[r.CustomerID] = slices.DeleteFunc(slices.Clone(ids), func(other int64) bool { return other == id })
}

func (s *Shop) mustOrder(id int64) *orderRow {
	r, ok := s.store.orders.find(id)
	if !ok {
		panic("magentotest: no order with this id")
	}
	return r
}
