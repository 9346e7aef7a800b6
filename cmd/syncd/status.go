package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// statusCommand shows the state without calling either peer. It only reads, so it
// can be used while a run is going on.
type statusCommand struct {
	JSON   bool          `help:"Print JSON, in the form that docs/status.md describes."`
	MaxLag time.Duration `placeholder:"TIME" help:"End with 1 when a stream is further behind than this, such as 30m, or none has finished a pass."`
}

// Help is shown by `syncd status --help`.
func (*statusCommand) Help() string {
	return "Reads the state alone and calls nobody, so it may be used during a run. Of each stream it says up to which moment Copernica has every " +
		"change; of each sweep when its last round began. A daemon works the sweeps, and `syncd run NAME` makes a whole round of one by hand. " +
		"`syncd lookup` tells of one record, `syncd dead` of what could not be delivered."
}

// Validate is called by kong.
func (c *statusCommand) Validate() error {
	if c.MaxLag < 0 {
		return errors.New("--max-lag: cannot be negative")
	}
	return nil
}

func (c *statusCommand) Run(ctx context.Context, a *app) error {
	cfg, store, err := a.lookAtState(ctx, config.NeedState)
	if err != nil {
		return err
	}
	overview, err := store.Overview(ctx, cfg.Shop)
	var past rounds
	if err == nil {
		past, err = roundsOf(ctx, store, cfg)
	}
	var open []state.Resync
	if err == nil {
		open, err = store.Resyncs(ctx, cfg.Shop, state.ResyncFilter{Open: true, Limit: statusResyncs})
	}
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	report := newStatus(overview, cfg.StatePlace(), a.now())
	report.resyncs(open)
	report.sweep(overview, cfg, past)
	if c.JSON {
		err = a.printJSON(report)
	} else {
		err = report.print(a.stdout)
	}
	if c.MaxLag > 0 {
		err = errors.Join(err, report.stale(c.MaxLag, switchedOn(cfg)))
	}
	return err
}

// stale returns an error for each of some streams that is further behind than it may be.
func (s *status) stale(most time.Duration, streams []string) error {
	var late []error
	for _, name := range streams {
		i := slices.IndexFunc(s.Streams, func(known statusStream) bool { return known.Name == name })
		if i < 0 {
			late = append(late, fmt.Errorf("stream %s has not run yet", name))
			continue
		}
		stream := s.Streams[i]
		switch {
		case stream.LagSeconds == nil:
			late = append(late, fmt.Errorf("stream %s has not finished its first pass", stream.Name))
		case time.Duration(*stream.LagSeconds)*time.Second > most:
			late = append(late, fmt.Errorf("stream %s is %s behind, more than %s", stream.Name, duration(time.Duration(*stream.LagSeconds)*time.Second), duration(most)))
		}
	}
	return errors.Join(late...)
}

// stateOfShop, like a run, refuses a state that was made for another shop: it would
// read as "nothing has run".
func stateOfShop(ctx context.Context, store state.Store, shop string) error {
	pipelines, err := store.Pipelines(ctx)
	if err != nil {
		return err
	}
	if len(pipelines) > 0 && !slices.ContainsFunc(pipelines, func(p state.Pipeline) bool { return p.Name == shop }) {
		return &state.ShopError{Have: pipelines[0].Name, Want: shop}
	}
	return nil
}

// stateExists refuses to look at a state that no run has made: opening it would
// make an empty one, and with it a key.
func stateExists(cfg config.Config, path string) error {
	const variable = config.Prefix + "DATABASE_URL"
	if path == "" {
		return &config.Error{Variable: variable, Problem: "keeps the state in memory, where another process cannot see it"}
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		const hasRun = "; if it has run, give this command the same user and environment"
		if cfg.DatabaseURL.IsZero() {
			return &noStateError{config.Error{Problem: "there is no state at " + path + " yet: `syncd run` makes it (" + variable + " names another place)" + hasRun}}
		}
		return &noStateError{config.Error{Variable: variable, Problem: "leads to " + path + ", where there is no state: `syncd run` makes it" + hasRun}}
	}
	return nil
}

