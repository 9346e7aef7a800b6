package copernica_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/fault"
)

// switches are the answers nobody knows: a client must be right under each.
var switches = map[string]copernicatest.Switches{
	"likeliest":              {},
	"token in access_token":  {TokenKey: "access_token"},
	"token in token":         {TokenKey: "token"},
	"token in jwt":           {TokenKey: "jwt"},
	"authorization_token":    {TokenKey: "authorization_token"},
	"token quoted":           {TokenQuoted: true},
	"token for an hour":      {TokenLifetime: time.Hour},
	"refused with 401":       {AuthFailure: 401, AuthHostFailure: 401},
	"refused with 403":       {AuthFailure: 403, AuthHostFailure: 403},
	"tokens outlive":         {TokensOutliveRevocation: true},
	"unknown filter ignored": {UnknownFilter: copernicatest.UnknownFilterIgnored},
	"unknown field refused":  {UnknownFieldRefused: true},
	"outer blanks kept":      {KeepOuterBlanks: true},
	"loose comparison":       {AccentsEqual: true, TrailingBlanksEqual: true},
	"long text kept":         {LongText: copernicatest.LongTextKept},
	"long text refused":      {LongText: copernicatest.LongTextRefuse},
	"puts answer 200":        {PutStatus: 200},
	"puts answer 303":        {PutStatus: 303},
	"upserts race":           {UpsertRace: time.Millisecond},
	"next id":                {NextID: true},
	"modified stays":         {NewFieldKeepsModified: true},
	"same names":             {SameNames: true},
	"subprofiles without id": {SubprofileUpsertWithoutID: true},
	"303 and without id":     {SubprofileUpsertWithoutID: true, PutStatus: 303},
}

var specs = []copernica.FieldSpec{
	{Name: "customer_id", Length: 64, Index: true},
	{Name: "email", Type: "email", Length: 160},
	{Name: "firstname", Length: 250},
	{Name: "birthdate", Type: "date", Default: "0000-00-00"},
	{Name: "registrationDate", Type: "datetime", Default: "0000-00-00 00:00:00"},
}

