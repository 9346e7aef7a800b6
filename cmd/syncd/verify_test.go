package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// More than two hundred differences of every kind, on both sides, are all found with the
// names of their fields, and nothing else is.
func TestPromise15_VerifyFindsEveryDifferenceAndNothingElse(t *testing.T) {
	t.Parallel()
	p := plant(t, magentotest.Config{Customers: 300, Orders: 280})
	if found := p.verify(exitDone); len(found) != 0 {
		t.Fatalf("in step, and yet: %v", found)
	}
	p.plantResolved()
	p.plantCustomers()
	p.plantOrders()
	p.plantLines()
	p.plantInCopernica()
	p.plantBelowProfiles()
	p.everyKind()
	if len(p.want) < 200 {
		t.Fatalf("only %d differences are planted", len(p.want))
	}

	before, ledger := p.writes(), p.records()
	if diff := cmp.Diff(p.want, p.verify(exitFailed)); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ledger, p.records()); diff != "" || p.writes() != before {
		t.Errorf("a look wrote %d times; ledger (-before +after):\n%s", p.writes()-before, diff)
	}

	// A repair puts right what is ours to put right: what cannot be delivered has a dead letter.
	theirs := p.notOurs()
	out := p.run("verify", "--repair")
	p.ends(exitFailed, out, fmt.Sprintf("%d rows are left that are not ours to put right", len(theirs)))
	if diff := cmp.Diff(theirs, p.verify(exitFailed)); diff != "" {
		t.Errorf("left after a repair (-want +got):\n%s", diff)
	}
}

// What the next run brings over by itself is no difference, values are shown only when
// they are asked for, and a sample says that it is one.
func TestVerifyTellsWhatItLookedAt(t *testing.T) {
	t.Parallel()
	p := plant(t, magentotest.Config{Customers: 60, Orders: 20})
	changed, quiet := p.customers[0].ID, p.customers[1].ID
	p.shop.Edit(changed, func(c *magentotest.Customer) { c.LastName = "Later" })
	out := p.run("verify")
	p.ends(exitDone, out)
	for _, words := range []string{"customers/sweep: 60 looked at, 1 change left to the next run", "copernica/sweep/order: ", "nothing differs"} {
		if !strings.Contains(out.stdout, words) {
			t.Errorf("no %q in:\n%s", words, out.stdout)
		}
	}
	p.shop.EditQuietly(quiet, func(c *magentotest.Customer) { c.LastName = "Quiet" })
	out = p.run("verify", "customers")
	p.ends(exitFailed, out, "1 row differs: `syncd verify customers --repair` puts right")
	if strings.Contains(out.stdout, "Quiet") || !strings.Contains(out.stdout, "lastname") || strings.Contains(out.stdout, "order") {
		t.Errorf("of the customers without values:\n%s", out.stdout)
	}
	if out = p.run("verify", "--show-values"); !strings.Contains(out.stdout, `lastname: "Quiet", in Copernica "`) {
		t.Errorf("with values:\n%s", out.stdout)
	}
	if out = p.run("verify", "--sample", "2"); !strings.Contains(out.stdout, "a sample: 2 random places on each side") {
		t.Errorf("a sample:\n%s", out.stdout)
	}
	var whole, sample verifyReport
	p.must(json.Unmarshal([]byte(p.run("verify", "--json").stdout), &whole))
	p.must(json.Unmarshal([]byte(p.run("verify", "--sample", "50", "--json").stdout), &sample))
	for i, part := range sample.Looked {
		if part.Read < 1 || part.Read > whole.Looked[i].Read {
			t.Errorf("a sample of a small shop looks at %d of %d: %s", part.Read, whole.Looked[i].Read, part.What)
		}
	}
	if out = p.run("verify", "--sample", "2", "--repair"); out.code != exitConfiguration || !strings.Contains(out.stderr, "leave --sample out") {
		t.Errorf("a sample that is to be repaired: %+v", out)
	}
	out = p.run("verify", "--repair")
	p.ends(exitDone, out)
	if !strings.Contains(out.stdout, "customers/sweep: 60 read, 0 created, 2 updated") || strings.Contains(out.stdout, "orders/sweep: 20 read") || strings.Contains(out.stdout, "copernica/sweep: ") {
		t.Errorf("a repair, which needs no second look at what was in step:\n%s", out.stdout)
	}
	p.compare()
}

