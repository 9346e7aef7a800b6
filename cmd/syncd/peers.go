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
	chain, err := a.magentoChain(cfg, log)
	if err != nil {
		return nil, nil, err
	}
	transport, err := httpx.New(chain)
	if err != nil {
		return nil, nil, err
	}
	settings := a.magentoSettings(cfg, log)
	settings.Transport = transport
	if store != nil {
		settings.Refusals = newRefusals(store, cfg)
	}
	client, err := magento.New(settings)
	return client, transport, err
}

// magentoChain says how calls to the shop are made.
func (a *app) magentoChain(cfg config.Config, log *slog.Logger) (httpx.Config, error) {
	roots, err := cfg.Magento.RootCAs()
	return httpx.Config{
		Peer:        "magento",
		RootCAs:     roots,
		CAHint:      config.Prefix + "MAGENTO_CA_BUNDLE",
		Concurrency: cfg.Magento.Concurrency,
		Now:         a.now,
		Log:         log,
	}, err
}

// magentoSettings are those of a client of the configured shop, without a transport.
func (a *app) magentoSettings(cfg config.Config, log *slog.Logger) magento.Config {
	return magento.Config{
		BaseURL:           cfg.Magento.BaseURL,
		AccessToken:       cfg.Magento.AccessToken.Reveal(),
		AccessTokenSecret: cfg.Magento.AccessTokenSecret.Reveal(),
		ConsumerKey:       cfg.Magento.ConsumerKey.Reveal(),
		ConsumerSecret:    cfg.Magento.ConsumerSecret.Reveal(),
		OAuthURL:          cfg.Magento.OAuthURL,
		Username:          cfg.Magento.Username,
		Password:          cfg.Magento.Password.Reveal(),
		TOTPSecret:        cfg.Magento.TOTPSecret.Reveal(),
		UserAgent:         userAgent(),
		PageSize:          cfg.Magento.PageSize,
		Concurrency:       cfg.Magento.Concurrency,
		Now:               a.now,
		Log:               log,
	}
}

// openCopernica returns a client of the configured account and the transport it
// speaks through. It makes no call. The store remembers a refused token, and has one that
// was connected; with nil nobody does, and the configured state has it.
func (a *app) openCopernica(ctx context.Context, cfg config.Config, log *slog.Logger, store state.Store) (*copernica.Client, *httpx.Transport, error) {
	token, connected, err := a.accountToken(ctx, cfg, log, store)
	if err != nil {
		return nil, nil, err
	}
	chain, err := a.copernicaChain(cfg, log)
	if err != nil {
		return nil, nil, err
	}
	transport, err := httpx.New(chain)
	if err != nil {
		return nil, nil, err
	}
	settings := a.copernicaSettings(cfg, log)
	settings.AccessToken, settings.Connected, settings.Transport = token, connected, transport
	if store != nil {
		settings.Refusals = newAccountRefusals(store, cfg, token)
	}
	client, err := copernica.New(settings)
	return client, transport, err
}

// copernicaChain says how calls to Copernica are made.
func (a *app) copernicaChain(cfg config.Config, log *slog.Logger) (httpx.Config, error) {
	roots, err := cfg.Copernica.RootCAs()
	return httpx.Config{
		Peer:        "copernica",
		RootCAs:     roots,
		CAHint:      config.Prefix + "COPERNICA_CA_BUNDLE",
		Concurrency: cfg.Copernica.Concurrency,
		Now:         a.now,
		Log:         log,
	}, err
}

// copernicaSettings are those of a client of the configured account, without a token and
// a transport.
func (a *app) copernicaSettings(cfg config.Config, log *slog.Logger) copernica.Config {
	return copernica.Config{
		Version:   cfg.Copernica.APIVersion,
		APIURL:    cfg.Copernica.APIURL,
		AuthURL:   cfg.Copernica.AuthURL,
		UserAgent: userAgent(),
		Now:       a.now,
		Log:       log,
	}
}

// userAgent names us to both peers.
func userAgent() string { return "syncd/" + versionName() }

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
		return nil, noRoom(path, refused)
	}
	if err != nil {
		return nil, err
	}
	return store, nil
}

// noRoom says that the state cannot be kept where the settings have it.
func noRoom(path string, why error) *config.Error {
	return &config.Error{
		Variable: config.Prefix + "DATABASE_URL",
		Problem:  fmt.Sprintf("leads to %s, where this user cannot keep the state (%s): give the user that directory, or name another place", path, why),
	}
}

// noStateError is a state that no run has made yet.
type noStateError struct{ where config.Error }

func (e *noStateError) Error() string { return e.where.Error() }

// Unwrap makes it a mistake in the configuration like any other.
func (e *noStateError) Unwrap() error { return &e.where }

// serverError tells what only other settings mend from a server that is down.
func serverError(cfg config.Config, err error) error {
	if errors.Is(err, postgres.ErrNoState) {
		return &noStateError{config.Error{
			Variable: config.Prefix + "DATABASE_URL",
			Problem:  "leads to " + cfg.StatePlace() + ", where there is no state: `syncd run` makes it",
		}}
	}
	if e, ok := errors.AsType[*postgres.Error](err); ok && e.Setup {
		return &config.Error{Problem: err.Error()}
	}
	return err
}
