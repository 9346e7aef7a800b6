package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/magento-copernica/syncd/state"
)

const (
	selectMark = `
		SELECT at FROM syncd.marks WHERE name = $1`

	upsertMark = `
		INSERT INTO syncd.marks (name, at) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET at = excluded.at`

	deleteMark = `
		DELETE FROM syncd.marks WHERE name = $1`
)

// Mark returns when name was last noted, or the zero time.
func (s *Store) Mark(ctx context.Context, name string) (time.Time, error) {
	if state.ValidKey(name) != nil { // no other name was ever stored
		return time.Time{}, ctx.Err()
	}
	var at pgtype.Timestamptz
	err := s.read(ctx, "read a mark", func(q queryer) (err error) {
		at, _, err = one(ctx, q, pgx.RowTo[pgtype.Timestamptz], selectMark, name)
		return err
	})
	return moment(at), err
}

// SetMark notes name at a time; the zero time forgets it.
func (s *Store) SetMark(ctx context.Context, name string, at time.Time) error {
	if err := state.ValidKey(name); err != nil {
		return fmt.Errorf("the name of a mark: %w", err)
	}
	return s.write(ctx, "set a mark", func(tx pgx.Tx) error {
		if at.IsZero() {
			_, err := tx.Exec(ctx, deleteMark, name)
			return err
		}
		_, err := tx.Exec(ctx, upsertMark, name, stamp(at))
		return err
	})
}
