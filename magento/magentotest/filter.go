package magentotest

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind says how the database compares a column.
type kind uint8

const (
	number kind = iota + 1
	amount      // in ten-thousandths
	moment
	text
)

// column is how filters and sort orders see one field of a row. Exactly one of the
// accessors is set; the boolean is false where the database has NULL.
type column[R any] struct {
	kind kind
	int  func(R) (int64, bool)
	text func(R) (string, bool)
}

func intColumn[R any](k kind, get func(R) int64) column[R] {
	return column[R]{kind: k, int: func(r R) (int64, bool) { return get(r), true }}
}

func textColumn[R any](get func(R) string) column[R] {
	return column[R]{kind: text, text: func(r R) (string, bool) { s := get(r); return s, s != "" }}
}

func optional[R any](get func(R) int64) column[R] {
	return column[R]{kind: number, int: func(r R) (int64, bool) { v := get(r); return v, v != 0 }}
}

// schema is what the search must know of one kind of row.
type schema[R keyed] struct {
	column func(field string) (column[R], bool)
	// filter and sort answer a field that is no column; a nil sort ignores it.
	filter, sort func(field string) *failure
}

// customerSchema refuses unknown fields of filters and ignores those of sort orders.
func customerSchema() schema[*record] {
	return schema[*record]{column: customerColumn, filter: func(field string) *failure {
		return fail(http.StatusBadRequest, `The "%1" attribute name is invalid. Reset the name and try again.`, field)
	}}
}

// customerColumn returns the column behind a field name. The id is called entity_id
// here although answers say id (recording customers-search-filter-id-field).
func customerColumn(field string) (column[*record], bool) {
	switch field {
	case "entity_id":
		return intColumn(number, func(r *record) int64 { return r.ID }), true
	case "website_id":
		return intColumn(number, func(r *record) int64 { return r.WebsiteID }), true
	case "store_id":
		return intColumn(number, func(r *record) int64 { return r.StoreID }), true
	case "group_id":
		return intColumn(number, func(r *record) int64 { return r.GroupID }), true
	case "disable_auto_group_change":
		return intColumn(number, func(r *record) int64 { return r.DisableAutoGroupChange }), true
	case "gender":
		return optional(func(r *record) int64 { return r.Gender }), true
	case "default_billing":
		return optional(func(r *record) int64 { return r.DefaultBilling }), true
	case "default_shipping":
		return optional(func(r *record) int64 { return r.DefaultShipping }), true
	case "updated_at":
		return intColumn(moment, func(r *record) int64 { return r.updated }), true
	case "created_at":
		return intColumn(moment, func(r *record) int64 { return r.CreatedAt.Unix() }), true
	case "dob":
		return column[*record]{kind: moment, int: func(r *record) (int64, bool) { t, ok := parseMoment(r.DOB); return t, ok }}, true
	case "email":
		return textColumn(func(r *record) string { return r.email }), true
	case "firstname":
		return textColumn(func(r *record) string { return r.FirstName }), true
	case "lastname":
		return textColumn(func(r *record) string { return r.LastName }), true
	case "middlename":
		return textColumn(func(r *record) string { return r.MiddleName }), true
	case "prefix":
		return textColumn(func(r *record) string { return r.Prefix }), true
	case "suffix":
		return textColumn(func(r *record) string { return r.Suffix }), true
	case "taxvat":
		return textColumn(func(r *record) string { return r.TaxVAT }), true
	case "confirmation":
		return textColumn(func(r *record) string { return r.Confirmation }), true
	case "created_in":
		return textColumn(func(r *record) string { return r.CreatedIn }), true
	case "loyalty_code", "loyalty_points", "opt_in_profiling", "fav_color", "interests", "last_visit_on":
		return column[*record]{kind: text, text: func(r *record) (string, bool) {
			i := slices.IndexFunc(r.Attributes, func(a Attribute) bool { return a.Code == field })
			if i < 0 {
				return "", false
			}
			return r.Attributes[i].Value, true
		}}, true
	default:
		return column[*record]{}, false
	}
}

// compare orders two rows by the column; NULL comes first.
func (c column[R]) compare(a, b R) int {
	if c.int != nil {
		x, okX := c.int(a)
		y, okY := c.int(b)
		return cmp.Or(cmp.Compare(b2i(okX), b2i(okY)), cmp.Compare(x, y))
	}
	x, _ := c.text(a)
	y, _ := c.text(b)
	return cmp.Compare(fold(x), fold(y))
}

