package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// runCommand makes one pass over each stream.
type runCommand struct {
	AcceptNewAddress bool `help:"The shop has moved to another address and is the same shop."`
	Wait             bool `help:"When another process writes for the shop, wait for the end."`

	Streams []string `arg:"" optional:"" name:"stream" help:"Streams to run: customers, orders. Default: all that SYNCD_SCHEDULE_… does not switch off, in this order. By name only: unsubscribes, customers/consent, customers/sweep, orders/sweep, copernica/sweep." enum:"customers,orders,unsubscribes,customers/consent,customers/sweep,orders/sweep,copernica/sweep"`
}

// Help is shown by `syncd run --help`.
func (*runCommand) Help() string {
	return "Reads what changed in the shop since the last run, up to a horizon just behind the shop's clock, " +
		"and writes what differs to Copernica: the customers first, then the orders, which stand below them. " +
		"A run that is cut short is resumed by the next one. " +
		"A sweep that is named makes a whole round now, and one that fails does not keep those named after it from theirs; " +
		"unsubscribes takes the opt-outs that were made in Copernica to the shop, " +
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
	streams, err := streamsOf(cfg, c.Streams)
	if err != nil {
		return err
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
	w := &runWork{a: a, cfg: cfg, log: log, bar: bar, engine: p.engine, wait: c.Wait}
	err = w.all(ctx, streams)
	return errors.Join(verdict(err, w.unknown, w.open), p.close())
}

// runWork runs streams one after the other.
type runWork struct {
	a      *app
	cfg    config.Config
	log    *slog.Logger
	bar    *progress
	engine *engine.Engine
	wait   bool // for another process that writes

	unknown int64 // writes without an outcome
	open    int64 // dead letters
}

// all runs streams, and compares consent where that is asked for. A live stream that fails is
// the last one: the orders stand on the customers. A sweep that fails does not keep the
// others from theirs, above all not the opt-outs from the shop; what stopped each is told.
func (w *runWork) all(ctx context.Context, streams []string) error {
	var failed []error
	for _, stream := range streams {
		err := w.one(ctx, stream)
		if err == nil {
			continue
		}
		failed = append(failed, w.stopped(ctx, err))
		if slices.Contains(engine.Streams(), stream) || stopsAll(ctx, err) {
			return errors.Join(failed...)
		}
	}
	err := w.compareConsent(ctx)
	w.bar.end()
	return errors.Join(append(failed, w.stopped(ctx, err))...)
}

// one runs a stream and prints what it did.
func (w *runWork) one(ctx context.Context, stream string) error {
	found := map[engine.Deviation]int64{}
	report, err := w.whenFree(ctx, func() (engine.Report, error) {
		return runStream(ctx, w.engine, stream, engine.Inspection{
			Repair: w.cfg.Repair == config.RepairRows, Found: func(f engine.Finding) { found[f.Deviation]++ },
		})
	})
	w.bar.end()
	w.ran(report)
	if len(found) > 0 {
		fmt.Fprintf(w.a.stdout, "  found in Copernica: %s; `syncd verify` names those that are left\n", counts(found))
	}
	return err
}

// ran prints what a run did, and adds what it left undone.
func (w *runWork) ran(report engine.Report) {
	if report.Run == 0 {
		return
	}
	fmt.Fprintln(w.a.stdout, summary(report))
	w.open = report.Letters
	w.unknown += report.Counters.Unknown
}

// whenFree does work that takes the writer's lease; with --wait, when no other process has it.
func (w *runWork) whenFree(ctx context.Context, work func() (engine.Report, error)) (engine.Report, error) {
	for said := false; ; said = true {
		report, err := work()
		held, ok := errors.AsType[*state.HeldError](err)
		if !ok || !w.wait {
			return report, err
		}
		if !said {
			w.bar.end()
			w.log.Info("another process writes for this shop: waiting for its end", "holder", held.Holder)
		}
		if err := untilNextLook(ctx); err != nil {
			return report, err
		}
	}
}

// untilNextLook is the pause between two looks whether another process still has the lease.
func untilNextLook(ctx context.Context) error {
	const look = 2 * time.Second
	select {
	case <-time.After(look):
		return nil
	case <-ctx.Done():
		return context.Canceled
	}
}

// stopped says in an operator's words that a run was asked to end.
func (w *runWork) stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return errors.New("stopped: the next run resumes where this one was")
	}
	return err
}

// stopsAll reports whether what stopped one sweep stops the others as well: we are to end,
// another process writes, the settings and the state do not fit each other, or a peer
// cannot be reached. A refusal may be of what one of them asks for alone, as where a
// permission is missing, and so may the brake and an answer that never comes.
func stopsAll(ctx context.Context, err error) bool {
	switch {
	case ctx.Err() != nil, is[*state.HeldError](err), errors.Is(err, state.ErrFenced),
		is[*config.Error](err), is[*state.TargetError](err), is[*state.ShopError](err), is[*engine.IdentityError](err):
		return true
	}
	call, ok := errors.AsType[*httpx.Error](err)
	return ok && call.Kind != httpx.KindTimeout && call.Kind != httpx.KindBroken && call.Kind != httpx.KindTooLarge
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

// compareConsent works the resyncs of consent that are open, whoever asked for them: a run
// does so itself when it finds out that its state is an older copy. Any other resync is left
// to `syncd resync`, or to a daemon.
func (w *runWork) compareConsent(ctx context.Context) error {
	open, err := w.engine.Resyncs(ctx)
	if err != nil {
		return err
	}
	for _, q := range open {
		if q.Stream != engine.ConsentSweep {
			continue
		}
		report, err := w.whenFree(ctx, func() (engine.Report, error) { return w.engine.Resync(ctx, q.ID, engine.Budget(w.cfg.RunBudget)) })
		w.ran(report)
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

// streamsOf are the streams that a command works: those that are named, else those that
// are switched on.
func streamsOf(cfg config.Config, named []string) ([]string, error) {
	if len(named) > 0 {
		return named, nil
	}
	if on := switchedOn(cfg); len(on) > 0 {
		return on, nil
	}
	return nil, bothOff("so that there is nothing to do: write a schedule into one of them, or name the stream")
}

// bothOff is the mistake of switching every stream off.
func bothOff(problem string) error {
	return &config.Error{Variable: config.Prefix + "SCHEDULE_CUSTOMERS", Problem: "and SYNCD_SCHEDULE_ORDERS are both off, " + problem}
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
