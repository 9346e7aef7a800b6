package magento_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// none takes away the way in that a test's client has unless it says otherwise.
func none(cfg *magento.Config) { cfg.AccessToken = "" }

func byPassword(cfg *magento.Config) {
	cfg.AccessToken, cfg.Username, cfg.Password = "", magentotest.Username, magentotest.Password
}

func byCodes(cfg *magento.Config) {
	byPassword(cfg)
	cfg.TOTPSecret = magentotest.TOTPSecret
}

func bySignature(cfg *magento.Config) {
	cfg.AccessToken, cfg.AccessTokenSecret = magentotest.AccessToken, magentotest.AccessTokenSecret
	cfg.ConsumerKey, cfg.ConsumerSecret = magentotest.ConsumerKey, magentotest.ConsumerSecret
}

func TestExactlyOneWayIn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		set  func(*magento.Config)
		kind magento.AccessKind
		says []string
	}{
		"password":                   {byPassword, magento.AccessPassword, nil},
		"two factors":                {byCodes, magento.AccessTwoFactor, nil},
		"integration's token":        {func(cfg *magento.Config) { cfg.AccessToken = "u3qfj87bmjgrk3fhuwbu8is733pbupbu" }, magento.AccessBearer, nil},
		"OAuth":                      {bySignature, magento.AccessOAuth, nil},
		"nothing":                    {none, "", []string{"no credentials", "SYNCD_MAGENTO_USERNAME", "SYNCD_MAGENTO_ACCESS_TOKEN", "SYNCD_MAGENTO_CONSUMER_KEY"}},
		"password and token":         {func(cfg *magento.Config) { byPassword(cfg); cfg.AccessToken = "t" }, "", []string{"two ways", "SYNCD_MAGENTO_USERNAME, SYNCD_MAGENTO_PASSWORD and SYNCD_MAGENTO_ACCESS_TOKEN are set together"}},
		"password and OAuth":         {func(cfg *magento.Config) { bySignature(cfg); cfg.Password = "p" }, "", []string{"two ways", "SYNCD_MAGENTO_PASSWORD", "SYNCD_MAGENTO_CONSUMER_KEY"}},
		"token and second factor":    {func(cfg *magento.Config) { cfg.TOTPSecret = magentotest.TOTPSecret }, "", []string{"two ways", "SYNCD_MAGENTO_TOTP_SECRET and SYNCD_MAGENTO_ACCESS_TOKEN are set together"}},
		"no password":                {func(cfg *magento.Config) { none(cfg); cfg.Username = "admin" }, "", []string{"SYNCD_MAGENTO_PASSWORD is not set"}},
		"no user":                    {func(cfg *magento.Config) { none(cfg); cfg.Password = "p" }, "", []string{"SYNCD_MAGENTO_USERNAME is not set"}},
		"second factor alone":        {func(cfg *magento.Config) { none(cfg); cfg.TOTPSecret = "ABCD" }, "", []string{"SYNCD_MAGENTO_USERNAME and SYNCD_MAGENTO_PASSWORD are not set"}},
		"no consumer secret":         {func(cfg *magento.Config) { bySignature(cfg); cfg.ConsumerSecret = "" }, "", []string{"all four", "SYNCD_MAGENTO_CONSUMER_SECRET is not set"}},
		"consumer without its token": {func(cfg *magento.Config) { bySignature(cfg); cfg.AccessToken, cfg.AccessTokenSecret = "", " " }, "", []string{"SYNCD_MAGENTO_ACCESS_TOKEN and SYNCD_MAGENTO_ACCESS_TOKEN_SECRET are not set"}},
		"no base32":                  {func(cfg *magento.Config) { byCodes(cfg); cfg.TOTPSecret = "not-a-key-018" }, "", []string{"SYNCD_MAGENTO_TOTP_SECRET", "QR code"}},
		"no base32 digits":           {func(cfg *magento.Config) { byCodes(cfg); cfg.TOTPSecret = "= -" }, "", []string{"SYNCD_MAGENTO_TOTP_SECRET", "QR code"}},
		"a bad OAuth address":        {func(cfg *magento.Config) { bySignature(cfg); cfg.OAuthURL = "ftp://shop.example" }, "", []string{"SYNCD_MAGENTO_OAUTH_URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := magento.Config{BaseURL: "https://shop.example", AccessToken: "emulator"}
			tc.set(&cfg)
			c, err := magento.New(cfg)
			if len(tc.says) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				if got := c.Access(); got != (magento.Access{Kind: tc.kind}) {
					t.Errorf("access %+v, want %s", got, tc.kind)
				}
				return
			}
			wantClass(t, err, fault.Configuration)
			wantText(t, err, tc.says...)
			for _, secret := range []string{magentotest.Password, magentotest.TOTPSecret, magentotest.ConsumerSecret, "not-a-key-018"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error holds %q: %v", secret, err)
				}
			}
		})
	}
}

