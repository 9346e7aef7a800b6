package main

import (
	"testing"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state/sqlite"
)

// That a shop has moved is said of the address that a process begins with, not of those
// that a daemon reads later.
func TestPromise17_ANewAddressIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	a := &app{newAddress: true}
	for _, step := range []struct {
		address string
		ok      bool
	}{
		{"https://shop.example.com", true},
		{"https://staging.example.com", false},
		{"https://shop.example.com", true},
	} {
		if a.accepts(step.address) != step.ok {
			t.Errorf("%s: accepted %v", step.address, !step.ok)
		}
	}
	if (&app{}).accepts("https://shop.example.com") {
		t.Error("nobody said so")
	}
}

// A state belongs to one shop: ids of one mean other people in another.
func TestPromise17_AStateBelongsToOneShop(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	a := &app{now: func() time.Time { now = now.Add(time.Minute); return now }}
	for _, step := range []struct {
		address string
		accept  bool
		ok      bool
	}{
		{"http://127.0.0.1:8081", false, true},
		{"http://localhost:9999", false, true}, // an emulator on another port
		{"https://shop.example.com", false, false},
		{"https://shop.example.com", true, true},
		{"https://shop.example.com", false, true},
		{"https://shop.example.com/uk", false, false},
		{"http://127.0.0.1:8081", false, false}, // it was once, and is no more
	} {
		if look := shopOfState(t.Context(), store, step.address); (look == nil) != (step.ok && !step.accept) {
			t.Errorf("%s, only looked at: %v", step.address, look)
		}
		err := a.sameShop(store, step.address, step.accept)(t.Context())
		if (err == nil) != step.ok {
			t.Errorf("%s, accepted %v: %v", step.address, step.accept, err)
		}
		if err != nil && (!is[*config.Error](err) || exitCode(err) != exitConfiguration) {
			t.Errorf("%v ends with %d", err, exitCode(err))
		}
	}
}

// What works over records of the state asks no other shop for them: there their ids are
// other people's.
func TestPromise17_RecordsOfTheStateAreAskedOfItsShopAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	v := s.visitor("vera.visser@example.test")
	s.ends(exitDone, s.run("run"))
	s.confirms(v)
	id := s.id(2)
	s.shop.Edit(id, func(c *magentotest.Customer) { c.Email = "" })
	s.pass(time.Minute)
	s.ends(exitDeadLetters, s.run("run"))
	letter := number(s.open()[id].ID)
	s.environ["SYNCD_MAGENTO_BASE_URL"] = "https://shop.example.com"
	calls := s.account.Calls()
	for _, args := range [][]string{
		{"dead", "replay", letter},
		{"claims", "undo", v.guest, "--yes"},
		{"lookup", number(s.id(4)), "--live"},
	} {
		s.ends(exitConfiguration, s.run(args...), "SYNCD_MAGENTO_BASE_URL leads to https://shop.example.com, and the state was made with a shop elsewhere")
	}
	if s.account.Calls() != calls || s.claims().Total != 1 {
		t.Error("with another shop's address something was done")
	}
}
