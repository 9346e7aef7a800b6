package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// erase erases one person: a customer with the guests who they were, or a guest. The
// tombstone is outside the state before anything is taken away, and the ledger hears of it
// last.
func (b *burial) erase(ctx context.Context, v verdict, guests []state.Record) error {
	b.cfg.TestHook(PointErasing)
	profiles := append([]state.Record{v.rec}, guests...)
	orders, items, err := b.below(ctx, profiles)
	if err != nil {
		return err
	}
	stones := b.tombstones(v, guests)
	if b.cfg.Erasure.Graves != nil {
		if err := b.cfg.Erasure.Graves.Bury(stones); err != nil {
			return err
		}
	}
	b.cfg.TestHook(PointEntombed)
	receipt := state.Erasure{
		Pipeline: b.cfg.Pipeline, Key: v.rec.Key, Cause: v.cause, Policy: string(b.cfg.Erasure.Policy), CopernicaID: v.rec.CopernicaID,
		Orders: standingRows(orders), Items: standingRows(items), At: b.cfg.Now(), RunID: b.row.ID,
	}
	for i, rec := range profiles {
		ours, err := b.takeAway(ctx, rec)
		if err != nil {
			return err
		}
		if !ours && i == 0 {
			receipt.CopernicaID, receipt.Orders, receipt.Items = 0, 0, 0
		}
	}
	b.cfg.TestHook(PointErased)
	c := state.Commit{Tombstones: stones, Erasures: []state.Erasure{receipt}}
	for _, rec := range profiles {
		c.Bare = append(c.Bare, rec.Key)
		c.Nameless = append(c.Nameless, rec.Key)
		c.Records = append(c.Records, b.dated(buried(rec, state.Gone)))
	}
	return b.record(ctx, c, slices.Concat(profiles, orders, items), 1)
}

// tombstones are those of a person. Who was erased before keeps the time of it, since what
// they did after it is theirs again.
func (b *burial) tombstones(v verdict, guests []state.Record) []state.Tombstone {
	at := b.at
	_, _, guest := b.cfg.Mapping.GuestOf(v.rec.Key)
	if before, ok := b.stones[v.rec.Key]; ok && (!guest || v.cause == CauseTombstone) {
		at = before
	}
	stones := []state.Tombstone{{Person: b.stoneOf(v.rec.Key), At: at}}
	if e := b.emails[v.rec.Key]; e.Claims && !e.Hash.IsZero() && !v.lives {
		stones = append(stones, state.Tombstone{Person: stone(b.cfg.Persons, b.cfg.Mapping.Realm(e.Website), e.Hash), At: at})
	}
	for _, g := range guests {
		stones = append(stones, state.Tombstone{Person: b.stoneOf(g.Key), At: at})
	}
	return stones
}

// below returns the ledger's rows below some profiles.
func (b *burial) below(ctx context.Context, profiles []state.Record) (orders, items []state.Record, err error) {
	for _, profile := range profiles {
		for after := ""; ; {
			some, err := b.cfg.Store.RecordsByParent(ctx, b.cfg.Pipeline, profile.Key, after, rowsAtOnce)
			if err != nil || len(some) == 0 {
				if err != nil {
					return nil, nil, err
				}
				break
			}
			after = some[len(some)-1].Key
			ids := make([]int64, len(some))
			for i, rec := range some {
				ids[i] = rec.SourceID
			}
			lines, err := b.cfg.Store.RecordsBySource(ctx, b.cfg.Pipeline, state.Item, ids)
			if err != nil {
				return nil, nil, err
			}
			orders = append(orders, some...)
			items = append(items, slices.DeleteFunc(lines, func(rec state.Record) bool { return rec.Parent != profile.Key })...)
		}
	}
	return orders, items, nil
}

// standingRows counts the rows that Copernica has.
func standingRows(rows []state.Record) (n int64) {
	for _, rec := range rows {
		if rec.State != state.Removed && rec.CopernicaID != 0 {
			n++
		}
	}
	return n
}

