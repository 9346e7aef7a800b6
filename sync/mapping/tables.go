package mapping

import "cmp"

// Table is a kind of row in Copernica: the profiles, or a collection below them.
type Table string

// The tables, in the order in which they are written.
const (
	Profiles Table = "profile"
	Orders   Table = "order"
	Items    Table = "item"
)

// Gone says what becomes of the row of a line that disappeared from its order.
type Gone string

// The rules for such a row.
const (
	GoneRemove Gone = "remove"
	GoneKeep   Gone = "keep"
)

// table is what the rows of one table have in common.
type table struct {
	kind       Table
	collection string
	key        string   // the field that holds the key
	consent    *Consent // nil when the table has none
	columns    []Field  // without the key and without consent; a row's values are aligned with it
	personal   []bool   // of the columns: what an erasure blanks
}

// valuer gives a column's value of one record, in canonical form.
type valuer[R any] struct {
	value func(R) string
	// raw is what the shop says, before it is cut to the field; nil when the field is not
	// required, or records of this kind cannot tell.
	raw func(R) string
}

// Tables lists the tables that the mapping fills, in the order in which they are
// written. Orders and items come both or not at all.
func (m *Mapping) Tables() []Table {
	if m.file.Orders == nil {
		return []Table{Profiles}
	}
	return []Table{Profiles, Orders, Items}
}

// Collection names the collection of a table; "" for the profiles.
func (m *Mapping) Collection(t Table) string {
	collection, _, _ := m.file.table(t)
	return collection
}

// KeyFieldOf names the field that holds the keys of a table.
func (m *Mapping) KeyFieldOf(t Table) string {
	_, key, _ := m.file.table(t)
	return key
}

// GoneLines is the rule for the row of a line that disappeared from its order.
func (m *Mapping) GoneLines() Gone {
	if m.file.Items != nil && m.file.Items.Gone != "" {
		return m.file.Items.Gone
	}
	return GoneRemove
}

// table returns what the file says of a table; nothing of one that it leaves out.
func (f *File) table(t Table) (collection, key string, fields []Field) {
	list := f.Orders
	switch t {
	case Profiles:
		return "", f.Profile.Key, f.Profile.Fields
	case Items:
		list = f.Items
	case Orders:
	}
	if list == nil {
		return "", "", nil
	}
	return list.Collection, list.Key, list.Fields
}

// compileTable compiles a table's fields but the key, and adds to paths what to ask
// Magento for to fill them.
func compileTable[R any](m *Mapping, t Table, find func(from string) source[R], paths *[]string) (*table, []valuer[R]) {
	collection, key, fields := m.file.table(t)
	out := &table{kind: t, collection: collection, key: key}
	var values []valuer[R]
	for _, f := range fields {
		if f.From == sourceKey {
			continue
		}
		s := find(f.From)
		out.columns = append(out.columns, f)
		out.personal = append(out.personal, t == Profiles || s.personal)
		values = append(values, compile(s, f, m))
		*paths = append(*paths, s.paths...)
	}
	return out, values
}

// compile makes one function of where a value comes from, how it is worded and which
// form its type has.
func compile[R any](s source[R], f Field, m *Mapping) valuer[R] {
	kind, length, zone := f.Type, f.Length, m.zone
	if s.silent() {
		none := kind.empty()
		return valuer[R]{value: func(R) string { return none }}
	}
	if f.Values != nil {
		text, words := s.words(), f.Values
		s = source[R]{text: func(r R) string { return words[text(r)] }}
	}
	switch {
	case s.time != nil:
		at := s.time
		return valuer[R]{value: func(r R) string { return kind.canonicalTime(at(r), zone) }}
	case s.amount != nil && kind == Float:
		amount := s.amount
		return valuer[R]{value: func(r R) string { return cmp.Or(exact(amount(r)), "0") }}
	case s.amount != nil || s.number != nil:
		text := s.words()
		return valuer[R]{value: func(r R) string { return kind.canonical(text(r), length, zone) }}
	}
	text := s.text
	v := valuer[R]{value: func(r R) string { return kind.canonical(text(r), length, zone) }}
	if f.Required {
		v.raw = text
	}
	return v
}

// silent reports whether records of this kind cannot tell.
func (s source[R]) silent() bool {
	return s.text == nil && s.time == nil && s.amount == nil && s.number == nil
}

// words is a source as text; Parse lets no words stand for a time.
func (s source[R]) words() func(R) string {
	switch {
	case s.text != nil:
		return s.text
	case s.number != nil:
		return func(r R) string { return appendID("", s.number(r)) }
	case s.amount != nil:
		return func(r R) string { return exact(s.amount(r)) }
	default:
		return func(R) string { return "" }
	}
}

// fill computes a record's values.
func fill[R any](values []valuer[R], r R, into []string) {
	for i := range values {
		into[i] = values[i].value(r)
	}
}

// refuse says what is wrong with the first required value that cannot be delivered.
func refuse[R any](t *table, values []valuer[R], r R, of Table, id int64) error {
	for i := range values {
		if raw := values[i].raw; raw != nil {
			if err := check(&t.columns[i], raw(r), of, id); err != nil {
				return err
			}
		}
	}
	return nil
}
