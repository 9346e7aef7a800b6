package magento_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
)

const (
	badPassword = `{"message":"The account sign-in was incorrect or your account is disabled temporarily. Please wait and try again later."}`
	forbidden   = `{"message":"The consumer isn't authorized to access %resources.","parameters":{"resources":"Magento_Customer::customer"}}`
)

// office is a shop that signs an admin user in. Its clock is ahead of ours by skew.
type office struct {
	now    func() time.Time
	skew   time.Duration
	life   time.Duration
	opaque bool // tokens as before 2.4.4
	delay  time.Duration
	refuse func(token string) bool
	signIn func(r *http.Request) *http.Response // nil result: a token

	mu      sync.Mutex
	signIns int
	calls   int
	valid   map[string]time.Time
}

func (o *office) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(o.delay)
	o.mu.Lock()
	defer o.mu.Unlock()
	clock := o.now().Add(o.skew)
	date := clock.UTC().Format(http.TimeFormat)
	if strings.HasSuffix(r.URL.Path, "/integration/admin/token") {
		o.signIns++
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		var who struct{ Username, Password string }
		if r.Method != http.MethodPost || r.URL.Path != "/rest/all/V1/integration/admin/token" || r.Header.Get("Authorization") != "" ||
			r.Header.Get("Content-Type") != "application/json" || json.Unmarshal(body, &who) != nil || who.Username != "admin" || who.Password != "emulator-1" {
			return nil, fmt.Errorf("unexpected sign-in %s %s %s", r.Method, r.URL.Path, body)
		}
		if o.signIn != nil {
			if resp := o.signIn(r); resp != nil {
				return resp, nil
			}
		}
		token := fmt.Sprintf("opaque%d", o.signIns)
		ends := clock.Add(o.life)
		if !o.opaque {
			token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"uid": 1, "utypid": 2, "iat": clock.Unix(), "exp": ends.Unix(), "n": o.signIns}).SignedString([]byte("k"))
			if err != nil {
				return nil, err
			}
		}
		o.valid[token] = ends
		return answer(r, 200, `"`+token+`"`, "Date", date), nil
	}
	o.calls++
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	ends, known := o.valid[token]
	if !known || !clock.Before(ends) || o.refuse != nil && o.refuse(token) {
		return answer(r, 401, forbidden, "Date", date), nil
	}
	return answer(r, 200, customer, "Date", date), nil
}

// clockwork is a clock moved by hand.
type clockwork struct{ at time.Time }

func (c *clockwork) now() time.Time { return c.at }

func signIn(t *testing.T, o *office) (*magento.Client, *clockwork) {
	t.Helper()
	clock := &clockwork{at: utc("2026-11-21 12:00:00")}
	o.now, o.valid = clock.now, map[string]time.Time{}
	if o.life == 0 {
		o.life = time.Hour
	}
	return client(t, o, func(cfg *magento.Config) {
		cfg.AccessToken, cfg.Username, cfg.Password, cfg.Now = "", "admin", "emulator-1", clock.now
	}), clock
}

// customer answers call.
var customer = row(3, "2026-11-21 10:00:00")

// call makes one authorised call.
func call(t *testing.T, c *magento.Client) error {
	t.Helper()
	got, err := c.Customer(t.Context(), 3, nil)
	if err == nil && got.Email != "c3@example.test" {
		t.Errorf("customer %+v", got)
	}
	return err
}

func TestAdminTokenRenewal(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		office *office
		steps  []time.Duration // between calls
		want   int             // sign-ins
		calls  int             // with a token
	}{
		"kept while good":          {&office{}, []time.Duration{0, 54 * time.Minute}, 1, 2},
		"renewed ahead of its end": {&office{}, []time.Duration{0, 56 * time.Minute, time.Minute}, 2, 3},
		"a shop ahead of us":       {&office{skew: 3 * time.Hour}, []time.Duration{0, 50 * time.Minute, 6 * time.Minute}, 2, 3},
		"a shop behind us":         {&office{skew: -3 * time.Hour}, []time.Duration{0, 50 * time.Minute, 6 * time.Minute}, 2, 3},
		"a token of a minute":      {&office{life: time.Minute}, []time.Duration{0, 50 * time.Second, 5 * time.Second}, 2, 3},
		"a token of a week":        {&office{life: 7 * 24 * time.Hour}, []time.Duration{0, 7*24*time.Hour - 6*time.Minute}, 1, 2},
		"without an end":           {&office{opaque: true, life: 4 * time.Hour}, []time.Duration{0, 3 * time.Hour, 2 * time.Hour}, 2, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := tc.office
			c, clock := signIn(t, o)
			for _, step := range tc.steps {
				clock.at = clock.at.Add(step)
				if err := call(t, c); err != nil {
					t.Fatal(err)
				}
			}
			if o.signIns != tc.want || o.calls != tc.calls {
				t.Errorf("%d sign-ins and %d calls, want %d and %d", o.signIns, o.calls, tc.want, tc.calls)
			}
		})
	}
}

func TestAdminTokenRevoked(t *testing.T) {
	t.Parallel()
	revoked := ""
	o := &office{refuse: func(token string) bool { return token == revoked }}
	c, _ := signIn(t, o)
	if err := call(t, c); err != nil {
		t.Fatal(err)
	}
	for token := range o.valid {
		revoked = token
	}
	o.life = 2 * time.Hour
	if err := call(t, c); err != nil {
		t.Fatal(err)
	}
	if o.signIns != 2 || o.calls != 3 {
		t.Errorf("%d sign-ins, %d calls: want one renewal", o.signIns, o.calls)
	}
}

