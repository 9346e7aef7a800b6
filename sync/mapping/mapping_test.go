package mapping_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/sync/mapping"
)

func compiled(t testing.TB) *mapping.Mapping {
	t.Helper()
	file, err := mapping.Default()
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	m, err := file.Compile(mapping.Options{Shop: "shop", Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func lookups() *mapping.Lookups {
	return mapping.NewLookups(magento.Stores{
		Websites: []magento.Website{{ID: 0, Name: "Admin"}, {ID: 1, Name: "Main Website"}, {ID: 2, Name: "UK Website"}},
		Groups:   []magento.StoreGroup{{ID: 0, Name: "Default"}, {ID: 1, WebsiteID: 1, Name: "Main Website Store"}, {ID: 2, WebsiteID: 2, Name: "UK Store"}},
		Views: []magento.StoreView{
			{ID: 0, Name: "Admin"}, {ID: 1, WebsiteID: 1, GroupID: 1, Name: "Default Store View"}, {ID: 4, WebsiteID: 2, GroupID: 2, Name: "UK Store View"},
		},
	}, map[int64]string{0: "NOT LOGGED IN", 1: "General"})
}

func jan() magento.Customer {
	return magento.Customer{
		ID: 1, WebsiteID: 1, StoreID: 1, GroupID: 1, Email: "jan+shop@example.test",
		FirstName: "Jan", MiddleName: "van der", LastName: "Vries", Gender: "1", BirthDate: "1980-01-15",
		CreatedAt: time.Date(2026, 7, 1, 22, 30, 0, 0, time.UTC), UpdatedAt: time.Date(2026, 11, 21, 23, 0, 0, 0, time.UTC),
		Subscribed: true,
	}
}

func TestACustomerBecomesAProfile(t *testing.T) {
	t.Parallel()
	c := jan()
	row, err := compiled(t).Customer(&c, lookups())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"customer_id": "shop-c1", "email": "jan+shop@example.test",
		"firstname": "Jan", "middlename": "van der", "lastname": "Vries",
		"gender": "Male", "group": "General", "birthdate": "1980-01-15",
		"registrationDate": "2026-07-02 00:30:00", // Amsterdam, summer time
		"storeView":        "Main Website > Main Website Store > Default Store View",
		"newsletter":       "subscribed",
	}
	if diff := cmp.Diff(want, row.Body(true, true)); diff != "" {
		t.Error(diff)
	}
	if _, ok := row.Body(true, false)["newsletter"]; ok {
		t.Error("consent travels with content")
	}
	if diff := cmp.Diff(map[string]string{"newsletter": "subscribed"}, row.Body(false, true)); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(strings.Join(row.Content(), "|"), "subscribed") {
		t.Error("consent is part of the content's hash")
	}
}

func TestPromise16_ValuesAreCanonical(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*magento.Customer)
		field  string
		want   string
	}{
		{"absent date of birth is Copernica's empty date", func(c *magento.Customer) { c.BirthDate = "" }, "birthdate", "0000-00-00"},
		{"time of day of a date is dropped", func(c *magento.Customer) { c.BirthDate = "1980-01-15 00:00:00" }, "birthdate", "1980-01-15"},
		{"a date that is none is empty", func(c *magento.Customer) { c.BirthDate = "15-01-1980" }, "birthdate", "0000-00-00"},
		{"a day that does not exist is empty", func(c *magento.Customer) { c.BirthDate = "1981-02-29" }, "birthdate", "0000-00-00"},
		{"no registration time is the empty time", func(c *magento.Customer) { c.CreatedAt = time.Time{} }, "registrationDate", "0000-00-00 00:00:00"},
		{"winter time is an hour ahead of UTC", func(c *magento.Customer) { c.CreatedAt = time.Date(2026, 1, 1, 23, 0, 0, 0, time.UTC) }, "registrationDate", "2026-01-02 00:00:00"},
		{"first of the two half past two", func(c *magento.Customer) { c.CreatedAt = time.Date(2020, 10, 25, 0, 30, 0, 0, time.UTC) }, "registrationDate", "2020-10-25 02:30:00"},
		{"second of the two half past two", func(c *magento.Customer) { c.CreatedAt = time.Date(2020, 10, 25, 1, 30, 0, 0, time.UTC) }, "registrationDate", "2020-10-25 02:30:00"},
		{"the hour that does not exist is skipped", func(c *magento.Customer) { c.CreatedAt = time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC) }, "registrationDate", "2026-03-29 03:30:00"},
		{"gender 2", func(c *magento.Customer) { c.Gender = "2" }, "gender", "Female"},
		{"gender 3", func(c *magento.Customer) { c.Gender = "3" }, "gender", "Not Specified"},
		{"gender 0", func(c *magento.Customer) { c.Gender = "0" }, "gender", ""},
		{"no gender", func(c *magento.Customer) { c.Gender = "" }, "gender", ""},
		{"blanks stay", func(c *magento.Customer) { c.FirstName = "  Jan " }, "firstname", "  Jan "},
		{"long text is cut by characters", func(c *magento.Customer) { c.LastName = strings.Repeat("é", 300) }, "lastname", strings.Repeat("é", 250)},
		{"a group without a name", func(c *magento.Customer) { c.GroupID = 77 }, "group", ""},
		{"not subscribed", func(c *magento.Customer) { c.Subscribed = false }, "newsletter", "not subscribed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := jan()
			tc.change(&c)
			row, err := compiled(t).Customer(&c, lookups())
			if err != nil {
				t.Fatal(err)
			}
			body := row.Body(true, true)
			if diff := cmp.Diff(tc.want, body[tc.field]); diff != "" {
				t.Error(diff)
			}
			if !row.Same(body) {
				t.Error("a row read back as it was sent counts as changed")
			}
		})
	}
}

