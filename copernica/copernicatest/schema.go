package copernicatest

import (
	"net/http"
	"regexp"
	"strings"
)

// maxIndexes is how many fields of a table may have an index.
const maxIndexes = 64

// table works GET and PUT of a database or collection. POST is answered with
// success and does nothing (behaviour 12).
func (a *Account) table(req *request, t *table) answer {
	switch {
	case req.method == http.MethodGet:
		var w writer
		a.writeTable(&w, t)
		return answer{body: w.b}
	case req.method == http.MethodPost:
		return answer{}
	case req.method != http.MethodPut || len(req.path) > 2:
		return fail(msgMethod)
	case req.bad:
		return fail(msgData)
	}
	siblings := a.databases
	if t.database != nil {
		siblings = t.database.collections
	}
	if v := req.body.get("name"); v != nil {
		name, _ := text(v)
		if !validName(t.database != nil, name) || !a.cfg.SameNames && taken(siblings, name, t) {
			return fail(msgData)
		}
		t.name = name
	}
	if v := req.body.get("description"); v != nil {
		t.description, _ = text(v)
	}
	if v := req.body.get("archived"); v != nil {
		s, _ := text(v)
		t.archived = truthy(s)
	}
	return answer{status: http.StatusNoContent}
}

func (a *Account) createDatabase(req *request) answer {
	name, _ := text(req.body.get("name"))
	if req.bad || !validName(false, name) || !a.cfg.SameNames && taken(a.databases, name, nil) {
		return fail(msgData)
	}
	description, _ := text(req.body.get("description"))
	t := a.addDatabase(name, description)
	return answer{status: http.StatusCreated, created: t.id, kind: "database"}
}

func (a *Account) collections(req *request, db *table) answer {
	switch req.method {
	case http.MethodGet:
		var w writer
		a.writePage(&w, req.query, 100, len(db.collections), func(i int) { a.writeTable(&w, db.collections[i]) })
		return answer{body: w.b}
	case http.MethodPost:
		name, _ := text(req.body.get("name"))
		if req.bad || !validName(true, name) || !a.cfg.SameNames && taken(db.collections, name, nil) {
			return fail(msgData)
		}
		description, _ := text(req.body.get("description"))
		t := a.addCollection(db, name, description)
		return answer{status: http.StatusCreated, created: t.id, kind: "collection"}
	default:
		return fail(msgMethod)
	}
}

// validName knows the rules for names: letters, digits and underscores in a
// database's, no digits in a collection's.
func validName(collection bool, name string) bool {
	allowed := `^[A-Za-z0-9_]+$`
	if collection {
		allowed = `^[A-Za-z_]+$`
	}
	ok, _ := regexp.MatchString(allowed, name)
	return ok
}

func taken(tables []*table, name string, but *table) bool {
	for _, t := range tables {
		if t != but && strings.EqualFold(t.name, name) {
			return true
		}
	}
	return false
}

func (a *Account) fields(req *request, t *table) answer {
	switch req.method {
	case http.MethodGet:
		var w writer
		a.writePage(&w, req.query, 100, len(t.fields), func(i int) { w.field(t.fields[i]) })
		return answer{body: w.b}
	case http.MethodPost:
		f := &field{typ: "text", displayed: true, textlines: 1}
		if req.bad || !a.describe(t, f, req.body) {
			return fail(msgData)
		}
		a.addField(t, f)
		return answer{status: http.StatusCreated, created: f.id, kind: "field"}
	default:
		return fail(msgMethod)
	}
}

// field works PUT and DELETE of one field.
func (a *Account) field(req *request, t *table) answer {
	if req.elem(3) == "" {
		return fail(msgFieldID)
	}
	f := t.field(req.path[3])
	if f == nil {
		return fail(msgField)
	}
	switch {
	case len(req.path) > 4 && req.method != http.MethodPost:
		return fail(msgMethod)
	case req.method == http.MethodDelete:
		t.dropField(f)
		return answer{status: http.StatusNoContent, kind: "field", deleted: f.id}
	case req.method != http.MethodPut && req.method != http.MethodPost:
		return fail(msgMethod)
	}
	changed := *f
	if req.bad || !a.describe(t, &changed, req.body) {
		return fail(msgData)
	}
	a.retype(t, f, changed)
	return answer{status: http.StatusNoContent}
}

