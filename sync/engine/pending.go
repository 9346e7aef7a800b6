package engine

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
)

// pendingAtOnce bounds how many rows a run takes up again, each by a single read.
const pendingAtOnce = 300

// pending takes up rows whose write has no outcome yet and whose time has come, or
// comes within a write time-out: left by this run, or by one that died when their
// customer does not come by in the stream again. They are read from the shop anew.
func (r *run) pending(ctx context.Context) error {
	rows, err := r.cfg.Store.Pending(ctx, r.cfg.Pipeline, r.cfg.Now().Add(r.cfg.WriteTimeout), pendingAtOnce)
	if err != nil || len(rows) == 0 {
		return err
	}
	gone, err := r.single(ctx, rows, &page{})
	if err != nil {
		return err
	}
	return r.abandon(ctx, gone)
}

// deliver brings records over by their ids in the shop.
func (r *run) deliver(ctx context.Context, ids []int64) error {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = r.cfg.Mapping.CustomerKey(id)
	}
	known, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, keys)
	if err != nil {
		return err
	}
	rows := make([]state.Record, len(ids))
	for i, id := range ids {
		rows[i] = known[keys[i]]
		rows[i].Entity, rows[i].Key, rows[i].SourceID = state.Profile, keys[i], id
	}
	_, err = r.single(ctx, rows, &page{again: true})
	return err
}

// single takes rows through a page of their own, which moves no checkpoint. It
// returns those that the shop no longer has.
func (r *run) single(ctx context.Context, rows []state.Record, p *page) (gone []state.Record, err error) {
	items, gone, err := r.reread(ctx, rows)
	if err != nil {
		return nil, err
	}
	p.read = len(items)
	if err := r.prepare(ctx, p, items); err != nil {
		return nil, err
	}
	r.dispatch(p)
	err = r.settle(ctx, p, &state.Checkpoint{}, nil)
	r.inflight.free(p.keys)
	return gone, err
}

// reread reads the customers behind rows, and tells which the shop no longer has.
func (r *run) reread(ctx context.Context, rows []state.Record) (items []magento.Item[magento.Customer], gone []state.Record, err error) {
	var mu sync.Mutex
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(r.cfg.Reads)
	for _, row := range rows {
		reads.Go(func() error {
			c, err := r.cfg.Shop.Customer(ctx, row.SourceID, r.cfg.Mapping.Paths())
			item := magento.Item[magento.Customer]{ID: row.SourceID, UpdatedAt: c.UpdatedAt, Value: c}
			if e, ok := errors.AsType[*magento.RecordError](err); ok {
				item.UpdatedAt, item.Err, err = row.SourceUpdatedAt, e, nil
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, magento.ErrNotFound):
				gone = append(gone, row)
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

// abandon settles rows whose customer was deleted before their write had an
// outcome: a profile that did arrive stays known, for erasure to find it.
func (r *run) abandon(ctx context.Context, gone []state.Record) error {
	if len(gone) == 0 {
		return nil
	}
	if err := r.writer.open(ctx); err != nil {
		return err
	}
	var c state.Commit
	for _, row := range gone {
		it := &intent{before: row, known: true}
		it.row.Key, it.row.SourceID = row.Key, row.SourceID
		p, err := r.writer.look(ctx, it, row.CopernicaID)
		switch {
		case err != nil:
			return err
		case p == nil && row.CopernicaID == 0:
			c.Forget = append(c.Forget, state.RecordRef{Entity: row.Entity, Key: row.Key})
		case p == nil:
			c.Records = append(c.Records, it.record(state.Removed))
		default:
			rec := it.record(state.Acknowledged)
			rec.CopernicaID = p.ID
			c.Records = append(c.Records, rec)
		}
	}
	_, err := r.cfg.Store.Commit(ctx, r.tenure.current(), c)
	return err
}
