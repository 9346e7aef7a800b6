package copernica

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// table is what a [Database] and a [Collection] have in common: rows, and the fields
// that the guard in front of each write looks at.
type table struct {
	client *Client
	id     int64
	name   string
	owner  *table // the database of a collection, else nil
	// fetch reads the fields as they are now.
	fetch func(context.Context) ([]Field, error)

	held    atomic.Pointer[heldFields]
	flight  flight
	started atomic.Int64 // readings of the schema so far
	keeping sync.Mutex   // held while held is replaced
}

// heldFields are the fields last seen, indexed by name.
type heldFields struct {
	fields  []Field
	readAt  time.Time // when the reading began, on the client's clock
	reading int64     // the number of the reading

	byName map[string]*Field // exact names
	folded map[string]int    // how many fields have this name, ignoring case
	// pause is when reading ahead may be tried again, in Unix nanoseconds.
	pause atomic.Int64
}

func hold(fields []Field, readAt time.Time, reading int64) *heldFields {
	h := &heldFields{
		fields: fields, readAt: readAt, reading: reading,
		byName: make(map[string]*Field, len(fields)), folded: make(map[string]int, len(fields)),
	}
	for i := range fields {
		f := &fields[i]
		h.byName[f.Name] = f
		h.folded[strings.ToLower(f.Name)]++
	}
	return h
}

// ID returns the id by which Copernica knows it.
func (t *table) ID() int64 { return t.id }

// Name returns the name as Copernica spells it.
func (t *table) Name() string { return t.name }

// place says which rows a key field may filter.
func (t *table) place() (database, collection int64) {
	if t.owner != nil {
		return t.owner.id, t.id
	}
	return t.id, 0
}

// path returns the path of something below the database or collection.
func (t *table) path(below string) string {
	if t.owner != nil {
		return "/collection/" + strconv.FormatInt(t.id, 10) + below
	}
	return "/database/" + strconv.FormatInt(t.id, 10) + below
}

// keep makes h the fields last seen, unless a later reading brought others.
// Readings are told apart by number: clocks are set back.
func (t *table) keep(h *heldFields) {
	t.keeping.Lock()
	defer t.keeping.Unlock()
	if old := t.held.Load(); old == nil || old.reading <= h.reading {
		t.held.Store(h)
	}
}

// fresh returns fields that are no older than SchemaMaxAge (promise 12). Near that
// age one caller reads them ahead while the others go on; beyond it all of them wait
// for one reading.
func (t *table) fresh(ctx context.Context) (*heldFields, error) {
	limit := t.client.schemaMaxAge
	h := t.held.Load()
	now := t.client.now()
	age := now.Sub(h.readAt)
	if age >= 0 && age < limit/4*3 {
		return h, nil
	}
	if age >= 0 && age <= limit {
		if now.UnixNano() < h.pause.Load() {
			return h, nil
		}
		_ = t.flight.try(ctx, func() bool { return t.held.Load() == h }, func(ctx context.Context) error {
			err := t.readFields(ctx)
			if err != nil {
				h.pause.Store(h.readAt.Add(limit).UnixNano()) // the reading that is due then reports it
			}
			return err
		})
		return t.unlessOld(ctx)
	}
	return t.wait(ctx)
}

// unlessOld returns the fields last seen if their age allows, which reading ahead
// without success can have used up.
func (t *table) unlessOld(ctx context.Context) (*heldFields, error) {
	if t.old() {
		return t.wait(ctx)
	}
	return t.held.Load(), nil
}

func (t *table) wait(ctx context.Context) (*heldFields, error) {
	if err := t.flight.do(ctx, t.old, t.readFields); err != nil {
		return nil, unsent{err}
	}
	return t.held.Load(), nil
}

func (t *table) old() bool { return t.client.outdated(t.held.Load()) }

func (c *Client) outdated(h *heldFields) bool {
	age := c.now().Sub(h.readAt)
	return age < 0 || age > c.schemaMaxAge
}

// readFields reads the fields anew.
func (t *table) readFields(ctx context.Context) error {
	reading, asked := t.started.Add(1), t.client.now()
	fields, err := t.fetch(ctx)
	if err != nil {
		return err
	}
	t.keep(hold(fields, asked, reading))
	return nil
}
