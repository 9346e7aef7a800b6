package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/state"
)

// Consent is never guessed from times, and an opt-out is never undone on a guess.
// It is decided on a profile that was just read; the window between that read and
// the write is the one thing that cannot be closed over Copernica's API.

// decideConsent says what to do with the shop's consent when the profile shows
// shown: send it, or keep what is there. kept reports that the shop's opt-in gave
// way to a value that we did not write, be it on another profile with the same key.
func (it *intent) decideConsent(cfg *Config, shown string, optedOut bool) (send, kept bool) {
	values := cfg.Mapping.Consent()
	ours := ownWord(&it.before, hashConsent(cfg.Store.Hasher(), shown))
	switch {
	case shown == it.row.ConsentValue():
		return false, false
	case it.row.OptIn && optedOut:
		return false, true
	case ours && !it.row.OptIn && values.OptedOut(shown):
		return false, false // an opt-out of Copernica that the shop has taken over
	case ours:
		return true, false
	case !it.row.OptIn && (shown == values.In || shown == ""):
		return true, false
	default:
		return false, it.row.OptIn
	}
}

// ownWord reports whether a value is our own: the one that we wrote last, or one whose
// write has no outcome yet.
func ownWord(rec *state.Record, value state.Hash) bool {
	return rec.ConsentWritten == value || rec.Sent == value
}

// optOut is our word for out, where the intent may send it, else zero. Only that one has to
// be told from somebody else's.
func (it *intent) optOut() state.Hash {
	if it.sendConsent && !it.row.OptIn {
		return it.consent
	}
	return state.Hash{}
}

// doubtful notes that a write may have reached Copernica without our knowing.
func (it *intent) doubtful() {
	it.uncertain, it.sentOut = true, cmp.Or(it.optOut(), it.sentOut)
}

// contradicted returns until when an opt-out of ours may still arrive that the shop's
// opt-in takes back; zero when there is none.
func (it *intent) contradicted(timeout time.Duration) time.Time {
	if !it.sendConsent || !it.row.OptIn || it.before.Sent.IsZero() || it.before.PlannedAt.IsZero() {
		return time.Time{}
	}
	return it.before.PlannedAt.Add(timeout)
}

// settleConsent records that the shop's consent was dealt with, so that it is looked
// at again only when it changes, and remembers what we wrote last.
func (w *writer) settleConsent(it *intent, rec *state.Record, shown string, sent bool) {
	it.noteConsent(rec)
	switch {
	case sent:
		rec.ConsentWritten = w.hashConsent(it.row.ConsentValue())
	case shown == it.row.ConsentValue():
		rec.ConsentWritten = w.hashConsent(shown)
	default:
		rec.ConsentWritten = it.before.ConsentWritten
	}
}

// noteConsent notes in a ledger row what the shop says of consent.
func (it *intent) noteConsent(rec *state.Record) {
	rec.ConsentSource = it.consent
	if !it.row.OptIn && !it.outSeen.IsZero() {
		rec.OutSeenAt = it.outSeen
	}
}

// noteOut notes in a ledger row that the shop's consent is out; seen: the shop said so itself.
func (r *run) noteOut(rec *state.Record, seen bool) {
	rec.ConsentSource = r.writer.hashConsent(r.cfg.Mapping.Consent().Out)
	if seen {
		rec.OutSeenAt = r.looked()
	}
}

// looked is a time before this run read anything: what it sees of the shop was so later. A
// sighting that is dated too early lets more opt-outs win, one too late would lose some; so
// it is never when something was settled, which may be long after it was read.
func (r *run) looked() time.Time { return r.began.UTC().Truncate(time.Second) }

// hearsay reports whether the opt-out of a page's customer may be another one's word: that of
// another account of theirs, or of whoever has their e-mail on another website, which a
// list cannot tell apart.
func (r *run) hearsay(p *page, key string) bool {
	return p.lent[key] || r.websites > 1 && !p.singly
}

// clockMargin is how far the clocks of Copernica and of this machine may be apart: syncd
// check fails them from two minutes on. Within it the opt-out wins.
const clockMargin = 5 * time.Minute

// cameBack reports whether the ledger has it that somebody opted in in the shop after they
// unsubscribed in Copernica: it was seen out after that, and then in. When an opt-in was made
// lies between these two; without the first, or within the two, nobody knows the order, and
// the opt-out wins (promise 18).
func (r *run) cameBack(p *clicked) bool {
	return p.rec.ConsentSource == r.writer.hashConsent(r.cfg.Mapping.Consent().In) &&
		!p.rec.OutSeenAt.IsZero() && !p.at.After(p.rec.OutSeenAt.Add(-clockMargin))
}

// passOver notes the clicks of people who came back since, and whom the shop itself still has
// as subscribed, so that they are no events again. It returns the others.
func (r *run) passOver(ctx context.Context, list copernica.UnsubscribeList, people []clicked) ([]clicked, error) {
	var back []state.Record
	for _, p := range people {
		if r.cameBack(&p) {
			p.rec.UnsubscribedAt = p.at
			back = append(back, p.rec)
		}
	}
	back, err := r.subscribedInTheShop(ctx, back)
	if err != nil || len(back) == 0 {
		return people, err
	}
	r.cfg.Log.Info("people who unsubscribed from a mailing have subscribed in the shop since, and stay subscribed", "list", string(list), "people", len(back))
	keys := keysOf(back)
	return slices.DeleteFunc(people, func(p clicked) bool { return slices.Contains(keys, p.rec.Key) }), r.keepRows(ctx, back...)
}

func (w *writer) hashConsent(value string) state.Hash {
	return hashConsent(w.cfg.Store.Hasher(), value)
}

func hashConsent(h state.Hasher, value string) state.Hash { return h.Sum("consent", value) }
