package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// errWaits ends a page before an order whose customer the first pass over the
// customers has yet to bring.
var errWaits = errors.New("an order waits for its customer")

// own gives each order that is written the profile it stands below, and returns the
// orders that can go on:
//
//   - a guest's profile is made from the order itself;
//   - a customer whom the ledger does not know is waited for in the first pass over
//     the customers, and after it brought by a single read;
//   - a profile that somebody removed in Copernica is made anew first: what is written
//     below a removed one is seen by nobody (copernica-behaviours 43);
//   - an order whose account was deleted stays with the profile it had, and is left
//     out and counted when it never had one (promise 19).
func (r *run) own(ctx context.Context, p *page, orders []*placed) ([]*placed, error) {
	profiles, err := r.owners(ctx, orders)
	if err != nil {
		return nil, err
	}
	if orders, err = r.livingOwners(ctx, p, orders); err != nil {
		return nil, err
	}
	p.bereave(orders, profiles)
	orders = p.leave(orders, func(o *placed) bool { return o.order.problem == nil && o.order.owner == nil })
	for _, o := range orders {
		o.plan(p.facts(false))
	}
	if orders, err = r.wait(ctx, p, orders, profiles); err != nil {
		return nil, err
	}
	if err := r.alive(ctx, p, orders, profiles); err != nil {
		return nil, err
	}
	if err := r.bring(ctx, p, orders, profiles); err != nil {
		return nil, err
	}
	return p.leave(orders, func(o *placed) bool {
		who := o.order.owner
		return who != nil && who.id == 0 && who.profile == nil && o.writes()
	}), nil
}

// leave leaves out and counts the orders that nobody owns.
func (p *page) leave(orders []*placed, nobodys func(*placed) bool) []*placed {
	return slices.DeleteFunc(slices.Clone(orders), func(o *placed) bool {
		nobody := nobodys(o)
		if nobody {
			p.ownerless = append(p.ownerless, o.at)
		}
		return nobody
	})
}

// owners says whose each order is and returns the ledger rows of those profiles, by key.
func (r *run) owners(ctx context.Context, orders []*placed) (map[string]state.Record, error) {
	var keys []string
	for _, o := range orders {
		if o.Owner.Key == "" && o.order.problem == nil {
			o.Owner.Key = o.order.before.Parent // of an account that was deleted since
		}
		if o.Owner.Key != "" {
			keys = append(keys, o.Owner.Key)
		}
	}
	profiles, whose, err := r.behind(ctx, keys)
	if err != nil {
		return nil, err
	}
	owners := map[string]*owner{}
	for _, o := range orders {
		if one, ok := whose[o.Owner.Key]; ok && o.guest == nil { // a guest is disowned before the ledger says so
			o.Owner.Key = one
			o.Owner.Customer, _ = r.cfg.Mapping.CustomerID(one)
		}
		key := o.Owner.Key
		if key == "" {
			continue
		}
		if owners[key] == nil {
			owners[key] = &owner{key: key, id: usable(profiles[key])}
		}
		if o.guest != nil {
			owners[key].profile = o.guest
		}
		o.order.owner = owners[key]
		for _, it := range o.items {
			it.owner, it.astray = owners[key], o.order.moved()
		}
	}
	return profiles, nil
}

// usable returns the id of a profile that Copernica has, or 0.
func usable(rec state.Record) int64 {
	if rec.State == state.Removed {
		return 0
	}
	return rec.CopernicaID
}

// wait cuts the page before the first order whose customer the ledger does not know
// while the customers' first pass is not finished.
func (r *run) wait(ctx context.Context, p *page, orders []*placed, profiles map[string]state.Record) ([]*placed, error) {
	unknown := func(o *placed) bool {
		_, known := profiles[o.Owner.Key]
		return o.Owner.Customer != 0 && !known && o.writes()
	}
	if !slices.ContainsFunc(orders, unknown) {
		return orders, nil
	}
	customers, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, Customers)
	if err != nil || !customers.Horizon.IsZero() {
		return orders, err
	}
	if !p.moves { // single orders keep no place: those that wait are left out
		return slices.DeleteFunc(orders, unknown), nil
	}
	first := slices.IndexFunc(orders, unknown)
	p.cut(orders, first)
	return orders[:first], nil
}

