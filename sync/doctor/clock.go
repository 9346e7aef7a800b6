package doctor

import (
	"context"
	"fmt"
	"time"
)

const (
	// A code of a second factor lives for 30 s, and intervals of consent (promise 18) are
	// compared between the shop's clock and Copernica's.
	clockTolerance = 20 * time.Second
	clockWrong     = 2 * time.Minute
	// certificateSoon is when a certificate is about to end: one that renews itself is
	// renewed by then.
	certificateSoon = 10 * 24 * time.Hour
)

// clock compares a peer's clock with this machine's.
func clock(w *Watch, peer, own string) func(context.Context) Finding {
	return func(context.Context) Finding {
		ahead, ok := w.Clock()
		if !ok {
			return Doubtful("the web server or proxy before it must send it uncached", "no answer has a Date header, so %s clock cannot be compared", own)
		}
		if ahead.Abs() <= time.Second {
			return Good("agrees with this machine's")
		}
		side := "ahead of"
		if ahead < 0 {
			side = "behind"
		}
		text := fmt.Sprintf("%s %s this machine's", span(ahead), side)
		fix := "let NTP set the clock of " + peer + ", or of this machine if the other peer's differs alike"
		switch {
		case ahead.Abs() > clockWrong:
			return Wrong(fix, "%s", text)
		case ahead.Abs() > clockTolerance:
			return Doubtful(fix, "%s", text)
		default:
			return Good("%s, which does no harm", text)
		}
	}
}

// certificate adds to a good finding what the certificate says, or warns of its end.
func certificate(w *Watch, now time.Time, f Finding) Finding {
	end := w.CertificateEnd()
	switch {
	case end.IsZero() || f.Status != OK:
		return f
	case end.Sub(now) < certificateSoon:
		return Doubtful("renew it, or see why it does not renew itself", "%s, but its certificate ends at %s, in %s", f.Text, moment(end), span(end.Sub(now)))
	default:
		return Good("%s, certificate good until %s", f.Text, end.UTC().Format(time.DateOnly))
	}
}

// span prints a time's length by its two largest units.
func span(d time.Duration) string {
	d = d.Abs()
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d/time.Millisecond)
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return units(d, time.Minute, "m", time.Second, "s")
	case d < day:
		return units(d, time.Hour, "h", time.Minute, "m")
	default:
		return units(d, day, "d", time.Hour, "h")
	}
}

func units(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	text := fmt.Sprintf("%d%s", d/large, largeName)
	if rest := d % large / small; rest > 0 {
		text += fmt.Sprintf(" %d%s", rest, smallName)
	}
	return text
}

// moment prints a time as the other commands do, in UTC.
func moment(t time.Time) string { return t.UTC().Format(time.DateTime) + " UTC" }
