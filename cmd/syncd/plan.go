package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
	"github.com/magento-copernica/syncd/sync/engine"
)

// planCommand says what the next run would do.
type planCommand struct {
	Limit      int  `default:"20" help:"Rows whose fields are shown, of each stream."`
	Records    int  `placeholder:"N" help:"Read so many records of each stream, in whole pages, and estimate the rest. Default: all that the run would read."`
	ShowValues bool `help:"Also print the values of the fields. They are personal data."`

	Streams []string `arg:"" optional:"" name:"stream" help:"Streams to plan: customers, orders. Default: all that SYNCD_SCHEDULE_… does not switch off." enum:"customers,orders"`
}

// Help is shown by `syncd plan --help`.
func (*planCommand) Help() string {
	return "Reads, maps and compares what the next `syncd run` would, and prints what it would write: how many rows, how many calls, how long, " +
		"and which fields of the first rows. Nothing is written, neither to Copernica nor to the state, and no cursor moves; " +
		"a run may go on at the same time. The calls that it makes to Copernica are billed as any others.\n\n" +
		"Before the first run it plans that. Examples:\n\n" +
		"  syncd plan\n\n" +
		"  syncd plan customers --records 2000 --limit 5"
}

// Run prints a preview of each stream.
func (c *planCommand) Run(ctx context.Context, a *app) error {
	if c.Limit < 0 || c.Records < 0 {
		return &usageError{errors.New("--limit and --records cannot be negative")}
	}
	cfg, store, err := a.lookAtState(ctx, config.NeedMagento|config.NeedCopernica|config.NeedState)
	if is[*noStateError](err) {
		store, err = sqlite.Open(ctx, sqlite.Config{Now: a.now}) // in memory: nothing was ever sent
	}
	if err != nil {
		return err
	}
	return errors.Join(c.plan(ctx, a, cfg, store), store.Close())
}

func (c *planCommand) plan(ctx context.Context, a *app, cfg config.Config, store state.Store) error {
	streams, err := streamsOf(cfg, c.Streams)
	if err != nil {
		return err
	}
	log := a.logger(cfg)
	bar := a.progress(log)
	p, err := a.openPipeline(ctx, cfg, log, unsettled{store}, bar.show)
	if err != nil {
		return err
	}
	defer p.close() //nolint:errcheck // it closes idle connections; the store is the caller's
	previews, err := p.engine.Preview(ctx, engine.PreviewRequest{Streams: streams, Rows: c.Limit, Records: c.Records})
	bar.end()
	return errors.Join(printPreviews(a.stdout, previews, c.ShowValues), err)
}

// printPreviews prints what would be done.
func printPreviews(w io.Writer, previews []engine.Preview, values bool) error {
	var b bytes.Buffer
	for i, p := range previews {
		if i > 0 {
			b.WriteByte('\n')
		}
		printPreview(&b, p, values)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func printPreview(b *bytes.Buffer, p engine.Preview, values bool) {
	n := p.Counters
	stream, _, _ := strings.Cut(p.Stream, "/resync-")
	if n.Read == 0 && p.Calls == 0 && !p.Waiting {
		fmt.Fprintf(b, "%s: nothing to read, no call to Copernica\n", stream)
		return
	}
	calls := "no call to Copernica"
	if p.Calls > 0 {
		calls = "about " + counted(p.Calls, "call") + " to Copernica, " + minutes(p.Time)
	}
	fmt.Fprintf(b, "%s would be: %s; %s\n", stream, tally(p.Stream, n), calls)
	if p.Adopting && n.Created > 0 {
		fmt.Fprintf(b, "  up to %s created: Copernica has rows of this shop that the state does not know; each is looked up first, and what is there is taken over\n", grouped(n.Created))
	}
	if n.Claimed > 0 && n.Removed > 0 {
		fmt.Fprintf(b, "  orders of guests found to be customers are made anew below the customer's profile, which counts as created; then the guest's is removed\n")
	}
	if n.Missing > 0 {
		fmt.Fprintf(b, "  nobody is erased yet: what is gone or anonymised waits for a sweep, which does as SYNCD_ERASURE says\n")
	}
	if p.Missing > 0 {
		fmt.Fprintf(b, "  the shop does not have %s of the ids\n", grouped(p.Missing))
	}
	if p.Total > n.Read && !p.Waiting && n.Read > 0 {
		whole := float64(p.Total) / float64(n.Read)
		makes := "no call"
		if p.Calls > 0 {
			makes = "about " + counted(int64(float64(p.Calls)*whole), "call") + " and " + minutes(time.Duration(float64(p.Time)*whole))
		}
		fmt.Fprintf(b, "  of %s in all, for which that makes %s\n", counted(p.Total, "record"), makes)
	}
	if p.Waiting {
		fmt.Fprintf(b, "  %s: the first pass over the customers has yet to bring their customers\n", waiting(p.Total-n.Read))
	}
	switch looked := counted(p.Looks, "row") + " looked at in Copernica first"; {
	case p.Looks > 0 && p.Forced:
		fmt.Fprintf(b, "  %s: what Copernica has no more is created, not updated\n", looked)
	case p.Looks > 0:
		fmt.Fprintf(b, "  %s, and written only where %s\n", looked, plural(p.Looks, "it differs", "they differ"))
	}
	if len(p.Rows) == 0 {
		return
	}
	if first := len(p.Rows); first == 1 {
		b.WriteString("the first row:\n")
	} else {
		fmt.Fprintf(b, "the first %d rows:\n", first)
	}
	table(b, func(row func(cells ...any)) {
		for _, r := range p.Rows {
			row(r.Key, r.Action, previewFields(r, p.Forced, values))
		}
	})
}

// waiting says how many orders have to wait.
func waiting(n int64) string {
	if n == 1 {
		return "1 order waits"
	}
	return grouped(n) + " orders wait"
}

// previewFields says which fields of a row would change.
func previewFields(r engine.PreviewRow, forced, values bool) string {
	switch {
	case r.Action == engine.PreviewRefuse:
		return r.Cause
	case r.Action == engine.PreviewRemove:
		return "its line is gone"
	case r.Gone:
		return "Copernica has this row no more: a resync with --force brings it back"
	case len(r.Fields) == 0 && forced:
		return "forced: as it stands"
	case len(r.Fields) == 0:
		return "as it stands"
	}
	names := make([]string, len(r.Fields))
	for i, side := range r.Fields {
		names[i] = side.Field
		switch {
		case values && r.Action == engine.PreviewCreate:
			names[i] += fmt.Sprintf(" %q", side.Mapped)
		case values:
			names[i] += fmt.Sprintf(" %q -> %q", side.Have, side.Mapped)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// minutes prints an estimate of a time.
func minutes(d time.Duration) string {
	if d < time.Minute {
		return "under a minute"
	}
	return "about " + counted(int64((d+30*time.Second)/time.Minute), "minute")
}
