package schedule_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/internal/oracle"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state/sqlite"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/mapping"
	"github.com/magento-copernica/syncd/sync/schedule"
)

// house is a shop, an account, a state and the engine between them, driven by a
// scheduler: all that a daemon is, on the bubble's clock.
type house struct {
	t         *testing.T
	shop      *magentotest.Shop
	account   *copernicatest.Account
	store     *sqlite.Store
	zone      *time.Location
	random    *rand.Rand
	log       lockedBuffer
	scheduler *schedule.Scheduler
	events    int
}

const database = copernicatest.DatabaseName

// inHouse runs a test in a bubble with a house whose streams run every 5 minutes.
func inHouse(t *testing.T, seed uint64, customers, orders int, test func(*testing.T, *house)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t, random: rand.New(rand.NewPCG(seed, 4))}
		h.shop = magentotest.New(magentotest.Config{Seed: 3, Customers: customers, Orders: orders, Now: time.Now})
		h.account = copernicatest.New(copernicatest.Config{Now: time.Now})
		e := h.engine()
		defer func() { h.must(h.store.Close()) }()
		local, err := schedule.NewLocal(e)
		h.must(err)
		var streams []schedule.Stream
		for _, name := range engine.Streams() {
			streams = append(streams, schedule.Stream{Name: name, Due: ticks(t, "*/5 * * * *")})
		}
		h.scheduler, err = schedule.New(schedule.Config{
			Pipeline: "shop", Streams: streams, Store: h.store, Dispatcher: local, Now: time.Now,
			Log: slog.New(slog.NewTextHandler(&h.log, nil)),
		})
		h.must(err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			h.scheduler.Run(ctx)
		}()
		test(t, h)
		cancel()
		<-ended
	})
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// engine puts the real engine together with the real clients and chains.
func (h *house) engine() *engine.Engine {
	h.t.Helper()
	var err error
	h.zone, err = time.LoadLocation("Europe/Amsterdam")
	h.must(err)
	file, err := mapping.Default()
	h.must(err)
	compiled, err := file.Compile(mapping.Options{Shop: "shop", Zone: h.zone})
	h.must(err)
	for _, table := range compiled.Tables() {
		var fields []copernicatest.Field
		for _, need := range compiled.NeedsOf(table) {
			fields = append(fields, copernicatest.Field{Name: need.Name, Type: string(need.Type), Length: need.Length, Index: need.Index})
		}
		if table == mapping.Profiles {
			err = h.account.AddFields(database, fields...)
		} else {
			_, err = h.account.CreateCollection(database, compiled.Collection(table), fields...)
		}
		h.must(err)
	}
	h.store, err = sqlite.Open(h.t.Context(), sqlite.Config{Now: time.Now})
	h.must(err)
	chain := func(peer string, base http.RoundTripper) *httpx.Transport {
		transport, err := httpx.New(httpx.Config{Peer: peer, Base: base, Concurrency: 10, Now: time.Now})
		h.must(err)
		return transport
	}
	toShop, toAccount := chain("magento", h.shop.Transport()), chain("copernica", h.account.Transport())
	shop, err := magento.New(magento.Config{
		BaseURL: "http://shop.test", AccessToken: magentotest.AccessToken, Transport: toShop, PageSize: 50, Now: time.Now,
	})
	h.must(err)
	account, err := copernica.New(copernica.Config{
		APIURL: "http://127.0.0.1/v4", AuthURL: "http://127.0.0.1", AccessToken: copernicatest.AccessToken, Transport: toAccount, Now: time.Now,
	})
	h.must(err)
	e, err := engine.New(engine.Config{
		Pipeline: "shop", Shop: shop, Store: h.store, Mapping: compiled, Holder: "test", Now: time.Now,
		Open:  func(ctx context.Context) (engine.Database, error) { return account.Database(ctx, database) },
		Calls: func() (int64, int64) { return toShop.Stats().Calls, toAccount.Stats().Calls },
	})
	h.must(err)
	return e
}

