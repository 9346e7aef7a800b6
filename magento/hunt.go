package magento

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"
)

const (
	// mostInARow is how many poisoned records, one next to the other, are a broken shop.
	mostInARow = 10
	// mostInAPage bounds the poisoned records of one page, or a tenth of it where that is
	// more. A walk that stops for it asks for a smaller page the next time.
	mostInAPage = 20
	// mostCalls ends a hunt that comes to no end, because the shop changes its mind.
	mostCalls = 2000
	// patience is how many calls may fail in a row before the shop is asked for
	// something cheap. The next one would open the transport's breaker.
	patience = 9
)

// broke reports whether the shop itself failed over what it was asked for: PHP out of
// memory (recording infra-php-memory-exhausted), or an exception that it hides
// (orders-filter-bad-field). Maintenance, a dead database and what stands before a shop
// answer otherwise; they say nothing about a record.
func (e *Error) broke() bool {
	return e.Status == http.StatusInternalServerError && (e.Shape == ShapeJSON || e.Shape == ShapeEmpty)
}

// errEndless ends a hunt after mostCalls.
var errEndless = errors.New("the shop fails now over this record, now over that")

func broke(err error) (*Error, bool) {
	e, ok := errors.AsType[*Error](err)
	return e, ok && e.broke()
}

// hunt reads a page that makes the shop fail (promise 5). It fixes the page's rows by
// the place of the row behind them, reads them in the order of their ids, halving where
// the shop fails until a record is alone, and learns that record's id. A record that
// the shop cannot show by itself either, while it shows others, is poisoned.
//
// In the order of ids a halving brings what a record's id lies between, so that few
// calls are left to find it: the shop tells it to nobody.
type hunt[T any] struct {
	c     *Client
	s     *session
	w     walk[T]
	after Cursor
	size  int    // rows asked for
	cause *Error // what came

	end    Cursor              // of the first row behind the span; zero: there is none
	last   bool                // no row lies behind the span
	count  int                 // rows in the span, as the shop counted them
	places map[int64]time.Time // of the span's rows, where the shop tells them apart from the rest

	items  []Item[T]
	most   int       // rows to ask for where nothing is known; below size: a larger page was too large
	rest   []Item[T] // all rows behind the record found last; nil: not read
	left   int       // the shop fails for so many rows behind it; 0: not known
	beside int       // rows right behind it over each of which the shop fails
	bound  int64     // the id of the first row behind those
	good   bool      // the shop showed a record whole since the hunt began
	done   int       // rows of the span that were read or passed over
	found  int       // records that were found alone
	bad    int       // of these, poisoned ones
	row    int       // since the last other one
	calls  int
	failed int // in a row
}

// page reads the page, or returns what it failed with when that is not about records.
func (h *hunt[T]) page(ctx context.Context) (*Page[T], error) {
	err := h.close(ctx)
	if err == nil {
		err = h.read(ctx)
	}
	if err == nil && h.bad > 0 && !h.good {
		err = h.shows(ctx, h.items[0].ID-1, h.items[0].ID)
	}
	switch _, failed := broke(err); {
	case failed, errors.Is(err, errEndless):
		return nil, h.cause
	case err != nil:
		return nil, err
	}
	slices.SortFunc(h.items, func(a, b Item[T]) int { return h.compare(a.at(), b.at()) })
	page := &Page[T]{Items: h.items, Next: h.after, Total: max(h.count, len(h.items)), Size: h.size}
	page.Last = h.last && len(h.items) < h.size
	switch n := len(h.items); {
	case n > 0:
		page.Next = Cursor{UpdatedAt: h.items[n-1].UpdatedAt, ID: h.items[n-1].ID}
	case h.end != Cursor{}:
		page.Next = Cursor{UpdatedAt: h.end.UpdatedAt, ID: h.end.ID - 1}
	}
	return page, nil
}

// shows returns nil when the shop shows a record that has an id of at most low or above
// high, and else what it failed with.
func (h *hunt[T]) shows(ctx context.Context, low, high int64) error {
	for _, q := range others(low, high) {
		q.fields = h.w.criteria(h.after).fields
		var shown bool
		err := h.call(ctx, func(ctx context.Context) (err error) {
			shown, err = h.c.shows(ctx, h.w.route, h.w.path, q)
			return err
		})
		if _, failed := broke(err); shown || err != nil && !failed {
			return err
		}
	}
	return h.cause
}

// compare compares two places of the walk.
func (h *hunt[T]) compare(a, b Cursor) int {
	if h.w.timed {
		return cmp.Or(a.UpdatedAt.Compare(b.UpdatedAt), cmp.Compare(a.ID, b.ID))
	}
	return cmp.Compare(a.ID, b.ID)
}

