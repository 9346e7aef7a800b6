package main

import (
	"context"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/state/postgres"
)

// demoState returns the environment of the demo's state, and drop, which takes away what
// was made for it. A state made of made-up people must never meet a real one: nothing is
// written into the place that the operator's own settings name. A PostgreSQL server gives
// a database that exists for this demo alone; everything else stays in memory.
func (a *app) demoState(ctx context.Context) (environ []string, drop func() error, err error) {
	const variable = config.Prefix + "DATABASE_URL"
	given := a.getenv(variable)
	if scheme, _, _ := strings.Cut(given, ":"); scheme != "postgres" && scheme != "postgresql" {
		return []string{variable + "=:memory:"}, func() error { return nil }, nil
	}
	cfg, err := config.Load(ctx, []string{variable + "=" + given})
	if err != nil {
		return nil, nil, err
	}
	url, remove, err := postgres.Scratch(ctx, given)
	if err != nil {
		return nil, nil, serverError(cfg, err)
	}
	drop = func() error {
		// Also after Ctrl-C, which must not leave the database behind.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		return remove(ctx)
	}
	return []string{variable + "=" + url, config.Prefix + "ENCRYPTION_KEY=" + seal.NewKey()}, drop, nil
}
