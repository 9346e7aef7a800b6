package copernica

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Database is one database of the account. It is safe for concurrent use.
type Database struct {
	client *Client
	id     int64
	name   string

	held    atomic.Pointer[heldSchema]
	flight  flight
	started atomic.Int64 // readings of the schema so far
	keeping sync.Mutex   // held while held is replaced
}

// heldSchema is a schema with its names indexed.
type heldSchema struct {
	Schema
	fieldsBy, collectionsBy int64 // the readings they come from

	byName map[string]*Field // exact names
	folded map[string]int    // how many fields have this name, ignoring case
	// pause is when reading ahead may be tried again, in Unix nanoseconds.
	pause atomic.Int64
}

// ID returns the database's id.
func (d *Database) ID() int64 { return d.id }

// Name returns the database's name as Copernica spells it.
func (d *Database) Name() string { return d.name }

// Schema returns the schema last seen, without a call.
func (d *Database) Schema() Schema { return d.held.Load().Schema }

// Refresh reads the whole schema anew.
func (d *Database) Refresh(ctx context.Context) (Schema, error) {
	reading := d.started.Add(1)
	s, err := d.read(ctx)
	if err != nil {
		return Schema{}, err
	}
	d.keep(s, reading, true)
	return s, nil
}

// path returns the path of something below the database.
func (d *Database) path(below string) string {
	return "/database/" + strconv.FormatInt(d.id, 10) + below
}

// keep makes s the schema last seen, but for what a later reading brought; whole
// says that s has collections. Readings are told apart by number: clocks are set back.
func (d *Database) keep(s Schema, reading int64, whole bool) {
	d.keeping.Lock()
	defer d.keeping.Unlock()
	h := &heldSchema{Schema: s, fieldsBy: reading, collectionsBy: reading}
	if old := d.held.Load(); old != nil {
		if !whole || old.collectionsBy > reading {
			h.Collections, h.collectionsBy = old.Collections, old.collectionsBy
		}
		if old.fieldsBy > reading {
			h.Fields, h.ReadAt, h.fieldsBy = old.Fields, old.ReadAt, old.fieldsBy
		}
	}
	h.byName, h.folded = make(map[string]*Field, len(h.Fields)), make(map[string]int, len(h.Fields))
	for i := range h.Fields {
		f := &h.Fields[i]
		h.byName[f.Name] = f
		h.folded[strings.ToLower(f.Name)]++
	}
	d.held.Store(h)
}

// fresh returns a schema whose profile fields are no older than SchemaMaxAge
// (promise 12). Near that age one caller reads it ahead while the others go on;
// beyond it all of them wait for one reading.
func (d *Database) fresh(ctx context.Context) (*heldSchema, error) {
	limit := d.client.schemaMaxAge
	h := d.held.Load()
	now := d.client.now()
	age := now.Sub(h.ReadAt)
	if age >= 0 && age < limit/4*3 {
		return h, nil
	}
	if age >= 0 && age <= limit {
		if now.UnixNano() < h.pause.Load() {
			return h, nil
		}
		_ = d.flight.try(ctx, func() bool { return d.held.Load() == h }, func(ctx context.Context) error {
			err := d.readFields(ctx)
			if err != nil {
				h.pause.Store(h.ReadAt.Add(limit).UnixNano()) // the reading that is due then reports it
			}
			return err
		})
		return d.unlessOld(ctx)
	}
	return d.wait(ctx)
}

// unlessOld returns the schema last seen if its age allows, which reading ahead
// without success can have used up.
func (d *Database) unlessOld(ctx context.Context) (*heldSchema, error) {
	if d.old() {
		return d.wait(ctx)
	}
	return d.held.Load(), nil
}

func (d *Database) wait(ctx context.Context) (*heldSchema, error) {
	if err := d.flight.do(ctx, d.old, d.readFields); err != nil {
		return nil, unsent{err}
	}
	return d.held.Load(), nil
}

func (d *Database) old() bool { return d.client.outdated(d.held.Load()) }

func (c *Client) outdated(h *heldSchema) bool {
	age := c.now().Sub(h.ReadAt)
	return age < 0 || age > c.schemaMaxAge
}

// readFields reads the profile fields, one call, and keeps the collections.
func (d *Database) readFields(ctx context.Context) error {
	reading, asked := d.started.Add(1), d.client.now()
	raws, err := list[rawField](ctx, d.client, "GET /database/{id}/fields", d.path("/fields"))
	if err != nil {
		return err
	}
	fields := make([]Field, len(raws))
	for i, r := range raws {
		fields[i] = r.field()
	}
	d.keep(Schema{Fields: fields, ReadAt: asked}, reading, false)
	return nil
}
