package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// live reads records from both peers, one at a time. It writes nothing.
type live struct {
	shop    *magento.Client
	db      *copernica.Database
	key     copernica.KeyField
	mapping *mapping.Mapping
	lookups *mapping.Lookups // read at the first customer
	close   func()
}

// openLive opens both peers. The database must be the one that the state belongs to:
// the ids in the ledger mean nothing in another.
func (a *app) openLive(ctx context.Context, cfg config.Config, store state.Store, target string) (*live, error) {
	log := a.logger(cfg)
	compiled, err := compileMapping(cfg)
	if err != nil {
		return nil, err
	}
	shop, shopTransport, err := a.openMagento(cfg, log, store)
	if err != nil {
		return nil, err
	}
	account, accountTransport, err := a.openCopernica(ctx, cfg, log, store)
	if err != nil {
		return nil, err
	}
	l := &live{shop: shop, mapping: compiled, close: func() {
		shopTransport.CloseIdleConnections()
		accountTransport.CloseIdleConnections()
	}}
	if err := l.open(ctx, cfg, account, target); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *live) open(ctx context.Context, cfg config.Config, account *copernica.Client, target string) (err error) {
	if l.db, err = account.Database(ctx, cfg.Copernica.Database); err != nil {
		return err
	}
	if have := fmt.Sprintf("Copernica database %d", l.db.ID()); target != "" && have != target {
		return &state.TargetError{Pipeline: cfg.Shop, Have: target, Want: have}
	}
	l.key, err = l.db.KeyField(l.mapping.KeyField())
	return err
}

// guess returns the record that a question is about when the state does not know it.
func (l *live) guess(ctx context.Context, f *finder, q lookupQuery) ([]*lookupRecord, error) {
	key := q.key
	if q.by == byProfile {
		p, err := l.db.Profile(ctx, q.id)
		if err != nil && !errors.Is(err, copernica.ErrNoProfile) {
			return nil, err
		}
		key = p.Fields[l.mapping.KeyField()]
	}
	if customerOf(key, l.mapping) == 0 {
		return nil, nil
	}
	r, err := f.record(ctx, key)
	return []*lookupRecord{r}, err
}

// read fills in both sides of a record.
func (l *live) read(ctx context.Context, r *lookupRecord) error {
	both := &liveSides{Profiles: []int64{}, Fields: []liveField{}}
	r.Live = both
	row, err := l.customer(ctx, r.SourceID, both)
	if err != nil {
		return err
	}
	profile, err := l.profile(ctx, r, both)
	if err != nil {
		return err
	}
	switch {
	case row != nil:
		var read map[string]string
		if profile != nil {
			read = profile.Fields
		}
		for _, s := range row.Sides(read) {
			f := liveField{Field: s.Field, Mapped: new(s.Mapped), Same: s.Same, Consent: s.Consent}
			if !s.Lacking {
				f.Copernica = new(s.Have)
			}
			both.Fields = append(both.Fields, f)
		}
	case profile != nil:
		consent := l.mapping.Consent().Name
		for _, need := range l.mapping.Needs() {
			f := liveField{Field: need.Name, Consent: need.Name == consent}
			if value, ok := profile.Fields[need.Name]; ok {
				f.Copernica = new(value)
			}
			both.Fields = append(both.Fields, f)
		}
	}
	return nil
}

// customer reads and maps the shop's side; nil when there is nothing to map.
func (l *live) customer(ctx context.Context, id int64, both *liveSides) (*mapping.Row, error) {
	c, err := l.shop.Customer(ctx, id, l.mapping.Paths())
	unreadable, ok := errors.AsType[*magento.RecordError](err)
	switch {
	case errors.Is(err, magento.ErrNotFound):
		return nil, nil //nolint:nilnil // the report says that it is gone
	case ok:
		both.InShop, both.Problem = true, unreadable.Error()
		return nil, nil //nolint:nilnil // likewise
	case err != nil:
		return nil, err
	}
	both.InShop, both.UpdatedAt = true, optional(c.UpdatedAt)
	if l.lookups == nil {
		stores, err := l.shop.Stores(ctx)
		if err != nil {
			return nil, err
		}
		groups, err := l.shop.Groups(ctx)
		if err != nil {
			return nil, err
		}
		l.lookups = mapping.NewLookups(stores, groups)
	}
	row, problem := l.mapping.Customer(&c, l.lookups)
	if problem != nil {
		both.Problem = problem.Error()
	}
	return &row, nil
}

// profile reads Copernica's side: the profile that the ledger names, if it is still
// there, and those that have the key.
func (l *live) profile(ctx context.Context, r *lookupRecord, both *liveSides) (*copernica.Profile, error) {
	found, err := l.db.Find(ctx, l.key, r.Key)
	if err != nil {
		return nil, err
	}
	for _, p := range found {
		both.Profiles = append(both.Profiles, p.ID)
	}
	if r.Ledger != nil && r.Ledger.CopernicaID != 0 {
		id := r.Ledger.CopernicaID
		if i := slices.IndexFunc(found, func(p copernica.Profile) bool { return p.ID == id }); i >= 0 {
			return &found[i], nil
		}
		p, err := l.db.Profile(ctx, id)
		switch {
		case errors.Is(err, copernica.ErrNoProfile), err == nil && p.Removed:
			both.Gone = id
		case err != nil:
			return nil, err
		default: // it lives under another key
			both.Rekeyed = id
		}
	}
	if len(found) == 0 {
		return nil, nil //nolint:nilnil // the report says that there is none
	}
	return &found[0], nil
}

// unknown reports whether a record was only guessed and nobody has it.
func (rec *lookupRecord) unknown() bool {
	return rec.Ledger == nil && len(rec.Letters) == 0 && rec.Live != nil && !rec.Live.InShop && len(rec.Live.Profiles) == 0
}

// liveSides is a record as both sides have it now.
type liveSides struct {
	InShop    bool        `json:"in_shop"`
	UpdatedAt *time.Time  `json:"updated_at"` // in the shop
	Problem   string      `json:"problem"`    // why it cannot be delivered as it stands
	Profiles  []int64     `json:"profiles"`   // live ones with the key
	Gone      int64       `json:"gone"`       // the profile that the ledger names, when Copernica no longer has it; 0 = not so
	Rekeyed   int64       `json:"rekeyed"`    // likewise, when it has another key now
	Fields    []liveField `json:"fields"`
}

type liveField struct {
	Field     string  `json:"field"`
	Mapped    *string `json:"mapped"`    // null when the shop's side is not there
	Copernica *string `json:"copernica"` // null when Copernica's is not
	Same      bool    `json:"same"`
	Consent   bool    `json:"consent"`
}
