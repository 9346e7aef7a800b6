package magentotest

import (
	"slices"
	"time"
)

// DeleteView removes a store view. What was made in it stays, without a store_id: its
// columns refer to the view with ON DELETE SET NULL, which moves no updated_at. An order
// still has the names in store_name. An unknown id is a mistake of the test and panics,
// here and below.
func (s *Shop) DeleteView(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.mustView(id)
	left := slices.Delete(slices.Clone(s.storeViews()), i, i+1)
	s.views.Store(&left)
	for _, r := range slices.Clone(s.store.byID) {
		if r.StoreID == id {
			s.store.apply(r, func(c *Customer) { c.StoreID = 0 }, time.Time{})
		}
	}
	for _, r := range slices.Clone(s.store.orders.byID) {
		if r.StoreID == id {
			s.store.orders.apply(r, func(o *Order) { o.StoreID = 0 }, time.Time{})
		}
	}
	for _, kind := range documentKinds() {
		s.store.of(kind).leave(id)
	}
}

// leave takes a store view off its documents.
func (s *documents) leave(view int64) {
	for _, r := range slices.Clone(s.byID) {
		if r.StoreID == view {
			s.remove(r)
			d := r.clone()
			d.StoreID = 0
			s.insert(&documentRow{Document: d, updated: r.updated})
		}
	}
}

// MoveView puts a store view into a store group, which may be another website's. What was
// made in it keeps its store_id.
func (s *Shop) MoveView(id, group int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.mustView(id)
	to := slices.IndexFunc(groups(), func(g Group) bool { return g.ID == group })
	moved := slices.Clone(s.storeViews())
	moved[i].GroupID, moved[i].WebsiteID = group, groups()[to].WebsiteID
	s.views.Store(&moved)
}

func (s *Shop) mustView(id int64) int {
	i := slices.IndexFunc(s.storeViews(), func(v View) bool { return v.ID == id })
	if i < 0 {
		panic("magentotest: no store view with this id")
	}
	return i
}

// storeViews returns the store views as they are now, to whoever holds the lock and to
// others. The slice is never changed.
func (s *Shop) storeViews() []View { return *s.views.Load() }
