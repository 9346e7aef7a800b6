// Package state holds what syncd knows between two calls: checkpoints, the
// ledger, runs, dead letters and the writer lease. It knows neither Magento nor
// Copernica, and it stores no personal data: ids, keyed hashes, numbers, dates,
// and peers' messages without their parameters (promise 7).
//
// Correctness rests here. A [Checkpoint] only moves by compare-and-swap, and every
// write proves the caller's fence in the same transaction, so a process that lost
// its lease commits nothing (promises 9 and 13).
package state

import (
	"context"
	"time"
)

// Store is the checkpoint store. Implementations are safe for concurrent use and
// pass the conformance suite in statetest. All times are UTC, to the millisecond.
type Store interface {
	// OpenPipeline fixes a pipeline's name at its first use, its target at the first
	// use that names one, and returns it. Later uses with another target return a
	// *TargetError; those without one, as before the first write of a run, accept any.
	OpenPipeline(ctx context.Context, p Pipeline) (Pipeline, error)
	// Pipelines returns every pipeline that was opened, by name.
	Pipelines(ctx context.Context) ([]Pipeline, error)

	// Acquire takes the pipeline's writer lease and raises its fence, for ever higher.
	// It returns a *HeldError while a lease lives, also one of the same holder. Where the
	// store can prove that the holder's process is gone, it does not wait for the expiry.
	// Runs of earlier holders that are still running become abandoned.
	Acquire(ctx context.Context, pipeline, holder string, ttl time.Duration) (Lease, error)
	// Renew extends a lease that is still held; ErrFenced says that it is not. A lease
	// that ran out is not held, even when nobody else took it.
	Renew(ctx context.Context, l Lease, ttl time.Duration) (Lease, error)
	// Release gives a lease up. Releasing one that is no longer held does nothing.
	Release(ctx context.Context, l Lease) error

	// Checkpoint returns a stream's checkpoint; one never saved has version 0.
	Checkpoint(ctx context.Context, pipeline, stream string) (Checkpoint, error)
	// Records returns the ledger rows of the given keys that exist, by key.
	Records(ctx context.Context, pipeline string, e Entity, keys []string) (map[string]Record, error)
	// RecordsByCopernicaID returns the ledger rows that have one of some Copernica ids, by
	// key. There is one of each as a rule: Copernica gives an id once.
	RecordsByCopernicaID(ctx context.Context, pipeline string, e Entity, ids ...int64) ([]Record, error)
	// RecordsBySource returns the ledger rows of an entity whose SourceID is one of the
	// given ones, in the order of their keys: of an order's id its lines, for one.
	RecordsBySource(ctx context.Context, pipeline string, e Entity, sourceIDs []int64) ([]Record, error)
	// RecordsBetween returns the ledger rows of an entity whose SourceID is greater than
	// after and not greater than upto, in the order of SourceID and key, at most limit of
	// them: what a sweep through the shop's ids compares with.
	RecordsBetween(ctx context.Context, pipeline string, e Entity, after, upto int64, limit int) ([]Record, error)
	// RecordsInCopernica returns the ledger rows of an entity whose Copernica id is greater
	// than after and not greater than upto, in the order of that id and key, at most limit
	// of them: what a look at Copernica compares with.
	RecordsInCopernica(ctx context.Context, pipeline string, e Entity, after, upto int64, limit int) ([]Record, error)
	// RecordsByParent returns the ledger rows of orders whose Parent is the given key and
	// whose own key is greater than after, in the order of their keys, at most limit of them.
	RecordsByParent(ctx context.Context, pipeline, parent, after string, limit int) ([]Record, error)
	// Claims returns the rows of guests' profiles in the state Claimed whose key is greater
	// than after, in the order of their keys, at most limit of them; with open only those
	// that still have a Copernica id.
	Claims(ctx context.Context, pipeline string, open bool, after string, limit int) ([]Record, error)
	// ClaimsOf returns the rows of guests' profiles in the state Claimed whose Parent is one
	// of the given keys, in the order of their own keys.
	ClaimsOf(ctx context.Context, pipeline string, parents []string) ([]Record, error)
	// ResolvedRecords returns rows in the state Refused whose dead letter was closed, and
	// that have no open one: those after the given one, in the order of entity and key, at
	// most limit of them.
	ResolvedRecords(ctx context.Context, pipeline string, after RecordRef, limit int) ([]Record, error)
	// Unclaimed returns the rows of profiles whose claim was undone, which have a Parent and
	// stand for themselves, whose key is greater than after, in the order of their keys, at
	// most limit of them.
	Unclaimed(ctx context.Context, pipeline, after string, limit int) ([]Record, error)
	// MissingRecords returns rows in the state Missing, by key, at most limit of them.
	MissingRecords(ctx context.Context, pipeline string, e Entity, limit int) ([]Record, error)
	// RecordsByNumber returns the ledger rows that have an order number, in the order of
	// their keys. Several stores of a shop may give the same one; the empty number names
	// no row.
	RecordsByNumber(ctx context.Context, pipeline, number string) ([]Record, error)
	// Pending returns rows left planned or unknown whose NextAttempt has come (zero is
	// always come), those due longest first, at most limit of them.
	Pending(ctx context.Context, pipeline string, now time.Time, limit int) ([]Record, error)
	// HighestID returns the largest Copernica id the ledger knows of an entity, or 0.
	HighestID(ctx context.Context, pipeline string, e Entity) (int64, error)
	// CountRecords counts the ledger rows of an entity whose keys begin with a prefix, by
	// state. It reads each of them, so that it is for what is rarely asked; the numbers of
	// whole entities are in the Overview.
	CountRecords(ctx context.Context, pipeline string, e Entity, prefix string) (map[RecordState]int64, error)
	// Emails returns, for each hash that occurs, the source keys that have it, in
	// order. The zero hash never occurs.
	Emails(ctx context.Context, pipeline string, hashes []Hash) (map[Hash][]Email, error)
	// EmailsOf returns what is known of the e-mails of the given source keys, by key.
	EmailsOf(ctx context.Context, pipeline string, keys []string) (map[string]Email, error)

	// Tombstones returns when the given persons were erased, for those who were.
	Tombstones(ctx context.Context, pipeline string, persons []Hash) (map[Hash]time.Time, error)
	// AddTombstones takes tombstones up that were kept outside the state. Of two of one
	// person the later stays. It asks for no lease, but the pipeline must have been opened.
	AddTombstones(ctx context.Context, pipeline string, stones []Tombstone) error
	// TombstonesAfter returns all tombstones in the order of their persons: those greater
	// than after, at most limit of them.
	TombstonesAfter(ctx context.Context, pipeline string, after Hash, limit int) ([]Tombstone, error)
	// Erasures returns the newest receipts first: of the profile with a key, or with the
	// empty key of all.
	Erasures(ctx context.Context, pipeline, key string, limit int) ([]Erasure, error)

	// OptOuts returns the newest opt-outs first that were made in Copernica and settled
	// with the shop, of the profile with a key.
	OptOuts(ctx context.Context, pipeline, key string, limit int) ([]OptOut, error)

	// Doubles returns the doubles of a ledger row that were seen, by id.
	Doubles(ctx context.Context, pipeline string, e Entity, key string) ([]Double, error)
	// DoublesByID returns the doubles with a Copernica id that were seen, by key.
	DoublesByID(ctx context.Context, pipeline string, e Entity, id int64) ([]Double, error)

	// Plan records the intent to write, before the calls (promise 13). It sets State,
	// Attempts, PlannedAt, NextAttempt and RunID of rows that exist, Sent where a plan
	// has one, and nothing else: what Copernica acknowledged before, Parent, Number and
	// SourceID stay as they are, and so does a Sent of before where a plan has none.
	// Rows that do not exist are inserted with those columns, SourceID, Parent, Number,
	// CopernicaID and FirstSeen, and with nothing acknowledged, whatever other hashes they
	// carry. ErrFenced says the lease is gone.
	Plan(ctx context.Context, l Lease, rows []Record) error
	// Commit records the outcomes of a page in one transaction (promise 9) and
	// returns the checkpoint as saved, the zero one when none was given. ErrFenced
	// says that the lease is gone, ErrConflict that the checkpoint is no longer the one
	// the caller read; after any error nothing of the commit was kept.
	Commit(ctx context.Context, l Lease, c Commit) (Checkpoint, error)

	// StartRun inserts a run and returns its id; SaveRun updates it by id. Neither asks
	// for a lease. Started defaults to now, Outcome to Running.
	StartRun(ctx context.Context, r Run) (int64, error)
	SaveRun(ctx context.Context, r Run) error
	// Run returns one run; ErrNoRun says that the pipeline has none with this id.
	Run(ctx context.Context, pipeline string, id int64) (Run, error)
	// Runs returns the runs that a filter lets through, the newest first.
	Runs(ctx context.Context, pipeline string, f RunFilter) ([]Run, error)
	// PruneRuns deletes runs that began before a time and returns how many. The newest
	// ones of each stream stay, keep of them, and so do those still running and those that
	// a ledger row, a dead letter or a receipt names. It asks for no lease.
	PruneRuns(ctx context.Context, pipeline string, before time.Time, keep int) (int64, error)

	// Overview returns what dashboards and `syncd status` show, all of one moment. For
	// a pipeline that was never opened it holds the name and nothing else.
	Overview(ctx context.Context, pipeline string) (Overview, error)
	// Letters returns the dead letters that a filter lets through, the last seen first.
	Letters(ctx context.Context, pipeline string, f LetterFilter) ([]DeadLetter, error)
	// LetterGroups returns the open dead letters by cause, the largest group first.
	LetterGroups(ctx context.Context, pipeline string) ([]LetterGroup, error)
	// Letter returns one dead letter, open or resolved; ErrNoLetter says there is none.
	Letter(ctx context.Context, pipeline string, id int64) (DeadLetter, error)
	// ResolveLetters closes open letters with an operator's reason, all of them or none.
	// It asks for no lease. ErrNoLetter says that one does not exist, ErrResolved that one
	// is closed already; both are wrapped with its id. No letter is ever deleted (promise 23).
	ResolveLetters(ctx context.Context, pipeline string, ids []int64, reason string) error

	// AddResync records an operator's request to send records again and returns its id.
	// ID, State and Ended are the store's to set; Created defaults to now. It asks for
	// no lease, but the pipeline must have been opened.
	AddResync(ctx context.Context, r Resync) (int64, error)
	// Resync returns one request; ErrNoResync says that the pipeline has none with this id.
	Resync(ctx context.Context, pipeline string, id int64) (Resync, error)
	// Resyncs returns the requests that a filter lets through, the newest first.
	Resyncs(ctx context.Context, pipeline string, f ResyncFilter) ([]Resync, error)
	// EndResync closes an open request as done or cancelled. It asks for no lease.
	// ErrNoResync says that it does not exist, ErrResyncEnded that it is closed already;
	// both are wrapped with its id.
	EndResync(ctx context.Context, pipeline string, id int64, as ResyncState) error

	// Mark returns when name was last noted with SetMark, or the zero time. Marks
	// belong to no pipeline; a name is a keyed hash or a word, never a person's data.
	Mark(ctx context.Context, name string) (time.Time, error)
	// SetMark notes name at a time; the zero time forgets it.
	SetMark(ctx context.Context, name string, at time.Time) error

	// Secret returns what SetSecret kept under name, nil when there is nothing. ErrKey
	// says that it was sealed with another encryption key, or is damaged.
	Secret(ctx context.Context, name string) ([]byte, error)
	// SetSecret keeps a secret, such as a peer's token, sealed with the encryption key
	// (package seal); an empty one forgets it. Secrets belong to no pipeline.
	SetSecret(ctx context.Context, name string, secret []byte) error

	// Hasher returns the keyed hash made once with this database.
	Hasher() Hasher
	Close() error
}