// buried is a row of which Copernica has nothing more, or nothing of a person, and which
// the ledger lets go.
func buried(rec state.Record, as state.RecordState) state.Record {
	return state.Record{
		Entity: rec.Entity, Key: rec.Key, SourceID: rec.SourceID, Parent: parentOfBuried(rec), State: as,
		SourceUpdatedAt: rec.SourceUpdatedAt, FirstSeen: rec.FirstSeen, AcknowledgedAt: rec.AcknowledgedAt,
	}
}

// parentOfBuried keeps whose an order is, which the shop may no longer say, and lets a
// guest be nobody's.
func parentOfBuried(rec state.Record) string {
	if rec.Entity == state.Profile {
		return ""
	}
	return rec.Parent
}

// record closes the dead letters of rows that were erased, and commits what was done.
func (b *burial) record(ctx context.Context, c state.Commit, rows []state.Record, people int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	saving, cancel := b.recording(ctx)
	defer cancel()
	if b.cfg.Erasure.Policy == EraseBlank {
		tables := []mapping.Table{mapping.Profiles}
		if b.writer.below != nil {
			tables = append(tables, belowProfiles()...)
		}
		// Copernica drops the value of a field that is gone without a word.
		if err := b.writer.confirm(saving, tables...); err != nil {
			return err
		}
	}
	letters, err := b.lettersOf(saving, rows)
	if err != nil {
		return err
	}
	for _, id := range letters {
		err := b.cfg.Store.ResolveLetters(saving, b.cfg.Pipeline, []int64{id}, "erased")
		if err != nil && !errors.Is(err, state.ErrResolved) {
			return err
		}
	}
	b.row.Counters.Erased += people
	b.count()
	c.Run = &b.row
	_, err = b.cfg.Store.Commit(saving, b.tenure.current(), c)
	return err
}

// takeAway takes a profile away as the policy says, unless it has another key by now: then
// it is not the one that we made any more, and somebody has to look. One that was removed
// by hand is removed completely.
func (b *burial) takeAway(ctx context.Context, rec state.Record) (ours bool, err error) {
	it := &intent{entity: rec.Entity, before: rec, known: true}
	it.row.Key = rec.Key
	row, err := b.writer.look(ctx, it, rec.CopernicaID)
	switch {
	case err != nil:
		return false, err
	case row == nil && rec.CopernicaID == 0 && rec.NextAttempt.After(b.cfg.Now()):
		return false, errUnsettled
	case row == nil && rec.CopernicaID == 0:
		return true, nil
	case row == nil:
		return b.finish(ctx, rec)
	}
	if shown := row.fields[b.cfg.Mapping.KeyField()]; shown != "" && shown != rec.Key {
		b.rekeyed(rec)
		return false, nil
	}
	if b.cfg.Erasure.Policy == EraseRemove {
		return true, b.insist(ctx, func(call context.Context) error { return b.writer.db.Remove(call, row.id, true) })
	}
	// The profile comes last: without its key only its id leads to it.
	if err := b.blankBelow(ctx, row.id, func(key string) bool { return strings.HasPrefix(key, b.cfg.Mapping.ProfilePrefix()) }); err != nil {
		return false, err
	}
	if body := b.cfg.Mapping.Blank(mapping.Profiles, row.fields); len(body) > 0 {
		return true, b.insist(ctx, func(call context.Context) error { return b.writer.db.Update(call, row.id, body) })
	}
	return true, nil
}

// rekeyed says that somebody gave a profile another key.
func (b *burial) rekeyed(rec state.Record) {
	b.cfg.Log.Warn("a profile of somebody who is to be erased has another key by now, and is left as it is: look at it in Copernica",
		"key", rec.Key, "profile", rec.CopernicaID)
}

