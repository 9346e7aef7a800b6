package mapping_test

import (
	"testing"

	"github.com/magento-copernica/syncd/magento"
)

func TestLookupsTellWhatTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	c := jan()
	if !lookups().Knows(&c) {
		t.Error("knows not what it was given")
	}
	c.StoreID = 9
	if lookups().Knows(&c) {
		t.Error("knows a store view that was never read")
	}
}

func TestLookupsOfOrders(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*magento.Order)
		knows  bool
	}{
		{"a guest's", func(*magento.Order) {}, true},
		{"of a store view that is gone", func(o *magento.Order) { o.StoreID = 0 }, true},
		{"of a store view made since", func(o *magento.Order) { o.StoreID = 9 }, false},
		{"of a guest in a group made since", func(o *magento.Order) { o.CustomerGroupID = 9 }, false},
		{"of a customer in one: the order does not say it", func(o *magento.Order) { o.Guest, o.CustomerID, o.CustomerGroupID = false, 1, 9 }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o, names := guestOrder(), lookups()
			tc.change(&o)
			if got := names.KnowsOrder(&o); got != tc.knows {
				t.Fatalf("known: %v", got)
			}
			names.AcceptOrder(&o)
			if !names.KnowsOrder(&o) {
				t.Error("what was accepted is asked for again")
			}
			if other := guestOrder(); !names.KnowsOrder(&other) {
				t.Error("what was known is not")
			}
			o.StoreID = 10
			if names.KnowsOrder(&o) {
				t.Error("one id that was accepted stands for others")
			}
		})
	}
}

func TestLookupsAcceptWhatStaysUnknown(t *testing.T) {
	t.Parallel()
	c, names := jan(), lookups()
	c.GroupID, c.StoreID = 8, 9
	names.Accept(&c)
	if !names.Knows(&c) {
		t.Error("what was accepted is asked for again")
	}
	row, err := compiled(t).Customer(&c, names)
	if err != nil {
		t.Fatal(err)
	}
	if b := row.Body(true, false); b["group"] != "" || b["storeView"] != "" {
		t.Errorf("names of what is gone: %q, %q", b["group"], b["storeView"])
	}
	for _, change := range []func(*magento.Customer){
		func(c *magento.Customer) { c.GroupID = 9 }, // accepted as a store view
		func(c *magento.Customer) { c.StoreID = 8 }, // accepted as a group
	} {
		other := c
		if change(&other); names.Knows(&other) {
			t.Errorf("group %d, store view %d", other.GroupID, other.StoreID)
		}
	}
}
