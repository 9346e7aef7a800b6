package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// sparing is a log in which each message of the pipeline stands once an hour. What
// fails in every run would otherwise fill it.
type sparing struct {
	slog.Handler
	key  string // of the attributes given along
	seen *seen
}

// seen is when which message was logged last.
type seen struct {
	now func() time.Time

	mu       sync.Mutex
	messages map[string]time.Time
}

// sayAgain is how long a message stays said.
const sayAgain = time.Hour

func newSparing(log *slog.Logger, now func() time.Time) *slog.Logger {
	return slog.New(&sparing{Handler: log.Handler(), seen: &seen{now: now, messages: map[string]time.Time{}}})
}

// passing are attributes in which two records of one cause may differ.
var passing = map[string]bool{"error": true, "until": true, "expires": true}

// Handle passes a record on that was not logged lately. What is below info is asked
// for, and passes.
func (s *sparing) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelInfo {
		return s.Handler.Handle(ctx, r)
	}
	var key strings.Builder
	key.WriteString(s.key + r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if !passing[a.Key] {
			key.WriteString(" " + a.String())
		}
		return true
	})
	if !s.seen.lately(key.String()) {
		return s.Handler.Handle(ctx, r)
	}
	return nil
}

// lately reports whether a message was seen within sayAgain, and notes it otherwise.
func (s *seen) lately(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for old, at := range s.messages {
		if now.Sub(at) >= sayAgain {
			delete(s.messages, old)
		}
	}
	if _, ok := s.messages[key]; ok {
		return true
	}
	s.messages[key] = now
	return false
}

// WithAttrs implements slog.Handler.
func (s *sparing) WithAttrs(attrs []slog.Attr) slog.Handler {
	var key strings.Builder
	key.WriteString(s.key)
	for _, a := range attrs {
		key.WriteString(a.String() + " ")
	}
	return &sparing{s.Handler.WithAttrs(attrs), key.String(), s.seen}
}

// WithGroup implements slog.Handler.
func (s *sparing) WithGroup(name string) slog.Handler {
	return &sparing{s.Handler.WithGroup(name), s.key + name + ".", s.seen}
}

// levelled is a log whose level can be changed.
type levelled struct {
	slog.Handler
	level *slog.LevelVar
}

// Enabled implements slog.Handler.
func (l levelled) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level.Level() }

// WithAttrs implements slog.Handler.
func (l levelled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return levelled{l.Handler.WithAttrs(attrs), l.level}
}

// WithGroup implements slog.Handler.
func (l levelled) WithGroup(name string) slog.Handler {
	return levelled{l.Handler.WithGroup(name), l.level}
}
