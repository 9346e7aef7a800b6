package magentotest_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/magento/magentotest"
)

// document is what the lists tell of one when nothing else is asked for.
type document struct {
	ID      int64  `json:"entity_id"`
	Order   int64  `json:"order_id"`
	Updated string `json:"updated_at"`
}

// documentsOf asks a shop for its documents of a kind, by (updated_at, entity_id).
func documentsOf(t *testing.T, s *magentotest.Shop, kind magentotest.DocumentKind) []document {
	t.Helper()
	var page struct {
		Items []document `json:"items"`
		Total int        `json:"total_count"`
	}
	path := fmt.Sprintf("/rest/all/V1/%s?searchCriteria[sortOrders][0][field]=updated_at&searchCriteria[sortOrders][0][direction]=ASC"+
		"&searchCriteria[sortOrders][1][field]=entity_id&searchCriteria[sortOrders][1][direction]=ASC&searchCriteria[pageSize]=1000"+
		"&fields=items[entity_id,order_id,updated_at],total_count", kind)
	header := http.Header{"Authorization": {"Bearer " + magentotest.AccessToken}}
	if status := send(t, s, header, "GET", path, "", &page); status != 200 || page.Total != len(page.Items) {
		t.Fatalf("status %d, %d of %d documents", status, len(page.Items), page.Total)
	}
	return page.Items
}

// TestWhatDocumentsMove follows recording updated_at-moves: invoices and refunds move
// their order, a shipment only with the order's state.
func TestWhatDocumentsMove(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := magentotest.New(magentotest.Config{})
		line := magentotest.Line{SKU: "x", Price: "10", Ordered: "3"}
		id := s.CreateOrder(magentotest.Order{Guest: true, Email: "a@example.test", Lines: []magentotest.Line{line, line}})
		of := func() magentotest.Order { return s.Data().Orders[0] }
		first, second := of().Lines[0].ID, of().Lines[1].ID
		for _, step := range []struct {
			name        string
			do          func()
			moves       bool
			state       string
			due, repaid string
		}{
			{"a first invoice", func() { s.Invoice(id, map[int64]string{first: "1"}) }, true, "processing", "50", ""},
			{"a part is shipped", func() { s.Ship(id, map[int64]string{first: "1"}) }, false, "processing", "50", ""},
			{"another part", func() { s.Ship(id, map[int64]string{first: "1", second: "2"}) }, false, "processing", "50", ""},
			{"a quiet refund", func() { s.DocumentQuietly(magentotest.CreditMemos, id, map[int64]string{first: "1"}) }, false, "processing", "50", ""},
			{"the rest is invoiced", func() { s.Invoice(id, nil) }, true, "processing", "0", ""},
			{"the rest is shipped", func() { s.Ship(id, nil) }, true, "complete", "0", ""},
			{"a refund", func() { s.Refund(id, map[int64]string{second: "3"}) }, true, "complete", "0", "30"},
			{"all of it", func() { s.Refund(id, nil) }, true, "closed", "0", "50"},
		} {
			time.Sleep(time.Minute)
			before := of()
			step.do()
			after := of()
			repaid := ""
			if after.Refunded != nil {
				repaid = after.Refunded.Of.Total
			}
			if moved := after.UpdatedAt.After(before.UpdatedAt); moved != step.moves || after.State != step.state || after.Due != step.due || repaid != step.repaid {
				t.Errorf("%s: moved %v, state %s, due %s, repaid %s", step.name, moved, after.State, after.Due, repaid)
			}
		}
		l := of().Lines[0]
		if l.Invoiced != "3" || l.Shipped != "3" || l.Refunded != "3" {
			t.Errorf("%+v", l)
		}
		at := func(minute int) string { return fmt.Sprintf("2000-01-01 00:%02d:00", minute) }
		for kind, want := range map[magentotest.DocumentKind][]document{
			magentotest.Invoices:    {{1, id, at(1)}, {2, id, at(5)}},
			magentotest.Shipments:   {{1, id, at(2)}, {2, id, at(3)}, {3, id, at(6)}},
			magentotest.CreditMemos: {{1, id, at(4)}, {2, id, at(7)}, {3, id, at(8)}},
		} {
			if diff := cmp.Diff(want, documentsOf(t, s, kind)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", kind, diff)
			}
		}
	})
}

