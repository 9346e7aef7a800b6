package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
)

// customer returns a customer of the shop.
func (m *model) customer(id int64) magentotest.Customer {
	for _, c := range m.shop.Data().Customers {
		if c.ID == id {
			return c
		}
	}
	return magentotest.Customer{}
}

// someone picks a customer; in a shop without any, one comes.
func (m *model) someone(e event) magentotest.Customer {
	people := m.shop.Data().Customers
	if len(people) == 0 {
		m.create(e)
		people = m.shop.Data().Customers
	}
	return people[e.who%len(people)]
}

// free reports whether an e-mail can be a customer's on a website.
func (m *model) free(website int64, email string) bool {
	for _, c := range m.shop.Data().Customers {
		for _, has := range []string{c.Email, m.spoiled[c.ID]} {
			if c.WebsiteID == website && strings.EqualFold(has, email) {
				return false
			}
		}
	}
	return true
}

// fresh is an e-mail that nobody had before: of somebody new, or of a guest, or of
// somebody on another website.
func (m *model) fresh(e event, website int64) string {
	m.people++
	switch e.how % 4 {
	case 0:
		if email := guestEmail(e); m.free(website, email) {
			return email
		}
	case 1:
		if people := m.shop.Data().Customers; len(people) > 0 {
			if c := people[e.who%len(people)]; m.spoiled[c.ID] == "" && !m.unnamed(&c) && m.free(website, c.Email) {
				return c.Email
			}
		}
	}
	return fmt.Sprintf("person%d@example.test", m.people)
}

// guestEmail is one of few, so that guests come again.
func guestEmail(e event) string { return fmt.Sprintf("guest%d@example.test", e.who%3) }

func (m *model) create(e event) {
	website, store := int64(1), int64(1)
	if e.when%4 == 0 {
		website, store = 2, 4
	}
	confirmation := ""
	if e.when%5 == 0 {
		confirmation = "not confirmed yet"
	}
	m.met(m.shop.Create(magentotest.Customer{
		WebsiteID: website, StoreID: store, GroupID: 1 + int64(e.how%3), FirstName: fmt.Sprint("New ", m.people), LastName: "Customer",
		Email: m.fresh(e, website), NewsletterStatus: e.when % 3 % 2, Confirmation: confirmation,
	}))
}

func (m *model) edit(e event) {
	m.shop.Edit(m.someone(e).ID, func(c *magentotest.Customer) { change(c, e) })
}

func (m *model) editLate(e event) {
	m.shop.EditLate(m.someone(e).ID, func(c *magentotest.Customer) { change(c, e) }, time.Duration(3*e.when)*time.Second)
}

func (m *model) editQuietly(e event) {
	id := m.someone(e).ID
	m.quiet[m.mapping.CustomerKey(id)] = true
	m.shop.EditQuietly(id, func(c *magentotest.Customer) { change(c, e) })
}

// change is what is edited of a customer.
func change(c *magentotest.Customer, e event) {
	switch e.how % 4 {
	case 0:
		c.FirstName += "x"
	case 1:
		c.LastName = fmt.Sprint("Name ", e.when)
	case 2:
		c.GroupID = int64(1 + e.when%4)
	default:
		c.DOB, c.Gender = fmt.Sprintf("19%02d-02-03", 10+e.when), int64(e.when%4)
	}
}

func (m *model) rename(e event) {
	c := m.someone(e)
	if m.spoiled[c.ID] != "" || m.unnamed(&c) {
		return
	}
	email := m.fresh(event{who: e.who + 1, how: e.how}, c.WebsiteID)
	if e.how%5 == 4 {
		email = strings.ToUpper(c.Email[:1]) + c.Email[1:]
	}
	m.shop.Edit(c.ID, func(c *magentotest.Customer) { c.Email = email })
}

// spoil gives a customer an e-mail that no field holds; mend takes it back.
func (m *model) spoil(e event) {
	c := m.someone(e)
	if m.unnamed(&c) {
		return
	}
	if m.spoiled[c.ID] != "" {
		m.mend(c.ID)
		return
	}
	m.spoiled[c.ID] = c.Email
	m.shop.Edit(c.ID, func(c *magentotest.Customer) { c.Email = strings.Repeat("x", 170) + c.Email })
}

func (m *model) mend(id int64) {
	email := m.spoiled[id]
	delete(m.spoiled, id)
	m.shop.Edit(id, func(c *magentotest.Customer) { c.Email = email })
}

func (m *model) remove(e event) {
	c := m.someone(e)
	key := m.mapping.CustomerKey(c.ID)
	for _, p := range m.account.Profiles(database) {
		for _, s := range m.account.Subprofiles(database, "Orders") {
			for _, o := range m.shop.Data().Orders {
				if p.Fields["customer_id"] == key && s.Parent == p.ID && o.CustomerID == c.ID && !m.lost && !m.drawn.erase && s.Fields["order_id"] == m.mapping.OrderKey(o.ID) && !m.underWay(o.ID) {
					m.owners[o.ID] = key
				}
			}
		}
	}
	m.shop.Delete(c.ID)
	m.deleted[key] = true
	delete(m.spoiled, c.ID)
	delete(m.consent, key)
}

// underWay reports whether a write of an order has no outcome: whose it was last, nobody knows.
func (m *model) underWay(id int64) bool {
	key := m.mapping.OrderKey(id)
	rows, err := m.store.Records(m.t.Context(), "shop", state.Order, []string{key})
	check(m.world, err)
	return rows[key].State == state.Planned || rows[key].State == state.Unknown
}

