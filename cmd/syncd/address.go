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
		own, at, err := settledAddress(ctx, store, address)
		switch {
		case err != nil:
			return err
		case at == addressSame:
			return nil
		case at == addressOther && !accept:
			return &config.Error{Variable: config.Prefix + "MAGENTO_BASE_URL", Problem: fmt.Sprintf(anotherShop, address)}
		}
		now := a.now().UTC().Truncate(time.Millisecond)
		if err := store.SetMark(ctx, own, now); err != nil {
			return err
		}
		return store.SetMark(ctx, addressMark, now)
	}
}

// accepts reports whether an operator said of an address that the shop has moved there. It
// was said of the first that was opened: a daemon that reads other settings later asks again.
func (a *app) accepts(address string) bool {
	if a.newAddress && a.accepted == "" {
		a.accepted = address
	}
	return a.newAddress && a.accepted == address
}

// shopOfState is sameShop for who settles nothing: who only looks, and who works over
// records that earlier runs left.
func shopOfState(ctx context.Context, store state.Store, address string) error {
	_, at, err := settledAddress(ctx, store, address)
	if err == nil && at == addressOther {
		return &config.Error{Variable: config.Prefix + "MAGENTO_BASE_URL", Problem: fmt.Sprintf(anotherShop, address)}
	}
	return err
}

// How an address stands to the one that a state was made with.
const (
	addressNew   = iota // none was settled yet
	addressSame         // it is that one
	addressOther        // it is another
)

// settledAddress compares an address with the one that a state was made with, and
// returns the mark that is its own.
func settledAddress(ctx context.Context, store state.Store, address string) (own string, at int, err error) {
	sum := store.Hasher().Sum("shop address", whereabouts(address))
	own = addressMark + " " + hex.EncodeToString(sum[:])
	settled, err := store.Mark(ctx, addressMark)
	if err != nil || settled.IsZero() {
		return own, addressNew, err
	}
	this, err := store.Mark(ctx, own)
	if settled.Equal(this) {
		return own, addressSame, err
	}
	return own, addressOther, err
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
