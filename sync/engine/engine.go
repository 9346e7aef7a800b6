// Package engine moves a stream from the shop into Copernica: read, map, plan,
// write, commit.
//
// A run holds the pipeline's writer lease, fixes a horizon on the shop's clock and
// walks the stream page by page up to it. Pages overlap: while one is being
// written the next is read and planned, up to PagesInWork of them, and they
// commit strictly in order. Within and across pages the writes of one profile
// keep their order, since they share a lane: the profile, then what stands below it.
//
// What holds whatever dies in between:
//
//   - nothing is sent before the store knows the intent (promise 13);
//   - the checkpoint moves only when each write of the page has an outcome, in the
//     transaction that records those outcomes (promise 9);
//   - a write whose outcome nobody knows is looked up before it is written again
//     (promise 10), by this process or by its successor;
//   - consent is decided apart from content, and an opt-out found in Copernica
//     stays (promise 18);
//   - nothing is written below a profile that was not there when its page was planned,
//     and an order that nobody owns makes no profile (promise 19);
//   - a run with nothing to write makes no call to Copernica (promise 8).
package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// Shop is what the engine needs of a Magento client.
type Shop interface {
	Clock(ctx context.Context) (time.Time, error)
	Stores(ctx context.Context) (magento.Stores, error)
	Groups(ctx context.Context) (map[int64]string, error)
	Customers(ctx context.Context, q magento.Query) iter.Seq2[*magento.Page[magento.Customer], error]
	Customer(ctx context.Context, id int64, fields []string) (magento.Customer, error)
	CustomersByID(ctx context.Context, q magento.IDQuery) iter.Seq2[*magento.Page[magento.Customer], error]
	OrdersByID(ctx context.Context, q magento.IDQuery) iter.Seq2[*magento.Page[magento.Order], error]
	Orders(ctx context.Context, q magento.Query) iter.Seq2[*magento.Page[magento.Order], error]
	Order(ctx context.Context, id int64, fields []string) (magento.Order, error)
	OrdersOf(ctx context.Context, ids []int64, fields []string) iter.Seq2[*magento.Page[magento.Order], error]
	Documents(ctx context.Context, q magento.DocumentQuery) iter.Seq2[*magento.Page[magento.Document], error]
	Unsubscribe(ctx context.Context, id int64) error
	Emails(ctx context.Context, q magento.EmailQuery) iter.Seq2[*magento.Page[magento.CustomerEmail], error]
}

// Database is what the engine needs of an opened Copernica database.
type Database interface {
	ID() int64
	// Clock is what Copernica's clock said in the last answer, zero when none told.
	Clock() time.Time
	Schema() copernica.Schema
	Refresh(ctx context.Context) (copernica.Schema, error)
	KeyField(name string) (copernica.KeyField, error)
	Upsert(ctx context.Context, key copernica.KeyField, value string, fields map[string]string) (copernica.Upserted, error)
	Update(ctx context.Context, id int64, fields map[string]string) error
	// Remove removes a profile with all that stands below it.
	Remove(ctx context.Context, id int64, completely bool) error
	Find(ctx context.Context, key copernica.KeyField, value string) ([]copernica.Profile, error)
	Profile(ctx context.Context, id int64) (copernica.Profile, error)
	// Live returns those of ids that are live profiles, ascending.
	Live(ctx context.Context, ids []int64) ([]int64, error)
	Among(ctx context.Context, ids []int64) ([]copernica.Profile, error)
	// Unsubscribes lists who unsubscribed since a time, each profile once.
	Unsubscribes(ctx context.Context, list copernica.UnsubscribeList, since time.Time) iter.Seq2[[]copernica.Unsubscribe, error]
	Changed(ctx context.Context, since time.Time) iter.Seq2[[]copernica.Profile, error]
	// All lists the live profiles with ids above one.
	All(ctx context.Context, after int64) iter.Seq2[[]copernica.Profile, error]
	Collection(name string) (*copernica.Collection, error)
	KeysAbove(ctx context.Context, key copernica.KeyField, prefix string, id int64) (keys []string, complete bool, err error)
	KeysBeside(ctx context.Context, key copernica.KeyField, prefix string) (keys []string, complete bool, err error)
}

