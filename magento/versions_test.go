package magento_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// outcome is what comes of a way to authenticate at a shop of a version.
type outcome struct {
	cell string   // in the table of docs/shops.md
	says []string // what the refusal says; none: it works
}

var (
	works      = outcome{cell: "works"}
	worksHours = outcome{cell: "works for 4 hours; its end is not shown"}
	worksHour  = outcome{cell: "works for an hour; its end is shown"}
	needsCode  = outcome{"refused: [second factor](#a-second-factor-is-asked-for)", []string{"two-factor", "SYNCD_MAGENTO_TOTP_SECRET", "make an integration"}}
	hasNoCode  = outcome{"refused: [no second factor](#the-shop-has-no-second-factor)", []string{"no two-factor authentication", "leave out SYNCD_MAGENTO_TOTP_SECRET"}}
	bearerOff  = outcome{"refused: [token alone](#the-token-alone-is-refused)", []string{"oauth/consumer/enable_integration_as_bearer 1", "use OAuth", "SYNCD_MAGENTO_CONSUMER_KEY"}}
)

// ways are the columns of the table.
var ways = []struct {
	title string
	set   func(t *testing.T, s *magentotest.Shop) func(*magento.Config)
}{
	{"User and password", func(*testing.T, *magentotest.Shop) func(*magento.Config) { return byPassword }},
	{"The same and `TOTP_SECRET`", func(*testing.T, *magentotest.Shop) func(*magento.Config) { return byCodes }},
	{"Integration's token alone", func(*testing.T, *magentotest.Shop) func(*magento.Config) {
		return func(cfg *magento.Config) { cfg.AccessToken = magentotest.AccessToken }
	}},
	{"Admin's token, pasted", func(t *testing.T, s *magentotest.Shop) func(*magento.Config) {
		token := tokenOf(t, s)
		return func(cfg *magento.Config) { cfg.AccessToken = token }
	}},
	{"OAuth 1.0a", func(*testing.T, *magentotest.Shop) func(*magento.Config) { return bySignature }},
}

// versions are the rows of the table: a shop as installed, or with a setting changed.
var versions = []struct {
	title    string
	version  string
	change   func(*magentotest.Switches)
	outcomes [5]outcome // of the ways, in their order
}{
	{"2.3.7", "2.3.7", nil, [5]outcome{works, hasNoCode, works, worksHours, works}},
	{"2.3.7-p1", "2.3.7-p1", nil, [5]outcome{works, hasNoCode, works, worksHours, works}},
	{"2.4.0, 2.4.1", "2.4.0", nil, [5]outcome{needsCode, works, works, worksHours, works}},
	{"2.4.2", "2.4.2", nil, [5]outcome{needsCode, works, works, worksHours, works}},
	{"2.4.3", "2.4.3", nil, [5]outcome{needsCode, works, works, worksHours, works}},
	{"2.4.3-p1", "2.4.3-p1", nil, [5]outcome{needsCode, works, works, worksHours, works}},
	{"2.4.4 to 2.4.6", "2.4.4", nil, [5]outcome{needsCode, works, bearerOff, worksHour, works}},
	{"2.4.7", "2.4.7", nil, [5]outcome{needsCode, works, bearerOff, worksHour, works}},
	{
		"2.4.4 and later, `enable_integration_as_bearer` on", "2.4.7", func(s *magentotest.Switches) { s.BearerOff = false },
		[5]outcome{needsCode, works, works, worksHour, works},
	},
	{
		"2.4.4 and later, two-factor modules disabled", "2.4.7", func(s *magentotest.Switches) { s.TwoFactor, s.NoTwoFactor = false, true },
		[5]outcome{works, hasNoCode, bearerOff, worksHour, works},
	},
}

// tokenOf fetches an admin user's token as another program would.
func tokenOf(t *testing.T, s *magentotest.Shop) string {
	t.Helper()
	for _, path := range []string{"integration/admin/token", "tfa/provider/google/authenticate"} {
		body := fmt.Sprintf(`{"username":%q,"password":%q,"otp":%q}`, magentotest.Username, magentotest.Password, s.Code())
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://shop.test/rest/V1/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		resp, err := s.Transport().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		var token string
		err = json.NewDecoder(resp.Body).Decode(&token)
		_ = resp.Body.Close()
		if err == nil {
			return token
		}
	}
	t.Fatal("no token")
	return ""
}

// versionShop is a shop of a version, with more of everything than a page holds.
func versionShop(version string, change func(*magentotest.Switches)) *magentotest.Shop {
	settings := magentotest.Installed(version)
	settings.TOTPSecret = magentotest.TOTPSecret
	if change != nil {
		change(&settings)
	}
	return shop(magentotest.Config{Customers: 700, Orders: 250, Switches: settings})
}

