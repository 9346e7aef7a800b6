package magento

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

// apart returns the groups that select what lies outside the span: before it or behind
// it, each a conjunction, whose alternative in groups is the product of both.
func (h *hunt[T]) apart() [][]filter {
	before := [][]filter{{{"updated_at", "lt", shopTime(h.w.from)}}}
	behind := [][]filter{{{"updated_at", "gteq", shopTime(h.w.before)}}}
	if !h.after.IsZero() {
		at := shopTime(h.after.UpdatedAt)
		before = [][]filter{{{"updated_at", "lteq", at}}, append(upTo(h.after.ID), filter{"updated_at", "lt", at})}
	}
	if (h.end != Cursor{}) {
		at := shopTime(h.end.UpdatedAt)
		behind = [][]filter{{{"updated_at", "gteq", at}}, append(beyond(h.end.ID-1), filter{"updated_at", "gt", at})}
	}
	if h.after.IsZero() && h.w.from.IsZero() {
		return behind
	}
	var groups [][]filter
	for _, a := range before {
		for _, b := range behind {
			groups = append(groups, slices.Concat(a, b))
		}
	}
	return groups
}

// query selects rows of the span, in the order of their ids.
func (h *hunt[T]) query(size int, more ...[]filter) criteria {
	q := h.w.criteria(h.after)
	if id := strconv.FormatInt(h.end.ID, 10); h.w.timed && h.end != (Cursor{}) {
		at := shopTime(h.end.UpdatedAt)
		q.groups = append(q.groups, []filter{{"updated_at", "lteq", at}}, []filter{{"updated_at", "lt", at}, {"entity_id", "lt", id}})
	} else if h.end.ID != 0 {
		q.groups = append(q.groups, []filter{{"entity_id", "lt", id}})
	}
	q.groups = append(q.groups, more...)
	q.sort, q.size = []string{"entity_id"}, size
	return q
}

func beyond(id int64) []filter { return []filter{{"entity_id", "gt", strconv.FormatInt(id, 10)}} }
func upTo(id int64) []filter   { return []filter{{"entity_id", "lteq", strconv.FormatInt(id, 10)}} }

// rising checks rows of the span in the order of their ids.
func (h *hunt[T]) rising(previous Cursor, item Item[T]) string {
	if item.ID <= previous.ID {
		return fmt.Sprintf("the row %d after %d: it ignores the filter or the sort order on entity_id", item.ID, previous.ID)
	}
	if (h.end != Cursor{}) && h.compare(item.at(), h.end) >= 0 {
		return fmt.Sprintf("the row %d, which lies behind the last one asked for: it ignores a filter on updated_at or entity_id", item.ID)
	}
	return h.w.within(h.after, item)
}

// falling is rising for rows that come from the end.
func (h *hunt[T]) falling(previous Cursor, item Item[T]) string {
	if previous.ID != 0 && item.ID >= previous.ID {
		return fmt.Sprintf("the row %d after %d: it ignores the sort order on entity_id", item.ID, previous.ID)
	}
	return h.rising(Cursor{}, item)
}

// list makes one call of the list.
func (h *hunt[T]) list(ctx context.Context, q criteria, from Cursor, within func(Cursor, Item[T]) string) (*Page[T], error) {
	w := h.w
	w.within, w.numbered = within, q.page > 0
	if q.fields == w.narrow {
		w.decode = decodePlace[T]
	}
	var page *Page[T]
	err := h.call(ctx, func(ctx context.Context) error {
		page = &Page[T]{Next: from, Size: q.size}
		return h.c.get(ctx, h.s, w.route, w.path, q.encode(), func(_ http.Header, body io.Reader) error {
			return readPage(body, w, page)
		})
	})
	return page, err
}

// call makes one call. Where the shop itself fails it is not made again at once, since
// the hunt finds out why; anything else is waited for as always.
func (h *hunt[T]) call(ctx context.Context, call func(context.Context) error) error {
	if h.calls++; h.calls > mostCalls {
		return errEndless
	}
	if h.failed >= patience {
		if _, err := h.c.Clock(ctx); err != nil {
			return err
		}
		h.failed = 0
	}
	err := call(httpx.WithPolicy(ctx, httpx.Once))
	_, failed := broke(err)
	if err != nil && !failed && ctx.Err() == nil && fault.ClassOf(err) == fault.Retry {
		err = call(ctx)
		_, failed = broke(err)
	}
	if h.failed++; !failed {
		h.failed = 0
	}
	return err
}

// take keeps rows of the span.
func (h *hunt[T]) take(items ...Item[T]) {
	h.items = append(h.items, items...)
	h.done += len(items)
}

// at is an item's place.
func (i Item[T]) at() Cursor { return Cursor{UpdatedAt: i.UpdatedAt, ID: i.ID} }

// decodePlace decodes a row that is narrowed to its place.
func decodePlace[T any](raw []byte, size int64) Item[T] {
	var wire struct {
		ID        integer `json:"id"`
		EntityID  integer `json:"entity_id"` // of an order
		UpdatedAt moment  `json:"updated_at"`
	}
	item := Item[T]{}
	if e := decodeItem(raw, size, &wire); e != nil {
		item.Err = e
	}
	item.ID, item.UpdatedAt = int64(cmp.Or(wire.ID, wire.EntityID)), time.Time(wire.UpdatedAt)
	return item
}

func poison(id int64, e *Error) *RecordError {
	return &RecordError{ID: id, Cause: CausePoison, Answer: presentable(e.Message)}
}

// poisoned turns the failure of a single read into that of its record when the shop
// shows another one of its kind.
func (c *Client) poisoned(ctx context.Context, route, path string, id int64, err error) error {
	e, failed := broke(err)
	if !failed {
		return err
	}
	for _, q := range others(id-1, id) {
		if shown, _ := c.shows(ctx, route, path, q); shown {
			return &Error{Status: e.Status, Route: e.Route, Class: fault.Record, Shape: e.Shape, Err: poison(id, e)}
		}
	}
	return err
}

// others select records of the shop beside those with an id above low and up to high:
// the ones next to them, and the last and the first of all. A shop that shows none of
// these is broken.
func others(low, high int64) []criteria {
	above, below := [][]filter{beyond(high)}, [][]filter{upTo(low)}
	queries := []criteria{{groups: above}, {groups: below, desc: true}, {groups: above, desc: true}, {groups: below}}
	for i := range queries {
		queries[i].sort, queries[i].size = []string{"entity_id"}, 1
	}
	return queries
}

// shows reports whether the shop shows a row for q.
func (c *Client) shows(ctx context.Context, route, path string, q criteria) (bool, error) {
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	err := c.read(ctx, route, path, q.encode(), decodeInto(&list))
	return err == nil && len(list.Items) > 0, err
}
