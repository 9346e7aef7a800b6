package state

import "time"

// Double is a row in Copernica that has the key of a ledger row and is another row. It is
// never written to.
type Double struct {
	Entity      Entity
	Key         string
	CopernicaID int64
	SeenAt      time.Time
}
