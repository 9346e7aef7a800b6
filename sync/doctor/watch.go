package doctor

import (
	"net/http"
	"sync"
	"time"
)

// Watch is a RoundTripper that notes what answers tell beside their content: the clock
// of who answers, and how long its certificate is good. It stands before the chain of
// internal/httpx and changes nothing. It is safe for concurrent use.
type Watch struct {
	base http.RoundTripper
	now  func() time.Time

	mu      sync.Mutex
	offset  time.Duration
	dated   bool
	expires time.Time
}

// NewWatch watches the answers of base; now is this machine's clock.
func NewWatch(base http.RoundTripper, now func() time.Time) *Watch {
	return &Watch{base: base, now: now}
}

// RoundTrip implements http.RoundTripper.
func (w *Watch) RoundTrip(req *http.Request) (*http.Response, error) {
	asked := w.now()
	resp, err := w.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	w.note(resp, asked, w.now())
	return resp, nil
}

func (w *Watch) note(resp *http.Response, asked, answered time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		if end := resp.TLS.PeerCertificates[0].NotAfter; w.expires.IsZero() || end.Before(w.expires) {
			w.expires = end
		}
	}
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil || resp.Header.Get("Age") != "" {
		return // a cache repeats the date of the answer it keeps
	}
	// The date stands for a second of which half has gone on average, and was set at
	// some time between question and answer.
	date = date.Add(500 * time.Millisecond)
	offset := time.Duration(0)
	switch {
	case date.Before(asked.Add(-500 * time.Millisecond)):
		offset = date.Sub(asked)
	case date.After(answered.Add(500 * time.Millisecond)):
		offset = date.Sub(answered)
	}
	// The answer that came fastest tells most, and each bounds the others.
	if !w.dated || offset.Abs() < w.offset.Abs() {
		w.offset, w.dated = offset, true
	}
}

// Clock returns how far the peer's clock is ahead of this machine's; false means that
// no answer told the time.
func (w *Watch) Clock() (ahead time.Duration, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.offset, w.dated
}

// CertificateEnd returns when the first of the certificates seen runs out, zero without
// any.
func (w *Watch) CertificateEnd() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.expires
}
