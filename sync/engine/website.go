package engine

import (
	"context"
	"slices"
)

// A guest is somebody on a website (promise 17), and the shop tells an order's website by
// its store view as that is now: deleted with its orders left behind, or moved to another
// website. Neither makes another guest of who ordered there before. An order that the ledger
// knows stays on the website on which the ledger has it.

// stay keeps the guests of orders that the ledger knows on their websites.
func (r *run) stay(ctx context.Context, orders []*placed) error {
	claims, err := r.claimsBehind(ctx, orders)
	if err != nil {
		return err
	}
	for _, o := range orders {
		if o.Owner.Guest == nil || o.Owner.Key == "" {
			continue
		}
		_, person, _ := r.cfg.Mapping.GuestOf(o.Owner.Key)
		website, _, ok := r.cfg.Mapping.GuestOf(o.order.before.Parent)
		if !ok {
			website, ok = claims[claimant{o.order.before.Parent, person}]
		}
		if ok && r.cfg.Mapping.Stay(&o.Placed, website) && o.guest != nil {
			o.guest = r.intent(*o.Owner.Guest, nil)
		}
	}
	return nil
}

// claimant is a customer with the e-mail, as [mapping.PersonOf] has it, of a guest who
// they are.
type claimant struct{ customer, person string }

// claimsBehind returns the websites of the guests who turned out to be the customers that
// guests' orders stand below.
func (r *run) claimsBehind(ctx context.Context, orders []*placed) (map[claimant]int64, error) {
	var customers []string
	for _, o := range orders {
		if parent := o.order.before.Parent; o.Owner.Guest != nil && r.isAccount(parent) {
			customers = append(customers, parent)
		}
	}
	if len(customers) == 0 {
		return nil, nil
	}
	slices.Sort(customers)
	guests, err := r.cfg.Store.ClaimsOf(ctx, r.cfg.Pipeline, slices.Compact(customers))
	websites := map[claimant]int64{}
	for _, guest := range guests {
		if website, person, ok := r.cfg.Mapping.GuestOf(guest.Key); ok {
			websites[claimant{guest.Parent, person}] = website
		}
	}
	return websites, err
}

func (r *run) isAccount(key string) bool {
	_, ok := r.cfg.Mapping.CustomerID(key)
	return ok
}

// firstWebsites is up to which id websites are asked about that the shop may have had.
const firstWebsites = 32

// gravesOf returns the keys under which an order's guest may have been erased: their own;
// that of the customer below whom the ledger has the order, since a customer is erased with
// the guests who they were; and, where nobody knows on which website they ordered, those of
// all websites that may be.
func (r *run) gravesOf(o *placed) []string {
	keys := []string{o.Owner.Key}
	if parent := o.order.before.Parent; r.isAccount(parent) {
		keys = append(keys, parent)
	}
	guest := o.Owner.Guest
	if guest.Website != 0 || r.cfg.Mapping.OneByEmail() {
		return keys
	}
	for website := range max(r.lookups.LastWebsite(), firstWebsites) {
		keys = append(keys, r.cfg.Mapping.GuestKey(website+1, guest.Email))
	}
	return keys
}
