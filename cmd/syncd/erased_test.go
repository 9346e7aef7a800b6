package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// erasing has a stage's people removed, with a tombstone file.
func (s *stage) erasing() (stones string) {
	stones = filepath.Join(s.t.TempDir(), "tombstones")
	s.environ["SYNCD_ERASURE"], s.environ["SYNCD_TOMBSTONE_FILE"], s.environ["SYNCD_ENCRYPTION_KEY"] = "remove", stones, seal.NewKey()
	return stones
}

// emailOf is what the shop has of a customer.
func (s *stage) emailOf(id int64) string {
	s.t.Helper()
	for _, c := range s.shop.Data().Customers {
		if c.ID == id {
			return c.Email
		}
	}
	s.t.Fatalf("there is no customer %d", id)
	return ""
}

func (s *stage) erased() (r erasedReport) {
	s.t.Helper()
	out := s.run("erased", "--json")
	s.ends(exitDone, out)
	s.must(json.Unmarshal([]byte(out.stdout), &r))
	return r
}

func TestAReceiptInWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		policy  engine.ErasurePolicy
		profile int64
		want    string
	}{
		{"flagged", engine.EraseFlag, 7, "flagged only: nothing was erased, profile 7 stays"},
		{"flagged without a profile", engine.EraseFlag, 0, "flagged only: nothing was erased, and no profile was known"},
		{"removed", engine.EraseRemove, 7, "profile 7 removed, with 1 order and 2 lines"},
		{"blanked", engine.EraseBlank, 7, "profile 7 blanked, with 1 order and 2 lines"},
		{"nothing to remove", engine.EraseRemove, 0, "no profile was known"},
	} {
		r := newReceipt(state.Erasure{Policy: string(c.policy), CopernicaID: c.profile, Orders: 1, Items: 2})
		if got := r.words(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestPromise19_AnErasureIsTold(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.environ["SYNCD_ERASURE"] = "blank"
	s.finds(exitDone, "settings/erasure warning", "only the state knows who was erased")
	stones := s.erasing()
	s.ends(exitDone, s.run("run", "customers"))
	id := s.id(4)
	key := "shop-c" + number(id)
	profile := s.profileOf(key)
	email := s.emailOf(id)
	s.shop.Delete(id)
	s.run("run", "customers/sweep").says(t, "1 person erased", "1 record gone from the shop")

	report := s.erased()
	if len(report.Receipts) != 1 || report.More || report.ByPolicy["remove"] != 1 {
		t.Fatalf("%+v", report)
	}
	if r := report.Receipts[0]; r.Key != key || r.Cause != "deleted" || r.Policy != "remove" || r.CopernicaID != profile || r.At.IsZero() || r.Run == 0 {
		t.Errorf("%+v", r)
	}
	s.run("erased").says(t, key, "deleted in the shop", "profile "+number(profile)+" removed, with 0 orders and 0 lines")
	s.run("status").says(t, "erased        1 remove: `syncd erased` lists them", "1 gone")
	s.run("lookup", key).says(t, "gone: the shop no longer has it\n", "no profile is known", "erased", "deleted in the shop: profile "+number(profile)+" removed")
	if r := s.lookup(key).one(t); len(r.Erased) != 1 || r.Erased[0].Key != key || r.Ledger.State != state.Gone {
		t.Errorf("%+v", r)
	}
	// By the e-mail, of which only the tombstone is kept, it is said that somebody was erased.
	byEmail := s.lookup(email)
	if len(byEmail.Records) != 0 || len(byEmail.Tombstones) != 1 || byEmail.Tombstones[0].Website == 0 || byEmail.Tombstones[0].At.IsZero() {
		t.Errorf("by the e-mail: %+v", byEmail)
	}
	s.run("lookup", email).says(t, "somebody with this e-mail on website ", "was erased on ", "`syncd erased` lists the receipts")
	// What stands there with their key is nobody's.
	double, err := s.account.AddProfile(copernicatest.DatabaseName, map[string]string{"customer_id": key})
	s.must(err)
	s.run("lookup", key, "--live").says(t, fmt.Sprintf("profile %d has their key, and they were erased: it is not ours, remove it in Copernica by hand", double))
	s.ends(exitDone, s.run("run", "copernica/sweep"))
	s.run("lookup", key).says(t, fmt.Sprintf("profile %d, seen ", double), "has the key of somebody who was erased, is not ours")
	s.must(s.account.RemoveProfile(double))
	s.run("check").says(t, "remove, and "+stones+" keeps who was erased")
	text, err := os.ReadFile(stones)
	if err != nil || strings.Count(string(text), "\nshop ") != 2 || strings.Contains(string(text), "@example") {
		t.Errorf("%s, %v", text, err)
	}
}

// The file that an earlier state left belongs to a new one from its first run on.
func TestPromise19_ANewStateTakesTheTombstonesOver(t *testing.T) {
	t.Parallel()
	s := newOrderStage(t)
	stones := s.erasing()
	s.ends(exitDone, s.run("run"))
	const email = "comes.by@example.test"
	v := s.visitor(email)
	s.confirms(v)
	s.ends(exitDone, s.run("run"))
	id := v.customer
	s.shop.Delete(id)
	s.run("run", "customers/sweep").says(t, "1 person erased")
	s.run("lookup", v.guest).says(t, "gone: this guest was erased", "as the tombstone of their e-mail says")
	s.run("lookup", "shop-o"+number(v.ordered[0])).says(t, "removed: Copernica no longer has it", "erased        with "+v.key+", ")

	// A new state, in another place.
	s.environ["SYNCD_DATABASE_URL"] = "sqlite://" + filepath.Join(t.TempDir(), "new.db")
	s.ends(exitDone, s.run("run"))
	if strings.Contains(string(s.account.Dump()), email) {
		t.Error("a new state brought somebody back")
	}
	// It has no receipt, and says so.
	if r := s.erased(); len(r.Receipts) != 0 || r.Taken == nil || r.Taken.Tombstones != 2 || r.Taken.Since.IsZero() || r.Taken.Oldest.IsZero() {
		t.Errorf("receipts of a new state: %+v", r)
	}
	s.run("erased").says(t, `nobody of shop "shop" was erased with this state`, "2 tombstones without a receipt, of people erased on ", "taken up from SYNCD_TOMBSTONE_FILE since ")
	s.run("status").says(t, "tombstones    2 without a receipt")
	s.run("lookup", email).says(t, "somebody with this e-mail on website 1 was erased on ", "`syncd erased` says why there is no receipt")
	// One that has run without the file hashes in its own way.
	s.environ["SYNCD_DATABASE_URL"] = "sqlite://" + filepath.Join(t.TempDir(), "other.db")
	delete(s.environ, "SYNCD_TOMBSTONE_FILE")
	s.ends(exitDone, s.run("run", "customers"))
	s.environ["SYNCD_TOMBSTONE_FILE"] = stones
	s.ends(exitConfiguration, s.run("run", "customers"), "SYNCD_TOMBSTONE_FILE", "tells of another state of this shop")
	// What cannot be written is told before anything is.
	s.environ["SYNCD_TOMBSTONE_FILE"] = filepath.Join(filepath.Dir(stones), "none", "tombstones")
	s.ends(exitConfiguration, s.run("run", "customers"), "SYNCD_TOMBSTONE_FILE cannot be used: it cannot be written in ", "create the folder")
	s.environ["SYNCD_TOMBSTONE_FILE"] = stones
	s.environ["SYNCD_ENCRYPTION_KEY"] = seal.NewKey()
	s.environ["SYNCD_DATABASE_URL"] = "sqlite://" + filepath.Join(t.TempDir(), "third.db")
	s.ends(exitConfiguration, s.run("run", "customers"), "SYNCD_TOMBSTONE_FILE", "was written with another SYNCD_ENCRYPTION_KEY")
}
