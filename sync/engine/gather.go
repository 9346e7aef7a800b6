package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// gatherClaims finishes claims: it makes what stands below guests' profiles anew below
// those of the customers who they are, and then removes the guests' profiles. Each step
// is found done or done again after whatever ends the run.
func (r *run) gatherClaims(ctx context.Context) error {
	if !r.cfg.Mapping.HasOrders() {
		return nil
	}
	for _, from := range r.parted {
		if _, _, err := r.moveOrders(ctx, from); err != nil {
			return err
		}
	}
	r.parted = nil
	for after := ""; ; {
		guests, err := r.cfg.Store.Claims(ctx, r.cfg.Pipeline, true, after, rowsAtOnce)
		if err != nil {
			return err
		}
		for _, guest := range guests {
			after = guest.Key
			if guest.NextAttempt.After(r.cfg.Now()) {
				continue
			}
			if r.halting() || r.spent(0) {
				return nil
			}
			if err := r.gather(ctx, guest); err != nil {
				return err
			}
		}
		if len(guests) < rowsAtOnce {
			return nil
		}
	}
}

// gather finishes one claim, or puts it off.
func (r *run) gather(ctx context.Context, guest state.Record) error {
	if customer, err := r.customerOf(ctx, guest); err != nil || !owns(customer) {
		return err // until they have a profile; without one the guest's stays
	}
	if err := r.writer.openBelow(ctx); err != nil {
		return err
	}
	r.cfg.TestHook(PointClaiming)
	moved, gone, err := r.moveOrders(ctx, guest.Key)
	if err != nil {
		return err
	}
	if r.rehearsal != nil {
		return r.rehearsal.gather(ctx, r, guest)
	}
	r.cfg.TestHook(PointGathered)
	done, err := r.handOn(ctx, guest, moved, gone)
	switch {
	case err != nil:
		return err
	case !done:
		return r.putOff(ctx, guest)
	}
	call, cancel := r.writer.deadline(ctx)
	err = r.writer.db.Remove(call, guest.CopernicaID, false)
	cancel()
	switch {
	case err == nil:
		r.row.Counters.Removed++
	case errors.Is(err, copernica.ErrNoProfile):
	case copernica.Outcome(err) == copernica.Unknown, fault.ClassOf(err) == fault.Record:
		return r.putOff(ctx, guest)
	default:
		return err
	}
	r.cfg.TestHook(PointClaimed)
	guest.CopernicaID, guest.Attempts, guest.NextAttempt = 0, 0, time.Time{}
	return r.keepRows(ctx, r.dated(guest))
}

// handOn sees to it that nothing of a guest's is left below their profile, and that the
// customer has what is to go along. It reports false while something is in the way.
func (r *run) handOn(ctx context.Context, guest state.Record, moved, gone []state.Record) (bool, error) {
	customer, err := r.customerOf(ctx, guest) // whose profile may have been made anew for an order
	if err != nil || !owns(customer) {
		return false, err
	}
	if along, err := r.takeAlong(ctx, guest, customer, gone); err != nil || !along {
		return false, err
	}
	whole, err := r.gathered(ctx, guest, customer, moved)
	for try := 0; err == nil && !whole && try < looks; try++ {
		// A write may have had no answer.
		if err = r.pending(ctx); err == nil {
			whole, err = r.gathered(ctx, guest, customer, moved)
		}
	}
	if err != nil || !whole {
		return false, err
	}
	from, err := r.profile(ctx, guest.CopernicaID)
	if err != nil || from != nil && from.Fields[r.cfg.Mapping.KeyField()] != guest.Key {
		return false, err // it is no longer the guest's
	}
	to, err := r.writer.profileNow(ctx, &customer)
	if err != nil || to == nil {
		return false, err // there is nobody to take over
	}
	return true, r.carryOptOut(ctx, guest, customer, from, to)
}

// customerOf returns the row of the customer who a guest turned out to be.
func (r *run) customerOf(ctx context.Context, guest state.Record) (state.Record, error) {
	rows, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, []string{guest.Parent})
	return rows[guest.Parent], err
}

// keepRows commits rows outside of a page.
func (r *run) keepRows(ctx context.Context, rows ...state.Record) error {
	saving, cancel := r.recording(ctx)
	defer cancel()
	r.count()
	_, err := r.cfg.Store.Commit(saving, r.tenure.current(), state.Commit{Records: rows, Run: &r.row})
	return err
}

