package oracle_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/oracle"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// smallShop has two websites and three store views.
func smallShop(customers ...magentotest.Customer) magentotest.Data {
	return magentotest.Data{
		Websites: []magentotest.Website{{ID: 0, Name: "Admin"}, {ID: 1, Name: "Main Website"}, {ID: 2, Name: "UK Website"}},
		Groups:   []magentotest.Group{{ID: 0, Name: "Default"}, {ID: 1, WebsiteID: 1, Name: "Main Store"}, {ID: 2, WebsiteID: 2, Name: "UK Store"}},
		Views: []magentotest.View{
			{ID: 0, Name: "Admin"},
			{ID: 3, WebsiteID: 1, GroupID: 1, Name: "Nederlands"},
			{ID: 4, WebsiteID: 2, GroupID: 2, Name: "English"},
		},
		CustomerGroups: []magentotest.CustomerGroup{{ID: 1, Code: "General"}, {ID: 5, Code: "Ünïcode – groep"}},
		Customers:      customers,
	}
}

func at(s string) time.Time {
	t, err := time.Parse(time.DateTime, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestExpect_SmallShop(t *testing.T) {
	t.Parallel()
	shop := smallShop(
		magentotest.Customer{
			ID: 7, WebsiteID: 1, StoreID: 3, GroupID: 1, Email: "Jan+tag@Example.nl", FirstName: " Jan ", MiddleName: "van der", LastName: "Zoë’s",
			Gender: 1, DOB: "1980-01-15", CreatedAt: at("2026-01-15 11:00:00"), NewsletterStatus: magentotest.Subscribed,
		},
		magentotest.Customer{
			ID: 12, WebsiteID: 2, StoreID: 4, GroupID: 5, Email: "o'neil@example.co.uk", FirstName: "A", LastName: "B",
			Gender: 3, DOB: "1990-12-31 00:00:00", CreatedAt: at("2026-07-15 22:30:00"), NewsletterStatus: magentotest.Unsubscribed,
		},
		magentotest.Customer{ID: 3, StoreID: 99, GroupID: 99, Email: "x", Gender: 4},
	)
	want := []oracle.Row{
		{Key: "nl-c12", Fields: map[string]string{
			"customer_id": "nl-c12", "email": "o'neil@example.co.uk", "firstname": "A", "middlename": "", "lastname": "B",
			"gender": "Not Specified", "group": "Ünïcode – groep", "birthdate": "1990-12-31", "registrationDate": "2026-07-16 00:30:00",
			"storeView": "UK Website > UK Store > English", "newsletter": "not subscribed",
		}},
		{Key: "nl-c3", Fields: map[string]string{
			"customer_id": "nl-c3", "email": "x", "firstname": "", "middlename": "", "lastname": "",
			"gender": "", "group": "", "birthdate": "0000-00-00", "registrationDate": "0000-00-00 00:00:00",
			"storeView": "", "newsletter": "not subscribed",
		}},
		{Key: "nl-c7", Fields: map[string]string{
			"customer_id": "nl-c7", "email": "Jan+tag@Example.nl", "firstname": " Jan ", "middlename": "van der", "lastname": "Zoë’s",
			"gender": "Male", "group": "General", "birthdate": "1980-01-15", "registrationDate": "2026-01-15 12:00:00",
			"storeView": "Main Website > Main Store > Nederlands", "newsletter": "subscribed",
		}},
	}
	if diff := cmp.Diff(want, oracle.Expect(shop, oracle.Options{Shop: "nl"})); diff != "" {
		t.Error(diff)
	}
}

func TestExpect_OneField(t *testing.T) {
	t.Parallel()
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name        string
		customer    magentotest.Customer
		opts        oracle.Options
		field, want string
	}{
		{"default shop code", magentotest.Customer{}, oracle.Options{}, "customer_id", "shop-c1"},
		{"female", magentotest.Customer{Gender: 2}, oracle.Options{}, "gender", "Female"},
		{"administrator's store view", magentotest.Customer{}, oracle.Options{}, "storeView", "Admin > Default > Admin"},
		{"names are cut at 250 characters", magentotest.Customer{LastName: strings.Repeat("é", 251)}, oracle.Options{}, "lastname", strings.Repeat("é", 250)},
		{"summer time ends, first 02:30", magentotest.Customer{CreatedAt: at("2020-10-25 00:30:00")}, oracle.Options{}, "registrationDate", "2020-10-25 02:30:00"},
		{"summer time ends, second 02:30", magentotest.Customer{CreatedAt: at("2020-10-25 01:30:00")}, oracle.Options{}, "registrationDate", "2020-10-25 02:30:00"},
		{"another zone", magentotest.Customer{CreatedAt: at("2020-10-25 01:30:00")}, oracle.Options{Zone: newYork}, "registrationDate", "2020-10-24 21:30:00"},
		{"no subscriber", magentotest.Customer{NewsletterStatus: magentotest.NoSubscriber}, oracle.Options{}, "newsletter", "not subscribed"},
		{"not active", magentotest.Customer{NewsletterStatus: magentotest.NotActive}, oracle.Options{}, "newsletter", "not subscribed"},
		{"unconfirmed", magentotest.Customer{NewsletterStatus: magentotest.Unconfirmed}, oracle.Options{}, "newsletter", "not subscribed"},
		{
			"opted out in Copernica, in in the shop",
			magentotest.Customer{NewsletterStatus: magentotest.Subscribed},
			oracle.Options{Unsubscribed: map[string]bool{"shop-c1": true}},
			"newsletter", "unsubscribed_copernica",
		},
		{
			"opted out on both sides",
			magentotest.Customer{NewsletterStatus: magentotest.Unsubscribed},
			oracle.Options{Unsubscribed: map[string]bool{"shop-c1": true}},
			"newsletter", "unsubscribed_copernica",
		},
		{
			"another one opted out",
			magentotest.Customer{NewsletterStatus: magentotest.Subscribed},
			oracle.Options{Unsubscribed: map[string]bool{"shop-c10": true}},
			"newsletter", "subscribed",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := tt.customer
			c.ID, c.Email = 1, "a@example.com"
			rows := oracle.Expect(smallShop(c), tt.opts)
			if len(rows) != 1 || rows[0].Fields[tt.field] != tt.want {
				t.Errorf("%v, want %s %q", rows, tt.field, tt.want)
			}
		})
	}
}

