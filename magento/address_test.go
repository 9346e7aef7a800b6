package magento_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
)

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ pasted, want string }{
		"plain":                {"https://shop.example", "https://shop.example"},
		"blanks":               {"  https://shop.example/\n", "https://shop.example"},
		"no scheme":            {"shop.example", "https://shop.example"},
		"no scheme, port":      {"shop.example:8443/rest", "https://shop.example:8443"},
		"http":                 {"http://127.0.0.1:8081", "http://127.0.0.1:8081"},
		"upper case":           {"HTTPS://Shop.Example", "https://shop.example"},
		"rest":                 {"https://shop.example/rest", "https://shop.example"},
		"rest V1":              {"https://shop.example/rest/V1/", "https://shop.example"},
		"rest all V1":          {"https://shop.example/rest/all/V1/customers/search?searchCriteria=", "https://shop.example"},
		"bare V1":              {"https://shop.example/V1", "https://shop.example"},
		"index.php":            {"https://shop.example/index.php", "https://shop.example"},
		"index.php rest":       {"https://shop.example/index.php/rest/default/V1", "https://shop.example"},
		"admin":                {"https://shop.example/admin/dashboard/index/key/abc123/", "https://shop.example"},
		"hardened admin":       {"https://shop.example/admin_x81k2/", "https://shop.example"},
		"index.php admin":      {"https://shop.example/index.php/admin/", "https://shop.example"},
		"query and fragment":   {"https://shop.example/?utm=1#top", "https://shop.example"},
		"slashes":              {"https://shop.example///", "https://shop.example"},
		"folder":               {"https://x.example/shop/rest", "https://x.example/shop"},
		"folder, index.php":    {"https://x.example/a/shop/index.php/rest/V1/", "https://x.example/a/shop"},
		"folder, slashes":      {"https://x.example//shop//", "https://x.example/shop"},
		"folder like restless": {"https://x.example/restless", "https://x.example/restless"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got string
			shop := roundTrip(func(r *http.Request) (*http.Response, error) {
				got = r.URL.String()
				return answer(r, http.StatusOK, page(0)), nil
			})
			c := client(t, shop, func(cfg *magento.Config) { cfg.BaseURL = tc.pasted })
			if _, err := walk(t.Context(), c, magento.Query{}); err != nil {
				t.Fatal(err)
			}
			got, _, _ = strings.Cut(got, "?")
			if want := tc.want + "/rest/all/V1/customers/search"; got != want {
				t.Errorf("%q speaks to %s, want %s", tc.pasted, got, want)
			}
		})
	}
}

func TestBaseURLRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ pasted, says string }{
		"empty":    {" ", "is empty"},
		"ftp":      {"ftp://shop.example", "https://"},
		"userinfo": {"https://admin:s3cr3t@shop.example", "SYNCD_MAGENTO_USERNAME"},
		"no host":  {"https:///rest", "not an address"},
		"bad port": {"https://shop.example:80a", "not an address"},
		"control":  {"https://shop.example/\x00s3cr3t", "not an address"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := magento.New(magento.Config{BaseURL: tc.pasted, AccessToken: "t"})
			wantClass(t, err, fault.Configuration)
			wantText(t, err, "SYNCD_MAGENTO_BASE_URL", tc.says)
			if strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("the error quotes the address: %v", err)
			}
		})
	}
	t.Run("no credentials", func(t *testing.T) {
		t.Parallel()
		_, err := magento.New(magento.Config{BaseURL: "shop.example", Username: "admin"})
		wantClass(t, err, fault.Configuration)
		wantText(t, err, "SYNCD_MAGENTO_ACCESS_TOKEN", "SYNCD_MAGENTO_PASSWORD")
	})
}
