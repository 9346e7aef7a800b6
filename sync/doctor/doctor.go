// Package doctor tries once each thing that syncd depends on and says what it found,
// and what to do about what is wrong: `syncd check` prints its findings, and a console
// may show them as its test of a connection.
//
// # Guarantees
//
//   - Checks of one group are made one after another, groups beside each other. A group
//     has a time of its own, and [Run] ends when the longest of them is over, also when a
//     check does not heed its context: what hangs is a failure with a fix, not a wait.
//   - A check that needs another one is skipped, with the reason, when that one failed: the
//     first line that is no success is the one to mend.
//   - Nothing is written but a mark that proves the state writable, and nothing is read
//     from a shop beyond counts, names of stores and one id a list. A refused
//     password is tried once.
//   - No finding holds a secret or a person's data: texts are made of settings that are no
//     secrets and of the errors of the clients, which promise the same.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Status is the outcome of a check.
type Status string

// The outcomes.
const (
	OK      Status = "ok"
	Warning Status = "warning" // syncd works, with less than it could
	Failure Status = "failure" // syncd does not work, or not rightly
	Skipped Status = "skipped" // not tried
)

// Finding is what a check found.
type Finding struct {
	Status Status
	Text   string // what was found, in words for an operator
	Fix    string // what to do; empty when there is nothing to do
}

// Good is a finding of something as it should be.
func Good(format string, args ...any) Finding {
	return Finding{Status: OK, Text: fmt.Sprintf(format, args...)}
}

// Wrong is a failure with its fix.
func Wrong(fix, format string, args ...any) Finding {
	return Finding{Status: Failure, Text: fmt.Sprintf(format, args...), Fix: fix}
}

// Doubtful is a warning with its fix.
func Doubtful(fix, format string, args ...any) Finding {
	return Finding{Status: Warning, Text: fmt.Sprintf(format, args...), Fix: fix}
}

// Unneeded is a check that has nothing to look at.
func Unneeded(format string, args ...any) Finding {
	return Finding{Status: Skipped, Text: fmt.Sprintf(format, args...)}
}

// Check is one thing to try.
type Check struct {
	Group string // what it is about: checks of a group share their time
	Name  string // unique in its group
	// After names checks of the same group, given before this one, that must not have
	// failed or been skipped.
	After []string
	// Timeout is the longest the check may take; 0: what is left of its group's time.
	Timeout time.Duration
	// Slow is the fix when that time is over.
	Slow string
	// Try makes the check. It is called once at most, and must end soon after ctx does;
	// one that does not is left behind.
	Try func(ctx context.Context) Finding
}

// Result is a check that was made, or skipped.
type Result struct {
	Group, Name string
	Finding
	Took time.Duration
}

// grace is how long a check may take, past its time, to say itself what it waited for.
const grace = 100 * time.Millisecond

// Run makes the checks, each group within limit, and returns a result for each check
// in the order given. When ctx ends, what was not made by then is skipped.
func Run(ctx context.Context, limit time.Duration, checks ...Check) Report {
	results := make([]Result, len(checks))
	groups := map[string][]int{}
	for i, c := range checks {
		groups[c.Group] = append(groups[c.Group], i)
	}
	var all sync.WaitGroup
	for _, members := range groups {
		all.Go(func() {
			ctx, cancel := context.WithTimeoutCause(ctx, limit, errSpent)
			defer cancel()
			done := map[string]Result{}
			for _, i := range members {
				r := checks[i].make(ctx, done, limit)
				results[i], done[r.Name] = r, r
			}
		})
	}
	all.Wait()
	return Report{Results: results}
}

// errSpent is why a group's context ends.
var errSpent = errors.New("the time of the group is over")

// make tries c unless a check before it forbids that.
func (c Check) make(ctx context.Context, done map[string]Result, limit time.Duration) Result {
	r := Result{Group: c.Group, Name: c.Name}
	for _, name := range c.After {
		switch done[name].Status {
		case Failure:
			r.Finding = Unneeded("not tried: %s failed", name)
			return r
		case Skipped:
			r.Finding = done[name].Finding // for the same reason
			return r
		}
	}
	if f, over := c.over(ctx, limit); over {
		r.Finding = f
		return r
	}
	began := time.Now()
	r.Finding = c.try(ctx)
	r.Took = time.Since(began)
	return r
}

// over says why a check is not begun.
func (c Check) over(ctx context.Context, limit time.Duration) (Finding, bool) {
	switch {
	case ctx.Err() == nil:
		return Finding{}, false
	case errors.Is(context.Cause(ctx), errSpent):
		return Unneeded("not tried: the checks before it took all of the %s", limit), true
	default:
		return Unneeded("not tried: stopped"), true
	}
}

// try makes the check within its time.
func (c Check) try(ctx context.Context) Finding {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.Timeout, errSpent)
		defer cancel()
	}
	found := make(chan Finding, 1)
	began := time.Now()
	go func() { found <- c.Try(ctx) }()

	var f Finding
	select {
	case f = <-found:
	case <-ctx.Done():
	}
	waited := time.Since(began)
	if f.Status == "" {
		select {
		case f = <-found:
		case <-time.After(grace):
		}
	}
	switch {
	case ctx.Err() == nil || f.Status == OK || f.Status == Warning:
		return f
	case errors.Is(context.Cause(ctx), errSpent):
		// What a call says of its own end is that time ran out.
		return Wrong(c.Slow, "no answer within %s", waited.Round(100*time.Millisecond))
	default:
		return Unneeded("stopped")
	}
}
