package mapping

import (
	"fmt"
	"slices"
	"strings"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
)

// Need is a field that the mapping needs in the Copernica database or a collection.
type Need struct {
	Name   string
	Type   Type
	Length int
	Index  bool
	Key    bool
}

// Needs lists the fields of a profile, the key first.
func (m *Mapping) Needs() []Need { return m.NeedsOf(Profiles) }

// NeedsOf lists the fields of a table, the key first; none of a table that the mapping
// does not fill.
func (m *Mapping) NeedsOf(t Table) []Need {
	var key, rest []Need
	_, _, fields := m.file.table(t)
	for _, f := range fields {
		n := Need{Name: f.Name, Type: f.Type, Length: f.Length, Index: f.Index, Key: f.From == sourceKey}
		if n.Key {
			key = append(key, n)
		} else {
			rest = append(rest, n)
		}
	}
	needs := append(key, rest...)
	if c := m.file.Profile.Consent; t == Profiles {
		needs = append(needs, Need{Name: c.Name, Type: c.Type, Length: c.Length})
	}
	return needs
}

// State says how a needed field stands in a live schema.
type State string

// The states of a needed field.
const (
	Present   State = "present"
	Missing   State = "missing"   // Copernica would ignore its values without a word
	Different State = "different" // its type would change the values
	Short     State = "short"     // its length would cut the values
	Unindexed State = "unindexed" // the key works, but each look-up reads the whole database
)

// Finding is what Check says of one field.
type Finding struct {
	Table      Table
	Collection string // "" for profiles
	// NoCollection says that the whole collection is missing. Namesakes are those that
	// Copernica takes for it all the same: one in another case, or several.
	NoCollection bool
	Namesakes    []string

	Need  Need
	State State
	Have  copernica.Field // zero when missing
}

// Harmful reports whether writing would lose or change values.
func (f Finding) Harmful() bool {
	return f.State == Missing || f.State == Different || f.State == Short && f.Need.Key
}

func (f Finding) String() string {
	name := f.Need.Name
	if f.Collection != "" {
		name += " of collection " + f.Collection
	}
	switch {
	case f.NoCollection:
		return f.collection()
	case f.State == Missing:
		return fmt.Sprintf("field %s is missing", name)
	case f.State == Different:
		return fmt.Sprintf("field %s is of type %s, not %s", name, f.Have.Type, f.Need.Type)
	case f.State == Short:
		return fmt.Sprintf("field %s holds %d characters, not %d", name, f.Have.Length, f.Need.Length)
	case f.State == Unindexed:
		return fmt.Sprintf("field %s has no index", name)
	default:
		return fmt.Sprintf("field %s is as needed", name)
	}
}

// collection says what is wrong with the whole collection.
func (f Finding) collection() string {
	switch n := len(f.Namesakes); n {
	case 0:
		return fmt.Sprintf("collection %s is missing", f.Collection)
	case 1:
		return fmt.Sprintf("collection %s is missing (there is %s)", f.Collection, f.Namesakes[0])
	default:
		return fmt.Sprintf("collection %s is there %d times (%s)", f.Collection, n, strings.Join(f.Namesakes, ", "))
	}
}

// Check compares the needs of profiles with a live schema. Names count case and all: a
// renamed field is a missing one.
func (m *Mapping) Check(s copernica.Schema) []Finding { return m.CheckOf(s, Profiles) }

// CheckOf is [Mapping.Check] for the given tables; none are the profiles. Of a
// collection that is missing, in another case, or there more than once in any case,
// every field is missing.
func (m *Mapping) CheckOf(s copernica.Schema, tables ...Table) []Finding {
	if len(tables) == 0 {
		tables = []Table{Profiles}
	}
	var out []Finding
	for _, t := range tables {
		fields, base := s.Fields, Finding{Table: t, Collection: m.Collection(t)}
		if base.Collection != "" {
			fields, base.Namesakes = collection(s, base.Collection)
			base.NoCollection = len(base.Namesakes) != 1 || base.Namesakes[0] != base.Collection
			if !base.NoCollection {
				base.Namesakes = nil
			}
		}
		have := make(map[string]copernica.Field, len(fields))
		for _, f := range fields {
			have[f.Name] = f
		}
		for _, n := range m.NeedsOf(t) {
			f := base
			f.Need, f.State = n, Missing
			if live, ok := have[n.Name]; ok && !f.NoCollection {
				f.Have, f.State = live, n.state(live)
			}
			out = append(out, f)
		}
	}
	return out
}

// collection returns the fields of a collection, and what all collections are called
// that Copernica takes for it.
func collection(s copernica.Schema, name string) (fields []copernica.Field, names []string) {
	for _, c := range s.Collections {
		if strings.EqualFold(c.Name, name) {
			fields, names = c.Fields, append(names, c.Name)
		}
	}
	return fields, names
}

// state says how a field that is there fits.
func (n Need) state(live copernica.Field) State {
	switch {
	case !compatible(n.Type, Type(live.Type)):
		return Different
	case n.Type.text() && n.Length > 0 && live.Length > 0 && live.Length < n.Length:
		return Short
	case n.Index && !live.Index:
		return Unindexed
	default:
		return Present
	}
}

// compatible says whether values of one type keep their form in a field of another.
func compatible(want, have Type) bool {
	switch {
	case want == have, have == "" && want == Text:
		return true
	case want == Date || want == EmptyDate:
		return have == Date || have == EmptyDate
	case want == DateTime || want == EmptyDateTime:
		return have == DateTime || have == EmptyDateTime
	}
	return want.text() && want != Big && (have == Text || have == Email || have == Big) || want == Big && have == Big
}

// SchemaError lists what stops a stream from writing at all.
type SchemaError struct{ Findings []Finding }

func (e *SchemaError) Error() string {
	var parts []string
	for rest := e.Findings; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(f Finding) bool { return f.Table != rest[0].Table })
		if n < 0 {
			n = len(rest)
		}
		parts = append(parts, ofOneTable(rest[:n])...)
		rest = rest[n:]
	}
	return "the Copernica database does not fit the mapping: " + strings.Join(parts, "; ") +
		": rename back in Copernica what was renamed there, run `syncd provision` for what was never there or was removed, and mend the rest in Copernica"
}

// ofOneTable words the findings of one table, what is missing first.
func ofOneTable(findings []Finding) []string {
	const most = 3 // names of missing fields; a database that was never provisioned lacks all
	if findings[0].NoCollection {
		return []string{findings[0].collection()}
	}
	var rest, missing, names []string
	for _, f := range findings {
		if f.State == Missing {
			missing, names = append(missing, f.String()), append(names, f.Need.Name)
		} else {
			rest = append(rest, f.String())
		}
	}
	if n := len(missing); n > most {
		where := ""
		if c := findings[0].Collection; c != "" {
			where = " of collection " + c
		}
		missing = []string{fmt.Sprintf("%d fields%s are missing (%s, …)", n, where, strings.Join(names[:most], ", "))}
	}
	return append(missing, rest...)
}

// FaultClass makes a SchemaError a matter for the operator.
func (e *SchemaError) FaultClass() fault.Class { return fault.Configuration }

// Refuse returns a *SchemaError if writing to the given tables would lose or change
// values; none given are the profiles.
func (m *Mapping) Refuse(s copernica.Schema, tables ...Table) error {
	var bad []Finding
	for _, f := range m.CheckOf(s, tables...) {
		if f.Harmful() {
			bad = append(bad, f)
		}
	}
	if bad == nil {
		return nil
	}
	return &SchemaError{Findings: bad}
}
