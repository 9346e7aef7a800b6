package httpx_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
)

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		size     int
		declared int64
		ok       bool
	}{
		{"empty", 0, -1, true},
		{"below", 99, -1, true},
		{"exactly", 100, -1, true},
		{"exactly, declared", 100, 100, true},
		{"one more", 101, -1, false},
		{"far more", 5000, -1, false},
		{"declared", 5000, 5000, false},
	} {
		for name, slice := range map[string]func(io.Reader) io.Reader{
			"whole":  func(r io.Reader) io.Reader { return r },
			"bytes":  iotest.OneByteReader,
			"eof":    iotest.DataErrReader,
			"halves": iotest.HalfReader,
		} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				t.Parallel()
				base := &script{steps: []step{func(*http.Request) (*http.Response, error) {
					r := slice(strings.NewReader(strings.Repeat("x", c.size)))
					return &http.Response{StatusCode: 200, ContentLength: c.declared, Body: io.NopCloser(r)}, nil
				}}}
				tr := chain(t, httpx.Config{Base: base, MaxBody: 100})
				_, body, err := fetch(tr, request(t, t.Context(), "GET", address, ""))
				if c.ok && (err != nil || len(body) != c.size) {
					t.Errorf("%d bytes, %v", len(body), err)
				}
				if !c.ok {
					e, ok := errors.AsType[*httpx.BodyTooLargeError](err)
					if !ok || e.Limit != 100 || fault.ClassOf(err) != fault.Retry || fault.NotSent(err) {
						t.Errorf("got %v", err)
					}
					if c.declared > 0 && body != "" {
						t.Errorf("%d bytes of a body that was declared too large", len(body))
					}
					if len(body) > 100 || base.attempts() != 1 {
						t.Errorf("%d bytes, %d attempts", len(body), base.attempts())
					}
					if text := e.Error(); strings.Contains(text, "hidden") || !strings.Contains(text, "100 bytes") {
						t.Errorf("text %q", text)
					}
					if n := tr.Stats().Failures[httpx.KindTooLarge]; n != 1 {
						t.Errorf("%d counted", n)
					}
				}
				settled(t, tr, base)
			})
		}
	}
}

func TestAttemptTimeoutIncludesTheBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &script{steps: []step{trickle(200, "partial")}}
		tr := chain(t, httpx.Config{Base: base, AttemptTimeout: 10 * time.Second})
		began := time.Now()
		_, body, err := fetch(tr, request(t, t.Context(), "GET", address, ""))
		if e := typed(t, err); e.Kind != httpx.KindTimeout || e.NotSent() || !e.Timeout() {
			t.Errorf("got %v", err)
		}
		if d := time.Since(began); d != 10*time.Second || body != "partial" || base.attempts() != 1 {
			t.Errorf("after %s with %q and %d attempts", d, body, base.attempts())
		}
		if s := tr.Stats(); s.Limit != 2 || s.Failures[httpx.KindTimeout] != 1 {
			t.Errorf("limit %d, %v: a time-out in the body halves", s.Limit, s.Failures)
		}
		settled(t, tr, base)
	})
}

func TestTimeInTheQueueIsNotTheAttemptsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		peer := &crowd{latency: func() time.Duration { return 8 * time.Second }}
		peer.capacity.Store(1)
		tr := chain(t, httpx.Config{Base: peer, Concurrency: 1, AttemptTimeout: 10 * time.Second})
		callers(t, tr, 3, time.Second)
		if s := tr.Stats(); len(s.Failures) != 0 || s.Calls != 3 {
			t.Errorf("%d calls, failures %v", s.Calls, s.Failures)
		}
	})
}

func TestBodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{"reset": reset(), "cut short": io.ErrUnexpectedEOF} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := &script{steps: []step{func(*http.Request) (*http.Response, error) {
				r := io.MultiReader(strings.NewReader(`{"items":[`), iotest.ErrReader(cause))
				return &http.Response{StatusCode: 200, ContentLength: -1, Body: io.NopCloser(r)}, nil
			}}}
			tr := chain(t, httpx.Config{Base: base})
			_, body, err := fetch(tr, request(t, t.Context(), "GET", address, ""))
			e := typed(t, err)
			if e.Kind != httpx.KindBroken || fault.ClassOf(err) != fault.Retry || e.NotSent() || !errors.Is(err, cause) {
				t.Errorf("got %v", err)
			}
			if body != `{"items":[` || base.attempts() != 1 {
				t.Errorf("%q, %d attempts", body, base.attempts())
			}
			settled(t, tr, base)
		})
	}
}

