package magento

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
)

// Customers walks the customers that q selects in the order of (updated_at, id),
// each exactly once, a page at a time (promises 1 and 2). An error ends the walk;
// taken up with After set to the last page's Next it leaves nothing out.
func (c *Client) Customers(ctx context.Context, q Query) iter.Seq2[*Page[Customer], error] {
	silent := newUntold(q.Fields)
	return byTime(ctx, c, q, customerPaths(q.Fields), walk[Customer]{
		route: "customers/search", path: "/customers/search", pager: c.customers, decode: decodeCustomer(silent),
		finish: func(ctx context.Context, page *Page[Customer]) error { return silent.complete(ctx, c, page) },
		narrow: customerPlace, single: c.customerItem(q.Fields),
	})
}

// byTime walks a list by (updated_at, entity_id). It completes w.
func byTime[T any](ctx context.Context, c *Client, q Query, paths []string, w walk[T]) iter.Seq2[*Page[T], error] {
	fields, err := fieldList(paths)
	if err == nil && q.Before.IsZero() {
		err = configurationError("a walk needs a horizon: Query.Before is not set")
	}
	if err != nil {
		return func(yield func(*Page[T], error) bool) { yield(nil, err) }
	}
	if fields != "" {
		fields = "items[" + fields + "],total_count"
	}
	from, before := q.From.UTC().Truncate(time.Second), q.Before.UTC().Truncate(time.Second)
	if !q.After.IsZero() {
		from = time.Time{}
	}
	w.timed, w.from, w.before = true, from, before
	w.criteria = func(after Cursor) criteria {
		return criteria{
			groups: append(keyset(from, after, before), q.narrowed()...),
			sort:   []string{"updated_at", "entity_id"},
			fields: fields,
		}
	}
	w.within = byChange[T](from, before)
	return pages(ctx, c, w, q.After)
}

// customerPaths adds what is always asked for to the wanted paths; none stay none.
func customerPaths(fields []string) []string {
	if len(fields) == 0 {
		return nil
	}
	return slices.Concat([]string{"id", "updated_at"}, fields)
}

// Emails walks ids and e-mails in the order of id, for finding e-mails that are
// known on two websites.
func (c *Client) Emails(ctx context.Context, q EmailQuery) iter.Seq2[*Page[CustomerEmail], error] {
	return pages(ctx, c, walk[CustomerEmail]{
		route: "customers/search", path: "/customers/search",
		pager: c.emails,
		criteria: func(after Cursor) criteria {
			return criteria{
				groups: [][]filter{{{"entity_id", "gt", strconv.FormatInt(after.ID, 10)}}},
				sort:   []string{"entity_id"},
				fields: "items[id,email,website_id,confirmation],total_count",
			}
		},
		narrow: "items[id],total_count",
		decode: decodeEmail(),
		single: func(ctx context.Context, id int64) (Item[CustomerEmail], error) {
			v, err := c.customer(ctx, id, []string{"email", "website_id", "confirmation"}, newUntold(nil))
			return Item[CustomerEmail]{ID: id, Value: CustomerEmail{ID: id, WebsiteID: v.WebsiteID, Email: v.Email, Confirmed: v.Confirmation == ""}}, err
		},
		within: byID,
	}, Cursor{ID: q.After})
}

// Customer reads one customer, with the given fields as in [Query] or all of them.
// It matches [ErrNotFound] only when Magento itself says that there is none, and wraps a
// [*RecordError] of the cause [CausePoison] when the shop fails over this customer and
// shows another one.
func (c *Client) Customer(ctx context.Context, id int64, fields []string) (Customer, error) {
	v, err := c.customer(ctx, id, fields, newUntold(nil))
	return v, c.poisoned(ctx, "customers/search", "/customers/search", id, err)
}

// customerPlace narrows a list to what tells a customer's place.
const customerPlace = "items[id,updated_at],total_count"

