package mapping

import (
	"strings"
	"unicode/utf8"
)

// Side is one field of a profile or subprofile as both sides have it.
type Side struct {
	Field   string
	Mapped  string // what the shop's record says, in Copernica's form
	Have    string // what Copernica shows
	Lacking bool   // there is no such field
	Same    bool
	Consent bool // it travels apart: a value of Copernica's own may be right
	// Full says that Mapped has as many characters as the field holds: what the shop has
	// may go on behind them.
	Full bool
}

// Sides lays a row beside what was read back of it: the key first, consent last and
// only if the row has it. Nothing read back gives what the row says alone.
func (r *Row) Sides(read map[string]string) []Side {
	sides := make([]Side, 0, len(r.values)+2)
	side := func(name, mapped string, same func(read string) bool) *Side {
		have, ok := read[name]
		sides = append(sides, Side{Field: name, Mapped: mapped, Have: have, Lacking: !ok, Same: ok && same(have)})
		return &sides[len(sides)-1]
	}
	side(r.t.key, r.Key, func(read string) bool { return read == r.Key })
	for i, v := range r.values {
		f := &r.t.columns[i]
		side(f.Name, v, func(read string) bool { return f.Type.same(v, read) }).Full = f.Type.text() && f.Length > 0 && utf8.RuneCountInString(v) >= f.Length
	}
	if r.HasConsent() {
		consent := r.ConsentValue()
		side(r.t.consent.Name, consent, func(read string) bool { return read == consent }).Consent = true
	}
	return sides
}

// Standing is a row as Copernica shows it: its key, and a row with the same content
// that the shop's record would have, if nobody changed it since it was written.
func (m *Mapping) Standing(t Table, fields map[string]string) Row {
	of := m.tableOf(t)
	r := Row{Key: fields[of.key], t: of, values: make([]string, len(of.columns))}
	for i, c := range of.columns {
		r.values[i] = c.Type.standing(fields[c.Name])
	}
	return r
}

// standing brings a value read back into the form in which it is sent.
func (t Type) standing(v string) string {
	switch {
	case t == Integer || t == Float:
		return t.canonical(v, 0, nil)
	case t.date() && strings.Trim(v, "0-: ") == "":
		return t.empty()
	default:
		return v
	}
}