// A shipment in a transaction that commits later is dated by its statement.
func TestALateShipment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := magentotest.New(magentotest.Config{})
		id := s.CreateOrder(magentotest.Order{Guest: true, Email: "a@example.test", Lines: []magentotest.Line{{SKU: "x", Price: "1", Ordered: "2"}}})
		s.ShipLate(id, nil, 6*time.Second)
		time.Sleep(5 * time.Second)
		if all := documentsOf(t, s, magentotest.Shipments); len(all) != 0 {
			t.Errorf("seen early: %v", all)
		}
		time.Sleep(time.Second)
		if all := documentsOf(t, s, magentotest.Shipments); len(all) != 1 || all[0].Updated != "2000-01-01 00:00:00" {
			t.Errorf("%v", all)
		}
	})
}

// TestGeneratedDocuments holds the generated documents to the lines of their orders.
func TestGeneratedDocuments(t *testing.T) {
	t.Parallel()
	data := magentotest.New(magentotest.Config{Seed: 5, Customers: 50, Orders: 400}).Data()
	have := map[magentotest.DocumentKind]map[int64]string{}
	for _, d := range data.Documents {
		if have[d.Kind] == nil {
			have[d.Kind] = map[int64]string{}
		}
		for _, l := range d.Lines {
			have[d.Kind][l.LineID] = l.Quantity
		}
	}
	if len(data.Documents) < 300 || len(have) != 3 {
		t.Fatalf("%d documents of %d kinds prove nothing", len(data.Documents), len(have))
	}
	for _, o := range data.Orders {
		for _, l := range o.Lines {
			for kind, want := range map[magentotest.DocumentKind]string{
				magentotest.Invoices: l.Invoiced, magentotest.Shipments: l.Shipped, magentotest.CreditMemos: l.Refunded,
			} {
				if want == "0" {
					want = ""
				}
				if got := have[kind][l.ID]; got != want {
					t.Errorf("order %d, line %d: %s %q, want %q", o.ID, l.ID, kind, got, want)
				}
			}
		}
	}
	again := magentotest.New(magentotest.Config{Seed: 5, Customers: 50, Orders: 400, Start: data.Orders[len(data.Orders)-1].UpdatedAt}).Data()
	if !slices.EqualFunc(data.Documents, again.Documents, func(a, b magentotest.Document) bool { return cmp.Equal(a, b) }) {
		t.Error("the same seed makes other documents")
	}
}

// A caller lacks one of the rights by itself, and is told which.
func TestDocumentsHaveRightsOfTheirOwn(t *testing.T) {
	t.Parallel()
	for resource, path := range map[string]string{
		"Magento_Sales::sales_invoice": "invoices", "Magento_Sales::shipment": "shipments", "Magento_Sales::sales_creditmemo": "creditmemos",
	} {
		s := shop(10)
		s.Switch(func(sw *magentotest.Switches) { sw.Denied = []string{resource} })
		var refused struct {
			Parameters struct{ Resources string }
		}
		header := http.Header{"Authorization": {"Bearer " + magentotest.AccessToken}}
		if status := send(t, s, header, "GET", "/rest/V1/"+path+"?searchCriteria[pageSize]=1", "", &refused); status != 401 || refused.Parameters.Resources != resource {
			t.Errorf("%s: %d, %+v", path, status, refused)
		}
		if status := send(t, s, header, "GET", "/rest/V1/orders?searchCriteria[pageSize]=1", "", nil); status != 200 {
			t.Errorf("orders without %s: %d", resource, status)
		}
	}
}