// TestEveryVersionByEveryWay reads each shop whole by each way to authenticate, or gets
// the refusal that docs/shops.md explains.
func TestEveryVersionByEveryWay(t *testing.T) {
	t.Parallel()
	for _, v := range versions {
		for i, way := range ways {
			t.Run(v.title+", "+way.title, func(t *testing.T) {
				t.Parallel()
				s := versionShop(v.version, v.change)
				c := client(t, s.Transport(), way.set(t, s), overHTTP, func(cfg *magento.Config) { cfg.PageSize = 500 })
				want := v.outcomes[i]
				if len(want.says) > 0 {
					_, err := c.Stores(t.Context())
					wantClass(t, err, fault.Credentials)
					wantText(t, err, want.says...)
					return
				}
				readWhole(t, s, c)
				ends := time.Time{}
				if want.cell == worksHour.cell {
					ends = noon.Add(time.Hour)
				}
				if got := c.Access().Expires; !got.Equal(ends) {
					t.Errorf("the token's end is %s, want %s", got, ends)
				}
				missing, err := c.Permissions(t.Context())
				if err != nil || slices.ContainsFunc(missing, func(p magento.Permission) bool { return !p.Granted() }) {
					t.Errorf("permissions %+v, %v", missing, err)
				}
				if got, err := c.Version(t.Context()); err != nil || got != "Magento/"+v.version[:3]+" (Community)" {
					t.Errorf("version %q, %v", got, err)
				}
			})
		}
	}
}

