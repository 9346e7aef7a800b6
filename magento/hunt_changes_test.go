package magento_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// A hunt that is cut short anywhere, by a stop or by a shop that goes into maintenance,
// leaves nothing out when the walk is taken up again.
func TestPromise05_AHuntIsCutShort(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(cancel func(), r *http.Request) *http.Response{
		"a stop": func(cancel func(), _ *http.Request) *http.Response { cancel(); return nil },
		"maintenance": func(_ func(), r *http.Request) *http.Response {
			return answer(r, 503, "<html>", "Content-Type", "text/html")
		},
		"no database": func(_ func(), r *http.Request) *http.Response {
			return answer(r, 500, "<!doctype html>", "Content-Type", "text/plain;charset=UTF-8")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := 1; ; at++ {
				s := shop(magentotest.Config{Customers: 90})
				places := customerPlaces(s)
				bad := oneOf(places[17].ID, places[18].ID, places[70].ID)
				s.Switch(func(w *magentotest.Switches) { w.Poison.Customer = bad })
				ctx, cancel := context.WithCancel(t.Context())
				requests := 0
				c := client(t, roundTrip(func(r *http.Request) (*http.Response, error) {
					// The shop is down for as long as the transport repeats a call.
					if requests++; requests == at || requests == at+1 {
						if resp := cut(cancel, r); resp != nil {
							return resp, nil
						}
						return nil, context.Canceled
					}
					return s.Transport().RoundTrip(r)
				}), func(cfg *magento.Config) { cfg.PageSize = 50 })
				var ids []int64
				q := magento.Query{Before: noon}
				failures := 0
				for done := false; !done; {
					pages, err := walk(ctx, c, q)
					more, wrong := met(yielding(pages))
					if wrong != nil {
						t.Fatal(wrong)
					}
					ids = append(ids, more...)
					if len(pages) > 0 {
						q.After = pages[len(pages)-1].Next
					}
					if done = err == nil; !done {
						failures++
						ctx = t.Context() //nolint:fatcontext // the next process has its own
					}
					if failures > 3 {
						t.Fatalf("cut at request %d: %v", at, err)
					}
				}
				good, found := sorted(ids)
				if diff := gocmp.Diff(idsOf(places, bad), good); diff != "" || len(found) != 3 {
					t.Errorf("cut at request %d: poison %v, records (-want +got):\n%s", at, found, diff)
				}
				cancel()
				if failures == 0 && requests < at {
					if at < 30 {
						t.Errorf("the hunt took %d requests: the test proves nothing", at)
					}
					return
				}
			}
		})
	}
}

// A poisoned record that is deleted while it is hunted, behind one that left the page,
// gives no other one its place.
func TestPromise05_ThePoisonIsDeletedDuringAHunt(t *testing.T) {
	t.Parallel()
	for at, requests := 1, 1; requests >= at; at++ {
		s := shop(magentotest.Config{Customers: 10, Seed: 6})
		places := customerPlaces(s)
		edited, deleted, other := places[3].ID, places[2].ID, places[9].ID
		bad := oneOf(deleted, other)
		s.Switch(func(w *magentotest.Switches) { w.Poison.Customer = bad })
		requests = 0
		s.OnRequest(func(*http.Request) {
			if requests++; requests == 6 {
				s.Edit(edited, func(c *magentotest.Customer) { c.FirstName = "Changed" })
			}
			if requests == at {
				s.Delete(deleted)
			}
		})
		c := client(t, s.Transport(), func(cfg *magento.Config) { cfg.PageSize = 9 })
		ids, err := met(c.Customers(t.Context(), magento.Query{Before: noon}))
		if err != nil {
			t.Fatalf("deleted at request %d: %v", at, err)
		}
		good, found := sorted(slices.DeleteFunc(ids, oneOf(edited, -deleted)))
		want := idsOf(places, oneOf(edited, deleted, other))
		if diff := gocmp.Diff(want, good) + gocmp.Diff([]int64{other}, found); diff != "" {
			t.Errorf("deleted at request %d, records (-want +got):\n%s", at, diff)
		}
	}
}

// Whatever changes while a hunt is under way, records that nobody touches come once, and
// none is called poisoned that is not.
func TestPromise05_ChangesDuringAHunt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := shop(magentotest.Config{Customers: rapid.IntRange(10, 40).Draw(rt, "customers"), Seed: rapid.Uint64Range(1, 1<<32).Draw(rt, "seed")})
		places := customerPlaces(s)
		poisoned := map[int64]bool{}
		for range rapid.IntRange(1, 4).Draw(rt, "poisoned") {
			poisoned[places[rapid.IntRange(0, len(places)-1).Draw(rt, "poison")].ID] = true
		}
		touched, ever := map[int64]bool{}, maps.Clone(poisoned)
		s.Switch(func(w *magentotest.Switches) { w.Poison.Customer = func(id int64) bool { return poisoned[id] } })
		// The shop works requests in goroutines of its own, where rapid cannot draw.
		random := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(rt, "changes")))
		s.OnRequest(func(*http.Request) {
			if random.IntN(5) > 0 {
				return
			}
			id := places[random.IntN(len(places))].ID
			if still := slices.Sorted(maps.Keys(poisoned)); len(still) > 0 && random.IntN(2) == 0 {
				id = still[0]
			}
			if touched[id] {
				return
			}
			switch random.IntN(3) {
			case 0:
				s.Edit(id, func(c *magentotest.Customer) { c.FirstName = "Changed" })
				touched[id] = true
			case 1:
				s.Delete(id)
				touched[id] = true
			case 2:
				delete(poisoned, id)
			}
		})
		c := client(t, s.Transport(), func(cfg *magento.Config) { cfg.PageSize = rapid.IntRange(5, 40).Draw(rt, "page size") })
		seen := map[int64]int{}
		q := magento.Query{Before: noon}
		for turns := 0; ; turns++ {
			pages, err := walk(context.Background(), c, q)
			ids, wrong := met(yielding(pages))
			if wrong != nil {
				rt.Fatal(wrong)
			}
			for _, id := range ids {
				if seen[max(id, -id)]++; id < 0 && !ever[-id] {
					rt.Fatalf("customer %d is called poisoned", -id)
				}
			}
			if len(pages) > 0 {
				q.After = pages[len(pages)-1].Next
			}
			if err == nil {
				break
			}
			if turns > 20 {
				rt.Fatal(err)
			}
		}
		for _, at := range places {
			if n := seen[at.ID]; n > 1 || n == 0 && !touched[at.ID] {
				rt.Fatalf("customer %d came %d times", at.ID, n)
			}
		}
	})
}
