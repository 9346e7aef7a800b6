package copernicatest

import (
	"slices"
	"strconv"
	"strings"
)

// kind groups the field types by how their values are converted and compared.
type kind uint8

const (
	kindText kind = iota
	kindSelect
	kindInt
	kindFloat
	kindDate
)

// kinds maps the types that a field may have. `phone` is the older name of
// phone_gsm and phone_fax.
func kinds(typ string) (kind, bool) {
	switch typ {
	case "text", "email", "big", "phone", "phone_gsm", "phone_fax":
		return kindText, true
	case "select":
		return kindSelect, true
	case "integer", "foreign_key":
		return kindInt, true
	case "float":
		return kindFloat, true
	case "date", "datetime", "empty_date", "empty_datetime":
		return kindDate, true
	default:
		return 0, false
	}
}

// field is a column of a table.
type field struct {
	id          int64
	name, typ   string
	description string
	value       string // the default
	length      int    // characters; 0 for types without
	textlines   int
	displayed   bool
	ordered     bool
	hidden      bool
	index       bool
	lock        bool

	kind    kind
	slot    int      // place in row.values, never given to another field
	options []string // of a select
	initial string   // the default, converted
	// exact holds the live rows by folded value, ids ascending. It is built by the
	// first equality filter and kept up from then on; nil before.
	exact map[string][]*row
}

// row is a profile or a subprofile.
type row struct {
	id       int64
	table    *table
	parent   *row     // the profile of a subprofile
	values   []string // by slot; a slot beyond the end is empty
	created  int64    // Unix seconds, as all three
	modified int64
	removed  int64  // 0: live
	secret   string // "": derived from the id
}

// table is a database or a collection.
type table struct {
	id          int64
	name        string
	description string
	archived    bool
	created     int64
	database    *table // of a collection
	collections []*table
	unsubscribe behaviour

	fields   []*field
	byName   map[string]*field
	slots    int
	rows     []*row           // all, ids ascending
	children map[int64][]*row // of a collection: by profile
}

// behaviour is what unsubscribing does.
type behaviour struct {
	name   string // nothing, remove, update
	fields object
}

func (a *Account) addDatabase(name, description string) *table {
	a.lastID.database++
	t := &table{
		id: a.lastID.database, name: name, description: description, created: a.now().Unix(),
		byName:      map[string]*field{},
		unsubscribe: behaviour{name: "update", fields: object{{"newsletter", Unsubscribed}}},
	}
	a.databases = append(a.databases, t)
	return t
}

func (a *Account) addCollection(db *table, name, description string) *table {
	a.lastID.collection++
	t := &table{
		id: a.lastID.collection, name: name, description: description, created: a.now().Unix(),
		database: db, byName: map[string]*field{}, children: map[int64][]*row{},
		unsubscribe: behaviour{name: "nothing"},
	}
	db.collections = append(db.collections, t)
	a.tables[t.id] = t
	return t
}

// database finds one by id or by name, whatever its case.
func (a *Account) database(idOrName string) *table { return find(a.databases, idOrName) }

// collection finds one by id, or by name among all databases.
func (a *Account) collection(idOrName string) *table {
	for _, db := range a.databases {
		if t := find(db.collections, idOrName); t != nil {
			return t
		}
	}
	return nil
}

func find(tables []*table, idOrName string) *table {
	if id, ok := number(idOrName); ok {
		for _, t := range tables {
			if t.id == id {
				return t
			}
		}
	}
	for _, t := range tables {
		if strings.EqualFold(t.name, idOrName) {
			return t
		}
	}
	return nil
}

// number reads an id as it may stand in a path: digits only.
func number(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	id, err := strconv.ParseInt(s, 10, 64)
	return id, err == nil
}

// field finds a field by name whatever its case, or by id.
func (t *table) field(idOrName string) *field {
	if id, ok := number(idOrName); ok {
		for _, f := range t.fields {
			if f.id == id {
				return f
			}
		}
	}
	return t.byName[strings.ToLower(idOrName)]
}

// addField appends a field. Rows that exist get the type's empty value, not the
// default (behaviour 53).
func (a *Account) addField(t *table, f *field) {
	a.lastID.field++
	f.id, f.slot = a.lastID.field, t.slots
	t.slots++
	t.fields = append(t.fields, f)
	t.byName[strings.ToLower(f.name)] = f
	now, empty := a.now().Unix(), f.empty()
	for _, r := range t.rows {
		if r.removed != 0 {
			continue
		}
		if empty != "" {
			r.put(f, empty)
		}
		if !a.cfg.NewFieldKeepsModified {
			r.modified = now
		}
	}
}

