package magento

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/go-resty/resty/v2"
)

const (
	// maxBody bounds an answer. A page of 1,000 full customers is under 1 MiB.
	maxBody = 64 << 20
	// maxDrain is how much of an unread answer is read to keep the connection.
	maxDrain = 256 << 10
)

// session is one visitor of the shop: a resty client with a cookie jar of its own.
// PHP locks a session for the length of a request, so only one request at a time
// may use it.
type session struct {
	rest  *resty.Client
	clock *clock
}

// newSession returns a session without a cookie; the shop's first answer sets it.
func (c *Client) newSession() *session { return c.newSessionOver(c.calls) }

func (c *Client) newSessionOver(transport http.RoundTripper) *session {
	rest := resty.NewWithClient(&http.Client{
		Transport: transport,
		Jar:       &jar{},
		// A redirect means a wrong address, and following it could carry the token elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
	// resty logs failed calls with their URL; errors are returned here instead.
	rest.SetLogger(silent{})
	rest.SetHeader("Accept", "application/json")
	rest.SetHeader("User-Agent", c.cfg.UserAgent)
	return &session{rest: rest, clock: c.clock}
}

// single lends a session to one single read and returns what gives it back.
func (c *Client) single(ctx context.Context) (*session, func(error), error) {
	select {
	case s := <-c.singles:
		return s, func(err error) {
			if spoilt(err) {
				s = c.newSession()
			}
			c.singles <- s
		}, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// spoilt reports whether the shop may still be at work on the request that ended
// with err: its session stays locked, so it is left to expire.
func spoilt(err error) bool {
	if err == nil {
		return false
	}
	e, ok := errors.AsType[*Error](err)
	return !ok || e.Status == 0 || e.Shape == ShapeCut || e.Status >= 500
}

// sessionStack keeps idle sessions of finished walks, so that a walk a minute does
// not leave a session row a minute.
type sessionStack struct {
	mu   sync.Mutex
	idle []*session
}

func (s *sessionStack) take() *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) == 0 {
		return nil
	}
	last := s.idle[len(s.idle)-1]
	s.idle = s.idle[:len(s.idle)-1]
	return last
}

func (s *sessionStack) give(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, one)
}

// send makes one request and returns the raw answer, whose body the caller closes
// through [finish]. The error never carries the URL.
func (s *session) send(ctx context.Context, method, address, token string, body any) (*http.Response, error) {
	r := s.rest.R().SetContext(ctx).SetDoNotParseResponse(true)
	if token != "" {
		r.SetAuthToken(token)
	}
	if body != nil {
		r.SetHeader("Content-Type", "application/json").SetBody(body)
	}
	resp, err := r.Execute(method, address)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return nil, err
	}
	s.clock.observe(resp.RawResponse.Header)
	return resp.RawResponse, nil
}

// finish drains and closes an answer, so that its connection can be used again.
func finish(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
	_ = resp.Body.Close()
}

// content returns the answer's bounded body, unpacked when the transport did not do
// that itself.
func content(resp *http.Response) (io.Reader, error) {
	body := io.LimitReader(resp.Body, maxBody)
	if !strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		return body, nil
	}
	unpacked, err := gzip.NewReader(body)
	if err != nil {
		return nil, err
	}
	return io.LimitReader(unpacked, maxBody), nil
}

// jar keeps the cookies of one host by name. Unlike net/http/cookiejar it ignores
// their domain: a shop reached by an internal name sets cookies for its public one,
// and they go nowhere else, because redirects are not followed.
type jar struct {
	mu      sync.Mutex
	cookies []*http.Cookie
}

// SetCookies implements http.CookieJar.
func (j *jar) SetCookies(_ *url.URL, cookies []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range cookies {
		kept := j.cookies[:0:0]
		for _, old := range j.cookies {
			if old.Name != c.Name {
				kept = append(kept, old)
			}
		}
		if c.MaxAge >= 0 && c.Value != "" {
			kept = append(kept, &http.Cookie{Name: c.Name, Value: c.Value}) //nolint:gosec // a cookie sent back has a name and a value only
		}
		j.cookies = kept
	}
}

// Cookies implements http.CookieJar.
func (j *jar) Cookies(*url.URL) []*http.Cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.cookies
}

type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}
