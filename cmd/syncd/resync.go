package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// resyncCommand sends records of the past again, beside the live streams (promise 22).
type resyncCommand struct {
	Stream string `arg:"" optional:"" help:"Records to send again: customers or orders; customers/consent holds the consent of everybody against what Copernica shows, as after a backup was restored. None: go on with the resyncs that are open."`

	Since string   `placeholder:"T" help:"Only records changed since then: 2026-01-31, 2026-01-31T09:30 (UTC), or 36h or 7d ago."`
	Until string   `placeholder:"T" help:"Only records changed before then. Default: now."`
	IDs   []int64  `name:"ids" placeholder:"ID,..." help:"These records, by the shop's ids."`
	Email []string `placeholder:"EMAIL,..." help:"The customers with these e-mails, or their orders and those they placed as guests."`
	Store []string `placeholder:"CODE,..." help:"Only records of these store views."`
	Force bool     `help:"Also write what Copernica has acknowledged, such as over changes made by hand, and bring back what was removed there."`

	DryRun     bool `help:"Print what would be done, and do nothing."`
	Limit      *int `placeholder:"N" help:"With --dry-run: rows whose fields are shown. Default: 20."`
	ShowValues bool `help:"With --dry-run: also print the values of the fields. They are personal data."`
	Wait       bool `help:"When another process writes for the shop, wait for the end."`

	List   bool   `help:"List the resyncs, and how far they are."`
	Cancel *int64 `placeholder:"ID" help:"End a resync. What was sent stays."`
}

// resyncSlice is how long a resync works before the live streams have their turn.
const resyncSlice = time.Minute

// Help is shown by `syncd resync --help`.
func (*resyncCommand) Help() string {
	return "Reads records from the shop again and sends those that differ from what Copernica acknowledged. It has a cursor of its own: " +
		"the live streams stay where they are, and have their turn every minute. Nothing older goes over something newer, " +
		"and consent is never forced.\n\n" +
		"`syncd resync customers/consent` belongs to the restoring of a backup: an older state believes settled what both sides have changed since. " +
		"Whoever is subscribed in Copernica while the state knows an opt-out of the shop is asked for in the shop, and an opt-out there goes out again: " +
		"also over an opt-in that somebody made in Copernica alone. It costs a call for each thousand profiles, and three for each who differs.\n\n" +
		"The request is kept in the state. One that is cut short goes on with `syncd resync`, and a daemon takes it up by itself.\n\n" +
		"Examples:\n\n" +
		"  syncd resync customers --since 7d --dry-run\n\n" +
		"  syncd resync orders --since 2026-01-01 --until 2026-02-01 --store uk\n\n" +
		"  syncd resync customers --ids 12,815 --force\n\n" +
		"  syncd resync orders --email jane@example.com\n\n" +
		"  syncd resync customers/consent\n\n" +
		"  syncd resync --list\n\n" +
		"  syncd resync --cancel 7"
}

// Validate is called by kong. A flag that would change nothing is refused: whoever wrote it
// believes that it does, and what a resync sends is billed.
func (c *resyncCommand) Validate() error {
	dated := c.Since != "" || c.Until != "" || len(c.Store) > 0
	named := len(c.IDs)+len(c.Email) > 0
	switch manages := c.List || c.Cancel != nil; {
	case manages && (c.List && c.Cancel != nil || c.Stream != "" || dated || named || c.Force || c.DryRun || c.Limit != nil || c.ShowValues || c.Wait):
		return errors.New("--list and --cancel stand alone")
	case c.Cancel != nil && *c.Cancel < 1:
		return errors.New("--cancel takes the id of a resync: `syncd resync --list` shows them")
	case !c.DryRun && (c.Limit != nil || c.ShowValues):
		return errors.New("--limit and --show-values belong to --dry-run: add it, or leave them out")
	case c.Limit != nil && *c.Limit < 0:
		return errors.New("--limit cannot be negative")
	case c.Stream == engine.ConsentSweep && (dated || named || c.Force):
		return errors.New("customers/consent is of everybody, and forces nothing: leave out --since, --until, --store, --ids, --email and --force")
	case named && dated:
		return errors.New("--ids and --email name the records themselves: leave out --since, --until and --store")
	}
	return nil
}

// Run requests a resync and works it, or shows or ends some.
func (c *resyncCommand) Run(ctx context.Context, a *app) error {
	if c.List || c.Cancel != nil {
		return c.manage(ctx, a)
	}
	request, err := c.request(a.now())
	if err != nil {
		return err
	}
	cfg, store, err := a.lookAtState(ctx, config.NeedMagento|config.NeedCopernica|config.NeedState)
	if err != nil {
		return err
	}
	return errors.Join(c.work(ctx, a, cfg, store, request), store.Close())
}