// customerItem reads a customer singly that no list shows.
func (c *Client) customerItem(fields []string) func(context.Context, int64) (Item[Customer], error) {
	return func(ctx context.Context, id int64) (Item[Customer], error) {
		v, err := c.customer(ctx, id, fields, newUntold(nil))
		return Item[Customer]{ID: id, UpdatedAt: v.UpdatedAt, Value: v}, err
	}
}

func (c *Client) customer(ctx context.Context, id int64, fields []string, silent *untold) (Customer, error) {
	return one(ctx, c, "asked for customer", "customers/{id}", "/customers/"+strconv.FormatInt(id, 10), id, customerPaths(fields), decodeCustomer(silent))
}

// one reads a single record; asked names it in an error.
func one[T any](ctx context.Context, c *Client, asked, route, path string, id int64, paths []string, decode func([]byte, int64) Item[T]) (T, error) {
	var value T
	list, err := fieldList(paths)
	if err != nil {
		return value, err
	}
	query := ""
	if list != "" {
		query = criteriaFields(list)
	}
	err = c.read(ctx, route, path, query, func(_ http.Header, body io.Reader) error {
		f := newFrames(body)
		raw, size, err := document(f, '{')
		if err != nil {
			return err
		}
		item := decode(raw, size)
		if item.Err != nil {
			e := item.Err.(*RecordError) //nolint:errorlint,forcetypeassert // decoders make no other
			e.ID = id
			return &Error{Class: fault.Record, Shape: ShapeJSON, Err: e}
		}
		if item.ID != id {
			return &Error{
				Class: fault.Configuration, Shape: ShapeJSON,
				Filled: fmt.Sprintf("%s %d the shop sends %d", asked, id, item.ID),
				Hint:   "does a cache before the shop answer for /rest?",
			}
		}
		value = item.Value
		return nil
	})
	return value, err
}

// Clock returns the shop's clock, UTC, whole seconds: the Date header of an
// authorised answer that costs the shop next to nothing and leaves no session.
func (c *Client) Clock(ctx context.Context) (time.Time, error) {
	var clock time.Time
	err := c.read(ctx, "store/websites", "/store/websites", "", func(header http.Header, body io.Reader) error {
		if _, _, err := document(newFrames(body), '['); err != nil {
			return err
		}
		t, err := http.ParseTime(header.Get("Date"))
		if err != nil {
			return &Error{
				Class: fault.Configuration, Shape: ShapeJSON, Filled: "the shop's answer has no Date header",
				Hint: "the web server or proxy before the shop must send it: it is the clock that changes are read by",
			}
		}
		clock = t.UTC()
		return nil
	})
	return clock, err
}

// criteriaFields is the query of a single read.
func criteriaFields(list string) string {
	return "fields=" + strings.NewReplacer("[", "%5B", "]", "%5D", ",", "%2C").Replace(list)
}

// document takes the one value of a small answer, which must open with the given
// byte, and makes sure that nothing follows.
func document(f *frames, opening byte) (raw []byte, size int64, err error) {
	first, err := f.peek()
	switch {
	case errors.Is(err, io.EOF):
		return nil, 0, emptyAnswer()
	case err != nil:
		return nil, 0, err
	case first == '<':
		return nil, 0, markup()
	case first != opening:
		return nil, 0, &Error{Class: fault.Retry, Shape: ShapeJSON, Filled: "JSON of another kind than is due"}
	}
	if raw, size, err = f.value(); err != nil {
		return nil, 0, err
	}
	return raw, size, f.end()
}

// decodeInto reads a small answer into target, an object or a list.
func decodeInto(target any) func(http.Header, io.Reader) error {
	return func(_ http.Header, body io.Reader) error {
		f := newFrames(body)
		opening := byte('{')
		if first, err := f.peek(); err == nil && first == '[' {
			opening = '['
		}
		raw, size, err := document(f, opening)
		if err != nil {
			return err
		}
		if size > maxItem || json.Unmarshal(raw, target) != nil {
			return &Error{Class: fault.Retry, Shape: ShapeJSON, Filled: "JSON of another kind than is due"}
		}
		return nil
	}
}
