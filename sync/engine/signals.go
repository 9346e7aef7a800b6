package engine

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
)

// A partial shipment leaves its order's updated_at where it was, and so does whatever else
// a module writes into an order's lines alone (promise 4). The shop's lists of invoices,
// shipments and credit memos have times of their own, and a row of theirs costs the shop a
// fraction of an order: a run over the orders that is in step looks there for documents
// that are new or changed, and reads the orders that they name once more. Where nothing
// happened that is one cheap call a list; the sweep over the orders finds whatever no
// document tells.
//
// A look has a checkpoint of its own and keeps the promises of a pass: a closed horizon,
// which is the one the orders have reached, an overlap, and an exact place when it is cut
// short. It begins at the horizon of the orders' first pass, which had everything before.
//
// The lists are a shortcut. A shop that does not give one, or fails over it, is told of
// once and asked again some hours later; the orders go on without it.
//
// Order lines tell nothing that is worth a walk of its own. Their ids rise with no order's,
// since a line may be added later, and an order may have none, so that a list of them shows
// neither which orders an interval has nor that one is gone; what became of an order
// (its address, a comment) stands in no line, so that it has to be read whole anyway; and
// sales_order_item has no index on updated_at. At 1.5 ms a line, two or three lines an
// order, the walk would add a fifth to each round of the sweep and spare nothing of it.

// signal is a list of documents that tell which orders changed.
type signal struct {
	stream string // the name of its checkpoint
	kind   magento.DocumentKind
	tells  []string // what of an order such a document changes, as the shop's paths
}

func signals() []signal {
	return []signal{
		{"orders/invoices", magento.Invoices, []string{"items.qty_invoiced", "total_paid", "total_due", "state", "status"}},
		{"orders/shipments", magento.Shipments, []string{"items.qty_shipped", "state", "status"}},
		{"orders/creditmemos", magento.CreditMemos, []string{"items.qty_refunded", "total_refunded", "total_paid", "total_due", "state", "status"}},
	}
}

const (
	// ordersAtOnce is how many orders are asked for by their ids in one call: a page of
	// them, and an address of 2 KB at most.
	ordersAtOnce = 100
	// signalRest is how long a list that the shop does not give is left alone.
	signalRest = 6 * time.Hour
)

// inStep makes the stream's pass, and then looks at what documents tell of orders.
func (r *run) inStep(ctx context.Context) error {
	if r.kind != Orders {
		return r.pass(ctx)
	}
	heeded, err := r.heed(ctx)
	if err != nil {
		return err
	}
	if err := r.pass(ctx); err != nil || r.row.Outcome != state.Done || len(heeded) == 0 {
		return err
	}
	return r.look(ctx, heeded)
}

// heed lists the signals to look at after the pass. One that was never looked at begins at
// the horizon that the orders have before this pass moves it, in the state, so that
// nothing falls between the two when the process dies. Before the first pass is finished
// there is none.
func (r *run) heed(ctx context.Context) ([]signal, error) {
	orders, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, Orders)
	if err != nil || orders.Horizon.IsZero() {
		return nil, err
	}
	var heeded []signal
	paths := r.cfg.Mapping.OrderPaths()
	for _, s := range signals() {
		if !slices.ContainsFunc(s.tells, func(path string) bool { return slices.Contains(paths, path) }) {
			continue
		}
		cp, err := r.place(ctx, s)
		if err != nil {
			return nil, err
		}
		if cp.Horizon.IsZero() && cp.Target.IsZero() {
			cp.Horizon = orders.Horizon
			if _, err := r.cfg.Store.Commit(ctx, r.tenure.current(), state.Commit{Checkpoint: &cp}); err != nil {
				return nil, err
			}
		}
		left, err := r.cfg.Store.Mark(ctx, r.leftMark(s))
		if err != nil {
			return nil, err
		}
		if r.cfg.Now().Before(left.Add(signalRest)) {
			continue
		}
		heeded = append(heeded, s)
	}
	r.cfg.TestHook(PointHeeded)
	// An order that is named has its customer's profile, or waits for it, which only
	// the pass itself can.
	customers, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, Customers)
	if err != nil || customers.Horizon.IsZero() || len(heeded) == 0 {
		return nil, err
	}
	r.heard = map[int64]bool{}
	return heeded, nil
}

func (r *run) place(ctx context.Context, s signal) (state.Checkpoint, error) {
	cp, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, s.stream)
	cp.Pipeline, cp.Stream = r.cfg.Pipeline, s.stream
	return cp, err
}

// leftMark names the mark of when a signal was left out; zero: it is heeded.
func (r *run) leftMark(s signal) string { return r.cfg.Pipeline + "/" + s.stream + "/left out" }

// look goes through the lists up to the horizon of the orders, the one that is furthest
// behind first, so that a small budget keeps none of them back for ever.
func (r *run) look(ctx context.Context, heeded []signal) error {
	orders, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, Orders)
	if err != nil {
		return err
	}
	places := map[string]state.Checkpoint{}
	for _, s := range heeded {
		if places[s.stream], err = r.place(ctx, s); err != nil {
			return err
		}
	}
	slices.SortStableFunc(heeded, func(a, b signal) int {
		return places[a.stream].Horizon.Compare(places[b.stream].Horizon)
	})
	before := r.row.Counters.Read
	for i, s := range heeded {
		reached, err := r.lookAt(ctx, s, places[s.stream], orders.Horizon)
		if err != nil {
			return err
		}
		if !reached || i < len(heeded)-1 && (r.halting() || r.spent(int(r.row.Counters.Read))) {
			r.row.Outcome = state.Paused
			break
		}
	}
	if r.row.Counters.Read == before {
		return nil
	}
	return r.pending(ctx)
}

