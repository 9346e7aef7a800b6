// Package demo is a world to watch syncd in: a Magento shop full of made-up people and
// their orders, and a Copernica account, both on loopback addresses of this process,
// with a little life in them. What syncd made of it is judged by internal/oracle.
package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/oracle"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// Config of a World.
type Config struct {
	Customers int
	Orders    int
	Seed      uint64
	Now       func() time.Time
	Start     time.Time     // newest change in the shop; zero: a day before Now
	Latency   time.Duration // of each answer from Copernica
}

// World is a shop and an account that are being served.
type World struct {
	Shop    *magentotest.Shop
	Account *copernicatest.Account

	shop, account *server
	random        *rand.Rand
	unsubscribed  map[string]bool // keys whose opt-out was made in Copernica
	newcomers     int
	guests        int
}

// Start serves a new world.
func Start(ctx context.Context, cfg Config) (*World, error) {
	w := &World{
		Shop:         magentotest.New(magentotest.Config{Seed: cfg.Seed, Customers: cfg.Customers, Orders: cfg.Orders, Now: cfg.Now, Start: cfg.Start}),
		Account:      copernicatest.New(copernicatest.Config{Now: cfg.Now, Latency: cfg.Latency}),
		random:       rand.New(rand.NewPCG(cfg.Seed, 1)), //nolint:gosec // the demo must be repeatable
		unsubscribed: map[string]bool{},
	}
	var err error
	if w.shop, err = serve(ctx, w.Shop.Handler()); err != nil {
		return nil, err
	}
	if w.account, err = serve(ctx, w.Account.Handler()); err != nil {
		return nil, errors.Join(err, w.shop.close())
	}
	return w, nil
}

// Close ends both servers.
func (w *World) Close() error { return errors.Join(w.shop.close(), w.account.close()) }

// Environ is what leads syncd to this world, in the form of os.Environ.
func (w *World) Environ() []string {
	return []string{
		"SYNCD_MAGENTO_BASE_URL=" + w.shop.url,
		"SYNCD_MAGENTO_ACCESS_TOKEN=" + magentotest.AccessToken,
		"SYNCD_COPERNICA_API_URL=" + w.account.url + "/v4",
		"SYNCD_COPERNICA_AUTH_URL=" + w.account.url,
		"SYNCD_COPERNICA_ACCESS_TOKEN=" + copernicatest.AccessToken,
		"SYNCD_COPERNICA_DATABASE=" + copernicatest.DatabaseName,
	}
}

// The collections below the profiles.
const (
	ordersCollection = "Orders"
	itemsCollection  = "Orders_Items"
)

// Compare asks the oracle what Copernica should hold and says how it differs: profiles of
// customers and guests, orders and their lines, all together.
func (w *World) Compare(shopCode string, zone *time.Location) oracle.Difference {
	const database = copernicatest.DatabaseName
	shop, opts := w.Shop.Data(), oracle.Options{Shop: shopCode, Zone: zone, Unsubscribed: w.unsubscribed}
	people, orders := oracle.Expect(shop, opts), oracle.ExpectOrders(shop, opts)
	profiles := w.Account.Profiles(database)
	sum := oracle.Compare(append(people, orders.Guests...), profiles)
	for _, rows := range []oracle.Difference{
		oracle.CompareRows(orders.Orders, oracle.KeyOrders, w.Account.Subprofiles(database, ordersCollection), profiles),
		oracle.CompareRows(orders.Items, oracle.KeyItems, w.Account.Subprofiles(database, itemsCollection), profiles),
	} {
		sum.Missing += rows.Missing
		sum.Duplicate += rows.Duplicate
		sum.Different += rows.Different
		sum.Unexpected += rows.Unexpected
		sum.Examples = append(sum.Examples, rows.Examples...)
		sum.Details = append(sum.Details, rows.Details...)
	}
	return sum
}

// server is one handler on a loopback address.
type server struct {
	url  string
	http *http.Server
	done chan error
}

func serve(ctx context.Context, h http.Handler) (*server, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve an emulator: %w", err)
	}
	s := &server{
		url:  "http://" + listener.Addr().String(),
		http: &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second},
		done: make(chan error, 1),
	}
	go func() { s.done <- s.http.Serve(listener) }()
	return s, nil
}

func (s *server) close() error {
	err := s.http.Close()
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
