package main

import (
	"context"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// roundRuns is how far back the last round of a sweep is looked for, in runs of that sweep,
// and runsAtOnce how many of them are read at once: mostly all it takes.
const roundRuns, runsAtOnce = 2000, 50

// runsOf hands the runs of a sweep on, the newest first, until each has seen enough.
func runsOf(ctx context.Context, store state.Store, shop, sweep string, each func(state.Run) (more bool)) error {
	filter := state.RunFilter{Stream: sweep, Limit: runsAtOnce}
	for read := 0; read < roundRuns; read += runsAtOnce {
		runs, err := store.Runs(ctx, shop, filter)
		if err != nil {
			return err
		}
		for _, run := range runs {
			filter.Before = run.ID
			if !each(run) {
				return nil
			}
		}
		if len(runs) < runsAtOnce {
			break
		}
	}
	return nil
}

// consentPeriod is how long a round of the consent sweep takes: as long as asked for, or
// so long that it gets a tenth of the time, by what the last whole round cost.
func consentPeriod(ctx context.Context, store state.Store, cfg config.Config) (time.Duration, error) {
	var cost time.Duration
	rounds := 0
	err := runsOf(ctx, store, cfg.Shop, engine.ConsentSweep, func(run state.Run) bool {
		if run.Outcome == state.Done && run.Counters.Read > 0 {
			rounds++
		}
		if rounds == 1 && !run.Ended.IsZero() {
			cost += run.Ended.Sub(run.Started)
		}
		return rounds < 2
	})
	if err != nil {
		return 0, err
	}
	return max(time.Duration(cfg.Consent), (consentRest+1)*cost), nil
}

// rounds is what the runs of the sweeps tell of their rounds.
type rounds struct {
	consent time.Duration        // the true period of that for the newsletter
	ended   map[string]time.Time // when the last one was finished, by sweep, as far as it is known
}

func roundsOf(ctx context.Context, store state.Store, cfg config.Config) (r rounds, err error) {
	r.ended = map[string]time.Time{}
	if r.consent, err = consentPeriod(ctx, store, cfg); err != nil {
		return r, err
	}
	for _, name := range sweepsOf(cfg) {
		err := runsOf(ctx, store, cfg.Shop, name, func(run state.Run) bool {
			if run.Outcome == state.Done {
				r.ended[name] = run.Ended
			}
			return run.Outcome != state.Done
		})
		if err != nil {
			return r, err
		}
	}
	return r, nil
}
