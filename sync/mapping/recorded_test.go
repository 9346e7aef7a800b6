package mapping_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/recording"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/sync/mapping"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The orders of a real Magento 2.4.7-p3 become these rows. A person has read the golden
// files; a change in one is a change in what marketers see.
func TestRecordedOrdersBecomeTheseRows(t *testing.T) {
	t.Parallel()
	all, err := recording.Load(os.DirFS(filepath.Join("..", "..", "testdata", "recordings", "magento-2.4.7-p3")))
	if err != nil {
		t.Fatal(err)
	}
	shop := recordedShop(all)
	client, err := magento.New(magento.Config{BaseURL: "https://shop.example", AccessToken: "recorded", Transport: shop})
	if err != nil {
		t.Fatal(err)
	}
	stores, err := client.Stores(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	groups, err := client.Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, names := compiled(t), mapping.NewLookups(stores, groups)
	n := 0
	for _, e := range all {
		if !strings.HasPrefix(e.Name, "order-get-") && e.Name != "order-after-customer-delete" {
			continue
		}
		var body struct {
			ID int64 `json:"entity_id"`
		}
		if err := json.Unmarshal(e.Body, &body); err != nil {
			t.Fatalf("%s: %v", e.Name, err)
		}
		shop["/orders/{id}"] = e
		o, err := client.Order(t.Context(), body.ID, nil)
		if err != nil {
			t.Fatalf("%s: %v", e.Name, err)
		}
		placed, err := m.Order(&o, names)
		if err != nil {
			t.Errorf("%s: %v", e.Name, err)
		}
		if !names.KnowsOrder(&o) {
			t.Errorf("%s: a name is missing", e.Name)
		}
		golden(t, e.Name+".golden.json", &placed)
		n++
	}
	if n < 12 {
		t.Errorf("only %d orders were recorded", n)
	}
}

// golden compares an order's rows with what a person has read.
func golden(t *testing.T, name string, p *mapping.Placed) {
	t.Helper()
	out := struct {
		Owner string              `json:"owner"`
		Guest map[string]string   `json:"guest,omitempty"`
		Order map[string]string   `json:"order"`
		Items []map[string]string `json:"items"`
	}{Owner: p.Owner.Key, Order: p.Order.Body(true, true)}
	if p.Owner.Guest != nil {
		out.Guest = p.Owner.Guest.Body(true, true)
	}
	for i := range p.Items {
		out.Items = append(out.Items, p.Items[i].Body(true, true))
	}
	var got bytes.Buffer
	encoder := json.NewEncoder(&got)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(out); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// shopOf answers with recorded answers, by route.
type shopOf map[string]recording.Exchange

func recordedShop(all []recording.Exchange) shopOf {
	shop := shopOf{}
	for _, e := range all {
		switch e.Name {
		case "store-websites", "store-storeGroups", "store-storeViews":
			shop["/store/"+strings.TrimPrefix(e.Name, "store-")] = e
		case "customer-groups-search":
			shop["/customerGroups/search"] = e
		}
	}
	return shop
}

func (s shopOf) RoundTrip(r *http.Request) (*http.Response, error) {
	_, path, _ := strings.Cut(r.URL.Path, "/V1")
	if strings.HasPrefix(path, "/orders/") {
		path = "/orders/{id}"
	}
	e, ok := s[path]
	if !ok {
		return nil, &fs.PathError{Op: "replay", Path: r.URL.Path, Err: fs.ErrNotExist}
	}
	return &http.Response{
		StatusCode: e.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: e.Header.Clone(),
		Body: io.NopCloser(bytes.NewReader(e.Body)), ContentLength: -1, Request: r,
	}, nil
}
