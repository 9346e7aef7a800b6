package engine

import (
	"context"
	"errors"
	"sync"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// page is what was read at once, on its way to one commit.
type page struct {
	position state.Position
	moves    bool // its commit moves the checkpoint
	again    bool // what was refused is tried again
	read     int
	intents  []*intent
	keys     []string
	emails   []state.Email

	outstanding sync.WaitGroup
}

// prepare turns items into intents: mapped, hashed, compared with the ledger and
// planned. When it returns, the store knows every key that is about to be sent.
func (r *run) prepare(ctx context.Context, p *page, items []magento.Item[magento.Customer]) error {
	if len(items) == 0 {
		return nil
	}
	if err := r.learn(ctx, items); err != nil {
		return err
	}
	if err := r.exactConsent(ctx, p, items); err != nil {
		return err
	}
	hasher := r.cfg.Store.Hasher()
	for i := range items {
		p.intents = append(p.intents, mapped(&items[i], r.cfg.Mapping, hasher, r.lookups))
	}
	for _, it := range p.intents {
		p.keys = append(p.keys, it.row.Key)
	}
	r.inflight.hold(p.keys)
	err := r.planPage(ctx, p)
	if err != nil {
		r.inflight.free(p.keys)
	}
	return err
}

// mapped maps and hashes one item.
func mapped(item *magento.Item[magento.Customer], m *mapping.Mapping, hasher state.Hasher, l *mapping.Lookups) *intent {
	if item.Err != nil {
		cause, _, _ := letter(item.Err)
		return &intent{
			row:     mapping.Row{Key: m.CustomerKey(item.ID), SourceID: item.ID, UpdatedAt: item.UpdatedAt},
			attempt: hasher.Sum("unreadable", cause, item.UpdatedAt.String()),
			problem: item.Err,
		}
	}
	row, problem := m.Customer(&item.Value, l)
	it := &intent{
		row: row, problem: problem,
		content: hasher.Sum("profile", row.Content()...),
		consent: hashConsent(hasher, row.ConsentValue()),
	}
	it.attempt = hasher.Sum("attempt", string(it.content[:]), string(it.consent[:]), item.UpdatedAt.String())
	return it
}

// planPage compares with the ledger, plans, and records the intent to write.
func (r *run) planPage(ctx context.Context, p *page) error {
	before, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, p.keys)
	if err != nil {
		return err
	}
	fresh, writes := false, false
	for _, it := range p.intents {
		it.before, it.known = before[it.row.Key]
		it.plan(facts{again: p.again})
		writes = writes || it.writes()
		fresh = fresh || it.action == create && !it.lookFirst
	}
	if !writes {
		return nil
	}
	if err := r.writer.open(ctx); err != nil {
		return err
	}
	r.cfg.TestHook(PointOpened)
	if fresh {
		adopting, err := r.census(ctx)
		if err != nil {
			return err
		}
		for _, it := range p.intents {
			it.plan(facts{adopting: adopting, again: p.again})
		}
	}
	r.cfg.TestHook(PointPlanning)
	now := r.cfg.Now()
	var planned []state.Record
	for _, it := range p.intents {
		if !it.writes() {
			continue
		}
		rec := r.dated(it.record(state.Planned))
		// A key left planned by an unclean end keeps its own time: its write may
		// still be under way.
		if !it.lookFirst || it.createNotYet.IsZero() {
			rec.PlannedAt, rec.NextAttempt = now, now.Add(r.cfg.WriteTimeout)
		}
		planned = append(planned, rec)
	}
	if err := r.cfg.Store.Plan(ctx, r.tenure.current(), planned); err != nil {
		return err
	}
	r.cfg.TestHook(PointPlanned)
	return nil
}

// dispatch sends a page's writes into the lanes.
func (r *run) dispatch(p *page) {
	for _, it := range p.intents {
		switch {
		case it.writes():
			p.outstanding.Add(1)
			r.lanes.submit(it.row.Key, func() {
				defer p.outstanding.Done()
				if r.halting() {
					it.result = result{err: errHalted}
					return
				}
				it.result = r.writer.deliver(r.writes, it)
				if it.result.err != nil {
					r.halt()
				}
			})
		case it.action == refuse:
			it.result = it.refused(it.problem)
		case it.action == settled:
			it.result = it.acknowledged(it.before.CopernicaID)
		}
	}
}

// errHalted marks a write that was never started.
var errHalted = errors.New("stopped before it was sent")

// wrote reports whether Copernica acknowledged a write of the page.
func (p *page) wrote() bool {
	for _, it := range p.intents {
		if it.result.created+it.result.updated > 0 {
			return true
		}
	}
	return false
}

// err returns what stopped the page, preferring a cause over its consequences.
func (p *page) err() error {
	var first error
	for _, it := range p.intents {
		switch err := it.result.err; {
		case err == nil:
		case first == nil, errors.Is(first, errHalted) && !errors.Is(err, errHalted):
			first = err
		}
	}
	if errors.Is(first, errHalted) {
		return context.Canceled
	}
	return first
}

// commit gathers what the page leaves behind and counts it into the run.
func (p *page) commit(r *run) state.Commit {
	c := state.Commit{Emails: p.emails, Run: &r.row}
	n := &r.row.Counters
	n.Read += int64(p.read)
	for _, it := range p.intents {
		res := &it.result
		switch {
		case res.record != nil:
			c.Records = append(c.Records, r.dated(*res.record))
			if res.record.State == state.Acknowledged && res.created+res.updated == 0 {
				n.Unchanged++ // found as it should be
			}
		case !it.writes():
			n.Unchanged++
		case it.known: // planned, never sent: as it was before
			c.Records = append(c.Records, it.before)
		default:
			c.Forget = append(c.Forget, state.RecordRef{Entity: state.Profile, Key: it.row.Key})
		}
		if res.problem != nil {
			c.Letters = append(c.Letters, r.letter(it))
		}
		n.Created += res.created
		n.Updated += res.updated
		n.Refused += res.refused
		n.Unknown += res.unknown
		n.OptOutsKept += res.kept
	}
	r.count()
	return c
}

// dated notes in a ledger row when and by which run it moved.
func (r *run) dated(rec state.Record) state.Record {
	now := r.cfg.Now()
	rec.RunID = r.row.ID
	if rec.FirstSeen.IsZero() {
		rec.FirstSeen = now
	}
	if rec.State == state.Acknowledged {
		rec.AcknowledgedAt = now
	}
	return rec
}

func (r *run) letter(it *intent) state.DeadLetter {
	cause, message, fix := letter(it.result.problem)
	now := r.cfg.Now()
	return state.DeadLetter{
		Pipeline: r.cfg.Pipeline, Stream: r.stream, Entity: state.Profile, Key: it.row.Key, SourceID: it.row.SourceID,
		Cause: cause, Message: message, Fix: fix, Content: it.attempt, RunID: r.row.ID,
		Attempts: 1, FirstSeen: now, LastSeen: now,
	}
}