// Pipeline is one shop feeding one Copernica database.
type Pipeline struct {
	Name   string // SYNCD_SHOP
	Target string // stable words for the Copernica account and database it writes to
	// Adopting is set for good when the database held rows with our keys before
	// the ledger knew any: first writes then look before they carry consent.
	Adopting bool
}

// Lease is the right to write for one pipeline. Fence grows with every holder.
type Lease struct {
	Pipeline, Holder string
	Fence            int64
	Expires          time.Time
}

// Position is a place in a stream: the last record read, by (updated_at, id).
type Position struct {
	UpdatedAt time.Time // UTC, whole seconds
	ID        int64
}

// IsZero reports whether p is the start of a stream.
func (p Position) IsZero() bool { return p.ID == 0 && p.UpdatedAt.IsZero() }

// Checkpoint is how far a stream has come (promise 2). Between passes Position and
// Target are zero; during a pass Target is that pass's own horizon.
type Checkpoint struct {
	Pipeline, Stream string
	Version          int64     // grows with each save; 0 = never saved
	Horizon          time.Time // of the last finished pass, exclusive; zero before the first
	Position         Position  // in the pass under way
	From             time.Time // lower bound of the pass under way, inclusive; zero = everything
	Target           time.Time // horizon of the pass under way; zero = none
	SavedAt          time.Time
}

