package state

import "time"

// Email says which person of which website has an e-mail, as a keyed hash.
type Email struct {
	Hash    Hash
	Key     string // source key, as in Record
	Website int64
	// Claims says that the account's e-mail is confirmed, so that guests of the website
	// with the same e-mail are this customer (promise 17).
	Claims bool
}

// Move says that rows which stood below one profile stand below another from now on.
type Move struct {
	From, To string // keys of profiles
}

// Tombstone says that a person was erased (promise 19): nothing of them that is dated
// before it comes back.
type Tombstone struct {
	Person Hash // a keyed hash of the person's website and e-mail
	At     time.Time
}

// Taken counts the tombstones that were taken up from outside the state, and of which no
// commit has told since: their receipts were lost with another state. One person may have
// several.
type Taken struct {
	Stones         int64
	First          time.Time // when the first of them was taken up
	Oldest, Latest time.Time // when the people were erased
}

// OptOut says that an opt-out made in Copernica was settled: both sides say so.
type OptOut struct {
	Key       string    // of the profile
	Source    string    // where it was made, e.g. the profile or one of Copernica's lists
	At        time.Time // when it was made, as far as Copernica tells; zero: it does not
	SettledAt time.Time
}

// Erasure is the receipt of an erasure, without personal data.
type Erasure struct {
	ID       int64
	Pipeline string
	Key      string // of the profile
	Cause    string // how it was known, e.g. deleted or anonymised
	Policy   string // what was done, e.g. remove, blank or flag
	// CopernicaID is the id of the profile, 0 when it had none. Orders and Items are the
	// rows that stood below it.
	CopernicaID   int64
	Orders, Items int64
	At            time.Time
	RunID         int64
}
