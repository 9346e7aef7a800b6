package copernicatest_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

// TestBehaviour14to24_Values sends values as JSON into each kind of field and reads
// back what became of them. The clock stands at 2026-01-15 12:00:00 in Amsterdam.
func TestBehaviour14to24_Values(t *testing.T) {
	t.Parallel()
	_, c := account(t, copernicatest.Switches{})
	id := c.create("Shop", m{})
	tests := []struct{ field, value, want string }{
		{"firstname", `"  a b "`, "  a b "},
		{"firstname", `true`, "1"},
		{"firstname", `false`, ""},
		{"firstname", `null`, ""},
		{"firstname", `["x"]`, ""},
		{"firstname", `{"a":1}`, ""},
		{"firstname", `-2`, "-2"},
		{"firstname", `2.99`, "2.99"},
		{"firstname", `9.90`, "9.9"},
		{"firstname", `1000.0`, "1000"},
		{"firstname", `1e25`, "1.0E+25"},
		{"firstname", `"😀é\u0000/\"\\"`, "😀é\x00/\"\\"},
		{"email", `"no address"`, "no address"},
		{"level", `"gold"`, "gold"},
		{"level", `"Gold"`, ""},
		{"level", `"silver"`, "silver"},
		{"level", `"silver "`, ""},
		{"level", `" bronze"`, " bronze"},
		{"level", `"bronze"`, ""},
		{"level", `true`, "1"},
		{"orders", `"12abc"`, "12"},
		{"orders", `""`, "0"},
		{"orders", `null`, "0"},
		{"orders", `"true"`, "0"},
		{"orders", `true`, "1"},
		{"orders", `2.99`, "2"},
		{"orders", `-2.99`, "-2"},
		{"orders", `"   3 "`, "3"},
		{"orders", `"1e3"`, "1000"},
		{"orders", `[]`, "0"},
		{"orders", `["x"]`, "1"},
		{"orders", `9999999999999999999`, "-8446744073709551616"},
		{"orders", `"9999999999999999999"`, "9223372036854775807"},
		{"spent", `9.90`, "9.9"},
		{"spent", `"1,234.56"`, "1"},
		{"spent", `" 2.99  "`, "2.99"},
		{"spent", `"x"`, "0"},
		{"spent", `".5"`, "0.5"},
		{"spent", `-1.5e-7`, "-1.5E-7"},
		{"seen", `"2020-01-02 03:04:05"`, "2020-01-02 03:04:05"},
		{"seen", `"  2020-01-02t03:04:05  "`, "2020-01-02 03:04:05"},
		{"seen", `"2020-01-02t03:04:05.987654"`, "2020-01-02 03:04:05"},
		{"seen", `"2020-01-02 03:4"`, "2020-01-02 03:04:00"},
		{"seen", `"2020-01-02 03:"`, "0000-00-00 00:00:00"},
		{"seen", `"2020-01-02 03:04 02:00"`, "0000-00-00 00:00:00"},
		{"seen", `"2020-01-02tz03:04"`, "0000-00-00 00:00:00"},
		{"seen", `"2020-2"`, "2020-02-01 00:00:00"},
		{"seen", `"2020 2"`, "0000-00-00 00:00:00"},
		{"seen", `"1900-01-001 00:00"`, "0000-00-00 00:00:00"},
		{"seen", `"2020-02-30"`, "2020-03-01 00:00:00"},
		{"seen", `"2020-02-32"`, "0000-00-00 00:00:00"},
		{"seen", `"31/12/2020"`, "0000-00-00 00:00:00"},
		{"seen", `"12/31/2020"`, "2020-12-31 00:00:00"},
		{"seen", `"31-12-2020"`, "2020-12-31 00:00:00"},
		{"seen", `"31.12.2020 08:00"`, "2020-12-31 08:00:00"},
		{"seen", `"20201231"`, "2020-12-31 00:00:00"},
		{"seen", `"2 January 2020"`, "2020-01-02 00:00:00"},
		{"seen", `"Jan 2, 2020 5:06"`, "2020-01-02 05:06:00"},
		{"seen", `"Sat, 30 Apr 2016 17:52:13 GMT"`, "2016-04-30 19:52:13"},
		{"seen", `1959`, "2026-01-15 19:59:00"},
		{"seen", `1960`, "1960-01-15 12:00:00"},
		{"seen", `1596979546`, "0000-00-00 00:00:00"},
		{"seen", `"@1577934245"`, "2020-01-02 04:04:05"},
		{"seen", `999`, "0000-00-00 00:00:00"},
		{"seen", `"a"`, "2026-01-15 12:00:00"},
		{"seen", `"aa"`, "0000-00-00 00:00:00"},
		{"seen", `"now"`, "2026-01-15 12:00:00"},
		{"seen", `"yesterday"`, "2026-01-14 00:00:00"},
		{"seen", `"+1 day"`, "2026-01-16 12:00:00"},
		{"seen", `"2020-01-31 10:00 +1 month"`, "2020-03-02 10:00:00"},
		{"seen", `true`, "0000-00-00 00:00:00"},
		{"seen", `null`, "0000-00-00 00:00:00"},
		{"seen", `"2020-01-02 03:04:05z"`, "2020-01-02 04:04:05"},
		{"seen", `"2020-01-02 03:04:05utc"`, "2020-01-02 04:04:05"},
		{"seen", `"2020-01-02 03:04:05+03:00"`, "2020-01-02 01:04:05"},
		{"seen", `"2020-07-02T03:04:05-0430"`, "2020-07-02 09:34:05"},
		{"seen", `"2020-01-02 03:04:05+1:"`, "0000-00-00 00:00:00"},
		// Summer time ends: two moments, one wall time. It begins: 02:30 does not exist.
		{"seen", `"2020-10-25 00:30:00Z"`, "2020-10-25 02:30:00"},
		{"seen", `"2020-10-25 01:30:00Z"`, "2020-10-25 02:30:00"},
		{"seen", `"2020-03-29 02:30"`, "2020-03-29 03:30:00"},
		{"seen", `"2020-03-29 03:30"`, "2020-03-29 03:30:00"},
		{"seen", `"1937-06-01 12:00"`, "1937-06-01 12:00:00"},
		{"birthdate", `"1980-01-15 23:59:59"`, "1980-01-15"},
		{"birthdate", `"1980-01-15 23:59:59Z"`, "1980-01-16"},
		{"birthdate", `1959`, "2026-01-15"},
		{"birthdate", `1960`, "1960-01-15"},
		{"birthdate", `""`, "0000-00-00"},
		{"birthdate", `"0000-00-00 23:59:59"`, "0000-00-00"},
		{"maybe_date", `"nonsense"`, ""},
		{"maybe_date", `"0000-00-00"`, ""},
		{"maybe_date", `"0000-00-01"`, "0000-00-00"},
		{"maybe_date", `"2020-2"`, "2020-02-01"},
		{"maybe_seen", `"0000-00-01 00:00"`, "0000-00-00 00:00:00"},
		{"maybe_seen", `false`, ""},
	}
	for _, tt := range tests {
		c.want(204, "PUT", "/profile/"+id, `{"fields":{"`+tt.field+`":`+tt.value+`}}`)
		if got := c.profile(id).Fields[tt.field]; got != tt.want {
			t.Errorf("%s = %s: stored %q, want %q", tt.field, tt.value, got, tt.want)
		}
	}
}

