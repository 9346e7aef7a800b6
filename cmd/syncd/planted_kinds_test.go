package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// kinds are the differences that there can be, by "deviation entity". A line is missing from
// its order rather than from the shop; it shares its order's dead letter, and an order that
// the shop no longer has is told with none of its lines.
func kinds() []string {
	return []string{
		"unsent profile", "unsent order", "unsent item",
		"outdated profile", "outdated order", "outdated item",
		"missing profile", "missing order", "line_gone item",
		"undeliverable profile", "undeliverable order",
		"resolved profile", "resolved order",
		"removed profile", "removed order", "removed item",
		"edited profile", "edited order", "edited item",
		"duplicated profile", "duplicated order", "duplicated item",
		"orphaned profile", "orphaned order", "orphaned item",
	}
}

// everyKind expects that of each kind several differences are planted, and of no other any.
func (p *planted) everyKind() {
	p.t.Helper()
	planted := map[string]int{}
	for finding := range p.want {
		words := strings.Fields(finding)
		planted[words[0]+" "+words[1]]++
	}
	for _, kind := range kinds() {
		if planted[kind] < 3 {
			p.t.Errorf("of %s only %d are planted", kind, planted[kind])
		}
		delete(planted, kind)
	}
	if len(planted) > 0 {
		p.t.Errorf("kinds that are not known: %v", planted)
	}
}

// notOurs are the planted differences that no repair puts right.
func (p *planted) notOurs() map[string]string {
	left := maps.Clone(p.want)
	maps.DeleteFunc(left, func(finding, _ string) bool {
		kind, _, _ := strings.Cut(finding, " ")
		return kind != "duplicated" && kind != "orphaned" && kind != "resolved"
	})
	return left
}

// tooLong is an e-mail that no field of the mapping takes, tooLarge a text with which no
// order can be read.
func tooLong(email string) string { return strings.Repeat("a", 160) + email }

func tooLarge() string { return strings.Repeat("far ", 1<<18) }

// plantResolved lets records be refused, and closes their letters.
func (p *planted) plantResolved() {
	p.t.Helper()
	p.each(3, func(c magentotest.Customer, _ string) (string, string) {
		p.shop.Edit(c.ID, func(c *magentotest.Customer) { c.Email = tooLong(c.Email) })
		return "resolved", ""
	})
	p.eachOrder(3, func(o magentotest.Order, key string) {
		p.shop.EditOrder(o.ID, func(o *magentotest.Order) { o.ShippingDescription = tooLarge() })
		p.want["resolved order "+key] = ""
	})
	p.pass(time.Minute)
	p.ends(exitDeadLetters, p.run("run"))
	for _, letter := range p.openLetters() {
		p.ends(exitDone, p.run("dead", "resolve", number(letter.ID), "--why", "nobody"))
	}
}

// plantCustomers changes customers in the shop so that no time tells.
func (p *planted) plantCustomers() {
	p.t.Helper()
	p.each(30, func(c magentotest.Customer, _ string) (string, string) {
		p.shop.EditQuietly(c.ID, func(c *magentotest.Customer) { c.LastName += " quietly" })
		return "outdated", "lastname"
	})
	p.each(15, func(c magentotest.Customer, _ string) (string, string) {
		status := magentotest.Subscribed
		if c.NewsletterStatus == status {
			status = 3
		}
		p.shop.SetNewsletter(c.ID, status)
		return "outdated", "newsletter"
	})
	p.each(12, func(c magentotest.Customer, _ string) (string, string) {
		p.shop.Delete(c.ID)
		return "missing", ""
	})
	p.each(5, func(c magentotest.Customer, _ string) (string, string) {
		p.shop.EditQuietly(c.ID, func(c *magentotest.Customer) { c.Email = tooLong(c.Email) })
		return "undeliverable", ""
	})
	for i := range 8 { // dated before the horizon
		id := p.shop.Create(magentotest.Customer{
			FirstName: "Old", LastName: "Date", Email: fmt.Sprintf("old%d@example.test", i), UpdatedAt: longAgo(),
		})
		p.want[fmt.Sprint("unsent profile shop-c", id)] = ""
	}
}

// longAgo is a time before every horizon.
func longAgo() time.Time { return time.Now().AddDate(0, 0, -30) }

// plantOrders changes orders in the shop so that no time tells.
func (p *planted) plantOrders() {
	p.t.Helper()
	p.eachOrder(20, func(o magentotest.Order, key string) {
		p.shop.EditOrderQuietly(o.ID, func(o *magentotest.Order) { o.Status = "quiet" })
		p.want["outdated order "+key] = "status"
	})
	p.eachOrder(8, func(o magentotest.Order, key string) {
		p.shop.DeleteOrder(o.ID)
		p.want["missing order "+key] = ""
	})
	p.eachOrder(3, func(o magentotest.Order, key string) {
		p.shop.EditOrderQuietly(o.ID, func(o *magentotest.Order) { o.ShippingDescription = tooLarge() })
		p.want["undeliverable order "+key] = ""
	})
	for _, c := range p.customers[:8] {
		id := p.shop.CreateOrder(magentotest.Order{CustomerID: c.ID, UpdatedAt: longAgo(), Lines: []magentotest.Line{mug(), mug()}})
		p.want[fmt.Sprint("unsent order shop-o", id)] = ""
		for _, l := range p.orderInShop(id).Lines {
			p.want[fmt.Sprint("unsent item shop-i", l.ID)] = ""
		}
	}
	p.customers = p.customers[8:]
}

