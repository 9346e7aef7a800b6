package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// page is what was read at once, on its way to one commit.
type page struct {
	position  state.Position
	moves     bool              // its commit moves the checkpoint
	waits     bool              // it was cut before an order that waits for its customer
	again     bool              // what was refused is tried again
	force     bool              // what Copernica acknowledged is sent again
	singly    bool              // its customers were read one by one
	lent      map[string]bool   // who is out by another account of theirs alone, by key
	place     *state.Checkpoint // that the commit of single records moves; nil: none
	read      int
	ownerless []state.Position // of orders that nobody owns
	intents   []*intent        // each after the profile that it stands below
	keys      []string
	emails    []state.Email
	missing   []state.Record       // rows whose record the shop no longer has
	stones    map[string]time.Time // when people of the page were erased, by key
	claims    []state.Record       // rows of people who turned out to be customers known under another key
	claimed   int64                // how many of them were not known to be

	outstanding sync.WaitGroup
}

// hold keeps later pages from planning with the given keys until this one is committed.
func (p *page) hold(r *run, keys ...string) {
	keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return slices.Contains(p.keys, key) })
	r.inflight.hold(keys)
	p.keys = append(p.keys, keys...)
}

// cut ends the page before the order at index i.
func (p *page) cut(orders []*placed, i int) {
	p.ownerless = slices.DeleteFunc(p.ownerless, func(at state.Position) bool { return before(orders[i].at, at) })
	p.waits, p.read, p.position = true, i+len(p.ownerless), state.Position{}
	for _, o := range orders[:i] {
		p.position = later(p.position, o.at)
	}
	for _, at := range p.ownerless {
		p.position = later(p.position, at)
	}
}

// before reports whether a stands before b in a stream.
func before(a, b state.Position) bool {
	return a.UpdatedAt.Before(b.UpdatedAt) || a.UpdatedAt.Equal(b.UpdatedAt) && a.ID < b.ID
}

func later(a, b state.Position) state.Position {
	if before(a, b) {
		return b
	}
	return a
}

func (p *page) profileKeys() []string {
	keys := make([]string, len(p.intents))
	for i, it := range p.intents {
		keys[i] = it.row.Key
	}
	return keys
}

// intent is a row with the hashes that the ledger compares.
func (r *run) intent(row mapping.Row, problem error) *intent {
	it := &intent{entity: state.Entity(row.Table()), row: row, problem: problem}
	it.content = r.hasher.Sum(string(it.entity), row.Content()...)
	it.attempt = r.hasher.Sum("attempt", string(it.content[:]), row.UpdatedAt.String())
	return it
}

// unreadable is the intent of a record that the client could not decode.
func (r *run) unreadable(e state.Entity, key string, id int64, updated time.Time, problem error) *intent {
	cause, _, _ := letter(problem)
	dated := updated.String()
	if poisoned(problem) {
		dated = "" // nobody knows when it was changed
	}
	return &intent{
		entity: e, problem: problem,
		row:     mapping.Row{Key: key, SourceID: id, UpdatedAt: updated},
		attempt: r.hasher.Sum("unreadable", cause, dated),
	}
}

// load joins intents of one entity with their ledger rows.
func (r *run) load(ctx context.Context, e state.Entity, intents []*intent) error {
	if len(intents) == 0 {
		return nil
	}
	keys := make([]string, len(intents))
	for i, it := range intents {
		keys[i] = it.row.Key
	}
	before, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, e, keys)
	for _, it := range intents {
		it.before, it.known = before[it.row.Key]
	}
	if err == nil {
		err = r.resent(ctx, intents)
	}
	if err != nil {
		return err
	}
	return r.reopen(ctx, intents)
}

