package magentotest

import (
	"slices"
	"time"
)

// Order is an order as the shop holds it. Amounts and quantities are exact decimals
// such as "64.85", "504" or "21.6138", at most four places; the shop prints them as
// JSON numbers without trailing zeros. "" and 0 mean that the API leaves a key out,
// unless a comment says otherwise; an amount that the API always prints is then 0.
type Order struct {
	ID, StoreID, QuoteID int64
	IncrementID          string // the order number people see; unique within its store only
	StoreName            string // website, store and view on three lines, as they were called then
	CreatedAt, UpdatedAt time.Time
	State, Status        string
	HoldState            string // hold_before_state, hold_before_status
	HoldStatus           string

	// An order without CustomerID that is no guest's belonged to an account that was
	// deleted.
	Guest               bool
	CustomerID          int64
	CustomerGroupID     int64 // always printed
	Email               string
	FirstName, LastName string
	MiddleName, Prefix  string
	Suffix, TaxVAT      string
	Gender              int64
	DOB                 string // 2006-01-02 00:00:00
	NoteNotify          int64  // always printed
	EmailSent           int64
	CouponCode          string
	DiscountDescription string
	RuleIDs             string
	RemoteIP            string
	ProtectCode         string
	Virtual             bool
	ShippingDescription string
	ShippingMethod      string
	Weight, Quantity    string
	Currency            string // of all amounts but the Base ones
	BaseCurrency        string
	GlobalCurrency      string
	ToOrderRate         string // from base
	ToGlobalRate        string
	Totals, BaseTotals  Totals
	Due, BaseDue        string
	Invoiced            *Sums // nil: nothing yet, here and below
	Refunded, Canceled  *Sums
	Lines               []Line
	Billing             OrderAddress
	Shipping            *OrderAddress // nil: a virtual order
	PaymentID           int64
	PaymentMethod       string // such as checkmo
	PaymentTitle        string // such as "Check / Money order"
	History             []Comment
}

// Totals are what an order amounts to.
type Totals struct {
	Subtotal, SubtotalInclTax string
	Discount                  string // negative or 0
	Shipping, ShippingInclTax string
	ShippingTax, Tax, Grand   string
}

// Sums are what of an order has been invoiced, refunded or canceled.
type Sums struct{ Of, Base Sum }

// Sum is a part of an order's totals.
type Sum struct{ Subtotal, Discount, Shipping, Tax, Total string }

// Line is a line of an order. A configurable product has two: the parent with the
// price, and a child with ParentID and price 0.
type Line struct {
	ID, ParentID         int64
	ProductID, QuoteID   int64
	Type, SKU, Name      string
	Virtual              bool
	CreatedAt, UpdatedAt time.Time

	Ordered, Invoiced, Shipped, Refunded, Canceled string // quantities, always printed

	Price, BasePrice                     string
	OriginalPrice, BaseOriginalPrice     string
	PriceInclTax, BasePriceInclTax       string
	RowTotal, BaseRowTotal               string
	RowInclTax, BaseRowInclTax           string
	Discount, BaseDiscount, DiscountRate string // a discount is positive here
	Tax, BaseTax, TaxRate                string
	RowInvoiced, BaseRowInvoiced         string
	AmountRefunded, BaseAmountRefunded   string

	Weight, RowWeight string // no Weight: the key is absent
	RuleIDs           string
	Options           []Option
}

// Option is a chosen option of a configurable product: the attribute's id, which the
// API prints as text, and the value's.
type Option struct {
	ID    string
	Value int64
}

// OrderAddress is an address as it was when the order was placed.
type OrderAddress struct {
	ID                      int64
	Email                   string
	FirstName, LastName     string
	Company, Telephone      string
	CountryID               string
	Postcode, City          string
	Street                  []string
	RegionKey, CustomerLink bool // has the key region_id, customer_id
}

// Comment is an entry of an order's history.
type Comment struct {
	ID                int64
	At                time.Time
	Text, Status      string
	Entity            string // such as creditmemo
	Notified, Visible int64
}

// clone returns a copy that shares nothing.
func (o Order) clone() Order {
	o.Lines = slices.Clone(o.Lines)
	for i := range o.Lines {
		o.Lines[i].Options = slices.Clone(o.Lines[i].Options)
	}
	o.Billing.Street = slices.Clone(o.Billing.Street)
	if o.Shipping != nil {
		o.Shipping = new(*o.Shipping)
		o.Shipping.Street = slices.Clone(o.Shipping.Street)
	}
	for _, sums := range []**Sums{&o.Invoiced, &o.Refunded, &o.Canceled} {
		if *sums != nil {
			*sums = new(**sums)
		}
	}
	o.History = slices.Clone(o.History)
	return o
}
