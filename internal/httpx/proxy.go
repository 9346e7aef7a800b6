package httpx

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// proxyError is a proxy that did not pass a call on. It holds no address, which could
// have a password in it.
type proxyError struct {
	status   int
	variable string // of the environment, that names the proxy
	user     bool   // which names a user as well
}

func (e *proxyError) Error() string { return fmt.Sprintf("the proxy answered %d", e.status) }

// onConnect is asked about the answer of a proxy that was to connect to the peer.
func onConnect(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyError{answer.StatusCode, "HTTPS_PROXY", proxy != nil && proxy.User != nil}
}

// classifyProxy says what to do about a proxy that did not pass a call on. Nothing of
// the call has reached the peer.
func (t *Transport) classifyProxy(req *http.Request, e *proxyError) *Error {
	const form = "http://user:password@host:port"
	said := fmt.Sprintf("the proxy answered %d", e.status)
	switch {
	case e.status == http.StatusProxyAuthRequired && e.user:
		return t.newError(req, KindProxy, e, said+": it does not take the user and password in "+e.variable)
	case e.status == http.StatusProxyAuthRequired:
		return t.newError(req, KindProxy, e, said+": it wants a user and password, so write "+e.variable+" as "+form)
	case e.status >= 400 && e.status < 500 && e.status != http.StatusRequestTimeout && e.status != http.StatusTooManyRequests:
		return t.newError(req, KindProxy, e, said+": let it pass calls to this host, or name the host in NO_PROXY")
	default:
		return t.newError(req, KindDial, e, said+" and did not connect to the peer")
	}
}
