// Package magentotest is a Magento 2.4.7 that can be started in a test or with
// `syncd emulate`: the REST routes a sync daemon reads, with the habits a real shop
// was seen to have.
//
// It is part of the independent witness: it imports nothing of the client it is
// asked by. Its facts come from recordings of a Magento Open Source 2.4.7-p3
// (testdata/recordings), which its tests replay against it, and never from what the
// client expects.
//
// # Data
//
// The shop's customers follow from [Config.Seed] and [Config.Customers] alone: two
// websites, three store views, names and addresses beyond ASCII, `+` and `'` in
// e-mail addresses, addresses shared by two websites with a different newsletter
// status, and hundreds of rows changed in one second. Tests change them with
// [Shop.Edit] and its relatives, which move `updated_at` exactly where Magento does.
// Orders follow from [Config.Orders] in the same way, and belong to those customers, to
// guests, and to accounts that are gone.
//
// # Time
//
// Every time the shop shows (Date header, updated_at, token expiry, account locks)
// comes from [Config.Now]. Pauses use timers bound to the request, so the shop works
// in a synctest bubble through [Shop.Transport].
package magentotest

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magento-copernica/syncd/internal/emulator"
)

// The credentials the shop accepts, unless [Config.Integration] has others.
const (
	Username          = "admin"
	Password          = "emulator-1"
	AccessToken       = "emulator" // of the integration, as Bearer
	ConsumerKey       = "emulatorconsumerkey0000000000000"
	ConsumerSecret    = "emulatorconsumersecret0000000000"
	AccessTokenSecret = "emulatoraccesstokensecret0000000"
)

// Config describes a shop. Its zero value is a shop of version 2.4.7 with default
// settings, except that the integration's token is accepted as Bearer, and no customers.
type Config struct {
	Seed      uint64 // of the generated data
	Customers int    // to generate
	Orders    int    // to generate
	Empty     bool   // generate nothing

	Now   func() time.Time // the shop's clock; nil: time.Now
	Start time.Time        // newest generated updated_at; zero: a day before Now. Whole seconds, UTC

	Latency     time.Duration // before each answer
	Integration Integration   // zero: the constants
	Switches    Switches
}

// Integration holds the four values of an integration.
type Integration struct {
	ConsumerKey, ConsumerSecret    string
	AccessToken, AccessTokenSecret string
}

// Switches are the shop's settings that change how it answers.
type Switches struct {
	// Version is what /magento_version shows the beginning of; "": 2.4.7. The settings
	// below decide how the shop answers: [Installed] has those of a version. NoVersion
	// is a shop that does not tell.
	Version   string
	NoVersion bool

	// BearerOff refuses the integration's token as Bearer, the default of 2.4.4 and
	// later (oauth/consumer/enable_integration_as_bearer).
	BearerOff bool
	// SeenAs is scheme, host and port of every request as they reach the shop, behind a
	// proxy that changes them; "": as they are sent. OAuth signatures are checked by it.
	SeenAs string
	// TwoFactor refuses the plain token endpoint. With OTP or TOTPSecret set the user
	// has the google provider, whose endpoint wants that code, or the one of the time
	// (RFC 6238, base32). OneTimeCodes takes each code of the time once, as Magento
	// itself does not. NoTwoFactor is a shop without that endpoint.
	TwoFactor    bool
	OTP          string
	TOTPSecret   string
	OneTimeCodes bool
	NoTwoFactor  bool
	// TokenLife is how long an admin token lives; 0: an hour, and 4 for opaque ones.
	TokenLife time.Duration
	// OpaqueTokens makes admin tokens that say nothing, as before 2.4.4.
	OpaqueTokens bool
	// Denied are ACL resources that no caller has, such as "Magento_Customer::customer".
	Denied []string

	// OrderRows is the longest page of orders that PHP's memory holds; a longer one ends
	// in a fatal error. 0: no limit. A real shop with 256 MB fails between 500 and 1,000.
	OrderRows int
	// BrokenOrder tells which orders a list leaves out though it counts them, as old
	// versions do with one whose product was deleted; nil: none.
	BrokenOrder func(order int64) bool
	// NullItems tells which orders are printed with `items` null; nil: none.
	NullItems func(order int64) bool

	// Poison tells which records the shop cannot show.
	Poison Poison

	// RepeatLastPage answers a page past the end with the last one.
	RepeatLastPage bool
	// NoSubscribed leaves is_subscribed out of a search of customers; a single one has it.
	NoSubscribed bool
	// SubscribedJoin finds is_subscribed by a join, which fails for a page with both rows
	// of a customer of whom TwoSubscriptions is true; nil: of nobody.
	SubscribedJoin   bool
	TwoSubscriptions func(customer int64) bool

	// InputLimit turns webapi/validation/input_limit_enabled on. The other three matter
	// only then; 0 means the default: 300, none, none.
	InputLimit        bool
	MaxPageSize       int
	DefaultPageSize   int
	ComplexArrayLimit int
}

// Shop is an emulated Magento. Its methods can be called while it serves.
type Shop struct {
	cfg     Config
	faults  emulator.Faults
	log     emulator.Log
	handler http.Handler

	mu        sync.Mutex // guards all below
	switches  Switches
	store     store
	views     atomic.Pointer[[]View] // of a slice that is never changed
	keys      keyring
	sessions  int
	listed    int // calls of store/storeViews, whose order varies
	onRequest func(*http.Request)

	customerGroups []CustomerGroup
}

// New returns a shop with generated data.
func New(cfg Config) *Shop {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Start.IsZero() {
		cfg.Start = cfg.Now().Add(-24 * time.Hour)
	}
	if cfg.Integration == (Integration{}) {
		cfg.Integration = Integration{ConsumerKey, ConsumerSecret, AccessToken, AccessTokenSecret}
	}
	cfg.Start = cfg.Start.UTC().Truncate(time.Second)
	s := &Shop{cfg: cfg, switches: cfg.Switches, customerGroups: customerGroups(), keys: newKeyring(cfg.Seed)}
	all := views()
	s.views.Store(&all)
	if !cfg.Empty {
		customers := generate(cfg.Seed, cfg.Customers, cfg.Start)
		s.store.fill(customers)
		orders := generateOrders(cfg.Seed, cfg.Orders, customers, cfg.Start)
		s.store.orders.fill(orders)
		s.store.generateDocuments(orders)
	}
	s.handler = emulator.Wrap(http.HandlerFunc(s.serve), &s.faults, &s.log, cfg.Now)
	return s
}

// Handler returns the shop as an HTTP handler.
func (s *Shop) Handler() http.Handler { return s.handler }

// Transport returns a RoundTripper that reaches the shop in this process.
func (s *Shop) Transport() http.RoundTripper { return emulator.Transport(s.handler) }

// Faults returns the list of faults to add to.
func (s *Shop) Faults() *emulator.Faults { return &s.faults }

// Log returns the log of the requests seen.
func (s *Shop) Log() *emulator.Log { return &s.log }

// OnRequest has f called before each request is worked, for instance to change data
// while a caller pages. There is one such function; nil removes it.
func (s *Shop) OnRequest(f func(*http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onRequest = f
}

// Switch changes settings of the running shop.
func (s *Shop) Switch(change func(*Switches)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.switches)
}

// RevokeTokens makes every admin token issued so far invalid.
func (s *Shop) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys.revoke()
}

// Sessions returns how many session rows the shop holds: one for each call to a
// route with a session that came without a known cookie.
func (s *Shop) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// now is the shop's clock as its database stores it: UTC, whole seconds.
func (s *Shop) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Second) }
