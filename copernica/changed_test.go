package copernica_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

// changed lists the ids of profiles changed since a time, and the pages they came in.
func changed(t *testing.T, d *copernica.Database, since time.Time) (ids []int64, pages int) {
	t.Helper()
	for page, err := range d.Changed(t.Context(), since) {
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, p := range page {
			ids = append(ids, p.ID)
		}
	}
	return ids, pages
}

func TestAccountChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// In the night that has the hour from 2 to 3 twice.
		time.Sleep(time.Until(time.Date(2026, 10, 24, 22, 0, 0, 0, time.UTC)))
		a := copernicatest.New(copernicatest.Config{Now: time.Now})
		d, _ := provisioned(t, a, time.Now)
		var all []int64
		for i := range 2500 {
			id, err := a.AddProfile("Magento", map[string]string{"customer_id": fmt.Sprint("shop-c", i)})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, id)
		}
		if err := a.RemoveProfile(all[7]); err != nil {
			t.Fatal(err)
		}
		all = slices.Delete(all, 7, 8)
		if got, pages := changed(t, d, time.Time{}); !slices.Equal(got, all) || pages != 3 {
			t.Errorf("all: %d of %d, in %d pages", len(got), len(all), pages)
		}
		var above []int64
		for page, err := range d.All(t.Context(), all[1200]) {
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page {
				above = append(above, p.ID)
			}
		}
		if !slices.Equal(above, all[1201:]) {
			t.Errorf("above one: %d of %d", len(above), len(all)-1201)
		}
		for hour := range 8 {
			time.Sleep(3 * time.Hour)
			since := time.Now()
			time.Sleep(time.Second)
			id := all[100*hour+50]
			if err := a.EditProfile(id, map[string]string{"firstname": fmt.Sprint("changed ", hour)}); err != nil {
				t.Fatal(err)
			}
			if got, _ := changed(t, d, since); !slices.Equal(got, []int64{id}) {
				t.Errorf("since %s: %d profiles %v, want %d", since.UTC(), len(got), got[:min(len(got), 3)], id)
			}
		}
	})
}

// A field called modified hides the time of the last change from conditions: then
// everything is listed.
func TestAccountChangedWithAFieldOfThatName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := copernicatest.New(copernicatest.Config{Now: time.Now})
		if err := a.AddFields("Magento", copernicatest.Field{Name: "Modified", Type: "text", Length: 20}); err != nil {
			t.Fatal(err)
		}
		d, _ := provisioned(t, a, time.Now)
		id, err := a.AddProfile("Magento", map[string]string{"customer_id": "shop-c1"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		if got, _ := changed(t, d, time.Now().Add(-time.Hour)); !slices.Equal(got, []int64{id}) {
			t.Errorf("got %v", got)
		}
	})
}
