package magentotest

import "slices"

func (c *call) listWebsites() (any, *failure) {
	out := list{}
	for _, w := range websites() {
		out = append(out, object{{"id", w.ID}, {"code", w.Code}, {"name", w.Name}, {"default_group_id", w.DefaultGroup}})
	}
	return out, nil
}

func (c *call) listGroups() (any, *failure) {
	out := list{}
	for _, g := range groups() {
		root := int64(2)
		if g.ID == 0 {
			root = 0
		}
		out = append(out, object{
			{"id", g.ID},
			{"website_id", g.WebsiteID},
			{"root_category_id", root},
			{"default_store_id", g.DefaultView},
			{"name", g.Name},
			{"code", g.Code},
		})
	}
	return out, nil
}

// listViews answers in an order that changes from call to call, as the real shop's did.
func (c *call) listViews() (any, *failure) {
	c.shop.mu.Lock()
	c.shop.listed++
	turn := c.shop.listed
	c.shop.mu.Unlock()

	all := c.shop.storeViews()
	turn %= len(all)
	out := list{}
	for _, v := range slices.Concat(all[turn:], all[:turn]) {
		out = append(out, object{
			{"id", v.ID},
			{"code", v.Code},
			{"name", v.Name},
			{"website_id", v.WebsiteID},
			{"store_group_id", v.GroupID},
			{"is_active", int64(1)},
		})
	}
	return out, nil
}

func (c *call) listConfigs() (any, *failure) {
	base := "http://" + c.request.Host + "/"
	out := list{}
	for _, v := range c.shop.storeViews()[1:] {
		o := object{
			{"id", v.ID},
			{"code", v.Code},
			{"website_id", v.WebsiteID},
			{"locale", v.Locale},
			{"base_currency_code", map[int64]string{1: "EUR", 2: "GBP"}[v.WebsiteID]},
			{"default_display_currency_code", v.Currency},
			{"timezone", v.Zone},
			{"weight_unit", "lbs"},
		}
		for _, secure := range []string{"", "secure_"} {
			o = append(o,
				member{secure + "base_url", base}, member{secure + "base_link_url", base},
				member{secure + "base_static_url", base + "static/version1754759768/"},
				member{secure + "base_media_url", base + "media/"})
		}
		out = append(out, o)
	}
	return out, nil
}

// searchGroups pages the customer groups. Their filters are not served: a criteria
// with one is answered as if it had none.
func (c *call) searchGroups() (any, *failure) {
	criteria, bad := parseCriteria(c.query, c.settings())
	if bad != nil {
		return nil, bad
	}
	c.shop.mu.Lock()
	all := slices.Clone(c.shop.customerGroups)
	c.shop.mu.Unlock()
	from, to := criteria.window(len(all))
	items := list{}
	for _, g := range all[from:to] {
		items = append(items, object{
			{"id", g.ID}, {"code", g.Code}, {"tax_class_id", int64(3)}, {"tax_class_name", "Retail Customer"},
		})
	}
	return object{{"items", items}, {"search_criteria", criteria.echo()}, {"total_count", int64(len(all))}}, nil
}

// settings returns the switches as they are now.
func (c *call) settings() Switches {
	c.shop.mu.Lock()
	defer c.shop.mu.Unlock()
	return c.shop.switches
}
