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
		golden := filepath.Join("testdata", "recorded-customers.golden")
		got := w.account.Dump()
		if *update {
			check(w, os.WriteFile(golden, got, 0o600))
		}
		want, err := os.ReadFile(golden)
		check(w, err)
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Error(diff)
		}
		w.inStep()
	})
}

// recordedCustomers gathers every whole customer object of the recordings, also of
// answers that the recorder cut, each customer as last seen.
func recordedCustomers(t *testing.T) []byte {
	t.Helper()
	all, err := recording.Load(os.DirFS(filepath.Join("..", "..", "testdata", "recordings", "magento-2.4.7-p3")))
	if err != nil {
		t.Fatal(err)
	}
	type seen struct {
		ID        int64  `json:"id"`
		UpdatedAt string `json:"updated_at"`
		Group     *int64 `json:"group_id"`
		Store     *int64 `json:"store_id"`
		raw       json.RawMessage
	}
	last := map[int64]seen{}
	for _, e := range all {
		if e.Status != 200 {
			continue
		}
		for _, raw := range objects(e.Body) {
			c := seen{raw: raw}
			if json.Unmarshal(raw, &c) == nil && c.ID != 0 && c.Group != nil && c.Store != nil && c.UpdatedAt >= last[c.ID].UpdatedAt {
				last[c.ID] = c
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
	_, list, ok := bytes.Cut(body, []byte(`"items": [`))
	if !ok {
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