// putOff leaves a claim for later, ever more rarely: an order of the guest waits for an
// operator, or something else stands below the profile.
func (r *run) putOff(ctx context.Context, guest state.Record) error {
	const longest = 24 * time.Hour
	wait := r.cfg.WriteTimeout
	for range guest.Attempts {
		wait = min(2*wait, longest)
	}
	guest.Attempts++
	guest.NextAttempt = r.cfg.Now().Add(wait)
	r.cfg.Log.Info("a guest became a customer, and their profile cannot be removed yet: syncd claims says which",
		"key", guest.Key, "customer", guest.Parent, "again", guest.NextAttempt.UTC().Format(time.RFC3339))
	return r.keepRows(ctx, guest)
}

// moveOrders reads the orders below a profile from the shop again, which brings them
// where they belong, and returns those that it found there: those that the shop has, and
// those that are gone from it.
func (r *run) moveOrders(ctx context.Context, from string) (moved, gone []state.Record, err error) {
	for after := ""; ; {
		orders, err := r.cfg.Store.RecordsByParent(ctx, r.cfg.Pipeline, from, after, pendingAtOnce)
		if err != nil {
			return nil, nil, err
		}
		if len(orders) > 0 {
			after = orders[len(orders)-1].Key
		}
		more := len(orders) == pendingAtOnce
		orders = slices.DeleteFunc(orders, func(rec state.Record) bool { return rec.State == state.Removed })
		items, err := r.ordersOf(ctx, sourceIDs(orders))
		if err != nil {
			return nil, nil, err
		}
		for _, rec := range orders {
			if slices.ContainsFunc(items, func(o magento.Item[magento.Order]) bool { return o.ID == rec.SourceID }) {
				moved = append(moved, rec)
			} else {
				gone = append(gone, rec)
			}
		}
		p := &page{}
		if err := r.single(ctx, p, len(items), func() error { return r.prepareOrders(ctx, p, items) }); err != nil {
			return nil, nil, err
		}
		if !more {
			return moved, gone, nil
		}
	}
}

// gathered reads back what was moved: every row stands below the customer's profile, and
// no row at all below the guest's.
func (r *run) gathered(ctx context.Context, guest, customer state.Record, moved []state.Record) (bool, error) {
	left, err := r.leftBelow(ctx, guest.Key)
	if err != nil || len(left) > 0 {
		return false, err
	}
	for _, c := range r.writer.db.Schema().Collections {
		rows, err := r.rowsBelow(ctx, c.Name, guest.CopernicaID)
		if err != nil {
			return false, err
		}
		if len(rows) > 0 { // nobody sees what stands below one that was removed
			profile, err := r.profile(ctx, guest.CopernicaID)
			return profile == nil, err
		}
	}
	return r.standBelow(ctx, customer, moved)
}

// standBelow reports whether Copernica shows orders and their lines below a profile.
func (r *run) standBelow(ctx context.Context, customer state.Record, orders []state.Record) (bool, error) {
	if len(orders) == 0 {
		return true, nil
	}
	lines, err := r.cfg.Store.RecordsBySource(ctx, r.cfg.Pipeline, state.Item, sourceIDs(orders))
	if err != nil {
		return false, err
	}
	lines = slices.DeleteFunc(lines, func(rec state.Record) bool { return usable(rec) == 0 })
	for table, rows := range map[mapping.Table][]state.Record{mapping.Orders: orders, mapping.Items: lines} {
		shown, err := r.rowsBelow(ctx, r.cfg.Mapping.Collection(table), customer.CopernicaID)
		if err != nil {
			return false, err
		}
		there := make(map[string]bool, len(shown))
		for _, s := range shown {
			there[s.Fields[r.writer.below[state.Entity(table)].name]] = true
		}
		if slices.ContainsFunc(rows, func(rec state.Record) bool { return !there[rec.Key] }) {
			return false, nil
		}
	}
	return true, nil
}

// leftBelow returns orders that the ledger has below a profile.
func (r *run) leftBelow(ctx context.Context, key string) ([]state.Record, error) {
	rows, err := r.cfg.Store.RecordsByParent(ctx, r.cfg.Pipeline, key, "", rowsAtOnce)
	return slices.DeleteFunc(rows, func(rec state.Record) bool { return rec.State == state.Removed }), err
}

