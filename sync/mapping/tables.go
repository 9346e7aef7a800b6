package mapping

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

// Tables lists the tables that the mapping fills, in the order in which they are written.
func (m *Mapping) Tables() []Table { return []Table{Profiles} }

// Collection names the collection of a table; "" for the profiles.
func (m *Mapping) Collection(t Table) string { return "" }

// KeyFieldOf names the field that holds the keys of a table.
func (m *Mapping) KeyFieldOf(t Table) string { return m.KeyField() }
