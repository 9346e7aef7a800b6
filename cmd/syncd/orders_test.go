package main

import (
	"bytes"
	"net/http"
	"slices"
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
			s.ends(exitDeadLetters, out, "1 record", "syncd dead")
			out.says(t, ", 1 refused, ")
			d := s.open()[id]
			if d.Cause != c.letter || d.Entity != state.Order || d.Stream != "orders" || d.Key != "shop-o"+number(id) {
				t.Errorf("the letter: %+v", d)
			}
			s.run("dead", "show", number(d.ID)).says(t, "shop-o"+number(id)+": order "+number(id)+" of shop", "no subprofile is known")
			calls := s.account.Calls()
			s.pass(time.Minute)
			s.ends(exitDeadLetters, s.run("run"), "1 record")
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
	s.ends(exitDeadLetters, s.run("run", "orders"), "2 records")
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

func TestLookupOfAnOrder(t *testing.T) {
	t.Parallel()
	s := newOrderStage(t)
	s.ends(exitDone, s.run("run"))
	o := s.order(4, false)
	key, owner := "shop-o"+number(o.ID), "shop-c"+number(o.CustomerID)
	var lines []string
	for _, l := range o.Lines {
		if l.ParentID == 0 {
			lines = append(lines, "shop-i"+number(l.ID))
		}
	}
	for what, by := range map[string]lookupBy{o.IncrementID: byNumber, "order:" + o.IncrementID: byNumber, "order:#" + o.IncrementID: byNumber, key: byKey} {
		report := s.lookup(what)
		if what == o.IncrementID && o.IncrementID[0] != '0' {
			by = byCustomer
		}
		r := report.one(t)
		if report.By != by || r.Entity != state.Order || r.Key != key || r.SourceID != o.ID || r.Number != o.IncrementID ||
			r.Ledger.State != state.Acknowledged || r.Ledger.CopernicaID == 0 || r.LastRun.ID != 2 {
			t.Errorf("%s: %+v", what, r)
		}
		if r.Profile == nil || r.Profile.Key != owner || r.Profile.Ledger.CopernicaID != s.profileOf(owner) {
			t.Errorf("%s: its profile %+v", what, r.Profile)
		}
		var keys []string
		for _, item := range r.Items {
			keys = append(keys, item.Key)
			if item.SourceID != o.ID || item.Ledger.State != state.Acknowledged || item.Ledger.CopernicaID == 0 || item.LastRun.ID != 2 {
				t.Errorf("%s: its line %+v", what, item)
			}
		}
		if !slices.Equal(keys, lines) {
			t.Errorf("%s: lines %v, want %v", what, keys, lines)
		}
	}
	text := s.run("lookup", key)
	s.ends(exitDone, text)
	text.says(t, key+": order "+number(o.ID)+" of shop \"shop\"", "number        "+o.IncrementID, "belongs to    "+owner+": profile "+number(s.profileOf(owner))+", acknowledged",
		"subprofile ", "2 of orders, done", lines[0])

	// A line, and a guest by key and by e-mail.
	r := s.lookup(lines[0]).one(t)
	if r.Entity != state.Item || r.SourceID != o.ID || r.Profile == nil || r.Profile.Key != owner || r.Items != nil {
		t.Errorf("a line: %+v", r)
	}
	s.run("lookup", lines[0]).says(t, ": a line of order "+number(o.ID)+" of shop")
	guest := s.order(0, true)
	profile := s.lookup("shop-o" + number(guest.ID)).one(t).Profile
	if profile == nil || !strings.HasPrefix(profile.Key, "shop-w") {
		t.Fatalf("the guest of order %d: %+v", guest.ID, profile)
	}
	for what, by := range map[string]lookupBy{profile.Key: byKey, "p" + number(profile.Ledger.CopernicaID): byProfile} {
		report := s.lookup(what)
		if r := report.one(t); report.By != by || r.Key != profile.Key || r.Entity != state.Profile {
			t.Errorf("a guest by %s: %+v", by, r)
		}
	}
	report := s.lookup(" " + strings.ToUpper(guest.Email)) // others may have it as well
	if !slices.ContainsFunc(report.Records, func(r *lookupRecord) bool { return r.Key == profile.Key }) || report.By != byEmail {
		t.Errorf("a guest by e-mail: %+v", report)
	}
	s.run("lookup", profile.Key).says(t, profile.Key+": the guest of order ")

	for what, words := range map[string]string{
		"000004711": "knows no order with number 000004711", "order:X-1": "knows no order with number X-1", "000000001-9": "with number 000000001-9",
		"shop-o4711": "knows no record shop-o4711", "shop-i4711": "knows no record shop-i4711", "other-o5": "is no key of this shop",
	} {
		s.ends(exitFailed, s.run("lookup", what), words)
	}
}

// Two stores may give one number, which is that of an id as well.
func TestLookupOfANumberThatIsNotUnique(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	customer := s.id(4)
	line := magentotest.Line{ProductID: 2, SKU: "SIMPLE-2", Name: "Koffiemok", Price: "9.95"}
	var keys []string
	for store := range int64(2) {
		id := s.shop.CreateOrder(magentotest.Order{CustomerID: customer, StoreID: store + 1, IncrementID: number(customer), Lines: []magentotest.Line{line}})
		keys = append(keys, "shop-o"+number(id))
	}
	s.pass(time.Minute)
	s.ends(exitDone, s.run("run"))
	found := func(what string) (keys []string) {
		for _, r := range s.lookup(what).Records {
			keys = append(keys, r.Key)
		}
		return keys
	}
	if got := found("order:" + number(customer)); !slices.Equal(got, keys) {
		t.Errorf("orders %v, want %v", got, keys)
	}
	if got, want := found(number(customer)), append([]string{"shop-c" + number(customer)}, keys...); !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}

func TestLookupOfAnOrderLive(t *testing.T) {
	t.Parallel()
	s := newOrderStage(t)
	s.ends(exitDone, s.run("run"))
	o := s.order(4, false)
	key := "shop-o" + number(o.ID)
	r := s.lookup(key, "--live").one(t)
	owner := s.profileOf("shop-c" + number(o.CustomerID))
	if !r.Live.InShop || r.Live.UpdatedAt == nil || r.Live.differing() != "" || len(r.Live.Fields) != 17 ||
		!slices.Equal(r.Live.Rows, []int64{r.Ledger.CopernicaID}) || !slices.Equal(r.Live.Profiles, []int64{owner}) {
		t.Errorf("in step: %+v", r.Live)
	}
	for _, item := range r.Items {
		if !item.Live.InShop || item.Live.differing() != "" || len(item.Live.Fields) != 14 || !slices.Equal(item.Live.Rows, []int64{item.Ledger.CopernicaID}) {
			t.Errorf("line %s in step: %+v", item.Key, item.Live)
		}
	}

	// Changed in the shop: the order and one of its lines, and a line that is new.
	s.shop.EditOrder(o.ID, func(o *magentotest.Order) {
		o.Status, o.Lines[0].Name = "holded", "Another name"
		o.Lines = append(o.Lines, magentotest.Line{ProductID: 5, SKU: "SIMPLE-5", Name: "Kookboek", Price: "32", Ordered: "1"})
	})
	r = s.lookup(key, "--live").one(t)
	last := r.Items[len(r.Items)-1]
	if got := r.Live.differing(); got != "status" {
		t.Errorf("the order differs in %q", got)
	}
	if got := r.Items[0].Live.differing(); got != "name" {
		t.Errorf("its first line differs in %q", got)
	}
	if last.Ledger != nil || !last.Live.InShop || len(last.Live.Rows) != 0 || last.Live.Fields[0].Copernica != nil {
		t.Errorf("the new line: %+v", last)
	}
	text := s.run("lookup", key, "--live")
	s.ends(exitDone, text)
	text.says(t, "different  status", "line "+r.Items[0].Key+"\n", "different  name", "has no subprofile with key "+last.Key,
		"Copernica     subprofile "+number(r.Ledger.CopernicaID)+", below profile "+number(owner))

	// A line alone, a guest, and an order that no run has come to.
	if got := s.lookup(r.Items[0].Key, "--live").one(t).Live; got.differing() != "name" {
		t.Errorf("a line by itself: %+v", got)
	}
	guest := s.lookup("shop-o" + number(s.order(0, true).ID)).one(t).Profile.Key
	if got := s.lookup(guest, "--live").one(t).Live; !got.InShop || got.differing() != "newsletter" && got.differing() != "" {
		t.Errorf("a guest: %+v", got)
	}
	fresh := s.place(o.CustomerID)
	r = s.lookup("shop-o"+number(fresh), "--live").one(t)
	if r.Ledger != nil || !r.Live.InShop || len(r.Live.Rows) != 0 || len(r.Items) != 1 || r.Profile == nil || r.Profile.Ledger.CopernicaID != owner {
		t.Errorf("an order that was just placed: %+v", r)
	}
	// Doubles: ours is the ledger's, and for a row that the ledger does not know the oldest
	// below its profile.
	other := s.profileOf("shop-c" + number(s.id(2)))
	var doubles []int64
	for _, below := range []int64{other, owner, owner} {
		row, err := s.account.AddSubprofile("Orders", below, map[string]string{"order_id": "shop-o" + number(fresh)})
		s.must(err)
		doubles = append(doubles, row)
	}
	if got := s.lookup("shop-o"+number(fresh), "--live").one(t).Live; got.Ours != doubles[1] || !slices.Equal(got.Rows, doubles) {
		t.Errorf("doubles of an order that was just placed: %+v", got)
	}
	s.run("lookup", "shop-o"+number(fresh), "--live").says(t, "3 subprofiles have key shop-o"+number(fresh),
		"subprofile "+number(doubles[1])+" is the one that is written to, by its id: the oldest below its profile",
		"remove ["+number(doubles[0])+" "+number(doubles[2])+"] in Copernica")
	_, err := s.account.AddSubprofile("Orders", owner, map[string]string{"order_id": key})
	s.must(err)
	if got := s.lookup(key, "--live").one(t); len(got.Live.Rows) != 2 || got.Live.Ours != got.Ledger.CopernicaID {
		t.Errorf("a double of a known order: %+v", got.Live)
	}
	s.ends(exitFailed, s.run("lookup", "shop-o4711", "--live"), "neither the state, nor the shop, nor Copernica knows shop-o4711")
	s.ends(exitFailed, s.run("lookup", "shop-i4711", "--live"), "knows shop-i4711")
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
	out.says(t, "\nstream customers\n", "\nstream orders\n", "1 order of deleted accounts left out", "records       item: ", "records       order: ", "records       profile: ",
		"dead letters  1 open: 1 email_empty")
}
