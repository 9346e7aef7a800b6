package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// lookupReport is what `syncd lookup --json` prints. docs/status.md describes it;
// names and meanings stay, new ones may join.
type lookupReport struct {
	Shop    string          `json:"shop"`
	Target  string          `json:"target"`
	At      time.Time       `json:"at"`
	By      lookupBy        `json:"by"`
	Records []*lookupRecord `json:"records"`
	// Tombstones are of people with the e-mail that was asked for.
	Tombstones  []lookupTombstone `json:"tombstones"`
	unreceipted bool              // the state has no receipt of anybody
}

// lookupTombstone says that somebody with an e-mail was erased.
type lookupTombstone struct {
	Website int64     `json:"website"` // 0 where a person is one by their e-mail
	At      time.Time `json:"at"`
}

type lookupRecord struct {
	Entity   state.Entity    `json:"entity"`
	Key      string          `json:"key"`
	SourceID int64           `json:"source_id"` // of the customer, or of the order; of a guest or a line the order's
	Number   string          `json:"number"`    // of an order: what people call it
	Ledger   *ledgerRow      `json:"ledger"`    // null when the ledger has no row
	Doubles  []lookupDouble  `json:"doubles"`   // other rows in Copernica with its key, as far as a run saw them
	LastRun  *runBrief       `json:"run"`       // that last planned or settled it
	Letters  []deadLetter    `json:"dead_letters"`
	Claim    *lookupClaim    `json:"claim"`    // of somebody who is a customer with another key, or was said not to be; null of the rest
	Others   []lookupOther   `json:"guests"`   // of a customer: who they are besides, or were said not to be
	OptOuts  []lookupOptOut  `json:"opt_outs"` // of a profile: made in Copernica and settled with the shop, the newest first
	Profile  *lookupRecord   `json:"profile"`  // of an order or a line: the profile it belongs to; null when not known, and of profiles
	Items    []*lookupRecord `json:"items"`    // of an order: its lines; null of the rest
	// Orders are those below a profile that was asked for, the newest first; null of the rest.
	Orders     []lookupOrder `json:"orders"`
	MoreOrders bool          `json:"more_orders"` // there are more than these
	Erased     []receipt     `json:"erased"`      // of a profile: when and how it was erased, the last time first
	// Tombstone is when a guest was erased who has no receipt: that is the customer's who
	// they were, or another state has it. Null of anybody else.
	Tombstone *time.Time `json:"tombstone"`
	Live      *liveSides `json:"live"` // null without --live
}

// gone reports whether somebody was erased, so that nothing of them is kept in Copernica
// but what a receipt names.
func (rec *lookupRecord) gone() bool {
	return rec.Ledger != nil && rec.Ledger.State == state.Gone &&
		(rec.Tombstone != nil || slices.ContainsFunc(rec.Erased, func(e receipt) bool { return e.Policy != string(engine.EraseFlag) }))
}

// erasedAlong is when an order or a line went with its person; nil: it did not.
func (rec *lookupRecord) erasedAlong() *time.Time {
	if rec.Profile == nil || rec.Ledger == nil || rec.Ledger.CopernicaID != 0 || rec.Ledger.State != state.Removed && rec.Ledger.State != state.Gone {
		return nil
	}
	for _, e := range rec.Profile.Erased { // the last time first
		if e.Policy != string(engine.EraseFlag) && (rec.Ledger.AcknowledgedAt == nil || !rec.Ledger.AcknowledgedAt.After(e.At)) {
			return &e.At
		}
	}
	return rec.Profile.Tombstone
}

// left reports whether a profile is the one that an erasure emptied and left.
func (rec *lookupRecord) left(id int64) bool {
	return slices.ContainsFunc(rec.Erased, func(e receipt) bool { return e.CopernicaID == id })
}

// lookupClaim says which customer a guest is, or somebody with several accounts.
type lookupClaim struct {
	Customer string `json:"customer"`
	Open     bool   `json:"open"`   // their own profile is still in Copernica
	Undone   bool   `json:"undone"` // an operator said that they are not one
}

// claimOf is what a profile's row says of a claim; nil: of none that holds or was undone.
func claimOf(row state.Record) *lookupClaim {
	claimed := row.State == state.Claimed
	if !claimed && !undone(row) {
		return nil
	}
	return &lookupClaim{Customer: row.Parent, Open: claimed && row.CopernicaID != 0, Undone: !claimed}
}

