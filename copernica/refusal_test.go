package copernica_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/fault"
)

// memory of refusals, as a state keeps it for other processes.
type memo struct {
	mu          sync.Mutex
	at          time.Time
	read, write error
	noted       int
}

func (m *memo) LastRefused(context.Context) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at, m.read
}

func (m *memo) NoteRefused(_ context.Context, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.noted++
	if m.write != nil {
		return m.write
	}
	m.at = at
	return nil
}

// The token is revoked while a run is due every minute, for an hour. The second number is
// that of the calls that tell of the refusal in the first place.
func TestRevokedTokenIsNotHammered(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		version  int
		s        copernicatest.Switches
		process  bool // each run is a process of its own
		calls    int64
		exchange int64
	}{
		// Every ten minutes one call to one of the two hosts: the refusal that starts it, and
		// six more in the hour.
		"version 4, a daemon":              {version: 4, calls: 1, exchange: 6},
		"version 4, a timer":               {version: 4, process: true, calls: 0, exchange: 6},
		"version 4, the other host's word": {version: 4, s: copernicatest.Switches{AuthFailure: 401, AuthHostFailure: 403}, calls: 1, exchange: 6},
		"version 3, a daemon":              {version: 3, calls: 6},
		"version 3, a timer":               {version: 3, process: true, calls: 6},
		"version 1, a daemon":              {version: 1, calls: 6},
		"version 1, errors under 200":      {version: 1, s: copernicatest.Switches{ErrorStatus: 200}, calls: 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := copernicatest.New(copernicatest.Config{Switches: tt.s})
				seen := &memo{}
				start := func() *copernica.Client {
					c, err := copernica.New(copernica.Config{
						Version: tt.version, AccessToken: copernicatest.AccessToken, Transport: a.Transport(), Refusals: seen,
					})
					if err != nil {
						t.Fatal(err)
					}
					return c
				}
				c := start()
				d, key := provision(t, c)
				a.Revoke()
				a.Log().Reset()
				for i := range 60 {
					var err error
					if tt.process {
						_, err = start().Database(t.Context(), copernicatest.DatabaseName)
					} else {
						_, err = d.Upsert(t.Context(), key, "k", map[string]string{"customer_id": "k"})
					}
					if fault.ClassOf(err) != fault.Credentials || !strings.Contains(err.Error(), "API access-tokens") {
						t.Fatalf("minute %d: class %s, %v", i, fault.ClassOf(err), err)
					}
					if i%10 != 0 && !strings.Contains(err.Error(), "not tried again before 20") {
						t.Errorf("minute %d: %v", i, err)
					}
					time.Sleep(time.Minute)
				}
				var calls, exchanges int64
				for path, n := range a.Log().Counts() {
					if path == "POST /" {
						exchanges += n
					} else {
						calls += n
					}
				}
				if calls != tt.calls || exchanges != tt.exchange {
					t.Errorf("%d calls and %d exchanges in an hour, want %d and %d", calls, exchanges, tt.calls, tt.exchange)
				}

				// Granted again, it is found to work within ten minutes, and the memory ends.
				a.Grant(copernicatest.AccessToken)
				time.Sleep(10 * time.Minute)
				if err := identify(t, start()); err != nil {
					t.Error(err)
				}
				if !seen.at.IsZero() {
					t.Error("the refusal stays noted")
				}
				if _, err := d.Upsert(t.Context(), key, "k", map[string]string{"customer_id": "k"}); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A token whose authorization token lives on works on, and its renewal is not hammered.
func TestRevokedTokenThatLivesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := copernicatest.New(copernicatest.Config{Switches: copernicatest.Switches{TokensOutliveRevocation: true}})
		c := accountClient(t, a, time.Now)
		if err := identify(t, c); err != nil {
			t.Fatal(err)
		}
		a.Revoke()
		time.Sleep(19 * time.Hour) // renewal is due at 18
		a.Log().Reset()
		for range 60 {
			if err := identify(t, c); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if n := a.Log().Counts()["POST /"]; n != 6 {
			t.Errorf("%d exchanges in an hour, want 6", n)
		}
		time.Sleep(4 * time.Hour)
		if err := identify(t, c); !errors.Is(err, copernica.ErrTokenRevoked) {
			t.Errorf("beyond its life: %v", err)
		}
	})
}

// Fifty calls in flight when the token is revoked are told once each, and none after.
func TestRevokedTokenWithManyInFlight(t *testing.T) {
	t.Parallel()
	for version, calls := range map[int]int64{4: 51, 2: 50} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := copernicatest.New(copernicatest.Config{Latency: time.Second})
				c, err := copernica.New(copernica.Config{Version: version, AccessToken: copernicatest.AccessToken, Transport: a.Transport()})
				if err != nil {
					t.Fatal(err)
				}
				if err := identify(t, c); err != nil {
					t.Fatal(err)
				}
				a.Log().Reset()
				a.Revoke()
				for range 2 {
					var wg sync.WaitGroup
					for range 50 {
						wg.Go(func() {
							if err := identify(t, c); !errors.Is(err, copernica.ErrTokenRevoked) || fault.ClassOf(err) != fault.Credentials {
								t.Errorf("class %s, %v", fault.ClassOf(err), err)
							}
						})
					}
					wg.Wait()
				}
				if n := a.Log().Total(); n != calls {
					t.Errorf("%d calls, want %d", n, calls)
				}
			})
		})
	}
}

