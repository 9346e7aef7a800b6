package state

import "time"

// DeadLetter is a record that could not be delivered. The payload is not stored.
type DeadLetter struct {
	ID               int64
	Pipeline, Stream string
	Entity           Entity
	Key              string
	SourceID         int64
	Cause            string // stable code, e.g. refused, email_empty, too_long
	Message          string // the peer's template without its parameters
	Fix              string // what an operator can do, in words
	Content          Hash   // of what was refused
	RunID            int64
	Attempts         int
	FirstSeen        time.Time
	LastSeen         time.Time
	Resolved         time.Time // zero while open
	Resolution       string    // delivered, or the operator's reason
}

// LetterFilter selects dead letters. Zero fields let everything through, but for Limit.
type LetterFilter struct {
	Entity   Entity
	Keys     []string // only of records with one of these
	Cause    string
	Open     bool // only open ones
	Resolved bool // only closed ones
	Limit    int  // at most so many; zero and below: none
}

// LetterGroup is the open dead letters of one cause.
type LetterGroup struct {
	Cause     string
	Count     int64
	FirstSeen time.Time // of the oldest
	LastSeen  time.Time // of the one seen last
	Fix       string    // of the one seen last
}
