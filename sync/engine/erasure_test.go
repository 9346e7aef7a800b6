package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// graves is a tombstone file in memory.
type graves struct {
	mu     sync.Mutex
	stones map[state.Hash]time.Time
	broken error
}

func (g *graves) Bury(stones []state.Tombstone) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken != nil {
		return g.broken
	}
	for _, s := range stones {
		if g.stones == nil {
			g.stones = map[state.Hash]time.Time{}
		}
		if s.At.After(g.stones[s.Person]) {
			g.stones[s.Person] = s.At
		}
	}
	return nil
}

func (g *graves) Stones(context.Context) ([]state.Tombstone, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []state.Tombstone
	for person, at := range g.stones {
		all = append(all, state.Tombstone{Person: person, At: at})
	}
	return all, nil
}

// yard is a world whose operator wants people erased.
type yard struct {
	*world
	policy engine.ErasurePolicy
	graves *graves
	hook   func(engine.Point)
	// persons hashes as the tombstone file does; zero: as the state does.
	persons state.Hasher
}

func (w *world) yard(policy engine.ErasurePolicy) *yard {
	return &yard{world: w, policy: policy, graves: &graves{}}
}

func (y *yard) tune(cfg *engine.Config) {
	cfg.Erasure = engine.Erasure{Policy: y.policy, Anonymised: []string{"*@Anonymous.invalid", "gone-????@example.test"}}
	if y.graves != nil {
		cfg.Erasure.Graves = y.graves
	}
	cfg.TestHook, cfg.Persons = y.hook, y.persons
	if y.persons == (state.Hasher{}) {
		cfg.Persons = y.store.Hasher()
	}
}

// runs brings both streams up to date.
func (y *yard) runs() (sum state.Counters) {
	y.t.Helper()
	y.settle()
	for _, stream := range engine.Streams() {
		report, err := y.engine(y.tune).Run(y.t.Context(), stream)
		if err != nil {
			y.t.Fatalf("run %s: %v", stream, err)
		}
		sum = sum.Plus(report.Counters)
	}
	return sum
}

// sweeps makes whole rounds of the sweeps; so many may be missing.
func (y *yard) sweeps(accept int64) (sum state.Counters) {
	y.t.Helper()
	for _, stream := range []string{engine.ConsentSweep, engine.CustomersSweep, engine.OrdersSweep} {
		report, err := y.engine(y.tune).Sweep(y.t.Context(), stream, engine.Sweep{Accept: accept})
		if err != nil || report.Outcome != state.Done {
			y.t.Fatalf("sweep %s: %+v, %v", stream, report, err)
		}
		sum = sum.Plus(report.Counters)
	}
	return sum
}

func (y *yard) receipts() map[string]state.Erasure {
	y.t.Helper()
	all, err := y.store.Erasures(y.t.Context(), "shop", "", 10_000)
	if err != nil {
		y.t.Fatal(err)
	}
	found := map[string]state.Erasure{}
	for _, e := range all {
		found[e.Key] = e
	}
	return found
}

// profiles are the live profiles by key.
func (y *yard) profiles() map[string]copernicatest.Profile {
	found := map[string]copernicatest.Profile{}
	for _, p := range y.account.Profiles(database) {
		found[p.Fields["customer_id"]] = p
	}
	return found
}

// rowsOf are the orders and lines below a profile.
func (y *yard) rowsOf(profile int64) (rows []copernicatest.Subprofile) {
	for _, name := range []string{"Orders", "Orders_Items"} {
		for _, s := range y.account.Subprofiles(database, name) {
			if s.Parent == profile {
				rows = append(rows, s)
			}
		}
	}
	return rows
}

// order places an order of a customer, or of a guest with an e-mail.
func (y *yard) order(customer int64, email string) int64 {
	return y.shop.CreateOrder(magentotest.Order{
		StoreID: 1, CustomerID: customer, Guest: customer == 0, Email: email, FirstName: "Person", LastName: "Of " + email, RemoteIP: "192.0.2.77",
		Lines: []magentotest.Line{{SKU: "thing", Name: "Thing", Price: "9.95", Ordered: "2", ProductID: 7}},
	})
}

func (y *yard) anonymise(id int64) {
	y.shop.Edit(id, func(c *magentotest.Customer) {
		c.Email, c.FirstName, c.LastName = fmt.Sprintf("%d@anonymous.invalid", id), "Anonymous", "Customer"
	})
}

