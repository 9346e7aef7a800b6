package engine

import (
	"context"
	"slices"

	"github.com/magento-copernica/syncd/state"
)

// census finds out, once a run and before its first create, whether Copernica
// holds profiles with our keys that the ledger does not know: a state restored
// from an older copy, a new state for an old database. Such a profile may carry an
// opt-out, so each first write then looks before it carries consent.
//
// Ids only grow at Copernica and are never used again, so what the ledger does not
// know lies above its highest id; below it only when it was never clean, and that
// is remembered for good.
func (r *run) census(ctx context.Context) (adopting bool, err error) {
	if r.counted {
		return r.adopting, nil
	}
	pipeline, err := r.cfg.Store.OpenPipeline(ctx, state.Pipeline{Name: r.cfg.Pipeline})
	if err != nil {
		return false, err
	}
	if !pipeline.Adopting {
		highest, err := r.cfg.Store.HighestID(ctx, r.cfg.Pipeline, state.Profile)
		if err != nil {
			return false, err
		}
		if highest == 0 {
			r.tellOtherShops(ctx)
		}
		strange, err := r.strangers(ctx, highest)
		if err != nil {
			return false, err
		}
		if strange {
			r.cfg.Log.Warn("Copernica holds profiles of this shop that the state does not know; each is looked up before its first write")
			if _, err := r.cfg.Store.Commit(ctx, r.tenure.current(), state.Commit{Adopting: true}); err != nil {
				return false, err
			}
			pipeline.Adopting = true
		}
	}
	r.counted, r.adopting = true, pipeline.Adopting
	return r.adopting, nil
}

// strangers reports whether profiles with our keys and an id above highest exist
// that the ledger has no row for. Rows left planned by an unclean end are known.
func (r *run) strangers(ctx context.Context, highest int64) (bool, error) {
	keys, complete, err := r.writer.db.KeysAbove(ctx, r.writer.key, r.cfg.Mapping.ProfilePrefix(), highest)
	switch {
	case err != nil:
		return false, err
	case !complete:
		return true, nil
	case len(keys) == 0:
		return false, nil
	}
	known, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, keys)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(keys, func(k string) bool { _, ok := known[k]; return !ok }), nil
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
