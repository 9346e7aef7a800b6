package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// preview asks what would happen, while another process holds the pipeline, and checks
// that nothing happened.
func (w *world) preview(q engine.PreviewRequest) []engine.Preview {
	w.t.Helper()
	var held state.Lease
	if pipelines, err := w.store.Pipelines(w.t.Context()); err != nil {
		w.t.Fatal(err)
	} else if len(pipelines) > 0 {
		if held, err = w.store.Acquire(w.t.Context(), "shop", "somebody", time.Hour); err != nil {
			w.t.Fatal(err)
		}
		defer func() {
			if err := w.store.Release(w.t.Context(), held); err != nil {
				w.t.Error(err)
			}
		}()
	}
	before, writes := w.remains(), w.writes()
	all, err := w.engine(func(cfg *engine.Config) { cfg.Store = forbidden{w.store, w.t} }).Preview(w.t.Context(), q)
	if err != nil {
		w.t.Fatalf("preview: %v", err)
	}
	if diff := cmp.Diff(before, w.remains()); diff != "" {
		w.t.Errorf("a preview changed the state:\n%s", diff)
	}
	if made := w.writes() - writes; made != 0 {
		w.t.Errorf("a preview made %d writes", made)
	}
	return all
}

// forbidden is a store that may be read.
type forbidden struct {
	state.Store
	t testing.TB
}

func (f forbidden) no(what string) error {
	f.t.Errorf("a preview calls %s of the store", what)
	return errors.New("forbidden")
}

func (f forbidden) OpenPipeline(_ context.Context, p state.Pipeline) (state.Pipeline, error) {
	return p, f.no("OpenPipeline")
}

func (f forbidden) Acquire(context.Context, string, string, time.Duration) (state.Lease, error) {
	return state.Lease{}, f.no("Acquire")
}

func (f forbidden) Renew(_ context.Context, l state.Lease, _ time.Duration) (state.Lease, error) {
	return l, f.no("Renew")
}

func (f forbidden) Release(context.Context, state.Lease) error {
	return f.no("Release")
}

func (f forbidden) Plan(context.Context, state.Lease, []state.Record) error {
	return f.no("Plan")
}

func (f forbidden) StartRun(context.Context, state.Run) (int64, error) {
	return 0, f.no("StartRun")
}

func (f forbidden) SaveRun(context.Context, state.Run) error {
	return f.no("SaveRun")
}

func (f forbidden) SetMark(context.Context, string, time.Time) error {
	return f.no("SetMark")
}

func (f forbidden) Commit(context.Context, state.Lease, state.Commit) (state.Checkpoint, error) {
	return state.Checkpoint{}, f.no("Commit")
}

func (f forbidden) EndResync(context.Context, string, int64, state.ResyncState) error {
	return f.no("EndResync")
}

