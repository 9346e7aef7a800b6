package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// verifyCommand holds both sides against what syncd knows, now.
type verifyCommand struct {
	Sample          int   `placeholder:"N" help:"Look at N random places of each side only, a page each."`
	Repair          bool  `help:"Put right what differs and is ours to put right: whole sweeps, and rows that are sent again."`
	AcceptDeletions int64 `placeholder:"N" help:"So many records are known to be deleted in the shop: do not stop at them."`
	ShowValues      bool  `help:"Also print the values of fields that differ. They are personal data."`
	JSON            bool  `help:"Print JSON, in the form that docs/status.md describes."`

	Streams []string `arg:"" optional:"" name:"stream" help:"Streams to verify: customers, orders. Default: all that SYNCD_SCHEDULE_… does not switch off." enum:"customers,orders"`
}

// verifyRows is how many differing rows of a side are read to name their fields.
const verifyRows = 1000

// Help is shown by `syncd verify --help`.
func (*verifyCommand) Help() string {
	return "Reads every record of the shop by id and every row in Copernica, compares both with what Copernica acknowledged, and prints what " +
		"differs: names of fields, no values. Ends with 0 when nothing does, with 4 when nothing does and dead letters are open, and with 1 otherwise: " +
		"also before `syncd run` has finished the first pass, when there is nothing to compare the shop with. " +
		"Without --repair nothing is written, neither to Copernica nor to the shop, and a run may go on at the same time; what the next run " +
		"brings over anyhow is not reported.\n\n" +
		"The calls to Copernica are billed as any others: one for each 1,000 rows, and one for each of the first differing rows.\n\n" +
		"  syncd verify --sample 20\n\n" +
		"  syncd verify customers --repair --accept-deletions 4000"
}

// Validate is called by kong.
func (c *verifyCommand) Validate() error {
	switch {
	case c.Sample < 0 || c.AcceptDeletions < 0:
		return errors.New("--sample and --accept-deletions cannot be negative")
	case c.Sample > 0 && c.Repair:
		return errors.New("--repair repairs everything: leave --sample out")
	}
	return nil
}

// Run verifies, and repairs what differs when it was asked to.
func (c *verifyCommand) Run(ctx context.Context, a *app) error {
	cfg, store, err := a.lookAtState(ctx, config.NeedMagento|config.NeedCopernica|config.NeedState)
	if err != nil {
		return err
	}
	return errors.Join(c.verify(ctx, a, cfg, store), store.Close())
}

func (c *verifyCommand) verify(ctx context.Context, a *app, cfg config.Config, store state.Store) error {
	streams, err := streamsOf(cfg, c.Streams)
	if err != nil {
		return err
	}
	log := a.logger(cfg)
	bar := a.progress(log)
	kept := store
	if !c.Repair {
		kept = unsettled{store}
	}
	p, err := a.openPipeline(ctx, cfg, log, kept, bar.show)
	if err != nil {
		return err
	}
	defer p.close() //nolint:errcheck // it closes idle connections; the store is the caller's
	report := newVerifyReport(cfg.Shop, a.now(), c)
	over, err := store.Overview(ctx, cfg.Shop)
	if err != nil {
		return err
	}
	for _, n := range over.OpenLetters {
		report.Open += n
	}
	found := c.look(ctx, p.engine, streams, report)
	bar.end()
	report.keep()
	if ctx.Err() != nil && errors.Is(found, context.Canceled) {
		found = errors.New("stopped: what was not looked at yet is not told")
	}
	report.failed = found != nil
	repaired := c.Repair && ctx.Err() == nil && (len(report.Differences) > 0 || is[*engine.MissingError](found))
	var failed error
	if repaired {
		found = nil // the repair meets the same, and says so
		failed = c.repair(ctx, p.engine, streams, report)
		bar.end()
	}
	if c.JSON {
		err = a.printJSON(report)
	} else {
		err = report.print(a.stdout)
	}
	return errors.Join(report.verdict(errors.Join(found, failed)), err)
}

// look compares both sides with the ledger and writes nothing. A side that cannot be
// looked at does not hide the others.
func (c *verifyCommand) look(ctx context.Context, e *engine.Engine, streams []string, report *verifyReport) error {
	differs := false
	v := engine.Verification{Windows: c.Sample, Accept: c.AcceptDeletions, Rows: verifyRows, Found: func(d engine.Difference) {
		differs = differs || d.Deviation != engine.Resolved
		report.add(d)
	}}
	var all []error
	for _, stream := range streams {
		differs = false
		done, err := e.VerifyShop(ctx, stream, v)
		report.looked(done)
		report.amiss[stream] = differs || err != nil
		all = append(all, err)
	}
	for _, stream := range streams {
		differs = false
		done, err := e.VerifyCopernica(ctx, stream, v)
		report.looked(done...)
		report.amiss[engine.InspectSweep] = report.amiss[engine.InspectSweep] || differs || err != nil
		all = append(all, err)
	}
	return errors.Join(all...)
}

// repair sweeps the shop, then sends again what deviates in Copernica. A side in which
// nothing differs is not read a second time.
func (c *verifyCommand) repair(ctx context.Context, e *engine.Engine, streams []string, report *verifyReport) error {
	for _, stream := range streams {
		if !report.amiss[stream] {
			continue
		}
		sweep := engine.CustomersSweep
		if stream == engine.Orders {
			sweep = engine.OrdersSweep
		}
		done, err := e.Sweep(ctx, sweep, engine.Sweep{Whole: true, Accept: c.AcceptDeletions})
		report.ran(done)
		if err != nil {
			return err
		}
	}
	var err error
	if report.amiss[engine.InspectSweep] {
		var done engine.Report
		done, err = e.Inspect(ctx, engine.Inspection{Repair: true, Found: func(f engine.Finding) { report.settle(f, streams) }})
		report.ran(done)
	}
	for _, stream := range streams {
		closed, failed := e.ResolvedLetters(ctx, stream)
		report.left += int64(len(closed))
		err = errors.Join(err, failed)
	}
	report.repaired = err == nil
	return err
}

// differError ends a verification that found something.
type differError struct {
	rows    int64
	repair  bool
	theirs  bool     // none of them is ours to put right
	streams []string // that were named
	accept  int64    // deletions that an operator said are true, as many as were found
}

func (e *differError) Error() string {
	rows := counted(e.rows, "row")
	switch {
	case e.theirs && e.rows == 1:
		return "1 row differs that is not ours to put right: mend it in Copernica or in the shop"
	case e.theirs:
		return rows + " differ that are not ours to put right: mend them in Copernica or in the shop"
	case e.repair && e.rows == 1:
		return "1 row is left that is not ours to put right: mend it in Copernica or in the shop"
	case e.repair:
		return rows + " are left that are not ours to put right: mend them in Copernica or in the shop"
	}
	command := strings.Join(append(append([]string{"syncd verify"}, e.streams...), "--repair"), " ")
	if e.accept > 0 {
		command += fmt.Sprintf(" --accept-deletions %d", e.accept)
	}
	return fmt.Sprintf("%s: `%s` puts right what is ours to put right", plural(e.rows, "1 row differs", rows+" differ"), command)
}

// unfinishedError ends a verification of a stream whose first pass is not over.
type unfinishedError struct {
	over  string   // the streams of which that is so
	named []string // streams that were named
}

func (e *unfinishedError) Error() string {
	return fmt.Sprintf("the first pass over the %s is not finished, so that the shop was not compared: `%s` finishes it",
		e.over, strings.Join(append([]string{"syncd run"}, e.named...), " "))
}
