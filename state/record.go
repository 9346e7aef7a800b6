package state

import "time"

// Hash is a keyed hash of content. The zero value means "never".
type Hash [16]byte

// IsZero reports whether h is unset.
func (h Hash) IsZero() bool { return h == Hash{} }

// Entity is what a ledger row is about.
type Entity string

// The entities.
const (
	// Profile is a person: a customer of the shop, or somebody who ordered as a guest.
	Profile Entity = "profile"
	// Order is an order, a subprofile of the person who placed it.
	Order Entity = "order"
	// Item is a line of an order, a subprofile beside that order's.
	Item Entity = "item"
	// Consent is a person's opt-out on its way back to the shop. It has dead letters and
	// no ledger row of its own: the profile's says what was settled.
	Consent Entity = "consent"
)

// RecordState is where a row stands between plan and acknowledgement.
type RecordState string

// The states of a ledger row.
const (
	// Planned rows may have been sent: nothing less can be proved after a crash.
	Planned RecordState = "planned"
	// Unknown rows were sent and nobody knows what came of it.
	Unknown RecordState = "unknown"
	// Acknowledged rows are in Copernica with content Hash.
	Acknowledged RecordState = "acknowledged"
	// Refused rows were refused with content Refused and have a dead letter; what
	// was acknowledged before, if anything, still stands in Hash.
	Refused RecordState = "refused"
	// Removed rows are gone from Copernica.
	Removed RecordState = "removed"
	// Missing rows are in Copernica, and the shop no longer has their record: a sweep
	// saw it, and the shop confirmed it. Nothing is done about them yet.
	Missing RecordState = "missing"
	// Gone rows were missing, and what the operator wants for such records was done.
	Gone RecordState = "gone"
	// Claimed rows are of guests who are the customer whose key is their Parent (promise
	// 17). One that still has a Copernica id has a profile whose rows are on their way.
	Claimed RecordState = "claimed"
)

// Record is a ledger row (promise 7).
type Record struct {
	Entity   Entity
	Key      string // the key field's value in Copernica, e.g. shop-c123
	SourceID int64  // the shop's id of what is read again: of a line that is its order's
	// Parent is the key of the profile that a subprofile belongs to. Of a guest's profile
	// it is that of the customer who claimed it, or whose claim was undone; else empty.
	Parent         string
	Number         string // the shop's increment_id of an order, unique only within a store; empty for the rest
	CopernicaID    int64  // 0 = not known
	Hash           Hash   // content acknowledged
	ConsentSource  Hash   // the shop's consent as last settled
	ConsentWritten Hash   // the consent value we wrote last
	// Sent is what else of ours may stand in Copernica, since its write has no outcome: of a
	// profile our word for opted out, of a row below a profile content that went below
	// another one than Parent. Whoever settles the row clears it.
	Sent    Hash
	Refused Hash // content last refused
	// UnsubscribedAt is when the person last unsubscribed in Copernica, as far as that was
	// settled with the shop; zero when Copernica's lists never told.
	UnsubscribedAt time.Time
	// OutSeenAt is a time, by our clock, after which the shop itself was seen to say that the
	// person is not subscribed: of the last such sighting that changed ConsentSource to that.
	// It stays when ConsentSource becomes an opt-in, which is then later than it; zero when
	// the shop was never seen so.
	OutSeenAt       time.Time
	SourceUpdatedAt time.Time
	State           RecordState
	Attempts        int       // look-ups or writes since the last acknowledgement
	PlannedAt       time.Time // when the last write was planned
	NextAttempt     time.Time // when a planned or unknown row may be tried again
	FirstSeen       time.Time // when the record first came by
	AcknowledgedAt  time.Time // when Copernica last acknowledged content
	RunID           int64     // the run that last planned or settled the row; 0 = not known
}
