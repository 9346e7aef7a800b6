package httpx_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/httpx"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// step is what the fake peer does with one attempt.
type step func(*http.Request) (*http.Response, error)

// script is a fake Base: each attempt takes the next step, the last one for ever.
type script struct {
	steps []step

	mu     sync.Mutex
	at     []time.Time
	bodies []string
	open   atomic.Int64 // answers whose body was not closed
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	var sent string
	if req.Body != nil {
		data, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		sent = string(data)
		if err := req.Body.Close(); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	next := s.steps[min(len(s.at), len(s.steps)-1)]
	s.at = append(s.at, time.Now())
	s.bodies = append(s.bodies, sent)
	s.mu.Unlock()
	resp, err := next(req)
	if resp != nil && resp.Body != nil && resp.Body != http.NoBody {
		s.open.Add(1)
		resp.Body = &closeOnce{ReadCloser: resp.Body, open: &s.open}
	}
	return resp, err
}

func (s *script) attempts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

// last returns the time of the last attempt.
func (s *script) last() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at[len(s.at)-1]
}

// gaps returns the times between the attempts.
func (s *script) gaps() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var gaps []time.Duration
	for i := range len(s.at) - 1 {
		gaps = append(gaps, s.at[i+1].Sub(s.at[i]))
	}
	return gaps
}

type closeOnce struct {
	io.ReadCloser
	open *atomic.Int64
	once sync.Once
}

func (c *closeOnce) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.ReadCloser.Close()
}

// answer answers with a status, a body and headers as name, value, name, value.
func answer(status int, body string, headers ...string) step {
	return func(*http.Request) (*http.Response, error) {
		h := make(http.Header)
		for i := 0; i+1 < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, ContentLength: -1, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func failure(err error) step {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// hang answers nothing until the attempt is given up.
func hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func dialRefused() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

func reset() error {
	return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
}

// tricklingBody yields its text, then blocks until the attempt is given up.
type tricklingBody struct {
	ctx  context.Context
	text *strings.Reader
}

func (b *tricklingBody) Read(p []byte) (int, error) {
	if b.text.Len() > 0 {
		return b.text.Read(p)
	}
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func (b *tricklingBody) Close() error { return nil }

func trickle(status int, text string) step {
	return func(req *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: make(http.Header), ContentLength: -1,
			Body: &tricklingBody{ctx: req.Context(), text: strings.NewReader(text)},
		}, nil
	}
}

func chain(t testing.TB, cfg httpx.Config) *httpx.Transport {
	t.Helper()
	if cfg.Peer == "" {
		cfg.Peer = "magento"
	}
	tr, err := httpx.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func request(t testing.TB, ctx context.Context, method, url, body string) *http.Request {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

const address = "http://shop.example/rest/all/V1/customers/7?secret=hidden"

// fetch makes a call and reads its answer: status and body, or the error.
func fetch(tr http.RoundTripper, req *http.Request) (int, string, error) {
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), errors.Join(err, resp.Body.Close())
}

// typed returns err as an *httpx.Error and fails the test if it is none.
func typed(t *testing.T, err error) *httpx.Error {
	t.Helper()
	e, ok := errors.AsType[*httpx.Error](err)
	if !ok {
		t.Fatalf("error %v (%T) is not an *httpx.Error", err, err)
	}
	return e
}

// settled fails the test if the chain still holds slots or open bodies.
func settled(t *testing.T, tr *httpx.Transport, base *script) {
	t.Helper()
	if s := tr.Stats(); s.InFlight != 0 || s.Waiting != 0 {
		t.Errorf("%d in flight and %d waiting after the last call", s.InFlight, s.Waiting)
	}
	if n := base.open.Load(); n != 0 {
		t.Errorf("%d bodies were not closed", n)
	}
}