func (t *table) dropField(f *field) {
	t.fields = slices.DeleteFunc(t.fields, func(other *field) bool { return other == f })
	delete(t.byName, strings.ToLower(f.name))
	for _, r := range t.rows {
		if f.slot < len(r.values) {
			r.values[f.slot] = ""
		}
	}
}

// addRow stores a new row. Fields that are not given take their default
// (behaviour 24).
func (a *Account) addRow(t *table, parent *row, given map[*field]string) *row {
	now := a.now().Unix()
	r := &row{table: t, parent: parent, created: now, modified: now, values: make([]string, t.slots)}
	if t.database == nil {
		a.lastID.profile++
		r.id = a.lastID.profile
		a.profiles[r.id] = r
	} else {
		a.lastID.sub++
		r.id = a.lastID.sub
		a.subs[r.id] = r
		t.children[parent.id] = append(t.children[parent.id], r)
	}
	t.rows = append(t.rows, r)
	for _, f := range t.fields {
		v, ok := given[f]
		if !ok {
			v = f.initial
		}
		r.values[f.slot] = v
		a.enter(f, r, v)
	}
	return r
}

// update writes values into a row. `modified` moves only when one of them changes
// (behaviour 46); on a removed row it always moves and nothing else happens
// (behaviour 42).
func (a *Account) update(r *row, given map[*field]string) {
	if r.removed != 0 {
		if len(given) > 0 {
			r.modified = a.now().Unix()
		}
		return
	}
	changed := false
	for f, v := range given {
		old := r.get(f)
		if old == v {
			continue
		}
		changed = true
		a.leave(f, r, old)
		r.put(f, v)
		a.enter(f, r, v)
	}
	if changed {
		r.modified = a.now().Unix()
	}
}

// remove takes a row out of all lists, its subprofiles with it (behaviour 44).
func (a *Account) remove(r *row) {
	for _, f := range r.table.fields {
		a.leave(f, r, r.get(f))
	}
	r.values, r.removed = nil, a.now().Unix()
	if r.parent != nil {
		return
	}
	for _, c := range r.table.collections {
		for _, sub := range c.children[r.id] {
			if sub.removed == 0 {
				a.remove(sub)
			}
		}
	}
}

// forget takes a removed profile and its subprofiles out of the account. Their ids are
// never given again.
func (a *Account) forget(r *row) {
	for _, c := range r.table.collections {
		for _, sub := range c.children[r.id] {
			c.rows = without(c.rows, sub)
			delete(a.subs, sub.id)
		}
		delete(c.children, r.id)
	}
	r.table.rows = without(r.table.rows, r)
	delete(a.profiles, r.id)
}

func without(rows []*row, r *row) []*row {
	if at, ok := slices.BinarySearchFunc(rows, r.id, byID); ok {
		return slices.Delete(rows, at, at+1)
	}
	return rows
}

func (r *row) get(f *field) string {
	if f.slot < len(r.values) {
		return r.values[f.slot]
	}
	return ""
}

func (r *row) put(f *field, v string) {
	if f.slot >= len(r.values) {
		r.values = append(r.values, make([]string, f.slot+1-len(r.values))...)
	}
	r.values[f.slot] = v
}

// enter and leave keep a field's index, if it has one.
func (a *Account) enter(f *field, r *row, v string) {
	if f.exact == nil {
		return
	}
	k := a.fold(f, v)
	rows := f.exact[k]
	at, _ := slices.BinarySearchFunc(rows, r.id, byID)
	f.exact[k] = slices.Insert(rows, at, r)
}

func (a *Account) leave(f *field, r *row, v string) {
	if f.exact == nil {
		return
	}
	k := a.fold(f, v)
	rows := f.exact[k]
	if at, ok := slices.BinarySearchFunc(rows, r.id, byID); ok {
		rows = slices.Delete(rows, at, at+1)
	}
	if len(rows) == 0 {
		delete(f.exact, k)
		return
	}
	f.exact[k] = rows
}

// equal returns the live rows whose field folds to key, ids ascending. The result
// must not be kept across a write.
func (a *Account) equal(t *table, f *field, key string) []*row {
	if f.exact == nil {
		f.exact = map[string][]*row{}
		for _, r := range t.rows {
			if r.removed == 0 {
				a.enter(f, r, r.get(f))
			}
		}
	}
	return f.exact[key]
}

func byID(r *row, id int64) int {
	switch {
	case r.id < id:
		return -1
	case r.id > id:
		return 1
	default:
		return 0
	}
}
