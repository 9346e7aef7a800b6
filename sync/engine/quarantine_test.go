package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// poison makes the shop fail over records; nobody mends all of them.
func (w *world) poison(customers, orders []int64) {
	w.shop.Switch(func(s *magentotest.Switches) {
		s.Poison = magentotest.Poison{
			Customer: func(id int64) bool { return slices.Contains(customers, id) },
			Order:    func(id int64) bool { return slices.Contains(orders, id) },
		}
	})
}

func (w *world) poisonLetters() map[string]int {
	w.t.Helper()
	attempts := map[string]int{}
	for _, d := range w.letters() {
		if d.Cause != magento.CausePoison || d.Message == "" || !strings.Contains(d.Fix, "var/log/exception.log") {
			w.t.Errorf("letter %+v", d)
		}
		attempts[d.Key] = d.Attempts
	}
	return attempts
}

// Records over which the shop fails become dead letters, the rest arrives, and what was
// mended comes by itself, although nobody changes it.
func TestPromise05_PoisonedRecordsAreQuarantined(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 120, Orders: 80}, func(t *testing.T, w *world) {
		people, orders := w.ids(3), w.shop.Data().Orders[10:12]
		w.poison(people, []int64{orders[0].ID, orders[1].ID})
		if r := w.run(); r.Outcome != state.Done || r.Letters != 3 || r.Counters.Refused != 3 {
			t.Errorf("%+v", r)
		}
		if n := len(w.account.Profiles(database)); n != 117 {
			t.Errorf("%d profiles, want all but 3", n)
		}
		if r := w.runOrders(); r.Outcome != state.Done || r.Letters < 5 {
			t.Errorf("%+v", r)
		}
		w.poison(nil, nil)
		time.Sleep(10 * time.Minute)
		w.run()
		w.runOrders()
		for _, d := range w.letters() {
			if _, err := w.engine(nil).Deliver(t.Context(), d.Stream, []int64{d.SourceID}); err != nil {
				t.Fatal(err)
			}
			if d.Cause == magento.CausePoison {
				t.Errorf("letter %+v is open", d)
			}
		}
		w.ordersInStep()
	})
}

// A quarantined record is read again after 5 minutes, and after twice as long each time
// up to a day; that it comes by in the overlap counts for nothing.
func TestPromise05_QuarantineHasItsOwnBackOff(t *testing.T) {
	inWorld(t, 60, func(t *testing.T, w *world) {
		id := w.ids(1)[0]
		w.settle()
		w.shop.Edit(id, func(c *magentotest.Customer) { c.LastName = "Poisoned" })
		w.settle()
		w.poison([]int64{id}, nil)
		key, began := w.mapping.CustomerKey(id), time.Now()
		var tried []int
		for last := 0; time.Since(began) < 60*time.Hour; time.Sleep(10 * time.Minute) {
			w.run()
			if n := w.poisonLetters()[key]; n != last {
				last = n
				tried = append(tried, int(time.Since(began).Round(time.Minute).Minutes()))
			}
		}
		want := []int{0, 5, 15, 35, 75, 155, 315, 635, 1275, 2555} // each at the run after it
		for i := range tried[:min(len(tried), len(want))] {
			if d := tried[i] - want[i]; d < 0 || d > 10*i {
				t.Errorf("tried after %v minutes, want about %v", tried, want)
				break
			}
		}
		if len(tried) < 9 || len(tried) > 11 {
			t.Errorf("tried %d times: %v", len(tried), tried)
		}
	})
}

// A run reads at most 20 quarantined records again, those first that wait longest; of
// one that is gone the letter is closed, and one that is closed by hand and still
// poisoned opens anew when it comes by.
func TestPromise05_QuarantineIsBounded(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 250}, func(t *testing.T, w *world) {
		w.pageSize = 20
		all := w.shop.Data().Customers
		var bad []int64
		for i := 5; len(bad) < 25; i += 8 {
			bad = append(bad, all[i].ID)
		}
		w.poison(bad, nil)
		w.run()
		time.Sleep(6 * time.Minute)
		reads := func() int64 { return w.shop.Log().Counts()["GET /rest/all/V1/customers/{id}"] }
		w.shop.Delete(bad[0])
		before := reads()
		w.run()
		if n := reads() - before; n != 20 {
			t.Errorf("%d single reads", n)
		}
		before = reads()
		w.run()
		if n := reads() - before; n != 5 {
			t.Errorf("%d single reads of the rest", n)
		}
		letters := w.poisonLetters()
		if len(letters) != 24 || letters[w.mapping.CustomerKey(bad[0])] != 0 || letters[w.mapping.CustomerKey(bad[1])] != 2 {
			t.Errorf("letters %v", letters)
		}
		first := w.letters()[0]
		check(w, w.store.ResolveLetters(t.Context(), "shop", []int64{first.ID}, "looks well to me"))
		w.settle()
		w.shop.Edit(first.SourceID, func(*magentotest.Customer) {})
		w.settle()
		w.run()
		if n := w.poisonLetters()[first.Key]; n != 1 {
			t.Errorf("the letter of a record that is still poisoned has %d attempts", n)
		}
	})
}

