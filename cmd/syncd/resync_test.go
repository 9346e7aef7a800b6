package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
	"github.com/magento-copernica/syncd/sync/engine"
)

// beside opens the state beside the commands that use it.
func (s *stage) beside() state.Store {
	s.t.Helper()
	store, err := sqlite.Open(s.t.Context(), sqlite.Config{Path: s.statePath(), EncryptionKey: s.environ["SYNCD_ENCRYPTION_KEY"]})
	s.must(err)
	s.t.Cleanup(func() { s.must(store.Close()) })
	return store
}

// taken has another process hold the lease whenever it is asked for the n-th time, from 1 on,
// of which held says so.
func (s *stage) taken(held func(n int64) bool) {
	s.tune = func(cfg *engine.Config) { cfg.Store = &takenState{Store: cfg.Store, held: held} }
}

// takenState is a state whose lease others have at times.
type takenState struct {
	state.Store
	asked atomic.Int64
	held  func(n int64) bool
}

func (s *takenState) Acquire(ctx context.Context, pipeline, holder string, ttl time.Duration) (state.Lease, error) {
	if s.held(s.asked.Add(1)) {
		return state.Lease{}, &state.HeldError{Pipeline: pipeline, Holder: "another process", Expires: time.Now().Add(ttl)}
	}
	return s.Store.Acquire(ctx, pipeline, holder, ttl)
}

// byHand changes a field of every profile in Copernica.
func (s *stage) byHand() {
	s.t.Helper()
	for _, p := range s.account.Profiles(copernicatest.DatabaseName) {
		s.must(s.account.EditProfile(p.ID, map[string]string{"lastname": "By hand"}))
	}
}

// unsubscribed is a customer whom the shop does not mail.
func (s *stage) unsubscribed() int64 {
	s.t.Helper()
	for n := range stageCustomers {
		if id := s.id(n); !s.mails(id) {
			return id
		}
	}
	s.t.Fatal("everybody is subscribed")
	return 0
}

// openResyncs returns the ids of those that have not ended.
func (s *stage) openResyncs(store state.Store) []int64 {
	s.t.Helper()
	open, err := store.Resyncs(s.t.Context(), "shop", state.ResyncFilter{Open: true, Limit: 10})
	s.must(err)
	var ids []int64
	for _, r := range open {
		ids = append(ids, r.ID)
	}
	return ids
}

// Promise 22: a resync that was stopped goes on, and the live streams have their turn
// in between.
func TestPromise22_AStoppedResyncGoesOn(t *testing.T) {
	t.Parallel()
	s := newOrderStage(t)
	s.ends(exitDone, s.run("run"))
	s.pass(time.Minute)
	s.byHand()

	ctx, stop := context.WithCancel(t.Context())
	var calls atomic.Int64
	each := func() {
		if calls.Add(1) == 20 {
			stop()
		}
	}
	s.accountFront.each.Store(&each)
	s.environ["SYNCD_RUN_BUDGET"] = "10"
	s.ends(exitFailed, s.runIn(ctx, false, "resync", "customers", "--force"), "stopped: `syncd resync` goes on with resync 1")
	s.accountFront.each.Store(nil)
	store := s.beside()
	if open := s.openResyncs(store); !slices.Equal(open, []int64{1}) {
		t.Fatalf("open are %v", open)
	}

	s.pass(time.Minute)
	s.shop.Edit(s.id(0), func(c *magentotest.Customer) { c.LastName += " II" })
	s.pass(time.Minute)
	out := s.run("resync")
	s.ends(exitDone, out)
	if !strings.HasPrefix(out.stdout, "customers: 1 read, 0 created, 1 updated") || !strings.Contains(out.stdout, "; done\n") {
		t.Errorf("the live streams had no turn, or the resync no end:\n%s", out.stdout)
	}
	s.environ["SYNCD_RUN_BUDGET"] = ""
	s.ends(exitDone, s.run("resync", "orders", "--force")) // guests are made of orders
	s.inStep()
}

// A preview says in the run's words and numbers what the run then does.
func TestADryRunCountsAsTheRun(t *testing.T) {
	t.Parallel()
	s := newOrderStage(t)
	s.ends(exitDone, s.run("run"))
	s.pass(time.Minute)
	s.shop.Edit(s.id(0), func(c *magentotest.Customer) { c.LastName += " II" })
	s.must(s.account.RemoveProfile(s.profileOf("shop-c" + number(s.id(3)))))
	s.must(s.account.Unsubscribe(copernicatest.DatabaseName, "shop-c"+number(s.id(5))))
	s.pass(time.Minute)
	counts := func(out outcome, before string) string {
		t.Helper()
		s.ends(exitDone, out)
		_, after, found := strings.Cut(out.stdout, before)
		said, _, ended := strings.Cut(after, ";")
		if !found || !ended || !strings.Contains(said, " read, ") {
			t.Fatalf("no %q in:\n%s", before, out.stdout)
		}
		return said
	}
	for _, args := range [][]string{
		{"customers"},
		{"customers", "--force"}, // brings back what was removed
		{"customers", "--force"},
		{"orders"},
		{"orders", "--force"},
		{"orders", "--ids", "1,2,3", "--force"},
	} {
		stream := args[0]
		would := counts(s.run(append([]string{"resync", "--dry-run", "--limit", "1000"}, args...)...), stream+" would be: ")
		if did := counts(s.run(append([]string{"resync"}, args...)...), ", "+stream+": "); did != would {
			t.Errorf("%v: the preview says %q, the run %q", args, would, did)
		}
	}
	s.everybodyChanges()
	would := counts(s.run("plan"), "customers would be: ")
	if did := counts(s.run("run"), "customers: "); did != would {
		t.Errorf("the plan says %q, the run %q", would, did)
	}
}