// customer registers somebody of website 1.
func (y *yard) customer(email string) int64 {
	return y.shop.Create(magentotest.Customer{WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "Some", LastName: "Body", Email: email, NewsletterStatus: magentotest.Subscribed})
}

func guestKey(w *world, email string) string { return w.mapping.GuestKey(1, email) }

func TestPromise19_EachPolicyDoesWhatItSays(t *testing.T) {
	for _, policy := range []engine.ErasurePolicy{engine.EraseFlag, engine.EraseRemove, engine.EraseBlank} {
		t.Run(string(policy), func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30, Orders: 20}, func(_ *testing.T, w *world) {
				y := w.yard(policy)
				deleted, anonymised, stays := y.customer("deleted@example.test"), y.customer("anonymised@example.test"), y.customer("stays@example.test")
				y.order(deleted, "")
				y.order(anonymised, "")
				gone := y.order(stays, "")
				y.order(stays, "")
				guest := y.order(0, "guest@example.test")
				last := y.order(0, "last@example.test")
				y.runs()
				before := y.profiles()
				byHand, err := y.account.AddProfile(database, map[string]string{"email": "deleted@example.test", "firstname": "By hand"})
				if err != nil {
					y.t.Fatal(err)
				}

				y.shop.Delete(deleted)
				y.anonymise(anonymised)
				y.shop.EditOrder(guest, func(o *magentotest.Order) { o.Email = "gone-0815@example.test" })
				y.shop.DeleteOrder(last)
				y.shop.DeleteOrder(gone)
				y.runs()
				sum := y.sweeps(0)

				keys := map[string]string{
					y.mapping.CustomerKey(deleted): engine.CauseDeleted, y.mapping.CustomerKey(anonymised): engine.CauseAnonymised,
					guestKey(w, "guest@example.test"): engine.CauseAnonymised, guestKey(w, "last@example.test"): engine.CauseDeleted,
				}
				people := y.profiles()
				receipts := y.receipts()
				for key, cause := range keys {
					rec, was, now := y.record(state.Profile, key), before[key], people[key]
					receipt := receipts[key]
					switch policy {
					case engine.EraseFlag:
						if diff := now.Fields["lastname"] != was.Fields["lastname"] || now.ID != was.ID; diff || now.Fields["email"] == "" {
							y.t.Errorf("%s was %v, is %v", key, was, now)
						}
						if _, _, isGuest := y.mapping.GuestOf(key); !isGuest && (rec.State != state.Gone || rec.CopernicaID != was.ID || receipt.Policy != "flag" || receipt.Cause != cause) {
							y.t.Errorf("%s: %+v, %+v", key, rec, receipt)
						}
						continue
					case engine.EraseRemove:
						if now.ID != 0 || len(y.rowsOf(was.ID)) != 0 {
							y.t.Errorf("%s is still there: %v", key, now)
						}
					case engine.EraseBlank:
						for name, value := range now.Fields {
							if value != "" && strings.Trim(value, "0-: ") != "" && name != "customer_id" && name != ours {
								y.t.Errorf("%s still has %s %q", key, name, value)
							}
						}
						if now.ID != was.ID || now.Fields[ours] != out {
							y.t.Errorf("%s is %v", key, now)
						}
						for _, row := range y.rowsOf(was.ID) {
							if row.Fields["remoteIp"] != "" || row.Fields["billingAddressId"] != "" || row.Fields["sku"]+row.Fields["status"]+row.Fields["total"] == "" {
								y.t.Errorf("%s: %v", key, row.Fields)
							}
						}
					}
					if rec.State != state.Gone || rec.CopernicaID != 0 || !rec.Hash.IsZero() {
						y.t.Errorf("the ledger says of %s: %+v", key, rec)
					}
					if receipt.Cause != cause || receipt.Policy != string(policy) || receipt.CopernicaID != was.ID || receipt.Orders != 1 || receipt.Items != 1 || receipt.At.IsZero() || receipt.RunID == 0 {
						y.t.Errorf("receipt of %s: %+v", key, receipt)
					}
				}
				emails, err := y.store.EmailsOf(y.t.Context(), "shop", []string{y.mapping.CustomerKey(deleted), y.mapping.CustomerKey(anonymised), y.mapping.CustomerKey(stays)})
				if kept := map[bool]int{true: 3, false: 1}[policy == engine.EraseFlag]; err != nil || len(emails) != kept || emails[y.mapping.CustomerKey(stays)].Hash.IsZero() {
					y.t.Errorf("e-mails that the state knows: %v, %v", emails, err)
				}
				// Who stays keeps everything but the order that the shop no longer has.
				left := people[y.mapping.CustomerKey(stays)]
				want := map[engine.ErasurePolicy]int{engine.EraseFlag: 4, engine.EraseRemove: 2, engine.EraseBlank: 4}[policy]
				if rows := y.rowsOf(left.ID); left.Fields["email"] != "stays@example.test" || len(rows) != want {
					y.t.Errorf("%v with %d rows", left, len(rows))
				}
				if people[""].ID != byHand || people[""].Fields["firstname"] != "By hand" {
					y.t.Errorf("the profile made by hand is %v", people[""])
				}
				if n := int64(len(keys)); policy != engine.EraseFlag && sum.Erased != n || policy == engine.EraseFlag && sum.Erased != 0 {
					y.t.Errorf("%d were erased", sum.Erased)
				}
				// Nothing is done twice, and a look at Copernica finds nothing to mend.
				calls := y.account.Log().Total()
				if again := y.runs().Plus(y.sweeps(0)); again.Erased != 0 || again.Missing != 0 || y.account.Log().Total() != calls {
					y.t.Errorf("again: %+v, %d calls", again, y.account.Log().Total()-calls)
				}
				report, err := y.engine(y.tune).Inspect(y.t.Context(), engine.Inspection{Repair: true, Found: func(f engine.Finding) { y.t.Errorf("found %+v", f) }})
				if err != nil || report.Counters.Created+report.Counters.Updated != 0 {
					y.t.Errorf("inspection: %+v, %v", report.Counters, err)
				}
			})
		})
	}
}

