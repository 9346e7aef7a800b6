// Package config turns the environment into a [Config]: every setting of syncd is
// a variable whose name starts with SYNCD_, and docs/configuration.md lists them
// all. There is no configuration file and there are no flags for settings, so a
// systemd unit, a container and a shell are configured alike.
//
// # Secrets
//
// A variable that holds a secret can also be given as NAME_FILE, the path of a
// file with the value; that is how systemd credentials and container secrets
// arrive. Secrets have the type [Secret], which never prints its value.
//
// # Mistakes
//
// [Load] reports everything it can find wrong at once, as a join of *[Error], each
// of which names a variable and says what to do. A name that starts with SYNCD_ and
// means nothing is a mistake too, since a setting that is silently ignored is
// worse than one that is refused; SYNCD_TEST_ names are left to the tests. A
// variable that is set to the empty string counts as not set.
//
// What a command needs beyond valid values is asked with [Config.Check]: `syncd
// status` must work without a shop's credentials.
package config

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"time"

	"github.com/sethvargo/go-envconfig"
)

//go:generate go test -run ^TestGenerated -count=1 . -update

// Prefix starts the name of every variable.
const Prefix = "SYNCD_"

// copernicaAPI is where every version of Copernica's REST API lies (its
// documentation, "REST API").
const copernicaAPI = "https://api.copernica.com"

// Config is everything that can be set. The tags are the source of
// docs/configuration.md and .env.example: `env` has the name without its prefix and
// the default, `desc` the meaning, `example` a value to show where there is no default.
type Config struct {
	Shop          string        `env:"SHOP, default=shop" desc:"Code of the shop, 1 to 12 of a-z and 0-9. It starts every key in Copernica and is fixed in the state at the first run."`
	DatabaseURL   Secret        `env:"DATABASE_URL" show:"SQLite in $STATE_DIRECTORY, else in the user's state folder" example:"sqlite:///var/lib/syncd/syncd.db" desc:"Where the state is kept: 'sqlite:///absolute/path', 'sqlite:relative/path', ':memory:' (forgotten at exit) or 'postgres://user:password@host:5432/database'."`
	EncryptionKey Secret        `env:"ENCRYPTION_KEY" show:"a key file beside a new SQLite database" desc:"Key that seals the secrets in the state. Without it a key file is made together with a new SQLite database, never later; a state in PostgreSQL needs it."`
	LogLevel      Level         `env:"LOG_LEVEL, default=info" desc:"Least important level that is logged: debug, info, warn or error."`
	LogFormat     Format        `env:"LOG_FORMAT, default=auto" desc:"Form of the log on standard error: text, json, or auto (coloured on a terminal, text elsewhere)."`
	Magento       Magento       `env:", prefix=MAGENTO_"`
	Copernica     Copernica     `env:", prefix=COPERNICA_"`
	Schedule      Schedules     `env:", prefix=SCHEDULE_"`
	Listen        string        `env:"LISTEN, default=127.0.0.1:8080" desc:"Address where 'syncd serve' answers /healthz, /readyz and /metrics: host:port, :port for all interfaces, or off. Nobody is asked for a password there."`
	MaxLag        time.Duration `env:"MAX_LAG, default=30m" desc:"How stale a stream may become, by the shop's clock, before /readyz turns red. 1m to 720h; more than the longest pause of the schedules."`
	Overlap       time.Duration `env:"OVERLAP, default=5m" desc:"How far behind the last horizon a pass starts, to find changes that the shop committed late. 0s to 24h."`
	Settle        time.Duration `env:"SETTLE, default=10s" desc:"How far behind the shop's clock a pass ends, so that changes still being made are left to the next one. 0s to 10m."`
	RunBudget     Budget        `env:"RUN_BUDGET" show:"no limit" example:"5000,15m" desc:"What one run may spend: a number of records, a time, or both with a comma between, such as '5000', '15m' or '5000,15m'. A run that has spent it ends cleanly and the next one resumes."`
	Reconcile     Period        `env:"RECONCILE_PERIOD, default=24h" desc:"How often 'syncd serve' looks through everything once, spread evenly: all records of the shop for what moves no time of change, and all rows in Copernica for what was changed there by hand. 1h to 720h, or off."`
	Consent       Period        `env:"CONSENT_PERIOD, default=15m" desc:"How often 'syncd serve' looks through the newsletter state of all customers, and takes unsubscribes made in Copernica back to the shop. 5m to 24h, or off. In a large shop a round takes longer: it gets a tenth of the time at most, and 'syncd status' shows the true period."`
	WriteBack     Switch        `env:"WRITE_BACK, default=on" desc:"Whether who unsubscribes in Copernica is unsubscribed in the shop: on or off. Needs the permission Magento_Customer::manage."`
	Repair        Repair        `env:"REPAIR, default=repair" desc:"What 'syncd serve' does with rows in Copernica that were removed or edited by hand: repair sends them again, report counts them and leaves them."`
	Identity      Identity      `env:"IDENTITY, default=account" desc:"Who is one person: account gives each account of the shop a profile, email gives each confirmed e-mail one, on whichever websites it has accounts. The first run fixes it for its state. docs/mapping.md says what follows."`
	Erasure       Erasure       `env:"ERASURE, default=flag" desc:"What becomes of people who were deleted or anonymised in the shop: flag erases nothing, the state says that they are gone; remove removes their profiles from Copernica with all that stands below; blank empties what the mapping fills. docs/operations.md says what each does and does not do."`
	Anonymised    Patterns      `env:"ANONYMISED" example:"*@anonymous.invalid,deleted-*@example.com" desc:"E-mails that the shop gives to people whom it anonymises, with commas between: '*' stands for any characters and '?' for one. Who has such an e-mail is treated as deleted."`
	Tombstones    string        `env:"TOMBSTONE_FILE" example:"/var/lib/syncd-tombstones/tombstones" desc:"File in which it is kept outside the state who was erased, as keyed hashes, so that a state restored from a backup or made anew brings nobody back. Back it up apart from the state. Needs SYNCD_ENCRYPTION_KEY. Several shops may share it."`
	TimeZone      Zone          `env:"TIME_ZONE, default=Europe/Amsterdam" desc:"Time zone of the dates and times written to Copernica, by its name in the time zone database."`

	// StateDirectory is the folder of the SQLite database when DatabaseURL is not
	// set: the first of $STATE_DIRECTORY (systemd), else syncd in $XDG_STATE_HOME or
	// ~/.local/state. Empty when none of them is known. [Config.StatePath] uses it.
	StateDirectory string
}

