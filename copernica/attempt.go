package copernica

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
)

// attemptLife is how long an attempt waits for its user.
const attemptLife = 10 * time.Minute

// Attempt is one user's way to Copernica and back. It accepts one return, within ten
// minutes, and only one that carries its state: 256 random bits that it alone has given
// to the user. It is safe for concurrent use.
type Attempt struct {
	oauth   *OAuth
	state   string
	ends    time.Time
	used    atomic.Bool
	outcome chan outcome // one at most
}

// outcome is how an attempt ended.
type outcome struct {
	token string
	err   error
}

// Begin starts an attempt.
func (o *OAuth) Begin() *Attempt {
	state := make([]byte, 32)
	_, _ = rand.Read(state) // never fails
	return &Attempt{oauth: o, state: hex.EncodeToString(state), ends: o.now().Add(attemptLife), outcome: make(chan outcome, 1)}
}

// URL returns the address of the page where the user gives access. It holds the state,
// and is for this user alone.
func (a *Attempt) URL() string {
	q := url.Values{
		"client_id": {a.oauth.key}, "redirect_uri": {a.oauth.redirect}, "state": {a.state}, "response_type": {"code"},
	}
	return a.oauth.authorize + "?" + q.Encode()
}

// Ends returns the moment from which no return is accepted.
func (a *Attempt) Ends() time.Time { return a.ends }

// Accept checks the parameters of a return and yields the code for [OAuth.Exchange].
// errors.Is tells its errors apart: [ErrForeignReturn] leaves the attempt open,
// [ErrAttemptOver] comes too late, and [ErrAccessDenied] and [ErrNoCode] end it.
func (a *Attempt) Accept(returned url.Values) (code string, err error) {
	state := returned["state"]
	if len(state) != 1 || subtle.ConstantTimeCompare([]byte(state[0]), []byte(a.state)) != 1 {
		return "", returnError(ErrForeignReturn, "the state is missing or another one, so this return is not from the page that syncd opened",
			"open the address that `syncd connect copernica` printed last, in one window only")
	}
	if !a.oauth.now().Before(a.ends) {
		return "", returnError(ErrAttemptOver, "it came more than 10 minutes after the beginning", "run `syncd connect copernica` again")
	}
	if a.used.Swap(true) {
		return "", returnError(ErrAttemptOver, "it came before, and counts once", "run `syncd connect copernica` again if the account is not connected")
	}
	if returned.Has("error") {
		return "", refusedReturn(returned.Get("error"), returned.Get("error_description"))
	}
	codes := returned["code"]
	if len(codes) != 1 || !plainToken(codes[0]) {
		return "", returnError(ErrNoCode, "Copernica sent the user back without a code",
			"give access to an account on its page, as a user who may manage it, and check that the application is not disabled (Configuration > Company > Applications); then run `syncd connect copernica` again")
	}
	return codes[0], nil
}

// refusedReturn explains an error in the terms of OAuth 2.0 (RFC 6749, 4.1.2.1). What
// Copernica itself sends when a user refuses is undocumented.
func refusedReturn(code, description string) error {
	message := "Copernica says " + mask(code)
	fix := "run `syncd connect copernica` again"
	switch code {
	case "access_denied":
		message, fix = "the user refused, or may not give access to this account", "run `syncd connect copernica` again and press Give access, as a user who may manage the account"
	case "unauthorized_client", "invalid_client":
		fix = "check SYNCD_COPERNICA_CLIENT_KEY, and that the application is not disabled (Configuration > Company > Applications)"
	case "server_error", "temporarily_unavailable":
		fix = "run `syncd connect copernica` again in a while"
	}
	if description != "" {
		message += " (" + mask(description) + ")"
	}
	return returnError(ErrAccessDenied, message, fix)
}

func returnError(cause error, message, fix string) error {
	return &Error{Route: returnRoute, Class: fault.Credentials, Message: message, cause: cause, fix: fix}
}

// Wait returns the access token once [Attempt.Page] has taken the user's return, or why
// there is none: ctx ended, the ten minutes are over, or the return said no. It is called
// once.
func (a *Attempt) Wait(ctx context.Context) (accessToken string, err error) {
	late := time.NewTimer(a.ends.Sub(a.oauth.now()))
	defer late.Stop()
	select {
	case end := <-a.outcome:
		return end.token, end.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case <-late.C:
		return "", returnError(ErrAttemptOver, "nobody came back within 10 minutes", "run `syncd connect copernica` again")
	}
}
