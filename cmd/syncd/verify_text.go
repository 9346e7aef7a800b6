package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// verifyReport is what `syncd verify --json` prints. docs/status.md describes it;
// names and meanings stay, new ones may join.
type verifyReport struct {
	Shop        string                                      `json:"shop"`
	At          time.Time                                   `json:"at"`
	Sample      int                                         `json:"sample"` // places that were looked at; 0: everywhere
	Looked      []verifyPart                                `json:"looked"`
	Counts      map[engine.Deviation]map[state.Entity]int64 `json:"counts"`
	Differences []verifyDifference                          `json:"differences"`
	Repairs     []verifyRun                                 `json:"repairs"`           // runs of --repair; null without it
	Open        int64                                       `json:"dead_letters_open"` // at last after a repair
	asked       *verifyCommand
	known       map[verifyKey]bool
	amiss       map[string]bool // of the streams in the shop, and of Copernica: something differs, or could not be compared
	repaired    bool            // to its end
	failed      bool            // a side could not be looked at
	left        int64
	unknown     int64
}

type verifyKey struct {
	deviation   engine.Deviation
	entity      state.Entity
	key         string
	copernicaID int64
}

type verifyPart struct {
	What       string `json:"what"`
	Read       int64  `json:"read"`
	OnTheirWay int64  `json:"on_their_way"`
	Unfinished bool   `json:"unfinished"` // the first pass of the stream is not over
}

type verifyDifference struct {
	Deviation   engine.Deviation `json:"deviation"`
	Entity      state.Entity     `json:"entity"`
	Key         string           `json:"key"`
	SourceID    int64            `json:"source_id"`    // in the shop; 0: not known
	CopernicaID int64            `json:"copernica_id"` // 0: none
	Chosen      int64            `json:"chosen"`       // of a double: the row with its key that is written to; 0: it is none
	ChosenGone  bool             `json:"chosen_gone"`  // that row is removed: one of its doubles is to be kept
	Fields      []verifyField    `json:"fields"`
}

type verifyField struct {
	Field     string  `json:"field"`
	Shop      *string `json:"shop,omitempty"` // with --show-values
	Copernica *string `json:"copernica,omitempty"`
}

type verifyRun struct {
	Stream   string         `json:"stream"`
	Run      int64          `json:"run"`
	Counters state.Counters `json:"counters"`
	words    string
}

func newVerifyReport(shop string, now time.Time, c *verifyCommand) *verifyReport {
	r := &verifyReport{
		Shop: shop, At: now.UTC().Truncate(time.Second), Sample: c.Sample, Looked: []verifyPart{}, Differences: []verifyDifference{},
		Counts: map[engine.Deviation]map[state.Entity]int64{}, asked: c, known: map[verifyKey]bool{}, amiss: map[string]bool{},
	}
	if c.Repair {
		r.Repairs = []verifyRun{}
	}
	return r
}

// add takes a difference in. Two places of a sample may show the same, and so may a
// customer and their orders.
func (r *verifyReport) add(d engine.Difference) {
	key := verifyKey{d.Deviation, d.Entity, d.Key, d.CopernicaID}
	if r.known[key] {
		return
	}
	r.known[key] = true
	one := verifyDifference{d.Deviation, d.Entity, d.Key, d.SourceID, d.CopernicaID, d.Chosen, false, r.fields(d.Fields)}
	r.Differences = append(r.Differences, one)
	if r.Counts[d.Deviation] == nil {
		r.Counts[d.Deviation] = map[state.Entity]int64{}
	}
	r.Counts[d.Deviation][d.Entity]++
}

// keep marks the doubles of rows that are removed: whoever took those away as well would
// take the last one.
func (r *verifyReport) keep() {
	for i := range r.Differences {
		d := &r.Differences[i]
		d.ChosenGone = d.Chosen != 0 && r.known[verifyKey{engine.Removed, d.Entity, d.Key, d.Chosen}]
	}
}

func (r *verifyReport) fields(sides []mapping.Side) []verifyField {
	fields := make([]verifyField, len(sides))
	for i, side := range sides {
		fields[i].Field = side.Field
		if r.asked.ShowValues {
			fields[i].Shop, fields[i].Copernica = new(side.Mapped), new(side.Have)
		}
	}
	return fields
}

func (r *verifyReport) looked(parts ...engine.Verified) {
	for _, p := range parts {
		r.Looked = append(r.Looked, verifyPart{p.What, p.Read, p.OnTheirWay, p.Unfinished})
	}
}

// ran notes a run of the repair.
func (r *verifyReport) ran(done engine.Report) {
	if done.Run == 0 {
		return
	}
	r.Repairs = append(r.Repairs, verifyRun{done.Stream, done.Run, done.Counters, summary(done)})
	r.Open, r.unknown = done.Letters, r.unknown+done.Counters.Unknown
}

// settle counts what the repair leaves as it is.
func (r *verifyReport) settle(f engine.Finding, streams []string) {
	asked := engine.Orders
	if f.Entity == state.Profile {
		asked = engine.Customers
	}
	if slices.Contains(streams, asked) && (f.Deviation == engine.Duplicated || f.Deviation == engine.Orphaned) {
		r.left++
	}
}

// verdict is what the command ends with.
func (r *verifyReport) verdict(failed error) error {
	if failed != nil {
		return failed
	}
	var found []error
	switch n := int64(len(r.Differences)); {
	case r.repaired && r.left > 0:
		found = append(found, &differError{rows: r.left, repair: true})
	case !r.repaired && n > 0:
		found = append(found, &differError{
			rows: n, theirs: !slices.ContainsFunc(r.Differences, reparable), streams: r.asked.Streams, accept: r.acceptable(),
		})
	}
	if over := r.unfinished(); over != "" {
		found = append(found, &unfinishedError{over: over, named: r.asked.Streams})
	}
	if len(found) > 0 {
		return errors.Join(found...)
	}
	// A record that was refused is known to differ; its letter says how.
	return verdict(nil, r.unknown, r.Open)
}

