package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/state"
)

// owner is a profile that rows of a page stand below. One page has one owner a key,
// and the lane of that key is where its id is learnt and used.
type owner struct {
	key     string
	id      int64   // as the ledger has it; 0 = not known
	profile *intent // the profile itself, when the page may write it; else nil
}

// profileID returns the profile's id, or 0 when it is not known (yet).
func (o *owner) profileID() int64 {
	if o.profile != nil && o.profile.result.record != nil {
		return o.profile.result.record.CopernicaID
	}
	return o.id
}

// orphaned is the outcome of a row whose profile has no id: nothing was sent. It
// shares the profile's fate, so that what settles the profile settles the row; of an
// order and its lines, the order has the dead letter.
func (it *intent) orphaned(now time.Time, timeout time.Duration) result {
	switch p := it.owner.profile; {
	case p != nil && p.result.err != nil:
		return result{err: errHalted}
	case p != nil && p.result.problem == nil && p.before.State != state.Refused:
		return it.unknown(now, timeout)
	case it.entity == state.Order:
		return it.refused(&ownerError{it.owner.key})
	default:
		return result{spared: true}
	}
}

// remove takes a row away whose line is gone from its order: one that we made, by
// its id or key. Copernica calls a row that is gone already removed as well.
func (w *writer) remove(ctx context.Context, it *intent) result {
	w.cfg.TestHook(PointRemoving)
	var ids []int64
	if it.before.CopernicaID != 0 {
		ids = append(ids, it.before.CopernicaID)
	}
	if len(ids) == 0 || it.anywhere {
		row, err := w.look(ctx, it, it.copernicaID())
		switch {
		case err != nil:
			return w.unread(it, err)
		case (row == nil || it.stray()) && len(it.elsewhere) == 0 && it.createNotYet.After(w.cfg.Now()):
			return result{unknown: 1} // it may still arrive: the row stays as it was
		case row != nil && len(row.others) > 0:
			return it.refused(&duplicateError{it.row.Key, append([]int64{row.id}, row.others...)})
		case row != nil:
			ids = append(ids, row.id)
		}
		if ids = append(ids, it.elsewhere...); len(ids) == 0 {
			return it.removed()
		}
	}
	sent := w.cfg.Now()
	var err error
	for _, id := range ids {
		if err = w.take(ctx, w.below[it.entity].rows, id); err != nil {
			break
		}
	}
	switch copernica.Outcome(err) {
	case copernica.Acknowledged:
		res := it.removed()
		res.removed = 1
		return res
	case copernica.Unknown:
		return it.unknown(sent, w.cfg.WriteTimeout)
	default:
		return w.refusedOr(it, err)
	}
}

// everywhere returns the live rows with an intent's key below its profile, by id, out of the
// whole collection: where it stood is not known to a state that was lost, or is older than
// its move, or whose write there has no outcome. One below another profile of this shop is
// noted: it is left like any that moved.
func (w *writer) everywhere(ctx context.Context, it *intent) (here []standing, err error) {
	t := w.below[it.entity]
	found, err := t.rows.FindAnywhere(ctx, t.key, it.row.Key)
	if err != nil {
		return nil, err
	}
	it.elsewhere = nil
	for _, s := range found {
		if s.Profile == it.owner.profileID() {
			here = append(here, standing{id: s.ID, fields: s.Fields})
			continue
		}
		// Below a profile with the owner's key it is the double's, and below one that is not
		// this shop's somebody else's.
		p, err := profiles{w.db, w.key, w.cfg.Mapping.KeyField()}.read(ctx, s.Profile)
		if err != nil {
			return nil, err
		}
		if p == nil {
			continue
		}
		if key := p.fields[w.cfg.Mapping.KeyField()]; key != it.owner.key && strings.HasPrefix(key, w.cfg.Mapping.ProfilePrefix()) {
			it.elsewhere = append(it.elsewhere, s.ID)
		}
	}
	return here, nil
}

// left returns the ids that a row has, as far as is known, below profiles that it does not
// belong to.
func (it *intent) left() []int64 {
	if it.moved() && !slices.Contains(it.elsewhere, it.before.CopernicaID) {
		return append(slices.Clone(it.elsewhere), it.before.CopernicaID)
	}
	return it.elsewhere
}

// leave ends a move: the row stands below its new profile, and what we made below others,
// old, is removed. Where that fails the ledger still knows the old one, or has no outcome,
// and the next run comes back to it.
func (w *writer) leave(ctx context.Context, it *intent, old []int64, res result) result {
	sent := w.cfg.Now()
	for _, id := range old {
		err := w.take(ctx, w.below[it.entity].rows, id)
		switch {
		case err == nil:
		case copernica.Outcome(err) == copernica.Unknown || fault.ClassOf(err) == fault.Retry:
			return it.unknown(sent, w.cfg.WriteTimeout)
		default:
			return w.refusedOr(it, err)
		}
	}
	return res
}

// take removes a subprofile, which may be tried again: removing twice is removing once.
func (w *writer) take(ctx context.Context, rows *copernica.Collection, id int64) error {
	pause := w.cfg.LookPause
	for try := 1; ; try++ {
		call, cancel := w.deadline(ctx)
		err := rows.Remove(call, id)
		cancel()
		if goneInCopernica(err) {
			return nil
		}
		if copernica.Outcome(err) != copernica.Unknown || try == looks || !w.sleep(ctx, pause) {
			return err
		}
		pause *= 2
	}
}
