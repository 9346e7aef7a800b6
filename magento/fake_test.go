package magento_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento"
)

// horizon lies after every time in these tests.
var horizon = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// roundTrip is a shop in one function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return f(r)
}

// answer is an answer with the headers of a real shop; name and value pairs replace them.
func answer(r *http.Request, status int, body string, headers ...string) *http.Response {
	h := http.Header{
		"Content-Type": {"application/json; charset=utf-8"},
		"Date":         {"Sat, 21 Nov 2026 23:50:32 GMT"},
		"Set-Cookie":   {"PHPSESSID=lf44he3ue8kum827tfl254db7v; expires=Sun, 22 Nov 2026 00:50:32 GMT; Max-Age=3600; path=/; domain=127.0.0.1; HttpOnly; SameSite=Lax"},
	}
	for i := 0; i < len(headers); i += 2 {
		h.Del(headers[i])
		if headers[i+1] != "" {
			h.Set(headers[i], headers[i+1])
		}
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, Header: h,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1,
	}
}

// always answers every call alike.
func always(status int, body string, headers ...string) roundTrip {
	return func(r *http.Request) (*http.Response, error) { return answer(r, status, body, headers...), nil }
}

func client(t testing.TB, shop http.RoundTripper, change ...func(*magento.Config)) *magento.Client {
	t.Helper()
	cfg := magento.Config{BaseURL: "https://shop.example", AccessToken: "emulator", Transport: shop}
	for _, f := range change {
		f(&cfg)
	}
	c, err := magento.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// walk collects the pages of a walk and the error that ended it.
func walk(ctx context.Context, c *magento.Client, q magento.Query) ([]*magento.Page[magento.Customer], error) {
	return walkPages(ctx, c, q, math.MaxInt)
}

// walkPages is walk for at most n pages.
func walkPages(ctx context.Context, c *magento.Client, q magento.Query, n int) (pages []*magento.Page[magento.Customer], err error) {
	if q.Before.IsZero() {
		q.Before = horizon
	}
	for page, err := range c.Customers(ctx, q) {
		if err != nil {
			return pages, err
		}
		if pages = append(pages, page); len(pages) == n {
			break
		}
	}
	return pages, nil
}

// typed returns the *magento.Error in err's chain.
func typed(t *testing.T, err error) *magento.Error {
	t.Helper()
	e, ok := errors.AsType[*magento.Error](err)
	if !ok {
		t.Fatalf("error %v (%T) is no *magento.Error", err, err)
	}
	return e
}

func wantClass(t *testing.T, err error, want fault.Class) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one of class %s", want)
	}
	if got := fault.ClassOf(err); got != want {
		t.Errorf("class %s, want %s: %v", got, want, err)
	}
}

func wantText(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not mention %q", err, part)
		}
	}
}

// row prints a customer with a place.
func row(id int64, at string) string {
	return fmt.Sprintf(`{"id":%d,"updated_at":%q,"email":"c%d@example.test"}`, id, at, id)
}

// page prints a page.
func page(total int, rows ...string) string {
	return fmt.Sprintf(`{"items":[%s],"total_count":%d}`, strings.Join(rows, ","), total)
}

// narrowPage prints a page of n customers with the fields of the default mapping,
// as PHP does.
func narrowPage(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"items":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"group_id":1,"created_at":"2026-11-21 23:27:18","updated_at":"2026-11-21 23:%02d:%02d","dob":"1980-02-15",`+
			`"email":"firstname.lastname+%d@mail.example.test","firstname":"Zo\u00eb","lastname":"\u00c5ngstr\u00f6m-M\u00fcller","middlename":"van der",`+
			`"prefix":"Mevr.","gender":2,"store_id":1,"website_id":1,"created_in":"Default Store View","taxvat":"NL123456789B01",`+
			`"extension_attributes":{"is_subscribed":true}}`, i+1, i/60, i%60, i+1)
	}
	fmt.Fprintf(&b, `],"total_count":%d}`, n)
	return b.Bytes()
}
