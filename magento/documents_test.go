package magento_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/recording"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// walkDocuments is walkPages for documents.
func walkDocuments(ctx context.Context, c *magento.Client, q magento.DocumentQuery, n int) (pages []*magento.Page[magento.Document], err error) {
	if q.Before.IsZero() {
		q.Before = horizon
	}
	for page, err := range c.Documents(ctx, q) {
		if err != nil {
			return pages, err
		}
		if pages = append(pages, page); len(pages) == n {
			break
		}
	}
	return pages, nil
}

// documentsOutcome is what the client makes of a recorded page of documents.
func documentsOutcome(kind magento.DocumentKind, query string) func(*testing.T, recording.Exchange) string {
	return func(t *testing.T, e recording.Exchange) string {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		size, _ := strconv.Atoi(values.Get("searchCriteria[pageSize]"))
		c := client(t, replay(e), credentials(e), func(cfg *magento.Config) { cfg.PageSize = max(0, size) })
		pages, err := walkDocuments(t.Context(), c, magento.DocumentQuery{Kind: kind}, 1)
		if err != nil {
			return failed("page", err)
		}
		text := fmt.Sprintf("  page: %d of %d, last %v\n", len(pages[0].Items), pages[0].Total, pages[0].Last)
		for _, item := range pages[0].Items {
			text += fmt.Sprintf("    %d of order %d at %s, %v\n", item.ID, item.Value.OrderID, item.UpdatedAt.Format(time.DateTime), item.Err)
		}
		return text
	}
}

var documentKinds = []magento.DocumentKind{magento.Invoices, magento.Shipments, magento.CreditMemos}

// expected are a shop's documents of a kind changed in [from, before), in the order of a walk.
func expected(s *magentotest.Shop, kind magento.DocumentKind, from, before time.Time) []magento.Document {
	var all []magento.Document
	for _, d := range s.Data().Documents {
		if string(d.Kind) == string(kind) && !d.UpdatedAt.Before(from) && d.UpdatedAt.Before(before) {
			all = append(all, magento.Document{ID: d.ID, OrderID: d.OrderID, UpdatedAt: d.UpdatedAt})
		}
	}
	slices.SortFunc(all, func(a, b magento.Document) int {
		return cmp.Or(a.UpdatedAt.Compare(b.UpdatedAt), cmp.Compare(a.ID, b.ID))
	})
	return all
}

func values(pages []*magento.Page[magento.Document]) (all []magento.Document) {
	for _, page := range pages {
		for _, item := range page.Items {
			all = append(all, item.Value)
		}
	}
	return all
}

// Each document once, by its own time, from wherever a walk is taken up; and of each only
// what was asked for.
func TestPromise01_EveryDocumentOnce(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2.3.7-p1", "2.4.7"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			settings := magentotest.Installed(version)
			settings.BearerOff = false
			s := shop(magentotest.Config{Customers: 50, Orders: 1500, Switches: settings})
			var narrow []string
			s.OnRequest(func(r *http.Request) { narrow = append(narrow, r.URL.Query().Get("fields")) })
			for _, kind := range documentKinds {
				c := client(t, s.Transport(), overHTTP, func(cfg *magento.Config) { cfg.PageSize = 40 })
				from, before := noon.Add(-300*24*time.Hour), noon.Add(-36*time.Hour).Add(time.Second)
				pages, err := walkDocuments(t.Context(), c, magento.DocumentQuery{Kind: kind, From: from, Before: before}, math.MaxInt)
				if err != nil {
					t.Fatal(err)
				}
				want := expected(s, kind, from, before)
				if diff := gocmp.Diff(want, values(pages)); diff != "" || len(want) < 50 {
					t.Errorf("%d %s (-want +got):\n%s", len(want), kind, diff)
				}
				middle := len(pages) / 2
				rest, err := walkDocuments(t.Context(), c, magento.DocumentQuery{Kind: kind, After: pages[middle].Next, Before: before}, math.MaxInt)
				if err != nil {
					t.Fatal(err)
				}
				if diff := gocmp.Diff(values(pages[middle+1:]), values(rest)); diff != "" {
					t.Errorf("%s, taken up (-whole +rest):\n%s", kind, diff)
				}
			}
			for _, fields := range narrow {
				if fields != "items[entity_id,order_id,updated_at],total_count" {
					t.Errorf("asked for %s", fields)
				}
			}
		})
	}
}

// TestDocumentsThatAreWithheld tells a right that is missing from a shop that is down.
func TestDocumentsThatAreWithheld(t *testing.T) {
	t.Parallel()
	const noRoute = `{"message":"Request does not match any route."}`
	for _, tc := range []struct {
		name             string
		shop             http.RoundTripper
		withheld, broken bool
		class            fault.Class
		says             string
	}{
		{"the right is missing", denying("Magento_Sales::shipment"), true, false, fault.Credentials, "Sales > Operations > Shipments"},
		{"a firewall", always(403, "<html><title>Forbidden</title></html>", "Content-Type", "text/html"), true, false, fault.Configuration, "let this machine through"},
		{"the module is off", always(404, noRoute), true, false, fault.Configuration, "its Magento module"},
		{"the filter is dropped", always(200, page(1, `{"entity_id":1,"order_id":2,"updated_at":"2031-01-01 00:00:00"}`)), true, false, fault.Configuration, "ignores the filter"},
		{"an exception", always(500, `{"message":"Internal Error. Details are available in Magento log file. Report ID: webapi-1"}`), false, true, fault.Retry, ""},
		{"maintenance", faulty(magentotest.Maintenance()), false, false, fault.Retry, "maintenance"},
		{"no database", faulty(magentotest.DatabaseDown()), false, false, fault.Retry, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := walkDocuments(t.Context(), client(t, tc.shop), magento.DocumentQuery{Kind: magento.Shipments}, 1)
			wantClass(t, err, tc.class)
			wantText(t, err, tc.says)
			if magento.Withheld(err) != tc.withheld || magento.Broken(err) != tc.broken {
				t.Errorf("withheld %v, broken %v: %v", magento.Withheld(err), magento.Broken(err), err)
			}
		})
	}
	if magento.Withheld(context.Canceled) || magento.Broken(nil) {
		t.Error("anything is withheld")
	}
	_, err := walkDocuments(t.Context(), client(t, always(200, page(0))), magento.DocumentQuery{Kind: "refunds"}, 1)
	wantClass(t, err, fault.Configuration)
}

