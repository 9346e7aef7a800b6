package copernica_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

var orderSpecs = []copernica.FieldSpec{
	{Name: "order_id", Length: 64, Index: true},
	{Name: "quantity", Type: "integer", Default: "0"},
	{Name: "total", Type: "float", Default: "0"},
	{Name: "createdAt", Type: "datetime", Default: "0000-00-00 00:00:00"},
	{Name: "status", Length: 250},
	{Name: "options", Type: "big"},
}

// withOrders returns the account's database and its collection Orders, provisioned by
// the client, and a profile.
func withOrders(t testing.TB, a *copernicatest.Account, now func() time.Time) (*copernica.Database, *copernica.Collection, copernica.KeyField, int64) {
	t.Helper()
	d, _ := provisioned(t, a, now)
	if err := d.CreateCollection(t.Context(), "Orders"); err != nil {
		t.Fatal(err)
	}
	for _, spec := range orderSpecs {
		if err := d.CreateCollectionField(t.Context(), "Orders", spec); err != nil {
			t.Fatal(err)
		}
	}
	c, key := ordersOf(t, d)
	return d, c, key, addProfile(t, a, "shop-c1")
}

func addProfile(t testing.TB, a *copernicatest.Account, key string) int64 {
	t.Helper()
	id, err := a.AddProfile("Magento", map[string]string{"customer_id": key})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// user changes the account's collections as somebody in Copernica's own screens does.
func user(t testing.TB, a *copernicatest.Account, method, path, body string) {
	t.Helper()
	send := func(address, contentType, authorization, body string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if authorization == "" {
			req.Method = http.MethodPost
		}
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("Authorization", authorization)
		resp, err := a.Transport().RoundTrip(req)
		if err != nil || resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %v, %v", method, path, resp, err)
		}
		return resp
	}
	var token bytes.Buffer
	resp := send("https://authenticate.copernica.test/", "application/x-www-form-urlencoded", "", "access_token="+copernicatest.AccessToken)
	_, _ = token.ReadFrom(resp.Body)
	_ = resp.Body.Close()
	_ = send("https://api.copernica.test/v4"+path, "application/json", "Bearer "+token.String(), body).Body.Close()
}

func stored(a *copernicatest.Account) map[string]int {
	rows := map[string]int{}
	for _, s := range a.Subprofiles("Magento", "Orders") {
		rows[fmt.Sprint(s.Parent, " ", s.Fields["order_id"])]++
	}
	return rows
}

