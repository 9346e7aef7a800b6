package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/sync/doctor"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// provisionCommand brings the Copernica database to what the mapping needs. It
// creates and never deletes, renames or retypes: what differs is shown and left to
// the operator. With --dry-run it writes nothing. A database that is missing beside
// others may be a misspelt one, so it is created only with --create-database; an account
// that has none gets its first.
type provisionCommand struct {
	DryRun         bool `help:"Show what would be created, and create nothing."`
	CreateDatabase bool `help:"Create the database also beside others; without it only an account that has none gets one."`
}

func (c *provisionCommand) Run(ctx context.Context, a *app) error {
	cfg, log, err := a.configure(ctx, config.NeedCopernica)
	if err != nil {
		return err
	}
	needed, err := compileMapping(cfg)
	if err != nil {
		return err
	}
	client, transport, err := a.openCopernica(ctx, cfg, log, nil)
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()

	db, created, err := c.database(ctx, client, cfg.Copernica.Database)
	if err != nil {
		return err
	}
	var schema copernica.Schema
	if db != nil {
		schema = db.Schema()
	}
	tables := plan(needed.CheckOf(schema, needed.Tables()...), schema)
	failure := c.create(ctx, db, tables)
	c.print(a, cfg.Copernica.Database, db, created, tables)
	if db != nil && !created && a.unwritten(ctx, cfg) {
		if f := doctor.OtherShops(ctx, db, needed); f.Status == doctor.Warning && f.Fix != "" {
			fmt.Fprintf(a.stdout, "\nwarning: %s: %s\n", f.Text, f.Fix)
		}
	}

	var blocked []string
	for _, t := range tables {
		blocked = append(blocked, t.blocked()...)
	}
	if blocked != nil {
		failure = errors.Join(failure, &config.Error{Problem: fmt.Sprintf("database %s differs in a way that would lose values (%s): change it in Copernica as shown, then run `syncd provision` again",
			cfg.Copernica.Database, strings.Join(blocked, ", "))})
	}
	return failure
}

// unwritten reports whether no run has written to Copernica from the configured state.
// One that does not open is told of by the commands that need it.
func (a *app) unwritten(ctx context.Context, cfg config.Config) bool {
	v := &visit{app: a, cfg: cfg, log: slog.New(slog.DiscardHandler)}
	store, err := v.openState(ctx)
	if err != nil || store == nil {
		return true
	}
	defer store.Close() //nolint:errcheck // it was only read
	v.store = store
	return v.unwritten(ctx)
}

// compileMapping returns the mapping in force.
func compileMapping(cfg config.Config) (*mapping.Mapping, error) {
	file, err := mapping.Default()
	if err != nil {
		return nil, err
	}
	file.Identity = mapping.Identity(cfg.Identity)
	return file.Compile(mapping.Options{Shop: cfg.Shop, Zone: cfg.TimeZone.Location()})
}

// database finds the database or creates it. In a dry run a missing one is nil.
func (c *provisionCommand) database(ctx context.Context, client *copernica.Client, nameOrID string) (db *copernica.Database, created bool, err error) {
	db, err = client.Database(ctx, nameOrID)
	switch {
	case !errors.Is(err, copernica.ErrNoDatabase):
		return db, false, err
	case strings.Trim(nameOrID, "0123456789") == "":
		return nil, false, err // an id cannot be created, and a name of digits could not be found again
	}
	if err := c.mayCreate(ctx, client, nameOrID); err != nil {
		return nil, false, err
	}
	if c.DryRun {
		return nil, true, nil
	}
	db, err = client.CreateDatabase(ctx, nameOrID, "Filled by syncd")
	return db, true, err
}

// mayCreate returns an error with the names that exist when the missing one may be a
// misspelt one of them.
func (c *provisionCommand) mayCreate(ctx context.Context, client *copernica.Client, name string) error {
	if c.CreateDatabase {
		return nil
	}
	existing, err := client.Databases(ctx)
	if err != nil || len(existing) == 0 {
		return err
	}
	return noDatabase(name, existing)
}