func denying(resource string) http.RoundTripper {
	return shop(magentotest.Config{Orders: 5, Customers: 5, Switches: magentotest.Switches{Denied: []string{resource}}}).Transport()
}

func faulty(f emulator.Fault) http.RoundTripper {
	s := shop(magentotest.Config{Orders: 5, Customers: 5})
	s.Faults().Add(f)
	return s.Transport()
}

// One document that the shop cannot show hides no other one (promise 5), and one without
// an order is told as such.
func TestPromise05_OneBadDocumentHidesNoOther(t *testing.T) {
	t.Parallel()
	s := shop(magentotest.Config{Customers: 50, Orders: 300})
	for _, kind := range documentKinds {
		want := expected(s, kind, time.Time{}, horizon)
		bad := want[len(want)/2].ID
		s.Switch(func(sw *magentotest.Switches) {
			sw.Poison.Document = func(k magentotest.DocumentKind, id int64) bool { return string(k) == string(kind) && id == bad }
		})
		c := client(t, s.Transport(), overHTTP, func(cfg *magento.Config) { cfg.PageSize = 50 })
		pages, err := walkDocuments(t.Context(), c, magento.DocumentQuery{Kind: kind}, math.MaxInt)
		if err != nil {
			t.Fatal(err)
		}
		var seen []int64
		for _, p := range pages {
			for _, item := range p.Items {
				seen = append(seen, item.ID)
				if (item.Err != nil) != (item.ID == bad) {
					t.Errorf("%s %d: %v", kind, item.ID, item.Err)
				}
			}
		}
		slices.Sort(seen)
		if len(seen) != len(want) || len(slices.Compact(seen)) != len(want) {
			t.Errorf("%d of %d %s", len(seen), len(want), kind)
		}
	}
	c := client(t, always(200, page(1, `{"entity_id":"1","order_id":null,"updated_at":"2026-01-01 00:00:00"}`)))
	pages, err := walkDocuments(t.Context(), c, magento.DocumentQuery{Kind: magento.Invoices}, 1)
	if err != nil || pages[0].Items[0].Err == nil || !strings.Contains(pages[0].Items[0].Err.Error(), "order_id") {
		t.Errorf("%+v, %v", pages, err)
	}
}

// readOrders reads orders by their ids.
func readOrders(ctx context.Context, c *magento.Client, ids []int64) (items []magento.Item[magento.Order], err error) {
	for page, err := range c.OrdersOf(ctx, ids, []string{"increment_id"}) {
		if err != nil {
			return items, err
		}
		items = append(items, page.Items...)
	}
	return items, nil
}

func TestOrdersOfSomeIDs(t *testing.T) {
	t.Parallel()
	s := shop(magentotest.Config{Customers: 50, Orders: 500})
	var all []int64
	for _, o := range s.Data().Orders {
		all = append(all, o.ID)
	}
	for _, tc := range []struct {
		name  string
		ids   []int64
		want  []int64
		calls int64
	}{
		{"none", nil, nil, 0},
		{"one", all[7:8], all[7:8], 1},
		{"in any order, twice, and one that is not there", []int64{all[30], 99_999, all[2], all[30]}, []int64{all[2], all[30]}, 1},
		{"a full page", all[:100], all[:100], 1},
		{"more than a page", all[:150], all[:150], 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := s.Log().Total()
			items, err := readOrders(t.Context(), client(t, s.Transport(), overHTTP), tc.ids)
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, item := range items {
				got = append(got, item.ID)
			}
			if calls := s.Log().Total() - before; !slices.Equal(got, tc.want) || calls != tc.calls {
				t.Errorf("%v in %d calls, want %v in %d", got, calls, tc.want, tc.calls)
			}
		})
	}
	t.Run("two of them poisoned", func(t *testing.T) {
		bad := []int64{all[3], all[60]}
		s.Switch(func(sw *magentotest.Switches) {
			sw.Poison.Order = func(id int64) bool { return slices.Contains(bad, id) }
		})
		items, err := readOrders(t.Context(), client(t, s.Transport(), overHTTP), all[:80])
		if err != nil || len(items) != 80 {
			t.Fatalf("%d orders, %v", len(items), err)
		}
		for _, item := range items {
			if (item.Err != nil) != slices.Contains(bad, item.ID) {
				t.Errorf("order %d: %v", item.ID, item.Err)
			}
		}
	})
	t.Run("the filter is dropped", func(t *testing.T) {
		_, err := readOrders(t.Context(), client(t, always(200, page(1, `{"entity_id":8,"updated_at":"2026-01-01 00:00:00"}`))), []int64{7, 9})
		wantClass(t, err, fault.Configuration)
		wantText(t, err, "8", "not asked for")
	})
}
