package doctor

import (
	"fmt"
	"time"
)

// Schedule is when a stream is due.
type Schedule struct {
	Stream string
	Off    bool
	Next   func(time.Time) time.Time // as cron.Schedule
}

// freshnessSpan is how far ahead schedules are looked at: a month and the longest
// week-end.
const freshnessSpan = 35 * 24 * time.Hour

// Freshness compares the longest pause between two runs of a stream, within some five
// weeks from now, with the staleness that is promised (promise 24).
func Freshness(now time.Time, promise time.Duration, streams []Schedule) Finding {
	var texts []string
	worst := time.Duration(0)
	for _, s := range streams {
		if s.Off {
			texts = append(texts, s.Stream+" off")
			continue
		}
		pause := LongestPause(now, s.Next)
		texts = append(texts, fmt.Sprintf("%s due every %s at the latest", s.Stream, span(pause)))
		worst = max(worst, pause)
	}
	text := fmt.Sprintf("%s; /readyz turns red after %s", listed(texts), span(promise))
	if worst >= promise {
		return Doubtful(fmt.Sprintf("set SYNCD_MAX_LAG to more than %s, or schedule the stream more often", span(worst)), "%s", text)
	}
	return Good("%s", text)
}

// LongestPause is the longest time between two ticks of a schedule within some five weeks
// from now, and longer where there is no second one by then.
func LongestPause(now time.Time, next func(time.Time) time.Time) time.Duration {
	const most = 20_000 // ticks, of a schedule that is due every second
	longest := time.Duration(0)
	last := next(now)
	for range most {
		at := next(last)
		if at.IsZero() {
			return freshnessSpan
		}
		longest, last = max(longest, at.Sub(last)), at
		if last.Sub(now) > freshnessSpan {
			break
		}
	}
	return longest
}
