package magentotest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// customer is what these tests read of an answer's item.
type customer struct {
	ID        int64  `json:"id"`
	WebsiteID int64  `json:"website_id"`
	Email     string `json:"email"`
	UpdatedAt string `json:"updated_at"`
	Extension struct {
		IsSubscribed bool `json:"is_subscribed"`
	} `json:"extension_attributes"`
}

type page struct {
	Items []customer `json:"items"`
	Total int        `json:"total_count"`
}

// ask sends a request with the integration's token and reads a JSON answer into out.
func ask(t *testing.T, s *magentotest.Shop, method, target, body string, out any) int {
	t.Helper()
	return send(t, s, http.Header{"Authorization": {"Bearer " + magentotest.AccessToken}}, method, target, body, out)
}

func send(t *testing.T, s *magentotest.Shop, header http.Header, method, target, body string, out any) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://shop.test"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	request.Header.Set("Content-Type", "application/json")
	response, err := s.Transport().RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			t.Fatalf("%s %s: %v in %.300s", method, target, err, text)
		}
	}
	return response.StatusCode
}

func clock() time.Time { return time.Date(2026, 7, 20, 12, 0, 0, 0, time.UTC) }

func shop(customers int) *magentotest.Shop {
	return magentotest.New(magentotest.Config{Seed: 1, Customers: customers, Now: clock})
}

func TestGenerated(t *testing.T) {
	t.Parallel()
	a, b := shop(3000).Data(), shop(3000).Data()
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("the same seed gives other data:\n%s", diff)
	}
	other := magentotest.New(magentotest.Config{Seed: 2, Customers: 3000, Now: clock}).Data()
	if cmp.Equal(a.Customers, other.Customers) {
		t.Error("another seed gives the same data")
	}

	seconds, emails, statuses := map[time.Time]int{}, map[string][]magentotest.Customer{}, map[int]int{}
	absent := map[string]int{}
	var newest time.Time
	for _, c := range a.Customers {
		seconds[c.UpdatedAt]++
		emails[strings.ToLower(c.Email)] = append(emails[strings.ToLower(c.Email)], c)
		statuses[c.NewsletterStatus]++
		if c.UpdatedAt.After(newest) {
			newest = c.UpdatedAt
		}
		if c.UpdatedAt.Before(c.CreatedAt) {
			t.Errorf("customer %d was updated before it was created", c.ID)
		}
		for name, gone := range map[string]bool{"dob": c.DOB == "", "gender": c.Gender == 0, "prefix": c.Prefix == "", "middlename": c.MiddleName == "", "address": len(c.Addresses) == 0} {
			if gone {
				absent[name]++
			}
		}
	}
	if want := clock().Add(-24 * time.Hour); !newest.Equal(want) {
		t.Errorf("newest updated_at %v, want %v", newest, want)
	}
	if most := slices.Max(slices.Collect(maps.Values(seconds))); most < 300 {
		t.Errorf("at most %d customers share a second", most)
	}
	if len(statuses) != 5 {
		t.Errorf("newsletter statuses %v", statuses)
	}
	shared := 0
	for _, twins := range emails {
		if len(twins) == 2 && twins[0].WebsiteID != twins[1].WebsiteID && twins[0].NewsletterStatus != twins[1].NewsletterStatus {
			shared++
		}
	}
	if shared < 20 {
		t.Errorf("%d e-mails are shared by two websites", shared)
	}
	for name, percent := range map[string]int{"dob": 48, "gender": 37, "prefix": 72, "middlename": 86, "address": 10} {
		if got := absent[name] * 100 / 3000; got < percent-4 || got > percent+4 {
			t.Errorf("%s is absent in %d %%, want about %d", name, got, percent)
		}
	}
	if small := magentotest.New(magentotest.Config{Customers: 3, Now: clock}).Data(); len(small.Customers) != 3 {
		t.Errorf("asked for 3 customers, got %d", len(small.Customers))
	}
	if none := magentotest.New(magentotest.Config{Customers: 3, Empty: true}).Data(); len(none.Customers) != 0 {
		t.Error("an empty shop has customers")
	}
}

