package sqlite

import "context"

// The queries that must not read the whole ledger, for SQLite to explain.
const (
	SelectRecords       = selectRecords
	SelectByCopernicaID = selectByCopernicaID
	SelectBySource      = selectBySource
	SelectBetween       = selectBetween
	SelectInCopernica   = selectInCopernica
	SelectHighest       = selectHighest
	SelectMissing       = selectMissing
	SelectPending       = selectPending
	SelectEmails        = selectEmails
	SelectEmailsOf      = selectEmailsOf
	SelectByParent      = selectByParent
	SelectClaims        = selectClaims
	SelectOpenClaims    = selectOpenClaims
	SelectClaimsOf      = selectClaimsOf
	SelectUnclaimed     = selectUnclaimed
	SelectOptOuts       = selectOptOuts
	SelectTombstones    = selectTombstones
	SelectErasuresOf    = selectErasuresOf
	SelectRuns          = selectRuns
	SelectRunsOf        = selectRunsOf
	SelectResolved      = selectResolved
	SelectGroups        = selectGroups
	CountRecords        = countRecords
	CountLetters        = countLetters
	CountErasures       = countErasures
	CountOptOuts        = countOptOuts
	CountTaken          = countTaken
	SelectDoubles       = selectDoubles
	SelectDoublesByID   = selectDoublesByID
	MoveBelow           = moveBelow
	BareBelow           = bareBelow
)

// Pragma returns a setting of the connection that writes.
func (s *Store) Pragma(ctx context.Context, name string) (value string, err error) {
	err = s.writer.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
	return value, err
}
