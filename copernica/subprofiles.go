package copernica

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/magento-copernica/syncd/internal/fault"
)

// Subprofile is a row of a collection as Copernica stores it.
type Subprofile struct {
	ID int64
	// Profile is the profile it stands under; no call moves it to another.
	Profile    int64
	Collection int64
	// Fields has every field of the collection; all values are text. Copernica gives
	// numbers in its own form, as 9.9 for 9.90.
	Fields map[string]string
	// Removed says that the subprofile was removed, by itself or with its profile: its
	// fields are blank, and writes to it succeed without any effect.
	Removed bool
	// Created and Modified are Amsterdam local times, "2006-01-02 15:04:05".
	Created, Modified string
}

const (
	routeSubprofile  = "/subprofile/{id}"
	routeSubprofiles = "/profile/{id}/subprofiles/{id}"
	routeCollection  = "/collection/{id}/subprofiles"
)

// Upsert writes fields to the subprofile of a profile whose key equals value, and
// creates it from fields when there is none, as [Database.Upsert] does to a profile.
// fields must hold the key itself. One key under one profile belongs in one lane.
//
// Copernica also creates subprofiles under a removed profile, where nobody sees them
// (copernica-behaviours 43): look with [Database.Live] before. errors.Is(err,
// ErrNoProfile) says that there never was such a profile.
//
// Copernica may leave out the new id, and even that it created something (behaviour
// 5): [Collection.Find] learns it. Version 1 has no upsert of subprofiles: a look and a
// write take its place, two calls or more.
func (c *Collection) Upsert(ctx context.Context, profile int64, key KeyField, value string, fields map[string]string) (Upserted, error) {
	if profile <= 0 {
		return Upserted{}, c.refuse("", "no profile id given")
	}
	h, err := c.guardUpsert(ctx, key, value, fields)
	if err != nil {
		return Upserted{}, err
	}
	if c.client.version.looksFirst {
		return c.lookAndWrite(ctx, profile, key, value, fields)
	}
	path := c.belowPath(make([]byte, 0, 128), profile)
	path = filter(append(path, '?'), key.name, equals, value)
	path = append(path, "&create=1"...)
	// This body is flat: inside "fields" the values would be lost (behaviour 39).
	a, err := c.client.write(c.withSchema(ctx, h), http.MethodPut, "PUT "+routeSubprofiles, string(path), flatBody(fields))
	if err != nil {
		return Upserted{}, c.blame(ctx, err)
	}
	return c.client.upserted(a, "subprofile"), nil
}

// lookAndWrite is an upsert of the calls that version 1 has: a look, and then a write of
// each row found, or a creation. What the look and the creation have between them is
// what the caller's lane keeps others out of.
func (c *Collection) lookAndWrite(ctx context.Context, profile int64, key KeyField, value string, fields map[string]string) (Upserted, error) {
	found, err := c.Find(ctx, profile, key, value)
	if err != nil {
		return Upserted{}, beforeWrite(err)
	}
	for _, s := range found {
		if err := c.Update(ctx, s.ID, fields); err != nil {
			return Upserted{}, err
		}
	}
	if len(found) > 0 {
		return Upserted{}, nil
	}
	const route = "POST " + routeSubprofiles
	a, err := c.client.write(ctx, http.MethodPost, route, string(c.belowPath(nil, profile)), flatBody(fields))
	if err != nil {
		return Upserted{}, c.blame(ctx, err)
	}
	id := a.created("subprofile")
	if id == 0 {
		return Upserted{}, malformed(route, "a creation without an id")
	}
	return Upserted{Created: true, ID: id}, nil
}

// Update writes the given fields of one subprofile and leaves the others. It succeeds
// on a removed subprofile as well, without effect. No fields are no call.
// errors.Is(err, ErrNoSubprofile) says that there never was such a subprofile.
func (c *Collection) Update(ctx context.Context, id int64, fields map[string]string) error {
	if id <= 0 {
		return c.refuse("", "no subprofile id given")
	}
	if c.client.version.looksFirst {
		return c.update(ctx, "PUT "+routeSubprofile+"/fields", subprofilePath(id)+"/fields", fields, flatBody)
	}
	return c.update(ctx, "PUT "+routeSubprofile, subprofilePath(id), fields, fieldsBody)
}

