package engine_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/recording"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The customers of a real Magento 2.4.7-p3 become these profiles. A person has read
// the golden file; a change in it is a change in what marketers see.
func TestRecordedCustomersBecomeTheseProfiles(t *testing.T) {
	customers := recordedCustomers(t)
	inWorld(t, 0, func(t *testing.T, w *world) {
		// The recordings are younger than the clock of a bubble.
		time.Sleep(time.Until(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)))
		check(w, w.shop.ImportCustomers(customers))
		n := len(w.shop.Data().Customers)
		if n < 20 {
			t.Fatalf("only %d customers were recorded", n)
		}
		report := w.run()
		if int(report.Counters.Created) != n || report.Letters != 0 {
			t.Fatalf("%d of %d arrived: %+v", report.Counters.Created, n, w.letters())
		}
		w.golden("recorded-customers.golden")
		w.inStep()
	})
}

// The orders of that shop, with their lines, become these rows below those profiles
// and the profiles of their guests.
func TestRecordedOrdersBecomeTheseRows(t *testing.T) {
	customers, orders := recordedCustomers(t), recordedOrders(t)
	inWorld(t, 0, func(t *testing.T, w *world) {
		time.Sleep(time.Until(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)))
		check(w, w.shop.ImportCustomers(customers))
		check(w, w.shop.ImportOrders(orders))
		if n := len(w.shop.Data().Orders); n < 10 {
			t.Fatalf("only %d orders were recorded", n)
		}
		w.run()
		if report := w.runOrders(); report.Letters != 0 {
			t.Fatalf("%+v", w.letters())
		}
		w.golden("recorded-orders.golden")
		w.ordersInStep()
	})
}

// golden compares the whole account with a file that a person has read.
func (w *world) golden(name string) {
	w.t.Helper()
	path := filepath.Join("testdata", name)
	got := w.account.Dump()
	if *update {
		check(w, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	check(w, err)
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		w.t.Error(diff)
	}
}

// recordedCustomers gathers every whole customer object of the recordings.
func recordedCustomers(t *testing.T) []byte {
	t.Helper()
	return recorded(t, func(raw json.RawMessage) (id int64, updated string) {
		var c struct {
			ID        int64  `json:"id"`
			UpdatedAt string `json:"updated_at"`
			Group     *int64 `json:"group_id"`
			Store     *int64 `json:"store_id"`
		}
		if json.Unmarshal(raw, &c) != nil || c.Group == nil || c.Store == nil {
			return 0, ""
		}
		return c.ID, c.UpdatedAt
	})
}

// recordedOrders gathers every whole order.
func recordedOrders(t *testing.T) []byte {
	t.Helper()
	return recorded(t, func(raw json.RawMessage) (id int64, updated string) {
		var o struct {
			ID        int64           `json:"entity_id"`
			UpdatedAt string          `json:"updated_at"`
			Number    string          `json:"increment_id"`
			Items     json.RawMessage `json:"items"`
			Payment   json.RawMessage `json:"payment"`
			Currency  string          `json:"order_currency_code"`
		}
		if json.Unmarshal(raw, &o) != nil || o.Number == "" || o.Items == nil || o.Payment == nil || o.Currency == "" {
			return 0, ""
		}
		return o.ID, o.UpdatedAt
	})
}

// recorded gathers the objects that identify tells an id of, also of answers that the
// recorder cut, each as last seen.
func recorded(t *testing.T, identify func(json.RawMessage) (id int64, updated string)) []byte {
	t.Helper()
	all, err := recording.Load(os.DirFS(filepath.Join("..", "..", "testdata", "recordings", "magento-2.4.7-p3")))
	if err != nil {
		t.Fatal(err)
	}
	type seen struct {
		updated string
		raw     json.RawMessage
	}
	last := map[int64]seen{}
	for _, e := range all {
		if e.Status != 200 {
			continue
		}
		for _, raw := range objects(e.Body) {
			if id, updated := identify(raw); id != 0 && updated >= last[id].updated {
				last[id] = seen{updated, raw}
			}
		}
	}
	var out []json.RawMessage
	for _, id := range slices.Sorted(maps.Keys(last)) {
		out = append(out, last[id].raw)
	}
	body, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// objects returns the items of a list, as far as they are whole, or a lone object.
func objects(body []byte) []json.RawMessage {
	var lone struct {
		ID json.RawMessage `json:"entity_id"` // an order has items too: its lines
	}
	_, list, ok := bytes.Cut(body, []byte(`"items": [`))
	if !ok || json.Unmarshal(body, &lone) == nil && lone.ID != nil {
		return []json.RawMessage{body}
	}
	decoder := json.NewDecoder(bytes.NewReader(append([]byte{'['}, list...)))
	if _, err := decoder.Token(); err != nil {
		return nil
	}
	var out []json.RawMessage
	for decoder.More() {
		var raw json.RawMessage
		if decoder.Decode(&raw) != nil {
			break
		}
		out = append(out, raw)
	}
	return out
}
