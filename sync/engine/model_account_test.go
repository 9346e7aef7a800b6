package engine_test

import (
	"fmt"
	"strings"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

// somebodyThere picks a live profile that the shop's people have.
func (m *model) somebodyThere(e event) (copernicatest.Profile, bool) {
	var list []copernicatest.Profile
	buried := m.buriedPeople(m.shop.Data().Customers)
	for _, p := range m.account.Profiles(database) {
		if key := p.Fields["customer_id"]; strings.HasPrefix(key, "shop-") && !m.deleted[key] && !m.left[key] && !buried[key] {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return copernicatest.Profile{}, false
	}
	return list[e.who%len(list)], true
}

func (m *model) optOutThere(e event) {
	p, ok := m.somebodyThere(e)
	if !ok {
		return
	}
	key := p.Fields["customer_id"]
	check(m.world, m.account.Unsubscribe(database, key))
	m.optedOutThere(key, p.Fields[ours])
}

func (m *model) optInThere(e event) {
	p, ok := m.somebodyThere(e)
	if _, customer := m.mapping.CustomerID(p.Fields["customer_id"]); !ok || !customer || p.Fields[ours] == in {
		return
	}
	check(m.world, m.account.EditProfile(p.ID, map[string]string{ours: in}))
	m.optedInThere(p.Fields["customer_id"], p.Fields[ours])
}

// editThere changes a field that is the shop's.
func (m *model) editThere(e event) {
	p, ok := m.somebodyThere(e)
	if !ok {
		return
	}
	m.hands = true
	field := []string{"lastname", "group", "storeView", "email"}[e.how%4]
	check(m.world, m.account.EditProfile(p.ID, map[string]string{field: fmt.Sprintf("hand%d@example.test", e.when)}))
}

func (m *model) removeThere(e event) {
	if p, ok := m.somebodyThere(e); ok {
		m.hands = true
		check(m.world, m.account.RemoveProfile(p.ID))
		m.removedThere(p.Fields["customer_id"])
	}
}

// rowThere edits or removes an order or a line.
func (m *model) rowThere(e event) {
	collection, field := "Orders", "status"
	if e.when%2 == 0 {
		collection, field = "Orders_Items", "name"
	}
	rows := m.account.Subprofiles(database, collection)
	nobodys := m.nobodys(m.shop.Data())
	if len(rows) == 0 || nobodys[rows[e.who%len(rows)].Fields["order_id"]] {
		return
	}
	m.hands = true
	row := rows[e.who%len(rows)]
	if e.how%2 == 0 {
		check(m.world, m.account.RemoveSubprofile(row.ID))
		for id, key := range m.owners { // of a deleted customer nobody reads it again
			if m.mapping.OrderKey(id) == row.Fields["order_id"] && key != "" {
				delete(m.owners, id)
			}
		}
		return
	}
	check(m.world, m.account.EditSubprofile(row.ID, map[string]string{field: "By hand"}))
}

// addTheirs makes a profile of the merchant's own, which is nobody's to touch.
func (m *model) addTheirs(e event) {
	fields := map[string]string{"email": guestEmail(e), "lastname": "Not from the shop", ours: in}
	if people := m.shop.Data().Customers; len(people) > 0 && e.how%2 == 0 {
		fields["email"] = people[e.who%len(people)].Email
	}
	if strings.HasPrefix(fields["email"], "xxx") {
		return
	}
	id, err := m.account.AddProfile(database, fields)
	check(m.world, err)
	m.mine[id] = fields
}
