package httpx

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
)

// Kind says how an attempt or a call failed. Its text is the word used in metrics.
type Kind uint8

const (
	// KindDial is a connection that could not be made: refused, unreachable, no
	// answer, or a look-up of the host's name that failed for the moment.
	KindDial Kind = iota
	// KindUnknownHost is a host name that does not exist.
	KindUnknownHost
	// KindCertificate is a TLS certificate that cannot be trusted.
	KindCertificate
	// KindRequest is a call that cannot be sent as it is: an address without http
	// or https, https where the peer speaks plain HTTP, a body that cannot be read again.
	KindRequest
	// KindProxy is a proxy in between that does not let the call through: it wants
	// another user and password, or forbids the peer.
	KindProxy
	// KindTimeout is an attempt that took longer than AttemptTimeout.
	KindTimeout
	// KindBroken is a connection that broke off, or an answer that is not HTTP.
	KindBroken
	// KindCanceled is a call whose caller went away or whose deadline passed.
	KindCanceled
	// KindBreakerOpen is a call refused because the peer failed too often in a row.
	KindBreakerOpen
	// KindTooLarge is a body beyond MaxBody; the error is a [*BodyTooLargeError].
	KindTooLarge
	// KindThrottled is an answer 429. Like the kinds below it occurs in [Stats]
	// only: the caller gets the answer itself.
	KindThrottled
	// KindUnavailable is an answer 502, 503 or 504.
	KindUnavailable
	// KindServer is an answer 500.
	KindServer

	kindCount
)

// String returns the kind's word in metrics and logs.
func (k Kind) String() string {
	switch k {
	case KindDial:
		return "dial"
	case KindUnknownHost:
		return "unknown_host"
	case KindCertificate:
		return "certificate"
	case KindRequest:
		return "request"
	case KindProxy:
		return "proxy"
	case KindTimeout:
		return "timeout"
	case KindBroken:
		return "broken"
	case KindCanceled:
		return "canceled"
	case KindBreakerOpen:
		return "breaker_open"
	case KindTooLarge:
		return "too_large"
	case KindThrottled:
		return "throttled"
	case KindUnavailable:
		return "unavailable"
	case KindServer:
		return "server"
	default:
		return "unknown"
	}
}

// Error is a call without an answer, or an answer whose body broke off.
type Error struct {
	Peer   string
	Method string
	Path   string // escaped, without the query
	Kind   Kind
	// Attempts is the number of attempts made on the wire.
	Attempts int
	// Unsent is true if none of the attempts can have reached the peer.
	Unsent bool
	// Until is the time from which the breaker lets a call through; only with
	// KindBreakerOpen.
	Until time.Time
	// Err is the cause: the caller's context error for KindCanceled, nil for
	// KindBreakerOpen. Its text may hold what the peer sent and is not part of
	// this error's text.
	Err error

	class  fault.Class
	reason string
}

// Error returns the failure and, where there is one, what to do about it.
func (e *Error) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s: %s %s: %s (%s)", e.Peer, e.Method, e.Path, e.reason, e.Kind)
	if e.Attempts > 1 {
		fmt.Fprintf(&s, " after %d attempts", e.Attempts)
	}
	return s.String()
}

func (e *Error) Unwrap() error { return e.Err }

// FaultClass returns Configuration for what only an operator can mend, else Retry.
func (e *Error) FaultClass() fault.Class { return e.class }

// NotSent reports whether the call provably had no effect at the peer.
func (e *Error) NotSent() bool { return e.Unsent }

// Timeout reports whether time ran out, as [net.Error] has it.
func (e *Error) Timeout() bool {
	return e.Kind == KindTimeout || e.Kind == KindCanceled && errors.Is(e.Err, context.DeadlineExceeded)
}

// BodyTooLargeError is returned by Read when a body exceeds Config.MaxBody. It is
// of class Retry: the same call fails again, one that asks for less may not.
type BodyTooLargeError struct {
	Peer   string
	Method string
	Path   string // escaped, without the query
	Limit  int64  // bytes
}

func (e *BodyTooLargeError) Error() string {
	return fmt.Sprintf("%s: %s %s: the answer is larger than %d bytes (%s): ask for fewer records at once",
		e.Peer, e.Method, e.Path, e.Limit, KindTooLarge)
}

// FaultClass returns Retry.
func (e *BodyTooLargeError) FaultClass() fault.Class { return fault.Retry }

