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

	// Where people with one e-mail are one.
	rows  map[string]state.Record // the ledger's, of all accounts with these e-mails
	first map[string]string       // the account that has the profile, by the page's
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
// another one, and returns that one's key by theirs. The customers come back with those
// whose consent may be another now, since one of their accounts changed its own.
func (r *run) unite(ctx context.Context, p *page, items []magento.Item[magento.Customer]) ([]magento.Item[magento.Customer], map[string]string, error) {
	a, err := r.accounts(ctx, p, items)
	if err != nil || !r.cfg.Mapping.OneByEmail() {
		return items, nil, err
	}
	if more := r.concerned(a, items); len(more) > 0 {
		people, _, err := r.rereadCustomers(ctx, more)
		if err != nil {
			return nil, nil, err
		}
		if people, err = r.living(ctx, p, people); err != nil {
			return nil, nil, err
		}
		items = append(slices.Clone(items), people...)
		if a, err = r.accounts(ctx, p, items); err != nil {
			return nil, nil, err
		}
	}
	p.lent = r.oneConsent(a, items)
	maps.DeleteFunc(a.first, func(key, one string) bool { return key == one })
	return items, a.first, nil
}

// accounts finds out whose accounts a page's customers are.
func (r *run) accounts(ctx context.Context, p *page, items []magento.Item[magento.Customer]) (*accounts, error) {
	a, err := r.emails(ctx, p, items)
	if err != nil || !r.cfg.Mapping.OneByEmail() {
		return a, err
	}
	var keys []string
	here := map[string]bool{}
	for i := range items {
		keys = append(keys, a.same(i)...)
		here[a.mine[i].Key] = true
	}
	if a.rows, err = r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, keys); err != nil {
		return nil, err
	}
	a.first = map[string]string{}
	for i := range items {
		lowest := items[i].ID
		for _, key := range a.same(i) {
			rec := a.rows[key]
			id, ok := r.cfg.Mapping.CustomerID(key)
			if ok && id <= lowest && (here[key] || present(rec) && (rec.State != state.Refused || rec.CopernicaID != 0)) {
				lowest, a.first[a.mine[i].Key] = id, key
			}
		}
	}
	return a, nil
}

// concerned lists the accounts outside of a page that have the profile of people whose
// other account, in the page, says something else of consent than it did.
func (r *run) concerned(a *accounts, items []magento.Item[magento.Customer]) (more []source) {
	for i := range items {
		key := a.mine[i].Key
		one, before := a.first[key], a.rows[key]
		_, here := a.first[one]
		rec, known := a.rows[one]
		if here || !known || before.State == state.Claimed && before.ConsentSource == r.consentOf(&items[i].Value) {
			continue
		}
		if !slices.ContainsFunc(more, func(s source) bool { return s.id == rec.SourceID }) {
			more = append(more, source{rec.SourceID, rec.SourceUpdatedAt})
		}
	}
	return more
}

// oneConsent gives each account that has a profile the consent of all accounts of its
// person, and returns those that were subscribed themselves.
func (r *run) oneConsent(a *accounts, items []magento.Item[magento.Customer]) (lent map[string]bool) {
	lent = map[string]bool{}
	out := hashConsent(r.hasher, r.cfg.Mapping.Consent().Out)
	now := map[string]state.Hash{}
	for key, rec := range a.rows {
		now[key] = rec.ConsentSource
	}
	for i := range items {
		now[a.mine[i].Key] = r.consentOf(&items[i].Value)
	}
	for i := range items {
		if key := a.mine[i].Key; key == "" || a.first[key] != key {
			continue
		}
		if slices.ContainsFunc(a.same(i), func(key string) bool { return now[key] == out && present(a.rows[key]) }) {
			lent[a.mine[i].Key] = items[i].Value.Subscribed
			items[i].Value.Subscribed = false
		}
	}
	return lent
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
		claimed := it.before.State == state.Claimed
		switch {
		case other && (!claimed || it.before.Parent != one || it.before.ConsentSource != it.consent):
			row := it.record(state.Claimed)
			row = claimedBy(row, one)
			it.noteConsent(&row)
			row.SourceUpdatedAt = it.row.UpdatedAt
			p.claim(row, !claimed)
		case !other && claimed:
			r.parted = append(r.parted, it.before.Parent)
			it.before = disowned(it.before)
		}
		return other
	})
}

// unsubscribeOthers has the shop end the subscriptions of a person's other accounts,
// which are found by the e-mail that Copernica shows, and reports whether the shop has a
// record of any of them.
func (r *run) unsubscribeOthers(ctx context.Context, rec *state.Record, email string) (inShop bool, err error) {
	if !r.cfg.Mapping.OneByEmail() || !plain(email) {
		return false, nil
	}
	hash := r.emailHash(email)
	known, err := r.cfg.Store.Emails(ctx, r.cfg.Pipeline, []state.Hash{hash})
	if err != nil {
		return inShop, err
	}
	var keys []string
	for _, e := range known[hash] {
		keys = append(keys, e.Key)
	}
	rows, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, keys)
	if err != nil {
		return inShop, err
	}
	for _, other := range rows {
		if other.State == state.Claimed && other.Parent == rec.Key {
			too, err := r.unsubscribe(ctx, &other)
			if err != nil {
				return inShop, err
			}
			inShop = inShop || too
		}
	}
	return inShop, nil
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
