package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
)

// lookup asks for a record with --json. What --live prints may show a person, so it is
// not swept as the output of other commands is.
func (s *stage) lookup(what string, flags ...string) lookupReport {
	s.t.Helper()
	var stdout, stderr lockedBuffer
	a := &app{stdout: &stdout, stderr: &stderr, environ: s.env(), now: time.Now}
	if code := a.run(s.t.Context(), append([]string{"lookup", what, "--json"}, flags...)); code != exitDone {
		s.t.Fatalf("lookup %s: exit code %d\n%s", what, code, stderr.String())
	}
	if !slices.Contains(flags, "--live") {
		s.sweep(stdout.String() + stderr.String())
	}
	var report lookupReport
	s.must(json.Unmarshal([]byte(stdout.String()), &report))
	return report
}

// looksAt is what `syncd lookup --live` prints for people, which may show a person likewise.
func (s *stage) looksAt(what string) outcome {
	s.t.Helper()
	var text lockedBuffer
	a := &app{stdout: &text, stderr: &text, environ: s.env(), now: time.Now}
	code := a.run(s.t.Context(), []string{"lookup", what, "--live"})
	if code != exitDone {
		s.t.Errorf("lookup %s --live: exit code %d", what, code)
	}
	return outcome{code: code, stdout: text.String()}
}

// one expects a single record.
func (r lookupReport) one(t *testing.T) *lookupRecord {
	t.Helper()
	if len(r.Records) != 1 {
		t.Fatalf("%d records: %+v", len(r.Records), r)
	}
	return r.Records[0]
}

func TestLookup(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	there, refused := s.id(4), s.id(9)
	refusing := s.refuse(refused)
	s.ends(exitDeadLetters, s.run("run"))
	key := "shop-c" + number(there)
	profile := s.profileOf(key)

	for by, what := range map[lookupBy]string{byCustomer: number(there), byKey: strings.ToUpper(key), byProfile: "profile:" + number(profile)} {
		report := s.lookup(what)
		r := report.one(t)
		if report.By != by || r.Key != key || r.SourceID != there || r.Ledger.State != state.Acknowledged || r.Ledger.CopernicaID != profile ||
			r.Ledger.FirstSeen == nil || r.Ledger.AcknowledgedAt == nil || r.LastRun.ID != 1 || len(r.Letters) != 0 || r.Live != nil {
			t.Errorf("%s: %+v", what, r)
		}
	}
	out := s.run("lookup", "P"+number(profile))
	s.ends(exitDone, out)
	out.says(t, key+": customer "+number(there)+" of shop \"shop\"", "acknowledged: Copernica has it", "profile "+number(profile), "1 of customers, done", "dead letters  none")

	// Refused, then delivered: the letter stays to be seen.
	r := s.lookup(number(refused)).one(t)
	if r.Ledger.State != state.Refused || r.Ledger.CopernicaID != 0 || r.Ledger.AcknowledgedAt != nil || len(r.Letters) != 1 || r.Letters[0].Resolved != nil {
		t.Errorf("refused: %+v", r)
	}
	s.run("lookup", number(refused)).says(t, "refused: it cannot be delivered", "no profile is known", ", open: refused, last seen")
	refusing.Remove()
	s.ends(exitDone, s.run("dead", "replay", "1"))
	r = s.lookup(number(refused)).one(t)
	if r.Ledger.State != state.Acknowledged || r.LastRun.ID != 3 || len(r.Letters) != 1 || r.Letters[0].Resolution != "delivered" {
		t.Errorf("delivered: %+v", r)
	}

	calls := s.account.Calls()
	for what, words := range map[string]string{
		"4711": "the state knows no record shop-c4711", "p4711": "the state knows no profile 4711", "shop-c4711": "the state knows no record shop-c4711",
		"nobody@example.test": "no guest has ordered with it on websites up to 99; ", "MyShop-C17": "myshop-c17 is no key of this shop", "myshop-c17": "myshop-c17 is no key of this shop: its keys begin with shop-;",
	} {
		out := s.run("lookup", what)
		s.ends(exitFailed, out, words)
		if out.stdout != "" || strings.Contains(out.stderr, "nobody@") {
			t.Errorf("%s: %s%s", what, out.stdout, out.stderr)
		}
	}
	for _, what := range []string{"", "x", "0", "-1", "000", "+7", "p", "profile:", "p0", "c7", "order:", "order: ", "#"} {
		out := s.run("lookup", "--", what)
		if out.code != exitConfiguration || out.stdout != "" {
			t.Errorf("%q: exit code %d\n%s%s", what, out.code, out.stdout, out.stderr)
		}
	}
	if s.account.Calls() != calls {
		t.Error("a lookup without --live called Copernica")
	}
}

// profileOf returns the id of the profile with a key, as Copernica gives it.
func (s *stage) profileOf(key string) int64 {
	s.t.Helper()
	for _, p := range s.account.Profiles(copernicatest.DatabaseName) {
		if p.Fields["customer_id"] == key {
			return p.ID
		}
	}
	s.t.Fatalf("there is no profile %s", key)
	return 0
}

