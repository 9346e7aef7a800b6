package copernica_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica"
)

// expression is what Copernica makes of one fields[] parameter: it is cut at the
// first operator, and nothing is quoted (copernica-behaviours 36).
type expression struct{ Name, Operator, Value string }

// decode reads a query as PHP and Copernica do. It shares nothing with the client.
func decode(query string) (map[string]string, []expression, error) {
	params, err := url.ParseQuery(query)
	if err != nil {
		return nil, nil, err
	}
	var filters []expression
	others := map[string]string{}
	for name, values := range params {
		if name != "fields[]" {
			others[name] = strings.Join(values, "|")
			continue
		}
		for _, v := range values {
			filters = append(filters, split(v))
		}
	}
	return others, filters, nil
}

func split(s string) expression {
	for i := range len(s) {
		for _, op := range []string{"==", "!=", "<>", "<=", ">=", "=~", "!~", "<", ">", "="} {
			if strings.HasPrefix(s[i:], op) {
				return expression{s[:i], op, s[i+len(op):]}
			}
		}
	}
	return expression{Name: s}
}

// pieces are what values are made of: everything that means something to a URL, to
// a form decoder or to Copernica's expressions, beside ordinary text.
var pieces = []string{
	"+", " ", "%", "%2B", "%20", "%3D", "%00", "&", "=", "==", "!=", "<>", "<", ">", "<=", ">=", "=~", "!~", "~", "!",
	"#", "?", "/", "\\", ";", ",", "'", `"`, "[", "]", "fields[]=", "&create=0", "&fields[]=id>0", "*", "_", "$", "{", "}", "|", "^", "`",
	"jan", "O'Brien", "john+tag@example.org", "JAN@X.NL", "shop-c123", "0", "00", "é", "ß", "ı", "İ", "日本", "👩‍👩‍👧", "\u00a0", "\u2028", "\u202e",
	"e\u0301", "\ufeff", "\t", "\n", "\r\n", "\x00", "\x1f", "\x7f", "\u0085", "\xff", "\xc3", "\xed\xa0\x80", "�",
}

