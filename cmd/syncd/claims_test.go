package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// visitor is somebody who orders as a guest and has an account, both on the first website.
type visitor struct {
	customer        int64
	key, guest      string // of the customer, and of the guest
	email           string
	orders, ordered []int64 // as a guest, and with the account
}

// visitor makes one whose account is not confirmed yet, so that they have two profiles
// after the next run.
func (s *stage) visitor(email string) visitor {
	s.t.Helper()
	file, err := mapping.Default()
	s.must(err)
	compiled, err := file.Compile(mapping.Options{Shop: "shop"})
	s.must(err)
	v := visitor{email: email, guest: compiled.GuestKey(1, email)}
	lines := []magentotest.Line{{ProductID: 2, SKU: "SIMPLE-2", Name: "Koffiemok", Price: "9.95"}}
	s.pass(time.Minute)
	for range 2 {
		v.orders = append(v.orders, s.shop.CreateOrder(magentotest.Order{
			Guest: true, Email: email, FirstName: "Vera", LastName: "Visser", StoreID: 1, Lines: lines,
		}))
	}
	v.customer = s.shop.Create(magentotest.Customer{
		Email: email, FirstName: "Vera", LastName: "Visser", WebsiteID: 1, StoreID: 1, GroupID: 1, Confirmation: "0123456789abcdef",
	})
	v.key = "shop-c" + number(v.customer)
	v.ordered = []int64{s.shop.CreateOrder(magentotest.Order{CustomerID: v.customer, StoreID: 1, Lines: lines})}
	s.pass(time.Minute)
	return v
}

// confirms has a visitor confirm their account.
func (s *stage) confirms(v visitor) {
	s.pass(time.Minute)
	s.shop.Edit(v.customer, func(c *magentotest.Customer) { c.Confirmation = "" })
	s.pass(time.Minute)
}

// claims asks for the claims with --json.
func (s *stage) claims(flags ...string) claimsReport {
	s.t.Helper()
	out := s.run(append([]string{"claims", "--json"}, flags...)...)
	s.ends(exitDone, out)
	var report claimsReport
	s.must(json.Unmarshal([]byte(out.stdout), &report))
	return report
}

// standing counts the orders below the profile with a key.
func (s *stage) standing(key string) (n int) {
	s.t.Helper()
	id := s.profileOf(key)
	for _, row := range s.account.Subprofiles(copernicatest.DatabaseName, "Orders") {
		if row.Parent == id {
			n++
		}
	}
	return n
}

