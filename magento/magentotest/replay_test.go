package magentotest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/internal/recording"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// unserved are the recordings whose route or setting this shop does not have.
var unserved = map[string]string{
	"limits-store-modules-unpaged":          "modules",
	"auth-customer-token-on-admin-resource": "customer tokens",
	"customers-me":                          "customer tokens",
	"auth-token-customer-badpw":             "customer tokens",
	"auth-token-customer-ok":                "customer tokens",
	"auth-token-customer-wrong-website":     "customer tokens",
}

// ownToken are the recordings of a good token that is refused.
var ownToken = []string{"auth-integration-bearer-off", "auth-forbidden-resource-limited-integration"}

// recordedIntegration signed the recordings oauth1-*.
var recordedIntegration = magentotest.Integration{
	ConsumerKey: "pxxv2u95hv4e8skjiaaivlmlrwwm1lee", ConsumerSecret: "rgqvrdbulstewaz279677u6zjx4llvuy",
	AccessToken: "u3qfj87bmjgrk3fhuwbu8is733pbupbu", AccessTokenSecret: "n9f20lwcje67f839apzs1z1fdp6rwb4a",
}

// reportID is the number that a shop gives an error of its own.
var reportID = regexp.MustCompile(`(webapi-|report api/)[0-9a-f]+`)

// special are the recordings that were made with other settings, faults or data.
var special = regexp.MustCompile(`^(limits|maintenance|infra|auth|oauth1)-|last-page$|memory|customer-delete$`)

