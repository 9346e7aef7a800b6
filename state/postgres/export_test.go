package postgres

import (
	"context"
	"time"
)

// The queries of look-ups, for the server to explain.
const (
	ForgetRecords       = forgetRecords
	SelectRecords       = selectRecords
	SelectByCopernicaID = selectByCopernicaID
	SelectBySource      = selectBySource
	SelectByNumber      = selectByNumber
	SelectByParent      = selectByParent
	SelectClaims        = selectClaims
	SelectOpenClaims    = selectOpenClaims
	SelectClaimsOf      = selectClaimsOf
	SelectUnclaimed     = selectUnclaimed
	SelectOptOuts       = selectOptOuts
	SelectInCopernica   = selectInCopernica
	SelectHighest       = selectHighest
	SelectMissing       = selectMissing
	SelectPending       = selectPending
	SelectEmails        = selectEmails
	SelectEmailsOf      = selectEmailsOf
	SelectErasuresOf    = selectErasuresOf
	SelectResolved      = selectResolved
	SelectTombstones    = selectTombstones
	MoveBelow           = moveBelow
	BareBelow           = bareBelow
)

// Setting returns a setting of a connection of the store.
func (s *Store) Setting(ctx context.Context, name string) (value string, err error) {
	err = s.pool.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value)
	return value, err
}

// Hurry makes the store give up after so many tries, and so long after a COMMIT.
func (s *Store) Hurry(tries int, patience time.Duration) { s.tries, s.patience = tries, patience }
