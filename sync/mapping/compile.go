package mapping

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
)

// KeyLength is the room that a customer's, an order's or a line's key needs: shop code,
// kind and the largest id. GuestKeyLength is that of a guest's: shop code, website (a
// smallint unsigned in Magento) and hash.
const (
	KeyLength      = 48
	GuestKeyLength = 12 + len("-w65535-g") + 32
)

// Options are what a pipeline adds to a mapping file.
type Options struct {
	Shop string         // the shop's code, [a-z0-9]{1,12} (promise 17)
	Zone *time.Location // of date-times in Copernica; nil = UTC
}

// Mapping is a compiled mapping, safe for concurrent use.
type Mapping struct {
	file   *File
	zone   *time.Location
	prefix string // of customers' keys
	keys   keys

	profiles, orders, items *table
	// How the values of a table's columns are told: profiles have two ways.
	customerValues []valuer[customer]
	guestValues    []valuer[*placing]
	orderValues    []valuer[*placing]
	itemValues     []valuer[placed]

	paths, orderPaths []string
}

var shopCode = regexp.MustCompile(`^[a-z0-9]{1,12}$`)

// Compile binds a file to a pipeline.
func (f *File) Compile(o Options) (*Mapping, error) {
	if !shopCode.MatchString(o.Shop) {
		return nil, fmt.Errorf("shop code %q: use 1 to 12 of a-z and 0-9", o.Shop)
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	m := &Mapping{file: f, zone: o.Zone, prefix: o.Shop + "-c", keys: newKeys(o.Shop)}
	m.paths = []string{"website_id", "store_id", "group_id", "email", "confirmation", "extension_attributes.is_subscribed"}
	m.profiles, m.customerValues = compileTable(m, Profiles, func(from string) source[customer] { return profileSourceOf(from).customer }, &m.paths)
	m.profiles.consent = &f.Profile.Consent
	m.paths = sortedSet(m.paths)

	m.orderPaths = []string{"increment_id", "created_at", "store_id", "store_name", "customer_email", "items.item_id"}
	_, m.guestValues = compileTable(m, Profiles, func(from string) source[*placing] { return profileSourceOf(from).guest }, &m.orderPaths)
	m.orders, m.orderValues = compileTable(m, Orders, func(from string) source[*placing] { return orderSources[from] }, &m.orderPaths)
	m.items, m.itemValues = compileTable(m, Items, func(from string) source[placed] { return itemSources[from] }, &m.orderPaths)
	m.orderPaths = sortedSet(m.orderPaths)
	if f.Orders == nil {
		m.orderPaths = nil
	}
	return m, nil
}

func sortedSet(paths []string) []string {
	slices.Sort(paths)
	return slices.Compact(paths)
}

// Paths lists what to ask Magento for (`fields=`), sorted.
func (m *Mapping) Paths() []string { return m.paths }

// KeyField names the Copernica field that holds a profile's key.
func (m *Mapping) KeyField() string { return m.file.Profile.Key }

// KeyPrefix is how the keys of this shop's customers begin.
func (m *Mapping) KeyPrefix() string { return m.prefix }

// Consent names the consent field and its two values.
func (m *Mapping) Consent() Consent { return m.file.Profile.Consent }

// CustomerKey returns the key of a registered customer's profile (promise 17).
func (m *Mapping) CustomerKey(id int64) string { return appendID(m.prefix, id) }

// Row is what Copernica shall hold of one customer, guest, order or line. Values are in
// canonical form.
type Row struct {
	Key       string
	SourceID  int64     // of the customer, or of the order that makes it
	UpdatedAt time.Time // in the shop, UTC
	Website   int64     // 0: of a store view that is gone
	Email     string    // a profile's only
	Confirmed bool      // the account's e-mail is: it proves who its guests are (promise 17)
	OptIn     bool      // the shop's consent; says nothing without HasConsent
	Number    string    // increment_id; an order's only
	Shared    bool      // made of several records, of which the newest speaks: a guest's profile
	values    []string  // aligned with the table's columns
	t         *table
}

// Customer maps one customer. The row is complete even beside an error, which is
// a *RecordError: this customer cannot be delivered as it stands.
func (m *Mapping) Customer(c *magento.Customer, l *Lookups) (Row, error) {
	r := Row{
		Key: m.CustomerKey(c.ID), SourceID: c.ID, UpdatedAt: c.UpdatedAt,
		Website: c.WebsiteID, Email: c.Email, Confirmed: c.Confirmation == "", OptIn: c.Subscribed,
		values: make([]string, len(m.customerValues)), t: m.profiles,
	}
	fill(m.customerValues, customer{c, l}, r.values)
	return r, refuse(m.profiles, m.customerValues, customer{c, l}, Profiles, c.ID)
}

// check says what keeps a required value from being delivered.
func check(f *Field, v string, of Table, id int64) error {
	e := &RecordError{Table: of, ID: id, Field: f.Name}
	switch {
	case strings.TrimSpace(v) == "":
		e.Cause = f.From + "_empty"
		e.Fix = "give the customer a value for " + f.From + " in Magento; saving it sends it again"
		if of == Orders {
			e.Fix = "give the guest's order a value for " + f.From + " in Magento's admin; saving it sends it again"
		}
	case utf8.RuneCountInString(v) > f.Length:
		e.Cause = f.From + "_too_long"
		e.Fix = fmt.Sprintf("shorten the customer's %s to %d characters in Magento; saving it sends it again", f.From, f.Length)
		if of == Orders {
			e.Fix = fmt.Sprintf("shorten the %s of the guest's order to %d characters in Magento's admin; saving it sends it again", f.From, f.Length)
		}
	default:
		return nil
	}
	return e
}

// Table says what kind of row it is.
func (r *Row) Table() Table { return r.t.kind }

// HasConsent reports whether the shop tells consent with the row: of customers alone.
func (r *Row) HasConsent() bool { return r.t.consent != nil && !r.Shared }

// Content lists everything but consent, in a fixed order, for hashing.
func (r *Row) Content() []string {
	out := make([]string, 0, 2*len(r.values)+1)
	out = append(out, r.Key)
	for i, v := range r.values {
		out = append(out, r.t.columns[i].Name, v)
	}
	return out
}

// ConsentValue is the consent field's value for what the shop says; "" without
// [Row.HasConsent].
func (r *Row) ConsentValue() string {
	switch {
	case !r.HasConsent():
		return ""
	case r.OptIn:
		return r.t.consent.In
	default:
		return r.t.consent.Out
	}
}

// Body returns the fields to write: the content with the key, and consent if asked
// and if the row has it.
func (r *Row) Body(content, consent bool) map[string]string {
	body := make(map[string]string, len(r.values)+2)
	if content {
		body[r.t.key] = r.Key
		for i, v := range r.values {
			body[r.t.columns[i].Name] = v
		}
	}
	if consent && r.HasConsent() {
		body[r.t.consent.Name] = r.ConsentValue()
	}
	return body
}

// Same reports whether a profile or subprofile read back holds this row's content.
func (r *Row) Same(read map[string]string) bool {
	if read[r.t.key] != r.Key {
		return false
	}
	for i, v := range r.values {
		if f := &r.t.columns[i]; !f.Type.same(v, read[f.Name]) {
			return false
		}
	}
	return true
}

// RecordError says why one customer or order cannot be delivered as it stands. It
// holds no value of theirs.
type RecordError struct {
	Table Table // Profiles: a customer; Orders: an order
	ID    int64
	Field string
	Cause string // stable code, such as email_empty
	Fix   string
}

func (e *RecordError) Error() string {
	record := "customer"
	if e.Table == Orders {
		record = "order"
	}
	return fmt.Sprintf("%s %d: %s: %s", record, e.ID, strings.ReplaceAll(e.Cause, "_", " "), e.Fix)
}

// FaultClass makes a RecordError a matter of one record.
func (e *RecordError) FaultClass() fault.Class { return fault.Record }
