package mapping

// Side is one field of a profile or subprofile as both sides have it.
type Side struct {
	Field   string
	Mapped  string // what the shop's record says, in Copernica's form
	Have    string // what Copernica shows
	Lacking bool   // there is no such field
	Same    bool
	Consent bool // it travels apart: a value of Copernica's own may be right
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
		side(f.Name, v, func(read string) bool { return f.Type.same(v, read) })
	}
	if r.HasConsent() {
		consent := r.ConsentValue()
		side(r.t.consent.Name, consent, func(read string) bool { return read == consent }).Consent = true
	}
	return sides
}
