package mapping

import (
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

// Order maps one order. What it returns is complete even beside an error, which is a
// *RecordError: the order cannot be delivered as it stands.
func (m *Mapping) Order(o *magento.Order, l *Lookups) (Placed, error) {
	return Placed{ItemsKnown: o.LinesKnown}, nil
}

// OrderPaths lists what to ask Magento for with orders (`fields=`), sorted; nothing
// without orders in the mapping.
func (m *Mapping) OrderPaths() []string { return nil }

// OrderKey returns the key of an order's row (promise 17).
func (m *Mapping) OrderKey(id int64) string { return "" }

// ItemKey returns the key of the row of an order's line.
func (m *Mapping) ItemKey(id int64) string { return "" }

// GuestKey returns the key of the profile of a website's guest.
func (m *Mapping) GuestKey(website int64, email string) string { return "" }

// CustomerID is the inverse of [Mapping.CustomerKey]; false for any other key.
func (m *Mapping) CustomerID(key string) (int64, bool) { return 0, false }

// ProfilePrefix is how the keys of all profiles of this shop begin, guests' too.
func (m *Mapping) ProfilePrefix() string { return "" }

// GoneLines is the rule for the row of a line that disappeared from its order.
func (m *Mapping) GoneLines() Gone { return GoneRemove }

// KnowsOrder reports whether every id that o carries has a name; see [Lookups.Knows].
func (l *Lookups) KnowsOrder(o *magento.Order) bool { return true }

// Accept takes the ids of c that have no name for gone for good: the lookups were read
// after c was. They are known from now on, without a name.
func (l *Lookups) Accept(c *magento.Customer) {}

// AcceptOrder is [Lookups.Accept] for what an order carries.
func (l *Lookups) AcceptOrder(o *magento.Order) {}
