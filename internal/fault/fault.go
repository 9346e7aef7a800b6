// Package fault names the classes of failure that decide what happens next, for
// both peers alike (promise 20), so that the engine never looks at a status code.
//
// The clients attach a class to every error they return; an error without one
// counts as [Retry], so nothing that is not understood is ever dropped.
package fault

import "errors"

// Class says what a failure asks for.
type Class uint8

const (
	// Retry is a passing failure: a time-out, a reset, 429, 5xx, HTML where JSON
	// is due, JSON cut short, and everything that nobody recognised.
	Retry Class = iota + 1
	// Renew is a refused token: it is renewed once, by one caller.
	Renew
	// Record is a refusal of one record: it becomes a dead letter and the stream goes on.
	Record
	// Configuration is a failure that only an operator can mend: the stream stops,
	// says so and keeps its checkpoint.
	Configuration
	// Credentials is a peer's refusal of who we are, after renewal was tried. The
	// stream stops like for Configuration; commands exit 3 instead of 2.
	Credentials
)

// String returns the word used in logs, metrics and dead letters.
func (c Class) String() string {
	switch c {
	case Renew:
		return "renew"
	case Record:
		return "record"
	case Configuration:
		return "configuration"
	case Credentials:
		return "credentials"
	default:
		return "retry"
	}
}

// Classified is implemented by the typed errors of magento, copernica and httpx.
type Classified interface {
	error
	FaultClass() Class
}

// ClassOf returns the class of the first classified error in err's chain, and
// Retry for any other error.
func ClassOf(err error) Class {
	if c, ok := errors.AsType[Classified](err); ok {
		return c.FaultClass()
	}
	return Retry
}

// Unsent is implemented by errors of calls that the peer provably never worked
// on: the connection was refused, the breaker was open, the peer answered 429.
type Unsent interface {
	error
	NotSent() bool
}

// NotSent reports whether the call behind err provably had no effect at the
// peer. Anything else has an unknown effect (promise 10).
func NotSent(err error) bool {
	u, ok := errors.AsType[Unsent](err)
	return ok && u.NotSent()
}