func recordings(t *testing.T) []recording.Exchange {
	t.Helper()
	all, err := recording.Load(os.DirFS("../../testdata/recordings/magento-2.4.7-p3"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// recordedShop is a shop with what the recorded requests ask for.
func recordedShop(t *testing.T, all []recording.Exchange, name string) *magentotest.Shop {
	t.Helper()
	start := time.Date(2026, 11, 21, 23, 32, 57, 0, time.UTC)
	customers, orders := 3000, 0
	if name == "" || strings.HasPrefix(name, "order") {
		orders = 4000
	}
	if name == "customers-search-last-page" {
		customers = 6100
	}
	if strings.HasPrefix(name, "oauth1-") {
		customers = 50 // whom the signed calls ask for is imported
	}
	cfg := magentotest.Config{
		Seed: 7, Customers: customers, Orders: orders, Now: func() time.Time { return start.Add(time.Hour) }, Start: start,
	}
	if i := slices.IndexFunc(all, func(e recording.Exchange) bool { return e.Name == name }); strings.HasPrefix(name, "oauth1-") {
		at, err := http.ParseTime(all[i].Header.Get("Date"))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Now, cfg.Integration = func() time.Time { return at }, recordedIntegration
	}
	s := magentotest.New(cfg)
	second := time.Date(2026, 6, 15, 10, 0, 0, 0, time.UTC)
	for _, c := range s.Data().Customers {
		switch {
		case c.ID > 2000 && c.ID < 2700:
			s.EditQuietly(c.ID, func(c *magentotest.Customer) { c.UpdatedAt = second })
		case c.ID == 1005:
			s.EditQuietly(c.ID, func(c *magentotest.Customer) {
				c.Addresses = []magentotest.Address{{ID: 1, Street: []string{"Kade 1"}}}
			})
		case c.ID == 1097:
			s.EditQuietly(c.ID, func(c *magentotest.Customer) { c.Email = "Klant+promo01097@Example.test" })
		}
	}
	for _, e := range all {
		if slices.Contains([]string{"customers-search-page1", "customers-search-rest-made", "customer-get-3", "customer-get-9-minimal", "customer-1010-before"}, e.Name) {
			if err := s.ImportCustomers(e.Body); err != nil {
				t.Fatal(err)
			}
		}
	}
	importOrders(t, s, all)
	s.Delete(2)
	s.Create(magentotest.Customer{ID: 7003, WebsiteID: 2, Email: "rest3@example.test", FirstName: "Jan", LastName: "Vries"})
	s.Switch(func(sw *magentotest.Switches) {
		sw.InputLimit = strings.HasPrefix(name, "limits-") && !strings.Contains(name, "off") && !strings.Contains(name, "disabled") && !strings.Contains(name, "removed")
		if strings.Contains(name, "max50") {
			sw.MaxPageSize, sw.DefaultPageSize = 50, 20
		}
		if strings.Contains(name, "array5") {
			sw.ComplexArrayLimit = 5
		}
		if strings.Contains(name, "limited-integration") && !strings.Contains(name, "allowed") {
			sw.Denied = []string{"Magento_Sales::actions_view"}
		}
		if strings.Contains(name, "memory-256M") {
			sw.OrderRows = 500
		}
		if name == "oauth1-host-without-port-mismatch" {
			sw.SeenAs = "http://127.0.0.1"
		}
		sw.BearerOff = name == "auth-integration-bearer-off"
		sw.TwoFactor = strings.Contains(name, "-2fa-")
		if strings.Contains(name, "2fa-google") || strings.Contains(name, "2fa-on-configured") {
			sw.OTP = "573126"
		}
	})
	for prefix, fault := range map[string]emulator.Fault{
		"maintenance-": magentotest.Maintenance(), "infra-db-down": magentotest.DatabaseDown(),
		"infra-php-memory": magentotest.PHPFatal(), "infra-502": magentotest.BadGateway(), "infra-504": magentotest.GatewayTimeout(),
	} {
		if strings.HasPrefix(name, prefix) {
			s.Faults().Add(fault)
		}
	}
	if name == "oauth1-nonce-reuse" {
		// The very same request as the one before.
		for _, e := range all {
			if e.Name == "oauth1-nonce-first" {
				replay(t, s, e).Body.Close()
			}
		}
	}
	if strings.Contains(name, "lock-try8") || strings.Contains(name, "locked") {
		for range 7 {
			request := httptest.NewRequest(http.MethodPost, "/rest/V1/integration/admin/token", strings.NewReader(`{"username":"locktest","password":"x"}`))
			request.Header.Set("Content-Type", "application/json")
			s.Handler().ServeHTTP(httptest.NewRecorder(), request)
		}
	}
	return s
}

// replay sends a recorded request with this shop's credentials in the place of the
// recorded ones, unless the recorded answer refuses them.
func replay(t *testing.T, s *magentotest.Shop, e recording.Exchange) *http.Response {
	t.Helper()
	body := string(e.RequestBody)
	body = strings.NewReplacer("RefPeer-Admin-2026", magentotest.Password).Replace(body)
	if e.Status == http.StatusOK {
		body = strings.NewReplacer("Lock-Test-2026x", magentotest.Password, "locktest", magentotest.Username).Replace(body)
	}
	target := strings.ReplaceAll(e.Target, " ", "%20")
	request, err := http.NewRequestWithContext(t.Context(), e.Method, "http://shop.test"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = e.RequestHeader.Clone()
	request.Host = request.Header.Get("Host")
	// Signed calls stay as they are: the shop has their integration.
	if scheme, _, ok := strings.Cut(request.Header.Get("Authorization"), " "); !strings.EqualFold(scheme, "OAuth") &&
		(ok && e.Status != http.StatusUnauthorized || slices.Contains(ownToken, e.Name)) {
		request.Header.Set("Authorization", scheme+" "+magentotest.AccessToken)
	}
	response, err := s.Transport().RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// TestRecordings replays every recorded request line and compares status, headers and
// the shape of the body with what the real shop answered.
func TestRecordings(t *testing.T) {
	t.Parallel()
	all := recordings(t)
	plain := recordedShop(t, all, "")
	played := 0
	for _, e := range all {
		if unserved[e.Name] != "" {
			continue
		}
		played++
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			s := plain // reads under default settings leave nothing behind
			if e.Method != http.MethodGet || special.MatchString(e.Name) {
				s = recordedShop(t, all, e.Name)
			}
			response := replay(t, s, e)
			defer response.Body.Close()
			body := read(t, response)
			if response.StatusCode != e.Status {
				t.Fatalf("status %d, recorded %d; body %.300s", response.StatusCode, e.Status, body)
			}
			want := headers(e.Header)
			got := headers(response.Header)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("headers (-recorded +got):\n%s", diff)
			}
			if e.Cut {
				if len(body) < 1000 || body[0] != e.Body[0] {
					t.Errorf("body %.100s", body)
				}
				return
			}
			if diff := cmp.Diff(shape(t, e.Header, e.Body), shape(t, response.Header, body)); diff != "" {
				t.Errorf("shape (-recorded +got):\n%s\nbody %.500s", diff, body)
			}
			if strings.Contains(e.Header.Get("Content-Type"), "json") && !bytes.Equal(body, recording.PHPEscape(body)) {
				t.Errorf("not printed as PHP does: %.300s", body)
			}
		})
	}
	if played < 150 {
		t.Errorf("only %d recordings were replayed", played)
	}
}

// read returns an answer's body, unpacked.
func read(t *testing.T, response *http.Response) []byte {
	t.Helper()
	var from io.Reader = response.Body
	if response.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(from)
		if err != nil {
			t.Fatal(err)
		}
		from = unpacked
	}
	body, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// headers returns what must agree of the headers.
func headers(h http.Header) map[string]string {
	out := map[string]string{"session": fmt.Sprint(strings.Contains(strings.Join(h.Values("Set-Cookie"), " "), "PHPSESSID="))}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Cache-Control"} {
		out[name] = h.Get(name)
	}
	return out
}

// optional are the keys that a customer or an address may lack.
var optional = []string{
	"default_billing", "default_shipping", "dob", "middlename", "prefix", "gender", "taxvat", "confirmation", "custom_attributes", "company", "region_id",
}

// shape reduces a body to what must agree: kinds, keys, and the texts of errors.
func shape(t *testing.T, header http.Header, body []byte) any {
	t.Helper()
	kind := header.Get("Content-Type")
	switch {
	case len(body) == 0:
		return "empty"
	case strings.Contains(kind, "json"):
		var v any
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatalf("body %.300s: %v", body, err)
		}
		return reduce(v)
	case strings.Contains(kind, "xml"):
		return elements(t, body)
	default:
		return regexp.MustCompile(`<title>.*</title>`).FindString(string(body))
	}
}

