package magentotest

import (
	"cmp"
	"slices"
)

// keyed is a row with the two columns that every kind of record has.
type keyed interface {
	key() int64     // entity_id
	changed() int64 // updated_at in Unix seconds
}

// table is the rows of one kind, kept in two orders, so that a keyset page is found
// without looking at the rows before it.
type table[R keyed] struct {
	byID   []R
	byTime []R // by (updated_at, id)
}

func compareID[R keyed](r R, id int64) int { return cmp.Compare(r.key(), id) }

// compareTime orders rows as `updated_at ASC, entity_id ASC` does.
func compareTime[R keyed](a, b R) int {
	return cmp.Or(cmp.Compare(a.changed(), b.changed()), cmp.Compare(a.key(), b.key()))
}

// index orders a table by time that was filled by id.
func (t *table[R]) index() {
	t.byTime = slices.Clone(t.byID)
	slices.SortFunc(t.byTime, compareTime[R])
}

// find returns the row with an id.
func (t *table[R]) find(id int64) (row R, ok bool) {
	if i, ok := slices.BinarySearchFunc(t.byID, id, compareID[R]); ok {
		return t.byID[i], true
	}
	return row, false
}

// insert adds a row whose id is not there.
func (t *table[R]) insert(r R) {
	i, _ := slices.BinarySearchFunc(t.byID, r.key(), compareID[R])
	t.byID = slices.Insert(t.byID, i, r)
	i, _ = slices.BinarySearchFunc(t.byTime, r, compareTime[R])
	t.byTime = slices.Insert(t.byTime, i, r)
}

// remove takes a row out of both orders.
func (t *table[R]) remove(r R) {
	if i, ok := slices.BinarySearchFunc(t.byID, r.key(), compareID[R]); ok {
		t.byID = slices.Delete(t.byID, i, i+1)
	}
	if i, ok := slices.BinarySearchFunc(t.byTime, r, compareTime[R]); ok {
		t.byTime = slices.Delete(t.byTime, i, i+1)
	}
}
