package engine

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/state"
)

// writer brings intents to Copernica, each to one of three outcomes: acknowledged,
// refused or unknown (promise 10). Its methods run in the lanes, concurrently.
type writer struct {
	cfg    *Config
	tenure *tenure

	shopCalls, accountCalls int64 // made before this run

	// starting ends when no further write may start.
	starting context.Context
	waiting  sync.Once // says that the run waits, once

	// Set by open, before the first lane starts.
	db       Database
	key      copernica.KeyField
	consent  string
	adopting bool // an earlier run found profiles that the ledger does not know

	// Set by openBelow, before the first lane that needs it starts.
	below map[state.Entity]collection
	// seen is when the collections were last read whole, in Unix nanoseconds.
	seen atomic.Int64

	doubles doubles
}

// looks is how often a write without an answer is looked up before the record
// is left for later (promise 9).
const looks = 3

func newWriter(cfg *Config, t *tenure) *writer {
	w := &writer{cfg: cfg, tenure: t, consent: cfg.Mapping.Consent().Name}
	w.shopCalls, w.accountCalls = cfg.Calls()
	return w
}

// deliver brings one intent to its outcome. Content that is refused does not hold
// up consent: that is then sent alone.
func (w *writer) deliver(ctx context.Context, it *intent) result {
	w.cfg.TestHook(sending(it.entity))
	defer w.cfg.TestHook(sent(it.entity))

	switch {
	case it.action == remove && it.before.CopernicaID != 0:
		return w.remove(ctx, it)
	case it.owner != nil && it.owner.profileID() == 0:
		return it.orphaned(w.cfg.Now(), w.cfg.WriteTimeout)
	case it.action == remove:
		return w.remove(ctx, it)
	}
	res := w.bring(ctx, it)
	if old := it.left(); len(old) > 0 && res.record != nil && res.record.State == state.Acknowledged {
		return w.leave(ctx, it, old, res)
	}
	if res.problem != nil && it.problem == nil && it.action == update && it.sendConsent {
		it.problem, it.sendContent = res.problem, false
		res = w.bring(ctx, it)
	}
	// What may have been sent is never recorded as if it had not.
	if it.uncertain && res.record == nil {
		err := res.err
		res = it.unknown(w.cfg.Now(), w.cfg.WriteTimeout)
		res.err = err
	}
	if it.problem != nil {
		res = it.apart(res)
	}
	return res
}

func (w *writer) bring(ctx context.Context, it *intent) result {
	if it.action == update && !it.lookFirst && !it.sendConsent {
		return w.merge(ctx, it, &standing{id: it.before.CopernicaID}) // what was acknowledged needs no look
	}
	if it.action == create && !it.lookFirst {
		return w.create(ctx, it)
	}
	if until := it.contradicted(w.cfg.WriteTimeout); until.After(w.cfg.Now()) && !w.await(until) {
		return result{unknown: 1} // not now: the row stays as it was
	}
	if it.stray() && it.createNotYet.After(w.cfg.Now()) && !w.await(it.createNotYet) {
		return result{unknown: 1} // not now either: it may still arrive where it was moved to
	}
	seen, err := w.look(ctx, it, it.copernicaID())
	// A write of a process that died may still arrive: no key that it may have
	// sent is created before that can no longer happen (promise 13).
	if err == nil && seen == nil && it.createNotYet.After(w.cfg.Now()) {
		if !w.await(it.createNotYet) {
			return result{unknown: 1} // not now: the row stays as it was
		}
		seen, err = w.look(ctx, it, 0)
	}
	switch {
	case err != nil:
		return w.unread(it, err)
	case seen == nil && it.problem != nil:
		return result{} // consent for nobody
	case seen == nil && it.claim != nil:
		return w.takeOver(ctx, it)
	case seen == nil:
		return w.create(ctx, it)
	default:
		return w.merge(ctx, it, seen)
	}
}

// await waits until a write that nobody answered for can no longer arrive. It reports false
// when that is too long, or the run ends.
func (w *writer) await(t time.Time) bool {
	wait := t.Sub(w.cfg.Now())
	if wait > w.cfg.WriteTimeout {
		return false
	}
	if wait > 0 {
		w.waiting.Do(func() {
			w.cfg.Log.Info("a run was cut off in the middle of its writes: waiting until none of them can still arrive, then going on",
				"wait", wait.Round(time.Second).String())
		})
	}
	return w.sleep(w.starting, wait)
}

