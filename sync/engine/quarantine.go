package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
)

// A record over which the shop itself fails is quarantined: it stands in a dead letter
// of the cause [magento.CausePoison], the stream goes on without it, and it is read
// singly from time to time, so that one that was mended comes by itself (promise 5).

const (
	// quarantineAtOnce bounds how many quarantined records a run reads again.
	quarantineAtOnce = 20
	// quarantineFirst and quarantineLongest bound the pause before a record is read
	// again; it doubles with each attempt.
	quarantineFirst   = 5 * time.Minute
	quarantineLongest = 24 * time.Hour
)

// quarantine reads quarantined records of the run's stream again whose time has come. A
// shop that cannot answer just now ends it without failing the run, whose work is done.
func (r *run) quarantine(ctx context.Context) error {
	if r.halting() || r.spent(0) {
		return nil
	}
	letters, err := r.cfg.Store.Letters(ctx, r.cfg.Pipeline, state.LetterFilter{Cause: magento.CausePoison, Open: true, Limit: math.MaxInt32})
	if err != nil {
		return err
	}
	now := r.cfg.Now()
	letters = slices.DeleteFunc(letters, func(d state.DeadLetter) bool { return d.Stream != r.kind || due(d).After(now) })
	slices.SortFunc(letters, func(a, b state.DeadLetter) int { return cmp.Or(due(a).Compare(due(b)), cmp.Compare(a.ID, b.ID)) })
	r.quarantined = true
	defer func() { r.quarantined = false }()
	for _, d := range letters[:min(len(letters), quarantineAtOnce)] {
		gone, err := r.deliver(ctx, []int64{d.SourceID}, &page{again: true})
		switch {
		case err != nil && ctx.Err() == nil && !r.halting() && fault.ClassOf(err) == fault.Retry:
			return r.countUp(ctx, d, err)
		case err != nil:
			return err
		case len(gone) > 0:
			err := r.cfg.Store.ResolveLetters(ctx, r.cfg.Pipeline, []int64{d.ID}, "the shop no longer has the record")
			if err != nil && !errors.Is(err, state.ErrResolved) {
				return err
			}
		}
	}
	return nil
}

// due is when a quarantined record is to be read again.
func due(d state.DeadLetter) time.Time {
	pause := quarantineFirst
	for range d.Attempts - 1 {
		if pause = min(2*pause, quarantineLongest); pause == quarantineLongest {
			break
		}
	}
	return d.LastSeen.Add(pause)
}

// countUp notes that a quarantined record was tried in vain.
func (r *run) countUp(ctx context.Context, d state.DeadLetter, problem error) error {
	if isFenced(problem) || errors.Is(problem, state.ErrConflict) {
		return problem
	}
	r.cfg.Log.Info("the shop does not answer for a quarantined record; it is tried again later", "key", d.Key, "attempts", d.Attempts+1)
	d.RunID, d.LastSeen = r.row.ID, r.cfg.Now()
	_, err := r.cfg.Store.Commit(ctx, r.tenure.current(), state.Commit{Letters: []state.DeadLetter{d}})
	return err
}

// patience is the context of single reads. In quarantine they are not repeated at once:
// the next attempt has its time.
func (r *run) patience(ctx context.Context) context.Context {
	if r.quarantined {
		return httpx.WithPolicy(ctx, httpx.Once)
	}
	return ctx
}

// reopen lets poisoned records be refused anew whose letter somebody closed. Nobody
// knows when such a record was changed, so that what was refused cannot be told from
// what comes by again.
func (r *run) reopen(ctx context.Context, intents []*intent) error {
	for _, it := range intents {
		if it.problem == nil || !it.known || it.before.Refused != it.attempt || !poisoned(it.problem) {
			continue
		}
		open, err := r.cfg.Store.Letters(ctx, r.cfg.Pipeline, state.LetterFilter{Entity: it.entity, Keys: []string{it.row.Key}, Open: true, Limit: 1})
		if err != nil {
			return err
		}
		if len(open) == 0 {
			it.before.Refused = state.Hash{}
		}
	}
	return nil
}

// poisoned reports whether the shop itself fails over a record.
func poisoned(problem error) bool {
	e, ok := errors.AsType[*magento.RecordError](problem)
	return ok && e.Cause == magento.CausePoison
}

// alarm says once that a run raised the number of open dead letters to 1, 10, 100 or
// 1,000, and which causes they mostly have.
func (r *run) alarm(open map[string]int64) {
	now := sum(open)
	if height(now) <= height(r.letters) {
		return
	}
	causes := make([]string, 0, len(open))
	for cause := range open {
		causes = append(causes, cause)
	}
	slices.SortFunc(causes, func(a, b string) int { return cmp.Or(cmp.Compare(open[b], open[a]), cmp.Compare(a, b)) })
	for i, cause := range causes {
		causes[i] = fmt.Sprintf("%s %d", cause, open[cause])
	}
	r.cfg.Log.Warn("records could not be delivered and wait in dead letters: syncd dead lists them with what to do",
		"open", now, "reached", height(now), "causes", strings.Join(causes[:min(3, len(causes))], ", "))
}

// height is the largest of the numbers that raise an alarm which n has reached, or 0.
func height(n int64) int64 {
	for _, h := range []int64{1000, 100, 10, 1} {
		if n >= h {
			return h
		}
	}
	return 0
}

// openLetters counts the pipeline's open dead letters, by cause.
func (r *run) openLetters(ctx context.Context) (map[string]int64, error) {
	groups, err := r.cfg.Store.LetterGroups(ctx, r.cfg.Pipeline)
	open := make(map[string]int64, len(groups))
	for _, g := range groups {
		open[g.Cause] = g.Count
	}
	return open, err
}

// sum adds numbers up.
func sum(counts map[string]int64) (n int64) {
	for _, count := range counts {
		n += count
	}
	return n
}
