package main

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
)

// refusals remembers in the state when the shop refused the configured password: a
// timer that starts syncd every few minutes would otherwise lock the account.
type refusals struct {
	store state.Store
	// mark is a keyed hash over shop, user name and password, so that corrected
	// credentials have no mark and the state does not tell a password.
	mark string
}

var _ magento.Refusals = (*refusals)(nil)

func newRefusals(store state.Store, cfg config.Config) *refusals {
	sum := store.Hasher().Sum("magento password", cfg.Magento.BaseURL, cfg.Magento.Username, cfg.Magento.Password.Reveal())
	return &refusals{store: store, mark: "magento-password-refused:" + hex.EncodeToString(sum[:])}
}

// LastRefused implements magento.Refusals.
func (r *refusals) LastRefused(ctx context.Context) (time.Time, error) {
	return r.store.Mark(ctx, r.mark)
}

// NoteRefused implements magento.Refusals.
func (r *refusals) NoteRefused(ctx context.Context, at time.Time) error {
	return r.store.SetMark(ctx, r.mark, at)
}