// remains is what a state shows of what was done to it.
func (w *world) remains() []any {
	w.t.Helper()
	o, err := w.store.Overview(w.t.Context(), "shop")
	if err != nil {
		w.t.Fatal(err)
	}
	o.Lease = nil
	runs, err := w.store.Runs(w.t.Context(), "shop", state.RunFilter{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	resyncs, err := w.store.Resyncs(w.t.Context(), "shop", state.ResyncFilter{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return []any{o, runs, resyncs, w.letters()}
}

// agrees compares a preview with the run that follows it. The calls are apart.
func (w *world) agrees(p engine.Preview, r engine.Report) {
	w.t.Helper()
	want, got := r.Counters, p.Counters
	want.SourceCalls, want.TargetCalls, got.SourceCalls, got.TargetCalls = 0, 0, 0, 0
	if diff := cmp.Diff(want, got); diff != "" || p.Waiting != r.Waiting {
		w.t.Errorf("%s: the run did another thing (-run +preview):\n%s", r.Stream, diff)
	}
}

func TestAPreviewAgreesWithTheRun(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 200, Orders: 300}, func(t *testing.T, w *world) {
		both := engine.PreviewRequest{Streams: engine.Streams(), Rows: 20}
		step := func(what string) {
			t.Helper()
			w.settle()
			all := w.preview(both)
			people := w.run()
			orders := w.runOrders()
			w.agrees(all[0], people)
			w.agrees(all[1], orders)
			for i, r := range []engine.Report{people, orders} {
				if calls := r.Counters.TargetCalls; all[i].Calls < calls-calls/50 || all[i].Calls > calls+calls/10+20 {
					t.Errorf("%s: %s took %d calls, %d were foreseen", what, r.Stream, calls, all[i].Calls)
				}
			}
		}
		step("from nothing")
		for i, c := range w.shop.Data().Customers[:20] {
			w.shop.Edit(c.ID, func(c *magentotest.Customer) { c.FirstName = fmt.Sprint("New ", i) })
		}
		w.shop.Edit(w.ids(25)[24], func(c *magentotest.Customer) { c.Email = "" }) // refused
		w.guestOrder("somebody@example.test", "Some")
		w.guestOrder("somebody@example.test", "Somebody")
		someone := w.shop.Create(magentotest.Customer{WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "N", LastName: "N", Email: "n@example.test"})
		w.order(someone, "one", "two")
		gone := w.shop.Data().Orders[slices.IndexFunc(w.shop.Data().Orders, func(o magentotest.Order) bool { return len(o.Lines) == 1 })]
		w.shop.EditOrder(gone.ID, func(o *magentotest.Order) { o.Lines = []magentotest.Line{line("another")} })
		step("after changes")
		step("with nothing to do")
	})
}

// Random changes, previewed and then run.
func TestPreviewsAgreeWithRunsInRandomHistories(t *testing.T) {
	n, seed := histories(15), firstSeed()
	t.Logf("SYNCD_TEST_SEED=%d repeats these histories", seed)
	for i := range n {
		t.Run(fmt.Sprint(seed+uint64(i)), func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 40, Orders: 60}, func(_ *testing.T, w *world) {
				w.pageSize = 15
				h := &history{world: w, random: rand.New(rand.NewPCG(seed+uint64(i), 0)), orders: true}
				for range 8 {
					for range h.random.IntN(12) {
						h.happen()
					}
					time.Sleep(time.Duration(60+h.random.IntN(90)) * time.Second)
					all := h.preview(engine.PreviewRequest{Streams: h.streams(), Rows: 10_000})
					h.agrees(all[0], h.run())
					h.agrees(all[1], h.runOrders())
				}
			})
		})
	}
}

// Guests who turn out to be customers are foreseen: the profile that only gets another key,
// and the orders that move (promise 17).
func TestPromise17_APreviewForeseesClaims(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20, Orders: 10}, func(t *testing.T, w *world) {
		waits := func(c *magentotest.Customer) { c.Confirmation = "0123456789abcdef" }
		var waiting []int64
		for i := range 3 {
			email := fmt.Sprintf("both.%d@example.test", i)
			waiting = append(waiting, w.register(email, waits))
			for range 4 {
				w.guestOrder(email, "Anna")
			}
			w.guestOrder(fmt.Sprintf("alone.%d@example.test", i), "Ben")
			w.guestOrder(fmt.Sprintf("alone.%d@example.test", i), "Ben")
		}
		w.both()
		w.settle()
		for i, id := range waiting {
			w.shop.Edit(id, func(c *magentotest.Customer) { c.Confirmation = "" })
			w.register(fmt.Sprintf("alone.%d@example.test", i), nil)
		}
		w.guestOrder("both.0@example.test", "Anna") // recognised by the orders
		w.settle()
		for _, rows := range []int{0, 50} {
			all := w.preview(engine.PreviewRequest{Streams: engine.Streams(), Rows: rows})
			if n := all[0].Counters; n.Claimed != 6 || n.Updated != 3 || n.Created != 3*2*4 || n.Removed != 3 {
				t.Errorf("%d rows compared: %+v", rows, n)
			}
			if rows == 0 {
				continue
			}
			people, orders := w.run(), w.runOrders()
			w.agrees(all[0], people)
			w.agrees(all[1], orders)
			for i, r := range []engine.Report{people, orders} {
				if calls := r.Counters.TargetCalls; all[i].Calls < calls-calls/20 || all[i].Calls > calls+calls/10+5 {
					t.Errorf("%s took %d calls, %d were foreseen", r.Stream, calls, all[i].Calls)
				}
			}
		}
		w.ordersInStep()
	})
}

