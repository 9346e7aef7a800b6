package magentotest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// orderRow is one row of sales_order with what belongs to it. Like a record it is
// never changed once it is in the store.
type orderRow struct {
	Order
	updated int64 // UpdatedAt in Unix seconds
}

func (r *orderRow) key() int64     { return r.ID }
func (r *orderRow) changed() int64 { return r.updated }

// orders are the shop's orders.
type orders struct {
	table[*orderRow]
	ofCustomer map[int64][]int64 // order ids by customer, ascending

	lastID, lastLine, lastAddress, lastPayment int64
	numbers                                    map[int64]int64 // last order number by store
}

// fill puts generated orders, ordered by id, into an empty store.
func (s *orders) fill(all []Order) {
	s.byID = make([]*orderRow, len(all))
	for i := range all {
		s.byID[i] = &orderRow{Order: all[i], updated: all[i].UpdatedAt.Unix()}
		s.count(&s.byID[i].Order)
	}
	s.index()
}

// count remembers the ids that an order uses.
func (s *orders) count(o *Order) {
	if s.ofCustomer == nil {
		s.ofCustomer, s.numbers = map[int64][]int64{}, map[int64]int64{}
	}
	if o.CustomerID != 0 {
		ids := s.ofCustomer[o.CustomerID]
		if i, ok := slices.BinarySearch(ids, o.ID); !ok {
			s.ofCustomer[o.CustomerID] = slices.Insert(ids, i, o.ID)
		}
	}
	s.lastID = max(s.lastID, o.ID)
	s.lastAddress = max(s.lastAddress, o.Billing.ID)
	if o.Shipping != nil {
		s.lastAddress = max(s.lastAddress, o.Shipping.ID)
	}
	s.lastPayment = max(s.lastPayment, o.PaymentID)
	for i := range o.Lines {
		s.lastLine = max(s.lastLine, o.Lines[i].ID)
	}
	var n int64
	if _, err := fmt.Sscanf(strings.TrimPrefix(o.IncrementID, storePrefix(o.StoreID)), "%d", &n); err == nil {
		s.numbers[o.StoreID] = max(s.numbers[o.StoreID], n)
	}
}

// put adds an order or takes the place of the one with its id.
func (s *orders) put(o Order) {
	if old, ok := s.find(o.ID); ok {
		s.remove(old)
		if ids := s.ofCustomer[old.CustomerID]; old.CustomerID != o.CustomerID {
			s.ofCustomer[old.CustomerID] = slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return id == o.ID })
		}
	}
	s.insert(&orderRow{Order: o, updated: o.UpdatedAt.Unix()})
	s.count(&o)
}

// apply puts a changed copy of an order in its place, with updated_at moved to at,
// unless at is zero or older.
func (s *orders) apply(r *orderRow, change func(*Order), at time.Time) {
	o := r.clone()
	change(&o)
	o = o.clone()
	o.ID = r.ID
	o.CreatedAt, o.UpdatedAt = wholeSeconds(o.CreatedAt), wholeSeconds(o.UpdatedAt)
	if at.After(o.UpdatedAt) {
		o.UpdatedAt = at
	}
	s.complete(&o)
	s.put(o)
}

// rewrite gives a customer's orders the new e-mail and moves their updated_at, as the
// shop does when a customer is saved with another one (recording
// order-after-customer-email-change). Addresses keep the old e-mail.
func (s *orders) rewrite(customer int64, email string, at time.Time) {
	for _, id := range slices.Clone(s.ofCustomer[customer]) {
		if r, ok := s.find(id); ok {
			s.apply(r, func(o *Order) { o.Email = email }, at)
		}
	}
}

// orphan takes the customer off its orders, as deleting it does: nothing else of them
// changes (recording order-after-customer-delete).
func (s *orders) orphan(customer int64) {
	for _, id := range slices.Clone(s.ofCustomer[customer]) {
		if r, ok := s.find(id); ok {
			s.apply(r, func(o *Order) { o.CustomerID = 0 }, time.Time{})
		}
	}
	delete(s.ofCustomer, customer)
}

// complete gives what lacks an id or a time one.
func (s *orders) complete(o *Order) {
	for i := range o.Lines {
		l := &o.Lines[i]
		if l.ID == 0 {
			s.lastLine++
			l.ID = s.lastLine
		}
		l.QuoteID = cmp.Or(l.QuoteID, l.ID)
		if l.CreatedAt.IsZero() {
			l.CreatedAt = o.CreatedAt
		}
		if l.UpdatedAt.IsZero() {
			l.UpdatedAt = o.UpdatedAt
		}
		l.CreatedAt, l.UpdatedAt = wholeSeconds(l.CreatedAt), wholeSeconds(l.UpdatedAt)
		l.Type = cmp.Or(l.Type, "simple")
	}
	for _, a := range []*OrderAddress{o.Shipping, &o.Billing} {
		if a != nil && a.ID == 0 {
			s.lastAddress++
			a.ID = s.lastAddress
		}
	}
	if o.PaymentID == 0 {
		s.lastPayment++
		o.PaymentID = s.lastPayment
	}
}

func wholeSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// storePrefix is what order numbers of a store begin with.
func storePrefix(store int64) string {
	if store == 1 {
		return ""
	}
	return fmt.Sprint(store)
}

func orderNumber(store, n int64) string { return fmt.Sprintf("%s%09d", storePrefix(store), n) }

// storeName is what an order keeps of its store view's names.
func storeName(store int64) string {
	v := view(store)
	g := groups()[slices.IndexFunc(groups(), func(g Group) bool { return g.ID == v.GroupID })]
	w := websites()[slices.IndexFunc(websites(), func(w Website) bool { return w.ID == v.WebsiteID })]
	return w.Name + "\n" + g.Name + "\n" + v.Name
}
