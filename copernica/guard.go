package copernica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-resty/resty/v2"

	"github.com/magento-copernica/syncd/internal/fault"
)

// KeyField is a field that filters may name. Only [Database.KeyField] makes one,
// from a schema that Copernica gave; the zero value is refused everywhere.
type KeyField struct {
	client   *Client
	database int64
	id       int64
	name     string
}

// Name returns the name of the field.
func (k KeyField) Name() string { return k.name }

// KeyField returns the field of exactly that name from the schema last seen, for
// use in filters. It must be a text or e-mail field whose name has letters, digits
// and underscores only, so that no part of it can be read as an operator. Its
// errors are of type *GuardError.
func (d *Database) KeyField(name string) (KeyField, error) {
	f, reason := d.held.Load().key(name)
	if reason != "" {
		return KeyField{}, d.refuse(name, reason)
	}
	return KeyField{client: d.client, database: d.id, id: f.ID, name: f.Name}, nil
}

// key returns the field of that name, or why it cannot be a key.
func (h *heldSchema) key(name string) (f *Field, reason string) {
	if !plainName(name) {
		return nil, "a key field's name must have letters, digits and underscores only, and not be id, code or modified"
	}
	f, ok := h.byName[name]
	if !ok {
		for _, other := range h.Fields {
			if strings.EqualFold(other.Name, name) {
				return nil, fmt.Sprintf("the key field is spelled %q in Copernica: rename it there or correct the mapping", other.Name)
			}
		}
		return nil, "Copernica has no such key field, it was renamed or removed: rename it back, or if it was removed create it with syncd provision, then start again"
	}
	if h.folded[strings.ToLower(name)] > 1 {
		return nil, "two fields have this name in different case: remove one in Copernica"
	}
	if f.ID <= 0 {
		return nil, "Copernica gives the key field no id: report this with the version of the API"
	}
	if f.Type != "text" && f.Type != "email" {
		return nil, fmt.Sprintf("a key field must have type text or email, this one has %q: create another one", f.Type)
	}
	return f, ""
}

// guard passes a filter on key, or says why it may reach other rows than meant
// (promise 12).
func (d *Database) guard(ctx context.Context, key KeyField) (*heldSchema, *Field, error) {
	switch {
	case key == KeyField{}:
		return nil, nil, d.refuse("", "no key field given: take one from Database.KeyField")
	case key.client != d.client || key.database != d.id:
		return nil, nil, d.refuse(key.name, "the key field belongs to another database")
	}
	h, err := d.fresh(ctx)
	if err != nil {
		return nil, nil, err
	}
	f, reason := h.key(key.name)
	if reason == "" && f.ID != key.id {
		reason = "the key field was removed and created anew, its values are gone: start again to write them all"
	}
	if reason != "" {
		return nil, nil, d.refuse(key.name, reason)
	}
	return h, f, nil
}

// guardValue passes a key value that a filter finds again exactly as written.
func (d *Database) guardValue(f *Field, value string) error {
	reason := ""
	switch {
	case value == "":
		return d.refuse(f.Name, "the key value is empty: check the mapping of the key")
	case !utf8.ValidString(value):
		reason = "the key value is no valid UTF-8: correct it in the shop"
	case strings.TrimSpace(value) != value:
		reason = "the key value begins or ends with a blank, which Copernica's comparison ignores: correct it in the shop"
	case strings.ContainsFunc(value, unicode.IsControl):
		reason = "the key value holds control characters: correct it in the shop"
	case f.Length > 0 && utf8.RuneCountInString(value) > f.Length:
		reason = fmt.Sprintf("the key value is longer than the %d characters of the field and would never be found again: lengthen the field", f.Length)
	default:
		return nil
	}
	return &GuardError{Database: d.name, Field: f.Name, Reason: reason, Class: fault.Record}
}

// guardFields passes values that Copernica stores under the names given.
func (d *Database) guardFields(h *heldSchema, fields map[string]string) error {
	for name := range fields {
		if _, ok := h.byName[name]; ok {
			continue
		}
		if h.folded[strings.ToLower(name)] == 0 {
			return d.refuse(name, "Copernica has no such field and would lose its values in silence: create it with syncd provision or take it out of the mapping")
		}
		if _, twice := fields[h.spelling(name)]; twice {
			return d.refuse(name, "the mapping names this field twice in different case: correct it")
		}
	}
	if name, ok := sound(fields); !ok {
		return &GuardError{Database: d.name, Field: name, Reason: "the value is no valid UTF-8: correct it in the shop", Class: fault.Record}
	}
	return nil
}

// spelling returns the name of the field that name means to Copernica.
func (h *heldSchema) spelling(name string) string {
	for _, f := range h.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Name
		}
	}
	return ""
}

func (d *Database) refuse(field, reason string) *GuardError {
	return &GuardError{Database: d.name, Field: field, Reason: reason, Class: fault.Configuration}
}

func plainName(name string) bool {
	switch strings.ToLower(name) {
	case "", "id", "code", "modified":
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// errOutdated ends a filtered write whose schema grew too old while the call
// waited for a token, or in the transport for another attempt.
var errOutdated = errors.New("not sent, the schema read before it grew too old while the call waited")

type outdatedKey struct{}

// withSchema ties a call to the schema that its guard saw (promise 12).
func (d *Database) withSchema(ctx context.Context, h *heldSchema) context.Context {
	return context.WithValue(ctx, outdatedKey{}, func() bool { return d.client.outdated(h) })
}

// watch keeps a call that is tied to a schema from being sent again once that is
// too old: the transport asks for the body before each further attempt.
func watch(_ *resty.Client, req *http.Request) error {
	outdated, ok := req.Context().Value(outdatedKey{}).(func() bool)
	if !ok || req.GetBody == nil {
		return nil
	}
	again := req.GetBody
	req.GetBody = func() (io.ReadCloser, error) {
		if outdated() {
			return nil, errOutdated
		}
		return again()
	}
	return nil
}
