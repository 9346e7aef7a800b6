package engine_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/oracle"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// peace lets everything run once to its end, as a daemon does in a day without trouble:
// the streams, what an operator replays, each sweep, and both ways of looking at
// Copernica.
func (m *model) peace() {
	m.t.Helper()
	m.quietly()
	for _, id := range sorted(m.spoiled) {
		m.mend(id)
	}
	time.Sleep(26 * time.Hour) // every back-off is over
	for _, stream := range engine.Streams() {
		run := func(ctx context.Context, e *engine.Engine) (engine.Report, error) { return e.Run(ctx, stream) }
		if report := m.mustEnd(stream, run); time.Since(report.Horizon) > time.Hour {
			m.mustEnd(stream, run) // that was the end of a pass that was cut short
		}
	}
	m.replay()
	if !m.hands {
		m.judgeRows(true) // the streams alone bring what moves a time
	}
	m.finishResyncs()
	for _, sweep := range engine.Sweeps() {
		m.mustEnd(sweep, func(ctx context.Context, e *engine.Engine) (engine.Report, error) {
			return e.Sweep(ctx, sweep, engine.Sweep{Whole: true, Accept: 100})
		})
	}
	back := func(ctx context.Context, e *engine.Engine) (engine.Report, error) { return e.WriteBack(ctx) }
	m.mustEnd("write back", back)
	if m.hands || m.lost {
		m.repair()
	}
	time.Sleep(26 * time.Hour)
	for _, stream := range engine.Streams() { // what claims a sweep or a repair set going, a run finishes
		m.mustEnd(stream, func(ctx context.Context, e *engine.Engine) (engine.Report, error) { return e.Run(ctx, stream) })
	}
	m.mustEnd("write back", back) // the opt-outs of guests that came along with these claims
}

// repair looks through Copernica and puts right what is ours.
func (m *model) repair() {
	m.t.Helper()
	m.mustEnd("repair", func(ctx context.Context, e *engine.Engine) (engine.Report, error) {
		return e.Inspect(ctx, engine.Inspection{Repair: true})
	})
}

// quietly ends all trouble.
func (m *model) quietly() {
	m.shop.Faults().Clear()
	m.account.Faults().Clear()
	m.doom.clear()
	m.trouble = false
}

// mustEnd does one thing that must end well.
func (m *model) mustEnd(what string, do job) engine.Report {
	m.t.Helper()
	report, err := m.take(do)
	if err != nil || report.Outcome != state.Done {
		m.wrongly(what+" did not end well in peace", "%+v, %v", report, err)
	}
	m.watch()
	return report
}

// judge holds both sides against the oracle and the book of consent.
func (m *model) judge() {
	m.t.Helper()
	m.judgeRows(false)
	m.once("an order stands twice", "Orders", oracle.KeyOrders)
	m.once("an item stands twice", "Orders_Items", oracle.KeyItems)
	m.untouched()
	m.judgeConsent()
}

// judgeRows asks the oracle about profiles, orders and lines. Before the sweeps nothing
// is said of records that were changed without moving their time.
func (m *model) judgeRows(early bool) {
	m.t.Helper()
	data := m.shop.Data()
	claims, anybodys := m.claimsSeen(data)
	opts := oracle.Options{Shop: "shop", Zone: m.zone, Owners: m.owners, Claims: claims}
	people, orders := oracle.Expect(data, opts), oracle.ExpectOrders(data, opts)
	want := append(people, orders.Guests...)
	for _, row := range want {
		delete(row.Fields, ours) // the book of consent has it
	}
	have := m.account.Profiles(database)
	all := slices.Clone(have)
	have = slices.DeleteFunc(have, func(p copernicatest.Profile) bool {
		return m.notOurs(&p, want) || anybodys[p.Fields["customer_id"]] || early && m.quiet[p.Fields["customer_id"]]
	})
	nobodys := m.nobodys(data)
	for _, o := range data.Orders {
		if o.Guest && anybodys[m.guestOf(&o)] {
			nobodys[m.mapping.OrderKey(o.ID)] = true
		}
	}
	buried := m.buriedPeople(data.Customers)
	for _, o := range data.Orders {
		if buried[m.mapping.CustomerKey(o.CustomerID)] {
			nobodys[m.mapping.OrderKey(o.ID)] = true
		}
	}
	have = slices.DeleteFunc(have, func(p copernicatest.Profile) bool { return buried[p.Fields["customer_id"]] && (early || m.lost) })
	want = slices.DeleteFunc(want, func(r oracle.Row) bool { return anybodys[r.Key] || buried[r.Key] })
	rows := func(collection string) []copernicatest.Subprofile {
		return slices.DeleteFunc(m.subprofiles(collection), func(s copernicatest.Subprofile) bool {
			order := s.Fields[oracle.KeyOrders]
			return nobodys[order] || early && m.quiet[order] || m.lost && collection == "Orders_Items" && m.lineLeft(data, s.Fields[oracle.KeyItems])
		})
	}
	before := ""
	if early {
		before = " before the sweep"
		want = slices.DeleteFunc(want, func(r oracle.Row) bool { return m.quiet[r.Key] })
	}
	unjudged := func(r oracle.SubRow) bool {
		order := r.Fields[oracle.KeyOrders]
		return nobodys[order] || early && m.quiet[order]
	}
	orders.Orders, orders.Items = slices.DeleteFunc(orders.Orders, unjudged), slices.DeleteFunc(orders.Items, unjudged)
	m.equal("profiles are wrong"+before, oracle.Compare(want, have))
	m.equal("orders are wrong"+before, oracle.CompareRows(orders.Orders, oracle.KeyOrders, rows("Orders"), all))
	m.equal("items are wrong"+before, oracle.CompareRows(orders.Items, oracle.KeyItems, rows("Orders_Items"), all))
}

