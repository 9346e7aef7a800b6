package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
)

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
	for what, by := range map[string]lookupBy{o.IncrementID: byNumber, "order:" + o.IncrementID: byNumber, "order:#" + o.IncrementID: byNumber, "#" + o.IncrementID: byNumber, key: byKey} {
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
		"000004711": "knows no order with number 000004711", "order:X-1": "knows no order with number X-1: none has come by yet, it is another store's, or it was erased with its customer", "000000001-9": "with number 000000001-9",
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
	found := func(what string, flags ...string) (keys []string) {
		for _, r := range s.lookup(what, flags...).Records {
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

	// A customer whom no run has come to yet is asked for beside the order with that number.
	fresh := s.shop.Create(magentotest.Customer{Email: "fresh@example.test", FirstName: "Fresh", LastName: "Face", WebsiteID: 1, StoreID: 1, GroupID: 1})
	order := s.shop.CreateOrder(magentotest.Order{CustomerID: customer, StoreID: 1, IncrementID: number(fresh), Lines: []magentotest.Line{line}})
	s.pass(time.Minute)
	s.ends(exitDone, s.run("run", "orders"))
	if got, want := found(number(fresh), "--live"), []string{"shop-c" + number(fresh), "shop-o" + number(order)}; !slices.Equal(got, want) {
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
