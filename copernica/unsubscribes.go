package copernica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
)

// UnsubscribeList is one of the two dated lists of who unsubscribed that an account
// keeps, one for each program that it sends mailings with.
type UnsubscribeList string

// The lists, by the words in their addresses.
const (
	PublisherList UnsubscribeList = "publisher"
	SuiteList     UnsubscribeList = "ms" // of the Marketing Suite
)

// UnsubscribeLists returns all lists.
func UnsubscribeLists() []UnsubscribeList { return []UnsubscribeList{PublisherList, SuiteList} }

// Unsubscribe is an entry of a list: somebody followed a link or wrote a mail to
// unsubscribe. Whether that did anything to the profile is a setting of its database.
type Unsubscribe struct {
	// Profile is whose it is, in any database of the account; also the one above the
	// subprofile that was mailed. 0: nothing tells.
	Profile int64
	// At is when it was, in UTC, to the second; zero when what Copernica says is no time.
	At time.Time
	// Earlier is not zero where nothing tells which of the two hours of an autumn night
	// the list means: then it was at At or, an hour before, at Earlier.
	Earlier time.Time
}

// Later reports whether it is another one than the last that was settled, and later.
func (u Unsubscribe) Later(settled time.Time) bool {
	return u.At.After(settled) && (u.Earlier.IsZero() || !u.Earlier.Equal(settled))
}

// Unsubscribes lists who unsubscribed since a time, the last entry of each profile, in the
// order of the list, at most a thousand at once: GET /publisher/unsubscribes or GET
// /ms/unsubscribes. What an entry says of its success is not looked at: it is about the
// profile, and the person has said what they want.
//
// Since version 3 the Marketing Suite's list names no profile but a destination, one copy
// of a mailing; GET /ms/destination/{id} tells whose that is, a call for each entry that
// this client sees for the first time. An e-mail stands in no address.
//
// An error that is ErrNoList says that there is no such list for this account: version 1
// has none, and the right to a program can be missing. Nothing else is wrong then: it
// says nothing about the token. One that is ErrNoDestinations comes after all entries that
// can be told: there are others, and whose they are is kept from this account. They are
// nobody's only where Copernica says that there is no such destination.
func (d *Database) Unsubscribes(ctx context.Context, list UnsubscribeList, since time.Time) iter.Seq2[[]Unsubscribe, error] {
	return func(yield func([]Unsubscribe, error) bool) {
		zone, err := time.LoadLocation("Europe/Amsterdam")
		if err != nil {
			yield(nil, err)
			return
		}
		rows, asked, err := d.client.unsubscribed(ctx, list, since, zone)
		if err != nil {
			yield(nil, err)
			return
		}
		all, kept, err := d.client.named(ctx, dated(rows, since, asked, zone))
		if err != nil {
			yield(nil, err)
			return
		}
		for page := range slices.Chunk(lastOfEach(all), maxRows) {
			if !yield(page, nil) {
				return
			}
		}
		if kept != nil {
			yield(nil, kept)
		}
	}
}

// ModifiedAt returns when the profile was last changed, in UTC, of two hours that may be
// meant the first; zero when Copernica does not say.
func (p Profile) ModifiedAt() time.Time {
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		return time.Time{}
	}
	early, late := moments(p.Modified, zone)
	if early.IsZero() {
		return late
	}
	return early
}

// rawUnsubscribe is an entry as Copernica gives it.
type rawUnsubscribe struct {
	ID          phpInt
	Timestamp   phpString
	Destination phpString
	Profile     phpInt
	Subprofile  phpInt
}