// What other processes have noted.
func TestRefusalsOfOtherProcesses(t *testing.T) {
	t.Parallel()
	now := newClock().Now()
	broken := errors.New("the state is locked")
	for name, tt := range map[string]struct {
		at    time.Time // when the last refusal was noted
		read  error
		try   bool
		class fault.Class // 0: the call is made
		says  string
		left  time.Time // what stays noted
	}{
		"never refused":          {},
		"just now":               {at: now, class: fault.Credentials, says: "refused it on 2026-11-21 12:00:00 UTC and it is not tried again before 2026-11-21 12:10:00 UTC", left: now},
		"just now, by hand":      {at: now, try: true},
		"almost ten minutes ago": {at: now.Add(-10*time.Minute + time.Second), class: fault.Credentials, says: "before 2026-11-21 12:00:01 UTC", left: now.Add(-10*time.Minute + time.Second)},
		"ten minutes ago":        {at: now.Add(-10 * time.Minute)},
		"years ago":              {at: now.AddDate(-3, 0, 0)},
		"by a clock ahead":       {at: now.AddDate(3, 0, 0), class: fault.Credentials, says: "before 2026-11-21 12:10:00 UTC", left: now},
		"unknown":                {read: broken, class: fault.Retry, says: "cannot be told, so it is not tried: the state is locked"},
	} {
		for _, version := range []int{2, 4} {
			t.Run(fmt.Sprint(name, " ", version), func(t *testing.T) {
				t.Parallel()
				seen := &memo{at: tt.at, read: tt.read}
				a := copernicatest.New(copernicatest.Config{Now: newClock().Now})
				c, err := copernica.New(copernica.Config{
					Version: version, AccessToken: copernicatest.AccessToken, Transport: a.Transport(), Now: newClock().Now,
					Refusals: seen, TryRefused: tt.try,
				})
				if err != nil {
					t.Fatal(err)
				}
				err = identify(t, c)
				if (err != nil) != (tt.class != 0) || err != nil && (fault.ClassOf(err) != tt.class || !strings.Contains(err.Error(), tt.says)) {
					t.Errorf("class %s, %v", fault.ClassOf(err), err)
				}
				if calls := a.Log().Total(); (calls > 0) != (tt.class == 0) {
					t.Errorf("%d calls", calls)
				}
				if err != nil && copernica.Outcome(err) != copernica.NotSent {
					t.Errorf("outcome %s", copernica.Outcome(err))
				}
				if !seen.at.Equal(tt.left) {
					t.Errorf("%s stays noted, want %s", seen.at, tt.left)
				}
			})
		}
	}
}

// A refusal that cannot be noted is told, and holds in this process all the same.
func TestRefusalThatCannotBeNoted(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	a := copernicatest.New(copernicatest.Config{})
	a.Revoke()
	c, err := copernica.New(copernica.Config{
		AccessToken: copernicatest.AccessToken, Transport: a.Transport(), Refusals: &memo{write: errors.New("the state is read-only")},
		Log: slog.New(slog.NewTextHandler(&log, nil)), Now: newClock().Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := identify(t, c); fault.ClassOf(err) != fault.Credentials {
			t.Error(err)
		}
	}
	if n := a.Log().Total(); n != 1 || strings.Count(log.String(), "could not be noted") != 1 || !strings.Contains(log.String(), "read-only") {
		t.Errorf("%d calls, log %s", n, &log)
	}
}

// Where the operator renews the token depends on where it came from.
func TestWhereToRenew(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cfg  copernica.Config
		says []string
	}{
		"version 4":            {copernica.Config{}, []string{"Configuration > Account > API access-tokens", "SYNCD_COPERNICA_ACCESS_TOKEN"}},
		"version 2":            {copernica.Config{Version: 2}, []string{"Configuration > Account > API access-tokens", "SYNCD_COPERNICA_API_VERSION=4"}},
		"version 4, connected": {copernica.Config{Connected: true}, []string{"run `syncd connect copernica` again"}},
		"version 1, connected": {copernica.Config{Version: 1, Connected: true}, []string{"run `syncd connect copernica` again"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := copernicatest.New(copernicatest.Config{})
			a.Revoke()
			tt.cfg.AccessToken, tt.cfg.Transport = copernicatest.AccessToken, a.Transport()
			c, err := copernica.New(tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // refused, and remembered
				err := identify(t, c)
				if !errors.Is(err, copernica.ErrTokenRevoked) {
					t.Errorf("%v", err)
				}
				for i, says := range tt.says {
					if !strings.Contains(fmt.Sprint(err), says) && (i == 0 || !strings.Contains(err.Error(), "not tried again")) {
						t.Errorf("%q is not in %v", says, err)
					}
				}
			}
		})
	}
}
