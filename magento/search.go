package magento

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// filter is one condition; filters of a group are ORed, groups are ANDed.
type filter struct{ field, condition, value string }

// criteria is a searchCriteria. Indices stay below 10: Magento checks OAuth
// signatures in natural order, which differs from byte order from there on.
type criteria struct {
	groups [][]filter
	sort   []string // fields, ascending
	desc   bool     // they descend
	size   int
	page   int    // 0 means the first
	fields string // as of [fieldList], or "" for all
}

// encode returns the query string. Blanks are %20, because Magento does not read a
// plus as one where it checks signatures.
func (c criteria) encode() string {
	v := url.Values{}
	for g, group := range c.groups {
		for f, one := range group {
			prefix := "searchCriteria[filter_groups][" + strconv.Itoa(g) + "][filters][" + strconv.Itoa(f) + "]"
			v.Set(prefix+"[field]", one.field)
			v.Set(prefix+"[condition_type]", one.condition)
			v.Set(prefix+"[value]", one.value)
		}
	}
	direction := "ASC"
	if c.desc {
		direction = "DESC"
	}
	for i, field := range c.sort {
		prefix := "searchCriteria[sortOrders][" + strconv.Itoa(i) + "]"
		v.Set(prefix+"[field]", field)
		v.Set(prefix+"[direction]", direction)
	}
	v.Set("searchCriteria[pageSize]", strconv.Itoa(c.size))
	if c.page > 0 {
		v.Set("searchCriteria[currentPage]", strconv.Itoa(c.page))
	}
	if c.fields != "" {
		v.Set("fields", c.fields)
	}
	return strings.ReplaceAll(v.Encode(), "+", "%20")
}

// keyset returns the groups that select what lies after a cursor and before the
// horizon (promise 1): updated_at >= T AND (updated_at > T OR entity_id > I) AND
// updated_at < H. A condition on the pair itself cannot be expressed.
func keyset(from time.Time, after Cursor, before time.Time) [][]filter {
	var groups [][]filter
	switch {
	case !after.IsZero():
		t := shopTime(after.UpdatedAt)
		groups = append(groups,
			[]filter{{"updated_at", "gteq", t}},
			[]filter{{"updated_at", "gt", t}, {"entity_id", "gt", strconv.FormatInt(after.ID, 10)}})
	case !from.IsZero():
		groups = append(groups, []filter{{"updated_at", "gteq", shopTime(from)}})
	}
	return append(groups, []filter{{"updated_at", "lt", shopTime(before)}})
}

// narrowed returns the groups that leave of a walk what the query asks for. They do not
// touch what its places rest on.
func (q Query) narrowed() [][]filter {
	groups := append(oneOf("store_id", q.Stores), oneOf("customer_id", q.Customers)...)
	if q.Guests {
		groups = append(groups, []filter{{"customer_is_guest", "eq", "1"}})
	}
	return groups
}

// oneOf returns the group that leaves of a walk what has one of some ids in a field; none
// of them mean that all is left.
func oneOf(field string, ids []int64) [][]filter {
	if len(ids) == 0 {
		return nil
	}
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.FormatInt(id, 10)
	}
	return [][]filter{{{field, "in", strings.Join(words, ",")}}}
}

// shopTime prints a time as Magento's filters read it: UTC digits without a zone
// mark. An offset would be dropped and its local digits taken as UTC.
func shopTime(t time.Time) string { return t.UTC().Format(time.DateTime) }

// tree is a set of paths by their segments.
type tree map[string]tree

func (t tree) add(path string) {
	for segment := range strings.SplitSeq(path, ".") {
		if t[segment] == nil {
			t[segment] = tree{}
		}
		t = t[segment]
	}
}

// String prints the tree as Magento's fields parameter: a,b[c,d].
func (t tree) String() string {
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(t)) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(name)
		if len(t[name]) > 0 {
			b.WriteString("[" + t[name].String() + "]")
		}
	}
	return b.String()
}

// fieldList prints paths as a fields parameter; no paths mean every field and give "".
// A path that holds another one takes its place. Names outside [A-Za-z0-9_] are refused, because
// Magento answers a malformed list with an empty array and status 200.
func fieldList(paths []string) (string, error) {
	if len(paths) == 0 {
		return "", nil
	}
	t := tree{}
	for _, path := range paths {
		for segment := range strings.SplitSeq(path, ".") {
			if segment == "" || strings.ContainsFunc(segment, func(r rune) bool {
				return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
			}) {
				return "", configurationError("the mapping asks for the field " + strconv.Quote(path) + ", which is no name that Magento can have")
			}
		}
		if !slices.ContainsFunc(paths, func(whole string) bool { return strings.HasPrefix(path, whole+".") }) {
			t.add(path)
		}
	}
	return t.String(), nil
}
