package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/postgres"
	"github.com/magento-copernica/syncd/state/sqlite"
)

// openMagento returns a client of the configured shop and the transport it speaks
// through. It makes no call. The store remembers a refused password; nil: nobody does.
func (a *app) openMagento(cfg config.Config, log *slog.Logger, store state.Store) (*magento.Client, *httpx.Transport, error) {
	roots, err := cfg.Magento.RootCAs()
	if err != nil {
		return nil, nil, err
	}
	transport, err := httpx.New(httpx.Config{
		Peer:        "magento",
		RootCAs:     roots,
		CAHint:      config.Prefix + "MAGENTO_CA_BUNDLE",
		Concurrency: cfg.Magento.Concurrency,
		Now:         a.now,
		Log:         log,
	})
	if err != nil {
		return nil, nil, err
	}
	var remembered magento.Refusals
	if store != nil {
		remembered = newRefusals(store, cfg)
	}
	client, err := magento.New(magento.Config{
		BaseURL:     cfg.Magento.BaseURL,
		AccessToken: cfg.Magento.AccessToken.Reveal(),
		Username:    cfg.Magento.Username,
		Password:    cfg.Magento.Password.Reveal(),
		Refusals:    remembered,
		Transport:   transport,
		UserAgent:   "syncd/" + versionName(),
		PageSize:    cfg.Magento.PageSize,
		Concurrency: cfg.Magento.Concurrency,
		Now:         a.now,
		Log:         log,
	})
	return client, transport, err
}

// openCopernica returns a client of the configured account and the transport it
// speaks through. It makes no call.
func (a *app) openCopernica(cfg config.Config, log *slog.Logger) (*copernica.Client, *httpx.Transport, error) {
	transport, err := httpx.New(httpx.Config{
		Peer:        "copernica",
		Concurrency: cfg.Copernica.Concurrency,
		Now:         a.now,
		Log:         log,
	})
	if err != nil {
		return nil, nil, err
	}
	client, err := copernica.New(copernica.Config{
		APIURL:      cfg.Copernica.APIURL,
		AuthURL:     cfg.Copernica.AuthURL,
		AccessToken: cfg.Copernica.AccessToken.Reveal(),
		UserAgent:   "syncd/" + versionName(),
		Transport:   transport,
		Now:         a.now,
		Log:         log,
	})
	return client, transport, err
}

// openState opens the configured state, which is made when it does not exist.
func (a *app) openState(ctx context.Context, cfg config.Config, log *slog.Logger) (state.Store, error) {
	return a.openStore(ctx, cfg, log, false)
}

// openExistingState opens a state that earlier runs made, and makes none.
func (a *app) openExistingState(ctx context.Context, cfg config.Config, log *slog.Logger) (state.Store, error) {
	return a.openStore(ctx, cfg, log, true)
}

func (a *app) openStore(ctx context.Context, cfg config.Config, log *slog.Logger, existing bool) (state.Store, error) {
	key := cfg.EncryptionKey.Reveal()
	if key != "" {
		if _, err := seal.New(key); err != nil {
			return nil, &config.Error{
				Variable: config.Prefix + "ENCRYPTION_KEY",
				Problem:  strings.TrimPrefix(err.Error(), "the encryption key ") + " for a new state; one that exists needs the key it was made with",
			}
		}
	}
	if server, ok := cfg.StateServer(); ok {
		store, err := postgres.Open(ctx, postgres.Config{URL: server.Reveal(), EncryptionKey: key, Existing: existing, Now: a.now, Log: log})
		if err != nil {
			return nil, serverError(cfg, err)
		}
		return store, nil
	}
	path, err := cfg.StatePath()
	if err != nil {
		return nil, err
	}
	if existing {
		if err := stateExists(cfg, path); err != nil {
			return nil, err
		}
	}
	store, err := sqlite.Open(ctx, sqlite.Config{Path: path, EncryptionKey: key, Now: a.now, Log: log})
	// The errors of the key file and of the lock files say what to do about them.
	if refused, ok := errors.AsType[*fs.PathError](err); ok && !errors.Is(err, state.ErrKey) && !is[*sqlite.OwnerError](err) {
		return nil, &config.Error{
			Variable: config.Prefix + "DATABASE_URL",
			Problem:  fmt.Sprintf("leads to %s, where this user cannot keep the state (%s): give the user that directory, or name another place", path, refused),
		}
	}
	if err != nil {
		return nil, err
	}
	return store, nil
}

// serverError tells what only other settings mend from a server that is down.
func serverError(cfg config.Config, err error) error {
	if errors.Is(err, postgres.ErrNoState) {
		return &config.Error{
			Variable: config.Prefix + "DATABASE_URL",
			Problem:  "leads to " + cfg.StatePlace() + ", where there is no state: `syncd run` makes it",
		}
	}
	if e, ok := errors.AsType[*postgres.Error](err); ok && e.Setup {
		return &config.Error{Problem: err.Error()}
	}
	return err
}