// Before the first pass is over there is nothing to hold the shop against, and that is no
// success, nor does a repair make it one.
func TestVerifyOfAnUnfinishedFirstPass(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.environ["SYNCD_RUN_BUDGET"] = "10"
	s.ends(exitDone, s.run("run", "customers"))
	s.ends(exitFailed, s.run("verify"),
		"the first pass over the customers and the orders is not finished, so that the shop was not compared: `syncd run` finishes it")
	out := s.run("verify", "customers", "--repair")
	s.ends(exitFailed, out, "the first pass over the customers is not finished", "`syncd run customers` finishes it")
	out.says(t, "customers/sweep: 0 looked at; the first pass of the stream is not finished", "nothing differs in what could be compared\n")
	delete(s.environ, "SYNCD_RUN_BUDGET")
	s.ends(exitDone, s.run("run"))
	s.ends(exitDone, s.run("verify"))
}

// Of a row that is gone and has doubles, none is said to be too many: whoever removed them
// all would remove the last.
func TestVerifyKeepsTheLastOfARow(t *testing.T) {
	t.Parallel()
	p := plant(t, magentotest.Config{Customers: 20})
	double := func(key string) (ours, other int64) {
		ours = p.profile(key)
		other, err := p.account.AddProfile(copernicatest.DatabaseName, map[string]string{"customer_id": key})
		p.must(err)
		return ours, other
	}
	gone, stays := fmt.Sprint("shop-c", p.customers[0].ID), fmt.Sprint("shop-c", p.customers[1].ID)
	lost, _ := double(gone)
	ours, _ := double(stays)
	p.must(p.account.RemoveProfile(lost))
	p.run("verify").says(t, fmt.Sprintf("%d was ours and is gone: keep this one", lost), fmt.Sprintf("%d is ours", ours))
	var report verifyReport
	p.must(json.Unmarshal([]byte(p.run("verify", "--json").stdout), &report))
	for _, d := range report.Differences {
		if d.Chosen != 0 && d.ChosenGone != (d.Key == gone) {
			t.Errorf("%s: %+v", d.Key, d)
		}
	}
	_, _ = double(gone)
	p.run("verify").says(t, fmt.Sprintf("%d was ours and is gone: keep one of these", lost))
}

