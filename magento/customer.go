package magento

import (
	"time"
)

// Customer is a registered customer as the shop prints it. Texts are as they stand
// in the shop; what the shop leaves out is the zero value.
type Customer struct {
	ID        int64
	WebsiteID int64
	StoreID   int64 // the store view the customer registered in
	GroupID   int64
	Email     string

	FirstName, MiddleName, LastName string
	Prefix, Suffix                  string

	Gender       string // the option id, usually 1 male, 2 female, 3 not specified; "" when absent
	BirthDate    string // 2006-01-02, as printed
	TaxVAT       string
	CreatedIn    string // name of the store view at registration
	Confirmation string // the pending confirmation's key; "" when confirmed

	CreatedAt time.Time // UTC, whole seconds; zero when not asked for
	UpdatedAt time.Time // UTC, whole seconds

	// Subscribed is is_subscribed: true only for newsletter status 1. In a list it
	// is looked up by e-mail over all websites, so it is uncertain for an e-mail
	// known on two of them; a single read in the "all" scope is exact.
	Subscribed bool

	// Attributes holds the custom attributes by code, option ids joined by commas.
	Attributes map[string]string
}

// Query selects customers or orders by the time of their last change.
type Query struct {
	// From is the inclusive lower bound on updated_at; zero means none. It is not
	// used when After is set.
	From time.Time
	// After is the place to resume strictly after; zero means the start.
	After Cursor
	// Before is the horizon, exclusive and required (promise 2).
	Before time.Time
	// Stores are the ids of the store views whose records are wanted, by their store_id;
	// none means all. For a customer it is the view of the registration.
	Stores []int64
	// Customers are the ids of those whose orders are wanted, and Guests asks for orders
	// of guests alone. A walk of customers knows neither.
	Customers []int64
	Guests    bool
	// Fields are the wanted paths, such as "email", "extension_attributes.is_subscribed",
	// "custom_attributes" or, below a list, "items.sku". The id and updated_at always
	// come. Empty means every field the shop prints.
	Fields []string
}

// Cursor is a place in a walk: the last record read. Times are UTC, whole seconds.
// A walk of [Client.Emails] uses the ID alone.
type Cursor struct {
	UpdatedAt time.Time
	ID        int64
}

// IsZero reports whether the cursor stands at the start.
func (c Cursor) IsZero() bool { return c.ID == 0 && c.UpdatedAt.IsZero() }

// Page is one checked page of a walk.
type Page[T any] struct {
	Items []Item[T]
	// Next is the place after the last item, or the place the page was asked from
	// when it is empty.
	Next Cursor
	// Last says that the shop had no further rows before the horizon. It is never set
	// on a full page; an empty one follows when a full page was the end.
	Last bool
	// Total is how many rows the shop counted from this page's place on.
	Total int
	// Size is the page size asked for.
	Size int
	// Took is the time of the call, body included.
	Took time.Duration
}

// Item is one record of a page. Err is nil or a [*RecordError], and then Value is
// empty while ID and UpdatedAt still tell its place. Of a poisoned record ([CausePoison])
// nobody may know when it was changed; UpdatedAt is then the latest that it can be.
type Item[T any] struct {
	ID        int64
	UpdatedAt time.Time
	Value     T
	Err       error
}

// CustomerEmail is what tells whether one e-mail is known on several websites.
type CustomerEmail struct {
	ID, WebsiteID int64
	Email         string
	Confirmed     bool // no confirmation of the e-mail is pending
}

// EmailQuery selects customers by id.
type EmailQuery struct {
	// After is the id to resume strictly after.
	After int64
}

// customerPageSize is where a customer page starts, and its ceiling unless the
// operator sets one: 300 is the lowest maximum that shops enforce by default.
const customerPageSize = 300

// emailPageSize is the ceiling of a page of e-mails: such a row costs the shop
// about a millisecond, so a page stays near a second.
const emailPageSize = 1000
