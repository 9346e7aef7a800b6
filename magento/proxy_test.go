package magento_test

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// shopHost is the name that a test server's certificate is for. No call leaves this
// machine: the proxy of the tests connects it to a port here.
const shopHost = "https://example.com"

// tlsShop serves a shop over TLS by an authority of its own, and returns its address
// and the authority's certificate as a PEM file.
func tlsShop(t *testing.T) (s *magentotest.Shop, server *httptest.Server, bundle string) {
	t.Helper()
	s = magentotest.New(magentotest.Config{Customers: 60, Seed: 1, Switches: magentotest.Switches{BearerOff: true}})
	server = httptest.NewUnstartedServer(s.Handler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes
	server.StartTLS()
	t.Cleanup(server.Close)
	bundle = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(bundle, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return s, server, bundle
}

func authorities(t *testing.T, bundle string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("no certificate")
	}
	return pool
}

func TestOwnAuthority(t *testing.T) {
	t.Parallel()
	s, server, bundle := tlsShop(t)
	at := func(cfg *magento.Config) { cfg.BaseURL = server.URL }
	c := client(t, chain(t, httpx.Config{RootCAs: authorities(t, bundle)}), bySignature, at)
	pages, err := walk(t.Context(), c, magento.Query{})
	if err != nil || len(ids(pages)) != 60 {
		t.Errorf("with the bundle: %d customers, %v", len(ids(pages)), err)
	}
	before := s.Log().Total()
	_, err = walk(t.Context(), client(t, chain(t, httpx.Config{CAHint: "SYNCD_MAGENTO_CA_BUNDLE"}), bySignature, at), magento.Query{})
	wantClass(t, err, fault.Configuration)
	wantText(t, err, "SYNCD_MAGENTO_CA_BUNDLE")
	if n := s.Log().Total() - before; n != 0 {
		t.Errorf("%d requests went to a shop of an unknown authority", n)
	}
}

// connectProxy is a proxy that connects every host to one address and wants a password.
type connectProxy struct {
	to, authorization string

	mu    sync.Mutex
	asked []string
}

func (p *connectProxy) serve(t *testing.T, l net.Listener) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				p.mu.Lock()
				p.asked = append(p.asked, r.Method+" "+r.Host)
				p.mu.Unlock()
				if r.Method != http.MethodConnect || r.Header.Get("Proxy-Authorization") != p.authorization {
					_, _ = io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
					return
				}
				shop, err := net.Dial("tcp", p.to)
				if err != nil {
					return
				}
				defer func() { _ = shop.Close() }()
				_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
				var copies sync.WaitGroup
				copies.Go(func() { _, _ = io.Copy(shop, conn); _ = shop.Close() })
				_, _ = io.Copy(conn, shop)
				_ = conn.Close()
				copies.Wait()
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
}

// TestThroughAProxy walks a shop from a process of its own, because the proxy is read
// from the environment once a process.
func TestThroughAProxy(t *testing.T) {
	t.Parallel()
	s, server, bundle := tlsShop(t)
	proxy := &connectProxy{to: server.Listener.Addr().String(), authorization: "Basic b3BlcmF0b3I6c2VjcmV0d29yZA=="} // operator:secretword
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy.serve(t, l)
	for name, tc := range map[string]struct{ user, want string }{
		"let through": {"operator:secretword@", "60 customers"},
		"refused":     {"operator:secretguess@", "0 customers, magento GET customers/search: the proxy answered 407: it does not take the user and password in HTTPS_PROXY"},
	} {
		t.Run(name, func(t *testing.T) {
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWalkThroughTheProxy$", "-test.v")
			child.Env = append(os.Environ(), "HTTPS_PROXY=http://"+tc.user+l.Addr().String(), "NO_PROXY=", proxyTest+"="+bundle)
			out, err := child.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if !strings.Contains(string(out), " "+tc.want) || strings.Contains(string(out), "secret") {
				t.Errorf("want %q and no password in:\n%s", tc.want, out)
			}
		})
	}
	if len(proxy.asked) == 0 || proxy.asked[0] != "CONNECT example.com:443" || s.Log().Total() == 0 {
		t.Errorf("the proxy was asked %q, the shop %d times", proxy.asked, s.Log().Total())
	}
}

// proxyTest names the bundle to the process that TestThroughAProxy starts.
const proxyTest = "SYNCD_TEST_THROUGH_PROXY"

// TestWalkThroughTheProxy is the other process of TestThroughAProxy, and nothing else.
func TestWalkThroughTheProxy(t *testing.T) {
	bundle := os.Getenv(proxyTest)
	if bundle == "" {
		return
	}
	c := client(t, chain(t, httpx.Config{RootCAs: authorities(t, bundle), Retries: -1}), bySignature, func(cfg *magento.Config) { cfg.BaseURL = shopHost })
	pages, err := walk(t.Context(), c, magento.Query{})
	t.Logf("%d customers, %v", len(ids(pages)), err)
}
