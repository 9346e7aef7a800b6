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

// KeyField is a field that filters may name, of a database or of one of its
// collections. Only [Database.KeyField] and [Collection.KeyField] make one, from a
// schema that Copernica gave; it is refused elsewhere, the zero value everywhere.
type KeyField struct {
	client     *Client
	database   int64
	collection int64 // 0: a field of profiles
	id         int64
	name       string
}

// Name returns the name of the field.
func (k KeyField) Name() string { return k.name }

// KeyField returns the field of exactly that name from the schema last seen, for
// use in filters on these rows. It must be a text or e-mail field whose name has letters, digits
// and underscores only, so that no part of it can be read as an operator. Its
// errors are of type *GuardError.
func (t *table) KeyField(name string) (KeyField, error) {
	f, reason := t.held.Load().key(name)
	if reason != "" {
		return KeyField{}, t.refuse(name, reason)
	}
	database, collection := t.place()
	return KeyField{client: t.client, database: database, collection: collection, id: f.ID, name: f.Name}, nil
}

// key returns the field of that name, or why it cannot be a key.
func (h *heldFields) key(name string) (f *Field, reason string) {
	if !plainName(name) {
		return nil, "a key field's name must have letters, digits and underscores only, and not be id, code or modified"
	}
	f, ok := h.byName[name]
	if !ok {
		for _, other := range h.fields {
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
func (t *table) guard(ctx context.Context, key KeyField) (*heldFields, *Field, error) {
	database, collection := t.place()
	switch {
	case key == KeyField{}:
		return nil, nil, t.refuse("", "no key field given: take one from KeyField")
	case key.client != t.client || key.database != database || key.collection != collection:
		return nil, nil, t.refuse(key.name, "the key field belongs to another database or collection")
	}
	h, err := t.fresh(ctx)
	if err != nil {
		return nil, nil, err
	}
	f, reason := h.key(key.name)
	if reason == "" && f.ID != key.id {
		reason = "the key field was removed and created anew, its values are gone: start again to write them all"
	}
	if reason != "" {
		return nil, nil, t.refuse(key.name, reason)
	}
	return h, f, nil
}

// guardUpsert passes an upsert that can reach only rows of this key, and whose
// values are all stored.
func (t *table) guardUpsert(ctx context.Context, key KeyField, value string, fields map[string]string) (*heldFields, error) {
	h, f, err := t.guard(ctx, key)
	if err != nil {
		return nil, err
	}
	if err := t.guardValue(f, value); err != nil {
		return nil, err
	}
	if in, ok := fields[key.name]; !ok || in != value {
		return nil, t.refuse(key.name, "the values to write do not hold the key: what is created would have none")
	}
	return h, t.guardFields(h, fields)
}

// guardValue passes a key value that a filter finds again exactly as written.
func (t *table) guardValue(f *Field, value string) error {
	reason := ""
	switch {
	case value == "":
		return t.refuse(f.Name, "the key value is empty: check the mapping of the key")
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
	return t.refuseRecord(f.Name, reason)
}

// guardFields passes values that Copernica stores under the names given.
func (t *table) guardFields(h *heldFields, fields map[string]string) error {
	for name := range fields {
		if _, ok := h.byName[name]; ok {
			continue
		}
		if h.folded[strings.ToLower(name)] == 0 {
			return t.refuse(name, "Copernica has no such field and would lose its values in silence: create it with syncd provision or take it out of the mapping")
		}
		if _, twice := fields[h.spelling(name)]; twice {
			return t.refuse(name, "the mapping names this field twice in different case: correct it")
		}
	}
	if name, ok := sound(fields); !ok {
		return t.refuseRecord(name, "the value is no valid UTF-8: correct it in the shop")
	}
	return nil
}

// spelling returns the name of the field that name means to Copernica.
func (h *heldFields) spelling(name string) string {
	for _, f := range h.fields {
		if strings.EqualFold(f.Name, name) {
			return f.Name
		}
	}
	return ""
}

func (t *table) refuse(field, reason string) *GuardError {
	e := &GuardError{Database: t.name, Field: field, Reason: reason, Class: fault.Configuration}
	if t.owner != nil {
		e.Database, e.Collection = t.owner.name, t.name
	}
	return e
}

// refuseRecord is a refusal of one value, where everything else is as it should be.
func (t *table) refuseRecord(field, reason string) *GuardError {
	e := t.refuse(field, reason)
	e.Class = fault.Record
	return e
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
func (t *table) withSchema(ctx context.Context, h *heldFields) context.Context {
	return context.WithValue(ctx, outdatedKey{}, func() bool { return t.client.outdated(h) })
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
