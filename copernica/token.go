package copernica

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-resty/resty/v2"
	"github.com/golang-jwt/jwt/v5"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

const (
	// tokenLife is what Copernica documents for authorization tokens.
	tokenLife = 24 * time.Hour
	// minTokenLife keeps a token with a nonsensical expiry from being renewed at
	// every call.
	minTokenLife = time.Minute
	// renewPause is how long a failed early renewal, or one that brought a token
	// that was refused as well, keeps us from asking again.
	renewPause = time.Minute
	maxToken   = 16 << 10 // bytes
	authRoute  = "authentication host: POST /"
)

// tokens holds the token of the calls and renews it (promise 20: once, by one caller).
type tokens struct {
	url, access string
	plain       bool // calls carry the access token itself
	connected   bool // it came by OAuth
	refusals    Refusals
	tryRefused  bool
	rest        *resty.Client
	now         func() time.Time
	log         *slog.Logger

	held     atomic.Pointer[token] // nil once it was refused for good
	shown    atomic.Pointer[shown]
	refused  atomic.Pointer[refusal]
	noted    atomic.Bool // refusals hold a refusal
	flight   flight
	attempts atomic.Int64
}

// shown are the tokens that answers and errors may still repeat.
type shown struct{ latest, before string }

// token is what one call after another carries: an authorization token, or the access
// token itself.
type token struct {
	value    string
	header   []string // the Authorization header; shared, never written; nil in a query
	obtained time.Time
	early    time.Time // from here on somebody renews it, others go on with it
	end      time.Time

	// renewed says that it replaces a token that was refused.
	renewed bool
	// accepted says that a call with it was not refused.
	accepted atomic.Bool
	// pause is when an early renewal may be tried again, in Unix nanoseconds.
	pause atomic.Int64
}

// current returns a token that has not reached its end, renewing it where due.
func (s *tokens) current(ctx context.Context) (*token, error) {
	now := s.now()
	t := s.held.Load()
	if t != nil && (t.end.IsZero() || now.Before(t.early)) {
		return t, nil
	}
	if t != nil && now.Before(t.end) {
		if now.UnixNano() < t.pause.Load() {
			return t, nil
		}
		err := s.flight.try(ctx, func() bool { return s.held.Load() == t }, func(ctx context.Context) error {
			err := s.fetch(ctx, false)
			if err != nil {
				pause := renewPause
				if fault.ClassOf(err) == fault.Credentials {
					pause = refusedPause
				}
				t.pause.Store(s.now().Add(pause).UnixNano())
			}
			return err
		})
		if err != nil {
			s.log.Warn("authorization token not renewed yet", "error", err, "expires", t.end.UTC())
			return t, nil
		}
		if t := s.held.Load(); t != nil {
			return t, nil
		}
	}
	for {
		needed := func() bool {
			t := s.held.Load()
			return t == nil || !t.end.IsZero() && !s.now().Before(t.end)
		}
		if err := s.flight.do(ctx, needed, func(ctx context.Context) error { return s.fetch(ctx, false) }); err != nil {
			return nil, err
		}
		// Another caller's refusal may have taken it away; fetch then says so.
		if t := s.held.Load(); t != nil {
			return t, nil
		}
	}
}

// renew replaces a token that was refused. It returns nil when asking again is
// pointless: there is nothing to exchange, the token was itself such a replacement and
// never worked, or another call has learnt that none will.
func (s *tokens) renew(ctx context.Context, refused *token) (*token, error) {
	if s.plain || s.held.Load() == refused && refused.renewed && !refused.accepted.Load() &&
		s.now().Before(refused.obtained.Add(renewPause)) {
		return nil, nil
	}
	needed := func() bool { return s.held.Load() == refused }
	if err := s.flight.do(ctx, needed, func(ctx context.Context) error { return s.fetch(ctx, true) }); err != nil {
		if fault.ClassOf(err) == fault.Credentials {
			s.held.CompareAndSwap(refused, nil)
		}
		return nil, err
	}
	return s.held.Load(), nil
}

// fetch exchanges the access token. The exchange changes nothing at Copernica, so
// the transport may repeat it.
func (s *tokens) fetch(ctx context.Context, renewed bool) error {
	if err := s.mayTry(ctx); err != nil {
		return err
	}
	asked := s.now()
	if s.plain {
		s.held.Store(&token{value: s.access})
		return nil
	}
	req := s.rest.R().SetContext(httpx.CountAttempts(httpx.WithPolicy(ctx, httpx.Idempotent), &s.attempts))
	req.Header["Accept"] = []string{"*/*"}
	req.FormData.Set("access_token", s.access)
	resp, err := send(req, http.MethodPost, s.url)
	if err != nil {
		return &callError{route: authRoute, text: s.why(err) + reach(err, "SYNCD_COPERNICA_AUTH_URL"), err: err}
	}
	defer drain(resp)
	a, err := read(resp, maxAnswer)
	if err != nil {
		return &callError{route: authRoute, text: s.why(err), err: err}
	}
	if a.status != http.StatusOK && a.status != http.StatusCreated || a.failed {
		return s.denial(ctx, a)
	}
	value, ok := tokenIn(a.body)
	if !ok {
		return s.denial(ctx, a)
	}
	life := lifeOf(value, asked)
	t := &token{
		value:    value,
		header:   []string{"Bearer " + value},
		obtained: asked,
		early:    asked.Add(life / 4 * 3),
		end:      asked.Add(life),
		renewed:  renewed,
	}
	recent := &shown{latest: value}
	if old := s.shown.Load(); old != nil {
		recent.before = old.latest
	}
	s.shown.Store(recent)
	s.held.Store(t)
	return nil
}

