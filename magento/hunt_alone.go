package magento

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// alone takes the first row behind id, which the shop fails over, for what it is, and
// returns the id to go on from.
func (h *hunt[T]) alone(ctx context.Context, id int64) (int64, error) {
	h.rest, h.left = nil, 0
	found, err := h.find(ctx, id)
	if found == 0 {
		h.rest, h.left, h.beside = nil, 0, 0
	}
	if h.beside > 0 {
		h.left = 1
	}
	if err != nil || found == 0 {
		return id, err
	}
	var item Item[T]
	err = h.call(ctx, func(ctx context.Context) (err error) {
		item, err = h.w.single(ctx, found)
		return err
	})
	e, failed := broke(err)
	record, unreadable := errors.AsType[*RecordError](err)
	if failed || unreadable {
		if here, err := h.here(ctx, found); err != nil || !here {
			h.rest, h.left, h.beside = nil, 0, 0
			return id, err
		}
	}
	h.found++
	switch {
	case errors.Is(err, ErrNotFound): // deleted meanwhile
		h.done++
		return found, nil
	case unreadable:
		item = Item[T]{ID: found, UpdatedAt: h.latest(found), Err: record}
	case failed:
		h.bad++
		if h.row++; h.row >= mostInARow || h.tooMany(h.bad) {
			return 0, h.cause
		}
		item = Item[T]{ID: found, UpdatedAt: h.latest(found), Err: poison(found, e)}
	case err != nil:
		return 0, err
	default:
		h.row = 0
		if h.w.timed && !h.inside(item) {
			// It was changed meanwhile, and comes by later; or the one that was looked for
			// was, and this is another, which came by before.
			h.done++
			return found, nil
		}
	}
	h.take(item)
	return found, nil
}

// inside reports whether a record lies in the span.
func (h *hunt[T]) inside(item Item[T]) bool {
	return h.w.within(h.after, item) == "" && (h.end == Cursor{} || h.compare(item.at(), h.end) < 0)
}

// latest is the latest that a row of the span can have been changed.
func (h *hunt[T]) latest(id int64) time.Time {
	at, known := h.places[id]
	switch {
	case known || !h.w.timed:
		return at
	case h.end == Cursor{}:
		return h.w.before.Add(-time.Second)
	case id < h.end.ID:
		return h.end.UpdatedAt
	}
	return h.end.UpdatedAt.Add(-time.Second)
}

// find returns the id of the first row behind id, which the shop fails over, or 0 when
// it no longer does.
//
// A list fails when it holds the row, so that each condition on its id is answered with
// yes or no. Ids that the shop shows for other rows are not tried.
func (h *hunt[T]) find(ctx context.Context, id int64) (int64, error) {
	if h.places != nil {
		next := int64(0)
		for other := range h.places {
			if other > id && (next == 0 || other < next) {
				next = other
			}
		}
		return next, nil
	}
	low, high, err := h.between(ctx, id)
	if err != nil || high == 0 {
		return 0, err
	}
	for high-low-1 > int64(h.size) {
		middle := low + (high-low)/2
		holds, err := h.holds(ctx, id, middle)
		switch {
		case errors.Is(err, errMended):
			return 0, nil
		case err != nil:
			return 0, err
		case holds:
			high = middle + 1
		default:
			low = middle
		}
	}
	ids, err := h.free(ctx, low, high)
	if err != nil {
		return 0, err
	}
	for len(ids) > 1 {
		half := len(ids) / 2
		holds, err := h.holds(ctx, id, ids[half-1])
		switch {
		case errors.Is(err, errMended):
			return 0, nil
		case err != nil:
			return 0, err
		case holds:
			ids = ids[:half]
		default:
			ids = ids[half:]
		}
	}
	if len(ids) == 0 {
		return 0, nil
	}
	return ids[0], nil
}

// errMended says that the shop shows a row which it failed over.
var errMended = errors.New("the shop shows the record after all")

// holds reports whether the span's first row behind id, which the shop fails over, has
// an id of at most most.
func (h *hunt[T]) holds(ctx context.Context, id, most int64) (bool, error) {
	got, err := h.list(ctx, h.query(1, beyond(id), upTo(most)), Cursor{ID: id}, h.rising)
	switch _, failed := broke(err); {
	case failed:
		return true, nil
	case err != nil:
		return false, err
	case len(got.Items) > 0:
		return false, errMended
	}
	return false, nil
}

