package magento

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
)

// IDQuery selects records by id, for sweeps that find what no time tells.
type IDQuery struct {
	After  int64    // resume strictly after this id
	Fields []string // as in [Query]

	among []int64 // only these, ascending; none: all
}

// CustomersByID walks customers in the order of id, each exactly once, a page at a
// time. Between After and a page's Next the shop had no other customers when it
// answered; after the last page it had none at all.
func (c *Client) CustomersByID(ctx context.Context, q IDQuery) iter.Seq2[*Page[Customer], error] {
	silent := newUntold(q.Fields)
	return byEntityID(ctx, c, q, customerPaths(q.Fields), walk[Customer]{
		route: "customers/search", path: "/customers/search", pager: c.customers, decode: decodeCustomer(silent),
		finish: func(ctx context.Context, page *Page[Customer]) error { return silent.complete(ctx, c, page) },
		narrow: customerPlace, single: c.customerItem(q.Fields),
	})
}

// OrdersByID walks orders in the order of entity_id, like [Client.CustomersByID].
func (c *Client) OrdersByID(ctx context.Context, q IDQuery) iter.Seq2[*Page[Order], error] {
	return byEntityID(ctx, c, q, orderPaths(q.Fields), walk[Order]{
		route: "orders", path: "/orders", pager: c.orders, decode: decodeOrder(),
		narrow: orderPlace, single: c.orderItem(q.Fields),
	})
}

// byEntityID walks a list by entity_id. It completes w.
func byEntityID[T any](ctx context.Context, c *Client, q IDQuery, paths []string, w walk[T]) iter.Seq2[*Page[T], error] {
	fields, err := fieldList(paths)
	if err != nil {
		return func(yield func(*Page[T], error) bool) { yield(nil, err) }
	}
	if fields != "" {
		fields = "items[" + fields + "],total_count"
	}
	w.criteria = func(after Cursor) criteria {
		return criteria{
			groups: append([][]filter{{{"entity_id", "gt", strconv.FormatInt(after.ID, 10)}}}, oneOf("entity_id", q.among)...),
			sort:   []string{"entity_id"},
			fields: fields,
		}
	}
	w.within = func(previous Cursor, item Item[T]) string {
		if item.ID <= previous.ID {
			return fmt.Sprintf("the row %d after %d: it ignores the filter or the sort order on entity_id", item.ID, previous.ID)
		}
		if _, asked := slices.BinarySearch(q.among, item.ID); !asked && len(q.among) > 0 {
			return fmt.Sprintf("the row %d, which was not asked for: it ignores the filter entity_id in", item.ID)
		}
		return ""
	}
	return pages(ctx, c, w, Cursor{ID: q.After})
}
