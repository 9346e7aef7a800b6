package magentotest

import (
	"cmp"
	"slices"
)

// group is one filter group in a form the search can work with.
type group[R any] struct {
	filters []filter
	tests   []test[R]
}

func (g group[R]) match(r R) bool {
	return slices.ContainsFunc(g.tests, func(t test[R]) bool { return t(r) })
}

// rowNumber is a scrambled id. Where updated_at alone is sorted by, rows of one second
// come in an order that has nothing to do with their ids, as on the real shop.
func rowNumber(id int64) uint64 { return uint64(id) * 0x9e3779b97f4a7c15 }

// search returns the rows of the asked page and the number of all that match.
//
// Rows lie in the order of the index that fits the sort. A lone comparison of the
// index's field cuts a range out of it, and where one alternative of a group says
// `greater than`, every row beyond that value matches the group: only the rows before
// it are looked at. A page of a keyset walk thus costs the rows it shows, and those
// of one tie.
func (t *table[R]) search(c criteria, x schema[R]) (page []R, total int, bad *failure) {
	var groups []group[R]
	for _, filters := range c.groups {
		g := group[R]{filters: filters}
		for _, f := range filters {
			t, bad := x.compile(f)
			if bad != nil {
				return nil, 0, bad
			}
			g.tests = append(g.tests, t)
		}
		groups = append(groups, g)
	}

	orders, bad := x.sortable(c.sort)
	if bad != nil {
		return nil, 0, bad
	}
	index := index[R]{rows: t.byID, schema: x, field: "entity_id", key: R.key}
	sorted := len(orders) == 0 || slices.Equal(orders, []order{{field: "entity_id"}})
	if slices.Equal(orders, []order{{field: "updated_at"}, {field: "entity_id"}}) {
		index.rows, index.field, index.key = t.byTime, "updated_at", R.changed
		sorted = true
	}

	from, to, certain, rest := index.plan(groups)
	var matched []R
	for _, r := range index.rows[from:certain] {
		if !slices.ContainsFunc(rest, func(g group[R]) bool { return !g.match(r) }) {
			matched = append(matched, r)
		}
	}
	if !sorted {
		matched = append(matched, index.rows[certain:to]...)
		slices.SortStableFunc(matched, x.comparison(orders))
		certain = to
	}
	total = len(matched) + to - certain
	first, last := c.window(total)
	page = make([]R, 0, last-first)
	for i := first; i < last; i++ {
		if i < len(matched) {
			page = append(page, matched[i])
		} else {
			page = append(page, index.rows[certain+i-len(matched)])
		}
	}
	return page, total, nil
}

// index is one of the store's orders with the field it is ordered by.
type index[R keyed] struct {
	rows   []R
	schema schema[R]
	field  string
	key    func(R) int64
}

// plan returns the range of rows that can match, the place in it from which on all
// rows match, and the groups to test before that place.
func (x index[R]) plan(groups []group[R]) (from, to, certain int, rest []group[R]) {
	to = len(x.rows)
	for _, g := range groups {
		lower, upper, ok := 0, len(x.rows), len(g.filters) == 1
		sure := len(x.rows)
		for _, f := range g.filters {
			l, u, known := x.bounds(f)
			ok = ok && known
			if known {
				lower, upper = l, u
			}
			if known && u == len(x.rows) {
				sure = min(sure, l)
			}
		}
		if ok {
			from, to = max(from, lower), min(to, upper)
			continue
		}
		rest = append(rest, g)
		certain = max(certain, sure)
	}
	to = max(from, to)
	return from, to, min(max(certain, from), to), rest
}

// bounds returns the range of rows that a comparison of the index's field accepts.
func (x index[R]) bounds(f filter) (lower, upper int, ok bool) {
	if f.field != x.field || f.value == nil {
		return 0, 0, false
	}
	c, _ := x.schema.column(f.field)
	want := c.parse(*f.value)
	at := func(bound int) int {
		i, _ := slices.BinarySearchFunc(x.rows, want, func(r R, want int64) int {
			if c := cmp.Compare(x.key(r), want); c != 0 {
				return c
			}
			return bound
		})
		return i
	}
	const before, after = 1, -1 // the first row equal to the value, the first beyond it
	switch f.condition {
	case "gt":
		return at(after), len(x.rows), true
	case "gteq", "from":
		return at(before), len(x.rows), true
	case "lt":
		return 0, at(before), true
	case "lteq", "to":
		return 0, at(after), true
	case "eq":
		return at(before), at(after), true
	default:
		return 0, 0, false
	}
}

// comparison returns the order that the criteria ask for. Rows that it leaves equal
// come by id, except after updated_at.
func (x schema[R]) comparison(orders []order) func(a, b R) int {
	columns := make([]column[R], len(orders))
	for i, o := range orders {
		columns[i], _ = x.column(o.field)
	}
	scramble := orders[len(orders)-1].field == "updated_at"
	return func(a, b R) int {
		for i, c := range columns {
			if d := c.compare(a, b); d != 0 {
				if orders[i].desc {
					return -d
				}
				return d
			}
		}
		if scramble {
			return cmp.Compare(rowNumber(a.key()), rowNumber(b.key()))
		}
		return cmp.Compare(a.key(), b.key())
	}
}

// sortable returns the orders whose field there is.
func (x schema[R]) sortable(all []order) ([]order, *failure) {
	var kept []order
	for _, o := range all {
		if _, ok := x.column(o.field); ok {
			kept = append(kept, o)
		} else if x.sort != nil {
			return nil, x.sort(o.field)
		}
	}
	return kept, nil
}
