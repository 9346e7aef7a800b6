package engine_test

import (
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// streamsBack are the checkpoints of the way back.
func streamsBack() []string {
	all := []string{engine.Unsubscribes}
	for _, list := range copernica.UnsubscribeLists() {
		all = append(all, engine.Unsubscribes+"/"+string(list))
	}
	return all
}

// optOutEverywhere has three people opt out in Copernica: in a profile and by a click in a
// mailing of either program.
func (w *world) optOutEverywhere(ids []int64) {
	w.t.Helper()
	check(w, w.account.EditProfile(w.profile(ids[0]).ID, map[string]string{ours: elsewhere}))
	w.click(ids[1], copernicatest.Publisher)
	w.click(ids[2], copernicatest.MarketingSuite)
}

// A machine whose clock is a day ahead for one look misses nothing that comes after it: a
// look ends where Copernica's clock is.
func TestPromise18_AClockThatRanAheadHidesNoOptOut(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30}, func(t *testing.T, w *world) {
		w.behaves("nothing")
		ids := w.subscribers(3)
		w.skew = 24 * time.Hour
		w.writeBack()
		w.skew = 0
		for _, stream := range streamsBack() {
			if at := w.checkpointOf(stream).Horizon; at.After(time.Now()) {
				t.Errorf("%s got to %s, in the future", stream, at)
			}
		}
		w.optOutEverywhere(ids)
		time.Sleep(5 * time.Hour) // beyond what is read again
		w.writeBack()
		for _, id := range ids {
			w.isOut(id)
		}
	})
}

// Nor does an account whose clock is behind, or ahead, of this machine's.
func TestPromise18_CopernicasClockIsNotOurs(t *testing.T) {
	for name, skew := range map[string]time.Duration{"behind": -6 * time.Hour, "ahead": 6 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30}, func(t *testing.T, w *world) {
				w.ahead = skew
				w.behaves("nothing")
				ids := w.subscribers(3)
				for range 4 {
					time.Sleep(time.Hour)
					w.writeBack()
				}
				w.optOutEverywhere(ids)
				w.settle()
				if n := w.writeBack().Counters.OptOutsReturned; n != 3 {
					t.Errorf("%d opt-outs returned", n)
				}
				for _, id := range ids {
					w.isOut(id)
				}
				if n := w.writeBack().Counters.OptOutsReturned; n != 0 {
					t.Errorf("%d are events again", n)
				}
			})
		})
	}
}

// A place that lies in the future, as older versions kept it, is not begun at: all that it
// may have hidden is looked at, and the look is due at once.
func TestPromise18_APlaceInTheFutureIsNotBegunAt(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30}, func(t *testing.T, w *world) {
		w.behaves("nothing")
		ids := w.subscribers(4)
		w.click(ids[3], copernicatest.Publisher)
		w.settle()
		w.writeBack()
		subscribe(w, ids[3], magentotest.Subscribed) // and comes back
		w.settle()
		w.run()
		w.optOutEverywhere(ids[:3])
		time.Sleep(5 * time.Hour)
		for _, stream := range streamsBack() {
			w.moveTo(stream, time.Now().Add(24*time.Hour))
		}
		const period = 15 * time.Minute
		due, err := w.engine(nil).SweepDue(t.Context(), engine.Unsubscribes, period)
		if check(w, err); due.After(time.Now()) {
			t.Errorf("due in %s", time.Until(due))
		}
		if n := w.writeBack().Counters.OptOutsReturned; n != 3 {
			t.Errorf("%d opt-outs returned", n)
		}
		for _, id := range ids[:3] {
			w.isOut(id)
		}
		w.isIn("who came back before", ids[3])
		due, err = w.engine(nil).SweepDue(t.Context(), engine.Unsubscribes, period)
		if wait := time.Until(due); err != nil || wait <= 0 || wait > period {
			t.Errorf("after it: due in %s, %v", wait, err)
		}
	})
}

// moveTo has a stream's last look end at a time.
func (w *world) moveTo(stream string, horizon time.Time) {
	w.t.Helper()
	cp := w.checkpointOf(stream)
	cp.Horizon = horizon.UTC().Truncate(time.Second)
	lease, err := w.store.Acquire(w.t.Context(), "shop", "test", time.Minute)
	check(w, err)
	_, err = w.store.Commit(w.t.Context(), lease, state.Commit{Checkpoint: &cp})
	check(w, err)
	check(w, w.store.Release(w.t.Context(), lease))
}

// An opt-out that Copernica dates in the future hides nothing that the person does before
// that time.
func TestPromise18_AnOptOutDatedInTheFuture(t *testing.T) {
	for name, optOut := range map[string]func(*world, int64){
		"in a list": func(w *world, id int64) { w.click(id, copernicatest.Publisher) },
		"in a profile": func(w *world, id int64) {
			check(w, w.account.EditProfile(w.profile(id).ID, map[string]string{ours: elsewhere}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30}, func(t *testing.T, w *world) {
				w.behaves("nothing")
				id := w.subscribers(1)[0]
				w.ahead = 24 * time.Hour
				optOut(w, id)
				w.ahead = 0
				w.settle()
				w.writeBack()
				w.isOut(id)
				if at := w.record(state.Profile, w.mapping.CustomerKey(id)).UnsubscribedAt; at.IsZero() || at.After(time.Now()) {
					t.Errorf("clicks count from %s on", at)
				}
				subscribe(w, id, magentotest.Subscribed)
				w.settle()
				w.run()
				w.isIn("who came back", id)
				w.click(id, copernicatest.MarketingSuite)
				w.settle()
				w.writeBack()
				w.isOut(id)
			})
		})
	}
}

// A sweep that a clock put off, whichever way, is due within its period.
func TestASweepIsDueWithinItsPeriod(t *testing.T) {
	t.Parallel()
	const period = 24 * time.Hour
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	at := func(hours int) time.Time { return now.Add(time.Duration(hours) * time.Hour) }
	for name, tt := range map[string]struct {
		cp   state.Checkpoint
		want time.Time
	}{
		"never made":            {state.Checkpoint{}, time.Time{}.Add(period)},
		"made":                  {state.Checkpoint{Horizon: at(-2)}, at(22)},
		"made in the future":    {state.Checkpoint{Horizon: at(48)}, now},
		"under way":             {state.Checkpoint{Target: at(-2), Position: state.Position{UpdatedAt: at(3)}}, at(3)},
		"begun in the future":   {state.Checkpoint{Target: at(48), Position: state.Position{UpdatedAt: at(50)}}, now},
		"put off by days":       {state.Checkpoint{Target: at(-2), Position: state.Position{UpdatedAt: at(50)}}, now},
		"under way, long since": {state.Checkpoint{Target: at(-2), Position: state.Position{UpdatedAt: at(-1)}}, at(-1)},
	} {
		if got := engine.Due(tt.cp, period, now); !got.Equal(tt.want) {
			t.Errorf("%s: %s, not %s", name, got, tt.want)
		}
	}
}
