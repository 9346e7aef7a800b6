package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/engine"
)

// pipeline is a shop, an account and the state between them, ready to run.
type pipeline struct {
	engine        *engine.Engine
	shop, account *httpx.Transport
	address       string // the shop's
	close         func() error
}

// openPipeline puts a pipeline together from cfg. It makes no call to a peer.
// A nil store means the configured one, which the pipeline then owns.
func (a *app) openPipeline(ctx context.Context, cfg config.Config, log *slog.Logger, store state.Store, progress func(engine.Progress)) (*pipeline, error) {
	compiled, err := compileMapping(cfg)
	if err != nil {
		return nil, err
	}
	closeStore := func() error { return nil }
	if store == nil {
		if store, err = a.openState(ctx, cfg, log); err != nil {
			return nil, err
		}
		closeStore = store.Close
	}
	account, accountTransport, err := a.openCopernica(ctx, cfg, log, store)
	if err != nil {
		return nil, errors.Join(err, closeStore())
	}
	shop, shopTransport, err := a.openMagento(cfg, log, store)
	if err != nil {
		return nil, errors.Join(err, closeStore())
	}
	file, err := openTombstones(ctx, cfg, log, store)
	if err != nil {
		return nil, errors.Join(err, closeStore())
	}
	persons, err := personsOf(ctx, store)
	if err != nil {
		return nil, errors.Join(err, closeStore())
	}
	p := &pipeline{shop: shopTransport, account: accountTransport, address: shop.Address()}
	p.close = func() error {
		shopTransport.CloseIdleConnections()
		accountTransport.CloseIdleConnections()
		return closeStore()
	}
	settings := engine.Config{
		Pipeline: cfg.Shop,
		Shop:     shop,
		Open: func(ctx context.Context) (engine.Database, error) {
			known, err := store.Pipelines(ctx)
			if err != nil {
				return nil, err
			}
			target := ""
			for _, p := range known {
				if p.Name == cfg.Shop {
					target = p.Target
				}
			}
			return openDatabase(ctx, account, cfg.Copernica.Database, target)
		},
		SameShop: a.sameShop(store, shop.Address(), a.accepts(shop.Address())),
		Store:    store,
		Mapping:  compiled,
		Persons:  persons,
		Erasure:  erasureOf(cfg, file),
		Overlap:  orNone(cfg.Overlap),
		Settle:   orNone(cfg.Settle),
		Budget:   engine.Budget(cfg.RunBudget),
		Writes:   cfg.Copernica.Concurrency,
		Reads:    cfg.Magento.Concurrency,
		Holder:   holder(),
		Now:      a.now,
		Log:      log,
		Progress: progress,
		Calls: func() (int64, int64) {
			// Of the account only what is billed. The exchanges are read first: one made
			// in between is counted, rather than taken off what does not have it yet.
			exchanges := account.TokenExchanges()
			return shopTransport.Stats().Calls, accountTransport.Stats().Calls - exchanges
		},
	}
	if a.tune != nil {
		a.tune(&settings)
	}
	p.engine, err = engine.New(settings)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// orNone turns a configured zero into the engine's word for none.
func orNone[T ~int64](d T) T {
	if d == 0 {
		return -1
	}
	return d
}

// holder names this process to whoever finds the pipeline taken.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	return fmt.Sprintf("%s (process %d)", host, os.Getpid())
}