// TestWhatMovesUpdatedAt shows each kind of change as a caller sees it.
func TestWhatMovesUpdatedAt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := magentotest.New(magentotest.Config{Customers: 20})
		id := s.Data().Customers[3].ID
		get := func() (c customer) {
			ask(t, s, "GET", fmt.Sprintf("/rest/all/V1/customers/%d", id), "", &c)
			return c
		}
		before := get()

		s.SetNewsletter(id, magentotest.Unsubscribed)
		s.EditQuietly(id, func(c *magentotest.Customer) { c.Addresses = nil })
		if got := get(); got.UpdatedAt != before.UpdatedAt || got.Extension.IsSubscribed {
			t.Errorf("after quiet changes %+v, before %+v", got, before)
		}

		s.RenameGroup(2, "Trade")
		var groups struct{ Items []struct{ Code string } }
		ask(t, s, "GET", "/rest/all/V1/customerGroups/search?searchCriteria=", "", &groups)
		if got := get(); got.UpdatedAt != before.UpdatedAt || len(groups.Items) != 6 || groups.Items[2].Code != "Trade" {
			t.Errorf("after a group was renamed %+v, groups %+v", got, groups)
		}

		s.EditLate(id, func(c *magentotest.Customer) { c.Email = "late@example.test" }, 6*time.Second)
		statement := time.Now().UTC().Format(time.DateTime)
		time.Sleep(5 * time.Second)
		if got := get(); got.Email != before.Email || got.UpdatedAt != before.UpdatedAt {
			t.Errorf("a change shows before its commit: %+v", got)
		}
		time.Sleep(time.Second)
		if got := get(); got.Email != "late@example.test" || got.UpdatedAt != statement {
			t.Errorf("after the commit %+v, want updated_at %s", got, statement)
		}

		time.Sleep(time.Hour)
		s.Edit(id, func(c *magentotest.Customer) { c.Email = "now@example.test" })
		if got := get(); got.UpdatedAt != time.Now().UTC().Format(time.DateTime) {
			t.Errorf("after an edit %+v", got)
		}

		s.Delete(id)
		var failure struct{ Message string }
		if status := ask(t, s, "GET", fmt.Sprintf("/rest/all/V1/customers/%d", id), "", &failure); status != 404 || failure.Message != "No such entity with %fieldName = %fieldValue" {
			t.Errorf("a deleted customer: %d %q", status, failure.Message)
		}
		if created := s.Create(magentotest.Customer{Email: "new@example.test"}); created <= id {
			t.Errorf("the id %d is used again", created)
		}
	})
}

