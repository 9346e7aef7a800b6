package mapping_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/sync/mapping"
)

func TestAGuestsOrderMakesTheirProfile(t *testing.T) {
	t.Parallel()
	o := guestOrder()
	p := place(t, o)
	const key = "shop-w1-g63fc07f31db1239639340c57538ac572"
	g := p.Owner.Guest
	if p.Owner.Key != key || p.Owner.Customer != 0 || g == nil {
		t.Fatalf("owner %+v", p.Owner)
	}
	want := map[string]string{
		"customer_id": key, "email": "jan+shop@example.test", "firstname": "Jan", "middlename": "van der", "lastname": "Vries",
		"gender": "Male", "group": "NOT LOGGED IN", "birthdate": "1980-01-15", "registrationDate": "0000-00-00 00:00:00", "storeView": thisView,
	}
	if diff := cmp.Diff(want, g.Body(true, true)); diff != "" {
		t.Errorf("profile (-want +got):\n%s", diff)
	}
	if g.Table() != mapping.Profiles || !g.Shared || g.Key != key || g.SourceID != 456 || !g.UpdatedAt.Equal(o.UpdatedAt) || g.Website != 1 || g.Email != o.Email {
		t.Errorf("row %+v", g)
	}
}

func TestOnlyACustomersProfileHasConsent(t *testing.T) {
	t.Parallel()
	c := jan()
	customer, err := compiled(t).Customer(&c, lookups())
	if err != nil {
		t.Fatal(err)
	}
	p := place(t, guestOrder())
	for _, r := range []*mapping.Row{&customer, p.Owner.Guest, &p.Order, &p.Items[0]} {
		want := r == &customer
		if r.HasConsent() != want || (len(r.Body(false, true)) == 1) != want || (r.ConsentValue() != "") != want {
			t.Errorf("%s: consent %v %v %q", r.Key, r.HasConsent(), r.Body(false, true), r.ConsentValue())
		}
		for _, s := range r.Sides(nil) {
			if s.Consent && !want {
				t.Errorf("%s: side %+v", r.Key, s)
			}
		}
	}
}

func TestPromise17_OwnersOfOrders(t *testing.T) {
	t.Parallel()
	const guest = "shop-w1-g63fc07f31db1239639340c57538ac572"
	for _, tc := range []struct {
		name     string
		change   func(*magento.Order)
		key      string
		customer int64
		guest    bool
		cause    string
	}{
		{"a customer's", func(o *magento.Order) { o.Guest, o.CustomerID = false, 12 }, "shop-c12", 12, false, ""},
		{"of an account that was deleted", func(o *magento.Order) { o.Guest = false }, "", 0, false, ""},
		{"of a deleted account without an e-mail", func(o *magento.Order) { o.Guest, o.Email = false, "" }, "", 0, false, ""},
		{"a guest's", func(*magento.Order) {}, guest, 0, true, ""},
		{"a guest's, though it names a customer", func(o *magento.Order) { o.CustomerID = 12 }, guest, 0, true, ""},
		{"in capitals and with blanks it is the same guest", func(o *magento.Order) { o.Email = " Jan+Shop@EXAMPLE.test\t" }, guest, 0, true, ""},
		{"on another website it is another", func(o *magento.Order) { o.StoreID = 4 }, "shop-w2" + guest[len("shop-w1"):], 0, true, ""},
		{"on a store view that is gone", func(o *magento.Order) { o.StoreID = 0 }, "shop-w0" + guest[len("shop-w1"):], 0, true, ""},
		{"without an e-mail", func(o *magento.Order) { o.Email = "" }, "", 0, true, "email_empty"},
		{"with a blank e-mail", func(o *magento.Order) { o.Email = " \t" }, "", 0, true, "email_empty"},
		{"an e-mail of 160 characters", func(o *magento.Order) { o.Email = strings.Repeat("é", 160) }, compiled(t).GuestKey(1, strings.Repeat("é", 160)), 0, true, ""},
		{"an e-mail of 161", func(o *magento.Order) { o.Email = strings.Repeat("é", 161) }, compiled(t).GuestKey(1, strings.Repeat("é", 161)), 0, true, "email_too_long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := guestOrder()
			tc.change(&o)
			p, err := compiled(t).Order(&o, lookups())
			if p.Owner.Key != tc.key || p.Owner.Customer != tc.customer || (p.Owner.Guest != nil) != tc.guest {
				t.Errorf("owner %+v", p.Owner)
			}
			if g := p.Owner.Guest; g != nil && (g.Key != tc.key || g.Email != o.Email || g.Body(true, false)["email"] != shortened(o.Email)) {
				t.Errorf("guest %+v", g)
			}
			if p.Order.Key != "shop-o456" || len(p.Items) != 1 || p.Items[0].Key != "shop-i789" {
				t.Errorf("rows %s and %+v", p.Order.Key, p.Items)
			}
			if tc.cause == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *mapping.RecordError
			if !asRecord(err, &e) || e.Cause != tc.cause || e.ID != 456 || e.Table != mapping.Orders || e.Field != "email" || fault.ClassOf(err) != fault.Record {
				t.Fatalf("got %#v", err)
			}
			if !strings.HasPrefix(e.Error(), "order 456: ") || !strings.Contains(e.Fix, "Magento's admin") || strings.Contains(e.Error(), "é") {
				t.Errorf("words: %s", e)
			}
		})
	}
}

