package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/magento-copernica/syncd/state"
)

const (
	selectSealed = `
		SELECT value FROM sealed WHERE name = ?`

	upsertSealed = `
		INSERT INTO sealed (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`

	deleteSealed = `
		DELETE FROM sealed WHERE name = ?`
)

// Secret returns what SetSecret kept under name, nil when there is nothing.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	var sealed []byte
	row := state.SecretRow(name)
	err := s.reader.QueryRowContext(ctx, selectSealed, row).Scan(&sealed)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, explain(ctx, "read a secret", err)
	}
	secret, err := s.box.Open(sealed, row)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", state.ErrKey, err)
	}
	return secret, nil
}

// SetSecret keeps a secret under name, sealed; an empty one forgets it.
func (s *Store) SetSecret(ctx context.Context, name string, secret []byte) error {
	if err := state.ValidKey(name); err != nil {
		return fmt.Errorf("the name of a secret: %w", err)
	}
	row := state.SecretRow(name)
	sealed, err := s.box.Seal(secret, row)
	if err != nil {
		return err
	}
	return s.write(ctx, "keep a secret", func(tx *sql.Tx) error {
		if len(secret) == 0 {
			_, err := tx.ExecContext(ctx, deleteSealed, row)
			return err
		}
		_, err := tx.ExecContext(ctx, upsertSealed, row, sealed)
		return err
	})
}
