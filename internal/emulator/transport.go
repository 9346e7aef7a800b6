package emulator

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"syscall"
)

// Transport returns a RoundTripper that hands requests to h in this process.
//
// It behaves as a connection does: the answer streams while h writes it, a
// caller's context ends the call at any point, h sees its request's context end
// when the caller leaves, and [http.ErrAbortHandler] is a connection reset before
// the answer and an unexpected end within it. It uses channels and timers only,
// so it works in a synctest bubble. Any other panic of h ends the process.
func Transport(h http.Handler) http.RoundTripper { return &transport{handler: h} }

type transport struct{ handler http.Handler }

// errReset is what a caller gets when the connection breaks before the answer.
var errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := context.Cause(ctx); err != nil {
		closeBody(req.Body)
		return nil, err
	}
	served, leave := context.WithCancel(context.WithoutCancel(ctx))
	in := req.Clone(served)
	in.URL = &url.URL{Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery}
	in.RequestURI = req.URL.RequestURI()
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	in.RemoteAddr = "192.0.2.1:40000"
	if in.Body == nil {
		in.Body = http.NoBody
	}

	pr, pw := io.Pipe()
	w := &pipeWriter{out: pw, header: http.Header{}, head: req.Method == http.MethodHead, began: make(chan struct{})}
	// A caller that gives up while the body streams gets its own error from it.
	release := context.AfterFunc(ctx, func() {
		leave()
		pw.CloseWithError(context.Cause(ctx))
	})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		defer closeBody(req.Body)
		defer func() {
			switch v := recover(); v {
			case nil:
				w.WriteHeader(http.StatusOK)
				_ = pw.Close()
			case http.ErrAbortHandler:
				pw.CloseWithError(io.ErrUnexpectedEOF)
			default:
				panic(v)
			}
		}()
		t.handler.ServeHTTP(w, in)
	}()

	fail := func(err error) (*http.Response, error) {
		release()
		leave()
		return nil, err
	}
	select {
	case <-w.began:
	case <-ctx.Done():
		return fail(context.Cause(ctx))
	case <-gone:
		select {
		case <-w.began:
		default:
			return fail(errReset)
		}
	}
	return w.response(req, &body{PipeReader: pr, done: func() { release(); leave() }}), nil
}

func closeBody(b io.Closer) {
	if b != nil {
		_ = b.Close()
	}
}

// body is the caller's end of the answer. Closing it tells the handler that
// nobody listens.
type body struct {
	*io.PipeReader
	done func()
}

func (b *body) Close() error {
	b.done()
	return b.PipeReader.Close()
}

// pipeWriter is the handler's end of the answer. A write waits for the caller to read
// it, so a handler must not hold a lock while it writes.
type pipeWriter struct {
	out    *io.PipeWriter
	header http.Header
	head   bool

	once   sync.Once
	began  chan struct{}
	status int
	sent   http.Header
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.began)
	})
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	if w.sent == nil && w.header.Get("Content-Type") == "" {
		w.header.Set("Content-Type", http.DetectContentType(p))
	}
	w.WriteHeader(http.StatusOK)
	switch {
	case w.status == http.StatusNoContent || w.status == http.StatusNotModified:
		return 0, http.ErrBodyNotAllowed
	case w.head:
		return len(p), nil
	}
	return w.out.Write(p)
}

// Flush does nothing: what is written is sent.
func (w *pipeWriter) Flush() {}

func (w *pipeWriter) response(req *http.Request, b io.ReadCloser) *http.Response {
	length := int64(-1)
	if n, err := strconv.ParseInt(w.sent.Get("Content-Length"), 10, 64); err == nil {
		length = n
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: b, ContentLength: length, Request: req,
	}
}
