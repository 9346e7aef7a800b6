package main

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/magento-copernica/syncd/sync/engine"
)

// progress shows how far a run has come: a bar on a terminal, a line now and then
// elsewhere. Its methods are called from one goroutine at a time.
type progress struct {
	out      *screen
	terminal bool
	log      *slog.Logger // takes the place of both where every line must be JSON
	now      func() time.Time

	mu     sync.Mutex
	bar    *mpb.Bar // nil when none is drawn
	stream string   // what the bar is of
	began  time.Time
	said   time.Time
}

// lineEvery is how often a run says where it is when there is no terminal.
const lineEvery = 5 * time.Second

func (a *app) progress(log *slog.Logger) *progress {
	p := &progress{out: a.screen, terminal: a.terminal, now: a.now, began: a.now()}
	if a.jsonLog() {
		p.log, p.terminal = log, false
	}
	return p
}

func (p *progress) show(at engine.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		p.draw(at)
		return
	}
	if at.Total == 0 {
		return // there is nothing to wait for
	}
	now := p.now()
	if p.said.IsZero() {
		p.said = p.began
	}
	if now.Sub(p.said) < lineEvery {
		return
	}
	p.said = now
	if p.log != nil {
		p.log.Info("progress", "stream", at.Stream, "read", at.Read, "total", at.Total,
			"created", at.Counts.Created, "updated", at.Counts.Updated)
		return
	}
	fmt.Fprintf(p.out, "%s: %s of %s read, %s created, %s updated\n",
		at.Stream, grouped(at.Read), grouped(at.Total), grouped(at.Counts.Created), grouped(at.Counts.Updated))
}

func (p *progress) draw(at engine.Progress) {
	// What is done, or was nothing to begin with, has no bar.
	if p.bar != nil && (p.stream != at.Stream || at.Read >= at.Total) {
		p.remove()
	}
	if at.Read >= at.Total {
		return
	}
	if p.bar == nil {
		p.stream = at.Stream
		// The total may grow, which a bar that was made with one does not follow.
		p.bar = p.out.draw().AddBar(0,
			mpb.PrependDecorators(decor.Name(at.Stream+" "), decor.CountersNoUnit("%d / %d")),
			mpb.AppendDecorators(
				decor.Percentage(decor.WC{W: 5}),
				decor.AverageSpeed(0, "  %.0f/s"),
				decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 8}),
			),
		)
	}
	p.bar.SetTotal(at.Total, false)
	p.bar.SetCurrent(at.Read)
}

// end takes the bar away, so that what follows stands on a line of its own.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.remove()
	}
}

func (p *progress) remove() {
	p.bar.Abort(true)
	p.out.clear()
	p.bar = nil
}