// request is what the flags ask for.
func (c *resyncCommand) request(now time.Time) (engine.ResyncRequest, error) {
	q := engine.ResyncRequest{Stream: c.Stream, Stores: c.Store, IDs: c.IDs, Emails: c.Email, Force: c.Force}
	chosen := c.Since != "" || c.Until != "" || len(c.IDs)+len(c.Email)+len(c.Store) > 0 || c.Force || c.DryRun
	if c.Stream == "" && chosen {
		return q, &usageError{errors.New("name the stream whose records are to be sent again: customers or orders")}
	}
	if known := append(engine.Streams(), engine.ConsentSweep); c.Stream != "" && !slices.Contains(known, c.Stream) {
		return q, &usageError{fmt.Errorf("unknown stream %q: known are %s", c.Stream, strings.Join(known, ", "))}
	}
	var err error
	if q.Since, err = pastTime(c.Since, now); err != nil {
		return q, &usageError{fmt.Errorf("--since %w", err)}
	}
	if q.Until, err = pastTime(c.Until, now); err != nil {
		return q, &usageError{fmt.Errorf("--until %w", err)}
	}
	return q, nil
}

// pastTime reads a time as operators write one; empty is the zero time.
func pastTime(s string, now time.Time) (time.Time, error) {
	if s = strings.TrimSpace(s); s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateTime, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	if digits, ok := strings.CutSuffix(s, "d"); ok {
		if days, err := strconv.Atoi(digits); err == nil && days >= 0 {
			return now.AddDate(0, 0, -days).UTC(), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("is %q: write a date such as 2026-01-31, a time in UTC such as 2026-01-31T09:30, or how long ago, such as 36h or 7d", s)
}

// manage lists resyncs, or ends one.
func (c *resyncCommand) manage(ctx context.Context, a *app) error {
	cfg, store, err := a.lookAtState(ctx, config.NeedState)
	if err != nil {
		return err
	}
	if c.List {
		err = listResyncs(ctx, a.stdout, store, cfg.Shop, a.now())
	} else if err = endResync(ctx, store, cfg.Shop, *c.Cancel); err == nil {
		fmt.Fprintf(a.stdout, "resync %d is cancelled: what it has sent stays, and who works it stops within a page\n", *c.Cancel)
	}
	return errors.Join(err, store.Close())
}

// endResync cancels a resync.
func endResync(ctx context.Context, store state.Store, shop string, id int64) error {
	err := store.EndResync(ctx, shop, id, state.ResyncCancelled)
	for _, known := range []error{state.ErrNoResync, state.ErrResyncEnded} {
		if errors.Is(err, known) {
			return fmt.Errorf("resync %d: %w: `syncd resync --list` shows them", id, known)
		}
	}
	return err
}

// work previews what is asked for, or records it and works it; without a stream it works
// what is open.
func (c *resyncCommand) work(ctx context.Context, a *app, cfg config.Config, store state.Store, q engine.ResyncRequest) error {
	log := a.logger(cfg)
	w := &resyncWork{a: a, cfg: cfg, log: log, bar: a.progress(log), wait: c.Wait}
	over := store
	if c.DryRun {
		over = unsettled{store}
	}
	p, err := a.openPipeline(ctx, cfg, log, over, w.show)
	if err != nil {
		return err
	}
	defer p.close() //nolint:errcheck // it closes idle connections; the store is the caller's
	w.pipeline = p
	stopping := context.AfterFunc(ctx, func() {
		log.Info("stopping: waiting for calls under way, some seconds at most; another signal ends at once")
	})
	defer stopping()
	if q.Stream == "" {
		return w.goOn(ctx)
	}
	r, err := p.engine.NewResync(ctx, q)
	w.bar.end()
	if e, ok := errors.AsType[*engine.RequestError](err); ok {
		return &usageError{e}
	}
	if err != nil {
		return err
	}
	if c.DryRun {
		previews, err := p.engine.Preview(ctx, engine.PreviewRequest{Resync: &r, Rows: c.rows()})
		w.bar.end()
		if err != nil {
			return err
		}
		return printPreviews(a.stdout, previews, c.ShowValues)
	}
	if r, err = p.engine.AddResync(ctx, r); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "resync %d of %s is recorded: %s\n", r.ID, r.Stream, resyncWords(r))
	return w.all(ctx, []state.Resync{r})
}

// rows is how many rows a preview shows the fields of.
func (c *resyncCommand) rows() int {
	if c.Limit == nil {
		return 20
	}
	return *c.Limit
}

// resyncWork works resyncs in turns with the live streams.
type resyncWork struct {
	a        *app
	cfg      config.Config
	log      *slog.Logger
	bar      *progress
	pipeline *pipeline
	wait     bool
	before   int64 // records of earlier turns
	sum      engine.Report
	open     int64 // dead letters
}

// show adds what earlier turns did to the progress of this one.
func (w *resyncWork) show(at engine.Progress) {
	if strings.Contains(at.Stream, "/resync-") {
		at.Read += w.before
		at.Total += w.before
	}
	w.bar.show(at)
}

// goOn works the resyncs that are open.
func (w *resyncWork) goOn(ctx context.Context) error {
	open, err := w.pipeline.engine.Resyncs(ctx)
	if err == nil && len(open) == 0 {
		fmt.Fprintln(w.a.stdout, "no resync is open: name a stream to request one, such as `syncd resync customers --since 7d`")
	}
	if err != nil {
		return err
	}
	return w.all(ctx, open)
}

// all works resyncs, up to one that somebody else has.
func (w *resyncWork) all(ctx context.Context, list []state.Resync) error {
	var unknown int64
	for _, r := range list {
		w.before, w.sum = 0, engine.Report{Stream: r.Stream}
		left, err := w.one(ctx, r.ID)
		w.bar.end()
		unknown += w.sum.Counters.Unknown
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return fmt.Errorf("stopped: `syncd resync` goes on with resync %d, and a daemon does by itself", r.ID)
		}
		if err != nil {
			return err
		}
		if left {
			break
		}
	}
	return verdict(nil, unknown, w.open)
}

