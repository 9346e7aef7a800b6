package engine_test

import (
	"strings"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// consent is the test's own book of one customer's newsletter, written from what people
// do on the two sides and from nothing that syncd knows.
//
// Whoever's last word is an opt-out stays out, on both sides. The last word is known
// when it is on one side, or when everything was settled between the two; otherwise the
// opt-out wins. Where not even that can be told, both sides only have to agree.
type consent struct {
	must  string    // in or out; "": either, but the same on both sides
	open  bool      // an opt-out in Copernica that syncd may not have seen
	told  bool      // syncd has looked since, perhaps at this one: what follows may count as later
	doubt bool      // the state forgot what was settled
	hand  bool      // somebody opted in in Copernica, which the shop never learns
	again bool      // and syncd has not looked since: the same opt-out as before leaves no trace
	inAt  time.Time // of the last opt-in in the shop
}

func word(status int) string {
	if status == magentotest.Subscribed {
		return in
	}
	return out
}

// met begins the book of a customer.
func (m *model) met(id int64) {
	m.consent[m.mapping.CustomerKey(id)] = &consent{must: word(m.customer(id).NewsletterStatus), inAt: time.Now()}
}

// shopSays is a newsletter status set in the shop.
func (m *model) shopSays(id int64, before, after int) {
	c := m.consent[m.mapping.CustomerKey(id)]
	if c == nil {
		return // who is to be erased
	}
	if word(after) == in {
		c.inAt = time.Now()
	}
	switch {
	case word(before) == word(after):
	case word(after) == out:
		if !c.hand {
			c.must = out
		}
	case c.open: // the opt-out wins
	case c.told, c.doubt, c.hand:
		c.must = ""
	default:
		c.must = in
	}
}

// optedOutThere is an opt-out made in Copernica, in a profile that showed something.
func (m *model) optedOutThere(key, shown string) {
	c := m.consent[key]
	if c == nil {
		m.guestsOut[key] = time.Now()
		return
	}
	if shown != in && shown != out && shown != "" {
		if c.must == in { // it shows nothing that it did not show before
			c.must = ""
		}
		return
	}
	if c.again {
		c.must, c.again = "", false
		return
	}
	c.must, c.open, c.told, c.hand = out, true, false, false
}

// optedInThere is an opt-in made in Copernica, in a profile that showed something.
func (m *model) optedInThere(key, shown string) {
	if c := m.consent[key]; c != nil {
		c.again = c.again || shown == copernicatest.Unsubscribed && !c.open
		c.must, c.open, c.hand = "", false, true
	}
}

// removedThere is a profile that somebody removed, and what it said with it.
func (m *model) removedThere(key string) {
	c := m.consent[key]
	if c == nil {
		if !m.guestsOut[key].IsZero() {
			m.faded[key] = true
		}
		delete(m.guestsOut, key)
		return
	}
	if id, ok := m.mapping.CustomerID(key); ok && c.must == out && word(m.customer(id).NewsletterStatus) == in {
		c.must = ""
	}
	c.open = false
}

// lookedBack is a round of opt-outs from Copernica. One that was cut short may have settled
// those whose customers the shop has as out.
func (m *model) lookedBack(whole bool) {
	for key, c := range m.consent {
		if whole {
			c.again = false
		}
		if id, _ := m.mapping.CustomerID(key); c.open && (whole || word(m.customer(id).NewsletterStatus) == out) {
			c.open, c.told = false, true
		}
	}
}

// settled is when every stream has run to its end and nothing was left.
func (m *model) settled() {
	shown := m.newsletters()
	for key, c := range m.consent {
		if id, _ := m.mapping.CustomerID(key); m.spoiled[id] != "" {
			continue // whoever cannot be delivered is not settled
		}
		c.open, c.told, c.doubt, c.again = false, false, false, false
		if value := shown[key]; value != in {
			c.hand = false
		}
	}
}

// forgot is a state that was lost, or replaced by an older copy.
func (m *model) forgot() {
	shown := m.newsletters()
	for key, c := range m.consent {
		if c.doubt = true; c.must == in && shown[key] != in {
			c.must = ""
		}
	}
}

// newsletters is what Copernica shows, by key.
func (m *model) newsletters() map[string]string {
	shown := map[string]string{}
	for _, p := range m.account.Profiles(database) {
		shown[p.Fields["customer_id"]] = p.Fields[ours]
	}
	return shown
}

// watch is what must hold at any time: nobody's opt-out in Copernica is undone, and no
// key has two profiles.
func (m *model) watch() {
	m.t.Helper()
	profiles := m.account.Profiles(database)
	people := m.shop.Data().Customers
	m.noteEmails(people)
	m.nobodyComesBack(people, profiles)
	m.guestsClaimed(profiles)
	seen := map[string]bool{}
	for _, p := range profiles {
		key := p.Fields["customer_id"]
		if c := m.consent[key]; c != nil && c.open && p.Fields[ours] == in {
			m.wrongly("an opt-out in Copernica was undone", "%s", key)
		}
		if seen[key] && key != "" {
			m.wrongly("a key has two profiles", "%s", key)
		}
		seen[key] = true
	}
}

// judgeConsent compares both sides with the book.
func (m *model) judgeConsent() {
	m.t.Helper()
	shown := m.newsletters()
	for _, c := range m.shop.Data().Customers {
		key := m.mapping.CustomerKey(c.ID)
		book, there := m.consent[key], shown[key] == in
		here := word(c.NewsletterStatus) == in
		switch {
		case book == nil: // who is erased
		case book.must == out && (here || there):
			m.wrongly("an opt-out was undone", "%s: the shop says %v, Copernica %q, %+v", key, here, shown[key], *book)
		case book.must == in && (!here || !there):
			m.wrongly("an opt-in was lost", "%s: the shop says %v, Copernica %q, %+v\n%s", key, here, shown[key], *book, m.picture())
		case here && !there, there && !here && !book.hand:
			m.wrongly("the sides do not agree on consent", "%s: the shop says %v, Copernica %q, %+v", key, here, shown[key], *book)
		}
	}
	for _, p := range m.account.Profiles(database) {
		key := p.Fields["customer_id"]
		if strings.HasPrefix(key, "shop-w") && p.Fields[ours] != "" && p.Fields[ours] != copernicatest.Unsubscribed {
			m.wrongly("a guest's consent was written", "%s shows %q", key, p.Fields[ours])
		}
	}
}
