package main

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/magento/magentotest"
)

// The trial in the README names people of the made-up shop: a guest who ordered on the
// website of the customer who takes their e-mail.
func TestReadmeNamesPeopleOfTheEmulatedShop(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	number := func(pattern string) int {
		m := regexp.MustCompile(pattern).FindSubmatch(text)
		if m == nil {
			t.Fatalf("the README has no %s", pattern)
		}
		n, _ := strconv.Atoi(string(m[1]))
		return n
	}
	customers := number(`emulate magento .*--customers (\d+)`)
	guest, customer := number(`"email":"gast(\d+)@example\.test"`), number(`"email":"gast.*/customers/(\d+)`)
	shop := magentotest.New(magentotest.Config{Seed: 1, Customers: customers, Orders: 2 * customers}).Data()
	orders := 0
	for _, o := range shop.Orders {
		if o.Guest && (o.StoreID == 1 || o.StoreID == 3) && strings.EqualFold(strings.TrimSpace(o.Email), "gast"+strconv.Itoa(guest)+"@example.test") {
			orders++
		}
	}
	if orders != 4 {
		t.Errorf("the guest has %d orders, the README says four", orders)
	}
	there := false
	for _, c := range shop.Customers {
		there = there || c.ID == int64(customer) && c.WebsiteID == 1 && c.Confirmation == ""
	}
	if !there {
		t.Errorf("customer %d is not confirmed on the first website", customer)
	}
}