// lookupOther is a guest, or an account, who is a customer or was said not to be.
type lookupOther struct {
	Key    string `json:"key"`
	Open   bool   `json:"open"`   // their own profile is still in Copernica
	Undone bool   `json:"undone"` // an operator said that they are not one
}

// lookupOptOut is an opt-out that was made in Copernica and settled with the shop.
type lookupOptOut struct {
	Source    string     `json:"source"`
	At        *time.Time `json:"at"` // null when Copernica does not tell
	SettledAt time.Time  `json:"settled_at"`
}

// lookupOrder is an order below a profile.
type lookupOrder struct {
	Key    string            `json:"key"`
	Number string            `json:"number"` // empty: it was erased
	State  state.RecordState `json:"state"`
}

// lookupDouble is a row in Copernica that has the key of another and is never written to.
type lookupDouble struct {
	CopernicaID int64     `json:"copernica_id"`
	SeenAt      time.Time `json:"seen_at"`
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
	r.printTombstones(&b)
	_, err := w.Write(b.Bytes())
	return err
}

// printTombstones says that somebody with the e-mail was erased.
func (r *lookupReport) printTombstones(b *bytes.Buffer) {
	if len(r.Records) > 0 && len(r.Tombstones) > 0 {
		b.WriteByte('\n')
	}
	for _, stone := range r.Tombstones {
		where := ""
		if stone.Website != 0 {
			where = fmt.Sprintf(" on website %d", stone.Website)
		}
		fmt.Fprintf(b, "somebody with this e-mail%s was erased on %s, %s: what the shop dates before that does not come back. "+
			"Their e-mail is not kept, so that nothing says which customer they were; `syncd erased` %s\n", where, moment(stone.At), ago(&stone.At, r.At),
			map[bool]string{true: "says why there is no receipt", false: "lists the receipts"}[r.unreceipted])
	}
}

func (rec *lookupRecord) print(b *bytes.Buffer, r *lookupReport) {
	line := liner(b)
	line("record", "%s: %s of shop %q", rec.Key, whose(rec.Entity, rec.Key, rec.SourceID), r.Shop)
	if rec.Number != "" {
		line("number", "%s", rec.Number)
	}
	if rec.Ledger == nil {
		line("state", "not seen yet: no run has come to it")
	} else {
		rec.Ledger.print(line, rec, r)
		line("by run", "%s", rec.LastRun.words(r.At))
	}
	for _, e := range rec.Erased {
		line("erased", "%s, %s: %s", ago(&e.At, r.At), causeWords[e.Cause], e.words())
	}
	if rec.Tombstone != nil {
		line("erased", "%s, as the tombstone of their e-mail says: together with the customer who they were, whose receipt `syncd erased` lists, or by an earlier state",
			ago(rec.Tombstone, r.At))
	}
	if c := rec.Claim; c != nil {
		line("claim", "%s", c.words(rec.Key))
	}
	for _, o := range rec.Others {
		line(map[bool]string{true: "is not", false: "is also"}[o.Undone], "%s", o.words())
	}
	for _, o := range rec.OptOuts {
		line("opt-out", "%s", o.words(rec.Key, r.At))
	}
	for _, d := range rec.Doubles {
		if rec.Live != nil { // which tells of those that there are now
			break
		}
		if rec.gone() {
			line("double", "%s %d, seen %s, has the key of somebody who was erased, is not ours and is never written to: remove it in Copernica by hand; "+
				"--live looks", rowWord(rec.Entity), d.CopernicaID, ago(&d.SeenAt, r.At))
			continue
		}
		line("double", "%s %d, seen %s, has the same key and is never written to: remove it in Copernica, or merge it there by hand; "+
			"--live looks", rowWord(rec.Entity), d.CopernicaID, ago(&d.SeenAt, r.At))
	}
	if rec.Profile != nil {
		line("belongs to", "%s: %s", rec.Profile.Key, rec.Profile.brief())
	}
	if at := rec.erasedAlong(); at != nil {
		line("erased", "with %s, %s", rec.Profile.Key, since(at, r.At))
	}
	if len(rec.Letters) == 0 {
		line("dead letters", "none")
	}
	for i, d := range rec.Letters {
		name := atFirst(i, "dead letters")
		if d.Resolved == nil {
			line(name, "no. %d, open: %s, last seen %s: %s", d.ID, d.Cause, ago(d.LastSeen, r.At), d.Fix)
		} else {
			line(name, "no. %d, closed %s: %s: %s", d.ID, ago(d.Resolved, r.At), d.Cause, d.Resolution)
		}
	}
	if rec.Items != nil {
		rec.printLines(b, r)
	}
	rec.printOrders(b)
	if rec.Live == nil {
		return
	}
	rec.Live.print(b, line, rec, r)
	for _, item := range rec.Items {
		fmt.Fprintf(b, "\nline %s\n", item.Key)
		item.Live.print(b, line, item, r)
	}
}