func TestPromise17_ClaimsAreListedAndUndone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	v := s.visitor("vera.visser@example.test")
	s.ends(exitDone, s.run("run"))
	s.run("claims").says(t, `no guest of shop "shop" turned out to be a customer`)
	s.confirms(v)

	// Somebody made a row below the guest's profile by hand, which keeps it.
	byHand, err := s.account.AddSubprofile("Orders", s.profileOf(v.guest), map[string]string{"order_id": "by hand"})
	s.must(err)
	s.run("plan").says(t, "1 guest found to be a customer", "1 row removed", "made anew below the customer's profile")
	out := s.run("run")
	s.ends(exitDone, out)
	out.says(t, "1 guest found to be a customer")
	s.run("status").says(t, "1 guest found to be a customer: `syncd claims`", "1 claimed")
	open := s.run("claims", "--open")
	s.ends(exitDone, open)
	open.says(t, "1 guest of shop \"shop\" turned out to be a customer", v.guest, v.key, "something stands below it that syncd did not write", "tried again in ")
	got := s.claims("--open").Claims
	if len(got) != 1 || got[0].Key != v.guest || got[0].Customer != v.key || !got[0].Open || got[0].CopernicaID != s.profileOf(v.guest) ||
		got[0].WaitsFor != waitsForProfile || got[0].Attempts != 1 || got[0].NextAttempt == nil || len(got[0].Orders) != 0 {
		t.Errorf("open: %+v", got)
	}
	s.run("lookup", v.guest).says(t, "claimed: this person is a customer", "this is "+v.key+"; `syncd claims --open`")

	s.must(s.account.RemoveSubprofile(byHand))
	s.pass(3 * time.Hour)
	s.inStep()
	if got := s.claims(); got.Total != 1 || got.More || len(got.Claims) != 1 || got.Claims[0].Open || got.Claims[0].WaitsFor != "" || got.Claims[0].LastRun == nil {
		t.Errorf("finished: %+v", got)
	}
	s.run("claims", "--open").says(t, "no claim is open")

	// Both are found, however one asks.
	for _, what := range []string{v.guest, v.email} {
		report := s.lookup(what)
		keys := map[string]*lookupRecord{}
		for _, r := range report.Records {
			keys[r.Key] = r
		}
		if guest := keys[v.guest]; len(report.Records) != 2 || keys[v.key] == nil || guest == nil || guest.Claim == nil ||
			*guest.Claim != (lookupClaim{Customer: v.key}) || guest.Profile != nil {
			t.Errorf("by %q: %+v", report.By, report.Records)
		}
	}
	s.run("lookup", v.guest).says(t, "this is "+v.key+", whose record is shown too", "customer "+number(v.customer)+" of shop")
	// From the customer there is a way to the guest.
	if r := s.lookup(v.key).one(t); len(r.Others) != 1 || r.Others[0] != (lookupOther{Key: v.guest}) {
		t.Errorf("who the customer is besides: %+v", r.Others)
	}
	s.run("lookup", v.key).says(t, "is also       "+v.guest+", whose orders stand here")
	// All three orders are the customer's, the newest first, and none is the guest's any more.
	var keys []string
	both := s.lookup(v.guest).Records
	for _, o := range both[1].Orders {
		keys = append(keys, o.Key)
		if o.Number == "" || o.State != state.Acknowledged {
			t.Errorf("an order of the customer: %+v", o)
		}
	}
	if want := []string{"shop-o" + number(v.ordered[0]), "shop-o" + number(v.orders[1]), "shop-o" + number(v.orders[0])}; !slices.Equal(keys, want) ||
		both[0].Orders == nil || len(both[0].Orders) != 0 || both[1].MoreOrders {
		t.Errorf("orders %v, want %v; of the guest %v", keys, want, both[0].Orders)
	}
	s.run("claims", "--undone").says(t, `no claim of shop "shop" was undone`)
	if live := s.lookup(v.guest, "--live").Records[0].Live; !live.InShop || len(live.Profiles) != 0 || len(live.Fields) != 0 {
		t.Errorf("a guest who is a customer: %+v", live)
	}

	// Undone: said first, then done.
	calls := s.account.Calls()
	said := s.run("claims", "undo", v.guest)
	s.ends(exitDone, said)
	said.says(t, v.guest+" is "+v.key, "3 orders of "+v.key+" are read from the shop again", "Nothing was done", "--yes")
	if s.account.Calls() != calls || s.claims().Total != 1 {
		t.Error("without --yes something was done")
	}
	done := s.run("claims", "undo", v.guest, "--yes")
	s.ends(exitDone, done)
	done.says(t, v.guest+" is a guest again: profile ", "with 2 orders", "not made one with "+v.key+" again")
	if a, b := s.standing(v.guest), s.standing(v.key); a != 2 || b != 1 {
		t.Errorf("%d orders below the guest, %d below the customer", a, b)
	}
	if got := s.claims(); got.Total != 0 || len(got.Claims) != 0 {
		t.Errorf("after the undoing: %+v", got)
	}
	if r := s.lookup(v.guest).one(t); r.Claim == nil || *r.Claim != (lookupClaim{Customer: v.key, Undone: true}) {
		t.Errorf("undone: %+v", r)
	}
	s.run("lookup", v.email).says(t, "undone: they are not "+v.key, "dead letters  none")
	s.run("lookup", v.key).says(t, "is not        "+v.guest+": that claim was undone")
	s.run("claims").says(t, `no guest of shop "shop" turned out to be a customer`, "1 claim was undone: `syncd claims --undone`")
	if got := s.claims("--undone"); got.Undone != 1 || len(got.Claims) != 1 || got.Claims[0].Key != v.guest || got.Claims[0].Customer != v.key ||
		!got.Claims[0].Undone || got.Claims[0].Open || got.Claims[0].CopernicaID != s.profileOf(v.guest) {
		t.Errorf("undone: %+v", got)
	}
	// Asked for again, it is said that nothing was left to do.
	said = s.run("claims", "undo", v.guest)
	s.ends(exitDone, said)
	said.says(t, v.guest+" was undone already: they are not "+v.key+", and have 2 orders of their own", "Nothing was done")
	again := s.run("claims", "undo", v.guest, "--yes")
	s.ends(exitDone, again)
	again.says(t, v.guest+" was undone already, and nothing was left to do: they are not "+v.key+", and have 2 orders of their own")
	s.pass(time.Minute)
	s.ends(exitDone, s.run("run"))
	if a, b := s.standing(v.guest), s.standing(v.key); a != 2 || b != 1 {
		t.Errorf("after a run: %d orders below the guest, %d below the customer", a, b)
	}
}

