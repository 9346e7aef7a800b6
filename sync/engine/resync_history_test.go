package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// Random histories in which resyncs have turns between those of the live streams, each
// cut short anywhere: neither moves the other's checkpoint, nothing older goes over
// something newer, and in the end every resync has ended and both sides are equal.
func TestPromise22_RandomHistoriesWithResyncsEndInStep(t *testing.T) {
	n, seed := histories(25), firstSeed()
	t.Logf("SYNCD_TEST_SEED=%d repeats these histories", seed)
	for i := range n {
		t.Run(fmt.Sprint(seed+uint64(i)), func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 40, Orders: 60}, func(_ *testing.T, w *world) {
				w.pageSize = 10
				h := &resyncHistory{history{world: w, random: rand.New(rand.NewPCG(seed+uint64(i), 0)), orders: true}}
				h.play()
			})
		})
	}
}

type resyncHistory struct{ history }

func (h *resyncHistory) play() {
	for range 14 {
		for range 1 + h.random.IntN(6) {
			h.happen()
		}
		if h.random.IntN(3) == 0 {
			h.ask()
		}
		h.disturb()
		time.Sleep(time.Duration(h.random.IntN(90)) * time.Second)
		live := h.streamsAt()
		h.turn(live)
		h.account.Faults().Clear()
		h.shop.Faults().Clear()
	}
	for range 4 {
		time.Sleep(2 * time.Hour)
		report := h.run()
		h.kept += report.Counters.OptOutsKept
		h.runOrders()
		for {
			report, worked, err := h.engine(nil).ResyncNext(h.t.Context(), engine.Budget{})
			if err != nil {
				h.t.Fatalf("a resync in peace: %v", err)
			}
			h.kept += report.Counters.OptOutsKept
			if !worked {
				break
			}
		}
	}
	h.judge()
	if open, err := h.engine(nil).Resyncs(h.t.Context()); err != nil || len(open) > 0 {
		h.t.Errorf("resyncs left open: %v, %v", open, err)
	}
}

// ask requests a resync of something, or cancels one.
func (h *resyncHistory) ask() {
	open, err := h.engine(nil).Resyncs(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	if len(open) > 0 && h.random.IntN(3) == 0 {
		if err := h.store.EndResync(h.t.Context(), "shop", open[0].ID, state.ResyncCancelled); err != nil {
			h.t.Fatal(err)
		}
		return
	}
	q := engine.ResyncRequest{Stream: engine.Streams()[h.random.IntN(2)], Force: h.random.IntN(2) == 0}
	switch h.random.IntN(3) {
	case 0:
		for range 1 + h.random.IntN(30) {
			q.IDs = append(q.IDs, int64(1+h.random.IntN(80)))
		}
	case 1:
		q.Since = time.Now().Add(-time.Duration(h.random.IntN(1000)) * time.Hour)
		if h.random.IntN(2) == 0 {
			q.Until = q.Since.Add(time.Duration(1+h.random.IntN(2000)) * time.Hour)
		}
	}
	h.addResync(q)
}

// streamsAt reads the checkpoints of the live streams.
func (h *resyncHistory) streamsAt() map[string]state.Checkpoint {
	all := map[string]state.Checkpoint{}
	for _, stream := range engine.Streams() {
		all[stream] = h.checkpointOf(stream)
	}
	return all
}

// turn gives a live stream or a resync a turn, and may stop it anywhere.
func (h *resyncHistory) turn(live map[string]state.Checkpoint) {
	if h.random.IntN(2) == 0 {
		h.attempt()
		return
	}
	ctx, stop := context.WithCancel(h.t.Context())
	defer stop()
	points := engine.Points()
	point, visit := points[h.random.IntN(len(points))], int64(1+h.random.IntN(30))
	if h.random.IntN(2) == 0 {
		visit = -1 // not at all
	}
	var visits atomic.Int64
	report, _, err := h.engine(func(cfg *engine.Config) {
		cfg.TestHook = func(p engine.Point) {
			if p == point && visits.Add(1) == visit {
				stop()
			}
		}
	}).ResyncNext(ctx, engine.Budget{Records: 5 + h.random.IntN(60)})
	h.kept += report.Counters.OptOutsKept
	if err == nil && report.Outcome == state.Done && report.Counters.Unknown == 0 {
		h.nobodyResubscribed()
	}
	if diff := cmp.Diff(live, h.streamsAt()); diff != "" {
		h.t.Errorf("a resync moved a live checkpoint (%v):\n%s", errors.Unwrap(err), diff)
	}
}
