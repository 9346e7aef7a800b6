package magento_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
)

func utc(s string) time.Time {
	t, err := time.Parse(time.DateTime, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestCustomerDecoding(t *testing.T) {
	t.Parallel()
	minimal := magento.Customer{ID: 7, UpdatedAt: utc("2026-11-21 23:42:50")}
	with := func(f func(*magento.Customer)) magento.Customer {
		c := minimal
		f(&c)
		return c
	}
	for name, tc := range map[string]struct {
		body string
		want magento.Customer
	}{
		"full": {
			`{"id":7,"group_id":4,"default_billing":"1","created_at":"2026-11-21 23:27:18","updated_at":"2026-11-21 23:42:50","created_in":"Default Store View",` +
				`"dob":"1980-02-15","email":"o'brien+x@example.test","firstname":"Zo\u00eb","lastname":"\u00c5ngstr\u00f6m\/M","middlename":"van \"der\"","prefix":"Dhr.","suffix":"jr","gender":2,` +
				`"store_id":3,"taxvat":"NL123456789B01","website_id":2,"confirmation":"2334bca6","addresses":[{"id":1,"region":{"region_code":null}}],"extension_attributes":{"is_subscribed":true,"other":{}},` +
				`"custom_attributes":[{"attribute_code":"loyalty_code","value":"LOY-1"},{"attribute_code":"interests","value":"8,9"}]}`,
			magento.Customer{
				ID: 7, GroupID: 4, StoreID: 3, WebsiteID: 2, Email: "o'brien+x@example.test", FirstName: "Zoë", MiddleName: `van "der"`, LastName: "Ångström/M",
				Prefix: "Dhr.", Suffix: "jr", Gender: "2", BirthDate: "1980-02-15", TaxVAT: "NL123456789B01", CreatedIn: "Default Store View", Confirmation: "2334bca6",
				CreatedAt: utc("2026-11-21 23:27:18"), UpdatedAt: utc("2026-11-21 23:42:50"), Subscribed: true,
				Attributes: map[string]string{"loyalty_code": "LOY-1", "interests": "8,9"},
			},
		},
		"minimal":                {`{"id":7,"updated_at":"2026-11-21 23:42:50"}`, minimal},
		"numbers as text":        {`{"id":"7","updated_at":"2026-11-21 23:42:50","website_id":"2"}`, with(func(c *magento.Customer) { c.WebsiteID = 2 })},
		"numbers with fraction":  {`{"id":7.0,"updated_at":"2026-11-21 23:42:50","store_id":"3.000"}`, with(func(c *magento.Customer) { c.StoreID = 3 })},
		"texts as numbers":       {`{"id":7,"updated_at":"2026-11-21 23:42:50","taxvat":1.50,"gender":"1"}`, with(func(c *magento.Customer) { c.TaxVAT, c.Gender = "1.50", "1" })},
		"nulls":                  {`{"id":7,"updated_at":"2026-11-21 23:42:50","email":null,"gender":null,"store_id":null,"extension_attributes":null,"custom_attributes":null,"created_at":null}`, minimal},
		"empty arrays":           {`{"id":7,"updated_at":"2026-11-21 23:42:50","extension_attributes":[],"custom_attributes":[],"suffix":[]}`, minimal},
		"empty texts":            {`{"id":7,"updated_at":"2026-11-21 23:42:50","group_id":"","created_at":""}`, minimal},
		"zero date":              {`{"id":7,"updated_at":"2026-11-21 23:42:50","created_at":"0000-00-00 00:00:00"}`, minimal},
		"subscribed 1":           {`{"id":7,"updated_at":"2026-11-21 23:42:50","extension_attributes":{"is_subscribed":1}}`, with(func(c *magento.Customer) { c.Subscribed = true })},
		"subscribed text 1":      {`{"id":7,"updated_at":"2026-11-21 23:42:50","extension_attributes":{"is_subscribed":"1"}}`, with(func(c *magento.Customer) { c.Subscribed = true })},
		"subscribed 0":           {`{"id":7,"updated_at":"2026-11-21 23:42:50","extension_attributes":{"is_subscribed":0}}`, minimal},
		"subscribed null":        {`{"id":7,"updated_at":"2026-11-21 23:42:50","extension_attributes":{"is_subscribed":null}}`, minimal},
		"attributes with gaps":   {`{"id":7,"updated_at":"2026-11-21 23:42:50","custom_attributes":{"1":{"attribute_code":"a","value":"b"}}}`, with(func(c *magento.Customer) { c.Attributes = map[string]string{"a": "b"} })},
		"attribute is a list":    {`{"id":7,"updated_at":"2026-11-21 23:42:50","custom_attributes":[{"attribute_code":"a","value":["8",9]}]}`, with(func(c *magento.Customer) { c.Attributes = map[string]string{"a": "8,9"} })},
		"attribute is null":      {`{"id":7,"updated_at":"2026-11-21 23:42:50","custom_attributes":[{"attribute_code":"a","value":null}]}`, with(func(c *magento.Customer) { c.Attributes = map[string]string{"a": ""} })},
		"unknown fields ignored": {`{"id":7,"x":[{"y":"]}"}],"updated_at":"2026-11-21 23:42:50"}`, minimal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := client(t, always(http.StatusOK, tc.body)).Customer(t.Context(), 7, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("single (-want +got):\n%s", diff)
			}
			pages, err := walk(t.Context(), client(t, always(http.StatusOK, page(1, tc.body))), magento.Query{})
			if err != nil || len(pages) != 1 || len(pages[0].Items) != 1 {
				t.Fatalf("%d pages, %v", len(pages), err)
			}
			if diff := cmp.Diff(tc.want, pages[0].Items[0].Value); diff != "" {
				t.Errorf("in a page (-want +got):\n%s", diff)
			}
		})
	}
}

// A record that cannot be read leaves its page and its neighbours intact.
func TestBadRecords(t *testing.T) {
	t.Parallel()
	const at = "2026-11-21 23:42:50"
	huge := strings.Repeat("x", 10<<20)
	for name, tc := range map[string]struct {
		row, cause, field string
	}{
		"invalid UTF-8":       {`{"id":2,"updated_at":"` + at + `","firstname":"Zo` + "\xeb" + `"}`, magento.CauseInvalidUTF8, "firstname"},
		"10 MiB field":        {`{"id":2,"updated_at":"` + at + `","firstname":"` + huge + `"}`, magento.CauseTooLarge, ""},
		"10 MiB before place": {`{"firstname":"` + huge + `\"","id":2,"updated_at":"` + at + `"}`, magento.CauseTooLarge, ""},
		"10 MiB of escapes":   {`{"firstname":"x` + strings.Repeat(`\\`, 5<<20) + `","id":2,"updated_at":"` + at + `"}`, magento.CauseTooLarge, ""},
		"10 MiB of fields":    {`{"id":2,"updated_at":"` + at + `","addresses":[` + strings.Repeat(`{"city":"x"},`, 800_000) + `{}]}`, magento.CauseTooLarge, ""},
		"wrong kind":          {`{"id":2,"updated_at":"` + at + `","email":{"a":"b"}}`, magento.CauseMalformed, ""},
		"not a number":        {`{"id":2,"updated_at":"` + at + `","group_id":"twelve"}`, magento.CauseMalformed, ""},
		"bad escape":          {`{"id":2,"updated_at":"` + at + `","email":"\q"}`, magento.CauseMalformed, ""},
		"raw control":         {`{"id":"2","updated_at":"` + at + `","email":"a` + "\x01" + `"}`, magento.CauseMalformed, ""},
		"bad number":          {`{"id":2,"updated_at":"` + at + `","group_id":1.2.3}`, magento.CauseMalformed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := page(3, row(1, at), tc.row, row(3, at))
			pages, err := walk(t.Context(), client(t, always(http.StatusOK, body)), magento.Query{})
			if err != nil {
				t.Fatal(err)
			}
			var ids []int64
			for _, item := range pages[0].Items {
				ids = append(ids, item.ID)
			}
			if diff := cmp.Diff([]int64{1, 2, 3}, ids); diff != "" {
				t.Fatal(diff)
			}
			bad := pages[0].Items[1]
			wantClass(t, bad.Err, fault.Record)
			e, ok := errors.AsType[*magento.RecordError](bad.Err)
			if !ok || e.ID != 2 || e.Cause != tc.cause || tc.field != "" && e.Field != tc.field {
				t.Errorf("error %+v, want cause %s, field %q", bad.Err, tc.cause, tc.field)
			}
			if !bad.UpdatedAt.Equal(utc(at)) || bad.Value.ID != 0 {
				t.Errorf("place %v, value %+v", bad.UpdatedAt, bad.Value)
			}
			if strings.Contains(bad.Err.Error(), "xx") || len(bad.Err.Error()) > 300 {
				t.Errorf("the error quotes the record: %.300s", bad.Err)
			}
			for _, good := range []magento.Item[magento.Customer]{pages[0].Items[0], pages[0].Items[2]} {
				if good.Err != nil || good.Value.Email == "" {
					t.Errorf("neighbour %d: %v", good.ID, good.Err)
				}
			}
			if _, err := client(t, always(http.StatusOK, tc.row)).Customer(t.Context(), 2, nil); fault.ClassOf(err) != fault.Record {
				t.Errorf("read singly: %v", err)
			}
		})
	}
}

