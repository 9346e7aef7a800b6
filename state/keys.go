package state

import (
	"errors"
	"strings"
	"unicode/utf8"
)

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
