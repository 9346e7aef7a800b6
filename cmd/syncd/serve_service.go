package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/internal/health"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/sync/doctor"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/schedule"
)

// service is what `syncd serve` keeps while it runs.
type service struct {
	app      *app     // a copy that watches the engine
	environ  []string // of this process
	envFile  string
	log      *slog.Logger // what the daemon says
	sparing  *slog.Logger // what the pipeline says
	level    *slog.LevelVar
	manager  *manager
	health   *health.Handler
	listener net.Listener // nil: nobody is answered
	server   *http.Server // nil likewise

	store     state.Store // once it is open
	local     *schedule.Local
	scheduler *schedule.Scheduler
	sweeps    *sweeps

	read atomic.Int64  // records of the run under way
	turn chan struct{} // holds a token while a run or a slice of a resync is under way

	mu       sync.Mutex
	cfg      config.Config
	streams  []schedule.Stream
	opened   bool              // the fields above that are set by open can be used
	pipeline *pipeline         // for the next run
	working  *pipeline         // of the run under way; nil: none
	offset   time.Duration     // of the shop's clock to ours, as seen last
	words    map[string]string // how each stream stands, for the service manager
}

const (
	// stopLimit is how long a stop waits for calls under way. It is more than the grace
	// that the engine gives them; past it the next start looks up what became of them.
	stopLimit = 9500 * time.Millisecond
	// firstRetry and lastRetry bound the pauses between attempts to open the state.
	firstRetry, lastRetry = time.Second, 30 * time.Second
)

// newDaemon reads the settings and takes the address to answer at. Its errors are
// those that only an operator can mend.
func newDaemon(ctx context.Context, a *app, envFile string) (*service, error) {
	s := &service{environ: a.environ, envFile: envFile, level: new(slog.LevelVar), words: map[string]string{}, turn: make(chan struct{}, 1)}
	cfg, streams, environ, err := s.load(ctx, a)
	if environ != nil {
		a.environ = environ // the form of the log may stand in the file
	}
	if err != nil {
		return nil, err
	}
	s.cfg, s.streams = cfg, streams
	s.level.Set(cfg.LogLevel.Level())
	all := cfg
	all.LogLevel = config.Level(slog.LevelDebug)
	s.log = slog.New(levelled{a.logger(all).Handler(), s.level})
	s.sparing = newSparing(s.log, a.now)
	s.manager = &manager{log: s.log}

	own := *a
	own.tune = func(settings *engine.Config) {
		settings.Shop = &clockedShop{settings.Shop, a.now, s.sawClock}
		if a.tune != nil {
			a.tune(settings)
		}
	}
	s.app = &own

	s.health, err = health.New(health.Config{Source: s.snapshot, Now: a.now, Log: s.log})
	if err != nil {
		return nil, err
	}
	for _, stream := range streams {
		s.health.Work.Begin(stream.Name, outcomes...)
	}
	if address, on := cfg.ListenAddress(); on {
		if s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", address); err != nil {
			return nil, &config.Error{
				Variable: config.Prefix + "LISTEN",
				Problem:  fmt.Sprintf("is %s, where this process cannot answer (%s): write an address of this machine whose port is free, or off", address, errors.Unwrap(err)),
			}
		}
	}
	return s, nil
}

// load reads and checks the settings as they are now. The environment is returned
// once it is known, whatever the error.
func (s *service) load(ctx context.Context, a *app) (config.Config, []schedule.Stream, []string, error) {
	environ, err := withFile(s.environ, s.envFile)
	if err != nil {
		return config.Config{}, nil, nil, err
	}
	asked := *a
	asked.environ = environ
	cfg, _, err := asked.configure(ctx, serveNeeds)
	if err != nil {
		return cfg, nil, environ, err
	}
	streams, err := scheduled(cfg)
	if err == nil {
		_, err = compileMapping(cfg)
	}
	return cfg, streams, environ, err
}

// run serves until ctx ends.
func (s *service) run(ctx context.Context) error {
	reload, runNow, deaf := listenForSignals()
	defer deaf()
	answering := make(chan error, 1)
	if s.listener != nil {
		s.server = s.health.Server()
		go func() { answering <- s.server.Serve(s.listener) }()
		defer s.server.Close() //nolint:errcheck // nobody is owed a last answer
	}
	if err := s.open(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop before there was anything to do
		}
		return err
	}
	s.begin()

	ctx, halt := context.WithCancel(ctx)
	defer halt()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var work sync.WaitGroup
		work.Go(func() { s.resyncs(ctx) })
		s.scheduler.Run(ctx)
		work.Wait()
	}()
	s.manager.ready("Open, the first runs begin")
	for {
		select {
		case <-ctx.Done():
			return s.stop(ended)
		case <-reload:
			s.reload(ctx)
		case <-runNow:
			s.log.Info("every stream is run now, as asked")
			s.scheduler.Trigger()
		case err := <-answering:
			halt()
			return errors.Join(fmt.Errorf("answer at %s: %w", s.listener.Addr(), err), s.stop(ended))
		}
	}
}