// readWhole holds everything that a client reads against the shop's own data.
func readWhole(t *testing.T, s *magentotest.Shop, c *magento.Client) {
	t.Helper()
	data := s.Data()
	stores, err := c.Stores(t.Context())
	if err != nil || len(stores.Websites) != len(data.Websites) || len(stores.Groups) != len(data.Groups) || len(stores.Views) != len(data.Views) {
		t.Errorf("stores %+v, %v", stores, err)
	}
	groups, err := c.Groups(t.Context())
	if err != nil || len(groups) != len(data.CustomerGroups) {
		t.Errorf("groups %v, %v", groups, err)
	}
	pages, err := walk(t.Context(), c, magento.Query{Fields: []string{"email", "website_id", "extension_attributes.is_subscribed"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(inOrder(data.Customers, time.Time{}, horizon), ids(pages)); diff != "" {
		t.Errorf("customers (-want +got):\n%s", diff)
	}
	subscribed, known := map[int64]bool{}, map[string]int{}
	for _, one := range data.Customers {
		subscribed[one.ID] = one.NewsletterStatus == magentotest.Subscribed
		known[strings.ToLower(one.Email)]++
	}
	takers := 0
	for _, page := range pages {
		for _, item := range page.Items {
			// One e-mail on two websites is read singly by whoever needs to be sure.
			if known[strings.ToLower(item.Value.Email)] == 1 && item.Value.Subscribed != subscribed[item.ID] {
				t.Errorf("customer %d is subscribed: %v", item.ID, item.Value.Subscribed)
			}
			if item.Value.Subscribed {
				takers++
			}
		}
	}
	if takers < 100 || takers > 600 {
		t.Errorf("%d of 700 are subscribed: the data prove nothing", takers)
	}
	var orders []int64
	for page, err := range c.Orders(t.Context(), magento.Query{Before: horizon, Fields: []string{"increment_id"}}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			orders = append(orders, item.ID)
		}
	}
	slices.Sort(orders)
	var want []int64
	for _, one := range data.Orders {
		want = append(want, one.ID)
	}
	if diff := cmp.Diff(want, orders); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
}

// traps are what shops of some versions do otherwise, with what is seen of it.
var traps = []struct {
	versions, trap, effect string
	prove                  func(t *testing.T)
}{
	{
		"up to 2.3.7-p1", "A page past the end repeats the last one", "nothing: lists are read by place, not by page",
		func(t *testing.T) {
			s := versionShop("2.3.7", nil)
			c := client(t, s.Transport(), byPassword, overHTTP, func(cfg *magento.Config) { cfg.PageSize = 350 })
			readWhole(t, s, c) // 700 customers are two full pages
			s.Switch(func(sw *magentotest.Switches) { sw.InputLimit, sw.MaxPageSize = true, 3 })
			if groups, err := c.Groups(t.Context()); err != nil || len(groups) != 6 { // two full pages too
				t.Errorf("groups %v, %v", groups, err)
			}
		},
	},
	{
		"up to 2.3.7-p1", "Lists do not tell newsletter consent", "each customer is read singly for it: right, and about 30 times the work for the shop",
		func(t *testing.T) {
			s := versionShop("2.3.7", nil)
			readWhole(t, s, client(t, s.Transport(), byPassword, overHTTP))
			if n := s.Log().Counts()["GET /rest/all/V1/customers/{id}"]; n != 700 {
				t.Errorf("%d single reads: %v", n, s.Log().Counts())
			}
		},
	},
	{
		"2.3.7-p1, 2.4.3, 2.4.3-p1", "Pages are limited to 300", "nothing: the limit is taken from the refusal, once",
		func(t *testing.T) {
			s := versionShop("2.4.3", nil)
			c := client(t, s.Transport(), byCodes, overHTTP, func(cfg *magento.Config) { cfg.PageSize = 1000 })
			pages, err := walk(t.Context(), c, magento.Query{})
			if err != nil || len(ids(pages)) != 700 || pages[0].Size != 300 {
				t.Errorf("%d customers in %d pages, %v", len(ids(pages)), len(pages), err)
			}
		},
	},
	{
		"2.4.0 to 2.4.2", "A page fails that holds a customer with two newsletter subscriptions", "the customer is found and read singly: [two subscriptions](#a-customer-with-two-subscriptions)",
		func(t *testing.T) {
			s := versionShop("2.4.0", func(sw *magentotest.Switches) { sw.TwoSubscriptions = func(id int64) bool { return id == 350 } })
			pages, err := walk(t.Context(), client(t, s.Transport(), byCodes, overHTTP), magento.Query{})
			if err != nil || len(ids(pages)) != 700 || !slices.Contains(ids(pages), 350) {
				t.Errorf("%d customers, %v", len(ids(pages)), err)
			}
		},
	},
	{
		"old 2.x", "A list of orders leaves out one whose product was deleted", "the stream stops before that page: [orders missing](#a-list-of-orders-is-incomplete)",
		func(t *testing.T) {
			s := versionShop("2.3.7", func(sw *magentotest.Switches) { sw.BrokenOrder = func(id int64) bool { return id == 120 } })
			c := client(t, s.Transport(), byPassword, overHTTP)
			var failure error
			for page, err := range c.Orders(t.Context(), magento.Query{Before: horizon}) {
				if failure = err; err != nil {
					break
				}
				if slices.ContainsFunc(page.Items, func(i magento.Item[magento.Order]) bool { return i.ID == 120 }) {
					t.Error("the order arrived")
				}
			}
			wantClass(t, failure, fault.Retry)
			wantText(t, failure, "the shop counts", "of the 100 asked for")
		},
	},
	{
		"before 2.4.4", "An admin's token says nothing of its end", "nothing: it is renewed when the shop refuses it",
		func(t *testing.T) {
			s := versionShop("2.4.3", func(sw *magentotest.Switches) { sw.TwoFactor, sw.NoTwoFactor = false, true })
			c := client(t, s.Transport(), byPassword, overHTTP)
			for range 3 {
				if _, err := c.Stores(t.Context()); err != nil {
					t.Error(err)
				}
				s.RevokeTokens()
			}
			if n := s.Log().Counts()["POST /rest/all/V1/integration/admin/token"]; n != 3 {
				t.Errorf("%d sign-ins: %v", n, s.Log().Counts())
			}
		},
	},
	{
		"all", "A store's code in the address does not filter lists", "nothing: every list is of the whole shop",
		func(t *testing.T) {
			s := versionShop("2.4.7", nil)
			websites := map[int64]bool{}
			pages, err := walk(t.Context(), client(t, s.Transport(), bySignature, overHTTP, func(cfg *magento.Config) { cfg.BaseURL += "/rest/uk/V1" }), magento.Query{})
			if err != nil {
				t.Fatal(err)
			}
			for _, page := range pages {
				for _, item := range page.Items {
					websites[item.Value.WebsiteID] = true
				}
			}
			if len(websites) != 2 {
				t.Errorf("customers of the websites %v", websites)
			}
		},
	},
}

func TestTrapsOfVersions(t *testing.T) {
	t.Parallel()
	for _, trap := range traps {
		t.Run(trap.trap, func(t *testing.T) {
			t.Parallel()
			trap.prove(t)
		})
	}
}

// TestShopsDocument holds the tables of docs/shops.md against the cases above.
// SYNCD_TEST_UPDATE=1 writes them anew.
func TestShopsDocument(t *testing.T) {
	t.Parallel()
	var access strings.Builder
	access.WriteString("| Magento |")
	for _, way := range ways {
		access.WriteString(" " + way.title + " |")
	}
	access.WriteString("\n|---|" + strings.Repeat("---|", len(ways)) + "\n")
	for _, v := range versions {
		access.WriteString("| " + v.title + " |")
		for _, o := range v.outcomes {
			access.WriteString(" " + o.cell + " |")
		}
		access.WriteString("\n")
	}
	var trapped strings.Builder
	trapped.WriteString("| Magento | What it does | What comes of it |\n|---|---|---|\n")
	for _, trap := range traps {
		trapped.WriteString("| " + trap.versions + " | " + trap.trap + " | " + trap.effect + " |\n")
	}

	const name = "../docs/shops.md"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	for section, want := range map[string]string{"access": access.String(), "traps": trapped.String()} {
		before, rest, ok := strings.Cut(got, "<!-- table: "+section+" -->\n")
		table, after, closed := strings.Cut(rest, "<!-- end -->")
		if !ok || !closed {
			t.Fatalf("%s has no table %q", name, section)
		}
		if os.Getenv("SYNCD_TEST_UPDATE") != "" {
			got = before + "<!-- table: " + section + " -->\n" + want + "<!-- end -->" + after
			continue
		}
		if diff := cmp.Diff(want, table); diff != "" {
			t.Errorf("the table %q (-cases +document):\n%s", section, diff)
		}
	}
	if os.Getenv("SYNCD_TEST_UPDATE") != "" {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
