package main

import (
	"testing"
	"time"

	"github.com/magento-copernica/syncd/config"
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