// Config of an Engine. Shop, Open, Store and Mapping are required; the zero value
// of anything else is its default.
type Config struct {
	Pipeline string // the shop's code
	Shop     Shop
	// Open opens the Copernica database with its live schema. It is called at most
	// once a run, and not at all when there is nothing to write.
	Open    func(ctx context.Context) (Database, error)
	Store   state.Store
	Mapping *mapping.Mapping
	// Persons hashes who somebody is: a website and an e-mail. Its key outlives the state
	// where tombstones are kept outside it (promise 19). Default: the store's.
	Persons state.Hasher
	Erasure Erasure
	// SameShop, when not nil, is asked once the shop has answered: an error says that
	// the state was made with another shop, and ends the run before it reads anything.
	SameShop func(ctx context.Context) error

	Overlap time.Duration // re-read before the last horizon; 0 = 5 min, negative = none
	Settle  time.Duration // kept away from the shop's clock; 0 = 10 s, negative = none
	Budget  Budget

	Writes int // writes to Copernica in flight; default 10
	Reads  int // single reads from the shop in flight; default 2

	// WriteTimeout is how long after its start a write may still take effect at
	// Copernica. No call lasts longer, and a key that may have been sent is not
	// created again before it has passed (promise 13). Default 60 s.
	WriteTimeout time.Duration
	// LookPause is the pause before the first look-up after a write without an
	// answer; it doubles with each. Default 500 ms.
	LookPause time.Duration
	// LeaseTTL must exceed WriteTimeout, so that a call ends before the lease does. Default 3 min.
	LeaseTTL time.Duration
	// Grace is how long calls in flight may go on after a stop was asked for. Default 8 s.
	Grace time.Duration

	Holder   string // who holds the lease, in words: host and process
	Now      func() time.Time
	Log      *slog.Logger
	Progress func(Progress)               // called from one goroutine at a time
	Calls    func() (shop, account int64) // calls made so far, for the run's counters

	// TestHook is called at named points; tests kill the process there.
	TestHook func(Point)

	erasing *erasing  // shared by an engine's copies
	told    *sync.Map // lists that an account does not give, and that the log has named
	strange *sync.Map // ids of profiles that unsubscribed and are nobody's of this shop
}

// Budget bounds a run (promise 21). A spent budget ends it cleanly at its
// position. Zero fields are unlimited.
type Budget struct {
	Records int
	Time    time.Duration
}

// Progress is how far a run has come.
type Progress struct {
	Stream string
	Read   int64 // records committed
	Total  int64 // records expected in this pass, as the shop reported; 0 = not known
	Counts state.Counters
}

// Report is what a run did.
type Report struct {
	Stream   string
	Run      int64
	Outcome  state.RunOutcome
	Horizon  time.Time // of the last finished pass
	Counters state.Counters
	Letters  int64 // dead letters open in the pipeline
	Elapsed  time.Duration
	// Unreached is how many rows were planned and not sent when the run was cut short:
	// the next run reads them again.
	Unreached int64
	// Waiting says that the run ended before an order whose customer the first pass
	// over the customers has yet to bring.
	Waiting bool
	// Resync tells how a resync stands after a turn at it; nil for a live stream.
	Resync *Resynced
}

// Engine runs the streams of one pipeline. It is safe for concurrent use; the
// store's lease admits one run at a time.
type Engine struct{ cfg Config }

// pagesInWork is how many pages may be read, written and committed at once (promise 9).
const pagesInWork = 3

// New returns an Engine.
func New(cfg Config) (*Engine, error) {
	if cfg.Shop == nil || cfg.Open == nil || cfg.Store == nil || cfg.Mapping == nil || cfg.Pipeline == "" {
		return nil, errors.New("engine: pipeline, shop, database, store and mapping are required")
	}
	orDefault(&cfg.Overlap, 5*time.Minute)
	orDefault(&cfg.Settle, 10*time.Second)
	orDefault(&cfg.WriteTimeout, time.Minute)
	orDefault(&cfg.LookPause, 500*time.Millisecond)
	orDefault(&cfg.LeaseTTL, 3*time.Minute)
	orDefault(&cfg.Grace, 8*time.Second)
	orDefault(&cfg.Writes, 10)
	orDefault(&cfg.Reads, 2)
	if cfg.LeaseTTL <= cfg.WriteTimeout {
		return nil, fmt.Errorf("engine: the lease (%s) must last longer than a write (%s)", cfg.LeaseTTL, cfg.WriteTimeout)
	}
	if cfg.Persons == (state.Hasher{}) {
		cfg.Persons = cfg.Store.Hasher()
	}
	if cfg.Erasure.Policy == "" {
		cfg.Erasure.Policy = EraseFlag
	}
	cfg.erasing = newErasing(cfg.Erasure)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Progress == nil {
		cfg.Progress = func(Progress) {}
	}
	if cfg.Calls == nil {
		cfg.Calls = func() (int64, int64) { return 0, 0 }
	}
	if cfg.SameShop == nil {
		cfg.SameShop = func(context.Context) error { return nil }
	}
	if cfg.TestHook == nil {
		cfg.TestHook = func(Point) {}
	}
	cfg.told, cfg.strange = &sync.Map{}, &sync.Map{}
	return &Engine{cfg: cfg}, nil
}

func orDefault[T int | time.Duration](v *T, d T) {
	switch {
	case *v == 0:
		*v = d
	case *v < 0:
		*v = 0
	}
}
