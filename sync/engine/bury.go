package engine

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// buryAtOnce bounds how many records are asked about once more before they are erased.
const buryAtOnce = 300

// bury does with what is Missing at the end of a whole round what the operator wants for
// it. Each record is asked for once more right before. What is interrupted stays Missing,
// and the next round does it again: a tombstone, a removal and an emptied field are the
// same when they come twice.
func (r *run) bury(ctx context.Context) error {
	entity := state.Profile
	if r.kind == Orders {
		entity = state.Order
	}
	if r.cfg.Erasure.Policy == EraseFlag {
		return r.flag(ctx, entity)
	}
	if err := r.brake(ctx, entity); err != nil {
		return err
	}
	for left := r.lost.already; ; {
		rows, err := r.cfg.Store.MissingRecords(ctx, r.cfg.Pipeline, entity, buryAtOnce)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := r.buryRows(ctx, entity, rows); err != nil {
			return err
		}
		// What is left is asked of the ledger: somebody may have to wait, with all of their
		// orders, and what is brought back may be Missing again.
		before := left
		if left, err = r.stillMissing(ctx, entity); err != nil {
			return err
		}
		if left >= before || r.halting() || r.sweep.Accept == 0 && r.spent(0) {
			return nil // the next round goes on
		}
	}
}

// stillMissing counts what of an entity is Missing.
func (r *run) stillMissing(ctx context.Context, entity state.Entity) (int64, error) {
	over, err := r.cfg.Store.Overview(ctx, r.cfg.Pipeline)
	return over.Records[entity][state.Missing], err
}

// flag says in the ledger that records are gone, and erases nothing.
func (r *run) flag(ctx context.Context, entity state.Entity) error {
	for {
		rows, err := r.cfg.Store.MissingRecords(ctx, r.cfg.Pipeline, entity, rowsAtOnce)
		if err != nil || len(rows) == 0 {
			return err
		}
		var c state.Commit
		for _, rec := range rows {
			rec.State = state.Gone
			c.Records = append(c.Records, r.dated(rec))
			c.Erasures = append(c.Erasures, r.flagged(rec, CauseDeleted)...)
		}
		if _, err := r.cfg.Store.Commit(ctx, r.tenure.current(), c); err != nil {
			return err
		}
	}
}

// flagged is the receipt that a person was flagged; of anything else there is none.
func (r *run) flagged(rec state.Record, cause string) []state.Erasure {
	if rec.Entity != state.Profile {
		return nil
	}
	return []state.Erasure{{
		Pipeline: r.cfg.Pipeline, Key: rec.Key, Cause: cause, Policy: string(EraseFlag), CopernicaID: rec.CopernicaID, At: r.cfg.Now(), RunID: r.row.ID,
	}}
}

// brake stops before more is erased than anybody would delete in passing (promise 19):
// also what a pattern that is too wide takes for anonymised.
func (r *run) brake(ctx context.Context, entity state.Entity) error {
	r.lost = nil // it may have counted pages that were read a second time
	if err := r.countMissing(ctx, entity); err != nil {
		return err
	}
	if r.lost.already > r.lost.limit {
		return &MissingError{Stream: r.kind, Missing: r.lost.already, Limit: r.lost.limit}
	}
	return nil
}

// verdict is what the shop says of a record that is Missing.
type verdict struct {
	rec   state.Record
	cause string // empty: the shop has it
	// lives says that the person goes on under another of their accounts.
	lives bool
}

