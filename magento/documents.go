package magento

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
)

// DocumentKind is a kind of document that a shop makes of an order: the name of its list
// in the REST API.
type DocumentKind string

// The kinds. A caller may be granted each by itself; see [Client.Permissions].
const (
	Invoices    DocumentKind = "invoices"
	Shipments   DocumentKind = "shipments"
	CreditMemos DocumentKind = "creditmemos"
)

func documentKinds() []DocumentKind { return []DocumentKind{Invoices, Shipments, CreditMemos} }

// single is the route of one document. The kinds do not agree on plurals.
func (k DocumentKind) single() string {
	if k == Invoices {
		return "invoices"
	}
	return strings.TrimSuffix(string(k), "s")
}

// Document tells that something became of an order, and when. Nothing else of it is
// asked for.
type Document struct {
	ID, OrderID int64
	UpdatedAt   time.Time // the document's own: that of its order may stay (recording updated_at-moves)
}

// DocumentQuery selects documents of one kind by their own updated_at, as [Query] does
// customers and orders.
type DocumentQuery struct {
	Kind   DocumentKind
	From   time.Time // inclusive; zero: from the beginning. Not used when After is set
	After  Cursor    // resume strictly after this place
	Before time.Time // the horizon, exclusive and required
}

// Documents walks the documents that q selects in the order of (updated_at, entity_id),
// like [Client.Customers] and with the same guarantees. A row costs the shop 2 to 3 ms,
// where an order costs it 13 to 19.
//
// See [Withheld] and [Broken] for errors that are about the kind alone.
func (c *Client) Documents(ctx context.Context, q DocumentQuery) iter.Seq2[*Page[Document], error] {
	sizes, ok := c.documents[q.Kind]
	if !ok {
		err := configurationError("there are no documents of the kind " + strconv.Quote(string(q.Kind)))
		return func(yield func(*Page[Document], error) bool) { yield(nil, err) }
	}
	paths := []string{"entity_id", "order_id", "updated_at"}
	return byTime(ctx, c, Query{From: q.From, After: q.After, Before: q.Before}, paths, walk[Document]{
		route: string(q.Kind), path: "/" + string(q.Kind), pager: sizes, decode: decodeDocument,
		narrow: orderPlace, single: func(ctx context.Context, id int64) (Item[Document], error) {
			d, err := one(ctx, c, "asked for one of the "+string(q.Kind)+",", q.Kind.single()+"/{id}", "/"+q.Kind.single()+"/"+strconv.FormatInt(id, 10), id, paths, decodeDocument)
			return Item[Document]{ID: id, UpdatedAt: d.UpdatedAt, Value: d}, err
		},
	})
}

func decodeDocument(raw []byte, size int64) Item[Document] {
	var wire struct {
		ID        integer `json:"entity_id"`
		OrderID   integer `json:"order_id"`
		UpdatedAt moment  `json:"updated_at"`
	}
	if e := decodeItem(raw, size, &wire); e != nil {
		return unread[Document](raw, e, "entity_id")
	}
	d := Document{ID: int64(wire.ID), OrderID: int64(wire.OrderID), UpdatedAt: time.Time(wire.UpdatedAt)}
	item := Item[Document]{ID: d.ID, UpdatedAt: d.UpdatedAt, Value: d}
	if d.OrderID <= 0 {
		item.Value, item.Err = Document{}, &RecordError{ID: d.ID, Cause: CauseMalformed, Field: "order_id", Size: size}
	}
	return item
}

// Withheld reports whether the error of a list says that the shop, or what stands before
// it, does not give this list to the caller, while it may give others: the right to it is
// not granted, a firewall refuses its address, its module is switched off, or what it
// sends is not what was asked for. A token that has ended reads the same as a right that
// is missing (Magento answers both by 401): only another call tells them apart.
func Withheld(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Class == fault.Configuration || e.Class == fault.Credentials && e.Status != 0)
}

// Broken reports whether the error of a list says that the shop itself failed over it and
// over whatever of it was asked for: an exception of its own or PHP out of memory, as
// opposed to maintenance, a dead database, or what stands before the shop.
func Broken(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.broke()
}

// OrdersOf reads the orders with some ids, in the order of entity_id and a page at a time;
// those that the shop does not have are left out. In a page an order costs the shop a
// sixth of what it costs singly. Fields are as in [Client.Orders]; there may be up to
// a few hundred ids, which all stand in the address.
func (c *Client) OrdersOf(ctx context.Context, ids []int64, fields []string) iter.Seq2[*Page[Order], error] {
	ids = slices.Sorted(slices.Values(ids))
	if ids = slices.Compact(ids); len(ids) == 0 {
		return func(func(*Page[Order], error) bool) {}
	}
	walk := byEntityID(ctx, c, IDQuery{Fields: fields, among: ids}, orderPaths(fields), walk[Order]{
		route: "orders", path: "/orders", pager: c.orders, decode: decodeOrder(),
		narrow: orderPlace, single: c.orderItem(fields),
	})
	return func(yield func(*Page[Order], error) bool) {
		for page, err := range walk {
			// Behind the last id lies nothing, which need not be asked.
			if err == nil && page.Next.ID >= ids[len(ids)-1] {
				page.Last = true
			}
			if !yield(page, err) || err != nil || page.Last {
				return
			}
		}
	}
}