// here reports whether the shop fails over the record with id because it lies in the span.
// The one that was looked for may have been deleted or mended meanwhile, so that the search
// ended at another, which no single read tells the place of.
func (h *hunt[T]) here(ctx context.Context, id int64) (bool, error) {
	if h.places != nil || !h.w.timed {
		return true, nil
	}
	_, err := h.list(ctx, h.query(1, []filter{{"entity_id", "eq", strconv.FormatInt(id, 10)}}), Cursor{}, h.rising)
	if _, failed := broke(err); failed {
		return true, nil
	}
	return false, err
}

// between returns what the id of the first row behind id lies between, both exclusive;
// high is 0 when the shop no longer fails over it.
func (h *hunt[T]) between(ctx context.Context, id int64) (low, high int64, err error) {
	if h.beside > 0 {
		h.beside--
		return id, h.bound, nil
	}
	if high, err = h.neighbour(ctx, id); err != nil || high != 0 {
		return id, high, err
	}
	if !h.w.timed && h.end.ID != 0 {
		return id, h.end.ID, nil
	}
	// The highest id of the rows outside the span is a good guess: what was changed
	// last is often what was made last.
	low, step := id, int64(8)
	var top []int64
	if h.w.timed {
		if top, err = h.outside(ctx, 1, true, beyond(id)); err != nil {
			return 0, 0, err
		}
	}
	if high = low + step; len(top) == 1 {
		high = top[0]
	}
	for {
		holds, err := h.holds(ctx, id, high)
		switch {
		case errors.Is(err, errMended):
			return 0, 0, nil
		case err != nil:
			return 0, 0, err
		case holds:
			return low, high + 1, nil
		}
		if low, high, step = high, high+step, 8*step; low > highestID {
			return 0, 0, nil
		}
	}
}

// highestID is beyond what an id can be: Magento's are unsigned numbers of 32 bits.
const highestID = 1 << 32

// neighbour returns the lowest id behind that of the first row behind id, or 0 when the
// shop shows none. Reading all that is left from its end brings it by the way, unless
// the shop fails over more of them.
func (h *hunt[T]) neighbour(ctx context.Context, id int64) (int64, error) {
	left := h.count - h.done - 1
	if left > 0 && left <= h.most {
		q := h.query(left, beyond(id))
		q.desc = true
		got, err := h.list(ctx, q, Cursor{}, h.falling)
		_, failed := broke(err)
		switch {
		case failed:
			h.left = left
		case err != nil:
			return 0, err
		case got.Total == left+1 && len(got.Items) == left:
			slices.Reverse(got.Items)
			h.rest, h.good = got.Items, true
			return got.Items[0].ID, nil
		}
	}
	for n := 2; n <= min(left+1, 5); n++ {
		q := h.query(1, beyond(id))
		q.page = n
		next, err := h.list(ctx, q, Cursor{ID: id}, h.rising)
		if _, failed := broke(err); failed {
			continue
		}
		// Old versions repeat the last row where there is none.
		if err != nil || next.Total < n || len(next.Items) != 1 {
			return 0, err
		}
		h.good = true
		h.beside, h.bound = n-2, next.Items[0].ID
		return h.bound, nil
	}
	return 0, nil
}

// free returns the ids between two others that no row outside the span has, so far as
// the shop tells.
func (h *hunt[T]) free(ctx context.Context, low, high int64) ([]int64, error) {
	var taken []int64
	if high-low-1 > 3 && h.w.timed {
		var err error
		if taken, err = h.outside(ctx, h.size, false, beyond(low), upTo(high-1)); err != nil {
			return nil, err
		}
	}
	ids := make([]int64, 0, high-low-1)
	for id := low + 1; id < high; id++ {
		if _, ok := slices.BinarySearch(taken, id); !ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// outside returns ids of rows outside the span, by their conditions ascending or
// descending; none where the shop fails over that too.
func (h *hunt[T]) outside(ctx context.Context, size int, descending bool, more ...[]filter) ([]int64, error) {
	q := criteria{groups: slices.Concat(h.apart(), more), sort: []string{"entity_id"}, desc: descending, size: size, fields: h.w.narrow}
	got, err := h.list(ctx, q, Cursor{}, func(previous Cursor, item Item[T]) string {
		if !descending && item.ID <= previous.ID {
			return fmt.Sprintf("the row %d after %d: it ignores the sort order on entity_id", item.ID, previous.ID)
		}
		return ""
	})
	if _, ok := broke(err); ok {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(got.Items))
	for i, item := range got.Items {
		ids[i] = item.ID
	}
	return ids, nil
}