// adminToken is a token as the back end or another program makes it.
func adminToken(t *testing.T, issued time.Time, life time.Duration) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"uid": 1, "utypid": 2, "iat": issued.Unix(), "exp": issued.Add(life).Unix()}).SignedString([]byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestPastedAdminToken(t *testing.T) {
	t.Parallel()
	token := adminToken(t, noon, time.Hour)
	shop := func(date string) roundTrip {
		return always(401, forbidden, "Date", date)
	}
	pasted := func(cfg *magento.Config) {
		cfg.AccessToken = " " + token + "\n"
		cfg.Now = func() time.Time { return noon }
	}
	c := client(t, shop("Sat, 21 Nov 2026 12:59:59 GMT"), pasted)
	if got, want := c.Access(), (magento.Access{Kind: magento.AccessAdmin, Expires: noon.Add(time.Hour)}); got != want {
		t.Errorf("access %+v, want %+v", got, want)
	}
	err := call(t, c)
	wantClass(t, err, fault.Credentials)
	wantText(t, err, "revoked", "role lacks Magento_Customer::customer (Customers)", "SYNCD_MAGENTO_ACCESS_TOKEN")
	if strings.Contains(err.Error(), "expired") {
		t.Errorf("it has a second to live: %v", err)
	}

	// The shop's clock decides, not ours.
	err = call(t, client(t, shop("Sat, 21 Nov 2026 13:00:00 GMT"), pasted))
	wantClass(t, err, fault.Credentials)
	wantText(t, err, "has expired on 2026-11-21 13:00:00 UTC", "SYNCD_MAGENTO_USERNAME")
}

// What a shop took before was revoked; what it takes elsewhere lacks a permission.
func TestRefusalTellsPermissionFromRevocation(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]string{"integration": "emulator", "admin user": adminToken(t, noon, time.Hour)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refuse := ""
			c := client(t, roundTrip(func(r *http.Request) (*http.Response, error) {
				switch {
				case refuse != "" && strings.Contains(r.URL.Path, refuse):
					return answer(r, 401, forbidden, "Date", noon.Format(http.TimeFormat)), nil
				case strings.Contains(r.URL.Path, "/store/"):
					return answer(r, 200, `[]`, "Date", noon.Format(http.TimeFormat)), nil
				}
				return answer(r, 200, customer, "Date", noon.Format(http.TimeFormat)), nil
			}), func(cfg *magento.Config) { cfg.AccessToken = token })
			if _, err := c.Stores(t.Context()); err != nil {
				t.Fatal(err)
			}
			refuse = "/customers/"
			wantText(t, call(t, c), "takes this token for other calls", "lacks Magento_Customer::customer (Customers)")
			refuse = "/store/"
			_, err := c.Stores(t.Context())
			wantText(t, err, "took this token before")
		})
	}
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	sales, group := "Magento_Sales::actions_view", "Magento_Customer::group"
	for name, set := range map[string]func(*magento.Config){"password": byPassword, "integration": func(*magento.Config) {}, "OAuth": bySignature} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shop(magentotest.Config{Customers: 3, Orders: 3, Switches: magentotest.Switches{Denied: []string{sales, group}}})
			c := client(t, s.Transport(), set, overHTTP)
			all, err := c.Permissions(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range all {
				got = append(got, fmt.Sprintf("%s %s granted %v refused %v", p.Needed, p.Resource, p.Granted(), p.Refused()))
				if p.Refused() {
					wantClass(t, p.Err, fault.Credentials)
					wantText(t, p.Err, p.Resource+" ("+p.Tick+")")
				}
			}
			want := []string{
				"customers Magento_Customer::customer granted true refused false",
				"orders Magento_Sales::actions_view granted false refused true",
				"stores Magento_Backend::store granted true refused false",
				"customer groups Magento_Customer::group granted false refused true",
				"invoices Magento_Sales::sales_invoice granted true refused false",
				"shipments Magento_Sales::shipment granted true refused false",
				"credit memos Magento_Sales::sales_creditmemo granted true refused false",
			}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("permissions\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			// One each; a token of a sign-in is renewed before a refusal is believed.
			if n, most := s.Log().Total(), map[bool]int64{true: 12, false: 7}[name == "password"]; n > most {
				t.Errorf("%d calls", n)
			}

			// A refusal before the first call that was granted is about the permission too.
			s.Switch(func(sw *magentotest.Switches) { sw.Denied = []string{"Magento_Customer::customer"} })
			all, err = client(t, s.Transport(), set, overHTTP).Permissions(t.Context())
			if err != nil || all[0].Granted() || !all[1].Granted() {
				t.Fatalf("%+v, %v", all, err)
			}
			if name == "integration" {
				wantText(t, all[0].Err, "takes this token for other calls")
			}
		})
	}
	t.Run("nothing granted", func(t *testing.T) {
		t.Parallel()
		_, err := client(t, always(401, forbidden)).Permissions(t.Context())
		wantClass(t, err, fault.Credentials)
		wantText(t, err, "enable_integration_as_bearer")
	})
	t.Run("no sign-in", func(t *testing.T) {
		t.Parallel()
		s := shop(magentotest.Config{Customers: 3})
		_, err := client(t, s.Transport(), byPassword, func(cfg *magento.Config) { cfg.Password = "wrong" }).Permissions(t.Context())
		wantClass(t, err, fault.Credentials)
		if n := s.Log().Total(); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
	t.Run("one that fails otherwise", func(t *testing.T) {
		t.Parallel()
		c := client(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/orders") {
				return answer(r, 500, `{"message":"Internal Error."}`), nil
			}
			return answer(r, 200, page(0)), nil
		}))
		all, err := c.Permissions(t.Context())
		if err != nil || all[1].Granted() || all[1].Refused() || !all[2].Granted() {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		shop http.RoundTripper
		want string
	}{
		"told":         {shop(magentotest.Config{}).Transport(), "Magento/2.4 (Community)"},
		"an old one":   {shop(magentotest.Config{Switches: magentotest.Installed("2.3.7")}).Transport(), "Magento/2.3 (Community)"},
		"not told":     {shop(magentotest.Config{Switches: magentotest.Switches{NoVersion: true}}).Transport(), ""},
		"a home page":  {always(200, "<html><title>Shop</title></html>", "Content-Type", "text/html"), ""},
		"empty":        {always(200, ""), ""},
		"elsewhere":    {always(301, "", "Location", "https://www.shop.example/magento_version"), ""},
		"a firewall":   {always(403, "<html></html>", "Content-Type", "text/html"), ""},
		"with markup":  {always(200, "Magento/2.4 <b>"), ""},
		"two lines":    {always(200, "Magento/2.4 (Community)\nx"), ""},
		"a line's end": {always(200, "Magento/2.4 (Enterprise)\n"), "Magento/2.4 (Enterprise)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			unsigned := roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.Header.Get("Authorization") != "" || r.URL.Path != "/magento_version" {
					t.Errorf("asks %s with credentials %v", r.URL, r.Header.Get("Authorization") != "")
				}
				return tc.shop.RoundTrip(r)
			})
			got, err := client(t, unsigned, bySignature).Version(t.Context())
			if err != nil || got != tc.want {
				t.Errorf("version %q, %v; want %q", got, err, tc.want)
			}
		})
	}
	_, err := client(t, always(503, maintenance, "Content-Type", "text/html")).Version(t.Context())
	wantClass(t, err, fault.Retry)
}

