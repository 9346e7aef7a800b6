package magento_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
)

// FuzzPage feeds the client arbitrary answers. Whatever comes, it returns a typed
// outcome; a page it accepts holds exactly the rows that encoding/json finds in it,
// and a row it reads is one that encoding/json reads.
func FuzzPage(f *testing.F) {
	f.Add(page(2, row(1, "2026-11-21 10:00:00"), row(2, "2026-11-21 10:00:00")))
	f.Add(`{"items":null,"total_count":0}`)
	f.Add(`[]`)
	f.Add(`{"items":[{"id":"7","updated_at":"2026-11-21 10:00:00","email":"\u00e9\/\\\"]}","extension_attributes":[],"custom_attributes":{"1":{"attribute_code":"a","value":[1,"b"]}}}],"search_criteria":{"filter_groups":[[]]},"total_count":"1.0"}`)
	f.Add(`{"items":[{"id":1,"updated_at":"2026-11-21 10:00:00","firstname":"` + "\xff" + `"}],"total_count":1}`)
	f.Add(`{"items":[{"id":1,"updated_at":"2026-11-21 10:00:00","gender":1e3,"group_id":tru}],"total_count":1}`)
	f.Add(`{"items":[` + row(1, "2026-11-21 10:00:00") + `,`)
	f.Add(`{"total_count":1,"items":[{"id":1,"updated_at":"2026-11-21 10:00:00","a":[[{"b":"\\"}]]}]}<br />`)
	f.Add(string(narrowPage(3)))
	f.Fuzz(func(t *testing.T, body string) {
		pages, err := walkPages(t.Context(), client(t, always(http.StatusOK, body)), magento.Query{}, 1)
		if err != nil {
			if _, ok := errors.AsType[*magento.Error](err); !ok {
				t.Fatalf("untyped error %v (%T)", err, err)
			}
			if strings.ContainsAny(err.Error(), "\n\x00") || len(err.Error()) > 1000 {
				t.Fatalf("error %q", err)
			}
			return
		}
		page := pages[0]
		var printed struct {
			Items []json.RawMessage `json:"items"`
		}
		if !json.Valid([]byte(body)) {
			// Then it is one of the rows that is broken, and it is told.
			bad := 0
			for _, item := range page.Items {
				if item.Err != nil {
					bad++
				}
			}
			if bad == 0 && len(page.Items) > 0 {
				t.Fatalf("broken JSON was accepted: %q", body)
			}
		} else if json.Unmarshal([]byte(body), &printed) == nil && strings.Count(body, "tems") == 1 && len(printed.Items) != len(page.Items) {
			t.Fatalf("%d rows, printed are %d", len(page.Items), len(printed.Items))
		}
		previous := magento.Cursor{}
		for _, item := range page.Items {
			if item.ID <= 0 || item.UpdatedAt.IsZero() || !item.UpdatedAt.Before(horizon) {
				t.Fatalf("a row without its place: %+v", item)
			}
			if item.UpdatedAt.Before(previous.UpdatedAt) || item.UpdatedAt.Equal(previous.UpdatedAt) && item.ID <= previous.ID {
				t.Fatalf("row %d is out of order", item.ID)
			}
			previous = magento.Cursor{UpdatedAt: item.UpdatedAt, ID: item.ID}
			if item.Err != nil && fault.ClassOf(item.Err) != fault.Record {
				t.Fatalf("row error %v", item.Err)
			}
			if item.Err == nil && item.Value.ID != item.ID {
				t.Fatalf("row %d holds %d", item.ID, item.Value.ID)
			}
		}
		if page.Next != previous && len(page.Items) > 0 {
			t.Fatalf("next %v, last row %v", page.Next, previous)
		}
	})
}
