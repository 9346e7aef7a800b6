// Package httpx is the one HTTP chain that both clients send their calls through
// (promises 20 and 21). A [Transport] is an [http.RoundTripper] that adds, from
// the outside in:
//
//   - retry with full jitter and an obeyed, capped Retry-After, as far as the
//     call's [Policy] allows;
//   - an adaptive limit of the attempts in flight per host;
//   - a circuit breaker per peer;
//   - a time limit per attempt that includes reading the body, and a limit on
//     the size of the body.
//
// # What the caller can rely on
//
// When retries end, the caller gets the last answer with its body, whatever its
// status, or an [*Error]. An attempt ends, and gives its slot back, when its body
// has been read to the end or closed: a body that is neither keeps the slot for
// ever.
//
// An outcome that is unknown stays visible: [Error.NotSent] is true only if none
// of the call's attempts can have reached the peer. A call under [Once] is never
// repeated unless the peer provably did not work on it.
//
// A body that breaks off while the caller reads it is reported by Read as an
// [*Error]; it is not retried here, since part of it has been used already.
//
// The text of an error holds peer, method, path and kind, never a query, header
// or body. [http.Client] wraps every error in a [*url.Error], whose text holds the
// query: clients take that off with [Plain].
//
// # Why retry, breaker and limit are written here
//
// failsafe-go's pieces do not fit, for these reasons (v0.9.8). Its HTTP retry
// reads request bodies whole instead of asking GetBody, knows Retry-After in
// seconds only and without a cap, jitters around a delay instead of below it, and
// leaves the bodies of abandoned answers open. Its breaker has no way to return
// the permit of a trial call whose caller went away, and then refuses every call
// for ever; it also takes the late failure of an older call for that of the trial
// call. Its adaptive limiter goes by latency alone: it takes a change from cheap to
// expensive calls for overload (from 50 to 39 when 20 ms became 400 ms), and does
// not hear a 429.
package httpx

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// Config configures a [Transport]. Only Peer is required.
type Config struct {
	// Peer names the other side in errors, logs and metrics: "magento" or
	// "copernica".
	Peer string
	// Base makes the attempts. The default is a new [http.Transport] that verifies
	// certificates, takes the proxy from the environment, speaks HTTP/1.1 and
	// keeps Concurrency idle connections per host.
	Base http.RoundTripper
	// RootCAs are the authorities that the default Base trusts; nil means the
	// system's. It cannot be combined with Base.
	RootCAs *x509.CertPool
	// CAHint names the setting that adds an authority (SYNCD_MAGENTO_CA_BUNDLE),
	// for the error about a certificate of an unknown one.
	CAHint string
	// AttemptTimeout is the longest that one attempt may take, from its slot to the
	// last byte of the body. The default is 60 s.
	AttemptTimeout time.Duration
	// Retries is the number of further attempts of a call that may be repeated.
	// The default is 4; negative means none.
	Retries int
	// MinBackoff and MaxBackoff bound the ceiling of the wait before a further
	// attempt: it starts at MinBackoff, doubles with each attempt and stops at
	// MaxBackoff. The wait is random between 0 and the ceiling (full jitter).
	// The defaults are 500 ms and 30 s.
	MinBackoff, MaxBackoff time.Duration
	// MaxRetryAfter is the longest wait that a Retry-After header can ask for; a
	// longer one is cut to it. The default is 2 minutes.
	MaxRetryAfter time.Duration
	// MaxBody is the most bytes of an answer that can be read, after
	// decompression; a longer one makes Read fail with a [*BodyTooLargeError].
	// The default is 64 MiB.
	MaxBody int64
	// Concurrency is the ceiling, and the first value, of the limit on attempts
	// in flight to one host. The default is 4.
	Concurrency int
	// BreakerFailures is the number of failures in a row that open the breaker.
	// The default is 10.
	BreakerFailures int
	// BreakerPause is the time the breaker stays open before it lets one call
	// through to try the peer. The default is 30 s.
	BreakerPause time.Duration
	// Now is the clock behind latencies, the breaker and Retry-After dates. The
	// default is [time.Now].
	Now func() time.Time
	// Rand returns a random number in [0, 1). It must be safe for concurrent use.
	// The default is [rand.Float64].
	Rand func() float64
	// Log receives changes of the breaker (warn, info), retries and changes of the
	// limit (debug). The default discards them.
	Log *slog.Logger
}

