package mapping

import (
	"fmt"
	"strings"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
)

// Need is a field that the mapping needs in the Copernica database.
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
	for _, f := range m.file.Profile.Fields {
		n := Need{Name: f.Name, Type: f.Type, Length: f.Length, Index: f.Index, Key: f.From == sourceKey}
		if n.Key {
			key = append(key, n)
		} else {
			rest = append(rest, n)
		}
	}
	c := m.file.Profile.Consent
	return append(append(key, rest...), Need{Name: c.Name, Type: c.Type, Length: c.Length})
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
	// NoCollection says that the whole collection is missing, or is there under another
	// spelling or twice.
	NoCollection bool

	Need  Need
	State State
	Have  copernica.Field // zero when missing
}

// Harmful reports whether writing would lose or change values.
func (f Finding) Harmful() bool {
	return f.State == Missing || f.State == Different || f.State == Short && f.Need.Key
}

func (f Finding) String() string {
	switch f.State {
	case Missing:
		return fmt.Sprintf("field %s is missing", f.Need.Name)
	case Different:
		return fmt.Sprintf("field %s is of type %s, not %s", f.Need.Name, f.Have.Type, f.Need.Type)
	case Short:
		return fmt.Sprintf("field %s holds %d characters, not %d", f.Need.Name, f.Have.Length, f.Need.Length)
	case Unindexed:
		return fmt.Sprintf("field %s has no index", f.Need.Name)
	default:
		return fmt.Sprintf("field %s is as needed", f.Need.Name)
	}
}

// Check compares the needs with a live schema. Names count case and all: a
// renamed field is a missing one.
func (m *Mapping) Check(s copernica.Schema) []Finding { return m.CheckOf(s, Profiles) }

// CheckOf is [Mapping.Check] for the given tables; none are the profiles.
func (m *Mapping) CheckOf(s copernica.Schema, tables ...Table) []Finding {
	have := make(map[string]copernica.Field, len(s.Fields))
	for _, f := range s.Fields {
		have[f.Name] = f
	}
	var out []Finding
	for _, n := range m.Needs() {
		f := Finding{Need: n, State: Present}
		live, ok := have[n.Name]
		f.Have = live
		switch {
		case !ok:
			f.State = Missing
		case !compatible(n.Type, Type(live.Type)):
			f.State = Different
		case n.Type.text() && n.Length > 0 && live.Length > 0 && live.Length < n.Length:
			f.State = Short
		case n.Index && !live.Index:
			f.State = Unindexed
		}
		out = append(out, f)
	}
	return out
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
	const most = 3 // names of missing fields; a database that was never provisioned lacks all
	var parts, missing []string
	for _, f := range e.Findings {
		if f.State == Missing {
			missing = append(missing, f.Need.Name)
		} else {
			parts = append(parts, f.String())
		}
	}
	switch n := len(missing); {
	case n > most:
		parts = append([]string{fmt.Sprintf("%d fields are missing (%s, …)", n, strings.Join(missing[:most], ", "))}, parts...)
	default:
		for i, name := range missing {
			missing[i] = "field " + name + " is missing"
		}
		parts = append(missing, parts...)
	}
	return "the Copernica database does not fit the mapping: " + strings.Join(parts, "; ") +
		": rename back in Copernica what was renamed there, run `syncd provision` for what was never there or was removed, and mend the rest in Copernica"
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