// Remove removes a subprofile; one already removed is success. The documents of version
// 1 have no such call: where it is refused the error says so and has class Record, since
// nothing else is refused.
func (c *Collection) Remove(ctx context.Context, id int64) error {
	if id <= 0 {
		return c.refuse("", "no subprofile id given")
	}
	err := c.client.remove(ctx, "DELETE "+routeSubprofile, subprofilePath(id), nil)
	if e, ok := errors.AsType[*Error](err); ok && c.client.version.looksFirst && e.Class == fault.Configuration {
		e.Class, e.fix = fault.Record, "version 1 of the API removes no subprofiles: set SYNCD_COPERNICA_API_VERSION=4"
	}
	return err
}

// Subprofile reads one subprofile, also a removed one. errors.Is(err,
// ErrNoSubprofile) says that this collection never had it.
func (c *Collection) Subprofile(ctx context.Context, id int64) (Subprofile, error) {
	if id <= 0 {
		return Subprofile{}, fmt.Errorf("copernica: subprofile %d: %w", id, ErrNoSubprofile)
	}
	const route = "GET " + routeSubprofile
	var raw rawRow
	if err := c.client.get(ctx, route, subprofilePath(id), &raw); err != nil {
		return Subprofile{}, err
	}
	switch {
	case int64(raw.ID) != id:
		return Subprofile{}, malformed(route, "another subprofile than asked for")
	case int64(raw.Collection) != c.id:
		return Subprofile{}, &Error{Status: 200, Route: route, Message: "(a subprofile of another collection)", Class: fault.Record, cause: ErrNoSubprofile}
	}
	return c.own(route, raw, 0)
}

// Find returns all live subprofiles of a profile whose key equals value exactly,
// ordered by id, as [Database.Find] does. errors.Is(err, ErrNoProfile) says that there
// never was such a profile.
func (c *Collection) Find(ctx context.Context, profile int64, key KeyField, value string) ([]Subprofile, error) {
	if profile <= 0 {
		return nil, c.refuse("", "no profile id given")
	}
	l := c.under(profile)
	rows, err := c.find(ctx, key, value, l)
	if err != nil {
		return nil, err
	}
	return c.all(l.route, rows, profile)
}

// FindAnywhere returns all live subprofiles of the collection whose key equals value
// exactly, whatever profile they stand under, ordered by id.
func (c *Collection) FindAnywhere(ctx context.Context, key KeyField, value string) ([]Subprofile, error) {
	l := c.everywhere()
	rows, err := c.find(ctx, key, value, l)
	if err != nil {
		return nil, err
	}
	return c.all(l.route, rows, 0)
}

// Below returns all live subprofiles of a profile, ordered by id. errors.Is(err,
// ErrNoProfile) says that there never was such a profile.
func (c *Collection) Below(ctx context.Context, profile int64) ([]Subprofile, error) {
	if profile <= 0 {
		return nil, c.refuse("", "no profile id given")
	}
	l := c.under(profile)
	var found []rawRow
	err := c.client.walk(ctx, l, func(rows []rawRow, _ bool) error {
		for _, r := range rows {
			if !bool(r.Removed) {
				found = append(found, r)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c.all(l.route, found, profile)
}

func (c *Collection) all(route string, rows []rawRow, profile int64) ([]Subprofile, error) {
	var found []Subprofile
	for _, r := range rows {
		s, err := c.own(route, r, profile)
		if err != nil {
			return nil, err
		}
		found = append(found, s)
	}
	return found, nil
}

// own turns a row into a subprofile of this collection, and of the profile if that is
// not 0.
func (c *Collection) own(route string, r rawRow, profile int64) (Subprofile, error) {
	switch {
	case int64(r.Collection) != c.id:
		return Subprofile{}, malformed(route, "a subprofile of another collection")
	case r.Profile <= 0:
		return Subprofile{}, malformed(route, "a subprofile without a profile")
	case profile != 0 && int64(r.Profile) != profile:
		return Subprofile{}, malformed(route, "a subprofile of another profile")
	}
	return Subprofile{
		ID: int64(r.ID), Profile: int64(r.Profile), Collection: int64(r.Collection), Fields: r.Fields, Removed: bool(r.Removed),
		Created: string(r.Created), Modified: string(r.Modified),
	}, nil
}

func subprofilePath(id int64) string { return "/subprofile/" + strconv.FormatInt(id, 10) }
