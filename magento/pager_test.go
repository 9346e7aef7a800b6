package magento_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
)

// rows is a shop of n customers, one a second, that serves pages of the asked size.
type rows struct {
	n     int
	serve func(size int) (status int, spoil func(string) string, delay time.Duration)
	asked []int
}

func (s *rows) RoundTrip(r *http.Request) (*http.Response, error) {
	q := r.URL.Query()
	size, _ := strconv.Atoi(q.Get("searchCriteria[pageSize]"))
	s.asked = append(s.asked, size)
	status, spoil, delay := s.serve(size)
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if status != 200 {
		return answer(r, status, spoil("")), nil
	}
	after, _ := strconv.Atoi(q.Get("searchCriteria[filter_groups][1][filters][1][value]"))
	var rows []string
	for id := after + 1; id <= min(s.n, after+size); id++ {
		rows = append(rows, row(int64(id), utc("2026-01-01 00:00:00").Add(time.Duration(id)*time.Second).Format(time.DateTime)))
	}
	body := page(s.n-after, rows...)
	if spoil != nil {
		body = spoil(body)
	}
	return answer(r, 200, body), nil
}

// Pages shrink while the shop is slow and grow back when it is fast again.
func TestPromise06_PageSizeFollowsLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := true
		shop := &rows{n: 20_000, serve: func(size int) (int, func(string) string, time.Duration) {
			if slow {
				return 200, nil, time.Duration(size) * 100 * time.Millisecond
			}
			return 200, nil, time.Duration(size) * time.Millisecond
		}}
		c := client(t, shop)
		var last magento.Cursor
		for page, err := range c.Customers(t.Context(), magento.Query{Before: horizon}) {
			if err != nil {
				t.Fatal(err)
			}
			if page.Took != time.Duration(page.Size)*100*time.Millisecond && slow {
				t.Errorf("a page of %d took %v", page.Size, page.Took)
			}
			last = page.Next
			slow = len(shop.asked) < 6
		}
		if last.ID != 20_000 {
			t.Errorf("walked to %v", last)
		}
		if diff := cmp.Diff([]int{300, 150, 75, 37, 37, 37, 37, 37, 37, 46, 46, 46, 57}, shop.asked[:13]); diff != "" {
			t.Errorf("sizes (-want +got):\n%s", diff)
		}
		if end := shop.asked[len(shop.asked)-1]; end != 300 {
			t.Errorf("the size ends at %d, want the ceiling", end)
		}
	})
}

func TestPromise05_PageSizeHalvesOnFailure(t *testing.T) {
	t.Parallel()
	cut := func(body string) string { return body[:len(body)/2] }
	broken := func(string) string { return `{"message":"Internal Error. Details are available in Magento log file."}` }
	for name, tc := range map[string]struct {
		serve func(int) (int, func(string) string, time.Duration)
		want  []int
	}{
		"502":       {func(int) (int, func(string) string, time.Duration) { return 502, broken, 0 }, []int{300, 150, 75, 37, 18, 10, 10}},
		"cut short": {func(int) (int, func(string) string, time.Duration) { return 200, cut, 0 }, []int{300, 150, 75, 37, 18, 10, 10}},
		"400":       {func(int) (int, func(string) string, time.Duration) { return 400, broken, 0 }, []int{300, 300, 300, 300, 300, 300, 300}},
		"429":       {func(int) (int, func(string) string, time.Duration) { return 429, broken, 0 }, []int{300, 300, 300, 300, 300, 300, 300}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := &rows{n: 1000, serve: tc.serve}
			c := client(t, shop)
			for range tc.want {
				if _, err := walk(t.Context(), c, magento.Query{}); err == nil {
					t.Fatal("no error")
				}
			}
			if diff := cmp.Diff(tc.want, shop.asked); diff != "" {
				t.Errorf("sizes (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("time-out", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			shop := &rows{n: 1000, serve: func(int) (int, func(string) string, time.Duration) { return 200, nil, time.Hour }}
			attempts := roundTrip(func(r *http.Request) (*http.Response, error) {
				ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
				defer cancel()
				return shop.RoundTrip(r.WithContext(ctx))
			})
			c := client(t, attempts)
			for range 2 {
				_, err := walk(t.Context(), c, magento.Query{})
				wantClass(t, err, fault.Retry)
			}
			if diff := cmp.Diff([]int{300, 150}, shop.asked); diff != "" {
				t.Errorf("sizes (-want +got):\n%s", diff)
			}
		})
	})
	t.Run("our own stop", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		shop := &rows{n: 1000, serve: func(int) (int, func(string) string, time.Duration) { cancel(); return 200, nil, time.Hour }}
		c := client(t, shop)
		if _, err := walk(ctx, c, magento.Query{}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		shop.serve = func(int) (int, func(string) string, time.Duration) { return 200, nil, 0 }
		if pages, err := walkPages(t.Context(), c, magento.Query{}, 2); err != nil || len(pages) != 2 || pages[0].Size != 300 {
			t.Errorf("%d pages, %v", len(pages), err)
		}
	})
}

func TestMaximumPageSize(t *testing.T) {
	t.Parallel()
	limit := 50
	shop := &rows{n: 1000, serve: func(size int) (int, func(string) string, time.Duration) {
		if size > limit {
			return 400, func(string) string {
				return fmt.Sprintf(`{"message":"Maximum SearchCriteria pageSize is %%max","parameters":{"max":%d}}`, limit)
			}, 0
		}
		return 200, nil, 0
	}}
	c := client(t, shop)
	pages, err := walk(t.Context(), c, magento.Query{})
	if err != nil || len(pages) != 21 || !pages[20].Last || len(pages[20].Items) != 0 {
		t.Fatalf("%d pages, %v; want 20 full ones and an empty one", len(pages), err)
	}
	if shop.asked[0] != 300 || shop.asked[1] != 50 || len(shop.asked) != 22 {
		t.Errorf("sizes %v: want the maximum at once and for good", shop.asked)
	}
	limit = 7
	if pages, err := walkPages(t.Context(), c, magento.Query{}, 1); err != nil || pages[0].Size != 7 {
		t.Errorf("%v, %v", pages, err)
	}
	limit = 0
	_, err = walk(t.Context(), c, magento.Query{})
	wantClass(t, err, fault.Configuration)
}
