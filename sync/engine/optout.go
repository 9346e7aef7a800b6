package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/state"
)

// Who unsubscribed from a mailing is out in their profile as well (promise 18). One that does
// not take it, or shows the opposite after it, is a problem of its own: the shop was told, a
// dead letter says so, and each look tries again.

// causeStaysIn is the cause of those letters.
const causeStaysIn = "opt_out_refused"

// optOut has a profile say that its person is out, where it says that they are in, or, of
// a customer, nothing. It returns the profile as it was last seen, nil when it is gone or
// another row's by now.
func (w *writer) optOut(ctx context.Context, rec *state.Record) (*standing, error) {
	if usable(*rec) == 0 {
		return nil, nil
	}
	before, err := w.profileNow(ctx, rec)
	if err != nil || before == nil || !w.showsIn(rec, before) {
		return before, err
	}
	call, cancel := w.deadline(ctx)
	unanswered := w.db.Update(call, rec.CopernicaID, map[string]string{w.consent: w.cfg.Mapping.Consent().Out})
	cancel()
	switch copernica.Outcome(unanswered) {
	case copernica.NotSent, copernica.Refused:
		return before, unanswered
	case copernica.Unknown:
		if !w.sleep(ctx, w.cfg.LookPause) {
			return before, unanswered
		}
	}
	after, err := w.profileNow(ctx, rec)
	switch {
	case err != nil:
		return before, err
	case after == nil || !w.showsIn(rec, after):
		return after, nil
	case unanswered != nil:
		return after, unanswered
	default:
		return after, &stillInError{profile: rec.CopernicaID}
	}
}

// showsIn reports whether by what a profile shows its person may be mailed. Of a guest, and
// of a customer whom the shop no longer has, nothing shown is nothing to correct.
func (w *writer) showsIn(rec *state.Record, profile *standing) bool {
	_, customer := w.cfg.Mapping.CustomerID(rec.Key)
	shown := profile.fields[w.consent]
	return shown == w.cfg.Mapping.Consent().In || shown == "" && customer && rec.State != state.Missing && rec.State != state.Gone
}

// profileNow reads the profile of a ledger row; nil when it is gone or another row's.
func (w *writer) profileNow(ctx context.Context, rec *state.Record) (*standing, error) {
	call, cancel := w.deadline(ctx)
	defer cancel()
	t := profiles{w.db, w.key, w.cfg.Mapping.KeyField()}
	row, err := t.read(call, rec.CopernicaID)
	if err != nil || row == nil || t.keyOf(row) != rec.Key {
		return nil, err
	}
	return row, nil
}

// stillInError says that a profile does not keep what was written.
type stillInError struct{ profile int64 }

func (e *stillInError) Error() string {
	return fmt.Sprintf("profile %d shows that its person is subscribed after the opposite was written: set it in Copernica by hand; "+
		"does a program there write the field?", e.profile)
}

// FaultClass makes it a matter of one record.
func (e *stillInError) FaultClass() fault.Class { return fault.Record }

// staysIn is the dead letter of a profile that does not say that its person is out.
func (r *run) staysIn(rec *state.Record, err error) state.DeadLetter {
	letter := r.refusedBack(rec, err)
	letter.Cause = causeStaysIn
	letter.Fix = "set the newsletter field of the profile in Copernica by hand, or mend what refuses the value or writes over it; each look for opt-outs tries again"
	return letter
}

// outAgain has the profiles of those letters say that their person is out, where the shop
// still says so by what the ledger knows, and closes the letters of those that do. It
// returns the keys of the others.
func (r *run) outAgain(ctx context.Context) (left []string, err error) {
	const atOnce = 1000 // the rest waits for its turn
	letters, err := r.cfg.Store.Letters(ctx, r.cfg.Pipeline, state.LetterFilter{Entity: state.Consent, Cause: causeStaysIn, Open: true, Limit: atOnce})
	if err != nil || len(letters) == 0 {
		return nil, err
	}
	keys := make([]string, len(letters))
	for i := range letters {
		keys[i] = letters[i].Key
	}
	known, err := r.cfg.Store.Records(ctx, r.cfg.Pipeline, state.Profile, keys)
	if err != nil {
		return nil, err
	}
	var done []string
	var rows []state.Record
	var errs []error
	for _, key := range keys {
		rec := known[key]
		if rec.ConsentSource == r.writer.hashConsent(r.cfg.Mapping.Consent().Out) {
			profile, failed := r.writer.optOut(ctx, &rec)
			if failed != nil {
				left = append(left, key)
				if !refusal(failed) {
					errs = append(errs, failed)
				}
				continue
			}
			if profile != nil {
				rec.ConsentWritten = r.writer.hashConsent(profile.fields[r.writer.consent])
				rows = append(rows, rec)
			}
		}
		done = append(done, key)
	}
	if len(rows) > 0 {
		if err := r.keepRows(ctx, rows...); err != nil {
			return left, errors.Join(append(errs, err)...)
		}
	}
	return left, errors.Join(append(errs, r.closeLetters(ctx, done))...)
}
