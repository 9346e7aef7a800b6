package main

import (
	"context"
	"errors"
	"slices"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// liveCollection is a collection with its key field.
type liveCollection struct {
	rows *copernica.Collection
	key  copernica.KeyField
}

// collection opens the collection of an entity at the first need of it.
func (l *live) collection(e state.Entity) (liveCollection, error) {
	if c, ok := l.below[e]; ok {
		return c, nil
	}
	t := mapping.Table(e)
	rows, err := l.db.Collection(l.mapping.Collection(t))
	if err != nil {
		return liveCollection{}, err
	}
	key, err := rows.KeyField(l.mapping.KeyFieldOf(t))
	if err != nil {
		return liveCollection{}, err
	}
	l.below[e] = liveCollection{rows, key}
	return l.below[e], nil
}

// placed reads and maps an order; nil when there is nothing to map.
func (l *live) placed(ctx context.Context, id int64, both *liveSides) (*mapping.Placed, error) {
	o, err := l.shop.Order(ctx, id, l.mapping.OrderPaths())
	if there, err := both.readable(o.UpdatedAt, err); !there {
		return nil, err
	}
	if err := l.learn(ctx); err != nil {
		return nil, err
	}
	placed, problem := l.mapping.Order(&o, l.lookups)
	if problem != nil {
		both.Problem = problem.Error()
	}
	return &placed, nil
}

// order fills in both sides of an order and of its lines: those that the ledger knows,
// and those that the shop has besides.
func (l *live) order(ctx context.Context, f *finder, r *lookupRecord) error {
	r.Live = newLiveSides()
	placed, err := l.placed(ctx, r.SourceID, r.Live)
	if err != nil {
		return err
	}
	if placed == nil {
		placed = &mapping.Placed{}
	} else {
		r.Number = placed.Order.Number
		if r.Profile == nil && placed.Owner.Key != "" {
			if r.Profile, err = f.record(ctx, state.RecordRef{Entity: state.Profile, Key: placed.Owner.Key}); err != nil {
				return err
			}
		}
	}
	var row *mapping.Row
	if placed.Order.Key == r.Key {
		row = &placed.Order
	}
	owner := r.Profile.copernicaID()
	if err := l.beside(ctx, r, row, owner); err != nil {
		return err
	}
	for i := range placed.Items {
		key := placed.Items[i].Key
		if !slices.ContainsFunc(r.Items, func(line *lookupRecord) bool { return line.Key == key }) {
			line, err := f.record(ctx, state.RecordRef{Entity: state.Item, Key: key})
			if err != nil {
				return err
			}
			line.SourceID = r.SourceID
			r.Items = append(r.Items, line)
		}
	}
	for _, line := range r.Items {
		if err := l.line(ctx, line, placed, r.Live, owner); err != nil {
			return err
		}
	}
	return nil
}

// item fills in both sides of a line that was asked for by itself.
func (l *live) item(ctx context.Context, r *lookupRecord) error {
	of, placed := newLiveSides(), &mapping.Placed{}
	if r.SourceID != 0 { // without the ledger nobody says whose line it is
		read, err := l.placed(ctx, r.SourceID, of)
		if err != nil {
			return err
		}
		if read != nil {
			placed = read
		}
	}
	return l.line(ctx, r, placed, of, r.Profile.copernicaID())
}

// line fills in both sides of a line of a placed order, whose own sides and profile are
// given.
func (l *live) line(ctx context.Context, r *lookupRecord, placed *mapping.Placed, order *liveSides, owner int64) error {
	r.Live = newLiveSides()
	var row *mapping.Row
	if i := slices.IndexFunc(placed.Items, func(row mapping.Row) bool { return row.Key == r.Key }); i >= 0 {
		row = &placed.Items[i]
		r.Live.InShop, r.Live.UpdatedAt = true, order.UpdatedAt
	}
	return l.beside(ctx, r, row, owner)
}

// beside reads Copernica's side of an order or a line, the row that the ledger names if
// it is still there, and lays it beside the shop's. Rows are ours below their owner, the
// profile with that id, alone.
func (l *live) beside(ctx context.Context, r *lookupRecord, row *mapping.Row, owner int64) error {
	c, err := l.collection(r.Entity)
	if err != nil {
		return err
	}
	both := r.Live
	found, err := c.rows.FindAnywhere(ctx, c.key, r.Key)
	if err != nil {
		return err
	}
	id := r.copernicaID()
	var same []engine.Double
	for _, s := range found {
		both.Rows, both.Profiles = append(both.Rows, s.ID), append(both.Profiles, s.Profile)
		if s.ID == id || s.Profile == owner {
			same = append(same, engine.Double{ID: s.ID})
		}
	}
	both.Ours = engine.Choose(same, id)
	if id != 0 && id != both.Ours {
		if err := l.astray(ctx, c, id, both); err != nil {
			return err
		}
	}
	var read map[string]string
	if len(found) > 0 {
		read = found[max(slices.Index(both.Rows, both.Ours), 0)].Fields
	}
	l.lay(both, mapping.Table(r.Entity), row, read)
	return nil
}

// astray says what became of a row that no longer has its key.
func (l *live) astray(ctx context.Context, c liveCollection, id int64, both *liveSides) error {
	s, err := c.rows.Subprofile(ctx, id)
	switch {
	case errors.Is(err, copernica.ErrNoSubprofile), err == nil && s.Removed:
		both.Gone = id
	case err != nil:
		return err
	default:
		both.Rekeyed = id
	}
	return nil
}
