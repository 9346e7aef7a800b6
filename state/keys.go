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
	switch {
	case key == "":
		return errors.New("the key is empty")
	case !utf8.ValidString(key):
		return errors.New("the key is not valid UTF-8")
	case strings.ContainsRune(key, 0):
		return errors.New("the key contains NUL")
	}
	return nil
}

// ValidNumber returns an error when an order's number cannot stand in every store as it
// is: like a key, but it may be empty, and has 255 bytes at most.
func ValidNumber(number string) error {
	switch {
	case len(number) > numberSize:
		return fmt.Errorf("the number has %d bytes, and %d are the most", len(number), numberSize)
	case !utf8.ValidString(number):
		return errors.New("the number is not valid UTF-8")
	case strings.ContainsRune(number, 0):
		return errors.New("the number contains NUL")
	}
	return nil
}
