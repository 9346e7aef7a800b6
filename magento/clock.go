package magento

import (
	"net/http"
	"sync/atomic"
	"time"
)

// clock is the shop's clock as its answers show it: what a signature and a code of two
// factors are dated by, so that a machine whose own clock is wrong still gets in. Until
// the first answer it is our own. Safe for concurrent use.
type clock struct {
	own   func() time.Time
	ahead atomic.Int64 // nanoseconds that the shop's is ahead of our own
}

func (c *clock) now() time.Time { return c.own().Add(time.Duration(c.ahead.Load())) }

// observe takes in the Date header of an answer. It has whole seconds, so that a
// smaller difference is none.
func (c *clock) observe(h http.Header) {
	shown, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	ahead := shown.Sub(c.own().Truncate(time.Second))
	if ahead.Abs() <= time.Second {
		ahead = 0
	}
	c.ahead.Store(int64(ahead))
}
