package schedule

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/state"
)

// journal writes the log of a daemon that one can leave alone: a line now and then
// while something is written, one an hour when all is quiet, what goes wrong once and
// its end once.
type journal struct {
	log     *slog.Logger
	said    time.Time // the last hourly line
	streams map[string]*entry
	order   []string

	holder string    // who holds the pipeline, told last
	told   time.Time // when
	met    time.Time // when that holder was met first
	warned bool      // that it may be a second daemon
	since  time.Time // when this process began to wait; zero: it does not
}

// entry is what is to be told of a stream.
type entry struct {
	said    time.Time   // the last line
	sum     tally       // since that line
	hour    tally       // since the last hourly line
	horizon time.Time   // reached last
	failing time.Time   // since when; zero: it works
	class   fault.Class // of the failure told last
}

// tally is what runs did together.
type tally struct{ runs, read, created, updated, refused, unknown int64 }

func (t *tally) add(n state.Counters) {
	t.runs++
	t.read += n.Read
	t.created += n.Created
	t.updated += n.Updated
	t.refused += n.Refused
	t.unknown += n.Unknown
}

func (t *tally) wrote() bool { return t.created+t.updated+t.refused+t.unknown > 0 }

const (
	// tellEvery keeps a busy stream to a line now and then.
	tellEvery = 5 * time.Minute
	anHour    = time.Hour
	// secondDaemon is how long one process is met as the holder before it is taken for
	// another daemon.
	secondDaemon = 10 * time.Minute
)

func newJournal(log *slog.Logger, now time.Time) *journal {
	return &journal{log: log, said: now, streams: map[string]*entry{}}
}

// follow says which streams there are.
func (j *journal) follow(lines []*line) {
	j.order = nil
	for _, l := range lines {
		j.order = append(j.order, l.Name)
		j.entry(l.Name)
	}
}

func (j *journal) entry(stream string) *entry {
	e := j.streams[stream]
	if e == nil {
		e = new(entry)
		j.streams[stream] = e
	}
	return e
}

// result tells what came of a task, as far as it is news.
func (j *journal) result(r Result, now time.Time, failures int) {
	e := j.entry(r.Task.Stream)
	e.sum.add(r.Report.Counters)
	e.hour.add(r.Report.Counters)
	if r.Report.Horizon.After(e.horizon) {
		e.horizon = r.Report.Horizon
	}
	if r.Kind == Ended || r.Kind == Failed {
		j.free(now)
	}
	switch r.Kind {
	case Ended:
		if !e.failing.IsZero() {
			j.log.Info("stream works again", "stream", r.Task.Stream, "failed_for", now.Sub(e.failing).Round(time.Second))
			e.failing = time.Time{}
		}
		j.tell(r, e, now)
	case Failed:
		class := fault.ClassOf(r.Err)
		if e.failing.IsZero() || class != e.class {
			j.log.Error("stream failed, it is tried again when it is due", "stream", r.Task.Stream, "class", class.String(), "error", r.Err)
		} else {
			j.log.Debug("stream failed again", "stream", r.Task.Stream, "failures", failures, "error", r.Err)
		}
		if e.failing.IsZero() {
			e.failing = now
		}
		e.class = class
	case Held:
		j.waits(r.Err, now)
	case NotStarted, Stopped: // told by others
	}
}

// tell writes a line about what was written, unless the last one is fresh.
func (j *journal) tell(r Result, e *entry, now time.Time) {
	if !e.sum.wrote() || now.Sub(e.said) < tellEvery {
		return
	}
	j.log.Info("stream brought up to date", "stream", r.Task.Stream, "outcome", r.Report.Outcome,
		"runs", e.sum.runs, "read", e.sum.read, "created", e.sum.created, "updated", e.sum.updated,
		"refused", e.sum.refused, "unknown", e.sum.unknown, "dead_letters", r.Report.Letters)
	e.sum, e.said = tally{}, now
}

// waits tells, once an hour at most, that another process writes.
func (j *journal) waits(err error, now time.Time) {
	held, ok := errors.AsType[*state.HeldError](err)
	if !ok {
		return
	}
	if j.since.IsZero() {
		j.since = now
	}
	if held.Holder != j.holder {
		j.met, j.warned = now, false
	}
	if held.Holder == j.holder && !j.warned && now.Sub(j.met) >= secondDaemon {
		j.warned = true
		j.log.Warn("two daemons seem to serve one state, of which one is enough: stop one of them, unless the holder is a long syncd run, which ends by itself",
			"holder", held.Holder)
	}
	if held.Holder == j.holder && now.Sub(j.told) < anHour {
		return
	}
	j.holder, j.told = held.Holder, now
	j.log.Info("another process writes for this pipeline: waiting for it", "holder", held.Holder, "lease_until", held.Expires.UTC())
}

// free tells that the wait for another process is over, if it was one worth telling.
func (j *journal) free(now time.Time) {
	if !j.since.IsZero() && now.Sub(j.since) >= time.Minute {
		j.log.Info("this process writes for the pipeline again", "waited", now.Sub(j.since).Round(time.Second))
	}
	j.since = time.Time{}
}

func (j *journal) outOfReach(err error) {
	j.log.Error("no run can begin: the state is out of reach and tried again within a minute", "error", err)
}

func (j *journal) withinReach(times int) {
	j.log.Info("the state is within reach again", "attempts", times)
}

func (j *journal) hangs(stream string, still time.Duration) {
	j.log.Error("the run hangs: the watchdog is no longer fed", "stream", stream, "no_sign_of_life_for", still)
}

// hourly sums up the last hour, once it is over.
func (j *journal) hourly(ctx context.Context, now time.Time) {
	if now.Sub(j.said) < anHour {
		return
	}
	level := slog.LevelInfo
	var streams []slog.Attr
	for _, name := range j.order {
		e := j.streams[name]
		attrs := []any{
			slog.Int64("runs", e.hour.runs), slog.Int64("read", e.hour.read),
			slog.Int64("written", e.hour.created+e.hour.updated),
		}
		if !e.horizon.IsZero() {
			attrs = append(attrs, slog.Time("in_step_until", e.horizon.UTC()))
		}
		if !e.failing.IsZero() {
			level = slog.LevelWarn
			attrs = append(attrs, slog.Duration("failing_for", now.Sub(e.failing).Round(time.Second)))
		}
		streams = append(streams, slog.Group(name, attrs...))
		e.hour = tally{}
	}
	j.said = now
	j.log.LogAttrs(ctx, level, "the last hour", streams...)
}