// TestNewsletterScopes follows recording is_subscribed-scope.
func TestNewsletterScopes(t *testing.T) {
	t.Parallel()
	s := magentotest.New(magentotest.Config{Now: clock})
	first := s.Create(magentotest.Customer{Email: "twin@example.test", WebsiteID: 1, NewsletterStatus: magentotest.Subscribed})
	second := s.Create(magentotest.Customer{Email: "twin@example.test", WebsiteID: 2, NewsletterStatus: magentotest.Unsubscribed})
	alone := s.Create(magentotest.Customer{Email: "uk@example.test", WebsiteID: 2, NewsletterStatus: magentotest.Subscribed})
	read := func(scope string, id int64) bool {
		var c customer
		ask(t, s, "GET", fmt.Sprintf("/rest/%sV1/customers/%d", scope, id), "", &c)
		return c.Extension.IsSubscribed
	}
	put := func(scope string, id int64, on bool) {
		ask(t, s, "PUT", fmt.Sprintf("/rest/%sV1/customers/%d", scope, id), fmt.Sprintf(`{"customer":{"extension_attributes":{"is_subscribed":%v}}}`, on), nil)
	}
	status := func(id int64) int {
		all := s.Data().Customers
		return all[slices.IndexFunc(all, func(c magentotest.Customer) bool { return c.ID == id })].NewsletterStatus
	}
	for _, tt := range []struct {
		scope                string
		first, second, alone bool
	}{{"", true, true, false}, {"default/", true, true, false}, {"en/", true, true, false}, {"uk/", false, false, true}, {"all/", true, false, true}} {
		got := [3]bool{read(tt.scope, first), read(tt.scope, second), read(tt.scope, alone)}
		if want := [3]bool{tt.first, tt.second, tt.alone}; got != want {
			t.Errorf("scope %q reads %v, want %v", tt.scope, got, want)
		}
	}
	var p page
	ask(t, s, "GET", "/rest/all/V1/customers/search?searchCriteria=", "", &p)
	for _, c := range p.Items {
		if !c.Extension.IsSubscribed {
			t.Errorf("a search shows customer %d as not subscribed", c.ID)
		}
	}

	put("", alone, false)
	if got := status(alone); got != magentotest.Subscribed {
		t.Errorf("a write in the wrong scope set status %d", got)
	}
	put("all/", alone, false)
	if got := status(alone); got != magentotest.Unsubscribed {
		t.Errorf("a write in the all scope left status %d", got)
	}
	put("uk/", alone, true)
	if got := status(alone); got != magentotest.Subscribed {
		t.Errorf("a write in the store's scope left status %d", got)
	}
}

// TestFaults shows that a spoilt write stands exactly when it was spoilt afterwards.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		s := shop(5)
		id := s.Data().Customers[0].ID
		s.Faults().Add(emulator.Fault{Method: "PUT", Kind: emulator.Reset, After: after, Times: 1})
		request, err := http.NewRequestWithContext(t.Context(), "PUT", fmt.Sprintf("http://shop.test/rest/all/V1/customers/%d", id),
			strings.NewReader(`{"customer":{"firstname":"Changed"}}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = http.Header{"Authorization": {"Bearer " + magentotest.AccessToken}, "Content-Type": {"application/json"}}
		if _, err := s.Transport().RoundTrip(request); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after=%v: %v", after, err)
		}
		if got := s.Data().Customers[0].FirstName == "Changed"; got != after {
			t.Errorf("after=%v: the write stands: %v", after, got)
		}
	}
}

// TestLatency shows that a slow shop answers late, and not at all to who leaves.
func TestLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := magentotest.New(magentotest.Config{Customers: 5, Latency: 3 * time.Second})
		start := time.Now()
		ask(t, s, "GET", "/rest/V1/store/websites", "", nil)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, "GET", "http://shop.test/rest/V1/store/websites", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Transport().RoundTrip(request); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

// TestOnRequest changes data between two pages.
func TestOnRequest(t *testing.T) {
	t.Parallel()
	s := shop(50)
	s.OnRequest(func(*http.Request) {
		s.OnRequest(nil)
		s.Create(magentotest.Customer{Email: "new@example.test"})
	})
	var p page
	ask(t, s, "GET", "/rest/V1/customers/search?searchCriteria[pageSize]=1", "", &p)
	if p.Total != 51 {
		t.Errorf("total_count %d", p.Total)
	}
}

// TestImportPrintsBack shows that imported customers are printed as they came.
func TestImportPrintsBack(t *testing.T) {
	t.Parallel()
	a, b := shop(200), magentotest.New(magentotest.Config{Now: clock})
	var printed, again struct{ Items []json.RawMessage }
	const target = "/rest/all/V1/customers/search?searchCriteria="
	ask(t, a, "GET", target, "", &printed)
	text, err := json.Marshal(printed.Items)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.ImportCustomers(text); err != nil {
		t.Fatal(err)
	}
	ask(t, b, "GET", target, "", &again)
	if diff := cmp.Diff(printed, again); diff != "" {
		t.Errorf("printed (-first +second):\n%s", diff)
	}
	if err := b.ImportCustomers([]byte(`[{"id":1}]`)); err == nil {
		t.Error("a customer without dates is imported")
	}
}
