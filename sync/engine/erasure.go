package engine

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// Who is deleted in the shop, or anonymised there, is erased in Copernica as the operator
// wants it (promise 19). What shows it marks the ledger row Missing: a sweep that the shop
// answers with its own 404, or an e-mail of the patterns that anonymised people have,
// wherever it comes by. At the end of a sweep's round bury erases who is Missing.
//
// A tombstone keeps who was erased from coming back: nothing of them that the shop dates at
// or before the erasure is delivered, whichever way it comes by and whatever the ledger
// says. It stands under the profile's key, and for somebody whose e-mail is confirmed, and
// for guests, under their website and e-mail as well, so that their orders as a guest are
// covered. What is dated later makes a new profile.

// ErasurePolicy says what becomes of people who are gone from the shop.
type ErasurePolicy string

// The policies.
const (
	EraseFlag   ErasurePolicy = "flag"   // nothing is erased: the ledger says that they are gone
	EraseRemove ErasurePolicy = "remove" // their profiles are removed, with all that stands below
	EraseBlank  ErasurePolicy = "blank"  // their profiles and orders stay, without what is personal
)

// Erasure says how people are erased. The zero value is EraseFlag, for deletions alone.
type Erasure struct {
	Policy ErasurePolicy
	// Anonymised are the e-mails of people whom the shop anonymised: * stands for any
	// characters and ? for one.
	Anonymised []string
	// Graves keeps tombstones outside the state; nil: nothing does.
	Graves Graves
}

// Graves keeps tombstones where they outlive the state.
type Graves interface {
	// Bury adds tombstones, and returns when they are there for good.
	Bury(stones []state.Tombstone) error
	Stones(ctx context.Context) ([]state.Tombstone, error)
}

// The causes in a receipt.
const (
	CauseDeleted    = "deleted"    // the shop no longer has the record
	CauseAnonymised = "anonymised" // the shop replaced the e-mail
	CauseTombstone  = "tombstone"  // they had been erased before, and what came by of them again is no newer
)

// erasing is what an engine keeps of Erasure.
type erasing struct {
	patterns []string // folded
	merged   atomic.Bool
}

func newErasing(e Erasure) *erasing {
	var folded []string
	for _, p := range e.Anonymised {
		folded = append(folded, mapping.FoldEmail(p))
	}
	return &erasing{patterns: folded}
}

// anonymised reports whether an e-mail is one of somebody whom the shop anonymised.
func (r *run) anonymised(email string) bool {
	if len(r.cfg.erasing.patterns) == 0 {
		return false
	}
	email = mapping.FoldEmail(email)
	return slices.ContainsFunc(r.cfg.erasing.patterns, func(p string) bool { return like(p, email) })
}

// like reports whether s is as a pattern says, in which * stands for any characters and ?
// for one.
func like(pattern, s string) bool {
	p, text := []rune(pattern), []rune(s)
	star, back := -1, 0 // the last * and what it has swallowed
	i := 0
	for at := 0; at < len(text); {
		switch {
		case i < len(p) && p[i] == '*':
			star, back = i, at
			i++
		case i < len(p) && (p[i] == '?' || p[i] == text[at]):
			i++
			at++
		case star >= 0:
			back++
			i, at = star+1, back
		default:
			return false
		}
	}
	return strings.Trim(string(p[i:]), "*") == ""
}

// stoneOf is the tombstone's name of a profile's key: of a guest's it is that of the person.
func (r *run) stoneOf(key string) state.Hash {
	if website, person, ok := r.cfg.Mapping.GuestOf(key); ok {
		return stone(r.cfg.Persons, website, EmailHash(r.cfg.Persons, person))
	}
	return r.cfg.Persons.Sum("tombstone of a key", key)
}

// stones returns when the profiles with the given keys were erased, by key.
func (r *run) stones(ctx context.Context, keys []string) (map[string]time.Time, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	names := make([]state.Hash, len(keys))
	for i, key := range keys {
		names[i] = r.stoneOf(key)
	}
	found, err := r.cfg.Store.Tombstones(ctx, r.cfg.Pipeline, names)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	at := map[string]time.Time{}
	for i, key := range keys {
		if when, ok := found[names[i]]; ok {
			at[key] = when
		}
	}
	return at, nil
}

