//go:build sabotage

package sabotage_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// defect is one mistake that must not go unnoticed.
type defect struct {
	name string
	file string // from the root of the module
	old  string // stands there exactly once
	new  string
	seen []string // go command that must fail; nil: the demo
}

var demoRun = []string{"run", "./cmd/syncd", "demo", "--exit", "--customers", "1200", "--orders", "600"}

func test(pkg, name string) []string {
	return []string{"test", "-count=1", "-run", name, pkg}
}

// model is the model-based test, which need not make short what it finds here.
func model() []string {
	return append(test("./sync/engine", "TestModelHistories"), "-rapid.shrinktime=1s", "-rapid.nofailfile")
}

func defects() []defect {
	return slices.Concat(customerDefects(), orderDefects(), claimDefects(), lossDefects())
}

func customerDefects() []defect {
	return []defect{
		{
			name: "one of a tie is skipped",
			file: "magento/search.go",
			old:  `, {"entity_id", "gt", strconv.FormatInt(after.ID, 10)}})`, new: `})`,
			seen: test("./sync/engine", "TestPromise01"),
		},
		{
			name: "the overlap is off",
			file: "sync/engine/pass.go", old: "cp.From = cp.Horizon.Add(-r.cfg.Overlap)", new: "cp.From = cp.Horizon",
			seen: test("./sync/engine", "TestPromise03_AChange"),
		},
		{
			name: "the horizon is ignored",
			file: "sync/engine/pass.go", old: "From: cp.From, Before: cp.Target,", new: "From: cp.From, Before: cp.Target.AddDate(1, 0, 0),",
			seen: test("./sync/engine", "TestPromise02"),
		},
		{
			name: "an unknown outcome is written again at once",
			file: "sync/engine/writer.go",
			old:  "	// Either nobody knows whether it was written, or it was and its id is not known.\n",
			new:  "	if copernica.Outcome(err) == copernica.Unknown {\n		return w.create(ctx, it)\n	}\n",
			seen: test("./sync/engine", "TestPromise10_AnUnknownOutcome"),
		},
		{
			name: "a 303 is followed",
			file: "copernica/client.go",
			old:  "		Transport: stay{transport},\n		CheckRedirect: func(*http.Request, []*http.Request) error {\n			return http.ErrUseLastResponse\n		},\n",
			new:  "		Transport: transport,\n",
			seen: test("./copernica", "Redirect"),
		},
		{
			name: "a filter on an unknown field is sent",
			file: "copernica/guard.go",
			old:  "	if reason != \"\" {\n		return nil, nil, t.refuse(key.name, reason)\n	}\n	return h, f, nil\n",
			new:  "	if reason != \"\" {\n		f = &Field{ID: key.id, Name: key.name}\n	}\n	return h, f, nil\n",
			seen: test("./copernica", "Promise12|Guard"),
		},
		{
			name: "an opt-in goes over an opt-out",
			file: "sync/engine/consent.go", old: "		return false, it.row.OptIn\n", new: "		return true, false\n",
			seen: test("./sync/engine", "TestPromise18"),
		},
		{
			name: "the shop's word always goes over Copernica's",
			file: "sync/engine/consent.go", old: "		return false, it.row.OptIn\n", new: "		return true, false\n",
			seen: model(),
		},
		{
			name: "the overlap is off, in any history",
			file: "sync/engine/pass.go", old: "cp.From = cp.Horizon.Add(-r.cfg.Overlap)", new: "cp.From = cp.Horizon",
			seen: model(),
		},
		{
			name: "times are an hour late",
			file: "sync/mapping/types.go", old: "		return at.In(zone).Format(dateTimeLayout)\n", new: "		return at.Add(time.Hour).In(zone).Format(dateTimeLayout)\n",
		},
		{
			name: "first and last names are swapped",
			file: "sync/mapping/sources.go",
			old:  "string { return r.c.FirstName }", new: "string { return r.c.LastName }",
		},
		{
			name: "a 500 is swallowed",
			file: "copernica/errors.go", old: "	return Unknown\n}", new: "	return Acknowledged\n}",
			seen: test("./sync/engine", "TestPromise10_AnUnknownUpdate"),
		},
	}
}

