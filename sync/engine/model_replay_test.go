package engine_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// historyVariable is a history, as a failed one was printed, to be played alone.
const historyVariable = "SYNCD_TEST_HISTORY"

// replay plays a printed history a few times, since what is in flight at once does not
// end in the same order each time, and makes it shorter when it fails.
func replay(t *testing.T, text string) {
	t.Helper()
	h, err := readHistory(text)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for range 5 {
		if wrong := h.play(t, dir); len(wrong) > 0 {
			t.Fatal(h.shortest(t, dir, wrong[0]))
		}
	}
}

const historyHead = "shop %d with %d customers and %d orders, %d a page, %d at once, file %t, erase %t:"

var historyEvent = regexp.MustCompile(`\{"([a-z ]+)", (\d+), (\d+), (\d+)\}`)

// readHistory is the inverse of drawn's String.
func readHistory(text string) (*drawn, error) {
	var h drawn
	if _, err := fmt.Sscanf(text, historyHead, &h.shop.Seed, &h.shop.Customers, &h.shop.Orders, &h.page, &h.lanes, &h.file, &h.erase); err != nil {
		return nil, fmt.Errorf("%s: %w", historyVariable, err)
	}
	for _, found := range historyEvent.FindAllStringSubmatch(text, -1) {
		e := event{do: found[1]}
		for i, n := range []*int{&e.who, &e.how, &e.when} {
			*n, _ = strconv.Atoi(found[2+i]) // digits, as the pattern has it
		}
		if _, ok := actions()[e.do]; !ok {
			return nil, fmt.Errorf("%s: there is no action %q", historyVariable, e.do)
		}
		h.events = append(h.events, e)
	}
	return &h, nil
}

// String prints a history as it is played.
func (h *drawn) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, historyHead, h.shop.Seed, h.shop.Customers, h.shop.Orders, h.page, h.lanes, h.file, h.erase)
	for _, e := range h.events {
		fmt.Fprintf(&b, " {%q, %d, %d, %d}", e.do, e.who, e.how, e.when)
	}
	return b.String()
}

// shortening is how long a failed history is made shorter.
const shortening = 30 * time.Second

// shortest returns a shorter history that goes wrong likewise, and how it does.
func (h *drawn) shortest(t *testing.T, dir, wrong string) string {
	t.Helper()
	what, _, _ := strings.Cut(wrong, ":")
	how := wrong
	short := h.shorten(func(c *drawn) bool {
		for range 2 {
			if again := c.play(t, dir); len(again) > 0 && strings.HasPrefix(again[0], what) {
				how = strings.Join(again, "\n")
				return true
			}
		}
		return false
	}, shortening)
	return short.String() + "\n" + how
}

// shorten leaves out of a history what its failure does not need, for so long. rapid
// does the same with the bits it drew, and comes less far in that time.
func (h *drawn) shorten(fails func(*drawn) bool, limit time.Duration) *drawn {
	end := time.Now().Add(limit)
	best := h
	try := func(c *drawn) bool {
		if time.Now().After(end) || !fails(c) {
			return false
		}
		best = c
		return true
	}
	for size := (len(h.events) + 1) / 2; size > 0; size /= 2 {
		for again := true; again; {
			again = false
			for i := 0; i < len(best.events); {
				c := *best
				c.events = slices.Delete(slices.Clone(best.events), i, min(i+size, len(best.events)))
				if try(&c) {
					again = size == 1
				} else {
					i += size
				}
			}
		}
	}
	for _, simpler := range []func(*drawn){
		func(c *drawn) { c.lanes = 1 }, func(c *drawn) { c.page = 50 }, func(c *drawn) { c.shop.Orders = 0 }, func(c *drawn) { c.shop.Customers = 0 },
		func(c *drawn) { c.shop.Customers = 1 }, func(c *drawn) { c.shop.Orders = 1 },
	} {
		c := *best
		simpler(&c)
		try(&c)
	}
	return best
}
