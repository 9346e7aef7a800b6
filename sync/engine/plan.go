package engine

import (
	"errors"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// action is what a record needs.
type action uint8

const (
	nothing action = iota // Copernica has it, or nothing newer is known
	create                // the ledger knows no row in Copernica: write by key
	update                // the ledger knows it: write by id
	remove                // its line is gone from its order: remove by id
	refuse                // the record cannot be delivered: dead letter, no call
	settled               // Copernica has it, and the ledger says less than is known: no call
)

// intent is one row on its way to Copernica: what was read, what the ledger said,
// and what to do about it.
type intent struct {
	entity  state.Entity
	row     mapping.Row
	content state.Hash // of the row's content
	consent state.Hash // of the shop's consent value; zero when it has none, or it cannot be read
	outSeen time.Time  // when the shop was seen to say that value, if it is out; zero: that may be another's
	attempt state.Hash // of all of it and of its updated_at: what a refusal is about
	problem error      // why the content cannot be delivered, if so
	gone    bool       // the shop no longer has what the row was made of
	owner   *owner     // the profile that the row stands below; nil for profiles
	astray  bool       // its order had another profile before
	claim   *claim     // the guest whom a customer turned out to be; nil: none

	before state.Record // the ledger row; zero when there is none
	known  bool         // there is a ledger row
	resent bool         // the resync under way has sent it, in a turn before this one

	action       action
	sendContent  bool
	sendConsent  bool // consent is due; what Copernica shows decides whether it is sent
	lookFirst    bool // Copernica may already have it
	anywhere     bool // it may stand below another profile, and nobody knows which
	rewrite      bool // content goes out whatever Copernica shows
	createNotYet time.Time

	elsewhere []int64    // the same row below other profiles of ours, as last looked up
	uncertain bool       // a write may have reached Copernica without our knowing
	sentOut   state.Hash // our word for out, which that write may have carried; zero: none
	doubles   []int64    // rows with the same key that are never written to, as last looked up
	result    result
}

// facts are what a plan depends on besides the record and its ledger row.
type facts struct {
	adopting bool // Copernica holds rows that the ledger does not know
	again    bool // an operator asked for it: what was refused is tried again as it stands
	force    bool // an operator asked for it: content goes out that Copernica has acknowledged
}

// plan decides what a record needs. It is a pure function: it reads no clock,
// makes no call and changes only the intent.
func (it *intent) plan(f facts) {
	rec := it.before
	it.action, it.sendContent, it.sendConsent, it.rewrite = nothing, false, false, false
	it.anywhere = it.stray()
	unsettled := it.known && (rec.State == state.Planned || rec.State == state.Unknown)
	if it.lookFirst = unsettled; unsettled {
		it.createNotYet = rec.NextAttempt
	}
	switch {
	case it.known && rec.State == state.Refused && rec.Refused == it.attempt && !f.again:
		return // its dead letter is open
	case it.known && rec.State != state.Removed && it.olderThan(&rec):
		return // never older over newer (promise 22)
	case it.gone:
		if it.known && rec.State != state.Removed {
			it.action = remove
		}
		return
	case it.problem != nil:
		// An opt-out is not held up by a name that does not fit (promise 18).
		if it.action = refuse; it.known && rec.CopernicaID != 0 && it.consentDue(unsettled) {
			it.action, it.sendConsent = update, true
		}
		return
	}
	if !it.known || rec.CopernicaID == 0 || rec.State == state.Removed || it.moved() {
		it.action, it.sendContent, it.sendConsent = create, true, it.consented()
		// A row without an id had an unclean end, or was refused, and left who knows what.
		it.lookFirst = it.known || f.adopting || it.claim != nil || it.astray
		it.anywhere = it.anywhere || it.owner != nil && it.before.CopernicaID == 0 && (f.adopting || it.astray)
		return
	}
	// A row below a profile is looked for, since one that somebody removed takes a write
	// without a word. What may have been sent needs no second write.
	it.rewrite = f.force && !it.resent && !unsettled
	it.lookFirst = unsettled || it.anywhere || it.rewrite && it.owner != nil
	it.sendContent = rec.Hash != it.content || it.rewrite
	it.sendConsent = it.consentDue(unsettled)
	switch {
	case it.sendContent || it.sendConsent || unsettled || it.anywhere:
		it.action = update
	case rec.State == state.Refused, rec.State == state.Missing, rec.State == state.Gone:
		it.action = settled // also what the shop has again
	case it.row.Shared && (it.row.UpdatedAt.After(rec.SourceUpdatedAt) || it.row.SourceID > rec.SourceID):
		it.action = settled // the newest record speaks, also when it says the same
	}
}

// consented reports whether the row says if somebody may be mailed. A guest's does not.
func (it *intent) consented() bool { return !it.consent.IsZero() }

// consentDue reports whether the shop's consent is to be settled with Copernica.
// Nobody knows which consent an unsettled write left behind.
func (it *intent) consentDue(unsettled bool) bool {
	return it.consented() && (it.before.ConsentSource != it.consent || unsettled || !it.before.Sent.IsZero())
}

// olderThan reports whether Copernica acknowledged something newer. Where several
// records make one row, equal times are decided by the later record. A record that cannot
// be read and has no time is as new as can be.
func (it *intent) olderThan(rec *state.Record) bool {
	if it.problem != nil && it.row.UpdatedAt.IsZero() {
		return false
	}
	return it.row.UpdatedAt.Before(rec.SourceUpdatedAt) ||
		it.row.UpdatedAt.Equal(rec.SourceUpdatedAt) && it.row.SourceID < rec.SourceID
}

// moved reports whether Copernica has the row below another profile than the one it
// belongs to now. No call moves a subprofile.
func (it *intent) moved() bool {
	return it.owner != nil && it.before.CopernicaID != 0 && it.before.Parent != it.owner.key
}

// stray reports whether the row may stand below another profile than the ledger says or it
// belongs to, since a write there has no outcome.
func (it *intent) stray() bool {
	return it.owner != nil && (!it.before.Sent.IsZero() ||
		unsettled(it.before) && it.before.CopernicaID == 0 && it.before.Parent != "" && it.before.Parent != it.owner.key)
}

// leaving is the content of a row that is sent below another profile than the ledger has it
// below, else zero.
func (it *intent) leaving() state.Hash {
	if it.owner == nil || !it.known || it.before.Parent == it.owner.key || !it.writes() {
		return state.Hash{}
	}
	return it.content
}

// copernicaID is the id under which the row may stand where it belongs, or 0.
func (it *intent) copernicaID() int64 {
	if it.moved() {
		return 0
	}
	return it.before.CopernicaID
}

// letter describes why a record cannot be delivered, without its content.
func letter(err error) (cause, message, fix string) {
	if e, ok := errors.AsType[*mapping.RecordError](err); ok {
		return e.Cause, e.Field, e.Fix
	}
	if e, ok := errors.AsType[*magento.RecordError](err); ok && e.Cause == magento.CausePoison {
		return e.Cause, e.Answer, "Magento itself fails over this record: its var/log/exception.log and var/report say why (a memory_limit of PHP that is too low, " +
			"a module, a broken value); mend it there. It is read again by itself, after 5 minutes and ever more rarely up to once a day; replaying the letter reads it at once"
	}
	if e, ok := errors.AsType[*magento.RecordError](err); ok {
		return e.Cause, "", "mend the record in Magento; saving it sends it again"
	}
	if e, ok := errors.AsType[*duplicateError](err); ok {
		return "duplicate_key", e.Error(), "the order no longer has this line, and none of these rows is known as the one that syncd made: remove them in Copernica, then close the letter with syncd dead resolve"
	}
	if _, ok := errors.AsType[*ownerError](err); ok {
		return "profile_missing", err.Error(), "mend the customer first, whose own dead letter says how; then replay this one"
	}
	return "refused", err.Error(), "Copernica refused the record as it stands: see the message; replaying the letter or saving the record in Magento sends it again"
}

// refusal reports whether err is about this record alone.
func refusal(err error) bool { return fault.ClassOf(err) == fault.Record }