// A person who is erased with the claim of a guest takes that guest along.
func TestPromise19_WhoWasAGuestGoesWhole(t *testing.T) {
	for _, policy := range []engine.ErasurePolicy{engine.EraseRemove, engine.EraseBlank} {
		t.Run(string(policy), func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 20, Orders: 10}, func(_ *testing.T, w *world) {
				y := w.yard(policy)
				const email = "was.guest@example.test"
				y.order(0, email)
				y.runs()
				guest := y.profiles()[guestKey(w, email)]
				id := y.customer(email)
				y.order(id, "")
				late := y.order(0, email)
				y.runs()
				y.runs()
				if rec := y.record(state.Profile, guestKey(w, email)); rec.State != state.Claimed || rec.Parent != y.mapping.CustomerKey(id) {
					y.t.Fatalf("not claimed: %+v", rec)
				}
				y.shop.Delete(id)
				y.sweeps(0)
				if rec := y.record(state.Profile, guestKey(w, email)); rec.State != state.Gone || rec.Parent != "" || rec.CopernicaID != 0 {
					y.t.Errorf("the guest: %+v", rec)
				}
				if e := y.receipts()[y.mapping.CustomerKey(id)]; e.Orders != 3 || e.Items != 3 {
					y.t.Errorf("%+v", e)
				}
				// Their guest orders come by, and make nobody.
				y.shop.EditOrder(late, func(o *magentotest.Order) { o.Status = "complete" })
				if sum := y.runs(); sum.Ownerless == 0 || sum.Created+sum.Updated != 0 {
					y.t.Errorf("%+v", sum)
				}
				y.nobodyIs(email)
				if p := y.profiles()[guestKey(w, email)]; p.ID == guest.ID && policy == engine.EraseRemove {
					y.t.Error("the guest has a profile")
				}
				// Whoever registers with the e-mail later is somebody new, whose guest orders of
				// before stay away.
				again := y.customer(email)
				y.shop.EditOrder(late, func(o *magentotest.Order) { o.Status = "closed" })
				y.runs()
				y.sweeps(0)
				p := y.profiles()[y.mapping.CustomerKey(again)]
				if p.Fields["email"] != email || p.Fields[ours] != in || len(y.rowsOf(p.ID)) != 0 {
					y.t.Errorf("the new customer: %v", p)
				}
			})
		})
	}
}

