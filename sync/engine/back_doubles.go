package engine

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/state"
)

// A person can have profiles with their key that are not the ledger's: doubles, which are
// never written to; and, while their record cannot be delivered, the one that is adopted
// when it can. Whoever opts out in one of those is out like anybody else (promise 18): in
// the shop, and in the profile that the ledger has. What it showed by then is kept with
// the double, so that it is no event again when they come back in the shop, and the
// shop's opt-in does not give way to it.

// double is a profile that is not the ledger's, and what it shows of consent.
func (r *run) double(p *copernica.Profile) state.Double {
	return state.Double{
		Entity: state.Profile, Key: p.Fields[r.cfg.Mapping.KeyField()], CopernicaID: p.ID, SeenAt: r.cfg.Now(),
		Consent: r.writer.hashConsent(p.Fields[r.writer.consent]),
	}
}

// takeBackOthers settles what profiles show that are not the ledger's. Whose own profile
// showed an opt-out as well is out by now.
func (r *run) takeBackOthers(
	ctx context.Context, others []copernica.Profile, known map[string]state.Record, whose map[string]string,
) (refused []string, err error) {
	var people []clicked
	place := map[string]int{} // in people
	var seen []state.Double   // that show no opt-out any more
	for i := range others {
		p, d := &others[i], r.double(&others[i])
		rec := known[cmp.Or(whose[d.Key], d.Key)]
		settled, err := settledDoubles(ctx, r.cfg, d.Key)
		if err != nil {
			return nil, err
		}
		out := r.cfg.Mapping.Consent().OptedOut(p.Fields[r.writer.consent])
		switch {
		case settled[p.ID] == d.Consent, usable(rec) == 0 && ownWord(&rec, d.Consent), rec.State == state.Claimed, rec.Key == "":
		case !out:
			if !settled[p.ID].IsZero() {
				seen = append(seen, d)
			}
		case !settledRow(rec) && rec.State != state.Removed:
			r.passedOver = true // of a customer who was the guest
		default:
			i, twice := place[rec.Key]
			if !twice {
				i = len(people)
				place[rec.Key] = i
				people = append(people, clicked{rec: rec, at: rec.UnsubscribedAt, source: OptOutInProfile})
			}
			people[i].at = laterOf(people[i].at, p.ModifiedAt())
			people[i].doubles = append(people[i].doubles, d)
		}
	}
	if len(seen) > 0 {
		if _, err := r.cfg.Store.Commit(ctx, r.tenure.current(), state.Commit{Doubles: seen}); err != nil {
			return nil, err
		}
	}
	return r.settleOptOuts(ctx, people)
}

// settledDoubles returns what the doubles of a profile showed when that was settled, by
// their ids.
func settledDoubles(ctx context.Context, cfg *Config, key string) (map[int64]state.Hash, error) {
	doubles, err := cfg.Store.Doubles(ctx, cfg.Pipeline, state.Profile, key)
	if err != nil {
		return nil, err
	}
	settled := make(map[int64]state.Hash, len(doubles))
	for _, d := range doubles {
		settled[d.CopernicaID] = d.Consent
	}
	return settled, nil
}

// doublesAmong finds those among profiles that have a key of this shop, by their ids, also
// ones that have gone since they were seen. Copernica is asked once about the others.
func (r *run) doublesAmong(ctx context.Context, profiles []int64) (map[int64][]state.Double, error) {
	profiles = slices.DeleteFunc(profiles, func(id int64) bool { _, strange := r.cfg.strange.Load(id); return strange })
	if len(profiles) == 0 {
		return nil, nil
	}
	live, err := r.writer.db.Among(ctx, profiles)
	if err != nil {
		return nil, err
	}
	found := map[int64][]state.Double{}
	for i := range live {
		if d := r.double(&live[i]); strings.HasPrefix(d.Key, r.cfg.Mapping.ProfilePrefix()) {
			found[d.CopernicaID] = []state.Double{d}
		}
	}
	for _, id := range profiles {
		if found[id] != nil {
			continue
		}
		gone, err := r.cfg.Store.DoublesByID(ctx, r.cfg.Pipeline, state.Profile, id)
		if err != nil {
			return nil, err
		}
		if found[id] = gone; len(gone) == 0 {
			delete(found, id)
			r.cfg.strange.Store(id, true)
		}
	}
	return found, nil
}

// early notes that an entry is about somebody whom a pass over the customers has yet to
// bring: it is looked at again.
func (r *run) early(ctx context.Context, doubles map[int64][]state.Double, rows map[string]state.Record) error {
	var unknown []string
	for _, some := range doubles {
		for _, d := range some {
			if _, known := rows[d.Key]; !known {
				unknown = append(unknown, d.Key)
			}
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	first, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, Customers)
	switch {
	case err != nil:
		return err
	case first.Horizon.IsZero():
		r.passedOver = true
		return nil
	default:
		_, err = r.yetToCome(ctx, unknown, first.Horizon)
		return err
	}
}

// laterOf returns the later of two times.
func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
