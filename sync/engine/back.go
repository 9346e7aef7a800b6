package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
)

// Unsubscribes is the one stream from Copernica to the shop: who opted out there is
// unsubscribed in the shop as well (promise 18). An opt-in in Copernica stays there.
//
// What was settled is not an event again: the ledger then says that the shop's consent
// is out and that the value in Copernica is the one we know, so the shop's answer to
// our own write changes nothing, and only an opt-in that the shop makes after it does.
// Opt-outs come from Copernica's dated lists of who unsubscribed, and from the profiles
// that changed: a click may leave no trace in the profile, a user who writes the field by
// hand none in the lists.
const Unsubscribes = "unsubscribes"

// OptOutInProfile is where an opt-out was made that the profile itself shows; of any other
// it is the list of Copernica's that told.
const OptOutInProfile = "profile"

// WriteBack takes the opt-outs that were made in Copernica since it last ran to the
// shop; the first time all that there are.
func (e *Engine) WriteBack(ctx context.Context) (Report, error) {
	return e.hold(ctx, Unsubscribes, Customers, (*run).writeBack)
}

func (r *run) writeBack(ctx context.Context) error {
	if err := r.cfg.SameShop(ctx); err != nil {
		return err
	}
	cp, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, r.stream)
	if err != nil {
		return err
	}
	if err := r.writer.open(ctx); err != nil {
		return err
	}
	began := r.lookFrom()
	if r.ahead(cp.Horizon) {
		r.tellAhead(Unsubscribes, cp.Horizon)
		cp.Horizon = time.Time{} // all profiles are looked at, as the first time
	}
	listed := r.readLists(ctx)
	if ctx.Err() != nil || isFenced(listed) {
		return listed
	}
	for people, err := range r.writer.db.Changed(ctx, cp.Horizon) {
		if err == nil {
			_, err = r.takeBack(ctx, people)
		}
		if err != nil {
			return errors.Join(listed, err)
		}
	}
	cp.Pipeline, cp.Stream = r.cfg.Pipeline, r.stream
	if !r.passedOver { // else the next look begins where this one did
		cp.Horizon = began
	}
	r.row.Outcome = state.Done
	_, err = r.cfg.Store.Commit(ctx, r.tenure.current(), state.Commit{Checkpoint: &cp})
	return errors.Join(listed, err)
}

// takeBack settles the opt-outs among some profiles. It returns the keys of those that it
// leaves: nobody can settle them yet, or the shop does not let them go.
func (r *run) takeBack(ctx context.Context, people []copernica.Profile) (left []string, err error) {
	keys := make([]string, 0, len(people))
	for _, p := range people {
		if key := p.Fields[r.cfg.Mapping.KeyField()]; key != "" {
			keys = append(keys, key)
		}
	}
	known, whose, err := r.behind(ctx, keys)
	if err != nil {
		return nil, err
	}
	first, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, Customers)
	if err != nil {
		return nil, err
	}
	var mine, others []copernica.Profile
	var unknown []string
	var optedIn []state.Record
	for _, p := range people {
		rec, ok := known[p.Fields[r.cfg.Mapping.KeyField()]]
		switch {
		case r.undecided(&p, rec, ok, first.Horizon.IsZero()):
			r.passedOver = true
			left = append(left, p.Fields[r.cfg.Mapping.KeyField()])
		case !ok:
			if r.cfg.Mapping.Consent().OptedOut(p.Fields[r.writer.consent]) {
				unknown = append(unknown, p.Fields[r.cfg.Mapping.KeyField()])
			}
		case rec.CopernicaID != p.ID:
			others = append(others, p)
		case settledRow(rec) && r.optedOut(&p, &rec):
			mine = append(mine, p)
		case settledRow(rec) && r.optedIn(&p, &rec):
			rec.ConsentWritten = r.writer.hashConsent(r.cfg.Mapping.Consent().In)
			known[rec.Key], optedIn = rec, append(optedIn, rec)
		}
	}
	if len(optedIn) > 0 {
		if err := r.keepRows(ctx, optedIn...); err != nil {
			return nil, err
		}
	}
	if unknown, err = r.yetToCome(ctx, unknown, first.Horizon); err != nil {
		return nil, err
	}
	left = append(left, unknown...)
	refused, err := r.takeBackOwn(ctx, mine, known)
	r.row.Counters.Read += int64(len(people))
	if err != nil {
		return nil, err
	}
	left = append(left, refused...)
	refused, err = r.takeBackOthers(ctx, others, known, whose)
	return append(left, refused...), err
}

