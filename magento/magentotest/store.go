package magentotest

import (
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

func (r *record) key() int64     { return r.ID }
func (r *record) changed() int64 { return r.updated }

// late is a change whose transaction has not committed yet.
type late struct {
	commit time.Time
	apply  func()
}

// store is the shop's database.
type store struct {
	table[*record] // of customers
	orders         orders
	documents      map[DocumentKind]*documents // see of

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

// fill puts generated customers, ordered by id, into an empty store.
func (s *store) fill(customers []Customer) {
	s.byID = make([]*record, len(customers))
	s.subscribers = make(map[string][]subscriber, len(customers))
	for i, c := range customers {
		s.byID[i] = newRecord(c)
		s.subscribe(c.Email, c.WebsiteID, c.NewsletterStatus)
		s.lastID = c.ID
	}
	s.index()
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
	if old, ok := s.find(c.ID); ok {
		if old.email != fold(c.Email) || old.WebsiteID != c.WebsiteID {
			s.subscribe(old.Email, old.WebsiteID, NoSubscriber)
		}
		s.remove(old)
	}
	s.subscribe(c.Email, c.WebsiteID, c.NewsletterStatus)
	s.insert(newRecord(c))
	s.lastID = max(s.lastID, c.ID)
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
		next.apply()
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
	if c.Email != r.Email && !at.IsZero() {
		s.orders.rewrite(r.ID, c.Email, at)
	}
}