// test decides one row.
type test[R any] func(R) bool

// compile turns a filter into a test.
func (x schema[R]) compile(f filter) (test[R], *failure) {
	c, ok := x.column(f.field)
	if !ok {
		return nil, x.filter(f.field)
	}
	value := ""
	if f.value != nil {
		value = *f.value
	}
	switch f.condition {
	case "null":
		return func(r R) bool { return !c.has(r) }, nil
	case "notnull":
		return c.has, nil
	case "like":
		return c.like(value), nil
	case "in", "nin":
		return c.in(value, f.condition == "in"), nil
	}
	accept := acceptor(f.condition)
	if c.int != nil {
		want := c.parse(value)
		return func(r R) bool { have, ok := c.int(r); return ok && accept(cmp.Compare(have, want)) }, nil
	}
	want := fold(value)
	return func(r R) bool { have, ok := c.text(r); return ok && accept(cmp.Compare(fold(have), want)) }, nil
}

// acceptor returns which results of a comparison a condition accepts. An unknown
// condition acts as eq (recording customers-search-filter-bad-condition).
func acceptor(condition string) func(int) bool {
	switch condition {
	case "neq":
		return func(c int) bool { return c != 0 }
	case "gt":
		return func(c int) bool { return c > 0 }
	case "gteq", "from":
		return func(c int) bool { return c >= 0 }
	case "lt":
		return func(c int) bool { return c < 0 }
	case "lteq", "to":
		return func(c int) bool { return c <= 0 }
	default:
		return func(c int) bool { return c == 0 }
	}
}

func (c column[R]) has(r R) bool {
	if c.int != nil {
		_, ok := c.int(r)
		return ok
	}
	_, ok := c.text(r)
	return ok
}

// parse reads a filter's value as the database converts it for the column.
func (c column[R]) parse(value string) int64 {
	if c.kind == moment {
		t, _ := parseMoment(value)
		return t
	}
	if c.kind == amount {
		return int64(parseDecimal(amountPattern.FindString(value)))
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(numberPattern.FindString(value)), 10, 64)
	return n
}

// string prints a row's value for like.
func (c column[R]) string(r R) (string, bool) {
	if c.text != nil {
		return c.text(r)
	}
	v, ok := c.int(r)
	if c.kind == moment {
		return time.Unix(v, 0).UTC().Format(time.DateTime), ok
	}
	if c.kind == amount {
		return decimal(v).String(), ok
	}
	return strconv.FormatInt(v, 10), ok
}

func (c column[R]) like(pattern string) test[R] {
	quoted := regexp.QuoteMeta(fold(pattern))
	match := regexp.MustCompile(`(?s)^` + strings.NewReplacer("%", ".*", "_", ".").Replace(quoted) + "$")
	return func(r R) bool { have, ok := c.string(r); return ok && match.MatchString(fold(have)) }
}

func (c column[R]) in(values string, want bool) test[R] {
	if c.int != nil {
		set := map[int64]bool{}
		for v := range strings.SplitSeq(values, ",") {
			set[c.parse(v)] = true
		}
		return func(r R) bool { have, ok := c.int(r); return ok && set[have] == want }
	}
	set := map[string]bool{}
	for v := range strings.SplitSeq(values, ",") {
		set[fold(v)] = true
	}
	return func(r R) bool { have, ok := c.text(r); return ok && set[fold(have)] == want }
}

// never is what the database makes of a text that is no date: before every row
// (recording customers-search-updated_at-garbage reads all of them).
const never = -1 << 62

var (
	numberPattern = regexp.MustCompile(`^\s*-?\d+`)
	amountPattern = regexp.MustCompile(`^-?\d{1,12}(?:\.\d{1,4})?`)
	momentPattern = regexp.MustCompile(`^\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?`)
)

// parseMoment reads a date as the database does, in UTC: a date alone is midnight, T
// is tolerated, and what follows the seconds (Z, an offset) is dropped.
func parseMoment(s string) (int64, bool) {
	m := momentPattern.FindStringSubmatch(s)
	if m == nil {
		return never, false
	}
	var n [6]int
	for i, digits := range m[1:] {
		n[i], _ = strconv.Atoi(digits)
	}
	t := time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], 0, time.UTC)
	if t.Day() != n[2] || n[3] > 23 || n[4] > 59 || n[5] > 59 {
		return never, false
	}
	return t.Unix(), true
}
