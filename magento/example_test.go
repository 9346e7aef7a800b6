package magento_test

import (
	"context"
	"fmt"
	"time"

	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// A pass reads everything that changed before a horizon, page by page, and can be
// taken up again behind the last page it saw.
func ExampleClient_Customers() {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	shop := magentotest.New(magentotest.Config{Seed: 1, Customers: 700, Now: func() time.Time { return now }})
	client, err := magento.New(magento.Config{BaseURL: "shop.example", AccessToken: "emulator", Transport: shop.Transport()})
	if err != nil {
		fmt.Println(err)
		return
	}
	query := magento.Query{Before: now, Fields: []string{"email", "extension_attributes.is_subscribed"}}
	for page, err := range client.Customers(context.Background(), query) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, item := range page.Items {
			if item.Err != nil {
				fmt.Println(item.Err) // this record only
			}
		}
		fmt.Println(len(page.Items), "customers, last:", page.Last)
		query.After = page.Next
	}
	// Output:
	// 300 customers, last: false
	// 300 customers, last: false
	// 100 customers, last: true
}
