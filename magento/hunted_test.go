package magento_test

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// counted counts the requests that go through it.
type counted struct {
	http.RoundTripper
	n atomic.Int64
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

// met is what a walk brought, in its order: ids, those of poisoned records negative.
func met[T any](pages iter.Seq2[*magento.Page[T], error]) (ids []int64, err error) {
	var last magento.Cursor
	for page, err := range pages {
		if err != nil {
			return ids, err
		}
		for _, item := range page.Items {
			at := magento.Cursor{UpdatedAt: item.UpdatedAt, ID: item.ID}
			if at.UpdatedAt.Before(last.UpdatedAt) || at.UpdatedAt.Equal(last.UpdatedAt) && at.ID <= last.ID {
				return ids, fmt.Errorf("%v comes after %v", at, last)
			}
			last = at
			id := item.ID
			if item.Err != nil {
				e, ok := errors.AsType[*magento.RecordError](item.Err)
				if !ok || e.Cause != magento.CausePoison || e.ID != id || fault.ClassOf(item.Err) != fault.Record {
					return ids, fmt.Errorf("item %d: %w", id, item.Err)
				}
				id = -id
			}
			ids = append(ids, id)
		}
		if n := len(page.Items); n > 0 && page.Next != last {
			return ids, fmt.Errorf("the page ends at %v and says %v", last, page.Next)
		}
	}
	return ids, nil
}

// sorted tells poisoned records from good ones, whose order stays.
func sorted(ids []int64) (good, bad []int64) {
	for _, id := range ids {
		if id < 0 {
			bad = append(bad, -id)
		} else {
			good = append(good, id)
		}
	}
	slices.Sort(bad)
	return good, bad
}

func oneOf(ids ...int64) func(int64) bool {
	return func(id int64) bool { return slices.Contains(ids, id) }
}

// placesOf returns the places of a shop's customers or orders in the order of a walk.
func placesOf[T any](list []T, place func(T) (int64, time.Time)) []magento.Cursor {
	all := make([]magento.Cursor, len(list))
	for i, one := range list {
		all[i].ID, all[i].UpdatedAt = place(one)
	}
	slices.SortFunc(all, func(a, b magento.Cursor) int {
		return cmp.Or(a.UpdatedAt.Compare(b.UpdatedAt), cmp.Compare(a.ID, b.ID))
	})
	return all
}

func customerPlaces(s *magentotest.Shop) []magento.Cursor {
	return placesOf(s.Data().Customers, func(c magentotest.Customer) (int64, time.Time) { return c.ID, c.UpdatedAt })
}

func orderPlaces(s *magentotest.Shop) []magento.Cursor {
	return placesOf(s.Data().Orders, func(o magentotest.Order) (int64, time.Time) { return o.ID, o.UpdatedAt })
}

// idsOf lists the ids of places without those of which not is true.
func idsOf(places []magento.Cursor, not func(int64) bool) (ids []int64) {
	for _, at := range places {
		if !not(at.ID) {
			ids = append(ids, at.ID)
		}
	}
	return ids
}

// first lets the first n pages of a walk through.
func first[T any](n int, pages iter.Seq2[*magento.Page[T], error]) iter.Seq2[*magento.Page[T], error] {
	return func(yield func(*magento.Page[T], error) bool) {
		for page, err := range pages {
			if !yield(page, err) {
				return
			}
			if n--; n == 0 {
				return
			}
		}
	}
}

func yielding[T any](pages []*magento.Page[T]) iter.Seq2[*magento.Page[T], error] {
	return func(yield func(*magento.Page[T], error) bool) {
		for _, page := range pages {
			if !yield(page, nil) {
				return
			}
		}
	}
}
