package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// lookupBy is the kind of a question.
type lookupBy string

// The kinds.
const (
	byCustomer lookupBy = "customer" // or order: digits may be the number of one as well
	byNumber   lookupBy = "number"
	byEmail    lookupBy = "email"
	byProfile  lookupBy = "profile"
	byKey      lookupBy = "key"
)

// lookupQuery is a question. An e-mail in it is never printed.
type lookupQuery struct {
	by     lookupBy
	id     int64        // of the profile in Copernica
	entity state.Entity // of the key
	key    string       // of the record, where the question tells it
	number string       // of the order, likewise
	email  string
}

// What is told from one another by its looks: a key of any shop, and an order number, as
// 000000123, or 000000123-1 of an order that was edited.
var (
	anyKey      = regexp.MustCompile(`^[a-z0-9]{1,12}-(?:[coi][1-9]|w[0-9]+-g)`)
	orderNumber = regexp.MustCompile(`^[0-9][0-9A-Za-z._/-]*$`)
)

// parseLookup understands what an operator asks for.
func parseLookup(what string, m *mapping.Mapping) (lookupQuery, error) {
	what = strings.TrimSpace(what)
	if strings.Contains(what, "@") {
		return lookupQuery{by: byEmail, email: what}, nil
	}
	if id, ok := profileNumber(what); ok {
		return lookupQuery{by: byProfile, id: id}, nil
	}
	number, ok := strings.CutPrefix(what, "order:")
	if ok = ok || strings.HasPrefix(what, "#"); ok && strings.TrimLeft(number, "# ") != "" { // #000000123 is how people write one
		return lookupQuery{by: byNumber, number: strings.TrimLeft(number, "# ")}, nil
	}
	if id, ok := naturalNumber(what); ok {
		return lookupQuery{by: byCustomer, entity: state.Profile, key: m.CustomerKey(id), number: what}, nil
	}
	key := strings.ToLower(what) // as keys are written
	ours := strings.HasPrefix(key, m.ProfilePrefix())
	switch {
	case ours && len(key) > len(m.ProfilePrefix()) && state.ValidKey(key) == nil:
		return lookupQuery{by: byKey, entity: entityOfKey(key, m), key: key}, nil
	case anyKey.MatchString(what), anyKey.MatchString(key) && !orderNumber.MatchString(what):
		return lookupQuery{}, fmt.Errorf("%s is no key of this shop: its keys begin with %s; for another shop set SYNCD_SHOP and its state", key, m.ProfilePrefix())
	case orderNumber.MatchString(what) && strings.Trim(what, "0") != "":
		return lookupQuery{by: byNumber, number: what}, nil
	}
	return lookupQuery{}, &usageError{fmt.Errorf(
		"%q is nothing to look up: write a customer id such as 123, an order number such as 000000123 or order:123, an e-mail, "+
			"a Copernica profile as p123 or profile:123, or a key such as %s or %s",
		what, m.CustomerKey(123), m.OrderKey(123))}
}

// answered reports whether among some records is the one that a question is about, as far as
// it tells which one that is. Digits are a customer's id, and may be an order's number too.
func (q lookupQuery) answered(found []*lookupRecord) bool {
	if q.key == "" {
		return len(found) > 0
	}
	return slices.ContainsFunc(found, func(r *lookupRecord) bool { return r.Key == q.key })
}

// profileNumber reads p123 and profile:123.
func profileNumber(s string) (int64, bool) {
	lower := strings.ToLower(s)
	for _, prefix := range []string{"profile:", "p"} {
		if digits, ok := strings.CutPrefix(lower, prefix); ok {
			return naturalNumber(digits)
		}
	}
	return 0, false
}

// naturalNumber reads an id as both peers print them: leading zeros belong to the
// numbers of orders.
func naturalNumber(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n > 0 && s[0] != '0' && s[0] != '+'
}

// entityOfKey tells what a key of this shop is of.
func entityOfKey(key string, m *mapping.Mapping) state.Entity {
	digits := strings.TrimLeft(key[len(m.ProfilePrefix()):], "oi")
	id, _ := naturalNumber(digits)
	switch key {
	case m.OrderKey(id):
		return state.Order
	case m.ItemKey(id):
		return state.Item
	}
	return state.Profile
}

// sourceOf returns the id in the shop that a key tells: of a customer or an order. 0: it
// tells none, as those of guests and of lines do.
func sourceOf(ref state.RecordRef, m *mapping.Mapping) int64 {
	if ref.Entity == state.Order {
		id, _ := naturalNumber(strings.TrimPrefix(ref.Key, m.ProfilePrefix()+"o"))
		return id
	}
	id, ok := m.CustomerID(ref.Key)
	if !ok || ref.Entity != state.Profile {
		return 0
	}
	return id
}

// nothing says that no record was found, and what else to try.
func (q lookupQuery) nothing(m *mapping.Mapping, live bool) error {
	switch q.by {
	case byEmail:
		return fmt.Errorf("nobody with this e-mail is known to the state: no customer has come by with it, and no guest has ordered with it on websites up to %d; "+
			"look a customer up by the id that Magento shows under Customers", mostWebsites-1)
	case byNumber:
		return fmt.Errorf("the state knows no order with number %s: none has come by yet, it is another store's, or it was erased with its customer; Magento shows an order's id in the "+
			"address of its page, and `syncd lookup %s --live`, with that id for ID, asks the shop", q.number, m.ProfilePrefix()+"oID")
	case byProfile:
		if live {
			return fmt.Errorf("the state knows no profile %d, and Copernica has none with that id and a key of this shop", q.id)
		}
		return fmt.Errorf("the state knows no profile %d: with --live Copernica is asked whose it is", q.id)
	}
	if live {
		return fmt.Errorf("neither the state, nor the shop, nor Copernica knows %s", q.key)
	}
	return fmt.Errorf("the state knows no record %s: none has come by yet; with --live the shop and Copernica are asked", q.key)
}