// differing are the fields in which both sides of a record differ.
func (l *liveSides) differing() string {
	var names []string
	for _, f := range l.Fields {
		if !f.Same {
			names = append(names, f.Field)
		}
	}
	return strings.Join(names, " ")
}

func TestLookupLive(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	id, out := s.id(6), s.id(3)
	s.shop.SetNewsletter(id, magentotest.Subscribed)
	s.shop.SetNewsletter(out, magentotest.Unsubscribed)
	s.ends(exitDone, s.run("run"))
	key := "shop-c" + number(id)
	profile := s.profileOf(key)
	live := func(what string) *liveSides {
		t.Helper()
		return s.lookup(what, "--live").one(t).Live
	}

	got := live(number(id))
	if !got.InShop || got.UpdatedAt == nil || !slices.Equal(got.Profiles, []int64{profile}) || got.differing() != "" || len(got.Fields) != 11 {
		t.Errorf("in step: %+v", got)
	}
	if f := got.Fields[1]; f.Field != "email" || f.Mapped == nil || f.Copernica == nil || !strings.Contains(*f.Mapped, "@") || *f.Mapped != *f.Copernica {
		t.Errorf("the e-mail's field: %+v", f)
	}

	s.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = "Tab\there" })
	s.must(s.account.Unsubscribe(copernicatest.DatabaseName, key))
	subscribed := got.Fields[10].Mapped
	if got = live(key); got.differing() != "firstname newsletter" || *got.Fields[10].Copernica == *subscribed || !got.Fields[10].Consent {
		t.Errorf("changed on both sides: %+v", got)
	}
	s.looksAt(number(id)).says(t, `"Tab\there"`, "different  firstname", "same       lastname", "consent that Copernica changed is kept",
		"that is after what Copernica acknowledged last: the next run brings what changed")

	// Out on both sides, in words of their own.
	s.optsOut(out)
	if got = live(number(out)); got.differing() != "newsletter" || !got.Fields[10].BothOut {
		t.Errorf("out on both sides: %+v", got)
	}

	// What the field cannot hold is not passed off as what the shop has.
	long := s.id(7)
	s.shop.Edit(long, func(c *magentotest.Customer) { c.Email = strings.Repeat("a", 160) + c.Email })
	if got = live(number(long)); len(*got.Fields[1].Mapped) != 160 || !got.Fields[1].Full || got.Fields[2].Full || !strings.Contains(got.Problem, "too long") {
		t.Errorf("an e-mail that is too long: %+v", got)
	}
	s.looksAt(number(long)).says(t, `aaa"… (all 160 characters that the field holds: the shop may have more)`)

	// A customer who came after the last run is found on the shop's side alone.
	fresh := s.shop.Create(magentotest.Customer{Email: "fresh@example.test", FirstName: "Fresh", LastName: "Face", WebsiteID: 1, StoreID: 1, GroupID: 1})
	r := s.lookup(number(fresh), "--live").one(t)
	if r.Ledger != nil || !r.Live.InShop || len(r.Live.Profiles) != 0 || r.Live.Fields[0].Copernica != nil {
		t.Errorf("not seen yet: %+v", r)
	}

	// Removed in Copernica alone, which a run does not mend.
	s.must(s.account.RemoveProfile(s.profileOf("shop-c" + number(out))))
	s.looksAt(number(out)).says(t, ", which the state knows, was removed: `syncd verify --repair` makes it anew")

	// Deleted in the shop; then removed in Copernica as well.
	s.shop.Delete(id)
	if got = live(number(id)); got.InShop || len(got.Profiles) != 1 || got.Fields[0].Mapped != nil || *got.Fields[0].Copernica != key {
		t.Errorf("deleted in the shop: %+v", got)
	}
	s.must(s.account.RemoveProfile(profile))
	if got = live(number(id)); got.InShop || len(got.Profiles) != 0 || got.Gone != profile || len(got.Fields) != 0 {
		t.Errorf("removed as well: %+v", got)
	}
	s.run("lookup", number(id), "--live").says(t, "shop          has no customer "+number(id), "has no profile with key "+key, "profile "+number(profile)+", which the state knows, was removed")

	for what, words := range map[string]string{
		"4711": "neither the state, nor the shop, nor Copernica knows shop-c4711", "shop-c4711": "neither the state", "p4711": "knows no profile 4711",
		"shop-o5": "knows shop-o5", "nobody@example.test": "nobody with this e-mail",
	} {
		s.ends(exitFailed, s.run("lookup", what, "--live"), words)
	}
}

// A profile that the state does not know tells by its key whose it is.
func TestLookupOfAForeignProfile(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.ends(exitDone, s.run("run"))
	id := s.id(25) // beyond the first page
	profile := s.profileOf("shop-c" + number(id))
	s.environ["SYNCD_DATABASE_URL"] += ".new"
	s.environ["SYNCD_RUN_BUDGET"] = "1"
	s.ends(exitDone, s.run("run", "customers"))
	r := s.lookup("p"+number(profile), "--live").one(t)
	if r.SourceID != id || r.Ledger != nil || !slices.Equal(r.Live.Profiles, []int64{profile}) || r.Live.differing() != "" {
		t.Errorf("got %+v", r)
	}
}

