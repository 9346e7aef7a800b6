package engine_test

import (
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// Guests who are customers (promise 17). Whose a guest's orders are follows from the
// shop alone when one customer proved the e-mail, ever, and has it still. Otherwise it
// depends on what syncd saw when: then it is read off what stands in Copernica, and must
// be one of those whom it can be.

// guestOf is the key of the profile that a guest's order has before anybody claims it.
func (m *model) guestOf(o *magentotest.Order) string {
	website := int64(1)
	if o.StoreID == 4 {
		website = 2
	}
	return m.mapping.GuestKey(website, o.Email)
}

// noteEmails remembers who proved which e-mail.
func (m *model) noteEmails(people []magentotest.Customer) {
	for _, c := range people {
		if c.Confirmation != "" || m.spoiled[c.ID] != "" {
			continue
		}
		guest := m.mapping.GuestKey(c.WebsiteID, c.Email)
		if m.had[guest] == nil {
			m.had[guest] = map[string]bool{}
		}
		m.had[guest][m.mapping.CustomerKey(c.ID)] = true
	}
}

// confirm has somebody answer the mail that asks whether the address is theirs.
func (m *model) confirm(e event) {
	for _, c := range m.shop.Data().Customers {
		if c.Confirmation != "" {
			m.shop.Edit(c.ID, func(c *magentotest.Customer) { c.Confirmation = "" })
			return
		}
	}
	m.create(event{who: e.who, how: 4 * e.how % 12, when: 5 * (e.when % 18)}) // with a guest's e-mail, not confirmed
}

// claimsSeen tells whose guests are, where only Copernica can, and which are anybody's:
// those whose customer is gone or whose claim a lost state knew.
func (m *model) claimsSeen(data magentotest.Data) (claims map[string]string, anybodys map[string]bool) {
	claims, anybodys = map[string]string{}, map[string]bool{}
	parents := map[int64]string{}
	for _, p := range m.account.Profiles(database) {
		parents[p.ID] = p.Fields["customer_id"]
	}
	below := map[string]string{}
	for _, s := range m.account.Subprofiles(database, "Orders") {
		below[s.Fields["order_id"]] = parents[s.Parent]
	}
	has := map[string]bool{} // customer and guest
	for _, c := range data.Customers {
		has[m.mapping.CustomerKey(c.ID)+" "+m.mapping.GuestKey(c.WebsiteID, c.Email)] = c.Confirmation == ""
	}
	buried := m.buriedPeople(data.Customers)
	for guest, who := range m.had {
		certain := len(who) == 1
		for key := range who {
			certain = certain && has[key+" "+guest]
			if m.deleted[key] || buried[key] || m.lost {
				anybodys[guest] = true
			}
		}
		if certain {
			continue
		}
		for _, o := range data.Orders {
			if !o.Guest || m.guestOf(&o) != guest {
				continue
			}
			switch owner := below[m.mapping.OrderKey(o.ID)]; {
			case who[owner]:
				claims[guest] = owner
			case owner == guest:
				claims[guest] = ""
			}
			break
		}
	}
	return claims, anybodys
}

// guestsClaimed notes the opt-outs of guests who became customers: they are the same
// person's, and later than what that customer said in the shop before. A state that was
// lost may leave the guest's profile where it is, and knows whose it was.
func (m *model) guestsClaimed(profiles []copernicatest.Profile) {
	for guest := range m.faded { // the ledger may know of the opt-out, and take it along
		for key := range m.had[guest] {
			if c := m.consent[key]; c != nil && c.must == in {
				c.must = ""
			}
		}
	}
	shown := m.newsletters()
	for guest, at := range m.guestsOut {
		there := false
		for _, p := range profiles {
			there = there || p.Fields["customer_id"] == guest
		}
		if there && !m.lost {
			continue
		}
		if !there {
			delete(m.guestsOut, guest)
		}
		for key := range m.had[guest] {
			c := m.consent[key]
			switch {
			case c == nil:
			case len(m.had[guest]) > 1 || c.inAt.After(at) || m.lost:
				if c.doubt = true; c.must == in { // it may have become theirs
					c.must = ""
				}
			case c.must == out && !c.open && shown[key] != in: // out on both sides already, as the claim has seen
				c.told, c.hand = true, false
			default:
				c.must, c.open, c.told, c.hand = out, true, false, false
			}
		}
	}
}
