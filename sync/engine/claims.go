package engine

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// A guest whose e-mail is the confirmed one of a customer of the same website is that
// customer (promise 17), whichever of the two the shop had first:
//
//   - where only the guest has a profile, it becomes the customer's: its key is
//     rewritten, and what stands below it stays there;
//   - where both have one, the guest's orders are made anew below the customer's
//     (gatherClaims), and then the guest's is removed.
//
// The ledger row of the guest's profile keeps the claim: it is Claimed, and its Parent is
// the customer. From then on orders of that guest are the customer's, also when the
// customer takes another e-mail; an undone claim leaves the Parent in place, and is not
// made again.

// claim is a guest whom the customer of an intent turned out to be.
type claim struct{ guest state.Record }

// claimable reports whether a guest's profile may be claimed: not one whose write has no
// outcome, that is claimed already, or whose claim was undone.
func claimable(guest state.Record) bool { return guest.Parent == "" && settledOrRemoved(guest) }

func settledOrRemoved(rec state.Record) bool { return settledRow(rec) || rec.State == state.Removed }

// guestsOf returns the customers among intents who prove who their guests are, by the
// keys of those guests.
func (r *run) guestsOf(intents []*intent) map[string]*intent {
	guests := map[string]*intent{}
	if r.rehearsal.judges() || !r.cfg.Mapping.HasOrders() {
		return guests
	}
	for _, it := range intents {
		if it.problem == nil && it.row.Confirmed && (it.row.Website != 0 || r.cfg.Mapping.OneByEmail()) {
			guests[r.cfg.Mapping.GuestKey(it.row.Website, it.row.Email)] = it
		}
	}
	return guests
}

// claimGuests tells customers of the guests that they are, by the guests' keys.
func (r *run) claimGuests(ctx context.Context, customers map[string]*intent) error {
	guests, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, slices.Collect(maps.Keys(customers)))
	if err != nil {
		return err
	}
	for key, guest := range guests {
		if claimable(guest) {
			customers[key].claim = &claim{guest}
		}
	}
	return nil
}

// claimed returns the guest's row once the customer has a profile, and whether that is
// the guest's own.
func (it *intent) claimed() (guest state.Record, same, ok bool) {
	now := it.before
	if it.result.record != nil {
		now = *it.result.record
	}
	if it.claim == nil || usable(now) == 0 || !settledRow(now) {
		return state.Record{}, false, false
	}
	guest = claimedBy(it.claim.guest, it.row.Key)
	if same = guest.CopernicaID == now.CopernicaID; same {
		guest.CopernicaID = 0
	}
	return guest, same, true
}

// claimedBy is the row of a guest's profile that a customer claims: open while
// Copernica may have a profile under its id.
func claimedBy(guest state.Record, customer string) state.Record {
	guest.CopernicaID = usable(guest)
	guest.State, guest.Parent = state.Claimed, customer
	guest.Hash, guest.Refused, guest.Attempts = state.Hash{}, state.Hash{}, 0
	return guest
}

// leftOut reports whether the ledger has it that a guest opted out whose profile shows
// nothing of it, as a click in a mailing may leave it. The customer may have opted out later,
// and come back since: theirs is then the last word.
func leftOut(w *writer, guest, customer *state.Record, shown string) bool {
	values := w.cfg.Mapping.Consent()
	return shown == "" && guest.ConsentSource == w.hashConsent(values.Out) && guest.ConsentWritten != w.hashConsent(values.In) &&
		!customer.UnsubscribedAt.After(guest.UnsubscribedAt)
}

// takeOverOut takes over from a guest of whom the ledger has an opt-out, and the profile that
// was seen shows nothing of it, or is gone. The customer's then says that they are out, which
// is not the shop's word: the way back takes it there (promise 18).
func (w *writer) takeOverOut(ctx context.Context, it *intent, seen *standing) result {
	word := w.cfg.Mapping.Consent().Out
	if seen == nil {
		it.row.OptIn = false
		res := w.create(ctx, it)
		if res.record != nil {
			res.record.ConsentWritten = state.Hash{}
		}
		return res
	}
	call, cancel := w.deadline(ctx)
	err := w.db.Update(call, seen.id, map[string]string{w.consent: word})
	cancel()
	if err != nil {
		return w.unread(it, err)
	}
	seen.fields[w.consent] = word
	return w.merge(ctx, it, seen)
}

