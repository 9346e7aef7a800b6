package copernicatest

import (
	"net/http"
	"strconv"
	"time"
)

// route works a call. The entity's id is looked at before the path behind it; extra
// path elements are ignored in lists and POST, and an error on PUT and DELETE of an
// entity (behaviour 38).
func (a *Account) route(req *request) answer {
	switch req.elem(0) {
	case "identity":
		return a.identity(req)
	case "consumption":
		return a.consumption(req)
	case "databases":
		return a.routeDatabases(req)
	case "database":
		return a.routeTable(req, a.database, msgNoDatabase)
	case "collection":
		return a.routeTable(req, a.collection, msgNoCollection)
	case "profile":
		return a.routeRow(req, a.profiles, msgNoProfile)
	case "subprofile":
		return a.routeRow(req, a.subs, msgNoSub)
	case "publisher", "ms":
		return a.routeMailings(req)
	default:
		return fail(msgMethod)
	}
}

func (a *Account) identity(req *request) answer {
	if req.method != http.MethodGet {
		return fail(msgMethod)
	}
	const name = `"name":"Emulator","description":"An emulated account","company":"Emulator BV"`
	switch req.version {
	case 1:
		return answer{body: []byte(`{"ID":"34",` + name + `}`)}
	case 3:
		return answer{body: []byte(`{"id":"34",` + name + `,"customer":{"id":"7","name":"Emulator BV","isPartner":false},"usedBy":[],"license":{"id":"9","isTrial":false}}`)}
	default:
		return answer{body: []byte(`{"id":"34",` + name + `}`)}
	}
}

// consumption counts API calls; nothing else is used here.
func (a *Account) consumption(req *request) answer {
	if req.method != http.MethodGet {
		return fail(msgMethod)
	}
	begin, _ := req.query.get("begin")
	end, _ := req.query.get("end")
	for _, day := range []string{begin, end} {
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			return fail(msgData)
		}
	}
	calls := 0
	for day, n := range a.calls {
		if begin <= day && day <= end {
			calls += n
		}
	}
	return answer{body: []byte(`{"emails":0,"texts":0,"fax":0,"webpages":0,"apicalls":` + strconv.Itoa(calls) +
		`,"litmustests":0,"twofiftyoktests":0}`)}
}

func (a *Account) routeDatabases(req *request) answer {
	switch req.method {
	case http.MethodGet:
		var w writer
		a.writePage(&w, req.query, 100, len(a.databases), func(i int) { a.writeTable(&w, a.databases[i]) })
		return answer{body: w.b}
	case http.MethodPost:
		return a.createDatabase(req)
	default:
		return fail(msgMethod)
	}
}

// routeTable works calls to a database or a collection.
func (a *Account) routeTable(req *request, lookup func(string) *table, missing string) answer {
	if len(req.path) < 2 || req.path[1] == "" {
		return missingElement(1)
	}
	t := lookup(req.path[1])
	if t == nil {
		return fail(missing)
	}
	profiles := t.database == nil
	sub := req.elem(2)
	switch {
	case sub == "":
		return a.table(req, t)
	case sub == "fields":
		return a.fields(req, t)
	case sub == "field":
		return a.field(req, t)
	case sub == "unsubscribe":
		return a.unsubscribeBehaviour(req, t)
	case sub == "intentions" && req.method == http.MethodPut:
		return answer{status: http.StatusNoContent}
	case profiles && sub == "collections":
		return a.collections(req, t)
	case profiles && sub == "interests" && req.method == http.MethodGet:
		var w writer
		a.writePage(&w, req.query, 100, 0, nil)
		return answer{body: w.b}
	case profiles && sub == "profiles" || !profiles && sub == "subprofiles":
		return a.rows(req, t, nil)
	case profiles && sub == "profileids" || !profiles && sub == "subprofileids":
		return a.rowIDs(req, t)
	default:
		return fail(msgMethod)
	}
}

// routeRow works calls to one profile or subprofile.
func (a *Account) routeRow(req *request, rows map[int64]*row, missing string) answer {
	if len(req.path) < 2 || req.path[1] == "" {
		return missingElement(1)
	}
	id, ok := number(req.path[1])
	r := rows[id]
	if !ok || r == nil {
		if req.method == http.MethodDelete && a.cfg.DeleteMissingSucceeds {
			return answer{status: http.StatusNoContent}
		}
		return fail(missing)
	}
	sub := req.elem(2)
	exact := len(req.path) == 2 || len(req.path) == 3 && sub == "fields"
	switch {
	case sub == "subprofiles" && r.parent == nil:
		return a.subprofiles(req, r)
	case sub == "unsubscribe" && req.method == http.MethodPut && len(req.path) == 3:
		if a.cfg.UnsubscribedByAPIListed {
			a.noteUnsubscribe(r, Publisher, 0, 0)
		} else {
			a.runUnsubscribe(r)
		}
		return answer{status: http.StatusNoContent}
	case sub != "" && sub != "fields":
		return fail(msgMethod)
	case req.method == http.MethodGet:
		var w writer
		if sub == "fields" {
			w.fields(r)
		} else {
			a.writeRow(&w, r, false)
		}
		return answer{body: w.b}
	case req.method == http.MethodPut && exact || req.method == http.MethodPost:
		return a.putRow(req, r, sub == "fields")
	case req.method == http.MethodDelete && len(req.path) == 2:
		return a.deleteRow(req, r)
	default:
		return fail(msgMethod)
	}
}

// subprofiles works the subprofiles of one profile in one collection. They can be
// made under a removed profile (behaviour 43).
func (a *Account) subprofiles(req *request, parent *row) answer {
	if len(req.path) < 4 {
		return missingElement(3)
	}
	c := find(parent.table.collections, req.path[3])
	if c == nil && req.method == http.MethodPost {
		return fail(msgSub)
	}
	if c == nil {
		return fail(msgNoCollection)
	}
	return a.rows(req, c, parent)
}
