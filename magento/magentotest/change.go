package magentotest

import (
	"cmp"
	"net/http"
	"slices"
	"time"
)

// Data returns a copy of what callers can see now.
func (s *Shop) Data() Data {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.settle(s.cfg.Now())
	d := Data{Websites: websites(), Groups: groups(), Views: slices.Clone(s.storeViews()), CustomerGroups: slices.Clone(s.customerGroups)}
	d.Customers = make([]Customer, len(s.store.byID))
	for i, r := range s.store.byID {
		d.Customers[i] = s.store.get(r)
	}
	d.Orders = make([]Order, len(s.store.orders.byID))
	for i, r := range s.store.orders.byID {
		d.Orders[i] = r.clone()
	}
	for _, kind := range documentKinds() {
		for _, r := range s.store.of(kind).byID {
			d.Documents = append(d.Documents, r.clone())
		}
	}
	return d
}

// Create adds a customer and returns its id. A missing id, time, website or group is
// filled in as a registration now on the first website would be; updated_at is now
// unless it is set.
func (s *Shop) Create(c Customer) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	c = c.clone()
	c.ID = cmp.Or(c.ID, s.store.lastID+1)
	c.WebsiteID = cmp.Or(c.WebsiteID, 1)
	if c.StoreID == 0 {
		i := slices.IndexFunc(views(), func(v View) bool { return v.WebsiteID == c.WebsiteID })
		c.StoreID = views()[max(i, 1)].ID
	}
	c.GroupID = cmp.Or(c.GroupID, 1)
	c.CreatedIn = cmp.Or(c.CreatedIn, view(c.StoreID).Name)
	if c.UpdatedAt.IsZero() {
		c.UpdatedAt = s.now()
	}
	if c.CreatedAt.IsZero() {
		c.CreatedAt = c.UpdatedAt
	}
	c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC().Truncate(time.Second), c.UpdatedAt.UTC().Truncate(time.Second)
	s.store.put(c)
	return c.ID
}

// Edit changes a customer as saving it does: updated_at becomes now. Another e-mail
// also goes into the customer's orders and moves theirs. An unknown id is a mistake of
// the test and panics, here and in the methods below.
func (s *Shop) Edit(id int64, change func(*Customer)) { s.edit(id, change, s.now()) }

// EditQuietly changes a customer without moving updated_at, as editing an address
// does. The change may set UpdatedAt to whatever it likes, also to a time to come.
func (s *Shop) EditQuietly(id int64, change func(*Customer)) { s.edit(id, change, time.Time{}) }

func (s *Shop) edit(id int64, change func(*Customer), at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.settle(s.cfg.Now())
	s.store.apply(s.must(id), change, at)
}

// EditLate changes a customer in a transaction that commits later: updated_at is now,
// and callers see the old row until visibleAfter has passed (recording
// updated_at-commit-lag saw six seconds).
func (s *Shop) EditLate(id int64, change func(*Customer), visibleAfter time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.must(id)
	statement := s.now()
	s.commitAfter(visibleAfter, func() {
		if r, ok := s.store.find(id); ok {
			s.store.apply(r, change, statement)
		}
	})
}

// commitAfter has a change applied once a pause has passed. The caller holds the lock.
func (s *Shop) commitAfter(pause time.Duration, apply func()) {
	s.store.late = append(s.store.late, late{commit: s.cfg.Now().Add(pause), apply: apply})
	slices.SortStableFunc(s.store.late, func(a, b late) int { return a.commit.Compare(b.commit) })
}

// Delete removes a customer and its subscriber row. Its orders stay as they are, but
// for customer_id.
func (s *Shop) Delete(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.must(id)
	s.store.subscribe(r.Email, r.WebsiteID, NoSubscriber)
	s.store.remove(r)
	s.store.orders.orphan(id)
}

// SetNewsletter sets the newsletter status of a customer's e-mail on its website, as
// the storefront does: updated_at stays.
func (s *Shop) SetNewsletter(id int64, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.must(id)
	s.store.subscribe(r.Email, r.WebsiteID, status)
}

// RenameGroup gives a customer group another code. No customer's updated_at moves by it
// (recording updated_at-moves). Nobody can rename the group of those who are not logged in.
func (s *Shop) RenameGroup(id int64, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.customerGroups, func(g CustomerGroup) bool { return g.ID == id })
	if i < 0 || id == 0 {
		panic("magentotest: no customer group with this id that can be renamed")
	}
	s.customerGroups[i].Code = code
}

func (s *Shop) must(id int64) *record {
	r, ok := s.store.find(id)
	if !ok {
		panic("magentotest: no customer with this id")
	}
	return r
}

// begin does what precedes the work on every request.
func (s *Shop) begin(r *http.Request) {
	s.mu.Lock()
	hook := s.onRequest
	s.mu.Unlock()
	if hook != nil {
		hook(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.settle(s.cfg.Now())
}
