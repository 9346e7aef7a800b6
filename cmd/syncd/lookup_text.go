package main

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// lookupReport is what `syncd lookup --json` prints. docs/status.md describes it;
// names and meanings stay, new ones may join.
type lookupReport struct {
	Shop    string          `json:"shop"`
	Target  string          `json:"target"`
	At      time.Time       `json:"at"`
	By      lookupBy        `json:"by"`
	Records []*lookupRecord `json:"records"`
}

type lookupRecord struct {
	Entity   state.Entity `json:"entity"`
	Key      string       `json:"key"`
	SourceID int64        `json:"source_id"`
	Ledger   *ledgerRow   `json:"ledger"` // null when the ledger has no row
	LastRun  *runBrief    `json:"run"`    // that last planned or settled it
	Letters  []deadLetter `json:"dead_letters"`
	Live     *liveSides   `json:"live"` // null without --live
}

type ledgerRow struct {
	State           state.RecordState `json:"state"`
	CopernicaID     int64             `json:"copernica_id"` // 0: not known
	SourceUpdatedAt *time.Time        `json:"source_updated_at"`
	FirstSeen       *time.Time        `json:"first_seen"`
	PlannedAt       *time.Time        `json:"planned_at"`
	AcknowledgedAt  *time.Time        `json:"acknowledged_at"`
	Attempts        int               `json:"attempts"`
	NextAttempt     *time.Time        `json:"next_attempt"`
}

func newLedgerRow(r state.Record) *ledgerRow {
	return &ledgerRow{
		State: r.State, CopernicaID: r.CopernicaID, SourceUpdatedAt: optional(r.SourceUpdatedAt), FirstSeen: optional(r.FirstSeen),
		PlannedAt: optional(r.PlannedAt), AcknowledgedAt: optional(r.AcknowledgedAt), Attempts: r.Attempts, NextAttempt: optional(r.NextAttempt),
	}
}

// print writes the report for people.
func (r *lookupReport) print(w io.Writer) error {
	var b bytes.Buffer
	for i, rec := range r.Records {
		if i > 0 {
			b.WriteByte('\n')
		}
		rec.print(&b, r)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (rec *lookupRecord) print(b *bytes.Buffer, r *lookupReport) {
	line := liner(b)
	line("record", "%s: customer %d of shop %q", rec.Key, rec.SourceID, r.Shop)
	if rec.Ledger == nil {
		line("state", "not seen yet: no run has come to it")
	} else {
		rec.Ledger.print(line, r)
		line("by run", "%s", rec.LastRun.words(r.At))
	}
	if len(rec.Letters) == 0 {
		line("dead letters", "none")
	}
	for i, d := range rec.Letters {
		name := "dead letters"
		if i > 0 {
			name = ""
		}
		if d.Resolved == nil {
			line(name, "%d open, %s, last seen %s: %s", d.ID, d.Cause, ago(d.LastSeen, r.At), d.Fix)
		} else {
			line(name, "%d closed %s, %s: %s", d.ID, ago(d.Resolved, r.At), d.Cause, d.Resolution)
		}
	}
	if rec.Live != nil {
		rec.Live.print(b, line, rec, r)
	}
}

// ledgerWords say what a state means for the record.
var ledgerWords = map[state.RecordState]string{
	state.Planned:      "planned: about to be written, or a run died while it was; the next run looks",
	state.Unknown:      "unknown: it was written and nobody knows whether it arrived; looked up before it is written again",
	state.Acknowledged: "acknowledged: Copernica has it",
	state.Refused:      "refused: it cannot be delivered as it stands, see its dead letter",
	state.Removed:      "removed: Copernica no longer has it",
}

func (l *ledgerRow) print(line func(name, format string, args ...any), r *lookupReport) {
	line("state", "%s", ledgerWords[l.State])
	if l.CopernicaID == 0 {
		line("in Copernica", "no profile is known")
	} else {
		line("in Copernica", "profile %d in %s", l.CopernicaID, r.Target)
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

func (l *liveSides) print(b *bytes.Buffer, line func(name, format string, args ...any), rec *lookupRecord, r *lookupReport) {
	b.WriteByte('\n')
	switch {
	case !l.InShop:
		line("shop", "has no customer %d", rec.SourceID)
	case l.UpdatedAt == nil:
		line("shop", "has it")
	default:
		line("shop", "changed %s", since(l.UpdatedAt, r.At))
	}
	if l.Problem != "" {
		line("problem", "%s", l.Problem)
	}
	switch len(l.Profiles) {
	case 0:
		line("Copernica", "has no profile with key %s", rec.Key)
	case 1:
		line("Copernica", "profile %d", l.Profiles[0])
	default:
		line("Copernica", "%d profiles have key %s: %d; remove all but one", len(l.Profiles), rec.Key, l.Profiles)
	}
	if l.Gone != 0 {
		line("", "profile %d, which the state knows, was removed", l.Gone)
	}
	if l.Rekeyed != 0 {
		line("", "profile %d, which the state knows, has another key now", l.Rekeyed)
	}
	if len(l.Fields) == 0 {
		return
	}
	b.WriteByte('\n')
	table(b, func(row func(cells ...any)) {
		row("", "field", "from the shop", "in Copernica")
		for _, f := range l.Fields {
			row(f.words(), f.Field, value(f.Mapped), value(f.Copernica))
		}
	})
	if slices.ContainsFunc(l.Fields, func(f liveField) bool { return f.Consent && f.words() == different }) {
		b.WriteString("  consent that Copernica changed is kept: a difference there may be right\n")
	}
}

// different marks a field that both sides have with different values.
const different = "different"

func (f *liveField) words() string {
	switch {
	case f.Mapped == nil || f.Copernica == nil:
		return "-"
	case f.Same:
		return "same"
	default:
		return different
	}
}

// value prints a value so that blanks and control characters in it are seen.
func value(v *string) string {
	if v == nil {
		return "-"
	}
	return strconv.Quote(*v)
}
