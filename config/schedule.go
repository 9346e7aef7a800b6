package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// off is what switches off a schedule or the listener.
const off = "off"

// scheduleForm says what a schedule looks like.
const scheduleForm = "write five fields such as */5 * * * *, a name such as @hourly, or off"

// Schedule says when a stream is due. The zero value is off: the stream is never due.
type Schedule struct {
	expression string
	due        cron.Schedule
}

// NewSchedule reads the form that SYNCD_SCHEDULE_CUSTOMERS has: a cron expression of
// five fields, in the machine's time zone unless CRON_TZ=Zone stands before it; a
// descriptor such as @hourly or @every 10m; or off. The error says what is wrong, for
// an operator to read behind the variable's name.
func NewSchedule(expression string) (Schedule, error) {
	// docker run --env-file passes on the quotes that a shell needs.
	text := strings.TrimSpace(expression)
	for _, quote := range []string{`"`, `'`} {
		if inner, ok := strings.CutPrefix(text, quote); ok {
			text = strings.TrimSpace(strings.TrimSuffix(inner, quote))
		}
	}
	if strings.EqualFold(text, off) {
		return Schedule{}, nil
	}
	due, err := parseSchedule(text)
	if err != nil {
		return Schedule{}, malformed(fmt.Sprintf("is %.60q, which is no schedule (%s): %s", expression, err, scheduleForm))
	}
	return Schedule{text, due}, nil
}

func parseSchedule(text string) (cron.Schedule, error) {
	zone, _, found := strings.Cut(text, " ")
	if name, ok := cutZone(zone); ok {
		switch {
		case !found: // the library panics on it
			return nil, errors.New("nothing follows the time zone")
		case name == "" || name == "Local":
			return nil, errors.New("the time zone has no name")
		}
		if _, err := time.LoadLocation(name); err != nil {
			return nil, fmt.Errorf("no time zone is called %q", name)
		}
	}
	due, err := cron.ParseStandard(text)
	if err != nil {
		return nil, err
	}
	// The library gives up after five years, which is when a 29th of February is
	// missing at most, and then answers with the zero time.
	if due.Next(time.Date(2024, time.March, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, errors.New("there is no such day")
	}
	return due, nil
}

// cutZone returns the zone that the first word of an expression names.
func cutZone(word string) (string, bool) {
	if name, ok := strings.CutPrefix(word, "CRON_TZ="); ok {
		return name, true
	}
	return strings.CutPrefix(word, "TZ=")
}

// Off reports whether the stream is never due.
func (s Schedule) Off() bool { return s.due == nil }

// Next implements cron.Schedule: the first moment after t at which the stream is
// due, in t's zone. It is the zero time for a schedule that is off.
func (s Schedule) Next(t time.Time) time.Time {
	if s.due == nil {
		return time.Time{}
	}
	return s.due.Next(t)
}

// String returns the form that EnvDecode reads.
func (s Schedule) String() string {
	if s.Off() {
		return off
	}
	return s.expression
}

// Equal reports whether both are written alike.
func (s Schedule) Equal(o Schedule) bool { return s.expression == o.expression }

// EnvDecode implements the decoder of envconfig; see [NewSchedule].
func (s *Schedule) EnvDecode(value string) error {
	schedule, err := NewSchedule(value)
	if err != nil {
		return err
	}
	*s = schedule
	return nil
}

// ListenAddress returns the address where `syncd serve` answers; false means that
// it listens nowhere.
func (c Config) ListenAddress() (string, bool) {
	return c.Listen, !strings.EqualFold(c.Listen, off)
}