// Transport is the chain. It is safe for concurrent use.
type Transport struct {
	cfg     Config
	breaker *breaker
	stats   counters

	mu    sync.RWMutex
	hosts map[string]*limiter // by URL host; a peer has one or two
}

var _ http.RoundTripper = (*Transport)(nil)

// New returns a chain for one peer.
func New(cfg Config) (*Transport, error) {
	if cfg.Peer == "" {
		return nil, fmt.Errorf("httpx: the peer has no name")
	}
	if cfg.Base != nil && cfg.RootCAs != nil {
		return nil, fmt.Errorf("httpx: %s: RootCAs has no effect on a Base of one's own", cfg.Peer)
	}
	setDefault(&cfg.AttemptTimeout, 60*time.Second)
	setDefault(&cfg.MinBackoff, 500*time.Millisecond)
	setDefault(&cfg.MaxBackoff, 30*time.Second)
	setDefault(&cfg.MaxRetryAfter, 2*time.Minute)
	setDefault(&cfg.MaxBody, 64<<20)
	setDefault(&cfg.Concurrency, 4)
	setDefault(&cfg.BreakerFailures, 10)
	setDefault(&cfg.BreakerPause, 30*time.Second)
	if cfg.AttemptTimeout < 0 || cfg.MinBackoff < 0 || cfg.MaxRetryAfter < 0 || cfg.MaxBody < 0 ||
		cfg.Concurrency < 0 || cfg.BreakerFailures < 0 || cfg.BreakerPause < 0 {
		return nil, fmt.Errorf("httpx: %s: a limit is negative", cfg.Peer)
	}
	if cfg.MaxBackoff < cfg.MinBackoff {
		return nil, fmt.Errorf("httpx: %s: MaxBackoff %s is below MinBackoff %s", cfg.Peer, cfg.MaxBackoff, cfg.MinBackoff)
	}
	switch {
	case cfg.Retries == 0:
		cfg.Retries = 4
	case cfg.Retries < 0:
		cfg.Retries = 0
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Log = cfg.Log.With("peer", cfg.Peer)
	if cfg.Base == nil {
		cfg.Base = newBase(cfg)
	}
	return &Transport{
		cfg:     cfg,
		breaker: &breaker{threshold: cfg.BreakerFailures, pause: cfg.BreakerPause, now: cfg.Now},
		hosts:   make(map[string]*limiter),
	}, nil
}

// CloseIdleConnections closes the connections that no attempt uses.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.cfg.Base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// newBase returns the transport under the chain.
func newBase(cfg Config) *http.Transport {
	// The dialer gives up well before the attempt does, so that a peer that does
	// not accept connections yields an error that proves nothing was sent.
	dialer := &net.Dialer{Timeout: min(10*time.Second, cfg.AttemptTimeout/2), KeepAlive: 15 * time.Second}
	// HTTP/2 would put all calls on one connection: when that one dies silently,
	// every call on it waits for its time-out, and so does every retry.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		// Without it the status of a proxy that refuses is lost.
		OnProxyConnectResponse: onConnect,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    min(10*time.Second, cfg.AttemptTimeout/2),
		Protocols:              protocols,
		MaxIdleConnsPerHost:    cfg.Concurrency,
		// Below the 5 s after which an Apache closes an idle connection: a write
		// that crosses such a close has an unknown outcome and costs a look-up.
		IdleConnTimeout:        4 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	}
}

// limiter returns the limiter of a URL's host.
func (t *Transport) limiter(host string) *limiter {
	t.mu.RLock()
	l := t.hosts[host]
	t.mu.RUnlock()
	if l != nil {
		return l
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if l = t.hosts[host]; l == nil {
		l = newLimiter(t.cfg.Concurrency)
		t.hosts[host] = l
	}
	return l
}

// sleep waits for d or until ctx is done, which it reports.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
