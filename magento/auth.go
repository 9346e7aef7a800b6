package magento

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/magento-copernica/syncd/internal/fault"
)

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

// auth is how the client gets in: it holds the token of one shop, which was pasted and
// never changes, or which it fetches and renews for an admin user. Calls that are signed
// have none. Safe for concurrent use.
type auth struct {
	kind               AccessKind
	fixed              string // the pasted token
	expires            time.Time
	username, password string
	codes              *codes   // of two factors; else nil
	refusals           Refusals // may be nil
	clock              *clock
	now                func() time.Time
	log                *slog.Logger

	// taken are the routes that the shop took the pasted token for. What it refuses
	// after another one lacks a permission; what it took before was revoked.
	taken sync.Map

	// turn is held by whoever reads or renews the fields below, across the call to
	// the shop: a renewal is made by one caller while the others wait for it.
	turn chan struct{}

	token   string
	renewAt time.Time // on our own clock; zero when the token does not say when it ends
	proved  bool      // the shop accepted this token at least once
	refused error     // the shop refused to sign us in
	until   time.Time // when that is tried again; zero: not by this process
}

func newAuth(cfg Config, access Access, clock *clock) (*auth, error) {
	a := &auth{
		kind: access.Kind, expires: access.Expires,
		clock: clock, now: cfg.Now, log: cfg.Log, turn: make(chan struct{}, 1),
	}
	switch access.Kind {
	case AccessBearer, AccessAdmin:
		a.fixed = cfg.AccessToken
	case AccessPassword, AccessTwoFactor:
		a.username, a.password, a.refusals = cfg.Username, cfg.Password, cfg.Refusals
	}
	if access.Kind == AccessTwoFactor {
		key, err := totpKey(cfg.TOTPSecret)
		if err != nil {
			return nil, err
		}
		a.codes = &codes{key: key, clock: clock}
	}
	return a, nil
}

// signsIn reports whether the token is one that we fetch ourselves.
func (a *auth) signsIn() bool { return a.kind == AccessPassword || a.kind == AccessTwoFactor }

