package mapping

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/magento"
)

// source is one thing that can be known of a record R: one of its functions says it,
// or none does, and it is empty.
type source[R any] struct {
	paths  []string // what to ask Magento for (`fields=`); none: it comes with every answer
	text   func(R) string
	time   func(R) time.Time
	amount func(R) magento.Decimal
	number func(R) int64
	// personal says that an order's or a line's value tells of the person who ordered; in a
	// profile everything does.
	personal bool
}

// personal marks a source whose value tells of a person.
func personal[R any](s source[R]) source[R] {
	s.personal = true
	return s
}

const (
	sourceKey       = "key"
	attributePrefix = "attribute."
)

// customer is a customer being mapped.
type customer struct {
	c *magento.Customer
	l *Lookups
}

// profileSource is what a profile may hold: how a registered customer tells it, and how
// a guest's order does.
type profileSource struct {
	customer source[customer]
	guest    source[*placing]
}

// person is a text that customers and guests' orders have alike.
func person(name string, c func(*magento.Customer) string, o func(*magento.Order) string) profileSource {
	return profileSource{
		customer: source[customer]{paths: []string{name}, text: func(r customer) string { return c(r.c) }},
		guest:    source[*placing]{paths: []string{"customer_" + name}, text: func(p *placing) string { return o(p.o) }},
	}
}

// profileSources lists what a mapping of profiles may name after `from`, besides
// attribute.CODE for an attribute that the shop defined itself.
var profileSources = map[string]profileSource{
	sourceKey: {},
	"email":   person("email", func(c *magento.Customer) string { return c.Email }, func(o *magento.Order) string { return o.Email }),
	"prefix":  person("prefix", func(c *magento.Customer) string { return c.Prefix }, func(o *magento.Order) string { return o.Prefix }),
	"firstname": {
		customer: source[customer]{paths: []string{"firstname"}, text: func(r customer) string { return r.c.FirstName }},
		guest: source[*placing]{
			paths: guestNamePaths,
			text:  func(p *placing) string { first, _ := guestName(p.o); return first },
		},
	},
	"middlename": person("middlename", func(c *magento.Customer) string { return c.MiddleName }, func(o *magento.Order) string { return o.MiddleName }),
	"lastname": {
		customer: source[customer]{paths: []string{"lastname"}, text: func(r customer) string { return r.c.LastName }},
		guest: source[*placing]{
			paths: guestNamePaths,
			text:  func(p *placing) string { _, last := guestName(p.o); return last },
		},
	},
	"suffix": person("suffix", func(c *magento.Customer) string { return c.Suffix }, func(o *magento.Order) string { return o.Suffix }),
	"gender": person("gender", func(c *magento.Customer) string { return c.Gender }, func(o *magento.Order) string { return o.Gender }),
	"dob":    person("dob", func(c *magento.Customer) string { return c.BirthDate }, func(o *magento.Order) string { return o.BirthDate }),
	"taxvat": person("taxvat", func(c *magento.Customer) string { return c.TaxVAT }, func(o *magento.Order) string { return o.TaxVAT }),
	// A guest has no account that was made somewhere at some time.
	"created_in": {customer: source[customer]{paths: []string{"created_in"}, text: func(r customer) string { return r.c.CreatedIn }}},
	"created_at": {customer: source[customer]{paths: []string{"created_at"}, time: func(r customer) time.Time { return r.c.CreatedAt }}},
	"group": {
		customer: source[customer]{paths: []string{"group_id"}, text: func(r customer) string { return r.l.groups[r.c.GroupID] }},
		guest:    source[*placing]{paths: []string{"customer_group_id"}, text: func(p *placing) string { return p.l.groups[p.o.CustomerGroupID] }},
	},
	"store_view": {
		customer: source[customer]{paths: []string{"store_id"}, text: func(r customer) string { return r.l.views[r.c.StoreID] }},
		guest:    source[*placing]{paths: viewPaths, text: func(p *placing) string { return p.view }},
	},
}

var guestNamePaths = []string{"customer_firstname", "customer_lastname", "billing_address.firstname", "billing_address.lastname"}

// guestName is a guest's first and last name: the order's own, else the name of who is
// billed.
func guestName(o *magento.Order) (first, last string) {
	if o.FirstName == "" && o.LastName == "" {
		return o.BillingAddress.FirstName, o.BillingAddress.LastName
	}
	return o.FirstName, o.LastName
}

func sourceNames[S any](sources map[string]S) string {
	return strings.Join(slices.Sorted(maps.Keys(sources)), ", ")
}

// profileSourceOf returns the source named by a field; Parse has checked that it exists.
func profileSourceOf(from string) profileSource {
	code, own := strings.CutPrefix(from, attributePrefix)
	if !own {
		return profileSources[from]
	}
	return profileSource{customer: source[customer]{
		paths: []string{"custom_attributes"},
		text:  func(r customer) string { return r.c.Attributes[code] },
	}}
}