// lookAt goes through one list from its place, and reports whether it came to the end.
func (r *run) lookAt(ctx context.Context, s signal, cp state.Checkpoint, horizon time.Time) (bool, error) {
	if cp.Target.IsZero() {
		if !horizon.After(cp.Horizon) {
			return true, nil // the shop's clock went back: see pass
		}
		cp.From, cp.Target = cp.Horizon.Add(-r.cfg.Overlap), horizon
	}
	r.signal = &s
	reached, err := r.walk(ctx, cp)
	r.signal = nil
	said, ofList := errors.AsType[*listError](err)
	switch {
	case err == nil:
		return reached, r.takeUp(ctx, s)
	case !ofList:
		return false, err
	case !magento.Withheld(said.err) && !magento.Broken(said.err):
		return false, err
	}
	// A token that has ended reads like a right that is missing, and a shop that is down
	// may fail over anything: neither is a matter of this list.
	if _, err := r.cfg.Shop.Clock(ctx); err != nil {
		return false, err
	}
	if magento.Withheld(said.err) {
		// Nothing is caught up with later: the sweep has what comes until the list is given.
		if cp, err = r.place(ctx, s); err != nil {
			return false, err
		}
		cp.Target = horizon
		if err := r.close(ctx, cp); err != nil {
			return false, err
		}
	}
	return true, r.leaveOut(ctx, s, said.err)
}

// leaveOut has a list left alone for a while, and tells why the first time.
func (r *run) leaveOut(ctx context.Context, s signal, why error) error {
	left, err := r.cfg.Store.Mark(ctx, r.leftMark(s))
	if err != nil {
		return err
	}
	if left.IsZero() {
		r.cfg.Log.Warn("the shop does not give a list that tells of changed orders: the sweep over the orders finds them later",
			"list", s.kind, "again_in", signalRest, "error", why)
	}
	return r.cfg.Store.SetMark(ctx, r.leftMark(s), r.cfg.Now())
}

// takeUp notes that the shop gave a list that was left out.
func (r *run) takeUp(ctx context.Context, s signal) error {
	left, err := r.cfg.Store.Mark(ctx, r.leftMark(s))
	if err != nil || left.IsZero() {
		return err
	}
	r.cfg.Log.Info("the shop gives a list again that tells of changed orders", "list", s.kind)
	return r.cfg.Store.SetMark(ctx, r.leftMark(s), time.Time{})
}

// listError is what a list of documents failed with, as opposed to what was made of it.
type listError struct{ err error }

func (e *listError) Error() string { return e.err.Error() }
func (e *listError) Unwrap() error { return e.err }

// hopeless reports whether the client has searched a list in vain for what the shop fails
// over: to ask again at once would only count against the shop.
func hopeless(err error) bool {
	said, ok := errors.AsType[*listError](err)
	return ok && magento.Broken(said.err)
}

// told walks the documents of the signal that is looked at.
func (r *run) told(ctx context.Context, q magento.Query) iter.Seq2[*batch, error] {
	documents := r.cfg.Shop.Documents(ctx, magento.DocumentQuery{Kind: r.signal.kind, From: q.From, After: q.After, Before: q.Before})
	return func(yield func(*batch, error) bool) {
		for got, err := range documents {
			if err != nil {
				yield(nil, &listError{err})
				return
			}
			b := &batch{next: got.Next, last: got.Last}
			b.prepare = func(ctx context.Context, p *page) error {
				items, err := r.named(ctx, got.Items)
				if err != nil {
					return err
				}
				b.read, p.read = len(items), len(items)
				return r.prepareOrders(ctx, p, items)
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

// named reads the orders that documents name, but for those that this run has read: it
// did so after the horizon up to which it looks.
func (r *run) named(ctx context.Context, documents []magento.Item[magento.Document]) ([]magento.Item[magento.Order], error) {
	var ids []int64
	for _, d := range documents {
		if d.Err != nil {
			r.cfg.Log.Warn("a document does not tell its order, which the sweep over the orders reads later", "list", r.signal.kind, "error", d.Err)
			continue
		}
		if !r.heard[d.Value.OrderID] && !slices.Contains(ids, d.Value.OrderID) {
			ids = append(ids, d.Value.OrderID)
		}
	}
	items, err := r.ordersOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		r.heard[id] = true
	}
	if len(items) > 0 {
		r.cfg.TestHook(PointTold)
	}
	return items, nil
}

// ordersOf reads orders by their ids, in pages, which cost the shop a sixth of what as many
// single reads do (magento-rest.md). Those that it does not have are left out.
func (r *run) ordersOf(ctx context.Context, ids []int64) (items []magento.Item[magento.Order], err error) {
	for some := range slices.Chunk(ids, ordersAtOnce) {
		for got, err := range r.cfg.Shop.OrdersOf(ctx, some, r.cfg.Mapping.OrderPaths()) {
			if err != nil {
				return nil, err
			}
			items = append(items, got.Items...)
		}
	}
	return items, nil
}

// hear notes the orders of a page that this run has read, where documents will name them.
func (r *run) hear(items []magento.Item[magento.Order]) {
	if r.heard == nil {
		return
	}
	for i := range items {
		r.heard[items[i].ID] = true
	}
}
