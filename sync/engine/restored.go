package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
)

// A state that was restored from an older copy believes settled what both sides have changed
// since: the shop's opt-out equals the one that the copy knows, while Copernica shows the
// opt-in in between (promise 18). Nothing is ever due then. So a resync of [ConsentSweep]
// lists the profiles, a thousand a call, and holds what they show against the ledger, which
// is where the two disagree and nowhere else:
//
//   - a profile shows an opt-in while the ledger says that the shop's opt-out was settled:
//     the customer is read from the shop, and consent is decided as for the first time. So
//     an opt-in made in Copernica alone ends: nothing tells the two apart;
//   - a profile was changed since the ledger knows of it, and shows an opt-out that looks
//     like the one settled before, while the shop says subscribed: who came first is not
//     known, and the opt-out wins. It is nobody's own word any more, and goes to the shop.
//
// The census asks for it when it finds an older copy; who restores one does so at once.

// askForConsent requests a resync of consent, unless one is open.
func (r *run) askForConsent(ctx context.Context) error {
	open, err := (&Engine{cfg: *r.cfg}).Resyncs(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(open, func(q state.Resync) bool { return q.Stream == ConsentSweep })
	if i < 0 {
		q := state.Resync{Pipeline: r.cfg.Pipeline, Stream: ConsentSweep}
		if q.ID, err = r.cfg.Store.AddResync(ctx, q); err != nil {
			return err
		}
		open, i = []state.Resync{q}, 0
	}
	r.cfg.Log.Warn("Copernica holds rows of this shop that the state does not know, beside those that it knows: it is an older copy. "+
		"Each is looked up before its first write, and a resync holds consent against what Copernica shows, once; syncd resync --list has it",
		"resync", open[i].ID, "stream", ConsentSweep)
	return nil
}

// compareConsent goes on with a resync of consent from its place, an id in Copernica.
func (r *run) compareConsent(ctx context.Context, cp state.Checkpoint) (reached bool, err error) {
	if err := r.writer.open(ctx); err != nil {
		return false, err
	}
	// Who asks for this says that the state is an older copy.
	if !r.writer.adopting && r.rehearsal == nil {
		if _, err := r.cfg.Store.Commit(ctx, r.tenure.current(), state.Commit{Adopting: true}); err != nil {
			return false, err
		}
	}
	over, err := r.cfg.Store.Overview(ctx, r.cfg.Pipeline)
	if err != nil {
		return false, err
	}
	for _, n := range over.Records[state.Profile] {
		r.total.Add(n)
	}
	read := 0
	for people, err := range r.writer.db.All(ctx, cp.Position.ID) {
		if err != nil {
			return false, err
		}
		if len(people) == 0 {
			continue
		}
		switch err := r.wanted(ctx); {
		case errors.Is(err, errSpent):
			return false, nil
		case err != nil:
			return false, err
		}
		if err := r.comparePage(ctx, people); err != nil {
			return false, err
		}
		cp.Position.ID = people[len(people)-1].ID
		if err := r.keep(ctx, &cp); err != nil {
			return false, err
		}
		read += len(people)
		r.row.Counters.Read += int64(len(people))
		r.cfg.Progress(Progress{Stream: r.stream, Read: r.row.Counters.Read, Total: max(r.total.Load(), r.row.Counters.Read), Counts: r.row.Counters})
		if r.halting() || r.spent(read) {
			return false, nil
		}
	}
	r.cfg.TestHook(PointLastPage)
	return true, r.close(ctx, cp)
}

// comparePage settles anew what some profiles show otherwise than the ledger believes.
func (r *run) comparePage(ctx context.Context, people []copernica.Profile) error {
	var keys []string
	for _, p := range people {
		if key := p.Fields[r.cfg.Mapping.KeyField()]; strings.HasPrefix(key, r.cfg.Mapping.ProfilePrefix()) {
			keys = append(keys, key)
		}
	}
	known, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, keys)
	if err != nil {
		return err
	}
	words := r.cfg.Mapping.Consent()
	out := hashConsent(r.hasher, words.Out)
	var anew, alike []state.Record
	for _, p := range people {
		rec, ok := known[p.Fields[r.cfg.Mapping.KeyField()]]
		if !ok || rec.CopernicaID != p.ID || !settledRow(rec) || rec.ConsentSource.IsZero() {
			continue // its first write, or its next, looks
		}
		switch shown := p.Fields[r.writer.consent]; {
		case shown == words.In && rec.ConsentSource == out:
			rec.ConsentSource, rec.Refused = state.Hash{}, state.Hash{}
			anew = append(anew, rec)
		case words.OptedOut(shown) && ownWord(&rec, hashConsent(r.hasher, shown)) && p.ModifiedAt().After(lastKnown(rec)):
			alike = append(alike, rec)
		}
	}
	if alike, err = r.subscribedInTheShop(ctx, alike); err != nil {
		return err
	}
	for i := range alike {
		alike[i].ConsentWritten, alike[i].Sent = state.Hash{}, state.Hash{}
	}
	if len(alike) > 0 && r.rehearsal == nil {
		if err := r.keepRows(ctx, alike...); err != nil {
			return err
		}
	}
	if len(anew) == 0 {
		return nil
	}
	return r.mend(ctx, anew)
}

// lastKnown is when the ledger last heard of a profile, by whichever side.
func lastKnown(rec state.Record) time.Time {
	if rec.UnsubscribedAt.After(rec.AcknowledgedAt) {
		return rec.UnsubscribedAt
	}
	return rec.AcknowledgedAt
}

// subscribedInTheShop returns those of some customers' rows whose customers the shop says
// are subscribed.
func (r *run) subscribedInTheShop(ctx context.Context, rows []state.Record) ([]state.Record, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	items, _, err := r.rereadCustomers(ctx, sourcesOf(rows))
	return slices.DeleteFunc(rows, func(rec state.Record) bool {
		return !slices.ContainsFunc(items, func(c magento.Item[magento.Customer]) bool {
			return c.ID == rec.SourceID && c.Err == nil && c.Value.Subscribed
		})
	}), err
}
