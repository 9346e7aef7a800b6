package magento

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// Orders walks the orders that q selects in the order of (updated_at, entity_id), like
// [Client.Customers] and with the same guarantees. Pages have at most 100 orders.
//
// entity_id, updated_at, customer_id and customer_is_guest always come; so do item_id,
// parent_item_id and product_type where fields of lines are asked for.
func (c *Client) Orders(ctx context.Context, q Query) iter.Seq2[*Page[Order], error] {
	return byTime(ctx, c, q, orderPaths(q.Fields), walk[Order]{
		route: "orders", path: "/orders", pager: c.orders, decode: decodeOrder(),
		narrow: orderPlace, single: c.orderItem(q.Fields),
	})
}

// Order reads one order, with the given fields as in [Client.Orders] or all of them. It
// matches [ErrNotFound] only when Magento itself says that there is none, and a poisoned
// one is told apart as in [Client.Customer].
func (c *Client) Order(ctx context.Context, id int64, fields []string) (Order, error) {
	v, err := readOrder(ctx, c, id, fields)
	return v, c.poisoned(ctx, "orders", "/orders", id, err)
}

// orderPlace narrows a list to what tells an order's place.
const orderPlace = "items[entity_id,updated_at],total_count"

// orderItem reads an order singly that no list shows.
func (c *Client) orderItem(fields []string) func(context.Context, int64) (Item[Order], error) {
	return func(ctx context.Context, id int64) (Item[Order], error) {
		v, err := readOrder(ctx, c, id, fields)
		return Item[Order]{ID: id, UpdatedAt: v.UpdatedAt, Value: v}, err
	}
}

func readOrder(ctx context.Context, c *Client, id int64, fields []string) (Order, error) {
	return one(ctx, c, "asked for order", "orders/{id}", "/orders/"+strconv.FormatInt(id, 10), id, orderPaths(fields), decodeOrder())
}

// orderPaths adds what is always asked for to the wanted paths; none stay none.
func orderPaths(fields []string) []string {
	if len(fields) == 0 {
		return nil
	}
	paths := slices.Concat([]string{"entity_id", "updated_at", "customer_id", "customer_is_guest"}, fields)
	if slices.ContainsFunc(fields, func(path string) bool { return strings.HasPrefix(path, "items.") }) {
		paths = append(paths, "items.item_id", "items.parent_item_id", "items.product_type")
	}
	return paths
}