// current returns a token that is good as far as we know, fetching one when there
// is none or it is about to end. It is empty where calls are signed.
func (a *auth) current(ctx context.Context, c *Client, s *session) (string, error) {
	if !a.signsIn() {
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

// replace returns a token to use instead of one the shop has just refused, and false
// when there is nothing better: a pasted token is all we have, and one that was refused
// straight after sign-in lacks a permission. A signature is better the second time when
// the shop minded its nonce or its time.
func (a *auth) replace(ctx context.Context, c *Client, s *session, refused string, why *Error) (string, bool, error) {
	if !a.signsIn() {
		return a.fixed, a.kind == AccessOAuth && why.ofNonce(), nil
	}
	if err := a.lock(ctx); err != nil {
		return "", false, err
	}
	defer a.unlock()
	if a.token != refused && a.token != "" {
		return a.token, true, nil
	}
	if !a.proved && a.token != "" {
		return "", false, nil
	}
	token, err := a.fetch(ctx, c, s)
	return token, err == nil, err
}

// accepted notes that the shop took the token on a route.
func (a *auth) accepted(ctx context.Context, token, route string) {
	if !a.signsIn() {
		a.taken.Store(route, true)
		return
	}
	if a.lock(ctx) != nil {
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

// fetch signs in.
func (a *auth) fetch(ctx context.Context, c *Client, s *session) (string, error) {
	if a.refused != nil && (a.until.IsZero() || a.now().Before(a.until)) {
		return "", a.refused
	}
	a.token, a.proved, a.renewAt, a.refused = "", false, time.Time{}, nil
	last, err := a.mayTry(ctx)
	if err != nil {
		return "", err
	}
	token, header, err := a.signIn(ctx, c, s)
	if e, ok := errors.AsType[*Error](err); ok && e.ofCode() {
		// Of another step, as the clock of the shop now shows, or of the next one.
		token, header, err = a.signIn(ctx, c, s)
	}
	if err != nil {
		return "", a.failed(ctx, err)
	}
	if !last.IsZero() {
		// What stays noted has run out and stops nobody.
		if err := a.refusals.NoteRefused(ctx, time.Time{}); err != nil {
			a.log.Warn("an old refusal of the shop's password stays noted", "error", err)
		}
	}
	a.token = token
	a.renewAt = renewal(token, header.Get("Date"), a.now())
	return token, nil
}

// signIn asks for a token once. The call is a POST, so the transport repeats it only
// when it was provably never processed: six refused sign-ins lock the account for half
// an hour.
func (a *auth) signIn(ctx context.Context, c *Client, s *session) (string, http.Header, error) {
	path, credentials := passwordPath, map[string]string{"username": a.username, "password": a.password}
	if a.codes != nil {
		code, err := a.codes.next(ctx)
		if err != nil {
			return "", nil, err
		}
		path, credentials["otp"] = codePath, code
	}
	route := http.MethodPost + " " + strings.TrimPrefix(path, "/")
	resp, err := s.send(ctx, http.MethodPost, c.base+path, "", credentials)
	if err != nil {
		return "", nil, transportError(ctx, route, err)
	}
	defer finish(resp)
	if failure := c.refusal(route, resp, credentials["otp"]); failure != nil {
		a.explainSignIn(failure)
		return "", nil, failure
	}
	body, err := content(resp)
	if err != nil {
		return "", nil, bodyError(ctx, route, resp, err)
	}
	var token string
	if err := json.NewDecoder(io.LimitReader(body, 1<<20)).Decode(&token); err != nil || strings.TrimSpace(token) == "" {
		return "", nil, &Error{Status: resp.StatusCode, Route: route, Class: fault.Retry, Shape: ShapeCut, Filled: "the answer is no token"}
	}
	return token, resp.Header, nil
}

// failed keeps what must not be tried again at once.
func (a *auth) failed(ctx context.Context, err error) error {
	failure, ok := errors.AsType[*Error](err)
	if !ok || failure.Class != fault.Credentials {
		return err
	}
	a.refused, a.until = failure, time.Time{}
	switch {
	case failure.ofCode():
		// The password was right; a clock may be put right meanwhile.
		a.until = a.now().Add(signInPause)
	case failure.Status == http.StatusUnauthorized:
		// Whatever stands before the shop may have changed the body, so that any other
		// 401 counts; two factors are asked for only after a right password.
		a.refused = a.note(ctx, failure)
	}
	return a.refused
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
	passwordPath = "/integration/admin/token"
	codePath     = "/tfa/provider/google/authenticate"
	signInRoute  = "POST integration/admin/token" // of what is not even sent
	hintSignIn   = "check SYNCD_MAGENTO_USERNAME and SYNCD_MAGENTO_PASSWORD"
	// hintIntegration is the way out for whom a sign-in cannot work.
	hintIntegration = "make an integration (System > Extensions > Integrations) and set " + settingToken + " instead"
)

// ofCode recognises the refusal of a code: the user name and password were right
// (recording auth-token-admin-2fa-google-badotp).
func (e *Error) ofCode() bool {
	return e.Status == http.StatusUnauthorized && e.Route == http.MethodPost+" "+codePath[1:] && e.Message == "Invalid code."
}

// explainSignIn gives a failed sign-in its class and says how to go on.
func (a *auth) explainSignIn(e *Error) {
	message := strings.ToLower(e.Message)
	providers, listed := e.Parameters["active_providers"]
	switch {
	case e.ofCode():
		e.Class = fault.Credentials
		e.Hint = "check " + settingTOTP + ", and that the clock of the shop is right: its codes hold for 30 seconds; two were refused, and the next is sent after 31 minutes or a restart"
	case e.Status == http.StatusUnauthorized:
		e.Class = fault.Credentials
		e.Hint = hintSignIn + " and start again; six refusals lock the account for 30 minutes, so the same password is not tried again within 31 minutes, a corrected one at once"
	case e.Status == http.StatusBadRequest && listed && !strings.Contains(providers, "google"):
		e.Class = fault.Credentials
		e.Hint = "this admin user needs two-factor authentication by " + providers + ", and syncd can give the codes of Google Authenticator only: " + hintIntegration
	case e.Status == http.StatusBadRequest && (listed || strings.Contains(message, "2fa")):
		e.Class = fault.Credentials
		e.Hint = "this admin user needs two-factor authentication: set " + settingTOTP + " to the key that Magento shows beside the QR code of Google Authenticator when the user sets it up, or " + hintIntegration
	case a.codes != nil && e.Status == http.StatusBadRequest && strings.HasPrefix(e.Message, "Provider is not allowed"):
		e.Class = fault.Credentials
		e.Hint = "this admin user has no Google Authenticator, or the shop does not allow it (Stores > Configuration > Security > 2FA): have the user set it up, or leave out " + settingTOTP + ", or " + hintIntegration
	case a.codes != nil && e.Status == http.StatusNotFound && strings.HasPrefix(e.Message, "Request does not match any route"):
		e.Class = fault.Credentials
		e.Hint = "this shop has no two-factor authentication: leave out " + settingTOTP
	}
}
