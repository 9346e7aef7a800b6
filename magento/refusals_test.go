package magento_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
)

// memory is a [magento.Refusals] that outlives clients.
type memory struct {
	at                  time.Time
	reads, notes        int
	readError, noteFail error
}

func (m *memory) LastRefused(context.Context) (time.Time, error) {
	m.reads++
	return m.at, m.readError
}

func (m *memory) NoteRefused(_ context.Context, at time.Time) error {
	m.notes++
	if m.noteFail == nil {
		m.at = at
	}
	return m.noteFail
}

// remembering signs in with a memory; each client it makes is another process.
func remembering(t *testing.T, o *office, clock *clockwork, m *memory) *magento.Client {
	t.Helper()
	o.now, o.valid, o.life = clock.now, map[string]time.Time{}, time.Hour
	return client(t, o, func(cfg *magento.Config) {
		cfg.AccessToken, cfg.Username, cfg.Password, cfg.Now, cfg.Refusals = "", "admin", "emulator-1", clock.now, m
	})
}

func TestRefusedPasswordIsRememberedBeyondTheProcess(t *testing.T) {
	t.Parallel()
	wrong := true
	o := &office{signIn: func(r *http.Request) *http.Response {
		if wrong {
			return answer(r, 401, badPassword)
		}
		return nil
	}}
	clock, m := &clockwork{at: utc("2026-11-21 12:00:00")}, &memory{}
	try := func(signIns int, says ...string) {
		t.Helper()
		before := o.signIns
		err := call(t, remembering(t, o, clock, m))
		if got := o.signIns - before; got != signIns {
			t.Errorf("at %s: %d sign-ins, want %d", clock.at, got, signIns)
		}
		if len(says) == 0 {
			if err != nil {
				t.Errorf("at %s: %v", clock.at, err)
			}
			return
		}
		wantClass(t, err, fault.Credentials)
		wantText(t, err, append(says, "SYNCD_MAGENTO_USERNAME", "SYNCD_MAGENTO_PASSWORD", "30 minutes")...)
		if strings.Contains(err.Error(), "emulator-1") {
			t.Errorf("the error holds the password: %v", err)
		}
	}
	try(1, "status 401", "31 minutes")
	for range 6 {
		clock.at = clock.at.Add(5 * time.Minute)
		try(0, "2026-11-21 12:00:00 UTC", "before 2026-11-21 12:31:00 UTC", "corrected one is tried at once")
	}
	clock.at = utc("2026-11-21 12:30:59")
	try(0, "before 2026-11-21 12:31:00 UTC")
	clock.at = utc("2026-11-21 12:31:00")
	try(1, "status 401")
	try(0, "before 2026-11-21 13:02:00 UTC")

	// What the shop accepts later, such as an account that was locked, is forgotten.
	wrong = false
	try(0, "before 2026-11-21 13:02:00 UTC")
	clock.at = utc("2026-11-21 13:02:00")
	try(1)
	if !m.at.IsZero() {
		t.Errorf("after a success the refusal of %s is still noted", m.at)
	}
	notes := m.notes
	try(1)
	if m.notes != notes {
		t.Error("a success without a refusal before it was noted")
	}
}

func TestRefusalNotedByAClockAhead(t *testing.T) {
	t.Parallel()
	o := &office{}
	clock, m := &clockwork{at: utc("2026-11-21 12:00:00")}, &memory{at: utc("2031-01-01 00:00:00")}
	wantText(t, call(t, remembering(t, o, clock, m)), "before 2026-11-21 12:31:00 UTC")
	clock.at = utc("2026-11-21 12:31:00")
	if err := call(t, remembering(t, o, clock, m)); err != nil || o.signIns != 1 {
		t.Errorf("%d sign-ins, %v", o.signIns, err)
	}
}

func TestRefusalsThatCannotBeKept(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	t.Run("read", func(t *testing.T) {
		t.Parallel()
		o, m := &office{}, &memory{readError: full}
		c := remembering(t, o, &clockwork{at: utc("2026-11-21 12:00:00")}, m)
		err := call(t, c)
		wantClass(t, err, fault.Retry)
		wantText(t, err, "it is not tried", "the disk is full")
		if o.signIns != 0 {
			t.Errorf("%d blind sign-ins", o.signIns)
		}
		m.readError = nil
		if err := call(t, c); err != nil {
			t.Errorf("it is not tried again: %v", err)
		}
	})
	t.Run("note", func(t *testing.T) {
		t.Parallel()
		o, m := &office{signIn: func(r *http.Request) *http.Response { return answer(r, 401, badPassword) }}, &memory{noteFail: full}
		c := remembering(t, o, &clockwork{at: utc("2026-11-21 12:00:00")}, m)
		for range 3 {
			err := call(t, c)
			wantClass(t, err, fault.Credentials)
			wantText(t, err, "status 401", "could not be noted", "the disk is full")
		}
		if o.signIns != 1 {
			t.Errorf("%d sign-ins", o.signIns)
		}
	})
	t.Run("forget", func(t *testing.T) {
		t.Parallel()
		clock := &clockwork{at: utc("2026-11-21 12:00:00")}
		o, m := &office{}, &memory{at: clock.at.Add(-time.Hour), noteFail: full}
		if err := call(t, remembering(t, o, clock, m)); err != nil {
			t.Errorf("a good password fails over a refusal of an hour ago: %v", err)
		}
	})
}

// Two factors are asked for only once the password is right: no refusal is counted.
func TestTwoFactorsAreNoRefusal(t *testing.T) {
	t.Parallel()
	o := &office{signIn: func(r *http.Request) *http.Response {
		return answer(r, 400, `{"message":"Please ask an administrator with sufficient access to configure 2FA first"}`)
	}}
	clock, m := &clockwork{at: utc("2026-11-21 12:00:00")}, &memory{}
	wantText(t, call(t, remembering(t, o, clock, m)), "two-factor")
	if !m.at.IsZero() {
		t.Error("it was noted as a refusal")
	}
}

// An integration's token has no password behind it, and nothing to remember.
func TestAccessTokenAsksNoMemory(t *testing.T) {
	t.Parallel()
	m := &memory{readError: errors.New("asked")}
	c := client(t, always(200, customer), func(cfg *magento.Config) { cfg.Refusals = m })
	if err := call(t, c); err != nil || m.reads != 0 {
		t.Errorf("%d reads, %v", m.reads, err)
	}
}
