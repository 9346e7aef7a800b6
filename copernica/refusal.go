package copernica

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
)

// refusedPause is how long after a refusal an access token is not tried again. A
// timer of one minute then makes six calls an hour instead of sixty.
const refusedPause = 10 * time.Minute

// tokenRoute stands in the errors of calls that an earlier refusal prevents.
const tokenRoute = "access token"

// Refusals remembers, beyond this process, when Copernica last refused the access
// token of a [Config]. Another token has a memory of its own.
type Refusals interface {
	// LastRefused returns the time of the last refusal, zero when there is none.
	LastRefused(ctx context.Context) (time.Time, error)
	// NoteRefused notes a refusal; the zero time says that the token was accepted.
	NoteRefused(ctx context.Context, at time.Time) error
}

// refusal is Copernica's no to the access token.
type refusal struct {
	at    time.Time
	cause error // ErrTokenRevoked or nil
}

// credentials gives a refusal of the token on a call its class, and remembers it.
// renewed says that the access token was exchanged anew, which Copernica did.
func (s *tokens) credentials(ctx context.Context, e *Error, renewed bool) *Error {
	e.Class, e.cause = fault.Credentials, nil
	switch r := s.refused.Load(); {
	case !s.plain && renewed:
		e.fix = "Copernica refuses the access token, also after renewal: " + s.where()
	case !s.plain: // another call has learnt it from the authentication host
		e.fix = "Copernica refuses the access token: " + s.where()
		if r != nil {
			e.cause = r.cause
			return e
		}
	default:
		if e.Status != http.StatusForbidden {
			e.cause = ErrTokenRevoked
		}
		e.fix = "Copernica refuses the access token: " + s.where() + "; one that was made for version 4 alone needs SYNCD_COPERNICA_API_VERSION=4"
	}
	s.held.Store(nil)
	s.note(ctx, e)
	return e
}

// where says how the token is renewed.
func (s *tokens) where() string {
	if s.connected {
		return whereConnect
	}
	return whereTokens
}

// note remembers a refusal.
func (s *tokens) note(ctx context.Context, e *Error) {
	at := s.now()
	s.refused.Store(&refusal{at: at, cause: e.cause})
	if s.refusals == nil {
		return
	}
	// A stop that was asked for meanwhile does not undo the refusal.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := s.refusals.NoteRefused(ctx, at); err != nil {
		s.log.WarnContext(ctx, "the refusal of the access token could not be noted, so each start tries it again", "error", err)
		return
	}
	s.noted.Store(true)
}

// mayTry returns an error when the token was refused a short while ago, by a call of
// this process or another, or when that cannot be told.
func (s *tokens) mayTry(ctx context.Context) error {
	now := s.now()
	if r := s.refused.Load(); r != nil {
		// A clock that was set back says nothing about when, so it no longer counts.
		if age := now.Sub(r.at); age >= 0 && age < refusedPause {
			return s.standing(*r)
		}
	}
	if s.refusals == nil {
		return nil
	}
	last, err := s.refusals.LastRefused(ctx)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return &callError{route: tokenRoute, text: "whether Copernica refused it a short while ago cannot be told, so it is not tried: " + err.Error(), err: err}
	case last.IsZero():
		return nil
	}
	s.noted.Store(true)
	if last.After(now) {
		// Noted by a clock that ran ahead: when it was cannot be told, so it counts from now.
		last = now
		if err := s.refusals.NoteRefused(ctx, now); err != nil {
			return &callError{route: tokenRoute, text: "its refusal by a clock that ran ahead cannot be corrected: " + err.Error(), err: err}
		}
	}
	if now.Before(last.Add(refusedPause)) && !s.tryRefused {
		return s.standing(refusal{at: last})
	}
	return nil
}

// standing is a refusal that keeps a call from being made.
func (s *tokens) standing(r refusal) error {
	return &Error{
		Route: tokenRoute, Class: fault.Credentials, cause: r.cause,
		Message: fmt.Sprintf("Copernica refused it on %s and it is not tried again before %s", inUTC(r.at), inUTC(r.at.Add(refusedPause))),
		fix:     s.where() + "; another token is tried at once",
	}
}

// accept notes that Copernica took a call with the token.
func (s *tokens) accept(ctx context.Context, t *token) {
	if t.accepted.Load() || t.accepted.Swap(true) {
		return
	}
	s.refused.Store(nil)
	if !s.noted.Swap(false) {
		return
	}
	if err := s.refusals.NoteRefused(ctx, time.Time{}); err != nil && !errors.Is(err, context.Canceled) {
		// What stays noted runs out and stops nobody for long.
		s.log.WarnContext(ctx, "an old refusal of the access token stays noted", "error", err)
	}
}

// inUTC prints a time for an operator.
func inUTC(t time.Time) string { return t.UTC().Format(time.DateTime) + " UTC" }
