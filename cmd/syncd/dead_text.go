package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// deadReport is what `syncd dead --json` prints, deadInFull what `syncd dead show
// --json` does. docs/status.md describes them; names and meanings stay.
type deadReport struct {
	Shop   string       `json:"shop"`
	At     time.Time    `json:"at"`
	Open   int64        `json:"open"`
	Groups []deadGroup  `json:"groups"` // null with --closed
	Closed []deadLetter `json:"closed"` // null without
}

type deadGroup struct {
	Cause     string       `json:"cause"`
	Count     int64        `json:"count"`
	FirstSeen time.Time    `json:"first_seen"`
	LastSeen  time.Time    `json:"last_seen"`
	Fix       string       `json:"fix"`
	Letters   []deadLetter `json:"letters"`
}

type deadLetter struct {
	ID         int64        `json:"id"`
	Entity     state.Entity `json:"entity"`
	Key        string       `json:"key"`
	SourceID   int64        `json:"source_id"`
	Stream     string       `json:"stream"`
	Cause      string       `json:"cause"`
	Message    string       `json:"message"`
	Fix        string       `json:"fix"`
	RunID      int64        `json:"run_id"`
	Attempts   int          `json:"attempts"`
	FirstSeen  *time.Time   `json:"first_seen"`
	LastSeen   *time.Time   `json:"last_seen"`
	Resolved   *time.Time   `json:"resolved"` // null while open
	Resolution string       `json:"resolution"`
}

type deadInFull struct {
	Shop   string    `json:"shop"`
	Target string    `json:"target"`
	At     time.Time `json:"at"`
	deadLetter
	LastRun *runBrief  `json:"run"`
	Ledger  *ledgerRow `json:"ledger"` // null when the ledger has no row
}

type runBrief struct {
	ID      int64            `json:"id"`
	Stream  string           `json:"stream"`
	Outcome state.RunOutcome `json:"outcome"`
	Started *time.Time       `json:"started"`
	Ended   *time.Time       `json:"ended"`
}

func newDeadLetter(d state.DeadLetter) deadLetter {
	return deadLetter{
		ID: d.ID, Entity: d.Entity, Key: d.Key, SourceID: d.SourceID, Stream: d.Stream, Cause: d.Cause, Message: d.Message, Fix: d.Fix,
		RunID: d.RunID, Attempts: d.Attempts, FirstSeen: optional(d.FirstSeen), LastSeen: optional(d.LastSeen),
		Resolved: optional(d.Resolved), Resolution: d.Resolution,
	}
}

func newDeadLetters(list []state.DeadLetter) []deadLetter {
	out := make([]deadLetter, len(list))
	for i, d := range list {
		out[i] = newDeadLetter(d)
	}
	return out
}

// said is what was said of the record: of a value that is empty or too long the mapping
// names the field, and nothing else.
func (d *deadLetter) said() string {
	if strings.HasSuffix(d.Cause, "_empty") || strings.HasSuffix(d.Cause, "_too_long") {
		return "field " + d.Message
	}
	return d.Message
}

