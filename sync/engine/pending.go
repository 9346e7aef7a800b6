package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
)

// pendingAtOnce bounds how many rows a run takes up again, each by a single read.
const pendingAtOnce = 300

// pending takes up rows whose write has no outcome yet and whose time has come, or
// comes within a write time-out: left by this run, or by one that died when their
// record does not come by in the stream again. They are read from the shop anew,
// whichever stream they came by.
func (r *run) pending(ctx context.Context) error {
	rows, err := r.cfg.Store.Pending(ctx, r.cfg.Pipeline, r.cfg.Now().Add(r.cfg.WriteTimeout), pendingAtOnce)
	if err != nil || len(rows) == 0 {
		return err
	}
	people, orders := r.sources(rows)
	gonePeople, err := r.singleCustomers(ctx, people, &page{})
	if err != nil {
		return err
	}
	again := &page{}
	goneOrders, err := r.singleOrders(ctx, orders, again)
	if err != nil {
		return err
	}
	overtaken, err := r.overtaken(ctx, again)
	if err == nil && len(overtaken) > 0 {
		_, err = r.singleOrders(ctx, overtaken, &page{})
	}
	if err != nil {
		return err
	}
	r.cfg.TestHook(PointResumed)
	return r.abandon(ctx, slices.DeleteFunc(rows, func(rec state.Record) bool {
		if r.cameBy(rec.Entity, rec.Key) == Customers {
			return !slices.Contains(gonePeople, rec.SourceID)
		}
		return !slices.Contains(goneOrders, rec.SourceID) && !again.deserted(rec)
	}))
}

// deserted reports whether a row is the profile of a guest whose order, as it was just read,
// is somebody else's by now: no order makes the row any more.
func (p *page) deserted(rec state.Record) bool {
	return rec.Entity == state.Profile && slices.ContainsFunc(p.intents, func(it *intent) bool {
		return it.entity == state.Order && it.row.SourceID == rec.SourceID && it.problem == nil && it.owner != nil
	}) && !slices.ContainsFunc(p.intents, func(it *intent) bool {
		return it.entity == state.Profile && it.row.Key == rec.Key || it.owner != nil && it.owner.key == rec.Key
	})
}

// cameBy names the live stream that a row's record comes by in: all that is not a
// customer is made of an order, its own row, its lines and the profile of its guest.
func (r *run) cameBy(e state.Entity, key string) string {
	if _, ok := r.cfg.Mapping.CustomerID(key); ok && e == state.Profile {
		return Customers
	}
	return Orders
}

// sources lists the customers and the orders that rows are made of, each once.
func (r *run) sources(rows []state.Record) (people, orders []source) {
	for _, rec := range rows {
		list := &orders
		if r.cameBy(rec.Entity, rec.Key) == Customers {
			list = &people
		}
		if !slices.ContainsFunc(*list, func(s source) bool { return s.id == rec.SourceID }) {
			*list = append(*list, source{rec.SourceID, rec.SourceUpdatedAt})
		}
	}
	return people, orders
}

// source is a record of the shop that is read singly.
type source struct {
	id      int64
	updated time.Time // as last acknowledged
}

// deliver brings records of the run's stream over by their ids in the shop, as one
// page. It returns the ids of those that the shop does not have.
func (r *run) deliver(ctx context.Context, ids []int64, p *page) (gone []int64, err error) {
	entity, single := state.Profile, r.singleCustomers
	if r.kind == Orders {
		entity, single = state.Order, r.singleOrders
	}
	known, err := r.cfg.Store.RecordsBySource(ctx, r.cfg.Pipeline, entity, ids)
	if err != nil {
		return nil, err
	}
	updated := map[int64]time.Time{}
	for _, rec := range known {
		if r.cameBy(rec.Entity, rec.Key) == r.kind {
			updated[rec.SourceID] = rec.SourceUpdatedAt
		}
	}
	records := make([]source, len(ids))
	for i, id := range ids {
		records[i] = source{id, updated[id]}
	}
	return single(ctx, records, p)
}

// singleCustomers takes customers through a page of their own, which moves no
// checkpoint. It returns the ids of those that the shop no longer has.
func (r *run) singleCustomers(ctx context.Context, records []source, p *page) (gone []int64, err error) {
	items, gone, err := r.rereadCustomers(ctx, records)
	if err != nil {
		return nil, err
	}
	p.singly = true
	return gone, r.single(ctx, p, len(items), func() error { return r.prepareCustomers(ctx, p, items) })
}

