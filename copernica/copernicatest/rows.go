package copernicatest

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
)

// rows works a list of profiles, of a collection's subprofiles, or, with a parent,
// of one profile's subprofiles.
func (a *Account) rows(req *request, t *table, parent *row) answer {
	switch {
	case req.method == http.MethodGet:
		return a.listRows(req, t, parent)
	case req.method == http.MethodPost && (t.database == nil || parent != nil):
		given, bad := a.bodyFields(req, t, parent)
		if bad != nil {
			return *bad
		}
		return a.createRow(t, parent, given)
	case req.method == http.MethodPut:
		return a.putRows(req, t, parent)
	case req.method == http.MethodDelete && t.database == nil:
		return a.deleteRows(req, t)
	default:
		return fail(msgMethod)
	}
}

// bodyFields reads the values of a create or update of many: under "fields" for
// profiles (an object is demanded, behaviour 40), at top level for the subprofiles of a
// profile (behaviour 39), either for those of a whole collection.
func (a *Account) bodyFields(req *request, t *table, parent *row) (map[*field]string, *answer) {
	refused := func(message string) (map[*field]string, *answer) {
		ans := fail(message)
		return nil, &ans
	}
	if req.bad {
		return refused(msgData)
	}
	body := req.body
	wrapped := body.get("fields")
	switch o, ok := wrapped.(object); {
	case t.database == nil && req.version == 1: // flat
	case t.database == nil && wrapped != nil && !ok:
		return refused(msgData)
	case t.database == nil:
		body = o
	case parent == nil && ok:
		body = o
	}
	given, unknown, fits := a.given(t, body)
	if !fits {
		return refused(msgData)
	}
	if unknown > 0 && req.method == http.MethodPut && a.cfg.UnknownFieldRefused {
		return refused(msgField)
	}
	return given, nil
}

// given converts a flat set of values. Names that the table does not have are
// ignored and counted (behaviour 27); fits is false when a text is too long and the
// account is switched to refuse that.
func (a *Account) given(t *table, flat object) (given map[*field]string, unknown int, fits bool) {
	given = make(map[*field]string, len(flat))
	fits = true
	for _, p := range flat {
		f := t.byName[strings.ToLower(p.name)]
		if f == nil {
			unknown++
			continue
		}
		v := a.convert(f, p.value)
		switch {
		case a.cfg.LongText == LongTextCut:
			v = f.cut(v)
		case a.cfg.LongText == LongTextRefuse && f.tooLong(v):
			fits = false
		}
		given[f] = v
	}
	return given, unknown, fits
}

// createRow never looks for an equal row: doubles are made without complaint
// (behaviour 34).
func (a *Account) createRow(t *table, parent *row, given map[*field]string) answer {
	if t.database == nil {
		for f, v := range given {
			if f.typ == "email" && a.refusedDomain(v) {
				return fail(msgProfile)
			}
		}
	}
	r := a.addRow(t, parent, given)
	return answer{status: http.StatusCreated, created: r.id, touched: r.id, kind: kindOf(t)}
}

func (a *Account) refusedDomain(email string) bool {
	domain := strings.ToLower(email[strings.LastIndexByte(email, '@')+1:])
	return slices.ContainsFunc(a.cfg.RefusedDomains, func(d string) bool { return strings.ToLower(d) == domain })
}

// putRows is the update of many, and with create=1 the upsert: every match gets the
// values, and no match makes one row from the body alone.
func (a *Account) putRows(req *request, t *table, parent *row) answer {
	expressions, ok := req.query.filters()
	if !ok {
		return fail(msgFilter)
	}
	conds, unknown := a.parseConditions(t, expressions)
	// An unknown name is always an error for subprofiles (behaviour 32).
	if unknown > 0 && (t.database != nil || a.cfg.UnknownFilter == UnknownFilterRefused) {
		return fail(msgField)
	}
	given, bad := a.bodyFields(req, t, parent)
	if bad != nil {
		return *bad
	}
	create := req.query.flag("create", false) && (t.database == nil || parent != nil)
	async := req.query.flag("async", false) && t.database == nil

	matches := a.selectRows(t, a.base(t, parent), conds, -1)
	if len(matches) == 0 && create {
		if a.cfg.UpsertRace > 0 {
			a.pause(a.cfg.UpsertRace)
			given, _ = a.bodyFields(req, t, parent) // the schema may have changed
		}
		ans := a.createRow(t, parent, given)
		unnamed := a.cfg.SubprofileUpsertWithoutID || req.version <= 2 && !a.cfg.SubprofileUpsertRepaired
		if async || t.database != nil && unnamed {
			ans.created = 0
		}
		if async && ans.status < 300 {
			ans.status = http.StatusNoContent
		}
		return ans
	}
	ans := answer{status: http.StatusNoContent}
	for _, r := range matches {
		a.update(r, given)
		ans.touched, ans.kind = r.id, kindOf(t)
	}
	return ans
}

// kindOf is the word for a table's rows in a path.
func kindOf(t *table) string {
	if t.database == nil {
		return "profile"
	}
	return "subprofile"
}

