package magento_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/recording"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

var (
	singleRoute = regexp.MustCompile(`/V1/customers/(\d+)$`)
	orderRoute  = regexp.MustCompile(`/V1/orders/(\d+)$`)

	documentRoute = regexp.MustCompile(`/V1/(invoices|shipments|creditmemos)$`)
)

// TestRecordings answers the client with every recorded exchange of a route it uses,
// as printed and as PHP sends it, and holds what it makes of it against the table in
// testdata/recordings.golden. SYNCD_TEST_UPDATE=1 writes the table anew; read it then.
func TestRecordings(t *testing.T) {
	t.Parallel()
	all, err := recording.Load(os.DirFS("../testdata/recordings/magento-2.4.7-p3"))
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, e := range all {
		run := operation(e)
		if run == nil {
			continue
		}
		printed, escaped := e, e
		if e.Header.Get("Content-Encoding") == "gzip" {
			// The recorder shows such a body unpacked.
			printed.Body, escaped.Body = pack(t, e.Body), pack(t, recording.PHPEscape(e.Body))
		} else if strings.HasPrefix(e.Header.Get("Content-Type"), "application/json") {
			escaped.Body = recording.PHPEscape(e.Body)
		}
		first, second := run(t, printed), run(t, escaped)
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("%s: the escaped body reads otherwise (-printed +escaped):\n%s", e.Name, diff)
		}
		fmt.Fprintf(&table, "%s (%d)\n%s", e.Name, e.Status, first)
	}
	golden := filepath.Join("testdata", "recordings.golden")
	if os.Getenv("SYNCD_TEST_UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(table.String(), "\n")); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

// operation returns what the client does on the recorded route, or nil for a success
// of a route that it does not use. The result is one indented line a call.
func operation(e recording.Exchange) func(*testing.T, recording.Exchange) string {
	path, query, _ := strings.Cut(e.Target, "?")
	switch {
	case e.Method == http.MethodPost && (strings.HasSuffix(path, "/V1/integration/admin/token") || strings.HasSuffix(path, "/V1/tfa/provider/google/authenticate")):
		return func(t *testing.T, e recording.Exchange) (text string) {
			// A refused code is followed by that of the next step, half a minute later.
			synctest.Test(t, func(t *testing.T) { text = signInOutcome(t, e) })
			return text
		}
	case e.Method != http.MethodGet:
		return elsewhere(e)
	case strings.HasSuffix(path, "/V1/customers/search"):
		return func(t *testing.T, e recording.Exchange) string {
			values, err := url.ParseQuery(query)
			if err != nil {
				t.Fatal(err)
			}
			size, _ := strconv.Atoi(values.Get("searchCriteria[pageSize]"))
			readSingly(t, e)
			return pageOutcome(t, e, max(0, size))
		}
	case singleRoute.MatchString(path):
		return func(t *testing.T, e recording.Exchange) string {
			id, err := strconv.ParseInt(singleRoute.FindStringSubmatch(path)[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			got, err := client(t, replay(e), credentials(e)).Customer(t.Context(), id, nil)
			if err != nil {
				return failed("customer", err)
			}
			sameAsPrinted(t, e.Name, e.Body, got)
			return fmt.Sprintf("  customer: %s\n", brief(got))
		}
	case documentRoute.MatchString(path):
		return documentsOutcome(magento.DocumentKind(documentRoute.FindStringSubmatch(path)[1]), query)
	case strings.HasSuffix(path, "/V1/orders"):
		return ordersOutcome(query)
	case orderRoute.MatchString(path):
		return orderOutcome(orderRoute.FindStringSubmatch(path)[1])
	case regexp.MustCompile(`/(V1|v1)//?store/(websites|storeGroups|storeViews)$`).MatchString(path):
		return structureOutcome
	case strings.HasSuffix(path, "/V1/customerGroups/search"):
		return func(t *testing.T, e recording.Exchange) string {
			got, err := client(t, replay(e), credentials(e)).Groups(t.Context())
			if err != nil {
				return failed("groups", err)
			}
			return fmt.Sprintf("  groups: %v\n", got)
		}
	}
	return elsewhere(e)
}

// elsewhere has the client read a customer where the shop refused something that the
// client never asks: what stands before a shop, and old or wrong addresses of its own,
// answer so on any route.
func elsewhere(e recording.Exchange) func(*testing.T, recording.Exchange) string {
	if e.Status < http.StatusMultipleChoices || e.Method == http.MethodHead {
		return nil
	}
	return func(t *testing.T, e recording.Exchange) string {
		_, err := client(t, replay(e), credentials(e)).Customer(t.Context(), 1, nil)
		if err == nil {
			t.Errorf("%s: status %d is no error", e.Name, e.Status)
			return ""
		}
		return failed("customer", err)
	}
}

// credentials takes up those that the recorded call came with, where they are of a kind
// of their own.
func credentials(e recording.Exchange) func(*magento.Config) {
	return func(cfg *magento.Config) {
		scheme, token, _ := strings.Cut(e.RequestHeader.Get("Authorization"), " ")
		switch {
		case scheme == "OAuth":
			cfg.ConsumerKey, cfg.ConsumerSecret, cfg.AccessTokenSecret = "emulator", "emulator", "emulator"
		case strings.Count(token, ".") == 2:
			cfg.AccessToken = token
		}
	}
}

// replay answers every call with the exchange.
func replay(e recording.Exchange) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		resp := answer(r, e.Status, string(e.Body))
		resp.Header = e.Header.Clone()
		return resp, nil
	}
}

func pageOutcome(t *testing.T, e recording.Exchange, size int) string {
	c := client(t, replay(e), credentials(e), func(cfg *magento.Config) { cfg.PageSize = size })
	pages, err := walkPages(t.Context(), c, magento.Query{}, 1)
	if err != nil {
		return failed("page", err)
	}
	var answer struct {
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(e.Body, &answer); err != nil {
		t.Fatal(err)
	}
	page := pages[0]
	if len(answer.Items) != len(page.Items) {
		t.Errorf("%s: %d items, printed are %d", e.Name, len(page.Items), len(answer.Items))
	}
	text := fmt.Sprintf("  page: %d of %d, last %v\n", len(page.Items), page.Total, page.Last)
	for i, item := range page.Items {
		if item.Err != nil {
			t.Errorf("%s: %v", e.Name, item.Err)
			continue
		}
		sameAsPrinted(t, e.Name, answer.Items[i], item.Value)
		text += "    " + brief(item.Value) + "\n"
	}
	return text
}

// readSingly decodes each printed row by itself, also where the page as a whole is not
// what a walk would have asked for.
func readSingly(t *testing.T, e recording.Exchange) {
	t.Helper()
	var printed struct {
		Items []json.RawMessage `json:"items"`
	}
	if json.Unmarshal(e.Body, &printed) != nil {
		return
	}
	for _, raw := range printed.Items {
		var row struct{ ID int64 }
		if err := json.Unmarshal(raw, &row); err != nil {
			t.Fatal(err)
		}
		got, err := client(t, always(http.StatusOK, string(raw))).Customer(t.Context(), row.ID, nil)
		if err != nil {
			t.Errorf("%s: %v", e.Name, err)
			continue
		}
		sameAsPrinted(t, e.Name, raw, got)
	}
}

func signInOutcome(t *testing.T, e recording.Exchange) string {
	route := e.Target[strings.Index(e.Target, "/V1/"):]
	used := ""
	shop := roundTrip(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, route) {
			return replay(e)(r)
		}
		used = r.Header.Get("Authorization")
		return answer(r, http.StatusOK, customer), nil
	})
	c := client(t, shop, func(cfg *magento.Config) {
		cfg.AccessToken, cfg.Username, cfg.Password = "", "admin", "emulator-1"
		if strings.Contains(route, "/tfa/") {
			cfg.TOTPSecret = magentotest.TOTPSecret
		}
	})
	if err := call(t, c); err != nil {
		return failed("sign-in", err)
	}
	if want := "Bearer " + strings.Trim(string(e.Body), "\"\n"); used != want {
		t.Errorf("%s: Authorization %q, want %q", e.Name, used, want)
	}
	return "  sign-in: accepted\n"
}