// A record that was refused stays a difference when its letter is closed, until it
// arrives or the shop has it no more; beside an open letter it is not told twice.
func TestPromise23_VerifyTellsOfResolvedLetters(t *testing.T) {
	t.Parallel()
	p := plant(t, magentotest.Config{Customers: 60})
	mended, deleted, again := p.customers[0], p.customers[1], p.customers[2]
	for _, c := range []magentotest.Customer{mended, deleted, again} {
		p.shop.Edit(c.ID, func(c *magentotest.Customer) { c.Email = strings.Repeat("a", 160) + c.Email })
	}
	p.pass(time.Minute)
	p.ends(exitDeadLetters, p.run("run", "customers"))
	if found := p.verify(exitDeadLetters); len(found) != 0 {
		t.Errorf("beside open letters: %v", found)
	}
	p.run("verify").says(t, "nothing differs but what could not be delivered\n3 dead letters are open: `syncd dead`\n")
	for _, letter := range p.open() {
		p.ends(exitDone, p.run("dead", "resolve", number(letter.ID), "--why", "nobody"))
	}
	key := func(c magentotest.Customer) string { return fmt.Sprint("resolved profile shop-c", c.ID) }
	want := map[string]string{key(mended): "", key(deleted): "", key(again): ""}
	for _, args := range [][]string{nil, {"customers"}, {"--sample", "1"}} {
		if diff := cmp.Diff(want, p.verify(exitFailed, args...)); diff != "" {
			t.Errorf("%v found (-want +got):\n%s", args, diff)
		}
	}
	if found := p.verify(exitDone, "orders"); len(found) != 0 {
		t.Errorf("of the orders: %v", found)
	}
	out := p.run("verify")
	p.ends(exitFailed, out, "3 rows differ")
	out.says(t, "resolved: 3 profile, not delivered, and their dead letters were resolved by an operator")
	p.ends(exitFailed, p.run("verify", "--repair"), "3 rows are left that are not ours to put right")

	p.shop.Edit(mended.ID, func(c *magentotest.Customer) { c.Email = mended.Email })
	p.shop.Edit(again.ID, func(c *magentotest.Customer) { c.LastName += " again" })
	p.shop.Delete(deleted.ID)
	delete(want, key(mended)) // its change is on the way
	delete(want, key(again))
	delete(want, key(deleted))
	want[fmt.Sprint("missing profile shop-c", deleted.ID)] = ""
	if diff := cmp.Diff(want, p.verify(exitFailed)); diff != "" {
		t.Errorf("before the next run (-want +got):\n%s", diff)
	}
	p.pass(time.Minute)
	p.ends(exitDeadLetters, p.run("verify", "--repair")) // one has a letter again
	if found := p.verify(exitDeadLetters); len(found) != 0 {
		t.Errorf("after it was mended, deleted, and refused again: %v", found)
	}
	// Beside what differs the letter is told as well.
	p.shop.EditQuietly(p.customers[3].ID, func(c *magentotest.Customer) { c.LastName += " quietly" })
	out = p.run("verify")
	p.ends(exitFailed, out, "1 row differs")
	out.says(t, "1 dead letter is open: `syncd dead`\n")
	var report verifyReport
	p.must(json.Unmarshal([]byte(p.run("verify", "--json").stdout), &report))
	if report.Open != 1 || report.Repairs != nil {
		t.Errorf("%d letters are open, runs of a repair: %v", report.Open, report.Repairs)
	}
}

// A shop that lost more than anybody deletes in passing waits for an operator's number.
func TestPromise19_VerifyWaitsForAnOperatorsNumber(t *testing.T) {
	t.Parallel()
	p := plant(t, magentotest.Config{Customers: 120})
	p.each(30, func(c magentotest.Customer, _ string) (string, string) {
		p.shop.Delete(c.ID)
		return "missing", ""
	})
	for _, args := range [][]string{{"verify"}, {"verify", "--repair"}} {
		out := p.run(args...)
		p.ends(exitConfiguration, out, "the shop no longer has", "`syncd verify customers --repair --accept-deletions N`")
		if n := p.records()["profile"]["gone"]; n != 0 {
			t.Fatalf("%v gave %d customers up", args, n)
		}
	}
	if diff := cmp.Diff(p.want, p.verify(exitFailed, "--accept-deletions", "30")); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	// The next step is as wide as this one, and accepts what was found.
	p.ends(exitFailed, p.run("verify", "customers", "--accept-deletions", "1000"),
		"30 rows differ: `syncd verify customers --repair --accept-deletions 30` puts right what is ours to put right")
	p.ends(exitDone, p.run("verify", "customers", "--repair", "--accept-deletions", "30"))
	if n := p.records()["profile"]["gone"]; n != 30 {
		t.Errorf("%d customers are gone", n)
	}
	if found := p.verify(exitDone); len(found) != 0 {
		t.Errorf("found again: %v", found)
	}
	var report verifyReport
	p.must(json.Unmarshal([]byte(p.run("verify", "customers", "--repair", "--json").stdout), &report))
	if report.Repairs == nil || len(report.Repairs) > 0 {
		t.Errorf("a repair with nothing to do: %v, want no runs rather than null", report.Repairs)
	}
}
