package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
)

// Sweeps find what moves no updated_at (promise 4): opt-outs on the storefront, address
// and attribute edits, renamed groups, deletions, and whatever a shop forgot to date.
// A sweep walks all records of a stream by id, round after round. Its checkpoint says
// where the round is, and in the time of its position when the next slice is due.
const (
	CustomersSweep = "customers/sweep"   // whole customers
	OrdersSweep    = "orders/sweep"      // whole orders
	ConsentSweep   = "customers/consent" // the newsletter state only, which is cheap
)

// Sweeps lists the sweeps.
func Sweeps() []string { return []string{ConsentSweep, CustomersSweep, OrdersSweep} }

// Sweep says how a sweep is made.
type Sweep struct {
	// Period is how long a round takes, spread evenly. Zero is now: all of it at once.
	Period time.Duration
	// Whole begins a round anew, wherever the one under way is.
	Whole bool
	// Budget bounds a slice that is behind its time; it ends after a page.
	Budget Budget
	// Accept is how many records an operator knows to be deleted in the shop. More than
	// that, and more than 20 and 0.5 % of all, stop the sweep (promise 19).
	Accept int64
}

// SweepDue says when the next slice of a sweep is due; in the past: now.
func (e *Engine) SweepDue(ctx context.Context, sweep string, period time.Duration) (time.Time, error) {
	cp, err := e.cfg.Store.Checkpoint(ctx, e.cfg.Pipeline, sweep)
	if err != nil {
		return time.Time{}, err
	}
	return Due(cp, period, e.cfg.Now()), nil
}

// Sweep makes one slice of a round: what is due of it by now, or all of it. A round
// begins when the stream's own first pass is finished.
func (e *Engine) Sweep(ctx context.Context, sweep string, s Sweep) (Report, error) {
	kind := Customers
	switch sweep {
	case OrdersSweep:
		kind = Orders
	case CustomersSweep, ConsentSweep:
	default:
		return Report{Stream: sweep}, fmt.Errorf("unknown sweep %q: known are %s", sweep, Sweeps())
	}
	if err := knownStream(kind, e.cfg.Mapping); err != nil {
		return Report{Stream: sweep}, err
	}
	return e.within(s.Budget).hold(ctx, sweep, kind, func(r *run, ctx context.Context) error {
		r.sweep = &s
		return r.round(ctx)
	})
}

// within is an engine whose runs have a budget; of zero: their own.
func (e *Engine) within(b Budget) *Engine {
	bounded := &Engine{cfg: e.cfg}
	if b != (Budget{}) {
		bounded.cfg.Budget = b
	}
	return bounded
}

// round goes on with a round, or begins one.
func (r *run) round(ctx context.Context) error {
	r.row.Outcome = state.Done
	live, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, r.kind)
	if err != nil || live.Horizon.IsZero() {
		return err // the first pass has everything still before it
	}
	if err := r.cfg.SameShop(ctx); err != nil {
		return err
	}
	cp, err := r.cfg.Store.Checkpoint(ctx, r.cfg.Pipeline, r.stream)
	if err != nil {
		return err
	}
	cp.Pipeline, cp.Stream = r.cfg.Pipeline, r.stream
	if cp.Target.IsZero() || r.sweep.Whole {
		cp.Target, cp.Position = r.cfg.Now().UTC().Truncate(time.Second), state.Position{}
	}
	whole, err := r.walk(ctx, cp)
	if err != nil {
		return err
	}
	if !whole {
		r.row.Outcome = state.Paused
		return nil
	}
	if r.rehearsal != nil {
		return nil
	}
	return r.bury(ctx)
}

// sweepBatches walks the sweep's listing in the shop.
func (r *run) sweepBatches(ctx context.Context, began time.Time, at magento.Cursor) iter.Seq2[*batch, error] {
	q := magento.IDQuery{After: at.ID, Fields: r.cfg.Mapping.Paths()}
	if at.UpdatedAt.IsZero() {
		at.UpdatedAt = began
	}
	switch r.stream {
	case OrdersSweep:
		q.Fields = r.cfg.Mapping.OrderPaths()
		return swept(r, r.cfg.Shop.OrdersByID(ctx, q), at, began, state.Order, r.prepareOrders)
	case ConsentSweep:
		q.Fields = []string{"website_id", "extension_attributes.is_subscribed"}
		return swept(r, r.cfg.Shop.CustomersByID(ctx, q), at, began, state.Profile, r.prepareConsent)
	default:
		return swept(r, r.cfg.Shop.CustomersByID(ctx, q), at, began, state.Profile, r.prepareCustomers)
	}
}