// orderDefects are those below profiles.
func orderDefects() []defect {
	return []defect{
		{
			name: "the last line of an order is dropped",
			file: "sync/mapping/orders.go",
			old:  "	return out, problem\n}\n\n// guest makes", new: "	if n := len(out.Items); n > 1 {\n		out.Items = out.Items[:n-1]\n	}\n	return out, problem\n}\n\n// guest makes",
		},
		{
			name: "a guest is another person in capitals",
			file: "sync/mapping/orders.go", old: "strings.ToLower(strings.TrimSpace(email))", new: "strings.TrimSpace(email)",
			seen: test("./sync/engine", "TestPromise17"),
		},
		{
			name: "a child line becomes a row",
			file: "magento/orders_decode.go", old: "if w := &printed[i]; w.ParentID == 0 {", new: "if w := &printed[i]; w.ParentID >= 0 {",
		},
		{
			name: "an order does not wait for its customer",
			file: "sync/engine/owners.go", old: "	if err != nil || !customers.Horizon.IsZero() {\n", new: "	if err != nil || customers.Version >= 0 {\n",
			seen: test("./sync/engine", "TestAnOrderWaits"),
		},
		{
			name: "an order is in another lane than its profile",
			file: "sync/engine/page.go", old: "		return it.owner.key\n	}\n	return it.row.Key\n", new: "		return it.row.Key\n	}\n	return it.row.Key\n",
			seen: test("./sync/engine", "TestPromise13_Rows"),
		},
		{
			name: "cents are lost",
			file: "sync/mapping/types.go", old: "	if plain(string(d)) {\n		return string(d)\n", new: "	if plain(string(d)) {\n		return strings.Split(string(d), \".\")[0]\n",
		},
		{
			name: "an order that nobody owns goes to somebody",
			file: "sync/engine/owners.go",
			old:  "			o.Owner.Key = o.order.before.Parent // of an account that was deleted since\n",
			new:  "			o.Owner.Key, o.Owner.Customer = r.cfg.Mapping.CustomerKey(1), 1\n",
		},
		{
			name: "a line that is gone stays",
			file: "sync/engine/orders.go", old: "if removeGone && o.ItemsKnown {", new: "if !removeGone && o.ItemsKnown {",
			seen: test("./sync/engine", "TestOnlyChangedRows"),
		},
		{
			name: "lines that are not printed are taken for gone",
			file: "sync/engine/orders.go", old: "if removeGone && o.ItemsKnown {", new: "if removeGone {",
			seen: test("./sync/engine", "TestLinesThatAreNotPrinted"),
		},
		{
			name: "an order is written below a removed profile",
			file: "sync/engine/owners.go", old: "		if _, ok := slices.BinarySearch(live, who.id); ok {\n", new: "		if _, ok := slices.BinarySearch(live, who.id); ok || who.id > 0 {\n",
			seen: test("./sync/engine", "TestPromise15"),
		},
		{
			name: "of a guest's orders the one seen last speaks",
			file: "sync/engine/plan.go", old: "	return it.row.UpdatedAt.Before(rec.SourceUpdatedAt) ||\n", new: "	return !it.row.Shared && it.row.UpdatedAt.Before(rec.SourceUpdatedAt) ||\n",
			seen: test("./sync/engine", "TestPromise17"),
		},
		{
			name: "an order that moved stands twice",
			file: "sync/engine/writer.go", old: "		return w.leave(ctx, it, old, res)\n", new: "		return res\n",
			seen: test("./sync/engine", "TestAnOrderThatGets"),
		},
	}
}

// claimDefects are those among guests who are customers.
func claimDefects() []defect {
	return []defect{
		{
			name: "an account that is not confirmed claims a guest",
			file: "sync/engine/claims.go", old: "it.problem == nil && it.row.Confirmed && ", new: "it.problem == nil && ",
			seen: test("./sync/engine", "TestPromise17_WhoClaimsNobody"),
		},
		{
			name: "the opt-out of a guest is lost",
			file: "sync/engine/gather.go", old: "	return true, r.carryOptOut(ctx, guest, customer, from, to)\n", new: "	return true, nil\n",
			seen: test("./sync/engine", "TestPromise17_AGuestsOptOut"),
		},
		{
			name: "a guest's profile is removed with what stands below it",
			file: "sync/engine/gather.go", old: "	if err != nil || !whole {\n", new: "	if err != nil {\n",
			seen: test("./sync/engine", "TestPromise17_WhatOthersMade"),
		},
		{
			name: "an undone claim is made again",
			file: "sync/engine/gather.go", old: "			rec.Parent = customer // says", new: "			// says",
			seen: test("./sync/engine", "TestPromise17_AClaimIsUndone"),
		},
	}
}

