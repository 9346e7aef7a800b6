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
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// live reads records from both peers, one at a time. It writes nothing.
type live struct {
	shop    *magento.Client
	db      *copernica.Database
	key     copernica.KeyField
	mapping *mapping.Mapping
	lookups *mapping.Lookups // read at the first record
	below   map[state.Entity]liveCollection
	close   func()
}

// openLive opens both peers. The shop and the database must be those that the state belongs
// to: the ids in the ledger mean other people in another shop, and nothing in another database.
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
	l := &live{shop: shop, mapping: compiled, below: map[state.Entity]liveCollection{}, close: func() {
		shopTransport.CloseIdleConnections()
		accountTransport.CloseIdleConnections()
	}}
	if err := shopOfState(ctx, store, shop.Address()); err != nil {
		l.close()
		return nil, err
	}
	if err := l.open(ctx, cfg, account, target); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *live) open(ctx context.Context, cfg config.Config, account *copernica.Client, target string) (err error) {
	if l.db, err = openDatabase(ctx, account, cfg.Copernica.Database, target); err != nil {
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
	ref := state.RecordRef{Entity: q.entity, Key: q.key}
	if q.by == byProfile {
		p, err := l.db.Profile(ctx, q.id)
		if err != nil && !errors.Is(err, copernica.ErrNoProfile) {
			return nil, err
		}
		ref = state.RecordRef{Entity: state.Profile, Key: p.Fields[l.mapping.KeyField()]}
	}
	if ref.Entity != state.Item && sourceOf(ref, l.mapping) == 0 {
		return nil, nil
	}
	r, err := f.asked(ctx, ref)
	return []*lookupRecord{r}, err
}

// read fills in both sides of a record, and of an order those of its lines.
func (l *live) read(ctx context.Context, f *finder, r *lookupRecord) error {
	switch r.Entity {
	case state.Order:
		return l.order(ctx, f, r)
	case state.Item:
		return l.item(ctx, r)
	}
	both := newLiveSides()
	r.Live = both
	row, err := l.person(ctx, r, both)
	if err != nil {
		return err
	}
	if c := r.Claim; c != nil && !c.Undone {
		row = nil // it is sent under another key
	}
	profile, err := l.profile(ctx, r, both)
	if err != nil {
		return err
	}
	var read map[string]string
	if profile != nil {
		read = profile.Fields
	}
	l.lay(both, mapping.Profiles, row, read)
	return nil
}

// lay lays a mapped row, nil when there is none, beside what was read back, nil
// likewise.
func (l *live) lay(both *liveSides, t mapping.Table, row *mapping.Row, read map[string]string) {
	switch {
	case row != nil:
		for _, s := range row.Sides(read) {
			f := liveField{Field: s.Field, Mapped: new(s.Mapped), Same: s.Same, Consent: s.Consent, Full: s.Full}
			if !s.Lacking {
				f.Copernica = new(s.Have)
				f.BothOut = s.Consent && l.mapping.Consent().OptedOut(s.Mapped) && l.mapping.Consent().OptedOut(s.Have)
			}
			both.Fields = append(both.Fields, f)
		}
	case read != nil:
		consent := l.mapping.Consent().Name
		for _, need := range l.mapping.NeedsOf(t) {
			f := liveField{Field: need.Name, Consent: t == mapping.Profiles && need.Name == consent}
			if value, ok := read[need.Name]; ok {
				f.Copernica = new(value)
			}
			both.Fields = append(both.Fields, f)
		}
	}
}

// person reads and maps the shop's side of a profile, which is a customer or the order
// of a guest; nil when there is nothing to map.
func (l *live) person(ctx context.Context, r *lookupRecord, both *liveSides) (*mapping.Row, error) {
	if _, customer := l.mapping.CustomerID(r.Key); customer {
		return l.customer(ctx, r.SourceID, both)
	}
	placed, err := l.placed(ctx, r.SourceID, both)
	if err != nil || placed == nil {
		return nil, err
	}
	if website, _, guest := l.mapping.GuestOf(r.Key); guest {
		l.mapping.Stay(placed, website)
	}
	if placed.Owner.Guest == nil || placed.Owner.Key != r.Key {
		both.InShop = false // the order is another's by now
		return nil, nil     //nolint:nilnil // the report says that it is gone
	}
	return placed.Owner.Guest, nil
}

// customer reads and maps a customer; nil when there is nothing to map.
func (l *live) customer(ctx context.Context, id int64, both *liveSides) (*mapping.Row, error) {
	c, err := l.shop.Customer(ctx, id, l.mapping.Paths())
	if there, err := both.readable(c.UpdatedAt, err); !there {
		return nil, err
	}
	if err := l.learn(ctx); err != nil {
		return nil, err
	}
	row, problem := l.mapping.Customer(&c, l.lookups)
	if problem != nil {
		both.Problem = problem.Error()
	}
	return &row, nil
}

// readable notes what reading a record from the shop came to, and reports whether there
// is anything to map.
func (l *liveSides) readable(updated time.Time, err error) (bool, error) {
	unreadable, ok := errors.AsType[*magento.RecordError](err)
	switch {
	case errors.Is(err, magento.ErrNotFound):
		return false, nil
	case ok:
		l.InShop, l.Problem = true, unreadable.Error()
		return false, nil
	case err != nil:
		return false, err
	}
	l.InShop, l.UpdatedAt = true, optional(updated)
	return true, nil
}

// learn reads what names stores and groups, once.
func (l *live) learn(ctx context.Context) error {
	if l.lookups != nil {
		return nil
	}
	stores, err := l.shop.Stores(ctx)
	if err != nil {
		return err
	}
	groups, err := l.shop.Groups(ctx)
	if err != nil {
		return err
	}
	l.lookups = mapping.NewLookups(stores, groups)
	return nil
}

// profile reads Copernica's side: the profile that the ledger names, if it is still
// there, and those that have the key.
func (l *live) profile(ctx context.Context, r *lookupRecord, both *liveSides) (*copernica.Profile, error) {
	found, err := l.db.Find(ctx, l.key, r.Key)
	if err != nil {
		return nil, err
	}
	var same []engine.Double
	for _, p := range found {
		both.Profiles = append(both.Profiles, p.ID)
		same = append(same, engine.Double{ID: p.ID, OptedOut: l.mapping.Consent().OptedOut(p.Fields[l.mapping.Consent().Name])})
	}
	both.Ours = engine.Choose(same, r.copernicaID())
	if id := r.copernicaID(); id != 0 && id != both.Ours {
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
	if both.Ours == 0 {
		return nil, nil //nolint:nilnil // the report says that there is none
	}
	return &found[slices.Index(both.Profiles, both.Ours)], nil
}

// copernicaID is the id that the ledger has, or 0.
func (rec *lookupRecord) copernicaID() int64 {
	if rec == nil || rec.Ledger == nil {
		return 0
	}
	return rec.Ledger.CopernicaID
}

// unknown reports whether a record was only guessed and nobody has it.
func (rec *lookupRecord) unknown() bool {
	return rec.Ledger == nil && len(rec.Letters) == 0 && rec.Live != nil && !rec.Live.InShop && len(rec.Live.Profiles) == 0 && len(rec.Items) == 0
}

// liveSides is a record as both sides have it now.
type liveSides struct {
	InShop    bool        `json:"in_shop"`
	UpdatedAt *time.Time  `json:"updated_at"` // in the shop; a line's is its order's
	Problem   string      `json:"problem"`    // why it cannot be delivered as it stands
	Profiles  []int64     `json:"profiles"`   // live ones with the key; of an order or a line those that its rows stand below
	Rows      []int64     `json:"rows"`       // of an order or a line: live rows with the key, as many as profiles
	Ours      int64       `json:"ours"`       // of those profiles or rows the one that is written to; 0: none
	Gone      int64       `json:"gone"`       // the profile or row that the ledger names, when Copernica no longer has it; 0 = not so
	Rekeyed   int64       `json:"rekeyed"`    // likewise, when it has another key now
	Fields    []liveField `json:"fields"`
}

func newLiveSides() *liveSides {
	return &liveSides{Profiles: []int64{}, Rows: []int64{}, Fields: []liveField{}}
}

type liveField struct {
	Field     string  `json:"field"`
	Mapped    *string `json:"mapped"`    // null when the shop's side is not there
	Copernica *string `json:"copernica"` // null when Copernica's is not
	Same      bool    `json:"same"`
	Consent   bool    `json:"consent"`
	BothOut   bool    `json:"both_out"` // consent: neither side mails them, in whatever words
	Full      bool    `json:"full"`     // mapped fills the field: the shop's value may go on
}