// rowsBelow lists a collection below one profile.
func (r *run) rowsBelow(ctx context.Context, collection string, profile int64) ([]copernica.Subprofile, error) {
	c, err := r.writer.db.Collection(collection)
	if err != nil {
		return nil, err
	}
	call, cancel := r.writer.deadline(ctx)
	defer cancel()
	rows, err := c.Below(call, profile)
	if errors.Is(err, copernica.ErrNoProfile) {
		return nil, nil
	}
	return rows, err
}

// profile reads a profile; nil when Copernica has none under the id any more.
func (r *run) profile(ctx context.Context, id int64) (*copernica.Profile, error) {
	call, cancel := r.writer.deadline(ctx)
	defer cancel()
	p, err := r.writer.db.Profile(call, id)
	switch {
	case errors.Is(err, copernica.ErrNoProfile):
		return nil, nil
	case err != nil:
		return nil, err
	case p.Removed:
		return nil, nil
	}
	return &p, nil
}

// carryOptOut brings the opt-out of a guest over to the customer: it is one of the same
// person, and the way back then takes it to the shop (promise 18). The guest's profile, from,
// is nil when it is gone.
func (r *run) carryOptOut(ctx context.Context, guest, customer state.Record, from *copernica.Profile, to *standing) error {
	word := r.optOutOf(guest, customer, from)
	if word == "" || r.cfg.Mapping.Consent().OptedOut(to.fields[r.writer.consent]) {
		if !guest.UnsubscribedAt.After(customer.UnsubscribedAt) {
			return nil
		}
		customer.UnsubscribedAt = guest.UnsubscribedAt // the list that told of it names the guest's profile
		return r.keepRows(ctx, customer)
	}
	// What the profile shows from here on is not what we wrote: an opt-out of its own.
	customer.ConsentWritten = state.Hash{}
	customer.UnsubscribedAt = laterOf(customer.UnsubscribedAt, guest.UnsubscribedAt)
	if err := r.keepRows(ctx, customer); err != nil {
		return err
	}
	call, cancel := r.writer.deadline(ctx)
	defer cancel()
	return r.writer.db.Update(call, customer.CopernicaID, map[string]string{r.writer.consent: word})
}

// optOutOf returns the opt-out of a guest that goes along to the customer who they are: what
// their profile shows, or, where it shows nothing, our word for one that the ledger has; ""
// when there is none. Of an account the shop's own word is none: that stands in the consent
// of all accounts.
func (r *run) optOutOf(guest, customer state.Record, from *copernica.Profile) string {
	shown := ""
	if from != nil {
		shown = from.Fields[r.writer.consent]
	}
	account := r.isAccount(guest.Key)
	switch values := r.cfg.Mapping.Consent(); {
	case values.OptedOut(shown) && (!account || r.optedOut(from, &guest)):
		return shown
	case !account && leftOut(r.writer, &guest, &customer, shown):
		return values.Out
	default:
		return ""
	}
}

// Unclaim undoes a claim: the guest has a profile of their own again, with their orders,
// and keeps it. Asked for again it finishes what was cut short. ErrNoClaim says that
// there was no such claim.
func (e *Engine) Unclaim(ctx context.Context, guest string) (Report, error) {
	return e.hold(ctx, Orders, Orders, func(r *run, ctx context.Context) error {
		r.row.Outcome = state.Done
		rows, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, []string{guest})
		if err != nil {
			return err
		}
		rec := rows[guest]
		customer := rec.Parent
		switch {
		case customer == "":
			return ErrNoClaim
		case rec.State == state.Claimed:
			rec = disowned(rec)
			rec.Parent = customer // says that this claim is not made again
			rec.Attempts, rec.NextAttempt, rec.RunID = 0, time.Time{}, r.row.ID
			if err := r.keepRows(ctx, rec); err != nil {
				return err
			}
		}
		// Also of a claim that was undone before: that may have been cut short.
		_, _, err = r.moveOrders(ctx, customer)
		return err
	})
}

// ErrNoClaim says that a key is not that of a guest whom a customer claimed.
var ErrNoClaim = errors.New("no customer has claimed a guest with this key: `syncd claims` lists those that were")