// nobodyIs expects an e-mail nowhere in Copernica.
func (y *yard) nobodyIs(emails ...string) {
	y.t.Helper()
	dump := strings.ToLower(string(y.account.Dump()))
	for _, email := range emails {
		if strings.Contains(dump, strings.ToLower(email)) {
			y.t.Errorf("%s is in Copernica", email)
		}
	}
}

// An account that was never confirmed says nothing of the guest with the same e-mail.
func TestPromise19_AnUnconfirmedAccountErasesNoGuest(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 20, Orders: 10}, func(_ *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		const email = "victim@example.test"
		order := y.order(0, email)
		id := y.shop.Create(magentotest.Customer{WebsiteID: 1, StoreID: 1, GroupID: 1, FirstName: "Not", LastName: "Them", Email: email, Confirmation: "never"})
		y.runs()
		y.shop.Delete(id)
		y.sweeps(0)
		y.shop.EditOrder(order, func(o *magentotest.Order) { o.Status = "complete" })
		y.runs()
		p := y.profiles()[guestKey(w, email)]
		if rows := y.rowsOf(p.ID); p.ID == 0 || len(rows) != 2 || rows[0].Fields["status"] != "complete" {
			y.t.Errorf("the guest is %v with %v", p, rows)
		}
		if _, ok := y.receipts()[y.mapping.CustomerKey(id)]; !ok {
			y.t.Error("the account was not erased")
		}
	})
}

// What is dated after the erasure makes a new profile, which begins with it.
func TestPromise19_WhoOrdersAgainStartsAnew(t *testing.T) {
	for _, policy := range []engine.ErasurePolicy{engine.EraseRemove, engine.EraseBlank} {
		t.Run(string(policy), func(t *testing.T) {
			inStores(t, magentotest.Config{Customers: 20, Orders: 10}, func(_ *testing.T, w *world) {
				y := w.yard(policy)
				const email = "comes.back@example.test"
				id := y.customer(email)
				y.order(id, "")
				y.runs()
				y.shop.Delete(id)
				y.sweeps(0)
				y.nobodyIs(email)
				y.settle()
				old := y.order(0, email)
				y.shop.EditOrder(old, func(o *magentotest.Order) { o.CreatedAt = time.Now().AddDate(0, 0, -9) })
				y.runs()
				y.nobodyIs(email)
				y.order(0, email)
				y.runs()
				y.shop.EditOrder(old, func(o *magentotest.Order) { o.LastName = "Of the past" })
				y.runs()
				y.sweeps(0)
				p := y.profiles()[guestKey(w, email)]
				if p.Fields["email"] != email || p.Fields["lastname"] != "Of "+email || len(y.rowsOf(p.ID)) != 2 {
					y.t.Errorf("%v with %d rows", p, len(y.rowsOf(p.ID)))
				}
				// And they can be erased again.
				for _, o := range y.shop.Data().Orders {
					if o.Email == email {
						y.shop.DeleteOrder(o.ID)
					}
				}
				y.sweeps(0)
				y.nobodyIs(email)
			})
		})
	}
}

// A record that is in the shop again when its time comes is delivered, not erased.
func TestPromise19_WhoIsBackInTheShopIsNotErased(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30, Orders: 10}, func(_ *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		id := y.customer("in.time@example.test")
		order := y.order(0, "order.in.time@example.test")
		y.runs()
		y.anonymise(id)
		y.shop.EditOrder(order, func(o *magentotest.Order) { o.Email = "x@anonymous.invalid" })
		y.runs()
		if y.record(state.Profile, y.mapping.CustomerKey(id)).State != state.Missing || y.record(state.Order, y.mapping.OrderKey(order)).State != state.Missing {
			y.t.Fatal("neither is on their way")
		}
		y.shop.Edit(id, func(c *magentotest.Customer) { c.Email, c.LastName = "in.time@example.test", "Again" })
		y.shop.EditOrder(order, func(o *magentotest.Order) { o.Email = "order.in.time@example.test"; o.Status = "again" })
		y.sweeps(0)
		p := y.profiles()[y.mapping.CustomerKey(id)]
		rows := y.rowsOf(y.profiles()[guestKey(w, "order.in.time@example.test")].ID)
		if p.Fields["lastname"] != "Again" || len(rows) != 2 || rows[0].Fields["status"] != "again" || len(y.receipts()) != 0 {
			y.t.Errorf("%v, %v, %v", p, rows, y.receipts())
		}
	})
}

