package copernica

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/magento-copernica/syncd/internal/fault"
)

// Collection is a collection of a database: under each profile a list of
// subprofiles. It is safe for concurrent use.
//
// Its guard is that of profiles (promise 12) over the fields of the collection, which
// cost one more call in Config.SchemaMaxAge while writes to it go on: ask for a
// collection once and keep it.
type Collection struct {
	table
}

// Collection returns the collection of exactly that name from the schema last seen,
// without a call. Its errors are of type *GuardError and class Configuration.
func (d *Database) Collection(name string) (*Collection, error) {
	h := d.collections.Load()
	var found *CollectionSchema
	other, alike := "", 0
	for i := range h.list {
		s := &h.list[i]
		if !strings.EqualFold(s.Name, name) {
			continue
		}
		alike++
		if s.Name == name {
			found = s
		} else {
			other = s.Name
		}
	}
	c := &Collection{table: table{client: d.client, name: name, owner: &d.table}}
	switch {
	case found == nil && alike > 0:
		return nil, c.refuse("", fmt.Sprintf("the collection is spelled %q in Copernica: rename it there or correct the mapping", other))
	case found == nil:
		return nil, c.refuse("", "Copernica has no such collection, it was renamed or removed: rename it back, or if it was removed create it with syncd provision, then start again")
	case alike > 1:
		return nil, c.refuse("", "two collections have this name, perhaps in different case: rename one in Copernica")
	case found.ID <= 0:
		return nil, c.refuse("", "Copernica gives the collection no id: report this with the version of the API")
	}
	c.id = found.ID
	c.fetch = c.read
	c.keep(hold(found.Fields, h.readAt, c.started.Add(1)))
	return c, nil
}

// read fetches the fields, and refuses a collection that is no longer the one asked for.
func (c *Collection) read(ctx context.Context) ([]Field, error) {
	const route = "GET /collection/{id}"
	var raw rawCollection
	if err := c.client.get(ctx, route, c.path(""), &raw); err != nil {
		return nil, err
	}
	switch {
	case int64(raw.ID) != c.id:
		return nil, malformed(route, "another collection than asked for")
	case raw.Database != 0 && int64(raw.Database) != c.owner.id:
		return nil, malformed(route, "a collection of another database")
	case string(raw.Name) != c.name:
		return nil, c.refuse("", fmt.Sprintf("the collection was renamed to %q: rename it back or correct the mapping, then start again", string(raw.Name)))
	}
	return c.client.fieldsOf(ctx, raw.Fields, "GET /collection/{id}/fields", c.path("/fields"))
}

// blame looks at the collection when a subprofile was refused in words that fit a
// missing collection as well as unfit values: the one concerns all records.
func (c *Collection) blame(ctx context.Context, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Class != fault.Record || e.Status != http.StatusNotFound && !errors.Is(e, errNotCreated) {
		return err
	}
	gone, ok := errors.AsType[*Error](c.readFields(ctx))
	if ok && gone.refused && gone.Class == fault.Configuration {
		e.Class, e.cause, e.fix = gone.Class, gone.cause, gone.fix
	}
	return e
}

// everywhere is the list of all subprofiles of the collection.
func (c *Collection) everywhere() listing {
	return listing{route: "GET " + routeCollection, path: c.path("/subprofiles"), rows: "subprofiles"}
}

// under is the list of the subprofiles of one profile. Only the documentation of 2014
// says that conditions work on it (copernica-rest.md 6.6).
func (c *Collection) under(profile int64) listing {
	return listing{route: "GET " + routeSubprofiles, path: string(c.belowPath(nil, profile)), rows: "subprofiles", unsure: true}
}

func (c *Collection) belowPath(b []byte, profile int64) []byte {
	b = append(b, "/profile/"...)
	b = strconv.AppendInt(b, profile, 10)
	b = append(b, "/subprofiles/"...)
	return strconv.AppendInt(b, c.id, 10)
}