func (m *model) anonymise(e event) {
	c := m.someone(e)
	m.newsletter(c, magentotest.Unsubscribed, true)
	delete(m.spoiled, c.ID)
	m.shop.Edit(c.ID, func(c *magentotest.Customer) {
		c.FirstName, c.LastName, c.MiddleName, c.DOB = "Anonymous", "Customer", "", ""
		c.Email = fmt.Sprintf("anonymous-%d@example.invalid", c.ID)
	})
	if m.drawn.erase {
		delete(m.consent, m.mapping.CustomerKey(c.ID))
	}
}

// newsletter sets a status, on the storefront or by saving the customer.
func (m *model) newsletter(c magentotest.Customer, status int, quietly bool) {
	m.shopSays(c.ID, c.NewsletterStatus, status)
	m.shop.SetNewsletter(c.ID, status)
	if !quietly {
		m.shop.Edit(c.ID, func(*magentotest.Customer) {})
	}
}

func (m *model) subscribe(e event) { m.newsletter(m.someone(e), magentotest.Subscribed, e.how%2 == 0) }

func (m *model) unsubscribe(e event) {
	status := []int{magentotest.Unsubscribed, magentotest.NoSubscriber, magentotest.NotActive}[e.when%3]
	m.newsletter(m.someone(e), status, e.how%2 == 0)
}

func lines(n int) []magentotest.Line {
	var all []magentotest.Line
	for i := range n {
		all = append(all, magentotest.Line{SKU: fmt.Sprint("sku-", i), Name: "Thing", Price: "9.90", Ordered: "2", ProductID: int64(i + 1)})
	}
	return all
}

func (m *model) placeOrder(e event) {
	c := m.someone(e)
	m.shop.CreateOrder(magentotest.Order{StoreID: c.StoreID, CustomerID: c.ID, Lines: lines(1 + e.how%3)})
}

func (m *model) placeGuestOrder(e event) {
	store := int64(1)
	if e.when%4 == 0 {
		store = 4
	}
	email := guestEmail(e)
	switch e.how % 3 {
	case 1:
		email = strings.ToUpper(email)
	case 2:
		email = " " + email
	}
	m.shop.CreateOrder(magentotest.Order{
		StoreID: store, Guest: true, Email: email, FirstName: fmt.Sprint("Guest ", e.when), LastName: "Of the shop", Lines: lines(1 + e.how%2),
	})
}

// some picks an order; in a shop without any, one is placed.
func (m *model) some(e event) magentotest.Order {
	all := m.shop.Data().Orders
	if len(all) == 0 {
		m.placeOrder(e)
		all = m.shop.Data().Orders
	}
	return all[(e.who+e.when)%len(all)]
}

func (m *model) editOrder(e event) {
	o := m.some(e)
	status := []string{"processing", "complete", "holded", "canceled"}[e.how%4]
	switch e.how % 3 {
	case 0:
		m.shop.EditOrder(o.ID, func(o *magentotest.Order) { o.Status = status })
	case 1:
		m.shop.EditOrderLate(o.ID, func(o *magentotest.Order) { o.Status = status }, time.Duration(3*e.when)*time.Second)
	default:
		m.quiet[m.mapping.OrderKey(o.ID)] = true
		m.shop.EditOrderQuietly(o.ID, func(o *magentotest.Order) { o.Status = status })
	}
}

// editLines refunds a line, or has one come or go, by saving the order or quietly.
func (m *model) editLines(e event) {
	o := m.some(e)
	save := m.shop.EditOrder
	if e.who%4 == 0 {
		save = m.shop.EditOrderQuietly
		m.quiet[m.mapping.OrderKey(o.ID)] = true
	}
	save(o.ID, func(o *magentotest.Order) {
		switch e.how % 3 {
		case 0:
			if len(o.Lines) > 0 {
				o.Lines[0].Refunded = o.Lines[0].Ordered
			}
		case 1:
			o.Lines = append(o.Lines, lines(1)...)
		default:
			for i, l := range o.Lines {
				child := func(l magentotest.Line) bool { return l.ParentID == o.Lines[i].ID }
				if l.ParentID == 0 && len(o.Lines) > 1 && !slices.ContainsFunc(o.Lines, child) {
					m.lines[m.mapping.ItemKey(l.ID)] = true
					o.Lines = slices.Delete(o.Lines, i, i+1)
					return
				}
			}
		}
	})
}

// document invoices, ships or refunds an order, as the shop does or as a module that
// leaves the order's own time alone: its document tells of it.
func (m *model) document(e event) {
	o := m.some(e)
	kind := []magentotest.DocumentKind{magentotest.Invoices, magentotest.Shipments, magentotest.CreditMemos}[e.who%3]
	switch e.how % 5 {
	case 0:
		m.shop.Invoice(o.ID, nil)
	case 1:
		m.shop.Refund(o.ID, nil)
	case 2:
		m.shop.ShipLate(o.ID, nil, time.Duration(3*e.when)*time.Second)
	default:
		m.shop.DocumentQuietly(kind, o.ID, nil)
	}
}

// assign gives a guest's order to a customer, as a shop's staff can.
func (m *model) assign(e event) {
	o, c := m.some(e), m.someone(e)
	if !o.Guest {
		return
	}
	m.left[m.guestOf(&o)] = true
	m.moved[m.mapping.OrderKey(o.ID)] = true
	m.shop.EditOrder(o.ID, func(o *magentotest.Order) { o.Guest, o.CustomerID = false, c.ID })
}

// burst changes much in one second.
func (m *model) burst(e event) {
	for i := range 3 {
		m.create(event{who: e.who + i, how: 2, when: e.when})
		m.placeOrder(event{who: e.who + i, how: i})
	}
	for i, c := range m.shop.Data().Customers {
		m.shop.Edit(c.ID, func(c *magentotest.Customer) { change(c, event{how: e.how + i, when: e.when}) })
	}
}
