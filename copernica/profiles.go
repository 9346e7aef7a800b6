package copernica

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/magento-copernica/syncd/internal/fault"
)

// Profile is a row of a database as Copernica stores it.
type Profile struct {
	ID       int64
	Database int64
	// Fields has every field of the database; all values are text.
	Fields map[string]string
	// Removed says that the profile was removed: its fields are blank, and writes
	// to it succeed without any effect (copernica-behaviours 41 and 42).
	Removed bool
	// Created and Modified are Amsterdam local times, "2006-01-02 15:04:05". They
	// prove nothing about a delivery (copernica-behaviours 46).
	Created, Modified string
}

// Upserted is the answer to an upsert.
type Upserted struct {
	Created bool
	// ID is the new profile's id. It is 0 when the answer carries none, as for every
	// profile that was there before: [Database.Find] learns it.
	ID int64
}

const (
	routeProfile  = "/profile/{id}"
	routeProfiles = "/database/{id}/profiles"
)

// Upsert writes fields to the live profile whose key equals value, and creates it
// from fields when there is none. fields must hold the key itself.
//
// All profiles with this key get the fields, should there be more than one, and
// Copernica compares without regard to case. It promises no atomicity either: two
// upserts of one key at the same time can make two profiles, so the caller writes
// one key in one lane (promise 13). What became of a failed call says [Outcome].
func (d *Database) Upsert(ctx context.Context, key KeyField, value string, fields map[string]string) (Upserted, error) {
	h, err := d.guardUpsert(ctx, key, value, fields)
	if err != nil {
		return Upserted{}, err
	}
	path := make([]byte, 0, 128)
	path = append(path, d.path("/profiles?")...)
	path = filter(path, key.name, equals, value)
	path = append(path, "&create=1"...)
	a, err := d.client.write(d.withSchema(ctx, h), http.MethodPut, "PUT "+routeProfiles, string(path), d.client.version.profileBody(fields))
	if err != nil {
		return Upserted{}, err
	}
	return d.client.upserted(a, "profile"), nil
}

// Update writes the given fields of one profile and leaves the others. It succeeds
// on a removed profile as well, without effect. No fields are no call.
// errors.Is(err, ErrNoProfile) says that there never was such a profile.
func (d *Database) Update(ctx context.Context, id int64, fields map[string]string) error {
	if id <= 0 {
		return d.refuse("", "no profile id given")
	}
	return d.update(ctx, "PUT "+routeProfile, profilePath(id), fields, fieldsBody)
}

// Remove removes a profile and its subprofiles; one already removed is success.
// completely also takes what Copernica keeps of it to show by its id ("from the backend"
// in its documents); whether that can be asked for after a removal of the other kind is
// undocumented. errors.Is(err, ErrNoProfile) says that this database has no such
// profile: there never was one, or it was removed completely.
//
// The call itself would take an id of any database, so the profile is read before it
// (promise 12): two calls, and none that removes where the first fails or shows that
// there is nothing to do. Version 1 knows no complete removal and would make the other
// one in silence: that is an error of class Configuration, and nothing is sent.
func (d *Database) Remove(ctx context.Context, id int64, completely bool) error {
	if id <= 0 {
		return d.refuse("", "no profile id given")
	}
	var body []byte
	if completely {
		if d.client.version.keepsRemoved {
			return unsent{settingError("version 1 of the API removes no profile completely: set SYNCD_COPERNICA_API_VERSION=4")}
		}
		body = flatBody(map[string]string{"completely": "Yes"})
	}
	p, err := d.Profile(ctx, id)
	if err != nil {
		return beforeWrite(err)
	}
	if p.Removed && !completely {
		return nil
	}
	return d.client.remove(ctx, "DELETE "+routeProfile, profilePath(id), body)
}

// Profile reads one profile, also a removed one. errors.Is(err, ErrNoProfile) says
// that this database never had it.
func (d *Database) Profile(ctx context.Context, id int64) (Profile, error) {
	if id <= 0 {
		return Profile{}, fmt.Errorf("copernica: profile %d: %w", id, ErrNoProfile)
	}
	const route = "GET " + routeProfile
	var raw rawRow
	if err := d.client.get(ctx, route, profilePath(id), &raw); err != nil {
		return Profile{}, err
	}
	p := raw.profile()
	switch {
	case p.ID != id:
		return Profile{}, malformed(route, "another profile than asked for")
	case p.Database != d.id:
		return Profile{}, &Error{Status: 200, Route: route, Message: "(a profile of another database)", Class: fault.Record, cause: ErrNoProfile}
	}
	return p, nil
}

// Find returns all live profiles whose key equals value exactly, ordered by id.
// Copernica's own comparison ignores case and more; what it finds beyond is left out.
// The key field is checked as for a write: a filter that Copernica ignored would
// make an existing profile look missing.
func (d *Database) Find(ctx context.Context, key KeyField, value string) ([]Profile, error) {
	rows, err := d.find(ctx, key, value, d.profiles())
	if err != nil {
		return nil, err
	}
	var found []Profile
	for _, r := range rows {
		found = append(found, r.profile())
	}
	return found, nil
}

func (d *Database) profiles() listing {
	return listing{route: "GET " + routeProfiles, path: d.path("/profiles"), rows: "profiles"}
}

func profilePath(id int64) string { return "/profile/" + strconv.FormatInt(id, 10) }

func (r rawRow) profile() Profile {
	return Profile{
		ID: int64(r.ID), Database: int64(r.Database), Fields: r.Fields, Removed: bool(r.Removed),
		Created: string(r.Created), Modified: string(r.Modified),
	}
}
