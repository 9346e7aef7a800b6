package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/schedule"
)

// serveCommand is the daemon: it runs each stream when its schedule says so, until it
// is asked to stop.
type serveCommand struct {
	EnvFile          string `placeholder:"PATH" help:"File of settings, in the form of systemd's EnvironmentFile. They go before those of the environment, and are read again at SIGHUP."`
	AcceptNewAddress bool   `help:"The shop has moved to another address and is the same shop."`
}

// Help is shown by `syncd serve --help`.
func (*serveCommand) Help() string {
	return "Keeps Copernica in step with the shop: runs the customers and the orders by SYNCD_SCHEDULE_CUSTOMERS and " +
		"SYNCD_SCHEDULE_ORDERS, and answers /healthz, /readyz and /metrics at SYNCD_LISTEN. " +
		"A shop, an account or a PostgreSQL server that is down is waited for, and so is another process that writes for the same shop.\n\n" +
		"SIGTERM and SIGINT end it within 10 seconds; the next start resumes. " +
		"SIGUSR1 runs every stream now. " +
		"SIGHUP reads the settings again, from --env-file and from the files that variables name: " +
		"schedules, log level, secrets, addresses, budgets and limits. " +
		"A run under way ends with the old ones. Settings that are wrong are refused as a whole, and the log says why. " +
		"SYNCD_SHOP, SYNCD_DATABASE_URL, SYNCD_ENCRYPTION_KEY, SYNCD_LISTEN and SYNCD_LOG_FORMAT take a restart."
}

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, a *app) error {
	a.newAddress = c.AcceptNewAddress
	d, err := newDaemon(ctx, a, c.EnvFile)
	if err != nil {
		return err
	}
	return d.run(ctx)
}

// serveNeeds is what the daemon takes of the configuration.
const serveNeeds = config.NeedMagento | config.NeedCopernica | config.NeedState

// scheduled returns the streams that have a schedule, in the order in which they are
// worked when they are due together.
func scheduled(cfg config.Config) ([]schedule.Stream, error) {
	var streams []schedule.Stream
	for _, name := range engine.Streams() {
		expression, variable := cfg.Schedule.Customers, "SCHEDULE_CUSTOMERS"
		if name == engine.Orders {
			expression, variable = cfg.Schedule.Orders, "SCHEDULE_ORDERS"
		}
		if expression.Off() {
			continue
		}
		due, err := schedule.ParseTicks(expression.String())
		if err != nil {
			return nil, &config.Error{Variable: config.Prefix + variable, Problem: "cannot be used: " + err.Error()}
		}
		streams = append(streams, schedule.Stream{Name: name, Due: due})
	}
	if len(streams) == 0 {
		return nil, bothOff("so that nothing would ever run: write a schedule into one of them")
	}
	return streams, nil
}

// fixed returns an error when settings differ that only a restart can change.
func fixed(old, renewed config.Config) error {
	var names []string
	for name, same := range map[string]bool{
		"SHOP":           old.Shop == renewed.Shop,
		"DATABASE_URL":   old.DatabaseURL.Equal(renewed.DatabaseURL),
		"ENCRYPTION_KEY": old.EncryptionKey.Equal(renewed.EncryptionKey),
		"LISTEN":         old.Listen == renewed.Listen,
		"LOG_FORMAT":     old.LogFormat == renewed.LogFormat,
	} {
		if !same {
			names = append(names, config.Prefix+name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return &config.Error{Variable: names[0], Problem: fmt.Sprintf("cannot change while the daemon runs: restart it (changed: %v)", names)}
}
