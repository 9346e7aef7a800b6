package magento

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/magento-copernica/syncd/internal/fault"
)

const tokenRoute = "/integration/admin/token"

// auth holds the token of one shop: an integration's, which never changes, or an
// admin user's, which it fetches and renews. Safe for concurrent use.
type auth struct {
	fixed              string
	username, password string
	now                func() time.Time

	// turn is held by whoever reads or renews the fields below, across the call to
	// the shop: a renewal is made by one caller while the others wait for it.
	turn chan struct{}

	token   string
	renewAt time.Time // on our own clock; zero when the token does not say when it ends
	proved  bool      // the shop accepted this token at least once
	refused error     // the shop refused the password: there is no second try
}

func newAuth(cfg Config) *auth {
	a := &auth{fixed: cfg.AccessToken, now: cfg.Now, turn: make(chan struct{}, 1)}
	if a.fixed == "" {
		a.username, a.password = cfg.Username, cfg.Password
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
	const route = "POST integration/admin/token"
	credentials := map[string]string{"username": a.username, "password": a.password}
	resp, err := s.send(ctx, http.MethodPost, c.base+tokenRoute, "", credentials)
	if err != nil {
		return "", transportError(ctx, route, err)
	}
	defer finish(resp)
	if failure := answerError(route, resp); failure != nil {
		explainSignIn(failure)
		if failure.Class == fault.Credentials {
			a.refused = failure
		}
		return "", failure
	}
	body, err := content(resp)
	if err != nil {
		return "", bodyError(ctx, route, resp, err)
	}
	var token string
	if err := json.NewDecoder(io.LimitReader(body, 1<<20)).Decode(&token); err != nil || strings.TrimSpace(token) == "" {
		return "", &Error{Status: resp.StatusCode, Route: route, Class: fault.Retry, Shape: ShapeCut, Filled: "the answer is no token"}
	}
	a.token = token
	a.renewAt = renewal(token, resp.Header.Get("Date"), a.now())
	return token, nil
}

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

// explainSignIn gives a failed sign-in its class and says how to go on.
func explainSignIn(e *Error) {
	message := strings.ToLower(e.Message)
	_, providers := e.Parameters["active_providers"]
	switch {
	case e.Status == http.StatusUnauthorized:
		e.Class = fault.Credentials
		e.Hint = "check SYNCD_MAGENTO_USERNAME and SYNCD_MAGENTO_PASSWORD and start again; six refusals lock the account for 30 minutes, so this sign-in is not tried a second time"
	case e.Status == http.StatusBadRequest && (providers || strings.Contains(message, "2fa")):
		e.Class = fault.Credentials
		e.Hint = "this admin user needs two-factor authentication, which syncd cannot give: make an integration (System > Integrations) and set SYNCD_MAGENTO_ACCESS_TOKEN instead"
	}
}
