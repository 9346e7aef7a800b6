package main

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// front stands before a peer, notes the credentials that pass and can be told to
// behave as something else.
type front struct {
	url  string
	mask atomic.Pointer[http.Handler]
	each atomic.Pointer[func()] // called at each request

	mu      sync.Mutex
	secrets map[string]bool
}

// show puts a handler in the peer's place; nil takes it away.
func (f *front) show(h http.Handler) {
	if h == nil {
		f.mask.Store(nil)
		return
	}
	f.mask.Store(&h)
}

func serveFront(t *testing.T, peer http.Handler) *front {
	t.Helper()
	f := &front{secrets: map[string]bool{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
			f.mu.Lock()
			f.secrets[token] = true
			f.mu.Unlock()
		}
		if each := f.each.Load(); each != nil {
			(*each)()
		}
		if h := f.mask.Load(); h != nil {
			(*h).ServeHTTP(w, r)
			return
		}
		peer.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// rewritten passes calls on to a peer and changes what it answers.
func rewritten(peer http.Handler, change func(r *http.Request, body []byte) []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Accept-Encoding")
		rec := httptest.NewRecorder()
		peer.ServeHTTP(rec, r)
		body := change(r, rec.Body.Bytes())
		maps.Copy(w.Header(), rec.Header())
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(rec.Code)
		_, _ = w.Write(body)
	})
}

// page answers every call with an HTML page.
func page(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<!doctype html>\n<html><head><title>Welcome</title></head><body>Welcome</body></html>\n")
	})
}

// lockedBuffer is a buffer that a test may read while a command writes.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
