package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// deadReplay delivers letters again. Payloads are not stored: the records are read
// from the shop anew, as they are now (promise 23).
type deadReplay struct {
	IDs   []int64 `arg:"" optional:"" name:"id" help:"Numbers of the dead letters, from the list."`
	Cause string  `help:"Replay every open letter of this cause."`
}

// Help is shown by `syncd dead replay --help`.
func (*deadReplay) Help() string {
	return "Reads the records behind the letters from the shop and delivers them, also those that have not changed since they were " +
		"refused. An order is read with its lines, and with its customer where that one is not there. How far the streams have come " +
		"stays as it is. Letters of records that arrive close by themselves. " +
		"A letter of an opt-out that the shop refused is not replayed with SYNCD_WRITE_BACK=off, nor any other beside it."
}

func (c *deadReplay) Run(ctx context.Context, a *app) error {
	if (len(c.IDs) == 0) == (c.Cause == "") {
		return &usageError{errors.New("name the dead letters to replay, or a cause with --cause")}
	}
	cfg, store, err := a.lookAtState(ctx, config.NeedMagento|config.NeedCopernica|config.NeedState)
	if err != nil {
		return err
	}
	return errors.Join(c.replay(ctx, a, cfg, store), store.Close())
}

func (c *deadReplay) replay(ctx context.Context, a *app, cfg config.Config, store state.Store) error {
	letters, err := c.chosen(ctx, a.stdout, store, cfg.Shop)
	if err == nil {
		err = mayReplay(cfg, letters)
	}
	if err != nil || len(letters) == 0 {
		return err
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
	var sum replayed
	for _, stream := range append(engine.Streams(), engine.Unsubscribes) {
		var ofStream []state.DeadLetter
		var ids []int64
		for _, d := range letters {
			if d.Stream == stream {
				ofStream, ids = append(ofStream, d), append(ids, d.SourceID)
			}
		}
		if err != nil || len(ids) == 0 {
			continue
		}
		// An order and its lines have one id between them.
		slices.Sort(ids)
		_, err = p.engine.Deliver(ctx, stream, slices.Compact(ids))
		bar.end()
		err = errors.Join(err, sum.tell(context.WithoutCancel(ctx), a.stdout, store, cfg.Shop, ofStream, err == nil))
	}
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return errors.New("stopped: letters that were not delivered stay open")
	case err != nil:
		return err
	case sum.unknown > 0:
		return &unknownError{writes: sum.unknown}
	case sum.open > 0:
		return &deadLettersError{open: sum.open}
	}
	return nil
}

// mayReplay refuses letters of opt-outs for a shop that is left alone.
func mayReplay(cfg config.Config, letters []state.DeadLetter) error {
	i := slices.IndexFunc(letters, func(d state.DeadLetter) bool { return d.Stream == engine.Unsubscribes })
	if i < 0 {
		return nil
	}
	return mayWriteBack(cfg, fmt.Sprintf("leave dead letter %d out", letters[i].ID))
}

// chosen returns the open letters that the command line names.
func (c *deadReplay) chosen(ctx context.Context, w io.Writer, store state.Store, shop string) ([]state.DeadLetter, error) {
	if c.Cause != "" {
		groups, err := store.LetterGroups(ctx, shop)
		if err != nil {
			return nil, err
		}
		if _, err := groupOf(groups, c.Cause); err != nil {
			return nil, err
		}
		return store.Letters(ctx, shop, state.LetterFilter{Cause: c.Cause, Open: true, Limit: everyLetter})
	}
	var letters []state.DeadLetter
	for _, id := range slices.Compact(slices.Sorted(slices.Values(c.IDs))) {
		d, err := letterOf(ctx, store, shop, id)
		switch {
		case err != nil:
			return nil, err
		case d.Resolved.IsZero():
			letters = append(letters, d)
		default:
			fmt.Fprintf(w, "dead letter %d, %s: closed already (%s)%s\n", d.ID, d.Key, d.Resolution, allTheSame(d))
		}
	}
	return letters, nil
}

// allTheSame says how the record of a letter that an operator closed is delivered after all.
func allTheSame(d state.DeadLetter) string {
	byItself := []string{"delivered", "erased", "the shop no longer has the record"}
	if !slices.Contains(engine.Streams(), d.Stream) || slices.Contains(byItself, d.Resolution) {
		return ""
	}
	return fmt.Sprintf("; `syncd resync %s --ids %d` delivers the record all the same, if the shop has it", d.Stream, d.SourceID)
}

// replayed counts what came of letters.
type replayed struct{ open, unknown int64 }

// tell says what came of each letter. tried reports that every one had its turn.
func (sum *replayed) tell(ctx context.Context, w io.Writer, store state.Store, shop string, letters []state.DeadLetter, tried bool) error {
	for _, before := range letters {
		d, err := store.Letter(ctx, shop, before.ID)
		if err != nil {
			return err
		}
		rows, err := store.Records(ctx, shop, rowOf(d.Entity), []string{d.Key})
		if err != nil {
			return err
		}
		row := rows[d.Key]
		unsettled := row.State == state.Unknown || row.State == state.Planned
		var words string
		switch {
		case !d.Resolved.IsZero() && d.Entity == state.Consent:
			words = "settled: the shop agrees, or nobody is opted out any more"
		case !d.Resolved.IsZero() && row.State == state.Acknowledged:
			words = fmt.Sprintf("delivered, %s %d", rowWord(d.Entity), row.CopernicaID)
		case !d.Resolved.IsZero():
			words = "closed meanwhile: " + d.Resolution
		case d.Attempts > before.Attempts:
			sum.open++
			words = fmt.Sprintf("refused again, %s: %s", d.Cause, d.Fix)
		case d.Entity == state.Consent && tried && unsettled:
			sum.open++
			words = "not settled: a write of the profile has no outcome yet; replay this letter again after the next run"
		case d.Entity == state.Consent && tried: // a profile that goes on refusing is not counted up
			sum.open++
			words = fmt.Sprintf("refused again, %s (%s): %s", d.Cause, d.Message, d.Fix)
		case d.Entity != state.Consent && unsettled:
			sum.unknown++
			words = "written, but nobody knows yet whether it arrived"
		case tried:
			sum.open++
			// Also a shop that was set back to an older state ends up here.
			words = fmt.Sprintf("not delivered, the shop has %s no more or only in an older version%s: `syncd lookup %s --live` shows it, "+
				"`syncd dead resolve %d --why TEXT` closes the letter of one that was deleted", whose(d.Entity, d.Key, d.SourceID), nobodys(d.Entity), d.Key, d.ID)
		default:
			sum.open++
			words = "not tried"
		}
		fmt.Fprintf(w, "dead letter %d, %s: %s\n", d.ID, d.Key, words)
	}
	return nil
}

// nobodys names the other way in which a record of an order stays undelivered.
func nobodys(e state.Entity) string {
	if rowOf(e) == state.Profile {
		return ""
	}
	return ", or its customer"
}
