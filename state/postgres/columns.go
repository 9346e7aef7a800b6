package postgres

import (
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/magento-copernica/syncd/state"
)

// kept is a time as a column gives it back: milliseconds UTC.
func kept(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// stamp is how a time stands in a column: NULL for the zero time.
func stamp(t time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: kept(t), Valid: !t.IsZero()}
}

// moment reads a column written by stamp.
func moment(t pgtype.Timestamptz) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return kept(t.Time)
}

// digest is how a hash stands in a column: its bytes, NULL for the zero hash.
func digest(h state.Hash) []byte {
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

// text makes words from a peer fit for a column in every store: valid UTF-8 and
// without NUL. Words are for people, so they are mended, never refused.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// column makes an array of one field of many rows, to be unnested.
func column[R, T any](rows []R, field func(R) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = field(r)
	}
	return out
}

// times is column for times; the type spares the driver a walk by reflection.
func times[R any](rows []R, field func(R) time.Time) pgtype.FlatArray[pgtype.Timestamptz] {
	return column(rows, func(r R) pgtype.Timestamptz { return stamp(field(r)) })
}

// digests is column for hashes.
func digests[R any](rows []R, field func(R) state.Hash) [][]byte {
	return column(rows, func(r R) []byte { return digest(field(r)) })
}