// Somebody whom a backup of the shop brings back stays erased, until they do something.
func TestPromise19_ARestoredShopBringsNobodyBack(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30, Orders: 10}, func(_ *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		id := y.customer("restored@example.test")
		order := y.order(id, "")
		y.runs()
		data := y.shop.Data()
		y.shop.Delete(id)
		y.sweeps(0)
		was := data.Customers[slices.IndexFunc(data.Customers, func(c magentotest.Customer) bool { return c.ID == id })]
		y.shop.Create(was)
		y.shop.EditOrder(order, func(o *magentotest.Order) { o.CustomerID = id })
		y.runs()
		if sum := y.sweeps(0); sum.Created != 0 {
			y.t.Errorf("%+v", sum)
		}
		y.nobodyIs("restored@example.test")
		y.shop.Edit(id, func(c *magentotest.Customer) { c.LastName = "Back" })
		y.runs()
		if p := y.profiles()[y.mapping.CustomerKey(id)]; p.Fields["lastname"] != "Back" || len(y.rowsOf(p.ID)) != 0 {
			y.t.Errorf("%v", p)
		}
	})
}

// A policy that says more than the one before does so for those who were only flagged.
func TestPromise19_WhoWasFlaggedIsErasedOnceThePolicySaysSo(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 40, Orders: 10}, func(_ *testing.T, w *world) {
		y := w.yard(engine.EraseFlag)
		deleted, anonymised := y.customer("one@example.test"), y.customer("two@example.test")
		y.runs()
		y.shop.Delete(deleted)
		y.anonymise(anonymised)
		y.runs()
		y.sweeps(0)
		y.policy = engine.EraseRemove
		if sum := y.sweeps(0); sum.Erased != 2 {
			y.t.Errorf("%+v", sum)
		}
		y.nobodyIs("one@example.test", "two@example.test")
	})
}

// A pattern that takes too many for anonymised stops, as a shop does that loses them.
func TestPromise19_APatternThatIsTooWideStops(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 60}, func(_ *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		y.runs()
		before := len(y.profiles())
		for _, id := range y.ids(30) {
			y.anonymise(id)
		}
		y.runs()
		_, err := y.engine(y.tune).Sweep(y.t.Context(), engine.CustomersSweep, engine.Sweep{})
		if _, ok := errors.AsType[*engine.MissingError](err); !ok || len(y.profiles()) != before || len(y.graves.stones) != 0 {
			y.t.Errorf("%v, %d profiles", err, len(y.profiles()))
		}
		y.runs() // all else goes on
		if sum := y.sweeps(30); sum.Erased != 30 || len(y.profiles()) != before-30 {
			y.t.Errorf("%+v, %d profiles", sum, len(y.profiles()))
		}
	})
}

// A profile that got another key by hand is not the one that we made.
func TestPromise19_OnlyWhatWeMadeIsErased(t *testing.T) {
	for _, policy := range []engine.ErasurePolicy{engine.EraseRemove, engine.EraseBlank} {
		t.Run(string(policy), func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 30, Orders: 10}, func(_ *testing.T, w *world) {
				y := w.yard(policy)
				taken, kept, removed := y.customer("taken@example.test"), y.customer("kept@example.test"), y.customer("removed@example.test")
				nameless := y.customer("nameless@example.test")
				y.order(kept, "")
				y.runs()
				people := y.profiles()
				if err := y.account.EditProfile(people[y.mapping.CustomerKey(taken)].ID, map[string]string{"customer_id": "the marketer's"}); err != nil {
					y.t.Fatal(err)
				}
				if _, err := y.account.AddSubprofile("Orders", people[y.mapping.CustomerKey(kept)].ID, map[string]string{"order_id": "by hand", "remoteIp": "192.0.2.1"}); err != nil {
					y.t.Fatal(err)
				}
				if err := y.account.RemoveProfile(people[y.mapping.CustomerKey(removed)].ID); err != nil {
					y.t.Fatal(err)
				}
				wiped := people[y.mapping.CustomerKey(nameless)].ID
				if err := y.account.EditProfile(wiped, map[string]string{"customer_id": ""}); err != nil {
					y.t.Fatal(err)
				}
				for _, id := range []int64{taken, kept, removed, nameless} {
					y.shop.Delete(id)
				}
				if sum := y.sweeps(0); sum.Erased != 4 {
					y.t.Errorf("%+v", sum)
				}
				if p := y.profiles()["the marketer's"]; p.Fields["email"] != "taken@example.test" {
					y.t.Errorf("%v", p)
				}
				if e := y.receipts()[y.mapping.CustomerKey(taken)]; e.CopernicaID != 0 {
					y.t.Errorf("the receipt of a profile that was left: %+v", e)
				}
				y.nobodyIs("nameless@example.test", "removed@example.test", "kept@example.test")
				rows := y.rowsOf(people[y.mapping.CustomerKey(kept)].ID)
				hand := slices.ContainsFunc(rows, func(s copernicatest.Subprofile) bool { return s.Fields["remoteIp"] == "192.0.2.1" })
				if hand != (policy == engine.EraseBlank) { // what stands below a profile goes with it
					y.t.Errorf("%v", rows)
				}
			})
		})
	}
}

