package magento

import (
	"time"
)

// Order is an order with its lines, as the shop prints it. Amounts are in the order's
// own currency. What the shop leaves out, prints as null or was not asked for is the
// zero value.
type Order struct {
	ID          int64  // entity_id: increment_id is unique within its store only
	IncrementID string // the order number that people see
	StoreID     int64  // the store view it was placed in; 0 when that was deleted
	StoreName   string // website, store and view on a line each, as they were called then
	QuoteID     int64  // of the cart it came from
	State       string // new, processing, complete, closed, canceled, holded, …
	Status      string // the shop's own code within the state
	CreatedAt   time.Time
	UpdatedAt   time.Time // UTC, whole seconds, as are all times here

	// CustomerID is 0 for a guest and for an account that was deleted; see Ownerless.
	CustomerID      int64
	Guest           bool
	CustomerGroupID int64
	// Email follows the customer's; the names do not.
	Email                           string
	FirstName, MiddleName, LastName string
	Prefix, Suffix                  string
	Gender                          string // the option id; "" when absent
	BirthDate                       string // as printed: 2006-01-02 15:04:05
	TaxVAT                          string

	Currency                          string // order_currency_code
	Subtotal, Discount, Shipping, Tax Decimal
	GrandTotal, Paid, Due, Refunded   Decimal
	Canceled                          Decimal
	BaseCurrency                      string // of BaseGrandTotal
	BaseGrandTotal                    Decimal
	Quantity, Weight                  Decimal // of all lines
	CouponCode, RemoteIP              string
	ShippingDescription               string
	Virtual                           bool // nothing to send: no ShippingAddress
	Payment                           Payment
	BillingAddress                    OrderAddress
	ShippingAddress                   *OrderAddress // nil when the shop prints none

	// Lines are the lines that people see: children of configurable products and bundles
	// are folded into their parents. LinesKnown is false when the shop printed `items`
	// as null or not at all, which says nothing about lines seen before.
	Lines      []Line
	LinesKnown bool
}

// Ownerless reports whether the order belonged to an account that was deleted: it is
// no guest's, and has no customer (recording order-after-customer-delete). The fields
// that tell always come.
func (o *Order) Ownerless() bool { return !o.Guest && o.CustomerID == 0 }

// Line is one line of an order.
type Line struct {
	ID        int64 // item_id
	ProductID int64 // of the parent
	Type      string
	SKU       string // the child's where there is exactly one
	Name      string
	Virtual   bool

	Quantity, Invoiced, Shipped, Refunded, Canceled Decimal

	Price, PriceInclTax       Decimal // of one, before discount
	RowTotal, RowTotalInclTax Decimal
	Discount, Tax             Decimal
	Weight                    Decimal // of one

	CreatedAt, UpdatedAt time.Time

	Options  []Option // as chosen, in the shop's order
	Children []Child
}

// Option is a choice that a customer made. The API prints ids, not their labels.
type Option struct {
	ID    string
	Value string // several are joined by commas
}

// Child is a line that was folded into its parent.
type Child struct {
	ID, ProductID int64
	SKU, Name     string
	Quantity      Decimal
}

// OrderAddress is an address as it was when the order was placed or later corrected.
type OrderAddress struct {
	ID                              int64
	Email                           string
	FirstName, MiddleName, LastName string
	Prefix, Suffix, Company         string
	Street                          string // its lines, joined by newlines
	Postcode, City, Region          string
	CountryID                       string
	Telephone, Fax                  string
}

// Payment says how an order is paid. Other payment details are not read.
type Payment struct {
	Method string // the code, such as checkmo
	Title  string // as the customer saw it, from payment_additional_info
}

// orderPageSize is where a page of orders starts, and its ceiling: an order costs the
// shop 13 to 19 ms, 100 of them 2 s and 1 MB; 1,000 end PHP at 256 MB.
const orderPageSize = 100
