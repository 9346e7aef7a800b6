package magento_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
)

// filters prints the searchCriteria of a query as a formula.
func filters(q url.Values) string {
	var groups []string
	for g := 0; ; g++ {
		var ors []string
		for f := 0; ; f++ {
			prefix := fmt.Sprintf("searchCriteria[filter_groups][%d][filters][%d]", g, f)
			if !q.Has(prefix + "[field]") {
				break
			}
			ors = append(ors, q.Get(prefix+"[field]")+" "+q.Get(prefix+"[condition_type]")+" "+q.Get(prefix+"[value]"))
		}
		if len(ors) == 0 {
			break
		}
		groups = append(groups, strings.Join(ors, " | "))
	}
	text := strings.Join(groups, " & ")
	for i := 0; q.Has(fmt.Sprintf("searchCriteria[sortOrders][%d][field]", i)); i++ {
		prefix := fmt.Sprintf("searchCriteria[sortOrders][%d]", i)
		text += "; " + q.Get(prefix+"[field]") + " " + q.Get(prefix+"[direction]")
	}
	return text
}

func TestPromise01_KeysetCriteria(t *testing.T) {
	t.Parallel()
	from, before := utc("2026-11-01 00:00:00"), utc("2026-11-21 12:00:00")
	zone := time.FixedZone("CET", 3600)
	for name, tc := range map[string]struct {
		query magento.Query
		want  string
	}{
		"from the start": {
			magento.Query{Before: before},
			"updated_at lt 2026-11-21 12:00:00; updated_at ASC; entity_id ASC",
		},
		"from a time": {
			magento.Query{Before: before, From: from},
			"updated_at gteq 2026-11-01 00:00:00 & updated_at lt 2026-11-21 12:00:00; updated_at ASC; entity_id ASC",
		},
		"after a place": {
			magento.Query{Before: before, From: from, After: magento.Cursor{UpdatedAt: utc("2026-11-10 10:00:00"), ID: 2300}},
			"updated_at gteq 2026-11-10 10:00:00 & updated_at gt 2026-11-10 10:00:00 | entity_id gt 2300 & updated_at lt 2026-11-21 12:00:00; updated_at ASC; entity_id ASC",
		},
		"another zone": {
			magento.Query{Before: before.In(zone), From: from.In(zone)},
			"updated_at gteq 2026-11-01 00:00:00 & updated_at lt 2026-11-21 12:00:00; updated_at ASC; entity_id ASC",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := roundTrip(func(r *http.Request) (*http.Response, error) {
				if got := filters(r.URL.Query()); got != tc.want {
					t.Errorf("asked for\n %s\nwant\n %s", got, tc.want)
				}
				if strings.Contains(r.URL.RawQuery, "+") {
					t.Errorf("a blank is sent as a plus: %s", r.URL.RawQuery)
				}
				if got := r.Header.Get("Accept") + " " + r.Header.Get("User-Agent"); got != "application/json syncd/1.2" {
					t.Errorf("headers %q", got)
				}
				return answer(r, 200, `{"items":null,"total_count":0}`), nil
			})
			c := client(t, shop, func(cfg *magento.Config) { cfg.UserAgent = "syncd/1.2" })
			pages, err := walk(t.Context(), c, tc.query)
			if err != nil || len(pages) != 1 || !pages[0].Last || pages[0].Next != tc.query.After {
				t.Errorf("%+v, %v", pages, err)
			}
		})
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fields []string
		want   string
	}{
		"all":    {nil, ""},
		"narrow": {[]string{"email", "extension_attributes.is_subscribed", "custom_attributes", "id"}, "items[custom_attributes,email,extension_attributes[is_subscribed],id,updated_at],total_count"},
		"two of one parent": {
			[]string{"a.b.c", "a.d", "a.b.e"},
			"items[a[b[c,e],d],id,updated_at],total_count",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := roundTrip(func(r *http.Request) (*http.Response, error) {
				if got := r.URL.Query().Get("fields"); got != tc.want {
					t.Errorf("fields %q, want %q", got, tc.want)
				}
				return answer(r, 200, `{"items":[],"total_count":0}`), nil
			})
			if _, err := walk(t.Context(), client(t, shop), magento.Query{Fields: tc.fields}); err != nil {
				t.Error(err)
			}
		})
	}
	for _, bad := range []string{"", "a[b]", "a,b", "a..b", "é"} {
		_, err := walk(t.Context(), client(t, always(200, "{}")), magento.Query{Fields: []string{bad}})
		wantClass(t, err, fault.Configuration)
		_, err = client(t, always(200, "{}")).Customer(t.Context(), 1, []string{bad})
		wantClass(t, err, fault.Configuration)
	}
	for _, err := range client(t, always(200, "{}")).Customers(t.Context(), magento.Query{}) {
		wantClass(t, err, fault.Configuration)
		wantText(t, err, "horizon")
	}
}