// The first rows come with the names of the fields that would change.
func TestAPreviewNamesTheFieldsThatWouldChange(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 60, Orders: 20}, func(t *testing.T, w *world) {
		w.run()
		w.settle()
		ids := w.ids(3)
		w.shop.Edit(ids[0], func(c *magentotest.Customer) { c.FirstName, c.LastName = "New", "Name" })
		w.shop.Edit(ids[1], func(*magentotest.Customer) {})
		subscribe(w, ids[2], 1)
		w.settle()
		p := w.preview(engine.PreviewRequest{Streams: []string{engine.Customers}, Rows: 20})[0]
		if p.Counters.Updated != 1 && p.Counters.Updated != 2 || len(p.Rows) != int(p.Counters.Updated) {
			t.Fatalf("%+v", p)
		}
		row := p.Rows[slices.IndexFunc(p.Rows, func(r engine.PreviewRow) bool { return r.SourceID == ids[0] })]
		var names []string
		for _, side := range row.Fields {
			names = append(names, side.Field)
		}
		if diff := cmp.Diff([]string{"firstname", "lastname"}, names); diff != "" || row.Action != engine.PreviewUpdate || row.Fields[0].Mapped != "New" {
			t.Errorf("%+v:\n%s", row, diff)
		}
	})
}

// The time is that of the calls at the pace at which Copernica answered.
func TestAPreviewEstimatesTheTime(t *testing.T) {
	inWorld(t, 500, func(t *testing.T, w *world) {
		w.account.Faults().Add(emulator.Fault{Kind: emulator.Delay, Delay: 200 * time.Millisecond})
		p := w.preview(engine.PreviewRequest{Streams: []string{engine.Customers}, Rows: 20})[0]
		if took := w.run().Elapsed; p.Time < took/2 || p.Time > 2*took {
			t.Errorf("the run took %s, %s were foreseen", took, p.Time)
		}
	})
}

// A resync is previewed before it is stored; with a limit of records the rest is left
// to the shop's own count.
func TestAPreviewOfAResync(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 220, Orders: 60}, func(t *testing.T, w *world) {
		w.run()
		w.runOrders()
		w.settle()
		w.spoil()
		for name, q := range map[string]engine.ResyncRequest{
			"everything":   {Stream: engine.Customers},
			"forced":       {Stream: engine.Customers, Force: true},
			"forced by id": {Stream: engine.Customers, Force: true, IDs: append(w.ids(130), 999_999)},
			"orders":       {Stream: engine.Orders, Force: true},
			"nothing":      {Stream: engine.Orders, Since: time.Now()},
		} {
			r, err := w.engine(nil).NewResync(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			p := w.preview(engine.PreviewRequest{Resync: &r, Rows: 3})[0]
			stored := w.addResync(q)
			w.agrees(p, w.resync(stored.ID, engine.Budget{}))
			if q.Force && (len(p.Rows) != 3 || p.Calls < 60) {
				t.Errorf("%s: %+v", name, p)
			}
		}
		r, err := w.engine(nil).NewResync(t.Context(), engine.ResyncRequest{Stream: engine.Customers, Force: true})
		if err != nil {
			t.Fatal(err)
		}
		if p := w.preview(engine.PreviewRequest{Resync: &r, Records: 60})[0]; p.Counters.Read != 100 || p.Total != 220 {
			t.Errorf("of a part: %+v", p)
		}
	})
}