func (m *model) equal(what string, diff oracle.Difference) {
	m.t.Helper()
	if !diff.None() {
		m.wrongly(what, "%s\n%s", diff.Report(true), m.picture())
	}
}

// picture is what stands on both sides, for a history that failed.
func (m *model) picture() string {
	var b strings.Builder
	for _, p := range m.account.Profiles(database) {
		fmt.Fprintln(&b, "Copernica", p.ID, p.Fields["customer_id"], p.Fields["email"], p.Fields[ours])
	}
	for _, c := range m.shop.Data().Customers {
		fmt.Fprintln(&b, "shop", c.ID, "website", c.WebsiteID, c.Email, c.NewsletterStatus, c.UpdatedAt)
	}
	return b.String()
}

// notOurs are profiles that the oracle knows nothing of: the merchant's own, those of
// deleted customers, which are only flagged, and of guests whose orders became
// somebody else's.
func (m *model) notOurs(p *copernicatest.Profile, want []oracle.Row) bool {
	key := p.Fields["customer_id"]
	if m.mine[p.ID] != nil || m.deleted[key] && !m.drawn.erase {
		return true
	}
	if !m.left[key] {
		return false
	}
	for i := range want {
		if want[i].Key == key {
			// The order that spoke for the guest may be the one that left.
			for name := range want[i].Fields {
				if name != "customer_id" {
					delete(want[i].Fields, name)
				}
			}
			return false
		}
	}
	return true
}

// nobodys are the keys of orders of deleted customers of which nobody can say from
// outside whether they were delivered.
func (m *model) nobodys(data magentotest.Data) map[string]bool {
	keys := map[string]bool{}
	for _, o := range data.Orders {
		if !o.Guest && o.CustomerID == 0 && m.owners[o.ID] == "" {
			keys[m.mapping.OrderKey(o.ID)] = true
		}
	}
	return keys
}

// lineLeft reports whether a line left its order: a state that was lost then does not
// know that its row is ours to remove.
func (m *model) lineLeft(data magentotest.Data, key string) bool {
	for _, o := range data.Orders {
		for _, l := range o.Lines {
			if m.mapping.ItemKey(l.ID) == key {
				return false
			}
		}
	}
	return m.lines[key]
}

// subprofiles are the rows of a collection that somebody sees: what a late write leaves below
// a profile that was removed meanwhile nobody does.
func (m *model) subprofiles(collection string) []copernicatest.Subprofile {
	live := map[int64]bool{}
	for _, p := range m.account.Profiles(database) {
		live[p.ID] = true
	}
	return slices.DeleteFunc(m.account.Subprofiles(database, collection), func(s copernicatest.Subprofile) bool { return !live[s.Parent] })
}

// once checks that no key of a collection has two rows, whoever's it is.
func (m *model) once(what, collection, key string) {
	m.t.Helper()
	seen := map[string]int64{}
	for _, s := range m.subprofiles(collection) {
		if other, ok := seen[s.Fields[key]]; ok && s.Fields[key] != "" {
			m.wrongly(what, "%s below profiles %d and %d", s.Fields[key], other, s.Parent)
		}
		seen[s.Fields[key]] = s.Parent
	}
}

// untouched checks the merchant's own profiles.
func (m *model) untouched() {
	m.t.Helper()
	for _, p := range m.account.Profiles(database) {
		for name, value := range m.mine[p.ID] {
			if p.Fields[name] != value {
				m.wrongly("a profile of the merchant's own was touched", "%s is %q, not %q", name, p.Fields[name], value)
			}
		}
	}
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K {
	var keys []K
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
