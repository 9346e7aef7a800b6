package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/magento-copernica/syncd/magento/magentotest"
)

// The model-based test: rapid draws histories of everything that people, operators,
// networks and machines do to a shop, an account and a state, and each is played
// through the real engine. Whatever happened, one clean run and one sweep make
// Copernica and the shop equal to what the oracle and the test's own book of consent
// say. A history that fails is made short and printed: SYNCD_TEST_HISTORY='shop 3 with
// …' plays a printed one again, and -rapid.seed, as rapid says, the drawn one.

// checksAtOnce is how many histories rapid.Check makes, unless told otherwise.
const checksAtOnce = 100

func TestModelHistoriesEndInStep(t *testing.T) {
	if text := os.Getenv(historyVariable); text != "" {
		replay(t, text)
		return
	}
	playModel(t, histories(500)) // the soak plays more
}

// playModel plays n drawn histories, in parts beside each other.
func playModel(t *testing.T, n int) {
	t.Helper()
	t.Parallel()
	var (
		played atomic.Int64
		broken atomic.Bool // one that went wrong is enough to look at
	)
	for part := range (n + checksAtOnce - 1) / checksAtOnce {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			dir, tries := t.TempDir(), 1
			rapid.Check(t, func(rt *rapid.T) {
				if tries == 1 && (played.Add(1) > int64(n) || broken.Load()) {
					return
				}
				h := drawHistory(rt)
				rt.Log(h.String())
				var wrong []string
				for range tries {
					if wrong = h.play(t, dir); len(wrong) > 0 {
						break
					}
				}
				if len(wrong) > 0 {
					broken.Store(true)
					if tries == 1 { // rapid tells of the last one only, which may be another
						t.Logf("this went wrong:\n%s\n%s\nthe shortest that went wrong likewise:\n%s",
							&h, strings.Join(wrong, "\n"), h.shortest(t, dir, wrong[0]))
					}
					tries = 3 // what is in flight at once does not end in the same order each time
					what, _, _ := strings.Cut(wrong[0], ":")
					rt.Fatal(what)
				}
			})
		})
	}
}

// event is one thing that happens. The numbers say to whom, and how; what they mean is
// the action's own.
type event struct {
	do             string
	who, how, when int
}

// drawn is a history as rapid draws it: data alone, so that it can be shrunk and printed.
type drawn struct {
	shop   magentotest.Config
	page   int  // records a page
	file   bool // the state is a file, so that an older copy can be restored
	erase  bool // who is gone from the shop is removed, not only flagged
	lanes  int  // calls in flight
	events []event
}

func drawHistory(rt *rapid.T) drawn {
	h := rapid.Custom(drawWorld).Draw(rt, "world")
	// Chapters, since rapid draws short lists, and drops what does not matter in one piece.
	chapters := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(drawEvent), 1, 10), 1, 12).Draw(rt, "history")
	h.events = slices.Concat(chapters...)
	return h
}

func drawWorld(rt *rapid.T) drawn {
	return drawn{
		shop: magentotest.Config{
			Seed:      uint64(1 + even(rt, 5)),
			Customers: even(rt, 3),
			Orders:    even(rt, 3),
		},
		page:  []int{50, 1, 2, 3}[even(rt, 2)],
		lanes: []int{1, 1, 1, 4}[even(rt, 2)],
		file:  even(rt, 3) == 0,
		erase: even(rt, 2) == 0,
	}
}

func drawEvent(rt *rapid.T) event {
	names := deck()
	return event{do: names[even(rt, 8)%len(names)], who: even(rt, 4), how: even(rt, 6) % 12, when: even(rt, 8) % 90}
}

// even draws a number of so many bits, each as likely: rapid's own ranges prefer small
// ones, and would play some actions all the time.
func even(rt *rapid.T, bits int) (n int) {
	for range bits {
		n *= 2
		if rapid.Bool().Draw(rt, "bit") {
			n++
		}
	}
	return n
}

