// Package copernica speaks the REST API of Copernica Marketing Software, versions 1 to
// 4, as far as profiles, their subprofiles and the schema around them go, and connects
// accounts by OAuth ([OAuth]).
//
// # Guarantees
//
//   - A filtered write cannot touch more than the intended row (promise 12). It
//     takes a [KeyField], which only a live schema yields, and checks before each
//     call that this field still stands in a schema no older than
//     Config.SchemaMaxAge, for a subprofile that of its collection. When in doubt
//     nothing is sent and a [GuardError] says why.
//   - A body never names a field that the schema lacks: Copernica ignores such
//     fields in silence, which would lose values.
//   - No redirect is followed. Copernica's Location headers are cut down to their
//     path before anything sees them, since older versions repeat the token there.
//   - No token, e-mail or field value stands in an error, a log line or a URL other
//     than the key that a filter needs. Versions 1 to 3 want the access token in the
//     query: it is added as the last thing before the transport, and the request that
//     comes back with the answer is without it.
//   - Every error has a class ([fault.ClassOf], promise 20), and every error of a
//     write one of three outcomes ([Outcome], promise 10).
//
// # Authorization
//
// In version 4 the API access token is exchanged for an authorization token that lives
// for a day. It is renewed by one caller when three quarters of its life are over, and
// once when a call says that it is refused. Versions 1 to 3 take the access token as it
// is, so there is nothing to renew.
//
// A refusal that remains is an error of class [fault.Credentials], and
// [ErrTokenRevoked] where Copernica no longer knows the token. For ten minutes after it
// no call is made, and for other processes too with Config.Refusals: every call then
// ends in the same error at once.
//
// # Versions
//
// [Database] and [Collection] mean the same under each version. What differs is in the
// wire: bodies, paths, status codes, and whether an answer names the row. In version 1,
// whose documents know no upsert of a subprofile, [Collection.Upsert] looks first.
//
// # Calls are billed
//
// An update by id costs one call, an upsert one call, and while writes go on the
// fields of the database, and of each collection written to, are read about once in
// Config.SchemaMaxAge. The authentication host is not billed.
package copernica

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/magento-copernica/syncd/internal/fault"
)

const (
	defaultAPIURL  = "https://api.copernica.com"
	defaultAuthURL = "https://authenticate.copernica.com/"
	// maxSchemaAge is the ceiling that promise 12 sets.
	maxSchemaAge = 60 * time.Second
)

// Config says which account a [Client] speaks to. The zero value of each field but
// AccessToken is its default.
type Config struct {
	// Version is that of the REST API, 1 to 4. Default 4. Versions 1 to 3 carry the
	// access token in the address of every call, which proxies and logs of others see.
	Version int
	// APIURL is the address of the REST API. Default https://api.copernica.com/v4, or
	// the path of the version; an address without a path gets that path.
	APIURL string
	// AuthURL is the host that turns access tokens into authorization tokens.
	// Default https://authenticate.copernica.com. Only version 4 has it.
	AuthURL string
	// AccessToken is the API access token from the dashboard (Configuration >
	// Account > API access-tokens), or the one that [OAuth.Exchange] brought. Required.
	AccessToken string
	// Connected says that the token came by OAuth, so that errors name
	// `syncd connect copernica` as the way to renew it.
	Connected bool
	// Refusals remembers refusals of this access token beyond this process. Default:
	// nothing does, so that every process tries for itself.
	Refusals Refusals
	// TryRefused tries the token though Refusals tells of a refusal a short while ago:
	// for a command that somebody waits for.
	TryRefused bool
	// UserAgent names us to Copernica, as "syncd/1.2". Default "syncd".
	UserAgent string
	// Transport carries the calls: in production the chain of internal/httpx, which
	// retries what may be retried. Default http.DefaultTransport, for tests only.
	Transport http.RoundTripper
	// SchemaMaxAge is how old the schema behind a write may be. Default and
	// ceiling 60 s.
	SchemaMaxAge time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Log receives the few events that an operator may act upon. Default: discarded.
	Log *slog.Logger
}

// Client speaks to one Copernica account. It is safe for concurrent use.
type Client struct {
	version      dialect
	api          string // without a trailing slash, ends in the version
	rest         *resty.Client
	tokens       *tokens
	schemaMaxAge time.Duration
	now          func() time.Time
	log          *slog.Logger
	destinations destinations
	clock        atomic.Int64 // what Copernica's said last, in Unix seconds; 0: nothing
}

