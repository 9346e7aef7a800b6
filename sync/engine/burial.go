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

	"github.com/magento-copernica/syncd/state"
)

// burial is the erasure of a batch.
type burial struct {
	*run
	at      time.Time                 // by the shop's clock: the tombstones'
	letters bool                      // whether some were open when it began
	guests  map[string][]state.Record // who were customers, by those
	stones  map[string]time.Time      // of those who were erased before, by key
	emails  map[string]state.Email    // by key

	mu      sync.Mutex // held for what follows, and for commits
	waits   int        // whose write has no outcome yet
	refused error      // the first of those that Copernica refused
}

func (r *run) burial(ctx context.Context) (*burial, error) {
	over, err := r.cfg.Store.Overview(ctx, r.cfg.Pipeline)
	if err != nil {
		return nil, err
	}
	if err := r.openTables(ctx, r.inUse(over)); err != nil {
		return nil, err
	}
	b := &burial{run: r, letters: len(over.OpenLetters) > 0, guests: map[string][]state.Record{}}
	b.at, err = r.cfg.Shop.Clock(ctx)
	return b, err
}

// lettersOf returns the ids of the open dead letters of rows.
func (b *burial) lettersOf(ctx context.Context, rows []state.Record) (ids []int64, err error) {
	if !b.letters || len(rows) == 0 {
		return nil, nil
	}
	open, err := b.cfg.Store.Letters(ctx, b.cfg.Pipeline, state.LetterFilter{Keys: keysOf(rows), Open: true, Limit: math.MaxInt32})
	for _, d := range open {
		if d.Entity == state.Consent {
			d.Entity = state.Profile
		}
		if slices.ContainsFunc(rows, func(rec state.Record) bool { return rec.Entity == d.Entity && rec.Key == d.Key }) {
			ids = append(ids, d.ID)
		}
	}
	return ids, err
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
func (b *burial) customers(ctx context.Context, gone []verdict) error {
	wanted := map[string]bool{}
	var keys []string
	for _, v := range gone {
		wanted[v.rec.Key] = true
		keys = append(keys, v.rec.Key)
	}
	claims, err := b.cfg.Store.ClaimsOf(ctx, b.cfg.Pipeline, keys)
	if err != nil {
		return err
	}
	for _, guest := range claims {
		b.guests[guest.Parent] = append(b.guests[guest.Parent], guest)
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
	_, _, err = b.moveOrders(ctx, key)
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
	c := state.Commit{Records: []state.Record{b.dated(buried(v.rec, state.Gone))}, Nameless: []string{v.rec.Key}}
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
