package state

import "time"

// Double is a row in Copernica that has the key of a ledger row and is another row. It is
// never written to.
type Double struct {
	Entity      Entity
	Key         string
	CopernicaID int64
	SeenAt      time.Time
	// Consent is what a profile showed of consent when that was last settled with the shop;
	// zero: it never was.
	Consent Hash
}
