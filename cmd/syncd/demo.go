package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/internal/demo"
	"github.com/magento-copernica/syncd/internal/oracle"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// demoCommand runs the whole of syncd on made-up data.
type demoCommand struct {
	Customers int    `default:"1000" placeholder:"N" help:"Customers in the shop. Default ${default}."`
	Orders    *int   `placeholder:"N" help:"Orders in the shop. Default: two for each customer."`
	Seed      uint64 `default:"1" placeholder:"N" help:"Another number makes up another shop; the same one, the same. Default ${default}."`
	Exit      bool   `help:"End as soon as both sides are in step, without live changes."`
}

// Help is shown by `syncd demo --help`.
func (*demoCommand) Help() string {
	return "Starts a Magento and a Copernica in this process, fills the shop with made-up customers and orders and brings them over. " +
		"Then things happen on both sides, and syncd follows, until Ctrl-C. " +
		"It ends with what Copernica holds against what it should: 0 missing, 0 duplicate, 0 different. " +
		"Nothing is kept, and nothing leaves this machine.\n\n" +
		"The state lies in memory. Where SYNCD_DATABASE_URL leads to a PostgreSQL server, it lies in a database that the demo makes " +
		"there for itself and drops at its end; the database that the URL names, which may hold a real state, is not touched. The URL's role " +
		"must be allowed to create databases. The other settings have no part in the demo."
}

// Validate is called by kong.
func (c *demoCommand) Validate() error {
	switch {
	case c.Customers < 0:
		return errors.New("--customers: cannot be negative")
	case c.Orders != nil && *c.Orders < 0:
		return errors.New("--orders: cannot be negative")
	}
	return nil
}

// ordersFor is how many orders a made-up shop has: those asked for, or two for each
// customer.
func ordersFor(asked *int, customers int) int {
	if asked != nil {
		return *asked
	}
	return 2 * customers
}

// differenceError ends a demo whose two sides are not in step.
type differenceError struct{ oracle.Difference }

func (e *differenceError) Error() string { return "Copernica is not what it should be" }

// Run runs the demo.
func (c *demoCommand) Run(ctx context.Context, a *app) (err error) {
	orders := ordersFor(c.Orders, c.Customers)
	world, err := demo.Start(ctx, demo.Config{Customers: c.Customers, Orders: orders, Seed: c.Seed, Now: a.now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	kept, drop, err := a.demoState(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()

	// The demo's own app: only the world's environment and its own state.
	inner := *a
	inner.environ = append(world.Environ(), "SYNCD_SHOP=demo", "SYNCD_SETTLE=0s", "SYNCD_LOG_LEVEL=warn", "SYNCD_COPERNICA_CONCURRENCY=20")
	inner.environ = append(inner.environ, kept...)
	cfg, log, err := inner.configure(ctx, config.NeedMagento|config.NeedCopernica|config.NeedState)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "a Magento shop with %s and %s (seed %d), an empty Copernica database, nothing leaves this machine\n",
		counted(int64(c.Customers), "customer"), counted(int64(orders), "order"), c.Seed)
	if _, ok := cfg.StateServer(); ok {
		fmt.Fprintf(a.stdout, "state: in %s, made for this demo and dropped at its end\n", cfg.StatePlace())
	}

	quiet := inner
	quiet.stdout = io.Discard
	if err := (&provisionCommand{}).Run(ctx, &quiet); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "provision: database %s has its fields and collections\n", cfg.Copernica.Database)

	bar := a.progress(log)
	p, err := inner.openPipeline(ctx, cfg, log, nil, bar.show)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()

	first, err := c.streams(ctx, p, bar, func(r engine.Report) { fmt.Fprintln(a.stdout, summary(r)) })
	if err != nil {
		return stopped(ctx, err)
	}
	again, err := c.streams(ctx, p, bar, nil)
	if err != nil {
		return stopped(ctx, err)
	}
	fmt.Fprintf(a.stdout, "run again: %s read, %s to Copernica\n", grouped(again.counters.Read), counted(again.counters.TargetCalls, "call"))

	if !c.Exit {
		if err := c.live(ctx, a, world, cfg.Shop, p, bar); err != nil {
			return err
		}
	}
	diff := world.Compare(cfg.Shop, cfg.TimeZone.Location())
	for _, example := range diff.Examples {
		fmt.Fprintln(a.stdout, "  ", example)
	}
	calls := first.counters.TargetCalls
	fmt.Fprintf(a.stdout, "%s; %s to Copernica in %s, %s a second\n",
		diff, counted(calls, "call"), first.elapsed.Round(10*time.Millisecond), grouped(int64(float64(calls)/max(first.elapsed.Seconds(), 0.001))))
	if !diff.None() {
		return &differenceError{diff}
	}
	return nil
}

// demoRun is what one run over all streams did.
type demoRun struct {
	counters state.Counters // what the demo shows of them
	elapsed  time.Duration
}

// streams runs each stream once; told, when not nil, hears what each did.
func (*demoCommand) streams(ctx context.Context, p *pipeline, bar *progress, told func(engine.Report)) (demoRun, error) {
	var sum demoRun
	for _, stream := range engine.Streams() {
		r, err := p.engine.Run(ctx, stream)
		bar.end()
		if err != nil {
			return sum, err
		}
		if told != nil {
			told(r)
		}
		sum.elapsed += r.Elapsed
		n := &sum.counters
		n.Read += r.Counters.Read
		n.Created += r.Counters.Created
		n.Updated += r.Counters.Updated
		n.OptOutsKept += r.Counters.OptOutsKept
		n.Claimed += r.Counters.Claimed
		n.TargetCalls += r.Counters.TargetCalls
	}
	return sum, nil
}

// liveEvery is how often something happens in the shop.
const liveEvery = 2 * time.Second

// live lets the world change, and syncd follow, until ctx ends. The last change is
// followed too.
func (c *demoCommand) live(ctx context.Context, a *app, world *demo.World, shop string, p *pipeline, bar *progress) error {
	fmt.Fprintln(a.stdout, "in step; now live, until Ctrl-C:")
	tick := time.NewTicker(cmp.Or(a.liveEvery, liveEvery))
	defer tick.Stop()
	for {
		fmt.Fprintf(a.stdout, "  %s\n", world.Live(shop))
		changed := a.now()
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		stop := ctx.Err() != nil
		if stop {
			// A horizon ends before the second that the shop's clock is in.
			time.Sleep(changed.Truncate(time.Second).Add(time.Second).Sub(a.now()))
		}
		did, err := c.streams(context.WithoutCancel(ctx), p, bar, nil)
		if err != nil {
			return err
		}
		n, claimed := did.counters, ""
		if n.Claimed > 0 {
			claimed = ", " + foundCustomers(n.Claimed)
		}
		fmt.Fprintf(a.stdout, "    syncd: %d created, %d updated, %s kept%s, %s to Copernica\n",
			n.Created, n.Updated, counted(n.OptOutsKept, "opt-out"), claimed, counted(n.TargetCalls, "call"))
		if stop {
			return nil
		}
	}
}

// stopped tells the operator's Ctrl-C from a failure.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return errors.New("stopped")
	}
	return err
}