// An undoing that a peer cuts short is finished by asking again.
func TestPromise17_AnUndoingIsCutShort(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	v := s.visitor("vera.visser@example.test")
	s.ends(exitDone, s.run("run"))
	s.confirms(v)
	s.inStep()
	refusing := s.account.Faults().Add(emulator.Fault{
		Status: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"error":{"message":"no access"}}`,
		Match: func(r *http.Request) bool { return r.Method == http.MethodPut || r.Method == http.MethodPost },
	})
	out := s.run("claims", "undo", v.guest, "--yes")
	s.ends(exitPeer, out, "some of the guest's orders may have to move yet, and `syncd claims undo "+v.guest+" --yes` goes on")
	refusing.Remove()
	s.pass(10 * time.Minute)
	s.ends(exitDone, s.run("claims", "undo", v.guest, "--yes"))
	if a, b := s.standing(v.guest), s.standing(v.key); a != 2 || b != 1 {
		t.Errorf("%d orders below the guest, %d below the customer", a, b)
	}
}

// What an open claim waits for is told from the ledger.
func TestPromise17_WhatAClaimWaitsFor(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	v := s.visitor("vera.visser@example.test")
	s.ends(exitDone, s.run("run"))
	s.confirms(v)
	refusing := s.refuseRow("shop-o" + number(v.orders[0]))
	s.ends(exitDeadLetters, s.run("run"))
	got := s.claims("--open").Claims
	if len(got) != 1 || got[0].WaitsFor != waitsForOrders || len(got[0].Orders) != 1 || got[0].Orders[0] != "shop-o"+number(v.orders[0]) {
		t.Errorf("waits for: %+v", got)
	}
	s.run("claims").says(t, "1 order could not be moved: `syncd lookup shop-o"+number(v.orders[0])+"`")
	refusing.Remove()
	s.ends(exitDone, s.run("dead", "replay", "--cause", "refused"))
	s.pass(3 * time.Hour)
	s.inStep()
	if got := s.claims("--open").Claims; len(got) != 0 {
		t.Errorf("still open: %+v", got)
	}
}

// An undone claim is told by the parent of a guest who lives: one whom the shop no longer has
// keeps it, and stands for nobody.
func TestWhoseClaimIsUndone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		parent string
		state  state.RecordState
		want   bool
	}{
		"a guest":                             {"", state.Acknowledged, false},
		"a guest who is a customer":           {"shop-c1", state.Claimed, false},
		"undone, with a profile":              {"shop-c1", state.Acknowledged, true},
		"undone, a profile that is refused":   {"shop-c1", state.Refused, true},
		"undone, without a profile yet":       {"shop-c1", state.Removed, true},
		"not found in the shop, and to go":    {"shop-c1", state.Missing, false},
		"whom the shop no longer has":         {"shop-c1", state.Gone, false},
		"a key that the ledger does not know": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guest := state.Record{Entity: state.Profile, Key: "shop-w1-g" + strings.Repeat("0", 32), Parent: c.parent, State: c.state}
			if undone(guest) != c.want {
				t.Errorf("undone %v, want %v", !c.want, c.want)
			}
			if claim := claimOf(guest); (claim != nil) != (c.want || c.state == state.Claimed) || claim != nil && claim.Undone != c.want {
				t.Errorf("a lookup tells %+v", claim)
			}
		})
	}
}

// What cannot be undone is said before anything is read.
func TestClaimsUsage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.ends(exitDone, s.run("run"))
	const nobody = "shop-w1-g0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		args  []string
		words string
	}{
		{[]string{"claims", "--limit", "0"}, "--limit"},
		{[]string{"claims", "undo"}, "expected"},
		{[]string{"claims", "undo", "shop-c" + number(s.id(1)), "--yes"}, "is a customer: name the guest"},
		{[]string{"claims", "undo", "jan@example.test", "--yes"}, "syncd lookup EMAIL"},
		{[]string{"claims", "undo", "myshop-w1-g0123", "--yes"}, "is no key of a guest"},
		{[]string{"claims", "undo", "shop-o12"}, "is no key of a guest"},
	} {
		out := s.run(c.args...)
		if out.code != exitConfiguration || out.stdout != "" || !strings.Contains(out.stderr, c.words) || !strings.Contains(out.stderr, "syncd --help") {
			t.Errorf("%q: exit code %d\n%s%s", c.args, out.code, out.stdout, out.stderr)
		}
	}
	for _, args := range [][]string{{"claims", "undo", nobody}, {"claims", "undo", nobody, "--yes"}} {
		s.ends(exitFailed, s.run(args...), "no customer has claimed a guest with this key")
	}
}

// An undoing beside a run says who is at work and changes nothing.
func TestPromise13_UndoingAClaimNeedsTheLease(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	v := s.visitor("vera.visser@example.test")
	s.ends(exitDone, s.run("run"))
	s.confirms(v)
	s.inStep()
	release := s.hold("another one")
	s.ends(exitFailed, s.run("claims", "undo", v.guest, "--yes"), "is held by another one")
	s.ends(exitDone, s.run("claims"))
	release()
	if s.claims().Total != 1 {
		t.Error("the claim was undone")
	}
}

// TestClaimsGolden holds what the command prints to files that a person has read.
func TestClaimsGolden(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)
	run := &runBrief{ID: 9, Stream: "orders", Outcome: state.Done, Started: new(now.Add(-6 * time.Minute)), Ended: new(now.Add(-4 * time.Minute))}
	guest := func(digit string) string { return "shop-w1-g" + strings.Repeat(digit, 32) }
	report := &claimsReport{Shop: "shop", At: now, Total: 1204, Undone: 1, More: true, Claims: []claimRow{
		{Key: guest("0"), Customer: "shop-c17", LastRun: run},
		{Key: guest("1"), Customer: "shop-c18", Open: true, CopernicaID: 501, LastRun: run, WaitsFor: waitsForRun},
		{Key: guest("2"), Customer: "shop-c19", Open: true, CopernicaID: 502, LastRun: run, WaitsFor: waitsForCustomer},
		{
			Key: guest("3"), Customer: "shop-c20", Open: true, CopernicaID: 503, LastRun: run, WaitsFor: waitsForOrders, Orders: []string{"shop-o5", "shop-o7"},
			Attempts: 3, NextAttempt: new(now.Add(3 * time.Hour)),
		},
		{Key: guest("4"), Customer: "shop-c21", Open: true, CopernicaID: 504, WaitsFor: waitsForProfile, Attempts: 1, NextAttempt: new(now)},
	}}
	there := &ledgerRow{State: state.Claimed, FirstSeen: new(now.Add(-time.Hour))}
	customer := &ledgerRow{State: state.Acknowledged, CopernicaID: 90817, FirstSeen: new(now.Add(-time.Hour)), AcknowledgedAt: new(now.Add(-time.Minute))}
	for name, report := range map[string]printed{
		"claims/list": func(w io.Writer) error { return report.print(w, &claimsList{Limit: 5}) },
		"claims/list-by-email": func(w io.Writer) error {
			return (&claimsReport{Shop: "shop", At: now, Identity: config.ByEmail, Total: 2, Claims: []claimRow{
				{Key: "shop-c19", Customer: "shop-c17", LastRun: run}, {Key: guest("7"), Customer: "shop-c17", LastRun: run},
			}}).print(w, &claimsList{Limit: 5})
		},
		"claims/none": func(w io.Writer) error { return (&claimsReport{Shop: "shop", At: now}).print(w, &claimsList{}) },
		"claims/undone": func(w io.Writer) error {
			undone := &claimsReport{Shop: "shop", At: now, Total: 2, Undone: 41, More: true, Claims: []claimRow{
				{Key: guest("5"), Customer: "shop-c17", Undone: true, CopernicaID: 505}, {Key: guest("6"), Customer: "shop-c18", Undone: true},
			}}
			return undone.print(w, &claimsList{Undone: true, Limit: 2})
		},
		"claims/none-undone": func(w io.Writer) error {
			return (&claimsReport{Shop: "shop", At: now, Total: 2}).print(w, &claimsList{Undone: true})
		},
		"claims/none-open": func(w io.Writer) error {
			return (&claimsReport{Shop: "shop", At: now, Total: 2}).print(w, &claimsList{Open: true})
		},
		"lookup/claims": (&lookupReport{Shop: "shop", Target: "Copernica database 101", At: now, By: byEmail, Records: []*lookupRecord{
			{Entity: state.Profile, Key: guest("0"), SourceID: 815, Ledger: there, LastRun: run, Claim: &lookupClaim{Customer: "shop-c17"}},
			{Entity: state.Profile, Key: guest("1"), SourceID: 816, Ledger: there, LastRun: run, Claim: &lookupClaim{Customer: "shop-c17", Open: true}},
			{Entity: state.Profile, Key: guest("2"), SourceID: 817, Ledger: customer, LastRun: run, Claim: &lookupClaim{Customer: "shop-c17", Undone: true}},
			{
				Entity: state.Profile, Key: "shop-c17", SourceID: 17, Ledger: customer, LastRun: run,
				Others: []lookupOther{{Key: guest("0")}, {Key: guest("1"), Open: true}, {Key: guest("2"), Undone: true}},
				OptOuts: []lookupOptOut{
					{Source: "publisher", At: new(now.Add(-time.Hour)), SettledAt: now.Add(-50 * time.Minute)},
					{Source: engine.OptOutInProfile, SettledAt: now.Add(-100 * time.Hour)},
				},
			},
		}, Tombstones: []lookupTombstone{{Website: 2, At: now.Add(-48 * time.Hour)}, {At: now.Add(-time.Hour)}}}).print,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text bytes.Buffer
			if err := report.print(&text); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", text.Bytes())
		})
	}
}