func accountClient(t testing.TB, a *copernicatest.Account, now func() time.Time) *copernica.Client {
	t.Helper()
	c, err := copernica.New(copernica.Config{AccessToken: copernicatest.AccessToken, Transport: a.Transport(), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// provisioned returns the account's database with its fields.
func provisioned(t testing.TB, a *copernicatest.Account, now func() time.Time) (*copernica.Database, copernica.KeyField) {
	t.Helper()
	return provision(t, accountClient(t, a, now))
}

func provision(t testing.TB, c *copernica.Client) (*copernica.Database, copernica.KeyField) {
	t.Helper()
	d, err := c.Database(t.Context(), "magento")
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range specs {
		if err := d.CreateField(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
	}
	key, err := d.KeyField("customer_id")
	if err != nil {
		t.Fatal(err)
	}
	return d, key
}

func TestAccountLifeOfAProfile(t *testing.T) {
	t.Parallel()
	for name, s := range switches {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := newClock()
			a := copernicatest.New(copernicatest.Config{Now: now.Now, Switches: s})
			d, key := provisioned(t, a, now.Now)
			if err := d.CreateCollection(t.Context(), "Orders"); err != nil {
				t.Fatal(err)
			}
			if err := d.CreateCollectionField(t.Context(), "Orders", copernica.FieldSpec{Name: "order_id", Length: 64, Index: true}); err != nil {
				t.Fatal(err)
			}
			if s, err := d.Refresh(t.Context()); err != nil || len(s.Fields) != len(specs) || len(s.Collections) != 1 || len(s.Collections[0].Fields) != 1 {
				t.Fatalf("schema %+v, %v", s, err)
			}

			want := map[string]string{
				"customer_id": "shop-c1", "email": "o'brien+tag@example.org", "firstname": "Séan \"x\" 👩‍👩‍👧 <b>",
				"birthdate": "1980-01-02", "registrationDate": "2026-01-02 03:04:05",
			}
			first, err := d.Upsert(t.Context(), key, "shop-c1", want)
			if err != nil || !first.Created || first.ID == 0 {
				t.Fatalf("create: %+v, %v", first, err)
			}
			now.Advance(30 * time.Hour) // another token, another schema
			want["firstname"] = "Jan & Piet=1%20+"
			again, err := d.Upsert(t.Context(), key, "shop-c1", want)
			if err != nil || again != (copernica.Upserted{}) {
				t.Fatalf("upsert of a hit: %+v, %v", again, err)
			}
			if err := d.Update(t.Context(), first.ID, map[string]string{"email": "new@example.org"}); err != nil {
				t.Fatal(err)
			}
			want["email"] = "new@example.org"
			found, err := d.Find(t.Context(), key, "shop-c1")
			if err != nil || len(found) != 1 || found[0].ID != first.ID || found[0].Database != d.ID() {
				t.Fatalf("found %+v, %v", found, err)
			}
			if diff := cmp.Diff(want, found[0].Fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if p, err := d.Profile(t.Context(), first.ID); err != nil || p.Removed || !maps.Equal(p.Fields, want) {
				t.Errorf("profile %+v, %v", p, err)
			}
			if diff := cmp.Diff(want, a.Profiles("Magento")[0].Fields); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}

			for range 2 {
				if err := d.Remove(t.Context(), first.ID, false); err != nil {
					t.Fatal(err)
				}
			}
			if p, err := d.Profile(t.Context(), first.ID); err != nil || !p.Removed {
				t.Errorf("a removed profile reads as %+v, %v", p, err)
			}
			if err := d.Update(t.Context(), first.ID, want); err != nil {
				t.Errorf("update of a removed profile: %v", err)
			}
			if found, err := d.Find(t.Context(), key, "shop-c1"); err != nil || len(found) != 0 {
				t.Errorf("found %+v, %v", found, err)
			}
			second, err := d.Upsert(t.Context(), key, "shop-c1", want)
			if err != nil || !second.Created || second.ID <= first.ID {
				t.Errorf("created anew: %+v, %v", second, err)
			}
			if above, complete, err := d.KeysAbove(t.Context(), key, "shop-c", first.ID); err != nil || !complete || !slices.Equal(above, []string{"shop-c1"}) {
				t.Errorf("above the first: %q, complete %t, %v", above, complete, err)
			}
			if above, complete, err := d.KeysAbove(t.Context(), key, "shop-c", second.ID); err != nil || !complete || len(above) != 0 {
				t.Errorf("above the second: %q, complete %t, %v", above, complete, err)
			}
			if _, err := d.Profile(t.Context(), 999_999_999); !errors.Is(err, copernica.ErrNoProfile) || fault.ClassOf(err) != fault.Record {
				t.Errorf("no such profile: %v", err)
			}
			if err := d.Update(t.Context(), 999_999_999, want); !errors.Is(err, copernica.ErrNoProfile) || copernica.Outcome(err) != copernica.Refused {
				t.Errorf("no such profile: %v", err)
			}
		})
	}
}

func TestAccountDatabases(t *testing.T) {
	t.Parallel()
	a := copernicatest.New(copernicatest.Config{Empty: true})
	c := accountClient(t, a, nil)
	for _, name := range []string{"Magento", "7", "x y/../z"} {
		if _, err := c.Database(t.Context(), name); !errors.Is(err, copernica.ErrNoDatabase) || fault.ClassOf(err) != fault.Configuration {
			t.Errorf("%s: %v", name, err)
		}
	}
	made, err := c.CreateDatabase(t.Context(), "Magento", "made by a test")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Magento", "MAGENTO", fmt.Sprint(made.ID())} {
		d, err := c.Database(t.Context(), name)
		if err != nil || d.ID() != made.ID() || d.Name() != "Magento" {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
	id, err := c.Identity(t.Context())
	if err != nil || id.ID == 0 || id.Name == "" {
		t.Errorf("identity %+v, %v", id, err)
	}
}

func TestAccountLongCollection(t *testing.T) {
	t.Parallel()
	a := copernicatest.New(copernicatest.Config{})
	fields := make([]copernicatest.Field, 150)
	for i := range fields {
		fields[i] = copernicatest.Field{Name: fmt.Sprintf("field_%d", i)}
	}
	if _, err := a.CreateCollection("Magento", "Orders", fields...); err != nil {
		t.Fatal(err)
	}
	if err := a.AddFields("Magento", fields...); err != nil {
		t.Fatal(err)
	}
	d, err := accountClient(t, a, nil).Database(t.Context(), "Magento")
	if err != nil {
		t.Fatal(err)
	}
	if c, _ := d.Schema().Collection("Orders"); len(c.Fields) != 150 || len(d.Schema().Fields) != 150 {
		t.Errorf("%d fields in the collection, %d in the database", len(c.Fields), len(d.Schema().Fields))
	}
}

// Keys that mean something to a URL or to a filter reach the one row they name.
func TestAccountKeysFindThemselves(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"likeliest", "outer blanks kept", "loose comparison", "unknown filter ignored"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := copernicatest.New(copernicatest.Config{Switches: switches[name]})
			d, key := provisioned(t, a, nil)
			written := map[string]int64{}
			for _, p := range pieces {
				value := "k" + p + "k"
				up, err := d.Upsert(t.Context(), key, value, map[string]string{"customer_id": value, "firstname": p})
				if _, ok := errors.AsType[*copernica.GuardError](err); ok {
					continue
				}
				if err != nil {
					t.Fatalf("%q: %v", value, err)
				}
				if up.Created {
					written[value] = up.ID
				} else if !strings.EqualFold(value, "k\u0131k") && name != "loose comparison" {
					t.Errorf("%q hit another row", value)
				}
			}
			if len(written) < 40 {
				t.Errorf("only %d keys written", len(written))
			}
			rows := map[string]int{}
			for _, p := range a.Profiles("Magento") {
				rows[p.Fields["customer_id"]]++
			}
			for value, id := range written {
				found, err := d.Find(t.Context(), key, value)
				if name == "loose comparison" && rows[value] == 0 {
					continue // overwritten by a key that this account takes for the same
				}
				if err != nil || len(found) != 1 || found[0].ID != id {
					t.Errorf("%q: found %+v, %v, want %d", value, found, err, id)
				}
			}
			if found, err := d.Find(t.Context(), key, "k"); err != nil || len(found) != 0 {
				t.Errorf("k finds %d rows, %v", len(found), err)
			}
		})
	}
}

