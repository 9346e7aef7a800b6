package copernica

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

const (
	defaultAuthorizeURL = "https://www.copernica.com/en/authorize"
	exchangeRoute       = "GET /token"
	returnRoute         = "return from Copernica"
)

var (
	// ErrAccessDenied says that the user, or Copernica on its own, gave no access.
	ErrAccessDenied = errors.New("no access was given")
	// ErrForeignReturn says that a return does not belong to the attempt.
	ErrForeignReturn = errors.New("the return does not belong to this attempt")
	// ErrAttemptOver says that an attempt has had its return, or has waited too long.
	ErrAttemptOver = errors.New("the attempt is over")
	// ErrNoCode says that Copernica sent the user back without a code.
	ErrNoCode = errors.New("no code came back")
)

// OAuthConfig is an application that is registered in Copernica's dashboard
// (Configuration > Company > Applications).
type OAuthConfig struct {
	// ClientKey and ClientSecret are those of the application. Required.
	ClientKey, ClientSecret string
	// RedirectURL is the page where the user returns to, with scheme, host and path, such
	// as http://127.0.0.1:54321/copernica. Required.
	RedirectURL string
	// AuthorizeURL is the page that asks the account's owner for access. Default
	// https://www.copernica.com/en/authorize.
	AuthorizeURL string
	// Version and APIURL say where the token is fetched, as in [Config].
	Version int
	APIURL  string
	// UserAgent, Transport, Now and Log are as in [Config].
	UserAgent string
	Transport http.RoundTripper
	Now       func() time.Time
	Log       *slog.Logger
}

// OAuth connects accounts that belong to others (copernica-rest.md 2): the user is sent
// to a page of Copernica, returns with a code, and the code is exchanged for an access
// token. It keeps nothing but the application: where an [Attempt] waits, and where the
// token is stored, is the caller's affair. It is safe for concurrent use.
//
// The access token has no expiry; the user withdraws it in the dashboard. It is a
// Config.AccessToken like any other.
type OAuth struct {
	key, secret, redirect, authorize string
	api                              string
	rest                             *resty.Client
	now                              func() time.Time
	log                              *slog.Logger
}

// NewOAuth checks cfg. It makes no call. Its errors have class [fault.Configuration].
func NewOAuth(cfg OAuthConfig) (*OAuth, error) {
	var errs []error
	shared := settings{cfg.Version, cfg.APIURL, cfg.Transport, cfg.UserAgent, cfg.Now, cfg.Log}
	_, api, err := shared.complete()
	if err != nil {
		errs = append(errs, err)
	}
	authorize, err := baseURL(cfg.AuthorizeURL, defaultAuthorizeURL, "/en/authorize")
	if err != nil {
		errs = append(errs, settingError("authorize URL: "+err.Error()))
	}
	const application = ": the dashboard shows it with the application (Configuration > Company > Applications)"
	if !plainToken(cfg.ClientKey) {
		errs = append(errs, settingError("no usable client key: set SYNCD_COPERNICA_CLIENT_KEY"+application))
	}
	if !plainToken(cfg.ClientSecret) {
		errs = append(errs, settingError("no usable client secret: set SYNCD_COPERNICA_CLIENT_SECRET"+application))
	}
	if u, err := url.Parse(cfg.RedirectURL); err != nil || u.Host == "" || u.Path == "" || u.Scheme != "http" && u.Scheme != "https" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		errs = append(errs, settingError("the return page must be an address with a scheme, a host and a path, without user, query or fragment"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if unencrypted(api) {
		shared.log.Warn("copernica tokens travel unencrypted, use https", "url", api)
	}
	return &OAuth{
		key: cfg.ClientKey, secret: cfg.ClientSecret, redirect: cfg.RedirectURL, authorize: authorize, api: api,
		rest: newResty(shared.transport, shared.userAgent), now: shared.now, log: shared.log,
	}, nil
}

// Exchange turns the code of [Attempt.Accept] into an access token. A code is good
// once, so the call is repeated only when it provably never arrived.
func (o *OAuth) Exchange(ctx context.Context, code string) (accessToken string, err error) {
	ctx = withSecretQuery(httpx.WithPolicy(ctx, httpx.Once),
		"client_id", o.key, "client_secret", o.secret, "redirect_uri", o.redirect, "code", code)
	hide := func(text string) string { return scrub(scrub(text, o.secret), code) }
	resp, err := send(o.rest.R().SetContext(ctx), http.MethodGet, o.api+"/token")
	if err != nil {
		text := cut(maskWords(hide(whyUnanswered(err)), longHost))
		return "", &callError{route: exchangeRoute, text: text + reach(err, "SYNCD_COPERNICA_API_URL"), err: err}
	}
	defer drain(resp)
	a, err := read(resp, maxAnswer)
	if err != nil {
		return "", &callError{route: exchangeRoute, text: cut(maskWords(hide(whyUnanswered(err)), longHost)), err: err}
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if a.status == http.StatusOK && !a.failed && a.shape == shapeJSON && json.Unmarshal(a.body, &answer) == nil && plainToken(answer.AccessToken) {
		return answer.AccessToken, nil
	}
	return "", o.denial(a, hide)
}

// denial types an answer that has no token. What Copernica says to a wrong code or
// secret is undocumented, so any 4xx of its own counts as that.
func (o *OAuth) denial(a *answer, hide func(string) string) error {
	e := &Error{Status: a.status, Route: exchangeRoute, Class: fault.Retry, Message: mask(hide(a.message))}
	if e.Message == "" {
		e.Message = a.shape.String()
	}
	switch {
	case a.status >= 500 || a.status == http.StatusTooManyRequests || a.status == http.StatusRequestTimeout:
		e.fix = "run `syncd connect copernica` again in a while"
	case strings.EqualFold(a.message, "invalid method") || a.status == http.StatusNotFound || a.status >= 300 && a.status < 400 || a.shape == shapeHTML || a.shape == shapeText:
		e.Class, e.fix = fault.Configuration, fixURL
	default:
		e.Class, e.cause = fault.Credentials, ErrAccessDenied
		e.fix = "check SYNCD_COPERNICA_CLIENT_KEY and SYNCD_COPERNICA_CLIENT_SECRET, then run `syncd connect copernica` again: a code is good once and for a few minutes"
	}
	return e
}