// print writes the report for people.
func (r *deadReport) print(w io.Writer, limit int) error {
	var b bytes.Buffer
	switch {
	case r.Closed != nil:
		r.printClosed(&b, limit)
	case r.Open == 0:
		fmt.Fprintf(&b, "no open dead letters in shop %q\n", r.Shop)
	default:
		r.printOpen(&b, limit)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (r *deadReport) printOpen(b *bytes.Buffer, limit int) {
	fmt.Fprintf(b, "%s of shop %q could not be delivered\n", counted(r.Open, "record"), r.Shop)
	for _, g := range r.Groups {
		fmt.Fprintf(b, "\n%s: %s, the oldest %s\n", g.Cause, counted(g.Count, "record"), ago(&g.FirstSeen, r.At))
		fmt.Fprintf(b, "  to do: %s\n", g.Fix)
		table(b, func(row func(cells ...any)) {
			if len(g.Letters) > 0 {
				row("ID", "record", "first seen", "last seen", "tries", "message")
			}
			for _, d := range g.Letters {
				row(d.ID, d.Key, r.ago(d.FirstSeen), r.ago(d.LastSeen), d.Attempts, d.said())
			}
		})
		if more := g.Count - int64(len(g.Letters)); more > 0 && limit > 0 {
			fmt.Fprintf(b, "  and %s more: syncd dead list --cause %s --limit %d\n", grouped(more), g.Cause, g.Count)
		}
	}
	b.WriteString("\n" +
		"syncd dead show ID                 show one in full\n" +
		"syncd dead replay ID               read the record from the shop again and deliver it; --cause CAUSE for all of a cause\n" +
		"syncd dead resolve ID --why TEXT   close one that nothing will deliver\n")
}

func (r *deadReport) printClosed(b *bytes.Buffer, limit int) {
	if len(r.Closed) == 0 {
		fmt.Fprintf(b, "no closed dead letters in shop %q\n", r.Shop)
		return
	}
	table(b, func(row func(cells ...any)) {
		row("ID", "record", "cause", "last seen", "closed", "because")
		for _, d := range r.Closed {
			row(d.ID, d.Key, d.Cause, r.ago(d.LastSeen), r.ago(d.Resolved), d.Resolution)
		}
	})
	if len(r.Closed) == limit {
		fmt.Fprintf(b, "  there may be more: syncd dead list --closed --limit %d\n", 10*limit)
	}
}

func (r *deadReport) ago(t *time.Time) string { return ago(t, r.At) }

// ago says how long before now a time was.
func ago(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	if d := now.Sub(*t); d >= time.Second {
		return duration(d) + " ago"
	}
	return "just now"
}

// since prints a time with its distance.
func since(t *time.Time, now time.Time) string {
	if t == nil {
		return "not known"
	}
	if t.Sub(now) >= time.Second { // what is nearer has happened: now is a whole second
		return fmt.Sprintf("%s, in %s", moment(*t), duration(t.Sub(now)))
	}
	return fmt.Sprintf("%s, %s", moment(*t), ago(t, now))
}

// print writes a letter in full for people.
func (d *deadInFull) print(w io.Writer) error {
	var b bytes.Buffer
	line := liner(&b)
	if d.Resolved == nil {
		line("dead letter", "%d, open", d.ID)
	} else {
		line("dead letter", "%d, closed %s: %s", d.ID, since(d.Resolved, d.At), d.Resolution)
	}
	line("record", "%s: %s of shop %q", d.Key, whose(d.Entity, d.Key, d.SourceID), d.Shop)
	line("cause", "%s", d.Cause)
	if d.Message != "" {
		line("message", "%s", d.said())
	}
	line("to do", "%s", d.Fix)
	line("first seen", "%s", since(d.FirstSeen, d.At))
	line("last seen", "%s", since(d.LastSeen, d.At))
	line("tries", "%d", d.Attempts)
	line("by run", "%s", d.LastRun.words(d.At))
	switch {
	case d.Ledger == nil || d.Ledger.CopernicaID == 0:
		line("in Copernica", "no %s is known", rowWord(d.Entity))
	default:
		line("in Copernica", "%s %d in %s, as acknowledged %s", rowWord(d.Entity), d.Ledger.CopernicaID, d.Target, since(d.Ledger.AcknowledgedAt, d.At))
	}
	if d.Resolved == nil {
		fmt.Fprintf(&b, "\nsyncd lookup %s --live   both sides, field by field\nsyncd dead replay %d\nsyncd dead resolve %d --why TEXT\n", d.Key, d.ID, d.ID)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// words says which run it was, and how it ended.
func (r *runBrief) words(now time.Time) string {
	switch {
	case r == nil:
		return "not known"
	case r.Started == nil:
		return fmt.Sprint(r.ID)
	default:
		return fmt.Sprintf("%d of %s, %s, begun %s", r.ID, r.Stream, r.Outcome, since(r.Started, now))
	}
}

// liner prints lines of a name and a value.
func liner(b *bytes.Buffer) func(name, format string, args ...any) {
	return func(name, format string, args ...any) {
		fmt.Fprintf(b, "%-13s %s\n", name, fmt.Sprintf(format, args...))
	}
}

// atFirst is the name of the first of several lines that share one.
func atFirst(i int, name string) string {
	if i > 0 {
		return ""
	}
	return name
}

// table prints rows in columns, two blanks in.
func table(b *bytes.Buffer, fill func(row func(cells ...any))) {
	columns := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fill(func(cells ...any) {
		words := make([]string, len(cells))
		for i, c := range cells {
			words[i] = strings.ReplaceAll(fmt.Sprint(c), "\t", " ")
		}
		fmt.Fprintln(columns, strings.TrimRight("  "+strings.Join(words, "\t"), " \t"))
	})
	columns.Flush() //nolint:errcheck // a buffer takes everything
}