// A shop that does not do what it was asked stops the walk before its page is yielded.
func TestGuards(t *testing.T) {
	t.Parallel()
	const t1, t2, t3 = "2026-11-21 10:00:00", "2026-11-21 10:00:01", "2026-11-21 10:00:02"
	after := magento.Cursor{UpdatedAt: utc(t2), ID: 5}
	for name, tc := range map[string]struct {
		query magento.Query
		body  string
		class fault.Class // 0: no error
		says  string
	}{
		"good":                 {magento.Query{After: after}, page(3, row(6, t2), row(7, t2), row(1, t3)), 0, ""},
		"older than cursor":    {magento.Query{After: after}, page(1, row(9, t1)), fault.Configuration, "ignores a filter"},
		"the cursor's own row": {magento.Query{After: after}, page(1, row(5, t2)), fault.Configuration, "ignores a filter"},
		"lower id in a tie":    {magento.Query{After: after}, page(1, row(4, t2)), fault.Configuration, "ignores a filter"},
		"wrong order of time":  {magento.Query{}, page(2, row(1, t2), row(2, t1)), fault.Configuration, "sort order"},
		"wrong order of ids":   {magento.Query{}, page(2, row(2, t1), row(1, t1)), fault.Configuration, "sort order"},
		"a row twice":          {magento.Query{}, page(2, row(1, t1), row(1, t1)), fault.Configuration, "sort order"},
		"at the horizon":       {magento.Query{Before: utc(t3)}, page(1, row(1, t3)), fault.Configuration, "updated_at lt"},
		"past the horizon":     {magento.Query{Before: utc(t2)}, page(1, row(1, t3)), fault.Configuration, "updated_at lt"},
		"before from":          {magento.Query{From: utc(t2)}, page(1, row(1, t1)), fault.Configuration, "updated_at gteq"},
		"without updated_at":   {magento.Query{}, page(1, `{"id":1}`), fault.Configuration, "without updated_at"},
		"items null":           {magento.Query{}, `{"items":null,"total_count":0}`, 0, ""},
		"items empty":          {magento.Query{}, `{"items":[],"total_count":0}`, 0, ""},
		"null with a count":    {magento.Query{}, `{"items":null,"total_count":3}`, fault.Retry, "counts 3 rows and sends none"},
		"empty with a count":   {magento.Query{}, `{"items":[],"total_count":3}`, fault.Retry, "counts 3 rows and sends 0"},
		"a short page":         {magento.Query{}, page(9, row(1, t1)), fault.Retry, "counts 9 rows and sends 1"},
		"count below rows":     {magento.Query{}, page(0, row(1, t1)), 0, ""},
		"too many rows":        {magento.Query{}, string(narrowPage(301)), fault.Configuration, "ignores pageSize"},
		"malformed fields":     {magento.Query{}, `[]`, fault.Configuration, "fields parameter"},
		"no count":             {magento.Query{}, `{"items":[]}`, fault.Retry, "total_count"},
		"no items":             {magento.Query{}, `{"total_count":0}`, fault.Retry, "total_count"},
		"items of a kind":      {magento.Query{}, `{"items":{},"total_count":0}`, fault.Retry, "items"},
		"bad count":            {magento.Query{}, `{"items":[],"total_count":"x"}`, fault.Retry, "broken JSON"},
		"count as text":        {magento.Query{}, `{"total_count":"0.0","items":[]}`, 0, ""},
		"cut in a row":         {magento.Query{}, page(2, row(1, t1), row(2, t1))[:60], fault.Retry, "unexpected EOF"},
		"cut after rows":       {magento.Query{}, `{"items":[` + row(1, t1), fault.Retry, "unexpected EOF"},
		"cut before the count": {magento.Query{}, `{"items":[` + row(1, t1) + `]`, fault.Retry, "unexpected EOF"},
		"a warning after it":   {magento.Query{}, page(1, row(1, t1)) + "<br /><b>Notice</b>", fault.Retry, "broken JSON"},
		"two documents":        {magento.Query{}, page(1, row(1, t1)) + page(1, row(1, t1)), fault.Retry, "broken JSON"},
		"missing comma":        {magento.Query{}, `{"items":[` + row(1, t1) + row(2, t1) + `],"total_count":2}`, fault.Retry, "broken JSON"},
		"empty answer":         {magento.Query{}, " \n", fault.Retry, "empty answer"},
		"HTML":                 {magento.Query{}, "<html>", fault.Retry, "HTML"},
		"total counts as text": {magento.Query{}, `{"items":[` + row(1, t1) + `],"search_criteria":{"filter_groups":[],"page_size":2},"total_count":"1"}`, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pages, err := walk(t.Context(), client(t, always(http.StatusOK, tc.body)), tc.query)
			if tc.class == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantClass(t, err, tc.class)
			wantText(t, err, tc.says)
			if len(pages) > 0 {
				t.Error("the page was yielded")
			}
		})
	}
}

