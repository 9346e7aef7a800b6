package mapping

import (
	"crypto/sha256"
	"encoding/hex"
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
	at := Row{SourceID: o.ID, UpdatedAt: o.UpdatedAt, Website: l.websites[o.StoreID]}

	values := make([]string, len(m.orderValues)+len(m.itemValues)*len(o.Lines))
	next := func(n int) (head []string) {
		head, values = values[:n:n], values[n:]
		return head
	}
	out := Placed{Order: at, ItemsKnown: o.LinesKnown}
	r := &out.Order
	r.Key, r.Number, r.t, r.values = p.key, o.IncrementID, m.orders, next(len(m.orderValues))
	fill(m.orderValues, p, r.values)

	if len(o.Lines) > 0 {
		out.Items = make([]Row, len(o.Lines))
	}
	for i := range o.Lines {
		r, line := &out.Items[i], &o.Lines[i]
		*r = at
		r.Key, r.t, r.values = m.ItemKey(line.ID), m.items, next(len(m.itemValues))
		fill(m.itemValues, placed{p, line}, r.values)
	}
	var problem error
	switch {
	case o.Guest:
		out.Owner, problem = m.guest(p, at)
	case o.CustomerID != 0:
		out.Owner = Owner{Key: m.CustomerKey(o.CustomerID), Customer: o.CustomerID}
	}
	return out, problem
}

// guest makes the profile of an order's guest; at is what it has in common with the
// order's other rows.
func (m *Mapping) guest(p *placing, at Row) (Owner, error) {
	r := &at
	r.Email, r.Shared, r.t, r.values = p.o.Email, true, m.profiles, make([]string, len(m.guestValues))
	fill(m.guestValues, p, r.values)
	if strings.TrimSpace(p.o.Email) == "" {
		// Without an e-mail there is no key, whatever the mapping asks for.
		return Owner{Guest: r}, check(&Field{Name: m.EmailField(), From: "email"}, "", Orders, p.o.ID)
	}
	r.Key = m.GuestKey(at.Website, p.o.Email)
	return Owner{Key: r.Key, Guest: r}, refuse(m.profiles, m.guestValues, p, Orders, p.o.ID)
}

// Stay leaves an order's guest on the website on which they are known, where the store view
// tells another one by now, or is gone. It reports whether that made a difference.
func (m *Mapping) Stay(p *Placed, website int64) bool {
	g := p.Owner.Guest
	if g == nil || g.Key == "" || m.GuestKey(website, g.Email) == g.Key {
		return false
	}
	g.Website, g.Key = website, m.GuestKey(website, g.Email)
	p.Owner.Key = g.Key
	return true
}

// EmailField names the field that holds the e-mail; the source's name when there is
// none.
func (m *Mapping) EmailField() string {
	for _, c := range m.profiles.columns {
		if c.From == "email" {
			return c.Name
		}
	}
	return "email"
}

// OrderPaths lists what to ask Magento for with orders (`fields=`), sorted; nothing
// without orders in the mapping.
func (m *Mapping) OrderPaths() []string { return m.orderPaths }

// OrderKey returns the key of an order's row (promise 17).
func (m *Mapping) OrderKey(id int64) string { return appendID(m.keys.order, id) }

// ItemKey returns the key of the row of an order's line.
func (m *Mapping) ItemKey(id int64) string { return appendID(m.keys.item, id) }

// HasOrders reports whether the mapping fills collections with orders and their lines.
func (m *Mapping) HasOrders() bool { return m.file.Orders != nil }

// OneByEmail reports whether people with one e-mail are one, see [ByEmail].
func (m *Mapping) OneByEmail() bool { return m.file.Identity == ByEmail }

// Realm is the website within which an e-mail is one person: the given one, or 0 where it
// is so on all of them.
func (m *Mapping) Realm(website int64) int64 {
	if m.OneByEmail() {
		return 0
	}
	return website
}

// GuestKey returns the key of the profile of a website's guest. E-mails are one when
// they differ in case and outer blanks only, as Copernica compares them.
func (m *Mapping) GuestKey(website int64, email string) string {
	website = m.Realm(website)
	key := make([]byte, 0, GuestKeyLength)
	key = strconv.AppendInt(append(key, m.keys.website...), website, 10)
	return string(append(append(key, "-g"...), PersonOf(email)...))
}

// PersonOf is the part of a guest's key that stands for the e-mail: 32 hexadecimal digits,
// the same for two e-mails that Copernica takes for one.
func PersonOf(email string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(email))))
	return hex.EncodeToString(sum[:personDigits/2])
}

// personDigits is the length of what [PersonOf] returns.
const personDigits = 32

// GuestOf is the inverse of [Mapping.GuestKey]: the guest's website and their e-mail as
// [PersonOf] has it; false for any other key.
func (m *Mapping) GuestOf(key string) (website int64, person string, ok bool) {
	rest, ok := strings.CutPrefix(key, m.keys.website)
	if !ok {
		return 0, "", false
	}
	digits, person, ok := strings.Cut(rest, "-g")
	website, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || strconv.FormatInt(website, 10) != digits || website < 0 || len(person) != personDigits {
		return 0, "", false
	}
	for _, c := range []byte(person) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return 0, "", false
		}
	}
	return website, person, true
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