func TestReadErrorStays(t *testing.T) {
	t.Parallel()
	base := &script{steps: []step{func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, ContentLength: -1, Body: io.NopCloser(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("abc"))))}, nil
	}}}
	tr := chain(t, httpx.Config{Base: base})
	resp, err := tr.RoundTrip(request(t, t.Context(), "GET", address, ""))
	if err != nil {
		t.Fatal(err)
	}
	_, first := io.ReadAll(resp.Body)
	_, second := io.ReadAll(resp.Body)
	if first == nil || first != second { //nolint:errorlint // the very same error
		t.Errorf("read %v, then %v", first, second)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	settled(t, tr, base)
}

func TestSlotIsHeldUntilTheBodyEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*http.Response) error{
		"read to the end": func(r *http.Response) error { _, err := io.ReadAll(r.Body); return err },
		"closed early":    func(r *http.Response) error { return r.Body.Close() },
		"closed twice":    func(r *http.Response) error { return errors.Join(r.Body.Close(), r.Body.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := &script{steps: []step{answer(200, "body")}}
			tr := chain(t, httpx.Config{Base: base})
			resp, err := tr.RoundTrip(request(t, t.Context(), "GET", address, ""))
			if err != nil {
				t.Fatal(err)
			}
			if n := tr.Stats().InFlight; n != 1 {
				t.Errorf("%d in flight before the body was read", n)
			}
			if err := end(resp); err != nil {
				t.Error(err)
			}
			s := tr.Stats()
			if s.InFlight != 0 || s.Latency.Count != 1 {
				t.Errorf("%d in flight, %d latencies after it", s.InFlight, s.Latency.Count)
			}
			_ = resp.Body.Close() // a second time is harmless
		})
	}
}

func TestAnswersWithoutABodyEndAtOnce(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]io.ReadCloser{"no body": http.NoBody, "nil": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := &script{steps: []step{func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 204, Body: body}, nil
			}}}
			tr := chain(t, httpx.Config{Base: base})
			req := request(t, t.Context(), "PUT", address, "x")
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if tr.Stats().InFlight != 0 || resp.Body == nil || resp.Request != req {
				t.Errorf("%d in flight, body %v", tr.Stats().InFlight, resp.Body)
			}
			_ = resp.Body.Close()
		})
	}
}

func TestBodiesOfRetriedAnswersAreDrainedWithinBounds(t *testing.T) {
	t.Parallel()
	read := func(n *int, r io.Reader) io.Reader {
		return readerFunc(func(p []byte) (int, error) {
			k, err := r.Read(p)
			*n += k
			return k, err
		})
	}
	for _, c := range []struct {
		name     string
		size     int
		min, max int
	}{
		{"small", 1000, 1000, 1000},
		{"huge", 1 << 20, 64 << 10, 64<<10 + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n int
				base := &script{steps: []step{func(*http.Request) (*http.Response, error) {
					r := read(&n, strings.NewReader(strings.Repeat("x", c.size)))
					return &http.Response{StatusCode: 503, ContentLength: -1, Body: io.NopCloser(r)}, nil
				}, answer(200, "")}}
				tr := chain(t, httpx.Config{Base: base})
				if status, _, err := fetch(tr, request(t, t.Context(), "GET", address, "")); status != 200 || err != nil {
					t.Errorf("got %d, %v", status, err)
				}
				if n < c.min || n > c.max {
					t.Errorf("read %d bytes of the retried answer", n)
				}
				settled(t, tr, base)
			})
		})
	}
	t.Run("hanging", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			base := &script{steps: []step{trickle(503, "busy"), answer(200, "ok")}}
			tr := chain(t, httpx.Config{Base: base, Rand: func() float64 { return 0 }})
			began := time.Now()
			if status, _, err := fetch(tr, request(t, t.Context(), "GET", address, "")); status != 200 || err != nil {
				t.Errorf("got %d, %v", status, err)
			}
			if d := time.Since(began); d != time.Second {
				t.Errorf("the body of a retried answer held the call up for %s", d)
			}
			settled(t, tr, base)
		})
	})
}

func TestCancelingWhileTheBodyIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &script{steps: []step{trickle(200, "partial")}}
		tr := chain(t, httpx.Config{Base: base})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, _, err := fetch(tr, request(t, ctx, "GET", address, ""))
		if e := typed(t, err); e.Kind != httpx.KindCanceled || !errors.Is(err, context.Canceled) || e.NotSent() {
			t.Errorf("got %v", err)
		}
		if s := tr.Stats(); s.Limit != 4 {
			t.Errorf("limit %d", s.Limit)
		}
		settled(t, tr, base)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