// Commit is everything a page leaves behind.
type Commit struct {
	// Checkpoint, when not nil, is saved if the stored one still has its Version.
	Checkpoint *Checkpoint
	// Moves, one after the other, and then Bare come before Records. Bare lists profiles that
	// were removed with all that stood below them: orders whose Parent is one, and their lines
	// that have the same Parent, become Removed, without a Copernica id, a number and hashes.
	// Moves gives such rows another Parent and changes nothing else of them.
	Moves   []Move
	Bare    []string
	Records []Record    // upserted as they stand
	Forget  []RecordRef // planned or unknown rows that are known not to have arrived: deleted, unless ever acknowledged
	Emails  []Email     // upserted by Key
	// Of two tombstones of one person the later stays. An erasure without a time is of now;
	// its ID and Pipeline are the store's to set.
	Tombstones []Tombstone
	Erasures   []Erasure
	// OptOuts are added; one without a SettledAt is of now. Nameless then lists profiles of
	// whose people nothing is kept but rows, tombstones and receipts: their e-mails and
	// opt-outs are deleted.
	OptOuts  []OptOut
	Nameless []string
	// Doubles are upserted by what names them; one without Consent keeps what it had. Those
	// of an entity that were last seen before the time in Faded are forgotten first.
	Doubles []Double
	Faded   map[Entity]time.Time
	// Letters are opened, or the open one of the same record counted up: it keeps its
	// id and FirstSeen, and the rest becomes that of the new one. A record committed as
	// Acknowledged resolves its open letter as delivered.
	Letters []DeadLetter
	Run     *Run // saved along
	// Adopting, when set, marks the pipeline as adopting for good.
	Adopting bool
}