// base returns the rows of one parent, or nil for all of the table.
func (a *Account) base(t *table, parent *row) []*row {
	if parent == nil {
		return nil
	}
	return append([]*row{}, t.children[parent.id]...)
}

// listRows answers a list. Unknown names among the filters are ignored.
func (a *Account) listRows(req *request, t *table, parent *row) answer {
	expressions, _ := req.query.filters()
	conds, _ := a.parseConditions(t, expressions)
	total := req.query.flag("total", true)
	start, limit := paging(req.query, 100)
	order := a.order(req, t)
	most := -1
	if !total && order == nil {
		most = int(max(0, min(start+limit, 1<<40)))
	}
	found := a.selectRows(t, a.base(t, parent), conds, most)
	if order != nil {
		order(found)
	}
	from, to := window(start, limit, len(found))
	dataonly := req.query.flag("dataonly", false)
	var w writer
	w.envelope(start, limit, from, to, func(i int) { a.writeRow(&w, found[i], dataonly) })
	if total {
		w.raw(`,"total":`)
		w.int(int64(len(found)))
	}
	if a.cfg.NextID && to < len(found) {
		w.raw(`,"nextid":`)
		w.id(found[to].id)
	}
	w.raw("}")
	return answer{body: w.b}
}

// order returns what sorts rows as asked for, nil for the order that they have: by
// id, ascending. The special name modified wins over a field of that name here
// (behaviour 37); an unknown name is ignored.
func (a *Account) order(req *request, t *table) func([]*row) {
	by, _ := req.query.get("orderby")
	dir, _ := req.query.get("order")
	dir = strings.ToLower(dir)
	sign := 1
	if dir == "desc" || dir == "descending" {
		sign = -1
	}
	var compare func(x, y *row) int
	by = strings.ToLower(by)
	f := t.field(by)
	switch {
	case by == "random":
		return func(rows []*row) { rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] }) }
	case by == "modified":
		compare = func(x, y *row) int { return cmp.Compare(x.modified, y.modified) }
	case f != nil && (f.kind == kindInt || f.kind == kindFloat):
		compare = func(x, y *row) int { return cmp.Compare(floatCast(x.get(f)), floatCast(y.get(f))) }
	case f != nil:
		compare = func(x, y *row) int { return strings.Compare(a.fold(f, x.get(f)), a.fold(f, y.get(f))) }
	case sign == 1:
		return nil
	default:
		compare = func(x, y *row) int { return cmp.Compare(x.id, y.id) }
	}
	return func(rows []*row) { slices.SortStableFunc(rows, func(x, y *row) int { return sign * compare(x, y) }) }
}

func (a *Account) rowIDs(req *request, t *table) answer {
	if req.method != http.MethodGet {
		return fail(msgMethod)
	}
	var conds []condition
	if expressions, _ := req.query.filters(); !a.cfg.FiltersOnIDsIgnored {
		conds, _ = a.parseConditions(t, expressions)
	}
	var w writer
	w.raw("[")
	for i, r := range a.selectRows(t, nil, conds, -1) {
		if i > 0 {
			w.raw(",")
		}
		w.id(r.id)
	}
	w.raw("]")
	return answer{body: w.b}
}

// putRow updates one row: from {"fields":{}} or, at …/fields, from a flat body.
// Anything else in the body is ignored, success all the same (behaviour 40).
func (a *Account) putRow(req *request, r *row, flat bool) answer {
	if req.bad {
		return fail(msgData)
	}
	body := req.body
	if !flat {
		body, _ = req.body.get("fields").(object)
		if v, ok := text(req.body.get("secret")); ok {
			r.secret = ascii(v) // does not move modified
		}
	}
	given, _, fits := a.given(r.table, body)
	if !fits {
		return fail(msgData)
	}
	a.update(r, given)
	return answer{status: http.StatusNoContent, touched: r.id, kind: kindOf(r.table)}
}

// deleteRow removes a row, a profile completely if its body says so; the documents of
// version 1 do not have that.
func (a *Account) deleteRow(req *request, r *row) answer {
	again := msgRemoved
	if r.parent != nil {
		again = msgSubRemoved
	}
	switch {
	case r.removed != 0 && a.cfg.DeleteMissingSucceeds:
		return answer{status: http.StatusNoContent}
	case r.removed != 0:
		return fail(again)
	}
	a.remove(r)
	completely, _ := text(req.body.get("completely"))
	if r.parent == nil && req.version >= 2 && truthy(completely) && !a.cfg.CompletelyIgnored {
		a.forget(r)
	}
	return answer{status: http.StatusNoContent, kind: kindOf(r.table), deleted: r.id}
}

// deleteRows removes the profiles whose ids the body lists; others are passed over.
func (a *Account) deleteRows(req *request, t *table) answer {
	ids, ok := req.body.get("profiles").(object)
	if req.bad || !ok {
		return fail(msgData)
	}
	for _, p := range ids {
		if r := a.profiles[intCast(p.value)]; r != nil && r.table == t && r.removed == 0 {
			a.remove(r)
		}
	}
	return answer{status: http.StatusNoContent}
}
