package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

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
	for {
		rows, err := r.cfg.Store.MissingRecords(ctx, r.cfg.Pipeline, entity, buryAtOnce)
		if err != nil || len(rows) == 0 {
			return err
		}
		done, err := r.buryRows(ctx, entity, rows)
		if err != nil {
			return err
		}
		if done == 0 || r.halting() || r.sweep.Accept == 0 && r.spent(0) {
			return nil // the next round goes on
		}
	}
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

// buryRows erases what the shop does not have, and brings back what it has. It returns how
// many rows are no longer Missing.
func (r *run) buryRows(ctx context.Context, entity state.Entity, rows []state.Record) (done int, err error) {
	ask := r.askForCustomers
	if entity == state.Order {
		ask = r.askForOrders
	}
	verdicts, err := ask(ctx, rows)
	if err != nil {
		return 0, err
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
			return 0, err
		}
	}
	if len(gone) == 0 {
		return len(back), nil
	}
	b, err := r.burial(ctx)
	if err != nil {
		return 0, err
	}
	work := b.customers
	if entity == state.Order {
		work = b.orders
	}
	err = work(ctx, gone)
	return len(back) + b.done, errors.Join(err, b.failed())
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
	owners := keysOf(rows)
	for i := range items {
		o := r.placed(&items[i])
		there[items[i].ID] = o
		owners = append(owners, o.Owner.Key)
	}
	for _, rec := range rows {
		owners = append(owners, rec.Parent)
	}
	stones, err := r.stones(ctx, slices.DeleteFunc(owners, func(key string) bool { return key == "" }))
	if err != nil {
		return nil, err
	}
	verdicts := make([]verdict, len(rows))
	for i, rec := range rows {
		v, o := verdict{rec: rec}, there[rec.SourceID]
		switch {
		case o == nil:
			v.cause = CauseDeleted
		case o.order.problem != nil:
		case o.Owner.Guest != nil && r.anonymised(o.Owner.Guest.Email):
			v.cause = CauseAnonymised
		case r.erasedGuest(o, stones), o.Owner.Key != "" && covered(stones, o.Owner.Key, o.created), o.Owner.Key == "" && covered(stones, rec.Parent, o.created):
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

// burial is the erasure of a batch.
type burial struct {
	*run
	at      time.Time                   // by the shop's clock: the tombstones'
	letters map[state.RecordRef][]int64 // that are open
	guests  map[string][]state.Record   // who were customers, by those
	stones  map[string]time.Time        // of those who were erased before, by key
	emails  map[string]state.Email      // by key

	mu      sync.Mutex // held for what follows, and for commits
	done    int
	waits   int   // whose write has no outcome yet
	refused error // the first of those that Copernica refused
}

func (r *run) burial(ctx context.Context) (*burial, error) {
	over, err := r.cfg.Store.Overview(ctx, r.cfg.Pipeline)
	if err != nil {
		return nil, err
	}
	if err := r.openTables(ctx, r.inUse(over)); err != nil {
		return nil, err
	}
	b := &burial{run: r, letters: map[state.RecordRef][]int64{}, guests: map[string][]state.Record{}}
	if b.at, err = r.cfg.Shop.Clock(ctx); err != nil {
		return nil, err
	}
	open, err := r.cfg.Store.Letters(ctx, r.cfg.Pipeline, state.LetterFilter{Open: true, Limit: math.MaxInt32})
	for _, d := range open {
		entity := d.Entity
		if entity == state.Consent {
			entity = state.Profile
		}
		ref := state.RecordRef{Entity: entity, Key: d.Key}
		b.letters[ref] = append(b.letters[ref], d.ID)
	}
	return b, err
}

// failed is what an operator hears of people whom Copernica does not let go.
func (b *burial) failed() error {
	if b.waits > 0 {
		b.cfg.Log.Info("some writes have no outcome yet: their people are erased in the next round", "people", b.waits)
	}
	if b.refused == nil {
		return nil
	}
	return fmt.Errorf("erase people in Copernica: %w", b.refused)
}

// each erases in parallel. What concerns one of them alone leaves that one Missing.
func each[T any](ctx context.Context, b *burial, all []T, erase func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(b.cfg.Writes, 1))
	for _, one := range all {
		group.Go(func() error {
			if b.halting() || ctx.Err() != nil {
				return context.Cause(ctx)
			}
			err := erase(ctx, one)
			b.mu.Lock()
			defer b.mu.Unlock()
			switch {
			case err == nil:
				b.done++
			case errors.Is(err, errUnsettled):
				b.waits++
			case refusal(err):
				b.refused = errors.Join(b.refused, err)
			default:
				return err
			}
			return nil
		})
	}
	return group.Wait()
}

// errUnsettled says that a write may still arrive, so that nobody can say what there is to
// be erased.
var errUnsettled = errors.New("a write has no outcome yet")

// customers erases customers.
func (b *burial) customers(ctx context.Context, gone []verdict) (err error) {
	wanted := map[string]bool{}
	var keys []string
	for _, v := range gone {
		wanted[v.rec.Key] = true
		keys = append(keys, v.rec.Key)
	}
	for after := ""; ; {
		claims, err := b.cfg.Store.Claims(ctx, b.cfg.Pipeline, false, after, rowsAtOnce)
		if err != nil {
			return err
		}
		for _, guest := range claims {
			if after = guest.Key; wanted[guest.Parent] {
				b.guests[guest.Parent] = append(b.guests[guest.Parent], guest)
			}
		}
		if len(claims) < rowsAtOnce {
			break
		}
	}
	if b.emails, err = b.cfg.Store.EmailsOf(ctx, b.cfg.Pipeline, keys); err != nil {
		return err
	}
	if b.stones, err = b.run.stones(ctx, keys); err != nil {
		return err
	}
	var people, accounts []verdict
	for _, v := range gone {
		if v.rec.Parent != "" {
			accounts = append(accounts, v)
			continue
		}
		if v.lives, err = b.handOver(ctx, v.rec.Key, wanted); err != nil {
			return err
		}
		people = append(people, v)
	}
	if err := each(ctx, b, people, func(ctx context.Context, v verdict) error { return b.erase(ctx, v, b.guests[v.rec.Key]) }); err != nil {
		return err
	}
	return each(ctx, b, accounts, b.eraseAccount)
}

// handOver gives what belongs to a person under an account that is gone to the next of
// their accounts, where the mapping makes them one (promise 17), and reports whether there
// is one.
func (b *burial) handOver(ctx context.Context, key string, gone map[string]bool) (bool, error) {
	var others, guests []state.Record
	for _, rec := range b.guests[key] {
		if _, account := b.cfg.Mapping.CustomerID(rec.Key); account && !gone[rec.Key] {
			others = append(others, rec)
		} else if !account {
			guests = append(guests, rec)
		}
	}
	if len(others) == 0 {
		b.guests[key] = guests
		return false, nil
	}
	alone := make([]state.Record, len(others))
	for i, rec := range others {
		alone[i] = disowned(rec)
	}
	if err := b.keepRows(ctx, alone...); err != nil {
		return false, err
	}
	absent, err := b.singleCustomers(ctx, sourcesOf(others), &page{})
	if err != nil {
		return false, err
	}
	others = slices.DeleteFunc(others, func(rec state.Record) bool { return slices.Contains(absent, rec.SourceID) })
	if len(others) == 0 {
		b.guests[key] = guests
		return false, nil
	}
	for i := range guests {
		guests[i].Parent = others[0].Key
	}
	if err := b.keepRows(ctx, guests...); err != nil {
		return false, err
	}
	b.guests[key] = nil
	_, err = b.moveOrders(ctx, key)
	return true, err
}

// eraseAccount lets an account go whose person has their profile under another one.
func (b *burial) eraseAccount(ctx context.Context, v verdict) error {
	b.cfg.TestHook(PointErasing)
	if v.rec.CopernicaID != 0 {
		if _, err := b.takeAway(ctx, v.rec); err != nil {
			return err
		}
	}
	b.cfg.TestHook(PointErased)
	c := state.Commit{Records: []state.Record{b.dated(buried(v.rec, state.Gone))}}
	if v.rec.CopernicaID != 0 {
		c.Bare = []string{v.rec.Key}
	}
	return b.record(ctx, c, []state.Record{v.rec}, 0)
}

// orders erases orders that are gone, and with the last one of a guest the guest.
func (b *burial) orders(ctx context.Context, gone []verdict) (err error) {
	byGuest := map[string][]verdict{}
	var alone []verdict
	var keys []string
	for _, v := range gone {
		if _, _, ok := b.cfg.Mapping.GuestOf(v.rec.Parent); !ok {
			alone = append(alone, v)
			continue
		}
		if byGuest[v.rec.Parent] == nil {
			keys = append(keys, v.rec.Parent)
		}
		byGuest[v.rec.Parent] = append(byGuest[v.rec.Parent], v)
	}
	guests, err := b.cfg.Store.Records(ctx, b.cfg.Pipeline, state.Profile, keys)
	if err != nil {
		return err
	}
	if b.stones, err = b.run.stones(ctx, keys); err != nil {
		return err
	}
	var people []verdict
	for _, key := range keys {
		guest, some := guests[key], byGuest[key]
		last, err := b.lastOf(ctx, key, some)
		if err != nil {
			return err
		}
		if !last || guest.Key == "" || guest.State == state.Claimed || guest.State == state.Gone && guest.CopernicaID == 0 {
			alone = append(alone, some...)
			continue
		}
		people = append(people, verdict{rec: guest, cause: some[len(some)-1].cause})
		b.mu.Lock()
		b.done += len(some) - 1
		b.mu.Unlock()
	}
	if err := each(ctx, b, people, func(ctx context.Context, v verdict) error { return b.erase(ctx, v, nil) }); err != nil {
		return err
	}
	return each(ctx, b, alone, b.eraseOrder)
}

// lastOf reports whether a profile has no order but those that are gone.
func (b *burial) lastOf(ctx context.Context, key string, gone []verdict) (bool, error) {
	for after := ""; ; {
		rows, err := b.cfg.Store.RecordsByParent(ctx, b.cfg.Pipeline, key, after, rowsAtOnce)
		if err != nil {
			return false, err
		}
		for _, rec := range rows {
			after = rec.Key
			stays := rec.State != state.Removed && (rec.State != state.Gone || rec.CopernicaID != 0)
			if stays && !slices.ContainsFunc(gone, func(v verdict) bool { return v.rec.Key == rec.Key }) {
				return false, nil
			}
		}
		if len(rows) < rowsAtOnce {
			return true, nil
		}
	}
}