// Plain returns err without the [*url.Error] that [http.Client] puts around it, whose
// text holds the whole address. Any other error is returned as it is.
func Plain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// newError returns an error of a call, retryable unless its kind says otherwise.
func (t *Transport) newError(req *http.Request, kind Kind, cause error, reason string) *Error {
	e := &Error{
		Peer: t.cfg.Peer, Method: method(req), Path: path(req),
		Kind: kind, Err: cause, class: fault.Retry, reason: reason,
	}
	switch kind {
	case KindUnknownHost, KindCertificate, KindRequest, KindProxy:
		e.class, e.Unsent = fault.Configuration, true
	case KindDial, KindBreakerOpen:
		e.Unsent = true
	}
	return e
}

// canceled returns the error of a call whose caller is gone.
func (t *Transport) canceled(req *http.Request, doing string) *Error {
	ctx := req.Context()
	cause, reason := ctx.Err(), "given up by the caller "+doing
	if errors.Is(cause, context.DeadlineExceeded) {
		reason = "the caller's deadline passed " + doing
	}
	if why := context.Cause(ctx); why != nil && !errors.Is(why, cause) {
		cause = errors.Join(cause, why)
	}
	return t.newError(req, KindCanceled, cause, reason)
}

// classify turns what Base or a body returned into an error. attempt is the
// attempt's own context; known says that the host has answered before.
//
// The reasons are chosen from what is known, not copied: the text of a transport
// error can hold the bytes of an answer, or a proxy's address with its password.
func (t *Transport) classify(attempt context.Context, req *http.Request, known bool, err error) *Error {
	err = Plain(err)
	if req.Context().Err() != nil {
		e := t.canceled(req, "before the answer was complete")
		e.Unsent = neverDialed(err)
		return e
	}
	if e := t.classifyTLS(req, err); e != nil {
		return e
	}
	if refused, ok := errors.AsType[*proxyError](err); ok {
		return t.classifyProxy(req, refused)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound && !dns.IsTemporary && !known {
			return t.newError(req, KindUnknownHost, err, fmt.Sprintf("no host is called %q: is the URL right?", dns.Name))
		}
		return t.newError(req, KindDial, err, fmt.Sprintf("the name %q could not be looked up", dns.Name))
	}
	timeout := isTimeout(err)
	if neverDialed(err) {
		reason := "no connection could be made"
		if errno, ok := errors.AsType[syscall.Errno](err); ok {
			reason = errno.Error()
		} else if timeout {
			reason = "no connection was accepted in time"
		}
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "proxyconnect" {
			reason += " through the proxy: are HTTP_PROXY and HTTPS_PROXY right?"
		}
		return t.newError(req, KindDial, err, reason)
	}
	if errors.Is(attempt.Err(), context.DeadlineExceeded) {
		return t.newError(req, KindTimeout, err, fmt.Sprintf("no complete answer within %s", t.cfg.AttemptTimeout))
	}
	if timeout {
		return t.newError(req, KindTimeout, err, "the connection timed out")
	}
	reason := "the connection broke"
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		reason = errno.Error()
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		reason = "the connection was closed before the answer was complete"
	}
	return t.newError(req, KindBroken, err, reason)
}

// classifyTLS recognises what is wrong with a certificate or the scheme. The
// handshake comes before the request: nothing was sent.
func (t *Transport) classifyTLS(req *http.Request, err error) *Error {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return t.newError(req, KindRequest, err, "the peer does not speak TLS on this port: does the URL begin with http:// rather than https://?")
	}
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		fix := "add the authority to the system's trusted certificates"
		if t.cfg.CAHint != "" {
			fix = "let " + t.cfg.CAHint + " name a PEM file with the authority's certificate"
		}
		return t.newError(req, KindCertificate, unknown, "the certificate is signed by an unknown authority: "+fix)
	}
	if host, ok := errors.AsType[x509.HostnameError](err); ok {
		return t.newError(req, KindCertificate, host, fmt.Sprintf("the certificate does not name the host %q: use a name that it does", host.Host))
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return t.newError(req, KindCertificate, invalid, "the certificate has expired or is not valid yet: renew it, or set this machine's clock")
	}
	if _, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return t.newError(req, KindCertificate, err, "the certificate is not valid for this use")
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return t.newError(req, KindCertificate, err, "the certificate cannot be verified")
	}
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		return t.newError(req, KindBroken, err, "the peer refused the TLS connection: "+alert.Error())
	}
	return nil
}

// neverDialed reports whether err proves that no connection was made, so that not
// a byte of the request left.
func neverDialed(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op == "dial" || op.Op == "proxyconnect"
	}
	// TCP reports it for connecting only.
	return errors.Is(err, syscall.ECONNREFUSED)
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func method(req *http.Request) string {
	if req.Method == "" {
		return http.MethodGet
	}
	return req.Method
}

func path(req *http.Request) string {
	if p := req.URL.EscapedPath(); p != "" {
		return p
	}
	return "/"
}
