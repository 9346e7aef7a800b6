package schedule_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/sync/schedule"
)

func ticks(t *testing.T, expression string) schedule.Ticks {
	t.Helper()
	parsed, err := schedule.ParseTicks(expression)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// all returns the ticks of a span, in the zone, which tells its two offsets apart.
func all(t *testing.T, expression, zone, from, to string) []string {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	moment, end := at(t, from), at(t, to)
	var out []string
	for s := ticks(t, expression); ; {
		if moment = s.Next(moment); moment.IsZero() || !moment.Before(end) {
			return out
		}
		out = append(out, moment.In(location).Format("02 15:04 -07"))
	}
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

// Both nights on which Amsterdam's clocks jump, in 2026: on 29 March from 02:00 to
// 03:00, on 25 October from 03:00 back to 02:00.
func TestTicksInTheNightsWhenClocksJump(t *testing.T) {
	t.Parallel()
	const spring, springEnd = "2026-03-28T12:00:00+01:00", "2026-03-30T12:00:00+02:00"
	const autumn, autumnEnd = "2026-10-24T12:00:00+02:00", "2026-10-26T12:00:00+01:00"
	for _, c := range []struct {
		name, expression, from, to string
		want                       []string
	}{
		{"what is left out comes later", "30 2 * * *", spring, springEnd, []string{"29 03:30 +02", "30 02:30 +02"}},
		{"what comes twice counts once", "30 2 * * *", autumn, autumnEnd, []string{"25 02:30 +02", "26 02:30 +01"}},
		{"the hour before", "30 1 * * *", spring, springEnd, []string{"29 01:30 +01", "30 01:30 +02"}},
		{"the hour after", "30 3 * * *", spring, springEnd, []string{"29 03:30 +02", "30 03:30 +02"}},
		{"the first moment left out", "0 2 * * *", spring, springEnd, []string{"29 03:00 +02", "30 02:00 +02"}},
		{"the last moment twice", "59 2 * * *", autumn, autumnEnd, []string{"25 02:59 +02", "26 02:59 +01"}},
		{"the end of what comes twice", "0 3 * * *", autumn, autumnEnd, []string{"25 03:00 +01", "26 03:00 +01"}},
		{"left out and its stand-in are one", "30 2,3 * * *", spring, springEnd, []string{"29 03:30 +02", "30 02:30 +02", "30 03:30 +02"}},
		{"on that day of the week only", "15 2 * * sun", spring, springEnd, []string{"29 03:15 +02"}},
		{"a day later by name", "@daily", autumn, autumnEnd, []string{"25 00:00 +02", "26 00:00 +01"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := all(t, "CRON_TZ=Europe/Amsterdam "+c.expression, "Europe/Amsterdam", c.from, c.to)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// What means an interval keeps it, whatever the clocks show.
func TestTicksOfAnIntervalGoOnWhenClocksJump(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"*/5 * * * *", "* * * * *", "0 * * * *", "@hourly", "*/15 0-5 * * *"} {
		for _, night := range []string{"2026-03-29T00:00:00+01:00", "2026-10-25T00:00:00+02:00"} {
			s := ticks(t, "CRON_TZ=Europe/Amsterdam "+expression)
			begin := at(t, night)
			first := s.Next(begin)
			step := s.Next(first).Sub(first)
			for last, tick := first, s.Next(first); tick.Before(begin.Add(5 * time.Hour)); last, tick = tick, s.Next(tick) {
				if tick.Sub(last) != step {
					t.Errorf("%s, %s: %s after %s", expression, night, tick.Sub(last), last)
				}
			}
		}
	}
}

// The zone of the expression counts, and neither that of the question nor the
// machine's.
func TestTicksOfAZone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expression, want string }{
		{"CRON_TZ=Europe/Amsterdam 0 3 * * *", "2026-07-02T01:00:00Z"},
		{"TZ=Asia/Kolkata 0 3 * * *", "2026-07-01T21:30:00Z"},
		{"CRON_TZ=UTC 0 3 * * *", "2026-07-02T03:00:00Z"},
		{"CRON_TZ=Australia/Lord_Howe 15 2 4 10 *", "2026-10-03T15:45:00Z"}, // clocks jump half an hour
		{"CRON_TZ=Pacific/Apia 0 12 * * *", "2026-07-01T23:00:00Z"},
		{"@every 7m", "2026-07-01T12:05:00Z"},
		{"CRON_TZ=UTC 0 0 29 2 *", "2028-02-29T00:00:00Z"},
		{"CRON_TZ=UTC 0 0 31 2 *", "0001-01-01T00:00:00Z"}, // no such day
	} {
		s := ticks(t, c.expression)
		asked := at(t, "2026-07-01T12:00:00Z")
		for _, zone := range []*time.Location{time.UTC, time.FixedZone("", -5*3600)} {
			if got := s.Next(asked.In(zone)).Format(time.RFC3339); got != c.want {
				t.Errorf("%s: %s, want %s", c.expression, got, c.want)
			}
		}
	}
}

// A day that a zone never had: Samoa went from 29 to 31 December 2011.
func TestTicksOfADayLeftOut(t *testing.T) {
	t.Parallel()
	got := all(t, "CRON_TZ=Pacific/Apia 0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00-10:00", "2012-01-02T00:00:00+14:00")
	// The tick of the 30th falls on that of the 31st.
	if want := []string{"29 12:00 -10", "31 12:00 +14", "01 12:00 +14"}; !cmp.Equal(want, got) {
		t.Error(got)
	}
}

// Wherever one asks from, the ticks are the same, each later than the question, and
// none in between: the grid does not depend on who asks.
func TestTicksAreOneGrid(t *testing.T) {
	t.Parallel()
	seed := randomSeed(t)
	random := rand.New(rand.NewPCG(seed, 1))
	expressions := []string{
		"*/5 * * * *", "30 2 * * *", "0,30 2-3 * * *", "15 */2 * * *", "@every 11m", "5 1 * * sun", "0 0 1 * *",
	}
	zones := []string{"Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/Sao_Paulo", "UTC"}
	for range 200 {
		expression := expressions[random.IntN(len(expressions))]
		if !strings.HasPrefix(expression, "@every") {
			expression = "CRON_TZ=" + zones[random.IntN(len(zones))] + " " + expression
		}
		s := ticks(t, expression)
		from := time.Date(2010+random.IntN(25), 1, 1+random.IntN(365), random.IntN(24), random.IntN(60), random.IntN(60), 0, time.UTC)
		first := s.Next(from)
		if !first.After(from) {
			t.Fatalf("%s: %s is not after %s", expression, first, from)
		}
		for range 5 {
			between := from.Add(time.Duration(random.Int64N(int64(first.Sub(from)))))
			if got := s.Next(between); !got.Equal(first) {
				t.Fatalf("%s: after %s comes %s, after %s %s", expression, from, first, between, got)
			}
		}
	}
}

func TestNoTicks(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"", " ", "5 minutes", "61 * * * *", "* * * * * *", "CRON_TZ=UTC", "CRON_TZ= * * * * *", "CRON_TZ=Europe/Ams * * * * *", "@often"} {
		if _, err := schedule.ParseTicks(expression); err == nil {
			t.Errorf("%q was taken", expression)
		}
	}
}

// randomSeed is where a random test begins: anew each time, or where SYNCD_TEST_SEED says.
func randomSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("SYNCD_TEST_SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("SYNCD_TEST_SEED=%d repeats this", seed)
	return seed
}
