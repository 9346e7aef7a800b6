package engine_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

func TestPromise20_ARefusedRecordBecomesADeadLetter(t *testing.T) {
	inWorld(t, 120, func(t *testing.T, w *world) {
		id := w.ids(1)[0]
		key := w.mapping.CustomerKey(id)
		refusing := w.account.Faults().Add(emulator.Fault{
			Status: 400, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"error":{"message":"Failed to create profile"}}`,
			Match: func(r *http.Request) bool {
				return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Query().Get("fields[]"), "=="+key)
			},
		})
		report := w.run()
		if report.Outcome != state.Done || report.Counters.Refused != 1 || report.Counters.Created != 119 || report.Letters != 1 {
			t.Fatalf("%+v", report)
		}
		letters := w.letters()
		if len(letters) != 1 || letters[0].Key != key || letters[0].Cause != "refused" || letters[0].Fix == "" || letters[0].SourceID != id {
			t.Fatalf("%+v", letters)
		}
		// As it stands it is not sent again.
		before := w.account.Log().Total()
		w.run()
		if w.account.Log().Total() != before {
			t.Error("a refused record was sent again unchanged")
		}
		// Changed in the shop, it is delivered and the letter is closed.
		refusing.Remove()
		w.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = "Mended" })
		w.settle()
		w.run()
		w.inStep()
		if n := len(w.letters()); n != 0 {
			t.Errorf("%d letters are open", n)
		}
	})
}

func TestPromise23_AnOperatorReplaysALetter(t *testing.T) {
	inWorld(t, 40, func(t *testing.T, w *world) {
		id := w.ids(1)[0]
		key := w.mapping.CustomerKey(id)
		refusing := w.account.Faults().Add(emulator.Fault{
			Status: 400, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"error":{"message":"Failed to create profile"}}`,
			Match: func(r *http.Request) bool {
				return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Query().Get("fields[]"), "=="+key)
			},
		})
		w.run()
		before := w.checkpoint()
		replay := func() engine.Report {
			report, err := w.engine(nil).Deliver(t.Context(), engine.Customers, []int64{id, 999_999})
			check(w, err)
			return report
		}
		if report := replay(); report.Counters.Refused != 1 || report.Letters != 1 || w.letters()[0].Attempts != 2 {
			t.Errorf("still refused: %+v, %+v", report, w.letters())
		}
		refusing.Remove()
		if report := replay(); report.Counters.Created != 1 || report.Letters != 0 {
			t.Errorf("%+v", report)
		}
		if w.checkpoint() != before {
			t.Error("promise 22: the stream's checkpoint moved")
		}
		w.inStep()
	})
}

func TestPromise23_AnUnreadableRecordThatWasDeliveredBefore(t *testing.T) {
	inWorld(t, 20, func(t *testing.T, w *world) {
		id := w.ids(1)[0]
		w.run()
		w.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = strings.Repeat("x", 2<<20) })
		w.settle()
		if report := w.run(); report.Counters.Refused != 1 || report.Letters != 1 {
			t.Fatalf("%+v", report)
		}
		report, err := w.engine(nil).Deliver(t.Context(), engine.Customers, []int64{id})
		check(w, err)
		if letters := w.letters(); report.Counters.Refused != 1 || len(letters) != 1 || letters[0].Attempts != 2 {
			t.Errorf("a replay was not counted: %+v, %+v", report.Counters, letters)
		}
		w.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = "Short" })
		_, err = w.engine(nil).Deliver(t.Context(), engine.Customers, []int64{id})
		check(w, err)
		if len(w.letters()) != 0 || w.profile(id).Fields["firstname"] != "Short" {
			t.Error("what was mended was not delivered by a replay")
		}
	})
}
