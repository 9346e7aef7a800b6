package sqlite

import "context"

// The queries that must not read the whole ledger, for SQLite to explain.
const (
	SelectByParent   = selectByParent
	SelectClaims     = selectClaims
	SelectOpenClaims = selectOpenClaims
	SelectTombstones = selectTombstones
	MoveBelow        = moveBelow
	BareBelow        = bareBelow
)

// Pragma returns a setting of the connection that writes.
func (s *Store) Pragma(ctx context.Context, name string) (value string, err error) {
	err = s.writer.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
	return value, err
}
