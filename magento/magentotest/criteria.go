package magentotest

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// criteria is a parsed searchCriteria. Groups are ANDed, the filters of one ORed.
type criteria struct {
	groups [][]filter
	sort   []order
	size   *int64 // nil: absent
	page   *int64
	// repeat has a page past the end be the last one.
	repeat bool
}

type filter struct {
	field, condition string
	value            *string // nil: absent
}

type order struct {
	field string
	desc  bool
}

// parseCriteria reads the searchCriteria of a call and applies the shop's limits.
func parseCriteria(query *node, limits Switches) (criteria, *failure) {
	c := criteria{repeat: limits.RepeatLastPage}
	from := query.get("search_criteria")
	if from == nil {
		return c, required("searchCriteria")
	}
	var bad *failure
	integer := func(name, camel string) *int64 {
		n := from.get(name)
		if n == nil {
			return nil
		}
		v, err := strconv.ParseInt(n.text, 10, 64)
		if err != nil && bad == nil {
			bad = fail(http.StatusBadRequest, fmt.Sprintf("Error occurred during %q processing. %s", camel, wrongType(n.text)))
		}
		return &v
	}

	from.get("filter_groups").each(func(g *node) {
		var group []filter
		g.get("filters").each(func(n *node) {
			f := filter{condition: "eq"}
			if field := n.get("field"); field != nil {
				f.field = field.text
			}
			if value := n.get("value"); value != nil {
				f.value = &value.text
			}
			if condition := n.get("condition_type"); condition != nil && condition.text != "" {
				f.condition = condition.text
			}
			group = append(group, f)
		})
		if len(group) > 0 {
			c.groups = append(c.groups, group)
		}
	})
	from.get("sort_orders").each(func(n *node) {
		var o order
		if field := n.get("field"); field != nil {
			o.field = field.text
		}
		direction := "DESC"
		if d := n.get("direction"); d != nil {
			direction = strings.ToUpper(d.text)
		}
		if direction != "ASC" && direction != "DESC" && bad == nil {
			bad = fail(http.StatusBadRequest, "The sort order has to be specified as %1 for ascending order or %2 for descending order.",
				"ASC", "DESC")
		}
		o.desc = direction == "DESC"
		c.sort = append(c.sort, o)
	})
	c.size, c.page = integer("page_size", "pageSize"), integer("current_page", "currentPage")
	if bad != nil {
		return c, bad
	}
	return c, c.limit(limits)
}

// limit applies the input limits, which a shop has off unless it is told.
func (c *criteria) limit(s Switches) *failure {
	if !s.InputLimit {
		return nil
	}
	most, usual := cmp.Or(int64(s.MaxPageSize), 300), int64(s.DefaultPageSize)
	switch {
	case c.size == nil && usual > 0:
		c.size = &usual
	case c.size != nil && *c.size > most:
		f := fail(http.StatusBadRequest, "Maximum SearchCriteria pageSize is %max")
		f.parameters = object{{"max", most}}
		return f
	}
	kind, largest := `\Magento\Framework\Api\Search\FilterGroup`, len(c.groups)
	for _, g := range c.groups {
		if len(g) > largest {
			kind, largest = `\Magento\Framework\Api\Filter`, len(g)
		}
	}
	if s.ComplexArrayLimit > 0 && largest > s.ComplexArrayLimit {
		f := fail(http.StatusBadRequest, `Maximum items of type "%type" is %max`)
		f.parameters = object{{"type", kind}, {"max", int64(s.ComplexArrayLimit)}}
		return f
	}
	return nil
}

// window returns which of n matching rows the page holds. Size 0 is no limit, a
// negative one acts as 1, a page below 1 as the first; past the end is empty, or the last
// page again.
func (c criteria) window(n int) (from, to int) {
	if c.size == nil || *c.size == 0 {
		return 0, n
	}
	size, page := max(*c.size, 1), int64(1)
	if c.page != nil {
		page = max(*c.page, 1)
	}
	if last := max(1, (int64(n)+size-1)/size); c.repeat && page > last {
		page = last
	}
	if page-1 >= int64(n)/size+1 {
		return n, n
	}
	from = min(int((page-1)*size), n)
	return from, int(min(int64(from)+size, int64(n)))
}

// echo prints the criteria as answers repeat them: only what was given.
func (c criteria) echo() object {
	groups := list{}
	for _, g := range c.groups {
		filters := list{}
		for _, f := range g {
			o := object{{"field", f.field}}
			if f.value != nil {
				o = append(o, member{"value", *f.value})
			}
			filters = append(filters, append(o, member{"condition_type", f.condition}))
		}
		groups = append(groups, object{{"filters", filters}})
	}
	o := object{{"filter_groups", groups}}
	if len(c.sort) > 0 {
		orders := list{}
		for _, s := range c.sort {
			orders = append(orders, object{{"field", s.field}, {"direction", [2]string{"ASC", "DESC"}[b2i(s.desc)]}})
		}
		o = append(o, member{"sort_orders", orders})
	}
	if c.size != nil {
		o = append(o, member{"page_size", *c.size})
	}
	if c.page != nil {
		o = append(o, member{"current_page", *c.page})
	}
	return o
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
