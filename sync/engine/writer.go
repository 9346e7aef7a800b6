package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
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
	db      Database
	key     copernica.KeyField
	consent string
}

// looks is how often a write without an answer is looked up before the record
// is left for later (promise 9).
const looks = 3

func newWriter(cfg *Config, t *tenure) *writer {
	w := &writer{cfg: cfg, tenure: t, consent: cfg.Mapping.Consent().Name}
	w.shopCalls, w.accountCalls = cfg.Calls()
	return w
}

// open opens the database at the run's first need of it and refuses one in which
// the mapping would lose values (promise 12).
func (w *writer) open(ctx context.Context) error {
	if w.db != nil {
		return nil
	}
	db, err := w.cfg.Open(ctx)
	if err != nil {
		return err
	}
	schema := db.Schema()
	if err := w.cfg.Mapping.Refuse(schema); err != nil {
		return err
	}
	for _, f := range w.cfg.Mapping.Check(schema) {
		if f.State != mapping.Present {
			w.cfg.Log.Warn("the Copernica database deviates from the mapping", "field", f.Need.Name, "finding", f.String())
		}
	}
	key, err := db.KeyField(w.cfg.Mapping.KeyField())
	if err != nil {
		return err
	}
	target := fmt.Sprintf("Copernica database %d", db.ID())
	if _, err := w.cfg.Store.OpenPipeline(ctx, state.Pipeline{Name: w.cfg.Pipeline, Target: target}); err != nil {
		return err
	}
	w.db, w.key = db, key
	return nil
}

// deliver brings one intent to its outcome. Content that is refused does not hold
// up consent: that is then sent alone.
func (w *writer) deliver(ctx context.Context, it *intent) result {
	w.cfg.TestHook(PointSending)
	defer w.cfg.TestHook(PointSent)

	res := w.bring(ctx, it)
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
		return w.update(ctx, it, it.before.CopernicaID, true, false)
	}
	if it.action == create && !it.lookFirst {
		return w.create(ctx, it)
	}
	seen, err := w.look(ctx, it, it.before.CopernicaID)
	// A write of a process that died may still arrive: no key that it may have
	// sent is created before that can no longer happen (promise 13).
	if wait := it.createNotYet.Sub(w.cfg.Now()); err == nil && seen == nil && wait > 0 {
		if wait <= w.cfg.WriteTimeout {
			w.waiting.Do(func() {
				w.cfg.Log.Info("a run was cut off in the middle of its writes: waiting until none of them can still arrive, then going on",
					"wait", wait.Round(time.Second).String())
			})
		}
		if wait > w.cfg.WriteTimeout || !w.sleep(w.starting, wait) { //nolint:contextcheck // a stop ends the waiting, not the calls
			return result{unknown: 1} // not now: the row stays as it was
		}
		seen, err = w.look(ctx, it, 0)
	}
	switch {
	case err != nil:
		return w.unread(it, err)
	case seen == nil && it.problem != nil:
		return result{} // consent for nobody
	case seen == nil:
		return w.create(ctx, it)
	default:
		return w.merge(ctx, it, seen)
	}
}

// unread is the outcome of an intent whose profile could not be read, so nothing
// was sent. A failure of this one profile alone does not hold its page.
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

// look finds the intent's profile by its id and key, or by its key alone. It
// returns nil when there is none.
func (w *writer) look(ctx context.Context, it *intent, id int64) (*copernica.Profile, error) {
	ctx, cancel := w.deadline(ctx)
	defer cancel()
	if id != 0 {
		p, err := w.db.Profile(ctx, id)
		switch {
		case err == nil && !p.Removed && p.Fields[w.cfg.Mapping.KeyField()] == it.row.Key:
			return &p, nil
		case err != nil && !errors.Is(err, copernica.ErrNoProfile):
			return nil, err
		}
	}
	found, err := w.db.Find(ctx, w.key, it.row.Key)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, nil
	case len(found) > 1:
		dup := &duplicateError{key: it.row.Key}
		for _, p := range found {
			dup.ids = append(dup.ids, p.ID)
		}
		slices.Sort(dup.ids)
		return nil, dup
	}
	return &found[0], nil
}

