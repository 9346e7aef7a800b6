package copernica_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/fault"
)

// What a conformance run does, in an operator's words. docs/accounts.md uses them.
const (
	stepIdentity    = "any call"
	stepConsumption = "what the account used this month"
	stepSubRemoval  = "removing an order or its lines"
	stepCompletely  = "removing a profile completely"
	stepPublisher   = "when somebody unsubscribed from a mailing of Publisher"
	stepSuite       = "when somebody unsubscribed from a mailing of the Marketing Suite"
	stepLongText    = "a text longer than its field"
	stepDomain      = "a profile with a mail domain that Copernica refuses"
	stepConnect     = "connecting by OAuth"
)

// conformance is everything that the client does, against an account of one version and
// with one position of each switch. Each step works exactly, which is compared with what
// the account holds, or ends in a clear error, which refused keeps by the step's name.
// Its time is that of a synctest bubble.
type conformance struct {
	t        *testing.T
	version  int
	s        copernicatest.Switches
	a        *copernicatest.Account
	wire     *passing
	log      bytes.Buffer
	c        *copernica.Client
	d        *copernica.Database
	orders   *copernica.Collection
	key, sub copernica.KeyField
	refused  map[string]error
	errs     []error // all of them, to look for secrets in
}

// passing is a transport that notes what goes by, and what the client's own layers see.
type passing struct {
	base http.RoundTripper
	sent []string // methods and paths
	// loose counts calls whose token is not where the version wants it.
	loose int
	query bool
}

func (p *passing) RoundTrip(req *http.Request) (*http.Response, error) {
	p.sent = append(p.sent, req.Method+" "+req.URL.Path)
	exchange := req.URL.Path == "/" || strings.HasSuffix(req.URL.Path, "/token")
	inQuery := req.URL.Query().Has("access_token")
	inHeader := req.Header.Get("Authorization") != ""
	if !exchange && (inQuery != p.query || inHeader == p.query) || exchange && (inQuery || inHeader) {
		p.loose++
	}
	return p.base.RoundTrip(req)
}

func conform(t *testing.T, version int, s copernicatest.Switches) *conformance {
	t.Helper()
	w := &conformance{t: t, version: version, s: s, refused: map[string]error{}}
	w.a = copernicatest.New(copernicatest.Config{Switches: s})
	w.a.Grant(accessToken)
	w.wire = &passing{base: w.a.Transport(), query: version < 4}
	w.c = w.client(accessToken)
	w.step(stepIdentity, func() error {
		id, err := w.c.Identity(t.Context())
		if err == nil && (id.ID != 34 || id.Name != "Emulator") {
			t.Errorf("identity %+v", id)
		}
		return err
	})
	if w.refused[stepIdentity] == nil {
		w.provisioning()
		w.profiles()
		w.removedProfile()
		w.subprofiles()
		w.removedCompletely()
		w.unsubscribes()
		w.oddKeys()
		w.guards()
		w.unknownIDs()
		w.poison()
		w.unknownOutcome()
		w.consumption()
		w.tokens()
		w.connect()
	}
	w.secrets()
	return w
}