func TestExpect_WhoCannotTravel(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		customer magentotest.Customer
		rows     int
	}{
		"no e-mail":         {magentotest.Customer{}, 0},
		"160 characters":    {magentotest.Customer{Email: strings.Repeat("é", 160)}, 1},
		"161 characters":    {magentotest.Customer{Email: strings.Repeat("é", 161)}, 0},
		"not UTF-8":         {magentotest.Customer{Email: "a@b.nl", LastName: "\xff"}, 0},
		"a name of 10 MiB":  {magentotest.Customer{Email: "a@b.nl", LastName: strings.Repeat("x", 10<<20)}, 0},
		"a name of 100 KiB": {magentotest.Customer{Email: "a@b.nl", LastName: strings.Repeat("x", 100<<10)}, 1},
	}
	for name, tt := range tests {
		if got := len(oracle.Expect(smallShop(tt.customer), oracle.Options{})); got != tt.rows {
			t.Errorf("%s: %d rows, want %d", name, got, tt.rows)
		}
	}
}

// held returns profiles that hold exactly what is wanted.
func held(rows []oracle.Row) []copernicatest.Profile {
	var have []copernicatest.Profile
	for i, r := range rows {
		fields := maps.Clone(r.Fields)
		fields["loyalty"] = "the merchant's own"
		have = append(have, copernicatest.Profile{ID: int64(i + 1), Fields: fields})
	}
	return have
}

