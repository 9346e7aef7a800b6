package engine_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/engine"
)

// The key field is renamed while a run is writing. Within the minute that a schema
// may be old Copernica itself refuses the creates; whichever write meets it, nothing
// becomes a dead letter and nothing is lost.
func TestPromise12_TheKeyFieldIsRenamedAtAnyWrite(t *testing.T) {
	for _, at := range []int{1, 2, 49, 50, 51, 99} {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("write %d, first run: %t", at, first), func(t *testing.T) {
				inWorld(t, 100, func(t *testing.T, w *world) {
					if !first {
						w.run()
						w.everybodyChanges()
					}
					const field = "customer_id"
					renameAt(w, field, at)
					report, err := w.engine(nil).Run(t.Context(), engine.Customers)
					// Profiles known by their ids need no key field, so that all of them
					// may be done before the schema is read again.
					if first && err == nil || err != nil && fault.ClassOf(err) != fault.Configuration {
						t.Fatalf("class %s: %v", fault.ClassOf(err), err)
					}
					if report.Letters != 0 {
						t.Errorf("%d records were given up for it: %v", report.Letters, w.letters())
					}
					check(w, w.account.RenameField(database, "renamed", field))
					w.settle()
					w.run()
					w.inStep()
				})
			})
		}
	}
}

// everybodyChanges edits each customer and lets the horizon pass the changes.
func (w *world) everybodyChanges() {
	w.settle()
	for _, c := range w.shop.Data().Customers {
		w.shop.Edit(c.ID, func(c *magentotest.Customer) { c.LastName += " II" })
	}
	w.settle()
}

// renameAt renames a field after the account answered so many writes.
func renameAt(w *world, field string, at int) {
	var (
		mu     sync.Mutex
		writes int
	)
	w.account.Faults().Add(emulator.Fault{Match: func(r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodPut {
			if writes++; writes == at {
				check(w, w.account.RenameField(database, field, "renamed"))
			}
		}
		return false
	}})
}

// An operator who answers a renamed key field with `syncd provision` gets a second,
// empty one. The profiles are known by their ids: none is made twice, and each gets
// its key back with its next change.
func TestPromise12_AKeyFieldCreatedAnewMakesNoDuplicates(t *testing.T) {
	inWorld(t, 60, func(t *testing.T, w *world) {
		w.run()
		check(w, w.account.RenameField(database, "customer_id", "old_key"))
		check(w, w.account.AddFields(database, copernicatest.Field{Name: "customer_id", Type: "text", Length: 64, Index: true}))
		w.everybodyChanges()
		w.run()
		w.inStep()
		if n := len(w.account.Profiles(database)); n != 60 {
			t.Errorf("%d profiles, want 60", n)
		}
	})
}

// A record from the future waits beyond the horizon and cannot push it.
func TestPromise02_ARecordFromTheFutureWaits(t *testing.T) {
	inWorld(t, 120, func(t *testing.T, w *world) {
		w.run()
		before := w.checkpoint()
		id := w.ids(1)[0]
		w.shop.EditQuietly(id, func(c *magentotest.Customer) { c.LastName, c.UpdatedAt = "Later", time.Now().Add(time.Hour) })
		w.settle()
		w.run() // the record lies beyond the horizon, which the shop honours
		if after := w.checkpoint(); !after.Horizon.After(before.Horizon) || after.Horizon.After(time.Now()) {
			t.Errorf("promise 2: the horizon went from %s to %s", before.Horizon, after.Horizon)
		}
		if name := w.profile(id).Fields["lastname"]; strings.Contains(name, "Later") {
			t.Errorf("a record from beyond the horizon was written: %q", name)
		}
		time.Sleep(2 * time.Hour)
		w.run()
		w.inStep()
	})
}
