package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state/sqlite"
	"github.com/magento-copernica/syncd/sync/engine"
)

// click lets a customer follow the link that unsubscribes them.
func (w *world) click(id int64, by copernicatest.Mailer) {
	w.t.Helper()
	check(w, w.account.Click(w.profile(id).ID, by))
}

// behaves sets what unsubscribing does to a profile in Copernica.
func (w *world) behaves(behaviour string) {
	w.t.Helper()
	check(w, w.account.SetUnsubscribe(database, behaviour, map[string]string{ours: copernicatest.Unsubscribed}))
}

// killed lets a process do some work that dies at its k-th call to either side, before the
// other side works the call or after, and reports whether it came to that. What is left of
// it ends with its lease.
func (w *world) killed(k int64, after bool, work func(context.Context, *engine.Engine) error) bool {
	w.t.Helper()
	var calls atomic.Int64
	var dead atomic.Bool
	last := emulator.Fault{Kind: emulator.Reset, After: after, Match: func(*http.Request) bool {
		if calls.Add(1) == k {
			dead.Store(true)
			return true
		}
		return false
	}}
	later := emulator.Fault{Kind: emulator.Reset, Match: func(*http.Request) bool { return dead.Load() }}
	for _, faults := range []*emulator.Faults{w.shop.Faults(), w.account.Faults()} {
		faults.Add(last)
		faults.Add(later)
	}
	err := work(w.t.Context(), w.engine(func(cfg *engine.Config) { cfg.Store = mortal{w.store, &dead} }))
	w.shop.Faults().Clear()
	w.account.Faults().Clear()
	if !dead.Load() {
		check(w, err)
		return false
	}
	time.Sleep(5 * time.Minute)
	return true
}

// inFile keeps the state in a file from now on, which can be copied and put back.
func (w *world) inFile() (save, restore func()) {
	w.t.Helper()
	dir := w.t.TempDir()
	path, copied := filepath.Join(dir, "state.db"), filepath.Join(dir, "copy.db")
	open := func() {
		store, err := sqlite.Open(w.t.Context(), sqlite.Config{Path: path, Now: time.Now})
		check(w, err)
		w.store = store
	}
	move := func(from, to string) func() {
		return func() {
			check(w, w.store.Close())
			data, err := os.ReadFile(from)
			check(w, err)
			check(w, os.WriteFile(to, data, 0o600))
			open()
		}
	}
	check(w, w.store.Close())
	open()
	return move(path, copied), move(copied, path)
}

// Whatever people do on either side, and in whatever order the streams run, lose their
// answers, die or lose their state: whoever's last word was an opt-out is subscribed on
// neither side; and who came back later stays, as long as the state remembers. Each person
// has a history of their own, of which a few go on beside each other in one shop: 1,000.
func TestPromise18_OptOutsOnBothSides(t *testing.T) { playOptOuts(t, histories(1000/together), 12) }

// together is how many people's histories go on in one shop.
const together = 5

// playOptOuts plays the histories of n shops, each of so many steps.
func playOptOuts(t *testing.T, n, steps int) {
	t.Helper()
	seed := firstSeed()
	t.Logf("SYNCD_TEST_SEED=%d repeats these histories", seed)
	for i := range n {
		t.Run(fmt.Sprint(seed+uint64(i)), func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 2 * together}, func(_ *testing.T, w *world) {
				h := &optOuts{world: w, random: rand.New(rand.NewPCG(seed+uint64(i), 1)), out: map[int64]bool{}, back: map[int64]bool{}}
				h.play(steps)
			})
		})
	}
}

// optOuts is a shop of people who opt out and come back.
type optOuts struct {
	*world
	random    *rand.Rand
	ids       []int64
	out       map[int64]bool // who opted out, on whichever side, and has not come back
	back      map[int64]bool // who came back, and is remembered by the state
	updates   bool           // an unsubscribe shows in the profile
	restores  bool
	save, was func()
}

func (h *optOuts) play(steps int) {
	if h.random.IntN(4) == 0 {
		// Into the night that has an hour twice.
		time.Sleep(time.Until(time.Date(2000, 10, 28, 21, h.random.IntN(60), 0, 0, time.UTC)))
	}
	h.newAccount(copernicatest.Switches{
		UnsubscribesNewestFirst: h.random.IntN(4) == 0, SuiteNamesProfiles: h.random.IntN(4) == 0,
		PeriodIgnored: h.random.IntN(4) == 0, UnsubscribedByAPIListed: h.random.IntN(2) == 0,
	})
	h.change()
	if h.restores = h.random.IntN(3) == 0; h.restores {
		h.save, h.was = h.inFile()
	}
	h.run()
	if h.restores {
		h.save()
	}
	h.ids = h.world.ids(together)
	for _, does := range h.drawn(steps) {
		for _, id := range h.ids {
			if h.random.IntN(2) == 0 {
				h.says(id)
			}
		}
		does(h)
	}
	h.everything()
	h.run()
	h.writeBack()
	for id := range h.out {
		if p := h.profile(id); p.Fields[ours] == in || h.subscribed(id) {
			h.t.Errorf("promise 18: customer %d opted out: Copernica shows %q, the shop says %v", id, p.Fields[ours], h.subscribed(id))
		}
	}
	for id := range h.back {
		if p := h.profile(id); p.Fields[ours] != in || !h.subscribed(id) {
			h.t.Errorf("promise 18: customer %d came back: Copernica shows %q, the shop says %v", id, p.Fields[ours], h.subscribed(id))
		}
	}
}

