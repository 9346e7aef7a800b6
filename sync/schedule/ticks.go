package schedule

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Ticks are the moments at which a stream is due, on a grid that does not depend on
// when anybody asked. It implements cron.Schedule.
//
// A cron expression speaks of wall clocks, and two nights a year those of most zones
// jump. A moment that a jump leaves out comes as much later as the clock jumped, so
// that 02:30 is 03:30 in the night in which summer time begins. A moment that comes
// twice counts once, the first time, unless the minute or the hour is written with a
// star: such a schedule means an interval, and goes on through the repeated hour. This
// is the rule of cron(8) in Debian.
type Ticks struct {
	expression string
	wall       cron.Schedule  // on wall clocks, which it takes for UTC; nil with every
	zone       *time.Location // whose wall clocks
	repeats    bool           // also when a wall clock shows a time for the second time
	every      time.Duration  // of @every: the multiples since the year 1, UTC
}

// ParseTicks reads an expression as cron.ParseStandard does: five fields or a
// descriptor, in the machine's time zone unless CRON_TZ=Zone stands before it.
func ParseTicks(expression string) (Ticks, error) {
	text := strings.TrimSpace(expression)
	zone, fields := time.Local, text
	if word, rest, _ := strings.Cut(text, " "); strings.HasPrefix(word, "CRON_TZ=") || strings.HasPrefix(word, "TZ=") {
		_, name, _ := strings.Cut(word, "=")
		fields = strings.TrimSpace(rest)
		var err error
		if zone, err = time.LoadLocation(name); err != nil || name == "" || fields == "" {
			return Ticks{}, fmt.Errorf("schedule %q: write CRON_TZ=Zone, a blank and the schedule, with a zone such as Europe/Amsterdam", expression)
		}
	}
	if fields == "" {
		return Ticks{}, fmt.Errorf("schedule %q is empty", expression)
	}
	parsed, err := cron.ParseStandard("TZ=UTC " + fields)
	if err != nil {
		return Ticks{}, fmt.Errorf("schedule %q: %w", expression, err)
	}
	t := Ticks{expression: text, zone: zone}
	if delay, ok := parsed.(cron.ConstantDelaySchedule); ok {
		t.every = delay.Delay
		return t, nil
	}
	t.wall = parsed
	columns := strings.Fields(fields)
	t.repeats = columns[0] == "@hourly" || len(columns) > 1 && (star(columns[0]) || star(columns[1]))
	return t, nil
}

func star(column string) bool {
	return strings.HasPrefix(column, "*") || strings.HasPrefix(column, "?")
}

// String returns the expression.
func (t Ticks) String() string { return t.expression }

// Next returns the first tick after a moment, in UTC, or the zero time when there is
// none within five years.
func (t Ticks) Next(after time.Time) time.Time {
	if t.every > 0 {
		return after.UTC().Truncate(t.every).Add(t.every)
	}
	after = after.UTC()
	for from := after; ; {
		tick, end := t.within(from, after)
		if !tick.IsZero() || end.IsZero() {
			return tick
		}
		from = end
	}
}

// within returns the first tick later than after in the span around from in which the
// zone has one offset, or the zero time and the end of that span.
func (t Ticks) within(from, after time.Time) (tick, end time.Time) {
	here := from.In(t.zone)
	begin, end := here.ZoneBounds()
	_, offset := here.Zone()
	ahead := time.Duration(offset) * time.Second

	// The wall clock reads as much more than UTC as the zone is ahead.
	lower := after.Add(ahead)
	if !begin.IsZero() {
		_, earlier := begin.Add(-time.Second).In(t.zone).Zone()
		before := time.Duration(earlier) * time.Second
		first := begin.Add(ahead)
		if ahead < before && !t.repeats {
			first = begin.Add(before) // what was shown already does not count again
		}
		if ahead > before {
			// What the jump left out comes by the clock as it was.
			if late := t.wall.Next(latest(after, begin.Add(-time.Second)).Add(before)); !late.IsZero() && late.Before(first) {
				tick = late.Add(-before).UTC()
			}
		}
		lower = latest(lower, first.Add(-time.Second))
	}
	next := t.wall.Next(lower)
	if next.IsZero() {
		return tick, time.Time{}
	}
	if next = next.Add(-ahead).UTC(); tick.IsZero() || next.Before(tick) {
		tick = next
	}
	if !end.IsZero() && !tick.Before(end) {
		return time.Time{}, end.UTC()
	}
	return tick, end.UTC()
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