func TestCompare(t *testing.T) {
	t.Parallel()
	want := oracle.Expect(smallShop(
		magentotest.Customer{ID: 1, Email: "a@example.com"},
		magentotest.Customer{ID: 2, Email: "b@example.com"},
		magentotest.Customer{ID: 3, Email: "c@example.com"},
	), oracle.Options{})
	type profiles = []copernicatest.Profile
	tests := []struct {
		name   string
		change func(profiles) profiles
		want   string
		none   bool
	}{
		{"in step", func(p profiles) profiles { return p }, "0 missing, 0 duplicate, 0 different", true},
		{"nothing there", func(profiles) profiles { return nil }, `3 missing, 0 duplicate, 0 different
missing "shop-c1"
missing "shop-c2"
missing "shop-c3"`, false},
		{"one missing", func(p profiles) profiles { return p[1:] }, `1 missing, 0 duplicate, 0 different
missing "shop-c1"`, false},
		{"two doubles of one", func(p profiles) profiles { return append(p, p[1], p[1]) }, `0 missing, 2 duplicate, 0 different
duplicate "shop-c2"`, false},
		{"a wrong double", func(p profiles) profiles {
			p[1].Fields["email"] = "old@example.com"
			return append(p, held(want)[1])
		}, `0 missing, 1 duplicate, 0 different
duplicate "shop-c2"`, false},
		{"fields differ", func(p profiles) profiles {
			p[2].Fields["newsletter"] = "subscribed"
			p[2].Fields["email"] = "C@example.com"
			return p
		}, `0 missing, 0 duplicate, 1 different
different "shop-c3": email, newsletter`, false},
		{"a field is not there", func(p profiles) profiles {
			delete(p[0].Fields, "birthdate")
			return p
		}, `0 missing, 0 duplicate, 1 different
different "shop-c1": birthdate`, false},
		{"the key in another case", func(p profiles) profiles {
			p[0].Fields["customer_id"] = "SHOP-C1"
			return p
		}, `1 missing, 0 duplicate, 0 different, 1 unexpected
unexpected "SHOP-C1"
missing "shop-c1"`, false},
		{"somebody else's", func(p profiles) profiles {
			return append(p, copernicatest.Profile{Fields: map[string]string{"email": "x@example.com"}})
		}, `0 missing, 0 duplicate, 0 different, 1 unexpected
unexpected ""`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := oracle.Compare(want, tt.change(held(want)))
			if diff := cmp.Diff(tt.want, d.Report(false)); diff != "" {
				t.Error(diff)
			}
			if d.None() != tt.none {
				t.Errorf("none: %v", d.None())
			}
		})
	}
}

func TestCompare_ValuesOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	want := oracle.Expect(smallShop(magentotest.Customer{ID: 1, Email: "secret@example.com"}), oracle.Options{})
	have := held(want)
	have[0].Fields["email"] = "other@example.com"
	d := oracle.Compare(want, have)
	if s := d.String() + d.Report(false) + d.Examples[0]; strings.Contains(s, "@") {
		t.Errorf("a value in %q", s)
	}
	if s := d.Report(true); !strings.Contains(s, `email is "other@example.com", not "secret@example.com"`) {
		t.Errorf("no value in %q", s)
	}
}

func TestCompare_ExamplesAreFew(t *testing.T) {
	t.Parallel()
	var rows []oracle.Row
	for i := range 50 {
		rows = append(rows, oracle.Row{Key: fmt.Sprintf("shop-c%02d", i)})
	}
	d := oracle.Compare(rows, nil)
	if d.Missing != 50 || len(d.Examples) != 20 || d.Examples[19] != `missing "shop-c19"` {
		t.Errorf("%d missing, %d examples", d.Missing, len(d.Examples))
	}
}

// TestAgainstTheAccount shows that what the oracle wants is what an account stores
// when it is sent: no value changes on its way through Copernica's conversion.
func TestAgainstTheAccount(t *testing.T) {
	t.Parallel()
	a := copernicatest.New(copernicatest.Config{})
	text := func(name string, length int) copernicatest.Field {
		return copernicatest.Field{Name: name, Length: length, Index: name == "customer_id"}
	}
	if err := a.AddFields("Magento",
		text("customer_id", 64), copernicatest.Field{Name: "email", Type: "email", Length: 160},
		text("firstname", 250), text("middlename", 250), text("lastname", 250), text("gender", 50), text("group", 250),
		copernicatest.Field{Name: "birthdate", Type: "date"}, copernicatest.Field{Name: "registrationDate", Type: "datetime"},
		text("storeView", 250), text("newsletter", 50),
	); err != nil {
		t.Fatal(err)
	}
	shop := smallShop(
		magentotest.Customer{ID: 1, StoreID: 3, GroupID: 5, Email: "J+T@example.nl", LastName: strings.Repeat("😀", 300), Gender: 3, CreatedAt: at("2020-03-29 00:30:00")},
		magentotest.Customer{ID: 2, StoreID: 4, GroupID: 1, Email: " x ", FirstName: " \t", DOB: "1937-06-30", CreatedAt: at("2020-03-29 01:30:00"), NewsletterStatus: 1},
	)
	generated := magentotest.New(magentotest.Config{Seed: 1, Customers: 500}).Data().Customers
	for i := range generated {
		generated[i].ID += 1000
	}
	shop.Customers = append(shop.Customers, generated...)
	opts := oracle.Options{Unsubscribed: map[string]bool{"shop-c2": true}}
	for _, row := range oracle.Expect(shop, oracle.Options{}) {
		if _, err := a.AddProfile("Magento", row.Fields); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Unsubscribe("Magento", "shop-c2"); err != nil {
		t.Fatal(err)
	}
	if d := oracle.Compare(oracle.Expect(shop, opts), a.Profiles("Magento")); !d.None() {
		t.Error(d.Report(true))
	}
}