// close finds where the span ends. Narrowed to places the shop may show the page after
// all; otherwise the row behind it is asked for by its number, and where that one fails
// too the span is given another length.
func (h *hunt[T]) close(ctx context.Context) error {
	q := h.w.criteria(h.after)
	q.size, q.fields = h.size, h.w.narrow
	shown, err := h.list(ctx, q, h.after, h.w.within)
	if err == nil {
		h.count, h.places = len(shown.Items), map[int64]time.Time{}
		for _, row := range shown.Items {
			h.places[row.ID] = row.UpdatedAt
			h.end = Cursor{UpdatedAt: row.UpdatedAt, ID: row.ID + 1}
		}
		h.last = shown.Last
		return nil
	}
	var tried []int
	for n := h.size; len(tried) < 3 && n > 0; n /= 2 {
		if _, failed := broke(err); !failed {
			return err
		}
		err = h.behind(ctx, n)
		tried = append(tried, n)
	}
	if _, failed := broke(err); !failed {
		return err
	}
	total := 0
	if err = h.shows(ctx, h.after.ID, h.after.ID); err == nil {
		total, err = h.total(ctx)
	}
	if err != nil {
		return err
	}
	if total > h.size {
		return h.elsewhere(ctx, total, tried)
	}
	// A shop that repeats its last row failed so because that one is poisoned. No row
	// lies behind the page.
	h.count, h.last = cmp.Or(total, h.size), true
	return nil
}

// behind ends the span after n rows, before the one that follows.
func (h *hunt[T]) behind(ctx context.Context, n int) error {
	q := h.w.criteria(h.after)
	q.size, q.page = 1, n+1
	next, err := h.list(ctx, q, h.after, h.w.within)
	if err != nil {
		return err
	}
	h.count = min(n, next.Total)
	// Old versions repeat the last row where there is none.
	if h.last = next.Total <= n || len(next.Items) == 0; !h.last {
		h.end = Cursor{UpdatedAt: next.Items[0].UpdatedAt, ID: next.Items[0].ID}
	}
	return nil
}

// total counts the rows of the walk that are left. A list tells it with any row that the
// shop shows, in whatever order; 0 says that it shows none of the first ones by id, which
// are all that there are, or are enough in a row to end the hunt.
func (h *hunt[T]) total(ctx context.Context) (int, error) {
	for n := range mostInARow {
		q := h.query(1)
		q.page = n + 1
		got, err := h.list(ctx, q, Cursor{}, h.rising)
		if err == nil {
			h.good = h.good || len(got.Items) > 0
			return got.Total, nil
		}
		if _, failed := broke(err); !failed {
			return 0, err
		}
	}
	return 0, nil
}

// elsewhere ends the span before another row than those behind the lengths that were
// tried, of the total that are left: below the size where one will do, else above it.
// Each failure is one more poisoned row.
func (h *hunt[T]) elsewhere(ctx context.Context, total int, tried []int) error {
	for i := range total - 1 {
		n := h.size - i
		if n <= 0 {
			n = i + 1
		}
		switch {
		case slices.Contains(tried, n):
			continue
		case h.tooMany(len(tried)):
			return h.cause
		}
		err := h.behind(ctx, n)
		if _, failed := broke(err); !failed {
			return err
		}
		tried = append(tried, n)
	}
	h.count, h.last = total, true
	return nil
}

// tooMany reports whether so many poisoned rows in a page are a broken shop.
func (h *hunt[T]) tooMany(bad int) bool { return bad > max(mostInAPage, h.size/10) }

// read reads the span's rows in the order of their ids.
func (h *hunt[T]) read(ctx context.Context) error {
	var (
		id      int64     // the rows up to it are read
		suspect = h.count // the shop fails for so many rows behind id; 0: not known
		weigh   bool      // the rest of a failed page is asked for whole: it may have been too large
		weighed bool
	)
	h.most = h.size
	for {
		n := h.most
		switch {
		case weigh:
			n = suspect
		case suspect == 1:
			next, err := h.alone(ctx, id)
			if err != nil {
				return err
			}
			if h.rest != nil {
				h.take(h.rest...)
				h.row = 0
				return nil
			}
			id, suspect = next, h.left
			continue
		case suspect > 0:
			n = (suspect + 1) / 2
		}
		got, err := h.list(ctx, h.query(n, beyond(id)), Cursor{ID: id}, h.rising)
		if _, ok := broke(err); ok {
			suspect, weigh = min(n, max(1, h.count-h.done)), false
			continue
		}
		if err != nil {
			return err
		}
		h.take(got.Items...)
		if rows := len(got.Items); rows > 0 {
			id, h.row, h.good = got.Items[rows-1].ID, 0, true
		}
		switch {
		case got.Total <= len(got.Items):
			return nil
		case h.end == Cursor{} && got.Total > max(h.size, h.count):
			return h.cause // the span is longer than it was taken to be
		}
		if weigh {
			h.most, suspect = n, 0
		}
		suspect = max(0, suspect-len(got.Items))
		weigh, weighed = suspect > 0 && !weighed, weighed || suspect > 0
	}
}
