package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/robfig/cron/v3"

	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
	"github.com/magento-copernica/syncd/sync/doctor"
)

// readOnly is a state that can be read and not written.
type readOnly struct{ state.Store }

func (readOnly) SetMark(context.Context, string, time.Time) error {
	return errors.New("attempt to write a readonly database")
}

func TestStates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		room  error
		open  func(context.Context, state.Store) (state.Store, error)
		spoil func(*testing.T, state.Store)
		want  []string
	}{
		"as it should be": {
			want: []string{
				"place ok: here, tables of this version",
				"encryption key ok: opens the state (the key file)",
				"writable ok: a mark was written and taken away",
				"shop code ok: shop, which writes to Copernica database 101",
				"writer ok: nobody writes at this moment",
			},
		},
		"none yet": {
			open: func(context.Context, state.Store) (state.Store, error) { return nil, nil },
			want: []string{
				"place ok: here, where there is no state yet: the first run makes it",
				"encryption key skipped: not tried: there is no state yet",
				"writable skipped: not tried: there is no state yet",
				"shop code skipped: not tried: there is no state yet",
				"writer skipped: not tried: there is no state yet",
			},
		},
		"none, and no room": {
			room: errors.New("nobody may write there"),
			open: func(context.Context, state.Store) (state.Store, error) { return nil, nil },
			want: []string{
				"place failure: nobody may write there",
				"encryption key skipped: not tried: place failed",
				"writable skipped: not tried: place failed",
				"shop code skipped: not tried: place failed",
				"writer skipped: not tried: place failed",
			},
		},
		"a wrong encryption key": {
			open: func(context.Context, state.Store) (state.Store, error) {
				return nil, fmt.Errorf("%w: restore the key", state.ErrKey)
			},
			want: []string{
				"place ok: here",
				"encryption key failure: the state cannot be opened with this encryption key: restore the key",
				"writable skipped: not tried: encryption key failed",
				"shop code skipped: not tried: encryption key failed",
				"writer skipped: not tried: encryption key failed",
			},
		},
		"read-only": {
			open: func(_ context.Context, s state.Store) (state.Store, error) { return readOnly{s}, nil },
			want: []string{
				"place ok: here, tables of this version",
				"encryption key ok: opens the state (the key file)",
				"writable failure: attempt to write a readonly database",
				"shop code ok: shop, which writes to Copernica database 101",
				"writer ok: nobody writes at this moment",
			},
		},
		"held by a daemon": {
			spoil: func(t *testing.T, s state.Store) {
				if _, err := s.Acquire(t.Context(), "shop", "web1 (process 7)", time.Minute); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{
				"place ok: here, tables of this version",
				"encryption key ok: opens the state (the key file)",
				"writable ok: a mark was written and taken away",
				"shop code ok: shop, which writes to Copernica database 101",
				"writer ok: web1 (process 7) holds the pipeline for 1m more",
			},
		},
		"a server that hangs": {
			open: func(ctx context.Context, _ state.Store) (state.Store, error) { <-ctx.Done(); return nil, ctx.Err() },
			want: []string{
				"place failure: no answer within 10s: see why the disk or the database server takes so long",
				"encryption key skipped: not tried: place failed",
				"writable skipped: not tried: place failed",
				"shop code skipped: not tried: place failed",
				"writer skipped: not tried: place failed",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, err := sqlite.Open(t.Context(), sqlite.Config{})
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				if _, err := store.OpenPipeline(t.Context(), state.Pipeline{Name: "shop", Target: "Copernica database 101"}); err != nil {
					t.Fatal(err)
				}
				if c.spoil != nil {
					c.spoil(t, store)
				}
				checked := doctor.Store{
					Open: func(ctx context.Context) (state.Store, error) {
						if c.open != nil {
							return c.open(ctx, store)
						}
						return store, nil
					},
					Room:  func() error { return c.room },
					Place: "here", Shop: "shop", Sealed: "the key file", Now: time.Now,
				}
				var got []string
				for _, line := range texts(doctor.Run(t.Context(), 10*time.Second, checked.Checks()...)) {
					got = append(got, line[len("state/"):])
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("results (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestStateOfAnotherShop(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), sqlite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.OpenPipeline(t.Context(), state.Pipeline{Name: "other", Target: "x"}); err != nil {
		t.Fatal(err)
	}
	checked := doctor.Store{Open: func(context.Context) (state.Store, error) { return store, nil }, Shop: "shop", Now: time.Now}
	report := doctor.Run(t.Context(), time.Minute, checked.Checks()...)
	want := doctor.Wrong("", "%s", &state.ShopError{Have: "other", Want: "shop"})
	if diff := cmp.Diff(want, report.Results[3].Finding); diff != "" {
		t.Error(diff)
	}
}

func TestFreshness(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 6, 12, 3, 0, 0, time.UTC) // a Friday
	due := func(stream, expression string) doctor.Schedule {
		schedule, err := cron.ParseStandard("CRON_TZ=UTC " + expression)
		if err != nil {
			t.Fatal(err)
		}
		return doctor.Schedule{Stream: stream, Next: schedule.Next}
	}
	off := doctor.Schedule{Stream: "orders", Off: true}
	for name, c := range map[string]struct {
		promise time.Duration
		streams []doctor.Schedule
		want    doctor.Finding
	}{
		"often": {
			30 * time.Minute,
			[]doctor.Schedule{due("customers", "*/5 * * * *"), due("orders", "*/7 * * * *")},
			doctor.Good("customers due every 5m at the latest, orders due every 7m at the latest; /readyz turns red after 30m"),
		},
		"on weekdays": {
			30 * time.Hour,
			[]doctor.Schedule{due("customers", "0 3 * * mon-fri"), off},
			doctor.Doubtful("set SYNCD_MAX_LAG to more than 3d, or schedule the stream more often", "customers due every 3d at the latest, orders off; /readyz turns red after 1d 6h"),
		},
		"never again": {
			time.Hour,
			[]doctor.Schedule{due("customers", "0 0 29 2 *"), off},
			doctor.Doubtful("set SYNCD_MAX_LAG to more than 1461d, or schedule the stream more often", "customers due every 1461d at the latest, orders off; /readyz turns red after 1h"),
		},
	} {
		if diff := cmp.Diff(c.want, doctor.Freshness(now, c.promise, c.streams)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
