// Package statetest is the conformance suite of state.Store: what every
// implementation must do, whatever database it stands on.
//
//	func TestStore(t *testing.T) {
//		statetest.Run(t, func(t *testing.T, now func() time.Time) state.Store { … })
//	}
//
// A change to one store's behaviour belongs here first.
package statetest

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/state"
)

// Suite is the conformance suite with its knobs for honest differences.
type Suite struct {
	// Open returns a new, empty store on the given clock. The suite closes it.
	Open func(t *testing.T, now func() time.Time) state.Store
	// Reopen returns another store on the data of s, which may be open or closed, as
	// a second process would see it. Nil: the data is gone with the store.
	Reopen func(t *testing.T, s state.Store, now func() time.Time) state.Store
	// TakesOverDead says that a lease whose store was closed without a release is
	// free at once, because the store can tell that its process is gone.
	TakesOverDead bool
}

// Run runs the suite on stores that Open makes, without the parts that need Reopen.
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) state.Store) {
	t.Helper()
	Suite{Open: open}.Run(t)
}

// Run runs the suite, each test on a store of its own.
func (s Suite) Run(t *testing.T) {
	t.Helper()
	type test struct {
		name string
		run  func(*testing.T, *fixture)
	}
	tests := []test{
		{"pipeline/target is fixed", testTarget},
		{"pipeline/target may come later", testTargetComesLater},
		{"marks are kept by name", testMarks},
		{"secrets are kept by name", testSecrets},
		{"pipeline/adopting is for good", testAdopting},
		{"pipeline/names", testPipelineNames},

		{"lease/needs a pipeline", testLeaseNeedsPipeline},
		{"lease/held", testLeaseHeld},
		{"lease/expiry", testLeaseExpiry},
		{"lease/ran out and nobody came", testLeaseRanOut},
		{"lease/old holder is refused", testOldHolder},
		{"lease/renew", testRenew},
		{"lease/release", testRelease},
		{"lease/fence only grows", testFenceGrows},
		{"lease/pipelines are apart", testLeasesApart},
		{"lease/many at once", testAcquireAtOnce},
		{"lease/bad arguments", testLeaseArguments},
		{"lease/runs of the dead are abandoned", testAbandoned},

		{"checkpoint/versions", testVersions},
		{"checkpoint/lost update", testLostUpdate},
		{"checkpoint/many committers, one wins", testOneWins},
		{"checkpoint/many committers, none is lost", testNoneLost},
		{"checkpoint/streams are apart", testStreamsApart},
		{"commit/all or nothing", testAtomic},
		{"commit/belongs to its lease", testForeignCommit},
		{"commit/empty", testEmptyCommit},

		{"ledger/a thousand keys", testThousandKeys},
		{"ledger/odd keys", testOddKeys},
		{"ledger/keys no store can keep", testBadKeys},
		{"ledger/upsert as it stands", testUpsert},
		{"ledger/plan keeps what was acknowledged", testPlanKeeps},
		{"ledger/plan starts with nothing acknowledged", testPlanInserts},
		{"ledger/plan takes intents only", testPlanStates},
		{"ledger/forget", testForget},
		{"ledger/pending", testPending},
		{"ledger/highest id", testHighestID},
		{"ledger/counted by prefix", testCountRecords},
		{"ledger/by copernica id", testByCopernicaID},
		{"ledger/by copernica ids", testByCopernicaIDs},
		{"ledger/by source", testBySource},
		{"ledger/between ids of the shop", testBetween},
		{"ledger/between ids of Copernica", testInCopernica},
		{"ledger/missing in the shop", testMissing},
		{"ledger/by number", testByNumber},
		{"ledger/emails", testEmails},
		{"ledger/pipelines and entities are apart", testLedgerApart},
		{"ledger/empty inputs", testEmptyInputs},
		{"ledger/lines of many orders", testLinesOfOrders},
		{"ledger/numbers as they stand", testNumbers},
		{"ledger/plan of orders and lines", testPlanOfOrders},
		{"ledger/forget lines", testForgetLines},
		{"ledger/entities side by side", testEntities},

		{"people/orders of a profile", testByParent},
		{"people/claims", testClaims},
		{"people/claims of customers", testClaimsOf},
		{"people/claims undone", testUnclaimed},
		{"people/rows below a profile", testBelow},
		{"people/rows that moved are found", testMovedAreFound},
		{"people/many orders move", testMoveOfMany},
		{"people/tombstones", testTombstones},
		{"people/tombstones no store can keep", testTombstoneErrors},
		{"people/erasures", testErasures},
		{"people/all tombstones", testAllTombstones},
		{"people/tombstones without a receipt", testTaken},
		{"people/e-mails by key", testEmailsOf},
		{"people/opt-outs", testOptOuts},
		{"people/nothing is kept of a name", testNameless},
		{"people/an erasure is kept whole", testErasureAtomic},

		{"doubles/seen and forgotten", testDoubles},

		{"letters/open, count, resolve", testLetters},
		{"letters/resolved and opened in one commit", testLetterAfterArrival},
		{"letters/order and limit", testLetterOrder},
		{"letters/words of peers", testLetterWords},
		{"letters/one", testLetter},
		{"letters/filter", testLetterFilter},
		{"letters/groups", testLetterGroups},
		{"letters/rows whose letter was closed", testResolvedRecords},
		{"letters/resolved by an operator", testResolve},
		{"letters/resolved all or none", testResolveAtomic},

		{"resyncs/added, read, ended", testResyncs},
		{"resyncs/errors", testResyncErrors},

		{"runs/start and save", testRuns},
		{"runs/unknown", testUnknownRun},
		{"runs/old ones are deleted", testPruneRuns},
		{"overview", testOverview},
		{"overview/of nothing", testOverviewEmpty},

		{"golden/every field comes back", testGolden},
		{"golden/zero values come back", testGoldenZero},
		{"golden/times are UTC in milliseconds", testTimes},

		{"model/random steps", testModel},

		{"hasher/is this database's own", testHasher},
		{"context/cancelled calls change nothing", testCancelled},
		{"context/cancelled in the middle", testCancelledMidway},
	}
	if s.Reopen != nil {
		tests = append(tests,
			test{"durable/closed without release", testTorn},
			test{"durable/two processes", testTwoProcesses},
			test{"durable/lost update between processes", testLostUpdateBetween},
			test{"durable/released lease keeps its fence", testFenceSurvives},
			test{"durable/hasher survives", testHasherSurvives},
			test{"durable/secrets survive", testSecretsSurvive},
		)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, s.fixture(t))
		})
	}
}