// RecordRef names a ledger row.
type RecordRef struct {
	Entity Entity
	Key    string
}

// Counters is what a run did.
type Counters struct {
	Read        int64 `json:"read"`          // records read from the shop
	Unchanged   int64 `json:"unchanged"`     // equal to what Copernica acknowledged
	Created     int64 `json:"created"`       // rows created in Copernica
	Updated     int64 `json:"updated"`       // rows updated in Copernica
	Removed     int64 `json:"removed"`       // rows removed from Copernica: lines that left their order, guests who are customers
	Refused     int64 `json:"refused"`       // records that became dead letters
	Unknown     int64 `json:"unknown"`       // writes still without an outcome
	OptOutsKept int64 `json:"opt_outs_kept"` // consent not sent because Copernica holds an opt-out
	Missing     int64 `json:"missing"`       // records that the shop no longer has, found by a sweep
	// OptOutsReturned is how many opt-outs made in Copernica were settled: the shop has them
	// by now, or, of OptOutsWithoutRecord of them, has no record of who opted out.
	OptOutsReturned      int64 `json:"opt_outs_returned"`
	OptOutsWithoutRecord int64 `json:"opt_outs_without_record"`
	// Claimed is how many guests turned out to be customers, Erased how many people were
	// erased.
	Claimed     int64 `json:"claimed"`
	Erased      int64 `json:"erased"`
	Ownerless   int64 `json:"ownerless"` // orders without a profile, since their account was deleted
	SourceCalls int64 `json:"magento_calls"`
	TargetCalls int64 `json:"copernica_calls"`
}