// takeBackOwn settles what profiles of the ledger show.
func (r *run) takeBackOwn(ctx context.Context, people []copernica.Profile, known map[string]state.Record) (refused []string, err error) {
	var (
		mu     sync.Mutex
		commit = state.Commit{Run: &r.row}
		mended []string
		group  errgroup.Group
	)
	group.SetLimit(r.cfg.Reads)
	for _, p := range people {
		rec := known[p.Fields[r.cfg.Mapping.KeyField()]]
		group.Go(func() error {
			r.cfg.TestHook(PointReturning)
			seen, err := r.unsubscribe(ctx, &rec)
			r.cfg.TestHook(PointReturned)
			others := false
			if err == nil {
				others, err = r.unsubscribeOthers(ctx, &rec, p.Fields[r.cfg.Mapping.EmailField()])
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				r.noteOut(&rec, seen)
				rec.ConsentWritten = r.writer.hashConsent(p.Fields[r.writer.consent])
				// Who clicked before this look is settled by it, whenever a list tells.
				rec.UnsubscribedAt = laterOf(rec.UnsubscribedAt, r.noLater(p.ModifiedAt()))
				commit.Records = append(commit.Records, rec)
				commit.OptOuts = append(commit.OptOuts, state.OptOut{Key: rec.Key, Source: OptOutInProfile, At: p.ModifiedAt(), SettledAt: r.cfg.Now()})
				mended = append(mended, rec.Key)
				r.settled(seen || others)
			case refusal(err):
				commit.Letters = append(commit.Letters, r.refusedBack(&rec, err))
				refused = append(refused, rec.Key)
				r.row.Counters.Refused++
			default:
				return err
			}
			return nil
		})
	}
	failed := group.Wait()
	for _, rec := range commit.Records {
		known[rec.Key] = rec
	}
	r.count()
	saving, cancel := r.recording(ctx)
	defer cancel()
	_, err = r.cfg.Store.Commit(saving, r.tenure.current(), commit)
	if err == nil {
		err = r.closeLetters(saving, mended)
	}
	return refused, errors.Join(failed, err)
}

// undecided reports whether a profile shows an opt-out that nobody can settle yet: the
// ledger does not know its row while the customers' first pass is not finished, or has a
// write of it without an outcome.
func (r *run) undecided(p *copernica.Profile, rec state.Record, known, firstPass bool) bool {
	if !r.cfg.Mapping.Consent().OptedOut(p.Fields[r.writer.consent]) {
		return false
	}
	if !known {
		return firstPass && strings.HasPrefix(p.Fields[r.cfg.Mapping.KeyField()], r.cfg.Mapping.ProfilePrefix())
	}
	return unsettled(rec)
}

// yetToCome returns which profiles that the ledger does not know, by their keys, are of
// customers whom a stream has yet to bring, by its horizon or because the shop has them as
// subscribed: who opted out there is looked at again. A customer who changes while a lost
// state is made anew comes after the first pass, and may be subscribed by then.
func (r *run) yetToCome(ctx context.Context, keys []string, horizon time.Time) ([]string, error) {
	var people []state.Record
	for _, key := range keys {
		if id, ok := r.cfg.Mapping.CustomerID(key); ok {
			people = append(people, state.Record{Key: key, SourceID: id})
		}
	}
	if len(people) == 0 {
		return nil, nil
	}
	items, _, err := r.rereadCustomers(ctx, sourcesOf(people))
	var coming []string
	for _, c := range items {
		if c.Err == nil && (c.Value.Subscribed || !c.Value.UpdatedAt.Before(horizon.Add(-r.cfg.Overlap))) {
			coming = append(coming, r.cfg.Mapping.CustomerKey(c.ID))
		}
	}
	r.passedOver = r.passedOver || len(coming) > 0
	return coming, err
}

