package httpx

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// attempt is one request on the wire, from its slot to the end of the answer's
// body; it is that body. Its context lives exactly as long.
//
// Read and send belong to one goroutine at a time; Close may be called from
// another.
type attempt struct {
	*call
	ctx    context.Context
	cancel context.CancelFunc
	epoch  uint64
	permit permit
	began  time.Time

	body      io.ReadCloser
	left      int64 // bytes that may still be read
	err       error // what the body ended with
	abandoned bool  // retried: how the body ends means nothing

	verdict verdict // for the end of a body that is read undisturbed
	signal  signal
	ended   atomic.Bool
}

// send makes the attempt. With an error it has ended but for judge.
func (a *attempt) send() (*http.Response, *Error) {
	req := a.req.WithContext(a.ctx)
	if a.attempts > 0 && a.req.GetBody != nil {
		body, err := a.req.GetBody()
		if err == nil && body == nil {
			err = errors.New("GetBody returned no body")
		}
		if err != nil {
			return nil, a.t.newError(a.req, KindRequest, err, "the body cannot be sent again")
		}
		req.Body = body
	}
	if refresh, ok := a.ctx.Value(refreshKey{}).(func(*http.Request)); ok && a.attempts > 0 {
		req.Header = req.Header.Clone()
		refresh(req)
	}
	resp, err := a.t.cfg.Base.RoundTrip(req)
	if err != nil {
		return nil, a.t.classify(a.ctx, a.req, a.host.known(), err)
	}
	if resp.StatusCode == http.StatusProxyAuthRequired { // no peer says that: a proxy did not pass the call on
		if resp.Body != nil {
			_ = resp.Body.Close() // whose words nobody needs
		}
		return nil, a.t.classifyProxy(a.req, &proxyError{status: resp.StatusCode, variable: "HTTP_PROXY"})
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	resp.Request = a.req // not the copy, whose context ends with the attempt
	a.body = resp.Body
	if resp.Body != http.NoBody {
		if resp.ContentLength > a.left {
			a.left = -1 // beyond the limit before the first byte
		}
		resp.Body = a
	}
	return resp, nil
}

// judge settles what the attempt says about the peer; again says that another one
// follows. Without a body to read the attempt ends here.
//
// What may be about the one request rather than about the peer (500, 504, a
// time-out) counts against the peer once a call, not once an attempt: a page with
// a poisoned record is halved from 300 records to 1 in nine failing calls
// (promise 5), and the breaker must not stop that.
func (a *attempt) judge(resp *http.Response, fail *Error, again bool) {
	if fail != nil {
		v, s := verdictNone, signalNone
		switch fail.Kind {
		case KindDial, KindBroken:
			v = verdictBad
			if fail.Timeout() || isTimeout(fail.Err) {
				s = signalOverload
			}
		case KindTimeout:
			s = signalOverload
			if !again || a.permit.trial {
				v = verdictBad
			}
		}
		a.end(v, s)
		return
	}
	a.verdict, a.signal = verdictGood, signalFine
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		a.signal = signalOverload
	case http.StatusServiceUnavailable:
		a.verdict, a.signal = verdictBad, signalOverload
	case http.StatusBadGateway:
		a.verdict, a.signal = verdictBad, signalNone
	case http.StatusGatewayTimeout:
		a.verdict, a.signal = verdictBad, signalOverload
		if again && !a.permit.trial {
			a.verdict = verdictNone
		}
	case http.StatusInternalServerError:
		a.signal = signalNone
		switch {
		case a.permit.trial: // the peer is there
		case again:
			a.verdict = verdictNone
		default:
			a.verdict = verdictBad
		}
	}
	if resp.Body == http.NoBody {
		a.finish()
	}
}

// Read reads the answer's body.
func (a *attempt) Read(p []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	if a.left < 0 {
		return 0, a.tooLarge()
	}
	if len(p) == 0 {
		return 0, nil
	}
	// One byte beyond the limit tells a body of exactly that size from a longer one.
	if int64(len(p))-1 > a.left {
		p = p[:a.left+1]
	}
	n, err := a.body.Read(p)
	if int64(n) > a.left {
		n = int(a.left)
		a.left = -1
		if n > 0 {
			return n, nil
		}
		return 0, a.tooLarge()
	}
	a.left -= int64(n)
	switch {
	case err == io.EOF:
		a.err = err
		a.finish()
	case err != nil:
		a.err = a.fail(err)
	}
	return n, a.err
}

// Close gives the slot back. Closing a body before its end costs the connection,
// as with any [http.Transport].
func (a *attempt) Close() error {
	err := a.body.Close()
	a.finish()
	return err
}

// finish ends an attempt that was answered.
func (a *attempt) finish() {
	v, s := a.verdict, a.signal
	if a.req.Context().Err() != nil {
		v, s = verdictNone, signalNone
	}
	if a.end(v, s) {
		a.t.stats.observe(a.t.cfg.Now().Sub(a.began))
	}
}

// fail ends an attempt whose body broke off.
func (a *attempt) fail(err error) error {
	if a.abandoned {
		a.finish()
		return err
	}
	e := a.t.classify(a.ctx, a.req, true, err)
	e.Attempts = a.attempts
	e.Unsent = false // it was answered
	if e.Kind == KindDial {
		e.Kind = KindBroken
	}
	if a.ended.Load() {
		return e
	}
	a.t.stats.fail(e.Kind)
	switch e.Kind {
	case KindTimeout:
		a.end(verdictBad, signalOverload)
	case KindCanceled:
		a.end(verdictNone, signalNone)
	default:
		a.end(verdictBad, signalNone)
	}
	return e
}

// tooLarge ends an attempt whose body is beyond the limit. The peer itself is well.
func (a *attempt) tooLarge() error {
	e := &BodyTooLargeError{Peer: a.t.cfg.Peer, Method: method(a.req), Path: path(a.req), Limit: a.t.cfg.MaxBody}
	a.err = e
	if !a.abandoned && !a.ended.Load() {
		a.t.stats.fail(KindTooLarge)
	}
	a.finish()
	return e
}

// end gives slot and permit back, and reports whether it was the first to do so.
func (a *attempt) end(v verdict, s signal) bool {
	if a.ended.Swap(true) {
		return false
	}
	a.cancel()
	log := a.t.cfg.Log
	if limit, changed := a.host.release(a.epoch, s); changed {
		log.DebugContext(a.ctx, "concurrency limit changed", "limit", limit)
	}
	state, until, changed := a.t.breaker.done(a.permit, v)
	switch {
	case !changed:
	case state == BreakerOpen:
		log.WarnContext(a.ctx, "peer fails, calls are held back", "until", until)
	default:
		log.InfoContext(a.ctx, "peer works again, calls go out")
	}
	return true
}
