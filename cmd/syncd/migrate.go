package main

import (
	"context"
	"fmt"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/state/postgres"
)

// migrateCommand brings the state's tables to this program's version, for whoever
// wants that done apart from a run: under another database role, or before the
// machines that run syncd get the new version.
type migrateCommand struct{}

// Help is shown by `syncd migrate --help`.
func (*migrateCommand) Help() string {
	return "A state in PostgreSQL is made in an empty database, and migrated under a lock, so that several processes may " +
		"start at once. It needs no encryption key, but a role that may make tables; all other commands then do with less. " +
		"A state in SQLite is migrated whenever it is opened, and here too."
}

func (*migrateCommand) Run(ctx context.Context, a *app) error {
	cfg, log, err := a.configure(ctx, config.NeedDatabase)
	if err != nil {
		return err
	}
	server, ok := cfg.StateServer()
	if !ok {
		store, err := a.openExistingState(ctx, cfg, log)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "%s is at this version\n", cfg.StatePlace())
		return store.Close()
	}
	from, to, err := postgres.Migrate(ctx, postgres.Config{URL: server.Reveal(), Now: a.now, Log: log})
	if err != nil {
		return serverError(cfg, err)
	}
	switch from {
	case to:
		fmt.Fprintf(a.stdout, "%s is at version %d: nothing to do\n", cfg.StatePlace(), to)
	case 0:
		fmt.Fprintf(a.stdout, "%s: tables made, version %d\n", cfg.StatePlace(), to)
	default:
		fmt.Fprintf(a.stdout, "%s: migrated from version %d to %d\n", cfg.StatePlace(), from, to)
	}
	return nil
}