func TestEmails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		query magento.EmailQuery
		want  string
	}{
		"all":     {magento.EmailQuery{}, "entity_id gt 0; entity_id ASC"},
		"the end": {magento.EmailQuery{After: 7}, "entity_id gt 7; entity_id ASC"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := true
			shop := roundTrip(func(r *http.Request) (*http.Response, error) {
				q := r.URL.Query()
				size, _ := strconv.Atoi(q.Get("searchCriteria[pageSize]"))
				if q.Get("fields") != "items[email,id,website_id],total_count" && q.Get("fields") != "items[id,email,website_id],total_count" {
					t.Errorf("fields %q", q.Get("fields"))
				}
				if !first {
					return answer(r, 200, `{"items":null,"total_count":0}`), nil
				}
				first = false
				if got := filters(q); got != tc.want {
					t.Errorf("asked for %q, want %q", got, tc.want)
				}
				var rows []string
				for i := range size {
					rows = append(rows, fmt.Sprintf(`{"id":%d,"website_id":"2","email":"a@example.test"}`, 10+i))
				}
				return answer(r, 200, page(size+1, rows...)), nil
			})
			var got []int64
			for page, err := range client(t, shop).Emails(t.Context(), tc.query) {
				if err != nil {
					t.Fatal(err)
				}
				for _, item := range page.Items {
					if item.Err != nil || item.Value.WebsiteID != 2 || item.Value.Email != "a@example.test" {
						t.Fatalf("%+v", item)
					}
					got = append(got, item.ID)
				}
			}
			if len(got) != 1000 || got[0] != 10 || got[999] != 1009 {
				t.Errorf("%d ids", len(got))
			}
		})
	}
	for _, err := range client(t, always(200, page(1, `{"id":3,"email":"a"}`))).Emails(t.Context(), magento.EmailQuery{After: 3}) {
		wantClass(t, err, fault.Configuration)
	}
}

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
		"5xx":       {func(int) (int, func(string) string, time.Duration) { return 500, broken, 0 }, []int{300, 150, 75, 37, 18, 10, 10}},
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

// A count that is too low ends no walk: only a page that is not full does.
func TestWrongCount(t *testing.T) {
	t.Parallel()
	count := regexp.MustCompile(`"total_count":\d+`)
	shop := &rows{n: 1000, serve: func(int) (int, func(string) string, time.Duration) {
		return 200, func(body string) string {
			return count.ReplaceAllString(body, fmt.Sprintf(`"total_count":%d`, strings.Count(body, `"id":`)))
		}, 0
	}}
	pages, err := walk(t.Context(), client(t, shop), magento.Query{})
	if err != nil || len(pages) != 4 || pages[3].Next.ID != 1000 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
}

// A walk keeps its session, later walks take it over, and one whose request hangs
// in the shop is left alone.
func TestSessions(t *testing.T) {
	t.Parallel()
	made, fail := 0, false
	asked := map[string]int{}
	shop := roundTrip(func(r *http.Request) (*http.Response, error) {
		cookie, err := r.Cookie("PHPSESSID")
		if err != nil {
			made++
			cookie = &http.Cookie{Name: "PHPSESSID", Value: strconv.Itoa(made)}
		}
		asked[cookie.Value]++
		if fail {
			return nil, io.ErrUnexpectedEOF
		}
		inner := &rows{n: 1000, serve: func(int) (int, func(string) string, time.Duration) { return 200, nil, 0 }}
		resp, err := inner.RoundTrip(r)
		resp.Header.Set("Set-Cookie", "PHPSESSID="+cookie.Value+"; Max-Age=3600; path=/; domain=www.shop.example; HttpOnly")
		resp.Header.Add("Set-Cookie", "form_key=deleted; expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; path=/")
		return resp, err
	})
	c := client(t, shop)
	for range 3 {
		if _, err := walk(t.Context(), c, magento.Query{}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[string]int{"1": 12}, asked); diff != "" {
		t.Errorf("requests by session (-want +got):\n%s", diff)
	}
	fail = true
	if _, err := walk(t.Context(), c, magento.Query{}); err == nil {
		t.Fatal("no error")
	}
	fail = false
	if _, err := walk(t.Context(), c, magento.Query{}); err != nil {
		t.Fatal(err)
	}
	if asked["1"] != 13 || made != 2 {
		t.Errorf("requests by session %v, %d sessions", asked, made)
	}
}