func structureOutcome(t *testing.T, e recording.Exchange) string {
	path, _, _ := strings.Cut(e.Target, "?")
	route := path[strings.LastIndex(path, "/"):]
	shop := roundTrip(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, route) {
			return replay(e)(r)
		}
		return answer(r, http.StatusOK, `[]`), nil
	})
	got, err := client(t, shop, credentials(e)).Stores(t.Context())
	if err != nil {
		return failed("stores", err)
	}
	return fmt.Sprintf("  stores: %+v\n", got)
}

// failed prints what the table keeps of an error.
func failed(what string, err error) string {
	text := fmt.Sprintf("  %s: %s", what, fault.ClassOf(err))
	if e, ok := errors.AsType[*magento.Error](err); ok {
		text += fmt.Sprintf(", %s, message %q, code %q", e.Shape, e.Message, e.Code)
		if errors.Is(err, magento.ErrNotFound) {
			text += ", no such record"
		}
	}
	return text + "\n    " + err.Error() + "\n"
}

// brief prints what is not empty of a customer.
func brief(c magento.Customer) string {
	text := fmt.Sprintf("%d updated %s", c.ID, c.UpdatedAt.Format(time.DateTime))
	for _, one := range []struct{ name, value string }{
		{"email", c.Email},
		{"prefix", c.Prefix},
		{"first", c.FirstName},
		{"middle", c.MiddleName},
		{"last", c.LastName},
		{"suffix", c.Suffix},
		{"gender", c.Gender},
		{"born", c.BirthDate},
		{"taxvat", c.TaxVAT},
		{"in", c.CreatedIn},
		{"confirmation", c.Confirmation},
	} {
		if one.value != "" {
			text += fmt.Sprintf(", %s %q", one.name, one.value)
		}
	}
	if !c.CreatedAt.IsZero() {
		text += fmt.Sprintf(", created %s, group %d store %d website %d", c.CreatedAt.Format(time.DateTime), c.GroupID, c.StoreID, c.WebsiteID)
	}
	if c.Subscribed {
		text += ", subscribed"
	}
	if c.Attributes != nil {
		text += fmt.Sprintf(", %v", c.Attributes)
	}
	return text
}