func (r *run) rereadCustomers(ctx context.Context, records []source) (items []magento.Item[magento.Customer], gone []int64, err error) {
	return reread(ctx, r.cfg.Reads, records, func(ctx context.Context, id int64) (magento.Customer, time.Time, error) {
		c, err := r.cfg.Shop.Customer(r.patience(ctx), id, r.cfg.Mapping.Paths())
		return c, c.UpdatedAt, err
	})
}

// singleOrders does the same with orders.
func (r *run) singleOrders(ctx context.Context, records []source, p *page) (gone []int64, err error) {
	items, gone, err := r.rereadOrders(ctx, records)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(items, func(a, b magento.Item[magento.Order]) int { // of a guest's orders the newest speaks
		return cmp.Or(a.UpdatedAt.Compare(b.UpdatedAt), cmp.Compare(a.ID, b.ID))
	})
	return gone, r.single(ctx, p, len(items), func() error { return r.prepareOrders(ctx, p, items) })
}

func (r *run) rereadOrders(ctx context.Context, records []source) (items []magento.Item[magento.Order], gone []int64, err error) {
	return reread(ctx, r.cfg.Reads, records, func(ctx context.Context, id int64) (magento.Order, time.Time, error) {
		o, err := r.cfg.Shop.Order(r.patience(ctx), id, r.cfg.Mapping.OrderPaths())
		return o, o.UpdatedAt, err
	})
}

func (r *run) single(ctx context.Context, p *page, read int, prepare func() error) error {
	if read == 0 && p.place == nil {
		return nil
	}
	if p.again || p.place != nil { // what is only taken up again was counted when it came by
		p.read = read
	}
	defer func() { r.inflight.free(p.keys) }()
	if err := prepare(); err != nil {
		return err
	}
	r.dispatch(p)
	return r.settle(ctx, p, cmp.Or(p.place, &state.Checkpoint{}), nil)
}

// reread reads records one by one, and tells which the shop no longer has.
func reread[T any](
	ctx context.Context, atOnce int, records []source, read func(context.Context, int64) (T, time.Time, error),
) (items []magento.Item[T], gone []int64, err error) {
	var mu sync.Mutex
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(atOnce)
	for _, rec := range records {
		reads.Go(func() error {
			value, updated, err := read(ctx, rec.id)
			item := magento.Item[T]{ID: rec.id, UpdatedAt: updated, Value: value}
			if e, ok := errors.AsType[*magento.RecordError](err); ok {
				item.UpdatedAt, item.Err, err = rec.updated, e, nil
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, magento.ErrNotFound):
				gone = append(gone, rec.id)
			case err != nil:
				return err
			default:
				items = append(items, item)
			}
			return nil
		})
	}
	err = reads.Wait()
	return items, gone, err
}

// abandon settles rows that no record makes any more, before their write had an outcome: a
// row that did arrive stays known, for erasure to find it.
func (r *run) abandon(ctx context.Context, gone []state.Record) error {
	if len(gone) == 0 {
		return nil
	}
	if err := r.writer.openBelow(ctx); err != nil {
		return err
	}
	parents := make([]string, len(gone))
	for i, rec := range gone {
		parents[i] = rec.Parent
	}
	owners, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, parents)
	if err != nil {
		return err
	}
	var c state.Commit
	for _, rec := range gone {
		it := &intent{entity: rec.Entity, before: rec, known: true}
		it.row.Key, it.row.SourceID = rec.Key, rec.SourceID
		if rec.Parent != "" {
			it.owner = &owner{key: rec.Parent, id: usable(owners[rec.Parent])}
		}
		var row *standing
		if it.owner == nil || it.owner.id != 0 {
			if row, err = r.writer.look(ctx, it, rec.CopernicaID); err != nil {
				return err
			}
		}
		switch {
		case row == nil && rec.CopernicaID == 0 && rec.NextAttempt.After(r.cfg.Now()):
			continue // it may still arrive: the next run looks again
		case row == nil && rec.CopernicaID == 0:
			c.Forget = append(c.Forget, state.RecordRef{Entity: rec.Entity, Key: rec.Key})
		case row == nil:
			c.Records = append(c.Records, it.record(state.Removed))
		default:
			settled := it.record(state.Acknowledged)
			settled.CopernicaID = row.id
			c.Records = append(c.Records, settled)
		}
	}
	_, err = r.cfg.Store.Commit(ctx, r.tenure.current(), c)
	return err
}