// unsubscribed reads a list whole, by id, and returns when its end was read. It is read by
// offsets, in whatever order it comes: nothing is ever taken out of it, so they repeat
// entries at worst.
func (c *Client) unsubscribed(ctx context.Context, list UnsubscribeList, since time.Time, zone *time.Location) (all []rawUnsubscribe, asked time.Time, err error) {
	route := "GET /" + string(list) + "/unsubscribes"
	if !c.version.lists {
		return nil, asked, &Error{Route: route, Message: "version 1 of the API has no such list", Class: fault.Configuration, cause: ErrNoList}
	}
	query := append([]byte("/"+string(list)+"/unsubscribes"), '?')
	// The margin is for the hour that comes twice, the second for "after".
	local := since.Add(-changedMargin - time.Second).In(zone).Format(time.DateTime)
	if list == SuiteList && c.version.begins {
		query = escape(append(query, "begintime="...), local)
	} else {
		query = filter(query, "timestamp", greater, local)
	}
	query = append(query, "&limit="+strconv.Itoa(maxRows)+"&start="...)
	seen := map[phpInt]bool{}
	for start := 0; ; {
		var p page[rawUnsubscribe]
		if asked, err = c.getWithoutRight(ctx, route, string(strconv.AppendInt(query, int64(start), 10)), &p); err != nil {
			return nil, asked, err
		}
		rows, err := p.rows()
		if err != nil {
			return nil, asked, malformed(route, err.Error())
		}
		start += len(rows)
		fresh := false
		for _, r := range rows {
			if r.ID <= 0 {
				return nil, asked, malformed(route, "an unsubscribe without an id")
			}
			if !seen[r.ID] {
				seen[r.ID], fresh = true, true
				all = append(all, r)
			}
		}
		if p.Total != nil && start >= int(*p.Total) || p.Total == nil && p.short(maxRows) {
			slices.SortFunc(all, func(a, b rawUnsubscribe) int { return cmp.Compare(a.ID, b.ID) })
			return all, asked, nil
		}
		if !fresh {
			return nil, asked, malformed(route, fmt.Sprintf("a list that does not go on after %d entries", start))
		}
	}
}

// datedUnsubscribe is an entry with its time, and what tells whose it is.
type datedUnsubscribe struct {
	Unsubscribe
	raw rawUnsubscribe
}

// dated gives the entries of a list, by id, their times, and leaves out those before since.
// Their times have no zone, so that an hour of autumn comes twice; but later entries have
// higher ids, and none is of the future of when they were asked for.
func dated(rows []rawUnsubscribe, since, asked time.Time, zone *time.Location) []datedUnsubscribe {
	all := make([]datedUnsubscribe, 0, len(rows))
	for _, r := range rows {
		u := datedUnsubscribe{raw: r}
		u.Earlier, u.At = moments(string(r.Timestamp), zone)
		all = append(all, u)
	}
	const slack = time.Minute // between the time of an entry and its id
	latest := asked.Add(-slack)
	for i := range slices.Backward(all) {
		u := &all[i]
		if u.twice() && u.At.After(latest.Add(slack)) {
			u.At, u.Earlier = u.Earlier, time.Time{}
		}
		if u.At.Before(latest) && !u.At.IsZero() {
			latest = u.At
		}
	}
	var earliest time.Time
	for i := range all {
		u := &all[i]
		if u.twice() && u.Earlier.Before(earliest.Add(-slack)) {
			u.Earlier = time.Time{}
		}
		if first := u.first(); first.After(earliest) {
			earliest = first
		}
	}
	return slices.DeleteFunc(all, func(u datedUnsubscribe) bool { return !u.At.IsZero() && u.At.Before(since) })
}

// lastOfEach returns the last entry of each profile, and all that are of nobody. Of two of
// one profile with the same local time the second is of the second hour.
func lastOfEach(all []datedUnsubscribe) []Unsubscribe {
	at := map[int64]int{}
	var last []Unsubscribe
	for _, u := range slices.Backward(all) {
		i, seen := at[u.Profile]
		switch {
		case !seen || u.Profile == 0:
			at[u.Profile] = len(last)
			last = append(last, u.Unsubscribe)
		case u.twice() && last[i].At.Equal(u.At):
			last[i].Earlier = time.Time{}
		}
	}
	slices.Reverse(last)
	return last
}

// twice reports whether the entry may be of either hour.
func (u *datedUnsubscribe) twice() bool { return !u.Earlier.IsZero() }

// first is the earliest that it can be.
func (u *datedUnsubscribe) first() time.Time {
	if u.twice() {
		return u.Earlier
	}
	return u.At
}

// moments returns the moment that a local time of Copernica's stands for, as late, and the
// one an hour before it where it stands for two. Both are zero for what is no time.
func moments(local string, zone *time.Location) (early, late time.Time) {
	plain, err := time.Parse(time.DateTime, local)
	if err != nil {
		return early, late
	}
	winter, summer := plain.Add(-time.Hour), plain.Add(-2*time.Hour)
	isWinter := winter.In(zone).Format(time.DateTime) == local
	isSummer := summer.In(zone).Format(time.DateTime) == local
	switch {
	case isWinter && isSummer:
		return summer, winter
	case isSummer:
		return early, summer
	default: // also the hour that spring leaves out
		return early, winter
	}
}

