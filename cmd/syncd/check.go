package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/internal/tombstone"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/doctor"
)

// checkTime is how long the checks of one part may take: of the state, then of both
// peers beside each other.
const checkTime = 10 * time.Second

// checkCommand tries everything once: settings, state, shop and account. It goes on with
// whatever is configured rightly, so that one call shows all that is to be mended.
type checkCommand struct {
	JSON bool `help:"Print JSON, in the form that docs/operations.md describes."`
}

// Help is shown by `syncd check --help`.
func (*checkCommand) Help() string {
	return "Nothing is written but a mark in the state, a file beside that of the tombstones, and one where the first run will make the state, which are taken away again. A peer that hangs is waited for 10 seconds. " +
		"Ends with 0 when nothing failed; warnings fail nothing."
}

func (c *checkCommand) Run(ctx context.Context, a *app) error {
	v := &visit{app: a, log: slog.New(slog.DiscardHandler)}
	v.cfg, v.mistakes = config.Load(ctx, a.environ)
	if v.cfg.LogLevel.Level() <= slog.LevelDebug {
		v.log = a.logger(v.cfg)
	}
	report := doctor.Report{Results: v.settings()}
	own, closeStore := v.stateChecks()
	first := doctor.Run(ctx, checkTime, own...)
	v.settle()
	v.unopened = v.store == nil && !first.OK()
	peers := doctor.Run(ctx, checkTime, append(v.shopChecks(ctx), v.accountChecks(ctx)...)...)
	report.Results = append(append(report.Results, first.Results...), peers.Results...)
	err := errors.Join(context.Cause(ctx), closeStore())

	if c.JSON {
		err = errors.Join(err, a.printJSON(report))
	} else {
		printReport(a.stdout, report)
	}
	if err == nil && !report.OK() {
		err = &checkFailedError{report.Count(doctor.Failure)}
	}
	return err
}

// checkFailedError ends a check that found something wrong.
type checkFailedError struct{ failures int }

func (e *checkFailedError) Error() string {
	if e.failures == 1 {
		return "1 check failed: its line says what to do"
	}
	return fmt.Sprintf("%d checks failed: each line says what to do", e.failures)
}

// visit is one call of the command.
type visit struct {
	app      *app
	cfg      config.Config
	mistakes error // of the settings, whatever part they belong to
	log      *slog.Logger
	store    state.Store // nil until it is open, or when there is none

	opening sync.Mutex // held while a state that was opened is taken over
	settled bool       // its checks are over: one that opens now is too late

	unopened bool // there may be a state, and it could not be opened
}

// settings are results already: nothing is waited for.
func (v *visit) settings() []doctor.Result {
	const group = "settings"
	results := mistakes(group, v.mistakes)
	if results == nil {
		results = []doctor.Result{{Group: group, Name: "variables", Finding: doctor.Good("all of them are understood")}}
	}
	for _, bad := range mistakes(group, v.cfg.Check(config.NeedCopernica)) {
		if bad.Name == tombstoneVariable { // it stands with the settings, whatever needs it
			results = append(results, bad)
		}
	}
	return append(results,
		doctor.Result{Group: group, Name: "time zone", Finding: v.zone()},
		doctor.Result{Group: group, Name: "erasure", Finding: v.erasure(results)},
		doctor.Result{Group: group, Name: "freshness", Finding: doctor.Freshness(v.app.now(), v.cfg.MaxLag, v.schedules())})
}

// mistakes makes a failure of each mistake in the settings.
func mistakes(group string, err error) []doctor.Result {
	if err == nil {
		return nil
	}
	var results []doctor.Result
	for _, one := range joined(err) {
		name, text := "settings", one.Error()
		if e, ok := errors.AsType[*config.Error](one); ok && e.Variable != "" {
			name, text = e.Variable, e.Problem
		}
		results = append(results, doctor.Result{Group: group, Name: name, Finding: doctor.Wrong("", "%s", text)})
	}
	return results
}

// asChecks are results in the form of checks.
func asChecks(results []doctor.Result) []doctor.Check {
	checks := make([]doctor.Check, len(results))
	for i, r := range results {
		checks[i] = doctor.Check{Group: r.Group, Name: r.Name, Try: func(context.Context) doctor.Finding { return r.Finding }}
	}
	return checks
}

func (v *visit) zone() doctor.Finding {
	const theirs = "Europe/Amsterdam"
	own := v.cfg.TimeZone.String()
	if own != theirs {
		return doctor.Doubtful("set SYNCD_TIME_ZONE="+theirs+" unless the database is read otherwise",
			"times are written in %s, and Copernica takes them for %s", own, theirs)
	}
	return doctor.Good("times are written in %s, as Copernica takes them", own)
}