// takeOver makes the profile of the guest whom a customer turned out to be the customer's,
// or a profile of its own where nobody finds the guest's. What stands there of consent
// other than nothing is the guest's own word.
func (w *writer) takeOver(ctx context.Context, it *intent) result {
	seen, err := w.guest(ctx, it)
	guest := &it.claim.guest
	out := it.row.OptIn && (seen == nil && leftOut(w, guest, &it.before, "") || seen != nil && seen.optedOut)
	it.before.UnsubscribedAt = laterOf(it.before.UnsubscribedAt, guest.UnsubscribedAt)
	switch {
	case err != nil:
		return w.unread(it, err)
	case out:
		return w.takeOverOut(ctx, it, seen)
	case seen == nil:
		return w.create(ctx, it)
	default:
		return w.merge(ctx, it, seen)
	}
}

// guest reads the profile of the guest whom a customer turned out to be; nil when nobody
// finds it.
func (w *writer) guest(ctx context.Context, it *intent) (*standing, error) {
	guest := it.claim.guest
	if usable(guest) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	call, cancel := w.deadline(ctx)
	defer cancel()
	t := w.table(it)
	seen, err := t.read(call, guest.CopernicaID)
	if err != nil || seen == nil || t.keyOf(seen) != guest.Key {
		return nil, err
	}
	seen.optedOut = leftOut(w, &guest, &it.before, seen.fields[w.consent])
	it.before.ConsentWritten = w.hashConsent("")
	return seen, nil
}

// unread is the outcome of an intent whose row could not be read, so nothing
// was sent. A failure of this one row alone does not hold its page.
func (w *writer) unread(it *intent, err error) result {
	switch {
	case refusal(err):
		return it.refused(err)
	case fault.ClassOf(err) == fault.Retry && !fault.NotSent(err):
		return it.unknown(w.cfg.Now(), w.cfg.WriteTimeout)
	default:
		return result{err: err}
	}
}

// create writes a row by its key; a customer's profile with consent: the shop's word
// is the only one there is.
func (w *writer) create(ctx context.Context, it *intent) result {
	sent := w.cfg.Now()
	call, cancel := w.deadline(ctx)
	done, err := w.table(it).upsert(call, it.row.Key, it.row.Body(true, it.consented()))
	cancel()
	switch copernica.Outcome(err) {
	case copernica.Acknowledged:
		if done.ID != 0 {
			return w.made(it, done.ID, done.Created)
		}
	case copernica.NotSent, copernica.Refused:
		return w.refusedOr(it, err)
	}
	// Either nobody knows whether it was written, or it was and its id is not known.
	it.doubtful()
	pause := w.cfg.LookPause
	if copernica.Outcome(err) == copernica.Acknowledged {
		pause = 0
	}
	return w.find(ctx, it, it.copernicaID(), sent, pause, func(row *standing) result {
		if w.shows(it, row, true, it.consented()) {
			return w.made(it, row.id, copernica.Outcome(err) != copernica.Acknowledged || done.Created)
		}
		return w.merge(ctx, it, row)
	})
}

// shows reports whether a row read back has what was sent.
func (w *writer) shows(it *intent, row *standing, content, consent bool) bool {
	return (!content || it.row.Same(row.fields)) && (!consent || row.fields[w.consent] == it.row.ConsentValue())
}

// due says what of an intent is to be written to a row that was just read, and whether
// the shop's opt-in gives way to what stands there.
func (w *writer) due(it *intent, seen *standing) (content, consent, kept bool) {
	content = it.sendContent
	if (it.lookFirst || it.uncertain || it.action == create || seen.id != it.before.CopernicaID) && it.problem == nil {
		content = it.rewrite || !it.row.Same(seen.fields)
	}
	if it.sendConsent {
		consent, kept = it.decideConsent(w.cfg, seen.fields[w.consent], seen.optedOut)
	}
	return content, consent, kept
}