// change has the merchant change what an unsubscribe does.
func (h *optOuts) change() {
	h.updates = h.random.IntN(2) == 0
	if h.behaves("nothing"); h.updates {
		h.behaves("update")
	}
}

func (h *optOuts) leaves(id int64) {
	h.out[id] = true
	delete(h.back, id)
}

// drawn draws what the daemon and its machine do in so many steps. A process that dies, a
// resync and a state that is lost or put back are always among it.
func (h *optOuts) drawn(steps int) []func(*optOuts) {
	always := []func(*optOuts){(*optOuts).dies, (*optOuts).resyncs, (*optOuts).loses}
	often := append(slices.Clone(always), (*optOuts).dies, (*optOuts).comeBack, (*optOuts).comeBack, (*optOuts).comeBack, (*optOuts).loseAnswers, (*optOuts).change,
		func(h *optOuts) { h.settle(); h.writeBack() },
		func(h *optOuts) { h.settle(); h.run() },
		func(h *optOuts) { h.sweep(engine.ConsentSweep) },
	)
	all := make([]func(*optOuts), steps)
	for i := range all {
		all[i] = often[h.random.IntN(len(often))]
	}
	for i, place := range h.random.Perm(steps)[:len(always)] {
		all[place] = always[i]
	}
	return all
}

// says is one thing that a customer does.
func (h *optOuts) says(id int64) {
	switch h.random.IntN(6) {
	case 0:
		if h.updates { // else nobody can tell
			h.optsOut(id)
			h.leaves(id)
		}
	case 1, 2:
		h.click(id, copernicatest.Mailer(h.random.IntN(2)))
		h.leaves(id)
	case 3:
		h.shop.SetNewsletter(id, 3)
		h.leaves(id)
	default:
		h.shop.Edit(id, func(c *magentotest.Customer) { c.LastName += "x" })
	}
}

// comeBack has some subscribe in the shop, seen by nobody before everything was settled.
func (h *optOuts) comeBack() {
	h.everything()
	for _, id := range h.ids {
		if h.random.IntN(2) == 0 {
			h.shop.SetNewsletter(id, magentotest.Subscribed)
			delete(h.out, id)
			h.back[id] = true
		}
	}
	h.sweep(engine.ConsentSweep)
}

func (h *optOuts) dies() {
	h.settle()
	h.killed(int64(1+h.random.IntN(25)), h.random.IntN(2) == 0, h.work())
}

func (h *optOuts) resyncs() {
	h.settle()
	h.addResync(engine.ResyncRequest{Stream: engine.Customers, Force: h.random.IntN(2) == 0})
	_, _, err := h.engine(nil).ResyncNext(h.t.Context(), engine.Budget{})
	check(h.world, err)
}

// loses begins with a new state, or puts an older one back.
func (h *optOuts) loses() {
	if h.restores {
		// A click is told by the list. What else was not settled before a state is put back
		// can look to that like no change, or like a value of its own.
		h.everything()
		if h.random.IntN(3) == 0 {
			h.save()
			return
		}
		id := h.ids[h.random.IntN(len(h.ids))]
		h.click(id, copernicatest.Mailer(h.random.IntN(2)))
		h.leaves(id)
		h.was()
		h.everything()
	} else {
		h.newState()
	}
	clear(h.back) // who came back may not be remembered
	h.settle()
	h.run()
}

// work is one of the things that a process does.
func (h *optOuts) work() func(context.Context, *engine.Engine) error {
	if h.random.IntN(3) == 0 {
		return func(ctx context.Context, e *engine.Engine) error { _, err := e.Run(ctx, engine.Customers); return err }
	}
	return func(ctx context.Context, e *engine.Engine) error { _, err := e.WriteBack(ctx); return err }
}

// loseAnswers lets work fail anywhere, and not die of it.
func (h *optOuts) loseAnswers() {
	for _, faults := range []*emulator.Faults{h.shop.Faults(), h.account.Faults()} {
		faults.Add(emulator.Fault{
			Kind:  []emulator.Kind{emulator.Status, emulator.HTML, emulator.Reset, emulator.Truncate}[h.random.IntN(4)],
			After: h.random.IntN(2) == 0, Skip: h.random.IntN(10), Times: 1 + h.random.IntN(8), Status: []int{500, 503}[h.random.IntN(2)],
		})
	}
	h.settle()
	_ = h.work()(h.t.Context(), h.engine(nil)) // whatever becomes of it
	h.shop.Faults().Clear()
	h.account.Faults().Clear()
	time.Sleep(10 * time.Minute)
}

// everything lets all streams and sweeps run, both ways.
func (w *world) everything() {
	w.settle()
	w.run()
	w.writeBack()
	w.sweep(engine.ConsentSweep)
}