// status is what `syncd status --json` prints. docs/status.md describes it; names
// and meanings stay, new ones may join.
type status struct {
	Shop        string                                       `json:"shop"`
	Target      string                                       `json:"target"` // empty before the first run
	State       string                                       `json:"state"`
	At          time.Time                                    `json:"at"`
	Writer      *statusWriter                                `json:"writer"` // null when nobody writes
	Streams     []statusStream                               `json:"streams"`
	Sweeps      []statusSweep                                `json:"sweeps,omitempty"` // that the settings ask for
	Resyncs     []statusResync                               `json:"resyncs"`          // open ones, at most statusResyncs
	Records     map[state.Entity]map[state.RecordState]int64 `json:"records"`
	Erased      map[string]int64                             `json:"erased"`              // receipts by policy
	Taken       int64                                        `json:"tombstones_taken_up"` // of people without a receipt
	OptOuts     map[string]int64                             `json:"opt_outs_returned"`   // made in Copernica and settled, by source
	DeadLetters struct {
		Open    int64            `json:"open"`
		ByCause map[string]int64 `json:"by_cause"`
	} `json:"dead_letters"`
}

type statusWriter struct {
	Holder  string    `json:"holder"`
	Expires time.Time `json:"expires"`
}

type statusStream struct {
	Name       string      `json:"name"`
	Horizon    *time.Time  `json:"horizon"`     // null before the first finished pass
	LagSeconds *int64      `json:"lag_seconds"` // from horizon to at
	Pass       *statusPass `json:"pass"`        // null between passes
	LastRun    *statusRun  `json:"last_run"`
}

type statusPass struct {
	From      *time.Time `json:"from"` // null: from the beginning
	Target    time.Time  `json:"target"`
	UpdatedAt *time.Time `json:"updated_at"` // position, null at the start
	ID        int64      `json:"id"`
}

type statusRun struct {
	ID       int64            `json:"id"`
	Holder   string           `json:"holder"`
	Outcome  state.RunOutcome `json:"outcome"`
	Started  time.Time        `json:"started"`
	Ended    *time.Time       `json:"ended"`
	Problem  string           `json:"problem"`
	Counters state.Counters   `json:"counters"`
}

// newStatus turns an overview into a status. Parts of a stream, whose names have
// a slash, are left out.
func newStatus(o state.Overview, path string, now time.Time) status {
	s := status{
		Shop:    o.Pipeline.Name,
		Target:  o.Pipeline.Target,
		State:   path,
		At:      now.UTC().Truncate(time.Second),
		Streams: []statusStream{},
		Resyncs: []statusResync{},
		Records: o.Records,
		Erased:  o.Erased,
		Taken:   o.Taken.Stones,
		OptOuts: o.OptOuts,
	}
	if o.Lease != nil {
		s.Writer = &statusWriter{Holder: o.Lease.Holder, Expires: o.Lease.Expires.UTC()}
	}
	if s.Records == nil {
		s.Records = map[state.Entity]map[state.RecordState]int64{}
	}
	if s.Erased == nil {
		s.Erased = map[string]int64{}
	}
	if s.OptOuts == nil {
		s.OptOuts = map[string]int64{}
	}
	s.DeadLetters.ByCause = map[string]int64{}
	for cause, n := range o.OpenLetters {
		s.DeadLetters.ByCause[cause] = n
		s.DeadLetters.Open += n
	}

	streams := map[string]*statusStream{}
	stream := func(name string) *statusStream {
		if streams[name] == nil {
			streams[name] = &statusStream{Name: name}
		}
		return streams[name]
	}
	for _, cp := range o.Checkpoints {
		stream(cp.Stream).checkpoint(cp, now)
	}
	for _, run := range o.LastRuns {
		stream(run.Stream).run(run, o.Lease)
	}
	for _, name := range slices.Sorted(maps.Keys(streams)) {
		if !strings.Contains(name, "/") && name != engine.Unsubscribes {
			s.Streams = append(s.Streams, *streams[name])
		}
	}
	return s
}

// statusResyncs is how many open resyncs a status shows.
const statusResyncs = 50

// statusResync is a resync that was asked for and has not ended.
type statusResync struct {
	ID        int64     `json:"id"`
	Stream    string    `json:"stream"`
	Requested time.Time `json:"requested"`
}

