package engine

import (
	"context"
	"slices"
	"time"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// placed is one order of a page with everything it makes.
type placed struct {
	mapping.Placed
	at      state.Position
	created time.Time
	order   *intent
	items   []*intent // in the shop's order, then those whose line is gone
	guest   *intent   // the profile of its guest; several orders of a page may share it
}

// rows returns the order's own row and those of its lines, in the order of writing.
func (o *placed) rows() []*intent { return append([]*intent{o.order}, o.items...) }

// has reports whether a row of the order is as asked.
func (o *placed) has(is func(*intent) bool) bool {
	return is(o.order) || slices.ContainsFunc(o.items, is)
}

// writes reports whether any row goes to Copernica; creates, whether one is written
// below its profile by key.
func (o *placed) writes() bool { return o.has((*intent).writes) }

func (o *placed) creates() bool { return o.has(func(it *intent) bool { return it.action == create }) }

// plan plans the order's rows. While the order itself waits for an operator, in a
// dead letter, so do its lines.
func (o *placed) plan(f facts) {
	o.order.plan(f)
	if rec := &o.order.before; o.order.action == nothing && rec.State == state.Refused && rec.CopernicaID == 0 {
		o.items = nil
	}
	for _, it := range o.items {
		it.plan(f)
	}
}

// prepareOrders turns orders into intents: the profile of each guest, then each
// order's row, then its lines, all in the lane of the profile they stand below
// (promise 13). An order that must wait for its customer ends the page before it.
func (r *run) prepareOrders(ctx context.Context, p *page, items []magento.Item[magento.Order]) error {
	if len(items) == 0 {
		return nil
	}
	if err := r.learn(ctx, func(l *mapping.Lookups) bool { return knowsOrders(l, items) }); err != nil {
		return err
	}
	orders := make([]*placed, len(items))
	for i := range items {
		orders[i] = r.placed(&items[i])
	}
	if err := r.loadHeads(ctx, p, orders); err != nil {
		return err
	}
	if err := r.stay(ctx, orders); err != nil {
		return err
	}
	orders, err := r.livingGuests(ctx, p, orders)
	if err != nil {
		return err
	}
	var (
		guests = map[string]*intent{}
		keys   []string
	)
	for _, o := range orders {
		if o.guest == nil {
			continue
		}
		// Of one guest's orders the newest speaks.
		if one, ok := guests[o.guest.row.Key]; ok {
			if older := (&state.Record{SourceUpdatedAt: one.row.UpdatedAt, SourceID: one.row.SourceID}); !o.guest.olderThan(older) {
				one.row, one.content, one.attempt = o.guest.row, o.guest.content, o.guest.attempt
			}
			o.guest = one
		} else {
			guests[o.guest.row.Key] = o.guest
			keys = append(keys, o.guest.row.Key)
		}
	}
	p.hold(r, keys...)
	if err := r.loadOrders(ctx, orders); err != nil {
		return err
	}
	if err := r.recognise(ctx, p, orders); err != nil {
		return err
	}
	if orders, err = r.own(ctx, p, orders); err != nil {
		return err
	}
	for _, o := range orders {
		if o.guest != nil && !slices.Contains(p.intents, o.guest) {
			p.intents = append(p.intents, o.guest)
		}
	}
	for _, o := range orders {
		p.intents = append(p.intents, o.rows()...)
	}
	r.cfg.TestHook(PointOwned)
	return r.planPage(ctx, p)
}

func knowsOrders(l *mapping.Lookups, items []magento.Item[magento.Order]) bool {
	for i := range items {
		if items[i].Err == nil && !l.KnowsOrder(&items[i].Value) {
			return false
		}
	}
	return true
}

// placed maps and hashes one order. One that cannot be delivered stands for its
// lines as well.
func (r *run) placed(item *magento.Item[magento.Order]) *placed {
	o := &placed{at: state.Position{UpdatedAt: item.UpdatedAt, ID: item.ID}, created: item.Value.CreatedAt}
	if item.Err != nil {
		o.order = r.unreadable(state.Order, r.cfg.Mapping.OrderKey(item.ID), item.ID, item.UpdatedAt, item.Err)
		return o
	}
	r.lookups.AcceptOrder(&item.Value)
	made, problem := r.cfg.Mapping.Order(&item.Value, r.lookups)
	o.Placed = made
	o.order = r.intent(made.Order, problem)
	if problem != nil {
		return o
	}
	for _, row := range made.Items {
		o.items = append(o.items, r.intent(row, nil))
	}
	if made.Owner.Guest != nil {
		o.guest = r.intent(*made.Owner.Guest, nil)
	}
	return o
}

// loadHeads joins the orders' own rows with the ledger.
func (r *run) loadHeads(ctx context.Context, p *page, orders []*placed) error {
	heads, keys := make([]*intent, len(orders)), make([]string, len(orders))
	for i, o := range orders {
		heads[i], keys[i] = o.order, o.order.row.Key
	}
	p.hold(r, keys...)
	return r.load(ctx, state.Order, heads)
}

// loadOrders joins what else orders make with the ledger. Rows that Copernica has of a
// line that the order no longer has join them, unless the mapping keeps those.
func (r *run) loadOrders(ctx context.Context, orders []*placed) error {
	var guests []*intent
	ids := make([]int64, len(orders))
	for i, o := range orders {
		ids[i] = o.order.row.SourceID
		if o.guest != nil {
			guests = append(guests, o.guest)
		}
	}
	if err := r.load(ctx, state.Profile, guests); err != nil {
		return err
	}
	known, err := r.cfg.Store.RecordsBySource(ctx, r.cfg.Pipeline, state.Item, ids)
	if err != nil {
		return err
	}
	lines := map[int64][]state.Record{}
	for _, rec := range known {
		lines[rec.SourceID] = append(lines[rec.SourceID], rec)
	}
	for _, o := range orders {
		if o.order.problem == nil {
			o.join(lines[o.order.row.SourceID], r.cfg.Mapping.GoneLines() == mapping.GoneRemove)
			if err := r.resent(ctx, o.items); err != nil {
				return err
			}
		}
	}
	r.cfg.TestHook(PointLoaded)
	return nil
}

// join joins an order's lines with their ledger rows.
func (o *placed) join(known []state.Record, removeGone bool) {
	for _, rec := range known {
		same := func(it *intent) bool { return it.row.Key == rec.Key }
		if i := slices.IndexFunc(o.items, same); i >= 0 {
			o.items[i].before, o.items[i].known = rec, true
			continue
		}
		if removeGone && o.ItemsKnown {
			row := mapping.Row{Key: rec.Key, SourceID: rec.SourceID, UpdatedAt: o.order.row.UpdatedAt}
			o.items = append(o.items, &intent{entity: state.Item, row: row, gone: true, before: rec, known: true})
		}
	}
}
