package copernica

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/magento-copernica/syncd/internal/fault"
)

// FieldSpec describes a field to create.
type FieldSpec struct {
	Name string
	// Type is one of Copernica's types (see [Field]). Default text.
	Type string
	// Length is the longest text in characters. 0 leaves it to Copernica.
	Length int
	// Default is the value of profiles created without one.
	Default string
	// Index makes the field fit for filters. Copernica advises at most 6 a database.
	Index bool
}

// CreateDatabase creates a database without fields. Names have letters, digits and
// underscores only. It never checks for a database of that name: call
// [Client.Database] first.
func (c *Client) CreateDatabase(ctx context.Context, name, description string) (*Database, error) {
	if !plainName(name) {
		return nil, settingError("a database name must have letters, digits and underscores only")
	}
	body, err := json.Marshal(struct {
		Name        string `json:"name"`
		Description string `json:"description,omitempty"`
	}{name, description})
	if err != nil {
		return nil, fmt.Errorf("copernica: encode database: %w", err)
	}
	a, err := c.write(ctx, http.MethodPost, "POST /databases", "/databases", body)
	if err != nil {
		return nil, err
	}
	if id := a.created("database"); id > 0 {
		return c.Database(ctx, strconv.FormatInt(id, 10))
	}
	return c.Database(ctx, name)
}

// CreateField creates a profile field and reads the schema again, since Copernica
// may say yes and do nothing (copernica-behaviours 12). A field of that name, in
// any case, is an error of class Configuration.
func (d *Database) CreateField(ctx context.Context, spec FieldSpec) error {
	for _, f := range d.Schema().Fields {
		if strings.EqualFold(f.Name, spec.Name) {
			return d.refuse(spec.Name, "the field is there already")
		}
	}
	if err := d.createField(ctx, "POST /database/{id}/fields", d.path("/fields"), spec); err != nil {
		return err
	}
	if err := d.readFields(ctx); err != nil {
		return err
	}
	f, ok := d.Schema().Field(spec.Name)
	return spec.verify("POST /database/{id}/fields", f, ok)
}

// CreateCollection creates a collection without fields and reads the schema again.
// Names have letters and underscores only.
func (d *Database) CreateCollection(ctx context.Context, name string) error {
	const route = "POST /database/{id}/collections"
	if !plainName(name) || strings.ContainsAny(name, "0123456789") {
		return d.refuse("", "a collection name must have letters and underscores only")
	}
	for _, c := range d.Schema().Collections {
		if strings.EqualFold(c.Name, name) {
			return d.refuse("", fmt.Sprintf("the collection %q is there already", c.Name))
		}
	}
	body, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		return fmt.Errorf("copernica: encode collection: %w", err)
	}
	if _, err := d.client.write(ctx, http.MethodPost, route, d.path("/collections"), body); err != nil {
		return err
	}
	s, err := d.Refresh(ctx)
	if err != nil {
		return err
	}
	if _, ok := s.Collection(name); !ok {
		return notThere(route)
	}
	return nil
}

// CreateCollectionField creates a field of a collection that the schema last seen
// has, and reads the schema again.
func (d *Database) CreateCollectionField(ctx context.Context, collection string, spec FieldSpec) error {
	const route = "POST /collection/{id}/fields"
	c, ok := d.Schema().Collection(collection)
	if !ok {
		return d.refuse("", fmt.Sprintf("there is no collection %q: create it first", collection))
	}
	for _, f := range c.Fields {
		if strings.EqualFold(f.Name, spec.Name) {
			return d.refuse(spec.Name, fmt.Sprintf("the field is there already in collection %q", collection))
		}
	}
	if err := d.createField(ctx, route, "/collection/"+strconv.FormatInt(c.ID, 10)+"/fields", spec); err != nil {
		return err
	}
	s, err := d.Refresh(ctx)
	if err != nil {
		return err
	}
	c, _ = s.Collection(collection)
	f, ok := c.Field(spec.Name)
	return spec.verify(route, f, ok)
}

func (d *Database) createField(ctx context.Context, route, path string, spec FieldSpec) error {
	if !plainName(spec.Name) || spec.Name[0] == '_' || spec.Name[0] >= '0' && spec.Name[0] <= '9' {
		return d.refuse(spec.Name, "a field name must begin with a letter, have letters, digits and underscores only, and not be id, code or modified")
	}
	body, err := json.Marshal(struct {
		Name   string `json:"name"`
		Type   string `json:"type"`
		Value  string `json:"value"`
		Length int    `json:"length,omitempty"`
		Index  bool   `json:"index"`
	}{spec.Name, spec.kind(), spec.Default, spec.Length, spec.Index})
	if err != nil {
		return fmt.Errorf("copernica: encode field: %w", err)
	}
	_, err = d.client.write(ctx, http.MethodPost, route, path, body)
	return err
}

func (s FieldSpec) kind() string {
	if s.Type == "" {
		return "text"
	}
	return s.Type
}

// verify compares a field with what was asked for. A longer field than asked for
// is good, a shorter one would cut values.
func (s FieldSpec) verify(route string, f Field, there bool) error {
	switch {
	case !there:
		return notThere(route)
	case f.Type != s.kind():
		return &Error{
			Status: 200, Route: route, Class: fault.Configuration,
			Message: fmt.Sprintf("(field %s was created with type %s instead of %s)", s.Name, mask(f.Type), s.kind()),
			fix:     "change it in Copernica",
		}
	case s.Length > 0 && f.Length > 0 && f.Length < s.Length:
		return &Error{
			Status: 200, Route: route, Class: fault.Configuration,
			Message: fmt.Sprintf("(field %s was created with length %d instead of %d)", s.Name, f.Length, s.Length),
			fix:     "change it in Copernica",
		}
	}
	return nil
}

func notThere(route string) *Error {
	return &Error{
		Status: 200, Route: route, Class: fault.Configuration,
		Message: "(success, but what was to be created is not there)",
		fix:     "check the rights of the access token in the Copernica dashboard",
	}
}