// New checks cfg and returns a client. It makes no call. Its errors have class
// [fault.Configuration].
func New(cfg Config) (*Client, error) {
	var errs []error
	shared := settings{cfg.Version, cfg.APIURL, cfg.Transport, cfg.UserAgent, cfg.Now, cfg.Log}
	speaks, api, err := shared.complete()
	if err != nil {
		errs = append(errs, err)
	}
	auth, err := baseURL(cfg.AuthURL, defaultAuthURL, "/")
	if err != nil {
		errs = append(errs, settingError("authentication URL: "+err.Error()))
	}
	if cfg.AccessToken == "" {
		errs = append(errs, settingError("no access token: "+whereTokens))
	} else if !plainToken(cfg.AccessToken) {
		errs = append(errs, settingError("the access token holds blanks or characters no token has: copy it again"))
	}
	if cfg.SchemaMaxAge < 0 || cfg.SchemaMaxAge > maxSchemaAge {
		errs = append(errs, settingError(fmt.Sprintf("schema age %s: must be between 0 and %s", cfg.SchemaMaxAge, maxSchemaAge)))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	if cfg.SchemaMaxAge == 0 {
		cfg.SchemaMaxAge = maxSchemaAge
	}
	rest := newResty(shared.transport, shared.userAgent)
	c := &Client{
		version:      speaks,
		api:          api,
		rest:         rest,
		schemaMaxAge: cfg.SchemaMaxAge,
		now:          shared.now,
		log:          shared.log,
		tokens: &tokens{
			url: auth, access: cfg.AccessToken, plain: speaks.queryToken, connected: cfg.Connected,
			refusals: cfg.Refusals, tryRefused: cfg.TryRefused, rest: rest, now: shared.now, log: shared.log,
		},
	}
	for _, u := range []string{api, auth} {
		if unencrypted(u) && (u == api || !speaks.queryToken) {
			c.log.Warn("copernica tokens travel unencrypted, use https", "url", u)
		}
	}
	return c, nil
}

// Version returns the version of the API that the client speaks.
func (c *Client) Version() int { return c.version.number }

// settings are those that every client of an account has.
type settings struct {
	version   int
	api       string
	transport http.RoundTripper
	userAgent string
	now       func() time.Time
	log       *slog.Logger
}

// complete fills in defaults, and returns the dialect and the address of the API.
func (s *settings) complete() (dialect, string, error) {
	if s.transport == nil {
		s.transport = http.DefaultTransport
	}
	if s.userAgent == "" {
		s.userAgent = "syncd"
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return apiOf(s.version, s.api)
}

// apiOf returns the dialect of a version and the address of its API.
func apiOf(number int, address string) (dialect, string, error) {
	if number == 0 {
		number = newest
	}
	if number < 1 || number > newest {
		return version(newest), "", settingError(fmt.Sprintf("version %d of the API: must be 1, 2, 3 or 4", number))
	}
	speaks := version(number)
	api, err := baseURL(address, defaultAPIURL+speaks.path(), speaks.path())
	if err != nil {
		return speaks, "", settingError("API URL: " + err.Error())
	}
	return speaks, api, speaks.fits(api)
}

// TokenExchanges returns how many calls went to the authentication host so far, each
// attempt counted as the transport of internal/httpx counts it (other transports count
// none). These calls are not billed.
func (c *Client) TokenExchanges() int64 { return c.tokens.attempts.Load() }

// newResty returns a client that sends requests once and leaves answers unread:
// retries belong to the transport, which knows the method's policy.
func newResty(transport http.RoundTripper, userAgent string) *resty.Client {
	rest := resty.NewWithClient(&http.Client{
		Transport: stay{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	})
	rest.SetRetryCount(0).SetDoNotParseResponse(true).SetDisableWarn(true).SetLogger(silent{})
	rest.SetPreRequestHook(watch)
	rest.SetHeader("User-Agent", userAgent).SetHeader("Accept", "application/json")
	return rest
}

// silent keeps resty from writing URLs to standard error.
type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}

// baseURL brings an address to the form that paths are appended to. Its errors
// never repeat the address: people paste tokens into it.
func baseURL(s, fallback, path string) (string, error) {
	if s == "" {
		s = fallback
	}
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return "", errors.New("not an address such as " + fallback)
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("must begin with https://")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("must have no user, query or fragment: tokens have their own setting")
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = path
	}
	if path != "/" {
		u.Path = strings.TrimRight(u.Path, "/")
	}
	return u.String(), nil
}

func unencrypted(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "https" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}

// settingError is a mistake in Config.
type settingError string

func (e settingError) Error() string           { return "copernica: " + string(e) }
func (e settingError) FaultClass() fault.Class { return fault.Configuration }
