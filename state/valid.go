package state

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// numberSize is the most bytes that an order's number may have.
const numberSize = 255

// ValidKey returns an error when a name or key cannot stand in every store as it
// is: it must be non-empty, valid UTF-8, and without NUL, which Postgres refuses.
func ValidKey(key string) error {
	if key == "" {
		return errors.New("the key is empty")
	}
	return validText("key", key)
}

// ValidNumber returns an error when an order's number cannot stand in every store as it
// is: like a key, but it may be empty, and has 255 bytes at most.
func ValidNumber(number string) error {
	if len(number) > numberSize {
		return fmt.Errorf("the number has %d bytes, and %d are the most", len(number), numberSize)
	}
	return validText("number", number)
}

func validText(what, text string) error {
	switch {
	case !utf8.ValidString(text):
		return fmt.Errorf("the %s is not valid UTF-8", what)
	case strings.ContainsRune(text, 0):
		return fmt.Errorf("the %s contains NUL", what)
	}
	return nil
}

// ValidPlan returns an error when one of the rows cannot be planned: no store could keep
// it as it stands, or it is an outcome. Stores refuse the whole plan then.
func ValidPlan(rows []Record) error {
	for _, r := range rows {
		if err := validRecord(r); err != nil {
			return err
		}
		if r.State != Planned && r.State != Unknown {
			return fmt.Errorf("record %q would be %q, which is an outcome", r.Key, r.State)
		}
	}
	return nil
}

// ValidCommit returns an error when a part of a commit is of another pipeline than the
// lease, or could not be kept as it stands. Stores refuse the whole commit then.
func ValidCommit(l Lease, c Commit) error {
	foreign := func(what, pipeline string) error {
		if pipeline != "" && pipeline != l.Pipeline {
			return fmt.Errorf("the %s is of pipeline %q, the lease of %q", what, pipeline, l.Pipeline)
		}
		return nil
	}
	if c.Checkpoint != nil {
		if err := foreign("checkpoint", c.Checkpoint.Pipeline); err != nil {
			return err
		}
		if c.Checkpoint.Stream == "" {
			return errors.New("the checkpoint names no stream")
		}
	}
	if c.Run != nil {
		if err := foreign("run", c.Run.Pipeline); err != nil {
			return err
		}
	}
	for _, r := range c.Records {
		if err := validRecord(r); err != nil {
			return err
		}
	}
	for _, e := range c.Emails {
		if err := ValidKey(e.Key); err != nil {
			return fmt.Errorf("e-mail of %q: %w", e.Key, err)
		}
	}
	if err := validMoves(c); err != nil {
		return err
	}
	if err := ValidTombstones(c.Tombstones); err != nil {
		return err
	}
	for _, e := range c.Erasures {
		if err := foreign("erasure", e.Pipeline); err != nil {
			return err
		}
		if err := ValidKey(e.Key); err != nil {
			return fmt.Errorf("erasure of %q: %w", e.Key, err)
		}
	}
	for _, o := range c.OptOuts {
		if err := ValidKey(o.Key); err != nil {
			return fmt.Errorf("opt-out of %q: %w", o.Key, err)
		}
	}
	for _, key := range c.Nameless {
		if err := ValidKey(key); err != nil {
			return fmt.Errorf("what is kept of %q: %w", key, err)
		}
	}
	for _, d := range c.Doubles {
		if err := ValidKey(d.Key); err != nil {
			return fmt.Errorf("double of %q: %w", d.Key, err)
		}
		if d.SeenAt.IsZero() {
			return fmt.Errorf("double of %q: it has no time", d.Key)
		}
	}
	for _, d := range c.Letters {
		if err := foreign("dead letter", d.Pipeline); err != nil {
			return err
		}
		if err := ValidKey(d.Key); err != nil {
			return fmt.Errorf("dead letter of %q: %w", d.Key, err)
		}
	}
	return nil
}

func validMoves(c Commit) error {
	for _, m := range c.Moves {
		if err := errors.Join(ValidKey(m.From), ValidKey(m.To)); err != nil {
			return fmt.Errorf("move from %q to %q: %w", m.From, m.To, err)
		}
	}
	for _, key := range c.Bare {
		if err := ValidKey(key); err != nil {
			return fmt.Errorf("rows below %q: %w", key, err)
		}
	}
	return nil
}

// ValidTombstones returns an error when one of the tombstones names nobody or no time.
// Stores refuse all of them then.
func ValidTombstones(stones []Tombstone) error {
	for _, s := range stones {
		if s.Person.IsZero() {
			return errors.New("a tombstone names no person")
		}
		if s.At.IsZero() {
			return errors.New("a tombstone has no time")
		}
	}
	return nil
}

func validRecord(r Record) error {
	if err := ValidKey(r.Key); err != nil {
		return fmt.Errorf("record %q: %w", r.Key, err)
	}
	if r.Parent != "" {
		if err := ValidKey(r.Parent); err != nil {
			return fmt.Errorf("parent of record %q: %w", r.Key, err)
		}
	}
	if err := ValidNumber(r.Number); err != nil {
		return fmt.Errorf("record %q: %w", r.Key, err)
	}
	return nil
}

// ValidResync returns an error when no store could keep a request as it stands.
func ValidResync(r Resync) error {
	if err := ValidKey(r.Stream); err != nil {
		return fmt.Errorf("the stream: %w", err)
	}
	return nil
}

// ValidResyncEnd returns an error when a request does not end in s.
func ValidResyncEnd(s ResyncState) error {
	if s != ResyncDone && s != ResyncCancelled {
		return fmt.Errorf("%q is no end", s)
	}
	return nil
}
