package emulator

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Kind says how a call goes wrong.
type Kind uint8

const (
	// Status answers with the fault's Status (500 if zero), Header and Body.
	Status Kind = iota
	// HTML answers with an HTML page where JSON is due; Status is 200 if zero.
	HTML
	// Reset ends the connection before a byte of the answer. Over TCP, net/http
	// quietly sends an idempotent request again when the connection was a reused one.
	Reset
	// Truncate works the call and cuts its answer in the middle of the body.
	Truncate
	// Delay waits for the fault's Delay and then goes on as if nothing was wrong.
	Delay
	// Hang never answers: the call ends when its caller gives up.
	Hang
)

// String returns the kind's name as the log prints it.
func (k Kind) String() string {
	switch k {
	case HTML:
		return "html"
	case Reset:
		return "reset"
	case Truncate:
		return "truncate"
	case Delay:
		return "delay"
	case Hang:
		return "hang"
	default:
		return "status"
	}
}

// Fault describes calls that go wrong. Its zero value spoils every call with a
// bare 500.
type Fault struct {
	Name string // as the log prints it; empty: the kind's name

	// Which calls: all that are set must agree.
	Match        func(*http.Request) bool // must not read the body
	Method       string
	PathContains string

	Kind   Kind
	After  bool        // the call is worked first, then the answer is spoilt
	Status int         // of Status and HTML
	Header http.Header // of Status and HTML; its Content-Type wins
	Body   string      // of Status and HTML
	Delay  time.Duration

	// Which of the matching calls.
	Skip  int // let this many pass first
	Every int // then spoil each n-th only; 0 and 1: all
	Times int // at most so often; 0: for ever
}

// Faults is a list of faults under test control. Its zero value is ready, a nil
// one has no faults. The first fault in the order of [Faults.Add] that is due
// decides a call.
type Faults struct {
	mu    sync.Mutex
	armed []*Handle
}

// Handle is a fault that was added.
type Handle struct {
	owner *Faults
	fault Fault
	seen  int
	hits  int
}

// Add arms a fault.
func (f *Faults) Add(fault Fault) *Handle {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &Handle{owner: f, fault: fault}
	f.armed = append(f.armed, h)
	return h
}

// Clear disarms all faults.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = nil
}

// Hits returns how many calls the fault has spoilt.
func (h *Handle) Hits() int {
	h.owner.mu.Lock()
	defer h.owner.mu.Unlock()
	return h.hits
}

// Remove disarms the fault; its hits can still be read.
func (h *Handle) Remove() {
	h.owner.mu.Lock()
	defer h.owner.mu.Unlock()
	h.owner.armed = slices.DeleteFunc(h.owner.armed, func(other *Handle) bool { return other == h })
}

// take returns the fault that is due for r. Faults before it that match but are
// not due count the call as one that passed.
func (f *Faults) take(r *http.Request) (Fault, bool) {
	if f == nil {
		return Fault{}, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.armed {
		if h.due(r) {
			return h.fault, true
		}
	}
	return Fault{}, false
}

// due counts r if it matches and reports whether it is to be spoilt.
func (h *Handle) due(r *http.Request) bool {
	f := h.fault
	if f.Method != "" && f.Method != r.Method ||
		!strings.Contains(r.URL.Path, f.PathContains) ||
		f.Match != nil && !f.Match(r) {
		return false
	}
	h.seen++
	n := h.seen - f.Skip
	if n <= 0 || n%max(f.Every, 1) != 0 || f.Times > 0 && h.hits >= f.Times {
		return false
	}
	h.hits++
	return true
}
