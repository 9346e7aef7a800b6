package httpx_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

// refusingProxy answers every CONNECT with a status and returns its address.
func refusingProxy(t *testing.T, status int) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d Secret words\r\nContent-Length: 0\r\n\r\n", status)
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

// A proxy that does not let a call through is named with its status and the setting to
// mend, and with nothing of what stands in that setting.
func TestPromise20_AProxyThatRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		user   string
		kind   httpx.Kind
		class  fault.Class
		says   string
	}{
		"no password":         {407, "", httpx.KindProxy, fault.Configuration, "the proxy answered 407: it wants a user and password, so write HTTPS_PROXY as http://user:password@host:port (proxy)"},
		"a wrong password":    {407, "operator:secret@", httpx.KindProxy, fault.Configuration, "the proxy answered 407: it does not take the user and password in HTTPS_PROXY (proxy)"},
		"a forbidden host":    {403, "operator:secret@", httpx.KindProxy, fault.Configuration, "the proxy answered 403: let it pass calls to this host, or name the host in NO_PROXY (proxy)"},
		"a busy proxy":        {429, "", httpx.KindDial, fault.Retry, "the proxy answered 429 and did not connect to the peer (dial)"},
		"a peer that is down": {503, "operator:secret@", httpx.KindDial, fault.Retry, "the proxy answered 503 and did not connect to the peer (dial)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, err := url.Parse("http://" + c.user + refusingProxy(t, c.status))
			if err != nil {
				t.Fatal(err)
			}
			base := httpx.BaseOf(httpx.Config{AttemptTimeout: time.Minute})
			base.Proxy = http.ProxyURL(proxy)
			t.Cleanup(base.CloseIdleConnections)
			_, _, err = fetch(chain(t, httpx.Config{Base: base, Retries: -1}), request(t, t.Context(), "GET", strings.Replace(address, "http", "https", 1), ""))
			e := typed(t, err)
			if e.Kind != c.kind || fault.ClassOf(err) != c.class || !fault.NotSent(err) {
				t.Errorf("kind %s, class %s, unsent %t", e.Kind, fault.ClassOf(err), fault.NotSent(err))
			}
			if text := err.Error(); !strings.HasSuffix(text, ": "+c.says) || strings.Contains(strings.ToLower(text), "secret") {
				t.Errorf("%q does not say %q", text, c.says)
			}
		})
	}
}

// Without TLS a proxy answers in the peer's place.
func TestPromise20_AProxyThatRefusesAPlainCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &script{steps: []step{answer(http.StatusProxyAuthRequired, "secret")}}
		tr := chain(t, httpx.Config{Base: base, Retries: 2})
		_, _, err := fetch(tr, request(t, t.Context(), "GET", address, ""))
		e := typed(t, err)
		if e.Kind != httpx.KindProxy || e.Attempts != 1 || fault.ClassOf(err) != fault.Configuration || !fault.NotSent(err) || !strings.Contains(err.Error(), "write HTTP_PROXY as http://user:password@host:port") {
			t.Errorf("%d attempts: %v", e.Attempts, err)
		}
		settled(t, tr, base)
	})
}