// A role without a permission is refused with a good token too: signing in again
// does not help, and is not tried at each call.
func TestAdminRoleWithoutPermission(t *testing.T) {
	t.Parallel()
	o := &office{refuse: func(string) bool { return true }}
	c, _ := signIn(t, o)
	for range 3 {
		err := call(t, c)
		wantClass(t, err, fault.Credentials)
		wantText(t, err, "Magento_Customer::customer", "role")
	}
	if o.signIns != 1 {
		t.Errorf("%d sign-ins", o.signIns)
	}
}

func TestRefusedPasswordIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		says   []string
	}{
		"wrong or locked": {401, badPassword, []string{"SYNCD_MAGENTO_USERNAME", "SYNCD_MAGENTO_PASSWORD", "30 minutes"}},
		"two factors":     {400, `{"message":"Please use the 2fa provider-specific endpoints to obtain a token.","parameters":{"active_providers":["google"]}}`, []string{"two-factor", "SYNCD_MAGENTO_ACCESS_TOKEN"}},
		"two factors new": {400, `{"message":"Please ask an administrator with sufficient access to configure 2FA first"}`, []string{"two-factor"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &office{signIn: func(r *http.Request) *http.Response { return answer(r, tc.status, tc.body) }}
			c, clock := signIn(t, o)
			for range 5 {
				err := call(t, c)
				wantClass(t, err, fault.Credentials)
				wantText(t, err, tc.says...)
				if strings.Contains(err.Error(), "emulator-1") {
					t.Errorf("the error holds the password: %v", err)
				}
				clock.at = clock.at.Add(time.Hour)
			}
			if o.signIns != 1 || o.calls != 0 {
				t.Errorf("%d sign-ins and %d calls, want 1 and 0", o.signIns, o.calls)
			}
		})
	}
}

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

func TestSignInFailures(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status  int
		body    string
		headers []string
		class   fault.Class
	}{
		"maintenance": {503, maintenance, []string{"Content-Type", "text/html"}, fault.Retry},
		"no token":    {200, `""`, nil, fault.Retry},
		"an object":   {200, `{"token":"x"}`, nil, fault.Retry},
		"no route":    {404, `{"message":"Request does not match any route."}`, nil, fault.Configuration},
		"bad request": {400, `{"message":"Decoding error."}`, nil, fault.Configuration},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := true
			o := &office{signIn: func(r *http.Request) *http.Response {
				if broken {
					return answer(r, tc.status, tc.body, tc.headers...)
				}
				return nil
			}}
			c, _ := signIn(t, o)
			err := call(t, c)
			wantClass(t, err, tc.class)
			if e := typed(t, err); e.Route != "POST integration/admin/token" {
				t.Errorf("route %q", e.Route)
			}
			broken = false
			if err := call(t, c); err != nil {
				t.Errorf("it is not tried again: %v", err)
			}
		})
	}
}

func TestRenewalIsMadeOnce(t *testing.T) {
	t.Parallel()
	o := &office{delay: time.Millisecond}
	clock := &clockwork{at: utc("2026-11-21 12:00:00")}
	o.now, o.valid, o.life = clock.now, map[string]time.Time{}, time.Hour
	c := client(t, o, func(cfg *magento.Config) {
		cfg.AccessToken, cfg.Username, cfg.Password, cfg.Now, cfg.Concurrency = "", "admin", "emulator-1", clock.now, 20
	})
	for range 2 {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := call(t, c); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		clear(o.valid) // revoked: the second round is refused and renews
		o.life += time.Minute
	}
	if o.signIns != 2 {
		t.Errorf("%d sign-ins for 2 tokens", o.signIns)
	}
}

func TestIntegrationTokenRefused(t *testing.T) {
	t.Parallel()
	calls := 0
	shop := roundTrip(func(r *http.Request) (*http.Response, error) {
		calls++
		return answer(r, 401, forbidden), nil
	})
	err := call(t, client(t, shop))
	wantClass(t, err, fault.Credentials)
	wantText(t, err, "Magento_Customer::customer", "enable_integration_as_bearer", "SYNCD_MAGENTO_ACCESS_TOKEN")
	if calls != 1 || errors.Is(err, magento.ErrNotFound) {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// A PHP session is locked for the length of a request, so single reads never share one.
func TestSingleReadsDoNotShareSessions(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	busy, made, most := map[string]bool{}, 0, 0
	shop := roundTrip(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		id := ""
		if cookie, err := r.Cookie("PHPSESSID"); err == nil {
			id = cookie.Value
		} else {
			made++
			id = fmt.Sprint(made)
		}
		if busy[id] {
			t.Errorf("session %s is in use", id)
		}
		busy[id] = true
		most = max(most, len(busy))
		mu.Unlock()
		time.Sleep(time.Millisecond)
		mu.Lock()
		delete(busy, id)
		mu.Unlock()
		return answer(r, 200, customer, "Set-Cookie", "PHPSESSID="+id), nil
	})
	c := client(t, shop, func(cfg *magento.Config) { cfg.Concurrency = 3 })
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if err := call(t, c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made != 3 || most > 3 {
		t.Errorf("%d sessions, %d in flight; want 3", made, most)
	}
}