// The website on which a guest is known outlives its store view.
func TestPromise17_AGuestStaysOnTheirWebsite(t *testing.T) {
	t.Parallel()
	const guest = "-g63fc07f31db1239639340c57538ac572"
	m := compiled(t)
	for name, tc := range map[string]struct {
		change func(*magento.Order)
		key    string
		stayed bool
	}{
		"the store view is there":           {func(*magento.Order) {}, "shop-w1" + guest, false},
		"it is gone":                        {func(o *magento.Order) { o.StoreID = 0 }, "shop-w1" + guest, true},
		"it is another website's by now":    {func(o *magento.Order) { o.StoreID = 4 }, "shop-w1" + guest, true},
		"a customer's order has no guest":   {func(o *magento.Order) { o.Guest, o.CustomerID = false, 12 }, "shop-c12", false},
		"without an e-mail there is no key": {func(o *magento.Order) { o.Email = "" }, "", false},
	} {
		o := guestOrder()
		tc.change(&o)
		p, _ := m.Order(&o, lookups())
		if stayed := m.Stay(&p, 1); stayed != tc.stayed || p.Owner.Key != tc.key {
			t.Errorf("%s: %v, owner %+v", name, stayed, p.Owner)
		}
		if g := p.Owner.Guest; g != nil && tc.key != "" && (g.Key != tc.key || g.Website != 1 || g.Body(true, false)["customer_id"] != tc.key) {
			t.Errorf("%s: guest %+v", name, g)
		}
	}
}

func shortened(s string) string {
	if r := []rune(s); len(r) > 160 {
		return string(r[:160])
	}
	return s
}

func TestNamesOfAGuest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ first, middle, last, want string }{
		"the order's":                     {"Jan", "van der", "Vries", "Jan|van der|Vries"},
		"first name alone":                {"Jan", "", "", "Jan||"},
		"last name alone":                 {"", "", "Vries", "||Vries"},
		"none: who is billed":             {"", "", "", "Johan||de Vries"},
		"none but between: who is billed": {"", "van", "", "Johan|van|de Vries"},
	} {
		o := guestOrder()
		o.FirstName, o.MiddleName, o.LastName = tc.first, tc.middle, tc.last
		p := place(t, o)
		b := p.Owner.Guest.Body(true, false)
		if got := b["firstname"] + "|" + b["middlename"] + "|" + b["lastname"]; got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestPromise17_Keys(t *testing.T) {
	t.Parallel()
	m := compiled(t)
	if m.OrderKey(456) != "shop-o456" || m.ItemKey(789) != "shop-i789" || m.CustomerKey(123) != "shop-c123" || m.ProfilePrefix() != "shop-" {
		t.Errorf("%s %s %s %s", m.OrderKey(456), m.ItemKey(789), m.CustomerKey(123), m.ProfilePrefix())
	}
	// printf 'gast@example.test' | sha256sum
	if got := m.GuestKey(2, "Gast@example.test "); got != "shop-w2-g6ac2b5c37e3ac97744da272d49949f02" {
		t.Error(got)
	}
	for key, want := range map[string]int64{
		"shop-c1": 1, "shop-c9223372036854775807": 9223372036854775807,
		"": 0, "shop-c": 0, "shop-c0": 0, "shop-c01": 0, "shop-c-1": 0, "shop-c+1": 0, "shop-c1 ": 0, "shop-c1a": 0, "shop-c9223372036854775808": 0,
		"shop-o1": 0, "shop2-c1": 0, "Shop-c1": 0, m.GuestKey(1, "a@example.test"): 0,
	} {
		if got, ok := m.CustomerID(key); got != want && ok || ok != (want != 0) {
			t.Errorf("%q is customer %d, %v", key, got, ok)
		}
	}
	const person = "6ac2b5c37e3ac97744da272d49949f02"
	if got := mapping.PersonOf(" gast@Example.test"); got != person {
		t.Error(got)
	}
	for key, want := range map[string]int64{
		"shop-w2-g" + person: 2, "shop-w0-g" + person: 0, "shop-w65535-g" + person: 65535,
		"": -1, "shop-c1": -1, "shop2-w2-g" + person: -1, "shop-w2-g": -1, "shop-w02-g" + person: -1, "shop-w+2-g" + person: -1, "shop-w-2-g" + person: -1,
		"shop-w-g" + person: -1, "shop-w2-g" + person[1:]: -1, "shop-w2-g" + person + "0": -1, "shop-w2-g" + strings.ToUpper(person): -1,
	} {
		website, got, ok := m.GuestOf(key)
		if ok != (want >= 0) || ok && (website != want || got != person) {
			t.Errorf("%q is guest %s of website %d, %v", key, got, website, ok)
		}
	}
	file, err := mapping.Default()
	if err != nil {
		t.Fatal(err)
	}
	long, err := file.Compile(mapping.Options{Shop: "abcdefghijkl"})
	if err != nil {
		t.Fatal(err)
	}
	const most = 1<<63 - 1
	for _, key := range []string{long.CustomerKey(most), long.OrderKey(most), long.ItemKey(most)} {
		if len(key) > mapping.KeyLength {
			t.Errorf("%s has %d characters", key, len(key))
		}
	}
	if key := long.GuestKey(65535, "a@example.test"); len(key) != mapping.GuestKeyLength {
		t.Errorf("%s has %d characters", key, len(key))
	}
}
