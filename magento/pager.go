package magento

import (
	"sync"
	"time"
)

const (
	// smallestPage is where halving stops: below it the fixed cost of a call (50-75
	// ms measured) outweighs the rows.
	smallestPage = 10
	// fastPages is how many full and fast pages in a row let the size grow by a quarter.
	fastPages = 3
)

// pager chooses the page size of one kind of list from what the shop shows
// (promises 5 and 6). It outlives walks, so a new walk starts where the last one
// ended. Safe for concurrent use.
type pager struct {
	target time.Duration

	mu      sync.Mutex
	size    int
	ceiling int // the operator's, lowered for good by the shop's own maximum
	fast    int // full pages in a row that took less than half the target
}

func newPager(start, ceiling int, target time.Duration) *pager {
	return &pager{size: min(start, ceiling), ceiling: ceiling, target: target}
}

// next returns the size to ask for.
func (p *pager) next() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size
}

// observe takes in a good page: full says that it held as many rows as asked for,
// because a short one says nothing about a larger one.
func (p *pager) observe(took time.Duration, full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case took > p.target:
		p.halve()
	case took < p.target/2 && full:
		p.fast++
		if p.fast >= fastPages {
			p.fast = 0
			p.size = min(p.ceiling, p.size+max(1, p.size/4))
		}
	case full:
		p.fast = 0
	}
}

// failed takes in a page that the shop could not bring: a time-out, a 5xx or an
// answer cut short.
func (p *pager) failed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.halve()
}

// fits takes in that a page was too large and which size was not.
func (p *pager) fits(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fast = 0
	p.size = min(p.size, max(size, min(smallestPage, p.ceiling)))
}

// refused takes in the shop's maximum and reports whether that lowers the size.
func (p *pager) refused(maximum int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if maximum <= 0 || maximum >= p.size {
		return false
	}
	p.size, p.ceiling, p.fast = maximum, min(p.ceiling, maximum), 0
	return true
}

func (p *pager) halve() {
	p.fast = 0
	p.size = max(p.size/2, min(smallestPage, p.ceiling))
}