// A field renamed, dropped or respelled between two writes touches no row, also where
// Copernica ignores unknown filters and would update them all.
func TestPromise12_AccountKeepsItsRows(t *testing.T) {
	t.Parallel()
	changes := map[string]func(a *copernicatest.Account) error{
		"renamed":    func(a *copernicatest.Account) error { return a.RenameField("Magento", "customer_id", "customer_no") },
		"other case": func(a *copernicatest.Account) error { return a.RenameField("Magento", "customer_id", "Customer_ID") },
		"dropped":    func(a *copernicatest.Account) error { return a.DropField("Magento", "customer_id") },
		"made anew": func(a *copernicatest.Account) error {
			return errors.Join(a.DropField("Magento", "customer_id"), a.AddFields("Magento", copernicatest.Field{Name: "customer_id", Length: 64}))
		},
		"too short": func(a *copernicatest.Account) error {
			return errors.Join(a.DropField("Magento", "customer_id"), a.AddFields("Magento", copernicatest.Field{Name: "customer_id", Length: 4}))
		},
	}
	for name, change := range changes {
		for _, filter := range []copernicatest.UnknownFilter{copernicatest.UnknownFilterIgnored, copernicatest.UnknownFilterRefused} {
			t.Run(fmt.Sprint(name, filter), func(t *testing.T) {
				t.Parallel()
				now := newClock()
				a := copernicatest.New(copernicatest.Config{Now: now.Now, Switches: copernicatest.Switches{UnknownFilter: filter}})
				d, key := provisioned(t, a, now.Now)
				for i := range 20 {
					k := fmt.Sprintf("shop-c%d", i)
					if _, err := d.Upsert(t.Context(), key, k, map[string]string{"customer_id": k, "email": k + "@example.org"}); err != nil {
						t.Fatal(err)
					}
				}
				if err := change(a); err != nil {
					t.Fatal(err)
				}
				before := a.Dump()
				now.Advance(61 * time.Second)
				a.Log().Reset()
				_, err := d.Upsert(t.Context(), key, "shop-c99", map[string]string{"customer_id": "shop-c99", "email": "all@example.org"})
				if _, ok := errors.AsType[*copernica.GuardError](err); !ok || fault.ClassOf(err) != fault.Configuration {
					t.Errorf("error %v", err)
				}
				if _, err := d.Find(t.Context(), key, "shop-c1"); err == nil {
					t.Error("a look-up by a field that is gone succeeds")
				}
				if !bytes.Equal(before, a.Dump()) {
					t.Error("rows have changed")
				}
				for _, r := range a.Log().Recent() {
					if r.Method != http.MethodGet || !strings.HasSuffix(r.Path, "/fields") {
						t.Errorf("sent %s %s", r.Method, r.Path)
					}
				}
			})
		}
	}
}
