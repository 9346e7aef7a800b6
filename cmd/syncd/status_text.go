package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/config"
)

// print writes a status for people.
func (s *status) print(w io.Writer) error {
	var b bytes.Buffer
	line := liner(&b)

	line("shop", "%s", s.Shop)
	if s.Target == "" {
		line("writes to", "nothing yet: no run has reached Copernica")
	} else {
		line("writes to", "%s", s.Target)
	}
	line("state", "%s", s.State)
	if s.Writer == nil {
		line("writer", "nobody")
	} else {
		line("writer", "%s, lease for %s more", s.Writer.Holder, duration(s.Writer.Expires.Sub(s.At)))
	}
	if len(s.Streams) == 0 {
		line("streams", "none has run yet")
	}
	for _, stream := range s.Streams {
		fmt.Fprintf(&b, "\nstream %s\n", stream.Name)
		stream.print(func(name, format string, args ...any) { line("  "+name, format, args...) }, s.At)
	}
	if len(s.Sweeps) > 0 {
		b.WriteByte('\n')
	}
	for i, sweep := range s.Sweeps {
		line(atFirst(i, "sweeps"), "%s", sweep.words(s.At))
		if sweep.Problem != "" {
			line("", "  stopped %s: %s", ago(sweep.ProblemAt, s.At), sweep.Problem)
		}
	}
	if len(s.Sweeps) > 0 {
		line("", "a daemon works them; `syncd run NAME` makes a whole round by hand")
	}

	for i, r := range s.Resyncs {
		line(atFirst(i, "resyncs"), "%d of %s is open, requested %s: a daemon works it, or `syncd resync`", r.ID, r.Stream, ago(&r.Requested, s.At))
	}

	b.WriteByte('\n')
	for i, entity := range slices.Sorted(maps.Keys(s.Records)) {
		line(atFirst(i, "records"), "%s: %s", entity, counts(s.Records[entity]))
	}
	if len(s.Erased) > 0 {
		line("erased", "%s: `syncd erased` lists them", counts(s.Erased))
	}
	if s.Taken > 0 {
		line("tombstones", "%s without a receipt: `syncd erased` says why", grouped(s.Taken))
	}
	if len(s.OptOuts) > 0 {
		line("opt-outs", "%s", s.optOuts())
	}
	if s.DeadLetters.Open == 0 {
		line("dead letters", "none")
	} else {
		line("dead letters", "%s open: %s", grouped(s.DeadLetters.Open), counts(s.DeadLetters.ByCause))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// optOuts says how many opt-outs were settled, and where they were made. Those of guests,
// of whom the shop has no record, are among them.
func (s *status) optOuts() string {
	var all int64
	words := map[string]int64{}
	for source, n := range s.OptOuts {
		all += n
		words[cmp.Or(sourceWords[source], source)] += n
	}
	return fmt.Sprintf("%s made in Copernica %s settled: %s", grouped(all), plural(all, "is", "are"), counts(words))
}

// words say in one line how a sweep stands.
func (s *statusSweep) words(now time.Time) string {
	var b strings.Builder
	period := time.Duration(s.PeriodSeconds) * time.Second
	fmt.Fprintf(&b, "%s: every %s", s.Name, config.Period(period))
	if s.PeriodSeconds > s.AskedSeconds {
		fmt.Fprintf(&b, ", asked for %s: it gets a tenth of the time", config.Period(time.Duration(s.AskedSeconds)*time.Second))
	}
	switch {
	case s.Began != nil && s.ID > 0:
		fmt.Fprintf(&b, "; round began %s, at id %d", ago(s.Began, now), s.ID)
	case s.Began != nil:
		fmt.Fprintf(&b, "; round began %s", ago(s.Began, now))
	case s.Finished != nil:
		fmt.Fprintf(&b, "; last round began %s", ago(s.Finished, now))
	default:
		b.WriteString("; not begun yet")
	}
	if s.TookSeconds != nil && *s.TookSeconds > s.PeriodSeconds+s.PeriodSeconds/10 {
		fmt.Fprintf(&b, ", the last one took %s", duration(time.Duration(*s.TookSeconds)*time.Second))
	}
	if s.LateSeconds > 0 {
		fmt.Fprintf(&b, ", %s late", duration(time.Duration(s.LateSeconds)*time.Second))
	}
	if wait := s.Due.Sub(now); wait > 0 {
		fmt.Fprintf(&b, ", next in %s", duration(wait))
	} else {
		b.WriteString(", due now")
	}
	return b.String()
}

func (s *statusStream) print(line func(name, format string, args ...any), now time.Time) {
	if s.Horizon == nil {
		line("in step", "not yet: the first pass has not finished")
	} else {
		line("in step", "until %s, %s behind", moment(*s.Horizon), duration(time.Duration(*s.LagSeconds)*time.Second))
	}
	if p := s.Pass; p != nil {
		from, at := "the beginning", "at its start"
		if p.From != nil {
			from = moment(*p.From)
		}
		if p.UpdatedAt != nil {
			at = fmt.Sprintf("at %s, id %d", moment(*p.UpdatedAt), p.ID)
		}
		line("pass", "from %s to %s, %s", from, moment(p.Target), at)
	}
	r := s.LastRun
	if r == nil {
		return
	}
	if r.Ended == nil {
		line("last run", "%d %s, began %s", r.ID, r.Outcome, ago(&r.Started, now))
	} else {
		line("last run", "%d %s %s, took %s", r.ID, r.Outcome, ago(r.Ended, now), duration(r.Ended.Sub(r.Started)))
	}
	c := r.Counters
	line("", "%s read: %s created, %s updated, %s unchanged, %s refused, %s unknown",
		grouped(c.Read), grouped(c.Created), grouped(c.Updated), grouped(c.Unchanged), grouped(c.Refused), grouped(c.Unknown))
	if c.Removed > 0 {
		line("", "%s removed: of lines that left their order, or of guests who are customers", counted(c.Removed, "row"))
	}
	if c.Missing > 0 {
		line("", "%s that the shop no longer has", counted(c.Missing, "record"))
	}
	if c.Claimed > 0 {
		line("", "%s: `syncd claims`", foundCustomers(c.Claimed))
	}
	if c.Erased > 0 {
		line("", "%s erased: `syncd erased`", people(c.Erased))
	}
	if c.Ownerless > 0 {
		line("", "%s of deleted accounts left out", counted(c.Ownerless, "order"))
	}
	if c.OptOutsKept > 0 {
		line("", "%s kept as Copernica holds them", counted(c.OptOutsKept, "opt-out"))
	}
	line("", "%s to Magento, %s to Copernica", counted(c.SourceCalls, "call"), grouped(c.TargetCalls))
	if r.Problem != "" {
		line("problem", "%s", r.Problem)
	}
}

// counts prints numbers by name, the largest first.
func counts[K ~string](m map[K]int64) string {
	names := slices.SortedFunc(maps.Keys(m), func(a, b K) int {
		if m[a] != m[b] {
			return int(max(-1, min(1, m[b]-m[a])))
		}
		return strings.Compare(string(a), string(b))
	})
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = grouped(m[name]) + " " + string(name)
	}
	return strings.Join(parts, ", ")
}

// moment prints a time as Magento does, in UTC.
func moment(t time.Time) string { return t.UTC().Format(time.DateTime) + " UTC" }

// duration prints the two largest units, since the rest is noise to a reader.
func duration(d time.Duration) string {
	d = max(d, 0)
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd %dh", d/day, d%day/time.Hour)
	}
}
