package httpx_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

func TestPromise20_ErrorsAreClassified(t *testing.T) {
	t.Parallel()
	dns := func(e net.DNSError) error {
		e.Name = "shop.example"
		return &net.OpError{Op: "dial", Net: "tcp", Err: &e}
	}
	for _, c := range []struct {
		name     string
		step     step
		kind     httpx.Kind
		class    fault.Class
		unsent   bool
		attempts int
		says     string
	}{
		{"refused", failure(dialRefused()), httpx.KindDial, fault.Retry, true, 3, "connection refused"},
		{"bare refused", failure(syscall.ECONNREFUSED), httpx.KindDial, fault.Retry, true, 3, "connection refused"},
		{"dial time-out", failure(&net.OpError{Op: "dial", Err: context.DeadlineExceeded}), httpx.KindDial, fault.Retry, true, 3, "in time"},
		{"proxy", failure(&net.OpError{Op: "proxyconnect", Err: errors.New("http://user:secret@proxy")}), httpx.KindDial, fault.Retry, true, 3, "HTTPS_PROXY"},
		{"unknown host", failure(dns(net.DNSError{IsNotFound: true})), httpx.KindUnknownHost, fault.Configuration, true, 1, "is the URL right?"},
		{"look-up fails", failure(dns(net.DNSError{IsTemporary: true})), httpx.KindDial, fault.Retry, true, 3, "could not be looked up"},
		{"reset", failure(reset()), httpx.KindBroken, fault.Retry, false, 3, "connection reset"},
		{"closed", failure(io.EOF), httpx.KindBroken, fault.Retry, false, 3, "closed before the answer was complete"},
		{"not HTTP", failure(errors.New(`malformed HTTP response "secret"`)), httpx.KindBroken, fault.Retry, false, 3, "the connection broke"},
		{"url.Error", failure(&url.Error{Op: "Get", URL: address, Err: reset()}), httpx.KindBroken, fault.Retry, false, 3, "connection reset"},
		{"time-out", hang, httpx.KindTimeout, fault.Retry, false, 3, "within 1s"},
		{"authority", failure(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), httpx.KindCertificate, fault.Configuration, true, 1, "let SYNCD_MAGENTO_CA_BUNDLE name a PEM file"},
		{"host name", failure(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "shop.example"}), httpx.KindCertificate, fault.Configuration, true, 1, `"shop.example"`},
		{"expired", failure(x509.CertificateInvalidError{Reason: x509.Expired}), httpx.KindCertificate, fault.Configuration, true, 1, "has expired"},
		{"other certificate", failure(x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}), httpx.KindCertificate, fault.Configuration, true, 1, "not valid for this use"},
		{"alert", failure(&net.OpError{Op: "remote error", Err: tls.AlertError(40)}), httpx.KindBroken, fault.Retry, false, 3, "handshake failure"},
		{"scheme", failure(http.ErrSchemeMismatch), httpx.KindRequest, fault.Configuration, true, 1, "begin with http://"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				base := &script{steps: []step{c.step}}
				tr := chain(t, httpx.Config{Base: base, Retries: 2, AttemptTimeout: time.Second, CAHint: "SYNCD_MAGENTO_CA_BUNDLE"})
				_, _, err := fetch(tr, request(t, t.Context(), "GET", address, ""))
				e := typed(t, err)
				if e.Kind != c.kind || fault.ClassOf(err) != c.class || fault.NotSent(err) != c.unsent || e.Attempts != c.attempts {
					t.Errorf("kind %s, class %s, unsent %t, %d attempts; want %s, %s, %t, %d",
						e.Kind, fault.ClassOf(err), fault.NotSent(err), e.Attempts, c.kind, c.class, c.unsent, c.attempts)
				}
				text := err.Error()
				if !strings.HasPrefix(text, "magento: GET /rest/all/V1/customers/7: ") || !strings.Contains(text, c.says) || !strings.Contains(text, "("+c.kind.String()+")") {
					t.Errorf("text %q does not name peer, method, path, kind and %q", text, c.says)
				}
				if strings.Contains(text, "secret") || strings.Contains(text, "?secret") {
					t.Errorf("text %q gives something away", text)
				}
				if n := tr.Stats().Failures[c.kind]; n != int64(c.attempts) {
					t.Errorf("%d failures counted, want %d", n, c.attempts)
				}
				settled(t, tr, base)
			})
		})
	}
}

func TestPromise10_OneUnknownOutcomeMakesTheCallUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &script{steps: []step{failure(reset()), failure(dialRefused())}}
		tr := chain(t, httpx.Config{Base: base, Retries: 2})
		_, _, err := fetch(tr, request(t, t.Context(), "GET", address, ""))
		if e := typed(t, err); e.Kind != httpx.KindDial || e.NotSent() {
			t.Errorf("got %v, unsent %t: the first attempt may have arrived", err, e.NotSent())
		}
	})
}