func TestLookupByEmail(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.ends(exitDone, s.run("run"))
	byAddress := map[string][]string{}
	for _, c := range s.shop.Data().Customers {
		address := strings.ToLower(c.Email)
		byAddress[address] = append(byAddress[address], "shop-c"+number(c.ID))
	}
	addresses := slices.Sorted(maps.Keys(byAddress))
	shared := slices.IndexFunc(addresses, func(a string) bool { return len(byAddress[a]) > 1 })
	if shared < 0 {
		t.Fatal("the shop has no e-mail on two websites")
	}
	for _, address := range []string{addresses[shared], addresses[0]} {
		report := s.lookup(" " + strings.ToUpper(address))
		var keys []string
		for _, r := range report.Records {
			keys = append(keys, r.Key)
		}
		slices.Sort(keys)
		want := slices.Sorted(slices.Values(byAddress[address]))
		if report.By != byEmail || !slices.Equal(keys, want) {
			t.Errorf("found %v, want %v", keys, want)
		}
	}
}

// Several profiles with one key: the lookup says which is written to, which are not and
// what to do, before and after a run has chosen, by key, by customer and by any of the ids.
func TestPromise17_LookupOfDoubles(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	id := s.id(25) // beyond the first page
	key := "shop-c" + number(id)
	byHand := func(consent string) int64 {
		profile, err := s.account.AddProfile(copernicatest.DatabaseName, map[string]string{"customer_id": key, "newsletter": consent})
		s.must(err)
		return profile
	}
	s.environ["SYNCD_RUN_BUDGET"] = "1"
	s.ends(exitDone, s.run("run", "customers"))
	delete(s.environ, "SYNCD_RUN_BUDGET")
	oldest, out := byHand(""), byHand(copernicatest.Unsubscribed)
	profiles := []int64{oldest, out}
	for _, what := range []string{key, number(id), "p" + number(oldest), "p" + number(out)} {
		got := s.lookup(what, "--live").one(t)
		if got.Key != key || got.Live.Ours != out || !slices.Equal(got.Live.Profiles, profiles) || *got.Live.Fields[10].Copernica != copernicatest.Unsubscribed {
			t.Errorf("%s before a run: %+v", what, got.Live)
		}
	}
	s.looksAt(key).says(t, "2 profiles have key "+key, "profile "+number(out)+" is the one that is written to, by its id: the oldest that shows an opt-out",
		"remove ["+number(oldest)+"] in Copernica, or merge them into "+number(out))

	s.ends(exitDone, s.run("run"))
	profiles = append(profiles, byHand(""))
	for _, what := range []string{key, number(id), "p" + number(oldest), "p" + number(out)} {
		got := s.lookup(what, "--live").one(t)
		if got.Ledger.CopernicaID != out || got.Live.Ours != out || !slices.Equal(got.Live.Profiles, profiles) {
			t.Errorf("%s after a run: %+v", what, got.Live)
		}
	}
	stored := s.lookup(key).one(t)
	if stored.Ledger.CopernicaID != out || len(stored.Doubles) != 1 || stored.Doubles[0].CopernicaID != oldest || stored.Doubles[0].SeenAt.IsZero() {
		t.Errorf("without a look: %+v", stored)
	}
	s.run("lookup", "p"+number(oldest)).says(t, key, "double        profile "+number(oldest)+", seen ")
	s.run("lookup", key).says(t, "in Copernica  profile "+number(out), "double        profile "+number(oldest)+", seen ", ", has the same key and is never written to")
	s.looksAt(key).says(t, "3 profiles have key "+key, "profile "+number(out)+" is ours: it is written to by its id, the others never",
		"remove ["+number(oldest)+" "+number(profiles[2])+"] in Copernica")
	verified := s.run("verify", "customers")
	s.ends(exitFailed, verified, "2 rows differ that are not ours to put right")
	verified.says(t, "duplicated", number(oldest)+"        "+number(out)+" is ours", number(profiles[2])+"        "+number(out)+" is ours")

	// A look through Copernica finds the one that was made later, and forgets one that is gone.
	s.must(s.account.RemoveProfile(oldest))
	s.pass(time.Minute)
	s.ends(exitFailed, s.run("verify", "--repair"))
	if got := s.lookup(key).one(t).Doubles; len(got) != 1 || got[0].CopernicaID != profiles[2] {
		t.Errorf("after a look through Copernica: %+v", got)
	}
	oldest = profiles[2]

	// The one that was ours is removed: the rule names the next.
	s.must(s.account.RemoveProfile(out))
	if got := s.lookup(key, "--live").one(t).Live; got.Gone != out || got.Ours != oldest {
		t.Errorf("removed: %+v", got)
	}
	s.looksAt(key).says(t, "was removed: `syncd verify --repair` goes on with profile "+number(oldest))
}
