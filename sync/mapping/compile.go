package mapping

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
)

// KeyLength is the room a key needs: shop code, kind and the largest id or hash.
const KeyLength = 48

// Options are what a pipeline adds to a mapping file.
type Options struct {
	Shop string         // the shop's code, [a-z0-9]{1,12} (promise 17)
	Zone *time.Location // of date-times in Copernica; nil = UTC
}

// Mapping is a compiled mapping, safe for concurrent use.
type Mapping struct {
	file   *File
	zone   *time.Location
	prefix string
	fields []field // without the key and without consent
	paths  []string
}

type field struct {
	Field
	source source
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
	m := &Mapping{file: f, zone: o.Zone, prefix: o.Shop + "-c"}
	m.paths = []string{"website_id", "store_id", "group_id", "email", "extension_attributes.is_subscribed"}
	for _, fd := range f.Profile.Fields {
		if fd.From == sourceKey {
			continue
		}
		src := resolve(fd.From)
		m.fields = append(m.fields, field{fd, src})
		m.paths = append(m.paths, src.path)
	}
	slices.Sort(m.paths)
	m.paths = slices.Compact(m.paths)
	return m, nil
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
func (m *Mapping) CustomerKey(id int64) string { return m.prefix + strconv.FormatInt(id, 10) }

// Row is what Copernica shall hold of one customer. Values are in canonical form.
type Row struct {
	Key       string
	SourceID  int64
	UpdatedAt time.Time // in the shop, UTC
	Website   int64
	Email     string
	OptIn     bool     // the shop's consent; says nothing without HasConsent
	Number    string   // increment_id; an order's only
	Shared    bool     // made of several records, of which the newest speaks: a guest's profile
	values    []string // aligned with the mapping's fields
	m         *Mapping
}

// Customer maps one customer. The row is complete even beside an error, which is
// a *RecordError: this customer cannot be delivered as it stands.
func (m *Mapping) Customer(c *magento.Customer, l *Lookups) (Row, error) {
	r := Row{
		Key: m.CustomerKey(c.ID), SourceID: c.ID, UpdatedAt: c.UpdatedAt,
		Website: c.WebsiteID, Email: c.Email, OptIn: c.Subscribed,
		values: make([]string, len(m.fields)), m: m,
	}
	var problem error
	for i := range m.fields {
		f := &m.fields[i]
		if f.source.time != nil {
			r.values[i] = f.Type.canonicalTime(f.source.time(c), m.zone)
			continue
		}
		v := f.source.text(c, l)
		if f.Values != nil {
			v = f.Values[v]
		}
		if f.Required && problem == nil {
			problem = f.check(v, c.ID)
		}
		r.values[i] = f.Type.canonical(v, f.Length, m.zone)
	}
	return r, problem
}

func (f *field) check(v string, id int64) error {
	switch {
	case strings.TrimSpace(v) == "":
		return &RecordError{
			ID: id, Field: f.Name, Cause: f.From + "_empty",
			Fix: "give the customer a value for " + f.From + " in Magento; saving it sends it again",
		}
	case utf8.RuneCountInString(v) > f.Length:
		return &RecordError{
			ID: id, Field: f.Name, Cause: f.From + "_too_long",
			Fix: fmt.Sprintf("shorten the customer's %s to %d characters in Magento; saving it sends it again", f.From, f.Length),
		}
	}
	return nil
}

// Table says what kind of row it is.
func (r *Row) Table() Table { return Profiles }

// HasConsent reports whether the shop tells consent with the row: a customer's profile alone.
func (r *Row) HasConsent() bool { return !r.Shared }

// Content lists everything but consent, in a fixed order, for hashing.
func (r *Row) Content() []string {
	out := make([]string, 0, 2*len(r.values)+1)
	out = append(out, r.Key)
	for i, v := range r.values {
		out = append(out, r.m.fields[i].Name, v)
	}
	return out
}

// ConsentValue is the consent field's value for what the shop says.
func (r *Row) ConsentValue() string {
	if r.OptIn {
		return r.m.file.Profile.Consent.In
	}
	return r.m.file.Profile.Consent.Out
}

// Body returns the fields to write: the content with the key, and consent if asked.
func (r *Row) Body(content, consent bool) map[string]string {
	body := make(map[string]string, len(r.values)+2)
	if content {
		body[r.m.file.Profile.Key] = r.Key
		for i, v := range r.values {
			body[r.m.fields[i].Name] = v
		}
	}
	if consent {
		body[r.m.file.Profile.Consent.Name] = r.ConsentValue()
	}
	return body
}

// Same reports whether a profile read back holds this row's content.
func (r *Row) Same(read map[string]string) bool {
	if read[r.m.file.Profile.Key] != r.Key {
		return false
	}
	for i, v := range r.values {
		if f := &r.m.fields[i]; !f.Type.same(v, read[f.Name]) {
			return false
		}
	}
	return true
}

// RecordError says why one customer cannot be delivered as it stands. It holds
// no value of the customer.
type RecordError struct {
	ID    int64
	Field string
	Cause string // stable code, such as email_empty
	Fix   string
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("customer %d: %s: %s", e.ID, strings.ReplaceAll(e.Cause, "_", " "), e.Fix)
}

// FaultClass makes a RecordError a matter of one record.
func (e *RecordError) FaultClass() fault.Class { return fault.Record }
