package magento

import (
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/magento-copernica/syncd/internal/recording"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// The secrets of the recorded integration (testdata/recordings README).
const (
	recordedConsumerSecret = "rgqvrdbulstewaz279677u6zjx4llvuy"
	recordedTokenSecret    = "n9f20lwcje67f839apzs1z1fdp6rwb4a"
)

// signedOtherwise are the recordings that the shop refused for the signature itself.
var signedOtherwise = []string{"oauth1-12-filter-groups-byte-order", "oauth1-bad-signature", "oauth1-ok-hmac-sha1"}

// TestSignatureOfRecordings signs every recorded OAuth request again, with its nonce and
// time, and compares the whole header with the one that the shop took.
func TestSignatureOfRecordings(t *testing.T) {
	t.Parallel()
	var all []recording.Exchange
	// The call that changed a customer lies apart: other tests take the recordings for
	// one state of the shop.
	for _, folder := range []string{"../testdata/recordings/magento-2.4.7-p3", "testdata/signed"} {
		some, err := recording.Load(os.DirFS(folder))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	taken, natural := 0, false
	for _, e := range all {
		header := e.RequestHeader.Get("Authorization")
		if !strings.HasPrefix(header, "OAuth ") || strings.Contains(e.Name, "missing-params") {
			continue
		}
		t.Run(e.Name, func(t *testing.T) {
			own := oauthParameters(t, header)
			s := &signer{
				consumerKey: own["oauth_consumer_key"], consumerSecret: recordedConsumerSecret,
				token: own["oauth_token"], tokenSecret: recordedTokenSecret,
			}
			r, err := http.NewRequestWithContext(t.Context(), e.Method, "http://"+e.RequestHeader.Get("Host")+e.Target, nil)
			if err != nil {
				t.Fatal(err)
			}
			stamp, err := strconv.ParseInt(own["oauth_timestamp"], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			got := oauthParameters(t, s.header(r.Method, s.address(r), r.URL.RawQuery, own["oauth_nonce"], time.Unix(stamp, 0)))
			same := got["oauth_signature"] == own["oauth_signature"]
			switch {
			case e.Status == http.StatusOK:
				if diff := cmp.Diff(own, got); diff != "" {
					t.Errorf("the header that the shop took (-recorded +signed):\n%s", diff)
				}
				taken++
				natural = natural || strings.Contains(e.Name, "natural-order")
			case slices.Contains(signedOtherwise, e.Name) && same:
				t.Error("signs as the request that the shop refused")
			}
		})
	}
	if taken < 8 || !natural {
		t.Errorf("%d accepted signatures, one of them with twelve groups: %v", taken, natural)
	}
}

// oauthParameters reads the parameters of an Authorization header.
func oauthParameters(t *testing.T, header string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimPrefix(header, "OAuth "), ", ") {
		name, value, _ := strings.Cut(part, "=")
		plain, err := url.PathUnescape(strings.Trim(value, `"`))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = plain
	}
	return all
}

func TestSignedAddress(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ base, seen, want string }{
		"as called":                 {"https://shop.example", "", "https://shop.example/rest/all/V1/orders"},
		"upper case":                {"https://SHOP.example", "", "https://shop.example/rest/all/V1/orders"},
		"https port":                {"https://shop.example:443", "", "https://shop.example/rest/all/V1/orders"},
		"http port":                 {"http://shop.example:80", "", "http://shop.example/rest/all/V1/orders"},
		"another port":              {"http://shop.example:443", "", "http://shop.example:443/rest/all/V1/orders"},
		"folder":                    {"https://shop.example/nl", "", "https://shop.example/nl/rest/all/V1/orders"},
		"TLS ends before the shop":  {"https://shop.example", "http://shop.example", "http://shop.example/rest/all/V1/orders"},
		"the port is taken off":     {"https://shop.example:8443", "https://shop.example", "https://shop.example/rest/all/V1/orders"},
		"called by an inner name":   {"http://10.0.0.5:8080", "https://shop.example/rest/V1", "https://shop.example/rest/all/V1/orders"},
		"the folder is taken off":   {"https://shop.example/nl", "https://shop.example", "https://shop.example/rest/all/V1/orders"},
		"a folder is put before":    {"https://shop.example", "http://inner/magento", "http://inner/magento/rest/all/V1/orders"},
		"address without a scheme":  {"https://shop.example", "inner:8443", "https://inner:8443/rest/all/V1/orders"},
		"default port in OAuthURL":  {"https://shop.example", "http://inner:80", "http://inner/rest/all/V1/orders"},
		"admin page in OAuthURL":    {"https://shop.example", "https://inner/admin/dashboard", "https://inner/rest/all/V1/orders"},
		"IPv6":                      {"https://[2001:db8::1]:443", "", "https://[2001:db8::1]/rest/all/V1/orders"},
		"port 80 of an https shop":  {"https://shop.example:80", "", "https://shop.example:80/rest/all/V1/orders"},
		"port 443 of a seen http":   {"https://shop.example", "http://shop.example:443", "http://shop.example:443/rest/all/V1/orders"},
		"seen with a trailing path": {"https://shop.example", "https://inner/index.php/rest/", "https://inner/rest/all/V1/orders"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, err := normalise(settingBaseURL, tc.base)
			if err != nil {
				t.Fatal(err)
			}
			s, err := newSigner(Config{OAuthURL: tc.seen}, base, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/rest/all/V1/orders?a=1", nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.address(r); got != tc.want {
				t.Errorf("signs %s, want %s", got, tc.want)
			}
		})
	}
}

// PHP's own results for strnatcmp.
func TestNaturalOrder(t *testing.T) {
	t.Parallel()
	want := []string{"a%5B0%5D", "a%5B1%5D", "a%5B1%5D%5Bb%5D", "a%5B2%5D", "a%5B10%5D", "a%5B10%5D%5B2%5D", "a%5B10%5D%5B11%5D", "a%5B100%5D", "aa", "b2a", "b2b", "b10"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, natural)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if natural("a10", "a10") != 0 || natural("", "a") >= 0 || natural("a", "") <= 0 {
		t.Error("equal or empty names are not told apart")
	}
}

// Whatever a query holds, a shop that checks signatures by code of its own takes it.
func TestSignatureOfAnyQuery(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	shop := magentotest.New(magentotest.Config{Empty: true, Now: func() time.Time { return now }})
	s, err := newSigner(Config{
		AccessToken: magentotest.AccessToken, AccessTokenSecret: magentotest.AccessTokenSecret,
		ConsumerKey: magentotest.ConsumerKey, ConsumerSecret: magentotest.ConsumerSecret,
	}, "http://shop.test", shop.Transport(), &clock{own: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	name := rapid.OneOf(
		rapid.StringMatching(`[a-z]{1,3}(\[[0-9]{1,3}\]|\[[a-z_]{1,3}\]){0,3}`),
		rapid.StringMatching(`[a-zA-Z~._-][ -~é€]{0,8}`),
	)
	rapid.Check(t, func(rt *rapid.T) {
		values := url.Values{}
		for range rapid.IntRange(0, 20).Draw(rt, "parameters") {
			values.Set(name.Draw(rt, "name"), rapid.StringN(0, 12, -1).Draw(rt, "value"))
		}
		// As the client's own queries are encoded.
		query := strings.ReplaceAll(values.Encode(), "+", "%20")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop.test/rest/all/V1/store/websites?"+query, nil)
		if err != nil {
			rt.Fatal(err)
		}
		resp, err := s.RoundTrip(r)
		if err != nil {
			rt.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			rt.Fatalf("status %d for %s", resp.StatusCode, query)
		}
	})
}