func mug() magentotest.Line {
	return magentotest.Line{ProductID: 2, SKU: "SIMPLE-2", Name: "Koffiemok", Price: "9.95"}
}

// orderInShop returns an order as the shop has it now.
func (p *planted) orderInShop(id int64) magentotest.Order {
	p.t.Helper()
	orders := p.shop.Data().Orders
	i := slices.IndexFunc(orders, func(o magentotest.Order) bool { return o.ID == id })
	if i < 0 {
		p.t.Fatalf("the shop has no order %d", id)
	}
	return orders[i]
}

// plantLines changes lines of orders in the shop so that no time tells.
func (p *planted) plantLines() {
	p.t.Helper()
	p.eachOrder(10, func(o magentotest.Order, _ string) {
		key := p.line(o).Fields["item_id"]
		p.shop.EditOrderQuietly(o.ID, func(o *magentotest.Order) {
			i := slices.IndexFunc(o.Lines, func(l magentotest.Line) bool { return key == fmt.Sprint("shop-i", l.ID) })
			o.Lines[i].Name = "Quiet"
		})
		p.want["outdated item "+key] = "name"
	})
	gone := 0
	p.orders = slices.DeleteFunc(p.orders, func(o magentotest.Order) bool {
		if gone == 8 || len(o.Lines) < 2 || !alone(&o) {
			return false
		}
		gone++
		p.shop.EditOrderQuietly(o.ID, func(o *magentotest.Order) { o.Lines = o.Lines[1:] })
		p.want[fmt.Sprint("line_gone item shop-i", o.Lines[0].ID)] = ""
		return true
	})
	p.eachOrder(8, func(o magentotest.Order, _ string) {
		p.shop.EditOrderQuietly(o.ID, func(o *magentotest.Order) { o.Lines = append(o.Lines, mug()) })
		lines := p.orderInShop(o.ID).Lines
		p.want[fmt.Sprint("unsent item shop-i", lines[len(lines)-1].ID)] = ""
	})
}

// plantInCopernica changes profiles by hand.
func (p *planted) plantInCopernica() {
	p.t.Helper()
	p.each(15, func(_ magentotest.Customer, key string) (string, string) {
		p.must(p.account.EditProfile(p.profile(key), map[string]string{"lastname": "By hand"}))
		return "edited", "lastname"
	})
	p.each(10, func(_ magentotest.Customer, key string) (string, string) {
		p.must(p.account.RemoveProfile(p.profile(key)))
		return "removed", ""
	})
	p.each(10, func(_ magentotest.Customer, key string) (string, string) {
		_, err := p.account.AddProfile(copernicatest.DatabaseName, map[string]string{"customer_id": key})
		p.must(err)
		return "duplicated", ""
	})
	for i := range 10 {
		key := fmt.Sprint("shop-c", 900_000+i)
		_, err := p.account.AddProfile(copernicatest.DatabaseName, map[string]string{"customer_id": key})
		p.must(err)
		p.want["orphaned profile "+key] = ""
	}
}

// plantBelowProfiles changes orders and lines of them by hand.
func (p *planted) plantBelowProfiles() {
	p.t.Helper()
	rowOf := map[string]func(magentotest.Order) copernicatest.Subprofile{
		"order": func(o magentotest.Order) copernicatest.Subprofile { return p.order(fmt.Sprint("shop-o", o.ID)) },
		"item":  p.line,
	}
	for entity, t := range map[string]struct{ collection, key, field string }{
		"order": {"Orders", "order_id", "status"},
		"item":  {"Orders_Items", "item_id", "name"},
	} {
		row := rowOf[entity]
		p.eachOrder(15, func(o magentotest.Order, _ string) {
			p.must(p.account.EditSubprofile(row(o).ID, map[string]string{t.field: "By hand"}))
			p.want["edited "+entity+" "+row(o).Fields[t.key]] = t.field
		})
		p.eachOrder(10, func(o magentotest.Order, _ string) {
			r := row(o)
			p.must(p.account.RemoveSubprofile(r.ID))
			p.want["removed "+entity+" "+r.Fields[t.key]] = ""
		})
		p.eachOrder(10, func(o magentotest.Order, _ string) {
			r := row(o)
			_, err := p.account.AddSubprofile(t.collection, r.Parent, map[string]string{t.key: r.Fields[t.key]})
			p.must(err)
			p.want["duplicated "+entity+" "+r.Fields[t.key]] = ""
		})
		p.eachOrder(5, func(o magentotest.Order, _ string) {
			r := row(o)
			key := r.Fields[t.key] + "00000" // of nothing that the shop has
			_, err := p.account.AddSubprofile(t.collection, r.Parent, map[string]string{t.key: key})
			p.must(err)
			p.want["orphaned "+entity+" "+key] = ""
		})
	}
}
