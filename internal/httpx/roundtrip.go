package httpx

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// What is read of an answer that is retried: enough for any error message, and for
// the connection to be used again; a peer that sends it slowly does not hold the
// call up.
const (
	heldBytes = 64 << 10
	heldTime  = time.Second
)

// RoundTrip makes a call of one or more attempts. Its error is always an [*Error].
// The request is not changed; its body is always closed.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if s := req.URL.Scheme; s != "http" && s != "https" {
		closeBody(req)
		t.stats.fail(KindRequest)
		return nil, t.newError(req, KindRequest, nil, "the URL begins with neither http:// nor https://")
	}
	c := call{t: t, req: req, host: t.limiter(req.URL.Host), policy: policyOf(req)}
	return c.run()
}

// call is one RoundTrip.
type call struct {
	t      *Transport
	req    *http.Request
	host   *limiter
	policy Policy

	attempts int
	reached  bool // an attempt may have reached the peer; 429 is its word that it did nothing, not a proof
}

func (c *call) run() (*http.Response, error) {
	var resp *http.Response
	var fail *Error
	for {
		a, refusal := c.begin()
		if refusal != nil {
			// Others opened the breaker while this call waited to try again. What its
			// own last attempt learnt says more, above all whether the peer may have
			// worked on it.
			if refusal.Kind != KindBreakerOpen || c.attempts == 0 {
				return nil, c.final(refusal)
			}
			return c.result(resp, fail)
		}
		resp, fail = a.send()
		c.count(resp, fail)
		pause, again := c.plan(resp, fail)
		a.judge(resp, fail, again)
		if !again {
			return c.result(resp, fail)
		}
		c.t.cfg.Log.DebugContext(c.req.Context(), "attempt failed", "method", method(c.req), "path", c.req.URL.Path,
			"attempt", c.attempts, "kind", kindOf(resp, fail).String(), "wait", pause)
		if resp != nil {
			a.hold(resp)
		}
		if until, refused := c.t.breaker.refused(); refused && until.After(c.t.cfg.Now().Add(pause)) {
			return c.result(resp, fail) // the next attempt would be refused
		}
		if err := sleep(c.req.Context(), pause); err != nil {
			c.t.stats.fail(KindCanceled)
			return nil, c.final(c.t.canceled(c.req, "while waiting to try again"))
		}
	}
}

// result is what RoundTrip returns of the last attempt.
func (c *call) result(resp *http.Response, fail *Error) (*http.Response, error) {
	if fail != nil {
		return nil, c.final(fail)
	}
	return resp, nil
}

// begin waits for a slot and a permit, and returns a new attempt.
func (c *call) begin() (*attempt, *Error) {
	ctx := c.req.Context()
	if until, refused := c.t.breaker.refused(); refused {
		return nil, c.refuse(until)
	}
	epoch, err := c.host.acquire(ctx)
	if err != nil {
		if c.attempts == 0 {
			closeBody(c.req)
		}
		e := c.t.canceled(c.req, "while waiting for its turn")
		e.Unsent = true
		c.t.stats.fail(e.Kind)
		return nil, e
	}
	permit, until, ok := c.t.breaker.acquire()
	if !ok {
		c.host.release(epoch, signalNone)
		return nil, c.refuse(until)
	}
	a := &attempt{call: c, epoch: epoch, permit: permit, began: c.t.cfg.Now(), left: c.t.cfg.MaxBody}
	a.ctx, a.cancel = context.WithTimeout(ctx, c.t.cfg.AttemptTimeout)
	return a, nil
}

func (c *call) refuse(until time.Time) *Error {
	if c.attempts == 0 {
		closeBody(c.req)
	}
	c.t.stats.fail(KindBreakerOpen)
	reason := "the peer failed too often in a row; a trial call is under way"
	if until.After(c.t.cfg.Now()) {
		reason = "the peer failed too often in a row; calls go out again at " + until.UTC().Format(time.RFC3339)
	}
	e := c.t.newError(c.req, KindBreakerOpen, nil, reason)
	e.Until = until
	return e
}

// count keeps the numbers of an attempt.
func (c *call) count(resp *http.Response, fail *Error) {
	c.t.stats.calls.Add(1)
	if n, ok := c.req.Context().Value(attemptsKey{}).(*atomic.Int64); ok {
		n.Add(1)
	}
	if c.attempts++; c.attempts > 1 {
		c.t.stats.retries.Add(1)
	}
	if k := kindOf(resp, fail); k < kindCount {
		c.t.stats.fail(k)
	}
	c.reached = c.reached || fail == nil || !fail.Unsent
}

// plan decides whether another attempt follows, and after which pause.
func (c *call) plan(resp *http.Response, fail *Error) (time.Duration, bool) {
	if c.attempts > c.t.cfg.Retries || !c.policy.allows(resp, fail) {
		return 0, false
	}
	if c.req.Body != nil && c.req.Body != http.NoBody && c.req.GetBody == nil {
		return 0, false
	}
	pause := c.t.wait(resp, c.attempts)
	// Waiting past the caller's deadline would only replace what is known by
	// "deadline exceeded". Deadlines are in real time, whatever Now says.
	if deadline, ok := c.req.Context().Deadline(); ok && time.Until(deadline) <= pause {
		return 0, false
	}
	return pause, true
}

// final completes an error of the call: it is unsent only if no attempt before it
// can have reached the peer either.
func (c *call) final(e *Error) *Error {
	e.Attempts = c.attempts
	e.Unsent = !c.reached && (e.Unsent || e.Kind == KindCanceled && c.attempts > 0)
	return e
}

// kindOf returns the kind under which an attempt counts, kindCount for one that
// did not fail.
func kindOf(resp *http.Response, fail *Error) Kind {
	if fail != nil {
		return fail.Kind
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return KindThrottled
	case http.StatusInternalServerError:
		return KindServer
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return KindUnavailable
	default:
		return kindCount
	}
}

// hold reads what is left of a retried answer into memory, so that its connection is
// free and its body can still be handed out, and ends the attempt.
func (a *attempt) hold(resp *http.Response) {
	stop := time.AfterFunc(heldTime, a.cancel)
	defer stop.Stop()
	a.abandoned = true
	data, _ := io.ReadAll(io.LimitReader(resp.Body, heldBytes)) // cut short is good enough
	_ = resp.Body.Close()                                       // nothing more is wanted of it
	resp.Body = io.NopCloser(bytes.NewReader(data))
	resp.ContentLength = int64(len(data))
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // never read: there is nothing to lose
	}
}
