package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/magento-copernica/syncd/magento"
)

// Placed is what one order makes.
type Placed struct {
	Owner Owner
	Order Row
	// Items are the rows of the order's lines. SourceID and UpdatedAt are the order's:
	// it is what is read again.
	Items []Row
	// ItemsKnown is false when the shop did not print the lines: none may be taken for gone.
	ItemsKnown bool
}

// Owner says whose profile an order stands under.
type Owner struct {
	// Key is the profile's; "" when nobody owns the order (its account was deleted) or
	// the guest's key cannot be made.
	Key      string
	Customer int64 // the customer's id in the shop; 0 for a guest and for nobody
	// Guest is the profile that this order makes of its guest; nil otherwise.
	Guest *Row
}

// placing is an order being mapped: what several of its values need is made once.
type placing struct {
	o    *magento.Order
	l    *Lookups
	m    *Mapping
	key  string
	view string // the store view in words
}

// placed is a line of an order being mapped.
type placed struct {
	*placing
	line *magento.Line
}

// Order maps one order, of a mapping that has orders: see [Mapping.Tables]. What it
// returns is complete even beside an error, which is a *RecordError: the order cannot
// be delivered as it stands.
func (m *Mapping) Order(o *magento.Order, l *Lookups) (Placed, error) {
	p := &placing{o: o, l: l, m: m, key: m.OrderKey(o.ID), view: l.viewOf(o)}
	website := l.websiteOf(o)
	at := Row{SourceID: o.ID, UpdatedAt: o.UpdatedAt, Website: website}

	orders, items := len(m.orderValues), len(m.itemValues)
	values := make([]string, orders+items*len(o.Lines))
	cut := func(n int) (head []string) {
		head, values = values[:n:n], values[n:]
		return head
	}
	out := Placed{Order: at, ItemsKnown: o.LinesKnown}
	out.Order.Key, out.Order.Number = p.key, o.IncrementID
	out.Order.t, out.Order.values = m.orders, cut(orders)
	problem := fill(m.orders, m.orderValues, p, out.Order.values, Orders, o.ID)

	if len(o.Lines) > 0 {
		out.Items = make([]Row, len(o.Lines))
	}
	for i := range o.Lines {
		r := &out.Items[i]
		*r = at
		r.Key, r.t, r.values = m.ItemKey(o.Lines[i].ID), m.items, cut(items)
		if err := fill(m.items, m.itemValues, placed{p, &o.Lines[i]}, r.values, Orders, o.ID); problem == nil {
			problem = err
		}
	}
	switch {
	case o.Guest:
		var err error
		if out.Owner, err = m.guest(p, at); problem == nil {
			problem = err
		}
	case o.CustomerID != 0:
		out.Owner = Owner{Key: m.CustomerKey(o.CustomerID), Customer: o.CustomerID}
	}
	return out, problem
}

// guest makes the profile of an order's guest; at is what it has in common with the
// order's other rows.
func (m *Mapping) guest(p *placing, at Row) (Owner, error) {
	r := &at
	r.Email, r.Shared = p.o.Email, true
	r.t, r.values = m.profiles, make([]string, len(m.guestValues))
	problem := fill(m.profiles, m.guestValues, p, r.values, Orders, p.o.ID)
	if strings.TrimSpace(p.o.Email) == "" {
		// Nothing is a key without an e-mail, whatever the mapping asks for.
		return Owner{Guest: r}, check(&Field{Name: m.emailField(), From: "email"}, "", Orders, p.o.ID)
	}
	r.Key = m.GuestKey(at.Website, p.o.Email)
	return Owner{Key: r.Key, Guest: r}, problem
}

// emailField names the field that holds the e-mail; the source's name when there is
// none.
func (m *Mapping) emailField() string {
	for _, c := range m.profiles.columns {
		if c.From == "email" {
			return c.Name
		}
	}
	return "email"
}

// OrderPaths lists what to ask Magento for with orders (`fields=`), sorted; nothing
// without orders in the mapping.
func (m *Mapping) OrderPaths() []string { return slices.Clone(m.orderPaths) }

// OrderKey returns the key of an order's row (promise 17).
func (m *Mapping) OrderKey(id int64) string { return appendID(m.keys.order, id) }

// ItemKey returns the key of the row of an order's line.
func (m *Mapping) ItemKey(id int64) string { return appendID(m.keys.item, id) }

// GuestKey returns the key of the profile of a website's guest. E-mails are one when
// they differ in case and outer blanks only, as Copernica compares them.
func (m *Mapping) GuestKey(website int64, email string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(email))))
	key := make([]byte, 0, GuestKeyLength)
	key = strconv.AppendInt(append(key, m.keys.website...), website, 10)
	return string(hex.AppendEncode(append(key, "-g"...), sum[:16]))
}

// CustomerID is the inverse of [Mapping.CustomerKey]; false for any other key.
func (m *Mapping) CustomerID(key string) (int64, bool) {
	digits, ok := strings.CutPrefix(key, m.prefix)
	if !ok || digits == "" || digits[0] < '1' || digits[0] > '9' {
		return 0, false
	}
	id, err := strconv.ParseInt(digits, 10, 64)
	return id, err == nil
}

// ProfilePrefix is how the keys of all profiles of this shop begin, guests' too.
func (m *Mapping) ProfilePrefix() string { return m.keys.shop }

// keys are how the keys of a shop begin, by what they are of.
type keys struct{ shop, website, order, item, cart, address string }

func newKeys(shop string) keys {
	return keys{
		shop: shop + "-", website: shop + "-w", order: shop + "-o", item: shop + "-i",
		cart: shop + "-q", address: shop + "-oa",
	}
}

// appendID joins the beginning of a key and an id.
func appendID(prefix string, id int64) string {
	var room [KeyLength]byte
	return string(strconv.AppendInt(append(room[:0], prefix...), id, 10))
}

// keyOf is appendID for what may not be there.
func keyOf(prefix string, id int64) string {
	if id == 0 {
		return ""
	}
	return appendID(prefix, id)
}