// lossDefects are among what sweeps, erasure and the way back decide.
func lossDefects() []defect {
	return []defect{
		{
			name: "the brake is off",
			file: "sync/engine/sweep.go", old: "return max(20, all/200)", new: "return max(2000, all)",
			seen: test("./sync/engine", "TestPromise19_ABrokenShop"),
		},
		{
			name: "who is missing in a list is not asked for",
			file: "sync/engine/sweep.go", old: "		if !found[i] {\n", new: "		if !found[i] || true {\n",
			seen: test("./sync/engine", "TestPromise19_AListThatLeaves"),
		},
		{
			name: "a sweep compares nothing",
			file: "sync/engine/sweep.go", old: "rec.ConsentSource != r.consentOf(&items[i].Value) {", new: "rec.ConsentSource != r.consentOf(&items[i].Value) && items[i].Value.Subscribed {",
			seen: test("./sync/engine", "TestPromise04_AConsentSweep"),
		},
		{
			name: "a tombstone covers nobody",
			file: "sync/engine/erasure.go", old: "return ok && !dated.After(at)", new: "return ok && dated.After(at.AddDate(100, 0, 0))",
			seen: test("./sync/engine", "TestPromise19_FiveHundred"),
		},
		{
			name: "a tombstone covers what came later",
			file: "sync/engine/erasure.go", old: "return ok && !dated.After(at)", new: "return ok && !dated.After(at.AddDate(100, 0, 0))",
			seen: test("./sync/engine", "TestPromise19_WhoOrdersAgain"),
		},
		{
			name: "the tombstone file is not read",
			file: "sync/engine/erasure.go", old: "	for _, s := range outside {\n", new: "	for _, s := range outside[:0] {\n",
			seen: test("./sync/engine", "TestPromise19_StateAndFile"),
		},
		{
			name: "the way back moves past what it could not settle",
			file: "sync/engine/back.go", old: "	if !r.passedOver {", new: "	if true {",
			seen: test("./sync/engine", "TestPromise18_AnOptOutThatCannot"),
		},
		{
			name: "an opt-out that went back is an event again",
			file: "sync/engine/back.go", old: "				rec.ConsentWritten = r.writer.hashConsent(p.Fields[r.writer.consent])\n", new: "",
			seen: test("./sync/engine", "TestPromise18_AnOptOutInCopernica"),
		},
		{
			name: "no minute is left for clocks that differ",
			file: "sync/engine/consent.go", old: "rec.OutSeenAt.Add(-clockMargin)", new: "rec.OutSeenAt",
			seen: test("./sync/engine", "TestPromise18_ClicksAround"),
		},
		{
			name: "a list is believed of who shares an e-mail",
			file: "sync/engine/sweep.go", old: "return settled(i) && shared[keys[i]]", new: "return false && settled(i) && shared[keys[i]]",
			seen: test("./sync/engine", "TestPromise18_AConsentSweepReads"),
		},
		{
			name: "an opt-in without an answer is sent again unread",
			file: "sync/engine/writer.go", old: "\t\tseen = now\n", new: "",
			seen: test("./sync/engine", "TestPromise18_AnOptOutWhileAnOptIn"),
		},
		{
			name: "of several rows with one key the youngest is written",
			file: "sync/engine/doubles.go", old: "cmp.Compare(a.ID, b.ID)) }).ID", new: "cmp.Compare(b.ID, a.ID)) }).ID",
			seen: test("./sync/engine", "TestPromise12_TheRule"),
		},
		{
			name: "edits by hand in Copernica are passed over",
			file: "sync/engine/inspect.go", old: "			found.Deviation = Edited\n			rec.Hash = state.Hash{}\n", new: "			continue\n",
			seen: test("./sync/engine", "TestPromise15_EveryDeviation"),
		},
	}
}

func TestSabotage(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	list := defects()
	caught := 0
	for _, d := range list {
		t.Run(strings.ReplaceAll(d.name, " ", "-"), func(t *testing.T) {
			overlay := plant(t, root, d)
			seen := d.seen
			if seen == nil {
				seen = demoRun
			}
			// A defect that does not compile proves nothing.
			if out, err := command(t, root, []string{"build", "-overlay", overlay, "-o", os.DevNull, "./cmd/syncd"}).CombinedOutput(); err != nil {
				t.Fatalf("the defect does not compile: %v\n%s", err, out)
			}
			args := append([]string{seen[0], "-overlay", overlay}, seen[1:]...)
			out, err := command(t, root, args).CombinedOutput()
			if err == nil || bytes.Contains(out, []byte("[build failed]")) {
				t.Fatalf("planted and not noticed by `go %s`: %v\n%s", strings.Join(seen, " "), err, tail(out))
			}
			caught++
			t.Logf("noticed by `go %s`: %s", strings.Join(seen, " "), lastWords(out))
		})
	}
	t.Logf("%d of %d defects noticed", caught, len(list))
}

// plant writes the overlay for a defect and returns its path.
func plant(t *testing.T, root string, d defect) string {
	t.Helper()
	path := filepath.Join(root, filepath.FromSlash(d.file))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte(d.old)); n != 1 {
		t.Fatalf("%s holds %q %d times, not once: the defect must be planted anew", d.file, d.old, n)
	}
	dir := t.TempDir()
	spoilt := filepath.Join(dir, filepath.Base(path))
	if err := os.WriteFile(spoilt, bytes.Replace(text, []byte(d.old), []byte(d.new), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: spoilt}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func command(t *testing.T, root string, args []string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	return cmd
}

// lastWords is the line that says why: a failed test's name or the demo's verdict.
func lastWords(out []byte) string {
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "--- FAIL") || strings.Contains(line, "missing,") {
			return line
		}
	}
	return strings.TrimSpace(string(tail(out)))
}

func tail(out []byte) []byte {
	const most = 2000
	if len(out) > most {
		return out[len(out)-most:]
	}
	return out
}
