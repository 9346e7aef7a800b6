package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/state"
)

// deadCommand is for dead letters: records that could not be delivered (promise 23).
type deadCommand struct {
	List    deadList    `cmd:"" default:"withargs" help:"List what could not be delivered, by cause (the default)."`
	Show    deadShow    `cmd:"" help:"Show one dead letter in full."`
	Replay  deadReplay  `cmd:"" help:"Read records from the shop again and deliver them."`
	Resolve deadResolve `cmd:"" help:"Close dead letters that nothing will deliver, with a reason."`
}

// Help is shown by `syncd dead --help`.
func (*deadCommand) Help() string {
	return "A dead letter is a record that could not be delivered as it stands. It names a cause and a fix, holds none of " +
		"the record's values, and closes by itself when the record arrives. No dead letter is ever deleted."
}

// deadList shows the open letters by cause, or the closed ones.
type deadList struct {
	Cause  string `help:"Only letters of this cause."`
	Closed bool   `help:"Show closed letters, and why they are closed."`
	Limit  int    `default:"10" help:"Letters shown of each cause; 0 shows the causes only."`
	JSON   bool   `help:"Print JSON, in the form that docs/status.md describes."`
}

func (c *deadList) Run(ctx context.Context, a *app) error {
	if c.Limit < 0 {
		return &usageError{errors.New("--limit cannot be negative")}
	}
	if c.Closed && c.Limit == 0 {
		return &usageError{errors.New("--closed lists letters, not causes: --limit must be at least 1 with it")}
	}
	return show(ctx, a, c.JSON, c.read, func(r *deadReport) error { return r.print(a.stdout, c.Limit) })
}

func (c *deadList) read(ctx context.Context, store state.Store, cfg config.Config, now time.Time) (*deadReport, error) {
	shop := cfg.Shop
	r := &deadReport{Shop: shop, At: now.UTC().Truncate(time.Second)}
	if c.Closed {
		return r, c.readClosed(ctx, store, shop, r)
	}
	groups, err := store.LetterGroups(ctx, shop)
	if err != nil {
		return nil, err
	}
	if c.Cause != "" {
		if groups, err = groupOf(groups, c.Cause); err != nil {
			return nil, err
		}
	}
	r.Groups = []deadGroup{}
	for _, g := range groups {
		letters, err := store.Letters(ctx, shop, state.LetterFilter{Cause: g.Cause, Open: true, Limit: c.Limit})
		if err != nil {
			return nil, err
		}
		r.Open += g.Count
		r.Groups = append(r.Groups, deadGroup{
			Cause: g.Cause, Count: g.Count, FirstSeen: g.FirstSeen, LastSeen: g.LastSeen, Fix: g.Fix, Letters: newDeadLetters(letters),
		})
	}
	return r, nil
}

