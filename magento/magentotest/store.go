package magentotest

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// record is one customer row. Records are never changed once they are in the store:
// an edit puts a new one in their place, so that an answer can be printed without
// holding the lock.
type record struct {
	Customer
	updated int64  // UpdatedAt in Unix seconds
	email   string // Email as the database compares it
}

// subscriber is a row of newsletter_subscriber.
type subscriber struct {
	id, website int64
	status      int
}

// late is a change whose transaction has not committed yet.
type late struct {
	id        int64
	change    func(*Customer)
	statement time.Time // what updated_at will say
	commit    time.Time
}

// store is the shop's database. Customers are kept in two orders, so that a keyset
// page is found without looking at the rows before it.
type store struct {
	byID   []*record
	byTime []*record // by (updated_at, id)

	subscribers map[string][]subscriber // by compared e-mail, then by id
	subscribed  int64                   // latest subscriber id
	lastID      int64                   // latest customer id; ids are not used twice
	late        []late                  // by commit
}

// fold returns a string as the database's case-insensitive collation compares it.
func fold(s string) string { return strings.TrimRight(strings.ToLower(s), " ") }

func newRecord(c Customer) *record {
	return &record{Customer: c, updated: c.UpdatedAt.Unix(), email: fold(c.Email)}
}

func compareID(r *record, id int64) int { return cmp.Compare(r.ID, id) }

// compareTime orders records as `updated_at ASC, entity_id ASC` does.
func compareTime(a, b *record) int {
	return cmp.Or(cmp.Compare(a.updated, b.updated), cmp.Compare(a.ID, b.ID))
}

// fill puts generated customers, ordered by id, into an empty store.
func (s *store) fill(customers []Customer) {
	s.byID = make([]*record, len(customers))
	s.subscribers = make(map[string][]subscriber, len(customers))
	for i, c := range customers {
		s.byID[i] = newRecord(c)
		s.subscribe(c.Email, c.WebsiteID, c.NewsletterStatus)
		s.lastID = c.ID
	}
	s.byTime = slices.Clone(s.byID)
	slices.SortFunc(s.byTime, compareTime)
}

// find returns the row with an id, nil if there is none.
func (s *store) find(id int64) *record {
	if i, ok := slices.BinarySearchFunc(s.byID, id, compareID); ok {
		return s.byID[i]
	}
	return nil
}

// get returns a copy of a customer with its newsletter status.
func (s *store) get(r *record) Customer {
	c := r.clone()
	c.NewsletterStatus = s.status(r.email, r.WebsiteID)
	return c
}

// put adds a customer or takes the place of the one with its id. The subscriber row
// follows the customer's e-mail.
func (s *store) put(c Customer) {
	if old := s.find(c.ID); old != nil {
		if old.email != fold(c.Email) || old.WebsiteID != c.WebsiteID {
			s.subscribe(old.Email, old.WebsiteID, NoSubscriber)
		}
		s.remove(old)
	}
	s.subscribe(c.Email, c.WebsiteID, c.NewsletterStatus)
	r := newRecord(c)
	i, _ := slices.BinarySearchFunc(s.byID, c.ID, compareID)
	s.byID = slices.Insert(s.byID, i, r)
	i, _ = slices.BinarySearchFunc(s.byTime, r, compareTime)
	s.byTime = slices.Insert(s.byTime, i, r)
	s.lastID = max(s.lastID, c.ID)
}

// remove takes a row out of both orders.
func (s *store) remove(r *record) {
	if i, ok := slices.BinarySearchFunc(s.byID, r.ID, compareID); ok {
		s.byID = slices.Delete(s.byID, i, i+1)
	}
	if i, ok := slices.BinarySearchFunc(s.byTime, r, compareTime); ok {
		s.byTime = slices.Delete(s.byTime, i, i+1)
	}
}

// subscribe sets the newsletter status of an e-mail on a website. No status removes
// the row.
func (s *store) subscribe(email string, website int64, status int) {
	if s.subscribers == nil {
		s.subscribers = map[string][]subscriber{}
	}
	email = fold(email)
	rows := s.subscribers[email]
	i := slices.IndexFunc(rows, func(r subscriber) bool { return r.website == website })
	switch {
	case status == NoSubscriber && i >= 0:
		rows = slices.Delete(slices.Clone(rows), i, i+1)
	case status == NoSubscriber:
		return
	case i >= 0:
		rows = slices.Clone(rows)
		rows[i].status = status
	default:
		s.subscribed++
		rows = append(slices.Clip(rows), subscriber{id: s.subscribed, website: website, status: status})
	}
	if len(rows) == 0 {
		delete(s.subscribers, email)
		return
	}
	s.subscribers[email] = rows
}

// status returns the newsletter status of a compared e-mail on a website.
func (s *store) status(email string, website int64) int {
	for _, row := range s.subscribers[email] {
		if row.website == website {
			return row.status
		}
	}
	return NoSubscriber
}

// subscribedAnywhere is what a search shows: it looks up the first subscriber row with
// the e-mail, whatever its website (recording is_subscribed-scope).
func (s *store) subscribedAnywhere(email string) bool {
	rows := s.subscribers[email]
	return len(rows) > 0 && rows[0].status == Subscribed
}

// settle commits the late changes that are due.
func (s *store) settle(now time.Time) {
	for len(s.late) > 0 && !s.late[0].commit.After(now) {
		next := s.late[0]
		s.late = s.late[1:]
		if r := s.find(next.id); r != nil {
			s.apply(r, next.change, next.statement)
		}
	}
}

// apply puts a changed copy of r in its place, with updated_at moved to at, unless at
// is zero or older.
func (s *store) apply(r *record, change func(*Customer), at time.Time) {
	c := s.get(r)
	change(&c)
	c.ID = r.ID
	c.UpdatedAt = c.UpdatedAt.UTC().Truncate(time.Second)
	if at.After(c.UpdatedAt) {
		c.UpdatedAt = at
	}
	s.put(c.clone())
}
