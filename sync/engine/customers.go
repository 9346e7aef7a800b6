package engine

import (
	"context"
	"maps"
	"slices"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// prepareCustomers turns customers into intents: mapped, hashed, compared with the
// ledger and planned. When it returns, the store knows every key that is about to be
// sent.
func (r *run) prepareCustomers(ctx context.Context, p *page, items []magento.Item[magento.Customer]) error {
	if len(items) == 0 {
		return nil
	}
	begins := r.lookups == nil
	if err := r.learn(ctx, func(l *mapping.Lookups) bool { return knows(l, items) }); err != nil {
		return err
	}
	for i := range items {
		r.lookups.Accept(&items[i].Value)
	}
	if begins && r.websites > 1 {
		if err := r.scanEmails(ctx); err != nil {
			return err
		}
	}
	items, err := r.living(ctx, p, items)
	if err != nil {
		return err
	}
	items, first, err := r.unite(ctx, p, items)
	if err != nil {
		return err
	}
	for i := range items {
		it := r.customer(&items[i])
		if !r.hearsay(p, it.row.Key) {
			it.outSeen = r.looked()
		}
		p.intents = append(p.intents, it)
	}
	guests := r.guestsOf(p.intents)
	p.hold(r, append(p.profileKeys(), slices.Collect(maps.Keys(guests))...)...)
	if err := r.load(ctx, state.Profile, p.intents); err != nil {
		return err
	}
	for _, it := range p.intents {
		it.before, _ = p.outlived(it.before)
	}
	r.part(p, first)
	if err := r.claimGuests(ctx, guests); err != nil {
		return err
	}
	if p.force {
		if err := r.revive(ctx, p.intents); err != nil {
			return err
		}
	}
	return r.planPage(ctx, p)
}

func knows(l *mapping.Lookups, items []magento.Item[magento.Customer]) bool {
	for i := range items {
		if items[i].Err == nil && !l.Knows(&items[i].Value) {
			return false
		}
	}
	return true
}

// customer maps and hashes one customer.
func (r *run) customer(item *magento.Item[magento.Customer]) *intent {
	if item.Err != nil {
		return r.unreadable(state.Profile, r.cfg.Mapping.CustomerKey(item.ID), item.ID, item.UpdatedAt, item.Err)
	}
	row, problem := r.cfg.Mapping.Customer(&item.Value, r.lookups)
	it := r.intent(row, problem)
	it.consent = hashConsent(r.hasher, row.ConsentValue())
	it.attempt = r.hasher.Sum("attempt", string(it.content[:]), string(it.consent[:]), item.UpdatedAt.String())
	return it
}

// revive asks Copernica which of the profiles are still there: what is to be sent again
// is made anew where somebody removed it.
func (r *run) revive(ctx context.Context, intents []*intent) error {
	var ids []int64
	for _, it := range intents {
		if id := usable(it.before); id != 0 {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := r.writer.open(ctx); err != nil {
		return err
	}
	call, cancel := r.writer.deadline(ctx)
	live, err := r.writer.db.Live(call, ids)
	cancel()
	if err != nil {
		return err
	}
	for _, it := range intents {
		if id := usable(it.before); id != 0 && !slices.Contains(live, id) {
			it.before.State, it.before.CopernicaID = state.Removed, 0
		}
	}
	return nil
}