// The dead letters of who is erased are closed, and replaying them brings nobody.
func TestPromise19_DeadLettersOfTheErasedAreClosed(t *testing.T) {
	inStores(t, magentotest.Config{Customers: 30, Orders: 10}, func(t *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		id, other := y.customer(" "), y.customer("")
		order := y.order(id, "")
		y.runs()
		if n := len(y.letters()); n != 3 {
			t.Fatalf("%d letters", n)
		}
		y.shop.Delete(id)
		y.sweeps(0)
		left := y.letters()
		if len(left) != 1 || left[0].Key != y.mapping.CustomerKey(other) {
			t.Errorf("%+v", left)
		}
		closed, err := y.store.Letters(t.Context(), "shop", state.LetterFilter{Resolved: true, Limit: 10})
		if err != nil || len(closed) != 2 || closed[0].Resolution != "erased" || closed[1].Resolution != "erased" {
			t.Errorf("%+v, %v", closed, err)
		}
		if _, err := y.engine(y.tune).Deliver(t.Context(), engine.Orders, []int64{order}); err != nil || len(y.letters()) != 1 {
			t.Errorf("%+v, %v", y.letters(), err)
		}
	})
}

// A preview and a verification hold erasures back.
func TestPromise19_ADryRunErasesNobody(t *testing.T) {
	inShop(t, magentotest.Config{Customers: 30, Orders: 10}, func(t *testing.T, w *world) {
		y := w.yard(engine.EraseRemove)
		deleted, anonymised := y.customer("deleted@example.test"), y.customer("anonymised@example.test")
		y.order(anonymised, "")
		y.runs()
		y.shop.Delete(deleted)
		y.anonymise(anonymised)
		y.settle()
		before := string(y.account.Dump())
		previews, err := y.engine(y.tune).Preview(t.Context(), engine.PreviewRequest{Streams: engine.Streams()})
		if err != nil || previews[0].Counters.Missing != 1 || previews[0].Counters.Created+previews[0].Counters.Updated != 0 {
			t.Errorf("%+v, %v", previews, err)
		}
		var missing []string
		if _, err := y.engine(y.tune).VerifyShop(t.Context(), engine.Customers, engine.Verification{Found: func(d engine.Difference) {
			missing = append(missing, fmt.Sprint(d.Key, " ", d.Deviation))
		}}); err != nil {
			t.Error(err)
		}
		if want := []string{y.mapping.CustomerKey(deleted) + " missing", y.mapping.CustomerKey(anonymised) + " missing"}; !slices.Equal(slices.Sorted(slices.Values(missing)), want) {
			t.Errorf("%v", missing)
		}
		if string(y.account.Dump()) != before || len(y.graves.stones) != 0 || len(y.receipts()) != 0 || y.count(state.Profile, state.Missing) != 0 {
			t.Error("something was done")
		}
	})
}

