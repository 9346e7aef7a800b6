package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// words says in one line what became of a resync, over all its turns.
func (w *resyncWork) words(last engine.Report) string {
	r := last.Resync
	var b strings.Builder
	fmt.Fprintf(&b, "resync %d, %s", r.ID, summary(w.sum))
	if missing := w.sum.Resync.Missing; missing > 0 {
		fmt.Fprintf(&b, "; the shop does not have %s of the ids", grouped(missing))
	}
	switch {
	case r.State == state.ResyncDone:
		b.WriteString("; done")
	case r.State == state.ResyncCancelled:
		b.WriteString("; cancelled")
	case last.Waiting:
		b.WriteString("; waits for customers: the first pass over the customers is not finished, `syncd run` finishes it, `syncd resync` goes on")
	default:
		b.WriteString("; not finished, `syncd resync` goes on here")
	}
	return b.String()
}

// resyncWords says what a resync covers.
func resyncWords(r state.Resync) string {
	var parts []string
	switch {
	case r.Stream == engine.ConsentSweep:
		parts = append(parts, "everybody's consent")
	case len(r.IDs) > 0:
		parts = append(parts, counted(int64(len(r.IDs)), "record")+" by id")
	case r.Since.IsZero() && r.Until.IsZero():
		parts = append(parts, "every record")
	default:
		words := "records changed"
		if !r.Since.IsZero() {
			words += " since " + moment(r.Since)
		}
		if !r.Until.IsZero() {
			words += " before " + moment(r.Until)
		}
		parts = append(parts, words)
	}
	if len(r.Stores) > 0 {
		views := strings.Trim(fmt.Sprint(r.Stores), "[]")
		parts = append(parts, "of store views "+strings.ReplaceAll(views, " ", ", "))
	}
	if r.Force {
		parts = append(parts, "forced")
	}
	return strings.Join(parts, ", ")
}

// listResyncs prints the resyncs that are open, then the newest of the others, and how far
// each is.
func listResyncs(ctx context.Context, w io.Writer, store state.Store, shop string, now time.Time) error {
	const mostOpen, many = 1000, 50
	all, err := store.Resyncs(ctx, shop, state.ResyncFilter{Open: true, Limit: mostOpen})
	if err != nil {
		return err
	}
	ended, err := store.Resyncs(ctx, shop, state.ResyncFilter{Limit: len(all) + many + 1})
	if err != nil {
		return err
	}
	ended = slices.DeleteFunc(ended, func(r state.Resync) bool { return r.State == state.ResyncOpen })
	more := len(ended) > many
	all = append(all, ended[:min(many, len(ended))]...)
	if len(all) == 0 {
		_, err := fmt.Fprintf(w, "no resyncs in shop %q\n", shop)
		return err
	}
	var b bytes.Buffer
	places := make([]string, len(all))
	for i, r := range all {
		cp, err := store.Checkpoint(ctx, shop, engine.ResyncStream(r))
		if err != nil {
			return err
		}
		places[i] = resyncPlace(r, cp)
	}
	table(&b, func(row func(cells ...any)) {
		row("ID", "stream", "state", "requested", "ended", "has come to", "covers")
		for i, r := range all {
			row(r.ID, r.Stream, r.State, ago(&r.Created, now), ago(optional(r.Ended), now), places[i], resyncWords(r))
		}
	})
	if more {
		b.WriteString("and more, which are older and have ended\n")
	}
	_, err = w.Write(b.Bytes())
	return err
}

// resyncPlace says how far a resync has come.
func resyncPlace(r state.Resync, cp state.Checkpoint) string {
	switch {
	case r.State == state.ResyncDone || !cp.Horizon.IsZero():
		return "the end"
	case cp.Position.IsZero():
		return "-"
	case len(r.IDs) > 0:
		return fmt.Sprintf("id %d", cp.Position.ID)
	case r.Stream == engine.ConsentSweep:
		return fmt.Sprintf("profile %d", cp.Position.ID)
	default:
		return moment(cp.Position.UpdatedAt)
	}
}