func TestRecordWithoutPlace(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]string{
		"no id":     `{"updated_at":"2026-11-21 23:42:50","email":{}}`,
		"no time":   `{"id":2,"email":{}}`,
		"a number":  `12`,
		"null":      `null`,
		"zero id":   `{"id":0,"updated_at":"2026-11-21 23:42:50"}`,
		"bad times": `{"id":2,"updated_at":"yesterday"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := page(2, row(1, "2026-11-21 23:42:50"), bad)
			pages, err := walk(t.Context(), client(t, always(http.StatusOK, body)), magento.Query{})
			wantClass(t, err, fault.Retry)
			wantText(t, err, "after id 1")
			if len(pages) != 0 {
				t.Error("the page was yielded")
			}
		})
	}
}

func TestCompressedAnswer(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := io.WriteString(z, page(1, row(1, "2026-11-21 23:42:50")))
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	pages, err := walk(t.Context(), client(t, always(http.StatusOK, packed.String(), "Content-Encoding", "gzip")), magento.Query{})
	if err != nil || len(pages[0].Items) != 1 {
		t.Fatalf("%v", err)
	}
	_, err = walk(t.Context(), client(t, always(http.StatusOK, packed.String()[:20], "Content-Encoding", "gzip")), magento.Query{})
	wantClass(t, err, fault.Retry)
	if e := typed(t, err); e.Shape != magento.ShapeCut {
		t.Errorf("shape %q", e.Shape)
	}
}

func TestStructure(t *testing.T) {
	t.Parallel()
	shop := roundTrip(func(r *http.Request) (*http.Response, error) {
		switch r.URL.Path {
		case "/rest/all/V1/store/websites":
			return answer(r, 200, `[{"id":"2","code":"uk","name":"UK Website","default_group_id":2},{"id":0,"code":"admin","name":"Admin","default_group_id":0}]`), nil
		case "/rest/all/V1/store/storeGroups":
			return answer(r, 200, `[{"id":2,"website_id":2,"root_category_id":2,"default_store_id":4,"name":"UK Store","code":"uk_store"}]`), nil
		case "/rest/all/V1/store/storeViews":
			return answer(r, 200, `[{"id":4,"code":"uk","name":"UK Store View","website_id":2,"store_group_id":2,"is_active":1},{"id":1,"code":"x","name":"X","website_id":9,"store_group_id":2,"is_active":0}]`), nil
		}
		return answer(r, 404, `{"message":"Request does not match any route."}`), nil
	})
	got, err := client(t, shop).Stores(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := magento.Stores{
		Websites: []magento.Website{{Code: "admin", Name: "Admin"}, {ID: 2, Code: "uk", Name: "UK Website", DefaultGroupID: 2}},
		Groups:   []magento.StoreGroup{{ID: 2, WebsiteID: 2, Code: "uk_store", Name: "UK Store", DefaultStoreID: 4}},
		Views:    []magento.StoreView{{ID: 1, WebsiteID: 9, GroupID: 2, Code: "x", Name: "X"}, {ID: 4, WebsiteID: 2, GroupID: 2, Code: "uk", Name: "UK Store View", Active: true}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if website, group, view, ok := got.Names(4); website != "UK Website" || group != "UK Store" || view != "UK Store View" || !ok {
		t.Errorf("Names(4) = %q, %q, %q, %v", website, group, view, ok)
	}
	for _, view := range []int64{1, 77} {
		if _, _, _, ok := got.Names(view); ok {
			t.Errorf("Names(%d) is complete", view)
		}
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	group := func(id int) string { return fmt.Sprintf(`{"id":%d,"code":"G%d"}`, id, id) }
	groups := func(from, to int) (rows []string) {
		for id := from; id < to; id++ {
			rows = append(rows, group(id))
		}
		return rows
	}
	for name, tc := range map[string]struct {
		pages []string // by call
		want  int
	}{
		"one page":           {[]string{page(6, groups(0, 6)...)}, 6},
		"two pages":          {[]string{page(130, groups(0, 100)...), page(130, groups(100, 130)...)}, 130},
		"full, then empty":   {[]string{page(100, groups(0, 100)...), `{"items":null,"total_count":100}`}, 100},
		"last page repeated": {[]string{page(100, groups(0, 100)...), page(100, groups(0, 100)...)}, 100},
		"page size limited": {[]string{
			`{"message":"Maximum SearchCriteria pageSize is %max","parameters":{"max":2}}`,
			page(3, groups(0, 2)...), page(3, groups(2, 3)...),
		}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			shop := roundTrip(func(r *http.Request) (*http.Response, error) {
				body := tc.pages[calls]
				calls++
				status := http.StatusOK
				if strings.Contains(body, "message") {
					status = http.StatusBadRequest
				}
				return answer(r, status, body), nil
			})
			got, err := client(t, shop).Groups(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != tc.want || got[1] != "G1" || calls != len(tc.pages) {
				t.Errorf("%d groups in %d calls, want %d in %d", len(got), calls, tc.want, len(tc.pages))
			}
		})
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	got, err := client(t, always(200, `[]`, "Date", "Sat, 21 Nov 2026 23:50:32 GMT")).Clock(t.Context())
	if err != nil || got != utc("2026-11-21 23:50:32") {
		t.Errorf("%v, %v", got, err)
	}
	_, err = client(t, always(200, `[]`, "Date", "")).Clock(t.Context())
	wantClass(t, err, fault.Configuration)
	wantText(t, err, "Date header")
}