// Where one e-mail is one person, an account that is gone erases nobody who has another
// one: that one takes over.
func TestPromise19_WhoHasAnotherAccountLivesOn(t *testing.T) {
	for name, leaves := range map[string][]int{"the first": {0}, "the second": {1}, "both": {0, 1}, "one after the other": {0, -1, 1}} {
		t.Run(name, func(t *testing.T) {
			inShop(t, magentotest.Config{Customers: 20, Orders: 10}, func(t *testing.T, w *world) {
				w.byEmail()
				y := w.yard(engine.EraseRemove)
				const email = "anna@example.test"
				ids := []int64{y.customer(email), y.shop.Create(magentotest.Customer{WebsiteID: 2, StoreID: 4, GroupID: 1, FirstName: "Anna", LastName: "Two", Email: email})}
				y.order(ids[0], "")
				y.order(ids[1], "")
				y.order(0, email)
				y.runs()
				y.runs()
				for _, i := range leaves {
					if i < 0 {
						y.sweeps(0)
						y.runs()
						continue
					}
					y.shop.Delete(ids[i])
				}
				y.sweeps(0)
				y.runs()
				y.sweeps(0)
				if len(leaves) > 1 {
					y.nobodyIs(email)
					return
				}
				left := 1 - leaves[0]
				p := y.profiles()[y.mapping.CustomerKey(ids[left])]
				orders := map[int]int{0: 2, 1: 3}[leaves[0]] // the account that is gone may have left its order with the one that stays
				if n := len(y.rowsOf(p.ID)); p.Fields["email"] != email || n != 2*orders {
					t.Errorf("%v with %d rows", p, n)
				}
				if strings.Count(string(y.account.Dump()), email) != 1 {
					t.Errorf("the e-mail stands there %d times", strings.Count(string(y.account.Dump()), email))
				}
			})
		})
	}
}

// Whatever ends an erasure, the next round finishes it, and a tombstone stands before
// anything is taken away.
func TestPromise19_AnErasureThatIsCutShortIsFinished(t *testing.T) {
	for _, policy := range []engine.ErasurePolicy{engine.EraseRemove, engine.EraseBlank} {
		for _, point := range []engine.Point{engine.PointErasing, engine.PointEntombed, engine.PointErased} {
			t.Run(fmt.Sprint(policy, " ", point), func(t *testing.T) {
				inShop(t, magentotest.Config{Customers: 40, Orders: 40}, func(_ *testing.T, w *world) {
					y := w.yard(policy)
					var ids []int64
					for i := range 5 {
						ids = append(ids, y.customer(fmt.Sprintf("cut+%d@example.test", i)))
						y.order(ids[i], "")
					}
					y.runs()
					for _, id := range ids {
						y.shop.Delete(id)
					}
					ctx, stop := context.WithCancel(y.t.Context())
					var once sync.Once
					store := y.store
					y.hook = func(p engine.Point) {
						if p != point {
							return
						}
						once.Do(func() {
							stop()
							y.graves.mu.Lock()
							if point != engine.PointEntombed { // there Copernica alone fails
								y.graves.broken = errors.New("killed")
							}
							y.graves.mu.Unlock()
							y.account.Faults().Add(emulator.Fault{Kind: emulator.Reset, Times: 1000})
						})
					}
					killed := func(cfg *engine.Config) {
						y.tune(cfg)
						cfg.Store = deaf{store, y.graves}
						cfg.LeaseTTL = 2 * time.Minute
					}
					_, err := y.engine(killed).Sweep(ctx, engine.CustomersSweep, engine.Sweep{})
					if err == nil {
						y.t.Fatal("nothing was cut short")
					}
					for key := range y.profiles() {
						id, ok := y.mapping.CustomerID(key)
						if ok && slices.Contains(ids, id) && y.record(state.Profile, key).State != state.Missing {
							y.t.Errorf("%s is %s", key, y.record(state.Profile, key).State)
						}
					}
					y.hook, y.graves.broken = nil, nil
					y.account.Faults().Clear()
					time.Sleep(time.Hour)
					y.sweeps(0)
					for i, id := range ids {
						y.nobodyIs(fmt.Sprintf("cut+%d@example.test", i))
						if n, err := y.store.Erasures(y.t.Context(), "shop", y.mapping.CustomerKey(id), 10); err != nil || len(n) != 1 {
							y.t.Errorf("%d receipts, %v", len(n), err)
						}
					}
				})
			})
		}
	}
}

// deaf is a store that commits nothing once the grave digger is dead.
type deaf struct {
	state.Store
	graves *graves
}

func (m deaf) Commit(ctx context.Context, l state.Lease, c state.Commit) (state.Checkpoint, error) {
	m.graves.mu.Lock()
	err := m.graves.broken
	m.graves.mu.Unlock()
	if err != nil {
		return state.Checkpoint{}, err
	}
	return m.Store.Commit(ctx, l, c)
}
