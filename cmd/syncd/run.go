package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// runCommand makes one pass over each stream.
type runCommand struct {
	AcceptNewAddress bool `help:"The shop has moved to another address and is the same shop."`

	Streams []string `arg:"" optional:"" name:"stream" help:"Streams to run: customers, orders. Default: all that SYNCD_SCHEDULE_… does not switch off, in this order. By name only: unsubscribes, customers/consent, customers/sweep, orders/sweep, copernica/sweep." enum:"customers,orders,unsubscribes,customers/consent,customers/sweep,orders/sweep,copernica/sweep"`
}

// Help is shown by `syncd run --help`.
func (*runCommand) Help() string {
	return "Reads what changed in the shop since the last run, up to a horizon just behind the shop's clock, " +
		"and writes what differs to Copernica: the customers first, then the orders, which stand below them. " +
		"A run that is cut short is resumed by the next one. " +
		"A sweep that is named makes a whole round now, and unsubscribes takes the opt-outs that were made in Copernica to the shop, " +
		"which SYNCD_WRITE_BACK=off refuses before anything is run; " +
		"copernica/sweep looks for what was changed there by hand, and sends it again unless SYNCD_REPAIR=report. " +
		"Schema is never created: that is `syncd provision`."
}

// Run runs the streams one after the other.
func (c *runCommand) Run(ctx context.Context, a *app) error {
	cfg, log, err := a.configure(ctx, config.NeedMagento|config.NeedCopernica|config.NeedState)
	if err != nil {
		return err
	}
	streams := c.Streams
	if len(streams) == 0 {
		streams = switchedOn(cfg)
	}
	if slices.Contains(streams, engine.Unsubscribes) {
		if err := mayWriteBack(cfg, "leave unsubscribes out of the command"); err != nil {
			return err
		}
	}
	a.newAddress = c.AcceptNewAddress
	bar := a.progress(log)
	p, err := a.openPipeline(ctx, cfg, log, nil, bar.show)
	if err != nil {
		return err
	}
	stopping := context.AfterFunc(ctx, func() {
		log.Info("stopping: waiting for calls under way, some seconds at most; another signal ends at once")
	})
	defer stopping()
	var open, unknown int64
	for _, stream := range streams {
		found := map[engine.Deviation]int64{}
		report, runErr := runStream(ctx, p.engine, stream, engine.Inspection{
			Repair: cfg.Repair == config.RepairRows, Found: func(f engine.Finding) { found[f.Deviation]++ },
		})
		bar.end()
		if report.Run != 0 {
			fmt.Fprintln(a.stdout, summary(report))
		}
		if len(found) > 0 {
			fmt.Fprintf(a.stdout, "  found in Copernica: %s; `syncd verify` names those that are left\n", counts(found))
		}
		open = report.Letters
		if err = runErr; err != nil {
			break
		}
		unknown += report.Counters.Unknown
	}
	if err == nil {
		err = a.compareConsent(ctx, p.engine, engine.Budget(cfg.RunBudget))
		bar.end()
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("stopped: the next run resumes where this one was")
	}
	return errors.Join(verdict(err, unknown, open), p.close())
}

// mayWriteBack refuses to take opt-outs to a shop that the settings leave alone. Whoever asks
// for it all the same has two wishes of which one must give way, and is told so before any
// of it is done: a timer that goes on with half of its work is noticed by nobody.
func mayWriteBack(cfg config.Config, instead string) error {
	if cfg.WriteBack.On() {
		return nil
	}
	return &config.Error{
		Variable: config.Prefix + "WRITE_BACK",
		Problem:  "is off, so opt-outs made in Copernica are not taken to the shop: " + instead + ", or set it to on",
	}
}

// compareConsent works the resyncs of consent that are open, which a run asks for that finds
// out that its state is an older copy. Those that operators ask for are theirs, or a daemon's.
func (a *app) compareConsent(ctx context.Context, e *engine.Engine, b engine.Budget) error {
	open, err := e.Resyncs(ctx)
	if err != nil {
		return err
	}
	for _, q := range open {
		if q.Stream != engine.ConsentSweep {
			continue
		}
		report, err := e.Resync(ctx, q.ID, b)
		if report.Run != 0 {
			fmt.Fprintln(a.stdout, summary(report))
		}
		if err != nil && !errors.Is(err, state.ErrResyncEnded) {
			return err
		}
	}
	return nil
}

