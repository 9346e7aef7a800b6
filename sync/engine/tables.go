package engine

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/state"
)

// table is where rows of one kind stand: the profiles of the database, or one
// collection below one profile.
type table interface {
	// upsert writes the row with a key, or creates it.
	upsert(ctx context.Context, key string, fields map[string]string) (copernica.Upserted, error)
	// update writes a row by its id; one that is gone is errGone or no error at all.
	update(ctx context.Context, id int64, fields map[string]string) error
	// read returns the live row with an id, or nil.
	read(ctx context.Context, id int64) (*standing, error)
	// keyOf returns the key that a row shows.
	keyOf(row *standing) string
	// find returns the live rows with a key, by id.
	find(ctx context.Context, key string) ([]standing, error)
}

// standing is a row as it stands in Copernica.
type standing struct {
	id     int64
	fields map[string]string

	others   []int64 // rows with the same key, which are never written to
	optedOut bool    // one that we did not write shows an opt-out, or the ledger has it of the guest whose it was
}

// goneInCopernica reports whether err says that Copernica never had a row with the id.
func goneInCopernica(err error) bool {
	return errors.Is(err, copernica.ErrNoProfile) || errors.Is(err, copernica.ErrNoSubprofile)
}

// profiles are the profiles of the database.
type profiles struct {
	db   Database
	key  copernica.KeyField
	name string // of the key field
}

func (t profiles) upsert(ctx context.Context, key string, fields map[string]string) (copernica.Upserted, error) {
	return t.db.Upsert(ctx, t.key, key, fields)
}

func (t profiles) update(ctx context.Context, id int64, fields map[string]string) error {
	return t.db.Update(ctx, id, fields)
}

func (t profiles) keyOf(row *standing) string { return row.fields[t.name] }

func (t profiles) read(ctx context.Context, id int64) (*standing, error) {
	p, err := t.db.Profile(ctx, id)
	switch {
	case errors.Is(err, copernica.ErrNoProfile):
		return nil, nil
	case err != nil:
		return nil, err
	case p.Removed:
		return nil, nil
	}
	return &standing{id: p.ID, fields: p.Fields}, nil
}

func (t profiles) find(ctx context.Context, key string) ([]standing, error) {
	found, err := t.db.Find(ctx, t.key, key)
	rows := make([]standing, len(found))
	for i, p := range found {
		rows[i] = standing{id: p.ID, fields: p.Fields}
	}
	return rows, err
}

// collection is a collection with its key field.
type collection struct {
	rows *copernica.Collection
	key  copernica.KeyField
	name string // of the key field
}

// subprofiles are the rows of a collection below one profile.
type subprofiles struct {
	collection
	profile int64
}

func (t subprofiles) upsert(ctx context.Context, key string, fields map[string]string) (copernica.Upserted, error) {
	return t.rows.Upsert(ctx, t.profile, t.key, key, fields)
}

func (t subprofiles) update(ctx context.Context, id int64, fields map[string]string) error {
	return t.rows.Update(ctx, id, fields)
}

func (t subprofiles) keyOf(row *standing) string { return row.fields[t.name] }

func (t subprofiles) read(ctx context.Context, id int64) (*standing, error) {
	s, err := t.rows.Subprofile(ctx, id)
	switch {
	case errors.Is(err, copernica.ErrNoSubprofile):
		return nil, nil
	case err != nil:
		return nil, err
	case s.Removed || s.Profile != t.profile:
		return nil, nil
	}
	return &standing{id: s.ID, fields: s.Fields}, nil
}

func (t subprofiles) find(ctx context.Context, key string) ([]standing, error) {
	found, err := t.rows.Find(ctx, t.profile, t.key, key)
	if errors.Is(err, copernica.ErrNoProfile) {
		return nil, nil
	}
	rows := make([]standing, len(found))
	for i, s := range found {
		rows[i] = standing{id: s.ID, fields: s.Fields}
	}
	return rows, err
}

// table returns where an intent's row stands. A row below a profile must have an
// owner whose id is known by then.
func (w *writer) table(it *intent) table {
	if it.entity == state.Profile {
		return profiles{w.db, w.key, w.cfg.Mapping.KeyField()}
	}
	return subprofiles{w.below[it.entity], it.owner.profileID()}
}

// look finds the intent's row by its id and key, or by its key alone; of several the
// one that [Choose] names. It returns nil when there is none. Before an opt-in all rows
// with the key are looked at, since each may show an opt-out.
func (w *writer) look(ctx context.Context, it *intent, id int64) (*standing, error) {
	w.cfg.TestHook(PointLooking)
	defer w.cfg.TestHook(PointLooked)
	ctx, cancel := w.deadline(ctx)
	defer cancel()
	t := w.table(it)
	optsIn := it.sendConsent && it.row.OptIn
	var known *standing
	var err error
	if id != 0 && !optsIn && !it.anywhere {
		if known, err = t.read(ctx, id); err != nil || known != nil && t.keyOf(known) == it.row.Key {
			return known, err
		}
	}
	var found []standing
	if it.anywhere {
		found, err = w.everywhere(ctx, it)
	} else {
		found, err = t.find(ctx, it.row.Key)
	}
	if err != nil {
		return nil, err
	}
	if id != 0 && (optsIn || it.anywhere) && !slices.ContainsFunc(found, func(row standing) bool { return row.id == id }) {
		if known, err = t.read(ctx, id); err != nil {
			return nil, err
		}
	}
	switch {
	case known == nil:
	case t.keyOf(known) == it.row.Key:
		found = append(found, *known)
	case len(found) == 0 && !strings.HasPrefix(t.keyOf(known), w.cfg.Mapping.ProfilePrefix()):
		return known, nil // somebody overwrote its key, which is written back
	}
	return w.choose(ctx, it, found, id)
}