// Magento is how to reach the shop.
type Magento struct {
	BaseURL     string `env:"BASE_URL" example:"https://shop.example.com" desc:"Address of the shop, as a browser shows it."`
	Username    string `env:"USERNAME" desc:"Name of an admin user, with SYNCD_MAGENTO_PASSWORD; instead of SYNCD_MAGENTO_ACCESS_TOKEN."`
	Password    Secret `env:"PASSWORD" desc:"Password of that admin user."`
	TOTPSecret  Secret `env:"TOTP_SECRET" desc:"Secret of that admin user's Google Authenticator, in base32, for a shop that asks for a second factor."`
	AccessToken Secret `env:"ACCESS_TOKEN" desc:"Access token of an integration (System > Extensions > Integrations), or an admin's token made elsewhere; instead of SYNCD_MAGENTO_USERNAME and SYNCD_MAGENTO_PASSWORD."`

	ConsumerKey       Secret `env:"CONSUMER_KEY" desc:"Consumer key of the integration, for a shop that takes no integration's token by itself (Magento 2.4.4 and later): every call is then signed (OAuth 1.0a). Needs all four of the integration's secrets, SYNCD_MAGENTO_ACCESS_TOKEN among them."`
	ConsumerSecret    Secret `env:"CONSUMER_SECRET" desc:"Consumer secret of the integration, with SYNCD_MAGENTO_CONSUMER_KEY."`
	AccessTokenSecret Secret `env:"ACCESS_TOKEN_SECRET" desc:"Access token secret of the integration, with SYNCD_MAGENTO_CONSUMER_KEY."`
	OAuthURL          string `env:"OAUTH_URL" show:"SYNCD_MAGENTO_BASE_URL" example:"https://shop.example.com" desc:"Address of the shop as the shop itself sees it, for signed calls through a proxy that changes scheme, host or port."`

	Concurrency int    `env:"CONCURRENCY, default=2" desc:"Most calls in flight to the shop. 1 to 32."`
	PageSize    int    `env:"PAGE_SIZE, default=300" desc:"Most records asked for in one call; a slow shop is asked for fewer. 10 to 1000."`
	CABundle    string `env:"CA_BUNDLE" example:"/etc/ssl/shop-ca.pem" desc:"PEM file with certificate authorities to trust for the shop, beside the system's."`
}