// swept makes batches of a listing by id. Each also looks for ledger rows whose record
// the listing leaves out between the page before and itself.
func swept[T any](
	r *run, pages iter.Seq2[*magento.Page[T], error], at magento.Cursor, began time.Time, e state.Entity,
	prepare func(context.Context, *page, []magento.Item[T]) error,
) iter.Seq2[*batch, error] {
	return func(yield func(*batch, error) bool) {
		for got, err := range pages {
			if err != nil {
				yield(nil, err)
				return
			}
			from, upto := at.ID, got.Next.ID
			at = magento.Cursor{UpdatedAt: r.due(began, at.UpdatedAt, len(got.Items), got.Total), ID: upto}
			if got.Last {
				upto = math.MaxInt64
			}
			b := &batch{next: at, last: got.Last, total: got.Total, read: len(got.Items)}
			b.prepare = func(ctx context.Context, p *page) error {
				ids := make([]int64, len(got.Items))
				for i := range got.Items {
					ids[i] = got.Items[i].ID
				}
				if err := r.missing(ctx, p, e, from, upto, ids); err != nil {
					return err
				}
				return prepare(ctx, p, got.Items)
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

// due says when a round goes on after a page of read records, of the total that were
// left with it, so that what is left takes what is left of the period. The page itself
// was due at a time; one that is made late does not put off those after it.
func (r *run) due(began, page time.Time, read, total int) time.Time {
	left := began.Add(r.sweep.Period).Sub(page)
	if left <= 0 || total == 0 {
		return r.cfg.Now().UTC()
	}
	return page.Add(time.Duration(float64(left) * float64(read) / float64(max(total, read))))
}

// resting reports whether a sweep is ahead of its time after a page.
func (r *run) resting(next time.Time) bool {
	return r.sweep != nil && r.sweep.Period > 0 && next.After(r.cfg.Now())
}

// prepareConsent takes up the customers of a listing whose newsletter state is not the
// one that was last settled. A listing tells it by e-mail alone, so whoever shares theirs
// with another website is asked for singly first (promise 18), and each who changed is
// read whole.
func (r *run) prepareConsent(ctx context.Context, p *page, items []magento.Item[magento.Customer]) error {
	keys := make([]string, len(items))
	for i := range items {
		keys[i] = r.cfg.Mapping.CustomerKey(items[i].ID)
	}
	known, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, keys)
	if err != nil {
		return err
	}
	shared, err := r.sharedEmails(ctx, keys)
	if err != nil {
		return err
	}
	settled := func(i int) bool {
		rec, ok := known[keys[i]]
		return ok && (rec.CopernicaID != 0 || rec.State == state.Claimed)
	}
	if err := r.exactConsent(ctx, items, func(i int) bool { return settled(i) && shared[keys[i]] }); err != nil {
		return err
	}
	var changed []source
	for i := range items {
		rec := known[keys[i]]
		if settled(i) && items[i].Err == nil && rec.ConsentSource != r.consentOf(&items[i].Value) {
			changed = append(changed, source{rec.SourceID, rec.SourceUpdatedAt})
		}
	}
	people, _, err := r.rereadCustomers(ctx, changed)
	if err != nil {
		return err
	}
	p.singly = true
	return r.prepareCustomers(ctx, p, people)
}

// mostMissing is how many of so many records may be missing without an operator.
func mostMissing(all int64) int64 { return max(20, all/200) }

// missing finds the ledger rows between two ids whose record the shop did not list,
// and asks it about each: only its own 404 makes one missing. A list that leaves
// records out, and a shop that lost more than it should, stop the sweep with nothing
// believed (promise 19).
func (r *run) missing(ctx context.Context, p *page, e state.Entity, after, upto int64, listed []int64) error {
	var suspects []state.Record
	for {
		rows, err := r.cfg.Store.RecordsBetween(ctx, r.cfg.Pipeline, e, after, upto, rowsAtOnce)
		if err != nil {
			return err
		}
		for _, rec := range rows {
			after = rec.SourceID
			if r.cameBy(e, rec.Key) == r.kind && r.erasable(rec) && !slices.Contains(listed, rec.SourceID) {
				suspects = append(suspects, rec)
			}
		}
		if len(suspects) > 0 { // mostly there is none, and nothing to be counted
			if err := r.countMissing(ctx, e); err != nil {
				return err
			}
		}
		if len(rows) < rowsAtOnce || len(suspects) > 0 && int64(len(suspects)) > r.lost.limit {
			break
		}
	}
	if len(suspects) == 0 {
		return nil
	}
	already, limit := r.lost.already, r.lost.limit
	// One more than may be missing settles the question.
	asked := suspects[:min(int64(len(suspects)), max(limit-already, 0)+1)]
	r.cfg.TestHook(PointSuspecting)
	gone, err := r.absent(ctx, asked)
	if err != nil {
		return err
	}
	switch {
	case already+int64(len(gone)) > limit:
		return &MissingError{Stream: r.kind, Missing: already + int64(len(suspects)), Limit: limit}
	case len(asked)-len(gone) > int(mostMissing(0)):
		return errListing
	}
	r.lost.already += int64(len(gone))
	for _, rec := range gone {
		rec.State = state.Missing
		p.missing = append(p.missing, rec)
	}
	return nil
}

// losses is how many records of a round are missing, also by pages that are not
// committed yet, and how many may be.
type losses struct{ already, limit int64 }

// countMissing begins the count with what earlier slices of the round found.
func (r *run) countMissing(ctx context.Context, e state.Entity) error {
	if r.lost != nil {
		return nil
	}
	over, err := r.cfg.Store.Overview(ctx, r.cfg.Pipeline)
	if err != nil {
		return err
	}
	rows := over.Records[e]
	if e == state.Profile { // without the guests, whom the shop does not list
		if rows, err = r.cfg.Store.CountRecords(ctx, r.cfg.Pipeline, e, r.cfg.Mapping.KeyPrefix()); err != nil {
			return err
		}
	}
	r.lost = &losses{already: rows[state.Missing], limit: max(mostMissing(expected(rows)), r.sweep.Accept)}
	return nil
}

// expected is how many records the shop should have, by their ledger rows.
func expected(rows map[state.RecordState]int64) (n int64) {
	for as, count := range rows {
		if as != state.Gone && as != state.Removed {
			n += count
		}
	}
	return n
}

// rowsAtOnce bounds how much of the ledger a sweep reads at once.
const rowsAtOnce = 1000

// absent asks the shop about records one by one, and returns the rows of those that it
// does not have.
func (r *run) absent(ctx context.Context, rows []state.Record) ([]state.Record, error) {
	found := make([]bool, len(rows))
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(r.cfg.Reads)
	for i, rec := range rows {
		reads.Go(func() (err error) {
			if r.kind == Orders {
				_, err = r.cfg.Shop.Order(ctx, rec.SourceID, []string{"increment_id"})
			} else {
				_, err = r.cfg.Shop.Customer(ctx, rec.SourceID, []string{"website_id"})
			}
			switch {
			case errors.Is(err, magento.ErrNotFound):
				return nil
			case err == nil, refusal(err):
				found[i] = true
				return nil
			default:
				return err
			}
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	var gone []state.Record
	for i, rec := range rows {
		if !found[i] {
			gone = append(gone, rec)
		}
	}
	return gone, nil
}

// MissingError stops a sweep that finds more records missing in the shop than anybody
// would delete in passing.
type MissingError struct {
	Stream         string
	Missing, Limit int64
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("the shop no longer has %d or more of its %s, and more than %d are not taken for deleted without asking: "+
		"find out whether the shop shows everything it should; if they were deleted, run `syncd verify %s --repair --accept-deletions N` with a number that covers them, or without --repair to see them first",
		e.Missing, e.Stream, e.Limit, e.Stream)
}

// FaultClass makes it a matter for the operator.
func (e *MissingError) FaultClass() fault.Class { return fault.Configuration }

// errListing says that a listing cannot be believed.
var errListing = errors.New("the shop's list leaves out records that it has: the sweep begins its page again when it is due; look for a search index or a replica of the shop that lags behind")