// create writes a profile by its key, consent included: the shop's word is the
// only one there is.
func (w *writer) create(ctx context.Context, it *intent) result {
	sent := w.cfg.Now()
	call, cancel := w.deadline(ctx)
	done, err := w.db.Upsert(call, w.key, it.row.Key, it.row.Body(true, true))
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
	it.uncertain = true
	return w.find(ctx, it, sent, func(p *copernica.Profile) result {
		if it.row.Same(p.Fields) && p.Fields[w.consent] == it.row.ConsentValue() {
			return w.made(it, p.ID, copernica.Outcome(err) != copernica.Acknowledged || done.Created)
		}
		return w.merge(ctx, it, p)
	})
}

// merge brings a profile that was just read to what the shop says, and decides
// about consent by what it shows (promise 18).
func (w *writer) merge(ctx context.Context, it *intent, seen *copernica.Profile) result {
	content := it.sendContent
	if (it.lookFirst || it.action == create) && it.problem == nil {
		content = !it.row.Same(seen.Fields)
	}
	consent, kept := false, false
	shown := seen.Fields[w.consent]
	if it.sendConsent {
		consent, kept = it.decideConsent(w.cfg, shown)
	}
	var res result
	if content || consent {
		res = w.update(ctx, it, seen.ID, content, consent)
	} else {
		res = w.wrote(it, seen.ID, false, false)
	}
	if res.record != nil && res.record.State == state.Acknowledged && it.sendConsent {
		w.settleConsent(it, res.record, shown, consent)
		if kept {
			res.kept = 1
		}
	}
	return res
}

// update writes by id. A dead id is looked up by key; an unknown outcome is looked
// up by id, and written again only when Copernica does not show it.
func (w *writer) update(ctx context.Context, it *intent, id int64, content, consent bool) result {
	sent := w.cfg.Now()
	for range looks {
		call, cancel := w.deadline(ctx)
		err := w.db.Update(call, id, it.row.Body(content, consent))
		cancel()
		switch copernica.Outcome(err) {
		case copernica.Acknowledged:
			return w.wrote(it, id, false, true)
		case copernica.NotSent:
			return w.refusedOr(it, err)
		case copernica.Refused:
			if !errors.Is(err, copernica.ErrNoProfile) {
				return w.refusedOr(it, err)
			}
			return w.find(ctx, it, sent, func(p *copernica.Profile) result { return w.merge(ctx, it, p) })
		}
		it.uncertain = true
		var again bool
		res := w.find(ctx, it, sent, func(p *copernica.Profile) result {
			shows := (!content || it.row.Same(p.Fields)) && (!consent || p.Fields[w.consent] == it.row.ConsentValue())
			again = !shows
			return w.wrote(it, p.ID, false, true)
		})
		if !again {
			return res
		}
	}
	return it.unknown(sent, w.cfg.WriteTimeout)
}

// find looks a profile up after a write that left questions, ever more slowly, and
// hands it to then. A profile that stays absent leaves the write unknown: it may
// still arrive, so its key is not created again now (promise 10).
func (w *writer) find(ctx context.Context, it *intent, sent time.Time, then func(*copernica.Profile) result) result {
	pause := w.cfg.LookPause
	for range looks {
		if !w.sleep(ctx, pause) {
			break
		}
		pause *= 2
		p, err := w.look(ctx, it, it.before.CopernicaID)
		switch {
		case err == nil && p != nil:
			return then(p)
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

// made is the outcome of a profile that was written whole, consent included.
func (w *writer) made(it *intent, id int64, created bool) result {
	res := w.wrote(it, id, created, true)
	res.record.ConsentSource, res.record.ConsentWritten = it.consent, w.hashConsent(it.row.ConsentValue())
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
		it.uncertain = true
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

// confirmWithin is how old the schema may be when a page that wrote is committed.
// Copernica drops the value of a field that is gone without a word, so a page
// counts only after a look at the schema that is younger than its writes, or so
// little older that a page of few writes costs no call of its own.
const confirmWithin = 2 * time.Second

// confirm looks whether the schema still fits after a page's writes.
func (w *writer) confirm(ctx context.Context) error {
	schema := w.db.Schema()
	if w.cfg.Now().Sub(schema.ReadAt) > confirmWithin {
		var err error
		if schema, err = w.db.Refresh(ctx); err != nil {
			return err
		}
	}
	return w.cfg.Mapping.Refuse(schema)
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
