package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
)

// openLetters reads the open dead letters off `syncd dead --json`.
func (s *stage) openLetters() (all []deadLetter) {
	s.t.Helper()
	out := s.run("dead", "--json", "--limit", "1000")
	s.ends(exitDone, out)
	var report deadReport
	if err := json.Unmarshal([]byte(out.stdout), &report); err != nil {
		s.t.Fatal(err)
	}
	for _, g := range report.Groups {
		if int64(len(g.Letters)) != g.Count {
			s.t.Errorf("%s counts %d letters and lists %d", g.Cause, g.Count, len(g.Letters))
		}
		all = append(all, g.Letters...)
	}
	if int64(len(all)) != report.Open {
		s.t.Errorf("%d letters are listed, %d counted", len(all), report.Open)
	}
	return all
}

// open is the same by the id in the shop, which no customer and order here have in common.
func (s *stage) open() map[int64]deadLetter {
	s.t.Helper()
	all := s.openLetters()
	open := map[int64]deadLetter{}
	for _, d := range all {
		open[d.SourceID] = d
	}
	if len(open) != len(all) {
		s.t.Fatal("a customer and an order with one id have a letter each: use openLetters")
	}
	return open
}

// refuse makes Copernica refuse the records of customers, by their key, until the
// returned handle is removed.
func (s *stage) refuse(ids ...int64) *emulator.Handle {
	return s.account.Faults().Add(emulator.Fault{
		Status: 400, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"error":{"message":"Failed to create profile"}}`,
		Match: func(r *http.Request) bool {
			return r.Method == http.MethodPut && slices.ContainsFunc(ids, func(id int64) bool {
				return strings.HasSuffix(r.URL.Query().Get("fields[]"), "==shop-c"+strconv.FormatInt(id, 10))
			})
		},
	})
}

func number(id int64) string { return strconv.FormatInt(id, 10) }

// says expects words in what a command printed on standard output.
func (o outcome) says(t *testing.T, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(o.stdout, w) {
			t.Errorf("%q is missing in\n%s", w, o.stdout)
		}
	}
}

func TestPromise23_DeadLettersAreListedReplayedAndClosed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	empty, refused, other, deleted := s.id(1), s.id(5), s.id(12), s.id(20)
	s.shop.Edit(empty, func(c *magentotest.Customer) { c.Email = "" })
	refusing := s.refuse(refused, other, deleted)
	s.pass(time.Minute)
	s.ends(exitDeadLetters, s.run("run"), "4 dead letters", "`syncd dead`")
	before := s.checkpoint()
	open := s.open()
	if len(open) != 4 || open[empty].Cause != "email_empty" || open[refused].Cause != "refused" {
		t.Fatalf("open: %+v", open)
	}

	list := s.run("dead")
	s.ends(exitDone, list)
	list.says(t, "4 records of shop \"shop\" could not be delivered", "refused: 3 records", "email_empty: 1 record,",
		"to do: give the customer a value for email", "shop-c"+number(refused), "Failed to create profile", "syncd dead replay ID")
	one := s.run("dead", "list", "--cause", "refused", "--limit", "1")
	s.ends(exitDone, one)
	one.says(t, "3 records", "and 2 more: syncd dead list --cause refused --limit 3")
	s.ends(exitFailed, s.run("dead", "--cause", "refuse"), `no open dead letter has the cause "refuse": open are refused, email_empty`)

	show := s.run("dead", "show", number(open[empty].ID))
	s.ends(exitDone, show)
	show.says(t, "open", "shop-c"+number(empty), "email_empty", "no profile is known", "1 of customers, done", "syncd lookup shop-c"+number(empty))
	s.ends(exitFailed, s.run("dead", "show", "4711"), "dead letter 4711: there is none with this id: `syncd dead` lists the open ones")
	s.ends(exitFailed, s.run("dead", "replay", "4711"), "dead letter 4711: there is none with this id: `syncd dead` lists the open ones")

	// Replayed while Copernica still refuses it: counted up, and it stays open.
	again := s.run("dead", "replay", number(open[refused].ID))
	s.ends(exitDeadLetters, again, "1 dead letter is open")
	again.says(t, "refused again, refused: ")
	if d := s.open()[refused]; d.Attempts != 2 || d.ID != open[refused].ID {
		t.Errorf("after a replay in vain: %+v", d)
	}

	// A group of which one customer is gone: the rest arrives.
	refusing.Remove()
	s.shop.Delete(deleted)
	group := s.run("dead", "replay", "--cause", "refused")
	s.ends(exitDeadLetters, group, "1 dead letter is open")
	group.says(t, "shop-c"+number(refused)+": delivered, profile ", "shop-c"+number(other)+": delivered, profile ",
		"the shop has customer "+number(deleted)+" no more", "syncd dead resolve "+number(open[deleted].ID)+" --why")
	s.ends(exitFailed, s.run("dead", "list", "--cause", "Refused"), `"Refused"`)

	// What nothing will deliver is closed, and what was closed stays closed.
	s.ends(exitDone, s.run("dead", "resolve", number(open[deleted].ID), "--why", "deleted in the shop"))
	s.ends(exitFailed, s.run("dead", "resolve", number(open[deleted].ID), "--why", "again"),
		"dead letter "+number(open[deleted].ID)+": it is closed already (deleted in the shop), and nothing was closed anew")
	none := s.run("dead", "resolve", number(open[empty].ID), "4711", "--why", "one of two")
	if s.ends(exitFailed, none); !strings.HasPrefix(none.stderr, "syncd: dead letter 4711: there is none with this id, and nothing was closed: ") {
		t.Error(none.stderr)
	}
	closed := s.run("dead", "replay", number(open[deleted].ID))
	s.ends(exitDone, closed)
	closed.says(t, "closed already (deleted in the shop); `syncd resync customers --ids "+number(deleted)+"` delivers the record all the same")
	var report deadReport
	s.must(json.Unmarshal([]byte(s.run("dead", "list", "--closed", "--json").stdout), &report))
	if report.Open != 1 || len(report.Closed) != 3 {
		t.Errorf("closed ones: %+v", report)
	}
	s.ends(exitFailed, s.run("dead", "list", "--closed", "--cause", "Refused"), `no closed dead letter has the cause "Refused": the last ones have refused`)
	history := s.run("dead", "list", "--closed")
	s.ends(exitDone, history)
	history.says(t, "deleted in the shop", "delivered", "shop-c"+number(other))
	if open := s.open(); len(open) != 1 || open[empty].ID == 0 {
		t.Errorf("still open: %+v", open)
	}
	if s.checkpoint() != before {
		t.Error("promise 22: a replay moved the stream's checkpoint")
	}

	// Mended in the shop, replayed before the next run.
	s.shop.Edit(empty, func(c *magentotest.Customer) { c.Email = "found+again@example.test" })
	mended := s.run("dead", "replay", number(open[empty].ID))
	s.ends(exitDone, mended)
	mended.says(t, "delivered, profile ")
	if s.run("dead").stdout != "no open dead letters in shop \"shop\"\n" {
		t.Errorf("%s", s.run("dead").stdout)
	}
	s.inStep()
}

// A record that cannot even be read is replayed like any other.
func TestPromise23_AnUnreadableRecordIsReplayed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	id := s.id(3)
	s.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = strings.Repeat("Anna ", 1<<18) })
	s.pass(time.Minute)
	s.ends(exitDeadLetters, s.run("run"))
	d := s.open()[id]
	if d.Cause != "too_large" {
		t.Fatalf("got %+v", d)
	}
	out := s.run("dead", "replay", number(d.ID))
	s.ends(exitDeadLetters, out)
	out.says(t, "refused again, too_large: ")
	if again := s.open()[id]; again.Attempts != 2 {
		t.Errorf("got %+v", again)
	}
	s.shop.Edit(id, func(c *magentotest.Customer) { c.FirstName = "Anna" })
	s.ends(exitDone, s.run("dead", "replay", "--cause", "too_large"))
	s.inStep()
}

// What cannot be asked is said before anything is read.
func TestDeadUsage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.ends(exitDone, s.run("run"))
	long := strings.Repeat("x", 501)
	for _, args := range [][]string{
		{"dead", "replay"},
		{"dead", "replay", "1", "--cause", "refused"},
		{"dead", "replay", "one"},
		{"dead", "show"},
		{"dead", "show", "1", "2"},
		{"dead", "--limit", "-1"},
		{"dead", "list", "--closed", "--limit", "0"},
		{"dead", "resolve", "1"},
		{"dead", "resolve", "--why", "nobody"},
		{"dead", "resolve", "1", "--why", " "},
		{"dead", "resolve", "1", "--why", long},
		{"dead", "resolve", "1", "--why", "asked by jan@example.test"},
	} {
		out := s.run(args...)
		if out.code != exitConfiguration || out.stdout != "" || !strings.Contains(out.stderr, "syncd --help") {
			t.Errorf("%q: exit code %d\n%s%s", args, out.code, out.stdout, out.stderr)
		}
	}
}

// A replay beside a run says who is at work and changes nothing.
func TestPromise13_ReplayNeedsTheLease(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	id := s.id(2)
	s.refuse(id)
	s.ends(exitDeadLetters, s.run("run"))
	d := s.open()[id]
	release := s.hold("another one")
	s.ends(exitFailed, s.run("dead", "replay", number(d.ID)), "is held by another one")
	s.ends(exitDone, s.run("dead", "resolve", number(d.ID), "--why", "needs no lease"))
	release()
}

// A replayed write that nobody answers for is not called delivered, and a shop that is
// down leaves the letters as they were.
func TestReplayThatFails(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	id := s.id(2)
	refusing := s.refuse(id)
	s.ends(exitDeadLetters, s.run("run"))
	d := s.open()[id]
	refusing.Remove()

	s.shopFront.show(page(http.StatusNotFound))
	out := s.run("dead", "replay", number(d.ID))
	s.ends(exitConfiguration, out, "it answers HTML")
	out.says(t, "not tried")
	s.shopFront.show(nil)

	silent := s.account.Faults().Add(emulator.Fault{Kind: emulator.Reset, Match: func(r *http.Request) bool {
		return r.Method == http.MethodPut
	}})
	out = s.run("dead", "replay", number(d.ID))
	s.ends(exitFailed, out, "1 write has no outcome yet")
	out.says(t, "nobody knows yet whether it arrived")
	if diff := cmp.Diff(d, s.open()[id]); diff != "" {
		t.Errorf("the letter changed (-before +after):\n%s", diff)
	}
	s.run("lookup", number(id)).says(t, "unknown: it was written and nobody knows", "the next from")
	silent.Remove()
	s.pass(2 * time.Minute)
	s.inStep()
	if len(s.open()) != 0 {
		t.Error("a letter is open after the record arrived")
	}
}

// TestDeadGolden holds what the commands print to files that a person has read.
func TestDeadGolden(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)
	before := func(d time.Duration) *time.Time { return new(now.Add(-d)) }
	refused := deadLetter{
		ID: 12, Entity: state.Profile, Key: "shop-c4711", SourceID: 4711, Stream: "customers", Cause: "refused",
		Message: "PUT /database/{id}/profiles: 400 Failed to create profile", Fix: "Copernica refused the record as it stands: see the message",
		RunID: 9, Attempts: 3, FirstSeen: before(75 * time.Hour), LastSeen: before(5 * time.Minute),
	}
	empty := deadLetter{
		ID: 8, Entity: state.Profile, Key: "shop-c17", SourceID: 17, Stream: "customers", Cause: "email_empty", Message: "email",
		Fix: "give the customer a value for email in Magento; saving it sends it again", RunID: 3, Attempts: 1, FirstSeen: before(26 * time.Hour), LastSeen: before(26 * time.Hour),
	}
	other := empty
	other.ID, other.Key, other.SourceID = 9, "shop-c100018", 100018
	closed, delivered := empty, refused
	closed.Resolved, closed.Resolution = before(2*time.Hour), "a test account"
	delivered.Resolved, delivered.Resolution = before(time.Minute), "delivered"
	run := &runBrief{ID: 9, Stream: "customers", Outcome: state.Done, Started: before(6 * time.Minute), Ended: before(4 * time.Minute)}
	ledger := &ledgerRow{State: state.Refused, CopernicaID: 90817, SourceUpdatedAt: before(200 * time.Hour), FirstSeen: before(999 * time.Hour), AcknowledgedAt: before(199 * time.Hour)}

	open := &deadReport{Shop: "shop", At: now, Open: 1204, Groups: []deadGroup{
		{Cause: "email_empty", Count: 1203, FirstSeen: *before(26 * time.Hour), LastSeen: *before(26 * time.Hour), Fix: empty.Fix, Letters: []deadLetter{empty, other}},
		{Cause: "refused", Count: 1, FirstSeen: *refused.FirstSeen, LastSeen: *refused.LastSeen, Fix: refused.Fix, Letters: []deadLetter{refused}},
	}}
	unknown := &ledgerRow{State: state.Unknown, FirstSeen: before(time.Minute), PlannedAt: before(time.Minute), Attempts: 2, NextAttempt: before(-time.Minute)}
	sides := &liveSides{InShop: true, UpdatedAt: before(time.Hour), Profiles: []int64{90817}, Fields: []liveField{
		{Field: "customer_id", Mapped: new("shop-c4711"), Copernica: new("shop-c4711"), Same: true},
		{Field: "firstname", Mapped: new("Ståle\n"), Copernica: new("Stale")},
		{Field: "lastname", Mapped: new(strings.Repeat("é", 61)), Copernica: new(strings.Repeat("é", 60))},
		{Field: "prefix", Mapped: new("")},
		{Field: "newsletter", Mapped: new("subscribed"), Copernica: new("unsubscribed_copernica"), Consent: true},
	}}
	orphan := deadLetter{
		ID: 21, Entity: state.Order, Key: "shop-o815", SourceID: 815, Stream: "orders", Cause: "profile_missing",
		Message: "the profile shop-c17 that it belongs to could not be delivered", Fix: "mend the customer first, whose own dead letter says how; then replay this one",
		RunID: 9, Attempts: 1, FirstSeen: before(time.Hour), LastSeen: before(time.Hour),
	}
	there := func(id int64) *ledgerRow {
		return &ledgerRow{State: state.Acknowledged, CopernicaID: id, SourceUpdatedAt: before(200 * time.Hour), FirstSeen: before(999 * time.Hour), AcknowledgedAt: before(199 * time.Hour)}
	}
	owner := &lookupRecord{Entity: state.Profile, Key: "shop-c4711", SourceID: 4711, Ledger: ledger}
	order := &lookupRecord{
		Entity: state.Order, Key: "shop-o815", SourceID: 815, Number: "000000815", Ledger: there(50017), LastRun: run, Profile: owner,
		Live: &liveSides{InShop: true, UpdatedAt: before(time.Hour), Rows: []int64{50017}, Profiles: []int64{90818}, Fields: []liveField{
			{Field: "order_id", Mapped: new("shop-o815"), Copernica: new("shop-o815"), Same: true},
			{Field: "status", Mapped: new("complete"), Copernica: new("processing")},
		}},
		Items: []*lookupRecord{
			{
				Entity: state.Item, Key: "shop-i1001", SourceID: 815, Ledger: there(50018), LastRun: run,
				Live: &liveSides{InShop: true, UpdatedAt: before(time.Hour), Rows: []int64{50018}, Profiles: []int64{90818}, Fields: []liveField{
					{Field: "item_id", Mapped: new("shop-i1001"), Copernica: new("shop-i1001"), Same: true},
				}},
			},
			{Entity: state.Item, Key: "shop-i1002", SourceID: 815, Ledger: unknown, LastRun: run, Letters: []deadLetter{refused}, Live: &liveSides{}},
			{Entity: state.Item, Key: "shop-i1003", SourceID: 815, Live: &liveSides{InShop: true, Rows: []int64{5, 7}, Ours: 5, Profiles: []int64{90818, 90818}}},
		},
	}
	many := func(n int) (orders []lookupOrder) {
		for i := range n {
			orders = append(orders, lookupOrder{fmt.Sprintf("shop-o%d", 900-i), fmt.Sprintf("%09d", 700-i), state.Acknowledged})
		}
		return orders
	}
	stored := *order
	stored.Live, stored.Letters = nil, []deadLetter{orphan}
	for name, report := range map[string]interface{ print(w io.Writer) error }{
		"dead/open": printed(func(w io.Writer) error { return open.print(w, 2) }),
		"dead/causes": printed(func(w io.Writer) error {
			return (&deadReport{Shop: "shop", At: now, Open: 1, Groups: []deadGroup{{Cause: "refused", Count: 1, FirstSeen: *refused.FirstSeen, Fix: refused.Fix}}}).print(w, 0)
		}),
		"dead/closed": printed(func(w io.Writer) error {
			return (&deadReport{Shop: "shop", At: now, Closed: []deadLetter{delivered, closed}}).print(w, 2)
		}),
		"dead/one":        &deadInFull{Shop: "shop", Target: "Copernica database 101", At: now, deadLetter: refused, LastRun: run, Ledger: ledger},
		"dead/one-closed": &deadInFull{Shop: "shop", Target: "Copernica database 101", At: now, deadLetter: closed, LastRun: &runBrief{ID: 3}},
		"lookup/refused": &lookupReport{Shop: "shop", Target: "Copernica database 101", At: now, Records: []*lookupRecord{
			{Entity: state.Profile, Key: "shop-c4711", SourceID: 4711, Ledger: ledger, LastRun: run, Letters: []deadLetter{refused, closed}, Live: sides},
		}},
		"dead/order":        &deadInFull{Shop: "shop", Target: "Copernica database 101", At: now, deadLetter: orphan, LastRun: run},
		"lookup/order":      &lookupReport{Shop: "shop", Target: "Copernica database 101", At: now, By: byNumber, Records: []*lookupRecord{&stored}},
		"lookup/order-live": &lookupReport{Shop: "shop", Target: "Copernica database 101", At: now, By: byKey, Records: []*lookupRecord{order}},
		"lookup/guest-and-line": &lookupReport{Shop: "shop", Target: "Copernica database 101", At: now, By: byEmail, Records: []*lookupRecord{
			{Entity: state.Profile, Key: "shop-w1-g0123456789abcdef0123456789abcdef", SourceID: 815, Ledger: there(90817), LastRun: run},
			{Entity: state.Item, Key: "shop-i1001", SourceID: 815, Ledger: there(50018), LastRun: run, Profile: owner},
		}},
		"lookup/orders": &lookupReport{Shop: "shop", Target: "Copernica database 101", At: now, By: byKey, Records: []*lookupRecord{
			{Entity: state.Profile, Key: "shop-c19", SourceID: 19, Ledger: there(90819), LastRun: run, Orders: many(21)},
			{Entity: state.Profile, Key: "shop-c20", SourceID: 20, Ledger: there(90820), LastRun: run, Orders: many(21), MoreOrders: true},
			{Entity: state.Profile, Key: "shop-c21", SourceID: 21, Ledger: there(90821), LastRun: run, Orders: []lookupOrder{{Key: "shop-o9", State: state.Removed}}},
		}},
		"lookup/both-out": &lookupReport{Shop: "shop", Target: "Copernica database 101", At: now, By: byKey, Records: []*lookupRecord{
			{Entity: state.Profile, Key: "shop-c19", SourceID: 19, Ledger: there(90819), LastRun: run, Live: &liveSides{
				InShop: true, UpdatedAt: before(time.Hour), Profiles: []int64{90819}, Ours: 90819,
				Fields: []liveField{{Field: "newsletter", Mapped: new("unsubscribed"), Copernica: new("no, thank you"), Consent: true, BothOut: true}},
			}},
		}},
		"lookup/two": &lookupReport{Shop: "shop", Target: "Copernica database 101", At: now, By: byEmail, Records: []*lookupRecord{
			{Entity: state.Profile, Key: "shop-c17", SourceID: 17, Ledger: unknown, LastRun: run, Doubles: []lookupDouble{{90911, now.Add(-time.Hour)}}},
			{Entity: state.Profile, Key: "shop-c18", SourceID: 18, Doubles: []lookupDouble{{7, now.Add(-time.Hour)}}, Live: &liveSides{Profiles: []int64{5, 7}, Ours: 5, Gone: 4, Problem: "customer 18: email empty"}},
		}},
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

type printed func(w io.Writer) error

func (p printed) print(w io.Writer) error { return p(w) }

// hold takes the pipeline's lease, as a run of another process does.
func (s *stage) hold(holder string) (release func()) {
	s.t.Helper()
	store, err := sqlite.Open(s.t.Context(), sqlite.Config{Path: s.statePath(), EncryptionKey: s.environ["SYNCD_ENCRYPTION_KEY"]})
	s.must(err)
	lease, err := store.Acquire(s.t.Context(), "shop", holder, time.Hour)
	s.must(err)
	return func() {
		s.must(store.Release(s.t.Context(), lease))
		s.must(store.Close())
	}
}