// recognise gives orders of guests who are customers to those customers, by the claims
// that the ledger has, or by their e-mails.
func (r *run) recognise(ctx context.Context, p *page, orders []*placed) error {
	emails, err := r.claimants(ctx, orders)
	if err != nil {
		return err
	}
	claimant := func(o *placed) string {
		if g := o.guest.before; g.State == state.Claimed {
			return g.Parent
		}
		return emails[o.guest.row.Key]
	}
	var keys []string
	for _, o := range orders {
		if o.guest != nil && claimant(o) != "" {
			keys = append(keys, claimant(o))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	customers, whose, err := r.behind(ctx, keys)
	if err != nil {
		return err
	}
	for _, o := range orders {
		if o.guest == nil || claimant(o) == "" {
			continue
		}
		guest, customer := o.guest.before, customers[cmp.Or(whose[claimant(o)], claimant(o))]
		recorded := guest.State == state.Claimed
		switch {
		case recorded && (customer.Key == "" || customer.State == state.Gone):
			o.guest.before = disowned(guest)
			continue
		case !recorded && !owns(customer):
			continue
		case !recorded:
			if guest.Key == "" {
				guest = o.guest.record(state.Claimed)
			}
			p.claim(claimedBy(guest, customer.Key), true)
		}
		o.Owner = mapping.Owner{Key: customer.Key, Customer: customer.SourceID}
		o.guest = nil
	}
	return nil
}

// claim notes a claim that the page's commit records, once.
func (p *page) claim(guest state.Record, made bool) {
	if slices.ContainsFunc(p.claims, func(rec state.Record) bool { return rec.Key == guest.Key }) {
		return
	}
	p.claims = append(p.claims, guest)
	if made {
		p.claimed++
	}
}

// owns reports whether a customer has a profile that a guest's orders can stand below.
func owns(customer state.Record) bool {
	return usable(customer) != 0 && (customer.State == state.Acknowledged || customer.State == state.Refused)
}

// disowned is the row of a guest whose customer is gone: they are a guest again.
func disowned(guest state.Record) state.Record {
	guest.Parent, guest.State = "", state.Removed
	if guest.CopernicaID != 0 {
		guest.State = state.Acknowledged
	}
	return guest
}

// claimants finds the customers behind the e-mails of guests' orders, by the guests' keys.
func (r *run) claimants(ctx context.Context, orders []*placed) (map[string]string, error) {
	var guests []*intent
	for _, o := range orders {
		if o.guest != nil && o.order.problem == nil && (!o.guest.known || claimable(o.guest.before)) {
			guests = append(guests, o.guest)
		}
	}
	return r.customersOf(ctx, guests)
}

// customersOf returns the keys of the customers who prove to be guests, by those guests' keys.
func (r *run) customersOf(ctx context.Context, guests []*intent) (map[string]string, error) {
	hashes := map[*intent]state.Hash{}
	for _, it := range guests {
		if plain(it.row.Email) {
			hashes[it] = r.emailHash(it.row.Email)
		}
	}
	if len(hashes) == 0 {
		return nil, nil
	}
	known, err := r.cfg.Store.Emails(ctx, r.cfg.Pipeline, slices.Collect(maps.Values(hashes)))
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for it, hash := range hashes {
		for _, e := range known[hash] {
			if e.Claims && found[it.row.Key] == "" && (e.Website == it.row.Website || r.cfg.Mapping.OneByEmail()) {
				found[it.row.Key] = e.Key
			}
		}
	}
	return found, nil
}

// overtaken returns the orders of guests whose profile a page settled at last, where somebody
// proves to be the guest: as long as its write had no outcome, nobody could claim it.
func (r *run) overtaken(ctx context.Context, p *page) (orders []source, err error) {
	var guests []*intent
	for _, it := range p.intents {
		rec := it.result.record
		if it.entity == state.Profile && r.cameBy(it.entity, it.row.Key) == Orders && unsettled(it.before) && rec != nil && claimable(*rec) {
			guests = append(guests, it)
		}
	}
	customers, err := r.customersOf(ctx, guests)
	for _, it := range guests {
		if customers[it.row.Key] != "" {
			orders = append(orders, source{it.row.SourceID, it.row.UpdatedAt})
		}
	}
	return orders, err
}
