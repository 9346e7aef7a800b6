package config_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/magento-copernica/syncd/config"
)

// minimal is an environment that satisfies every command.
var minimal = []string{
	"HOME=/home/op",
	"SYNCD_MAGENTO_BASE_URL=https://shop.example.com",
	"SYNCD_MAGENTO_ACCESS_TOKEN=magento-token",
	"SYNCD_COPERNICA_ACCESS_TOKEN=copernica-token",
}

const needAll = config.NeedMagento | config.NeedCopernica | config.NeedState

func load(t *testing.T, environ ...string) (config.Config, error) {
	t.Helper()
	cfg, err := config.Load(t.Context(), environ)
	if err == nil {
		err = cfg.Check(needAll)
	}
	return cfg, err
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, minimal...)
	if err != nil {
		t.Fatal(err)
	}
	amsterdam, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.TimeZone.Location(); got.String() != amsterdam.String() {
		t.Errorf("time zone %s", got)
	}
	everyFiveMinutes, err := config.NewSchedule("*/5 * * * *")
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		Shop:      "shop",
		LogFormat: config.FormatAuto,
		Magento: config.Magento{
			BaseURL:     "https://shop.example.com",
			AccessToken: config.NewSecret("magento-token"),
			Concurrency: 2,
			PageSize:    300,
		},
		Copernica: config.Copernica{
			APIVersion:   4,
			APIURL:       "https://api.copernica.com/v4",
			AuthURL:      "https://authenticate.copernica.com",
			AuthorizeURL: "https://www.copernica.com/en/authorize",
			AccessToken:  config.NewSecret("copernica-token"),
			Database:     "Magento",
			Concurrency:  10,
		},
		Schedule:       config.Schedules{Customers: everyFiveMinutes, Orders: everyFiveMinutes},
		Listen:         "127.0.0.1:8080",
		MaxLag:         30 * time.Minute,
		Overlap:        5 * time.Minute,
		Settle:         10 * time.Second,
		Reconcile:      config.Period(24 * time.Hour),
		Consent:        config.Period(15 * time.Minute),
		WriteBack:      true,
		Repair:         config.RepairRows,
		Identity:       config.ByAccount,
		Erasure:        config.EraseFlag,
		TimeZone:       cfg.TimeZone,
		StateDirectory: "/home/op/.local/state/syncd",
	}
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, append(minimal,
		"SYNCD_SHOP=de2",
		"SYNCD_LOG_LEVEL=WARN",
		"SYNCD_LOG_FORMAT=json",
		"SYNCD_OVERLAP=0s",
		"SYNCD_SETTLE=1m30s",
		"SYNCD_RUN_BUDGET=15m, 5000",
		"SYNCD_TIME_ZONE=UTC",
		"SYNCD_SCHEDULE_CUSTOMERS=CRON_TZ=Europe/Amsterdam 30 2 * * mon-fri",
		"SYNCD_SCHEDULE_ORDERS=Off",
		"SYNCD_LISTEN=:9090",
		"SYNCD_MAX_LAG=26h",
		"SYNCD_COPERNICA_API_VERSION=2",
		"SYNCD_COPERNICA_DATABASE=", // empty counts as not set
		"SYNCD_TEST_ANYTHING=1",
		"SYNCDX=1",
	)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, got, want string
	}{
		{"shop", cfg.Shop, "de2"},
		{"level", cfg.LogLevel.String(), "warn"},
		{"format", string(cfg.LogFormat), "json"},
		{"overlap", cfg.Overlap.String(), "0s"},
		{"settle", cfg.Settle.String(), "1m30s"},
		{"budget", cfg.RunBudget.String(), "5000,15m0s"},
		{"zone", cfg.TimeZone.String(), "UTC"},
		{"database", cfg.Copernica.Database, "Magento"},
		{"customers' schedule", cfg.Schedule.Customers.String(), "CRON_TZ=Europe/Amsterdam 30 2 * * mon-fri"},
		{"orders' schedule", cfg.Schedule.Orders.String(), "off"},
		{"listener", cfg.Listen, ":9090"},
		{"lag", cfg.MaxLag.String(), "26h0m0s"},
		{"address follows version", cfg.Copernica.APIURL, "https://api.copernica.com/v2"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	empty, big, noPEM := file("empty", "\n\n"), file("big", strings.Repeat("x", 1<<17)), file("no.pem", "hello")

	for _, c := range []struct {
		name    string
		environ []string // added to minimal; NAME alone takes a variable away
		want    string
	}{
		{"unknown name", []string{"SYNCD_MAGENTO_BASEURL=x"}, "SYNCD_MAGENTO_BASEURL is not known: did you mean SYNCD_MAGENTO_BASE_URL? (docs/configuration.md lists all)"},
		{"a word too few", []string{"SYNCD_MAGENTO_URL=x"}, "SYNCD_MAGENTO_URL is not known: did you mean SYNCD_MAGENTO_BASE_URL? (docs/configuration.md lists all)"},
		{"letters exchanged", []string{"SYNCD_SHPO=x"}, "SYNCD_SHPO is not known: did you mean SYNCD_SHOP? (docs/configuration.md lists all)"},
		{"half a word", []string{"SYNCD_MAGENTO_PASS=x"}, "SYNCD_MAGENTO_PASS is not known: did you mean SYNCD_MAGENTO_PASSWORD? (docs/configuration.md lists all)"},
		{"nothing like it", []string{"SYNCD_HTTP_TIMEOUT=x"}, "SYNCD_HTTP_TIMEOUT is not known: correct its name, or take it away (docs/configuration.md lists all)"},
		{"the prefix alone", []string{"SYNCD_=x"}, "SYNCD_ is not known: correct its name, or take it away (docs/configuration.md lists all)"},
		{"unknown file", []string{"SYNCD_COPERNICA_TOKEN_FILE=x"}, "SYNCD_COPERNICA_TOKEN_FILE is not known: did you mean SYNCD_COPERNICA_ACCESS_TOKEN_FILE? (docs/configuration.md lists all)"},
		{"file of no secret", []string{"SYNCD_SHOP_FILE=x"}, "SYNCD_SHOP_FILE is not known: only secrets are read from a file; set SYNCD_SHOP itself"},
		{"both", []string{"SYNCD_MAGENTO_ACCESS_TOKEN_FILE=x"}, "SYNCD_MAGENTO_ACCESS_TOKEN and SYNCD_MAGENTO_ACCESS_TOKEN_FILE are both set: keep one of them"},
		{"file missing", []string{"SYNCD_ENCRYPTION_KEY_FILE=" + dir + "/none"}, "SYNCD_ENCRYPTION_KEY_FILE names " + dir + "/none, which does not exist: create it, or correct the path"},
		{"file is a folder", []string{"SYNCD_ENCRYPTION_KEY_FILE=" + dir}, "SYNCD_ENCRYPTION_KEY_FILE names " + dir + ", which cannot be read (is a directory): correct the path"},
		{"file empty", []string{"SYNCD_ENCRYPTION_KEY_FILE=" + empty}, "SYNCD_ENCRYPTION_KEY_FILE names " + empty + ", which is empty: write the secret into it"},
		{"file too large", []string{"SYNCD_ENCRYPTION_KEY_FILE=" + big}, "SYNCD_ENCRYPTION_KEY_FILE names " + big + ", which is larger than 64 KiB: it cannot be a secret"},

		{"shop", []string{"SYNCD_SHOP=My-Shop"}, `SYNCD_SHOP is "My-Shop": write 1 to 12 of the characters a-z and 0-9`},
		{"long shop", []string{"SYNCD_SHOP=abcdefghijklm"}, `SYNCD_SHOP is "abcdefghijklm": write 1 to 12 of the characters a-z and 0-9`},
		{"duration", []string{"SYNCD_OVERLAP=5 minutes"}, "SYNCD_OVERLAP is \"5 minutes\", which is not a duration: write one such as 90s, 5m or 1h30m"},
		{"bare number", []string{"SYNCD_SETTLE=10"}, "SYNCD_SETTLE is \"10\", which is not a duration: write one such as 90s, 5m or 1h30m"},
		{"negative overlap", []string{"SYNCD_OVERLAP=-1s"}, "SYNCD_OVERLAP is -1s: write a duration from 0s to 24h0m0s"},
		{"long settle", []string{"SYNCD_SETTLE=11m"}, "SYNCD_SETTLE is 11m0s: write a duration from 0s to 10m0s"},
		{"number", []string{"SYNCD_MAGENTO_CONCURRENCY=two"}, "SYNCD_MAGENTO_CONCURRENCY is \"two\", which is not a whole number: write digits only"},
		{"magento concurrency", []string{"SYNCD_MAGENTO_CONCURRENCY=33"}, "SYNCD_MAGENTO_CONCURRENCY is 33: write a number from 1 to 32"},
		{"page size", []string{"SYNCD_MAGENTO_PAGE_SIZE=5"}, "SYNCD_MAGENTO_PAGE_SIZE is 5: write a number from 10 to 1000"},
		{"copernica concurrency", []string{"SYNCD_COPERNICA_CONCURRENCY=0"}, "SYNCD_COPERNICA_CONCURRENCY is 0: write a number from 1 to 100"},
		{"level", []string{"SYNCD_LOG_LEVEL=loud"}, `SYNCD_LOG_LEVEL is "loud": write debug, info, warn or error`},
		{"format", []string{"SYNCD_LOG_FORMAT=xml"}, `SYNCD_LOG_FORMAT is "xml": write auto, text or json`},
		{"zone", []string{"SYNCD_TIME_ZONE=Amsterdam"}, `SYNCD_TIME_ZONE names no time zone: "Amsterdam" is unknown; write one such as Europe/Amsterdam or UTC`},
		{"local zone", []string{"SYNCD_TIME_ZONE=Local"}, `SYNCD_TIME_ZONE names no time zone: "Local" is unknown; write one such as Europe/Amsterdam or UTC`},
		{"budget", []string{"SYNCD_RUN_BUDGET=lots"}, "SYNCD_RUN_BUDGET is \"lots\", which is not a budget: write a number of records, a time, or both, such as 5000, 15m or 5000,15m"},
		{"budget of nothing", []string{"SYNCD_RUN_BUDGET=0"}, "SYNCD_RUN_BUDGET is \"0\", which is not a budget: write a number of records, a time, or both, such as 5000, 15m or 5000,15m"},
		{"budget twice", []string{"SYNCD_RUN_BUDGET=15m,20m"}, "SYNCD_RUN_BUDGET is \"15m,20m\", which is not a budget: write a number of records, a time, or both, such as 5000, 15m or 5000,15m"},

		{"listener without port", []string{"SYNCD_LISTEN=127.0.0.1"}, `SYNCD_LISTEN is "127.0.0.1": write a host and a port such as 127.0.0.1:8080, :8080 for all interfaces, or off`},
		{"listener at no port", []string{"SYNCD_LISTEN=localhost:http"}, `SYNCD_LISTEN is "localhost:http": write a host and a port such as 127.0.0.1:8080, :8080 for all interfaces, or off`},
		{"lag", []string{"SYNCD_MAX_LAG=5s"}, "SYNCD_MAX_LAG is 5s: write a duration from 1m0s to 720h0m0s"},
		{"schedule", []string{"SYNCD_SCHEDULE_ORDERS=5m"}, `SYNCD_SCHEDULE_ORDERS is "5m", which is no schedule (expected exactly 5 fields, found 1: [5m]): write five fields such as */5 * * * *, a name such as @hourly, or off`},

		{"no shop address", []string{"SYNCD_MAGENTO_BASE_URL"}, "SYNCD_MAGENTO_BASE_URL is not set: write the address of the shop, such as https://shop.example.com"},
		{"blanks", []string{"SYNCD_MAGENTO_BASE_URL=my shop"}, "SYNCD_MAGENTO_BASE_URL is not an address: write one such as https://host.example.com"},
		{"password without scheme", []string{"SYNCD_MAGENTO_BASE_URL=me:hunter2@shop.example.com"}, "SYNCD_MAGENTO_BASE_URL holds a user name or password: leave them out of the address"},
		{"no host", []string{"SYNCD_MAGENTO_BASE_URL=https:///rest"}, "SYNCD_MAGENTO_BASE_URL is not an address of a web server: write one such as https://host.example.com"},
		{"ftp", []string{"SYNCD_MAGENTO_BASE_URL=ftp://shop.example.com"}, "SYNCD_MAGENTO_BASE_URL is not an address of a web server: write one such as https://host.example.com"},
		{"garbage", []string{"SYNCD_MAGENTO_BASE_URL=https://%zz"}, "SYNCD_MAGENTO_BASE_URL is not an address: write one such as https://host.example.com"},
		{"password in address", []string{"SYNCD_MAGENTO_BASE_URL=https://me:hunter2@shop.example.com"}, "SYNCD_MAGENTO_BASE_URL holds a user name or password: leave them out of the address"},
		{"clear text", []string{"SYNCD_MAGENTO_BASE_URL=http://shop.example.com/"}, "SYNCD_MAGENTO_BASE_URL begins with http://: tokens would cross the network readable by anyone; write https://shop.example.com"},
		{"copernica in clear", []string{"SYNCD_COPERNICA_API_URL=http://10.0.0.1/v4"}, "SYNCD_COPERNICA_API_URL begins with http://: tokens would cross the network readable by anyone; write https://10.0.0.1"},
		{"authentication in clear", []string{"SYNCD_COPERNICA_AUTH_URL=http://localhost.example.com"}, "SYNCD_COPERNICA_AUTH_URL begins with http://: tokens would cross the network readable by anyone; write https://localhost.example.com"},

		{"no way in", []string{"SYNCD_MAGENTO_ACCESS_TOKEN"}, "SYNCD_MAGENTO_ACCESS_TOKEN is not set: write an integration's access token, or set SYNCD_MAGENTO_USERNAME and SYNCD_MAGENTO_PASSWORD"},
		{"two ways in", []string{"SYNCD_MAGENTO_USERNAME=me"}, "SYNCD_MAGENTO_ACCESS_TOKEN is set together with SYNCD_MAGENTO_USERNAME or SYNCD_MAGENTO_PASSWORD: keep one way to authenticate, the token or the user and password"},
		{"no password", []string{"SYNCD_MAGENTO_ACCESS_TOKEN", "SYNCD_MAGENTO_USERNAME=me"}, "SYNCD_MAGENTO_PASSWORD is not set: write the password of the user SYNCD_MAGENTO_USERNAME names"},
		{"no user", []string{"SYNCD_MAGENTO_ACCESS_TOKEN", "SYNCD_MAGENTO_PASSWORD=hunter2"}, "SYNCD_MAGENTO_USERNAME is not set: write the name of the user that SYNCD_MAGENTO_PASSWORD belongs to"},
		{"no copernica token", []string{"SYNCD_COPERNICA_ACCESS_TOKEN"}, "SYNCD_COPERNICA_ACCESS_TOKEN is not set: write the access token of the Copernica account's REST API, or set SYNCD_COPERNICA_CLIENT_KEY and SYNCD_COPERNICA_CLIENT_SECRET and run `syncd connect copernica`"},
		{"application without secret", []string{"SYNCD_COPERNICA_CLIENT_KEY=app"}, "SYNCD_COPERNICA_CLIENT_SECRET is not set: write the secret of the application that SYNCD_COPERNICA_CLIENT_KEY names"},
		{"secret without application", []string{"SYNCD_COPERNICA_CLIENT_SECRET=hunter2"}, "SYNCD_COPERNICA_CLIENT_KEY is not set: write the key of the application that SYNCD_COPERNICA_CLIENT_SECRET belongs to"},
		{"another version", []string{"SYNCD_COPERNICA_API_VERSION=5"}, "SYNCD_COPERNICA_API_VERSION is 5: write a number from 1 to 4"},
		{"address of another version", []string{"SYNCD_COPERNICA_API_URL=https://api.copernica.com/v3/"}, "SYNCD_COPERNICA_API_URL ends in /v3, while SYNCD_COPERNICA_API_VERSION is 4: write the same version in both"},
		{"authorization in clear", []string{"SYNCD_COPERNICA_AUTHORIZE_URL=http://www.copernica.com/en/authorize"}, "SYNCD_COPERNICA_AUTHORIZE_URL begins with http://: tokens would cross the network readable by anyone; write https://www.copernica.com"},
		{"no bundle for copernica", []string{"SYNCD_COPERNICA_CA_BUNDLE=" + noPEM}, "SYNCD_COPERNICA_CA_BUNDLE names " + noPEM + ", which holds no certificate: write PEM blocks that begin with BEGIN CERTIFICATE"},

		{"signed, and a password", []string{"SYNCD_MAGENTO_ACCESS_TOKEN", "SYNCD_MAGENTO_CONSUMER_KEY=k", "SYNCD_MAGENTO_USERNAME=me"}, "SYNCD_MAGENTO_CONSUMER_KEY and the secrets of OAuth 1.0a are set together with SYNCD_MAGENTO_USERNAME or SYNCD_MAGENTO_PASSWORD: keep one way to authenticate, the integration's four secrets or the user and password"},
		{"three of four", []string{"SYNCD_MAGENTO_CONSUMER_KEY=k", "SYNCD_MAGENTO_CONSUMER_SECRET=s"}, "SYNCD_MAGENTO_ACCESS_TOKEN_SECRET is not set, and OAuth 1.0a takes all four of the integration's secrets: write its access token secret (System > Extensions > Integrations)"},
		{"one of four", []string{"SYNCD_MAGENTO_ACCESS_TOKEN", "SYNCD_MAGENTO_ACCESS_TOKEN_SECRET=s"}, strings.Join([]string{
			"SYNCD_MAGENTO_CONSUMER_KEY is not set, and OAuth 1.0a takes all four of the integration's secrets: write its consumer key (System > Extensions > Integrations)",
			"SYNCD_MAGENTO_CONSUMER_SECRET is not set, and OAuth 1.0a takes all four of the integration's secrets: write its consumer secret (System > Extensions > Integrations)",
			"SYNCD_MAGENTO_ACCESS_TOKEN is not set, and OAuth 1.0a takes all four of the integration's secrets: write its access token (System > Extensions > Integrations)",
		}, "\n")},
		{"second factor of a token", []string{"SYNCD_MAGENTO_TOTP_SECRET=JBSWY3DPEHPK3PXP"}, "SYNCD_MAGENTO_TOTP_SECRET is set, and only a user with a password has a second factor: take it away, or set SYNCD_MAGENTO_USERNAME and SYNCD_MAGENTO_PASSWORD instead of the token"},
		{"second factor's code", []string{"SYNCD_MAGENTO_ACCESS_TOKEN", "SYNCD_MAGENTO_USERNAME=me", "SYNCD_MAGENTO_PASSWORD=hunter2", "SYNCD_MAGENTO_TOTP_SECRET=189018"}, "SYNCD_MAGENTO_TOTP_SECRET is not a secret in base32: write the letters A-Z and digits 2-7 that Magento shows beside the QR code"},
		{"no bundle", []string{"SYNCD_MAGENTO_CA_BUNDLE=" + dir + "/none"}, "SYNCD_MAGENTO_CA_BUNDLE names " + dir + "/none, which does not exist: create it, or correct the path"},
		{"bundle without certificate", []string{"SYNCD_MAGENTO_CA_BUNDLE=" + noPEM}, "SYNCD_MAGENTO_CA_BUNDLE names " + noPEM + ", which holds no certificate: write PEM blocks that begin with BEGIN CERTIFICATE"},

		{"several at once", []string{"SYNCD_OVERLAP=x", "SYNCD_MAGENTO_PAGE_SIZE=y", "SYNCD_SHOP=Z", "SYNCD_FOO=1"}, strings.Join([]string{
			"SYNCD_FOO is not known: correct its name, or take it away (docs/configuration.md lists all)",
			"SYNCD_MAGENTO_PAGE_SIZE is \"y\", which is not a whole number: write digits only",
			"SYNCD_OVERLAP is \"x\", which is not a duration: write one such as 90s, 5m or 1h30m",
			`SYNCD_SHOP is "Z": write 1 to 12 of the characters a-z and 0-9`,
		}, "\n")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, apply(minimal, c.environ)...)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the error shows a password")
			}
		})
	}
}

