package copernicatest

import (
	"fmt"
	"slices"
	"strings"
)

// Field describes a field to create. Type is text if empty.
type Field struct {
	Name, Type string
	Length     int // characters, of a text; zero: 255
	Default    string
	Index      bool
}

// Profile is a live profile as a list shows it.
type Profile struct {
	ID                int64
	Fields            map[string]string // every field of the database
	Created, Modified string            // Amsterdam time, no zone
}

// Subprofile is a live subprofile of the profile Parent.
type Subprofile struct {
	ID, Parent        int64
	Fields            map[string]string
	Created, Modified string
}

// CreateDatabase makes a database with fields and returns its id. A name or field
// that the API would refuse is an error.
func (a *Account) CreateDatabase(name string, fields ...Field) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !validName(false, name) || taken(a.databases, name, nil) {
		return 0, fmt.Errorf("copernicatest: database name %q cannot be used", name)
	}
	t := a.addDatabase(name, "")
	return t.id, a.addFields(t, fields)
}

// CreateCollection makes a collection with fields and returns its id.
func (a *Account) CreateCollection(database, name string, fields ...Field) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	db, err := a.mustDatabase(database)
	if err != nil {
		return 0, err
	}
	if !validName(true, name) || taken(db.collections, name, nil) {
		return 0, fmt.Errorf("copernicatest: collection name %q cannot be used", name)
	}
	t := a.addCollection(db, name, "")
	return t.id, a.addFields(t, fields)
}

// AddFields adds fields to a database.
func (a *Account) AddFields(database string, fields ...Field) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, err := a.mustDatabase(database)
	if err != nil {
		return err
	}
	return a.addFields(t, fields)
}

func (a *Account) addFields(t *table, fields []Field) error {
	for _, given := range fields {
		f := &field{typ: "text", displayed: true, textlines: 1}
		body := object{{"name", given.Name}, {"type", given.Type}, {"value", given.Default}}
		if given.Length > 0 {
			body = append(body, pair{"length", fmt.Sprint(given.Length)})
		}
		if given.Index {
			body = append(body, pair{"index", true})
		}
		if !a.describe(t, f, body) {
			return fmt.Errorf("copernicatest: field %q of type %q cannot be added to %s", given.Name, given.Type, t.name)
		}
		a.addField(t, f)
	}
	return nil
}

// Profiles returns the live profiles of a database by id, nil if there is no such
// database.
func (a *Account) Profiles(database string) []Profile {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.database(database)
	if t == nil {
		return nil
	}
	var list []Profile
	for _, r := range t.rows {
		if r.removed == 0 {
			list = append(list, Profile{ID: r.id, Fields: r.all(), Created: a.stamp(r.created), Modified: a.stamp(r.modified)})
		}
	}
	return list
}

// Subprofiles returns the live subprofiles of a collection by id, nil if there is no
// such database or collection.
func (a *Account) Subprofiles(database, collection string) []Subprofile {
	a.mu.Lock()
	defer a.mu.Unlock()
	db := a.database(database)
	if db == nil {
		return nil
	}
	t := find(db.collections, collection)
	if t == nil {
		return nil
	}
	var list []Subprofile
	for _, r := range t.rows {
		if r.removed == 0 {
			list = append(list, Subprofile{
				ID: r.id, Parent: r.parent.id, Fields: r.all(),
				Created: a.stamp(r.created), Modified: a.stamp(r.modified),
			})
		}
	}
	return list
}

func (r *row) all() map[string]string {
	m := make(map[string]string, len(r.table.fields))
	for _, f := range r.table.fields {
		m[f.name] = r.get(f)
	}
	return m
}

// RenameField renames a field of a database, as a user may at any time.
func (a *Account) RenameField(database, from, to string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, f, err := a.mustField(database, from)
	if err != nil {
		return err
	}
	changed := *f
	if !a.describe(t, &changed, object{{"name", to}}) {
		return fmt.Errorf("copernicatest: field name %q cannot be used", to)
	}
	a.retype(t, f, changed)
	return nil
}

