package magento_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
)

// silentShop lists customers without a word about consent; single answers about one.
func silentShop(n int, single func(id int64) (int, string)) (roundTrip, func() []int64) {
	var mu sync.Mutex
	var asked []int64
	return func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/customers/search") {
				var rows []string
				for id := range n {
					rows = append(rows, row(int64(id+1), "2026-11-21 10:00:00"))
				}
				return answer(r, 200, page(n, rows...)), nil
			}
			id, err := strconv.ParseInt(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], 10, 64)
			if err != nil {
				return nil, err
			}
			mu.Lock()
			asked = append(asked, id)
			mu.Unlock()
			status, body := single(id)
			return answer(r, status, body), nil
		}, func() []int64 {
			mu.Lock()
			defer mu.Unlock()
			return asked
		}
}

var withConsent = magento.Query{Fields: []string{"email", "extension_attributes.is_subscribed"}}

func told(id int64, extension string) string {
	return fmt.Sprintf(`{"id":%d,"updated_at":"2026-11-21 11:00:00"%s}`, id, extension)
}

// Who is missing from a list's word is read singly; the rest of the row stays the list's.
func TestConsentThatAListLeavesOut(t *testing.T) {
	t.Parallel()
	shop, asked := silentShop(20, func(id int64) (int, string) {
		switch {
		case id == 5:
			return 404, `{"message":"No such entity with %fieldName = %fieldValue","parameters":{"fieldName":"customerId","fieldValue":5}}`
		case id%2 == 0:
			return 200, told(id, `,"extension_attributes":{"is_subscribed":true}`)
		}
		return 200, told(id, `,"extension_attributes":{"is_subscribed":false}`)
	})
	pages, err := walk(t.Context(), client(t, shop), withConsent)
	if err != nil || len(pages) != 1 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, item := range pages[0].Items {
		if item.Value.Subscribed != (item.ID%2 == 0) || item.Value.Email == "" || !item.Value.UpdatedAt.Equal(utc("2026-11-21 10:00:00")) {
			t.Errorf("%+v", item.Value)
		}
	}
	if n := len(asked()); n != 20 {
		t.Errorf("%d single reads", n)
	}
	t.Run("not asked for", func(t *testing.T) {
		t.Parallel()
		shop, asked := silentShop(20, func(int64) (int, string) { return 500, "" })
		if _, err := walk(t.Context(), client(t, shop), magento.Query{Fields: []string{"email"}}); err != nil || len(asked()) != 0 {
			t.Errorf("%d single reads, %v", len(asked()), err)
		}
	})
	t.Run("cannot be read", func(t *testing.T) {
		t.Parallel()
		shop, _ := silentShop(20, func(int64) (int, string) { return 503, maintenance })
		pages, err := walk(t.Context(), client(t, shop), withConsent)
		wantClass(t, err, fault.Retry)
		if len(pages) != 0 {
			t.Error("a page with unknown consent was yielded")
		}
	})
}

// A shop without a newsletter is found out once, and said once.
func TestShopWithoutANewsletter(t *testing.T) {
	t.Parallel()
	for name, extension := range map[string]string{"no attributes": "", "PHP's empty list": `,"extension_attributes":[]`, "another attribute": `,"extension_attributes":{"x":1}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop, asked := silentShop(100, func(id int64) (int, string) { return 200, told(id, extension) })
			var log bytes.Buffer
			c := client(t, shop, func(cfg *magento.Config) { cfg.Log = slog.New(slog.NewTextHandler(&log, nil)) })
			for range 3 {
				pages, err := walk(t.Context(), c, withConsent)
				if err != nil || len(ids(pages)) != 100 {
					t.Fatalf("%d customers, %v", len(ids(pages)), err)
				}
			}
			if n := len(asked()); n > 2 {
				t.Errorf("%d single reads, want as many as are in flight at once", n)
			}
			if diff := cmp.Diff(1, strings.Count(log.String(), "takes the newsletter")+strings.Count(log.String(), "take the newsletter")); diff != "" {
				t.Errorf("said so (-want +got):\n%s\n%s", diff, log.String())
			}
		})
	}
}
