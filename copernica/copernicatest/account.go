// Package copernicatest is a Copernica account that a test, the demo or
// `syncd emulate copernica` can start: REST API versions 1 to 4, authentication host
// and consent page in one handler.
//
// It is written from Copernica's documentation and from what others observed of
// the live API, not from our client, and imports nothing of it: the two check each
// other. Numbers in comments ("behaviour 36") are those of
// copernica-behaviours.md, a list of what a client must survive. What nobody has
// documented is a field of [Switches] whose zero value is the likeliest answer.
//
// # What it guarantees
//
//   - Values are converted and never refused, times are Europe/Amsterdam, all field
//     values come back as strings, nearly every error is a 400 with the known message.
//   - Ids grow for ever and are never used twice; profile ids are one number space
//     over all databases. Removed rows stay readable by id and leave every list.
//   - Each call is worked at one instant: a reader sees all of a write or nothing.
//     Only [Switches.UpsertRace] opens the window between the look and the creation.
//   - A look-up, an upsert or an update by an equality filter or by id costs the same
//     in a database of 10 and of 100,000 profiles.
//
// # Versions
//
// Each version has its own path, and all of them work on the same account. Version 4
// wants a Bearer token, 1 to 3 the access token in the query. What else differs stands
// in version.go. Calls that the documents of a version do not have answer "Invalid
// method".
package copernicatest

import (
	"fmt"
	"net/http"
	"sync"
	"time"
	_ "time/tzdata" // Copernica's clock is Amsterdam's wherever the emulator runs

	"github.com/magento-copernica/syncd/internal/emulator"
)

// What an account knows from its start.
const (
	// AccessToken is the API access token that every new account accepts.
	AccessToken = "emulator"
	// ClientKey and ClientSecret are those of the one OAuth application that the
	// account knows.
	ClientKey    = "emulator-client-key"
	ClientSecret = "emulator-client-secret"
	// DatabaseName is the database of an account that was not started empty.
	DatabaseName = "Magento"
	// Unsubscribed is what the default unsubscribe behaviour writes into the field
	// newsletter.
	Unsubscribed = "unsubscribed_copernica"
)

// Config describes an account. Its zero value is an account on the system's clock
// with one database without fields, named [DatabaseName].
type Config struct {
	Now     func() time.Time // the account's clock; nil: time.Now
	Empty   bool             // no database at all
	Latency time.Duration    // each call is worked that much after it arrived

	Switches
}

// Account is a Copernica account. Its methods may be called while it serves.
type Account struct {
	cfg     Config
	zone    *time.Location
	handler http.Handler
	faults  emulator.Faults
	log     emulator.Log

	mu        sync.Mutex // guards all below and everything reachable from it
	databases []*table
	tables    map[int64]*table // collections by id
	profiles  map[int64]*row
	subs      map[int64]*row
	lastID    struct{ database, collection, field, profile, sub, secret, unsubscribe, destination int64 }

	unsubscribes []unsubscribe // of both lists, by id

	access map[string]bool       // API access tokens that are good
	tokens map[string]grant      // authorization tokens issued
	codes  map[string]pendingUse // OAuth codes not yet exchanged

	calls map[string]int // billed calls by Amsterdam date
}

// New returns an account.
func New(cfg Config) *Account {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		panic(fmt.Sprintf("copernicatest: time zone data compiled in is unreadable: %v", err))
	}
	a := &Account{
		cfg: cfg, zone: zone,
		tables: map[int64]*table{}, profiles: map[int64]*row{}, subs: map[int64]*row{},
		access: map[string]bool{AccessToken: true}, tokens: map[string]grant{}, codes: map[string]pendingUse{},
		calls: map[string]int{},
	}
	// Ranges apart, so that an id used in the wrong place is no id at all.
	a.lastID.database, a.lastID.collection, a.lastID.field = 100, 500, 2000
	a.lastID.profile, a.lastID.sub = 100_000, 50_000_000
	a.lastID.unsubscribe, a.lastID.destination = 70_000_000, 80_000_000
	if !cfg.Empty {
		a.addDatabase(DatabaseName, "")
	}
	a.handler = emulator.Wrap(http.HandlerFunc(a.serve), &a.faults, &a.log, cfg.Now)
	return a
}

// Handler serves the account: the API under /v1/ to /v4/, the authentication host at "/"
// and the consent page at /en/authorize and /nl/authorize.
func (a *Account) Handler() http.Handler { return a.handler }

// Transport reaches the account without a socket, whatever the URL's host.
func (a *Account) Transport() http.RoundTripper { return emulator.Transport(a.handler) }

// Faults returns the account's faults, to add to.
func (a *Account) Faults() *emulator.Faults { return &a.faults }

// Log returns the requests the account saw, those of the authentication host among
// them.
func (a *Account) Log() *emulator.Log { return &a.log }

// Calls returns how many API calls Copernica would have billed: those that came
// with a good token and were not spoilt on their way in.
func (a *Account) Calls() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, day := range a.calls {
		n += day
	}
	return n
}

func (a *Account) now() time.Time { return a.cfg.Now().In(a.zone) }

// stamp prints a moment as the API does: Amsterdam time, no zone (behaviour 52).
func (a *Account) stamp(unix int64) string {
	return time.Unix(unix, 0).In(a.zone).Format(time.DateTime)
}

// pause gives the lock away for d. Whoever holds rows across it must look again.
func (a *Account) pause(d time.Duration) {
	a.mu.Unlock()
	defer a.mu.Lock()
	time.Sleep(d)
}
