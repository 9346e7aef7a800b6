package mapping

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/magento"
)

// source is one thing that can be known of a customer.
type source struct {
	path string // what to ask Magento for (`fields=`); empty: comes with every answer
	text func(*magento.Customer, *Lookups) string
	time func(*magento.Customer) time.Time // instead of text
}

const (
	sourceKey       = "key"
	attributePrefix = "attribute."
)

// sources lists what a mapping may name after `from`, besides attribute.CODE for
// an attribute that the shop defined itself.
var sources = map[string]source{
	sourceKey:    {},
	"email":      {path: "email", text: func(c *magento.Customer, _ *Lookups) string { return c.Email }},
	"prefix":     {path: "prefix", text: func(c *magento.Customer, _ *Lookups) string { return c.Prefix }},
	"firstname":  {path: "firstname", text: func(c *magento.Customer, _ *Lookups) string { return c.FirstName }},
	"middlename": {path: "middlename", text: func(c *magento.Customer, _ *Lookups) string { return c.MiddleName }},
	"lastname":   {path: "lastname", text: func(c *magento.Customer, _ *Lookups) string { return c.LastName }},
	"suffix":     {path: "suffix", text: func(c *magento.Customer, _ *Lookups) string { return c.Suffix }},
	"gender":     {path: "gender", text: func(c *magento.Customer, _ *Lookups) string { return c.Gender }},
	"dob":        {path: "dob", text: func(c *magento.Customer, _ *Lookups) string { return c.BirthDate }},
	"taxvat":     {path: "taxvat", text: func(c *magento.Customer, _ *Lookups) string { return c.TaxVAT }},
	"created_in": {path: "created_in", text: func(c *magento.Customer, _ *Lookups) string { return c.CreatedIn }},
	"created_at": {path: "created_at", time: func(c *magento.Customer) time.Time { return c.CreatedAt }},
	"group":      {path: "group_id", text: func(c *magento.Customer, l *Lookups) string { return l.groups[c.GroupID] }},
	"store_view": {path: "store_id", text: func(c *magento.Customer, l *Lookups) string { return l.views[c.StoreID] }},
}

func sourceNames() string {
	return strings.Join(slices.Sorted(maps.Keys(sources)), ", ")
}

// resolve returns the source named by a field; Parse has checked that it exists.
func resolve(from string) source {
	code, own := strings.CutPrefix(from, attributePrefix)
	if !own {
		return sources[from]
	}
	return source{
		path: "custom_attributes",
		text: func(c *magento.Customer, _ *Lookups) string { return c.Attributes[code] },
	}
}

// Lookups are the names behind the ids that a customer carries.
type Lookups struct {
	groups map[int64]string
	views  map[int64]string
}

// NewLookups joins the shop's stores ("Website > Store > Store view") and the
// codes of its customer groups.
func NewLookups(stores magento.Stores, groups map[int64]string) *Lookups {
	l := &Lookups{groups: groups, views: map[int64]string{}}
	for _, v := range stores.Views {
		if website, group, view, ok := stores.Names(v.ID); ok {
			l.views[v.ID] = strings.Join([]string{website, group, view}, " > ")
		}
	}
	return l
}

// Knows reports whether every id that c carries has a name; if not, the shop got
// a new store or group since the lookups were read.
func (l *Lookups) Knows(c *magento.Customer) bool {
	_, group := l.groups[c.GroupID]
	_, view := l.views[c.StoreID]
	return group && view
}