// named gives entries their profiles, and leaves out those that are kept from this account;
// kept then says why. A right that is missing is missing for all: a few refusals in a row
// are enough to ask no more.
func (c *Client) named(ctx context.Context, all []datedUnsubscribe) (told []datedUnsubscribe, kept, err error) {
	const enough = 3
	inARow := 0
	for _, u := range all {
		asks := c.asks(u.raw)
		if asks && inARow == enough {
			continue
		}
		u.Profile, err = c.whose(ctx, u.raw)
		switch {
		case errors.Is(err, ErrNoDestinations):
			kept = err
			inARow++
			continue
		case err != nil:
			return nil, nil, err
		case asks:
			inARow = 0
		}
		told = append(told, u)
	}
	return told, kept, nil
}

// asks reports whether it takes a call for its destination to tell whose an entry is.
func (c *Client) asks(r rawUnsubscribe) bool {
	_, known := c.destinations.get(string(r.Destination))
	return !known && r.Profile <= 0 && r.Subprofile <= 0 && plainID(string(r.Destination))
}

// whose tells the profile of an entry, 0 when nothing does.
func (c *Client) whose(ctx context.Context, r rawUnsubscribe) (int64, error) {
	if r.Profile > 0 {
		return int64(r.Profile), nil
	}
	if r.Subprofile > 0 {
		return c.above(ctx, int64(r.Subprofile))
	}
	id := string(r.Destination)
	if !plainID(id) {
		return 0, nil
	}
	if profile, ok := c.destinations.get(id); ok {
		return profile, nil
	}
	var to rawUnsubscribe
	_, err := c.getWithoutRight(ctx, "GET /ms/destination/{id}", "/ms/destination/"+id, &to)
	switch e, _ := errors.AsType[*Error](err); {
	case errors.Is(err, ErrNoList) && e.absent():
		return 0, nil
	case errors.Is(err, ErrNoList):
		e.cause = ErrNoDestinations
		return 0, e
	case err != nil:
		return 0, err
	case to.Profile <= 0 && to.Subprofile > 0:
		return c.above(ctx, int64(to.Subprofile))
	}
	c.destinations.put(id, int64(to.Profile))
	return int64(to.Profile), nil
}

// absent reports whether a refusal says, in the words that Copernica has for everything that
// it looks up by an id, that it is not there.
func (e *Error) absent() bool {
	message := strings.ToLower(strings.TrimRight(e.Message, ". "))
	return strings.HasPrefix(message, "no ") && (strings.HasSuffix(message, " with supplied id") || strings.HasSuffix(message, " with given id"))
}

// above is the profile that a subprofile of any collection stands under.
func (c *Client) above(ctx context.Context, id int64) (int64, error) {
	var raw rawRow
	err := c.get(ctx, "GET "+routeSubprofile, subprofilePath(id), &raw)
	if errors.Is(err, ErrNoSubprofile) {
		return 0, nil
	}
	return int64(raw.Profile), err
}

// plainID reports whether s is an id as Copernica makes them, of digits or hashed, and so
// nothing that tells who somebody is.
func plainID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// destinations remembers whose some destinations are, which never changes.
type destinations struct {
	mu    sync.Mutex
	known map[string]int64
}

func (d *destinations) get(id string) (profile int64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	profile, ok = d.known[id]
	return profile, ok
}

func (d *destinations) put(id string, profile int64) {
	const most = 10_000
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil || len(d.known) >= most {
		d.known = map[string]int64{}
	}
	d.known[id] = profile
}

// withoutRightKey marks calls to what an account may have no right to.
type withoutRightKey struct{}

// getWithoutRight reads what an account may have no right to, and then returns ErrNoList.
func (c *Client) getWithoutRight(ctx context.Context, route, path string, v any) (time.Time, error) {
	at, err := c.getAt(context.WithValue(ctx, withoutRightKey{}, true), route, path, v)
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok || e.Class == fault.Credentials:
		return at, err
	case e.refused && e.Class == fault.Configuration, e.said && e.Status < 500 && e.Status != http.StatusTooManyRequests && e.Status != http.StatusRequestTimeout:
		e.Class, e.cause, e.fix = fault.Configuration, ErrNoList, ""
	}
	return at, err
}

// withoutRight reports whether a refusal is about what was asked for, and not about the
// token that it looks like: Copernica has one message for that.
func withoutRight(ctx context.Context, a *answer) bool {
	_, known := spelled(a.message)
	return ctx.Value(withoutRightKey{}) != nil && !known
}
