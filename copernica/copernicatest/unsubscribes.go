package copernicatest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mailer is the program of Copernica that a mailing was sent with. Each keeps a list of
// its own of who unsubscribed.
type Mailer uint8

// The programs.
const (
	Publisher Mailer = iota
	MarketingSuite
)

// unsubscribe is an entry of a list, which nothing ever takes out again.
type unsubscribe struct {
	id          int64
	at          int64 // Unix seconds
	by          Mailer
	row         *row
	mailing     int64 // 0: of no mailing
	destination int64 // the one copy of the mailing, 0: none
	ran         bool  // something was done to the row
}

// Mailings are numbered by program, as if each had sent a single one.
const (
	publisherMailing = 42_341
	suiteMailing     = 412
)

// Click is what happens when somebody follows the link in a mailing that unsubscribes
// them: the database's unsubscribe behaviour runs, and the list of the program that sent
// it has an entry, whatever the behaviour is. The profile may have been removed meanwhile.
func (a *Account) Click(profile int64, by Mailer) error { return a.click(a.profiles, profile, by) }

// ClickBelow is the same for a mailing that went to a subprofile, whose collection has a
// behaviour of its own.
func (a *Account) ClickBelow(subprofile int64, by Mailer) error {
	return a.click(a.subs, subprofile, by)
}

func (a *Account) click(rows map[int64]*row, id int64, by Mailer) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := rows[id]
	if r == nil {
		return fmt.Errorf("copernicatest: there is no row %d", id)
	}
	a.lastID.destination++
	mailing := int64(publisherMailing)
	if by == MarketingSuite {
		mailing = suiteMailing
	}
	a.noteUnsubscribe(r, by, mailing, a.lastID.destination)
	return nil
}

// noteUnsubscribe runs a row's unsubscribe behaviour and puts it on a list.
func (a *Account) noteUnsubscribe(r *row, by Mailer, mailing, destination int64) {
	a.runUnsubscribe(r)
	a.lastID.unsubscribe++
	a.unsubscribes = append(a.unsubscribes, unsubscribe{
		id: a.lastID.unsubscribe, at: a.now().Unix(), by: by, row: r, mailing: mailing, destination: destination,
		ran: r.table.unsubscribe.name != "nothing",
	})
}

// SetUnsubscribe sets what unsubscribing does to the profiles of a database: nothing,
// remove or update, which writes the fields.
func (a *Account) SetUnsubscribe(database, name string, fields map[string]string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, err := a.mustDatabase(database)
	if err != nil {
		return err
	}
	b := behaviour{name: name}
	switch name {
	case "nothing", "remove":
	case "update":
		for field, v := range fields {
			b.fields = append(b.fields, pair{field, v})
		}
	default:
		return fmt.Errorf("copernicatest: there is no unsubscribe behaviour %q", name)
	}
	t.unsubscribe = b
	return nil
}

// Allow gives the account the rights that [Switches.ListsForbidden] and
// [Switches.DestinationsForbidden] refuse.
func (a *Account) Allow() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cfg.ListsForbidden, a.cfg.DestinationsForbidden = 0, 0
}

// routeMailings works the calls of the two programs that are about unsubscribes.
func (a *Account) routeMailings(req *request) answer {
	first, second := req.elem(0), req.elem(1)
	if a.cfg.ListsForbidden != 0 {
		return failStatus(a.cfg.ListsForbidden, msgForbidden)
	}
	switch {
	case req.method != http.MethodGet:
		return fail(msgMethod)
	case first == "publisher" && second == "unsubscribes" && len(req.path) == 2 && !a.cfg.NoPublisher:
		return a.listUnsubscribes(req, Publisher)
	case first == "ms" && second == "unsubscribes" && len(req.path) == 2:
		return a.listUnsubscribes(req, MarketingSuite)
	case first == "ms" && second == "destination" && a.cfg.DestinationsForbidden != 0:
		return failStatus(a.cfg.DestinationsForbidden, msgForbidden)
	case first == "ms" && second == "destination" && len(req.path) == 3:
		return a.destination(req)
	default:
		return fail(msgMethod)
	}
}