// apply adds variables to an environment; a name without = is taken away.
func apply(environ, changes []string) []string {
	out := append([]string(nil), environ...)
	for _, change := range changes {
		if strings.Contains(change, "=") {
			out = append(out, change)
			continue
		}
		out = append(out, change+"=")
	}
	return out
}

func TestSecretFromFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(" two words \r\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := load(t, apply(minimal, []string{"SYNCD_MAGENTO_ACCESS_TOKEN", "SYNCD_MAGENTO_ACCESS_TOKEN_FILE=" + path})...)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cfg.Magento.AccessToken.Reveal(), " two words "; got != want {
		t.Errorf("secret %q, want %q", got, want)
	}
}

func TestAddressesThatWork(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:80/rest", "http://localhost:1", "http://LOCALHOST.", "http://shop.localhost/", "shop.example.com/admin"} {
		if _, err := load(t, append(minimal, "SYNCD_MAGENTO_BASE_URL="+address)...); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestUserAndPassword(t *testing.T) {
	t.Parallel()
	if _, err := load(t, apply(minimal, []string{"SYNCD_MAGENTO_ACCESS_TOKEN", "SYNCD_MAGENTO_USERNAME=me", "SYNCD_MAGENTO_PASSWORD=x"})...); err != nil {
		t.Error(err)
	}
}

func TestSecondFactor(t *testing.T) {
	t.Parallel()
	user := apply(minimal, []string{"SYNCD_MAGENTO_ACCESS_TOKEN", "SYNCD_MAGENTO_USERNAME=me", "SYNCD_MAGENTO_PASSWORD=x"})
	for _, secret := range []string{"JBSWY3DPEHPK3PXP", "jbsw y3dp ehpk 3pxp", "MFRGG==="} {
		if _, err := load(t, append(user, "SYNCD_MAGENTO_TOTP_SECRET="+secret)...); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
	}
}

func TestSignedCalls(t *testing.T) {
	t.Parallel()
	if _, err := load(t, append(minimal, "SYNCD_MAGENTO_CONSUMER_KEY=a", "SYNCD_MAGENTO_CONSUMER_SECRET=b", "SYNCD_MAGENTO_ACCESS_TOKEN_SECRET=c")...); err != nil {
		t.Error(err)
	}
}

// TestSignedAddress may begin with http://: it is signed and never called.
func TestSignedAddress(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"http://inner.example:8080": "",
		"https://shop.example.com":  "",
		"ftp://shop.example.com":    "SYNCD_MAGENTO_OAUTH_URL is not an address of a web server: write one such as https://host.example.com",
	} {
		got := ""
		if _, err := load(t, append(minimal, "SYNCD_MAGENTO_OAUTH_URL="+value)...); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

func TestApplicationInPlaceOfToken(t *testing.T) {
	t.Parallel()
	if _, err := load(t, apply(minimal, []string{"SYNCD_COPERNICA_ACCESS_TOKEN", "SYNCD_COPERNICA_CLIENT_KEY=a", "SYNCD_COPERNICA_CLIENT_SECRET=b"})...); err != nil {
		t.Error(err)
	}
}

func TestListeners(t *testing.T) {
	t.Parallel()
	for address, on := range map[string]bool{"127.0.0.1:8080": true, "[::1]:0": true, ":65535": true, "metrics.internal:9090": true, "off": false, "OFF": false} {
		cfg, err := load(t, append(minimal, "SYNCD_LISTEN="+address)...)
		if err != nil {
			t.Errorf("%s: %v", address, err)
		}
		if got, listens := cfg.ListenAddress(); listens != on || got != address {
			t.Errorf("%s: %s, %v", address, got, listens)
		}
	}
}

func TestChecksOnlyWhatIsNeeded(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(t.Context(), []string{"HOME=/home/op"})
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.Check(config.NeedState); err != nil {
		t.Errorf("state: %v", err)
	}
	if err := cfg.Check(config.NeedCopernica); err == nil {
		t.Error("a missing token was not reported")
	}
}

func TestRootCAs(t *testing.T) {
	t.Parallel()
	pool, err := config.Magento{}.RootCAs()
	if pool != nil || err != nil {
		t.Errorf("without a bundle: %v, %v", pool, err)
	}
	_, here, _, _ := runtime.Caller(0)
	bundle := filepath.Join(filepath.Dir(here), "testdata", "ca.pem")
	pool, err = config.Magento{CABundle: bundle}.RootCAs()
	if pool == nil || err != nil {
		t.Errorf("with a bundle: %v, %v", pool, err)
	}
	pool, err = config.Copernica{CABundle: bundle}.RootCAs()
	if pool == nil || err != nil {
		t.Errorf("with a bundle for Copernica: %v, %v", pool, err)
	}
}
