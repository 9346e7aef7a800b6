package magento_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
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
		"of some store views": {
			magento.Query{Before: before, After: magento.Cursor{UpdatedAt: utc("2026-11-10 10:00:00"), ID: 2300}, Stores: []int64{1, 3}},
			"updated_at gteq 2026-11-10 10:00:00 & updated_at gt 2026-11-10 10:00:00 | entity_id gt 2300 & updated_at lt 2026-11-21 12:00:00 & " +
				"store_id in 1,3; updated_at ASC; entity_id ASC",
		},
		"of some customers": {
			magento.Query{Before: before, Customers: []int64{7, 9}},
			"updated_at lt 2026-11-21 12:00:00 & customer_id in 7,9; updated_at ASC; entity_id ASC",
		},
		"of guests": {
			magento.Query{Before: before, Guests: true},
			"updated_at lt 2026-11-21 12:00:00 & customer_is_guest eq 1; updated_at ASC; entity_id ASC",
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
				if q.Get("fields") != "items[id,email,website_id,confirmation],total_count" {
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
