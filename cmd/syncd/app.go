package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/lmittmann/tint"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/sync/engine"
)

// app is one invocation of the command: everything it takes from, and does to, the
// world outside. Tests build their own.
type app struct {
	stdout, stderr io.Writer
	environ        []string // as os.Environ
	terminal       bool     // stderr is a terminal
	now            func() time.Time
	screen         *screen // stderr, while run works
	newAddress     bool    // --accept-new-address: the shop may be at another address than the state was made with
	accepted       string  // the one that it was said of

	// For tests; zero values change nothing.
	tune      func(*engine.Config) // changes the engine's settings
	liveEvery time.Duration        // between two events of the live demo
}

// commands are the command line. Each command lies in a file of its own and has a
// method Run(context.Context, *app) error.
type commands struct {
	Demo      demoCommand      `cmd:"" help:"Watch syncd work on a made-up shop and account."`
	Check     checkCommand     `cmd:"" help:"Try everything once: settings, state, shop and account, and say what is to be mended."`
	Run       runCommand       `cmd:"" help:"Bring Copernica up to date, once."`
	Plan      planCommand      `cmd:"" help:"Say what the next run would write, and write nothing."`
	Resync    resyncCommand    `cmd:"" help:"Send records of the past again, beside the live streams."`
	Serve     serveCommand     `cmd:"" help:"Keep Copernica up to date: the daemon."`
	Provision provisionCommand `cmd:"" help:"Create what the Copernica database lacks; nothing is deleted or retyped."`
	Connect   connectCommand   `cmd:"" help:"Connect an account whose access is given in the browser."`
	Verify    verifyCommand    `cmd:"" help:"Hold the shop and Copernica against each other now, and say what differs."`
	Status    statusCommand    `cmd:"" help:"Show how far each stream has come and what could not be delivered."`
	Dead      deadCommand      `cmd:"" help:"List, show, replay and close dead letters: what could not be delivered."`
	Claims    claimsCommand    `cmd:"" help:"List which guests are which customers, and undo that."`
	Erased    erasedCommand    `cmd:"" help:"List who was deleted or anonymised in the shop, and what was done about it."`
	Lookup    lookupCommand    `cmd:"" help:"Say where one record is: in the shop, on its way, in Copernica."`
	Migrate   migrateCommand   `cmd:"" help:"Bring the tables of the state to this version; every command does it by itself where it may."`
	Emulate   emulateCommand   `cmd:"" help:"Serve an imitation of Magento or Copernica, to try things out on."`
	Version   versionCommand   `cmd:"" help:"Print the version."`
	Help      helpCommand      `cmd:"" help:"Show the help of a command, as --help does."`
}

// run executes a command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	a.screen = &screen{out: a.stderr}
	a.stderr = a.screen
	ended := false // by --help, after which kong goes on parsing
	parser, err := kong.New(&commands{},
		kong.Name("syncd"),
		kong.Description("syncd keeps Copernica in step with Magento 2 shops.\n\n"+
			"Settings come from the environment: see docs/configuration.md."),
		kong.Writers(a.stdout, a.stderr),
		kong.KindMapper(reflect.Int64, kong.MapperFunc(decimal)),
		kong.Exit(func(int) { ended = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(a),
	)
	if err != nil {
		return a.fail(err)
	}
	line, err := parser.Parse(args)
	switch {
	case ended:
		return exitDone
	case err != nil:
		return a.fail(&usageError{err})
	}
	return a.fail(line.Run())
}

// fail prints an error, one line for each of a join or one of JSON, and returns its
// exit code.
func (a *app) fail(err error) int {
	code := exitCode(err)
	if err == nil {
		return code
	}
	err = withoutEchoes(err)
	if a.jsonLog() {
		slog.New(slog.NewJSONHandler(a.stderr, nil)).Error("the command failed", "error", err.Error(), "exit_code", code)
		return code
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(a.stderr, "syncd: %s\n", strings.TrimRight(line, "\n"))
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		fmt.Fprintln(a.stderr, "syncd: run `syncd --help` for the commands and their flags")
	}
	return code
}

// configure reads the configuration, checks the parts a command needs and returns it
// with the logger it asks for.
func (a *app) configure(ctx context.Context, need config.Need) (config.Config, *slog.Logger, error) {
	cfg, err := config.Load(ctx, a.environ)
	if err == nil {
		err = cfg.Check(need)
	}
	return cfg, a.logger(cfg), err
}

// logger writes to standard error in the form that cfg asks for.
func (a *app) logger(cfg config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	switch {
	case cfg.LogFormat == config.FormatJSON:
		return slog.New(slog.NewJSONHandler(a.stderr, options))
	case cfg.LogFormat == config.FormatAuto && a.terminal:
		return slog.New(tint.NewTextHandler(a.stderr, &tint.Options{
			Level:      cfg.LogLevel,
			TimeFormat: time.TimeOnly,
			NoColor:    a.getenv("NO_COLOR") != "", // no-color.org
		}))
	default:
		return slog.New(slog.NewTextHandler(a.stderr, options))
	}
}

// jsonLog reports whether whoever reads standard error expects JSON in every line.
// It asks the environment itself, which may be what a command fails on.
func (a *app) jsonLog() bool {
	return strings.EqualFold(a.getenv(config.Prefix+"LOG_FORMAT"), string(config.FormatJSON))
}

// getenv returns a variable as it stands; the last one given wins.
func (a *app) getenv(name string) string {
	for _, pair := range slices.Backward(a.environ) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}
