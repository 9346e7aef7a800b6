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

// claimsCommand is for guests who turned out to be customers, and accounts that are one
// person (promise 17).
type claimsCommand struct {
	List claimsList `cmd:"" default:"withargs" help:"List which guests are which customers (the default)."`
	Undo claimsUndo `cmd:"" help:"Say that a guest is not that customer: they get a profile of their own again."`
}

// Help is shown by `syncd claims --help`.
func (*claimsCommand) Help() string {
	return "A guest with the confirmed e-mail of a customer of the same website is that customer, and their orders stand below the " +
		"customer's profile. A claim is open while the guest's own profile is still in Copernica. With SYNCD_IDENTITY=email the accounts that are one " +
		"person are listed among the guests; they part by themselves when one of them gets another e-mail in the shop.\n\n" +
		"Claims that were undone are listed with --undone. `syncd lookup` of a customer or a guest, by id, key or e-mail, tells of both."
}

// claimsList shows the claims by the guests' keys.
type claimsList struct {
	Open   bool `xor:"which" help:"Only claims whose guest still has a profile, and what they wait for."`
	Undone bool `xor:"which" help:"Claims that were undone, in place of those that hold."`
	Limit  int  `default:"20" help:"Claims shown at most."`
	JSON   bool `help:"Print JSON, in the form that docs/status.md describes."`
}

func (c *claimsList) Run(ctx context.Context, a *app) error {
	if c.Limit < 1 {
		return &usageError{errors.New("--limit must be at least 1")}
	}
	return show(ctx, a, c.JSON, c.read, func(r *claimsReport) error { return r.print(a.stdout, c) })
}

func (c *claimsList) read(ctx context.Context, store state.Store, cfg config.Config, now time.Time) (*claimsReport, error) {
	shop := cfg.Shop
	o, err := store.Overview(ctx, shop)
	if err != nil {
		return nil, err
	}
	r := &claimsReport{
		Shop: shop, At: now.UTC().Truncate(time.Second), Identity: cfg.Identity,
		Total: o.Records[state.Profile][state.Claimed], Claims: []claimRow{},
	}
	undone, err := everyUndone(ctx, store, shop)
	if err != nil {
		return nil, err
	}
	r.Undone = int64(len(undone))
	guests := undone[:min(len(undone), c.Limit+1)]
	if !c.Undone {
		if guests, err = store.Claims(ctx, shop, c.Open, "", c.Limit+1); err != nil {
			return nil, err
		}
	}
	if r.More = len(guests) > c.Limit; r.More {
		guests = guests[:c.Limit]
	}
	keys := make([]string, len(guests))
	for i, guest := range guests {
		keys[i] = guest.Parent
	}
	customers, err := store.Records(ctx, shop, state.Profile, keys)
	if err != nil {
		return nil, err
	}
	runs := map[int64]*runBrief{}
	for _, guest := range guests {
		run, ok := runs[guest.RunID]
		if !ok {
			if run, err = runOf(ctx, store, shop, guest.RunID); err != nil {
				return nil, err
			}
			runs[guest.RunID] = run
		}
		row := claimRow{
			Key: guest.Key, Customer: guest.Parent, Open: !c.Undone && guest.CopernicaID != 0, Undone: c.Undone, CopernicaID: guest.CopernicaID,
			LastRun: run, Attempts: guest.Attempts, NextAttempt: optional(guest.NextAttempt), Orders: []string{},
		}
		if row.Open {
			if err := row.wait(ctx, store, shop, customers[guest.Parent]); err != nil {
				return nil, err
			}
		}
		r.Claims = append(r.Claims, row)
	}
	return r, nil
}

// undone reports whether an operator said of a living guest that they are not the customer
// whose key is their row's parent.
func undone(guest state.Record) bool {
	switch guest.State {
	case state.Claimed, state.Missing, state.Gone:
		return false
	default:
		return guest.Parent != ""
	}
}