// DropField deletes a field of a database and what stood in it.
func (a *Account) DropField(database, name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, f, err := a.mustField(database, name)
	if err != nil {
		return err
	}
	t.dropField(f)
	return nil
}

// AddProfile makes a profile as a user or another program would and returns its id.
// Unknown names are an error here.
func (a *Account) AddProfile(database string, fields map[string]string) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, err := a.mustDatabase(database)
	if err != nil {
		return 0, err
	}
	given, err := a.mustGiven(t, fields)
	if err != nil {
		return 0, err
	}
	return a.addRow(t, nil, given).id, nil
}

// EditProfile changes fields of a live profile.
func (a *Account) EditProfile(id int64, fields map[string]string) error {
	return a.edit(a.mustProfile, id, fields)
}

// RemoveProfile removes a live profile with its subprofiles.
func (a *Account) RemoveProfile(id int64) error { return a.removeLive(a.mustProfile, id) }

// edit changes fields of the live row that must finds.
func (a *Account) edit(must func(int64) (*row, error), id int64, fields map[string]string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := must(id)
	if err != nil {
		return err
	}
	given, err := a.mustGiven(r.table, fields)
	if err != nil {
		return err
	}
	a.update(r, given)
	return nil
}

// removeLive removes the live row that must finds.
func (a *Account) removeLive(must func(int64) (*row, error), id int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := must(id)
	if err != nil {
		return err
	}
	a.remove(r)
	return nil
}

// Unsubscribe runs the database's unsubscribe behaviour on the live profiles whose
// key field equals key. Unless it was changed, the behaviour writes [Unsubscribed]
// into the field newsletter.
func (a *Account) Unsubscribe(database, key string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, err := a.mustDatabase(database)
	if err != nil {
		return err
	}
	f := t.keyField()
	if f == nil {
		return fmt.Errorf("copernicatest: database %s has no fields", t.name)
	}
	rows := slices.Clone(a.equal(t, f, a.fold(f, key)))
	if len(rows) == 0 {
		return fmt.Errorf("copernicatest: database %s has no profile with key %q", t.name, key)
	}
	for _, r := range rows {
		a.runUnsubscribe(r)
	}
	return nil
}

// keyField is the field that tells rows apart: customer_id, else the first with an
// index, else the first; nil if there is none.
func (t *table) keyField() *field {
	if f := t.byName["customer_id"]; f != nil && t.database == nil {
		return f
	}
	for _, f := range t.fields {
		if f.index {
			return f
		}
	}
	if len(t.fields) > 0 {
		return t.fields[0]
	}
	return nil
}

func (a *Account) mustDatabase(name string) (*table, error) {
	if t := a.database(name); t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("copernicatest: no database %q", name)
}

func (a *Account) mustField(database, name string) (*table, *field, error) {
	t, err := a.mustDatabase(database)
	if err != nil {
		return nil, nil, err
	}
	f := t.byName[strings.ToLower(name)]
	if f == nil {
		return nil, nil, fmt.Errorf("copernicatest: database %s has no field %q", t.name, name)
	}
	return t, f, nil
}

func (a *Account) mustProfile(id int64) (*row, error) {
	r := a.profiles[id]
	if r == nil || r.removed != 0 {
		return nil, fmt.Errorf("copernicatest: no live profile %d", id)
	}
	return r, nil
}

func (a *Account) mustGiven(t *table, fields map[string]string) (map[*field]string, error) {
	flat := make(object, 0, len(fields))
	for name, v := range fields {
		flat = append(flat, pair{name, v})
	}
	given, unknown, _ := a.given(t, flat)
	if unknown > 0 {
		return nil, fmt.Errorf("copernicatest: %d of the fields given are not in database %s", unknown, t.name)
	}
	return given, nil
}
