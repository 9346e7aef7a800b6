package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/magento-copernica/syncd/state"
)

const (
	upsertSealed = `
		INSERT INTO syncd.sealed (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`

	deleteSealed = `
		DELETE FROM syncd.sealed WHERE name = $1`
)

// Secret returns what SetSecret kept under name, nil when there is nothing.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	if state.ValidKey(name) != nil { // no other name was ever stored
		return nil, ctx.Err()
	}
	row := state.SecretRow(name)
	var sealed []byte
	var found bool
	err := s.read(ctx, "read a secret", func(q queryer) (err error) {
		sealed, found, err = one(ctx, q, pgx.RowTo[[]byte], selectSealed, row)
		return err
	})
	if err != nil || !found {
		return nil, err
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
	return s.write(ctx, "keep a secret", func(tx pgx.Tx) error {
		if len(secret) == 0 {
			_, err := tx.Exec(ctx, deleteSealed, row)
			return err
		}
		_, err := tx.Exec(ctx, upsertSealed, row, sealed)
		return err
	})
}
