package main

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
)

// refusals remembers in the state when a peer refused the configured credentials. A
// timer that starts syncd every few minutes would otherwise lock the shop's account, or
// keep on asking with a token that was revoked.
type refusals struct {
	store state.Store
	// mark is a keyed hash over the credentials and whom they are for, so that corrected
	// ones have no mark and the state does not tell a secret.
	mark string
}

var (
	_ magento.Refusals   = (*refusals)(nil)
	_ copernica.Refusals = (*refusals)(nil)
)

// newAccountRefusals is the memory of one access token of Copernica.
func newAccountRefusals(store state.Store, cfg config.Config, token string) *refusals {
	sum := store.Hasher().Sum("copernica token", cfg.Copernica.APIURL, token)
	return &refusals{store: store, mark: "copernica-token-refused:" + hex.EncodeToString(sum[:])}
}

// newRefusals is the memory of the shop's user name and password.
func newRefusals(store state.Store, cfg config.Config) *refusals {
	sum := store.Hasher().Sum("magento password", cfg.Magento.BaseURL, cfg.Magento.Username, cfg.Magento.Password.Reveal())
	return &refusals{store: store, mark: "magento-password-refused:" + hex.EncodeToString(sum[:])}
}

// LastRefused implements magento.Refusals and copernica.Refusals.
func (r *refusals) LastRefused(ctx context.Context) (time.Time, error) {
	return r.store.Mark(ctx, r.mark)
}

// NoteRefused implements magento.Refusals and copernica.Refusals.
func (r *refusals) NoteRefused(ctx context.Context, at time.Time) error {
	return r.store.SetMark(ctx, r.mark, at)
}
