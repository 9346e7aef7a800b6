package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// The exit codes, explained at the package.
const (
	exitDone          = 0
	exitFailed        = 1
	exitConfiguration = 2
	exitPeer          = 3
	exitDeadLetters   = 4
)

// usageError is a command line that cannot be understood.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// deadLettersError ends a command that did all it could, but left dead letters.
type deadLettersError struct{ open int64 }

func (e *deadLettersError) Error() string {
	return lettersOpen(e.open) + ": `syncd dead` shows what could not be delivered, and why"
}

// lettersOpen says how many dead letters are open.
func lettersOpen(n int64) string {
	return plural(n, "1 dead letter is open", grouped(n)+" dead letters are open")
}

// unknownError ends a run with writes that nobody answered for.
type unknownError struct{ writes int64 }

func (e *unknownError) Error() string {
	if e.writes == 1 {
		return "1 write has no outcome yet: it is looked up again by the next run"
	}
	return fmt.Sprintf("%s writes have no outcome yet: they are looked up again by the next run", grouped(e.writes))
}

// exitCode decides how a command ends. It is the only place that knows, so that
// no error means two things.
func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	// Of several errors the one that an operator must mend first decides.
	switch {
	case is[*usageError](err), is[*config.Error](err),
		is[*state.TargetError](err), is[*state.ShopError](err), is[*engine.IdentityError](err), errors.Is(err, state.ErrKey),
		is[*sqlite.OwnerError](err), errors.Is(err, copernica.ErrNoDatabase):
		return exitConfiguration
	case is[*state.HeldError](err):
		return exitFailed
	}
	if call, ok := errors.AsType[*httpx.Error](err); ok {
		switch call.Kind {
		case httpx.KindRequest: // an address that no call can be made to
			return exitConfiguration
		case httpx.KindCanceled: // our own doing, unless calls before it took all the time there was
			if !errors.Is(err, context.DeadlineExceeded) {
				return exitFailed
			}
			return exitPeer
		default:
			return exitPeer
		}
	}
	classes := map[fault.Class]bool{}
	for _, e := range joined(err) { // of a join the first one has no precedence
		classes[fault.ClassOf(e)] = true
	}
	switch {
	case classes[fault.Configuration]:
		return exitConfiguration
	case classes[fault.Credentials], classes[fault.Renew]:
		return exitPeer
	}
	if is[*checkFailedError](err) {
		return exitPeer
	}
	if is[*deadLettersError](err) {
		return exitDeadLetters
	}
	return exitFailed
}

// withoutEchoes leaves out of a join what a *mapping.SchemaError in it explains: that
// Copernica, or the guard before it, refused a write for its fields. The schema is
// read again after such a refusal, and its own error names all that is to be mended. What
// is said twice, as by two pages that fail alike, is told once.
func withoutEchoes(err error) error {
	if err == nil {
		return nil
	}
	explained := is[*mapping.SchemaError](err)
	said := map[string]bool{} // each page may find the same schema
	return errors.Join(slices.DeleteFunc(joined(err), func(e error) bool {
		if said[e.Error()] {
			return true
		}
		said[e.Error()] = true
		refused := is[*copernica.Error](e) || is[*copernica.GuardError](e)
		return explained && refused && fault.ClassOf(e) == fault.Configuration && !is[*mapping.SchemaError](e)
	})...)
}

// joined returns the errors that errors.Join put together, one a line.
func joined(err error) []error {
	several, ok := err.(interface{ Unwrap() []error }) // not AsType: what is wrapped prints one line
	if !ok {
		return []error{err}
	}
	var parts []error
	for _, e := range several.Unwrap() {
		parts = append(parts, joined(e)...)
	}
	if errors.Join(parts...).Error() != err.Error() {
		return []error{err} // wrapped with words of its own
	}
	return parts
}

// is reports whether err's chain holds an error of type E.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
