package engine

import (
	"cmp"
	"fmt"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/state"
)

// result is what came of an intent. Without a record, nothing was sent.
type result struct {
	record  *state.Record
	problem error // why it became a dead letter
	err     error // what stops the run
	spared  bool  // nothing was sent, and another row's dead letter stands for it

	created, updated, removed, refused, unknown, kept int64
}

// writes reports whether the intent goes to Copernica.
func (it *intent) writes() bool {
	return it.action == create || it.action == update || it.action == remove
}

// record is the ledger row as it was before, or a new one, in another state.
func (it *intent) record(s state.RecordState) state.Record {
	rec := it.before
	rec.Entity, rec.Key, rec.SourceID, rec.State = it.entity, it.row.Key, it.row.SourceID, s
	switch s {
	case state.Planned:
		rec.Sent = cmp.Or(it.optOut(), it.leaving(), rec.Sent)
	case state.Unknown, state.Refused:
		rec.Sent = cmp.Or(it.sentOut, it.leaving(), rec.Sent)
	default:
		rec.Sent = state.Hash{}
	}
	if !it.known {
		rec.Number = it.row.Number
		if it.owner != nil {
			rec.Parent = it.owner.key
		}
	}
	return rec
}

// acknowledged is the outcome of content that Copernica has under id.
func (it *intent) acknowledged(id int64) result {
	rec := it.record(state.Acknowledged)
	rec.CopernicaID, rec.Hash, rec.SourceUpdatedAt = id, it.content, it.row.UpdatedAt
	rec.Number = it.row.Number
	if it.owner != nil {
		rec.Parent = it.owner.key
	}
	rec.Refused, rec.Attempts = state.Hash{}, 0
	rec.PlannedAt, rec.NextAttempt = time.Time{}, time.Time{}
	return result{record: &rec}
}

// removed is the outcome of a row that Copernica no longer has.
func (it *intent) removed() result {
	rec := it.record(state.Removed)
	rec.CopernicaID, rec.Hash, rec.SourceUpdatedAt = 0, state.Hash{}, it.row.UpdatedAt
	rec.Refused, rec.Attempts = state.Hash{}, 0
	rec.PlannedAt, rec.NextAttempt = time.Time{}, time.Time{}
	return result{record: &rec}
}

// refused is the outcome of a record that cannot be delivered as it stands.
func (it *intent) refused(problem error) result {
	rec := it.record(state.Refused)
	rec.Refused = it.attempt
	rec.PlannedAt, rec.NextAttempt = time.Time{}, time.Time{}
	return result{record: &rec, problem: problem, refused: 1}
}

// apart turns the outcome of consent alone into that of a record whose content
// cannot be delivered: what Copernica acknowledged before stays acknowledged.
func (it *intent) apart(res result) result {
	if res.record == nil {
		if res.err == nil {
			return it.refused(it.problem)
		}
		return res
	}
	if res.record.State == state.Acknowledged {
		res.record.State, res.record.Refused = state.Refused, it.attempt
		res.record.Hash, res.record.SourceUpdatedAt = it.before.Hash, it.before.SourceUpdatedAt
		if res.record.CopernicaID != it.before.CopernicaID { // another row, with who knows what content
			res.record.Hash = state.Hash{}
		}
	}
	res.problem, res.refused = it.problem, 1
	return res
}

// doubt turns an acknowledgement into an unknown outcome: Copernica may have
// dropped a value without a word.
func (it *intent) doubt(now time.Time, timeout time.Duration) {
	if it.result.record == nil || it.result.record.State != state.Acknowledged || !it.writes() {
		return
	}
	id, parent := it.result.record.CopernicaID, it.result.record.Parent
	it.doubtful()
	it.result = it.unknown(now, timeout)
	it.result.record.CopernicaID, it.result.record.Parent = id, parent // where it stands by now, also after a move
}

// unknown is the outcome of a write that nobody answered for. The first new look
// comes when the write can no longer take effect, later ones ever more rarely.
func (it *intent) unknown(sent time.Time, timeout time.Duration) result {
	const longest = time.Hour
	rec := it.record(state.Unknown)
	rec.Attempts++
	rec.PlannedAt = sent
	wait := timeout
	for range rec.Attempts - 1 {
		wait = min(2*wait, longest)
	}
	rec.NextAttempt = sent.Add(wait)
	return result{record: &rec, unknown: 1}
}

// ownerError says that a row has no profile to stand below.
type ownerError struct{ key string }

func (e *ownerError) Error() string {
	return fmt.Sprintf("the profile %s that it belongs to could not be delivered", e.key)
}

// FaultClass makes it a matter of one record.
func (e *ownerError) FaultClass() fault.Class { return fault.Record }

// duplicateError says that a row is to be removed and nobody knows which of several it is.
type duplicateError struct {
	key string
	ids []int64
}

func (e *duplicateError) Error() string {
	return fmt.Sprintf("key %s stands %d times in Copernica: %v", e.key, len(e.ids), e.ids)
}

// FaultClass makes it a matter of one record: what is removed is not guessed.
func (e *duplicateError) FaultClass() fault.Class { return fault.Record }