// printLines lists the lines of an order.
func (rec *lookupRecord) printLines(b *bytes.Buffer, r *lookupReport) {
	if len(rec.Items) == 0 {
		b.WriteString("\nno lines are known\n")
		return
	}
	b.WriteByte('\n')
	table(b, func(row func(cells ...any)) {
		row("line", "state", "in Copernica", "first seen", "planned", "acknowledged", "run", "dead letters")
		for _, item := range rec.Items {
			l := item.Ledger
			if l == nil {
				row(item.Key, "not seen yet", "-", "-", "-", "-", "-", item.openLetters())
				continue
			}
			id, run := "-", "-"
			if l.CopernicaID != 0 {
				id = fmt.Sprintf("subprofile %d", l.CopernicaID)
			}
			if item.LastRun != nil {
				run = fmt.Sprint(item.LastRun.ID)
			}
			row(item.Key, l.State, id, ago(l.FirstSeen, r.At), ago(l.PlannedAt, r.At), ago(l.AcknowledgedAt, r.At), run, item.openLetters())
		}
	})
}

// words say what became of a claim.
func (c *lookupClaim) words(key string) string {
	switch {
	case c.Undone:
		return fmt.Sprintf("undone: they are not %s, and this state does not make them one again", c.Customer)
	case c.Open:
		return fmt.Sprintf("this is %s; `syncd claims --open` says what their own profile waits for", c.Customer)
	case guestly(key):
		return fmt.Sprintf("this is %s, whose record is shown too; `syncd claims undo %s` would undo that", c.Customer, key)
	default: // an account
		return fmt.Sprintf("this is %s, whose record is shown too, as long as both have one e-mail in the shop", c.Customer)
	}
}

// words say who somebody is besides.
func (o *lookupOther) words() string {
	switch {
	case o.Undone:
		return fmt.Sprintf("%s: that claim was undone", o.Key)
	case o.Open:
		return fmt.Sprintf("%s, whose own profile is still there: `syncd claims --open`", o.Key)
	default:
		return fmt.Sprintf("%s, whose orders stand here", o.Key)
	}
}

// sourceWords say where an opt-out was made.
var sourceWords = map[string]string{
	engine.OptOutInProfile:          "in a profile of theirs",
	string(copernica.PublisherList): "by a mailing of Publisher",
	string(copernica.SuiteList):     "by a mailing of the Marketing Suite",
}

// words say where an opt-out was made, and that the shop knows it.
func (o *lookupOptOut) words(key string, now time.Time) string {
	made := "made in Copernica " + cmp.Or(sourceWords[o.Source], o.Source)
	if o.At != nil {
		made += " on " + moment(*o.At)
	}
	if guestly(key) {
		return fmt.Sprintf("%s, seen %s: a guest has no record in the shop that could say so", made, ago(&o.SettledAt, now))
	}
	return fmt.Sprintf("%s, and unsubscribed in the shop %s", made, since(&o.SettledAt, now))
}

// openLetters lists the numbers of the open dead letters.
func (rec *lookupRecord) openLetters() string {
	var open []string
	for _, d := range rec.Letters {
		if d.Resolved == nil {
			open = append(open, fmt.Sprint(d.ID))
		}
	}
	if open == nil {
		return "none"
	}
	return strings.Join(open, ", ")
}

// brief says in a few words where a record is.
func (rec *lookupRecord) brief() string {
	switch {
	case rec.Ledger == nil:
		return "not seen yet"
	case rec.Ledger.CopernicaID == 0:
		return fmt.Sprintf("%s, no profile is known", rec.Ledger.State)
	default:
		return fmt.Sprintf("profile %d, %s", rec.Ledger.CopernicaID, rec.Ledger.State)
	}
}
