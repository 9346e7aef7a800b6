package httpx

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
)

// Policy says which failed attempts of a call may be followed by another.
type Policy uint8

const (
	// Idempotent repeats a call after a transport error, 429, 500, 502, 503 and 504.
	// The caller declares that repeating it does no harm. It is the default for
	// GET and HEAD.
	Idempotent Policy = iota + 1
	// Once repeats a call only when the peer provably did not work on it: no
	// connection was made, or the peer answered 429. It is the default for every
	// other method (promise 10).
	Once
)

type policyKey struct{}

// WithPolicy returns a context whose calls follow p instead of the default of
// their method.
func WithPolicy(ctx context.Context, p Policy) context.Context {
	return context.WithValue(ctx, policyKey{}, p)
}

type refreshKey struct{}

// WithRefresh returns a context whose calls have refresh called with the request of
// each attempt but the first, which carries what its caller wrote. It is for the header
// what GetBody is for the body: a signature holds for one attempt only. The request is
// the attempt's own, and only its Header may be changed.
func WithRefresh(ctx context.Context, refresh func(*http.Request)) context.Context {
	return context.WithValue(ctx, refreshKey{}, refresh)
}

func policyOf(req *http.Request) Policy {
	if p, ok := req.Context().Value(policyKey{}).(Policy); ok {
		return p
	}
	switch req.Method {
	case "", http.MethodGet, http.MethodHead:
		return Idempotent
	default:
		return Once
	}
}

// allows reports whether an attempt that ended so may be followed by another;
// exactly one of resp and err is not nil.
func (p Policy) allows(resp *http.Response, err *Error) bool {
	if err != nil {
		if err.Kind == KindCanceled || err.FaultClass() != fault.Retry {
			return false
		}
		return p == Idempotent || err.Unsent
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return p == Idempotent
	default:
		return false
	}
}

// wait returns the pause after the n-th attempt of a call (from 1). It is never
// longer than the larger of MaxBackoff and MaxRetryAfter.
func (t *Transport) wait(resp *http.Response, n int) time.Duration {
	if after := t.retryAfter(resp); after > 0 {
		// Calls refused together do not come back together.
		after += time.Duration(t.cfg.Rand() * float64(t.cfg.MinBackoff))
		return min(after, t.cfg.MaxRetryAfter)
	}
	return time.Duration(t.cfg.Rand() * float64(t.ceiling(n)))
}

// ceiling returns the longest back-off after the n-th attempt.
func (t *Transport) ceiling(n int) time.Duration {
	c := t.cfg.MinBackoff
	for range n - 1 {
		if c >= t.cfg.MaxBackoff/2 {
			return t.cfg.MaxBackoff
		}
		c *= 2
	}
	return c
}

// retryAfter reads the Retry-After header (RFC 9110, section 10.2.3): whole
// seconds, or a date, measured on the peer's own clock where it sends one. It
// returns 0 for a header that is absent, past or not understood.
func (t *Transport) retryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return 0
	}
	value := strings.TrimSpace(resp.Header.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		// Compared in seconds: a large number would overflow a Duration.
		if limit := t.cfg.MaxRetryAfter; seconds >= uint64(limit/time.Second)+1 {
			return limit
		}
		return time.Duration(seconds) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		now = t.cfg.Now()
	}
	return min(max(date.Sub(now), 0), t.cfg.MaxRetryAfter)
}
