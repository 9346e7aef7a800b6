package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// The streams.
const (
	Customers = "customers"
	Orders    = "orders"
	// emailScan is the stream of the one-time scan behind shared e-mails.
	emailScan = "customers/emails"
)

// Streams lists the streams in the order in which they run: an order stands below
// its customer's profile.
func Streams() []string { return []string{Customers, Orders} }

func knownStream(stream string, m *mapping.Mapping) error {
	switch {
	case !slices.Contains(Streams(), stream):
		return fmt.Errorf("unknown stream %q: known are %s", stream, strings.Join(Streams(), " and "))
	case stream == Orders && !m.HasOrders():
		return errors.New("the mapping has no orders: add the sections orders and items, or run the customers only")
	}
	return nil
}

// batch is one page of a stream as the shop gave it.
type batch struct {
	next        magento.Cursor
	last        bool
	total, read int
	prepare     func(context.Context, *page) error
}

// batches walks the stream's listing in the shop.
func (r *run) batches(ctx context.Context, q magento.Query) iter.Seq2[*batch, error] {
	if r.sweep != nil {
		return r.sweepBatches(ctx, q.Before, q.After)
	}
	if r.signal != nil {
		return r.told(ctx, q)
	}
	if r.kind == Orders {
		q.Fields = r.cfg.Mapping.OrderPaths()
		return batched(r.cfg.Shop.Orders(ctx, q), func(ctx context.Context, p *page, items []magento.Item[magento.Order]) error {
			r.hear(items)
			return r.prepareOrders(ctx, p, items)
		})
	}
	q.Fields = r.cfg.Mapping.Paths()
	return batched(r.cfg.Shop.Customers(ctx, q), r.prepareCustomers)
}

func batched[T any](
	pages iter.Seq2[*magento.Page[T], error], prepare func(context.Context, *page, []magento.Item[T]) error,
) iter.Seq2[*batch, error] {
	return func(yield func(*batch, error) bool) {
		for got, err := range pages {
			if err != nil {
				yield(nil, err)
				return
			}
			b := &batch{
				next: got.Next, last: got.Last, total: got.Total, read: len(got.Items),
				prepare: func(ctx context.Context, p *page) error { return prepare(ctx, p, got.Items) },
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}