// buryRows erases what the shop does not have, and brings back what it has.
func (r *run) buryRows(ctx context.Context, entity state.Entity, rows []state.Record) error {
	ask := r.askForCustomers
	if entity == state.Order {
		ask = r.askForOrders
	}
	verdicts, err := ask(ctx, rows)
	if err != nil {
		return err
	}
	var back []state.Record
	var gone []verdict
	for _, v := range verdicts {
		if v.cause != "" {
			gone = append(gone, v)
			continue
		}
		if v.rec.State, v.rec.Hash = state.Acknowledged, (state.Hash{}); v.rec.CopernicaID == 0 {
			v.rec.State = state.Removed
		}
		back = append(back, r.dated(v.rec))
	}
	if len(back) > 0 {
		r.cfg.Log.Info("records that were missing are in the shop again: they are delivered, not erased", "stream", r.kind, "records", len(back))
		if err := r.mend(ctx, back); err != nil {
			return err
		}
	}
	if len(gone) == 0 {
		return nil
	}
	b, err := r.burial(ctx)
	if err != nil {
		return err
	}
	work := b.customers
	if entity == state.Order {
		work = b.orders
	}
	err = work(ctx, gone)
	return errors.Join(err, b.failed())
}

// askForCustomers asks the shop for customers who are Missing.
func (r *run) askForCustomers(ctx context.Context, rows []state.Record) ([]verdict, error) {
	items, _, err := r.rereadCustomers(ctx, sourcesOf(rows))
	if err != nil {
		return nil, err
	}
	stones, err := r.stones(ctx, keysOf(rows))
	if err != nil {
		return nil, err
	}
	there := map[int64]*magento.Item[magento.Customer]{}
	for i := range items {
		there[items[i].ID] = &items[i]
	}
	verdicts := make([]verdict, len(rows))
	for i, rec := range rows {
		v, item := verdict{rec: rec}, there[rec.SourceID]
		switch {
		case item == nil:
			v.cause = CauseDeleted
		case item.Err == nil && r.anonymised(item.Value.Email):
			v.cause = CauseAnonymised
		case covered(stones, rec.Key, item.UpdatedAt):
			v.cause = CauseTombstone
		}
		verdicts[i] = v
	}
	return verdicts, nil
}

// askForOrders asks the shop for orders that are Missing, and whose they are.
func (r *run) askForOrders(ctx context.Context, rows []state.Record) ([]verdict, error) {
	items, _, err := r.rereadOrders(ctx, sourcesOf(rows))
	if err != nil {
		return nil, err
	}
	there := map[int64]*placed{}
	if len(items) > 0 {
		if err := r.learn(ctx, func(l *mapping.Lookups) bool { return knowsOrders(l, items) }); err != nil {
			return nil, err
		}
	}
	for i := range items {
		there[items[i].ID] = r.placed(&items[i])
	}
	var owners []string
	for _, rec := range rows {
		owners = append(owners, rec.Parent)
		if o := there[rec.SourceID]; o != nil {
			o.order.before = rec
		}
	}
	if err := r.stay(ctx, slices.Collect(maps.Values(there))); err != nil {
		return nil, err
	}
	for _, o := range there {
		if owners = append(owners, o.Owner.Key); o.Owner.Guest != nil {
			owners = append(owners, r.gravesOf(o)...)
		}
	}
	stones, err := r.stonesOfPeople(ctx, slices.DeleteFunc(owners, func(key string) bool { return key == "" }))
	if err != nil {
		return nil, err
	}
	verdicts := make([]verdict, len(rows))
	for i, rec := range rows {
		v, o := verdict{rec: rec}, there[rec.SourceID]
		switch {
		case o == nil:
			v.cause = CauseDeleted
		case o.Owner.Guest != nil && r.anonymised(o.Owner.Guest.Email):
			v.cause = CauseAnonymised
		case r.erasedGuest(o, stones): // also of an order that cannot be delivered as it stands
			v.cause = CauseTombstone
		case o.order.problem != nil:
		case covered(stones, cmp.Or(o.Owner.Key, rec.Parent), o.created):
			v.cause = CauseTombstone
		}
		verdicts[i] = v
	}
	return verdicts, nil
}

func sourcesOf(rows []state.Record) []source {
	list := make([]source, len(rows))
	for i, rec := range rows {
		list[i] = source{rec.SourceID, rec.SourceUpdatedAt}
	}
	return list
}

func keysOf(rows []state.Record) []string {
	keys := make([]string, len(rows))
	for i, rec := range rows {
		keys[i] = rec.Key
	}
	return keys
}
