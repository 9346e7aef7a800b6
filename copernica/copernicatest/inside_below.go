package copernicatest

import "fmt"

// AddCollectionFields adds fields to a collection.
func (a *Account) AddCollectionFields(database, collection string, fields ...Field) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, err := a.mustCollection(database, collection)
	if err != nil {
		return err
	}
	return a.addFields(t, fields)
}

// DropCollectionField deletes a field of a collection and what stood in it.
func (a *Account) DropCollectionField(database, collection, name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, err := a.mustCollection(database, collection)
	if err != nil {
		return err
	}
	for _, f := range t.fields {
		if f.name == name {
			t.dropField(f)
			return nil
		}
	}
	return fmt.Errorf("copernicatest: collection %q has no field %q", collection, name)
}

// AddSubprofile makes a subprofile as a user or another program would and returns its
// id. Unknown names are an error here.
func (a *Account) AddSubprofile(collection string, profile int64, fields map[string]string) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	parent, err := a.mustProfile(profile)
	if err != nil {
		return 0, err
	}
	t := find(parent.table.collections, collection)
	if t == nil {
		return 0, fmt.Errorf("copernicatest: there is no collection %q", collection)
	}
	given, err := a.mustGiven(t, fields)
	if err != nil {
		return 0, err
	}
	return a.addRow(t, parent, given).id, nil
}

func (a *Account) mustCollection(database, name string) (*table, error) {
	db, err := a.mustDatabase(database)
	if err != nil {
		return nil, err
	}
	t := find(db.collections, name)
	if t == nil {
		return nil, fmt.Errorf("copernicatest: database %q has no collection %q", database, name)
	}
	return t, nil
}

// EditSubprofile changes fields of a live subprofile.
func (a *Account) EditSubprofile(id int64, fields map[string]string) error {
	return a.edit(a.mustSubprofile, id, fields)
}

// RemoveSubprofile removes a live subprofile.
func (a *Account) RemoveSubprofile(id int64) error { return a.removeLive(a.mustSubprofile, id) }

func (a *Account) mustSubprofile(id int64) (*row, error) {
	r := a.subs[id]
	if r == nil || r.removed != 0 {
		return nil, fmt.Errorf("copernicatest: there is no live subprofile %d", id)
	}
	return r, nil
}
