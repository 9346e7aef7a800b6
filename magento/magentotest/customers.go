package magentotest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// searchCustomers shows the e-mail's first subscriber row, whatever its website, as
// is_subscribed: two customers with one e-mail on two websites look alike here. The
// store code of the path does not matter.
func (c *call) searchCustomers() (any, *failure) {
	c.session = true
	criteria, bad := parseCriteria(c.query, c.settings())
	if bad != nil {
		return nil, bad
	}
	s := c.shop
	s.mu.Lock()
	settings := s.switches
	var page []*record
	var total int
	if settings.SubscribedJoin {
		page, total, bad = s.joined(criteria)
	} else {
		page, total, bad = s.store.search(criteria, customerSchema())
	}
	subscribed := make([]bool, len(page))
	for i, r := range page {
		subscribed[i] = s.store.subscribedAnywhere(r.email)
		if settings.SubscribedJoin {
			subscribed[i] = s.store.status(r.email, r.WebsiteID) == Subscribed
		}
	}
	s.mu.Unlock()
	if bad == nil {
		bad = poisoned(c, settings.Poison, settings.Poison.Customer, true, page...)
	}
	if bad != nil {
		return nil, bad
	}
	items := make(list, len(page))
	for i, r := range page {
		items[i] = r.tree(subscribed[i])
		if settings.NoSubscribed {
			items[i] = r.tree(subscribed[i]).without("extension_attributes")
		}
	}
	return object{{"items", items}, {"search_criteria", criteria.echo()}, {"total_count", int64(total)}}, nil
}

func (c *call) getCustomer() (any, *failure) {
	c.session = true
	s := c.shop
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.store.find(c.id)
	if !ok {
		return nil, c.noCustomer()
	}
	if bad := poisoned(c, s.switches.Poison, s.switches.Poison.Customer, false, r); bad != nil {
		return nil, bad
	}
	return r.tree(c.subscribed(r)), nil
}

// subscribed is what a single customer shows: the subscriber row on the website of the
// URL's store, or with `all` on the customer's own. The caller holds the lock.
func (c *call) subscribed(r *record) bool {
	website := c.website()
	if website == 0 {
		website = r.WebsiteID
	}
	return c.shop.store.status(r.email, website) == Subscribed
}

func (c *call) noCustomer() *failure {
	f := fail(http.StatusNotFound, "No such entity with %fieldName = %fieldValue")
	f.parameters = object{{"fieldName", "customerId"}, {"fieldValue", c.id}}
	return f
}

func (c *call) deleteCustomer() (any, *failure) {
	s := c.shop
	s.mu.Lock()
	_, known := s.store.find(c.id)
	s.mu.Unlock()
	if !known {
		return nil, c.noCustomer()
	}
	s.Delete(c.id)
	return true, nil
}

// tree prints a customer in the shop's order of keys. What is empty has no key.
func (r *record) tree(subscribed bool) object {
	o := make(object, 0, 24)
	add := func(name string, value any, present bool) {
		if present {
			o = append(o, member{name, value})
		}
	}
	text := func(name, value string) { add(name, value, value != "") }

	add("id", r.ID, true)
	add("group_id", r.GroupID, true)
	add("default_billing", strconv.FormatInt(r.DefaultBilling, 10), r.DefaultBilling != 0)
	add("default_shipping", strconv.FormatInt(r.DefaultShipping, 10), r.DefaultShipping != 0)
	text("confirmation", r.Confirmation)
	add("created_at", r.CreatedAt.Format(time.DateTime), true)
	add("updated_at", r.UpdatedAt.Format(time.DateTime), true)
	add("created_in", r.CreatedIn, true)
	text("dob", r.DOB)
	add("email", r.Email, true)
	add("firstname", r.FirstName, true)
	add("lastname", r.LastName, true)
	text("middlename", r.MiddleName)
	text("prefix", r.Prefix)
	text("suffix", r.Suffix)
	add("gender", r.Gender, r.Gender != 0)
	add("store_id", r.StoreID, r.StoreID != 0)
	text("taxvat", r.TaxVAT)
	add("website_id", r.WebsiteID, true)

	addresses := make(list, len(r.Addresses))
	for i := range r.Addresses {
		addresses[i] = r.Addresses[i].tree(r.ID)
	}
	add("addresses", addresses, true)
	add("disable_auto_group_change", r.DisableAutoGroupChange, true)
	add("extension_attributes", object{{"is_subscribed", subscribed}}, true)

	attributes := make(list, len(r.Attributes))
	for i, a := range r.Attributes {
		attributes[i] = object{{"attribute_code", a.Code}, {"value", a.Value}}
	}
	add("custom_attributes", attributes, len(attributes) > 0)
	return o
}

