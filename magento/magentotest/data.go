package magentotest

import (
	"slices"
	"time"
)

// Newsletter statuses as the shop stores them. REST shows status 1 as is_subscribed
// true and everything else as false.
const (
	NoSubscriber = iota // no row at all
	Subscribed
	NotActive
	Unsubscribed
	Unconfirmed
)

// Data is a copy of what the shop holds.
type Data struct {
	Websites       []Website
	Groups         []Group
	Views          []View
	CustomerGroups []CustomerGroup
	Customers      []Customer // by ID
	Orders         []Order    // by ID
	Documents      []Document // by kind, then by ID
}

// Website is a website, the scope of customer accounts.
type Website struct {
	ID           int64
	Code, Name   string
	DefaultGroup int64
}

// Group is a store group, which the admin calls a store.
type Group struct {
	ID, WebsiteID int64
	Code, Name    string
	DefaultView   int64
}

// View is a store view, which the API calls a store.
type View struct {
	ID, WebsiteID, GroupID int64
	Code, Name             string
	Locale, Currency, Zone string
}

// CustomerGroup is a customer group.
type CustomerGroup struct {
	ID   int64
	Code string
}

// Customer is a customer as the shop holds it. The zero value of an optional field
// means that the API leaves its key out.
type Customer struct {
	ID, WebsiteID, StoreID, GroupID int64
	CreatedAt, UpdatedAt            time.Time // UTC, whole seconds
	CreatedIn                       string    // name of the store view

	Email, FirstName, LastName      string
	MiddleName, Prefix, Suffix      string
	Gender                          int64  // 1 Male, 2 Female, 3 Not Specified
	DOB                             string // 2006-01-02
	TaxVAT, Confirmation            string
	DefaultBilling, DefaultShipping int64 // address ids
	DisableAutoGroupChange          int64
	Addresses                       []Address
	Attributes                      []Attribute // custom_attributes, in order
	NewsletterStatus                int         // of the row for this e-mail on this website
}

// Address is one of a customer's addresses.
type Address struct {
	ID                              int64
	CountryID, Postcode, City       string
	Street                          []string
	Company, Telephone              string
	FirstName, LastName             string
	DefaultBilling, DefaultShipping bool
	RegionKey                       bool // has the key region_id, as addresses made over REST do
}

// Attribute is a custom attribute; its value always is a string.
type Attribute struct{ Code, Value string }

// clone returns a copy that shares nothing.
func (c Customer) clone() Customer {
	c.Addresses = slices.Clone(c.Addresses)
	for i := range c.Addresses {
		c.Addresses[i].Street = slices.Clone(c.Addresses[i].Street)
	}
	c.Attributes = slices.Clone(c.Attributes)
	return c
}

// The stores are those of the recorded shop.

func websites() []Website {
	return []Website{{0, "admin", "Admin", 0}, {1, "base", "Main Website", 1}, {2, "uk", "UK Website", 2}}
}

func groups() []Group {
	return []Group{
		{0, 0, "default", "Default", 0},
		{1, 1, "main_website_store", "Main Website Store", 1},
		{2, 2, "uk_store", "UK Store", 4},
	}
}

func views() []View {
	return []View{
		{0, 0, 0, "admin", "Admin", "", "", ""},
		{1, 1, 1, "default", "Default Store View", "nl_NL", "EUR", "Europe/Amsterdam"},
		{3, 1, 1, "en", "English Store View", "en_US", "USD", "Europe/Amsterdam"},
		{4, 2, 2, "uk", "UK Store View", "en_GB", "GBP", "Europe/London"},
	}
}

func customerGroups() []CustomerGroup {
	return []CustomerGroup{{0, "NOT LOGGED IN"}, {1, "General"}, {2, "Wholesale"}, {3, "Retailer"}, {4, "VIP"}, {5, "Ünïcode – groep"}}
}

// view returns the store view with an id, the first real one if there is none.
func view(id int64) View {
	all := views()
	if i := slices.IndexFunc(all, func(v View) bool { return v.ID == id }); i >= 0 {
		return all[i]
	}
	return all[1]
}
