package copernica

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
)

// maxRows is the largest page that Copernica gives (copernica-rest.md 6.2).
const maxRows = 1000

// Schema is what a database looked like at one moment. It must not be modified.
type Schema struct {
	Fields      []Field
	Collections []CollectionSchema
	// ReadAt is when the reading of Fields began, on the client's clock.
	ReadAt time.Time
}

// Field is a field of a database or of a collection.
type Field struct {
	ID   int64
	Name string
	// Type is text, email, select, big, integer, float, date, datetime, empty_date,
	// empty_datetime, phone_gsm, phone_fax or foreign_key.
	Type string
	// Default is the value of a profile created without one; of a select field its
	// options, one a line.
	Default string
	// Length is the longest text in characters; 0 when Copernica states none.
	Length int
	Index  bool
}

// CollectionSchema is what a collection, a list of subprofiles under each profile,
// looked like at one moment.
type CollectionSchema struct {
	ID     int64
	Name   string
	Fields []Field
}

// Field returns the field of exactly that name.
func (s Schema) Field(name string) (Field, bool) { return fieldNamed(s.Fields, name) }

// Collection returns the collection of exactly that name.
func (s Schema) Collection(name string) (CollectionSchema, bool) {
	for _, c := range s.Collections {
		if c.Name == name {
			return c, true
		}
	}
	return CollectionSchema{}, false
}

// Field returns the field of exactly that name.
func (c CollectionSchema) Field(name string) (Field, bool) { return fieldNamed(c.Fields, name) }

func fieldNamed(fields []Field, name string) (Field, bool) {
	i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return fields[i], true
}

type rawField struct {
	ID     phpInt
	Name   phpString
	Type   phpString
	Value  phpString
	Length phpInt
	Index  phpBool
}

func (r rawField) id() int64 { return int64(r.ID) }

func (r rawField) field() Field {
	f := Field{
		ID: int64(r.ID), Name: string(r.Name), Type: string(r.Type), Default: string(r.Value),
		Length: int(r.Length), Index: bool(r.Index),
	}
	if f.Type == "" {
		f.Type = "text"
	}
	return f
}

func fields(raws []rawField) []Field {
	fields := make([]Field, len(raws))
	for i, r := range raws {
		fields[i] = r.field()
	}
	return fields
}

type rawCollection struct {
	ID       phpInt
	Name     phpString
	Database phpInt
	Fields   page[rawField]
}

func (r rawCollection) id() int64 { return int64(r.ID) }

type rawDatabase struct {
	ID          phpInt
	Name        phpString
	Fields      page[rawField]
	Collections page[rawCollection]
}

// Database finds a database by name or id and reads its schema in full. A name of
// digits alone is an id. errors.Is(err, ErrNoDatabase) says that there is none.
func (c *Client) Database(ctx context.Context, nameOrID string) (*Database, error) {
	switch nameOrID {
	case "", ".", "..":
		return nil, settingError("no database: set SYNCD_COPERNICA_DATABASE to a name or id")
	}
	var raw rawDatabase
	asked := c.now()
	if err := c.get(ctx, "GET /database/{id}", "/database/"+url.PathEscape(nameOrID), &raw); err != nil {
		if e, ok := errors.AsType[*Error](err); ok && errors.Is(err, ErrNoDatabase) {
			e.fix = noDatabase(nameOrID)
		}
		return nil, err
	}
	d := newDatabase(c, int64(raw.ID), string(raw.Name))
	id := positive(nameOrID)
	if d.id <= 0 || id > 0 && d.id != id || id == 0 && !strings.EqualFold(d.name, nameOrID) {
		return nil, &Error{Status: 200, Route: "GET /database/{id}", Message: "(another database than asked for)", Class: fault.Configuration}
	}
	schema, err := d.complete(ctx, raw, asked)
	if err != nil {
		return nil, err
	}
	d.keepWhole(schema, d.started.Add(1))
	return d, nil
}

// noDatabase says what to do about a database that is not there.
func noDatabase(nameOrID string) string {
	fix := fmt.Sprintf("the account has no database %q: set SYNCD_COPERNICA_DATABASE to the name or id of one that it has", nameOrID)
	if positive(nameOrID) == 0 {
		fix += ", or create it with `syncd provision --create-database`"
	}
	return fix
}

// read fetches the whole schema.
func (d *Database) read(ctx context.Context) (Schema, error) {
	asked := d.client.now()
	var raw rawDatabase
	if err := d.client.get(ctx, "GET /database/{id}", d.path(""), &raw); err != nil {
		return Schema{}, err
	}
	return d.complete(ctx, raw, asked)
}

// complete turns a database object into a schema and reads what its embedded
// lists leave out: they stop at 1000 fields, and at 100 in a collection.
func (d *Database) complete(ctx context.Context, raw rawDatabase, asked time.Time) (Schema, error) {
	s := Schema{ReadAt: asked}
	var err error
	if s.Fields, err = d.client.fieldsOf(ctx, raw.Fields, "GET /database/{id}/fields", d.path("/fields")); err != nil {
		return Schema{}, err
	}
	collections, err := rest(ctx, d.client, raw.Collections, "GET /database/{id}/collections", d.path("/collections"))
	if err != nil {
		return Schema{}, err
	}
	for _, rc := range collections {
		col := CollectionSchema{ID: int64(rc.ID), Name: string(rc.Name)}
		path := "/collection/" + strconv.FormatInt(col.ID, 10) + "/fields"
		if col.Fields, err = d.client.fieldsOf(ctx, rc.Fields, "GET /collection/{id}/fields", path); err != nil {
			return Schema{}, err
		}
		s.Collections = append(s.Collections, col)
	}
	return s, nil
}

func (c *Client) fieldsOf(ctx context.Context, embedded page[rawField], route, path string) ([]Field, error) {
	raws, err := rest(ctx, c, embedded, route, path)
	return fields(raws), err
}

// rest returns an embedded list when it is whole, and else reads it by itself.
func rest[T interface{ id() int64 }](ctx context.Context, c *Client, embedded page[T], route, path string) ([]T, error) {
	if embedded.whole() {
		return *embedded.Data, nil
	}
	return list[T](ctx, c, route, path)
}

// list reads all rows of a list by offset, for lists that only an operator changes.
func list[T interface{ id() int64 }](ctx context.Context, c *Client, route, path string) ([]T, error) {
	var all []T
	seen := map[int64]bool{}
	for start := 0; ; {
		var p page[T]
		if err := c.get(ctx, route, path+"?start="+strconv.Itoa(start)+"&limit="+strconv.Itoa(maxRows), &p); err != nil {
			return nil, err
		}
		rows, err := p.rows()
		if err != nil {
			return nil, malformed(route, err.Error())
		}
		fresh := 0
		for _, r := range rows {
			if !seen[r.id()] {
				seen[r.id()] = true
				all = append(all, r)
				fresh++
			}
		}
		start += len(rows)
		switch {
		case p.Total != nil && len(all) >= int(*p.Total):
			return all, nil
		case p.Total == nil && (p.short(maxRows) || fresh == 0):
			return all, nil
		case fresh == 0:
			return nil, malformed(route, fmt.Sprintf("a list of %d rows that ends after %d", *p.Total, len(all)))
		}
	}
}

// malformed is an answer that is JSON but makes no sense.
func malformed(route, what string) *Error {
	return &Error{Status: 200, Route: route, Message: "(" + what + ")", Class: fault.Retry}
}