func TestRecordsThatCannotBeDelivered(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ email, cause string }{
		"empty e-mail":         {"", "email_empty"},
		"blank e-mail":         {"  ", "email_empty"},
		"an e-mail is not cut": {strings.Repeat("a", 160) + "@example.test", "email_too_long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := jan()
			c.Email = tc.email
			_, err := compiled(t).Customer(&c, lookups())
			var e *mapping.RecordError
			if !asRecord(err, &e) || e.Cause != tc.cause || e.ID != 1 || e.Fix == "" {
				t.Fatalf("got %v", err)
			}
			if tc.email != "" && strings.TrimSpace(tc.email) != "" && strings.Contains(e.Error(), tc.email) {
				t.Error("the error shows the customer's e-mail")
			}
		})
	}
}

func asRecord(err error, target **mapping.RecordError) bool {
	e, ok := err.(*mapping.RecordError) //nolint:errorlint // mapping returns it bare
	*target = e
	return ok
}

func TestMappingIsAPureFunction(t *testing.T) {
	t.Parallel()
	m, names := compiled(t), lookups()
	rapid.Check(t, func(t *rapid.T) {
		c := jan()
		c.ID = rapid.Int64Range(1, 1<<40).Draw(t, "id")
		c.FirstName, c.LastName = rapid.String().Draw(t, "first"), rapid.StringN(0, 400, -1).Draw(t, "last")
		c.BirthDate = rapid.StringMatching(`(\d{4}-\d{2}-\d{2})?`).Draw(t, "dob")
		c.Subscribed = rapid.Bool().Draw(t, "subscribed")
		a, errA := m.Customer(&c, names)
		b, errB := m.Customer(&c, names)
		if (errA == nil) != (errB == nil) || !cmp.Equal(a.Body(true, true), b.Body(true, true)) || !cmp.Equal(a.Content(), b.Content()) {
			t.Fatal("two answers for one customer")
		}
		for name, v := range a.Body(true, true) {
			if !utf8.ValidString(v) || utf8.RuneCountInString(v) > 250 {
				t.Fatalf("%s: %q does not fit", name, v)
			}
		}
		if len(a.Key) > mapping.KeyLength || !strings.HasPrefix(a.Key, m.KeyPrefix()) {
			t.Fatalf("key %q", a.Key)
		}
	})
}

func TestPathsAskForWhatTheMappingNeeds(t *testing.T) {
	t.Parallel()
	want := []string{
		"confirmation", "created_at", "dob", "email", "extension_attributes.is_subscribed", "firstname", "gender",
		"group_id", "lastname", "middlename", "store_id", "website_id",
	}
	if diff := cmp.Diff(want, compiled(t).Paths()); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefusesWhatCouldDoHarm(t *testing.T) {
	t.Parallel()
	const head = "version: 1\nprofile:\n  key: customer_id\n  consent: {name: newsletter, type: text, length: 50, in: yes please, out: no thanks}\n  fields:\n"
	const key = "    - {name: customer_id, type: text, length: 64, index: true, from: key}\n"
	for name, tc := range map[string]struct{ yaml, want string }{
		"another version":     {strings.Replace(head, "version: 1", "version: 2", 1) + key, "version is 2"},
		"another identity":    {strings.Replace(head, "version: 1", "version: 1\nidentity: name", 1) + key, "account (the default) or email"},
		"an unknown word":     {head + key + "    - {name: a, type: text, length: 5, form: email}\n", "form"},
		"an unknown source":   {head + key + "    - {name: a, type: text, length: 5, from: emial}\n", `unknown source "emial"`},
		"an unknown type":     {head + key + "    - {name: a, type: string, length: 5, from: email}\n", `unknown type "string"`},
		"a name twice":        {head + key + "    - {name: Newsletter, type: text, length: 5, from: email}\n", "stands twice"},
		"a reserved name":     {head + key + "    - {name: Modified, type: text, length: 5, from: email}\n", "reserves"},
		"an operator in it":   {head + key + "    - {name: a=b, type: text, length: 5, from: email}\n", "operators"},
		"text without length": {head + key + "    - {name: a, type: text, from: email}\n", "needs a length"},
		"no key":              {head + "    - {name: a, type: text, length: 5, from: email}\n", "exactly one field"},
		"a key too short":     {head + "    - {name: customer_id, type: text, length: 10, index: true, from: key}\n", "indexed text of 48"},
		"a key not indexed":   {head + "    - {name: customer_id, type: text, length: 64, from: key}\n", "indexed text"},
		"one consent value":   {strings.Replace(head, "no thanks", "yes please", 1) + key, "two different values"},
		"no yaml":             {"version: [", "mapping file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := mapping.Parse([]byte(tc.yaml))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want words %q", err, tc.want)
			}
		})
	}
	file, err := mapping.Parse([]byte(head + key))
	if err != nil {
		t.Fatalf("the example itself: %v", err)
	}
	m, err := file.Compile(mapping.Options{Shop: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Tables(); len(got) != 1 || got[0] != mapping.Profiles || m.OrderPaths() != nil || m.NeedsOf(mapping.Orders) != nil {
		t.Errorf("a mapping of customers only: tables %v, paths %v", got, m.OrderPaths())
	}
}

func TestShopCodes(t *testing.T) {
	t.Parallel()
	file, err := mapping.Default()
	if err != nil {
		t.Fatal(err)
	}
	for code, ok := range map[string]bool{"shop": true, "a1": true, "": false, "Shop": false, "a-b": false, "abcdefghijklm": false} {
		if _, err := file.Compile(mapping.Options{Shop: code}); (err == nil) != ok {
			t.Errorf("%q: %v", code, err)
		}
	}
}