func reduce(v any) any {
	switch v := v.(type) {
	case map[string]any:
		_, failed := v["message"]
		out := map[string]any{}
		for key, value := range v {
			switch {
			case slices.Contains(optional, key):
			case failed && (key == "message" || key == "errors"):
				out[key] = value
				if text, ok := value.(string); ok {
					out[key] = reportID.ReplaceAllString(text, "$1")
				}
			default:
				out[key] = reduce(value)
			}
		}
		return out
	case []any:
		if len(v) == 0 {
			return "[]"
		}
		if _, ok := v[0].(map[string]any); ok {
			return []any{reduce(v[0])}
		}
		return []any{kind(v[0])}
	default:
		return kind(v)
	}
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "bool"
	default:
		return "other"
	}
}

// elements returns the paths of a document's elements and the texts of its message.
func elements(t *testing.T, body []byte) map[string]string {
	t.Helper()
	out := map[string]string{}
	var path []string
	for d := xml.NewDecoder(bytes.NewReader(body)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("xml: %v", err)
		}
		at := strings.Join(path, "/")
		switch token := token.(type) {
		case xml.StartElement:
			path = append(path, token.Name.Local)
			if !slices.ContainsFunc(path, func(s string) bool { return slices.Contains(optional, s) }) {
				out[strings.Join(path, "/")] = ""
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if at == "response/message" {
				out[at] = string(token)
			}
		}
	}
}
