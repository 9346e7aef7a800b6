package oracle

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

// maxExamples is how many examples a [Difference] keeps.
const maxExamples = 20

// Kind says in what way a profile is wrong.
type Kind string

// The kinds of [Difference].
const (
	Missing    Kind = "missing"    // no profile has the key
	Duplicate  Kind = "duplicate"  // more than one has it
	Different  Kind = "different"  // none that has it has the fields
	Unexpected Kind = "unexpected" // the key is nobody's
)

// Difference is what [Compare] found. Missing and Different count keys, Duplicate the
// profiles beyond the first of a key, Unexpected the profiles of keys that no row has.
type Difference struct {
	Missing, Duplicate, Different, Unexpected int

	Examples []string  // the first 20 by key, a line each: keys and field names, no values
	Details  []Example // the same with the values
}

// Example is one key that is wrong.
type Example struct {
	Kind   Kind
	Key    string
	Fields []Field // of Different: the fields that differ, by name
}

// Field is a field that differs. Absent fields have the value "".
type Field struct{ Name, Want, Have string }

// Compare finds where profiles differ from rows: those of [Expect], and of
// [ExpectOrders] for guests. Keys and values are compared byte by
// byte; fields that a row does not name are the merchant's own and do not count.
func Compare(want []Row, have []copernicatest.Profile) Difference {
	byKey := map[string][]map[string]string{}
	for _, p := range have {
		key := p.Fields["customer_id"]
		byKey[key] = append(byKey[key], p.Fields)
	}
	return compare(want, byKey)
}

// parentField stands in a [Difference] for the profile that a subprofile belongs to.
const parentField = "(profile)"

// CompareRows is Compare for the subprofiles of a collection whose key field is key:
// [KeyOrders] or [KeyItems]. A row of another profile than the one wanted is Different in
// the field "(profile)". Profiles are those of the database.
func CompareRows(want []SubRow, key string, have []copernicatest.Subprofile, profiles []copernicatest.Profile) Difference {
	parents := map[int64]string{}
	for _, p := range profiles {
		parents[p.ID] = p.Fields["customer_id"]
	}
	rows := make([]Row, len(want))
	for i, r := range want {
		rows[i] = Row{Key: r.Key, Fields: maps.Clone(r.Fields)}
		rows[i].Fields[parentField] = r.Parent
	}
	byKey := map[string][]map[string]string{}
	for _, s := range have {
		fields := maps.Clone(s.Fields)
		fields[parentField] = parents[s.Parent]
		byKey[fields[key]] = append(byKey[fields[key]], fields)
	}
	return compare(rows, byKey)
}

func compare(want []Row, byKey map[string][]map[string]string) Difference {
	var d Difference
	var examples []Example
	for _, row := range want {
		found := byKey[row.Key]
		delete(byKey, row.Key)
		if len(found) == 0 {
			d.Missing++
			examples = append(examples, Example{Kind: Missing, Key: row.Key})
			continue
		}
		if len(found) > 1 {
			d.Duplicate += len(found) - 1
			examples = append(examples, Example{Kind: Duplicate, Key: row.Key})
		}
		if fields := closest(row, found); len(fields) > 0 {
			d.Different++
			examples = append(examples, Example{Kind: Different, Key: row.Key, Fields: fields})
		}
	}
	for key, found := range byKey {
		d.Unexpected += len(found)
		examples = append(examples, Example{Kind: Unexpected, Key: key})
	}
	slices.SortStableFunc(examples, func(x, y Example) int { return strings.Compare(x.Key, y.Key) })
	d.Details = slices.Clone(examples[:min(len(examples), maxExamples)])
	for _, e := range d.Details {
		d.Examples = append(d.Examples, e.line(false))
	}
	return d
}

// closest returns what the row differs in that differs least: one right row
// beside a wrong double is a duplicate, not a difference.
func closest(row Row, found []map[string]string) []Field {
	best := differing(row, found[0])
	for _, p := range found[1:] {
		if fields := differing(row, p); len(fields) < len(best) {
			best = fields
		}
	}
	return best
}

func differing(row Row, fields map[string]string) []Field {
	var wrong []Field
	for _, name := range slices.Sorted(maps.Keys(row.Fields)) {
		if want, have := row.Fields[name], fields[name]; want != have {
			wrong = append(wrong, Field{Name: name, Want: want, Have: have})
		}
	}
	return wrong
}

// None reports whether every row is there once and right, and nothing else.
func (d Difference) None() bool { return d.Missing+d.Duplicate+d.Different+d.Unexpected == 0 }

// String prints the counts: "0 missing, 0 duplicate, 0 different", and unexpected
// profiles when there are any.
func (d Difference) String() string {
	s := fmt.Sprintf("%d missing, %d duplicate, %d different", d.Missing, d.Duplicate, d.Different)
	if d.Unexpected > 0 {
		s += fmt.Sprintf(", %d unexpected", d.Unexpected)
	}
	return s
}

// Report prints the counts and the examples. With values it also prints what stands in
// the fields that differ: personal data.
func (d Difference) Report(values bool) string {
	lines := []string{d.String()}
	for _, e := range d.Details {
		lines = append(lines, e.line(values))
	}
	return strings.Join(lines, "\n")
}

// line prints an example.
func (e Example) line(values bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q", e.Kind, e.Key)
	for i, f := range e.Fields {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		b.WriteString(sep + f.Name)
		if values {
			fmt.Fprintf(&b, " is %q, not %q", f.Have, f.Want)
		}
	}
	return b.String()
}
