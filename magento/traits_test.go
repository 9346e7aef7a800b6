package magento_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

func TestTraits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		shop magentotest.Config
		want magento.Traits
	}{
		"default settings": {magentotest.Config{Customers: 7}, magento.Traits{Customers: 7, Subscription: true}},
		"no customers":     {magentotest.Config{}, magento.Traits{Subscription: true}},
		"limits on": {
			magentotest.Config{Customers: 7, Switches: magentotest.Switches{InputLimit: true}},
			magento.Traits{Customers: 7, Subscription: true, MaxPageSize: 300},
		},
		"2.3.7-p1": {
			magentotest.Config{Customers: 7, Switches: magentotest.Installed("2.3.7-p1")},
			magento.Traits{Customers: 7, Subscription: true, SubscriptionSingly: true, RepeatsLastPage: true, MaxPageSize: 300},
		},
		"2.4.2": {
			magentotest.Config{Customers: 7, Switches: magentotest.Installed("2.4.2")},
			magento.Traits{Customers: 7, Subscription: true},
		},
		"a slow shop": {
			magentotest.Config{Customers: 7, Latency: 3 * time.Second},
			magento.Traits{Customers: 7, Subscription: true, Search: 3 * time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				shop := magentotest.New(c.shop)
				client, err := magento.New(magento.Config{BaseURL: "https://shop.example", AccessToken: magentotest.AccessToken, Transport: shop.Transport()})
				if err != nil {
					t.Fatal(err)
				}
				got, err := client.Traits(t.Context(), 500)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("traits (-want +got):\n%s", diff)
				}
			})
		})
	}
}
