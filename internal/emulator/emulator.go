// Package emulator holds what the emulated peers share: faults on demand, a log
// of the requests they saw, and a transport that reaches a handler without a
// socket.
//
// It is part of the independent witness and therefore imports nothing of the
// clients, the engine or the state.
//
// # Faults
//
// A [Fault] says which calls go wrong and how. With After set the call is worked
// first and its answer spoilt: this is how an unknown outcome comes about, the
// write stands but the caller cannot know. Without it the call never reaches the
// handler.
//
// # In memory and over TCP
//
// [Wrap] behaves the same behind a real server and behind [Transport]: a reset, a
// cut or a hanging answer ends in an error of the same kind on both. The
// transport opens no socket, so that a synctest bubble's clock advances past
// delays and hanging calls.
package emulator

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Wrap returns h as seen through faults, with each request noted in log and the
// Date header taken from now. faults and log may be nil; now is time.Now if nil.
//
// A request is noted when its answer begins, before the caller sees a byte of it:
// whoever holds an answer finds its request in the log.
func Wrap(h http.Handler, faults *Faults, log *Log, now func() time.Time) http.Handler {
	if now == nil {
		now = time.Now
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lw := &loggedWriter{ResponseWriter: w, log: log, entry: newRequest(r, now())}
		w.Header().Set("Date", now().UTC().Format(http.TimeFormat))
		defer lw.note(0)

		fault, ok := faults.take(r)
		if !ok {
			h.ServeHTTP(lw, r)
			if !lw.noted {
				lw.WriteHeader(http.StatusOK)
			}
			return
		}
		lw.entry.Fault = fault.Name
		if lw.entry.Fault == "" {
			lw.entry.Fault = fault.Kind.String()
		}
		fault.serve(lw, r, h)
	})
}

// serve answers r as the fault says.
func (f Fault) serve(w *loggedWriter, r *http.Request, h http.Handler) {
	// A server sees its client leave only once the body has been read.
	sent, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(sent))

	switch {
	case f.Kind == Delay && f.After:
		answer := record(h, r)
		wait(r, f.Delay)
		answer.copyTo(w, len(answer.body.Bytes()))
		return
	case f.Kind == Delay:
		wait(r, f.Delay)
		h.ServeHTTP(w, r)
		if !w.noted {
			w.WriteHeader(http.StatusOK)
		}
		return
	case f.Kind == Truncate:
		answer := record(h, r)
		size := answer.body.Len()
		w.Header().Set("Content-Length", strconv.Itoa(max(size, 1)))
		answer.copyTo(w, size/2)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}

	if f.After {
		record(h, r)
	}
	switch f.Kind {
	case Reset:
		w.note(0)
		reset(w)
	case Hang:
		w.note(0)
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	default:
		f.answer(w)
	}
}

// answer writes the fault's own status, header and body.
func (f Fault) answer(w http.ResponseWriter) {
	status, body := f.Status, f.Body
	if f.Kind == HTML {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		if status == 0 {
			status = http.StatusOK
		}
		if body == "" {
			body = "<!doctype html>\n<html><head><title>One moment please</title></head><body><h1>One moment please</h1></body></html>\n"
		}
	}
	if status == 0 {
		status = http.StatusInternalServerError
	}
	for name, values := range f.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// reset ends the connection without an answer. Over TCP the peer gets an RST.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = over.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// Wait pauses for d, or until ctx ends, which it reports as false.
func Wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// wait pauses for d; a caller that gave up meanwhile ends the call there.
func wait(r *http.Request, d time.Duration) {
	if !Wait(r.Context(), d) {
		panic(http.ErrAbortHandler)
	}
}

// recorder keeps an answer instead of sending it.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// record lets h work on r and returns its answer.
func record(h http.Handler, r *http.Request) *recorder {
	rec := &recorder{header: http.Header{}}
	h.ServeHTTP(rec, r)
	return rec
}

func (rec *recorder) Header() http.Header { return rec.header }

func (rec *recorder) WriteHeader(status int) {
	if rec.status == 0 {
		rec.status = status
	}
}

func (rec *recorder) Write(p []byte) (int, error) {
	rec.WriteHeader(http.StatusOK)
	return rec.body.Write(p)
}

// copyTo sends the kept answer with the first n bytes of its body.
func (rec *recorder) copyTo(w http.ResponseWriter, n int) {
	for name, values := range rec.header {
		if name != "Content-Length" || w.Header().Get(name) == "" {
			w.Header()[name] = values
		}
	}
	rec.WriteHeader(http.StatusOK)
	w.WriteHeader(rec.status)
	_, _ = w.Write(rec.body.Bytes()[:n])
}
