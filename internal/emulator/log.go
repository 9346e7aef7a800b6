package emulator

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// keep is how many requests a log remembers: enough to explain a failing test,
// constant in a run of a hundred thousand customers.
const keep = 1024

// Request is what the log remembers of a call. It holds no header and no body.
type Request struct {
	Time   time.Time
	Method string
	Path   string
	Query  string // as sent, the values of secrets masked
	Status int    // 0: the call ended without an answer
	Fault  string // name of the fault that spoilt it, "" if none
	Body   int64  // length of the request's body in bytes, -1 if unknown
}

// Log counts all requests and remembers the latest thousand. Its zero value is
// ready; a nil one notes nothing.
type Log struct {
	mu     sync.Mutex
	total  int64
	ring   []Request
	next   int
	counts map[string]int64
}

// Total returns how many requests were answered or spoilt so far.
func (l *Log) Total() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// Recent returns the latest requests, oldest first.
func (l *Log) Recent() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(slices.Clone(l.ring[l.next:]), l.ring[:l.next]...)
}

// Counts returns the number of requests by "METHOD path", numbers in the path
// written as {id}. It is exact whatever the number of requests.
func (l *Log) Counts() map[string]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}

// Reset forgets everything.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total, l.ring, l.next, l.counts = 0, nil, 0, nil
}

func (l *Log) add(r Request) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	if l.counts == nil {
		l.counts = map[string]int64{}
	}
	l.counts[r.Method+" "+pattern(r.Path)]++
	if len(l.ring) < keep {
		l.ring = append(l.ring, r)
		return
	}
	l.ring[l.next] = r
	l.next = (l.next + 1) % keep
}

func newRequest(r *http.Request, now time.Time) Request {
	return Request{Time: now, Method: r.Method, Path: r.URL.Path, Query: maskQuery(r.URL.RawQuery), Body: r.ContentLength}
}

// pattern writes the numbers among a path's segments as {id}.
func pattern(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			parts[i] = "{id}"
		}
	}
	return strings.Join(parts, "/")
}

// maskQuery hides the values of parameters that carry secrets.
func maskQuery(raw string) string {
	if raw == "" {
		return ""
	}
	parts := strings.Split(raw, "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil || secretName(strings.ToLower(plain)) {
			parts[i] = name + "=***"
		}
	}
	return strings.Join(parts, "&")
}

func secretName(name string) bool {
	return name == "code" || slices.ContainsFunc([]string{"token", "secret", "password", "signature"},
		func(word string) bool { return strings.Contains(name, word) })
}

// loggedWriter notes the request when its answer begins.
type loggedWriter struct {
	http.ResponseWriter
	log   *Log
	entry Request
	noted bool
}

func (w *loggedWriter) note(status int) {
	if w.noted {
		return
	}
	w.noted = true
	w.entry.Status = status
	w.log.add(w.entry)
}

func (w *loggedWriter) WriteHeader(status int) {
	w.note(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *loggedWriter) Write(p []byte) (int, error) {
	w.note(http.StatusOK)
	return w.ResponseWriter.Write(p)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (w *loggedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