// With --wait the end is waited for, whoever brings it.
func TestAResyncWaitsForAnotherProcess(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.ends(exitDone, s.run("run"))
	s.byHand()
	store := s.beside()
	lease, err := store.Acquire(t.Context(), "shop", "somebody", time.Hour)
	s.must(err)
	var wg sync.WaitGroup
	var out outcome
	wg.Go(func() { out = s.run("resync", "customers", "--force", "--wait") })
	for len(s.openResyncs(store)) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	s.must(store.Release(t.Context(), lease))
	wg.Wait()
	s.ends(exitDone, out)
	if !strings.Contains(out.stdout, "32 updated") {
		t.Errorf("%s", out.stdout)
	}
	s.inStep()
}

// One that is left to another process ends with what was left undone until then; a stream
// that is switched off has no turn.
func TestAResyncThatIsLeftTellsOfDeadLetters(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.environ["SYNCD_SCHEDULE_ORDERS"] = "off"
	s.shop.Edit(s.id(0), func(c *magentotest.Customer) { c.Email = strings.Repeat("a", 160) + c.Email })
	s.pass(time.Minute)
	s.ends(exitDeadLetters, s.run("run"))
	s.environ["SYNCD_RUN_BUDGET"] = "10"
	s.taken(func(n int64) bool { return n > 2 }) // behind a turn, and that of the customers
	out := s.run("resync", "customers")
	s.ends(exitDeadLetters, out, "1 dead letter is open")
	out.says(t, "another process writes for this shop now")
	s.tune = nil
	s.ends(exitDeadLetters, s.run("resync"), "1 dead letter is open")
	if cp := s.checkpointOf(engine.Orders); !cp.Horizon.IsZero() {
		t.Error("the orders had a turn although they are switched off")
	}
}

// All that are open are listed, and then the newest of the others.
func TestTheListOfResyncsSaysWhereItIsCut(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), sqlite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.OpenPipeline(t.Context(), state.Pipeline{Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	listed := func(ended int) (first string, n int, more bool) {
		for range ended {
			id, err := store.AddResync(t.Context(), state.Resync{Pipeline: "shop", Stream: "orders"})
			if err == nil {
				err = store.EndResync(t.Context(), "shop", id, state.ResyncDone)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		var said strings.Builder
		if err := listResyncs(t.Context(), &said, store, "shop", time.Now()); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		if more = lines[len(lines)-1] == "and more, which are older and have ended"; more {
			lines = lines[:len(lines)-1]
		}
		return lines[1], len(lines) - 1, more
	}
	if _, err := store.AddResync(t.Context(), state.Resync{Pipeline: "shop", Stream: "customers"}); err != nil {
		t.Fatal(err)
	}
	if first, n, more := listed(50); !strings.HasPrefix(first, "  1   customers  open") || n != 51 || more {
		t.Errorf("%d are listed, more: %v, the first is\n%s", n, more, first)
	}
	if first, n, more := listed(1); !strings.HasPrefix(first, "  1   customers  open") || n != 51 || !more {
		t.Errorf("%d are listed, more: %v, the first is\n%s", n, more, first)
	}
}

// A run works the comparisons of consent that are open, whoever asked for them, tells of what
// they left undone as of its own, and leaves other resyncs to operators and daemons.
func TestARunComparesConsent(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.ends(exitDone, s.run("run"))
	s.must(s.account.EditProfile(s.profileOf(key(s.unsubscribed())), map[string]string{"newsletter": "subscribed"}))
	s.account.Faults().Add(emulator.Fault{
		Method: http.MethodPut, Status: 400, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"error":{"message":"Failed to update profile"}}`,
	})
	store := s.beside()
	for _, stream := range []string{"customers", engine.ConsentSweep} {
		_, err := store.AddResync(t.Context(), state.Resync{Pipeline: "shop", Stream: stream})
		s.must(err)
	}
	out := s.run("run")
	s.ends(exitFailed, out, "1 write has no outcome yet")
	if open := s.openResyncs(store); len(open) != 1 || open[0] != 1 || !strings.Contains(out.stdout, "customers/consent/resync-2: ") {
		t.Errorf("open are %+v after\n%s", open, out.stdout)
	}
}

// The daemon works what was requested, between the runs of the streams.
func TestTheDaemonTakesUpAResync(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := s.serve("syncd")
	d.readiness(200)
	s.byHand()
	store := s.beside()
	id, err := store.AddResync(t.Context(), state.Resync{Pipeline: "shop", Stream: "customers", Force: true})
	s.must(err)
	d.await(`a resync has ended.* id=1 stream=customers state=done`)
	if open := s.openResyncs(store); len(open) > 0 || id != 1 {
		t.Errorf("open are %v, added %d", open, id)
	}
	d.stop()
	s.inStep()
}
