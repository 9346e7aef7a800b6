package magento

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/magento-copernica/syncd/internal/fault"
)

const tokenRoute = "/integration/admin/token"

// signInPause is how long after a refusal a password is not tried again. The sixth
// refusal in a row locks the account, and Magento forgets refusals when 1,800 seconds
// have passed since the last one (oauth/authentication_lock).
const signInPause = 31 * time.Minute

// Refusals remembers, beyond this process, when the shop last refused the user name
// and password of a [Config]. Other credentials, or another shop, have a memory of
// their own.
type Refusals interface {
	// LastRefused returns the time of the last refusal, zero when there is none.
	LastRefused(ctx context.Context) (time.Time, error)
	// NoteRefused notes a refusal; the zero time says that the password was accepted.
	NoteRefused(ctx context.Context, at time.Time) error
}

// auth holds the token of one shop: an integration's, which never changes, or an
// admin user's, which it fetches and renews. Safe for concurrent use.
type auth struct {
	fixed              string
	username, password string
	refusals           Refusals // may be nil
	now                func() time.Time
	log                *slog.Logger

	// turn is held by whoever reads or renews the fields below, across the call to
	// the shop: a renewal is made by one caller while the others wait for it.
	turn chan struct{}

	token   string
	renewAt time.Time // on our own clock; zero when the token does not say when it ends
	proved  bool      // the shop accepted this token at least once
	refused error     // the shop refused the password: this process never tries again
}

func newAuth(cfg Config) *auth {
	a := &auth{fixed: cfg.AccessToken, now: cfg.Now, log: cfg.Log, turn: make(chan struct{}, 1)}
	if a.fixed == "" {
		a.username, a.password, a.refusals = cfg.Username, cfg.Password, cfg.Refusals
	}
	return a
}

// current returns a token that is good as far as we know, fetching one when there
// is none or it is about to end.
func (a *auth) current(ctx context.Context, c *Client, s *session) (string, error) {
	if a.fixed != "" {
		return a.fixed, nil
	}
	if err := a.lock(ctx); err != nil {
		return "", err
	}
	defer a.unlock()
	if a.token != "" && (a.renewAt.IsZero() || a.now().Before(a.renewAt)) {
		return a.token, nil
	}
	return a.fetch(ctx, c, s)
}

// replace returns a token to use instead of one the shop has just refused, and ""
// when there is nothing better: an integration's token is all we have, and one that
// was refused straight after sign-in lacks a permission.
func (a *auth) replace(ctx context.Context, c *Client, s *session, refused string) (string, error) {
	if a.fixed != "" {
		return "", nil
	}
	if err := a.lock(ctx); err != nil {
		return "", err
	}
	defer a.unlock()
	if a.token != refused && a.token != "" {
		return a.token, nil
	}
	if !a.proved && a.token != "" {
		return "", nil
	}
	return a.fetch(ctx, c, s)
}

// accepted notes that the shop took the token.
func (a *auth) accepted(ctx context.Context, token string) {
	if a.fixed != "" || a.lock(ctx) != nil {
		return
	}
	defer a.unlock()
	if a.token == token {
		a.proved = true
	}
}

