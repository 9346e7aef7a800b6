package engine

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
)

// Where the mapping says `identity: email`, accounts with one confirmed e-mail are one
// person, on whichever websites they are (promise 17). The account with the lowest id has
// the profile. The ledger row of each other one is Claimed, like a guest's, and its Parent
// is that account: its orders are theirs, and a profile that it had before is removed once
// they are (gatherClaims). Subscribed is who is so with each of their accounts.

// accounts are what is known of the e-mails of a page's customers.
type accounts struct {
	mine  []state.Email                // of each item; zero where it cannot be read
	known map[state.Hash][]state.Email // in the state, and in the page, which is newer
}

// same returns the keys of the accounts with item i's confirmed e-mail, its own among
// them; none when it has no such e-mail.
func (a *accounts) same(i int) (keys []string) {
	if !a.mine[i].Claims {
		return nil
	}
	for _, e := range a.known[a.mine[i].Hash] {
		if e.Claims {
			keys = append(keys, e.Key)
		}
	}
	return keys
}

// unite finds, among customers, the accounts of people who have their profile under
// another one, and returns that one's key by theirs. It gives the others the consent of
// all their accounts, and adds those to items whose consent may be another now.
func (r *run) unite(ctx context.Context, p *page, items []magento.Item[magento.Customer]) ([]magento.Item[magento.Customer], map[string]string, error) {
	a, err := r.emails(ctx, p, items)
	if err != nil || !r.cfg.Mapping.OneByEmail() {
		return items, nil, err
	}
	first, rows, err := r.firsts(ctx, a, items)
	if err != nil {
		return nil, nil, err
	}
	var more []source
	for i := range items {
		key := a.mine[i].Key
		one, other := first[key]
		_, here := first[one]
		before := rows[key]
		if !other || one == key || here || before.State == state.Claimed && before.ConsentSource == r.consentOf(&items[i].Value) {
			continue
		}
		if rec, ok := rows[one]; ok && !slices.ContainsFunc(more, func(s source) bool { return s.id == rec.SourceID }) {
			more = append(more, source{rec.SourceID, rec.SourceUpdatedAt})
		}
	}
	if len(more) > 0 {
		people, _, err := r.rereadCustomers(ctx, more)
		if err != nil {
			return nil, nil, err
		}
		items = append(slices.Clone(items), people...)
		if a, err = r.emails(ctx, p, items); err != nil {
			return nil, nil, err
		}
		if first, rows, err = r.firsts(ctx, a, items); err != nil {
			return nil, nil, err
		}
	}
	out := hashConsent(r.hasher, r.cfg.Mapping.Consent().Out)
	consents := map[string]state.Hash{}
	for key, rec := range rows {
		consents[key] = rec.ConsentSource
	}
	for i := range items {
		if a.mine[i].Key != "" {
			consents[a.mine[i].Key] = r.consentOf(&items[i].Value)
		}
	}
	for i := range items {
		if key := a.mine[i].Key; key == "" || first[key] != key {
			continue
		}
		if slices.ContainsFunc(a.same(i), func(key string) bool { return consents[key] == out && present(rows[key]) }) {
			items[i].Value.Subscribed = false
		}
	}
	for key, one := range first {
		if key == one {
			delete(first, key)
		}
	}
	return items, first, nil
}

// firsts returns the key of the account that has the profile, by those of the accounts
// among items with a confirmed e-mail, and the ledger rows of all that share one.
func (r *run) firsts(ctx context.Context, a *accounts, items []magento.Item[magento.Customer]) (map[string]string, map[string]state.Record, error) {
	var keys []string
	here := map[string]bool{}
	for i := range items {
		keys = append(keys, a.same(i)...)
		here[a.mine[i].Key] = true
	}
	rows, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, keys)
	if err != nil {
		return nil, nil, err
	}
	first := map[string]string{}
	for i := range items {
		mine := a.mine[i].Key
		lowest := items[i].ID
		for _, key := range a.same(i) {
			rec := rows[key]
			id, ok := r.cfg.Mapping.CustomerID(key)
			if ok && id <= lowest && (here[key] || present(rec) && (rec.State != state.Refused || rec.CopernicaID != 0)) {
				lowest, first[mine] = id, key
			}
		}
	}
	return first, rows, nil
}

// unsubscribeOthers has the shop end the subscriptions of a person's other accounts,
// which are found by the e-mail that Copernica shows.
func (r *run) unsubscribeOthers(ctx context.Context, rec *state.Record, email string) error {
	if !r.cfg.Mapping.OneByEmail() || !plain(email) {
		return nil
	}
	hash := r.emailHash(email)
	known, err := r.cfg.Store.Emails(ctx, r.cfg.Pipeline, []state.Hash{hash})
	if err != nil {
		return err
	}
	var keys []string
	for _, e := range known[hash] {
		keys = append(keys, e.Key)
	}
	rows, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, keys)
	if err != nil {
		return err
	}
	for _, other := range rows {
		if other.State == state.Claimed && other.Parent == rec.Key {
			if err := r.unsubscribe(ctx, &other); err != nil {
				return err
			}
		}
	}
	return nil
}

// behind returns the ledger rows of profiles by key, and for those of people who are
// somebody else the key of that one, whose row is there as well.
func (r *run) behind(ctx context.Context, keys []string) (rows map[string]state.Record, whose map[string]string, err error) {
	const mostHops = 5 // an account may be claimed whose claimant is
	if rows, err = r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, keys); err != nil {
		return nil, nil, err
	}
	whose = map[string]string{}
	for range mostHops {
		var more []string
		for _, key := range keys {
			now := cmp.Or(whose[key], key)
			if rec := rows[now]; rec.State == state.Claimed {
				whose[key] = rec.Parent
				more = append(more, rec.Parent)
			}
		}
		more = slices.DeleteFunc(more, func(key string) bool { _, ok := rows[key]; return ok })
		if len(more) == 0 {
			break
		}
		found, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, more)
		if err != nil {
			return nil, nil, err
		}
		maps.Copy(rows, found)
	}
	return rows, whose, nil
}

// present reports whether the shop has the account behind a row, as far as is known.
func present(rec state.Record) bool { return rec.State != state.Missing && rec.State != state.Gone }

// consentOf is the hash of what the shop says of an account's consent.
func (r *run) consentOf(c *magento.Customer) state.Hash {
	words := r.cfg.Mapping.Consent()
	if c.Subscribed {
		return hashConsent(r.hasher, words.In)
	}
	return hashConsent(r.hasher, words.Out)
}

// part takes the accounts that have no profile of their own out of a page, and keeps in
// their ledger rows whose they are. Rows of accounts that are their own again lose it, and
// the orders go along.
func (r *run) part(p *page, first map[string]string) {
	p.intents = slices.DeleteFunc(p.intents, func(it *intent) bool {
		one, other := first[it.row.Key]
		switch {
		case other:
			row := it.before
			if !it.known {
				row = it.record(state.Claimed)
			}
			if it.before.State != state.Claimed || row.Parent != one || row.ConsentSource != it.consent {
				row = claimedBy(row, one)
				row.ConsentSource, row.SourceUpdatedAt = it.consent, it.row.UpdatedAt
				p.claim(row, it.before.State != state.Claimed)
			}
		case it.before.State == state.Claimed:
			r.parted = append(r.parted, it.before.Parent)
			it.before = disowned(it.before)
		}
		return other
	})
}
