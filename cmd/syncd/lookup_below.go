package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/magento-copernica/syncd/state"
)

// mostOrders bounds the orders that are read of one person, mostOrdersShown those that are
// printed for people.
const (
	mostOrders      = 1000
	mostOrdersShown = 20
)

// asked is the record of a key that was asked for: of a person with their orders.
func (f *finder) asked(ctx context.Context, ref state.RecordRef) (*lookupRecord, error) {
	r, err := f.record(ctx, ref)
	if err != nil || ref.Entity != state.Profile {
		return r, err
	}
	return r, f.orders(ctx, r)
}

// orders adds the orders that stand below a profile.
func (f *finder) orders(ctx context.Context, r *lookupRecord) error {
	rows, err := f.store.RecordsByParent(ctx, f.shop, r.Key, "", mostOrders+1)
	if err != nil {
		return err
	}
	if r.MoreOrders = len(rows) > mostOrders; r.MoreOrders {
		rows = rows[:mostOrders]
	}
	r.Orders = make([]lookupOrder, len(rows))
	for i, row := range rows {
		r.Orders[i] = lookupOrder{Key: row.Key, Number: row.Number, State: row.State}
	}
	slices.SortFunc(r.Orders, func(x, y lookupOrder) int {
		return cmp.Or(cmp.Compare(len(y.Key), len(x.Key)), cmp.Compare(y.Key, x.Key))
	})
	return nil
}

// printOrders lists the orders of a person, the newest first.
func (rec *lookupRecord) printOrders(b *bytes.Buffer) {
	if len(rec.Orders) == 0 {
		return
	}
	b.WriteByte('\n')
	table(b, func(row func(cells ...any)) {
		row("order", "number", "state")
		for _, o := range rec.Orders[:min(len(rec.Orders), mostOrdersShown)] {
			row(o.Key, cmp.Or(o.Number, "-"), o.State)
		}
	})
	switch more := len(rec.Orders) - mostOrdersShown; {
	case rec.MoreOrders:
		fmt.Fprintf(b, "  and more than %s more: --json lists the first %s\n", grouped(int64(more)), grouped(mostOrders))
	case more > 0:
		fmt.Fprintf(b, "  and %s more: --json lists them\n", grouped(int64(more)))
	}
}
