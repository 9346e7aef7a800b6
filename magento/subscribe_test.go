package magento_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// A customer is unsubscribed on the website that they belong to, and nothing else of
// them changes but updated_at (magento-rest.md, "Writing customers").
func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	s := shop(magentotest.Config{Customers: 300})
	c := client(t, s.Transport())
	done := map[int64]bool{}
	for _, before := range s.Data().Customers {
		if before.NewsletterStatus != magentotest.Subscribed || done[before.WebsiteID] {
			continue
		}
		done[before.WebsiteID] = true
		if err := c.Unsubscribe(t.Context(), before.ID); err != nil {
			t.Fatalf("website %d: %v", before.WebsiteID, err)
		}
		for _, after := range s.Data().Customers {
			if after.ID != before.ID {
				continue
			}
			if after.NewsletterStatus == magentotest.Subscribed {
				t.Errorf("website %d: still subscribed", before.WebsiteID)
			}
			if after.FirstName != before.FirstName || after.Email != before.Email || after.GroupID != before.GroupID || len(after.Addresses) != len(before.Addresses) {
				t.Errorf("more than the subscription changed: %+v, then %+v", before, after)
			}
		}
		writes := puts(s)
		if err := c.Unsubscribe(t.Context(), before.ID); err != nil || puts(s) != writes {
			t.Errorf("who is not subscribed was written again: %v", err)
		}
	}
	if len(done) < 2 {
		t.Fatalf("websites tried: %v", done)
	}
}

func TestUnsubscribeWhomTheShopDoesNotHave(t *testing.T) {
	t.Parallel()
	s := shop(magentotest.Config{Customers: 5})
	err := client(t, s.Transport()).Unsubscribe(t.Context(), 999)
	if !errors.Is(err, magento.ErrNotFound) || puts(s) != 0 {
		t.Errorf("%v, %d writes", err, puts(s))
	}
}

func TestUnsubscribeWithoutThePermission(t *testing.T) {
	t.Parallel()
	s := shop(magentotest.Config{Customers: 30})
	s.Switch(func(sw *magentotest.Switches) { sw.Denied = []string{"Magento_Customer::manage"} })
	for _, customer := range s.Data().Customers {
		if customer.NewsletterStatus != magentotest.Subscribed {
			continue
		}
		err := client(t, s.Transport()).Unsubscribe(t.Context(), customer.ID)
		if fault.ClassOf(err) == fault.Record || err == nil || !strings.Contains(err.Error(), "Magento_Customer::manage") {
			t.Errorf("%v", err)
		}
		return
	}
	t.Fatal("nobody is subscribed")
}

// puts counts the writes that reached a shop.
func puts(s *magentotest.Shop) int {
	n := 0
	for call, count := range s.Log().Counts() {
		if strings.HasPrefix(call, http.MethodPut+" ") {
			n += int(count)
		}
	}
	return n
}
