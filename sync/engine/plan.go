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
	create                // the ledger knows no profile: write by key
	update                // the ledger knows the profile: write by id
	refuse                // the record cannot be delivered: dead letter, no call
	settled               // it was refused and is again as Copernica has it: no call
)

// intent is one record on its way: what was read, what the ledger said, and what
// to do about it.
type intent struct {
	row     mapping.Row
	content state.Hash // of the row's content
	consent state.Hash // of the shop's consent value; zero when it cannot be read
	attempt state.Hash // of all of it and of its updated_at: what a refusal is about
	problem error      // why the content cannot be delivered, if so

	before state.Record // the ledger row; zero when there is none
	known  bool         // there is a ledger row

	action       action
	sendContent  bool
	sendConsent  bool // consent is due; what Copernica shows decides whether it is sent
	lookFirst    bool // Copernica may already have it
	createNotYet time.Time

	uncertain bool // a write may have reached Copernica without our knowing
	result    result
}

// facts are what a plan depends on besides the record and its ledger row.
type facts struct {
	adopting bool // Copernica holds profiles that the ledger does not know
	again    bool // an operator asked for it: what was refused is tried again as it stands
}

// plan decides what a record needs. It is a pure function: it reads no clock,
// makes no call and changes only the intent.
func (it *intent) plan(f facts) {
	rec := it.before
	it.action, it.sendContent, it.sendConsent = nothing, false, false
	unsettled := it.known && (rec.State == state.Planned || rec.State == state.Unknown)
	if it.lookFirst = unsettled; unsettled {
		it.createNotYet = rec.NextAttempt
	}
	switch {
	case it.known && rec.State == state.Refused && rec.Refused == it.attempt && !f.again:
		return // its dead letter is open
	case it.known && it.row.UpdatedAt.Before(rec.SourceUpdatedAt):
		return // never older over newer (promise 22)
	case it.problem != nil:
		// An opt-out is not held up by a name that does not fit (promise 18).
		if it.action = refuse; it.known && rec.CopernicaID != 0 && !it.consent.IsZero() && (rec.ConsentSource != it.consent || unsettled) {
			it.action, it.sendConsent = update, true
		}
		return
	}
	if !it.known || rec.CopernicaID == 0 || rec.State == state.Removed {
		it.action, it.sendContent, it.sendConsent = create, true, true
		// A row without an id had an unclean end, or was refused, and left who knows what.
		it.lookFirst = it.known || f.adopting
		return
	}
	it.sendContent = rec.Hash != it.content
	// Nobody knows which consent an unsettled write left behind.
	it.sendConsent = rec.ConsentSource != it.consent || unsettled
	switch {
	case it.sendContent || it.sendConsent || unsettled:
		it.action = update
	case rec.State == state.Refused:
		it.action = settled
	}
}

// letter describes why a record cannot be delivered, without its content.
func letter(err error) (cause, message, fix string) {
	if e, ok := errors.AsType[*mapping.RecordError](err); ok {
		return e.Cause, e.Field, e.Fix
	}
	if e, ok := errors.AsType[*magento.RecordError](err); ok {
		return e.Cause, "", "mend the record in Magento; saving it sends it again"
	}
	if e, ok := errors.AsType[*duplicateError](err); ok {
		return "duplicate_key", e.Error(), "remove all but one of them in Copernica, then replay the letter or save the customer in Magento"
	}
	return "refused", err.Error(), "Copernica refused the record as it stands: see the message; replaying the letter or saving the customer in Magento sends it again"
}

// refusal reports whether err is about this record alone.
func refusal(err error) bool { return fault.ClassOf(err) == fault.Record }