// one works a resync to its end. It reports true when somebody else has it.
func (w *resyncWork) one(ctx context.Context, id int64) (left bool, err error) {
	for {
		report, err := w.turn(ctx, id)
		if held, ok := errors.AsType[*state.HeldError](err); ok {
			w.bar.end()
			if !w.wait {
				fmt.Fprintf(w.a.stdout, "%s writes for this shop now. A daemon takes the resync up by itself; after any other command `syncd resync` does. "+
					"`syncd resync --list` shows how far it is\n", held.Holder)
				return true, nil
			}
			if err := untilNextLook(ctx); err != nil {
				return false, err
			}
			continue
		}
		if errors.Is(err, state.ErrResyncEnded) { // by another process, or an operator
			fmt.Fprintf(w.a.stdout, "resync %d has ended: `syncd resync --list` shows how\n", id)
			return false, nil
		}
		if err != nil || report.Waiting || report.Resync.State != state.ResyncOpen {
			w.bar.end()
			if report.Resync != nil {
				fmt.Fprintln(w.a.stdout, w.words(report))
			}
			return false, err
		}
	}
}

// turn gives a resync a turn, and then the live streams theirs.
func (w *resyncWork) turn(ctx context.Context, id int64) (engine.Report, error) {
	budget := engine.Budget{Records: w.cfg.RunBudget.Records, Time: resyncSlice}
	if own := w.cfg.RunBudget.Time; own > 0 {
		budget.Time = min(budget.Time, own)
	}
	report, err := w.pipeline.engine.Resync(ctx, id, budget)
	w.before += report.Counters.Read
	w.add(report)
	if err != nil || report.Resync.State != state.ResyncOpen || report.Waiting {
		return report, err
	}
	for _, stream := range switchedOn(w.cfg) {
		live, err := w.pipeline.engine.Run(ctx, stream)
		if is[*state.HeldError](err) {
			return report, nil // the other process has the live streams' turn
		}
		if n := live.Counters; n.Created+n.Updated+n.Removed+n.Refused+n.Unknown > 0 {
			w.bar.end()
			fmt.Fprintln(w.a.stdout, summary(live))
		}
		if err != nil {
			return report, err
		}
	}
	return report, nil
}

// add adds what a turn did.
func (w *resyncWork) add(r engine.Report) {
	w.sum.Counters = w.sum.Counters.Plus(r.Counters)
	w.sum.Elapsed += r.Elapsed
	w.sum.Unreached = r.Unreached
	if r.Run != 0 {
		w.open = r.Letters
	}
	if r.Resync != nil {
		missing := r.Resync.Missing
		if w.sum.Resync != nil {
			missing += w.sum.Resync.Missing
		}
		w.sum.Resync = &engine.Resynced{Resync: r.Resync.Resync, Missing: missing}
	}
}

// unsettled is a state to look at: what a preview finds out of the shop's address is
// not noted.
type unsettled struct{ state.Store }

func (s unsettled) SetMark(ctx context.Context, name string, at time.Time) error {
	if strings.HasPrefix(name, addressMark) {
		return nil
	}
	return s.Store.SetMark(ctx, name, at)
}
