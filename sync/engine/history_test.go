package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/internal/oracle"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// histories is how many random histories a test run goes through.
func histories(most int) int {
	if testing.Short() {
		return min(most, 5)
	}
	if n, err := strconv.Atoi(os.Getenv("SYNCD_TEST_SCALE")); err == nil && n > 0 {
		return max(most/n, 3)
	}
	return most
}

// firstSeed is where histories begin: anew each time, or where SYNCD_TEST_SEED says.
func firstSeed() uint64 {
	if seed, err := strconv.ParseUint(os.Getenv("SYNCD_TEST_SEED"), 10, 64); err == nil {
		return seed
	}
	return uint64(time.Now().UnixNano())
}

// Random histories of a shop and an account, with peers that fail and runs that are
// cut short in between: in the end one clean run makes both sides equal, and nobody
// who opted out on either side is subscribed at any time a run has ended well. People and
// guests order, lines come and go, and both streams run in any order, each cut short
// anywhere.
func TestRandomHistoriesOfOrdersEndInStep(t *testing.T) {
	playHistories(t, histories(40), magentotest.Config{Customers: 40, Orders: 60})
}

func playHistories(t *testing.T, n int, shop magentotest.Config) {
	t.Helper()
	seed := firstSeed()
	t.Logf("SYNCD_TEST_SEED=%d repeats these histories", seed)
	for i := range n {
		t.Run(fmt.Sprint(seed+uint64(i)), func(t *testing.T) {
			inShop(t, shop, func(_ *testing.T, w *world) {
				h := &history{world: w, random: rand.New(rand.NewPCG(seed+uint64(i), 0)), orders: shop.Orders > 0}
				h.play()
			})
		})
	}
}

type history struct {
	*world
	random *rand.Rand
	orders bool
	kept   int64
	news   int
}

// streams are those that run in this history.
func (h *history) streams() []string {
	if h.orders {
		return engine.Streams()
	}
	return []string{engine.Customers}
}

func (h *history) play() {
	for range 12 {
		for range 1 + h.random.IntN(6) {
			h.happen()
		}
		h.disturb()
		time.Sleep(time.Duration(h.random.IntN(90)) * time.Second)
		h.attempt()
		h.account.Faults().Clear()
		h.shop.Faults().Clear()
	}
	// Peace: every back-off passes, and what is left is taken up.
	for range 4 {
		time.Sleep(2 * time.Hour)
		report := h.run()
		h.kept += report.Counters.OptOutsKept
		if h.orders {
			h.runOrders()
		}
	}
	h.judge()
	for _, stream := range h.streams() {
		before := h.account.Log().Total()
		report, err := h.engine(nil).Run(h.t.Context(), stream)
		if err != nil || h.account.Log().Total() != before {
			h.t.Errorf("a run with nothing to write made calls: %+v, %v", report.Counters, err)
		}
	}
}

// someone picks a customer.
func (h *history) someone() magentotest.Customer {
	people := h.shop.Data().Customers
	return people[h.random.IntN(len(people))]
}

// happen is one thing that people do.
func (h *history) happen() {
	c := h.someone()
	key := h.mapping.CustomerKey(c.ID)
	if h.orders && h.random.IntN(3) > 0 {
		h.order(c)
		return
	}
	switch h.random.IntN(7) {
	case 0:
		h.news++
		h.shop.Create(magentotest.Customer{
			WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "New", LastName: "Customer",
			Email: fmt.Sprintf("history+%d@example.test", h.news), NewsletterStatus: h.random.IntN(2),
		})
	case 1:
		h.shop.Edit(c.ID, func(c *magentotest.Customer) { c.FirstName += "x" })
	case 2:
		h.shop.EditLate(c.ID, func(c *magentotest.Customer) { c.LastName += "y" }, time.Duration(h.random.IntN(60))*time.Second)
	case 3, 4:
		subscribe(h.world, c.ID, h.random.IntN(5))
	case 5:
		if h.account.Unsubscribe(database, key) == nil {
			h.unsubscribed[key] = true
		}
	default:
		h.shop.Edit(c.ID, func(c *magentotest.Customer) { c.GroupID = int64(h.random.IntN(5)) })
	}
}

