package magento_test

import (
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