// unfinished names the streams whose first pass is not over.
func (r *verifyReport) unfinished() string {
	var streams []string
	for _, p := range r.Looked {
		if p.Unfinished {
			stream, _, _ := strings.Cut(p.What, "/")
			streams = append(streams, stream)
		}
	}
	return strings.Join(streams, " and the ")
}

// acceptable is the number that lets a repair pass the brake: of the deletions that were
// found, and no more. A sample does not know it.
func (r *verifyReport) acceptable() (most int64) {
	if r.asked.AcceptDeletions == 0 || r.Sample > 0 {
		return 0
	}
	for _, n := range r.Counts[engine.Missing] { // each stream has a brake of its own
		most = max(most, n)
	}
	return most
}

// reparable reports whether --repair sees to a difference.
func reparable(d verifyDifference) bool {
	switch d.Deviation {
	case engine.Duplicated, engine.Orphaned, engine.Undeliverable, engine.Resolved:
		return false
	default:
		return true
	}
}

// deviations are the words for what differs, in the order in which they are counted.
var deviations = []struct {
	is    engine.Deviation
	words string
}{
	{engine.Unsent, "in the shop, and never sent"},
	{engine.Outdated, "say something else in the shop"},
	{engine.LineGone, "stand for a line that its order no longer has"},
	{engine.Missing, "gone from the shop"},
	{engine.Undeliverable, "cannot be delivered as they stand"},
	{engine.Resolved, "not delivered, and their dead letters were resolved by an operator"},
	{engine.Removed, "removed in Copernica"},
	{engine.Edited, "edited in Copernica"},
	{engine.Duplicated, "doubles in Copernica, of rows that are known"},
	{engine.Orphaned, "in Copernica with a key of this shop that nobody has"},
}

// print writes the report for people.
func (r *verifyReport) print(w io.Writer) error {
	const most = 500
	var b bytes.Buffer
	if len(r.Differences) > 0 {
		table(&b, func(row func(cells ...any)) {
			row("differs", "what", "key", "in the shop", "in Copernica", "fields")
			for _, d := range r.Differences[:min(most, len(r.Differences))] {
				row(d.Deviation, d.Entity, d.Key, orNothing(d.SourceID), orNothing(d.CopernicaID), r.named(&d))
			}
		})
		if more := len(r.Differences) - most; more > 0 {
			fmt.Fprintf(&b, "and %s more, which --json prints\n", grouped(int64(more)))
		}
		b.WriteByte('\n')
	}
	for _, part := range r.Looked {
		fmt.Fprintf(&b, "%s: %s looked at", part.What, grouped(part.Read))
		if part.OnTheirWay > 0 {
			fmt.Fprintf(&b, ", %s left to the next run", counted(part.OnTheirWay, "change"))
		}
		if part.Unfinished {
			b.WriteString("; the first pass of the stream is not finished, so there is nothing to compare the shop with")
		}
		b.WriteByte('\n')
	}
	if r.Sample > 0 {
		fmt.Fprintf(&b, "a sample: %s on each side, a page each; what differs elsewhere is not seen\n", counted(int64(r.Sample), "random place"))
	}
	if len(r.Differences) == 0 {
		words := "nothing differs\n"
		switch {
		case r.failed:
			words = "nothing differs in what could be compared, which was not everything\n"
		case r.unfinished() != "":
			words = "nothing differs in what could be compared\n"
		case r.Open > 0:
			words = "nothing differs but what could not be delivered\n"
		}
		b.WriteString(words)
	}
	for _, one := range deviations {
		if n := r.Counts[one.is]; len(n) > 0 {
			fmt.Fprintf(&b, "%s: %s, %s\n", one.is, counts(n), one.words)
		}
	}
	if r.Open > 0 {
		fmt.Fprintf(&b, "%s: `syncd dead`\n", lettersOpen(r.Open))
	}
	for i, run := range r.Repairs {
		if i == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintln(&b, run.words)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// named lists the fields that differ, with their values when they were asked for; of a
// double it names the row that is written to.
func (r *verifyReport) named(d *verifyDifference) string {
	switch {
	case d.ChosenGone && r.doubles(d) > 1:
		return fmt.Sprintf("%d was ours and is gone: keep one of these", d.Chosen)
	case d.ChosenGone:
		return fmt.Sprintf("%d was ours and is gone: keep this one", d.Chosen)
	case d.Chosen != 0:
		return fmt.Sprintf("%d is ours", d.Chosen)
	}
	parts := make([]string, len(d.Fields))
	for i, f := range d.Fields {
		if parts[i] = f.Field; f.Shop != nil {
			parts[i] = fmt.Sprintf("%s: %q, in Copernica %q", f.Field, *f.Shop, *f.Copernica)
		}
	}
	return strings.Join(parts, ", ")
}

// doubles counts the rows that have the key of a double, but for the one that is ours.
func (r *verifyReport) doubles(d *verifyDifference) int {
	n := 0
	for i := range r.Differences {
		if other := &r.Differences[i]; other.Chosen != 0 && other.Entity == d.Entity && other.Key == d.Key {
			n++
		}
	}
	return n
}

func orNothing(id int64) any {
	if id == 0 {
		return "-"
	}
	return id
}