func TestAccountLifeOfASubprofile(t *testing.T) {
	t.Parallel()
	for name, s := range switches {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := newClock()
			a := copernicatest.New(copernicatest.Config{Now: now.Now, Switches: s})
			d, c, key, profile := withOrders(t, a, now.Now)
			other := addProfile(t, a, "shop-c2")
			write := map[string]string{
				"order_id": "shop-o1", "quantity": "3", "total": "9.9", "createdAt": "2026-01-02 03:04:05",
				"status": "Séan \"x\" 👩‍👩‍👧 <b>", "options": "a\nb\t+ &=%20",
			}
			up, err := c.Upsert(t.Context(), profile, key, "shop-o1", write)
			if err != nil {
				t.Fatal(err)
			}
			known := !s.SubprofileUpsertWithoutID
			if known != (up.ID > 0) || up.Created != (known || s.PutStatus == 0) {
				t.Errorf("created: %+v", up)
			}
			// The same key under another profile is another row.
			if _, err := c.Upsert(t.Context(), other, key, "shop-o1", write); err != nil {
				t.Fatal(err)
			}
			found, err := c.Find(t.Context(), profile, key, "shop-o1")
			if err != nil || len(found) != 1 || found[0].Profile != profile || found[0].Collection != c.ID() || known && found[0].ID != up.ID {
				t.Fatalf("found %+v, %v", found, err)
			}
			if diff := cmp.Diff(write, found[0].Fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			id := found[0].ID

			now.Advance(30 * time.Hour) // another token, another schema
			write["status"] = "complete"
			if again, err := c.Upsert(t.Context(), profile, key, "shop-o1", write); err != nil || again != (copernica.Upserted{}) {
				t.Errorf("upsert of a hit: %+v, %v", again, err)
			}
			if err := c.Update(t.Context(), id, map[string]string{"total": "12.345"}); err != nil {
				t.Fatal(err)
			}
			write["total"] = "12.345"
			if got, err := c.Subprofile(t.Context(), id); err != nil || got.Removed || got.Profile != profile || !maps.Equal(got.Fields, write) {
				t.Errorf("read %+v, %v", got, err)
			}
			if _, err := c.Upsert(t.Context(), profile, key, "shop-o2", map[string]string{"order_id": "shop-o2"}); err != nil {
				t.Fatal(err)
			}
			if got, err := c.FindAnywhere(t.Context(), key, "shop-o1"); err != nil || len(got) != 2 || got[0].Profile != profile || got[1].Profile != other {
				t.Errorf("anywhere: %+v, %v", got, err)
			}
			for above, want := range map[int64]int{0: 3, id: 2} {
				if keys, complete, err := c.KeysAbove(t.Context(), key, "shop-", above); err != nil || !complete || len(keys) != want {
					t.Errorf("keys above %d: %v, %t, %v", above, keys, complete, err)
				}
			}
			if got, err := c.Below(t.Context(), profile); err != nil || len(got) != 2 || got[0].ID != id || got[1].Fields["order_id"] != "shop-o2" {
				t.Errorf("list: %+v, %v", got, err)
			}

			for range 2 {
				if err := c.Remove(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := c.Subprofile(t.Context(), id); err != nil || !got.Removed {
				t.Errorf("a removed subprofile reads as %+v, %v", got, err)
			}
			if err := c.Update(t.Context(), id, write); err != nil {
				t.Errorf("update of a removed subprofile: %v", err)
			}
			if got, err := c.Find(t.Context(), profile, key, "shop-o1"); err != nil || len(got) != 0 {
				t.Errorf("found %+v, %v", got, err)
			}
			if _, err := c.Upsert(t.Context(), profile, key, "shop-o1", write); err != nil {
				t.Fatal(err)
			}
			if got, err := c.Find(t.Context(), profile, key, "shop-o1"); err != nil || len(got) != 1 || got[0].ID <= id {
				t.Errorf("created anew: %+v, %v", got, err)
			}

			for call, err := range map[string]error{
				"read": func() error { _, err := c.Subprofile(t.Context(), 999); return err }(), "update": c.Update(t.Context(), 999, write), "remove": c.Remove(t.Context(), 999),
			} {
				if !errors.Is(err, copernica.ErrNoSubprofile) || copernica.Outcome(err) != copernica.Refused {
					t.Errorf("%s of no subprofile: %v", call, err)
				}
			}
			if _, err := c.Upsert(t.Context(), 999, key, "shop-o1", write); !errors.Is(err, copernica.ErrNoProfile) || copernica.Outcome(err) != copernica.Refused {
				t.Errorf("no such profile: %v", err)
			}
			if err := d.Remove(t.Context(), other, false); err != nil {
				t.Fatal(err)
			}
			want := map[string]int{fmt.Sprint(profile, " shop-o1"): 1, fmt.Sprint(profile, " shop-o2"): 1}
			if diff := cmp.Diff(want, stored(a)); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
}

// What a typed field gives back, which is what a mapping has to send (promise 16).
func TestPromise16_AccountTypedValues(t *testing.T) {
	t.Parallel()
	a := copernicatest.New(copernicatest.Config{})
	_, c, key, profile := withOrders(t, a, nil)
	for _, tt := range []struct{ field, sent, back string }{
		{"quantity", "3", "3"},
		{"quantity", "3.0000", "3"},
		{"quantity", "", "0"},
		{"total", "9.90", "9.9"},
		{"total", "9.9", "9.9"},
		{"total", "12.0000", "12"},
		{"total", "-0.5", "-0.5"},
		{"total", "", "0"},
		{"createdAt", "2026-01-02 03:04:05", "2026-01-02 03:04:05"},
		{"createdAt", "", "0000-00-00 00:00:00"},
		{"order_id", "shop-o1", "shop-o1"},
	} {
		write := map[string]string{"order_id": "shop-o1", tt.field: tt.sent}
		if _, err := c.Upsert(t.Context(), profile, key, "shop-o1", write); err != nil {
			t.Fatal(err)
		}
		got, err := c.Find(t.Context(), profile, key, "shop-o1")
		if err != nil || len(got) != 1 || got[0].Fields[tt.field] != tt.back {
			t.Errorf("%s %q comes back in %+v, %v; want %q", tt.field, tt.sent, got, err, tt.back)
		}
	}
}

// Copernica takes subprofiles under a removed profile (behaviour 43): Live tells.
func TestAccountRemovedParent(t *testing.T) {
	t.Parallel()
	a := copernicatest.New(copernicatest.Config{})
	d, c, key, profile := withOrders(t, a, nil)
	up, err := c.Upsert(t.Context(), profile, key, "shop-o1", order("shop-o1"))
	if err != nil {
		t.Fatal(err)
	}
	if live, err := d.Live(t.Context(), []int64{profile}); err != nil || len(live) != 1 {
		t.Errorf("live %v, %v", live, err)
	}
	if err := d.Remove(t.Context(), profile, false); err != nil {
		t.Fatal(err)
	}
	if live, err := d.Live(t.Context(), []int64{profile}); err != nil || len(live) != 0 {
		t.Errorf("live %v, %v", live, err)
	}
	if got, err := c.Subprofile(t.Context(), up.ID); err != nil || !got.Removed || got.Profile != profile {
		t.Errorf("a subprofile removed with its profile: %+v, %v", got, err)
	}
	if got, err := c.Find(t.Context(), profile, key, "shop-o1"); err != nil || len(got) != 0 {
		t.Errorf("found %+v, %v", got, err)
	}
	// What happens to a caller that does not look.
	if up, err = c.Upsert(t.Context(), profile, key, "shop-o1", order("shop-o1")); err != nil || !up.Created {
		t.Errorf("%+v, %v", up, err)
	}
}

// Keys that mean something to a URL or to a filter reach the one row they name.
func TestAccountSubprofileKeysFindThemselves(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"likeliest", "outer blanks kept", "subprofiles without id"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := copernicatest.New(copernicatest.Config{Switches: switches[name]})
			_, c, key, profile := withOrders(t, a, nil)
			other := addProfile(t, a, "shop-c2")
			written := 0
			for _, p := range pieces {
				value := "k" + p + "k"
				before := len(a.Subprofiles("Magento", "Orders"))
				for _, under := range []int64{profile, other} {
					if _, err := c.Upsert(t.Context(), under, key, value, map[string]string{"order_id": value, "status": p}); err != nil {
						if _, ok := errors.AsType[*copernica.GuardError](err); !ok {
							t.Fatalf("%q: %v", value, err)
						}
						continue
					}
					if found, err := c.Find(t.Context(), under, key, value); err != nil || len(found) != 1 || found[0].Fields["order_id"] != value {
						t.Errorf("%q: found %+v, %v", value, found, err)
					}
				}
				if n := len(a.Subprofiles("Magento", "Orders")) - before; n == 2 {
					written++
				} else if n != 0 {
					t.Errorf("%q made %d rows", value, n)
				}
			}
			if written < 40 {
				t.Errorf("only %d keys written", written)
			}
			for row, n := range stored(a) {
				if n != 1 {
					t.Errorf("%q stands %d times", row, n)
				}
			}
			if found, err := c.FindAnywhere(t.Context(), key, "k"); err != nil || len(found) != 0 {
				t.Errorf("k finds %d rows, %v", len(found), err)
			}
		})
	}
}