// Plus returns the sum of what two runs did.
func (c Counters) Plus(o Counters) Counters {
	return Counters{
		Read: c.Read + o.Read, Unchanged: c.Unchanged + o.Unchanged, Created: c.Created + o.Created, Updated: c.Updated + o.Updated,
		Removed: c.Removed + o.Removed, Refused: c.Refused + o.Refused, Unknown: c.Unknown + o.Unknown,
		OptOutsKept: c.OptOutsKept + o.OptOutsKept, Missing: c.Missing + o.Missing,
		OptOutsReturned: c.OptOutsReturned + o.OptOutsReturned, OptOutsWithoutRecord: c.OptOutsWithoutRecord + o.OptOutsWithoutRecord,
		Claimed: c.Claimed + o.Claimed, Erased: c.Erased + o.Erased, Ownerless: c.Ownerless + o.Ownerless, SourceCalls: c.SourceCalls + o.SourceCalls, TargetCalls: c.TargetCalls + o.TargetCalls,
	}
}

// RunOutcome says how a run ended.
type RunOutcome string

// The outcomes.
const (
	Running   RunOutcome = "running"
	Done      RunOutcome = "done"      // reached the horizon
	Paused    RunOutcome = "paused"    // budget spent or stopped; the next run resumes
	Failed    RunOutcome = "failed"    // a peer failed; the next run resumes
	Abandoned RunOutcome = "abandoned" // its process died; found by the successor
)

// Run is one pass, or part of one, over a stream.
type Run struct {
	ID               int64
	Pipeline, Stream string
	Holder           string
	Fence            int64
	Started, Ended   time.Time
	Outcome          RunOutcome
	Problem          string // class and template of what ended it; no personal data
	Counters         Counters
}

// RunFilter selects runs. Zero fields let everything through, but for Limit.
type RunFilter struct {
	Stream string
	Before int64 // only those with lower ids, which began earlier
	Limit  int   // at most so many; zero and below: none
}

// ResyncState is how a resync stands.
type ResyncState string

// The states.
const (
	ResyncOpen      ResyncState = "open"      // to be worked, or under way
	ResyncDone      ResyncState = "done"      // every record had its turn
	ResyncCancelled ResyncState = "cancelled" // an operator ended it
)

// Resync is a request to send records again. It has a checkpoint of its own beside
// those of the live streams (promise 22).
type Resync struct {
	ID       int64
	Pipeline string
	Stream   string    // the live stream whose records are sent
	Since    time.Time // of their updated_at, inclusive; zero = from the beginning
	Until    time.Time // exclusive; zero = the shop's clock when it is first worked
	Stores   []int64   // ids of store views; none = all
	IDs      []int64   // the records themselves; none = by time
	Force    bool      // also those whose content Copernica has acknowledged
	Created  time.Time
	State    ResyncState
	Ended    time.Time // zero while open
}

// ResyncFilter selects resyncs. Zero fields let everything through, but for Limit.
type ResyncFilter struct {
	Open  bool // only open ones
	Limit int  // at most so many; zero and below: none
}

// Overview is the state of a pipeline for people.
type Overview struct {
	Pipeline    Pipeline
	Lease       *Lease // nil when nobody writes
	Checkpoints []Checkpoint
	Records     map[Entity]map[RecordState]int64
	OpenLetters map[string]int64 // by cause
	Erased      map[string]int64 // receipts by policy
	OptOuts     map[string]int64 // made in Copernica and settled with the shop, by source
	Taken       Taken            // tombstones without a receipt
	LastRuns    []Run            // the newest of each stream
}
