package httpx_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

// client returns a chain over real sockets, and a client that uses it.
func client(t *testing.T, cfg httpx.Config) (*httpx.Transport, *http.Client) {
	t.Helper()
	tr := chain(t, cfg)
	t.Cleanup(tr.CloseIdleConnections)
	return tr, &http.Client{Transport: tr}
}

func get(ctx context.Context, t *testing.T, c *http.Client, url string) (int, string, error) {
	t.Helper()
	resp, err := c.Do(request(t, ctx, "GET", url, ""))
	if err != nil {
		return 0, "", httpx.Plain(err)
	}
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), errors.Join(err, resp.Body.Close())
}

func TestSocketConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	var connections, calls atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1)%3 != 0 {
			w.WriteHeader(503)
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	_, c := client(t, httpx.Config{MinBackoff: 1, MaxBackoff: 1})
	for range 10 {
		if status, _, err := get(t.Context(), t, c, srv.URL); status != 200 || err != nil {
			t.Fatalf("got %d, %v", status, err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for %d calls one after the other", n, calls.Load())
	}
}

func TestSocketRefusedConnectionIsNotSent(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://user:secret@" + l.Addr().String() + "/path?secret"
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, c := client(t, httpx.Config{MinBackoff: 1, MaxBackoff: 1})
	_, _, err = get(t.Context(), t, c, url)
	if e := typed(t, err); e.Kind != httpx.KindDial || !fault.NotSent(err) || e.Attempts != 5 || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, unsent %t, %d attempts", err, fault.NotSent(err), e.Attempts)
	}
}

// raw starts a peer that treats each connection as it likes after the request's head.
func raw(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					handle(conn)
				}
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return "http://" + l.Addr().String() + "/rest"
}

func TestSocketBrokenAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		handle func(net.Conn)
	}{
		{"closed without an answer", func(net.Conn) {}},
		{"reset", func(conn net.Conn) {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
		}},
		{"not HTTP", func(conn net.Conn) { _, _ = io.WriteString(conn, "SSH-2.0-secret\r\n\r\n") }},
		{"cut short", func(conn net.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
		}},
		{"chunk cut short", func(conn net.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tr, cl := client(t, httpx.Config{Retries: -1})
			_, _, err := get(t.Context(), t, cl, raw(t, c.handle))
			if e := typed(t, err); e.Kind != httpx.KindBroken || fault.NotSent(err) || fault.ClassOf(err) != fault.Retry || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v (%v), unsent %t", err, e.Err, fault.NotSent(err))
			}
			if n := tr.Stats().InFlight; n != 0 {
				t.Errorf("%d in flight", n)
			}
		})
	}
}

func TestSocketTimeouts(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "partial")
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(release) })
	for _, path := range []string{"/head", "/body"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			tr, c := client(t, httpx.Config{Retries: -1, AttemptTimeout: 100 * time.Millisecond})
			_, _, err := get(t.Context(), t, c, srv.URL+path)
			if e := typed(t, err); e.Kind != httpx.KindTimeout || fault.NotSent(err) {
				t.Errorf("got %v", err)
			}
			if n := tr.Stats().InFlight; n != 0 {
				t.Errorf("%d in flight", n)
			}
		})
		t.Run(path+" canceled", func(t *testing.T) {
			t.Parallel()
			_, c := client(t, httpx.Config{})
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			_, _, err := get(ctx, t, c, srv.URL+path)
			if e := typed(t, err); e.Kind != httpx.KindCanceled || fault.NotSent(err) || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSocketCertificates(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshake
	srv.StartTLS()
	t.Cleanup(srv.Close)
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())

	t.Run("unknown authority", func(t *testing.T) {
		t.Parallel()
		_, c := client(t, httpx.Config{CAHint: "SYNCD_MAGENTO_CA_BUNDLE"})
		_, _, err := get(t.Context(), t, c, srv.URL)
		e := typed(t, err)
		if e.Kind != httpx.KindCertificate || fault.ClassOf(err) != fault.Configuration || e.Attempts != 1 || !strings.Contains(err.Error(), "SYNCD_MAGENTO_CA_BUNDLE") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("known authority", func(t *testing.T) {
		t.Parallel()
		_, c := client(t, httpx.Config{RootCAs: pool})
		if status, body, err := get(t.Context(), t, c, srv.URL); status != 200 || body != "ok" || err != nil {
			t.Errorf("got %d %q %v", status, body, err)
		}
	})
	t.Run("plain HTTP behind https", func(t *testing.T) {
		t.Parallel()
		plain := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(plain.Close)
		_, c := client(t, httpx.Config{})
		_, _, err := get(t.Context(), t, c, strings.Replace(plain.URL, "http:", "https:", 1))
		if e := typed(t, err); e.Kind != httpx.KindRequest || fault.ClassOf(err) != fault.Configuration {
			t.Errorf("got %v", err)
		}
	})
}

func TestSocketManyCallersAndFaults(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch n.Add(1) % 10 {
		case 0:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(429)
		case 1:
			w.WriteHeader(503)
		case 2:
			panic(http.ErrAbortHandler)
		}
		_, _ = fmt.Fprint(w, strings.Repeat("x", int(n.Load()%5000)))
	}))
	t.Cleanup(srv.Close)
	tr, c := client(t, httpx.Config{Concurrency: 8, Retries: 20, MinBackoff: 1, MaxBackoff: time.Millisecond, BreakerFailures: 1000})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 20 {
				if status, _, err := get(t.Context(), t, c, srv.URL); status != 200 || err != nil {
					t.Errorf("got %d, %v", status, err)
				}
			}
		})
	}
	wg.Wait()
	if s := tr.Stats(); s.InFlight != 0 || s.Waiting != 0 || s.Calls-s.Retries != 400 {
		t.Errorf("got %+v", s)
	}
}
