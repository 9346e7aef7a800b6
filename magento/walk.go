package magento

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
)

// walk is what one kind of list needs to be walked by keyset.
type walk[T any] struct {
	route    string
	path     string
	pager    *pager
	timed    bool      // places are by updated_at too
	from     time.Time // of a timed walk, as its criteria have them
	before   time.Time
	criteria func(after Cursor) criteria // without a page size
	narrow   string                      // fields that tell a row's place and nothing else
	decode   func(raw []byte, size int64) Item[T]
	single   func(ctx context.Context, id int64) (Item[T], error)
	finish   func(context.Context, *Page[T]) error // of a page that was read; may be nil
	numbered bool                                  // a page is asked for by its number, and says nothing about those before it
	// within says what is wrong with an item's place, given the one before it, or "".
	within func(previous Cursor, item Item[T]) string
}

// pages walks from a cursor until the shop has no more rows. An error ends it; the
// walk can be taken up again after the last page that was yielded.
func pages[T any](ctx context.Context, c *Client, w walk[T], after Cursor) iter.Seq2[*Page[T], error] {
	return func(yield func(*Page[T], error) bool) {
		s := c.walks.take()
		if s == nil {
			s = c.newSession()
		}
		var failure error
		poisoned := 0 // in a row
		defer func() {
			if !spoilt(failure) {
				c.walks.give(s)
			}
		}()
		for {
			page, err := nextPage(ctx, c, s, w, after, &poisoned)
			if err == nil && w.finish != nil {
				err = w.finish(ctx, page)
			}
			if err != nil {
				failure = err
				yield(nil, err)
				return
			}
			if !yield(page, nil) || page.Last {
				return
			}
			after = page.Next
		}
	}
}

// nextPage reads one page. The shop's own maximum page size is taken at once, and a page
// that the shop itself fails over is searched for what is behind it (promise 5). Any
// other failure of a page makes the next one smaller and is returned.
func nextPage[T any](ctx context.Context, c *Client, s *session, w walk[T], after Cursor, poisoned *int) (*Page[T], error) {
	for {
		q := w.criteria(after)
		q.size = w.pager.next()
		page := &Page[T]{Next: after, Size: q.size}
		start := c.cfg.Now()
		err := c.get(ctx, s, w.route, w.path, q.encode(), func(_ http.Header, body io.Reader) error {
			return readPage(body, w, page)
		})
		page.Took = c.cfg.Now().Sub(start)
		if err == nil {
			w.pager.observe(page.Took, len(page.Items) >= q.size)
			*poisoned = 0
			return page, nil
		}
		e, typed := errors.AsType[*Error](err)
		switch {
		case typed && e.Status == http.StatusBadRequest && w.pager.refused(e.maximum()):
			c.cfg.Log.Info("the shop limits its page size", "route", w.route, "max", e.maximum())
			continue
		case ctx.Err() == nil && typed && e.broke():
			h := &hunt[T]{c: c, s: s, w: w, after: after, size: q.size, cause: e, row: *poisoned}
			if page, err = h.page(ctx); err == nil {
				page.Took, *poisoned = c.cfg.Now().Sub(start), h.row
			}
			c.cfg.Log.Info("the shop failed over a page, which was searched for the records behind it",
				"route", w.route, "size", q.size, "calls", h.calls, "poisoned", h.bad, "read_singly", h.found-h.bad, "done", err == nil)
			switch {
			case ctx.Err() != nil: // it says nothing about the shop
			case err == nil && h.most < h.size:
				w.pager.fits(h.most)
			case err != nil || h.found == 0:
				w.pager.failed()
			}
			return page, err
		case ctx.Err() == nil && typed && e.heavy():
			w.pager.failed()
		}
		return nil, err
	}
}

// maximum returns the page size a refusal names, or 0.
func (e *Error) maximum() int {
	if e.Message != "Maximum SearchCriteria pageSize is %max" && len(e.Parameters) != 1 {
		return 0
	}
	n, err := strconv.Atoi(e.Parameters["max"])
	if err != nil {
		return 0
	}
	return n
}

// heavy reports whether a smaller page may succeed where this one failed.
func (e *Error) heavy() bool {
	if e.Class != fault.Retry || fault.NotSent(e) {
		return false
	}
	return e.Status == 0 || e.Status >= 500 || e.Shape == ShapeCut
}