// shop is the pipeline that most tests use, other one beside it.
const (
	shop   = "shop"
	other  = "other"
	stream = "customers"
	ttl    = 24 * time.Hour
)

// fixture is one test's store and clock.
type fixture struct {
	state.Store
	suite Suite
	clock *clock
}

// fixture makes a store in which the pipelines shop and other are open.
func (s Suite) fixture(t *testing.T) *fixture {
	t.Helper()
	// With nanoseconds, so that a store which keeps them, or rounds up, is found out.
	c := &clock{now: time.Date(2026, 3, 29, 0, 59, 59, 123_456_789, time.UTC)}
	f := &fixture{Store: s.Open(t, c.Now), suite: s, clock: c}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	for _, name := range []string{shop, other} {
		if _, err := f.OpenPipeline(t.Context(), state.Pipeline{Name: name, Target: name + " database"}); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// reopen returns another store on the same data.
func (f *fixture) reopen(t *testing.T) *fixture {
	t.Helper()
	again := &fixture{Store: f.suite.Reopen(t, f.Store, f.clock.Now), suite: f.suite, clock: f.clock}
	t.Cleanup(func() {
		if err := again.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return again
}

// acquire takes the lease of shop.
func (f *fixture) acquire(t *testing.T) state.Lease {
	t.Helper()
	return f.acquireFor(t, shop, "host-1:100")
}

func (f *fixture) acquireFor(t *testing.T, pipeline, holder string) state.Lease {
	t.Helper()
	l, err := f.Acquire(t.Context(), pipeline, holder, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// commit commits or fails the test.
func (f *fixture) commit(t *testing.T, l state.Lease, c state.Commit) state.Checkpoint {
	t.Helper()
	cp, err := f.Commit(t.Context(), l, c)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return cp
}

// record reads one ledger row of shop.
func (f *fixture) record(t *testing.T, key string) (state.Record, bool) {
	t.Helper()
	rows, err := f.Records(t.Context(), shop, state.Profile, []string{key})
	if err != nil {
		t.Fatal(err)
	}
	r, ok := rows[key]
	return r, ok
}

// letters reads the open dead letters of shop.
func (f *fixture) letters(t *testing.T) []state.DeadLetter {
	t.Helper()
	letters, err := f.Letters(t.Context(), shop, state.LetterFilter{Open: true, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return letters
}

// clock is the clock of a store under test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// ms is now as a store keeps it.
func (c *clock) ms() time.Time { return c.Now().Truncate(time.Millisecond) }

// hashOf is a hash that names n.
func hashOf(n byte) state.Hash { return state.Hash{0: n, 15: n} }

// acknowledged is a ledger row in Copernica.
func acknowledged(key string, id int64) state.Record {
	return state.Record{Entity: state.Profile, Key: key, SourceID: id, CopernicaID: 1000 + id, Hash: hashOf(1), State: state.Acknowledged}
}

// refusal is a dead letter.
func refusal(key, cause string) state.DeadLetter {
	return state.DeadLetter{Stream: stream, Entity: state.Profile, Key: key, Cause: cause, Message: "refused", Fix: "mend it"}
}

// same fails the test when want and got differ.
func same[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
