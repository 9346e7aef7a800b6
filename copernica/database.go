package copernica

import (
	"context"
	"sync/atomic"
	"time"
)

// Database is one database of the account. It is safe for concurrent use.
type Database struct {
	table
	collections atomic.Pointer[heldCollections]
}

// heldCollections are the collections last seen. Only a reading of the whole schema
// brings them, so they can be older than the fields.
type heldCollections struct {
	list    []CollectionSchema
	readAt  time.Time
	reading int64
}

// newDatabase returns a database without a schema yet.
func newDatabase(c *Client, id int64, name string) *Database {
	d := &Database{table: table{client: c, id: id, name: name}}
	d.fetch = func(ctx context.Context) ([]Field, error) {
		raws, err := list[rawField](ctx, c, "GET /database/{id}/fields", d.path("/fields"))
		return fields(raws), err
	}
	return d
}

// Schema returns the schema last seen, without a call.
func (d *Database) Schema() Schema {
	h := d.held.Load()
	return Schema{Fields: h.fields, Collections: d.collections.Load().list, ReadAt: h.readAt}
}

// Clock returns what Copernica's clock said in the last answer to any call, in UTC, zero when
// none told. What is dated there is dated by this clock.
func (d *Database) Clock() time.Time {
	at := d.client.clock.Load()
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(at, 0).UTC()
}

// Refresh reads the whole schema anew.
func (d *Database) Refresh(ctx context.Context) (Schema, error) {
	reading := d.started.Add(1)
	s, err := d.read(ctx)
	if err != nil {
		return Schema{}, err
	}
	d.keepWhole(s, reading)
	return s, nil
}

// keepWhole makes s the schema last seen, but for what a later reading brought.
func (d *Database) keepWhole(s Schema, reading int64) {
	d.keep(hold(s.Fields, s.ReadAt, reading))
	d.keeping.Lock()
	defer d.keeping.Unlock()
	if old := d.collections.Load(); old == nil || old.reading <= reading {
		d.collections.Store(&heldCollections{s.Collections, s.ReadAt, reading})
	}
}