func TestUnknownHostThatAnsweredBeforeIsPassing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gone := &net.OpError{Op: "dial", Err: &net.DNSError{Name: "shop.example", IsNotFound: true}}
		base := &script{steps: []step{answer(200, ""), failure(gone)}}
		tr := chain(t, httpx.Config{Base: base})
		if _, _, err := fetch(tr, request(t, t.Context(), "GET", address, "")); err != nil {
			t.Fatal(err)
		}
		_, _, err := fetch(tr, request(t, t.Context(), "GET", address, ""))
		if e := typed(t, err); e.Kind != httpx.KindDial || fault.ClassOf(err) != fault.Retry {
			t.Errorf("got %v of class %s", err, fault.ClassOf(err))
		}
	})
}

func TestCanceledInFlight(t *testing.T) {
	t.Parallel()
	stopping := errors.New("the daemon stops")
	for _, c := range []struct {
		name string
		ctx  func(context.Context) (context.Context, context.CancelFunc)
		want []error
		says string
	}{
		{"canceled with a cause", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(time.Second, func() { cancel(stopping) })
			return ctx, func() { cancel(nil) }
		}, []error{context.Canceled, stopping}, "given up by the caller"},
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, []error{context.DeadlineExceeded}, "deadline passed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				base := &script{steps: []step{hang}}
				tr := chain(t, httpx.Config{Base: base})
				ctx, cancel := c.ctx(t.Context())
				defer cancel()
				began := time.Now()
				_, _, err := fetch(tr, request(t, ctx, "GET", address, ""))
				if d := time.Since(began); d != time.Second {
					t.Errorf("came back after %s", d)
				}
				if e := typed(t, err); e.Kind != httpx.KindCanceled || e.NotSent() || base.attempts() != 1 {
					t.Errorf("got %v, unsent %t, %d attempts", err, e.NotSent(), base.attempts())
				}
				for _, want := range c.want {
					if !errors.Is(err, want) {
						t.Errorf("%v is not %v", err, want)
					}
				}
				if !strings.Contains(err.Error(), c.says) {
					t.Errorf("%q does not say %q", err, c.says)
				}
				if s := tr.Stats(); s.Breaker != httpx.BreakerClosed || s.Limit != 4 {
					t.Errorf("the caller's leaving counted against the peer: %+v", s)
				}
				settled(t, tr, base)
			})
		})
	}
}

func TestBadRequestsAreRefusedAndTheirBodiesClosed(t *testing.T) {
	t.Parallel()
	base := &script{steps: []step{answer(200, "")}}
	tr := chain(t, httpx.Config{Base: base})
	req := request(t, t.Context(), "POST", "ftp://shop.example/x", "body")
	body := &closeRecorder{Reader: strings.NewReader("body")}
	req.Body = body
	_, _, err := fetch(tr, req)
	if e := typed(t, err); e.Kind != httpx.KindRequest || fault.ClassOf(err) != fault.Configuration || !e.NotSent() {
		t.Errorf("got %v", err)
	}
	if !body.closed || base.attempts() != 0 {
		t.Errorf("body closed %t, %d attempts", body.closed, base.attempts())
	}
}

type closeRecorder struct {
	io.Reader
	closed bool
}

func (c *closeRecorder) Close() error { c.closed = true; return nil }

func TestPlainTakesTheAddressOff(t *testing.T) {
	t.Parallel()
	base := &script{steps: []step{failure(reset())}}
	client := &http.Client{Transport: chain(t, httpx.Config{Base: base, Retries: -1})}
	resp, err := client.Do(request(t, t.Context(), "GET", address, ""))
	if err == nil {
		_ = resp.Body.Close()
		t.Fatal("no error")
	}
	plain := httpx.Plain(err)
	if strings.Contains(plain.Error(), "hidden") || typed(t, plain).Kind != httpx.KindBroken {
		t.Errorf("got %v", plain)
	}
	if other := errors.New("other"); !errors.Is(httpx.Plain(other), other) || httpx.Plain(nil) != nil {
		t.Error("an error without an address was changed")
	}
}

func TestNewRefusesNonsense(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]httpx.Config{
		"no peer":               {},
		"pool without use":      {Peer: "x", Base: &script{}, RootCAs: x509.NewCertPool()},
		"negative concurrency":  {Peer: "x", Concurrency: -1},
		"negative time-out":     {Peer: "x", AttemptTimeout: -1},
		"back-off upside down":  {Peer: "x", MinBackoff: time.Minute},
		"negative body limit":   {Peer: "x", MaxBody: -1},
		"negative breaker":      {Peer: "x", BreakerFailures: -1},
		"negative retry after":  {Peer: "x", MaxRetryAfter: -1},
		"negative breaker time": {Peer: "x", BreakerPause: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := httpx.New(cfg); err == nil {
				t.Error("accepted")
			}
		})
	}
}