// readPage decodes and checks a page as it streams in.
func readPage[T any](body io.Reader, w walk[T], page *Page[T]) error {
	f := newFrames(body)
	first, err := f.peek()
	switch {
	case errors.Is(err, io.EOF):
		return emptyAnswer()
	case err != nil:
		return err
	case first == '<':
		return markup()
	case first == '[':
		return &Error{
			Class: fault.Configuration, Shape: ShapeJSON,
			Filled: "the shop answers an empty list instead of a page, as it does for a fields parameter it cannot read",
			Hint:   "does a proxy or firewall change the brackets in query strings?",
		}
	}
	var items, total, null bool
	previous := page.Next
	err = f.object(func(name string) error {
		next, err := f.peek()
		if err != nil {
			return cut(err)
		}
		if name == "items" && next == '[' {
			items = true
			return f.array(func() error {
				raw, size, err := f.value()
				if err != nil {
					return err
				}
				item := w.decode(raw, size)
				if err := check(w, page, previous, item); err != nil {
					return err
				}
				previous = Cursor{UpdatedAt: item.UpdatedAt, ID: item.ID}
				page.Items = append(page.Items, item)
				return nil
			})
		}
		raw, _, err := f.value()
		if err != nil {
			return err
		}
		switch name {
		case "items":
			// Narrowed by fields, an empty list comes as null.
			items, null = string(raw) == "null", true
		case "total_count":
			var n integer
			if len(unquote(raw)) == 0 || n.UnmarshalJSON(raw) != nil || n < 0 {
				return errNotJSON
			}
			total, page.Total = string(raw) != "null", int(n)
		default:
			if !json.Valid(raw) {
				return errNotJSON
			}
		}
		return nil
	})
	if err == nil {
		err = f.end()
	}
	if err != nil {
		return err
	}
	if !items || !total {
		return &Error{Class: fault.Retry, Shape: ShapeJSON, Filled: "a page without items or total_count", Hint: hintAgain}
	}
	if w.numbered {
		return nil
	}
	return complete(page, null, previous)
}

// check holds one item against what was asked for, so that a shop, module or proxy
// that drops a filter stops the stream instead of leaving a gap.
func check[T any](w walk[T], page *Page[T], previous Cursor, item Item[T]) error {
	if len(page.Items) >= page.Size {
		return ignored(fmt.Sprintf("more than the %d rows asked for: it ignores pageSize", page.Size))
	}
	if item.ID <= 0 || item.Err != nil && w.timed && item.UpdatedAt.IsZero() {
		return &Error{
			Class: fault.Retry, Shape: ShapeJSON,
			Filled: fmt.Sprintf("the row after id %d cannot be read and does not show its place", previous.ID), Err: item.Err,
		}
	}
	if wrong := w.within(previous, item); wrong != "" {
		return ignored(wrong)
	}
	return nil
}

// complete closes a page and holds it against the shop's own count. A full page is
// never the last one: should the count be wrong, asking once more costs a call, and
// believing it would lose records.
func complete[T any](page *Page[T], null bool, last Cursor) error {
	page.Next = last
	page.Last = page.Total <= len(page.Items) && len(page.Items) < page.Size
	switch {
	case page.Total <= len(page.Items):
		return nil
	case null:
		return &Error{
			Class: fault.Retry, Shape: ShapeJSON,
			Filled: fmt.Sprintf("the shop counts %d rows and sends none", page.Total), Hint: hintAgain,
		}
	case len(page.Items) < page.Size:
		return &Error{
			Class: fault.Retry, Shape: ShapeJSON,
			Filled: fmt.Sprintf("the shop counts %d rows and sends %d of the %d asked for", page.Total, len(page.Items), page.Size),
			Hint:   hintAgain,
		}
	}
	return nil
}

func ignored(what string) *Error {
	return &Error{
		Class: fault.Configuration, Shape: ShapeJSON, Filled: "the shop sends " + what,
		Hint: "nothing was skipped; find the module, proxy or cache that changes searchCriteria in REST calls, and switch it off for /rest",
	}
}

func emptyAnswer() *Error {
	return &Error{Class: fault.Retry, Shape: ShapeEmpty, Filled: "an empty answer", Hint: hintAgain}
}

func markup() *Error {
	return &Error{
		Class: fault.Retry, Shape: ShapeHTML, Filled: "HTML where JSON is due",
		Hint: "PHP may print warnings into its answers: set display_errors to Off in the shop",
	}
}

// byChange checks the places of a walk by (updated_at, id).
func byChange[T any](from, before time.Time) func(Cursor, Item[T]) string {
	return func(previous Cursor, item Item[T]) string {
		at := item.UpdatedAt
		switch {
		case at.IsZero():
			return fmt.Sprintf("a row without updated_at (id %d)", item.ID)
		case !at.Before(before):
			return fmt.Sprintf("a row changed at %s, not before %s: it ignores the filter updated_at lt", shopTime(at), shopTime(before))
		case previous.IsZero() && at.Before(from):
			return fmt.Sprintf("a row changed at %s, before %s: it ignores the filter updated_at gteq", shopTime(at), shopTime(from))
		case at.Before(previous.UpdatedAt) || at.Equal(previous.UpdatedAt) && item.ID <= previous.ID:
			return fmt.Sprintf("the row (%s, %d) after (%s, %d): it ignores a filter or the sort order on updated_at and entity_id",
				shopTime(at), item.ID, shopTime(previous.UpdatedAt), previous.ID)
		}
		return ""
	}
}

// byID checks the places of a walk by id.
func byID(previous Cursor, item Item[CustomerEmail]) string {
	if item.ID <= previous.ID {
		return fmt.Sprintf("the row %d after %d: it ignores the filter or the sort order on entity_id", item.ID, previous.ID)
	}
	return ""
}
