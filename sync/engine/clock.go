package engine

import (
	"time"

	"github.com/magento-copernica/syncd/state"
)

// What is looked for in Copernica is dated by its clock, and so is the place of each look
// (promise 18). A clock that runs ahead, be it this machine's or Copernica's, makes a date
// that hides for its time what comes after: no date counts that lies in the future.

// present is what Copernica's clock said last, or this machine's where it tells none.
func (r *run) present() time.Time {
	if at := r.writer.db.Clock(); !at.IsZero() {
		return at
	}
	return r.cfg.Now().UTC()
}

// lookFrom is where the look after one that begins now begins: by Copernica's clock, or by
// ours where that is earlier, since a little too much is read again without harm.
func (r *run) lookFrom() time.Time {
	at := r.present()
	if now := r.cfg.Now().UTC(); now.Before(at) {
		at = now
	}
	return at.Truncate(time.Second)
}

// ahead reports whether a look that got this far was dated by a clock that ran ahead. Less
// than what is read again anyway, of profiles as of lists, does no harm.
func (r *run) ahead(horizon time.Time) bool { return horizon.After(r.present().Add(listOverlap)) }

// tellAhead says that a look goes back because of a clock.
func (r *run) tellAhead(stream string, horizon time.Time) {
	r.cfg.Log.Warn("the last look for opt-outs in Copernica was dated by a clock that ran ahead, so all that it may have hidden is looked at again: check this machine's clock",
		"stream", stream, "dated", horizon, "copernica", r.present())
}

// noLater is when something was that Copernica dates, at most its present: what it dates in
// the future would hide whatever the person does until then. Its servers may differ a little.
func (r *run) noLater(at time.Time) time.Time {
	const differ = time.Minute
	if now := r.present(); at.After(now.Add(differ)) {
		return now
	}
	return at
}

// Due says when the next slice of a sweep is due, by its checkpoint: within a period. What a
// clock that ran ahead put off further is due now.
func Due(cp state.Checkpoint, period time.Duration, now time.Time) time.Time {
	began, due := cp.Target, cp.Position.UpdatedAt
	if cp.Target.IsZero() {
		began, due = cp.Horizon, cp.Horizon.Add(period)
	}
	if began.After(now) || due.After(now.Add(period)) {
		return now
	}
	return due
}