func randomValue(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(6) {
		switch r.IntN(4) {
		case 0:
			b.WriteByte(byte(r.IntN(256)))
		case 1:
			b.WriteRune(rune(r.IntN(0x11000)))
		default:
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
	}
	return b.String()
}

// randomly says how many values are tried, and gives their source.
func randomly(t *testing.T) (count int, r *rand.Rand) {
	t.Helper()
	count = 100_000
	if testing.Short() {
		count = 10_000
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return count, rand.New(rand.NewPCG(seed, 0))
}

// agreeing has a wire find nothing and take every write, and returns what it is sent last.
func agreeing(w *wire) *request {
	last := new(request)
	w.any = func(req request) (*http.Response, error) {
		*last = req
		if req.Method == http.MethodGet {
			return reply(200, "application/json", `{"start":0,"limit":1000,"count":0,"data":[],"total":0}`), nil
		}
		return reply(204, "", ""), nil
	}
	return last
}

// enough expects that many of the values could be written.
func enough(t *testing.T, written, count int) {
	t.Helper()
	t.Logf("%d of %d values written", written, count)
	if written < count/10 {
		t.Errorf("only %d of %d values were fit to be written", written, count)
	}
}

// Whatever a value holds, it arrives as one condition on the key and nothing else.
func TestPromise12_FiltersArriveAsMeant(t *testing.T) {
	t.Parallel()
	count, r := randomly(t)
	w := newWire()
	d, key := open(t, w, newClock().Now)
	last := agreeing(w)
	written := 0
	for i := range count {
		value := randomValue(r)
		if i < len(pieces) {
			value = pieces[i]
		}
		w.log = w.log[:0]

		if _, err := d.Find(t.Context(), key, value); err != nil {
			t.Fatalf("find %q: %v", value, err)
		}
		others, filters, err := decode(last.Query)
		if err != nil {
			t.Fatalf("find %q sent %q: %v", value, last.Query, err)
		}
		if len(filters) != 1 || filters[0] != (expression{"customer_id", "==", value}) {
			t.Fatalf("find %q arrives as %q", value, filters)
		}
		if len(others) != 3 || others["orderby"] != "id" || others["order"] != "asc" || others["limit"] != "1000" {
			t.Fatalf("find %q has parameters %q", value, others)
		}
		if strings.ContainsAny(last.Query, "+ ") || last.Path != "/database/7/profiles" {
			t.Fatalf("find %q sent %q", value, last.Full)
		}

		fields := map[string]string{"customer_id": value, "firstname": randomValue(r), "email": value}
		if _, err := d.Upsert(t.Context(), key, value, fields); err != nil {
			if _, ok := errors.AsType[*copernica.GuardError](err); !ok {
				t.Fatalf("upsert %q: %v", value, err)
			}
			if last.Method != http.MethodGet {
				t.Fatalf("upsert %q was refused and sent", value)
			}
			continue
		}
		written++
		others, filters, err = decode(last.Query)
		if err != nil || len(filters) != 1 || filters[0] != (expression{"customer_id", "==", value}) ||
			len(others) != 1 || others["create"] != "1" {
			t.Fatalf("upsert %q sent %q", value, last.Query)
		}
		var body struct{ Fields map[string]string }
		if err := json.Unmarshal([]byte(last.Body), &body); err != nil || !utf8.ValidString(last.Body) {
			t.Fatalf("upsert %q: body %q: %v", value, last.Body, err)
		}
		if diff := cmp.Diff(fields, body.Fields); diff != "" {
			t.Fatalf("upsert %q: fields (-want +got):\n%s", value, diff)
		}
	}
	enough(t, written, count)
}

// The same for subprofiles, whose profile stands in the path and whose body is flat.
func TestPromise12_SubprofileFiltersArriveAsMeant(t *testing.T) {
	t.Parallel()
	count, r := randomly(t)
	w := newWire()
	c, key := openOrders(t, w, newClock().Now)
	last := agreeing(w)
	arrives := func(call, value, path string, others map[string]string) {
		t.Helper()
		got, filters, err := decode(last.Query)
		if err != nil || len(filters) != 1 || filters[0] != (expression{"order_id", "==", value}) || !maps.Equal(got, others) ||
			last.Path != path || strings.ContainsAny(last.Query, "+ ") {
			t.Fatalf("%s of %q sent %q: %q, %q, %v", call, value, last.Full, filters, got, err)
		}
	}
	list := map[string]string{"orderby": "id", "order": "asc", "limit": "1000"}
	written := 0
	for i := range count {
		value, profile := randomValue(r), 1+r.Int64N(1<<40)
		if i < len(pieces) {
			value = pieces[i]
		}
		w.log = w.log[:0]
		below := fmt.Sprintf("/profile/%d/subprofiles/12", profile)
		if _, err := c.Find(t.Context(), profile, key, value); err != nil {
			t.Fatalf("find %q: %v", value, err)
		}
		arrives("find", value, below, list)
		if _, err := c.FindAnywhere(t.Context(), key, value); err != nil {
			t.Fatalf("find anywhere %q: %v", value, err)
		}
		arrives("find anywhere", value, "/collection/12/subprofiles", list)

		fields := map[string]string{"order_id": value, "status": randomValue(r)}
		if _, err := c.Upsert(t.Context(), profile, key, value, fields); err != nil {
			if _, ok := errors.AsType[*copernica.GuardError](err); !ok || last.Method != http.MethodGet {
				t.Fatalf("upsert %q, after %s: %v", value, last.Method, err)
			}
			continue
		}
		written++
		arrives("upsert", value, below, map[string]string{"create": "1"})
		var body map[string]string
		if err := json.Unmarshal([]byte(last.Body), &body); err != nil || !utf8.ValidString(last.Body) || !maps.Equal(fields, body) {
			t.Fatalf("upsert %q: body %q: %v", value, last.Body, err)
		}
	}
	enough(t, written, count)
}

func ExampleDatabase_Upsert() {
	w := newWire()
	c, _ := copernica.New(copernica.Config{AccessToken: accessToken, Transport: w})
	ctx := exampleContext()
	d, _ := c.Database(ctx, "Magento")
	key, _ := d.KeyField("customer_id")
	_, err := d.Upsert(ctx, key, "shop-c1+2", map[string]string{"customer_id": "shop-c1+2", "firstname": "Jan"})
	put := w.sent("PUT ")[0]
	fmt.Println(put, put.Body, copernica.Outcome(err))
	// Output: PUT /database/7/profiles?fields%5B%5D=customer_id%3D%3Dshop-c1%2B2&create=1 {"fields":{"customer_id":"shop-c1+2","firstname":"Jan"}} acknowledged
}