// resyncs adds the resyncs that are open.
func (s *status) resyncs(open []state.Resync) {
	for _, r := range open {
		s.Resyncs = append(s.Resyncs, statusResync{r.ID, r.Stream, r.Created.UTC()})
	}
}

// statusSweep is how a sweep, or the way back, stands. The daemon works them.
type statusSweep struct {
	Name          string     `json:"name"`
	PeriodSeconds int64      `json:"period_seconds"` // of a round; of the consent sweep as long as it truly takes
	AskedSeconds  int64      `json:"asked_seconds"`  // as the settings say
	Finished      *time.Time `json:"finished"`       // began the last round that was finished; null: none
	Began         *time.Time `json:"began"`          // began the round under way; null between rounds
	TookSeconds   *int64     `json:"took_seconds"`   // the last round that was finished; null: not known
	LateSeconds   int64      `json:"late_seconds"`   // that the round under way takes longer than its period; 0: up to a tenth
	ID            int64      `json:"id"`             // the round has come up to it; of the shop
	Due           time.Time  `json:"due"`            // the next slice
	Problem       string     `json:"problem"`        // what stopped the last slice
	ProblemAt     *time.Time `json:"problem_at"`     // when that was; null: nothing did
}

// sweep adds the sweeps that the settings ask for.
func (s *status) sweep(o state.Overview, cfg config.Config, past rounds) {
	for _, name := range sweepsOf(cfg) {
		one := statusSweep{Name: name}
		period, asked := time.Duration(cfg.Reconcile), time.Duration(cfg.Reconcile)
		switch name {
		case engine.ConsentSweep:
			period, asked = past.consent, time.Duration(cfg.Consent)
		case engine.Unsubscribes:
			period, asked = time.Duration(cfg.Consent), time.Duration(cfg.Consent)
		}
		one.PeriodSeconds, one.AskedSeconds = int64(period/time.Second), int64(asked/time.Second)
		var cp state.Checkpoint
		for _, known := range o.Checkpoints {
			if known.Stream == name {
				cp = known
			}
		}
		one.Finished, one.Began, one.ID = optional(cp.Horizon), optional(cp.Target), cp.Position.ID
		if ended := past.ended[name]; ended.After(cp.Horizon) && !cp.Horizon.IsZero() {
			one.TookSeconds = new(int64(ended.Sub(cp.Horizon) / time.Second))
		}
		one.LateSeconds = int64(late(cp, period, s.At) / time.Second)
		one.Due = s.At
		if next := engine.Due(cp, period, s.At); next.After(s.At) {
			one.Due = next.UTC()
		}
		for _, run := range o.LastRuns {
			if run.Stream == name && run.Problem != "" {
				one.Problem, one.ProblemAt = run.Problem, optional(cmp.Or(run.Ended, run.Started))
			}
		}
		s.Sweeps = append(s.Sweeps, one)
	}
}

// late is how much longer than its period the round under way of a sweep takes: nothing
// where it is a tenth or less, which a slice that waits for a stream brings about.
func late(cp state.Checkpoint, period time.Duration, now time.Time) time.Duration {
	over := now.Sub(cp.Target) - period
	if cp.Target.IsZero() || over <= period/10 {
		return 0
	}
	return over
}

func (s *statusStream) checkpoint(cp state.Checkpoint, now time.Time) {
	if s.Horizon = optional(cp.Horizon); s.Horizon != nil {
		s.LagSeconds = new(max(0, int64(now.Sub(cp.Horizon)/time.Second)))
	}
	if !cp.Target.IsZero() {
		s.Pass = &statusPass{
			From: optional(cp.From), Target: cp.Target.UTC(),
			UpdatedAt: optional(cp.Position.UpdatedAt), ID: cp.Position.ID,
		}
	}
}

func (s *statusStream) run(run state.Run, lease *state.Lease) {
	outcome := run.Outcome
	if outcome == state.Running && (lease == nil || lease.Fence != run.Fence) {
		outcome = state.Abandoned // its process has lost the lease, or died; the next run writes that down
	}
	s.LastRun = &statusRun{
		ID: run.ID, Holder: run.Holder, Outcome: outcome, Problem: run.Problem, Counters: run.Counters,
		Started: run.Started.UTC(), Ended: optional(run.Ended),
	}
}

// optional returns nil for the zero time.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}