func (w *conformance) client(token string) *copernica.Client {
	w.t.Helper()
	c, err := copernica.New(copernica.Config{
		Version: w.version, AccessToken: token, Transport: w.wire,
		Log: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// step does something that may be refused, in words that help.
func (w *conformance) step(name string, do func() error) {
	w.t.Helper()
	err := do()
	if err == nil {
		return
	}
	w.errs = append(w.errs, err)
	w.refused[name] = err
	if class := fault.ClassOf(err); class == fault.Retry || class == fault.Renew || len(err.Error()) < 40 {
		w.t.Errorf("%s: class %s, no clear refusal: %v", name, class, err)
	}
}

// works demands that something is not refused.
func (w *conformance) works(what string, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// same compares what is there with what is due.
func (w *conformance) same(what string, want, got any) {
	w.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (w *conformance) provisioning() {
	ctx := w.t.Context()
	databases, err := w.c.Databases(ctx)
	w.works("databases", err)
	if len(databases) != 1 || databases[0].Name != copernicatest.DatabaseName || databases[0].ID == 0 {
		w.t.Errorf("databases %+v", databases)
	}
	_, err = w.c.Database(ctx, "Magneto")
	if !errors.Is(err, copernica.ErrNoDatabase) || fault.ClassOf(err) != fault.Configuration {
		w.t.Errorf("no such database: %v", err)
	}
	second, err := w.c.CreateDatabase(ctx, "Second", "made by a test")
	w.works("create a database", err)
	w.works("create a field", second.CreateField(ctx, copernica.FieldSpec{Name: "x"}))

	w.d, w.key = provision(w.t, w.c)
	w.works("create a collection", w.d.CreateCollection(ctx, "Orders"))
	for _, spec := range orderSpecs {
		w.works("create a field of a collection", w.d.CreateCollectionField(ctx, "Orders", spec))
	}
	schema, err := w.d.Refresh(ctx)
	w.works("read the schema", err)
	w.same("fields", specs, specsOf(schema.Fields))
	w.same("fields of the collection", orderSpecs, specsOf(schema.Collections[0].Fields))
	w.orders, w.sub = ordersOf(w.t, w.d)
}

// specsOf turns fields into what they were made from.
func specsOf(fields []copernica.Field) []copernica.FieldSpec {
	var specs []copernica.FieldSpec
	for _, f := range fields {
		s := copernica.FieldSpec{Name: f.Name, Type: f.Type, Length: f.Length, Default: f.Default, Index: f.Index}
		if s.Type == "text" {
			s.Type = ""
		}
		specs = append(specs, s)
	}
	return specs
}

// held returns the live profiles as the account holds them, by key.
func (w *conformance) held() map[string]map[string]string {
	rows := map[string]map[string]string{}
	for _, p := range w.a.Profiles(copernicatest.DatabaseName) {
		if rows[p.Fields["customer_id"]] != nil {
			w.t.Errorf("two profiles of key %s", p.Fields["customer_id"])
		}
		rows[p.Fields["customer_id"]] = p.Fields
	}
	return rows
}

func (w *conformance) profiles() {
	ctx := w.t.Context()
	first := map[string]string{
		"customer_id": "shop-c1", "email": "o'brien+tag@example.org", "firstname": "Séan \"x\" 👩‍👩‍👧 <b>",
		"birthdate": "1980-01-02", "registrationDate": "2026-01-02 03:04:05",
	}
	second := map[string]string{
		"customer_id": "shop-c2", "email": "", "firstname": "", "birthdate": "0000-00-00", "registrationDate": "0000-00-00 00:00:00",
	}
	made, err := w.d.Upsert(ctx, w.key, "shop-c1", first)
	w.works("create a profile", err)
	if !made.Created || made.ID == 0 {
		w.t.Errorf("created: %+v", made)
	}
	other, err := w.d.Upsert(ctx, w.key, "shop-c2", map[string]string{"customer_id": "shop-c2"})
	w.works("create a profile", err)

	time.Sleep(30 * time.Hour) // another token, another schema
	first["firstname"] = "Jan & Piet=1%20+"
	hit, err := w.d.Upsert(ctx, w.key, "shop-c1", first)
	w.works("upsert of a hit", err)
	w.same("an upsert of a hit", copernica.Upserted{}, hit)
	w.works("update", w.d.Update(ctx, made.ID, map[string]string{"email": "new@example.org"}))
	first["email"] = "new@example.org"
	w.same("profiles", map[string]map[string]string{"shop-c1": first, "shop-c2": second}, w.held())

	found, err := w.d.Find(ctx, w.key, "shop-c1")
	w.works("find", err)
	if len(found) != 1 || found[0].ID != made.ID || !maps.Equal(found[0].Fields, first) {
		w.t.Errorf("found %+v", found)
	}
	read, err := w.d.Profile(ctx, made.ID)
	w.works("read", err)
	if read.Removed || !maps.Equal(read.Fields, first) || read.Database != w.d.ID() {
		w.t.Errorf("read %+v", read)
	}
	keys, complete, err := w.d.KeysAbove(ctx, w.key, "shop-c", made.ID)
	w.works("census", err)
	if !complete || !slices.Equal(keys, []string{"shop-c2"}) {
		w.t.Errorf("census %q, complete %t", keys, complete)
	}
	live, err := w.d.Live(ctx, []int64{made.ID, other.ID, other.ID + 1})
	w.works("live", err)
	w.same("live", []int64{made.ID, other.ID}, live)
}

func (w *conformance) removedProfile() {
	ctx := w.t.Context()
	fields := map[string]string{"customer_id": "shop-c3", "email": "c3@example.org"}
	made, err := w.d.Upsert(ctx, w.key, "shop-c3", fields)
	w.works("create", err)
	for range 2 {
		w.works("remove", w.d.Remove(ctx, made.ID, false))
	}
	read, err := w.d.Profile(ctx, made.ID)
	w.works("read", err)
	if !read.Removed {
		w.t.Errorf("a removed profile reads as %+v", read)
	}
	w.works("update of a removed profile", w.d.Update(ctx, made.ID, fields))
	found, err := w.d.Find(ctx, w.key, "shop-c3")
	w.works("find", err)
	live, err := w.d.Live(ctx, []int64{made.ID})
	w.works("live", err)
	if len(found)+len(live) != 0 || w.held()["shop-c3"] != nil {
		w.t.Errorf("a removed profile is found: %+v, live %v", found, live)
	}
	again, err := w.d.Upsert(ctx, w.key, "shop-c3", fields)
	w.works("create anew", err)
	if !again.Created || again.ID <= made.ID || w.held()["shop-c3"]["email"] != "c3@example.org" {
		w.t.Errorf("created anew: %+v, %v", again, w.held()["shop-c3"])
	}
}

// removedCompletely removes a profile with what is below it, twice: nothing else goes, and
// nothing of another database can.
func (w *conformance) removedCompletely() {
	ctx := w.t.Context()
	elsewhere, err := w.a.AddProfile("Second", map[string]string{"x": "kept"})
	w.works("a profile of another database", err)
	made, err := w.d.Upsert(ctx, w.key, "shop-c6", map[string]string{"customer_id": "shop-c6"})
	w.works("create", err)
	_, err = w.orders.Upsert(ctx, made.ID, w.sub, "shop-o6", order("shop-o6"))
	w.works("create a subprofile", err)
	others := len(w.a.Profiles(copernicatest.DatabaseName)) - 1
	w.step(stepCompletely, func() error {
		if err := w.d.Remove(ctx, made.ID, true); err != nil {
			if copernica.Outcome(err) != copernica.NotSent {
				w.t.Errorf("outcome %s: %v", copernica.Outcome(err), err)
			}
			return err
		}
		again, read := w.d.Remove(ctx, made.ID, true), error(nil)
		if !w.s.CompletelyIgnored {
			_, read = w.d.Profile(ctx, made.ID)
			if !errors.Is(read, copernica.ErrNoProfile) || !errors.Is(again, copernica.ErrNoProfile) {
				w.t.Errorf("removed completely: %v, reads as %v", again, read)
			}
		} else if again != nil {
			w.t.Errorf("removed twice: %v", again)
		}
		if w.held()["shop-c6"] != nil || stored(w.a)[fmt.Sprint(made.ID, " shop-o6")] != 0 {
			w.t.Error("it is there")
		}
		return nil
	})
	if w.refused[stepCompletely] != nil {
		w.works("remove", w.d.Remove(ctx, made.ID, false))
	}
	for _, completely := range []bool{false, w.version > 1} {
		if err := w.d.Remove(ctx, elsewhere, completely); !errors.Is(err, copernica.ErrNoProfile) || copernica.Outcome(err) != copernica.NotSent {
			w.t.Errorf("a profile of another database: outcome %s, %v", copernica.Outcome(err), err)
		}
	}
	if got := w.a.Profiles("Second"); len(got) != 1 || got[0].Fields["x"] != "kept" || len(w.a.Profiles(copernicatest.DatabaseName)) != others {
		w.t.Errorf("left: %v, and %d of %d", got, len(w.a.Profiles(copernicatest.DatabaseName)), others)
	}
}

func (w *conformance) subprofiles() {
	ctx := w.t.Context()
	var parents []int64
	for _, p := range w.a.Profiles(copernicatest.DatabaseName)[:2] {
		parents = append(parents, p.ID)
	}
	write := map[string]string{
		"order_id": "shop-o1", "quantity": "3", "total": "9.9", "createdAt": "2026-01-02 03:04:05",
		"status": "Séan \"x\" 👩‍👩‍👧 <b>", "options": "a\nb\t+ &=%20",
	}
	// Version 1 is written with a POST, which tells the id.
	named := !w.s.SubprofileUpsertWithoutID && (w.version >= 3 || w.s.SubprofileUpsertRepaired) || w.version == 1
	ids := map[int64]int64{}
	for _, parent := range parents {
		up, err := w.orders.Upsert(ctx, parent, w.sub, "shop-o1", write)
		w.works("create a subprofile", err)
		found, err := w.orders.Find(ctx, parent, w.sub, "shop-o1")
		w.works("find a subprofile", err)
		if len(found) != 1 || found[0].Profile != parent || named != (up.ID > 0) || named && (!up.Created || found[0].ID != up.ID) {
			w.t.Fatalf("created %+v, found %+v", up, found)
		}
		w.same("a subprofile", write, found[0].Fields)
		ids[parent] = found[0].ID
	}
	time.Sleep(2 * time.Minute)
	write["status"] = "complete"
	hit, err := w.orders.Upsert(ctx, parents[0], w.sub, "shop-o1", write)
	w.works("upsert of a hit", err)
	w.same("an upsert of a hit", copernica.Upserted{}, hit)
	w.works("update a subprofile", w.orders.Update(ctx, ids[parents[0]], map[string]string{"total": "12.345"}))
	write["total"] = "12.345"
	read, err := w.orders.Subprofile(ctx, ids[parents[0]])
	w.works("read a subprofile", err)
	w.same("read", write, read.Fields)
	anywhere, err := w.orders.FindAnywhere(ctx, w.sub, "shop-o1")
	w.works("find anywhere", err)
	list, err := w.orders.Below(ctx, parents[0])
	w.works("list", err)
	if len(anywhere) != 2 || len(list) != 1 || list[0].ID != ids[parents[0]] {
		w.t.Errorf("anywhere %+v, listed %+v", anywhere, list)
	}

	left := map[string]int{fmt.Sprint(parents[0], " shop-o1"): 1, fmt.Sprint(parents[1], " shop-o1"): 1}
	w.step(stepSubRemoval, func() error {
		for range 2 {
			if err := w.orders.Remove(ctx, ids[parents[1]]); err != nil {
				return err
			}
		}
		delete(left, fmt.Sprint(parents[1], " shop-o1"))
		gone, err := w.orders.Subprofile(ctx, ids[parents[1]])
		w.works("read a removed subprofile", err)
		if !gone.Removed {
			w.t.Errorf("a removed subprofile reads as %+v", gone)
		}
		return nil
	})
	w.same("subprofiles", left, stored(w.a))
}

// oddKeys writes keys that mean something to a URL or a filter: each finds its own row.
func (w *conformance) oddKeys() {
	ctx := w.t.Context()
	for _, key := range []string{"a+b", "a b", "a=b", "a==b", "a%20b", "a&b=c", "a<b>c", "a'b\"c", "a/b?c#d", "a\\b", "ünï", "access_token=x"} {
		fields := map[string]string{"customer_id": key, "firstname": key}
		for range 2 {
			_, err := w.d.Upsert(ctx, w.key, key, fields)
			w.works("upsert "+key, err)
		}
		found, err := w.d.Find(ctx, w.key, key)
		w.works("find "+key, err)
		if len(found) != 1 || found[0].Fields["firstname"] != key || w.held()[key]["firstname"] != key {
			w.t.Errorf("%q finds %+v", key, found)
			continue
		}
		w.works("remove "+key, w.d.Remove(ctx, found[0].ID, false))
	}
}