// merge brings a row that was just read to what the shop says, and decides about consent by
// what it shows (promise 18). After a write that came to nothing all of that is decided
// anew on the row as it is then, wherever it stands: somebody may have opted out meanwhile.
func (w *writer) merge(ctx context.Context, it *intent, seen *standing) result {
	var sent time.Time
	for tries := 0; ; tries++ {
		content, consent, kept := w.due(it, seen)
		switch {
		case !content && !consent:
			return w.merged(it, seen, w.wrote(it, seen.id, false, tries > 0), false, kept)
		case tries == looks:
			return it.unknown(sent, w.cfg.WriteTimeout)
		}
		sent = w.cfg.Now()
		res, now := w.update(ctx, it, seen.id, content, consent)
		if now == nil {
			return w.merged(it, seen, res, consent, kept)
		}
		seen = now
	}
}

// merged records what became of consent with a row that was brought to what the shop says.
func (w *writer) merged(it *intent, seen *standing, res result, consent, kept bool) result {
	if it.sendConsent && res.record != nil && res.record.State == state.Acknowledged {
		w.settleConsent(it, res.record, seen.fields[w.consent], consent)
		if kept {
			res.kept = 1
		}
	}
	return res
}

// update writes by id. A dead id is looked up by key, an unknown outcome by id. It returns
// the row where that shows something else than what was sent: nothing is sent again that
// was decided on an older reading.
func (w *writer) update(ctx context.Context, it *intent, id int64, content, consent bool) (res result, now *standing) {
	sent := w.cfg.Now()
	call, cancel := w.deadline(ctx)
	err := w.table(it).update(call, id, it.row.Body(content, consent))
	cancel()
	dead := goneInCopernica(err)
	switch outcome := copernica.Outcome(err); {
	case outcome == copernica.Acknowledged:
		return w.wrote(it, id, false, true), nil
	case outcome == copernica.NotSent, outcome == copernica.Refused && !dead:
		return w.refusedOr(it, err), nil
	case outcome == copernica.Refused:
		id = it.copernicaID()
	default:
		dead = false
		it.doubtful()
	}
	res = w.find(ctx, it, id, sent, w.cfg.LookPause, func(row *standing) result {
		if !dead && w.shows(it, row, content, consent) {
			return w.wrote(it, row.id, false, true)
		}
		now = row
		return result{}
	})
	return res, now
}

// find looks a row up, by its id if there is one, after a write that left questions, after a pause and then ever
// more slowly, and hands it to then. A row that stays absent leaves the write unknown: it may
// still arrive, so its key is not created again now (promise 10).
func (w *writer) find(ctx context.Context, it *intent, id int64, sent time.Time, pause time.Duration, then func(*standing) result) result {
	for range looks {
		if !w.sleep(ctx, pause) {
			break
		}
		pause = max(2*pause, w.cfg.LookPause)
		row, err := w.look(ctx, it, id)
		switch {
		case err == nil && row != nil:
			return then(row)
		case err != nil && refusal(err):
			return it.refused(err)
		case err != nil && fault.ClassOf(err) != fault.Retry:
			res := it.unknown(sent, w.cfg.WriteTimeout)
			res.err = err
			return res
		}
	}
	return it.unknown(sent, w.cfg.WriteTimeout)
}

// made is the outcome of a row that was written whole, a customer's consent included.
func (w *writer) made(it *intent, id int64, created bool) result {
	res := w.wrote(it, id, created, true)
	if !it.consented() {
		return res
	}
	it.noteConsent(res.record)
	res.record.ConsentWritten = w.hashConsent(it.row.ConsentValue())
	return res
}

// wrote is the outcome of content that Copernica has.
func (w *writer) wrote(it *intent, id int64, created, written bool) result {
	res := it.acknowledged(id)
	switch {
	case created:
		res.created = 1
	case written:
		res.updated = 1
	}
	return res
}

// refusedOr tells a refusal of this record from one of the whole stream. A peer that
// throttles says that it did nothing; that is looked at before it is believed.
func (w *writer) refusedOr(it *intent, err error) result {
	if refusal(err) {
		return it.refused(err)
	}
	if e, ok := errors.AsType[*copernica.Error](err); ok && e.Status == http.StatusTooManyRequests {
		it.doubtful()
	}
	return result{err: err}
}

// deadline bounds a call by the write time-out and, with a margin, by the lease.
func (w *writer) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	const margin = time.Second
	now := w.cfg.Now()
	left := min(w.cfg.WriteTimeout, w.tenure.current().Expires.Sub(now)-margin)
	return context.WithTimeout(ctx, left)
}

// sleep pauses and reports whether it was not cut short.
func (w *writer) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
