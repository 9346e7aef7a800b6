package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/magento-copernica/syncd/state"
)

const (
	selectMark = `
		SELECT at FROM marks WHERE name = ?`

	upsertMark = `
		INSERT INTO marks (name, at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at`

	deleteMark = `
		DELETE FROM marks WHERE name = ?`
)

// Mark returns when name was last noted, or the zero time.
func (s *Store) Mark(ctx context.Context, name string) (time.Time, error) {
	var at sql.NullInt64
	err := s.reader.QueryRowContext(ctx, selectMark, name).Scan(&at)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, explain(ctx, "read a mark", err)
	}
	return moment(at), nil
}

// SetMark notes name at a time; the zero time forgets it.
func (s *Store) SetMark(ctx context.Context, name string, at time.Time) error {
	if err := state.ValidKey(name); err != nil {
		return fmt.Errorf("the name of a mark: %w", err)
	}
	return s.write(ctx, "set a mark", func(tx *sql.Tx) error {
		if at.IsZero() {
			_, err := tx.ExecContext(ctx, deleteMark, name)
			return err
		}
		_, err := tx.ExecContext(ctx, upsertMark, name, stamp(at))
		return err
	})
}