// overHTTP calls the shop by an address that a transport within the process can tell.
func overHTTP(cfg *magento.Config) {
	cfg.BaseURL = "http://shop.test"
	cfg.Now = func() time.Time { return noon }
}

// secrets are those of every way in, and what is made of them.
var secrets = []string{
	"verysecretpassword", magentotest.TOTPSecret, "verysecrettoken", "verysecretconsumerkey", "verysecretconsumer", "verysecret/token+secret", "verysecret%2Ftoken%2Bsecret",
	"oauth_signature=", "oauth_nonce=",
}

// TestNoSecretComesOut has shops and proxies print the whole request back, in every
// shape of an answer, and looks for secrets in errors and logs.
func TestNoSecretComesOut(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*magento.Config){
		"password":    func(cfg *magento.Config) { byPassword(cfg); cfg.Password = "verysecretpassword" },
		"two factors": func(cfg *magento.Config) { byCodes(cfg); cfg.Password = "verysecretpassword" },
		"token":       func(cfg *magento.Config) { cfg.AccessToken = "verysecrettoken" },
		"admin token": func(cfg *magento.Config) { cfg.AccessToken = adminToken(t, noon, time.Hour) },
		"OAuth": func(cfg *magento.Config) {
			cfg.AccessToken, cfg.AccessTokenSecret = "verysecrettoken", "verysecret/token+secret"
			cfg.ConsumerKey, cfg.ConsumerSecret = "verysecretconsumerkey", "verysecretconsumer"
		},
	}
	shapes := map[string]func(r *http.Request, echo string) (*http.Response, error){
		"JSON message": func(r *http.Request, echo string) (*http.Response, error) {
			return answer(r, 400, fmt.Sprintf(`{"message":%q}`, echo)), nil
		},
		"JSON parameter": func(r *http.Request, echo string) (*http.Response, error) {
			return answer(r, 401, fmt.Sprintf(`{"message":"No %%resources","parameters":{"resources":%q}}`, echo)), nil
		},
		"JSON errors": func(r *http.Request, echo string) (*http.Response, error) {
			return answer(r, 400, fmt.Sprintf(`{"message":"x","errors":[{"message":%q}]}`, echo)), nil
		},
		"fatal": func(r *http.Request, echo string) (*http.Response, error) {
			return answer(r, 500, fmt.Sprintf(`{"messages":{"error":[{"code":%q,"message":%q}]}}`, echo, echo)), nil
		},
		"HTML title": func(r *http.Request, echo string) (*http.Response, error) {
			return answer(r, 502, "<html><title>"+echo[:min(len(echo), 100)]+"</title>", "Content-Type", "text/html"), nil
		},
		"XML": func(r *http.Request, echo string) (*http.Response, error) {
			return answer(r, 500, "<response><message>"+echo+"</message></response>", "Content-Type", "application/xml"), nil
		},
		"redirect": func(r *http.Request, echo string) (*http.Response, error) {
			return answer(r, 302, "", "Location", "https://elsewhere.example/?"+echo), nil
		},
		"reset": func(*http.Request, string) (*http.Response, error) {
			return nil, fmt.Errorf("connection reset")
		},
		"page": func(r *http.Request, echo string) (*http.Response, error) {
			return answer(r, 200, fmt.Sprintf(`{"items":[{"id":%q}],"total_count":1}`, echo)), nil
		},
	}
	for way, set := range ways {
		for shape, reply := range shapes {
			t.Run(way+", "+shape, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var logged bytes.Buffer
					echoing := roundTrip(func(r *http.Request) (*http.Response, error) {
						echo := r.Header.Get("Authorization") + " " + r.URL.String()
						if r.Body != nil {
							var body bytes.Buffer
							_, _ = body.ReadFrom(r.Body)
							echo = body.String() + " " + echo
						}
						return reply(r, echo)
					})
					log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
					tr, err := httpx.New(httpx.Config{Peer: "magento", Base: echoing, Retries: 1, Log: log})
					if err != nil {
						t.Fatal(err)
					}
					c := client(t, tr, set, func(cfg *magento.Config) { cfg.Log = log })
					_, one := c.Customer(t.Context(), 1, nil)
					_, many := walk(t.Context(), c, magento.Query{})
					_, permitted := c.Permissions(t.Context())
					_, version := c.Version(t.Context())
					text := fmt.Sprintf("%v\n%+v\n%v\n%v\n%#v", one, many, permitted, version, c.Access()) + logged.String()
					if one == nil || many == nil {
						t.Error("no error")
					}
					for _, e := range []error{one, many, permitted} {
						if e, ok := e.(*magento.Error); ok { //nolint:errorlint // its own fields are meant
							text += fmt.Sprintf("%q %q %q %q", e.Message, e.Filled, e.Parameters, e.Code)
						}
					}
					for _, secret := range append(secrets, adminToken(t, noon, time.Hour)) {
						if strings.Contains(text, secret) {
							t.Errorf("%q comes out in:\n%s", secret, text)
						}
					}
				})
			})
		}
	}
}