// settledRow reports whether the ledger knows what Copernica has of a profile.
func settledRow(rec state.Record) bool {
	return !unsettled(rec) && rec.State != state.Removed && rec.State != state.Claimed
}

// optedOut reports whether a profile shows an opt-out that is not settled yet: any
// value but the shop's word for subscribed, nothing, and what we know.
func (r *run) optedOut(p *copernica.Profile, rec *state.Record) bool {
	shown := p.Fields[r.writer.consent]
	return r.cfg.Mapping.Consent().OptedOut(shown) && !ownWord(rec, r.writer.hashConsent(shown))
}

// optedIn reports whether somebody opted in in Copernica since we last knew what the profile
// shows. It stays there, but the same opt-out as before is an event again.
func (r *run) optedIn(p *copernica.Profile, rec *state.Record) bool {
	in := r.cfg.Mapping.Consent().In
	return p.Fields[r.writer.consent] == in && !rec.ConsentWritten.IsZero() && rec.ConsentWritten != r.writer.hashConsent(in)
}

// unsubscribe has the shop say what Copernica says. A guest has no record in the shop,
// and a customer who was deleted no longer has one: inShop is false of them.
func (r *run) unsubscribe(ctx context.Context, rec *state.Record) (inShop bool, err error) {
	id, ok := r.cfg.Mapping.CustomerID(rec.Key)
	if !ok {
		return false, nil
	}
	err = r.cfg.Shop.Unsubscribe(ctx, id)
	if errors.Is(err, magento.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// settled counts an opt-out. Whoever has no record in the shop is counted apart: nothing
// was taken there.
func (r *run) settled(inShop bool) {
	r.row.Counters.OptOutsReturned++
	if !inShop {
		r.row.Counters.OptOutsWithoutRecord++
	}
}

// refusedBack is the dead letter of an opt-out that the shop does not take.
func (r *run) refusedBack(rec *state.Record, err error) state.DeadLetter {
	now := r.cfg.Now()
	return state.DeadLetter{
		Pipeline: r.cfg.Pipeline, Stream: Unsubscribes, Entity: state.Consent, Key: rec.Key, SourceID: rec.SourceID,
		Cause: "unsubscribe_refused", Message: problem(err), Fix: "unsubscribe the customer in Magento by hand, or mend what it refuses and replay the letter",
		RunID: r.row.ID, Attempts: 1, FirstSeen: now, LastSeen: now,
	}
}

// closeLetters resolves the letters of opt-outs that the shop has taken at last.
func (r *run) closeLetters(ctx context.Context, keys []string) error {
	for _, key := range keys {
		open, err := r.cfg.Store.Letters(ctx, r.cfg.Pipeline, state.LetterFilter{Entity: state.Consent, Keys: []string{key}, Open: true, Limit: 1})
		if err != nil {
			return err
		}
		for _, letter := range open {
			if err := r.cfg.Store.ResolveLetters(ctx, r.cfg.Pipeline, []int64{letter.ID}, "delivered"); err != nil && !errors.Is(err, state.ErrResolved) {
				return err
			}
		}
	}
	return nil
}

// returnAgain tries single opt-outs again, by their customers' ids.
func (r *run) returnAgain(ctx context.Context, ids []int64) error {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = r.cfg.Mapping.CustomerKey(id)
	}
	if err := r.writer.open(ctx); err != nil {
		return err
	}
	var people []copernica.Profile
	for _, key := range keys {
		call, cancel := r.writer.deadline(ctx)
		found, err := r.writer.db.Find(call, r.writer.key, key)
		cancel()
		if err != nil {
			return err
		}
		people = append(people, found...)
	}
	left, err := r.takeBack(ctx, people)
	if err != nil {
		return err
	}
	stay, err := r.outAgain(ctx)
	if err != nil {
		return err
	}
	left = append(left, stay...)
	// What is no opt-out any more, or of nobody any more, is done with.
	return r.closeLetters(ctx, slices.DeleteFunc(keys, func(key string) bool { return slices.Contains(left, key) }))
}