// listUnsubscribes answers a list, by default by ascending id.
func (a *Account) listUnsubscribes(req *request, by Mailer) answer {
	conds := a.periodOf(req, by)
	var found []unsubscribe
	for _, u := range a.unsubscribes {
		stamp := a.stamp(u.at)
		if u.by == by && !slices.ContainsFunc(conds, func(c period) bool { return !c.has(stamp) }) {
			found = append(found, u)
		}
	}
	if a.cfg.UnsubscribesNewestFirst {
		slices.Reverse(found)
	}
	var w writer
	a.writePage(&w, req.query, 100, len(found), func(i int) { a.writeUnsubscribe(&w, req, found[i]) })
	return answer{body: w.b}
}

// period is one end of the time that a list is asked for.
type period struct{ op, text string }

// has reports whether a local time lies within, as text: an hour of autumn comes twice.
func (p period) has(stamp string) bool {
	order := strings.Compare(stamp, p.text)
	switch p.op {
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	case "<":
		return order < 0
	default:
		return order <= 0
	}
}

// periodOf reads the period that a list is asked for: fields[] on timestamp, or, in the
// Marketing Suite since version 3, begintime and endtime.
func (a *Account) periodOf(req *request, by Mailer) (conds []period) {
	if a.cfg.PeriodIgnored {
		return nil
	}
	if by == MarketingSuite && req.version >= 3 {
		for name, op := range map[string]string{"begintime": ">", "endtime": "<"} {
			if v, ok := req.query.get(name); ok {
				conds = append(conds, period{op, a.convertDate(&field{typ: "datetime", kind: kindDate}, v)})
			}
		}
		return conds
	}
	expressions, _ := req.query.filters()
	for _, e := range expressions {
		at := strings.IndexAny(e, "=<>!~")
		if at < 0 || strings.ToLower(e[:at]) != "timestamp" {
			continue
		}
		op := operator(e[at:])
		if slices.Contains([]string{"<", ">", "<=", ">="}, op) {
			conds = append(conds, period{op, a.convertDate(&field{typ: "datetime", kind: kindDate}, e[at+len(op):])})
		}
	}
	return conds
}

// writeUnsubscribe prints an entry in the words of its program and version.
func (a *Account) writeUnsubscribe(w *writer, req *request, u unsubscribe) {
	w.raw(`{"ID":`)
	w.id(u.id)
	w.raw(`,"timestamp":`)
	w.string(a.stamp(u.at))
	if u.by == Publisher {
		w.raw(`,"source":"link","success":`)
		w.bool(u.ran)
		w.raw(`,"emailing":`)
	} else {
		w.raw(`,"source":"click","mailing":`)
	}
	w.idOrNull(u.mailing)
	w.raw(`,"destination":`)
	w.idOrNull(u.destination)
	if u.by == Publisher || req.version == 2 || a.cfg.SuiteNamesProfiles {
		u.row.writeWho(w)
	}
	w.raw("}")
}

// destination answers who got one copy of a mailing of the Marketing Suite.
func (a *Account) destination(req *request) answer {
	id, _ := number(req.path[2])
	at := slices.IndexFunc(a.unsubscribes, func(u unsubscribe) bool { return u.by == MarketingSuite && u.destination == id && id != 0 })
	if at < 0 {
		return fail(msgNoDestination)
	}
	u := a.unsubscribes[at]
	var w writer
	w.raw(`{"ID":`)
	w.id(u.destination)
	w.raw(`,"messageID":`)
	w.string("m" + strconv.FormatInt(u.destination, 36))
	w.raw(`,"timestampsent":`)
	w.string(a.stamp(u.at - int64(time.Hour/time.Second)))
	w.raw(`,"mailing":`)
	w.id(u.mailing)
	u.row.writeWho(&w)
	w.raw("}")
	return answer{body: w.b}
}

// writeWho prints whose row it is: a profile's id, or those of a subprofile and of the
// profile above it.
func (r *row) writeWho(w *writer) {
	profile, sub := r, (*row)(nil)
	if r.parent != nil {
		profile, sub = r.parent, r
	}
	w.raw(`,"profile":`)
	w.id(profile.id)
	w.raw(`,"subprofile":`)
	if sub == nil {
		w.raw("null")
		return
	}
	w.id(sub.id)
}

// idOrNull writes an id, and nothing as null.
func (w *writer) idOrNull(n int64) {
	if n == 0 {
		w.raw("null")
		return
	}
	w.id(n)
}