// Copernica is how to reach the Copernica account.
type Copernica struct {
	APIVersion   int    `env:"API_VERSION, default=4" desc:"Version of the REST API, 1 to 4. Versions 1 to 3 carry the access token in the address of every call, where proxies and logs see it: use 4 unless the account cannot."`
	APIURL       string `env:"API_URL" show:"the address of that version at api.copernica.com" example:"https://api.copernica.com/v4" desc:"Address of the REST API, with its version."`
	AuthURL      string `env:"AUTH_URL, default=https://authenticate.copernica.com" desc:"Address that exchanges the access token for an authorization token."`
	AuthorizeURL string `env:"AUTHORIZE_URL, default=https://www.copernica.com/en/authorize" desc:"Page where 'syncd connect' asks the account's owner for access."`
	AccessToken  Secret `env:"ACCESS_TOKEN" desc:"Access token of the account's REST API; instead of SYNCD_COPERNICA_CLIENT_KEY and a token that 'syncd connect' stored."`
	ClientKey    string `env:"CLIENT_KEY" desc:"Key of the application that is registered in Copernica's dashboard, for 'syncd connect copernica'."`
	ClientSecret Secret `env:"CLIENT_SECRET" desc:"Secret of that application."`
	Database     string `env:"DATABASE, default=Magento" desc:"Name or id of the database that holds the profiles."`
	Concurrency  int    `env:"CONCURRENCY, default=10" desc:"Most calls in flight to Copernica. 1 to 100."`
	CABundle     string `env:"CA_BUNDLE" example:"/etc/ssl/proxy-ca.pem" desc:"PEM file with certificate authorities to trust for Copernica, beside the system's, such as that of a proxy that reads the traffic."`
}

// Schedules say when each stream is due.
type Schedules struct {
	Customers Schedule `env:"CUSTOMERS, default=*/5 * * * *" desc:"When 'syncd serve' brings the customers up to date: minute, hour, day of month, month, day of week as in a crontab, in the machine's time zone unless CRON_TZ=Zone stands before it; or @hourly and the like. 'off' switches the stream off, also for 'syncd run' without a stream's name, and with it the sweeps of customers and of consent: a daemon then takes no opt-out either way."`
	Orders    Schedule `env:"ORDERS, default=*/5 * * * *" desc:"The same for the orders."`
}

// Load reads the variables out of environ, which has the form of os.Environ, and
// validates what they say. The error is a join of *[Error].
func Load(ctx context.Context, environ []string) (Config, error) {
	env := newEnvironment(environ)
	problems := env.unknown()

	cfg, more := env.decode(ctx)
	problems = append(problems, more...)
	if err := cfg.Validate(); err != nil {
		problems = append(problems, err)
	}
	return cfg, errors.Join(problems...)
}

// decode fills a Config and returns what went wrong. envconfig stops at the
// first value it cannot decode; that variable is then left out and decoding starts
// over, so that an operator learns of all mistakes at once.
func (e *environment) decode(ctx context.Context) (Config, []error) {
	var problems []error
	for {
		var cfg Config
		err := envconfig.ProcessWith(ctx, &envconfig.Config{
			Target:   &cfg,
			Lookuper: envconfig.PrefixLookuper(Prefix, e),
		})
		if err == nil {
			cfg.StateDirectory = e.stateDirectory()
			if cfg.Copernica.APIURL == "" {
				cfg.Copernica.APIURL = fmt.Sprintf("%s/v%d", copernicaAPI, cfg.Copernica.APIVersion)
			}
			return cfg, append(e.problems(), problems...)
		}
		if !e.leaveOut(e.last) {
			// Only a struct that envconfig cannot process at all comes here.
			return cfg, append(problems, fmt.Errorf("decode the environment: %w", err))
		}
		problems = append(problems, decodeError(e.last, e.values[e.last], err))
	}
}

// decodeError says what form the variable has, and what it holds, which is no secret:
// those take any form. The library's error names Go
// fields and types, which mean nothing to an operator, unless it comes from a
// decoder of this package.
func decodeError(name, value string, err error) *Error {
	if own, ok := errors.AsType[*formError](err); ok {
		return &Error{Variable: name, Problem: own.Error()}
	}
	for _, v := range Variables() {
		if v.Name != name {
			continue
		}
		switch v.kind {
		case reflect.TypeFor[time.Duration]():
			return &Error{Variable: name, Problem: quote(value) + "is not a duration: write one such as 90s, 5m or 1h30m"}
		case reflect.TypeFor[int]():
			return &Error{Variable: name, Problem: quote(value) + "is not a whole number: write digits only"}
		}
	}
	return &Error{Variable: name, Problem: err.Error()}
}

// quote begins a complaint with the start of the value it is about.
func quote(value string) string { return fmt.Sprintf("is %.40q, which ", value) }

// stateDirectory is documented at Config.StateDirectory.
func (e *environment) stateDirectory() string {
	if list := filepath.SplitList(e.values["STATE_DIRECTORY"]); len(list) > 0 && list[0] != "" {
		return list[0]
	}
	// The specification of XDG base directories ignores relative paths.
	if dir := e.values["XDG_STATE_HOME"]; filepath.IsAbs(dir) {
		return filepath.Join(dir, "syncd")
	}
	if dir := e.values["HOME"]; dir != "" {
		return filepath.Join(dir, ".local", "state", "syncd")
	}
	return ""
}

// Error is a mistake in one variable.
type Error struct {
	Variable string // whole name; empty when the mistake is about several
	Problem  string // what is wrong and what to do, without any secret
}

func (e *Error) Error() string {
	if e.Variable == "" {
		return e.Problem
	}
	return e.Variable + " " + e.Problem
}