// alive asks Copernica which of the profiles that get rows are still there.
func (r *run) alive(ctx context.Context, p *page, orders []*placed, profiles map[string]state.Record) error {
	var ids []int64
	// A look that finds nothing becomes a creation.
	looks := func(it *intent) bool { return it.writes() && it.lookFirst }
	matters := func(o *placed) bool { return o.creates() || o.has(looks) || p.force && o.writes() }
	for _, o := range orders {
		if o.order.owner != nil && o.order.owner.id != 0 && matters(o) {
			ids = append(ids, o.order.owner.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := r.writer.openBelow(ctx); err != nil {
		return err
	}
	call, cancel := r.writer.deadline(ctx)
	live, err := r.writer.db.Live(call, ids)
	cancel()
	if err != nil {
		return err
	}
	r.cfg.TestHook(PointAlive)
	for _, o := range orders {
		who := o.order.owner
		if who == nil || who.id == 0 || !matters(o) {
			continue
		}
		if _, ok := slices.BinarySearch(live, who.id); ok {
			continue
		}
		dead := profiles[who.key]
		dead.State, dead.CopernicaID = state.Removed, 0
		profiles[who.key] = dead
		o.loses(dead)
	}
	fall(orders, profiles)
	return nil
}

// loses has the order's profile made anew.
func (o *placed) loses(profile state.Record) {
	o.order.owner.id = 0
	if o.guest != nil {
		o.guest.before = profile
	}
}

// bereave has the profiles made anew that were erased since the ledger heard of them.
func (p *page) bereave(orders []*placed, profiles map[string]state.Record) {
	some := false
	for _, o := range orders {
		if who := o.order.owner; who != nil {
			if rec, gone := p.outlived(profiles[who.key]); gone {
				profiles[who.key], some = rec, true
			}
			if rec := profiles[who.key]; some && rec.State == state.Removed {
				o.loses(rec)
			}
		}
	}
	if some {
		fall(orders, profiles)
	}
}

// fall lets go what stood below removed profiles: it went with them.
func fall(orders []*placed, profiles map[string]state.Record) {
	for _, o := range orders {
		if who := o.order.owner; who != nil && profiles[who.key].State == state.Removed {
			for _, it := range o.rows() {
				if it.before.CopernicaID != 0 && !it.moved() {
					it.before.State, it.before.CopernicaID = state.Removed, 0
				}
			}
		}
	}
}

// bring reads the customers that orders need and whose profile has no id yet, and
// puts them in front of the page.
func (r *run) bring(ctx context.Context, p *page, orders []*placed, profiles map[string]state.Record) error {
	missing := map[int64]*owner{}
	var keys []string
	for _, o := range orders {
		who := o.order.owner
		if who == nil || who.id != 0 || !o.writes() || missing[o.Owner.Customer] != nil {
			continue
		}
		id := o.Owner.Customer
		if id == 0 && o.guest == nil {
			id, _ = r.cfg.Mapping.CustomerID(who.key)
		}
		if id != 0 {
			missing[id] = who
			keys = append(keys, who.key)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	// A page in front may be bringing the same customer: then it is known by now.
	p.hold(r, keys...)
	now, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, keys)
	if err != nil {
		return err
	}
	for id, who := range missing {
		if profiles[who.key].State == state.Removed {
			continue // found dead just now, which the ledger does not know
		}
		profiles[who.key] = now[who.key]
		if who.id = usable(now[who.key]); who.id != 0 {
			delete(missing, id)
		}
	}
	people, err := r.people(ctx, missing)
	if err != nil {
		return err
	}
	list, err := r.living(ctx, p, slices.Collect(maps.Values(people)))
	if err != nil {
		return err
	}
	if err := r.learn(ctx, func(l *mapping.Lookups) bool { return knows(l, list) }); err != nil {
		return err
	}
	var brought []*intent
	for _, item := range list { // who is not among them was deleted since: nobody owns their orders
		id, who := item.ID, missing[item.ID]
		r.lookups.Accept(&item.Value)
		it := r.customer(&item)
		it.before, it.known = profiles[who.key], profiles[who.key].Key != ""
		who.profile = it
		brought = append(brought, it)
		if item.Err == nil {
			p.emails = append(p.emails, r.email(id, item.Value.WebsiteID, item.Value.Email, item.Value.Confirmation == ""))
		}
	}
	// Guests whom they prove to be know it when this page is committed.
	p.hold(r, slices.Collect(maps.Keys(r.guestsOf(brought)))...)
	p.intents = append(p.intents, brought...)
	r.cfg.TestHook(PointBrought)
	return nil
}

// people reads customers one by one; those that the shop does not have are left out.
func (r *run) people(ctx context.Context, wanted map[int64]*owner) (map[int64]magento.Item[magento.Customer], error) {
	var mu sync.Mutex
	found := map[int64]magento.Item[magento.Customer]{}
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(r.cfg.Reads)
	for id := range wanted {
		reads.Go(func() error {
			c, err := r.cfg.Shop.Customer(ctx, id, r.cfg.Mapping.Paths())
			item := magento.Item[magento.Customer]{ID: id, UpdatedAt: c.UpdatedAt, Value: c}
			if e, ok := errors.AsType[*magento.RecordError](err); ok {
				item.Err, err = e, nil
			}
			switch {
			case errors.Is(err, magento.ErrNotFound):
				return nil
			case err != nil:
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			found[id] = item
			return nil
		})
	}
	err := reads.Wait()
	return found, err
}