// readClosed fills in closed letters, and how many others are open.
func (c *deadList) readClosed(ctx context.Context, store state.Store, shop string, r *deadReport) error {
	letters, err := store.Letters(ctx, shop, state.LetterFilter{Cause: c.Cause, Resolved: true, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.Cause != "" && len(letters) == 0 {
		return noneClosed(ctx, store, shop, c.Cause)
	}
	r.Closed = newDeadLetters(letters)
	o, err := store.Overview(ctx, shop)
	for cause, n := range o.OpenLetters {
		if c.Cause == "" || c.Cause == cause {
			r.Open += n
		}
	}
	return err
}

// noneClosed says that no closed letter has a cause, and which causes the last ones have.
func noneClosed(ctx context.Context, store state.Store, shop, cause string) error {
	const last = 1000
	letters, err := store.Letters(ctx, shop, state.LetterFilter{Resolved: true, Limit: last})
	if err != nil {
		return err
	}
	var causes []string
	for _, d := range letters {
		if !slices.Contains(causes, d.Cause) {
			causes = append(causes, d.Cause)
		}
	}
	if len(causes) == 0 {
		return fmt.Errorf("no closed dead letter has the cause %q: none is closed at all", cause)
	}
	return fmt.Errorf("no closed dead letter has the cause %q: the last ones have %s", cause, strings.Join(causes, ", "))
}

// groupOf returns the group of a cause; a mistyped cause is an error, not an empty list.
func groupOf(groups []state.LetterGroup, cause string) ([]state.LetterGroup, error) {
	var causes []string
	for _, g := range groups {
		if g.Cause == cause {
			return []state.LetterGroup{g}, nil
		}
		causes = append(causes, g.Cause)
	}
	if len(causes) == 0 {
		return nil, fmt.Errorf("no open dead letter has the cause %q: there are none at all", cause)
	}
	return nil, fmt.Errorf("no open dead letter has the cause %q: open are %s", cause, strings.Join(causes, ", "))
}

// deadShow shows one letter in full.
type deadShow struct {
	ID   int64 `arg:"" help:"Number of the dead letter, from the list."`
	JSON bool  `help:"Print JSON, in the form that docs/status.md describes."`
}

func (c *deadShow) Run(ctx context.Context, a *app) error {
	return show(ctx, a, c.JSON, c.read, func(r *deadInFull) error { return r.print(a.stdout) })
}

func (c *deadShow) read(ctx context.Context, store state.Store, cfg config.Config, now time.Time) (*deadInFull, error) {
	shop := cfg.Shop
	d, err := letterOf(ctx, store, shop, c.ID)
	if err != nil {
		return nil, err
	}
	o, err := store.Overview(ctx, shop)
	if err != nil {
		return nil, err
	}
	rows, err := store.Records(ctx, shop, rowOf(d.Entity), []string{d.Key})
	if err != nil {
		return nil, err
	}
	run, err := runOf(ctx, store, shop, d.RunID)
	if err != nil {
		return nil, err
	}
	r := &deadInFull{
		Shop: shop, Target: o.Pipeline.Target, At: now.UTC().Truncate(time.Second), deadLetter: newDeadLetter(d), LastRun: run,
	}
	if row, ok := rows[d.Key]; ok {
		r.Ledger = newLedgerRow(row)
	}
	return r, nil
}

// letterOf reads a letter that an operator names.
func letterOf(ctx context.Context, store state.Store, shop string, id int64) (state.DeadLetter, error) {
	d, err := store.Letter(ctx, shop, id)
	if errors.Is(err, state.ErrNoLetter) {
		return d, fmt.Errorf("%w: `syncd dead` lists the open ones, `syncd dead list --closed` the others", err)
	}
	return d, err
}

// runOf reads a run for people; nil when the state does not know it.
func runOf(ctx context.Context, store state.Store, shop string, id int64) (*runBrief, error) {
	if id == 0 {
		return nil, nil //nolint:nilnil // there is no run to show
	}
	run, err := store.Run(ctx, shop, id)
	switch {
	case errors.Is(err, state.ErrNoRun):
		return &runBrief{ID: id}, nil
	case err != nil:
		return nil, err
	}
	return &runBrief{ID: id, Stream: run.Stream, Outcome: run.Outcome, Started: optional(run.Started), Ended: optional(run.Ended)}, nil
}

// deadResolve closes letters by an operator's word.
type deadResolve struct {
	IDs []int64 `arg:"" name:"id" help:"Numbers of the dead letters, from the list."`
	Why string  `required:"" placeholder:"TEXT" help:"The reason, kept with the letter. No personal data: the state holds none."`
}

// Help is shown by `syncd dead resolve --help`.
func (*deadResolve) Help() string {
	return "Closes letters that nothing will deliver, such as those of customers deleted in the shop. The record itself stays as it " +
		"is, and `syncd verify` goes on to tell of it; should it change in the shop, it is tried again, and refused again it gets a new letter. " +
		"What a letter that was closed by mistake is about is delivered by `syncd resync customers --ids ID`, or of an order `syncd resync orders --ids ID`, " +
		"with its id in the shop: `syncd dead replay` of the letter writes the command out."
}

func (c *deadResolve) Run(ctx context.Context, a *app) error {
	const longest = 500
	why := strings.TrimSpace(c.Why)
	switch {
	case why == "":
		return &usageError{errors.New("--why is empty: say why these letters need no delivery; the reason is kept with them")}
	case utf8.RuneCountInString(why) > longest:
		return &usageError{fmt.Errorf("--why is longer than %d characters", longest)}
	case strings.Contains(why, "@"):
		return &usageError{errors.New("--why holds an e-mail address: the state keeps no personal data, name the customer by id")}
	}
	cfg, store, err := a.lookAtState(ctx, config.NeedState)
	if err != nil {
		return err
	}
	ids := slices.Compact(slices.Sorted(slices.Values(c.IDs)))
	if err := errors.Join(resolve(ctx, store, cfg.Shop, ids, why), store.Close()); err != nil {
		return err
	}
	for _, id := range ids {
		fmt.Fprintf(a.stdout, "dead letter %d is closed: %s\n", id, why)
	}
	return nil
}

// resolve closes letters, all of them or none.
func resolve(ctx context.Context, store state.Store, shop string, ids []int64, why string) error {
	refused := store.ResolveLetters(ctx, shop, ids, why)
	if !errors.Is(refused, state.ErrNoLetter) && !errors.Is(refused, state.ErrResolved) {
		return refused
	}
	for _, id := range ids {
		d, err := store.Letter(ctx, shop, id)
		switch {
		case errors.Is(err, state.ErrNoLetter):
			return fmt.Errorf("%w, and nothing was closed: `syncd dead` lists the open ones", err)
		case err != nil:
			return err
		case !d.Resolved.IsZero():
			return fmt.Errorf("dead letter %d: %w (%s), and nothing was closed anew: leave it out", id, state.ErrResolved, d.Resolution)
		}
	}
	return refused
}

// show reads a report from the state and prints it, in words or as JSON.
func show[R any](
	ctx context.Context, a *app, asJSON bool, read func(context.Context, state.Store, config.Config, time.Time) (R, error), words func(R) error,
) error {
	cfg, store, err := a.lookAtState(ctx, config.NeedState)
	if err != nil {
		return err
	}
	report, err := read(ctx, store, cfg, a.now())
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(report)
	}
	return words(report)
}

// lookAtState opens the state that earlier runs of this shop made. A command that looks
// makes none, and another shop's is refused.
func (a *app) lookAtState(ctx context.Context, need config.Need) (config.Config, state.Store, error) {
	cfg, log, err := a.configure(ctx, need)
	if err != nil {
		return cfg, nil, err
	}
	store, err := a.openExistingState(ctx, cfg, log)
	if err != nil {
		return cfg, nil, err
	}
	if err := stateOfShop(ctx, store, cfg.Shop); err != nil {
		return cfg, nil, errors.Join(err, store.Close())
	}
	return cfg, store, nil
}

func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// everyLetter is the limit of a list that is to be whole.
const everyLetter = math.MaxInt32