// erasure says what becomes of people who are gone from the shop, and whether it outlives
// the state who was erased.
func (v *visit) erasure(mistakes []doctor.Result) doctor.Finding {
	for _, one := range mistakes {
		switch one.Name {
		case tombstoneVariable, config.Prefix + "ERASURE", config.Prefix + "ANONYMISED", config.Prefix + "ENCRYPTION_KEY":
			return doctor.Unneeded("not tried: %s failed", one.Name)
		}
	}
	switch {
	case v.cfg.Tombstones != "":
		box, err := seal.New(v.cfg.EncryptionKey.Reveal())
		if err != nil {
			return doctor.Unneeded("not tried without SYNCD_ENCRYPTION_KEY")
		}
		if _, err := tombstone.New(tombstone.Config{Path: v.cfg.Tombstones, Pipeline: v.cfg.Shop, Box: box}); err != nil {
			return doctor.Wrong("", "%s", err)
		}
		if err := writableTombstones(v.cfg.Tombstones); err != nil {
			return doctor.Wrong(tombstoneFolder, "SYNCD_TOMBSTONE_FILE cannot be written in %s: %s", filepath.Dir(v.cfg.Tombstones), err)
		}
		return doctor.Good("%s, and %s keeps who was erased", v.cfg.Erasure, v.cfg.Tombstones)
	case v.cfg.Erasure == config.EraseRemove || v.cfg.Erasure == config.EraseBlank:
		return doctor.Doubtful("set SYNCD_TOMBSTONE_FILE to a file that is backed up apart from the state",
			"%s, and only the state knows who was erased: a new state would bring guests back whose orders the shop keeps", v.cfg.Erasure)
	default:
		return doctor.Good("flag: nothing is erased, the state says who is gone from the shop")
	}
}

// tombstoneVariable names the setting of the tombstone file.
const tombstoneVariable = config.Prefix + "TOMBSTONE_FILE"

// writableFolder tries whether a file can be made in a folder, and leaves none.
func writableFolder(path string) error {
	mark, err := os.CreateTemp(path, ".syncd-check-*")
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if err != nil {
		return err
	}
	return errors.Join(mark.Close(), os.Remove(mark.Name())) //nolint:gosec // the file that was made a line above
}

// roomFor tries whether a state that is not there yet can be made: whether the folder it
// belongs in, or the nearest that there is, can be written to.
func roomFor(cfg config.Config) error {
	path, err := cfg.StatePath()
	if _, server := cfg.StateServer(); server || err != nil || path == "" {
		return nil // a server has none, and a mistake in the settings is told elsewhere
	}
	folder := filepath.Dir(path)
	for {
		if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) || folder == filepath.Dir(folder) {
			break
		}
		folder = filepath.Dir(folder)
	}
	if err := writableFolder(folder); err != nil {
		return noRoom(path, fmt.Errorf("%s: %w", folder, err))
	}
	return nil
}

func (v *visit) schedules() []doctor.Schedule {
	return []doctor.Schedule{
		{Stream: "customers", Off: v.cfg.Schedule.Customers.Off(), Next: v.cfg.Schedule.Customers.Next},
		{Stream: "orders", Off: v.cfg.Schedule.Orders.Off(), Next: v.cfg.Schedule.Orders.Next},
	}
}

// stateChecks returns the checks of the state, and what closes it once all are made.
func (v *visit) stateChecks() ([]doctor.Check, func() error) {
	closeStore := func() error {
		if v.store == nil {
			return nil
		}
		return v.store.Close()
	}
	if err := v.cfg.Check(config.NeedState); err != nil {
		return asChecks(mistakes("state", err)), closeStore
	}
	sealed := "SYNCD_ENCRYPTION_KEY"
	if v.cfg.EncryptionKey.IsZero() {
		sealed = "the key file beside it"
	} else if slices.ContainsFunc(v.app.environ, func(pair string) bool {
		return strings.HasPrefix(pair, sealed+"_FILE=") && !strings.HasSuffix(pair, "=")
	}) {
		sealed += "_FILE"
	}
	checks := doctor.Store{
		Open: func(ctx context.Context) (state.Store, error) {
			store, err := v.openState(ctx)
			if err != nil || store == nil {
				return nil, err
			}
			return store, v.take(store)
		},
		Room:  func() error { return roomFor(v.cfg) },
		Place: v.cfg.StatePlace(), Shop: v.cfg.Shop, Sealed: sealed, Now: v.app.now,
	}
	return checks.Checks(), closeStore
}

// take keeps an opened state for the checks of the peers, unless nobody waited for it.
func (v *visit) take(store state.Store) error {
	v.opening.Lock()
	defer v.opening.Unlock()
	if v.settled {
		return errors.Join(context.DeadlineExceeded, store.Close())
	}
	v.store = store
	return nil
}

// settle ends the time in which the state may open.
func (v *visit) settle() {
	v.opening.Lock()
	defer v.opening.Unlock()
	v.settled = true
}

