package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
)

// order returns the n-th order of a customer, or of a guest, who has a profile.
func (s *stage) order(n int, guest bool) magentotest.Order {
	s.t.Helper()
	data := s.shop.Data()
	known := map[int64]bool{}
	for _, c := range data.Customers {
		known[c.ID] = true
	}
	for _, o := range data.Orders {
		if o.Guest != guest || !guest && !known[o.CustomerID] {
			continue
		}
		if n--; n < 0 {
			return o
		}
	}
	s.t.Fatal("the shop has too few orders")
	return magentotest.Order{}
}

// place places an order of a customer and puts it behind the horizon.
func (s *stage) place(customer int64, lines ...magentotest.Line) int64 {
	s.t.Helper()
	if lines == nil {
		lines = []magentotest.Line{{ProductID: 2, SKU: "SIMPLE-2", Name: "Koffiemok", Price: "9.95"}}
	}
	s.pass(time.Minute)
	id := s.shop.CreateOrder(magentotest.Order{CustomerID: customer, StoreID: 1, Lines: lines})
	s.pass(time.Minute)
	return id
}

// refuseRow makes Copernica refuse the creation of a row below a profile, by its key.
func (s *stage) refuseRow(key string) *emulator.Handle {
	return s.account.Faults().Add(emulator.Fault{
		Status: 400, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"error":{"message":"Subprofile could not be created"}}`,
		Match: func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Query().Get("fields[]"), "=="+key)
		},
	})
}

func TestOrdersFromTheCommandLine(t *testing.T) {
	t.Parallel()
	s := newOrderStage(t)
	out := s.run("run")
	s.ends(exitDone, out)
	out.says(t, "customers: 32 read, 32 created, ", "\norders: 60 read, ", " rows created, ")
	s.compare()
	s.pass(time.Second)
	s.inStep()

	// One stream by itself, the other not asked for.
	s.place(s.id(3))
	out = s.run("run", "orders")
	s.ends(exitDone, out)
	out.says(t, "orders: 1 read, 2 rows created, 0 updated")
	if strings.Contains(out.stdout, "customers: ") {
		t.Errorf("the customers ran as well:\n%s", out.stdout)
	}
	s.inStep()
}

// Orders wait for their customers while a budget stretches the first pass over these, and
// both end in step.
func TestPromise21_ABudgetOverBothStreams(t *testing.T) {
	t.Parallel()
	s := newOrderStage(t)
	s.environ["SYNCD_RUN_BUDGET"] = "10"
	waited := false
	for range 20 {
		out := s.run("run")
		s.ends(exitDone, out)
		waited = waited || strings.Contains(out.stdout, "waits for customers: the first pass over the customers is not finished")
		if !strings.Contains(out.stdout, "not finished") {
			break
		}
	}
	if !waited {
		t.Error("no run of the orders waited for the customers")
	}
	s.compare()
	delete(s.environ, "SYNCD_RUN_BUDGET")
	s.pass(time.Second)
	s.inStep()
}

// One order that cannot be delivered costs that order and nothing else.
func TestBadOrders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		spoil   func(*magentotest.Order)
		mend    func(*magentotest.Order)
		letter  string
		rewrite func(*http.Request, []byte) []byte // of what the shop answers
	}{
		{
			name:  "a guest without an e-mail",
			spoil: func(o *magentotest.Order) { o.Email = "" },
			mend:  func(o *magentotest.Order) { o.Email = "found+again@example.test" }, letter: "email_empty",
		},
		{
			name:  "a line with a name of 2 MiB",
			spoil: func(o *magentotest.Order) { o.Lines[0].Name = strings.Repeat("Mok ", 1<<19) },
			mend:  func(o *magentotest.Order) { o.Lines[0].Name = "Mok" }, letter: "too_large",
		},
		{
			name:  "a coupon that is no UTF-8",
			spoil: func(o *magentotest.Order) { o.CouponCode = "Jos-MARK" },
			mend:  func(o *magentotest.Order) { o.CouponCode = "José" }, letter: "invalid_utf8",
			rewrite: func(_ *http.Request, body []byte) []byte {
				return bytes.ReplaceAll(body, []byte("-MARK"), []byte("\xe9")) // é in Latin 1
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newOrderStage(t)
			id := s.order(2, true).ID
			s.shop.EditOrder(id, c.spoil)
			if c.rewrite != nil {
				s.shopFront.show(rewritten(s.shop.Handler(), c.rewrite))
			}
			s.pass(time.Minute)
			out := s.run("run")
			s.ends(exitDeadLetters, out, "1 dead letter", "syncd dead")
			out.says(t, ", 1 refused, ")
			d := s.open()[id]
			if d.Cause != c.letter || d.Entity != state.Order || d.Stream != "orders" || d.Key != "shop-o"+number(id) {
				t.Errorf("the letter: %+v", d)
			}
			s.run("dead", "show", number(d.ID)).says(t, "shop-o"+number(id)+": order "+number(id)+" of shop", "no subprofile is known")
			calls := s.account.Calls()
			s.pass(time.Minute)
			s.ends(exitDeadLetters, s.run("run"), "1 dead letter")
			if n := s.account.Calls() - calls; n != 0 {
				t.Errorf("the refused order cost %d calls again", n)
			}
			again := s.run("dead", "replay", number(d.ID))
			s.ends(exitDeadLetters, again)
			again.says(t, "refused again, "+c.letter)

			s.shop.EditOrder(id, c.mend)
			mended := s.run("dead", "replay", number(d.ID))
			s.ends(exitDone, mended)
			mended.says(t, "shop-o"+number(id)+": delivered, subprofile ")
			s.pass(time.Minute)
			s.inStep()
			if n := s.letters(); len(n) != 0 {
				t.Errorf("dead letters %v after the order was mended", n)
			}
		})
	}
}

// An order whose customer cannot be delivered is a letter of its own cause; replaying it
// brings the customer along. Letters of an order and of its line are one reading.
func TestPromise23_DeadLettersOfOrders(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	lost, fine := s.id(3), s.id(8)
	s.shop.Edit(lost, func(c *magentotest.Customer) { c.Email = "" })
	orphan := s.place(lost)
	twice := s.place(fine,
		magentotest.Line{ProductID: 2, SKU: "SIMPLE-2", Name: "Koffiemok", Price: "9.95"},
		magentotest.Line{ProductID: 3, SKU: "SIMPLE-3", Name: "Reisgids", Price: "24.5"})
	orders := s.shop.Data().Orders
	lines := orders[len(orders)-1].Lines
	refusing := []*emulator.Handle{s.refuseRow("shop-o" + number(twice)), s.refuseRow("shop-i" + number(lines[1].ID))}
	s.ends(exitDeadLetters, s.run("run"))
	if n := s.letters(); n["profile_missing"] != 1 || n["email_empty"] != 1 || n["refused"] < 1 {
		t.Fatalf("dead letters %v", n)
	}
	list := s.run("dead")
	s.ends(exitDone, list)
	list.says(t, "profile_missing: 1 record", "shop-o"+number(orphan), "the profile shop-c"+number(lost)+" that it belongs to could not be delivered",
		"mend the customer first, whose own dead letter says how", "shop-o"+number(twice))

	// Refused again while nothing is mended, once for all letters of one order.
	reads := func() (n int64) {
		for call, count := range s.shop.Log().Counts() {
			if strings.Contains(call, "/V1/orders/") {
				n += count
			}
		}
		return n
	}
	before := reads()
	again := s.run("dead", "replay", "--cause", "refused")
	s.ends(exitDeadLetters, again)
	again.says(t, "shop-o"+number(twice)+": refused again, refused: ")
	if n := reads() - before; n != 1 {
		t.Errorf("one order was read %d times", n)
	}
	for _, h := range refusing {
		h.Remove()
	}
	delivered := s.run("dead", "replay", "--cause", "refused")
	s.ends(exitDone, delivered)
	delivered.says(t, "shop-o"+number(twice)+": delivered, subprofile ")

	s.shop.Edit(lost, func(c *magentotest.Customer) { c.Email = "found+again@example.test" })
	brought := s.run("dead", "replay", "--cause", "profile_missing")
	s.ends(exitDone, brought)
	brought.says(t, "shop-o"+number(orphan)+": delivered, subprofile ")
	if n := s.letters(); len(n) != 0 {
		t.Errorf("dead letters %v", n)
	}
	s.pass(time.Minute)
	s.inStep()
}

// A letter of a customer whom an order brought along is replayed as a customer's.
func TestPromise23_ALetterOfACustomerBroughtByAnOrder(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.ends(exitDone, s.run("run"))
	s.pass(time.Minute)
	id := s.shop.Create(magentotest.Customer{Email: "fresh@example.test", FirstName: "Fresh", LastName: "Face", WebsiteID: 1, StoreID: 1, GroupID: 1})
	order := s.place(id)
	refusing := s.refuse(id)
	s.ends(exitDeadLetters, s.run("run", "orders"), "2 dead letters")
	refusing.Remove()
	d := s.open()[id]
	if d.Key != "shop-c"+number(id) || d.Stream != "customers" {
		t.Fatalf("the customer's letter: %+v", d)
	}
	out := s.run("dead", "replay", number(d.ID))
	s.ends(exitDone, out)
	out.says(t, "shop-c"+number(id)+": delivered, profile ")
	s.ends(exitDone, s.run("dead", "replay", number(s.open()[order].ID)))
	s.inStep()
}

func TestStatusShowsBothStreams(t *testing.T) {
	t.Parallel()
	s := newOrderStage(t)
	id := s.order(1, true).ID
	s.shop.EditOrder(id, func(o *magentotest.Order) { o.Email = "" })
	s.pass(time.Minute)
	s.ends(exitDeadLetters, s.run("run"))
	out := s.run("status")
	s.ends(exitDone, out)
	out.says(t, "\nstream customers\n", "\nstream orders\n", "1 order of deleted accounts left out", "records       item: ", " order: ", " profile: ",
		"dead letters  1 open: 1 email_empty")
}