// sameAsPrinted compares a customer with its JSON, read by other means.
func sameAsPrinted(t *testing.T, name string, printed []byte, got magento.Customer) {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(printed, &m); err != nil {
		t.Fatal(err)
	}
	text := func(field string) string {
		switch v := m[field].(type) {
		case nil:
			return ""
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64)
		default:
			return fmt.Sprint(v)
		}
	}
	when := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		return at.Format(time.DateTime)
	}
	number := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	for field, value := range map[string]string{
		"id": number(got.ID), "website_id": number(got.WebsiteID), "store_id": number(got.StoreID), "group_id": number(got.GroupID),
		"email": got.Email, "firstname": got.FirstName, "middlename": got.MiddleName, "lastname": got.LastName, "prefix": got.Prefix, "suffix": got.Suffix,
		"gender": got.Gender, "dob": got.BirthDate, "taxvat": got.TaxVAT, "created_in": got.CreatedIn, "confirmation": got.Confirmation,
		"created_at": when(got.CreatedAt), "updated_at": when(got.UpdatedAt),
	} {
		want := text(field)
		if want == "0" && value == "" {
			want = ""
		}
		if value != want {
			t.Errorf("%s: %s is %q, printed is %q", name, field, value, want)
		}
	}
	extension, _ := m["extension_attributes"].(map[string]any)
	if subscribed, _ := extension["is_subscribed"].(bool); subscribed != got.Subscribed {
		t.Errorf("%s: subscribed %v, printed is %v", name, got.Subscribed, subscribed)
	}
	custom, _ := m["custom_attributes"].([]any)
	if len(custom) != len(got.Attributes) {
		t.Errorf("%s: attributes %v, printed are %v", name, got.Attributes, custom)
	}
	for _, a := range custom {
		attribute := a.(map[string]any)
		if code := attribute["attribute_code"].(string); got.Attributes[code] != attribute["value"] {
			t.Errorf("%s: attribute %s is %q, printed is %q", name, code, got.Attributes[code], attribute["value"])
		}
	}
}

func pack(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
