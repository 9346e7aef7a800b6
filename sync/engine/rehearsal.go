package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// rehearsal plays a run whose writes are imagined: each is taken as acknowledged, and
// what it would leave in the ledger is remembered for the pages that follow. All else is
// the run itself, over a store and a database that keep nothing of it.
type rehearsal struct {
	most  int // rows that are compared with Copernica
	rows  []PreviewRow
	calls int64 // to Copernica, that the writes would take
	shown int64 // to Copernica, that the comparison took
	looks int64 // rows that are looked at before it is decided whether they are written
	took  time.Duration
	ids   int64 // of imagined rows: below zero
	total int64 // records that the shop counted

	// Of a verification; nil: nobody asks.
	found   func(*intent, PreviewRow) // each row that would be written
	played  func(*intent)             // each row whose write was imagined
	settled func(*intent)             // each row that is right, and of which the ledger says less
	missing func(state.Record)        // each row whose record the shop no longer has
}

// play gives each write of a page its outcome.
func (x *rehearsal) play(r *run, p *page) {
	x.total = r.total.Load()
	before := x.calls
	for _, it := range p.intents {
		if it.result = x.outcome(r, it); x.played != nil && it.writes() {
			x.played(it)
		}
	}
	if x.missing != nil {
		for _, rec := range p.missing {
			x.missing(rec)
		}
	}
	if x.calls > before {
		x.calls++ // the look at the schema after a page's writes
	}
}

// outcome is what the writer would make of an intent, if Copernica took every write.
func (x *rehearsal) outcome(r *run, it *intent) result {
	switch {
	case it.action == refuse:
		x.show(it, nil, it.problem)
		return it.refused(it.problem)
	case it.action == settled:
		if x.settled != nil {
			x.settled(it)
		}
		return it.acknowledged(it.before.CopernicaID)
	case !it.writes():
		return result{}
	case it.owner != nil && it.owner.profileID() == 0 && (it.action != remove || it.before.CopernicaID == 0):
		return it.orphaned(r.cfg.Now(), r.cfg.WriteTimeout)
	case it.action == remove:
		x.calls++
		x.show(it, nil, nil)
		res := it.removed()
		res.removed = 1
		return res
	}
	looks := it.lookFirst || it.sendConsent && it.action == update
	x.calls++
	over := it.takesOver()
	if over != 0 {
		x.calls++
	}
	if looks {
		x.looks++
		x.calls++
	}
	if it.moved() {
		x.calls++
	}
	written, kept := true, false
	switch {
	case len(x.rows) >= x.most && x.found != nil:
		x.show(it, nil, nil)
	case len(x.rows) < x.most:
		var err error
		if written, kept, err = x.compare(r, it, looks); err != nil {
			if refusal(err) {
				return it.refused(err)
			}
			return result{err: err}
		}
	case over != 0:
		it.action = update
	}
	id := over
	if id == 0 || it.action == create {
		id = x.id(it)
	}
	res := it.acknowledged(id)
	switch {
	case !written:
	case it.action == create:
		res.created = 1
	default:
		res.updated = 1
	}
	if kept {
		res.kept = 1
	}
	if it.problem != nil {
		res = it.apart(res)
	}
	if s, ok := r.cfg.Store.(*script); ok && it.moved() && res.record != nil {
		s.move(*res.record)
	}
	return res
}

// takesOver is the id of the guest's profile that becomes a customer's own; 0: none does.
func (it *intent) takesOver() int64 {
	if it.claim == nil || it.action != create {
		return 0
	}
	return usable(it.claim.guest)
}

// judges reports whether a rehearsal only compares.
func (x *rehearsal) judges() bool { return x != nil && x.found != nil }

// gather finishes a claim whose orders have moved: they are read back, and the guest's
// profile is removed.
func (x *rehearsal) gather(ctx context.Context, r *run, guest state.Record) error {
	x.calls += gatherCalls + int64(len(r.writer.db.Schema().Collections))
	r.row.Counters.Removed++
	guest.CopernicaID = 0
	_, err := r.cfg.Store.Commit(ctx, r.tenure.current(), state.Commit{
		Moves: []state.Move{{From: guest.Key, To: guest.Parent}}, Records: []state.Record{guest},
	})
	return err
}

// gatherCalls are those that finish a claim: what moved is looked at in both tables, both
// profiles are read, and the guest's is removed. Another one reads what is below it in each
// collection.
const gatherCalls = 5

// id is the one that a row has, or an imagined one.
func (x *rehearsal) id(it *intent) int64 {
	if id := it.copernicaID(); id != 0 {
		return id
	}
	x.ids--
	return x.ids
}

// compare reads a row in Copernica where it may stand, and notes what would change. It
// reports whether the run would write it, and whether an opt-out there would be kept.
func (x *rehearsal) compare(r *run, it *intent, looks bool) (written, kept bool, err error) {
	imagined := it.before.CopernicaID < 0 || it.owner != nil && it.owner.profileID() < 0
	if imagined || it.action == create && !it.lookFirst {
		x.show(it, nil, nil)
		return true, false, nil
	}
	_, calls := r.cfg.Calls()
	began := r.cfg.Now()
	seen, err := r.writer.look(r.writes, it, it.copernicaID())
	if err == nil && seen == nil && it.takesOver() != 0 {
		seen, err = r.writer.guest(r.writes, it)
	}
	_, now := r.cfg.Calls()
	x.shown += now - calls
	x.took += r.cfg.Now().Sub(began)
	switch {
	case err != nil:
		if refusal(err) {
			x.show(it, nil, err)
		}
		return false, false, err
	case !looks: // written by its id, whatever stands there
		x.show(it, seen, nil)
		return true, false, nil
	case seen == nil:
		if it.problem == nil {
			it.action = create
		}
		x.show(it, nil, nil)
		return it.problem == nil, false, nil
	}
	if it.action == create {
		it.action = update
	}
	content, consent, kept := r.writer.due(it, seen)
	if !content && !consent {
		return false, kept, nil
	}
	it.sendContent, it.sendConsent = content, consent
	x.show(it, seen, nil)
	return true, kept, nil
}

// show notes a row among the first ones.
func (x *rehearsal) show(it *intent, seen *standing, problem error) {
	if len(x.rows) >= x.most && x.found == nil {
		return
	}
	row := PreviewRow{Entity: it.entity, Key: it.row.Key, SourceID: it.row.SourceID}
	switch {
	case problem != nil:
		row.Action = PreviewRefuse
		row.Cause, _, _ = letter(problem)
	case it.action == remove:
		row.Action = PreviewRemove
	case it.action == create:
		row.Action = PreviewCreate
		for _, side := range it.row.Sides(nil) {
			if side.Mapped != "" && (!side.Consent || it.sendConsent) {
				row.Fields = append(row.Fields, side)
			}
		}
	default:
		row.Action = PreviewUpdate
		row.Gone = seen == nil && it.before.CopernicaID > 0 && len(x.rows) < x.most
		if row.compared = seen != nil; row.compared {
			row.Fields = it.changes(seen)
		}
	}
	if x.found != nil {
		x.found(it, row)
	}
	if len(x.rows) < x.most {
		x.rows = append(x.rows, row)
	}
}

// changes are the fields of a row that stand otherwise in Copernica and would be written.
func (it *intent) changes(seen *standing) []mapping.Side {
	return slices.DeleteFunc(it.row.Sides(seen.fields), func(side mapping.Side) bool {
		return side.Same || side.Consent && !it.sendConsent || !side.Consent && !it.sendContent
	})
}

// errRehearsal answers a write that should never be asked for.
var errRehearsal = errors.New("a preview writes nothing")