// everyUndone returns the rows of all whose claim was undone: an operator did each by hand.
func everyUndone(ctx context.Context, store state.Store, shop string) (all []state.Record, err error) {
	const atOnce = 1000
	for after := ""; ; {
		rows, err := store.Unclaimed(ctx, shop, after, atOnce)
		if err != nil {
			return nil, err
		}
		if all = append(all, rows...); len(rows) < atOnce {
			return all, nil
		}
		after = rows[len(rows)-1].Key
	}
}

// claimWait is what an open claim waits for.
type claimWait string

// What a claim waits for.
const (
	waitsForRun      claimWait = "run"      // the next one of the orders
	waitsForCustomer claimWait = "customer" // who has no profile that orders can stand below
	waitsForOrders   claimWait = "orders"   // which could not be moved
	waitsForProfile  claimWait = "profile"  // below which something else stands
)

// wait says what an open claim waits for.
func (c *claimRow) wait(ctx context.Context, store state.Store, shop string, customer state.Record) error {
	const most = 100
	orders, err := store.RecordsByParent(ctx, shop, c.Key, "", most)
	if err != nil {
		return err
	}
	for _, o := range orders {
		if o.State != state.Removed {
			c.Orders = append(c.Orders, o.Key)
		}
	}
	switch {
	case customer.CopernicaID == 0 || customer.State != state.Acknowledged && customer.State != state.Refused:
		c.WaitsFor = waitsForCustomer
	case c.Attempts == 0:
		c.WaitsFor = waitsForRun
	case len(c.Orders) > 0:
		c.WaitsFor = waitsForOrders
	default:
		c.WaitsFor = waitsForProfile
	}
	return nil
}

// claimsUndo undoes a claim.
type claimsUndo struct {
	Key string `arg:"" help:"Key of the guest, from the list."`
	Yes bool   `help:"Do it. Without this flag it is only said what would be done."`
}

// Help is shown by `syncd claims undo --help`.
func (*claimsUndo) Help() string {
	return "The guest gets a profile of their own again, with the orders that they placed as a guest: the customer's orders are read from the " +
		"shop once more for that. The two are not made one again, whatever happens in the shop, as long as this state is kept: a new one, or one " +
		"restored from before, does not know it. A mailing that the guest opted out of is " +
		"not opted into again; the customer's own record stays as it is. An undoing that was cut short is finished by asking for it again."
}

func (c *claimsUndo) Run(ctx context.Context, a *app) error {
	need := config.NeedState
	if c.Yes {
		need |= config.NeedMagento | config.NeedCopernica
	}
	cfg, store, err := a.lookAtState(ctx, need)
	if err != nil {
		return err
	}
	return errors.Join(c.undo(ctx, a, cfg, store), store.Close())
}

func (c *claimsUndo) undo(ctx context.Context, a *app, cfg config.Config, store state.Store) error {
	guest, err := c.guest(ctx, cfg, store)
	if err != nil {
		return err
	}
	already := undone(guest)
	before, err := ordersBelow(ctx, store, cfg.Shop, guest.Key)
	if err != nil {
		return err
	}
	orders, err := ordersBelow(ctx, store, cfg.Shop, guest.Parent)
	if err != nil {
		return err
	}
	switch {
	case c.Yes:
	case already:
		fmt.Fprintf(a.stdout, "%s was undone already: they are not %s, and have %s of their own.\nNothing was done: should some of their orders still stand below %s, "+
			"`syncd claims undo %s --yes` reads %s from the shop again\n",
			guest.Key, guest.Parent, counted(before, "order"), guest.Parent, guest.Key, counted(orders, "order"))
		return nil
	default:
		fmt.Fprintf(a.stdout, "%s is %s. To undo that, %s of %s %s read from the shop again; those placed as this guest go below a profile of the "+
			"guest's own, and the two are not made one again.\nNothing was done: `syncd claims undo %s --yes` does it\n",
			guest.Key, guest.Parent, counted(orders, "order"), guest.Parent, plural(orders, "is", "are"), guest.Key)
		return nil
	}
	log := a.logger(cfg)
	bar := a.progress(log)
	p, err := a.openPipeline(ctx, cfg, log, store, bar.show)
	if err != nil {
		return err
	}
	defer p.close() //nolint:errcheck // it closes idle connections; the store is the caller's
	if err := shopOfState(ctx, store, p.address); err != nil {
		return err
	}
	report, err := p.engine.Unclaim(ctx, guest.Key)
	bar.end()
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = errors.New("stopped")
		}
		return c.unfinished(context.WithoutCancel(ctx), store, cfg.Shop, err)
	}
	rows, err := store.Records(ctx, cfg.Shop, state.Profile, []string{guest.Key})
	if err != nil {
		return err
	}
	if orders, err = ordersBelow(ctx, store, cfg.Shop, guest.Key); err != nil {
		return err
	}
	switch id := rows[guest.Key].CopernicaID; {
	case already && orders == before:
		fmt.Fprintf(a.stdout, "%s was undone already, and nothing was left to do: they are not %s, and have %s of their own\n", guest.Key, guest.Parent, counted(orders, "order"))
	case id != 0:
		fmt.Fprintf(a.stdout, "%s is a guest again: profile %d, with %s. They are not made one with %s again\n", guest.Key, id, counted(orders, "order"), guest.Parent)
	default:
		fmt.Fprintf(a.stdout, "%s is a guest again, and gets a profile with the first order that the shop shows of them. They are not made one with %s again\n",
			guest.Key, guest.Parent)
	}
	n := report.Counters
	return verdict(nil, n.Unknown, n.Refused)
}