// openState opens the state, or returns nil where no run has made one.
func (v *visit) openState(ctx context.Context) (state.Store, error) {
	if path, err := v.cfg.StatePath(); err == nil && path == "" {
		return nil, nil //nolint:nilnil // in memory there is none between two processes
	}
	store, err := v.app.openExistingState(ctx, v.cfg, v.log)
	if is[*noStateError](err) {
		return nil, nil //nolint:nilnil // the first run makes it
	}
	return store, err
}

// once is a chain that tries a call once, and has something to say before the time of
// the checks is over.
func once(chain httpx.Config) (*httpx.Transport, error) {
	chain.Retries, chain.AttemptTimeout = -1, checkTime-time.Second
	return httpx.New(chain)
}

func (v *visit) shopChecks(ctx context.Context) []doctor.Check {
	err := v.cfg.Check(config.NeedMagento)
	if err != nil {
		return asChecks(mistakes("shop", err))
	}
	chain, err := v.app.magentoChain(v.cfg, v.log)
	if err != nil {
		return asChecks(mistakes("shop", err))
	}
	transport, err := once(chain)
	if err != nil {
		return asChecks(mistakes("shop", err))
	}
	context.AfterFunc(ctx, transport.CloseIdleConnections)
	watch := doctor.NewWatch(transport, v.app.now)
	settings := v.app.magentoSettings(v.cfg, v.log)
	settings.Transport = watch
	if v.store != nil {
		settings.Refusals = newRefusals(v.store, v.cfg)
	}
	client, err := magento.New(settings)
	if err != nil {
		return asChecks(mistakes("shop", err))
	}
	shop := doctor.Shop{
		Client: client, Watch: watch, Now: v.app.now,
		Unopened: v.unopened, PageSize: v.cfg.Magento.PageSize, Orders: !v.cfg.Schedule.Orders.Off(),
		WriteBack: v.cfg.WriteBack.On() && !v.cfg.Consent.Off() && !v.cfg.Schedule.Customers.Off(),
	}
	if v.store != nil {
		shop.Same = func(ctx context.Context) error { return shopOfState(ctx, v.store, client.Address()) }
	}
	return shop.Checks()
}

func (v *visit) accountChecks(ctx context.Context) []doctor.Check {
	bad := slices.DeleteFunc(mistakes("copernica", v.cfg.Check(config.NeedCopernica)), func(r doctor.Result) bool { return r.Name == tombstoneVariable })
	if len(bad) > 0 {
		return asChecks(bad)
	}
	token, connected, err := v.accountToken(ctx)
	if err != nil {
		return asChecks(mistakes("copernica", err))
	}
	chain, err := v.app.copernicaChain(v.cfg, v.log)
	if err != nil {
		return asChecks(mistakes("copernica", err))
	}
	transport, err := once(chain)
	if err != nil {
		return asChecks(mistakes("copernica", err))
	}
	context.AfterFunc(ctx, transport.CloseIdleConnections)
	watch := doctor.NewWatch(transport, v.app.now)
	settings := v.app.copernicaSettings(v.cfg, v.log)
	settings.AccessToken, settings.Connected = token, connected
	settings.Transport, settings.TryRefused = watch, true
	if v.store != nil {
		settings.Refusals = newAccountRefusals(v.store, v.cfg, token)
	}
	client, err := copernica.New(settings)
	if err != nil {
		return asChecks(mistakes("copernica", err))
	}
	needed, err := compileMapping(v.cfg)
	if err != nil {
		return asChecks(mistakes("copernica", err))
	}
	account := doctor.Account{
		Client: client, Watch: watch, Now: v.app.now,
		Address: v.cfg.Copernica.APIURL, Database: v.cfg.Copernica.Database,
		Mapping: needed, Orders: !v.cfg.Schedule.Orders.Off(), Target: v.target(ctx),
		Unwritten: v.unwritten(ctx),
	}
	return account.Checks()
}

// accountToken never waits for a state again that the checks before could not open.
func (v *visit) accountToken(ctx context.Context) (token string, connected bool, err error) {
	if v.store == nil && v.cfg.Copernica.AccessToken.IsZero() {
		return "", false, notConnected(v.cfg)
	}
	return v.app.accountToken(ctx, v.cfg, v.log, v.store)
}

// target is what the state belongs to; empty when that cannot be told.
func (v *visit) target(ctx context.Context) string {
	if v.store == nil {
		return ""
	}
	overview, err := v.store.Overview(ctx, v.cfg.Shop)
	if err != nil {
		return "" // the checks of the state say so
	}
	return overview.Pipeline.Target
}

// unwritten reports whether no run has got as far as Copernica. A state that does not
// tell counts as one that has none.
func (v *visit) unwritten(ctx context.Context) bool {
	if v.store == nil {
		return true
	}
	pipelines, err := v.store.Pipelines(ctx)
	return err != nil || !slices.ContainsFunc(pipelines, func(p state.Pipeline) bool { return p.Target != "" })
}