// A run that is stopped at any call of a hunt leaves nothing out.
func TestPromise05_ARunIsStoppedDuringAHunt(t *testing.T) {
	for at := int64(3); at < 45; at += 3 {
		t.Run(fmt.Sprintf("call %d", at), func(t *testing.T) {
			inWorld(t, 70, func(t *testing.T, w *world) {
				bad := w.ids(2)
				w.poison(bad, nil)
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				calls := int64(0)
				w.shop.OnRequest(func(*http.Request) {
					if calls++; calls == at {
						stop()
					}
				})
				if _, err := w.engine(nil).Run(ctx, engine.Customers); err == nil && calls > at {
					t.Errorf("the run was not stopped")
				}
				w.shop.OnRequest(nil)
				w.run()
				if letters := w.poisonLetters(); len(letters) != 2 {
					t.Errorf("letters %v", letters)
				}
				w.poison(nil, nil)
				time.Sleep(10 * time.Minute)
				w.run()
				w.inStep()
			})
		})
	}
}

// A shop that fails over every customer ends the run where it stands.
func TestPromise05_ABrokenShopLeavesTheCursor(t *testing.T) {
	inWorld(t, 70, func(t *testing.T, w *world) {
		w.shop.Switch(func(s *magentotest.Switches) { s.Poison.Customer = func(int64) bool { return true } })
		for range 5 {
			report, err := w.engine(nil).Run(t.Context(), engine.Customers)
			if err == nil || report.Letters != 0 {
				t.Fatalf("%+v, %v", report, err)
			}
			time.Sleep(time.Minute)
		}
		if cp := w.checkpoint(); !cp.Position.IsZero() || !cp.Horizon.IsZero() {
			t.Errorf("the checkpoint moved: %+v", cp)
		}
		w.poison(nil, nil)
		w.run()
		w.inStep()
	})
}

// alarms runs the customers and returns what the log says of the number of dead letters.
func (w *world) alarms() (lines []string) {
	w.t.Helper()
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if _, err := w.engine(func(cfg *engine.Config) { cfg.Log = log }).Run(w.t.Context(), engine.Customers); err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if _, attrs, ok := strings.Cut(line, "what to do\" "); ok {
			lines = append(lines, strings.TrimSpace(attrs))
		}
	}
	return lines
}

// One line says that the number of open dead letters reached 1, 10, 100 or 1,000, and
// none repeats it while it stays there.
func TestPromise23_AlarmsAtRoundNumbersOfDeadLetters(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 260}, func(t *testing.T, w *world) {
		w.pageSize = 20
		all := w.shop.Data().Customers
		var bad []int64
		alarms := func(n int) []string {
			w.settle()
			for len(bad) < n {
				i := 3 + 9*len(bad)
				bad = append(bad, all[i].ID)
				w.shop.Edit(all[i].ID, func(*magentotest.Customer) {})
				w.shop.Edit(all[i+1].ID, func(*magentotest.Customer) {}) // ten in a row are a broken shop
			}
			w.poison(bad, nil)
			w.settle()
			return w.alarms()
		}
		w.run()
		for _, step := range []struct {
			poisoned int
			want     []string
		}{
			{0, nil},
			{2, []string{`open=2 reached=1 causes="poison 2"`}},
			{2, nil},
			{9, nil},
			{11, []string{`open=11 reached=10 causes="poison 11"`}},
			{12, nil},
		} {
			if diff := cmp.Diff(step.want, alarms(step.poisoned)); diff != "" {
				t.Errorf("%d poisoned (-want +got):\n%s", step.poisoned, diff)
			}
		}
	})
}

// Each of the numbers raises one alarm when it is reached, and none of those between does.
func TestPromise23_OneAlarmAtEachRoundNumber(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 3}, func(t *testing.T, w *world) {
		w.run()
		open := 0
		for _, step := range []struct {
			open int
			want string // the number that the alarm names
		}{
			{1, "1"}, {2, ""}, {9, ""}, {10, "10"}, {11, ""}, {99, ""}, {100, "100"}, {101, ""}, {999, ""}, {1000, "1000"}, {1001, ""}, {1500, ""},
		} {
			for ; open < step.open; open++ {
				w.shop.Create(magentotest.Customer{WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "No", LastName: "Address"})
			}
			w.settle()
			var want []string
			if step.want != "" {
				want = []string{fmt.Sprintf(`open=%d reached=%s causes="email_empty %d"`, step.open, step.want, step.open)}
			}
			if diff := cmp.Diff(want, w.alarms()); diff != "" {
				t.Errorf("%d letters (-want +got):\n%s", step.open, diff)
			}
			if n := len(w.letters()); n != step.open {
				t.Fatalf("%d letters are open, want %d", n, step.open)
			}
		}
	})
}
