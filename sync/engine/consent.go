package engine

import (
	"cmp"
	"time"

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
	rec.ConsentSource = it.consent
	switch {
	case sent:
		rec.ConsentWritten = w.hashConsent(it.row.ConsentValue())
	case shown == it.row.ConsentValue():
		rec.ConsentWritten = w.hashConsent(shown)
	default:
		rec.ConsentWritten = it.before.ConsentWritten
	}
}

func (w *writer) hashConsent(value string) state.Hash {
	return hashConsent(w.cfg.Store.Hasher(), value)
}

func hashConsent(h state.Hasher, value string) state.Hash { return h.Sum("consent", value) }
