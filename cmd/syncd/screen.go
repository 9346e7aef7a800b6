package main

import (
	"io"
	"sync"

	"github.com/vbauerster/mpb/v8"
)

// screen is standard error, which log lines share with a bar: while one is drawn,
// lines go through it and end up above, on lines of their own.
type screen struct {
	out io.Writer

	mu   sync.Mutex
	bars *mpb.Progress // nil when nothing is drawn
}

// Write writes whole lines.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bars != nil {
		// It fails before it writes anything, when its last frame could not be drawn.
		if n, err := s.bars.Write(p); err == nil {
			return n, nil
		}
	}
	return s.out.Write(p)
}

// draw returns bars on the screen. It must be a terminal, and nothing be drawn yet.
func (s *screen) draw() *mpb.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bars = mpb.New(mpb.WithOutput(s.out), mpb.WithWidth(48))
	return s.bars
}

// clear takes the bars away once all of them are complete or aborted. Lines wait
// meanwhile, so that none stands between the last frame and its removal.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bars != nil {
		s.bars.Wait()
		s.bars = nil
	}
}
