package engine

import (
	"context"
	"slices"

	"github.com/magento-copernica/syncd/state"
)

// census finds out, once a run and before its first create of an entity, whether Copernica
// holds rows with our keys that the ledger does not know: a state restored from an older
// copy, a new state for an old database. Such a profile may carry an opt-out, and such an
// order may stand below another profile than its own, so each first write then looks before
// it writes. It is taken of profiles and of orders.
//
// Ids only grow at Copernica and are never used again, so what the ledger does not
// know lies above its highest id; below it only when it was never clean, and that
// is remembered for good.
func (r *run) census(ctx context.Context, e state.Entity) (adopting bool, err error) {
	if r.adopting || r.counted[e] {
		return r.adopting, nil
	}
	pipeline, err := r.cfg.Store.OpenPipeline(ctx, state.Pipeline{Name: r.cfg.Pipeline})
	if err != nil {
		return false, err
	}
	if !pipeline.Adopting {
		highest, err := r.cfg.Store.HighestID(ctx, r.cfg.Pipeline, e)
		if err != nil {
			return false, err
		}
		if highest == 0 && e == state.Profile {
			r.tellOtherShops(ctx)
		}
		if pipeline.Adopting, err = r.strangers(ctx, e, highest); err != nil {
			return false, err
		}
		if pipeline.Adopting {
			if err := r.adopt(ctx); err != nil {
				return false, err
			}
		}
	}
	r.counted[e], r.adopting = true, pipeline.Adopting
	return r.adopting, nil
}

// strangers reports whether rows with our keys and an id above highest exist that the
// ledger has no row for. Rows left planned by an unclean end are known.
func (r *run) strangers(ctx context.Context, e state.Entity, highest int64) (bool, error) {
	var keys []string
	var complete bool
	var err error
	if e == state.Profile {
		keys, complete, err = r.writer.db.KeysAbove(ctx, r.writer.key, r.cfg.Mapping.ProfilePrefix(), highest)
	} else {
		t := r.writer.below[e]
		keys, complete, err = t.rows.KeysAbove(ctx, t.key, r.cfg.Mapping.ProfilePrefix(), highest)
	}
	switch {
	case err != nil:
		return false, err
	case !complete:
		return true, nil
	case len(keys) == 0:
		return false, nil
	}
	known, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, e, keys)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(keys, func(k string) bool { _, ok := known[k]; return !ok }), nil
}

// adopt marks the pipeline. A state that knows other profiles is an older copy, and what it
// believes of consent may be as old: that is held against Copernica once.
func (r *run) adopt(ctx context.Context) error {
	known, err := r.cfg.Store.HighestID(ctx, r.cfg.Pipeline, state.Profile)
	if err != nil {
		return err
	}
	if known == 0 {
		r.cfg.Log.Warn("Copernica holds rows of this shop that the state does not know; each is looked up before its first write")
	} else if err := r.askForConsent(ctx); err != nil {
		return err
	}
	_, err = r.cfg.Store.Commit(ctx, r.tenure.current(), state.Commit{Adopting: true})
	return err
}

// tellOtherShops warns before the first write of all when profiles have keys of other
// shops' codes: under a wrong code each would be made a second time, and the code is
// fixed by then (promise 17). Several shops may share a database, so that is never
// refused, and not knowing it holds nothing up.
func (r *run) tellOtherShops(ctx context.Context) {
	keys, complete, err := r.writer.db.KeysBeside(ctx, r.writer.key, r.cfg.Mapping.ProfilePrefix())
	if err != nil {
		r.cfg.Log.Warn("whether Copernica holds profiles of other shop codes cannot be told", "error", err)
		return
	}
	if others := r.cfg.Mapping.OtherShops(keys, complete); !others.None() {
		r.cfg.Log.Warn("Copernica already holds profiles of another shop code: if they are this shop's, stop, and see docs/operations.md about a wrong shop code",
			"found", others.String(), "shop", r.cfg.Pipeline)
	}
}