// happen is something that people do in the shop.
func (h *house) happen() {
	h.events++
	people, orders := h.shop.Data().Customers, h.shop.Data().Orders
	someone := people[h.random.IntN(len(people))]
	switch h.random.IntN(4) {
	case 0:
		h.shop.Edit(someone.ID, func(c *magentotest.Customer) { c.LastName = fmt.Sprintf("Name %d", h.events) })
	case 1:
		h.shop.EditLate(someone.ID, func(c *magentotest.Customer) { c.FirstName = fmt.Sprintf("First %d", h.events) },
			time.Duration(h.random.IntN(60))*time.Second)
	case 2:
		h.shop.SetNewsletter(someone.ID, h.random.IntN(2)*2+1) // subscribed or not
		h.shop.Edit(someone.ID, func(*magentotest.Customer) {})
	default:
		order := orders[h.random.IntN(len(orders))]
		h.shop.EditOrder(order.ID, func(o *magentotest.Order) { o.Status = fmt.Sprintf("status_%d", h.events%7) })
	}
}

// lag is how far the stream that is furthest behind is.
func (h *house) lag() time.Duration {
	h.t.Helper()
	var most time.Duration
	for _, stream := range engine.Streams() {
		cp, err := h.store.Checkpoint(h.t.Context(), "shop", stream)
		h.must(err)
		most = max(most, time.Since(cp.Horizon))
	}
	return most
}

// inStep asks the oracle.
func (h *house) inStep() {
	h.t.Helper()
	options := oracle.Options{Shop: "shop", Zone: h.zone}
	people, orders := oracle.Expect(h.shop.Data(), options), oracle.ExpectOrders(h.shop.Data(), options)
	profiles := h.account.Profiles(database)
	for what, diff := range map[string]oracle.Difference{
		"profiles": oracle.Compare(append(people, orders.Guests...), profiles),
		"orders":   oracle.CompareRows(orders.Orders, oracle.KeyOrders, h.account.Subprofiles(database, "Orders"), profiles),
		"items":    oracle.CompareRows(orders.Items, oracle.KeyItems, h.account.Subprofiles(database, "Orders_Items"), profiles),
	} {
		if !diff.None() {
			h.t.Errorf("%s: %s", what, diff.Report(true))
		}
	}
}

func (h *house) lines(text string) int { return strings.Count(h.log.String(), text) }

// Each peer is away for a day in which the shop goes on living: nothing is lost, and
// within twenty minutes of its return everything is in Copernica.
func TestADayWithoutAPeerIsMadeUpForByTheEngine(t *testing.T) {
	cases := []struct {
		name  string
		fault emulator.Fault
		of    func(*house) *emulator.Faults
	}{
		{"no shop", emulator.Fault{Kind: emulator.Reset}, func(h *house) *emulator.Faults { return h.shop.Faults() }},
		{"a shop in maintenance", emulator.Fault{Kind: emulator.HTML, Status: 503}, func(h *house) *emulator.Faults { return h.shop.Faults() }},
		{"no account", emulator.Fault{Kind: emulator.Reset}, func(h *house) *emulator.Faults { return h.account.Faults() }},
		{"an account that answers 500", emulator.Fault{}, func(h *house) *emulator.Faults { return h.account.Faults() }},
		{"an account that never answers", emulator.Fault{Kind: emulator.Hang}, func(h *house) *emulator.Faults { return h.account.Faults() }},
	}
	for _, c := range cases[:scaled(len(cases), 1)] {
		t.Run(c.name, func(t *testing.T) {
			inHouse(t, 1, 40, 40, func(t *testing.T, h *house) {
				time.Sleep(20 * time.Minute)
				h.inStep()
				c.of(h).Add(c.fault)
				for range 48 {
					h.happen()
					time.Sleep(30 * time.Minute)
				}
				if lag := h.lag(); lag < 23*time.Hour {
					t.Errorf("only %s behind after a day: the fault did nothing", lag)
				}
				c.of(h).Clear()
				time.Sleep(20 * time.Minute)
				synctest.Wait()
				if lag := h.lag(); lag > 10*time.Minute {
					t.Errorf("%s behind 20 minutes after the peer is back\n%s", lag, &h.log)
				}
				h.inStep()
				if n := h.lines("level=ERROR"); n < 1 || n > 4 {
					t.Errorf("%d errors for one cause and two streams:\n%s", n, &h.log)
				}
				if h.lines("works again") < 1 {
					t.Errorf("the end of the outage is not told:\n%s", &h.log)
				}
			})
		})
	}
}
