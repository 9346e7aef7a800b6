package mapping

// Blank returns what to write to a row that stands in Copernica so that nothing of a person
// is left in it: of a profile everything that the mapping fills, and the word for not
// subscribed. The key goes as well: a guest's is a hash of their e-mail, and who comes back
// would be written into the row. Of an order and a line what tells of who ordered. Amounts, products
// and states stay. It is empty where there is nothing to take away.
func (m *Mapping) Blank(t Table, fields map[string]string) map[string]string {
	of := m.tableOf(t)
	body := map[string]string{}
	for i, c := range of.columns {
		if none := c.Type.empty(); of.personal[i] && !c.Type.same(none, fields[c.Name]) {
			body[c.Name] = none
		}
	}
	if t == Profiles && fields[of.key] != "" {
		body[of.key] = ""
	}
	if c := of.consent; c != nil && fields[c.Name] != c.Out {
		body[c.Name] = c.Out
	}
	return body
}

func (m *Mapping) tableOf(t Table) *table {
	switch t {
	case Orders:
		return m.orders
	case Items:
		return m.items
	default:
		return m.profiles
	}
}