func TestBehaviour15_EverythingIsAString(t *testing.T) {
	t.Parallel()
	_, c := account(t, copernicatest.Switches{})
	id := c.create("Shop", m{"orders": 3})
	var got map[string]any
	c.decode(c.want(200, "GET", "/profile/"+id, ""), &got)
	delete(got, "secret")
	want := map[string]any{
		"ID": id, "database": "102", "interests": []any{}, "removed": false,
		"created": "2026-01-15 12:00:00", "modified": "2026-01-15 12:00:00",
		"fields": map[string]any{
			"customer_id": "", "email": "", "firstname": "", "newsletter": "", "level": " bronze", "orders": "3", "spent": "0",
			"birthdate": "0000-00-00", "seen": "0000-00-00 00:00:00", "maybe_date": "", "maybe_seen": "", "notes": "",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var list map[string]json.RawMessage
	c.decode(c.want(200, "GET", "/database/Shop/profiles", ""), &list)
	for name, want := range map[string]string{"start": "0", "limit": "100", "count": "1", "total": "1"} {
		if string(list[name]) != want {
			t.Errorf("%s is %s, want %s", name, list[name], want)
		}
	}
}

func TestBehaviour24_LeftOutTakesTheDefault(t *testing.T) {
	t.Parallel()
	_, c := account(t, copernicatest.Switches{})
	if got := c.profile(c.create("Shop", m{"firstname": "x"})).Fields["orders"]; got != "-1" {
		t.Errorf("left out: %q, want -1", got)
	}
	if got := c.profile(c.create("Shop", m{"orders": nil})).Fields["orders"]; got != "0" {
		t.Errorf("null: %q, want 0", got)
	}
}

func TestBehaviour25_Secret(t *testing.T) {
	t.Parallel()
	h := clock()
	a := copernicatest.New(copernicatest.Config{Now: h.Now})
	fill(t, a)
	c := newCaller(t, a)
	r := c.want(201, "POST", "/database/Shop/profiles", `{"secret":"mine","fields":{}}`)
	id := r.header.Get("X-Created")
	if got := c.profile(id).Secret; len(got) != 28 {
		t.Errorf("secret %q after POST, want 28 hex digits", got)
	}
	h.Add(1e9)
	c.want(204, "PUT", "/profile/"+id, `{"secret":"mïne"}`)
	p := c.profile(id)
	if p.Secret != "m?ne" || p.Modified != p.Created {
		t.Errorf("secret %q modified %s, want m?ne and no move", p.Secret, p.Modified)
	}
	if got := c.list("/database/Shop/profiles", "", "code==m?ne").Count; got != 1 {
		t.Errorf("found by code: %d", got)
	}
}

func TestBehaviour26_LongText(t *testing.T) {
	t.Parallel()
	long := "ééééééééééééééééééééé!" // 22 characters for 20
	_, cut := account(t, copernicatest.Switches{})
	if got := cut.profile(cut.create("Shop", m{"firstname": long, "notes": long})).Fields; got["firstname"] != "éééééééééééééééééééé" || got["notes"] != long {
		t.Errorf("cut: %q", got)
	}
	_, keep := account(t, copernicatest.Switches{LongText: copernicatest.LongTextKept})
	if got := keep.profile(keep.create("Shop", m{"firstname": long})).Fields["firstname"]; got != long {
		t.Errorf("kept: %q", got)
	}
	_, refuse := account(t, copernicatest.Switches{LongText: copernicatest.LongTextRefuse})
	refuse.refused("Invalid data provided", "POST", "/database/Shop/profiles", body(m{"firstname": long}))
	if n := refuse.list("/database/Shop/profiles", "").Count; n != 0 {
		t.Errorf("refused, yet %d profiles", n)
	}
}

// TestBehaviour14_NothingIsRefused throws pieces of dates and numbers at every kind of
// field: each write succeeds, and what was stored is stored unchanged when it is sent
// again (promise 16). Zeros in an empty_date are the exception: sent back they are empty
// (behaviour 23).
func TestBehaviour14_NothingIsRefused(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	_, c := account(t, copernicatest.Switches{})
	id := c.create("Shop", m{})
	pieces := []string{
		"2020", "-", "02", "/", "30", " ", ":", "T", "Z", "+", "1", "jan", "@", ".", "e", "utc", "day", "\\", "é", "0000", "12", "a", "europe/amsterdam", ",",
	}
	for range 800 {
		s := ""
		for range rng.IntN(9) {
			s += pieces[rng.IntN(len(pieces))]
		}
		sent := m{}
		for name := range c.profile(id).Fields {
			sent[name] = s
		}
		c.want(204, "PUT", "/profile/"+id, body(sent))
		stored := c.profile(id).Fields
		for _, name := range []string{"maybe_date", "maybe_seen"} {
			if strings.HasPrefix(stored[name], "0000-00-00") {
				delete(stored, name)
			}
		}
		c.want(204, "PUT", "/profile/"+id, body(stored))
		again := c.profile(id).Fields
		for name, want := range stored {
			if again[name] != want {
				t.Fatalf("%q: %s is %q, then %q", s, name, want, again[name])
			}
		}
	}
}
