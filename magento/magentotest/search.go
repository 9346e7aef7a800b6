package magentotest

import (
	"cmp"
	"slices"
)

// group is one filter group in a form the search can work with.
type group struct {
	filters []filter
	tests   []test
}

func (g group) match(r *record) bool {
	return slices.ContainsFunc(g.tests, func(t test) bool { return t(r) })
}

// rowNumber is a scrambled id. Where updated_at alone is sorted by, rows of one second
// come in an order that has nothing to do with their ids, as on the real shop.
func rowNumber(r *record) uint64 { return uint64(r.ID) * 0x9e3779b97f4a7c15 }

// search returns the rows of the asked page and the number of all that match.
//
// Rows lie in the order of the index that fits the sort. A lone comparison of the
// index's field cuts a range out of it, and where one alternative of a group says
// `greater than`, every row beyond that value matches the group: only the rows before
// it are looked at. A page of a keyset walk thus costs the rows it shows, and those
// of one tie.
func (s *store) search(c criteria) (page []*record, total int, bad *failure) {
	var groups []group
	for _, filters := range c.groups {
		g := group{filters: filters}
		for _, f := range filters {
			t, bad := f.compile()
			if bad != nil {
				return nil, 0, bad
			}
			g.tests = append(g.tests, t)
		}
		groups = append(groups, g)
	}

	orders := c.sortable()
	index := index{rows: s.byID, field: "entity_id", key: func(r *record) int64 { return r.ID }}
	sorted := len(orders) == 0 || slices.Equal(orders, []order{{field: "entity_id"}})
	if slices.Equal(orders, []order{{field: "updated_at"}, {field: "entity_id"}}) {
		index.rows, index.field, index.key = s.byTime, "updated_at", func(r *record) int64 { return r.updated }
		sorted = true
	}

	from, to, certain, rest := index.plan(groups)
	var matched []*record
	for _, r := range index.rows[from:certain] {
		if !slices.ContainsFunc(rest, func(g group) bool { return !g.match(r) }) {
			matched = append(matched, r)
		}
	}
	if !sorted {
		matched = append(matched, index.rows[certain:to]...)
		slices.SortStableFunc(matched, comparison(orders))
		certain = to
	}
	total = len(matched) + to - certain
	first, last := c.window(total)
	page = make([]*record, 0, last-first)
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
type index struct {
	rows  []*record
	field string
	key   func(*record) int64
}

// plan returns the range of rows that can match, the place in it from which on all
// rows match, and the groups to test before that place.
func (x index) plan(groups []group) (from, to, certain int, rest []group) {
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
func (x index) bounds(f filter) (lower, upper int, ok bool) {
	if f.field != x.field || f.value == nil {
		return 0, 0, false
	}
	c, _ := columnOf(f.field)
	want := c.parse(*f.value)
	at := func(bound int) int {
		i, _ := slices.BinarySearchFunc(x.rows, want, func(r *record, want int64) int {
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
func comparison(orders []order) func(a, b *record) int {
	columns := make([]column, len(orders))
	for i, o := range orders {
		columns[i], _ = columnOf(o.field)
	}
	scramble := orders[len(orders)-1].field == "updated_at"
	return func(a, b *record) int {
		for i, c := range columns {
			if d := c.compare(a, b); d != 0 {
				if orders[i].desc {
					return -d
				}
				return d
			}
		}
		if scramble {
			return cmp.Compare(rowNumber(a), rowNumber(b))
		}
		return cmp.Compare(a.ID, b.ID)
	}
}
