package sqlite

import (
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/state"
)

// stamp is how a time stands in a column: milliseconds UTC, NULL for the zero time.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// moment reads a column written by stamp.
func moment(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMilli(n.Int64).UTC()
}

// kept is a time as a column gives it back.
func kept(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// digest is how a hash stands in a column: its bytes, NULL for the zero hash.
func digest(h state.Hash) any {
	if h.IsZero() {
		return nil
	}
	return h[:]
}

// hash reads a column written by digest.
func hash(b []byte) state.Hash {
	var h state.Hash
	copy(h[:], b)
	return h
}

// stored keeps the keys that can have been stored, once each and in order.
func stored(keys []string) []string {
	out := make([]string, 0, len(keys))
	for _, key := range keys {
		if state.ValidKey(key) == nil {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// text makes words from a peer fit for a column in every store: valid UTF-8 and
// without NUL. Words are for people, so they are mended, never refused.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
