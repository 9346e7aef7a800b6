package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/state"
)

// addressMark is the mark that says when a shop's address was last settled; the one
// of the address itself bears the same time. The address is kept as a keyed hash.
const addressMark = "shop address"

// anotherShop says that a state was made with a shop at another address.
const anotherShop = "leads to %s, and the state was made with a shop elsewhere: give each shop a state of its own (SYNCD_DATABASE_URL); " +
	"if the same shop has only moved, say so once with `syncd run --accept-new-address`"

// sameShop returns a check that the state and the shop at address belong together.
// Ids of one shop mean other people in another, so a state that was made elsewhere is
// refused as soon as the shop has answered; accept says that the shop has moved.
func (a *app) sameShop(store state.Store, address string, accept bool) func(context.Context) error {
	return func(ctx context.Context) error {
		sum := store.Hasher().Sum("shop address", whereabouts(address))
		own := addressMark + " " + hex.EncodeToString(sum[:])
		settled, err := store.Mark(ctx, addressMark)
		if err != nil {
			return err
		}
		this, err := store.Mark(ctx, own)
		switch {
		case err != nil:
			return err
		case !settled.IsZero() && settled.Equal(this):
			return nil
		case !settled.IsZero() && !accept:
			return &config.Error{Variable: config.Prefix + "MAGENTO_BASE_URL", Problem: fmt.Sprintf(anotherShop, address)}
		}
		now := a.now().UTC().Truncate(time.Millisecond)
		if err := store.SetMark(ctx, own, now); err != nil {
			return err
		}
		return store.SetMark(ctx, addressMark, now)
	}
}

// whereabouts are what counts of an address. All of a machine's own addresses are one place:
// tunnels and emulators change their ports.
func whereabouts(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return "this machine"
	}
	return u.Host + u.Path
}
