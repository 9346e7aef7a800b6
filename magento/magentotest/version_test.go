package magentotest_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/magento/magentotest"
)

// listed is what a page of customers shows.
type listed struct {
	Items []struct {
		ID        int64
		Extension *struct {
			Subscribed bool `json:"is_subscribed"`
		} `json:"extension_attributes"`
	}
	Total int `json:"total_count"`
}

// list asks a shop for a page of customers in the order of their ids.
func list(t *testing.T, s *magentotest.Shop, size, page int) (listed, int) {
	t.Helper()
	var out listed
	status := send(t, s, http.Header{"Authorization": {"Bearer " + magentotest.AccessToken}}, "GET",
		fmt.Sprintf("/rest/all/V1/customers/search?searchCriteria[pageSize]=%d&searchCriteria[currentPage]=%d", size, page), "", &out)
	return out, status
}

func shown(page listed) (ids []int64) {
	for _, item := range page.Items {
		ids = append(ids, item.ID)
	}
	return ids
}

// versioned is a shop of a version that takes the integration's token.
func versioned(version string) *magentotest.Shop {
	settings := magentotest.Installed(version)
	settings.BearerOff = false
	return magentotest.New(magentotest.Config{Seed: 1, Customers: 25, Switches: settings})
}

func TestPagePastTheEnd(t *testing.T) {
	t.Parallel()
	for version, want := range map[string][]int64{"2.3.7": {21, 22, 23, 24, 25}, "2.4.0": nil, "2.4.7": nil} {
		for _, n := range []int{4, 9, 1000} {
			page, status := list(t, versioned(version), 10, n)
			if diff := cmp.Diff(want, shown(page)); diff != "" || status != 200 || page.Total != 25 {
				t.Errorf("%s: page %d of 3: status %d, %d in all (-want +got):\n%s", version, n, status, page.Total, diff)
			}
		}
	}
	full, _ := list(t, versioned("2.3.7"), 5, 6)
	if diff := cmp.Diff([]int64{21, 22, 23, 24, 25}, shown(full)); diff != "" {
		t.Errorf("after a full last page (-want +got):\n%s", diff)
	}
}

func TestConsentInLists(t *testing.T) {
	t.Parallel()
	for version, tells := range map[string]bool{"2.3.7": false, "2.3.7-p1": false, "2.4.0": true, "2.4.7": true} {
		page, _ := list(t, versioned(version), 10, 1)
		if len(page.Items) != 10 || (page.Items[0].Extension != nil) != tells {
			t.Errorf("%s: the first of %d rows is %+v", version, len(page.Items), page.Items[0])
		}
		var one struct {
			Extension *struct{} `json:"extension_attributes"`
		}
		send(t, versioned(version), http.Header{"Authorization": {"Bearer " + magentotest.AccessToken}}, "GET", "/rest/all/V1/customers/1", "", &one)
		if one.Extension == nil {
			t.Errorf("%s: a single customer does not tell", version)
		}
	}
}

// A page breaks where it shows both rows of a customer, as a limit on joined rows does:
// not where its end divides them, and not alone.
func TestPageWithTwoSubscriptions(t *testing.T) {
	t.Parallel()
	s := versioned("2.4.2")
	s.Switch(func(sw *magentotest.Switches) { sw.TwoSubscriptions = func(id int64) bool { return id == 7 } })
	for _, tt := range []struct{ size, page, status, rows int }{
		{5, 1, 200, 5}, {5, 2, 500, 0}, {7, 1, 200, 7}, {7, 2, 200, 7}, {8, 1, 500, 0}, {1, 7, 200, 1}, {1, 8, 200, 1}, {10, 2, 200, 10},
	} {
		page, status := list(t, s, tt.size, tt.page)
		if status != tt.status || len(page.Items) != tt.rows {
			t.Errorf("page %d of %d rows: status %d with %d rows, want %d with %d", tt.page, tt.size, status, len(page.Items), tt.status, tt.rows)
		}
	}
}

func TestTokensOfVersions(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]struct {
		dots int
		life time.Duration
	}{"2.3.7": {0, 4 * time.Hour}, "2.4.3-p1": {0, 4 * time.Hour}, "2.4.4": {2, time.Hour}, "2.4.7": {2, time.Hour}} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := versioned(version)
				s.Switch(func(sw *magentotest.Switches) { sw.TwoFactor = false })
				var token string
				send(t, s, http.Header{}, "POST", "/rest/V1/integration/admin/token", `{"username":"admin","password":"emulator-1"}`, &token)
				works := func() bool {
					return send(t, s, http.Header{"Authorization": {"Bearer " + token}}, "GET", "/rest/V1/store/websites", "", nil) == 200
				}
				if strings.Count(token, ".") != want.dots || want.dots == 0 && len(token) != 32 {
					t.Errorf("token %q", token)
				}
				time.Sleep(want.life - time.Second)
				if !works() {
					t.Error("it ends too early")
				}
				time.Sleep(time.Second)
				if works() {
					t.Error("it does not end")
				}
			})
		})
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := magentotest.New(magentotest.Config{Switches: magentotest.Switches{TwoFactor: true, TOTPSecret: magentotest.TOTPSecret}})
		with := func(code string) int {
			return send(t, s, http.Header{}, "POST", "/rest/V1/tfa/provider/google/authenticate",
				fmt.Sprintf(`{"username":"admin","password":"emulator-1","otp":%q}`, code), nil)
		}
		code := s.Code()
		if got := []int{with(code), with(code), with("000000")}; !slices.Equal(got, []int{200, 200, 401}) {
			t.Errorf("a code, again, a wrong one: %v", got)
		}
		time.Sleep(30 * time.Second)
		if got := with(code); got != 200 {
			t.Errorf("one of the step before: %d", got)
		}
		time.Sleep(30 * time.Second)
		if got := with(code); got != 401 {
			t.Errorf("one of a minute before: %d", got)
		}
		s.Switch(func(sw *magentotest.Switches) { sw.OneTimeCodes = true })
		code = s.Code()
		if got := []int{with(code), with(code)}; !slices.Equal(got, []int{200, 401}) {
			t.Errorf("a code once, and again: %v", got)
		}
		s.Switch(func(sw *magentotest.Switches) { sw.NoTwoFactor = true })
		if got := with(s.Code()); got != 404 {
			t.Errorf("without the modules: %d", got)
		}
	})
}

func TestVersionPage(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"": "Magento/2.4 (Community)", "2.3.7-p1": "Magento/2.3 (Community)"} {
		s := magentotest.New(magentotest.Config{Switches: magentotest.Switches{Version: version}})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop.test/magento_version", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Transport().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(body) != want {
			t.Errorf("version %q shows %q, %v", version, body, err)
		}
	}
	for _, version := range magentotest.Versions() {
		if got := magentotest.Installed(version).Version; got != version {
			t.Errorf("%s is installed as %s", version, got)
		}
	}
}
