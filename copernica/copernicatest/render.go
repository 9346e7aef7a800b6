package copernicatest

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// paging reads start and limit as PHP casts them; a nonsensical one gives no rows
// (behaviour 47).
func paging(q query, missing int64) (start, limit int64) {
	limit = missing
	if v, ok := q.get("start"); ok {
		start = intCast(v)
	}
	if v, ok := q.get("limit"); ok {
		limit = min(intCast(v), 1000)
	}
	return start, limit
}

// window cuts n rows to a page.
func window(start, limit int64, n int) (from, to int) {
	if start < 0 || limit <= 0 || start >= int64(n) {
		return 0, 0
	}
	return int(start), int(min(start+limit, int64(n)))
}

// writePage writes a paged envelope of n things that each can be written by number.
func (a *Account) writePage(w *writer, q query, missing int64, n int, each func(int)) {
	start, limit := paging(q, missing)
	from, to := window(start, limit, n)
	w.envelope(start, limit, from, to, each)
	if q.flag("total", true) {
		w.raw(`,"total":`)
		w.int(int64(n))
	}
	w.raw("}")
}

// envelope writes a page up to and without its end.
func (w *writer) envelope(start, limit int64, from, to int, each func(int)) {
	w.raw(`{"start":`)
	w.int(start)
	w.raw(`,"limit":`)
	w.int(limit)
	w.raw(`,"count":`)
	w.int(int64(to - from))
	w.raw(`,"data":[`)
	for i := from; i < to; i++ {
		if i > from {
			w.raw(",")
		}
		each(i)
	}
	w.raw("]")
}

// writeTable writes a database or collection. The lists within are first pages: 1000
// fields of a database, 100 of a collection.
func (a *Account) writeTable(w *writer, t *table) {
	w.raw(`{"ID":`)
	w.id(t.id)
	w.raw(`,"name":`)
	w.string(t.name)
	w.raw(`,"description":`)
	w.string(t.description)
	limit := int64(1000)
	if t.database != nil {
		limit = 100
		w.raw(`,"database":`)
		w.id(t.database.id)
	} else {
		w.raw(`,"archived":`)
		w.bool(t.archived)
		w.raw(`,"created":`)
		w.string(a.stamp(t.created))
	}
	w.raw(`,"fields":`)
	a.writePage(w, nil, limit, len(t.fields), func(i int) { w.field(t.fields[i]) })
	if t.database == nil {
		w.raw(`,"interests":`)
		a.writePage(w, nil, limit, 0, nil)
		w.raw(`,"collections":`)
		a.writePage(w, nil, limit, len(t.collections), func(i int) { a.writeTable(w, t.collections[i]) })
	}
	w.raw("}")
}

func (w *writer) field(f *field) {
	w.raw(`{"ID":`)
	w.id(f.id)
	w.raw(`,"name":`)
	w.string(f.name)
	if f.description != "" {
		w.raw(`,"description":`)
		w.string(f.description)
	}
	w.raw(`,"type":`)
	w.string(f.typ)
	w.raw(`,"value":`)
	w.string(f.value)
	w.raw(`,"displayed":`)
	w.bool(f.displayed)
	w.raw(`,"ordered":`)
	w.bool(f.ordered)
	w.raw(`,"length":`)
	w.string(strconv.Itoa(f.length))
	w.raw(`,"textlines":`)
	w.string(strconv.Itoa(f.textlines))
	w.raw(`,"hidden":`)
	w.bool(f.hidden)
	w.raw(`,"index":`)
	w.bool(f.index)
	if f.lock {
		w.raw(`,"lock":true`)
	}
	w.raw("}")
}

// writeRow writes a profile or subprofile. A removed one shows blank fields and when
// it was removed (behaviour 41). dataonly leaves out what is no data (behaviour 51).
func (a *Account) writeRow(w *writer, r *row, dataonly bool) {
	w.raw(`{"ID":`)
	w.id(r.id)
	w.raw(`,"fields":`)
	w.fields(r)
	if r.parent == nil {
		w.raw(`,"interests":[]`)
		if !dataonly {
			w.raw(`,"database":`)
			w.id(r.table.id)
		}
	} else {
		w.raw(`,"profile":`)
		w.id(r.parent.id)
		w.raw(`,"collection":`)
		w.id(r.table.id)
	}
	if !dataonly {
		w.raw(`,"secret":`)
		w.string(r.code())
		w.raw(`,"created":`)
		w.string(a.stamp(r.created))
	}
	w.raw(`,"modified":`)
	w.string(a.stamp(r.modified))
	if !dataonly {
		w.raw(`,"removed":`)
		if r.removed == 0 {
			w.bool(false)
		} else {
			w.string(a.stamp(r.removed))
		}
	}
	w.raw("}")
}

func (w *writer) fields(r *row) {
	if len(r.table.fields) == 0 {
		w.raw("[]")
		return
	}
	w.raw("{")
	for i, f := range r.table.fields {
		if i > 0 {
			w.raw(",")
		}
		w.string(f.name)
		w.raw(":")
		w.string(r.get(f))
	}
	w.raw("}")
}

func (w *writer) object(o object) {
	if len(o) == 0 {
		w.raw("[]")
		return
	}
	w.raw("{")
	for i, p := range o {
		if i > 0 {
			w.raw(",")
		}
		w.string(p.name)
		w.raw(":")
		s, _ := text(p.value)
		w.string(s)
	}
	w.raw("}")
}

// code is a row's secret: 28 hex digits unless it was set.
func (r *row) code() string {
	if r.secret != "" {
		return r.secret
	}
	space := "profile "
	if r.parent != nil {
		space = "subprofile "
	}
	sum := sha256.Sum256([]byte(space + strconv.FormatInt(r.id, 10)))
	return hex.EncodeToString(sum[:14])
}