// denial types an answer of the authentication host that is no token. What this
// host says to a bad token is undocumented, so any 4xx of its own counts as one.
func (s *tokens) denial(ctx context.Context, a *answer) error {
	e := &Error{Status: a.status, Route: authRoute, Class: fault.Retry, Message: s.mask(a.message)}
	if e.Message == "" {
		e.Message = a.shape.String()
	}
	const fixHost = "is SYNCD_COPERNICA_AUTH_URL the authentication host, https://authenticate.copernica.com?"
	switch {
	case a.status >= 500 || a.status == http.StatusTooManyRequests || a.status == http.StatusRequestTimeout:
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden || a.failed,
		a.status == http.StatusBadRequest && a.shape != shapeHTML:
		e.Class, e.fix = fault.Credentials, "Copernica refuses the access token: "+s.where()
		if a.status != http.StatusForbidden {
			e.cause = ErrTokenRevoked
		}
		s.note(ctx, e)
	case a.status >= 300 && a.status < 500 && a.status != http.StatusBadRequest:
		e.Class, e.fix = fault.Configuration, fixHost
	case a.shape == shapeHTML:
		// A page under 200 is a wrong address or a proxy; waiting mends the second.
		e.fix = fixHost
	}
	return e
}

// tokenIn finds the token in an answer, whose form is undocumented: bare, quoted,
// or in an object.
func tokenIn(body []byte) (string, bool) {
	value := strings.TrimSpace(string(body))
	switch {
	case strings.HasPrefix(value, "{"):
		var object map[string]json.RawMessage
		if json.Unmarshal(body, &object) != nil {
			return "", false
		}
		value = ""
		for _, name := range [...]string{"access_token", "token", "jwt", "authorization_token"} {
			if json.Unmarshal(object[name], &value) == nil && value != "" {
				break
			}
		}
	case strings.HasPrefix(value, `"`):
		if json.Unmarshal(body, &value) != nil {
			return "", false
		}
	case strings.HasPrefix(value, "'"):
		value = strings.Trim(value, "'")
	}
	value = strings.TrimSpace(value)
	return value, plainToken(value)
}

// plainToken reports whether s can stand in a header as a token.
func plainToken(s string) bool {
	if s == "" || len(s) > maxToken {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || strings.IndexByte(`<>"'{}[]`, s[i]) >= 0 {
			return false
		}
	}
	return true
}

// lifeOf returns how long a token lives from now on: until its expiry, but no
// longer than from issue to expiry, which a wrong clock here cannot spoil. The
// signature stays unchecked, Copernica publishes no key for it.
func lifeOf(value string, now time.Time) time.Duration {
	claims := jwt.RegisteredClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(value, &claims); err != nil || claims.ExpiresAt == nil {
		return tokenLife
	}
	life := claims.ExpiresAt.Sub(now)
	if claims.IssuedAt != nil {
		if span := claims.ExpiresAt.Sub(claims.IssuedAt.Time); span > 0 && (life <= 0 || span < life) {
			life = span
		}
	}
	if life <= 0 {
		// Our clock runs far ahead; the documented life is the better guess.
		return tokenLife
	}
	return min(max(life, minTokenLife), tokenLife)
}

// mask reduces a text of unknown origin, which may repeat our tokens.
func (s *tokens) mask(text string) string { return mask(s.scrub(text)) }

// why describes a transport error without tokens, URLs or e-mails; addresses and
// ports stay, the operator needs them.
func (s *tokens) why(err error) string {
	return cut(maskWords(s.scrub(whyUnanswered(err)), longHost))
}

// scrub removes our tokens from a text, also as a URL has them.
func (s *tokens) scrub(text string) string {
	text = scrub(text, s.access)
	if t := s.shown.Load(); t != nil {
		text = scrub(scrub(text, t.latest), t.before)
	}
	return text
}

// scrub removes one secret from a text.
func scrub(text, secret string) string {
	if secret == "" {
		return text
	}
	text = strings.ReplaceAll(text, secret, "<token>")
	return strings.ReplaceAll(text, url.QueryEscape(secret), "<token>")
}