// planPage plans what the ledger was asked about, and records the intent to write.
func (r *run) planPage(ctx context.Context, p *page) error {
	writes, below := false, false
	fresh := map[state.Entity]bool{}
	for _, it := range p.intents {
		it.plan(p.facts(false))
		writes = writes || it.writes()
		below = below || it.writes() && it.owner != nil
		if it.action == create && !it.lookFirst {
			fresh[it.entity] = true
		}
	}
	if !writes {
		return nil
	}
	open := r.writer.open
	if below {
		open = r.writer.openBelow
	}
	if err := open(ctx); err != nil {
		return err
	}
	r.cfg.TestHook(PointOpened)
	adopting := r.writer.adopting || r.adopting // known before this run, or found out by it
	for _, e := range []state.Entity{state.Profile, state.Order} {
		if !fresh[e] {
			continue
		}
		var err error
		if adopting, err = r.census(ctx, e); err != nil {
			return err
		}
		r.cfg.TestHook(PointCounted)
	}
	if adopting {
		for _, it := range p.intents {
			it.plan(p.facts(true))
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
		// Also of a key that an unclean end left: whoever comes after this process waits for
		// its write, which is never before what it waits for itself.
		rec.PlannedAt, rec.NextAttempt = now, now.Add(r.cfg.WriteTimeout)
		planned = append(planned, rec)
	}
	if err := r.cfg.Store.Plan(ctx, r.tenure.current(), planned); err != nil {
		return err
	}
	r.cfg.TestHook(PointPlanned)
	return nil
}

// facts are what the page's rows are planned with.
func (p *page) facts(adopting bool) facts {
	return facts{adopting: adopting, again: p.again, force: p.force}
}

// dispatch sends a page's writes into the lanes.
func (r *run) dispatch(p *page) {
	if r.rehearsal != nil {
		r.rehearsal.play(r, p)
		return
	}
	for _, it := range p.intents {
		switch {
		case it.writes():
			p.outstanding.Add(1)
			r.lanes.submit(it.lane(), func() {
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

// lane names the profile that a row is part of: what is written to one profile and
// below it keeps its order (promise 13).
func (it *intent) lane() string {
	if it.owner != nil {
		return it.owner.key
	}
	return it.row.Key
}

// errHalted marks a write that was never started.
var errHalted = errors.New("stopped before it was sent")

// wrote lists the tables whose schema the page's acknowledged writes rest on; none
// when Copernica acknowledged nothing.
func (p *page) wrote() []mapping.Table {
	var tables []mapping.Table
	for _, it := range p.intents {
		if it.result.created+it.result.updated == 0 {
			continue
		}
		if it.owner != nil {
			return append([]mapping.Table{mapping.Profiles}, belowProfiles()...)
		}
		tables = []mapping.Table{mapping.Profiles}
	}
	return tables
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
	n.Ownerless += int64(len(p.ownerless))
	n.Missing += int64(len(p.missing))
	for _, rec := range p.missing {
		c.Records = append(c.Records, r.dated(rec))
		if rec.State == state.Gone {
			c.Erasures = append(c.Erasures, r.flagged(rec, CauseAnonymised)...)
		}
	}
	for _, guest := range p.claims {
		c.Records = append(c.Records, r.dated(guest))
	}
	n.Claimed += p.claimed
	for _, it := range p.intents {
		if guest, same, ok := it.claimed(); ok {
			c.Records = append(c.Records, r.dated(guest))
			if n.Claimed++; same {
				c.Moves = append(c.Moves, state.Move{From: guest.Key, To: guest.Parent})
			}
		}
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
			c.Forget = append(c.Forget, state.RecordRef{Entity: it.entity, Key: it.row.Key})
		}
		if res.record == nil && it.writes() && !res.spared {
			r.unreached++
		}
		c.Doubles = append(c.Doubles, it.seen(r.cfg.Now())...)
		if res.problem != nil {
			c.Letters = append(c.Letters, r.letter(it))
		}
		if r.left(it) {
			n.Unknown-- // counted when this run left it, and taken up again since
		}
		n.Created += res.created
		n.Updated += res.updated
		n.Removed += res.removed
		n.Refused += res.refused
		n.Unknown += res.unknown
		n.OptOutsKept += res.kept
	}
	r.count()
	return c
}

// left reports whether a row that now has an outcome, or again none, is one that this
// run had left without.
func (r *run) left(it *intent) bool {
	return it.before.State == state.Unknown && it.before.RunID == r.row.ID && (it.result.record != nil || it.result.unknown > 0)
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
		Pipeline: r.cfg.Pipeline, Stream: r.cameBy(it.entity, it.row.Key), Entity: it.entity, Key: it.row.Key, SourceID: it.row.SourceID,
		Cause: cause, Message: message, Fix: fix, Content: it.attempt, RunID: r.row.ID,
		Attempts: 1, FirstSeen: now, LastSeen: now,
	}
}