// guest returns the row of the guest that the command line names.
func (c *claimsUndo) guest(ctx context.Context, cfg config.Config, store state.Store) (state.Record, error) {
	m, err := compileMapping(cfg)
	if err != nil {
		return state.Record{}, err
	}
	key := strings.TrimSpace(c.Key)
	_, customer := m.CustomerID(key)
	_, _, guest := m.GuestOf(key)
	switch {
	case strings.Contains(key, "@"):
		return state.Record{}, &usageError{errors.New("name the guest by their key: `syncd lookup EMAIL` tells it")}
	case customer && cfg.Identity == config.ByEmail:
		return state.Record{}, &usageError{fmt.Errorf("%s is an account: accounts with one confirmed e-mail are one person as long as they have it in the shop, "+
			"and part when one of them gets another there; only a guest is undone here, by the key that `syncd claims` lists", key)}
	case customer:
		return state.Record{}, &usageError{fmt.Errorf("%s is a customer: name the guest, whose key `syncd claims` lists", key)}
	case !guest:
		return state.Record{}, &usageError{fmt.Errorf("%q is no key of a guest: `syncd claims` lists those of guests who are customers", key)}
	}
	rows, err := store.Records(ctx, cfg.Shop, state.Profile, []string{key})
	if err != nil {
		return state.Record{}, err
	}
	if guest := rows[key]; guest.State == state.Claimed || undone(guest) {
		return guest, nil
	}
	return state.Record{}, engine.ErrNoClaim
}

// unfinished adds to an error what is left to do, when the undoing was begun.
func (c *claimsUndo) unfinished(ctx context.Context, store state.Store, shop string, cause error) error {
	key := strings.TrimSpace(c.Key)
	rows, err := store.Records(ctx, shop, state.Profile, []string{key})
	if err != nil || !undone(rows[key]) {
		return errors.Join(cause, err)
	}
	return fmt.Errorf("%w: some of the guest's orders may have to move yet, and `syncd claims undo %s --yes` goes on", cause, key)
}

// ordersBelow counts the orders below a profile that Copernica has.
func ordersBelow(ctx context.Context, store state.Store, shop, key string) (n int64, err error) {
	const atOnce = 1000
	for after := ""; ; {
		rows, err := store.RecordsByParent(ctx, shop, key, after, atOnce)
		if err != nil {
			return 0, err
		}
		left := len(rows)
		if left > 0 {
			after = rows[left-1].Key
		}
		n += int64(len(slices.DeleteFunc(rows, func(r state.Record) bool { return r.State == state.Removed })))
		if left < atOnce {
			return n, nil
		}
	}
}