// runStream runs a live stream, a whole round of a sweep, or the way back.
func runStream(ctx context.Context, e *engine.Engine, stream string, look engine.Inspection) (engine.Report, error) {
	switch {
	case stream == engine.InspectSweep:
		return e.Inspect(ctx, look)
	case stream == engine.Unsubscribes:
		return e.WriteBack(ctx)
	case slices.Contains(engine.Sweeps(), stream):
		return e.Sweep(ctx, stream, engine.Sweep{Whole: true})
	default:
		return e.Run(ctx, stream)
	}
}

// verdict is what a run ends with: what stopped it, else what it left undone.
func verdict(err error, unknown, open int64) error {
	switch {
	case err != nil:
		return err
	case unknown > 0:
		return &unknownError{writes: unknown}
	case open > 0:
		return &deadLettersError{open: open}
	}
	return nil
}

// switchedOn are the streams whose schedule is not off.
func switchedOn(cfg config.Config) []string {
	return slices.DeleteFunc(engine.Streams(), func(stream string) bool {
		if stream == engine.Orders {
			return cfg.Schedule.Orders.Off()
		}
		return cfg.Schedule.Customers.Off()
	})
}

// summary says in one line what a run did.
func summary(r engine.Report) string {
	n := r.Counters
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", r.Stream, tally(r.Stream, n))
	if r.Unreached > 0 {
		fmt.Fprintf(&b, ", %s not reached", grouped(r.Unreached))
	}
	fmt.Fprintf(&b, "; %s to Copernica, %s to Magento; %s", counted(n.TargetCalls, "call"), grouped(n.SourceCalls), r.Elapsed.Round(10*time.Millisecond))
	switch {
	case r.Waiting && r.Outcome == state.Paused:
		b.WriteString("; waits for customers: the first pass over the customers is not finished")
	case r.Outcome == state.Done && r.Horizon.IsZero():
		b.WriteString("; nothing to hold against each other before the first pass is finished")
	case r.Outcome == state.Done && strings.Contains(r.Stream, "/"):
		b.WriteString("; everything was looked at")
	case r.Outcome == state.Done:
		fmt.Fprintf(&b, "; in step up to %s", r.Horizon.UTC().Format(time.RFC3339))
	case r.Outcome == state.Paused:
		b.WriteString("; not finished, the next run resumes here")
	case r.Outcome == state.Failed:
		b.WriteString("; failed, the next run resumes here")
	}
	return b.String()
}

// tally says what a run counted, or would count.
func tally(stream string, n state.Counters) string {
	created := grouped(n.Created)
	if strings.HasPrefix(stream, engine.Orders) { // an order makes several
		created = counted(n.Created, "row")
	}
	returned := n.OptOutsReturned - n.OptOutsWithoutRecord
	var b strings.Builder
	fmt.Fprintf(&b, "%s read", grouped(n.Read))
	if stream != engine.Unsubscribes {
		fmt.Fprintf(&b, ", %s created, %s updated, %s unchanged", created, grouped(n.Updated), grouped(n.Unchanged))
	}
	for _, part := range []struct {
		count int64
		words string
	}{
		{n.Removed, counted(n.Removed, "row") + " removed"},
		{n.Refused, grouped(n.Refused) + " refused"},
		{n.Claimed, foundCustomers(n.Claimed)},
		{n.Ownerless, grouped(n.Ownerless) + " of deleted accounts"},
		{n.Unknown, grouped(n.Unknown) + " without an outcome yet"},
		{n.Erased, people(n.Erased) + " erased"},
		{n.Missing, counted(n.Missing, "record") + " gone from the shop"},
		{returned, counted(returned, "opt-out") + " returned to the shop"},
		{n.OptOutsWithoutRecord, counted(n.OptOutsWithoutRecord, "opt-out") + " of people without a record in the shop"},
		{n.OptOutsKept, counted(n.OptOutsKept, "opt-out") + " in Copernica kept"},
	} {
		if part.count > 0 {
			fmt.Fprintf(&b, ", %s", part.words)
		}
	}
	return b.String()
}

// foundCustomers says how many guests turned out to be customers.
func foundCustomers(n int64) string {
	return counted(n, "guest") + " found to be " + plural(n, "a customer", "customers")
}

// people prints a number of them.
func people(n int64) string {
	if n == 1 {
		return "1 person"
	}
	return grouped(n) + " people"
}

// counted prints a number of things, of which name is the singular.
func counted(n int64, name string) string {
	if n == 1 {
		return "1 " + name
	}
	return grouped(n) + " " + name + "s"
}

// grouped prints a number with its thousands apart.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
