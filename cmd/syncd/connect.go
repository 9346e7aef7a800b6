package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/state"
)

// connectCommand connects a peer whose access is given in a browser.
type connectCommand struct {
	Copernica connectCopernica `cmd:"" help:"Give access to a Copernica account in the browser; the token is kept in the state, sealed."`
}

// connectCopernica asks the account's owner for access (OAuth): it prints the address of
// Copernica's page, waits on a page of this machine for the browser to come back, and
// keeps the token that it is given for the code.
type connectCopernica struct {
	Port uint16 `placeholder:"N" help:"Port of the page on 127.0.0.1 that the browser comes back to. Default: one that is free."`
}

// Help is shown by `syncd connect copernica --help`.
func (*connectCopernica) Help() string {
	return "Needs an application that is registered in Copernica's dashboard: SYNCD_COPERNICA_CLIENT_KEY and SYNCD_COPERNICA_CLIENT_SECRET. " +
		"For a server without a browser, choose a --port and forward it: ssh -L 8765:127.0.0.1:8765 server, then syncd connect copernica --port 8765."
}

const (
	// returnPath is where the browser comes back to.
	returnPath = "/copernica"
	// tokenSecret is the name of the access token in the state.
	tokenSecret = "copernica_access_token"
)

func (c *connectCopernica) Run(ctx context.Context, a *app) error {
	cfg, log, err := a.configure(ctx, config.NeedApplication|config.NeedState)
	if err != nil {
		return err
	}
	if !cfg.Copernica.AccessToken.IsZero() {
		return &config.Error{
			Variable: config.Prefix + "COPERNICA_ACCESS_TOKEN",
			Problem:  "is set and would be used instead of the token that is connected: take it away first",
		}
	}
	if path, err := cfg.StatePath(); err == nil && path == "" {
		return &config.Error{Variable: config.Prefix + "DATABASE_URL", Problem: "keeps the state in memory, where the token would be forgotten: name a file or a server"}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", c.Port))
	if err != nil {
		return &config.Error{Problem: fmt.Sprintf("no browser can come back to this machine (%s): choose another --port", err)}
	}
	defer listener.Close() //nolint:errcheck // the server has closed it, or nobody used it
	store, err := a.openState(ctx, cfg, log)
	if err != nil {
		return err
	}
	return errors.Join(c.connect(ctx, a, cfg, log, store, listener), store.Close())
}

func (c *connectCopernica) connect(ctx context.Context, a *app, cfg config.Config, log *slog.Logger, store state.Store, listener net.Listener) error {
	chain, err := a.copernicaChain(cfg, log)
	if err != nil {
		return err
	}
	transport, err := httpx.New(chain)
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	oauth, err := copernica.NewOAuth(copernica.OAuthConfig{
		ClientKey:    cfg.Copernica.ClientKey,
		ClientSecret: cfg.Copernica.ClientSecret.Reveal(),
		RedirectURL:  "http://" + listener.Addr().String() + returnPath,
		AuthorizeURL: cfg.Copernica.AuthorizeURL,
		Version:      cfg.Copernica.APIVersion,
		APIURL:       cfg.Copernica.APIURL,
		UserAgent:    userAgent(),
		Transport:    transport,
		Now:          a.now,
		Log:          log,
	})
	if err != nil {
		return err
	}
	token, err := await(ctx, a, listener, oauth.Begin())
	if ctx.Err() != nil && token == "" {
		return fmt.Errorf("stopped, nothing was connected: %w", context.Cause(ctx))
	}
	if err != nil {
		return err
	}
	// It cannot be fetched again, so it is kept before anything else is tried.
	if err := store.SetSecret(context.WithoutCancel(ctx), tokenSecret, []byte(token)); err != nil {
		return fmt.Errorf("access was given, but the token could not be kept: %w", err)
	}
	fmt.Fprintf(a.stdout, "access was given, and the token is kept in %s, sealed\n", cfg.StatePlace())
	return c.greet(ctx, a, cfg, log, store)
}

// await prints where access is given and serves the return page until the browser came
// back to it.
func await(ctx context.Context, a *app, listener net.Listener, attempt *copernica.Attempt) (token string, err error) {
	server := &http.Server{Handler: attempt.Page(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(a.stdout, "Open this address in a browser on this machine, choose the account and give access:\n\n  %s\n\n"+
		"Waiting until %s for the browser to come back to %s.\n", attempt.URL(), a.clockTime(attempt.Ends()), listener.Addr())

	token, err = attempt.Wait(ctx)
	// The browser is owed the page that says how it went.
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if stopped := server.Shutdown(stop); stopped != nil {
		_ = server.Close()
	}
	if ended := <-served; err == nil && !errors.Is(ended, http.ErrServerClosed) {
		err = fmt.Errorf("serve the return page: %w", ended)
	}
	return token, err
}

// clockTime prints a moment of today on the machine's own clock.
func (a *app) clockTime(t time.Time) string { return t.In(a.now().Location()).Format(time.TimeOnly) }

// greet shows whose account it is, which also proves that the token works.
func (c *connectCopernica) greet(ctx context.Context, a *app, cfg config.Config, log *slog.Logger, store state.Store) error {
	client, transport, err := a.openCopernica(ctx, cfg, log, store)
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	identity, err := client.Identity(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "connected: account %s of %s; `syncd check` tries all the rest\n", identity.Name, identity.Company)
	return nil
}

// accountToken returns the access token of the account: the configured one, or the one
// that was connected, which the store keeps. A nil store means the configured state,
// if there is one.
func (a *app) accountToken(ctx context.Context, cfg config.Config, log *slog.Logger, store state.Store) (token string, connected bool, err error) {
	if !cfg.Copernica.AccessToken.IsZero() {
		return cfg.Copernica.AccessToken.Reveal(), false, nil
	}
	if store == nil {
		store, err = a.openExistingState(ctx, cfg, log)
		if is[*noStateError](err) {
			return "", false, notConnected(cfg)
		}
		if err != nil {
			return "", false, err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
	}
	secret, err := store.Secret(ctx, tokenSecret)
	if err != nil {
		return "", false, err
	}
	if secret == nil {
		return "", false, notConnected(cfg)
	}
	return string(secret), true, nil
}

func notConnected(cfg config.Config) error {
	return &config.Error{
		Variable: config.Prefix + "COPERNICA_ACCESS_TOKEN",
		Problem:  "is not set, and no account is connected in " + cfg.StatePlace() + ": run `syncd connect copernica`",
	}
}