// open opens the state and the pipeline. A state out of reach is waited for; what
// only other settings mend is an error.
func (s *service) open(ctx context.Context) error {
	for pause, attempts := firstRetry, 0; ; pause = min(2*pause, lastRetry) {
		err := s.tryOpen(ctx)
		if err == nil {
			if attempts > 0 {
				s.log.Info("the state is open", "attempts", attempts+1)
			}
			return nil
		}
		if ctx.Err() != nil || exitCode(err) == exitConfiguration {
			return err
		}
		if attempts++; attempts == 1 {
			s.log.Error("the state cannot be opened: it is tried again until it can", "error", err)
		}
		s.manager.opening("Waiting for the state", 2*time.Minute)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (s *service) tryOpen(ctx context.Context) error {
	store, err := s.app.openState(ctx, s.cfg, s.sparing)
	if err != nil {
		return err
	}
	err = stateOfShop(ctx, store, s.cfg.Shop)
	if err == nil {
		err = s.assemble(ctx, store)
	}
	if err != nil {
		return errors.Join(err, store.Close())
	}
	return nil
}

// assemble puts the pipeline and its schedule together over an open state.
func (s *service) assemble(ctx context.Context, store state.Store) error {
	p, err := s.app.openPipeline(ctx, s.cfg, s.sparing, store, s.progress)
	if err != nil {
		return err
	}
	local, err := schedule.NewLocal(&watchedRunner{s, p})
	if err != nil {
		return err
	}
	sweeping := newSweeps(s.cfg.Shop+" "+whereabouts(s.cfg.Magento.BaseURL), s.app.now, s.log)
	sweeping.use(s.cfg, store)
	settings := schedule.Config{
		Pipeline: s.cfg.Shop, Streams: s.streams, Store: store, Dispatcher: local,
		// Shops on one machine may share the default code, but not the address.
		Seed:    s.cfg.Shop + " " + whereabouts(s.cfg.Magento.BaseURL),
		Signs:   s.signs,
		Between: s.between,
		Observe: s.observe,
		Now:     s.app.now, Log: s.log,
	}
	if interval := s.manager.watchdog(); interval > 0 {
		settings.Beat, settings.Alive = interval/3, s.manager.alive
	}
	scheduler, err := schedule.New(settings)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store, s.local, s.scheduler, s.pipeline, s.sweeps, s.opened = store, local, scheduler, p, sweeping, true
	return nil
}

// begin says what is served.
func (s *service) begin() {
	address := "off"
	if s.listener != nil {
		address = s.listener.Addr().String()
	}
	s.log.Info("serving", "shop", s.cfg.Shop, "customers", s.cfg.Schedule.Customers.String(),
		"orders", s.cfg.Schedule.Orders.String(), "listen", address)
	s.warnOfPauses(s.cfg, s.streams)
	s.warnOfConsent(s.cfg)
}

// warnOfConsent tells of settings under which nobody's opt-out goes to the shop or comes
// from its newsletter, although nothing says so by name.
func (s *service) warnOfConsent(cfg config.Config) {
	if cfg.Schedule.Customers.Off() && !cfg.Consent.Off() {
		s.log.Warn("SYNCD_SCHEDULE_CUSTOMERS is off, and with it the sweep of the newsletter and the way back of opt-outs")
	}
}

// warnOfPauses tells of a schedule that makes a stream stale by itself.
func (s *service) warnOfPauses(cfg config.Config, streams []schedule.Stream) {
	for _, stream := range streams {
		if pause := doctor.LongestPause(s.app.now(), stream.Due.Next); pause >= cfg.MaxLag {
			s.log.Warn("the schedule leaves a stream staler than SYNCD_MAX_LAG between two runs, so that /readyz turns red",
				"stream", stream.Name, "pause", pause, "max_lag", cfg.MaxLag)
		}
	}
}

// stop waits for what is under way and closes everything.
func (s *service) stop(ended <-chan struct{}) error {
	s.log.Info("stopping: waiting for calls under way, some seconds at most; another signal ends at once")
	s.manager.stopping()
	select {
	case <-ended:
	case <-time.After(stopLimit):
		return fmt.Errorf("stopped after %s with calls still under way: the next start looks up what became of them", stopLimit)
	}
	var unanswered error
	if s.server != nil {
		unanswered = s.server.Close() // before the state that its answers come from
	}
	return errors.Join(unanswered, s.pipeline.close(), s.store.Close())
}

// reload takes the settings over as they are now, or keeps the old ones and says why.
func (s *service) reload(ctx context.Context) {
	cfg, streams, _, err := s.load(ctx, s.app)
	if err == nil {
		err = fixed(s.cfg, cfg)
	}
	var p *pipeline
	if err == nil {
		p, err = s.app.openPipeline(ctx, cfg, s.sparing, s.store, s.progress)
	}
	if err != nil {
		s.log.Error("the settings were read again and are refused: the old ones stay", "error", err)
		return
	}
	s.level.Set(cfg.LogLevel.Level())
	s.mu.Lock()
	s.cfg, s.streams, s.pipeline = cfg, streams, p
	s.mu.Unlock()
	for _, stream := range streams {
		s.health.Work.Begin(stream.Name, outcomes...)
	}
	s.local.Use(&watchedRunner{s, p})
	s.sweeps.use(cfg, s.store)
	s.scheduler.Use(streams)
	s.log.Info("the settings were read again", "customers", cfg.Schedule.Customers.String(),
		"orders", cfg.Schedule.Orders.String(), "log_level", cfg.LogLevel.String())
	s.warnOfPauses(cfg, streams)
	s.warnOfConsent(cfg)
}
