package state

import (
	"errors"
	"fmt"
	"time"
)

// Errors of every implementation.
var (
	// ErrConflict says that a checkpoint was moved by somebody else.
	ErrConflict = errors.New("the checkpoint was moved by another writer")
	// ErrFenced says that another process holds the pipeline now.
	ErrFenced = errors.New("the writer lease is no longer ours")
	// ErrNoPipeline says that OpenPipeline was never called for a pipeline.
	ErrNoPipeline = errors.New("the pipeline was never opened in this state")
	// ErrNoRun says that a pipeline has no run with an id.
	ErrNoRun = errors.New("there is no such run")
	// ErrNoLetter says that a pipeline has no dead letter with an id.
	ErrNoLetter = errors.New("there is none with this id")
	// ErrResolved says that a dead letter is closed already.
	ErrResolved = errors.New("it is closed already")
	// ErrNoResync says that a pipeline has no resync with an id.
	ErrNoResync = errors.New("there is none with this id")
	// ErrResyncEnded says that a resync is done or cancelled.
	ErrResyncEnded = errors.New("it has ended already")
	// ErrKey says that the database's hash key is missing or sealed with another key.
	ErrKey = errors.New("the state cannot be opened with this encryption key")
)

// HeldError says who holds a pipeline.
type HeldError struct {
	Pipeline, Holder string
	Expires          time.Time
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("pipeline %q is held by %s until %s: stop that process or wait",
		e.Pipeline, e.Holder, e.Expires.UTC().Format(time.RFC3339))
}

// TargetError says that a state belongs to another database or account.
type TargetError struct{ Pipeline, Have, Want string }

func (e *TargetError) Error() string {
	return fmt.Sprintf("the state of shop %q belongs to %s, not to %s: set SYNCD_COPERNICA_DATABASE back, or give the other database a state of its own (SYNCD_DATABASE_URL)",
		e.Pipeline, e.Have, e.Want)
}

// ShopError says that a state was made for another shop.
type ShopError struct{ Have, Want string }

func (e *ShopError) Error() string {
	return fmt.Sprintf("the state belongs to shop %q, not to %q: set SYNCD_SHOP back, or use another state (its keys in Copernica begin with the shop's code)",
		e.Have, e.Want)
}
