package engine_test

import (
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/magento/magentotest"
)

// The first write of a row goes by its key, which stands in the body too; what comes later
// goes by the id that was learnt.
func TestPromise11_ByKeyFirstThenById(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20, Orders: 30}, func(_ *testing.T, w *world) {
		calls := func(what string) (n int64) {
			for call, times := range w.account.Log().Counts() {
				if call == what {
					n += times
				}
			}
			return n
		}
		w.both()
		if byKey, byID := calls("PUT /v4/database/{id}/profiles"), calls("PUT /v4/profile/{id}"); byKey < 20 || byID != 0 {
			w.t.Errorf("first writes: %d by key, %d by id; all calls: %v", byKey, byID, w.account.Log().Counts())
		}
		for _, p := range w.account.Profiles(database) {
			if !strings.HasPrefix(p.Fields["customer_id"], "shop-") {
				w.t.Errorf("a row without its key: %v", p.Fields)
			}
		}
		w.account.Log().Reset()
		w.settle()
		for _, id := range w.ids(5) {
			w.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName += " II" })
		}
		w.both()
		if byKey, byID := calls("PUT /v4/database/{id}/profiles"), calls("PUT /v4/profile/{id}"); byKey != 0 || byID != 5 {
			w.t.Errorf("later writes: %d by key, %d by id; all calls: %v", byKey, byID, w.account.Log().Counts())
		}
	})
}

// The direct lane makes one write for each changed row, and none for any other.
func TestPromise14_OneWriteForEachChangedRow(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20, Orders: 30}, func(_ *testing.T, w *world) {
		writes := func() (n int64) {
			for call, times := range w.account.Log().Counts() {
				if strings.HasPrefix(call, "PUT ") {
					n += times
				}
			}
			return n
		}
		w.both()
		data := w.account.Profiles(database)
		rows := len(data) + len(w.account.Subprofiles(database, "Orders")) + len(w.account.Subprofiles(database, "Orders_Items"))
		if n := writes(); n != int64(rows) {
			w.t.Errorf("%d writes made %d rows", n, rows)
		}
		w.account.Log().Reset()
		w.settle()
		for _, id := range w.ids(3) {
			w.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName += " II" })
		}
		w.shop.EditOrder(w.shop.Data().Orders[0].ID, func(o *magentotest.Order) { o.Status = "on its way" })
		w.both()
		if n := writes(); n != 4 {
			w.t.Errorf("%d writes for three customers and an order: %v", n, w.account.Log().Counts())
		}
	})
}
