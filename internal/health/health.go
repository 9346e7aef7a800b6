// Package health answers over HTTP how a daemon is: /healthz, /readyz and /metrics.
//
// Health is freshness (promise 24): /healthz says that the process lives and nothing
// else, so that nobody restarts it because a peer is down; /readyz turns red when a
// stream is staler than its promise. Only GET and HEAD are answered, nothing can be
// changed here, and nothing that is shown is a secret or about a person.
package health

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Snapshot is how things stand at one moment.
type Snapshot struct {
	Problem string // why the rest is not known, in words for an operator; empty: it is
	Streams []Stream
	Letters map[string]int64 // open dead letters by cause
	Rows    []Rows           // of the ledger
	OptOuts map[string]int64 // made in Copernica and settled, by where they were made
	Lease   bool             // this process holds the writer lease
	Peers   []Peer
}

// Stream is how fresh a stream is.
type Stream struct {
	Name    string
	Horizon time.Time     // Copernica has every change before it, UTC; zero before the first finished pass
	Lag     time.Duration // from Horizon to now, both on the shop's clock
	MaxLag  time.Duration // what is promised
}

// Late returns by how much a stream is staler than promised; a stream whose first
// pass has not finished is late by an unknown time.
func (s Stream) Late() (by time.Duration, late bool) {
	if s.Horizon.IsZero() {
		return 0, true
	}
	return max(s.Lag-s.MaxLag, 0), s.Lag > s.MaxLag
}

// Rows counts the ledger's rows of one entity in one state.
type Rows struct {
	Entity, State string
	Count         int64
}

// Peer is what was exchanged with a peer since this process, or its settings, began.
type Peer struct {
	Name           string
	Calls, Retries int64
	Failures       map[string]int64 // by kind
	InFlight       int
	Breaker        string // closed, open or half_open
}

// Config of a Handler. Source is required; the zero value of anything else is its
// default.
type Config struct {
	// Source says how things stand. It is asked by one request at a time, and given
	// Limit to answer.
	Source func(ctx context.Context) Snapshot
	// Fresh is how long an answer serves further requests, so that nobody keeps the
	// state busy by asking. Default 1 s, negative: not at all.
	Fresh time.Duration
	// Limit is the most time for an answer. Default 5 s.
	Limit time.Duration

	Now func() time.Time
	Log *slog.Logger // requests that could not be answered
}

// Handler answers. It is safe for concurrent use.
type Handler struct {
	cfg   Config
	mux   *http.ServeMux
	began time.Time

	// Work counts what the streams did. It belongs to the caller.
	Work *Work

	asking chan struct{} // taken while Source is asked
	mu     sync.Mutex
	last   Snapshot
	asked  time.Time // zero: never
}

// New returns a Handler.
func New(cfg Config) (*Handler, error) {
	if cfg.Source == nil {
		return nil, errors.New("health: a source is required")
	}
	if cfg.Fresh == 0 {
		cfg.Fresh = time.Second
	}
	if cfg.Limit <= 0 {
		cfg.Limit = 5 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{
		cfg: cfg, mux: http.NewServeMux(), began: cfg.Now(),
		Work: &Work{streams: map[string]*streamWork{}}, asking: make(chan struct{}, 1),
	}
	// A pattern for GET takes HEAD too, and the others get 405.
	h.mux.HandleFunc("GET /healthz", h.healthz)
	h.mux.HandleFunc("GET /readyz", h.readyz)
	h.mux.HandleFunc("GET /metrics", h.metrics)
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	h.mux.ServeHTTP(w, r)
}

// Server returns a server for the handler, with limits that a slow or greedy caller
// meets.
func (h *Handler) Server() *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		// OPTIONS * is refused like every other method.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(h.cfg.Log.Handler(), slog.LevelDebug),
	}
}

// snapshot returns how things stand, or stood a moment ago.
func (h *Handler) snapshot(ctx context.Context) Snapshot {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Limit)
	defer cancel()
	select {
	case h.asking <- struct{}{}:
		defer func() { <-h.asking }()
	case <-ctx.Done():
		return Snapshot{Problem: "the state does not answer"}
	}
	h.mu.Lock()
	last, asked := h.last, h.asked
	h.mu.Unlock()
	now := h.cfg.Now()
	if age := now.Sub(asked); !asked.IsZero() && age >= 0 && age < h.cfg.Fresh {
		return last
	}
	// The answer is kept for others, who may have more patience than who asked first.
	all, end := context.WithTimeout(context.WithoutCancel(ctx), h.cfg.Limit)
	defer end()
	last = h.cfg.Source(all)
	h.mu.Lock()
	h.last, h.asked = last, now
	h.mu.Unlock()
	return last
}

func (h *Handler) healthz(w http.ResponseWriter, _ *http.Request) {
	h.reply(w, http.StatusOK, map[string]bool{"alive": true})
}

// readiness is what /readyz answers. docs/serve.md describes it; names and meanings
// stay, others may join.
type readiness struct {
	Ready   bool              `json:"ready"`
	At      time.Time         `json:"at"`
	Problem string            `json:"problem"`
	Streams []streamReadiness `json:"streams"`
}

type streamReadiness struct {
	Name          string     `json:"name"`
	Ready         bool       `json:"ready"`
	Horizon       *time.Time `json:"horizon"`      // null before the first finished pass
	LagSeconds    *int64     `json:"lag_seconds"`  // null with it
	LateSeconds   *int64     `json:"late_seconds"` // beyond the promise; null with it
	MaxLagSeconds int64      `json:"max_lag_seconds"`
}

func (h *Handler) readyz(w http.ResponseWriter, r *http.Request) {
	now := h.snapshot(r.Context())
	answer := readiness{Ready: now.Problem == "", At: h.cfg.Now().UTC().Truncate(time.Second), Problem: now.Problem, Streams: []streamReadiness{}}
	for _, s := range now.Streams {
		by, late := s.Late()
		one := streamReadiness{Name: s.Name, Ready: !late, MaxLagSeconds: seconds(s.MaxLag)}
		if !s.Horizon.IsZero() {
			one.Horizon, one.LagSeconds, one.LateSeconds = new(s.Horizon.UTC()), new(seconds(s.Lag)), new(seconds(by))
		}
		answer.Ready = answer.Ready && one.Ready
		answer.Streams = append(answer.Streams, one)
	}
	if !answer.Ready && answer.Problem == "" {
		answer.Problem = "a stream is staler than promised, or has not finished its first pass"
	}
	status := http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	h.reply(w, status, answer)
}

func (h *Handler) reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		h.cfg.Log.Debug("answer not delivered", "error", err) // who asked went away
	}
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