// retype gives a field its new properties and converts what is stored.
func (a *Account) retype(t *table, f *field, changed field) {
	delete(t.byName, strings.ToLower(f.name))
	convert := changed.typ != f.typ || changed.length != f.length || changed.value != f.value && changed.kind == kindSelect
	*f = changed
	f.exact = nil
	t.byName[strings.ToLower(f.name)] = f
	if !convert {
		return
	}
	now := a.now().Unix()
	for _, r := range t.rows {
		if r.removed != 0 {
			continue
		}
		old := r.get(f)
		v := a.convert(f, old)
		if a.cfg.LongText == LongTextCut {
			v = f.cut(v)
		}
		if v != old {
			r.put(f, v)
			r.modified = now
		}
	}
}

// describe fills a field from a body; false means that Copernica would not have it.
func (a *Account) describe(t *table, f *field, body object) bool {
	name, _ := text(body.get("name"))
	if !fieldName(name) {
		return false
	}
	if other := t.byName[strings.ToLower(name)]; other != nil && other.id != f.id {
		return false
	}
	f.name = name
	if typ, ok := text(body.get("type")); ok && typ != "" {
		f.typ = typ
	}
	var known bool
	if f.kind, known = kinds(f.typ); !known {
		return false
	}
	for _, other := range t.fields {
		single := f.typ == "email" || f.typ == "phone_gsm" || f.typ == "phone_fax"
		if single && t.database == nil && other.id != f.id && other.typ == f.typ {
			return false
		}
	}
	if v := body.get("length"); v != nil {
		f.length = int(intCast(v))
	}
	switch {
	case f.kind != kindText || f.typ == "big":
		f.length = 0
	case f.length <= 0 || f.length > 255:
		f.length = 255
	}
	if v := body.get("textlines"); v != nil {
		f.textlines = int(intCast(v))
	}
	for name, flag := range map[string]*bool{
		"displayed": &f.displayed, "ordered": &f.ordered, "hidden": &f.hidden, "index": &f.index, "lock": &f.lock,
	} {
		if v := body.get(name); v != nil {
			s, _ := text(v)
			*flag = truthy(s)
		}
	}
	if f.typ == "big" {
		f.index = false // cannot be indexed
	}
	if s, ok := text(body.get("description")); ok {
		f.description = s
	}
	if s, ok := text(body.get("value")); ok {
		f.value = s
	}
	a.setDefault(f)
	return !f.index || indexes(t, f) < maxIndexes
}

// setDefault works out what a row gets that is created without the field.
func (a *Account) setDefault(f *field) {
	if f.kind == kindSelect {
		f.value, f.options, f.initial = options(f.value)
		return
	}
	if f.kind != kindText && f.value == "" {
		f.value = f.empty()
	}
	f.initial = f.cut(a.convert(f, f.value))
}

// indexes counts the indexed fields of a table but one.
func indexes(t *table, but *field) int {
	n := 0
	for _, f := range t.fields {
		if f.index && f.id != but.id {
			n++
		}
	}
	return n
}

// fieldName knows the rules for field names: neither a digit nor an underscore in
// front, not id or code, nothing that a filter would cut.
func fieldName(name string) bool {
	if name == "" || strings.EqualFold(name, "id") || strings.EqualFold(name, "code") {
		return false
	}
	return !strings.ContainsAny(name[:1], "0123456789_") && !strings.ContainsAny(name, "=<>!~ \t\r\n")
}

func (a *Account) unsubscribeBehaviour(req *request, t *table) answer {
	switch req.method {
	case http.MethodGet:
		var w writer
		w.raw(`{"behavior":`)
		w.string(t.unsubscribe.name)
		w.raw(`,"fields":`)
		w.object(t.unsubscribe.fields)
		w.raw(`}`)
		return answer{body: w.b}
	case http.MethodPut:
		name, _ := text(req.body.get("behavior"))
		if req.bad || name != "nothing" && name != "remove" && name != "update" {
			return fail(msgData)
		}
		fields, _ := req.body.get("fields").(object)
		if name != "update" {
			fields = nil
		}
		t.unsubscribe = behaviour{name: name, fields: fields}
		return answer{status: http.StatusNoContent}
	default:
		return fail(msgMethod)
	}
}

// runUnsubscribe does to a row what its table's unsubscribe behaviour says.
func (a *Account) runUnsubscribe(r *row) {
	switch r.table.unsubscribe.name {
	case "remove":
		if r.removed == 0 {
			a.remove(r)
		}
	case "update":
		given, _, _ := a.given(r.table, r.table.unsubscribe.fields)
		a.update(r, given)
	}
}