// finish removes completely what is removed already, where that is wanted.
func (b *burial) finish(ctx context.Context, rec state.Record) (ours bool, err error) {
	call, cancel := b.writer.deadline(ctx)
	p, err := b.writer.db.Profile(call, rec.CopernicaID)
	cancel()
	switch {
	case errors.Is(err, copernica.ErrNoProfile):
		return true, nil
	case err != nil:
		return false, err
	case !p.Removed:
		b.rekeyed(rec)
		return false, nil
	case b.cfg.Erasure.Policy != EraseRemove:
		return true, nil
	}
	return true, b.insist(ctx, func(call context.Context) error { return b.writer.db.Remove(call, rec.CopernicaID, true) })
}

// blankBelow takes out of the rows below a profile what tells of a person.
func (b *burial) blankBelow(ctx context.Context, profile int64, ours func(key string) bool) error {
	for _, t := range belowProfiles() {
		table, ok := b.writer.below[state.Entity(t)]
		if !ok {
			continue
		}
		rows, err := b.rowsBelow(ctx, b.cfg.Mapping.Collection(t), profile)
		if err != nil {
			return err
		}
		for _, row := range rows {
			body := b.cfg.Mapping.Blank(t, row.Fields)
			if len(body) == 0 || !ours(row.Fields[table.name]) {
				continue
			}
			if err := b.insist(ctx, func(call context.Context) error { return table.rows.Update(call, row.ID, body) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// eraseOrder erases an order of somebody who stays, with its lines.
func (b *burial) eraseOrder(ctx context.Context, v verdict) error {
	b.cfg.TestHook(PointErasing)
	lines, err := b.cfg.Store.RecordsBySource(ctx, b.cfg.Pipeline, state.Item, []int64{v.rec.SourceID})
	if err != nil {
		return err
	}
	rows := append([]state.Record{v.rec}, lines...)
	owners, err := b.cfg.Store.Records(ctx, b.cfg.Pipeline, state.Profile, []string{v.rec.Parent})
	if err != nil {
		return err
	}
	if id := usable(owners[v.rec.Parent]); id != 0 || b.cfg.Erasure.Policy == EraseRemove {
		if err := b.takeRows(ctx, rows, id); err != nil {
			return err
		}
	}
	b.cfg.TestHook(PointErased)
	c := state.Commit{Records: []state.Record{b.dated(buried(v.rec, state.Gone))}}
	for _, rec := range lines {
		c.Records = append(c.Records, b.dated(buried(rec, state.Removed)))
	}
	return b.record(ctx, c, rows, 0)
}

// takeRows takes an order and its lines away, which stand below a profile; 0: it is gone.
func (b *burial) takeRows(ctx context.Context, rows []state.Record, profile int64) error {
	if b.cfg.Erasure.Policy == EraseBlank {
		return b.blankBelow(ctx, profile, func(key string) bool {
			return slices.ContainsFunc(rows, func(rec state.Record) bool { return rec.Key == key })
		})
	}
	for _, rec := range slices.Backward(rows) {
		id := rec.CopernicaID
		if id == 0 && profile != 0 && (unsettled(rec) || !rec.NextAttempt.IsZero()) {
			it := &intent{entity: rec.Entity, before: rec, known: true, owner: &owner{key: rec.Parent, id: profile}}
			it.row.Key = rec.Key
			row, err := b.writer.look(ctx, it, 0)
			switch {
			case err != nil:
				return err
			case row != nil:
				id = row.id
			case rec.NextAttempt.After(b.cfg.Now()):
				return errUnsettled
			}
		}
		if id == 0 {
			continue
		}
		if err := b.insist(ctx, func(call context.Context) error { return b.writer.below[rec.Entity].rows.Remove(call, id) }); err != nil {
			return err
		}
	}
	return nil
}

// insist makes a call that may be made twice until Copernica answers. What is gone there
// is as it should be.
func (r *run) insist(ctx context.Context, write func(context.Context) error) error {
	pause := max(r.cfg.LookPause, time.Millisecond)
	for try := 1; ; try++ {
		call, cancel := r.writer.deadline(ctx)
		err := write(call)
		cancel()
		if err == nil || goneInCopernica(err) {
			return nil
		}
		if copernica.Outcome(err) != copernica.Unknown || try == looks || !r.writer.sleep(ctx, pause) {
			return err
		}
		pause *= 2
	}
}