// covered reports whether a tombstone covers what the shop dates so.
func covered(stones map[string]time.Time, key string, dated time.Time) bool {
	at, ok := stones[key]
	return ok && !dated.After(at)
}

// erasable reports whether a row has yet to go the way of somebody who is gone: what was
// flagged only goes when the policy says more by now.
func (r *run) erasable(rec state.Record) bool {
	switch rec.State {
	case state.Missing, state.Removed:
		return false
	case state.Claimed: // an account goes by itself, a guest with the customer who they are
		_, account := r.cfg.Mapping.CustomerID(rec.Key)
		return account
	case state.Gone:
		return rec.CopernicaID != 0 && r.cfg.Erasure.Policy != EraseFlag
	default:
		return true
	}
}

// lose marks the rows of records that are to be erased.
func (r *run) lose(ctx context.Context, p *page, e state.Entity, keys []string) error {
	p.hold(r, keys...)
	rows, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, e, keys)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if rec, ok := rows[key]; ok && r.erasable(rec) {
			rec.State = state.Missing
			if r.cfg.Erasure.Policy == EraseFlag {
				rec.State = state.Gone
			}
			p.missing = append(p.missing, rec)
		}
	}
	return nil
}

// living leaves out the customers whom the shop anonymised, and those who were erased
// since they last changed.
func (r *run) living(ctx context.Context, p *page, items []magento.Item[magento.Customer]) ([]magento.Item[magento.Customer], error) {
	keys := make([]string, len(items))
	for i := range items {
		keys[i] = r.cfg.Mapping.CustomerKey(items[i].ID)
	}
	stones, err := r.stones(ctx, keys)
	if err != nil {
		return nil, err
	}
	p.recall(stones)
	var left []magento.Item[magento.Customer]
	var lost []string
	for i := range items {
		switch one := &items[i]; {
		case one.Err == nil && r.anonymised(one.Value.Email), covered(stones, keys[i], one.UpdatedAt):
			lost = append(lost, keys[i])
		default:
			left = append(left, *one)
		}
	}
	if len(lost) == 0 {
		return items, nil
	}
	return left, r.lose(ctx, p, state.Profile, lost)
}

// livingGuests leaves out the orders of guests whom the shop anonymised, and those that are
// older than their guest's erasure.
func (r *run) livingGuests(ctx context.Context, p *page, orders []*placed) ([]*placed, error) {
	var keys []string
	for _, o := range orders {
		if o.Owner.Guest != nil && o.Owner.Key != "" {
			keys = append(keys, r.gravesOf(o)...)
		}
	}
	stones, err := r.stonesOfPeople(ctx, keys)
	if err != nil {
		return nil, err
	}
	p.recall(stones)
	return r.leaveErased(ctx, p, orders, func(o *placed) bool { return r.erasedGuest(o, stones) })
}

// stonesOfPeople returns when the profiles with the given keys were erased, without those of
// guests who are not the customer that was erased.
func (r *run) stonesOfPeople(ctx context.Context, keys []string) (map[string]time.Time, error) {
	stones, err := r.stones(ctx, keys)
	if err != nil || len(stones) == 0 {
		return nil, err
	}
	guests, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, slices.Collect(maps.Keys(stones)))
	maps.DeleteFunc(stones, func(key string, _ time.Time) bool { return apart(guests[key]) })
	return stones, err
}

// erasedGuest reports whether an order is of a guest who is, or is to be, erased.
func (r *run) erasedGuest(o *placed, stones map[string]time.Time) bool {
	switch {
	case o.Owner.Guest == nil:
		return false
	case r.anonymised(o.Owner.Guest.Email):
		return true
	case o.Owner.Key == "" || len(stones) == 0:
		return false
	default:
		return slices.ContainsFunc(r.gravesOf(o), func(key string) bool { return covered(stones, key, o.created) })
	}
}

