package config_test

import (
	"testing"
	"time"

	"github.com/magento-copernica/syncd/config"
)

func TestSchedules(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ text, form, next string }{
		{"CRON_TZ=UTC */5 * * * *", "CRON_TZ=UTC */5 * * * *", "2026-01-01T00:05:00Z"},
		{`"TZ=Europe/Amsterdam 0 3 * * *"`, "TZ=Europe/Amsterdam 0 3 * * *", "2026-01-01T02:00:00Z"},
		{" 'CRON_TZ=UTC 0 0 29 2 *' ", "CRON_TZ=UTC 0 0 29 2 *", "2028-02-29T00:00:00Z"},
		{"CRON_TZ=UTC @daily", "CRON_TZ=UTC @daily", "2026-01-02T00:00:00Z"},
		{"@every 90s", "@every 90s", "2026-01-01T00:01:30Z"},
		{"off", "off", "0001-01-01T00:00:00Z"},
	} {
		got, err := config.NewSchedule(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if next := got.Next(from).Format(time.RFC3339); got.String() != c.form || next != c.next || got.Off() != (c.form == "off") {
			t.Errorf("%s: %s, next at %s; want %s, %s", c.text, got, next, c.form, c.next)
		}
		again, err := config.NewSchedule(got.String())
		if err != nil || !again.Equal(got) {
			t.Errorf("%s does not come back from %q: %v, %v", c.text, got, again, err)
		}
	}
	if zero := (config.Schedule{}); !zero.Off() || zero.String() != "off" {
		t.Error("no schedule is not off")
	}
}

func TestNoSchedules(t *testing.T) {
	t.Parallel()
	const form = ": write five fields such as */5 * * * *, a name such as @hourly, or off"
	for text, want := range map[string]string{
		"* * * * * *":               `is "* * * * * *", which is no schedule (expected exactly 5 fields, found 6: [* * * * * *])`,
		"61 * * * *":                `is "61 * * * *", which is no schedule (end of range (61) above maximum (59): 61)`,
		"0 0 31 2 *":                `is "0 0 31 2 *", which is no schedule (there is no such day)`,
		"CRON_TZ=Europe/Ams @daily": `is "CRON_TZ=Europe/Ams @daily", which is no schedule (no time zone is called "Europe/Ams")`,
		"CRON_TZ=UTC":               `is "CRON_TZ=UTC", which is no schedule (nothing follows the time zone)`,
		"CRON_TZ= * * * * *":        `is "CRON_TZ= * * * * *", which is no schedule (the time zone has no name)`,
		"''":                        `is "''", which is no schedule (empty spec string)`,
	} {
		if _, err := config.NewSchedule(text); err == nil || err.Error() != want+form {
			t.Errorf("%s: %v, want %s", text, err, want+form)
		}
	}
}
