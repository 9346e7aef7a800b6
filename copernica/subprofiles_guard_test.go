package copernica_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/fault"
)

// A field of the collection renamed or dropped between two writes touches no row: the
// guard sees it after a minute, and within it Copernica refuses (behaviour 32).
func TestPromise12_AccountKeepsItsSubprofiles(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct{ method, path, body string }{
		"renamed":            {http.MethodPut, "/field/order_id", `{"name":"order_no"}`},
		"dropped":            {http.MethodDelete, "/field/order_id", ""},
		"collection renamed": {http.MethodPut, "", `{"name":"Orders_old"}`},
	} {
		for _, wait := range []time.Duration{0, 61 * time.Second} {
			for _, unknown := range []copernicatest.UnknownFilter{copernicatest.UnknownFilterIgnored, copernicatest.UnknownFilterRefused} {
				t.Run(fmt.Sprint(name, wait, unknown), func(t *testing.T) {
					t.Parallel()
					now := newClock()
					a := copernicatest.New(copernicatest.Config{Now: now.Now, Switches: copernicatest.Switches{UnknownFilter: unknown}})
					_, c, key, profile := withOrders(t, a, now.Now)
					for i := range 20 {
						k := fmt.Sprintf("shop-o%d", i)
						if _, err := c.Upsert(t.Context(), profile, key, k, map[string]string{"order_id": k, "status": k}); err != nil {
							t.Fatal(err)
						}
					}
					path := fmt.Sprintf("/collection/%d", c.ID())
					user(t, a, change.method, path+change.path, change.body)
					before := a.Dump()
					now.Advance(wait)
					a.Log().Reset()
					_, err := c.Upsert(t.Context(), profile, key, "shop-o99", map[string]string{"order_id": "shop-o99", "status": "all"})
					if wait == 0 && change.path == "" {
						if err != nil {
							t.Errorf("the same collection under another name: %v", err)
						}
						return
					}
					if fault.ClassOf(err) != fault.Configuration {
						t.Errorf("error %v of class %s", err, fault.ClassOf(err))
					}
					if guard, ok := errors.AsType[*copernica.GuardError](err); ok != (wait > 0) || ok && guard.Collection != "Orders" {
						t.Errorf("error %v", err)
					}
					if wait == 0 && copernica.Outcome(err) != copernica.Refused {
						t.Errorf("outcome %s of %v", copernica.Outcome(err), err)
					}
					if !bytes.Equal(before, a.Dump()) {
						t.Error("rows have changed")
					}
					for _, r := range a.Log().Recent() {
						if wait > 0 && (r.Method != http.MethodGet || !strings.HasSuffix(r.Path, path)) {
							t.Errorf("sent %s %s", r.Method, r.Path)
						}
					}
				})
			}
		}
	}
}

// A look-up while the key field is renamed, and the guard does not know yet, must not
// take the rows that a dropped filter lists for the answer.
func TestPromise12_AccountLooksUpUnderARenamedField(t *testing.T) {
	t.Parallel()
	now := newClock()
	a := copernicatest.New(copernicatest.Config{Now: now.Now})
	_, c, key, profile := withOrders(t, a, now.Now)
	if _, err := c.Upsert(t.Context(), profile, key, "shop-o1", order("shop-o1")); err != nil {
		t.Fatal(err)
	}
	user(t, a, http.MethodPut, fmt.Sprintf("/collection/%d/field/order_id", c.ID()), `{"name":"order_no"}`)
	for _, look := range []func() ([]copernica.Subprofile, error){
		func() ([]copernica.Subprofile, error) { return c.Find(t.Context(), profile, key, "shop-o2") },
		func() ([]copernica.Subprofile, error) { return c.FindAnywhere(t.Context(), key, "shop-o2") },
	} {
		if got, err := look(); err == nil || fault.ClassOf(err) != fault.Configuration {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestPromise10_AccountUnknownSubprofiles(t *testing.T) {
	t.Parallel()
	for name, f := range doubtful() {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(name, after), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					a := copernicatest.New(copernicatest.Config{})
					_, c, key, profile := withOrders(t, a, nil)
					f := f
					f.Method, f.PathContains, f.After, f.Times = http.MethodPut, "/subprofiles", after, 1
					h := a.Faults().Add(f)
					ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
					defer stop()
					_, err := c.Upsert(ctx, profile, key, "shop-o1", order("shop-o1"))
					if h.Hits() != 1 || copernica.Outcome(err) != copernica.Unknown || fault.ClassOf(err) != fault.Retry {
						t.Errorf("%d hits, %v, outcome %s, class %s", h.Hits(), err, copernica.Outcome(err), fault.ClassOf(err))
					}
					found, err := c.Find(t.Context(), profile, key, "shop-o1")
					if err != nil || (len(found) == 1) != after {
						t.Errorf("found %d, %v", len(found), err)
					}
				})
			})
		}
	}
}

// A collection with more fields than a database shows of it (100) is read in full.
func TestAccountWideCollection(t *testing.T) {
	t.Parallel()
	now := newClock()
	a := copernicatest.New(copernicatest.Config{Now: now.Now})
	d, _, _, profile := withOrders(t, a, now.Now)
	fields := []copernicatest.Field{{Name: "order_id", Length: 64, Index: true}}
	for i := range 149 {
		fields = append(fields, copernicatest.Field{Name: fmt.Sprintf("field_%d", i)})
	}
	if _, err := a.CreateCollection("Magento", "Wide", fields...); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := d.Collection("Wide")
	if err != nil {
		t.Fatal(err)
	}
	key, err := c.KeyField("order_id")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.Upsert(t.Context(), profile, key, "a", map[string]string{"order_id": "a", "field_148": "x"}); err != nil {
			t.Error(err)
		}
		now.Advance(2 * time.Minute)
	}
}