func (a *auth) lock(ctx context.Context) error {
	select {
	case a.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *auth) unlock() { <-a.turn }

// fetch signs in. The call is a POST, so the transport repeats it only when it was
// provably never processed: six refused sign-ins lock the account for half an hour.
func (a *auth) fetch(ctx context.Context, c *Client, s *session) (string, error) {
	if a.refused != nil {
		return "", a.refused
	}
	a.token, a.proved, a.renewAt = "", false, time.Time{}
	last, err := a.mayTry(ctx)
	if err != nil {
		return "", err
	}
	credentials := map[string]string{"username": a.username, "password": a.password}
	resp, err := s.send(ctx, http.MethodPost, c.base+tokenRoute, "", credentials)
	if err != nil {
		return "", transportError(ctx, signInRoute, err)
	}
	defer finish(resp)
	if failure := answerError(signInRoute, resp); failure != nil {
		explainSignIn(failure)
		if failure.Class == fault.Credentials {
			a.refused = failure
		}
		// Whatever stands before the shop may have changed the body, so that any 401
		// counts; two factors are asked for only after a right password.
		if failure.Status == http.StatusUnauthorized {
			a.refused = a.note(ctx, failure)
			return "", a.refused
		}
		return "", failure
	}
	body, err := content(resp)
	if err != nil {
		return "", bodyError(ctx, signInRoute, resp, err)
	}
	var token string
	if err := json.NewDecoder(io.LimitReader(body, 1<<20)).Decode(&token); err != nil || strings.TrimSpace(token) == "" {
		return "", &Error{Status: resp.StatusCode, Route: signInRoute, Class: fault.Retry, Shape: ShapeCut, Filled: "the answer is no token"}
	}
	if !last.IsZero() {
		// What stays noted has run out and stops nobody.
		if err := a.refusals.NoteRefused(ctx, time.Time{}); err != nil {
			a.log.Warn("an old refusal of the shop's password stays noted", "error", err)
		}
	}
	a.token = token
	a.renewAt = renewal(token, resp.Header.Get("Date"), a.now())
	return token, nil
}

// mayTry returns an error when the password was refused a short while ago, by this
// process or another, or when that cannot be told. Otherwise it returns the time of
// an earlier refusal, if there is one.
func (a *auth) mayTry(ctx context.Context) (last time.Time, err error) {
	if a.refusals == nil {
		return time.Time{}, nil
	}
	last, err = a.refusals.LastRefused(ctx)
	now := a.now()
	if err == nil && last.After(now) {
		// Noted by a clock that ran ahead: when it was cannot be told, so it counts from now.
		last = now
		err = a.refusals.NoteRefused(ctx, now)
	}
	switch until := last.Add(signInPause); {
	case ctx.Err() != nil:
		return time.Time{}, ctx.Err()
	case err != nil:
		return time.Time{}, &Error{
			Route: signInRoute, Class: fault.ClassOf(err), Err: err,
			Filled: "whether the shop refused this password a short while ago cannot be told, so it is not tried",
		}
	case now.Before(until):
		return time.Time{}, &Error{
			Route: signInRoute, Class: fault.Credentials,
			Filled: fmt.Sprintf("the shop refused this user name and password on %s and they are not tried again before %s", inUTC(last), inUTC(until)),
			Hint:   "six refusals lock the account for 30 minutes; " + hintSignIn + ", a corrected one is tried at once",
		}
	}
	return last, nil
}

// note remembers a refusal beyond this process and returns it, with the failure to do so.
func (a *auth) note(ctx context.Context, refused *Error) error {
	if a.refusals == nil {
		return refused
	}
	// A stop that was asked for meanwhile does not undo the refusal.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := a.refusals.NoteRefused(ctx, a.now()); err != nil {
		return fmt.Errorf("%w; this could not be noted, so stop whatever starts syncd again until the password is corrected: %w", refused, err)
	}
	return refused
}

// inUTC prints a time for an operator.
func inUTC(t time.Time) string { return t.UTC().Format(time.DateTime) + " UTC" }

// renewal tells when to replace a token on our own clock: ahead of its end by a
// tenth of its life, at most five minutes. Tokens from before 2.4.4 are no JWT and
// say nothing: the result is zero, and they are replaced once refused.
func renewal(token, date string, now time.Time) time.Time {
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil || claims.ExpiresAt == nil {
		return time.Time{}
	}
	served := now // the shop's clock when it made the token
	if t, err := http.ParseTime(date); err == nil {
		served = t
	}
	issued := served
	if claims.IssuedAt != nil {
		issued = claims.IssuedAt.Time
	}
	margin := min(5*time.Minute, max(0, claims.ExpiresAt.Sub(issued)/10))
	return now.Add(claims.ExpiresAt.Sub(served) - margin)
}

const (
	signInRoute = "POST integration/admin/token"
	hintSignIn  = "check SYNCD_MAGENTO_USERNAME and SYNCD_MAGENTO_PASSWORD"
)

// explainSignIn gives a failed sign-in its class and says how to go on.
func explainSignIn(e *Error) {
	message := strings.ToLower(e.Message)
	_, providers := e.Parameters["active_providers"]
	switch {
	case e.Status == http.StatusUnauthorized:
		e.Class = fault.Credentials
		e.Hint = hintSignIn + " and start again; six refusals lock the account for 30 minutes, so the same password is not tried again within 31 minutes, a corrected one at once"
	case e.Status == http.StatusBadRequest && (providers || strings.Contains(message, "2fa")):
		e.Class = fault.Credentials
		e.Hint = "this admin user needs two-factor authentication, which syncd cannot give: make an integration (System > Extensions > Integrations) and set SYNCD_MAGENTO_ACCESS_TOKEN instead"
	}
}