// play plays a history in a bubble of its own and returns what was wrong: first words
// that are the same each time, then the details.
func (h *drawn) play(t *testing.T, dir string) (wrong []string) {
	t.Helper()
	path := ""
	if h.file {
		sub, err := os.MkdirTemp(dir, "state")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(sub) //nolint:errcheck // the test's own directory goes in any case
		path = filepath.Join(sub, "state.db")
	}
	synctest.Test(t, func(t *testing.T) {
		notes := &notes{TB: t}
		defer func() { wrong = notes.wrong }()
		defer notes.unwound()
		m := newModel(newWorld(notes, h.shop, path), h)
		defer m.close()
		for i, e := range h.events {
			m.at = fmt.Sprintf("%d %+v", i, e)
			actions()[e.do].act(m, e)
			m.watch()
			if len(notes.wrong) > 0 {
				return
			}
		}
		m.at = "peace"
		m.peace()
		m.judge()
	})
	return wrong
}

// notes is a test that notes what goes wrong in place of failing, since rapid has to
// see a history fail many times until it is short.
type notes struct {
	testing.TB
	wrong []string
}

// unwinding is what a note that ends the history panics with.
type unwinding struct{}

func (n *notes) Errorf(format string, args ...any) {
	n.wrong = append(n.wrong, fmt.Sprintf(format, args...))
}

func (n *notes) Error(args ...any) { n.wrong = append(n.wrong, fmt.Sprint(args...)) }

func (n *notes) Fatalf(format string, args ...any) {
	n.Errorf(format, args...)
	panic(unwinding{})
}

func (n *notes) Fatal(args ...any) {
	n.Error(args...)
	panic(unwinding{})
}

func (n *notes) unwound() {
	switch p := recover(); p {
	case nil, unwinding{}:
	default:
		n.wrong = append(n.wrong, "panic", fmt.Sprint(p), string(debug.Stack()))
	}
}

// model is a world with what the test knows of it by itself.
type model struct {
	*world
	drawn *drawn
	at    string // the event under way, for what is said

	people  int                        // made so far, for names
	deleted map[string]bool            // keys of profiles whose customer the shop deleted
	quiet   map[string]bool            // keys of customers and orders that changed without moving their time
	lines   map[string]bool            // keys of lines that stood in an order once
	had     map[string]map[string]bool // keys of customers who proved an e-mail, by the key of its guest
	left    map[string]bool            // keys of guests who lost an order to somebody else
	moved   map[string]bool            // keys of those orders
	spoiled map[int64]string           // e-mails of customers who cannot be delivered
	mine    map[int64]map[string]string
	consent map[string]*consent
	// guestsOut are guests who opted out in Copernica, by key, and when.
	guestsOut map[string]time.Time
	faded     map[string]bool // keys of guests who did, and whose profile was removed by hand since

	graves *graves         // what a tombstone file holds
	gone   map[string]bool // keys of people who were erased

	hands bool // somebody changed rows in Copernica
	lost  bool // the state was lost, or an older one restored
	kept  bool // there is a copy of the state

	doom    doom // of the next run
	trouble bool // a peer fails in it
}

func newModel(w *world, h *drawn) *model {
	w.pageSize = h.page
	m := &model{
		world: w, drawn: h, deleted: map[string]bool{}, lines: map[string]bool{}, quiet: map[string]bool{}, left: map[string]bool{}, had: map[string]map[string]bool{}, guestsOut: map[string]time.Time{}, faded: map[string]bool{}, moved: map[string]bool{},
		spoiled: map[int64]string{}, mine: map[int64]map[string]string{}, consent: map[string]*consent{},
	}
	m.wire, m.jitter = m.doom.wire, func() float64 { return 0.5 }
	m.graves, m.gone = &graves{}, map[string]bool{}
	for _, c := range m.shop.Data().Customers {
		m.met(c.ID)
	}
	return m
}

// wrongly notes what is wrong. The first words are always the same, for the shrinker.
func (m *model) wrongly(what, format string, args ...any) {
	m.t.Helper()
	m.t.Errorf("%s: at %s: %s", what, m.at, fmt.Sprintf(format, args...))
}

func (m *model) ctx() context.Context { return m.t.Context() }
