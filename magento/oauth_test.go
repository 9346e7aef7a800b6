package magento_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// Every call of a signed client, with every kind of parameter, is taken by a shop that
// checks signatures as Magento does.
func TestSignedCallsAreTaken(t *testing.T) {
	t.Parallel()
	s := shop(magentotest.Config{Customers: 300, Orders: 40, Switches: magentotest.Switches{BearerOff: true}})
	c := client(t, s.Transport(), bySignature, overHTTP, func(cfg *magento.Config) { cfg.PageSize = 40 })
	pages, err := walk(t.Context(), c, magento.Query{From: noon.Add(-1000 * time.Hour), Fields: []string{"email", "extension_attributes.is_subscribed"}})
	if err != nil || len(ids(pages)) == 0 {
		t.Fatalf("%d customers, %v", len(ids(pages)), err)
	}
	if _, err := c.Stores(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := c.Groups(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := c.Customer(t.Context(), 1, []string{"email"}); err != nil {
		t.Error(err)
	}
	n := 0
	for page, err := range c.Orders(t.Context(), magento.Query{Before: horizon}) {
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.Items)
	}
	if n != 40 {
		t.Errorf("%d orders", n)
	}
	if got := c.Access(); got.Kind != magento.AccessOAuth || !got.Expires.IsZero() {
		t.Errorf("access %+v", got)
	}
}

func TestSignatureRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		set  func(*magento.Config)
		shop func(*magentotest.Switches)
		says []string
	}{
		"consumer key":    {func(cfg *magento.Config) { cfg.ConsumerKey = "anotherkey" }, nil, []string{"A consumer having", "check SYNCD_MAGENTO_CONSUMER_KEY"}},
		"consumer secret": {func(cfg *magento.Config) { cfg.ConsumerSecret = "anothersecret" }, nil, []string{"signature is invalid", "SYNCD_MAGENTO_CONSUMER_SECRET", "SYNCD_MAGENTO_OAUTH_URL"}},
		"token":           {func(cfg *magento.Config) { cfg.AccessToken = "anothertoken" }, nil, []string{"token does not exist", "SYNCD_MAGENTO_ACCESS_TOKEN"}},
		"token secret":    {func(cfg *magento.Config) { cfg.AccessTokenSecret = "anothersecret" }, nil, []string{"signature is invalid", "SYNCD_MAGENTO_ACCESS_TOKEN_SECRET"}},
		"TLS ends before the shop": {
			func(*magento.Config) {}, func(s *magentotest.Switches) { s.SeenAs = "https://shop.test" },
			[]string{"signature is invalid", "a proxy changes scheme, host or port", "SYNCD_MAGENTO_OAUTH_URL"},
		},
		"no permission": {
			func(*magento.Config) {}, func(s *magentotest.Switches) { s.Denied = []string{"Magento_Customer::customer"} },
			[]string{"give the integration", "Magento_Customer::customer (Customers)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shop(magentotest.Config{Customers: 3})
			if tc.shop != nil {
				s.Switch(tc.shop)
			}
			_, err := client(t, s.Transport(), bySignature, overHTTP, tc.set).Customer(t.Context(), 1, nil)
			wantClass(t, err, fault.Credentials)
			wantText(t, err, tc.says...)
			if n := s.Log().Total(); n != 1 {
				t.Errorf("%d calls for a refusal that another signature does not mend", n)
			}
		})
	}
}

func TestSignedForTheShopBehindAProxy(t *testing.T) {
	t.Parallel()
	s := shop(magentotest.Config{Customers: 3, Switches: magentotest.Switches{SeenAs: "https://www.shop.example:8443"}})
	c := client(t, s.Transport(), bySignature, overHTTP, func(cfg *magento.Config) { cfg.OAuthURL = "https://WWW.shop.example:8443/" })
	if _, err := c.Customer(t.Context(), 1, nil); err != nil {
		t.Error(err)
	}
}

// Magento takes a nonce once, and no time of more than ten minutes ahead.
func TestSignatureIsFreshForEachAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := magentotest.New(magentotest.Config{Customers: 3})
		var seen []string
		base := roundTrip(func(r *http.Request) (*http.Response, error) {
			seen = append(seen, r.Header.Get("Authorization"))
			resp, err := s.Transport().RoundTrip(r)
			if len(seen) < 3 && err == nil {
				// The shop worked on it, and used the nonce up, but its answer is lost.
				_ = resp.Body.Close()
				return answer(r, 502, "<html>", "Content-Type", "text/html"), nil
			}
			return resp, err
		})
		tr, err := httpx.New(httpx.Config{Peer: "magento", Base: base})
		if err != nil {
			t.Fatal(err)
		}
		c := client(t, tr, bySignature, overHTTP, func(cfg *magento.Config) { cfg.Now = time.Now })
		if _, err := c.Customer(t.Context(), 1, nil); err != nil {
			t.Errorf("after %d attempts: %v", len(seen), err)
		}
		if len(seen) != 3 || seen[0] == seen[1] || seen[1] == seen[2] {
			t.Errorf("%d attempts, some with one signature: %q", len(seen), seen)
		}
	})
}

func TestSignatureUsesTheShopsClock(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"an hour ahead": time.Hour, "a year ahead": 365 * 24 * time.Hour, "a day behind": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shop(magentotest.Config{Customers: 3})
			c := client(t, s.Transport(), bySignature, overHTTP, func(cfg *magento.Config) { cfg.Now = func() time.Time { return noon.Add(off) } })
			for range 3 {
				if _, err := c.Customer(t.Context(), 1, nil); err != nil {
					t.Error(err)
				}
			}
			if n := s.Log().Total(); n > 4 {
				t.Errorf("%d calls for 3: the clock is not remembered", n)
			}
		})
	}
}

// A proxy that sends a request twice spoils its nonce; the next one is taken.
func TestProxyThatRepeats(t *testing.T) {
	t.Parallel()
	s := shop(magentotest.Config{Customers: 3})
	n := 0
	twice := roundTrip(func(r *http.Request) (*http.Response, error) {
		if n++; n == 1 {
			resp, err := s.Transport().RoundTrip(r)
			if err != nil {
				return nil, err
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		return s.Transport().RoundTrip(r)
	})
	if _, err := client(t, twice, bySignature, overHTTP).Customer(t.Context(), 1, nil); err != nil || n != 2 {
		t.Errorf("%d requests, %v", n, err)
	}
}

// Over a socket the shop sees host and port as they are sent, in a folder too.
func TestSignedOverTheWire(t *testing.T) {
	t.Parallel()
	s := magentotest.New(magentotest.Config{Customers: 120, Seed: 1})
	s.Faults().Add(emulator.Fault{Status: 503, Every: 3, Times: 2})
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	c := client(t, chain(t, httpx.Config{}), bySignature, func(cfg *magento.Config) { cfg.BaseURL, cfg.PageSize = strings.ToUpper(server.URL), 30 })
	pages, err := walk(t.Context(), c, magento.Query{})
	if err != nil || len(ids(pages)) != 120 {
		t.Errorf("%d customers, %v", len(ids(pages)), err)
	}
}