func (a Address) tree(customer int64) object {
	street := make(list, len(a.Street))
	for i, line := range a.Street {
		street[i] = line
	}
	o := object{
		{"id", a.ID},
		{"customer_id", customer},
		{"region", object{{"region_code", nil}, {"region", nil}, {"region_id", int64(0)}}},
	}
	if a.RegionKey {
		o = append(o, member{"region_id", int64(0)})
	}
	o = append(o, member{"country_id", a.CountryID}, member{"street", street})
	if a.Company != "" {
		o = append(o, member{"company", a.Company})
	}
	o = append(o,
		member{"telephone", a.Telephone}, member{"postcode", a.Postcode}, member{"city", a.City},
		member{"firstname", a.FirstName}, member{"lastname", a.LastName})
	if a.DefaultShipping {
		o = append(o, member{"default_shipping", true})
	}
	if a.DefaultBilling {
		o = append(o, member{"default_billing", true})
	}
	return o
}

// putCustomer merges what was sent into the customer: names, e-mail, group, gender,
// dates and is_subscribed. Addresses and custom attributes are left as they are.
func (c *call) putCustomer() (any, *failure) {
	in, bad := c.jsonBody()
	if bad != nil {
		return nil, bad
	}
	sent, ok := in["customer"].(map[string]any)
	if !ok {
		return nil, required("customer")
	}
	s := c.shop
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.store.find(c.id)
	if !ok {
		return nil, c.noCustomer()
	}
	changed := s.store.get(r)
	subscribe, bad := merge(&changed, sent)
	if bad != nil {
		return nil, bad
	}
	if bad := s.store.refuse(changed); bad != nil {
		return nil, bad
	}
	c.session = true
	s.store.apply(r, func(old *Customer) { *old = changed }, s.now())
	r, _ = s.store.find(c.id)
	if subscribe != nil {
		c.subscribe(r, *subscribe)
	}
	return r.tree(c.subscribed(r)), nil
}

// subscribe writes is_subscribed in the scope of the URL. In another website's scope
// that leaves the customer's own row alone, silently (recording is_subscribed-scope).
func (c *call) subscribe(r *record, on bool) {
	website := c.website()
	if website == 0 {
		website = r.WebsiteID
	}
	store := &c.shop.store
	switch {
	case on:
		store.subscribe(r.Email, website, Subscribed)
	case store.status(r.email, website) == Subscribed:
		store.subscribe(r.Email, website, Unsubscribed)
	}
}

// refuse says what the shop finds wrong with a customer about to be saved.
func (s *store) refuse(c Customer) *failure {
	if c.GroupID < 1 || c.GroupID >= int64(len(customerGroups())) {
		return fail(http.StatusBadRequest, "The specified customer group id does not exist.")
	}
	for _, r := range s.byID {
		if r.ID != c.ID && r.WebsiteID == c.WebsiteID && r.email == fold(c.Email) {
			return fail(http.StatusBadRequest, "A customer with the same email address already exists in an associated website.")
		}
	}
	return nil
}

// merge puts the sent values into c. null leaves a value alone, "" clears it.
func merge(c *Customer, sent map[string]any) (subscribe *bool, bad *failure) {
	texts := map[string]*string{
		"email": &c.Email, "firstname": &c.FirstName, "lastname": &c.LastName, "middlename": &c.MiddleName,
		"prefix": &c.Prefix, "suffix": &c.Suffix, "dob": &c.DOB, "taxvat": &c.TaxVAT,
	}
	numbers := map[string]*int64{"gender": &c.Gender, "group_id": &c.GroupID, "website_id": &c.WebsiteID, "store_id": &c.StoreID}
	for name, value := range sent {
		switch {
		case value == nil, name == "id", name == "addresses", name == "custom_attributes", name == "disable_auto_group_change":
		case texts[name] != nil:
			*texts[name] = fmt.Sprint(value)
		case numbers[name] != nil:
			n, err := strconv.ParseInt(fmt.Sprint(value), 10, 64)
			if err != nil {
				return nil, fail(http.StatusBadRequest, fmt.Sprintf("Error occurred during %q processing. %s", name, wrongType(fmt.Sprint(value))))
			}
			*numbers[name] = n
		case name == "extension_attributes":
			if extension, ok := value.(map[string]any); ok && extension["is_subscribed"] != nil {
				subscribe = new(extension["is_subscribed"] == true)
			}
		default:
			return nil, unsupported(name)
		}
	}
	return subscribe, nil
}

func unsupported(field string) *failure {
	f := fail(http.StatusBadRequest, `"%fieldName" is not supported. Correct the field name and try again.`)
	f.parameters = object{{"fieldName", string(field[0]-'a'+'A') + field[1:]}}
	return f
}
