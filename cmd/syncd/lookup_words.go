package main

import (
	"fmt"
	"strings"

	"github.com/magento-copernica/syncd/state"
)

// whose says what a record is made of in the shop.
func whose(e state.Entity, key string, source int64) string {
	guest := rowOf(e) == state.Profile && guestly(key)
	switch {
	case e == state.Order:
		return fmt.Sprintf("order %d", source)
	case e == state.Item && source == 0:
		return "a line of an order"
	case e == state.Item:
		return fmt.Sprintf("a line of order %d", source)
	case guest && source == 0:
		return "a guest"
	case guest:
		return fmt.Sprintf("the guest of order %d", source)
	default:
		return fmt.Sprintf("customer %d", source)
	}
}

// guestly reports whether a profile's key is that of a guest.
func guestly(key string) bool {
	_, kind, _ := strings.Cut(key, "-")
	return strings.HasPrefix(kind, "w")
}

// rowOf is the entity of the ledger row behind a dead letter: of an opt-out the profile.
func rowOf(e state.Entity) state.Entity {
	if e == state.Consent {
		return state.Profile
	}
	return e
}

// rowWord names what stands for an entity in Copernica.
func rowWord(e state.Entity) string {
	if rowOf(e) == state.Profile {
		return "profile"
	}
	return "subprofile"
}

// ledgerWords say what a state means for the record.
var ledgerWords = map[state.RecordState]string{
	state.Planned:      "planned: about to be written, or a run died while it was; the next run looks",
	state.Unknown:      "unknown: it was written and nobody knows whether it arrived; looked up before it is written again",
	state.Acknowledged: "acknowledged: Copernica has it",
	state.Refused:      "refused: it cannot be delivered as it stands, see its dead letter",
	state.Removed:      "removed: Copernica no longer has it",
	state.Missing:      "missing: Copernica has it, and the shop no longer does; a sweep found that and has yet to finish",
	state.Gone:         "gone: the shop no longer has it",
	state.Claimed:      "claimed: this person is a customer with another key, below whose profile their orders stand",
}

func (l *ledgerRow) print(line func(name, format string, args ...any), rec *lookupRecord, r *lookupReport) {
	words := ledgerWords[l.State]
	if rec.gone() && guestly(rec.Key) {
		words = "gone: this guest was erased, also where the shop keeps their orders"
	}
	if l.State == state.Gone && l.CopernicaID != 0 {
		words += ", and it stays in Copernica"
	}
	line("state", "%s", words)
	if l.CopernicaID == 0 {
		line("in Copernica", "no %s is known", rowWord(rec.Entity))
	} else {
		line("in Copernica", "%s %d in %s", rowWord(rec.Entity), l.CopernicaID, r.Target)
	}
	line("first seen", "%s", since(l.FirstSeen, r.At))
	if l.PlannedAt != nil {
		line("planned", "%s", since(l.PlannedAt, r.At))
	}
	if l.AcknowledgedAt != nil || l.State == state.Acknowledged {
		line("acknowledged", "%s", since(l.AcknowledgedAt, r.At))
	}
	if l.SourceUpdatedAt != nil {
		line("as of", "%s: the change in the shop that Copernica acknowledged last", moment(*l.SourceUpdatedAt))
	}
	if l.NextAttempt != nil {
		line("tries", "%d, the next from %s", l.Attempts, since(l.NextAttempt, r.At))
	}
}