// order is one thing that happens to orders.
func (h *history) order(c magentotest.Customer) {
	all := h.shop.Data().Orders
	any := all[h.random.IntN(len(all))]
	lines := func(n int) []magentotest.Line {
		var lines []magentotest.Line
		for i := range n {
			lines = append(lines, magentotest.Line{SKU: fmt.Sprintf("sku-%d", i), Name: "Thing", Price: "9.90", Ordered: "2", ProductID: int64(i + 1)})
		}
		return lines
	}
	switch h.random.IntN(9) {
	case 6: // what stands in lines alone, and moves no order
		kind := []magentotest.DocumentKind{magentotest.Invoices, magentotest.Shipments, magentotest.CreditMemos}[h.random.IntN(3)]
		h.shop.DocumentQuietly(kind, any.ID, nil)
	case 7:
		h.shop.ShipLate(any.ID, nil, time.Duration(h.random.IntN(60))*time.Second)
	case 8:
		h.shop.Invoice(any.ID, nil)
	case 0:
		h.shop.CreateOrder(magentotest.Order{
			StoreID: c.StoreID, CustomerID: c.ID, CustomerGroupID: c.GroupID, Email: c.Email,
			FirstName: c.FirstName, LastName: c.LastName, Lines: lines(1 + h.random.IntN(3)),
		})
	case 1: // of few guests, so that they come again
		address := []string{"guest%d@example.test", "Guest%d@Example.test", " guest%d@example.test"}[h.random.IntN(3)]
		h.shop.CreateOrder(magentotest.Order{
			StoreID: 1, Guest: true, Email: fmt.Sprintf(address, h.random.IntN(4)),
			FirstName: fmt.Sprintf("Guest %d", h.random.IntN(9)), LastName: "Of the shop", Lines: lines(1),
		})
	case 2:
		h.shop.EditOrder(any.ID, func(o *magentotest.Order) { o.Status = []string{"processing", "complete", "holded"}[h.random.IntN(3)] })
	case 3:
		h.shop.EditOrder(any.ID, func(o *magentotest.Order) { // a line of its own goes
			for i := range o.Lines {
				alone := o.Lines[i].ParentID == 0 && !slices.ContainsFunc(o.Lines, func(l magentotest.Line) bool { return l.ParentID == o.Lines[i].ID })
				if alone && len(o.Lines) > 1 {
					o.Lines = slices.Delete(o.Lines, i, i+1)
					return
				}
			}
		})
	case 4:
		status := fmt.Sprintf("late_%d", h.random.IntN(9))
		h.shop.EditOrderLate(any.ID, func(o *magentotest.Order) { o.Status = status }, time.Duration(h.random.IntN(60))*time.Second)
	default:
		h.shop.EditOrder(any.ID, func(o *magentotest.Order) {
			if len(o.Lines) > 0 {
				o.Lines[0].Name += "+"
			}
		})
	}
}

// disturb makes a peer fail for some of its next calls, more often than not.
func (h *history) disturb() {
	for range h.random.IntN(3) {
		f := emulator.Fault{
			Kind:  []emulator.Kind{emulator.Status, emulator.HTML, emulator.Reset, emulator.Truncate, emulator.Hang}[h.random.IntN(5)],
			After: h.random.IntN(2) == 0, Skip: h.random.IntN(20), Times: 1 + h.random.IntN(8),
			Status: []int{500, 502, 503, 429}[h.random.IntN(4)],
		}
		if h.random.IntN(3) == 0 {
			h.shop.Faults().Add(f)
			continue
		}
		if h.random.IntN(2) == 0 {
			f.Method = http.MethodPut
		}
		h.account.Faults().Add(f)
	}
}

// attempt runs, and may be stopped anywhere.
func (h *history) attempt() {
	ctx, stop := context.WithCancel(h.t.Context())
	defer stop()
	points := engine.Points()
	point, visit := points[h.random.IntN(len(points))], int64(1+h.random.IntN(30))
	if h.random.IntN(2) == 0 {
		visit = -1 // not at all
	}
	var visits atomic.Int64
	report, err := h.engine(func(cfg *engine.Config) {
		cfg.TestHook = func(p engine.Point) {
			if p == point && visits.Add(1) == visit {
				stop()
			}
		}
	}).Run(ctx, h.streams()[h.random.IntN(len(h.streams()))])
	h.kept += report.Counters.OptOutsKept
	if err == nil && report.Outcome == state.Done && report.Counters.Unknown == 0 {
		h.nobodyResubscribed()
	}
}

// nobodyResubscribed checks that no opt-out made in Copernica was undone.
func (h *history) nobodyResubscribed() {
	for _, p := range h.account.Profiles(database) {
		if h.unsubscribed[p.Fields["customer_id"]] && p.Fields[ours] == in {
			h.t.Errorf("promise 18: %s was subscribed again", p.Fields["customer_id"])
		}
	}
}

// judge asks the oracle. An opt-in that gave way to an opt-out nobody could date was
// counted, and is the one difference allowed.
func (h *history) judge() {
	h.nobodyResubscribed()
	have := h.account.Profiles(database)
	shown := map[string]string{}
	for _, p := range have {
		shown[p.Fields["customer_id"]] = p.Fields[ours]
	}
	want := oracle.Expect(h.shop.Data(), oracle.Options{Shop: "shop", Zone: h.zone, Unsubscribed: h.unsubscribed})
	for _, row := range want {
		if h.kept > 0 && row.Fields[ours] == in && shown[row.Key] == out {
			row.Fields[ours] = out
		}
	}
	if !h.orders {
		h.same("profiles", oracle.Compare(want, have))
		return
	}
	orders := oracle.ExpectOrders(h.shop.Data(), oracle.Options{Shop: "shop", Zone: h.zone, Unsubscribed: h.unsubscribed})
	h.same("profiles", oracle.Compare(append(want, orders.Guests...), have))
	h.ordersSame(orders, have)
}
