package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// emulateCommand serves one of the peers. Standard output gets the environment that
// leads syncd there, ready for a shell.
type emulateCommand struct {
	Magento   emulateMagento   `cmd:"" help:"Serve a Magento shop full of made-up customers and orders."`
	Copernica emulateCopernica `cmd:"" help:"Serve a Copernica account: API, authentication host and consent page."`
}

type listenFlag struct {
	Listen string `default:"127.0.0.1:0" placeholder:"ADDR" help:"Host and port to listen on; port 0 takes a free one. Default ${default}."`
}

type emulateMagento struct {
	listenFlag
	Seed      uint64 `default:"1" placeholder:"N" help:"Another number makes up another shop; the same one, the same. Default ${default}."`
	Customers int    `default:"1000" placeholder:"N" help:"Customers in the shop. Default ${default}."`
	Orders    *int   `placeholder:"N" help:"Orders in the shop. Default: two for each customer."`
	Empty     bool   `help:"Begin with an empty shop, whatever --customers and --orders say."`
}

// emulateHelp is shown by the --help of both emulators.
const emulateHelp = "Prints the variables that lead syncd there, ready to paste into a shell, and serves until Ctrl-C. " +
	"Its data lives in memory."

// Help is shown by `syncd emulate magento --help`.
func (*emulateMagento) Help() string { return emulateHelp }

// Help is shown by `syncd emulate copernica --help`.
func (*emulateCopernica) Help() string { return emulateHelp }

// Validate is called by kong.
func (c *emulateMagento) Validate() error {
	switch {
	case c.Customers < 0:
		return errors.New("--customers: cannot be negative")
	case c.Orders != nil && *c.Orders < 0:
		return errors.New("--orders: cannot be negative")
	}
	return nil
}

func (c *emulateMagento) Run(ctx context.Context, a *app) error {
	shop := magentotest.New(magentotest.Config{Seed: c.Seed, Customers: c.Customers, Orders: ordersFor(c.Orders, c.Customers), Empty: c.Empty, Now: a.now})
	return a.serve(ctx, c.Listen, "a Magento shop", shop.Handler(), func(base string) []string {
		return []string{
			export("MAGENTO_BASE_URL", base),
			export("MAGENTO_ACCESS_TOKEN", magentotest.AccessToken),
			"# or, instead of the access token, the admin user:",
			"# " + export("MAGENTO_USERNAME", magentotest.Username),
			"# " + export("MAGENTO_PASSWORD", magentotest.Password),
			"# The integration's other OAuth secrets, for clients that sign their calls:",
			"# consumer key " + magentotest.ConsumerKey + ", consumer secret " + magentotest.ConsumerSecret,
			"# access token secret " + magentotest.AccessTokenSecret,
		}
	})
}

type emulateCopernica struct {
	listenFlag
	Empty bool `help:"Begin without a database. Otherwise there is one, Magento, that has no fields yet."`
}

func (c *emulateCopernica) Run(ctx context.Context, a *app) error {
	account := copernicatest.New(copernicatest.Config{Now: a.now, Empty: c.Empty})
	return a.serve(ctx, c.Listen, "a Copernica account", account.Handler(), func(base string) []string {
		return []string{
			export("COPERNICA_API_URL", base+"/v4"),
			export("COPERNICA_AUTH_URL", base),
			export("COPERNICA_ACCESS_TOKEN", copernicatest.AccessToken),
			export("COPERNICA_DATABASE", copernicatest.DatabaseName),
		}
	})
}

// export is a line that sets a variable in a shell.
func export(name, value string) string {
	return fmt.Sprintf("export %s%s=%s", config.Prefix, name, value)
}

// serve prints the environment that leads to h and serves it until ctx ends, which
// is no error.
func (a *app) serve(ctx context.Context, address, what string, h http.Handler, environment func(base string) []string) error {
	if err := checkListen(address); err != nil {
		return &usageError{err}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return &usageError{fmt.Errorf("--listen: %w", err)}
	}
	base := "http://" + reachable(listener.Addr())
	for _, line := range environment(base) {
		fmt.Fprintln(a.stdout, line)
	}
	fmt.Fprintf(a.stderr, "serving %s on %s until Ctrl-C\n", what, base)

	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	ended := context.AfterFunc(ctx, func() {
		// Nobody is owed a last answer by an emulator.
		_ = server.Close()
	})
	defer ended()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", what, err)
	}
	return nil
}

// checkListen refuses an address that lacks its host or its port.
func checkListen(address string) error {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return nil // whether it exists, listening tells
	}
	example := "127.0.0.1:8081"
	if _, err := strconv.ParseUint(address, 10, 16); err == nil {
		example = "127.0.0.1:" + address
	} else if addr, err := netip.ParseAddr(address); err == nil {
		example = netip.AddrPortFrom(addr, 8081).String()
	}
	return fmt.Errorf("--listen: %q is no host and port: write %s", address, example)
}

// reachable returns host:port for a client on this machine: a listener on all
// addresses is reached on the loopback.
func reachable(a net.Addr) string {
	addr, err := netip.ParseAddrPort(a.String())
	if err != nil || !addr.Addr().IsUnspecified() {
		return a.String()
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addr.Port()).String()
}
