package engine_test

import (
	"bytes"
	"strings"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/state"
)

// Where the operator wants it, who is deleted or anonymised in the shop is erased in
// Copernica (promise 19), and nobody who was comes back, also with another state: their
// tombstones stand outside of it.

// persons is what names people in the tombstone file, whatever becomes of the state.
func (m *model) persons() state.Hasher {
	h, err := state.NewHasher(bytes.Repeat([]byte{7}, state.HasherKeySize))
	check(m.world, err)
	return h
}

// unnamed reports whether a shop's customer was anonymised, and is to be erased.
func (m *model) unnamed(c *magentotest.Customer) bool {
	return m.drawn.erase && strings.HasPrefix(c.Email, "anonymous-")
}

// buriedPeople are the keys of people whom Copernica must not show.
func (m *model) buriedPeople(people []magentotest.Customer) map[string]bool {
	keys := map[string]bool{}
	if !m.drawn.erase {
		return keys
	}
	for key := range m.deleted {
		keys[key] = true
	}
	for i := range people {
		if m.unnamed(&people[i]) {
			keys[m.mapping.CustomerKey(people[i].ID)] = true
		}
	}
	return keys
}

// nobodyComesBack checks that a profile that an erasure removed stays away.
func (m *model) nobodyComesBack(people []magentotest.Customer, profiles []copernicatest.Profile) {
	m.t.Helper()
	there := map[string]bool{}
	for _, p := range profiles {
		there[p.Fields["customer_id"]] = true
	}
	for key := range m.buriedPeople(people) {
		switch {
		case m.gone[key] && there[key]:
			m.wrongly("somebody who was erased came back", "%s", key)
		case !there[key] && m.entombed(key):
			m.gone[key] = true
		}
	}
}

// entombed reports whether anybody was erased yet; who never had a profile is not erased.
func (m *model) entombed(key string) bool {
	rows, err := m.store.Erasures(m.ctx(), "shop", key, 10)
	return err == nil && len(rows) > 0
}
