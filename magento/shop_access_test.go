package magento_test

import (
	"sync"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

func TestShopSessions(t *testing.T) {
	t.Parallel()
	s := shop(magentotest.Config{Customers: 400})
	c := client(t, s.Transport(), func(cfg *magento.Config) { cfg.PageSize = 10 })
	for range 3 {
		if _, err := walk(t.Context(), c, magento.Query{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Sessions(); n != 1 {
		t.Errorf("three walks one after the other leave %d sessions", n)
	}
	const walks = 4
	var begun, wg sync.WaitGroup
	begun.Add(walks)
	for range walks {
		wg.Go(func() {
			first := true
			for _, err := range c.Customers(t.Context(), magento.Query{Before: horizon}) {
				if err != nil {
					t.Error(err)
				}
				if first {
					first = false
					begun.Done()
					begun.Wait()
				}
			}
		})
	}
	wg.Wait()
	if n := s.Sessions(); n != walks {
		t.Errorf("%d walks at once leave %d sessions", walks, n)
	}
}

func TestShopSignIn(t *testing.T) {
	t.Parallel()
	admin := func(cfg *magento.Config) {
		cfg.AccessToken, cfg.Username, cfg.Password, cfg.PageSize = "", "admin", "emulator-1", 50
		cfg.Now = func() time.Time { return noon }
	}
	t.Run("revoked while paging", func(t *testing.T) {
		t.Parallel()
		s := shop(magentotest.Config{Customers: 300})
		c := client(t, s.Transport(), admin)
		n := 0
		for page, err := range c.Customers(t.Context(), magento.Query{Before: horizon}) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(page.Items)
			s.RevokeTokens()
		}
		if n != 300 {
			t.Errorf("%d customers", n)
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		s := shop(magentotest.Config{Customers: 1})
		c := client(t, s.Transport(), admin, func(cfg *magento.Config) { cfg.Password = "wrong" })
		for range 8 {
			_, err := c.Customer(t.Context(), 1, nil)
			wantClass(t, err, fault.Credentials)
		}
		if n := s.Log().Total(); n != 1 {
			t.Errorf("%d calls", n)
		}
		if _, err := client(t, s.Transport(), admin).Customer(t.Context(), 1, nil); err != nil {
			t.Errorf("the account is locked: %v", err)
		}
	})
	t.Run("two factors", func(t *testing.T) {
		t.Parallel()
		s := shop(magentotest.Config{Customers: 1, Switches: magentotest.Switches{TwoFactor: true}})
		_, err := client(t, s.Transport(), admin).Customer(t.Context(), 1, nil)
		wantClass(t, err, fault.Credentials)
		wantText(t, err, "two-factor", "integration")
	})
	t.Run("bearer off", func(t *testing.T) {
		t.Parallel()
		s := shop(magentotest.Config{Customers: 1, Switches: magentotest.Switches{BearerOff: true}})
		_, err := client(t, s.Transport()).Customer(t.Context(), 1, nil)
		wantClass(t, err, fault.Credentials)
		wantText(t, err, "oauth/consumer/enable_integration_as_bearer")
	})
}