// recall notes tombstones of people of the page.
func (p *page) recall(stones map[string]time.Time) {
	if p.stones == nil {
		p.stones = map[string]time.Time{}
	}
	maps.Copy(p.stones, stones)
}

// outlived is a profile's row without what an erasure took away since, which only an older
// state still has: what is there may be emptied, and is nobody's.
func (p *page) outlived(rec state.Record) (state.Record, bool) {
	at, ok := p.stones[rec.Key]
	if !ok || rec.CopernicaID == 0 || rec.AcknowledgedAt.After(at) || rec.State == state.Claimed || rec.State == state.Gone {
		return rec, false
	}
	rec.State, rec.CopernicaID = state.Removed, 0
	return rec, true
}

// apart reports whether an operator said of a living guest that they are not the customer
// with their e-mail: that one's erasure is not theirs.
func apart(guest state.Record) bool {
	return guest.Parent != "" && guest.State != state.Claimed && guest.State != state.Missing && guest.State != state.Gone
}

// livingOwners leaves out the orders of customers that are older than their erasure.
func (r *run) livingOwners(ctx context.Context, p *page, orders []*placed) ([]*placed, error) {
	var keys []string
	for _, o := range orders {
		if o.guest == nil && o.Owner.Key != "" {
			keys = append(keys, o.Owner.Key)
		}
	}
	stones, err := r.stones(ctx, keys)
	if err != nil || len(stones) == 0 {
		return orders, err
	}
	p.recall(stones)
	return r.leaveErased(ctx, p, orders, func(o *placed) bool { return o.guest == nil && covered(stones, o.Owner.Key, o.created) })
}

func (r *run) leaveErased(ctx context.Context, p *page, orders []*placed, erased func(*placed) bool) ([]*placed, error) {
	var lost []string
	left := p.leave(orders, func(o *placed) bool {
		gone := erased(o)
		if gone {
			lost = append(lost, o.order.row.Key)
		}
		return gone
	})
	if len(lost) == 0 {
		return orders, nil
	}
	return left, r.lose(ctx, p, state.Order, lost)
}

// mergeTombstones takes up what is kept outside the state, and puts there what only the
// state has, as after the loss of a file: once in an engine's life. A rehearsal takes up
// alone.
func mergeTombstones(ctx context.Context, cfg *Config) error {
	graves := cfg.Erasure.Graves
	_, rehearsed := cfg.Store.(*script)
	if graves == nil || !rehearsed && cfg.erasing.merged.Load() {
		return nil
	}
	outside, err := graves.Stones(ctx)
	if err != nil {
		return err
	}
	missing := map[state.Hash]time.Time{} // from the state
	for _, s := range outside {
		missing[s.Person] = s.At
	}
	var lacking []state.Tombstone // outside
	for after := (state.Hash{}); ; {
		some, err := cfg.Store.TombstonesAfter(ctx, cfg.Pipeline, after, rowsAtOnce)
		if err != nil {
			return err
		}
		for _, s := range some {
			after = s.Person
			at, ok := missing[s.Person]
			if !ok || s.At.After(at) {
				lacking = append(lacking, s)
			}
			if ok && !at.After(s.At) {
				delete(missing, s.Person)
			}
		}
		if len(some) < rowsAtOnce {
			break
		}
	}
	var stones []state.Tombstone
	for person, at := range missing {
		stones = append(stones, state.Tombstone{Person: person, At: at})
	}
	for some := range slices.Chunk(stones, rowsAtOnce) {
		if err := cfg.Store.AddTombstones(ctx, cfg.Pipeline, some); err != nil {
			return err
		}
	}
	if rehearsed {
		return nil
	}
	if len(stones) > 0 {
		cfg.Log.Info("tombstones were taken up from the tombstone file", "persons", len(stones))
	}
	if err := graves.Bury(lacking); err != nil {
		return err
	}
	cfg.erasing.merged.Store(true)
	return nil
}
