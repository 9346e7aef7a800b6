package demo

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// Live lets a moment pass: somebody registers, who may have been a guest before, changes
// their name, unsubscribes on either side, or orders, with an account or without one; or
// an order is paid, shipped, canceled. It says what happened.
func (w *World) Live(shopCode string) string {
	people := w.Shop.Data().Customers
	if len(people) == 0 {
		return "the shop is empty"
	}
	someone := people[w.random.IntN(len(people))]
	switch w.random.IntN(8) {
	case 0:
		w.newcomers++
		// A namesake in the same store view. The shop adds id and times itself: with a
		// time of the past nobody would ever see the newcomer.
		return fmt.Sprintf("customer %d registers", w.Shop.Create(magentotest.Customer{
			WebsiteID: someone.WebsiteID, StoreID: someone.StoreID, GroupID: someone.GroupID,
			FirstName: someone.FirstName, MiddleName: someone.MiddleName, LastName: someone.LastName,
			Gender: someone.Gender, DOB: someone.DOB,
			Email:            fmt.Sprintf("newcomer+%d@example.test", w.newcomers),
			NewsletterStatus: magentotest.Subscribed,
		}))
	case 1:
		w.Shop.SetNewsletter(someone.ID, 3)
		w.Shop.Edit(someone.ID, func(*magentotest.Customer) {})
		return fmt.Sprintf("customer %d unsubscribes in the shop and signs in", someone.ID)
	case 2:
		key := fmt.Sprintf("%s-c%d", shopCode, someone.ID)
		if w.Account.Unsubscribe(copernicatest.DatabaseName, key) != nil {
			return fmt.Sprintf("customer %d thinks about unsubscribing", someone.ID)
		}
		w.unsubscribed[key] = true
		w.Shop.Edit(someone.ID, func(*magentotest.Customer) {})
		return fmt.Sprintf("customer %d unsubscribes in Copernica and signs in to the shop", someone.ID)
	case 3:
		id := w.Shop.CreateOrder(magentotest.Order{CustomerID: someone.ID, StoreID: someone.StoreID, Lines: w.basket()})
		return fmt.Sprintf("customer %d places order %d", someone.ID, id)
	case 4:
		return w.guestOrders(someone)
	case 5:
		return w.orderMovesOn()
	case 6:
		return w.guestRegisters(people)
	default:
		w.Shop.Edit(someone.ID, func(c *magentotest.Customer) { c.LastName += " jr." })
		return fmt.Sprintf("customer %d changes their name", someone.ID)
	}
}

// guestOrders lets somebody order without an account, now and then for another time. They
// are called as a customer is, and come to the same store view.
func (w *World) guestOrders(namesake magentotest.Customer) string {
	guest := w.random.IntN(w.guests + 1)
	if guest == 0 {
		w.guests++
		guest = w.guests
	}
	id := w.Shop.CreateOrder(magentotest.Order{
		Guest: true, Email: fmt.Sprintf("guest+%d@example.test", guest), StoreID: namesake.StoreID,
		FirstName: namesake.FirstName, LastName: namesake.LastName, Lines: w.basket(),
	})
	return fmt.Sprintf("guest %d places order %d", guest, id)
}

// guestRegisters lets somebody who ordered as a guest make an account on that website,
// with their e-mail: from then on they are that customer, and so are their orders.
func (w *World) guestRegisters(people []magentotest.Customer) string {
	type account struct {
		website int64
		email   string
	}
	taken, websites := map[account]bool{}, map[int64]int64{}
	for _, c := range people {
		taken[account{c.WebsiteID, strings.ToLower(c.Email)}] = true
		websites[c.StoreID] = c.WebsiteID
	}
	var guests []magentotest.Order
	for _, o := range w.Shop.Data().Orders {
		mine := account{websites[o.StoreID], strings.ToLower(strings.TrimSpace(o.Email))}
		if o.Guest && mine.website != 0 && mine.email != "" && !taken[mine] {
			guests = append(guests, o)
		}
	}
	if len(guests) == 0 {
		return "every guest has an account"
	}
	o := guests[w.random.IntN(len(guests))]
	id := w.Shop.Create(magentotest.Customer{
		WebsiteID: websites[o.StoreID], StoreID: o.StoreID, GroupID: 1, Email: strings.TrimSpace(o.Email),
		FirstName: cmp.Or(o.FirstName, o.Billing.FirstName), LastName: cmp.Or(o.LastName, o.Billing.LastName),
		NewsletterStatus: magentotest.Subscribed,
	})
	return fmt.Sprintf("the guest of order %d registers, and is customer %d", o.ID, id)
}

// orderMovesOn lets an order that is under way be paid, shipped or canceled.
func (w *World) orderMovesOn() string {
	var open []magentotest.Order
	for _, o := range w.Shop.Data().Orders {
		if o.Status == "pending" || o.Status == "processing" {
			open = append(open, o)
		}
	}
	if len(open) == 0 {
		return "no order is under way"
	}
	o := open[w.random.IntN(len(open))]
	state, what := "complete", "is shipped"
	switch {
	case w.random.IntN(4) == 0:
		state, what = "canceled", "is canceled"
	case o.Status == "pending":
		state, what = "processing", "is paid"
	}
	w.Shop.EditOrder(o.ID, func(o *magentotest.Order) {
		o.State, o.Status = state, state
		for i := range o.Lines {
			switch l := &o.Lines[i]; state {
			case "processing":
				l.Invoiced = l.Ordered
			case "complete":
				l.Shipped = l.Ordered
			default:
				l.Canceled = l.Ordered
			}
		}
	})
	return fmt.Sprintf("order %d %s", o.ID, what)
}

// basket is what somebody orders: one thing or two.
func (w *World) basket() []magentotest.Line {
	things := []magentotest.Line{
		{ProductID: 2, SKU: "SIMPLE-2", Name: "Koffiemok", Price: "9.95", Ordered: "2", Weight: "0.4"},
		{ProductID: 3, SKU: "SIMPLE-3", Name: "Reisgids Ærø", Price: "24.5", Ordered: "1", Weight: "0.6"},
		{ProductID: 5, SKU: "SIMPLE-5", Name: "Kookboek & meer", Price: "32", Ordered: "1", Weight: "1.2"},
	}
	w.random.Shuffle(len(things), func(i, j int) { things[i], things[j] = things[j], things[i] })
	return things[:1+w.random.IntN(2)]
}
